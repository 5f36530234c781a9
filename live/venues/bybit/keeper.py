"""Keeps one connection up: opens it, watches its pulse, opens it again, inside the budget.

What is said over the connection is its duty's business: to authenticate and subscribe when it has
opened, to read its frames. A duty that finds the connection useless raises `Dead`; one that finds
the key refused raises `KeyRefused`: that is told as fatal, and tried again minutes later only.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from live.clock import Clock, Late, within
from live.venues.bybit.budget import Rank, WindowBudget
from live.venues.bybit.frames import (
    FRAME_BYTES_MAX,
    Connect,
    FrameSocket,
    SocketClosed,
)

CRASHES_KEPT = 20


@dataclass(frozen=True, slots=True)
class KeeperOptions:
    """Timings of one connection, seconds."""

    ping_s: float = 20.0  # the venue asks for a ping each 20 s
    quiet_s: float = 9.0  # nothing heard for so long: ping without waiting for the turn
    pong_s: float = 9.0  # nothing heard for so long after a ping: the connection is dead
    answer_s: float = 8.0  # for the answer to auth or subscribe
    open_s: float = 10.0
    backoff_first_s: float = 0.5
    backoff_max_s: float = 30.0
    steady_s: float = 30.0  # a connection that stood so long is no reason to be slow
    refused_s: float = 300.0  # after a refused key: it may have been mended, or never been at fault


class Dead(Exception):  # noqa: N818 - it names the event
    """The connection is of no more use; the message says why."""


class KeyRefused(Exception):  # noqa: N818 - it names the event
    """The venue refused the key itself: asking again soon cannot help."""


@dataclass(slots=True, eq=False)
class Link:
    """One life of the connection."""

    number: int
    socket: FrameSocket
    heard_s: float
    heard: int = 0  # frames
    ready: bool = False
    ping_sent_s: float = 0.0
    blocked: bool = False  # the reader waits for room: what looks silent is only unread
    answers: dict[str, asyncio.Future[Any]] = field(default_factory=dict)

    def answer(self, key: str, value: Any) -> bool:
        """Hand an answer to whoever waits for it."""
        waiting = self.answers.get(key)
        if waiting is None or waiting.done():
            return False
        waiting.set_result(value)
        return True


class Duty(Protocol):
    """What a kept connection is for."""

    async def opened(self, link: Link) -> None:
        """Make a new connection useful; frames are read meanwhile."""
        ...

    async def frame(self, link: Link, raw: bytes) -> None:
        """Read one frame; must not raise for what the venue may send."""
        ...

    async def too_long(self, link: Link, length: int) -> None:
        """Take note of a frame that was not read for its length."""
        ...

    def ping(self, number: int) -> bytes:
        """Return the application's ping."""
        ...

    def deadline_s(self) -> float | None:
        """Return by when data must have come, on the monotonic clock; None: it need not."""
        ...

    async def ended(self, link: Link, reason: str, *, fatal: bool) -> None:
        """Take note of the end of a connection that had opened."""
        ...


class Keeper:
    """Runs a duty over connections that end.

    Parameters
    ----------
    connections : WindowBudget
        Shared by all streams of this address.
    rng : numpy.random.Generator
        Draws the jitter.
    rank : callable
        Tells whose connections of the budget go first, whenever one is to be opened.
    """

    def __init__(
        self,
        url: str,
        duty: Duty,
        *,
        connect: Connect,
        clock: Clock,
        rng: np.random.Generator,
        connections: WindowBudget,
        options: KeeperOptions | None = None,
        rank: Callable[[], Rank] = lambda: Rank.PRIVATE,
    ) -> None:
        self.options = options or KeeperOptions()
        self.link: Link | None = None
        self.reconnects = 0
        self.failed_connects = 0
        self.frames = 0
        self.too_long = 0
        self.fatal = ""  # why nothing is tried for long
        self.crashes: list[str] = []  # errors of our own; the connection is made anew after each
        self._url = url
        self._duty = duty
        self._connect = connect
        self._clock = clock
        self._rng = rng
        self._connections = connections
        self._rank = rank
        self._attempt = 0
        self._lives = 0
        self._pings = 0
        self._nudged = asyncio.Event()

    @property
    def ready(self) -> bool:
        """Tell whether the connection has been made useful."""
        return self.link is not None and self.link.ready

    def nudge(self) -> None:
        """Look at the duty's deadline anew."""
        self._nudged.set()

    async def run(self) -> None:
        """Keep the connection up until cancelled."""
        while True:
            await self._connections.take(self._rank())
            socket = await self._connected()
            if socket is None:
                self.failed_connects += 1
                self._connections.failed()
                await self._back_off()
                continue
            self._connections.worked()
            self.fatal = ""
            self._lives += 1
            began_s = self._clock.monotonic_s()
            link = Link(self._lives, socket, heard_s=began_s)
            self.link = link
            try:
                reason = await self._live(link)
            finally:
                self.link = None
                socket.abort()
                for waiting in link.answers.values():
                    if not waiting.done():
                        waiting.set_exception(SocketClosed("the connection ended"))
                        waiting.exception()  # its waiter may have failed at sending already
            self.reconnects += 1
            await self._duty.ended(link, reason, fatal=bool(self.fatal))
            if self.fatal:
                await self._clock.sleep(self.options.refused_s)
            else:
                if self._clock.monotonic_s() - began_s >= self.options.steady_s:
                    self._attempt = 0
                await self._back_off()

    async def ask(self, link: Link, key: str, frame: bytes) -> Any:
        """Send a frame and return its answer, which the duty hands over by `key`."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        link.answers[key] = answer

        async def exchange() -> Any:
            await link.socket.send(frame)
            return await answer

        try:
            return await within(self._clock, exchange(), self.options.answer_s)
        except Late:
            raise Dead(f"no answer within {self.options.answer_s:g} s") from None
        finally:
            link.answers.pop(key, None)

    # ------------------------------------------------------------------ one life

    async def _connected(self) -> FrameSocket | None:
        try:
            return await within(self._clock, self._connect(self._url), self.options.open_s)
        except (SocketClosed, Late):
            return None
        except Exception as error:  # noqa: BLE001 - no error of a library ends a user's stream
            self._crashed(error)
            return None

    def _crashed(self, error: BaseException) -> str:
        self.crashes.append(f"{type(error).__name__}: {error}"[:500])
        del self.crashes[:-CRASHES_KEPT]
        return self.crashes[-1]

    async def _back_off(self) -> None:
        grown_s = self.options.backoff_first_s * 2.0**self._attempt
        limit_s = min(self.options.backoff_max_s, grown_s)
        self._attempt = min(self._attempt + 1, 16)
        await self._clock.sleep(limit_s * (0.5 + 0.5 * float(self._rng.random())))

    async def _live(self, link: Link) -> str:
        jobs = [self._read(link), self._open(link), self._pulse(link)]
        tasks = [asyncio.create_task(job) for job in jobs]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in tasks:
            error = None if task.cancelled() else task.exception()
            if isinstance(error, KeyRefused):
                self.fatal = str(error)
                return self.fatal
            if isinstance(error, Dead | SocketClosed):
                return str(error) or type(error).__name__
            if error is not None:
                # A bug must not leave a user without a stream: it is told as what it does, an end.
                return self._crashed(error)
        return "closed"

    async def _open(self, link: Link) -> None:
        await self._duty.opened(link)
        link.ready = True
        await asyncio.get_running_loop().create_future()  # until the life ends

    async def _read(self, link: Link) -> None:
        while True:
            raw = await link.socket.recv()
            link.heard_s = self._clock.monotonic_s()
            link.heard += 1
            self.frames += 1
            link.blocked = True
            if len(raw) > FRAME_BYTES_MAX:
                self.too_long += 1
                await self._duty.too_long(link, len(raw))
            else:
                await self._duty.frame(link, raw)
            if link.blocked:
                link.blocked = False
                link.heard_s = self._clock.monotonic_s()

    async def _pulse(self, link: Link) -> None:
        """Ping in time, and end what has fallen silent."""
        options = self.options
        link.ping_sent_s = self._clock.monotonic_s()
        unanswered_s: float | None = None  # when the oldest ping without an echo was sent
        heard = 0  # frames until then: an echo may come in the same millisecond
        while True:
            now_s = self._clock.monotonic_s()
            if unanswered_s is not None and (link.heard > heard or link.blocked):
                unanswered_s = None
            if unanswered_s is not None and now_s - unanswered_s >= options.pong_s:
                raise Dead(f"silent for {now_s - link.heard_s:.0f} s, pings unanswered")
            due_s = self._duty.deadline_s()
            if due_s is not None and now_s >= due_s and not link.blocked:
                raise Dead("data that must come did not, although the connection lives")
            ping_s = min(link.ping_sent_s + options.ping_s, link.heard_s + options.quiet_s)
            if now_s >= ping_s and unanswered_s is None:
                self._pings += 1
                heard = link.heard
                await self._send(link, self._duty.ping(self._pings))
                link.ping_sent_s = unanswered_s = now_s
            moments = [link.ping_sent_s + options.ping_s, link.heard_s + options.quiet_s]
            if unanswered_s is not None:
                moments = [unanswered_s + options.pong_s]
            if due_s is not None:
                moments.append(due_s)
            await self._rest(max(min(moments) - now_s, 0.01))

    async def _send(self, link: Link, frame: bytes) -> None:
        # A peer that no longer reads would hold a send for ever, and the watchdog with it.
        try:
            await within(self._clock, link.socket.send(frame), self.options.pong_s)
        except Late:
            raise Dead("a ping cannot be sent") from None

    async def _rest(self, delay_s: float) -> None:
        self._nudged.clear()
        with contextlib.suppress(Late):
            await within(self._clock, self._nudged.wait(), delay_s)
