"""The simulated venue reached without sockets: a transport and frame sockets on virtual time.

The client above does not notice: latency, time-outs, requests that arrive after their sender gave
up, connections refused and cut are all here; what the venue's own faults do comes from the venue.
"""

import asyncio
from collections import deque
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np

from live.clock import Clock, Late, within
from live.venues.bybit.frames import FrameSocket, NothingSent, SocketClosed
from live.venues.bybit.simdoor import HttpReply, HttpRequest
from live.venues.bybit.simsession import Session
from live.venues.bybit.simvenue import SimVenue
from live.venues.bybit.transport import Auth, NoReply, Params, Reply, payload

TIMEOUT_S = 5.0
_LOOK_S = 1.0


class DoorTransport:
    """A `Transport` into a simulated venue.

    Parameters
    ----------
    venue : SimVenue
    clock : Clock
        The venue's wall clock too.
    rng : numpy.random.Generator
        Draws latencies, and how a lost connection shows.
    delay_ms : tuple of float
        One way, from and to.
    unreachable : float
        Share of requests whose connection is never made, while `faulty`.
    """

    def __init__(
        self,
        venue: SimVenue,
        clock: Clock,
        rng: np.random.Generator,
        *,
        delay_ms: tuple[float, float] = (2.0, 40.0),
        unreachable: float = 0.0,
    ) -> None:
        self.venue = venue
        self.unreachable = unreachable
        self.sends = 0
        self.not_sent = 0
        self.timeouts = 0
        self._clock = clock
        self._rng = rng
        self._delay_ms = delay_ms
        self._under_way: set[asyncio.Task[Reply | None]] = set()

    async def send(
        self, method: str, path: str, params: Params, *, auth: Auth | None = None
    ) -> Reply | NoReply:
        """Send once; a request that outlives its time-out still arrives."""
        sent_s = self._clock.monotonic_s()
        if self.unreachable and float(self._rng.random()) < self.unreachable:
            self.not_sent += 1
            await self._clock.sleep(self._delay_s())
            return NoReply("connection refused", maybe_sent=False, sent_s=sent_s)
        text = payload(method, params)
        headers: dict[str, str] = {}
        if auth is not None:
            signed = auth.headers(method, path, text)
            headers = {name.lower(): value for name, value in signed.items()}
        get = method == "GET"
        request = HttpRequest(
            method, path, text if get else "", headers, b"" if get else text.encode()
        )
        self.sends += 1
        task = asyncio.create_task(self._carry(request, sent_s))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        try:
            reply = await within(self._clock, asyncio.shield(task), TIMEOUT_S)
        except Late:
            self.timeouts += 1
            return NoReply("timed out", maybe_sent=True, sent_s=sent_s)
        if reply is None:
            return NoReply("connection reset", maybe_sent=True, sent_s=sent_s)
        return reply

    async def _carry(self, request: HttpRequest, sent_s: float) -> Reply | None:
        await self._clock.sleep(self._delay_s())
        fault = self.venue.fate(request)
        if fault is not None and fault.kind == "slow":
            await self._clock.sleep(fault.ms / 1000.0)
        reply: HttpReply = self.venue.request(request, self._clock.now_ms(), fault)
        if reply.dropped:
            if float(self._rng.random()) < 0.5:
                await self._clock.sleep(2 * TIMEOUT_S)
            return None
        await self._clock.sleep(self._delay_s() + reply.wait_ms / 1000.0)
        headers = {name.lower(): value for name, value in reply.headers.items()}
        return Reply(reply.status, reply.body, headers, sent_s, self._clock.monotonic_s())

    def _delay_s(self) -> float:
        return float(self._rng.uniform(*self._delay_ms)) / 1000.0

    async def close(self) -> None:
        """Forget what is under way."""
        for task in list(self._under_way):
            task.cancel()


class SimSocket:
    """A `FrameSocket` onto a session of the simulated venue."""

    def __init__(self, venue: SimVenue, session: Session, clock: Clock) -> None:
        self._venue = venue
        self._session = session
        self._clock = clock
        self._frames: deque[bytes] = deque()
        self._woken = asyncio.Event()
        self._gone = False
        session.wake = self._woken.set

    async def send(self, frame: bytes) -> None:
        """Give the venue a frame."""
        if self._gone or self._session.ending:
            raise NothingSent("the connection is closed")
        self._session.receive(frame, self._clock.now_ms())

    async def recv(self) -> bytes:
        """Return the next frame once it is due."""
        while True:
            if self._frames:
                return self._frames.popleft()
            if self._gone:
                raise SocketClosed("closed here")
            now_ms = self._clock.now_ms()
            self._session.look(now_ms)
            self._frames.extend(self._session.due(now_ms))
            if self._frames:
                continue
            if self._session.ending:
                self._end()
                raise SocketClosed(f"the venue ended it ({self._session.ending})")
            self._woken.clear()
            due_ms = self._session.next_ms()
            wait_s = _LOOK_S if due_ms is None else min(_LOOK_S, (due_ms - now_ms) / 1000.0)
            try:
                await within(self._clock, self._woken.wait(), max(wait_s, 0.001))
            except Late:
                continue

    def abort(self) -> None:
        """End at once."""
        self._end()
        self._woken.set()

    def _end(self) -> None:
        if not self._gone:
            self._gone = True
            self._venue.disconnect(self._session)


class DoorConnect:
    """A `Connect` into a simulated venue."""

    def __init__(self, venue: SimVenue, clock: Clock) -> None:
        self._venue = venue
        self._clock = clock

    async def __call__(self, url: str) -> FrameSocket:
        """Open a private, an order-entry or the public linear stream."""
        parts = urlsplit(url)
        name = parts.path.rsplit("/", 1)[-1]
        stream: Any = "public" if name == "linear" else name
        life = parse_qs(parts.query).get("max_active_time", [""])[0]
        await self._clock.sleep(0.01)
        session = self._venue.connect(stream, self._clock.now_ms(), max_active=life)
        if session is None:
            raise SocketClosed("the venue refuses the connection")
        return SimSocket(self._venue, session, self._clock)
