"""The simulated venue's door: one request in, one reply out, by the venue's rules and its faults.

No sockets: the HTTP server and the in-process transport hand requests in as values and do with the
reply what it says (send it, drop the connection, wait). The same requests at the same times get the
same replies from both.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from engine.venue import wire
from live.venues.bybit import simacts, simroutes
from live.venues.bybit.faults import Fault
from live.venues.bybit.simanswer import Answer, Refusal, Refused
from live.venues.bybit.simauth import Caller, Denied
from live.venues.bybit.simdesk import Desk
from live.venues.bybit.simfaults import AFTER, BEFORE
from live.venues.bybit.simlimits import Limits
from live.venues.bybit.simorders import batch_size
from live.venues.bybit.simpublic import PUBLIC

BODY_BYTES_MAX = 1 << 20
_JSON = {"content-type": "application/json; charset=utf-8"}
_HTML = {"content-type": "text/html"}
_PAGE = b"<html><head><title>%d</title></head><body><center>%d</center></body></html>"
_WORDS = {10000: "Server Timeout", 10006: "Too many visits!", 10016: "Internal server error"}
_REMOVED_HINT = "Route not found."


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """What came in: header names in lower case, query and body exactly as sent."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    ip: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class HttpReply:
    """What goes out. `dropped`: nothing does, the connection ends."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    dropped: bool = False
    wait_ms: int = 0  # before it is sent


DROPPED = HttpReply(dropped=True)


class Door:
    """Lets requests in to a desk.

    Parameters
    ----------
    desk : Desk
    limits : Limits
    """

    def __init__(self, desk: Desk, limits: Limits) -> None:
        self.desk = desk
        self.limits = limits
        self.requests = 0

    # ------------------------------------------------------------------ faults

    def fate(self, request: HttpRequest) -> Fault | None:
        """Return the fault that strikes a request before it is looked at; hand it to `handle`.

        A `slow` one is the shell's to wait out first.
        """
        if not self.desk.faults.waiting:
            return None
        params = None
        if request.method == "POST":
            try:
                params = msgspec.json.decode(request.body)
            except (msgspec.DecodeError, RecursionError, UnicodeError):
                params = None
        return self._draw(BEFORE | {"rest"}, request, params if isinstance(params, dict) else None)

    def _draw(
        self, kinds: frozenset[str], request: HttpRequest, params: Mapping[str, Any] | None = None
    ) -> Fault | None:
        return self.desk.faults.draw(
            kinds,
            account=self.names(request.headers.get("x-bapi-api-key", "")),
            endpoint=request.path,
            params=params,
            now_ms=self.desk.now_ms,
        )

    def names(self, key: str) -> tuple[str, ...]:
        """Return the names of whoever a key belongs to."""
        found = self.desk.keys.find(key)
        return () if found is None else (key, str(found.uid))

    # ------------------------------------------------------------------ one request

    def handle(self, request: HttpRequest, wall_ms: int, fault: Fault | None = None) -> HttpReply:
        """Answer one request.

        Parameters
        ----------
        wall_ms : int
            The server's clock: signatures and allowances go by it.
        fault : Fault, optional
            What `fate` said.
        """
        self.requests += 1
        kind = "" if fault is None else fault.kind
        if fault is not None and kind == "ban":
            self.limits.ban(request.ip, wall_ms + (fault.ms or self.limits.rules.ban_ms))
        if not self.limits.address(request.ip, wall_ms):
            return HttpReply(
                403, b"403 Forbidden: access too frequent", {"content-type": "text/plain"}
            )
        if fault is not None:
            early = self._before(fault)
            if early is not None:
                return early
            if kind == "skew":
                wall_ms += fault.ms
        lag_ms = fault.ms if fault is not None and kind == "stale" else 0
        share = fault.share if fault is not None and kind == "thin_book" else None
        try:
            with self.desk.thin_book(share):
                reply = self._answer(request, wall_ms, lag_ms)
        except Exception as error:  # noqa: BLE001 - the server never falls; a test reads the list
            self.desk.crashes.append(
                f"{request.method} {request.path}: {type(error).__name__}: {error}"
            )
            reply = self._refuse(10016, _WORDS[10016])
        return self._after(request, reply)

    def _before(self, fault: Fault) -> HttpReply | None:
        if fault.kind == "lost_request":
            return DROPPED
        if fault.kind == "rest":
            if fault.status:
                return HttpReply(fault.status, b"access too frequent")
            return self._refuse(fault.code, "Too many visits!")
        if fault.kind in ("http", "html"):
            return _page(fault)
        if fault.kind == "error":
            return self._refuse(fault.code, fault.message or _WORDS.get(fault.code, "error"))
        if fault.kind == "stop_rejected":
            said = fault.message or "expect Falling, but trigger_price is already reached"
            return self._refuse(fault.code or 110093, said)
        if fault.kind == "throttle":
            reply = self._refuse(10006, "Too many visits!")
            reset = throttle_headers(fault, self.desk.now_ms)
            return HttpReply(200, reply.body, {**reply.headers, **reset})
        return None

    def _after(self, request: HttpRequest, reply: HttpReply) -> HttpReply:
        fault = self._draw(AFTER, request)
        if fault is None:
            return reply
        if fault.kind == "lost_reply":
            return DROPPED
        if fault.kind == "late_reply":
            return HttpReply(reply.status, reply.body, reply.headers, wait_ms=fault.ms)
        if fault.kind == "error_after":
            code = fault.code or 10000
            return self._refuse(code, fault.message or _WORDS.get(code, "error"))
        if fault.kind == "truncated":
            return HttpReply(reply.status, reply.body[: len(reply.body) // 2], reply.headers)
        return _page(fault)

    # ------------------------------------------------------------------ routes

    def _answer(self, request: HttpRequest, wall_ms: int, lag_ms: int) -> HttpReply:
        path = request.path
        if path in PUBLIC:
            if request.method != "GET":
                return self._refuse(10001, "Request method not supported.", 400)
            return self._public(request, wall_ms)
        method = "GET" if path in simroutes.GETS else "POST" if path in simroutes.POSTS else ""
        if not method:
            return self._refuse(10017, _REMOVED_HINT, 404)
        if request.method != method:
            return self._refuse(10001, "Request method not supported.", 400)
        return self._private(request, wall_ms, lag_ms)

    def _public(self, request: HttpRequest, wall_ms: int) -> HttpReply:
        query = _query(request.query)
        self.desk.keys.told(self.desk.now_ms, wall_ms)
        if query is None:
            return self._refuse(10001, "params error: cursor is not verbatim")
        try:
            return self._give(Answer(PUBLIC[request.path](self.desk.view, query)))
        except Refused as refused:
            return self._give(refused.refusal)

    def _private(self, request: HttpRequest, wall_ms: int, lag_ms: int) -> HttpReply:
        get = request.method == "GET"
        if len(request.body) > BODY_BYTES_MAX:
            return self._refuse(10001, "Request body is too large.", 413)
        if get and request.body:
            return HttpReply(
                403, b"403 Forbidden: a GET takes no body", {"content-type": "text/plain"}
            )
        wanted = simroutes.need(request.path)
        payload = request.query if get else request.body.decode("utf-8", "surrogateescape")
        keys = self.desk.keys
        caller = keys.check_rest(
            request.headers,
            payload,
            wall_ms,
            ip=request.ip,
            permission=wanted.permission,
            write=wanted.write,
        )
        keys.told(self.desk.now_ms, wall_ms)
        if isinstance(caller, Denied):
            return self._refuse(caller.code, caller.message, caller.status)
        params = _query(request.query) if get else _body(request.body)
        amount = batch_size(request.path, params)
        allowance = self.limits.user(caller.key.uid, request.path, caller.now_ms, amount)
        if allowance.granted == 0:
            return self._refuse(
                10006, "Too many visits! Exceeded the API Rate Limit.", 200, allowance.headers
            )
        if params is None:
            return self._refuse(10001, "Request parameter error", 200, allowance.headers)
        answer = simroutes.answer(
            self.desk, caller.key, request.path, params, granted=allowance.granted, lag_ms=lag_ms
        )
        self.act(caller, request.path)
        return self._give(answer, allowance.headers)

    def act(self, caller: Caller, endpoint: str) -> None:
        """Let happen what the plan has in store for a user after a request."""
        uid, key = caller.key.uid, caller.key.key
        if not self.desk.faults.waiting:
            return
        fault = self.desk.faults.draw(
            simacts.possible(self.desk, uid),
            account=(key, str(uid)),
            endpoint=endpoint,
            now_ms=self.desk.now_ms,
        )
        if fault is not None:
            simacts.strike(self.desk, uid, key, fault)

    # ------------------------------------------------------------------ replies

    def _give(
        self, answer: Answer | Refusal, headers: Mapping[str, str] | None = None
    ) -> HttpReply:
        result = {} if answer.result is None else answer.result
        ext = answer.ext if isinstance(answer, Answer) else None
        body = wire.envelope(
            result, self.desk.now_ms, code=answer.code, message=answer.message, ext=ext
        )
        return HttpReply(200, body, {**_JSON, **(headers or {})})

    def _refuse(
        self, code: int, message: str, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> HttpReply:
        body = wire.envelope({}, self.desk.now_ms, code=code, message=message)
        return HttpReply(status, body, {**_JSON, **(headers or {})})


def throttle_headers(fault: Fault, now_ms: int) -> dict[str, str]:
    """Return what a 10006 says of the allowance: when it begins anew, or nothing at all."""
    shift = {"past": -fault.ms - 1, "present": fault.ms or 500}.get(fault.header)
    if shift is None:
        return {}
    return {
        "X-Bapi-Limit": "10",
        "X-Bapi-Limit-Status": "0",
        "X-Bapi-Limit-Reset-Timestamp": str(now_ms + shift),
    }


def _page(fault: Fault) -> HttpReply:
    status = 200 if fault.kind.startswith("html") else fault.status or 502
    return HttpReply(status, _PAGE % (status, status), _HTML)


def _query(raw: str) -> dict[str, str] | None:
    """Read a query string; None where it is no query, or percent-encoded twice."""
    if "%25" in raw:
        return None
    try:
        return dict(parse_qsl(raw, keep_blank_values=True, max_num_fields=200)) if raw else {}
    except ValueError:
        return None


def _body(raw: bytes) -> Any:
    """Read a body; None where it is not JSON."""
    if not raw:
        return {}
    try:
        return wire.read_json(raw, limit_bytes=BODY_BYTES_MAX)
    except wire.WireError:
        return None
