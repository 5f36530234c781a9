"""What users hear of the market: the real service and clients, on virtual time, with faults."""

import itertools
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from app.proofs import simloop
from live.market import topics
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
