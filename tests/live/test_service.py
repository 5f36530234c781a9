"""The whole market layer over real sockets: what it decides is what history decides, to the bit."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from data.profiles import load_profile
from engine.bars import Bars
from engine.pipeline.market import market_history
from engine.pipeline.phase import CONTEXT, new_contexts
from engine.pipeline.scan import scan_history
from engine.venue.replay import Replay
from live.bus import Overflow
from live.clock import SystemClock
from live.market.views import PhaseEvents
from live.service import MarketService
from live.settings import Settings, load_settings
from live.venues.bybit.faults import Fault, plan_faults
from live.venues.bybit.public_rest import BybitPublicRest
from live.venues.bybit.public_stream import BybitPublicStream, StreamOptions
from live.venues.bybit.shard import ShardOptions
from live.venues.bybit.simserver import SimServer
from tests.live.helpers import STEP, only, synthetic, until

PROFILE = load_profile("default", "15m")
QUICK = StreamOptions(shard=ShardOptions(backoff_first_s=0.01, backoff_max_s=0.1))


def settings_of(home: Path, addresses: dict[str, str], **more: object) -> Settings:
    given = {"rest_url": addresses["rest"], "ws_url": addresses["ws"], "turnover_min_usdt": 0.0}
    return load_settings({}, file=home / "none.toml", home=home, **given, **more).settings


def service_of(settings: Settings, options: StreamOptions = QUICK) -> MarketService:
    clock = SystemClock()
    rng = np.random.default_rng(0)
    stream = BybitPublicStream(settings.ws_url, "15m", clock, rng, options=options)
    rest = BybitPublicRest(settings.rest_url, clock)
    return MarketService(settings, PROFILE, clock=clock, rest=rest, stream=stream)


@contextlib.asynccontextmanager
async def started(settings: Settings, **options) -> AsyncIterator[MarketService]:
    service = service_of(settings, **options)
    await service.start()
    try:
        yield service
    finally:
        await service.stop()


def history(bars: dict[str, Bars], service: MarketService) -> tuple[dict[str, bytes], np.ndarray]:
    """What the scan of history makes of the same bars, with the service's row numbers."""
    series = market_history(bars, PROFILE.market, STEP)
    contexts, events = {}, []
    for symbol in sorted(bars):
        row = service.collator.find(symbol)
        assert row is not None
        one = new_contexts(1)
        events.append(
            scan_history(
                one, PROFILE.params, bars[symbol], symbol_id=row, interval_ms=STEP, market=series
            )
        )
        contexts[symbol] = one.tobytes()
    return contexts, np.concatenate(events)


def state(service: MarketService, symbols) -> dict[str, bytes]:
    out = {}
    for symbol in symbols:
        row = service.collator.find(symbol)
        assert row is not None
        out[symbol] = service.scanner.contexts[row : row + 1].tobytes()
    return out


def logged(service: MarketService) -> list[tuple]:
    return sorted(
        (e.symbol, e.t, e.kind, e.close, e.level or 0.0) for e in service.events(limit=10**6)
    )


def same_events(events: np.ndarray, service: MarketService) -> bool:
    from live.market.readmodel import event_view

    views = [
        event_view(e, service.collator.symbol(int(e["symbol_id"])), 0, replayed=False)
        for e in events
    ]
    return sorted((e.symbol, e.t, e.kind, e.close, e.level or 0.0) for e in views) == logged(
        service
    )


def uneven(symbols: int, bars: int) -> dict[str, Bars]:
    """A market where coins begin late, end early and have holes, as real lakes do."""
    market = synthetic(symbols, bars)
    rng = np.random.default_rng(2)
    out = {}
    for k, symbol in enumerate(sorted(market)):
        series = market[symbol]
        keep = np.ones(len(series), bool)
        if k % 4 == 1:
            keep[: bars // 3] = False
        if k % 4 == 2:
            keep[-bars // 4 :] = False
        if k % 2:
            at = int(rng.integers(bars // 2, bars - 20))
            keep[at : at + int(rng.integers(1, 15))] = False
        out[symbol] = only(series, keep)
    return out


async def test_a_disturbed_stream_decides_what_history_decides(tmp_path: Path) -> None:
    bars = uneven(6, 1500)
    replay = Replay(STEP, bars)
    sim = SimServer(replay, "15m", SystemClock(), speed="max", updates=0)
    minutes = range(replay.first + 10 * STEP, replay.last - 10 * STEP, STEP)
    plan = plan_faults(
        np.random.default_rng(4),
        list(bars),
        minutes,
        disconnects=8,
        drops=10,
        lates=10,
        duplicates=10,
    )
    sim.add_faults(plan)
    async with sim.running() as addresses, started(settings_of(tmp_path, addresses)) as service:
        await until(lambda: service.collator.minute > replay.last, "the whole replay", 120.0)
        contexts, events = history(bars, service)
        assert len(events) > 10
        assert state(service, bars) == contexts
        assert same_events(events, service)
        health = service.health()
        assert health.reconnects > 4
        assert health.repaired_bars > 0
        assert health.given_up == 0
        assert sim.hub.fired["drop"] + sim.hub.fired["late"] > 10


async def test_restarts_and_a_damaged_snapshot_end_in_the_same_state(tmp_path: Path) -> None:
    bars = synthetic(5, 1400)
    replay = Replay(STEP, bars)
    sim = SimServer(replay, "15m", SystemClock(), updates=0, start_ms=replay.first + 400 * STEP)
    async with sim.running() as addresses:
        settings = settings_of(tmp_path, addresses, warmup_bars=5000)
        for _ in range(3):
            async with started(settings) as service:
                await until(lambda: sim.hub.listening == 5, "subscribed")
                await sim.advance(150)
                await until(lambda s=service: s.collator.minute == sim.minute, "caught up", 60.0)
            await sim.advance(60)  # bars nobody hears: the next start must fetch them
        async with started(settings) as service:
            await until(lambda: sim.hub.listening == 5, "subscribed")
            notes = service.health().notes
            assert not any("from history" in n for n in notes), "the snapshot was good"
            await sim.advance(replay.minutes)
            await until(lambda: service.collator.minute > replay.last, "the end", 60.0)
            contexts, events = history(bars, service)
            assert state(service, bars) == contexts
            assert same_events(events, service), "the pages know what was before the restarts"
            path = service.snapshot_path
        raw = bytearray(path.read_bytes())
        raw[len(raw) // 2] ^= 255
        path.write_bytes(raw)
        async with started(settings) as service:
            assert any("hash" in n for n in service.health().notes), "it says why"
            await until(lambda: service.collator.minute > replay.last, "the last bar too")
            assert state(service, bars) == contexts


async def test_coins_come_and_go_without_a_restart(tmp_path: Path) -> None:
    bars = synthetic(5, 1400)
    names = sorted(bars)
    replay = Replay(STEP, bars)
    sim = SimServer(replay, "15m", SystemClock(), updates=0, start_ms=replay.first + 600 * STEP)
    async with sim.running() as addresses:
        settings = settings_of(
            tmp_path, addresses, warmup_bars=5000, blacklist=frozenset(names[:1])
        )
        async with started(settings) as service:
            news = service.bus.subscribe("universe", overflow=Overflow.WAIT, size=10)
            assert service.board().excluded[names[0]] == "on the blacklist"
            assert service.coin(names[0]) is None
            await until(lambda: sim.hub.listening == 4, "four")
            await sim.advance(20)
            from live.market.universe import Rules

            service._rules = Rules(0.0, 30.0, frozenset(names[1:2]))
            await service.refresh_universe()
            change = await news.get()
            assert change.added == (names[0],)
            assert change.removed == {names[1]: "on the blacklist"}
            await until(lambda: sim.hub.listening == 4, "changed")
            await sim.advance(50)
            await until(lambda: service.collator.minute == sim.minute, "caught up")
            board = service.board()
            assert [r.symbol for r in board.rows] == [names[0], *names[2:]]
            row = service.collator.find(names[0])
            assert row is not None
            assert int(service.scanner.contexts["last_t"][row]) == sim.minute - STEP
            past = {s: b.slice(0, int(np.searchsorted(b.ts, sim.minute))) for s, b in bars.items()}
            contexts, _ = history({names[0]: past[names[0]]}, service)
            whole = np.frombuffer(contexts[names[0]], CONTEXT)
            for field in ("n", "atr_slow", "prev_close", "n_gaps"):
                assert service.scanner.contexts[field][row] == whole[field][0], field


async def test_views_and_topics_tell_the_truth(tmp_path: Path) -> None:
    bars = synthetic(6, 1400)
    replay = Replay(STEP, bars)
    sim = SimServer(replay, "15m", SystemClock(), updates=2, start_ms=replay.first + 500 * STEP)
    async with sim.running() as addresses, started(settings_of(tmp_path, addresses)) as service:
        phases = service.subscribe("phase", overflow=Overflow.DISCONNECT, size=10_000)
        closed = service.subscribe("bars", overflow=Overflow.LATEST, size=10)
        prices = service.subscribe("price", overflow=Overflow.LATEST, size=10)
        told = len(service.events())
        assert all(e.replayed for e in service.events())
        await until(lambda: sim.hub.listening == 6, "subscribed")
        await sim.advance(replay.minutes - 500 - 1)
        await until(lambda: service.collator.minute == sim.minute, "caught up", 60.0)
        assert (await asyncio.wait_for(closed.get(), 10)).interval == "15m"
        assert (await asyncio.wait_for(prices.get(), 10)).symbol in bars
        got = []
        while len(phases):
            news = await phases.get()
            assert isinstance(news, PhaseEvents)
            assert not news.replayed
            got += news.events
        assert got == service.events()[told:]
        assert len(got) > 0
        board = service.board()
        assert sum(board.counts.values()) == 6
        assert board.as_of == service.now_ms() == sim.clock_ms
        assert board.market.present + board.market.absent == 6
        for row in board.rows:
            coin = service.coin(row.symbol)
            assert coin is not None
            series = bars[row.symbol]
            at = int(np.searchsorted(series.ts, sim.minute)) - 1
            assert row.close == series.close[at]
            assert coin.bars[-1] == (
                int(series.ts[at]),
                series.open[at],
                series.high[at],
                series.low[at],
                series.close[at],
                series.volume[at],
            )
            assert row.closes == tuple(series.close[at - 47 : at + 1].tolist())
            frame = service.frame(row.symbol)
            assert frame is not None
            assert frame["close"][-1] == row.close
            msgspec.json.encode(coin)
        msgspec.json.encode(board)
        msgspec.json.encode(service.health())
        assert service.scan_symbols == 6


async def test_it_waits_for_a_venue_that_is_not_there_yet(tmp_path: Path) -> None:
    bars = synthetic(5, 1400)
    replay = Replay(STEP, bars)
    sim = SimServer(replay, "15m", SystemClock(), start_ms=replay.first + 300 * STEP)
    sim.add_faults([Fault("rest", status=502)])
    async with sim.running() as addresses, started(settings_of(tmp_path, addresses)) as service:
        assert service.status == "live"
        assert any("cannot be read yet" in n for n in service.health().notes)


async def test_a_dead_part_is_told_loudly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bars = synthetic(5, 1400)
    replay = Replay(STEP, bars)
    sim = SimServer(replay, "15m", SystemClock(), start_ms=replay.first + 300 * STEP)
    async with sim.running() as addresses, started(settings_of(tmp_path, addresses)) as service:

        def broken(_batch: object) -> None:
            raise RuntimeError("planted")

        monkeypatch.setattr(service.scanner, "step", broken)
        await until(lambda: sim.hub.listening == 5, "subscribed")
        await sim.advance(1)
        with pytest.raises(RuntimeError, match="planted"):
            await asyncio.wait_for(service.failure(), 20)
        assert service.status == "degraded"
