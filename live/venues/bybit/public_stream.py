"""Bybit's public candle stream: several connections that heal themselves, seen as one.

A refused topic costs itself only; a connection that closes, stalls or stops answering is opened
again with a growing, jittered delay inside the venue's budget of connections. Closed candles wait
for their reader (nothing is lost while connected); open candles are conflated.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field

import numpy as np

from engine.venue import wire
from engine.venue.wire import Kline
from live.clock import Clock
from live.venues.bybit.budget import WindowBudget
from live.venues.bybit.shard import Shard, ShardOptions
from live.venues.port import StreamFigures, StreamItem

CONNECTIONS_PER_5_MIN = 400  # of the 500 the venue allows an address


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """How many topics share a connection, and how much may wait for the reader."""

    shard: ShardOptions = field(default_factory=ShardOptions)
    symbols_per_connection: int = 250
    chars_per_connection: int = wire.SUBSCRIBE_CHARS_MAX
    items_waiting_max: int = 20_000


class BybitPublicStream:
    """The `PublicStream` of Bybit.

    Parameters
    ----------
    base_url : str
        Scheme and host of the streams, no path.
    interval : str
        Which candles.
    clock : Clock
    rng : numpy.random.Generator
        Draws the jitter.
    """

    def __init__(
        self,
        base_url: str,
        interval: str,
        clock: Clock,
        rng: np.random.Generator,
        *,
        options: StreamOptions | None = None,
        budget: WindowBudget | None = None,
    ) -> None:
        self.interval = interval
        self._url = base_url.rstrip("/") + "/v5/public/linear"
        self._clock = clock
        self._rng = rng
        self._options = options or StreamOptions()
        self._budget = budget or WindowBudget(clock, CONNECTIONS_PER_5_MIN, 300.0)
        self._shards: dict[int, Shard] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._place: dict[str, int] = {}
        self._next_shard = 0
        self._items: deque[StreamItem] = deque()
        self._readable = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._ticks: dict[str, Kline] = {}
        self._ticked = asyncio.Event()
        self._started = False
        self._ended_reconnects = 0

    # ------------------------------------------------------------------ the port

    async def start(self) -> None:
        """Begin to connect; returns at once."""
        self._started = True
        for number, shard in self._shards.items():
            self._run(number, shard)

    def watch(self, symbols: Iterable[str]) -> None:
        """Say which symbols are wanted from now on; only what changed is touched."""
        wanted = set(symbols)
        for symbol in sorted(set(self._place) - wanted):
            number = self._place.pop(symbol)
            self._shards[number].remove(symbol)
            self._ticks.pop(symbol, None)
            if not self._shards[number].wanted:
                self._end(number)
        for symbol in sorted(wanted - set(self._place)):
            self._put(symbol)
        for shard in self._shards.values():
            shard.refresh()

    async def batch(self) -> list[StreamItem]:
        """Return everything that has arrived, waiting for at least one item."""
        while not self._items:
            self._readable.clear()
            await self._readable.wait()
        out = list(self._items)
        self._items.clear()
        self._writable.set()
        return out

    async def ticks(self) -> AsyncIterator[dict[str, Kline]]:
        """Yield the newest open candles by symbol, conflated: a slow reader skips."""
        while True:
            await self._ticked.wait()
            self._ticked.clear()
            ticks, self._ticks = self._ticks, {}
            if ticks:
                yield ticks

    async def close(self) -> None:
        """End every connection."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()
        self._shards.clear()
        self._place.clear()

    # ------------------------------------------------------------------ figures

    def figures(self) -> StreamFigures:
        """Return how the stream is doing."""
        shards = list(self._shards.values())
        return StreamFigures(
            connections=sum(s.connected for s in shards),
            reconnects=self._ended_reconnects + sum(s.counters.reconnects for s in shards),
            repeated=sum(s.counters.repeated for s in shards),
            malformed=sum(s.counters.malformed for s in shards),
            last_message_s=max((s.last_message_s for s in shards), default=0.0),
        )

    def counters(self) -> dict[str, int]:
        """Sum the counters of all connections."""
        total: dict[str, int] = {}
        for shard in self._shards.values():
            for name, value in shard.counters.as_dict().items():
                total[name] = total.get(name, 0) + value
        return total

    # ------------------------------------------------------------------ what the shards call

    async def put(self, item: StreamItem) -> None:
        """Queue an item for the reader, waiting while the queue is full."""
        while len(self._items) >= self._options.items_waiting_max:
            self._writable.clear()
            await self._writable.wait()
        self._items.append(item)
        self._readable.set()

    def tick(self, symbol: str, bar: Kline) -> None:
        """Replace a symbol's open candle."""
        self._ticks[symbol] = bar
        self._ticked.set()

    # ------------------------------------------------------------------ placing topics

    def _put(self, symbol: str) -> None:
        chars = len(wire.kline_topic(self.interval, symbol)) + 3
        for number, shard in self._shards.items():  # noqa: B007 - used after the loop
            fits = shard.chars + chars + 2 <= self._options.chars_per_connection
            if fits and len(shard.wanted) < self._options.symbols_per_connection:
                break
        else:
            number = self._next_shard
            self._next_shard += 1
            shard = Shard(
                number,
                url=self._url,
                interval=self.interval,
                sink=self,
                clock=self._clock,
                rng=self._rng,
                budget=self._budget,
                options=self._options.shard,
            )
            self._shards[number] = shard
            if self._started:
                self._run(number, shard)
        self._place[symbol] = number
        self._shards[number].add(symbol)

    def _run(self, number: int, shard: Shard) -> None:
        if number not in self._tasks:
            self._tasks[number] = asyncio.create_task(shard.run(), name=f"stream-{number}")

    def _end(self, number: int) -> None:
        shard = self._shards.pop(number)
        self._ended_reconnects += shard.counters.reconnects
        task = self._tasks.pop(number, None)
        if task is not None:
            task.cancel()
