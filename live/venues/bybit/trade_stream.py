"""Order entry over a stream: requests matched to their acknowledgements by id.

A frame that left and was not acknowledged in time is lost, not refused: the venue may have taken
it in, whatever became of the connection.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from engine.venue import wire
from live.clock import Clock, Late, within
from live.venues.bybit.budget import Rank, WindowBudget
from live.venues.bybit.frames import (
    Connect,
    NothingSent,
    SocketClosed,
    open_websocket,
)
from live.venues.bybit.gate import Answer, Gate, Held, Lost
from live.venues.bybit.keeper import Dead, Keeper, KeeperOptions, KeyRefused, Link
from live.venues.bybit.signer import RECV_WINDOW_MS, Signer, SigningRefused

PATH = "/v5/trade"
AUTH_MARGIN_MS = 10_000
ACK_S = 5.0
AUTH_TRIES = 3
NOT_SENT = "the frame did not leave"
_CODE_OK, _CODE_REPEAT = 0, 20001
_CODE_RESTART = 10019
_KEY_CODES = frozenset({10003, 10005, 10007, 10010, 33004})


@dataclass(slots=True)
class TradeCounters:
    """What happened on the stream."""

    sent: int = 0
    acknowledged: int = 0
    unanswered: int = 0  # left, and no answer within its time or before the connection ended
    unsent: int = 0
    late: int = 0  # answers nobody waits for any more
    malformed: int = 0
    stalls: int = 0  # connections left because an order was not answered

    def as_dict(self) -> dict[str, int]:
        """Return the counters by name."""
        return asdict(self)


@dataclass(slots=True)
class _Waiting:
    """What is known of the requests on their way."""

    count: int = 0
    restarting_s: float | None = None  # by then we leave: a restart announced, or no answer
    refusals: int = field(default=0)


class TradeStream:
    """One user's order-entry connection.

    Parameters
    ----------
    base_url : str
        Scheme and host of the streams, no path.
    gate : Gate
        Shared; reads answers and counts limits.
    connections : WindowBudget
        Shared by all streams of this address.
    ack_s : float
        How long an acknowledgement may take.
    """

    def __init__(
        self,
        base_url: str,
        signer: Signer,
        gate: Gate,
        clock: Clock,
        rng: np.random.Generator,
        *,
        connections: WindowBudget,
        connect: Connect = open_websocket,
        options: KeeperOptions | None = None,
        ack_s: float = ACK_S,
        recv_window_ms: int = RECV_WINDOW_MS,
    ) -> None:
        self.counters = TradeCounters()
        self.keeper = Keeper(
            base_url.rstrip("/") + PATH,
            self,
            connect=connect,
            clock=clock,
            rng=rng,
            connections=connections,
            options=options,
            rank=lambda: Rank.ORDERS,
        )
        self._signer = signer
        self._gate = gate
        self._clock = clock
        self._ack_s = ack_s
        self._recv_window_ms = recv_window_ms
        self._task: asyncio.Task[None] | None = None
        self._state = _Waiting()

    async def start(self) -> None:
        """Begin to connect; returns at once."""
        if self._task is None:
            self._task = asyncio.create_task(self.keeper.run(), name="trade-stream")

    async def close(self) -> None:
        """End the connection; who waits for an answer is told that it was lost."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @property
    def ready(self) -> bool:
        """Tell whether orders may be sent here."""
        return self.keeper.ready and self._state.restarting_s is None

    async def request(self, op: str, body: Mapping[str, Any], *, user: str) -> Answer:
        """Send one order operation and wait for its acknowledgement.

        Returns
        -------
        Answer
            `Held` with the reason `NOT_SENT` only where no byte of the frame left.
        """
        link = self.keeper.link
        if link is None or not self.ready:
            self.counters.unsent += 1
            return Held(NOT_SENT)
        sent_s = self._clock.monotonic_s()
        try:
            if op != "order.cancel" and body.get("reduceOnly") is not True:
                self._signer.count_order(sent_s)
        except SigningRefused as error:
            return Held(str(error), retry_after_s=1.0)
        self._state.count += 1
        req_id = f"{link.number}-{self._state.count}"
        timestamp_ms = self._gate.venue_clock.signing_ms()
        frame = wire.encode_trade_request(
            op,
            body,
            req_id=req_id,
            timestamp_ms=timestamp_ms,
            recv_window_ms=self._recv_window_ms,
        )
        answer: asyncio.Future[wire.TradeReply] = asyncio.get_running_loop().create_future()
        link.answers[req_id] = answer
        sent_ms = self._gate.venue_clock.at_ms(sent_s)
        try:
            reply = await within(self._clock, self._exchange(link, frame, answer), self._ack_s)
        except NothingSent:
            self.counters.unsent += 1
            return Held(NOT_SENT)
        except SocketClosed as error:
            self.counters.unanswered += 1
            return Lost(f"the order stream ended: {error}", sent_ms)
        except Late:
            self.counters.unanswered += 1
            self._leave(link)
            return Lost(f"no acknowledgement within {self._ack_s:g} s", sent_ms)
        finally:
            link.answers.pop(req_id, None)
        self.counters.acknowledged += 1
        return self._read(reply, sent_s, sent_ms, op, user)

    def _leave(self, link: Link) -> None:
        """Leave a connection that answers pings but no order; until the next one HTTP serves."""
        if self.keeper.link is link and self._state.restarting_s is None:
            self.counters.stalls += 1
            self._state.restarting_s = self._clock.monotonic_s()
            self.keeper.nudge()

    async def _exchange(
        self, link: Link, frame: bytes, answer: asyncio.Future[wire.TradeReply]
    ) -> wire.TradeReply:
        await link.socket.send(frame)
        self.counters.sent += 1
        return await answer

    def _read(
        self, reply: wire.TradeReply, sent_s: float, sent_ms: int, op: str, user: str
    ) -> Answer:
        self._gate.venue_clock.observe(reply.venue_ms, sent_s, self._clock.monotonic_s())
        if reply.code == _CODE_RESTART:
            self._state.restarting_s = self._clock.monotonic_s() + self._ack_s
            self.keeper.nudge()
        headers = {} if reply.limit is None else {"x-bapi-limit": str(reply.limit)}
        self._gate.note_limits(user, wire.TRADE_PATHS[op], headers)
        if reply.limit_reset_ms is not None:
            headers["x-bapi-limit-reset-timestamp"] = str(reply.limit_reset_ms)
        body = {
            "retCode": reply.code,
            "retMsg": reply.message,
            "result": {
                "orderId": reply.ack.order_id,
                "orderLinkId": reply.ack.order_link_id,
            },
            "retExtInfo": dict(reply.ext),
            "time": reply.venue_ms,
        }
        return self._gate.said(body, sent_ms, user, wire.TRADE_PATHS[op], headers)

    # ------------------------------------------------------------------ the duty of its keeper

    async def opened(self, link: Link) -> None:
        """Authenticate."""
        self._state.restarting_s = None
        expires_ms = self._gate.venue_clock.now_ms() + AUTH_MARGIN_MS
        key, expires, signature = self._signer.stream_auth(expires_ms)
        auth = wire.Auth(str(key), int(expires), str(signature))
        reply = await self.keeper.ask(link, "auth", wire.encode_auth(auth, "auth", trade=True))
        if reply.code in (_CODE_OK, _CODE_REPEAT):
            self._state.refusals = 0
            return
        self._state.refusals += 1
        why = f"authentication refused: {reply.code}: {reply.message}"[:200]
        if reply.code in _KEY_CODES or self._state.refusals >= AUTH_TRIES:
            raise KeyRefused(why)
        await self._gate.sync_clock()  # the signature may have been dated wrongly
        raise Dead(why)

    async def frame(self, link: Link, raw: bytes) -> None:
        """Hand an answer to who waits for it."""
        try:
            reply = wire.decode_trade_reply(raw)
        except wire.WireError:
            self.counters.malformed += 1
            return
        if reply.is_pong:
            return
        key = "auth" if reply.op == "auth" else reply.req_id
        if not link.answer(key, reply):
            self.counters.late += 1

    async def too_long(self, link: Link, length: int) -> None:  # noqa: ARG002 - the duty's signature
        """Count it: whoever waits for what it held will find it lost."""
        self.counters.malformed += 1

    def ping(self, number: int) -> bytes:
        """Return the ping."""
        return wire.encode_trade_ping(f"p{number}")

    def deadline_s(self) -> float | None:
        """Return by when a connection that announced its end is left."""
        return self._state.restarting_s

    async def ended(self, link: Link, reason: str, *, fatal: bool) -> None:
        """Nothing to tell: requests on their way have been answered as lost."""
