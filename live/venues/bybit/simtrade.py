"""The simulated venue's order entry by stream (/v5/trade), without its socket."""

from collections import deque
from typing import Any

from engine.venue import wire
from live.venues.bybit import simroutes
from live.venues.bybit.simanswer import Answer, Refusal
from live.venues.bybit.simauth import AHEAD_MS, Denied, digest
from live.venues.bybit.simdoor import Door, throttle_headers
from live.venues.bybit.simfaults import AFTER, BEFORE
from live.venues.bybit.simlimits import SECOND_MS, Window
from live.venues.bybit.simorders import batch_size
from live.venues.bybit.simsession import Origin, Session

_IDS_KEPT = 10_000
_SESSION_PER_S = 1_000
_BEFORE = BEFORE - {"http", "html", "ban", "stale"}
_AFTER = AFTER - {"http_after", "html_after"}


class TradeSession(Session):
    """One connection of order entry: auth, pings, and orders acknowledged."""

    stream = "trade"

    def __init__(self, door: Door, origin: Origin, wall_ms: int) -> None:
        super().__init__(door.desk, origin, wall_ms)
        self.door = door
        self._ids: dict[str, None] = {}
        self._known: deque[str] = deque()
        self._pace = Window(_SESSION_PER_S, SECOND_MS)

    # ------------------------------------------------------------------ requests

    def answer(self, raw: str | bytes) -> None:
        """Answer one frame."""
        request = wire.decode_trade_request(raw)
        if isinstance(request, wire.BadRequest):
            self._reply(None, request.code, request.message)
        elif request.op == "ping":
            pong = wire.encode_trade_pong(self.told(), conn_id=self.conn_id, req_id=request.req_id)
            self.send(pong, pong=True)
        elif request.op == "auth":
            self._auth(request)
        elif request.op not in wire.TRADE_PATHS:
            self._reply(request, 10404, "op type is not found")
        elif self.caller is None:
            self._reply(request, 10005, "Permission denied, please auth first")
        else:
            self._order(request)

    def _auth(self, request: wire.TradeRequest) -> None:
        code, text = 0, "OK"
        if self.caller is not None:
            code, text = 20001, "Repeat auth"
        else:
            caller = self.keys.check_stream(request.body, self.wall_ms, ip=self.origin.ip)
            if isinstance(caller, Denied):
                code, text = caller.code, caller.message
            else:
                self.admit(caller)
                if self.draw(frozenset({"refuse_auth"})) is not None:
                    self.caller, code, text = None, 10004, "Invalid sign"
        frame = wire.encode_trade_auth(
            conn_id=self.conn_id, code=code, message=text, req_id=request.req_id
        )
        self.send(frame)

    def _reply(
        self,
        request: wire.TradeRequest | None,
        code: int,
        message: str,
        *,
        answer: Answer | None = None,
        headers: dict[str, str] | None = None,
        delay_ms: int = 0,
    ) -> None:
        limit = None
        if headers:
            limit = wire.Allowance(
                int(headers["X-Bapi-Limit"]),
                int(headers["X-Bapi-Limit-Status"]),
                int(headers["X-Bapi-Limit-Reset-Timestamp"]),
            )
        frame = wire.encode_trade_reply(
            "" if request is None else request.op[:50],
            conn_id=self.conn_id,
            now_ms=self.told(),
            code=code,
            message=message,
            data=None if answer is None else answer.result,
            ext=None if answer is None else answer.ext,
            req_id=None if request is None else request.req_id,
            allowance=limit,
            trace_id=digest((self.conn_id, next(self._turns)))[:32],
        )
        self.send(frame, delay_ms=delay_ms)

    def _refusal(self, request: wire.TradeRequest) -> tuple[int, str] | None:
        """Return why a request is not let in: pace, repeated id, time."""
        if not self.door.limits.trade(self.origin.ip, self.wall_ms):
            return 10403, "Exceed IP rate limit. 3000 requests per second per IP"
        if not self._pace.take(self.wall_ms):
            return 20003, "Too frequent requests under the same session"
        if request.req_id is not None:
            text = str(request.req_id)
            if text in self._ids:
                return 20006, "reqId is duplicated"
            self._ids[text] = None
            self._known.append(text)
            if len(self._known) > _IDS_KEPT:
                del self._ids[self._known.popleft()]
        return None

    def _order(self, request: wire.TradeRequest) -> None:
        caller = self.caller
        if caller is None:
            return
        op, path = request.op, wire.TRADE_PATHS[request.op]
        refusal = self._refusal(request)
        if refusal is not None:
            self._reply(request, *refusal)
            return
        if self.hurt():
            return
        params = request.body if isinstance(request.body, dict) else None
        fault = self.desk.faults.draw(
            _BEFORE,
            account=self.names,
            endpoint=op,
            stream=self.stream,
            params=params,
            now_ms=self.desk.now_ms,
        )
        kind = "" if fault is None else fault.kind
        if kind == "lost_request":
            return
        skew_ms = fault.ms if fault is not None and kind == "skew" else 0
        if fault is not None and kind == "throttle":
            headers = throttle_headers(fault, self.desk.now_ms)
            self._reply(request, 10006, "Too many visits!", headers=headers)
            return
        if fault is not None and kind in ("error", "stop_rejected"):
            code = fault.code or (110093 if kind == "stop_rejected" else 10016)
            self._reply(request, code, fault.message or "refused")
            return
        if fault is not None and kind == "slow":
            self.hold(fault.ms, lambda: self._look_at(request, path, 0))
            return
        share = fault.share if fault is not None and kind == "thin_book" else None
        with self.desk.thin_book(share):
            self._look_at(request, path, skew_ms)

    def _look_at(self, request: wire.TradeRequest, path: str, skew_ms: int) -> None:
        """Check a request's time and carry it out."""
        now = self.keys.clock(request.timestamp_ms, self.wall_ms + skew_ms)
        if not now - request.recv_window_ms <= request.timestamp_ms < now + AHEAD_MS:
            said = (
                "invalid request, please check your server timestamp or recv_window param."
                f" req_timestamp[{request.timestamp_ms}],server_timestamp[{now}],"
                f"recv_window[{request.recv_window_ms}]"
            )
            self._reply(request, 10002, said)
            return
        self._carry_out(request, path, now)

    def _carry_out(self, request: wire.TradeRequest, path: str, now_ms: int) -> None:
        caller = self.caller
        if caller is None:
            return
        key = self.keys.find(caller.key.key)
        wanted = simroutes.need(path)
        if key is None or not self.keys.still_good(key.key, now_ms):
            self._reply(request, 33004, "Your api key has expired.")
            return
        if key.read_only or not key.may(wanted.permission):
            self._reply(request, 10005, "Permission denied")
            return
        amount = batch_size(path, request.body)
        allowance = self.door.limits.user(key.uid, path, now_ms, amount)
        headers = allowance.headers
        if allowance.granted == 0:
            self._reply(request, 10006, "Too many visits!", headers=headers)
            return
        answer = self._answered(key, path, request.body, allowance.granted)
        self.door.act(caller, request.op)
        fault = self.draw(_AFTER, endpoint=request.op)
        kind = "" if fault is None else fault.kind
        if kind == "lost_reply":
            return
        if fault is not None and kind == "error_after":
            self._reply(request, fault.code or 10016, fault.message or "server error")
            return
        delay_ms = fault.ms if fault is not None and kind == "late_reply" else 0
        if kind == "truncated":
            self.send(b'{"retCode":0,"retMsg":')
            return
        given = answer if isinstance(answer, Answer) else None
        self._reply(
            request, answer.code, answer.message, answer=given, headers=headers, delay_ms=delay_ms
        )

    def _answered(self, key: Any, path: str, body: Any, granted: int) -> Answer | Refusal:
        try:
            return simroutes.answer(self.desk, key, path, body, granted=granted)
        except Exception as error:  # noqa: BLE001 - the server never falls; a test reads the list
            self.desk.crashes.append(f"{path}: {type(error).__name__}: {error}")
            return Refusal(10016, "Internal server error")
