"""The real clients over real sockets against the simulated venue, faults included."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import msgspec
import numpy as np
import pytest
from websockets.asyncio.client import connect

from engine.errors import DataError
from engine.venue import wire
from engine.venue.replay import Replay, partial
from live.clock import ManualClock, SystemClock
from live.venues.bybit.budget import WindowBudget
from live.venues.bybit.faults import Fault, draw_faults, plan_faults, read_faults
from live.venues.bybit.public_rest import BybitPublicRest
from live.venues.bybit.public_stream import BybitPublicStream, StreamOptions
from live.venues.bybit.shard import ShardOptions
from live.venues.bybit.simserver import SimServer, parse_speed
from live.venues.port import (
    Banned,
    ClosedBar,
    Failed,
    Joined,
    Lost,
    Ok,
    Quiet,
    Throttled,
    TopicOutcome,
    TopicState,
)
from tests.live.helpers import STEP, T0, TIMEOUT_S, only, until, walk

QUICK = ShardOptions(backoff_first_s=0.01, backoff_max_s=0.1, answer_s=30.0)


def replay_of(symbols: int = 4, bars: int = 200) -> Replay:
    return Replay(STEP, {f"S{i:03d}USDT": walk(bars, i) for i in range(symbols)})


class Venue:
    """A simulator, a stream client on it, and everything the client has said."""

    def __init__(self, sim: SimServer, addresses: dict[str, str]) -> None:
        self.sim = sim
        self.addresses = addresses
        self.items: list[object] = []
        self.streams: list[BybitPublicStream] = []
        self.tasks: list[asyncio.Task] = []

    def client(self, symbols, *, shard: ShardOptions = QUICK, **options) -> BybitPublicStream:
        stream = BybitPublicStream(
            self.addresses["ws"],
            "15m",
            SystemClock(),
            np.random.default_rng(0),
            options=StreamOptions(shard=shard, **options),
        )
        stream.watch(symbols)
        self.streams.append(stream)

        async def collect() -> None:
            await stream.start()
            while True:
                self.items += await stream.batch()

        self.tasks.append(asyncio.create_task(collect()))
        return stream

    def bars(self, symbol: str) -> list[int]:
        return [i.bar.start for i in self.items if isinstance(i, ClosedBar) and i.symbol == symbol]

    def count(self, kind: type) -> int:
        return sum(isinstance(i, kind) for i in self.items)

    def joined(self) -> set[str]:
        return {s for i in self.items if isinstance(i, Joined) for s in i.symbols}


@contextlib.asynccontextmanager
async def venue(replay: Replay | None = None, **options) -> AsyncIterator[Venue]:
    sim = SimServer(replay or replay_of(), "15m", SystemClock(), **options)
    async with sim.running() as addresses:
        v = Venue(sim, addresses)
        try:
            yield v
        finally:
            for task in v.tasks:
                task.cancel()
            await asyncio.gather(*v.tasks, return_exceptions=True)
            for stream in v.streams:
                await stream.close()


# ---------------------------------------------------------------------------- stream


async def test_confirmed_bars_arrive_whole_and_open_ones_only_as_ticks() -> None:
    async with venue(updates=3) as v:
        stream = v.client(v.sim.replay.bars)
        await until(lambda: len(v.joined()) == 4, "all joined")
        ticks = asyncio.create_task(anext(stream.ticks()))
        await v.sim.advance(5)
        await until(lambda: v.count(ClosedBar) == 20, "five bars of four symbols")
        got = await asyncio.wait_for(ticks, TIMEOUT_S)
        assert all(not bar.confirm for bar in got.values())
        for symbol, bars in v.sim.replay.bars.items():
            mine = [i.bar for i in v.items if isinstance(i, ClosedBar) and i.symbol == symbol]
            assert [b.close for b in mine] == bars.close[:5].tolist()
            assert all(b.confirm for b in mine)


@pytest.mark.parametrize("kind", ["close", "abort"])
async def test_a_lost_connection_comes_back_with_its_topics(kind) -> None:
    async with venue() as v:
        stream = v.client(v.sim.replay.bars)
        await until(lambda: len(v.joined()) == 4, "joined")
        await v.sim.advance(1)
        v.sim.add_faults([Fault(kind, bars=0)])
        await v.sim.advance(1)
        await until(lambda: v.count(Lost) == 1 and v.sim.hub.listening == 4, "back again")
        await v.sim.advance(1)
        await until(lambda: T0 + 2 * STEP in v.bars("S000USDT"), "bars flow again")
        assert T0 + STEP not in v.bars("S000USDT"), "the fault's own bar is lost on the stream"
        assert stream.figures().reconnects == 1


@pytest.mark.parametrize(("kind", "word"), [("stall", "no data"), ("mute", "no pong")])
async def test_a_half_open_connection_is_noticed(kind, word: str) -> None:
    options = ShardOptions(
        ping_s=0.2, pong_s=0.2, silence_s=60.0 if kind == "mute" else 0.4, backoff_first_s=0.01
    )
    async with venue() as v:
        v.client(v.sim.replay.bars, shard=options)
        await until(lambda: len(v.joined()) == 4, "joined")
        v.sim.add_faults([Fault(kind)])
        await v.sim.advance(1)
        await until(lambda: v.count(Lost) >= 1, "the stall is noticed")
        lost = next(i for i in v.items if isinstance(i, Lost))
        assert word in lost.reason


async def test_one_silent_topic_is_subscribed_anew_and_told() -> None:
    replay = Replay(
        STEP, {"AUSDT": walk(4000, 1), "ZUSDT": only(walk(4000, 2), np.arange(4000) < 1)}
    )
    async with venue(replay, speed=STEP / 1000 / 0.02) as v:
        v.client(replay.bars, shard=ShardOptions(silence_s=0.5))
        await until(lambda: v.count(Quiet) >= 1, "silence is told")
        assert {i.symbol for i in v.items if isinstance(i, Quiet)} == {"ZUSDT"}
        assert v.count(Lost) == 0


async def test_one_refused_symbol_costs_only_itself() -> None:
    async with venue(replay_of(9)) as v:
        v.sim.add_faults([Fault("refuse", symbol="S004USDT", count=50)])
        stream = v.client([*v.sim.replay.bars, "NOSUCHUSDT"])
        await until(lambda: len(v.joined()) == 8, "the eight good ones")
        refused = {
            i.symbol: i.reason
            for i in v.items
            if isinstance(i, TopicOutcome) and i.state is TopicState.REFUSED
        }
        assert set(refused) == {"S004USDT", "NOSUCHUSDT"}
        assert "handler not found" in refused["NOSUCHUSDT"]
        await v.sim.advance(1)
        await until(lambda: v.count(ClosedBar) == 8, "bars of the good ones")
        v.sim.hub._refusals.clear()
        stream.watch(v.sim.replay.bars)  # asked for again: refused topics get another chance
        await until(lambda: "S004USDT" in v.joined(), "accepted the second time")


async def test_symbols_come_and_go_without_a_new_connection() -> None:
    async with venue() as v:
        stream = v.client(["S000USDT", "S001USDT"])
        await until(lambda: len(v.joined()) == 2, "two")
        stream.watch(["S001USDT", "S002USDT"])
        await until(lambda: v.sim.hub.listening == 2 and "S002USDT" in v.joined(), "changed")
        await until(
            lambda: "S000USDT" not in next(iter(v.sim.hub.connections.values())).by_symbol, "left"
        )
        await v.sim.advance(1)
        await until(lambda: v.count(ClosedBar) == 2, "bars of the two wanted")
        assert v.bars("S000USDT") == []
        assert v.sim.hub.opened == 1


async def test_topics_are_split_over_connections_and_fail_apart() -> None:
    async with venue(replay_of(10)) as v:
        stream = v.client(v.sim.replay.bars, symbols_per_connection=4)
        await until(lambda: len(v.joined()) == 10, "all")
        assert len(v.sim.hub.connections) == 3
        next(iter(v.sim.hub.connections.values())).abort()
        await until(lambda: v.count(Lost) == 1 and v.sim.hub.listening == 10, "one came back")
        assert stream.figures().connections == 3
        narrow = v.client(v.sim.replay.bars, chars_per_connection=70)
        await until(
            lambda: narrow.figures().connections == 4, "the budget of characters splits too"
        )


async def test_refused_connections_are_tried_again_with_pauses() -> None:
    async with venue() as v:
        v.sim.add_faults([Fault("turn_away", count=3)])
        stream = v.client(v.sim.replay.bars)
        await until(lambda: len(v.joined()) == 4, "in at last")
        assert stream.counters()["failed_connects"] == 3
        assert v.sim.hub.fired["turn_away"] == 3


async def test_duplicates_and_garbage_are_counted_and_harm_nobody() -> None:
    async with venue() as v:
        stream = v.client(v.sim.replay.bars)
        await until(lambda: len(v.joined()) == 4, "joined")
        v.sim.add_faults(
            [
                Fault("duplicate", at=T0, symbol="S000USDT"),
                Fault("malformed", at=T0 + STEP, symbol="S001USDT"),
                Fault("drop", at=T0 + STEP, symbol="S002USDT"),
                Fault("late", at=T0 + STEP, symbol="S003USDT", bars=1),
            ]
        )
        await v.sim.advance(3)
        await until(lambda: v.count(ClosedBar) == 11, "all but the dropped one")
        assert stream.figures().repeated == 1
        assert stream.figures().malformed == 1
        assert v.bars("S002USDT") == [T0, T0 + 2 * STEP]
        assert v.bars("S003USDT") == [T0, T0 + 2 * STEP, T0 + STEP]
        assert v.count(Lost) == 0


async def test_a_full_queue_holds_the_connection_and_loses_nothing() -> None:
    sim = SimServer(replay_of(4, 2000), "15m", SystemClock(), speed="max", updates=0)
    async with sim.running() as addresses:
        stream = BybitPublicStream(
            addresses["ws"],
            "15m",
            SystemClock(),
            np.random.default_rng(0),
            options=StreamOptions(items_waiting_max=50),
        )
        stream.watch(sim.replay.bars)
        await stream.start()
        bars = 0
        async with asyncio.timeout(TIMEOUT_S):
            while bars < 8000:
                items = await stream.batch()
                assert len(items) <= 50
                bars += sum(isinstance(i, ClosedBar) for i in items)
        await stream.close()
    assert bars == 8000


async def test_the_budget_of_connections_delays_the_one_too_many() -> None:
    clock = ManualClock()
    budget = WindowBudget(clock, 2, 300.0)
    await budget.take()
    await budget.take()
    third = asyncio.create_task(budget.take())
    await until(lambda: clock.sleepers == 1, "the third waits")
    clock.advance(299.0)
    await asyncio.sleep(0)
    assert not third.done()
    clock.advance(1.0)
    await third
    assert budget.waits == 1


# ---------------------------------------------------------------------------- REST


@contextlib.asynccontextmanager
async def rest_of(v: Venue, clock=None) -> AsyncIterator[BybitPublicRest]:
    rest = BybitPublicRest(v.addresses["rest"], clock or SystemClock(), workers=2, timeout_s=20.0)
    try:
        yield rest
    finally:
        await rest.close()


async def test_candles_by_request_are_closed_oldest_first_and_exact() -> None:
    replay = replay_of()
    async with venue(replay, start_ms=T0 + 50 * STEP) as v, rest_of(v) as rest:
        v.sim.clock_ms += (
            60_000  # a candle is open: the reply has it first, the client leaves it out
        )
        reply = await rest.klines("S000USDT", "15m", start_ms=T0, end_ms=T0 + 10**9, limit=30)
        assert isinstance(reply, Ok)
        bars = replay.bars["S000USDT"]
        assert [b.start for b in reply.value] == bars.ts[21:50].tolist()
        assert [b.close for b in reply.value] == bars.close[21:50].tolist()
        assert reply.venue_ms == T0 + 50 * STEP + 60_000
        everything = await rest.klines("S000USDT", "15m")
        assert isinstance(everything, Ok)
        assert len(everything.value) == 50


async def test_all_pages_of_instruments_are_read_with_the_cursor_verbatim(monkeypatch) -> None:
    monkeypatch.setattr(wire, "INSTRUMENTS_LIMIT_MAX", 7)
    async with venue(replay_of(20, 5)) as v, rest_of(v) as rest:
        found = await rest.instruments()
        assert isinstance(found, Ok)
        assert [i.symbol for i in found.value] == sorted(v.sim.replay.bars)
        assert v.sim.requests == 3
        tickers = await rest.tickers()
        assert isinstance(tickers, Ok)
        assert len(tickers.value) == 20


async def test_each_failure_is_a_value_and_nothing_is_sent_twice() -> None:
    clock = ManualClock()
    async with venue() as v, rest_of(v, clock) as rest:
        v.sim.add_faults(
            [
                Fault("rest", code=10006),
                Fault("rest", code=10016),
                Fault("rest", code=10001),
                Fault("rest", status=502),
                Fault("rest", status=429),
            ]
        )
        got = [await rest.server_time() for _ in range(5)]
        assert [type(g) for g in got] == [Throttled, Failed, Failed, Failed, Throttled]
        assert [g.retryable for g in got if isinstance(g, Failed)] == [True, False, True]
        assert v.sim.requests == 5
        unknown = await rest.klines("NOSUCHUSDT", "15m")
        assert isinstance(unknown, Failed)
        assert not unknown.retryable
        assert "Not supported symbols" in unknown.reason


async def test_a_ban_silences_every_call_for_its_time() -> None:
    clock = ManualClock()
    async with venue() as v, rest_of(v, clock) as rest:
        v.sim.add_faults([Fault("rest", status=403)])
        assert isinstance(await rest.server_time(), Banned)
        clock.advance(599.0)
        assert await rest.tickers() == Banned(1.0)
        assert v.sim.requests == 1, "a banned address sends nothing"
        clock.advance(1.0)
        assert isinstance(await rest.server_time(), Ok)


async def test_a_dead_venue_is_a_failure() -> None:
    rest = BybitPublicRest("http://127.0.0.1:1", SystemClock(), timeout_s=1.0)
    reply = await rest.server_time()
    assert isinstance(reply, Failed)
    assert reply.retryable
    await rest.close()


# ---------------------------------------------------------------------------- the venue itself


async def test_raw_shapes_of_the_stream() -> None:
    async with venue(updates=2) as v, connect(v.addresses["ws"] + "/v5/public/linear") as socket:
        await socket.send('{"op":"ping","req_id":7}')
        pong = msgspec.json.decode(await socket.recv())
        assert (pong["op"], pong["ret_msg"], pong["success"]) == ("ping", "pong", True)
        await socket.send(
            '{"op":"subscribe","req_id":"q","args":["kline.15.S000USDT","kline.15.X"]}'
        )
        nack = msgspec.json.decode(await socket.recv())
        assert (nack["success"], nack["req_id"]) == (False, "q")
        await socket.send('{"op":"subscribe","req_id":"r","args":["kline.15.S000USDT"]}')
        ack = msgspec.json.decode(await socket.recv())
        assert (ack["success"], ack["req_id"], ack["op"]) == (True, "r", "subscribe")
        await v.sim.advance(1)
        pushes = [msgspec.json.decode(await socket.recv()) for _ in range(3)]
        assert [p["data"][0]["confirm"] for p in pushes] == [False, False, True]
        example = {"start", "end", "interval", "open", "close", "high", "low", "volume", "turnover"}
        assert set(pushes[0]["data"][0]) == example | {"confirm", "timestamp"}
        assert set(pushes[0]) == {"topic", "data", "ts", "type"}


async def test_raw_shapes_of_a_request_and_the_control() -> None:
    async with venue(start_ms=T0 + 5 * STEP) as v:
        v.sim.clock_ms += 1000
        reply = await _get(
            v, "/v5/market/kline?category=linear&symbol=S001USDT&interval=15&limit=3"
        )
        rows = reply["result"]["list"]
        assert [int(r[0]) for r in rows] == [T0 + 5 * STEP, T0 + 4 * STEP, T0 + 3 * STEP]
        for bad in ("interval=7", "interval=15&limit=1001", "interval=15&start=x"):
            reply = await _get(v, f"/v5/market/kline?category=linear&symbol=S001USDT&{bad}")
            assert reply["retCode"] == 10001
        reply = await _get(
            v, "/v5/market/funding/history?category=linear&symbol=S001USDT&startTime=1"
        )
        assert reply["retCode"] == 10001
        state = await _post(v, "/sim/clock", {"step": 2})
        assert state["minute"] == T0 + 7 * STEP
        state = await _post(v, "/sim/clock", {"to": T0 + 9 * STEP + 5})
        assert state["minute"] == T0 + 9 * STEP
        assert "error" in await _post(v, "/sim/clock", {"speed": "warp"})
        assert "error" in await _post(v, "/sim/faults", [{"kind": "drip"}])
        state = await _post(v, "/sim/faults", [{"kind": "drop", "symbol": "S001USDT"}])
        assert state["faults_waiting"] == 1


async def _get(v: Venue, path: str):
    import requests

    return (await asyncio.to_thread(requests.get, v.addresses["rest"] + path, timeout=20)).json()


async def _post(v: Venue, path: str, body: object):
    import requests

    url = v.addresses["rest"] + path
    return (await asyncio.to_thread(requests.post, url, json=body, timeout=20)).json()


async def test_speeds_pause_and_the_end() -> None:
    async with venue(replay_of(1, 30), speed=STEP / 1000 / 0.001, paused=True) as v:
        assert v.sim.minute == T0
        v.sim.resume()
        await until(lambda: v.sim.finished, "all thirty bars")
        await v.sim.advance(1)  # past the end is no error
        assert v.sim.minute == T0 + 30 * STEP
    for bad in ("warp", "0", "-1", "nan", "inf"):
        with pytest.raises(DataError, match="speed"):
            parse_speed(bad)


async def test_a_port_in_use_is_one_clear_error() -> None:
    async with venue() as v:
        taken = int(v.addresses["rest"].rsplit(":", 1)[1])
        with pytest.raises(DataError, match=str(taken)):
            await SimServer(replay_of(), "15m", SystemClock()).start(taken)


def test_open_candles_stay_inside_their_bar() -> None:
    whole = (100.0, 110.0, 95.0, 105.0, 9.0, 900.0)
    for share in np.linspace(0.0, 1.0, 41):
        o, h, lo, c, v, _ = partial(whole, float(share))
        assert o == 100.0
        assert 95.0 <= lo <= min(o, c) <= max(o, c) <= h <= 110.0
        assert v <= 9.0
    assert partial(whole, 1.0) == whole


def test_fault_lists_are_read_or_refused_by_name() -> None:
    assert read_faults(b'{"kind":"close","at":5}') == [Fault("close", at=5)]
    for bad in (
        b"[",
        b'[{"kind":"drop"}]',
        b'[{"kind":"close","colour":1}]',
        b'[{"kind":"close","count":0}]',
    ):
        with pytest.raises(DataError):
            read_faults(bad)
    replay = replay_of(2, 50)
    random = [Fault("random", draw="drop", count=4), Fault("close", at=3)]
    drawn = draw_faults(random, replay, 1)
    assert drawn == draw_faults(random, replay, 1)
    assert [f.kind for f in drawn] == ["drop"] * 4 + ["close"]
    minutes = range(T0, T0 + 50 * STEP, STEP)
    plan = plan_faults(np.random.default_rng(0), ["A"], minutes, disconnects=6, lates=3)
    assert sum(f.kind in ("close", "abort") for f in plan) == 6
    assert len({f.at for f in plan if f.kind in ("close", "abort")}) == 6


def test_replay_finds_bars_in_any_order_of_asking() -> None:
    bars = only(walk(50, 3), np.arange(50) % 7 != 3)
    replay = Replay(STEP, {"A": bars})
    where = {int(t): i for i, t in enumerate(bars.ts)}
    rng = np.random.default_rng(0)
    for m in [*range(50), *rng.integers(-3, 60, 300)]:
        ts = T0 + int(m) * STEP
        assert replay.index("A", ts) == where.get(ts)
