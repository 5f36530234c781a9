"""What one address may do: so many requests, so many new connections in a sliding window."""

from collections import deque

from live.clock import Clock


class WindowBudget:
    """At most ``limit`` actions in any ``window_s`` seconds; waiting callers go in order.

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
        self.waits = 0

    def delay_s(self) -> float:
        """Return how long the next action must wait."""
        now = self._clock.monotonic_s()
        while self._taken and now - self._taken[0] >= self._window_s:
            self._taken.popleft()
        if len(self._taken) < self._limit:
            return 0.0
        return self._taken[-self._limit] + self._window_s - now

    async def take(self) -> None:
        """Wait for room and use it."""
        delay_s = self.delay_s()
        # Booked before waiting: those who come meanwhile queue behind.
        self._taken.append(self._clock.monotonic_s() + delay_s)
        if delay_s > 0.0:
            self.waits += 1
            await self._clock.sleep(delay_s)
