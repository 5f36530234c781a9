"""The private stream: authentication, acknowledgements, pong and the four topics, both ways."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.venue.reports import ExecutionReport, OrderReport, PositionReport, WalletReport
from engine.venue.wire.account import read_wallet
from engine.venue.wire.fields import (
    BadRequest,
    NotOurs,
    WireError,
    as_list,
    as_row,
    encode_json,
    flag,
    integer,
    read_json,
    text,
)
from engine.venue.wire.orders import read_execution, read_order
from engine.venue.wire.params import door, read_text, read_whole, refuse
from engine.venue.wire.positions import read_position
from engine.venue.wire.public import OtherPush, Reply, Request

ReqId = str | int | None
PrivateReport = OrderReport | ExecutionReport | PositionReport | WalletReport

READERS: dict[str, Callable[[Any], PrivateReport]] = {
    "order": read_order,
    "execution": read_execution,
    "execution.fast": read_execution,
    "position": read_position,
    "wallet": read_wallet,
}
ALL_IN_ONE = frozenset(
    {"order", "execution", "execution.fast", "position", "wallet", "greeks", "dcp.future"}
)
_KINDS = ("execution.fast", "execution", "order", "position")  # those that have categories
_CATEGORISED = frozenset(
    f"{kind}.{category}" for kind in _KINDS for category in ("linear", "inverse", "spot", "option")
) - {"position.spot"}
PRIVATE_TOPICS = ALL_IN_ONE | _CATEGORISED | {"dcp.spot", "dcp.option"}

# ---------------------------------------------------------------------------- authentication


@dataclass(frozen=True, slots=True)
class Auth:
    """What a connection says it is: HMAC over ``GET/realtime<expires>``."""

    api_key: str
    expires_ms: int
    signature: str

    @property
    def signed(self) -> str:
        """The text under the signature."""
        return f"GET/realtime{self.expires_ms}"


def encode_auth(auth: Auth, req_id: str = "", *, trade: bool = False) -> bytes:
    """Write the ``auth`` request of the private (or the order-entry) stream."""
    body: dict[str, Any] = {"op": "auth", "args": [auth.api_key, auth.expires_ms, auth.signature]}
    if req_id:
        body["reqId" if trade else "req_id"] = req_id
    return encode_json(body)


@door
def _auth(args: Mapping[str, Any]) -> Auth:
    auth = Auth(
        read_text(args, "apiKey"), read_whole(args, "expires", 0), read_text(args, "signature")
    )
    if not (auth.api_key and auth.signature and auth.expires_ms > 0):
        raise refuse("Param error")
    return auth


def read_auth(request: Request) -> Auth | BadRequest:
    """Read an ``auth`` request; `expires` may be text or a number."""
    args = request.args if isinstance(request.args, list) else []
    return _auth(dict(zip(("apiKey", "expires", "signature"), args, strict=False)))


# ---------------------------------------------------------------------------- topics asked for


def read_topics(request: Request) -> list[str] | BadRequest:
    """Read the args of a subscription: a list of texts, or the door's refusal."""
    args = request.args
    if isinstance(args, list) and args and all(isinstance(a, str) and a for a in args):
        return list(dict.fromkeys(args))
    return BadRequest(10001, "error:request args is invalid")


def check_private_topics(topics: Sequence[str]) -> str:
    """Return "" or why the private stream refuses these topics."""
    for topic in topics:
        if topic not in PRIVATE_TOPICS:
            return f"Invalid topic: {topic}"
    mixed = {topic.split(".")[0] for topic in topics if topic in _CATEGORISED} & {
        topic.split(".")[0] for topic in topics if topic in ALL_IN_ONE
    }
    if mixed:
        return f"Do not subscribe all-in-one and categorised topics together: {min(mixed)}"
    return ""


# ---------------------------------------------------------------------------- replies


def encode_private_reply(
    op: str, *, success: bool, ret_msg: str = "", req_id: ReqId = None, conn_id: str = ""
) -> bytes:
    """Write an acknowledgement of the private stream (auth too); no ``req_id`` if none came."""
    body: dict[str, Any] = {"success": success, "ret_msg": ret_msg, "op": op, "conn_id": conn_id}
    if req_id not in (None, ""):
        body = {"req_id": req_id} | body
    return encode_json(body)


def encode_private_pong(now_ms: int, *, req_id: ReqId = None, conn_id: str = "") -> bytes:
    """Write the private stream's pong."""
    body: dict[str, Any] = {"op": "pong", "args": [str(now_ms)], "conn_id": conn_id}
    if req_id not in (None, ""):
        body = {"req_id": req_id} | body
    return encode_json(body)


# ---------------------------------------------------------------------------- pushes


def encode_private_push(
    topic: str, rows: Sequence[Mapping[str, Any]], *, message_id: str, creation_time: int
) -> bytes:
    """Write a message of a private topic; the fast one carries no id."""
    body: dict[str, Any] = {"topic": topic, "creationTime": creation_time, "data": rows}
    if not topic.startswith("execution.fast"):
        body = {"id": message_id} | body
    return encode_json(body)


@dataclass(frozen=True, slots=True)
class PrivatePush:
    """A message of a private topic, read.

    `bad` rows could not be read (take a snapshot); `other` rows are of products we do not trade.
    """

    topic: str  # without its category
    items: tuple[PrivateReport, ...]
    bad: int = 0
    other: int = 0
    creation_time: int = 0
    id: str = ""


PrivateMessage = PrivatePush | Reply | OtherPush


def decode_private(raw: bytes | str) -> PrivateMessage:
    """Read one message of the private stream.

    Raises
    ------
    WireError
        Not JSON, or neither a push nor a reply.
    """
    body = as_row(read_json(raw))
    topic = text(body, "topic")
    if not topic:
        return read_stream_reply(body)
    kind = _kind(topic)
    reader = READERS.get(kind)
    if reader is None:
        return OtherPush(topic)
    items: list[PrivateReport] = []
    bad = other = 0
    for row in as_list(body.get("data")):
        try:
            items.append(_ours(row, reader))
        except NotOurs:
            other += 1
        except WireError:
            bad += 1
    return PrivatePush(
        kind, tuple(items), bad, other, _lenient_time(body), _lenient_text(body, "id")
    )


def _ours(row: Any, reader: Callable[[Any], PrivateReport]) -> PrivateReport:
    if isinstance(row, dict) and row.get("category") not in ("linear", "", None):
        raise NotOurs("a row of another product")
    return reader(row)


def _kind(topic: str) -> str:
    if topic in READERS:
        return topic
    kind, _, category = topic.rpartition(".")
    return kind if category in ("linear", "inverse", "spot", "option") else topic


def _lenient_time(body: Mapping[str, Any]) -> int:
    try:
        return integer(body, "creationTime")
    except WireError:
        return 0  # a message is not lost for its envelope


def _lenient_text(body: Mapping[str, Any], key: str) -> str:
    try:
        return text(body, key)
    except WireError:
        return ""


def read_stream_reply(body: Mapping[str, Any]) -> Reply:
    """Read an acknowledgement or a pong of any stream.

    Raises
    ------
    WireError
        It says nothing: no op and no verdict.
    """
    if "op" not in body and "success" not in body:
        raise WireError("a stream message is neither a push nor a reply")
    req_id = body.get("req_id")
    return Reply(
        op=text(body, "op"),
        success=flag(body, "success") if body.get("success") is not None else None,
        ret_msg=text(body, "ret_msg"),
        req_id=req_id if isinstance(req_id, str | int) else None,
        conn_id=text(body, "conn_id"),
    )
