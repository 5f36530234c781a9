"""The only clock of the live wing: everything else receives one of these."""

import asyncio
import heapq
import itertools
import time
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Alarm(Protocol):
    """A call that is still to come."""

    def cancel(self) -> object:
        """Let it not come."""
        ...


class Clock(Protocol):
    """What the live wing may ask of time."""

    def now_ms(self) -> int:
        """Return the wall clock, UTC ms. For records; never to measure a wait."""
        ...

    def monotonic_s(self) -> float:
        """Return seconds that never jump back. For waits and ages."""
        ...

    async def sleep(self, delay_s: float) -> None:
        """Return after ``delay_s`` seconds of this clock."""
        ...

    def call_later(self, delay_s: float, call: Callable[[], None]) -> Alarm:
        """Call after ``delay_s`` seconds of this clock: cheaper than a task that sleeps."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """Return the wall clock, UTC ms."""
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        """Return the machine's monotonic clock."""
        return time.monotonic()

    async def sleep(self, delay_s: float) -> None:
        """Sleep on the event loop."""
        await asyncio.sleep(delay_s)

    def call_later(self, delay_s: float, call: Callable[[], None]) -> Alarm:
        """Call from the event loop."""
        return asyncio.get_running_loop().call_later(delay_s, call)


class ManualClock:
    """A clock that stands until it is told to advance: tests and simulations.

    Parameters
    ----------
    start_ms : int
        Wall clock at monotonic 0, UTC ms.
    """

    def __init__(self, start_ms: int = 0) -> None:
        self._start_ms = start_ms
        self._elapsed_ms = 0  # an integer: a float of 1.7e12 ms would round small steps away
        self._order = itertools.count()
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []

    def now_ms(self) -> int:
        """Return the wall clock, UTC ms."""
        return self._start_ms + self._elapsed_ms

    def monotonic_s(self) -> float:
        """Return seconds since the start."""
        return self._elapsed_ms / 1000.0

    async def sleep(self, delay_s: float) -> None:
        """Wait until the clock has been advanced past the delay."""
        if delay_s <= 0.0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        due = self._elapsed_ms + round(delay_s * 1000.0)
        heapq.heappush(self._sleepers, (due, next(self._order), woken))
        await woken

    def call_later(self, delay_s: float, call: Callable[[], None]) -> Alarm:
        """Call once the clock has been advanced past the delay."""
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        woken.add_done_callback(lambda done: None if done.cancelled() else call())
        due = self._elapsed_ms + round(max(0.0, delay_s) * 1000.0)
        heapq.heappush(self._sleepers, (due, next(self._order), woken))
        return woken

    @property
    def sleepers(self) -> int:
        """How many tasks wait for this clock."""
        return sum(not woken.done() for _, _, woken in self._sleepers)

    def advance(self, delay_s: float) -> None:
        """Move time on and wake whoever is due, in order of their due times."""
        self._elapsed_ms += round(delay_s * 1000.0)
        while self._sleepers and self._sleepers[0][0] <= self._elapsed_ms:
            _, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)


class Late(Exception):  # noqa: N818 - it names the event
    """The wait was over before the answer came."""


async def within(clock: Clock, awaitable: Awaitable[T], timeout_s: float) -> T:
    """Return the result of an awaitable, `Late` after `timeout_s` of this clock."""
    future = asyncio.ensure_future(awaitable)
    woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def wake(_: object = None) -> None:
        if not woken.done():
            woken.set_result(None)

    future.add_done_callback(wake)
    alarm = clock.call_later(timeout_s, wake)
    try:
        await woken
        if future.done():
            return future.result()
        raise Late
    finally:
        alarm.cancel()
        future.remove_done_callback(wake)
        # Whatever comes of it now is nobody's: an error of the last moment is not to be reported.
        future.add_done_callback(_seen)
        if not future.done():
            future.cancel()


def _seen(future: asyncio.Future[T]) -> None:
    if not future.cancelled():
        future.exception()
