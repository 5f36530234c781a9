"""Order entry over the stream (/v5/trade): requests, acknowledgements, its own auth and pong."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.venue.wire.fields import (
    REQUEST_BYTES_MAX,
    BadRequest,
    WireError,
    as_row,
    encode_json,
    integer,
    read_json,
    text,
)
from engine.venue.wire.params import PARAMETER_ERROR, door, invalid, read_text, read_whole, refuse
from engine.venue.wire.requests import (
    Reader,
    read_amend,
    read_cancel,
    read_create,
)
from engine.venue.wire.rest import NO_ACK, Ack, read_ack, read_batch_ack

RECV_WINDOW_MS = 5000
REQ_ID_MAX = 36

TRADE_READERS: dict[str, Reader] = {
    "order.create": read_create,
    "order.amend": read_amend,
    "order.cancel": read_cancel,
}
TRADE_BATCH_READERS: dict[str, Reader] = {
    "order.create-batch": read_create,
    "order.amend-batch": read_amend,
    "order.cancel-batch": read_cancel,
}
# op -> the endpoint whose limit and meaning it shares
TRADE_PATHS = {
    op: f"/v5/{op.replace('.', '/', 1)}" for op in [*TRADE_READERS, *TRADE_BATCH_READERS]
}

# ---------------------------------------------------------------------------- requests


@dataclass(frozen=True, slots=True)
class TradeRequest:
    """A frame of order entry: ``auth``, ``ping`` or an order operation."""

    op: str
    body: Any = None  # args[0] of an order operation; all args of auth
    req_id: str | int | None = None
    timestamp_ms: int = 0
    recv_window_ms: int = RECV_WINDOW_MS


def encode_trade_request(
    op: str, body: Mapping[str, Any], *, req_id: str, timestamp_ms: int, recv_window_ms: int
) -> bytes:
    """Write an order operation."""
    header = {"X-BAPI-TIMESTAMP": str(timestamp_ms), "X-BAPI-RECV-WINDOW": str(recv_window_ms)}
    return encode_json({"reqId": req_id, "header": header, "op": op, "args": [body]})


def encode_trade_ping(req_id: str = "") -> bytes:
    """Write the ping of order entry."""
    return encode_json({"op": "ping", "reqId": req_id} if req_id else {"op": "ping"})


def decode_trade_request(raw: bytes | str) -> TradeRequest | BadRequest:
    """Read a frame of a client, whatever it holds; never raises."""
    try:
        body = read_json(raw, limit_bytes=REQUEST_BYTES_MAX)
    except WireError as error:
        return BadRequest(PARAMETER_ERROR, f"Request parameter error: {error.what}")
    return _request(body)


@door
def _request(frame: Mapping[str, Any]) -> TradeRequest:
    op = read_text(frame, "op")
    req_id = frame.get("reqId", frame.get("req_id"))
    if isinstance(req_id, bool) or not isinstance(req_id, str | int | None):
        raise invalid("reqId")
    if req_id is not None and len(str(req_id)) > REQ_ID_MAX:
        raise invalid("reqId")
    args = frame.get("args")
    if op not in TRADE_PATHS:  # auth, ping, and what the server does not know
        return TradeRequest(op, args, req_id)
    header = frame.get("header")
    if not isinstance(header, Mapping):
        raise refuse("params error: header is required")
    if not isinstance(args, list) or len(args) != 1:
        raise invalid("args")
    return TradeRequest(
        op,
        args[0],
        req_id,
        read_whole(header, "X-BAPI-TIMESTAMP"),
        read_whole(header, "X-BAPI-RECV-WINDOW", RECV_WINDOW_MS),
    )


# ---------------------------------------------------------------------------- replies


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of an endpoint's requests in this second."""

    limit: int
    left: int
    reset_ms: int

    def headers(self) -> dict[str, str]:
        """Return the headers that say so, on REST and on the stream alike."""
        return {
            "X-Bapi-Limit": str(self.limit),
            "X-Bapi-Limit-Status": str(self.left),
            "X-Bapi-Limit-Reset-Timestamp": str(self.reset_ms),
        }


def encode_trade_reply(
    op: str,
    *,
    conn_id: str,
    now_ms: int,
    code: int = 0,
    message: str = "OK",
    data: Mapping[str, Any] | None = None,
    ext: Mapping[str, Any] | None = None,
    req_id: str | int | None = None,
    allowance: Allowance | None = None,
    trace_id: str = "",
) -> bytes:
    """Write the answer to an order operation; 0 means accepted only."""
    header = {} if allowance is None else allowance.headers()
    # the example spells Traceid, the table TraceId
    header |= {"Traceid": trace_id, "TraceId": trace_id, "Timenow": str(now_ms)}
    body: dict[str, Any] = {
        "retCode": code,
        "retMsg": message,
        "op": op,
        "data": data or {},
        "retExtInfo": ext or {},
        "header": header,
        "connId": conn_id,
    }
    return encode_json(body if req_id is None else {"reqId": req_id} | body)


def encode_trade_auth(
    *, conn_id: str, code: int = 0, message: str = "OK", req_id: str | int | None = None
) -> bytes:
    """Write the answer to ``auth`` (20001 = already, 10004 = bad signature, 10001 = parameters)."""
    body: dict[str, Any] = {"retCode": code, "retMsg": message, "op": "auth", "connId": conn_id}
    return encode_json(body if req_id is None else {"reqId": req_id} | body)


def encode_trade_pong(now_ms: int, *, conn_id: str, req_id: str | int | None = None) -> bytes:
    """Write order entry's pong."""
    body: dict[str, Any] = {
        "retCode": 0,
        "retMsg": "OK",
        "op": "pong",
        "data": [str(now_ms)],
        "connId": conn_id,
    }
    return encode_json(body if req_id is None else {"reqId": req_id} | body)


@dataclass(frozen=True, slots=True)
class TradeReply:
    """An answer of order entry: an order's acknowledgement, of auth, or a pong."""

    op: str
    code: int
    message: str
    req_id: str = ""
    ack: Ack = NO_ACK
    acks: tuple[Ack, ...] = ()  # of a batch
    limit: int | None = None  # requests a second on this endpoint
    limit_left: int | None = None
    limit_reset_ms: int | None = None
    venue_ms: int = 0
    conn_id: str = ""
    ext: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_pong(self) -> bool:
        """Tell whether this answers a ping."""
        return self.op == "pong"


def decode_trade_reply(raw: bytes | str) -> TradeReply:
    """Read one frame of order entry.

    Raises
    ------
    WireError
        Not JSON, or not an answer: what was asked is then Unknown.
    """
    body = as_row(read_json(raw))
    if body.get("retCode") is None:
        raise WireError("an order-entry frame has no retCode")
    header, data, ext = body.get("header"), body.get("data"), body.get("retExtInfo")
    header = header if isinstance(header, dict) else {}
    ext = ext if isinstance(ext, dict) else {}
    op = text(body, "op")
    batch = isinstance(data, dict) and op.endswith("-batch") and isinstance(data.get("list"), list)
    return TradeReply(
        op=op,
        code=integer(body, "retCode"),
        message=text(body, "retMsg"),
        req_id=text(body, "reqId"),
        ack=read_ack(data) if isinstance(data, dict) and not batch else NO_ACK,
        acks=tuple(read_batch_ack(data, ext)) if batch else (),
        limit=_maybe(header, "X-Bapi-Limit"),
        limit_left=_maybe(header, "X-Bapi-Limit-Status"),
        limit_reset_ms=_maybe(header, "X-Bapi-Limit-Reset-Timestamp"),
        venue_ms=_maybe(header, "Timenow") or 0,
        conn_id=text(body, "connId"),
        ext=ext,
    )


def _maybe(header: Mapping[str, Any], key: str) -> int | None:
    try:
        return integer(header, key) if key in header else None
    except WireError:
        return None  # a reply is not lost for its headers
