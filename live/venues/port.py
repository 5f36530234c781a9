"""What the market layer needs of a venue, as protocols and values: it knows no exchange by name."""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, Protocol, TypeVar

from engine.venue.instrument import Instrument, RiskTier
from engine.venue.reports import UnreadRow
from engine.venue.wire import BookMessage, InstrumentInfo, Kline, TickerInfo, TickerMessage

T = TypeVar("T")

# ---------------------------------------------------------------------------- REST outcomes


@dataclass(frozen=True, slots=True)
class Ok(Generic[T]):
    """The venue answered; ``venue_ms`` is its clock at that moment."""

    value: T
    venue_ms: int


@dataclass(frozen=True, slots=True)
class Throttled:
    """Too fast: nothing was read, ask again after the wait."""

    retry_after_s: float


@dataclass(frozen=True, slots=True)
class Banned:
    """The address is locked out: nothing may be sent until the wait is over."""

    retry_after_s: float


@dataclass(frozen=True, slots=True)
class Partial(Generic[T]):
    """What could be read of a list with rows that could not; those are named."""

    value: T
    venue_ms: int
    unread: tuple[UnreadRow, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """No usable answer; ``retryable`` is False when asking again cannot help.

    A list with an unreadable row has failed: who takes it for whole would think an order ended or a
    position closed. Who can bear a hole that is named finds the rest in ``partial``.
    """

    reason: str
    retryable: bool = True
    partial: Partial[Any] | None = None


Outcome = Ok[T] | Throttled | Banned | Failed


class PublicRest(Protocol):
    """Public market data by request."""

    async def klines(
        self, symbol: str, interval: str, *, start_ms: int | None, end_ms: int | None, limit: int
    ) -> Outcome[list[Kline]]:
        """Return closed candles, oldest first, the newest `limit` of the range."""
        ...

    async def instruments(self) -> Outcome[list[InstrumentInfo]]:
        """Return every linear instrument, all pages."""
        ...

    async def tickers(self) -> Outcome[list[TickerInfo]]:
        """Return every linear ticker."""
        ...

    async def contracts(self) -> Outcome[list[Instrument]]:
        """Return the rules of every contract that trades, without risk tiers."""
        ...

    async def tiers(self, symbol: str) -> Outcome[tuple[RiskTier, ...]]:
        """Return a contract's risk tiers, the lowest first."""
        ...

    async def server_time(self) -> Outcome[int]:
        """Return the venue's clock, ms."""
        ...

    async def close(self) -> None:
        """Release threads and sockets."""
        ...


# ---------------------------------------------------------------------------- stream


@dataclass(frozen=True, slots=True)
class ClosedBar:
    """A candle the venue confirmed as closed. ``shard`` names the connection it came by."""

    symbol: str
    shard: int
    bar: Kline


@dataclass(frozen=True, slots=True)
class Joined:
    """These symbols receive data from now on; anything before may be missing."""

    shard: int
    symbols: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lost:
    """A connection ended; its symbols receive nothing until `Joined`."""

    shard: int
    symbols: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Quiet:
    """A topic said nothing for too long although its connection lives."""

    symbol: str
    shard: int


class TopicState(Enum):
    """What became of a subscription."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNANSWERED = "unanswered"


@dataclass(frozen=True, slots=True)
class TopicOutcome:
    """The venue's verdict on one topic; a refusal carries its words."""

    symbol: str
    state: TopicState
    reason: str = ""


StreamItem = ClosedBar | Joined | Lost | Quiet | TopicOutcome


@dataclass(frozen=True, slots=True)
class StreamFigures:
    """How a stream is doing."""

    connections: int = 0
    reconnects: int = 0
    repeated: int = 0  # confirmed candles that came twice
    malformed: int = 0
    last_message_s: float = 0.0  # on the clock's monotonic scale; 0 = nothing yet


class PublicStream(Protocol):
    """Closed candles, in order per connection, and the news of the connections themselves."""

    async def start(self) -> None:
        """Begin to connect; returns at once."""
        ...

    def watch(self, symbols: Iterable[str]) -> None:
        """Say which symbols are wanted from now on; connects and disconnects what changed."""
        ...

    async def batch(self) -> list[StreamItem]:
        """Return everything that has arrived, waiting for at least one item."""
        ...

    def ticks(self) -> AsyncIterator[dict[str, Kline]]:
        """Yield the newest open candles by symbol, conflated: a slow reader skips."""
        ...

    def figures(self) -> StreamFigures:
        """Return how the stream is doing."""
        ...

    async def close(self) -> None:
        """End every connection."""
        ...


# ---------------------------------------------------------------------------- tickers and books


class MarketListener(Protocol):
    """Hears tickers and books as they come, on the event loop, at once: it must be quick."""

    def ticker(self, message: TickerMessage) -> None:
        """Take a ticker's snapshot or change."""
        ...

    def book(self, message: BookMessage) -> None:
        """Take a book's snapshot or change."""
        ...

    def lost(self, tickers: Sequence[str], books: Sequence[str], reason: str) -> None:
        """Hear that these coins are blind until their next snapshot."""
        ...

    def refused(self, topic: str, reason: str) -> None:
        """Hear that the venue refuses a topic."""
        ...


class MarketStream(Protocol):
    """Tickers of many coins and books of some, by one set of connections."""

    async def start(self, listener: MarketListener) -> None:
        """Begin to connect; returns at once."""
        ...

    def watch(self, tickers: Iterable[str], books: Iterable[str]) -> None:
        """Say whose tickers and books are wanted from now on, without reconnecting."""
        ...

    def renew_ticker(self, symbol: str) -> None:
        """Ask for a ticker anew: it begins with a snapshot."""
        ...

    def renew_book(self, symbol: str) -> None:
        """Ask for a book anew: it begins with a snapshot."""
        ...

    def figures(self) -> StreamFigures:
        """Return how the stream is doing."""
        ...

    async def close(self) -> None:
        """End every connection."""
        ...
