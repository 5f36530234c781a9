"""What one address may do: so many requests, so many new connections in a sliding window."""

import asyncio
import heapq
import itertools
from collections import deque
from enum import IntEnum

from live.clock import Alarm, Clock

DOWN_AFTER = 5  # connections that failed in a row, whoever's, before the venue counts as down
PROBE_S = 3.0  # between two attempts while it does
_TICK_S = 0.001


class Rank(IntEnum):
    """Whose connection is opened first where they have to wait; lower goes first."""

    MARKET = 0  # few, and every user's
    EXPOSED = 1  # the private stream of a user with something at stake
    PRIVATE = 2
    ORDERS = 3  # orders go by HTTP meanwhile


class WindowBudget:
    """At most ``limit`` actions in any ``window_s`` seconds; of equal rank callers go in order.

    While nobody gets through (`failed`), one tries for all: an outage must not use up the window,
    or its end would find every user waiting for room.

    Parameters
    ----------
    clock : Clock
    limit : int
        Stay below the venue's own number: other programs may share the address.
    window_s : float
    """

    def __init__(self, clock: Clock, limit: int, window_s: float) -> None:
        self._clock = clock
        self._limit = limit
        self._window_s = window_s
        self._taken: deque[float] = deque()
        self._failures = 0
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()
        self._alarm: Alarm | None = None
        self.waits = 0

    def delay_s(self) -> float:
        """Return how long the next action must wait."""
        now = self._clock.monotonic_s()
        while self._taken and now - self._taken[0] >= self._window_s:
            self._taken.popleft()
        delay_s = 0.0
        if len(self._taken) >= self._limit:
            delay_s = self._taken[0] + self._window_s - now
        if self._failures >= DOWN_AFTER and self._taken:
            delay_s = max(delay_s, self._taken[-1] + PROBE_S - now)
        return delay_s

    async def take(self, rank: int = Rank.MARKET) -> None:
        """Wait for room and use it."""
        if not self._waiting and self.delay_s() <= 0.0:
            self._taken.append(self._clock.monotonic_s())
            return
        self.waits += 1
        room: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (int(rank), next(self._numbers), room))
        self._grant()
        await room

    def failed(self) -> None:
        """Say that an action came to nothing."""
        self._failures += 1

    def worked(self) -> None:
        """Say that an action succeeded: whoever waits only because of failures goes on."""
        was, self._failures = self._failures, 0
        if was >= DOWN_AFTER:
            self._grant()

    def _grant(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        while self._waiting:
            if self._waiting[0][2].done():  # its owner left
                heapq.heappop(self._waiting)
                continue
            delay_s = self.delay_s()
            if delay_s > 0.0:
                self._alarm = self._clock.call_later(max(delay_s, _TICK_S), self._grant)
                return
            self._taken.append(self._clock.monotonic_s())
            heapq.heappop(self._waiting)[2].set_result(None)
