"""The public stream: candles (the hot path), acknowledgements, pongs, subscriptions.

Pure functions. Decoding is tolerant where the venue drifts (unknown fields are ignored, numbers may
be strings or numbers, "" is "no value") and strict where a decision hangs on a value.
Prices travel as the shortest text that reads back as the same float, so a bar survives the wire
bit for bit.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from engine.errors import DataError
from engine.venue.wire.fields import REQUEST_BYTES_MAX, WireError, encode_json

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
SUBSCRIBE_CHARS_MAX = 21_000  # the venue's budget for the args of one connection


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
_UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)
_KLINE_HEAD = b'{"topic":"kline.'

StreamMessage = KlinePush | Reply | OtherPush


def decode_stream(raw: bytes | str) -> StreamMessage:
    """Read one message of the public stream.

    Raises
    ------
    WireError
        The message is not JSON, or a candle lacks a value or holds one that is not a number.
    """
    try:
        data = raw.encode() if isinstance(raw, str) else raw
        if data.startswith(_KLINE_HEAD):  # nearly every message: decoded once, typed
            return _kline.decode(data)
        topic = _probe.decode(data).topic
        if not topic:
            return _reply.decode(data)
        return _kline.decode(data) if topic.startswith("kline.") else OtherPush(topic)
    except _UNREADABLE as error:
        raise WireError("a stream message cannot be read", why=str(error)) from error


def decode_request(raw: bytes | str) -> Request:
    """Read what a client sent (server side)."""
    if len(raw) > REQUEST_BYTES_MAX:
        raise WireError("a request is too long", why=f"{len(raw)} > {REQUEST_BYTES_MAX}")
    try:
        return _request.decode(raw)
    except _UNREADABLE as error:
        raise WireError("a request cannot be read", why=str(error)) from error


def encode_subscribe(op: str, topics: Sequence[str], req_id: str) -> bytes:
    """Write a ``subscribe`` or ``unsubscribe`` request."""
    return encode_json({"req_id": req_id, "op": op, "args": list(topics)})


def encode_ping(req_id: str) -> bytes:
    """Write the application-level ping."""
    return encode_json({"req_id": req_id, "op": "ping"})


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
    return encode_json(body)


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
