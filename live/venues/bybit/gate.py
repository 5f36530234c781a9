"""One request of one user, from its turn in the budgets to the venue's word.

The only requests sent twice are those the venue certainly did not take in: outside its time window
(10002: the clock is read anew first), or too many (10006: the turn waits for the reset). The bytes
of the order, its link id above all, are the same.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.venue import wire
from live.clock import Clock
from live.venues.bybit.budgets import BAN_S, PUBLIC, NoTurn, RequestBudget, Turn
from live.venues.bybit.clock_offset import VenueClock
from live.venues.bybit.transport import Auth, NoReply, Params, Reply, Transport
from live.venues.trading import Priority

TIME_PATH = "/v5/market/time"
THROTTLE_TRIES = 3
RESET_WAIT_MAX_S = 2.0
RESET_WAIT_DEFAULT_S = 1.0  # the header may be absent: one window of the limit is enough
JITTER_S = 0.05
BUSY_S = 2.0
_CODE_TIME, _CODE_THROTTLED = 10002, 10006
_CODES_BANNED = frozenset({10018})
_HTTP_OK, _HTTP_BANNED, _HTTP_BUSY, _HTTP_BROKEN = 200, 403, 429, 500
# An answer of these without an envelope still says that the door stayed shut.
_HTTP_REFUSED = frozenset({400, 401, 404, 405})


@dataclass(frozen=True, slots=True)
class Said:
    """The venue answered in its own words. `code` 0 = taken."""

    code: int
    message: str
    result: Mapping[str, Any]
    venue_ms: int
    sent_ms: int = 0  # venue clock
    ext: Mapping[str, Any] = field(default_factory=dict)
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """Certainly not taken: it did not leave, or the door was shut before anyone looked."""

    reason: str
    code: int = 0  # the HTTP status where there is one; 403 as long as the address is locked out
    retry_after_s: float | None = None
    banned: bool = False


@dataclass(frozen=True, slots=True)
class Lost:
    """It left, and nothing usable came back."""

    reason: str
    sent_ms: int  # venue clock


Answer = Said | Held | Lost


class Gate:
    """What all users of a venue share: the transport, the budgets, the venue's clock.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws the jitter of waits.
    """

    def __init__(
        self,
        transport: Transport,
        budget: RequestBudget,
        venue_clock: VenueClock,
        clock: Clock,
        rng: np.random.Generator,
    ) -> None:
        self.transport = transport
        self.budget = budget
        self.venue_clock = venue_clock
        self.clock = clock
        self.rng = rng
        self.resyncs = 0
        self.throttled = 0
        self.unreadable = 0  # answers that were none of the venue's
        self.abandoned = 0  # requests whose caller left before the answer: Unknown to it
        self._syncing: asyncio.Task[bool] | None = None
        self._sending: set[asyncio.Future[Answer]] = set()

    # ------------------------------------------------------------------ asking

    async def call(
        self,
        method: str,
        path: str,
        params: Params,
        *,
        user: str = PUBLIC,
        auth: Auth | None = None,
        priority: Priority = Priority.POLL,
    ) -> Answer:
        """Send a request over HTTP in its turn."""

        async def send() -> Answer:
            reply = await self.transport.send(method, path, params, auth=auth)
            if isinstance(reply, NoReply):
                if not reply.maybe_sent:
                    return Held(reply.reason, retry_after_s=BUSY_S)
                return Lost(reply.reason, self.venue_clock.at_ms(reply.sent_s))
            return self._read(reply, user, path, strict=method != "GET")

        return await self.ask(send, path, user=user, priority=priority)

    async def ask(
        self,
        send: Callable[[], Awaitable[Answer]],
        path: str,
        *,
        user: str,
        priority: Priority,
        by_http: bool = True,
    ) -> Answer:
        """Send by any way in its turn; again only what was certainly not taken."""
        resynced = False
        tries = 0
        while True:
            tries += 1
            turn = await self.budget.turn(user, path, priority, by_http=by_http)
            if isinstance(turn, NoTurn):
                code = _HTTP_BANNED if turn.banned else 0
                return Held(turn.reason, code, turn.retry_after_s, banned=turn.banned)
            answer = await self._send(send, turn)
            if not isinstance(answer, Said):
                return answer
            if answer.code == _CODE_TIME and not resynced:
                resynced = True
                if await self.sync_clock(priority):
                    continue
            elif answer.code == _CODE_THROTTLED and tries < THROTTLE_TRIES:
                continue  # the budget holds this user back at this endpoint until the reset
            return answer

    async def _send(self, send: Callable[[], Awaitable[Answer]], turn: Turn) -> Answer:
        if not turn.by_http:
            try:
                return await send()
            finally:
                self.budget.done(turn)
        # A caller may leave (a deadline, a shutdown); its request is on a thread and on its way all
        # the same. It keeps its place until it is over, else threads and windows are overrun.
        task = asyncio.ensure_future(send())
        self._sending.add(task)

        def over(done: asyncio.Future[Answer]) -> None:
            self._sending.discard(done)
            self.budget.done(turn)

        task.add_done_callback(over)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self.abandoned += not task.done()
            raise

    async def sync_clock(self, priority: Priority = Priority.RECONCILE) -> bool:
        """Read the venue's clock anew; callers of one moment share one reading."""
        if self._syncing is None or self._syncing.done():
            self._syncing = asyncio.create_task(self._sync_clock(priority))
        return await asyncio.shield(self._syncing)

    async def _sync_clock(self, priority: Priority) -> bool:
        self.resyncs += 1
        turn = await self.budget.turn(PUBLIC, TIME_PATH, priority)
        if isinstance(turn, NoTurn):
            return False
        try:
            reply = await self.transport.send("GET", TIME_PATH, {})
        finally:
            self.budget.done(turn)
        if isinstance(reply, NoReply):
            return False
        body = _envelope(reply.body, strict=False)
        venue_ms = _venue_ms(body) if body is not None else 0
        if reply.status != _HTTP_OK or venue_ms <= 0:
            return False
        self.venue_clock.forget()  # the old samples led to the refusal
        self.venue_clock.observe(venue_ms, reply.sent_s, reply.received_s)
        return True

    async def close(self) -> None:
        """End what is shared."""
        if self._syncing is not None:
            self._syncing.cancel()
            await asyncio.gather(self._syncing, return_exceptions=True)
        await self.budget.close()
        await self.transport.close()

    # ------------------------------------------------------------------ reading answers

    def _read(self, reply: Reply, user: str, path: str, *, strict: bool) -> Answer:
        sent_ms = self.venue_clock.at_ms(reply.sent_s)
        self.note_limits(user, path, reply.headers)
        if reply.status == _HTTP_BANNED:
            self.budget.ban()
            return Held("HTTP 403: the venue locked this address out", 403, BAN_S, banned=True)
        if reply.status == _HTTP_BUSY:
            self.budget.block(user, path, BUSY_S)
            return Held("HTTP 429: the venue is under load", 429, BUSY_S)
        if reply.status >= _HTTP_BROKEN:
            return Lost(f"HTTP {reply.status}", sent_ms)
        body = _envelope(reply.body, strict=strict)
        code = body.get("retCode") if body is not None else None
        if body is None or type(code) is not int or (reply.status != _HTTP_OK and code == 0):
            if reply.status in _HTTP_REFUSED:
                return Held(f"HTTP {reply.status}", reply.status)
            self.unreadable += 1
            return Lost(f"HTTP {reply.status} with an answer that is none", sent_ms)
        self.venue_clock.observe(_venue_ms(body), reply.sent_s, reply.received_s)
        return self.said(body, sent_ms, user, path, reply.headers)

    def said(
        self,
        body: Mapping[str, Any],
        sent_ms: int,
        user: str,
        path: str,
        headers: Mapping[str, str],
    ) -> Answer:
        """Read the venue's envelope, of a reply or of a stream's acknowledgement."""
        code = int(body["retCode"])
        result = body.get("result")
        ext = body.get("retExtInfo")
        wait_s: float | None = None
        if code == _CODE_THROTTLED:
            self.throttled += 1
            wait_s = self._reset_wait_s(headers)
            self.budget.block(user, path, wait_s)
        elif code in _CODES_BANNED:
            self.budget.ban()
            return Held(f"{code}: the venue locked this address out", code, BAN_S, banned=True)
        return Said(
            code,
            str(body.get("retMsg", ""))[:500],
            result if isinstance(result, dict) else {},
            _venue_ms(body),
            sent_ms,
            ext if isinstance(ext, dict) else {},
            wait_s,
        )

    def note_limits(self, user: str, path: str, headers: Mapping[str, str]) -> None:
        """Learn a user's limit from the headers of a reply."""
        allowed = headers.get("x-bapi-limit", "")
        if user and allowed.isdecimal():
            self.budget.learn(user, path, int(allowed))

    def _reset_wait_s(self, headers: Mapping[str, str]) -> float:
        text = headers.get("x-bapi-limit-reset-timestamp", "")
        wait_s = RESET_WAIT_DEFAULT_S
        if text.isdecimal() and len(text) < 16:  # noqa: PLR2004 - ms of any year to come
            left_s = (int(text) - self.venue_clock.now_ms()) / 1000.0
            wait_s = min(max(left_s, 0.0), RESET_WAIT_MAX_S)
        return wait_s + JITTER_S * float(self.rng.random())


def _venue_ms(body: Mapping[str, Any]) -> int:
    time = body.get("time")
    return time if type(time) is int else 0


def _envelope(raw: bytes, *, strict: bool) -> dict[str, Any] | None:
    """Read a reply; None if it is no JSON object. Strict: nor one that says something twice."""
    try:
        body = json.loads(raw, object_pairs_hook=_once) if strict else wire.read_json(raw)
    except (ValueError, RecursionError, wire.WireError):
        return None
    return body if isinstance(body, dict) else None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        raise ValueError("a name occurs twice")
    return out
