"""A venue made of scripts: replies by request, frames by socket, a clock that runs by itself."""

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from live.clock import ManualClock
from live.venues.bybit.budgets import RequestBudget
from live.venues.bybit.clock_offset import VenueClock
from live.venues.bybit.frames import SocketClosed
from live.venues.bybit.gate import Gate
from live.venues.bybit.signer import Signer
from live.venues.bybit.trading import BybitTrading
from live.venues.bybit.transport import NoReply, Params, Reply, payload

START_MS = 1_700_000_000_000
KEY, SECRET = "TESTKEY123", "a-secret-that-nobody-may-see"


def envelope(
    result: Any = None, *, code: int = 0, message: str = "OK", time: int = 0, ext: Any = None
) -> bytes:
    """A reply of the venue."""
    body = {
        "retCode": code,
        "retMsg": message,
        "result": {} if result is None else result,
        "retExtInfo": ext or {},
        "time": time,
    }
    return json.dumps(body).encode()


Script = Reply | NoReply | bytes | Callable[[dict[str, Any]], Any]


class FakeTransport:
    """Answers each path from its own queue of scripts; the last one stays.

    A script is bytes (a 200 reply), a `Reply`, a `NoReply`, or a function of the parameters that
    returns one of these. "{time}" needs no care: a zero time of an envelope becomes the venue's.
    """

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.sent: list[tuple[str, str, dict[str, Any]]] = []
        self.signed: list[str] = []
        self.latency_s = 0.0
        self.skew_ms = 0  # venue minus this machine
        self._scripts: dict[str, deque[Script]] = defaultdict(deque)

    def script(self, path: str, *scripts: Script) -> None:
        """Answer a path so from now on."""
        self._scripts[path] = deque(scripts)

    def calls(self, path: str) -> list[dict[str, Any]]:
        """The parameters of every request to a path."""
        return [params for _, each, params in self.sent if each == path]

    async def send(
        self, method: str, path: str, params: Params, *, auth: Any = None
    ) -> Reply | NoReply:
        """Send a request."""
        sent_s = self.clock.monotonic_s()
        text = payload(method, params)
        if auth is not None:
            auth.headers(method, path, text)
            self.signed.append(text)
        self.sent.append((method, path, dict(params)))
        await self.clock.sleep(self.latency_s / 2)
        now_ms = self.clock.now_ms() + self.skew_ms
        queue = self._scripts[path]
        script = queue.popleft() if len(queue) > 1 else queue[0] if queue else envelope()
        answer = script(dict(params)) if callable(script) else script
        await self.clock.sleep(self.latency_s / 2)
        received_s = self.clock.monotonic_s()
        if isinstance(answer, NoReply):
            return NoReply(answer.reason, answer.maybe_sent, sent_s)
        if isinstance(answer, bytes):
            answer = Reply(200, answer)
        body = answer.body.replace(b'"time": 0', b'"time": %d' % now_ms)
        return Reply(answer.status, body, answer.headers, sent_s, received_s)

    async def close(self) -> None:
        """Nothing to release."""


class Running:
    """Advances a manual clock whenever everybody waits for it."""

    def __init__(self, clock: ManualClock, step_s: float = 0.01) -> None:
        self.clock = clock
        self.step_s = step_s
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Running":
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            for _ in range(20):
                await asyncio.sleep(0)
            self.clock.advance(self.step_s)


async def settle(turns: int = 30) -> None:
    """Let every task that can run do so."""
    for _ in range(turns):
        await asyncio.sleep(0)


class FakeSocket:
    """One end of a frame socket; the test holds the other."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.open = True
        self.on_send: Callable[[dict[str, Any]], None] | None = None
        self._frames: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def send(self, frame: bytes) -> None:
        """Take a frame from the client."""
        if not self.open:
            raise SocketClosed("closed by the test")
        message = json.loads(frame)
        self.sent.append(message)
        if self.on_send is not None:
            self.on_send(message)

    async def recv(self) -> bytes:
        """Give the client the next frame."""
        frame = await self._frames.get()
        if frame is None:
            raise SocketClosed("closed by the test")
        return frame

    def abort(self) -> None:
        """The client lets go."""
        self.open = False

    def push(self, message: Mapping[str, Any] | bytes) -> None:
        """Give the client a frame."""
        raw = message if isinstance(message, bytes) else json.dumps(message).encode()
        self._frames.put_nowait(raw)

    def cut(self) -> None:
        """End the connection."""
        self.open = False
        self._frames.put_nowait(None)

    def ops(self) -> list[str]:
        """What the client has asked for, in order."""
        return [m.get("op", "") for m in self.sent]


class FakeVenueSockets:
    """Opens sockets that behave; a test bends them."""

    def __init__(self, *, trade: bool = False) -> None:
        self.sockets: list[FakeSocket] = []
        self.refuse = 0  # connections to refuse
        self.auth_reply: dict[str, Any] | None = None
        self.subscribe_ok = True
        self.pongs = True
        self.acks = True  # of orders
        self.trade = trade
        self.order_code = 0

    @property
    def last(self) -> FakeSocket:
        """The newest connection."""
        return self.sockets[-1]

    async def __call__(self, url: str) -> FakeSocket:
        """Connect."""
        del url
        if self.refuse:
            self.refuse -= 1
            raise SocketClosed("refused by the test")
        socket = FakeSocket()
        socket.on_send = lambda message: self._answer(socket, message)
        self.sockets.append(socket)
        return socket

    def _answer(self, socket: FakeSocket, message: dict[str, Any]) -> None:
        op = message.get("op")
        if op == "auth":
            good: dict[str, Any] = {"success": True, "ret_msg": "", "op": "auth", "conn_id": "c"}
            if self.trade:
                good = {"retCode": 0, "retMsg": "OK", "op": "auth", "connId": "c"}
            socket.push(self.auth_reply or good)
        elif op == "subscribe":
            ok = self.subscribe_ok
            said = "" if ok else "Invalid topic"
            socket.push({"success": ok, "ret_msg": said, "op": "subscribe", "conn_id": "c"})
        elif op == "ping" and self.pongs:
            if self.trade:
                pong = {"retCode": 0, "retMsg": "OK", "op": "pong", "data": ["1"], "connId": "c"}
                socket.push(pong)
            else:
                socket.push({"op": "pong", "args": ["1"], "conn_id": "c"})
        elif op and op.startswith("order.") and self.acks:
            socket.push(self.ack(message))

    def ack(self, message: dict[str, Any]) -> dict[str, Any]:
        """The acknowledgement of an order frame."""
        link = message["args"][0].get("orderLinkId", "")
        code = self.order_code
        return {
            "reqId": message["reqId"],
            "retCode": code,
            "retMsg": "OK" if not code else "no",
            "op": message["op"],
            "data": {} if code else {"orderId": f"id-{link}", "orderLinkId": link},
            "retExtInfo": {},
            "header": {"Timenow": "1700000000000"},
            "connId": "c",
        }


class World:
    """A client over fakes."""

    def __init__(self, *, stream: Any = None) -> None:
        self.clock = ManualClock(START_MS)
        self.transport = FakeTransport(self.clock)
        self.venue_clock = VenueClock(self.clock)
        self.budget = RequestBudget(self.clock)
        rng = np.random.default_rng(1)
        self.gate = Gate(self.transport, self.budget, self.venue_clock, self.clock, rng)
        self.signer = Signer(KEY, SECRET)
        self.venue = BybitTrading(self.gate, self.signer, user="u1", stream=stream)


def order_row(
    link: str, status: str = "New", *, symbol: str = "BTCUSDT", **more: Any
) -> dict[str, Any]:
    """An order as REST shows it."""
    return {
        "orderId": f"id-{link}",
        "orderLinkId": link,
        "symbol": symbol,
        "side": "Buy",
        "orderType": "Limit",
        "orderStatus": status,
        "qty": "1",
        "price": "100",
        "cumExecQty": "0",
        "updatedTime": str(START_MS),
        "createdTime": str(START_MS),
    } | more


def page(*rows: Mapping[str, Any], cursor: str = "") -> bytes:
    """A list's reply."""
    return envelope({"list": list(rows), "nextPageCursor": cursor})
