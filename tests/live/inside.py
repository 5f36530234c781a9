"""The whole market layer inside the process, on virtual time: no socket, no thread."""

import asyncio
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from app.proofs import simloop
from app.proofs.simwire import DoorConnect, DoorTransport
from data.profiles import load_profile
from engine.bars import Bars
from engine.messages import EventKind
from engine.pipeline.market import market_history
from engine.pipeline.phase import new_contexts
from engine.pipeline.scan import scan_history
from engine.venue.replay import Replay
from live.bus import LocalBus, Overflow
from live.market import topics
from live.market.keeper import Contexts, inline
from live.service import MarketService
from live.settings import load_settings
from live.venues.bybit.faults import Fault
from live.venues.bybit.market_stream import BybitMarketStream
from live.venues.bybit.public_stream import BybitPublicStream
from live.venues.bybit.public_transport import TransportPublicRest
from live.venues.bybit.simvenue import SimVenue
from tests.live.helpers import STEP, synthetic

PROFILE = load_profile("default", "15m")
GRID_MS = simloop.START_MS // STEP * STEP
BREAK_MS = GRID_MS + STEP  # the close at which the planted breakout is decided


def moved(bars: Bars, by_ms: int, keep: slice) -> Bars:
    """The same bars at another time."""
    columns = (bars.open, bars.high, bars.low, bars.close, bars.volume, bars.turnover)
    return Bars.from_arrays((bars.ts + by_ms)[keep], *(c[keep] for c in columns))


@cache
def planted() -> tuple[dict[str, Bars], str]:
    """A market with a breakout at `BREAK_MS`, and whose it is."""
    bars = synthetic(5, 1500)
    series = market_history(bars, PROFILE.market, STEP)
    for symbol in sorted(bars):
        events = scan_history(
            new_contexts(1),
            PROFILE.params,
            bars[symbol],
            symbol_id=0,
            interval_ms=STEP,
            market=series,
        )
        found = events["t"][events["kind"] == int(EventKind.BREAKOUT)]
        if len(found):
            by_ms = BREAK_MS - int(found[-1])
            return {s: moved(b, by_ms, slice(None)) for s, b in bars.items()}, symbol
    raise AssertionError("the synthetic market has no breakout")


class World:
    """A simulated venue that plays, and market services on it."""

    def __init__(self, clock: simloop.SimClock, home: Path, faults: list[Fault]) -> None:
        bars, self.symbol = planted()
        self.clock = clock
        self.home = home
        self.venue = SimVenue(Replay(STEP, bars), "15m", start_ms=clock.now_ms(), faults=faults)
        self.heard: dict[str, list[Any]] = {}
        self._tasks: list[asyncio.Task[Any]] = []

    async def begin(self, at_ms: int) -> None:
        """Let time pass to a moment, and the market play from there on."""
        await self.until(at_ms)
        self.venue.play(at_ms)
        self._tasks.append(asyncio.create_task(self._play()))

    async def _play(self) -> None:
        while True:
            await self.clock.sleep(1.0)
            self.venue.play(self.clock.now_ms())

    async def until(self, at_ms: int) -> None:
        """Let time pass up to a moment."""
        await self.clock.sleep((at_ms - self.clock.now_ms()) / 1000.0)

    def service(self, store: Contexts | None = None, home: Path | None = None) -> MarketService:
        """Build one; everything it tells users lands in `heard`."""
        clock, rng = self.clock, np.random.default_rng(3)
        settings = load_settings(
            {},
            file=self.home / "none.toml",
            home=home or self.home,
            turnover_min_usdt=0.0,
            listed_min_days=0.0,
            settle_s=2.0,
        ).settings
        connect = DoorConnect(self.venue, clock)
        bus = LocalBus()
        for topic in (topics.SIGNAL, topics.SIGNAL_END, topics.QUOTE, topics.REGIME, "contract"):
            self._tasks.append(asyncio.create_task(self._keep(bus, topic)))
        return MarketService(
            settings,
            PROFILE,
            clock=clock,
            rest=TransportPublicRest(DoorTransport(self.venue, clock, rng), clock),
            stream=BybitPublicStream("ws://sim", "15m", clock, rng, connect=connect),
            market=BybitMarketStream("ws://sim", clock, rng, connect=connect),
            bus=bus,
            offload=inline,
            store=store,
        )

    async def _keep(self, bus: LocalBus, topic: str) -> None:
        heard = self.heard.setdefault(topic, [])
        async with bus.subscribe(topic, overflow=Overflow.WAIT, size=10_000) as news:
            async for value in news:
                heard.append((self.clock.now_ms(), value))

    def told(self, topic: str) -> list[Any]:
        """What was told on a topic, by every service."""
        return [value for _, value in self.heard.get(topic, [])]

    async def kill(self, service: MarketService) -> None:
        """End a service as a dying process would: nothing is saved."""
        for task in service._tasks:
            task.cancel()
        await asyncio.gather(*service._tasks, return_exceptions=True)
        service._tasks.clear()
        await service._stream.close()
        await service.desk.close()

    def end(self) -> None:
        """Let the market stand still."""
        for task in self._tasks:
            task.cancel()
