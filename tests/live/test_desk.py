"""What users hear of the market: the real service and clients, on virtual time, with faults."""

import itertools
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.proofs import simloop
from engine.venue.words import InstrumentStatus
from live.market import topics
from live.service import MarketService
from live.venues.bybit.faults import Fault
from tests.live.inside import BREAK_MS, World


def play(
    home: Path, story: Callable[[World], Awaitable[Any]], faults: list[Fault] | None = None
) -> Any:
    """Run a story in a world of its own."""

    async def main(clock: simloop.SimClock) -> Any:
        world = World(clock, home, faults or [])
        try:
            return await story(world)
        finally:
            world.end()
            assert world.venue.desk.crashes == []

    return simloop.run(main, 5)


def test_a_breakout_is_told_once_with_the_book_of_its_moment(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.begin(BREAK_MS - 30_000)
        service = world.service()
        await service.start()
        await world.until(BREAK_MS + 60_000)
        (signal,) = [s for s in world.told(topics.SIGNAL) if s.symbol == world.symbol]
        assert signal.t == BREAK_MS
        assert signal.signal_id == f"default-15m-{world.symbol}-{BREAK_MS}"
        assert service.fresh_signals() == tuple(world.told(topics.SIGNAL))
        quote = signal.quote
        assert quote is not None
        assert quote.source == "book"
        assert not quote.stale
        assert 0 <= BREAK_MS - quote.ts <= 5_000
        assert quote.bid < quote.ask
        assert quote.sweep_bps >= quote.spread_bps / 2.0 - 1e-6
        seen = service.regime()
        assert seen.regime == "NORMAL"
        assert seen.breadth is not None
        assert [r.regime for r in world.told(topics.REGIME)] == ["NORMAL"]
        contract = service.contract(world.symbol)
        assert contract is not None
        assert contract.tiers == world.venue.desk.view.instrument(world.symbol).tiers
        funding = service.funding(world.symbol)
        assert funding is not None
        assert funding.next_ms == world.venue.desk.view.next_funding_ms(world.symbol)
        # at most one quote a second and coin
        times: dict[str, list[int]] = {}
        for at_ms, value in world.heard[topics.QUOTE]:
            times.setdefault(value.symbol, []).append(at_ms)
        assert world.symbol in times
        for stamps in times.values():
            assert all(b - a >= 999 for a, b in itertools.pairwise(stamps))
        await service.stop()

    play(tmp_path, story)


def test_a_breakout_is_told_once_over_a_clean_restart_and_an_engine_that_starts_late_finds_it(
    tmp_path: Path,
) -> None:
    async def story(world: World) -> None:
        await world.begin(BREAK_MS - 10_000)
        first = world.service()
        await first.start()
        await world.until(BREAK_MS + 5_000)
        await first.stop()
        told = world.told(topics.SIGNAL)
        assert world.symbol in {s.symbol for s in told}
        second = world.service()
        await second.start()
        await world.until(BREAK_MS + 30_000)
        assert world.told(topics.SIGNAL) == told
        assert set(second.fresh_signals()) == set(told)
        await second.stop()

    play(tmp_path, story)


@pytest.mark.parametrize(("down_s", "times"), [(100, 1), (400, 0)])
def test_a_breakout_missed_while_down_is_told_with_its_true_time_if_it_is_fresh(
    tmp_path: Path, down_s: int, times: int
) -> None:
    async def story(world: World) -> None:
        await world.begin(BREAK_MS - 20_000)
        first = world.service()
        await first.start()
        await first.save()
        await world.kill(first)
        await world.until(BREAK_MS + down_s * 1000)
        second = world.service()
        await second.start()
        await world.until(BREAK_MS + down_s * 1000 + 5_000)
        mine = [s for s in world.told(topics.SIGNAL) if s.symbol == world.symbol]
        assert [s.t for s in mine] == [BREAK_MS] * times
        assert (second.desk.teller.late > 0) is (times == 0)
        # killed before a snapshot was written, it may tell again: under the same name, while fresh
        await world.kill(second)
        third = world.service()
        await third.start()
        again = [s for s in world.told(topics.SIGNAL) if s.symbol == world.symbol]
        assert {s.signal_id for s in again} == {s.signal_id for s in mine}
        await world.kill(third)

    play(tmp_path, story)


def test_a_lost_update_a_crossed_book_and_a_cut_connection_make_quotes_stale_until_healed(
    tmp_path: Path,
) -> None:
    def agrees(world: World, service: MarketService) -> bool:
        quote = service.quote(world.symbol)
        assert quote is not None
        if quote.stale:
            return False
        bid, ask = world.venue.desk.view.best(world.symbol)
        return (quote.bid, quote.ask) == (float(bid[0]), float(ask[0]))

    async def story(world: World) -> None:
        await world.begin(BREAK_MS - 60_000)
        service = world.service()
        await service.start()
        service.hold("user:1", [world.symbol])
        await world.clock.sleep(3.5)
        assert agrees(world, service)
        topic = f"orderbook.50.{world.symbol}"
        seen = service.desk.quotes.counters.merges
        for kind, merge in (("skip_u", "gap"), ("cross_book", "crossed")):
            world.venue.plan.add([Fault(kind, topic=topic)])
            stale = []
            for _ in range(20):
                await world.clock.sleep(0.5)
                quote = service.quote(world.symbol)
                assert quote is not None
                stale.append(quote.stale)
            assert world.venue.plan.fired[kind] == 1
            assert seen[merge] == 1
            assert not stale[-1]
            assert agrees(world, service)
        for kind in ("resnapshot", "repeat_snapshot"):
            world.venue.plan.add([Fault(kind, topic=topic)])
            await world.clock.sleep(4.0)
            assert agrees(world, service)
        assert service.desk.quotes.counters.renewed == 2
        world.venue.plan.add([Fault("stream_abort", stream="public", topic=topic)])
        await world.clock.sleep(10.0)
        assert agrees(world, service)
        assert any("connection of tickers" in note for note in service.health().notes)
        await service.stop()

    play(tmp_path, story)


def test_a_silent_ticker_is_stale_after_five_seconds_and_alone(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.begin(BREAK_MS - 60_000)
        service = world.service()
        await service.start()
        other = next(s for s in world.venue.desk.view.listings if s != world.symbol)
        await world.clock.sleep(3.5)
        topic = f"tickers.{world.symbol}"
        world.venue.plan.add([Fault("ticker_stall", topic=topic, ms=12_000)])
        stale = []
        for _ in range(20):
            await world.clock.sleep(1.0)
            mine, theirs = service.quote(world.symbol), service.quote(other)
            assert mine is not None
            assert theirs is not None
            assert not theirs.stale
            stale.append(mine.stale)
        first = stale.index(True)
        assert 4 <= first <= 7
        assert stale[-1] is False
        await service.stop()

    play(tmp_path, story)


def test_topics_follow_what_is_held_whoever_holds_it(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.begin(BREAK_MS - 60_000)
        service = world.service()
        await service.start()
        await world.clock.sleep(2.0)
        floor = world.venue.floor
        coins = list(world.venue.desk.view.listings)
        opened = floor.opened

        def books() -> set[str]:
            topics_now = {t for c in floor.listeners.values() for t in c.topics}
            return {t.rpartition(".")[2] for t in topics_now if t.startswith("orderbook.")}

        armed = set(service.armed())
        for n in range(1000):
            service.hold(f"user:{n}", coins[:2])
        await world.clock.sleep(2.0)
        assert books() == armed | set(coins[:2])
        subscriptions = floor.listening
        for n in range(999):
            service.release(f"user:{n}")
        await world.clock.sleep(2.0)
        assert floor.listening == subscriptions
        service.release("user:999")
        service.hold("user:1", [coins[-1]])
        await world.clock.sleep(2.0)
        assert books() == armed | {coins[-1]}
        assert floor.opened == opened, "no reconnect"
        await service.stop()

    play(tmp_path, story)


def test_changed_rules_are_told(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.begin(BREAK_MS - 60_000)
        service = world.service()
        await service.start()
        service.hold("user:1", [world.symbol])
        await world.clock.sleep(3.0)
        listing = world.venue.desk.view.listings[world.symbol]
        finer = replace(listing.instrument, tick_size=listing.instrument.tick_size / 2)
        object.__setattr__(listing, "instrument", finer)
        gone = next(s for s in world.venue.desk.view.listings if s != world.symbol)
        closing = world.venue.desk.view.listings[gone]
        closed = replace(closing.instrument, status=InstrumentStatus.DELIVERING)
        object.__setattr__(closing, "instrument", closed)
        world.heard["contract"].clear()
        await service.desk.reread(world.symbol)
        await world.clock.sleep(0.1)
        news = {c.contract.symbol: c.contract for c in world.told(topics.CONTRACT)}
        assert news[world.symbol].tick_size == finer.tick_size
        assert news[world.symbol].tiers, "the tiers stay known"
        assert news[gone].status is InstrumentStatus.CLOSED
        assert service.contract(world.symbol) == news[world.symbol]
        await service.stop()

    play(tmp_path, story)
