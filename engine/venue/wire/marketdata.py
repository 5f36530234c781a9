"""The hot path of tickers and order books: typed, decoded once, floats.

`topics.decode_public` reads every topic exactly; this reads the two that come by the thousand for
estimates that are floats anyway. Tolerant where the venue drifts, `WireError` where not.
"""

from typing import Any

import msgspec

from engine.venue.wire.fields import WireError
from engine.venue.wire.public import OtherPush, Reply, decode_stream

Loose = str | float | None | msgspec.UnsetType


class TickerFields(msgspec.Struct, gc=False, frozen=True, rename="camel"):
    """What a ticker message says; UNSET = says nothing about it, "" = there is no value."""

    symbol: str
    last_price: Loose = msgspec.UNSET
    mark_price: Loose = msgspec.UNSET
    index_price: Loose = msgspec.UNSET
    bid1_price: Loose = msgspec.field(default=msgspec.UNSET, name="bid1Price")
    ask1_price: Loose = msgspec.field(default=msgspec.UNSET, name="ask1Price")
    high_price24h: Loose = msgspec.field(default=msgspec.UNSET, name="highPrice24h")
    price24h_pcnt: Loose = msgspec.field(default=msgspec.UNSET, name="price24hPcnt")
    turnover24h: Loose = msgspec.field(default=msgspec.UNSET, name="turnover24h")
    funding_rate: Loose = msgspec.UNSET
    next_funding_time: Loose = msgspec.UNSET
    funding_interval_hour: Loose = msgspec.UNSET


class TickerMessage(msgspec.Struct, gc=False, frozen=True):
    """A message of ``tickers.*``."""

    topic: str
    data: TickerFields
    type: str = "snapshot"
    cs: int = 0
    ts: int = 0


class BookLevels(msgspec.Struct, gc=False, frozen=True):
    """Levels as (price, size); size 0 deletes."""

    s: str
    u: int
    b: tuple[tuple[float, float], ...] = ()
    a: tuple[tuple[float, float], ...] = ()
    seq: int = 0


class BookMessage(msgspec.Struct, gc=False, frozen=True):
    """A message of ``orderbook.*``."""

    topic: str
    data: BookLevels
    type: str = "snapshot"
    ts: int = 0
    cts: int = 0

    @property
    def resets(self) -> bool:
        """Tell whether it replaces what was known (a snapshot; u = 1 is a restart's)."""
        return self.type != "delta" or self.data.u == 1


_ticker = msgspec.json.Decoder(TickerMessage, strict=False)
_book = msgspec.json.Decoder(BookMessage, strict=False)
_UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)
_HEADS: tuple[tuple[bytes, msgspec.json.Decoder[Any]], ...] = (
    (b'{"topic":"tickers.', _ticker),
    (b'{"topic":"orderbook.', _book),
)


def decode_market(raw: bytes) -> TickerMessage | BookMessage | Reply | OtherPush:
    """Read one message of a connection that carries tickers and books.

    Raises
    ------
    WireError
        Not JSON, or a push that lacks what it is about.
    """
    try:
        for head, decoder in _HEADS:
            if raw.startswith(head):
                return decoder.decode(raw)
        message = decode_stream(raw)
        if isinstance(message, OtherPush):
            if message.topic.startswith("tickers."):
                return _ticker.decode(raw)
            if message.topic.startswith("orderbook."):
                return _book.decode(raw)
        return OtherPush(message.topic) if not isinstance(message, Reply) else message
    except _UNREADABLE as error:
        raise WireError("a message of the market cannot be read", why=str(error)) from error


def ticker_topic(symbol: str) -> str:
    """Return the topic of a symbol's ticker."""
    return f"tickers.{symbol}"


def book_topic(depth: int, symbol: str) -> str:
    """Return the topic of a symbol's order book."""
    return f"orderbook.{depth}.{symbol}"
