"""Every topic of the public linear stream read as a value, and which topics there are."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from engine.venue.wire.books import Book, PublicTrade, read_book_push, read_trade
from engine.venue.wire.fields import (
    WireError,
    as_row,
    encode_json,
    integer,
    name,
    plain,
    read_json,
    read_rows,
    required,
    text,
)
from engine.venue.wire.public import (
    INTERVAL_CODES,
    KlinePush,
    OtherPush,
    Reply,
    decode_stream,
)
from engine.venue.wire.streams import read_stream_reply
from engine.venue.wire.tickers import (
    Liquidation,
    PriceLimit,
    TickerPush,
    read_liquidation,
    read_price_limit,
    read_ticker_push,
)

BOOK_DEPTHS = (1, 50, 200, 1000)
TRADES_MAX = 1024  # of one message
STREAM_INTERVALS = frozenset(INTERVAL_CODES.values()) | {"W", "M"}
_BY_SYMBOL = frozenset({"tickers", "publicTrade", "allLiquidation", "priceLimit"})
_BY_COIN = frozenset({"adlAlert", "insurance"})
_COINS = frozenset({"USDT", "USDC", "inverse"})

# ---------------------------------------------------------------------------- messages


@dataclass(frozen=True, slots=True)
class TradesPush:
    """A message of ``publicTrade.*``: a batch, ascending."""

    symbol: str
    trades: tuple[PublicTrade, ...]
    bad: int = 0
    ts: int = 0


@dataclass(frozen=True, slots=True)
class LiquidationsPush:
    """A message of ``allLiquidation.*``."""

    symbol: str
    liquidations: tuple[Liquidation, ...]
    bad: int = 0
    ts: int = 0


@dataclass(frozen=True, slots=True)
class Insurance:
    """The insurance pool of one or several symbols."""

    coin: str
    symbols: str  # comma-separated
    balance: Decimal
    time: int = 0


@dataclass(frozen=True, slots=True)
class AdlAlert:
    """How near a pool is to auto-deleveraging."""

    coin: str
    symbol: str
    balance: Decimal
    balance_max: Decimal
    insurance_pnl_ratio: Decimal
    pnl_ratio: Decimal
    trigger_threshold: Decimal
    stop_ratio: Decimal


@dataclass(frozen=True, slots=True)
class RowsPush:
    """A message of ``insurance.*`` or ``adlAlert.*``."""

    topic: str
    rows: tuple[Insurance | AdlAlert, ...]
    bad: int = 0
    ts: int = 0


PublicMessage = (
    KlinePush
    | TickerPush
    | Book
    | TradesPush
    | LiquidationsPush
    | PriceLimit
    | RowsPush
    | Reply
    | OtherPush
)


def decode_public(raw: bytes | str) -> PublicMessage:
    """Read one message of the public linear stream, of any topic.

    The candles' hot path is `decode_stream`; this one reads everything.

    Raises
    ------
    WireError
        Not JSON, neither a push nor a reply, or a push that lacks what it is about.
    """
    body = as_row(read_json(raw))
    topic = text(body, "topic")
    if not topic:
        return read_stream_reply(body)
    head, _, rest = topic.partition(".")
    if head == "kline":
        return decode_stream(raw)
    reader = _READERS.get(head)
    if reader is None or (head == "orderbook" and not rest.split(".")[0].isdecimal()):
        return OtherPush(topic)
    return reader(body)


def _trades(body: Mapping[str, Any]) -> TradesPush:
    page = read_rows(body.get("data"), read_trade)
    return TradesPush(_about(body), tuple(page.items), page.bad, integer(body, "ts"))


def _liquidations(body: Mapping[str, Any]) -> LiquidationsPush:
    page = read_rows(body.get("data"), read_liquidation)
    return LiquidationsPush(_about(body), tuple(page.items), page.bad, integer(body, "ts"))


def _price_limit(body: Mapping[str, Any]) -> PriceLimit:
    return read_price_limit(body.get("data"), integer(body, "ts"))


def _rows(body: Mapping[str, Any]) -> RowsPush:
    topic = text(body, "topic")
    reader = read_insurance if topic.startswith("insurance") else read_adl_alert
    page = read_rows(body.get("data"), reader)
    return RowsPush(topic, tuple(page.items), page.bad, integer(body, "ts"))


def _about(body: Mapping[str, Any]) -> str:
    symbol = text(body, "topic").rpartition(".")[2]
    if not symbol:
        raise WireError("a topic names no symbol")
    return symbol


_READERS: dict[str, Callable[[Mapping[str, Any]], PublicMessage]] = {
    "tickers": read_ticker_push,
    "orderbook": read_book_push,
    "publicTrade": _trades,
    "allLiquidation": _liquidations,
    "priceLimit": _price_limit,
    "insurance": _rows,
    "adlAlert": _rows,
}


# ---------------------------------------------------------------------------- pools


def read_insurance(row: Any) -> Insurance:
    """Read a row of ``insurance.*`` or of ``market/insurance``."""
    row = as_row(row)
    return Insurance(
        name(row, "coin"),
        text(row, "symbols"),
        required(row, "balance"),
        integer(row, "updateTime"),
    )


def encode_insurance_row(pool: Insurance, *, stream: bool = False) -> dict[str, Any]:
    """Write a pool for the topic, or for ``market/insurance`` (which adds its USD value)."""
    balance = plain(pool.balance)
    row = {"coin": pool.coin, "symbols": pool.symbols, "balance": balance}
    return row | ({"updateTime": str(pool.time)} if stream else {"value": balance})


_ALERT_KEYS = {
    "coin": "c",
    "symbol": "s",
    "balance": "b",
    "maxBalance": "mb",
    "insurancePnlRatio": "i_pr",
    "pnlRatio": "pr",
    "adlTriggerThreshold": "adl_tt",
    "adlStopRatio": "adl_sr",
}


def read_adl_alert(row: Any) -> AdlAlert:
    """Read a row of ``adlAlert.*`` or of ``market/adlAlert``."""
    row = as_row(row)
    keys = list(_ALERT_KEYS.values() if "c" in row else _ALERT_KEYS)
    return AdlAlert(name(row, keys[0]), name(row, keys[1]), *(required(row, k) for k in keys[2:]))


def encode_adl_alert_row(alert: AdlAlert, *, stream: bool = False) -> dict[str, Any]:
    """Write an alert: numbers on the stream, texts by REST."""
    values = (
        alert.balance,
        alert.balance_max,
        alert.insurance_pnl_ratio,
        alert.pnl_ratio,
        alert.trigger_threshold,
        alert.stop_ratio,
    )
    keys = list(_ALERT_KEYS.values() if stream else _ALERT_KEYS)
    row: dict[str, Any] = {keys[0]: alert.coin, keys[1]: alert.symbol}
    for key, value in zip(keys[2:], values, strict=True):
        row[key] = float(value) if stream else plain(value)
    return row


def encode_rows_push(
    topic: str, rows: Iterable[Mapping[str, Any]], *, ts: int, delta: bool = False
) -> bytes:
    """Write a message of ``insurance.*`` (deltas) or ``adlAlert.*`` (snapshots)."""
    kind = "delta" if delta else "snapshot"
    return encode_json({"topic": topic, "type": kind, "ts": ts, "data": list(rows)})


# ---------------------------------------------------------------------------- what there is


@dataclass(frozen=True, slots=True)
class PublicTopic:
    """A topic taken apart."""

    kind: str  # kline, tickers, publicTrade, orderbook, orderbook.rpi, ...
    symbol: str  # or the coin of a pool
    interval: str = ""  # the venue's spelling
    depth: int = 0


def read_public_topic(topic: str) -> PublicTopic | None:
    """Take a topic of the public linear stream apart; None = there is no such topic."""
    parts = topic.split(".")
    match parts:
        case ["kline", interval, symbol] if interval in STREAM_INTERVALS and symbol:
            return PublicTopic("kline", symbol, interval=interval)
        case ["orderbook", depth, symbol] if depth in map(str, BOOK_DEPTHS) and symbol:
            return PublicTopic("orderbook", symbol, depth=int(depth))
        case ["orderbook", ("rpi" | "full") as book, symbol] if symbol:
            return PublicTopic(f"orderbook.{book}", symbol)
        case [kind, symbol] if kind in _BY_SYMBOL and symbol:
            return PublicTopic(kind, symbol)
        case [kind, coin] if kind in _BY_COIN and coin in _COINS:
            return PublicTopic(kind, coin)
        case _:
            return None


def invalid_topic(topic: str) -> str:
    """Return the venue's words for a topic it does not know."""
    return f"Invalid topic: {topic:.200}"
