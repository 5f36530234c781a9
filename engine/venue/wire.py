"""Bybit V5 as bytes: the one codec of public market data, for client, simulator and downloader.

Pure functions. Decoding is tolerant where the venue drifts (unknown fields are ignored, numbers may
be strings or numbers, "" is "no value") and strict where a decision hangs on a value.
Prices travel as the shortest text that reads back as the same float, so a bar survives the wire
bit for bit.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np

from engine.errors import DataError

# Our name of an interval <-> the venue's.
INTERVAL_CODES: Mapping[str, str] = {
    "1m": "1",
    "3m": "3",
    "5m": "5",
    "15m": "15",
    "30m": "30",
    "1h": "60",
    "2h": "120",
    "4h": "240",
    "6h": "360",
    "12h": "720",
    "1d": "D",
}
INTERVAL_NAMES: Mapping[str, str] = {code: name for name, code in INTERVAL_CODES.items()}
KLINE_LIMIT_MAX = 1000
INSTRUMENTS_LIMIT_MAX = 1000
SUBSCRIBE_CHARS_MAX = 21_000  # the venue's budget for the args of one connection


class WireError(DataError):
    """A message of the venue cannot be read."""


def interval_code(interval: str) -> str:
    """Return the venue's name of an interval; `DataError` names those it has."""
    try:
        return INTERVAL_CODES[interval]
    except KeyError:
        raise DataError(
            f"the venue has no interval {interval!r}", hint=f"one of {', '.join(INTERVAL_CODES)}"
        ) from None


def kline_topic(interval: str, symbol: str) -> str:
    """Return the topic of a symbol's candles, e.g. ``kline.15.BTCUSDT``."""
    return f"kline.{interval_code(interval)}.{symbol}"


def number(value: float) -> str:
    """Return the shortest plain decimal text that reads back as the same float.

    >>> number(1e-05), number(17071.0), number(0.1)
    ('0.00001', '17071', '0.1')
    """
    text = repr(value)
    if "e" in text:
        text = format(Decimal(text), "f")
    return text.removesuffix(".0")


# ---------------------------------------------------------------------------- stream


class Kline(msgspec.Struct, gc=False, frozen=True):
    """One candle as the stream pushes it; ``confirm`` = closed."""

    start: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    turnover: float
    confirm: bool
    end: int = 0
    interval: str = ""
    timestamp: int = 0


class KlinePush(msgspec.Struct, gc=False, frozen=True):
    """A message of a ``kline.*`` topic."""

    topic: str
    data: tuple[Kline, ...]
    ts: int = 0
    type: str = "snapshot"


class Reply(msgspec.Struct, gc=False, frozen=True):
    """An answer to an operation: the acknowledgement of a subscription, or a pong."""

    op: str = ""
    success: bool | None = None
    ret_msg: str = ""
    req_id: str | int | None = None
    conn_id: str = ""

    @property
    def is_pong(self) -> bool:
        """Tell whether this answers a ping (streams spell it in two ways)."""
        return self.op == "pong" or (self.op == "ping" and self.ret_msg == "pong")


class OtherPush(msgspec.Struct, gc=False, frozen=True):
    """A push of a topic that is not read here."""

    topic: str


class Request(msgspec.Struct, gc=False):
    """What a client sends on a stream; args may hold anything (real clients do)."""

    op: str = ""
    args: Any = None
    req_id: str | int | None = None


class _Probe(msgspec.Struct, gc=False):
    topic: str = ""


_kline = msgspec.json.Decoder(KlinePush, strict=False)
_reply = msgspec.json.Decoder(Reply, strict=False)
_probe = msgspec.json.Decoder(_Probe)
_request = msgspec.json.Decoder(Request, strict=False)
_encoder = msgspec.json.Encoder()
_KLINE_HEAD = b'{"topic":"kline.'

StreamMessage = KlinePush | Reply | OtherPush


def decode_stream(raw: bytes | str) -> StreamMessage:
    """Read one message of the public stream.

    Raises
    ------
    WireError
        The message is not JSON, or a candle lacks a value or holds one that is not a number.
    """
    data = raw.encode() if isinstance(raw, str) else raw
    try:
        if data.startswith(_KLINE_HEAD):  # nearly every message: decoded once, typed
            return _kline.decode(data)
        topic = _probe.decode(data).topic
        if not topic:
            return _reply.decode(data)
        return _kline.decode(data) if topic.startswith("kline.") else OtherPush(topic)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise WireError("a stream message cannot be read", why=str(error)) from error


def decode_request(raw: bytes | str) -> Request:
    """Read what a client sent (server side)."""
    try:
        return _request.decode(raw)
    except msgspec.DecodeError as error:
        raise WireError("a request cannot be read", why=str(error)) from error


def encode_subscribe(op: str, topics: Sequence[str], req_id: str) -> bytes:
    """Write a ``subscribe`` or ``unsubscribe`` request."""
    return _encoder.encode({"req_id": req_id, "op": op, "args": list(topics)})


def encode_ping(req_id: str) -> bytes:
    """Write the application-level ping."""
    return _encoder.encode({"req_id": req_id, "op": "ping"})


def encode_reply(
    op: str, *, success: bool, ret_msg: str, req_id: str | int | None, conn_id: str
) -> bytes:
    """Write an acknowledgement of the public linear stream (it always echoes a ``req_id``)."""
    body = {
        "success": success,
        "ret_msg": ret_msg,
        "conn_id": conn_id,
        "req_id": req_id or "",
        "op": op,
    }
    return _encoder.encode(body)


def encode_kline(
    topic: str,
    code: str,
    start: int,
    length_ms: int,
    values: Sequence[float],
    *,
    confirm: bool,
    ts: int,
) -> bytes:
    """Write one candle push; values are open, high, low, close, volume, turnover.

    A float NaN turnover is written as "0": the venue has no word for unknown.
    """
    o, h, lo, c, v, t = values
    turnover = "0" if t != t else number(t)  # noqa: PLR0124 - the NaN test that needs no import
    # Assembled by hand: the shape is fixed, and this is the simulator's hottest line.
    return (
        f'{{"topic":"{topic}","data":[{{"start":{start},"end":{start + length_ms - 1},'
        f'"interval":"{code}","open":"{number(o)}","close":"{number(c)}","high":"{number(h)}",'
        f'"low":"{number(lo)}","volume":"{number(v)}","turnover":"{turnover}",'
        f'"confirm":{"true" if confirm else "false"},"timestamp":{ts}}}],'
        f'"ts":{ts},"type":"snapshot"}}'
    ).encode()


# ---------------------------------------------------------------------------- REST


class LotSizeFilter(msgspec.Struct, frozen=True, rename="camel"):
    """Quantity limits, as text (Decimal at the venue's door)."""

    min_order_qty: str = ""
    max_order_qty: str = ""
    max_mkt_order_qty: str = ""
    qty_step: str = ""
    min_notional_value: str = ""
    post_only_max_order_qty: str = ""


class PriceFilter(msgspec.Struct, frozen=True, rename="camel"):
    """Price grid, as text."""

    min_price: str = ""
    max_price: str = ""
    tick_size: str = ""


class LeverageFilter(msgspec.Struct, frozen=True, rename="camel"):
    """Leverage limits, as text."""

    min_leverage: str = ""
    max_leverage: str = ""
    leverage_step: str = ""


class InstrumentInfo(msgspec.Struct, frozen=True, rename="camel"):
    """One row of instruments-info; what the venue leaves out has a harmless default."""

    symbol: str
    contract_type: str = ""
    status: str = ""
    base_coin: str = ""
    quote_coin: str = ""
    settle_coin: str = ""
    symbol_type: str = ""
    launch_time: str = "0"
    delivery_time: str = "0"
    price_scale: str = ""
    funding_interval: int = 0
    is_pre_listing: bool = False
    pre_listing_info: Any = None
    leverage_filter: LeverageFilter = LeverageFilter()
    price_filter: PriceFilter = PriceFilter()
    lot_size_filter: LotSizeFilter = LotSizeFilter()
    upper_funding_rate: str = ""
    lower_funding_rate: str = ""


class TickerInfo(msgspec.Struct, frozen=True):
    """One row of tickers; numbers stay text until asked for ("" = no value)."""

    symbol: str
    last_price: str = msgspec.field(default="", name="lastPrice")
    mark_price: str = msgspec.field(default="", name="markPrice")
    index_price: str = msgspec.field(default="", name="indexPrice")
    price_24h_pcnt: str = msgspec.field(default="", name="price24hPcnt")
    high_price_24h: str = msgspec.field(default="", name="highPrice24h")
    low_price_24h: str = msgspec.field(default="", name="lowPrice24h")
    turnover_24h: str = msgspec.field(default="", name="turnover24h")
    volume_24h: str = msgspec.field(default="", name="volume24h")
    funding_rate: str = msgspec.field(default="", name="fundingRate")
    next_funding_time: str = msgspec.field(default="", name="nextFundingTime")
    bid1_price: str = msgspec.field(default="", name="bid1Price")
    ask1_price: str = msgspec.field(default="", name="ask1Price")
    open_interest_value: str = msgspec.field(default="", name="openInterestValue")


def as_float(text: str) -> float:
    """Read a number of the venue; "" and anything unreadable is NaN."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


def as_int(text: str) -> int:
    """Read an integer of the venue; "" and anything unreadable is 0."""
    try:
        return int(text)
    except ValueError:
        return 0


def klines_from_rows(rows: Iterable[Sequence[Any]], ts: int, length_ms: int) -> list[Kline]:
    """Turn REST rows (newest first) into candles, oldest first; no open one.

    The reply has no flag for the open candle: what ends after the venue's own time is open.
    """
    out: list[Kline] = []
    for row in rows:
        try:
            start = int(row[0])
            o, h, lo, c, v = (float(x) for x in row[1:6])
            turnover = float(row[6]) if len(row) > 6 and row[6] != "" else float("nan")  # noqa: PLR2004
        except (ValueError, IndexError, TypeError) as error:
            raise WireError("a candle row cannot be read", why=f"{row!r}: {error}") from error
        if start + length_ms <= ts:
            out.append(Kline(start, o, h, lo, c, v, turnover, True))  # noqa: FBT003 - confirm
    out.reverse()
    if any(a.start >= b.start for a, b in pairwise(out)):
        out = [k for _, k in sorted({k.start: k for k in out}.items())]
    return out


def instruments_from_rows(rows: Iterable[Any]) -> tuple[list[InstrumentInfo], int]:
    """Read instruments one by one; returns them and how many rows were unreadable (quarantined)."""
    return _rows_as(rows, InstrumentInfo)


def tickers_from_rows(rows: Iterable[Any]) -> tuple[list[TickerInfo], int]:
    """Read tickers one by one; returns them and how many rows were unreadable (quarantined)."""
    return _rows_as(rows, TickerInfo)


def _rows_as(rows: Iterable[Any], kind: type[Any]) -> tuple[list[Any], int]:
    good: list[Any] = []
    bad = 0
    for row in rows:
        try:
            good.append(msgspec.convert(row, kind, strict=False))
        except msgspec.ValidationError:
            bad += 1
    return good, bad


def envelope(result: Any, ts: int, *, code: int = 0, message: str = "OK") -> bytes:
    """Write a REST reply."""
    body = {"retCode": code, "retMsg": message, "result": result, "retExtInfo": {}, "time": ts}
    return _encoder.encode(body)


def kline_rows(
    ts: np.ndarray, columns: Sequence[np.ndarray], start: int, stop: int
) -> list[list[str]]:
    """Write candles [start, stop) as REST rows, newest first; a NaN turnover is "0"."""
    rows = []
    for i in range(stop - 1, start - 1, -1):
        values = [float(column[i]) for column in columns]
        rows.append([str(int(ts[i])), *("0" if x != x else number(x) for x in values)])  # noqa: PLR0124
    return rows
