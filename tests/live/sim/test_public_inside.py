"""The public stream and the public lists inside the process, on virtual time: the real clients."""

import asyncio
from typing import Any

import numpy as np
import pytest

from app.proofs import simloop
from app.proofs.simwire import DoorConnect, DoorTransport
from engine.venue.replay import Replay
from live.venues.bybit.faults import Fault
from live.venues.bybit.public_stream import BybitPublicStream
from live.venues.bybit.public_transport import TransportPublicRest
from live.venues.bybit.simvenue import SimVenue
from live.venues.port import ClosedBar, Joined, Lost, Ok, TopicOutcome, TopicState
from tests.live.helpers import STEP, T0, walk

BARS = 12
NAMES = ("S000USDT", "S001USDT")


def world(seed: int, faults: list[Fault]) -> list[Any]:
    """Run the stream over the whole market; returns what it said."""

    async def main(clock: simloop.SimClock) -> list[Any]:
        replay = Replay(
            STEP,
            {s: walk(BARS, i, simloop.START_MS // STEP * STEP) for i, s in enumerate(NAMES)},
        )
        venue = SimVenue(replay, "15m", seed=seed, start_ms=clock.now_ms(), faults=faults)
        venue.floor.add_faults(faults)
        stream = BybitPublicStream(
            "ws://sim", "15m", clock, np.random.default_rng(seed), connect=DoorConnect(venue, clock)
        )
        stream.watch(NAMES)
        await stream.start()
        said: list[Any] = []

        async def collect() -> None:
            while True:
                said.extend(await stream.batch())

        reader = asyncio.create_task(collect())
        while clock.now_ms() < replay.last + STEP:
            await clock.sleep(30.0)
            venue.play(clock.now_ms())
        await clock.sleep(5.0)
        reader.cancel()
        await stream.close()
        assert venue.desk.crashes == []
        return said

    return simloop.run(main, seed)


def bars(said: list[Any], symbol: str) -> list[int]:
    return [i.bar.start for i in said if isinstance(i, ClosedBar) and i.symbol == symbol]


def test_every_closed_candle_comes_once_in_order_and_the_same_again() -> None:
    said = world(1, [])
    first = simloop.START_MS // STEP * STEP
    for symbol in NAMES:
        assert bars(said, symbol) == [first + i * STEP for i in range(BARS)]
    assert said == world(1, [])


@pytest.mark.parametrize("kind", ["close", "abort", "stall", "mute", "stream_close", "stream_mute"])
def test_a_hurt_connection_comes_back(kind) -> None:
    by_push = kind.startswith("stream_")
    fault = Fault(kind, nth=40, stream="public") if by_push else Fault(kind, bars=1)
    said = world(2, [fault])
    lost = [i for i in said if isinstance(i, Lost)]
    assert len(lost) == 1
    assert set(lost[0].symbols) == set(NAMES)
    assert sum(isinstance(i, Joined) for i in said) == 2
    found = bars(said, NAMES[0])
    assert BARS - 2 <= len(found) <= (BARS if by_push else BARS - 1)
    assert found == sorted(set(found))


def test_a_refused_topic_costs_itself_only() -> None:
    said = world(3, [Fault("refuse", symbol=NAMES[0], count=2)])
    refused = [i for i in said if isinstance(i, TopicOutcome) and i.state is TopicState.REFUSED]
    assert [i.symbol for i in refused] == [NAMES[0]]
    assert len(bars(said, NAMES[1])) == BARS
    assert bars(said, NAMES[0]) == []


def test_the_public_lists_by_transport() -> None:
    replay = Replay(STEP, {s: walk(BARS, i) for i, s in enumerate(NAMES)})

    async def main(clock: simloop.SimClock) -> None:
        venue = SimVenue(replay, "15m", start_ms=T0 + 5 * STEP, faults=[Fault("html", nth=6)])
        rest = TransportPublicRest(DoorTransport(venue, clock, np.random.default_rng(0)), clock)
        candles = await rest.klines(NAMES[0], "15m")
        assert isinstance(candles, Ok)
        assert [b.start for b in candles.value] == [T0 + i * STEP for i in range(5)]
        contracts = await rest.contracts()
        assert isinstance(contracts, Ok)
        assert {c.symbol for c in contracts.value} == set(NAMES)
        tiers = await rest.tiers(NAMES[0])
        assert isinstance(tiers, Ok)
        assert tiers.value == venue.desk.view.instrument(NAMES[0]).tiers
        tickers, instruments = await rest.tickers(), await rest.instruments()
        assert isinstance(tickers, Ok)
        assert isinstance(instruments, Ok)
        assert len(tickers.value) == len(instruments.value) == len(NAMES)
        assert not isinstance(await rest.server_time(), Ok)  # a page instead of an answer
        assert await rest.server_time() == Ok(venue.desk.now_ms, venue.desk.now_ms)
        await rest.close()

    simloop.run(main, 0)
