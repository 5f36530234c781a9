"""Bybit's public candle stream: several connections that heal themselves, seen as one.

A refused topic costs itself only; a connection that closes, stalls or stops answering is opened
again with a growing, jittered delay inside the venue's budget of connections. Closed candles wait
for their reader (nothing is lost while connected); open candles are conflated.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from typing import Any

import numpy as np

from engine.venue import wire
from engine.venue.wire import Kline, KlinePush
from live.clock import Clock
from live.venues.bybit.budget import WindowBudget
from live.venues.bybit.frames import Connect
from live.venues.bybit.shard import ShardOptions
from live.venues.bybit.shards import CONNECTIONS_PER_5_MIN, ShardSet, StreamOptions
from live.venues.port import (
    ClosedBar,
    Joined,
    Lost,
    Quiet,
    StreamFigures,
    StreamItem,
    TopicOutcome,
    TopicState,
)

__all__ = ["CONNECTIONS_PER_5_MIN", "BybitPublicStream", "ShardOptions", "StreamOptions"]


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
        connect: Connect | None = None,
    ) -> None:
        self.interval = interval
        self._options = options or StreamOptions()
        self._set = ShardSet(
            base_url,
            self,
            clock,
            rng,
            options=self._options,
            budget=budget,
            connect=connect,
        )
        self._prefix = len(wire.kline_topic(interval, ""))
        self._items: deque[StreamItem] = deque()
        self._readable = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._ticks: dict[str, Kline] = {}
        self._ticked = asyncio.Event()
        self._confirmed: dict[str, int] = {}
        self._repeated = 0

    # ------------------------------------------------------------------ the port

    async def start(self) -> None:
        """Begin to connect; returns at once."""
        await self._set.start()

    def watch(self, symbols: Iterable[str]) -> None:
        """Say which symbols are wanted from now on; only what changed is touched."""
        for topic in self._set.watch(wire.kline_topic(self.interval, s) for s in set(symbols)):
            self._ticks.pop(topic[self._prefix :], None)
            self._confirmed.pop(topic[self._prefix :], None)

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
        await self._set.close()

    def figures(self) -> StreamFigures:
        """Return how the stream is doing."""
        return self._set.figures(self._repeated)

    def counters(self) -> dict[str, int]:
        """Sum the counters of all connections."""
        return self._set.counters()

    # ------------------------------------------------------------------ what the shards call

    def decode(self, raw: bytes) -> Any:
        """Read a frame."""
        return wire.decode_stream(raw)

    async def push(self, shard: int, message: KlinePush) -> None:
        """Queue closed candles, replace the open one."""
        symbol = message.topic[self._prefix :]
        for bar in message.data:
            if not bar.confirm:
                self._ticks[symbol] = bar
                self._ticked.set()
            elif self._confirmed.get(symbol) == bar.start:
                self._repeated += 1
            else:
                self._confirmed[symbol] = bar.start
                await self._put(ClosedBar(symbol, shard, bar))

    async def joined(self, shard: int, topics: tuple[str, ...]) -> None:
        """Pass it on."""
        await self._put(Joined(shard, self._symbols(topics)))

    async def lost(self, shard: int, topics: tuple[str, ...], reason: str) -> None:
        """Pass it on."""
        await self._put(Lost(shard, self._symbols(topics), reason))

    async def quiet(self, shard: int, topic: str) -> None:
        """Pass it on."""
        await self._put(Quiet(topic[self._prefix :], shard))

    async def outcome(self, topic: str, state: TopicState, reason: str = "") -> None:
        """Pass it on."""
        await self._put(TopicOutcome(topic[self._prefix :], state, reason))

    def _symbols(self, topics: Iterable[str]) -> tuple[str, ...]:
        return tuple(t[self._prefix :] for t in topics)

    async def _put(self, item: StreamItem) -> None:
        """Queue an item for the reader, waiting while the queue is full."""
        while len(self._items) >= self._options.items_waiting_max:
            self._writable.clear()
            await self._writable.wait()
        self._items.append(item)
        self._readable.set()
