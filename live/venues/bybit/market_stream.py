"""Bybit's tickers and order books for the whole process: one set of connections for all users."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from engine.venue import wire
from engine.venue.wire import BookMessage, TickerMessage
from live.clock import Clock
from live.venues.bybit.budget import WindowBudget
from live.venues.bybit.frames import Connect
from live.venues.bybit.shard import ShardOptions
from live.venues.bybit.shards import ShardSet, StreamOptions
from live.venues.port import MarketListener, StreamFigures, TopicState

BOOK_DEPTH = 50
STALL_S = 5.0  # tickers of a whole market are never silent for so long
SILENCE_S = 60.0  # one ticker or book: it is asked for anew


class BybitMarketStream:
    """The `MarketStream` of Bybit.

    Parameters
    ----------
    base_url : str
        Scheme and host of the streams, no path.
    clock : Clock
    rng : numpy.random.Generator
        Draws the jitter.
    depth : int
        Of the books: 50 or 200 levels.
    """

    def __init__(
        self,
        base_url: str,
        clock: Clock,
        rng: np.random.Generator,
        *,
        depth: int = BOOK_DEPTH,
        options: StreamOptions | None = None,
        budget: WindowBudget | None = None,
        connect: Connect | None = None,
    ) -> None:
        shard = ShardOptions(silence_s=SILENCE_S, stall_s=STALL_S)
        self.depth = depth
        self._listener: MarketListener | None = None
        self._set = ShardSet(
            base_url,
            self,
            clock,
            rng,
            options=options or StreamOptions(shard=shard),
            budget=budget,
            connect=connect,
            name="market",
        )
        self._book = wire.book_topic(depth, "")
        self._ticker = wire.ticker_topic("")

    # ------------------------------------------------------------------ the port

    async def start(self, listener: MarketListener) -> None:
        """Begin to connect; returns at once."""
        self._listener = listener
        await self._set.start()

    def watch(self, tickers: Iterable[str], books: Iterable[str]) -> None:
        """Say whose tickers and books are wanted from now on; only what changed is touched."""
        topics = [self._ticker + s for s in set(tickers)] + [self._book + s for s in set(books)]
        self._set.watch(topics)

    def renew_ticker(self, symbol: str) -> None:
        """Ask for a ticker anew: it begins with a snapshot."""
        self._set.renew(self._ticker + symbol)

    def renew_book(self, symbol: str) -> None:
        """Ask for a book anew: it begins with a snapshot."""
        self._set.renew(self._book + symbol)

    def figures(self) -> StreamFigures:
        """Return how the stream is doing."""
        return self._set.figures()

    def counters(self) -> dict[str, int]:
        """Sum the counters of all connections."""
        return self._set.counters()

    async def close(self) -> None:
        """End every connection."""
        await self._set.close()

    # ------------------------------------------------------------------ what the shards call

    def decode(self, raw: bytes) -> Any:
        """Read a frame."""
        return wire.decode_market(raw)

    async def push(self, shard: int, message: Any) -> None:  # noqa: ARG002 - of the protocol
        """Hand it on at once: merging is cheaper than a queue."""
        if self._listener is None:
            return
        if isinstance(message, TickerMessage):
            self._listener.ticker(message)
        elif isinstance(message, BookMessage):
            self._listener.book(message)

    async def joined(self, shard: int, topics: tuple[str, ...]) -> None:
        """Nothing to do: each topic begins with a snapshot."""

    async def lost(self, shard: int, topics: tuple[str, ...], reason: str) -> None:  # noqa: ARG002
        """Say which coins are blind now."""
        self._tell_lost(topics, reason)

    async def quiet(self, shard: int, topic: str) -> None:  # noqa: ARG002
        """Say so; the topic is asked for anew already."""
        self._tell_lost((topic,), "")

    async def outcome(self, topic: str, state: TopicState, reason: str = "") -> None:
        """Say what was refused."""
        if state is TopicState.REFUSED and self._listener is not None:
            self._listener.refused(topic, reason)

    def _tell_lost(self, topics: Iterable[str], reason: str) -> None:
        if self._listener is None:
            return
        tickers, books = [], []
        for topic in topics:
            if topic.startswith(self._book):
                books.append(topic[len(self._book) :])
            else:
                tickers.append(topic[len(self._ticker) :])
        self._listener.lost(tickers, books, reason)
