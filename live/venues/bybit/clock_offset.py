"""What the venue's clock says, from its own replies.

The venue takes a request whose timestamp is at most `recv_window` old and less than one second
ahead. Its time is counted on the machine's monotonic clock, so a jump of the wall clock here
changes nothing.
"""

from collections import deque
from dataclasses import dataclass

from live.clock import Clock

SAMPLES_MAX = 16
SAMPLE_AGE_S = 300.0  # beyond, the drift of two clocks may exceed what a round trip tells
_JUMP_MS = 500.0  # a sample this far outside what is known: one of the clocks was set


@dataclass(frozen=True, slots=True)
class _Sample:
    """The venue's time fell between `low` and `high` on our scale."""

    at_s: float
    low: float  # offset if the reply took no time to come back
    high: float  # offset if the request took no time to arrive

    @property
    def width(self) -> float:
        return self.high - self.low


class VenueClock:
    """The venue's time, and how surely it is known. One for all users of a venue.

    Parameters
    ----------
    clock : Clock
        Until the first sample its wall clock stands in.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._samples: deque[_Sample] = deque(maxlen=SAMPLES_MAX)
        self._best: _Sample | None = None
        self.jumps = 0

    @property
    def synced(self) -> bool:
        """Tell whether the venue has told its time yet."""
        return self._best is not None

    @property
    def width_ms(self) -> float:
        """How wide the interval is in which the venue's clock stands; inf before a sample."""
        return self._best.width if self._best is not None else float("inf")

    @property
    def offset_ms(self) -> float:
        """Venue minus this machine's wall clock, for people to read."""
        return self.now_ms() - self._clock.now_ms()

    def observe(self, venue_ms: int, sent_s: float, received_s: float) -> None:
        """Learn from a reply: it was written at `venue_ms`, between sending and receiving.

        Parameters
        ----------
        venue_ms : int
            The reply's `time`.
        sent_s, received_s : float
            On the clock's monotonic scale.
        """
        if venue_ms <= 0 or received_s < sent_s:
            return
        sample = _Sample(received_s, venue_ms - received_s * 1000.0, venue_ms - sent_s * 1000.0)
        best = self._best
        if best is not None and (
            sample.low > best.high + _JUMP_MS or sample.high < best.low - _JUMP_MS
        ):
            self.jumps += 1
            self._samples.clear()
            best = None
        samples = self._samples
        lost = len(samples) == SAMPLES_MAX and samples[0] is best
        samples.append(sample)
        while received_s - samples[0].at_s > SAMPLE_AGE_S:
            lost = samples.popleft() is best or lost
        # The shortest round trip knows best; of equals the newest.
        if best is None or sample.width <= best.width:
            self._best = sample
        elif lost:
            self._best = min(reversed(samples), key=lambda s: s.width)

    def forget(self) -> None:
        """Drop what was learnt: the venue refused a timestamp."""
        self._samples.clear()
        self._best = None

    def at_ms(self, monotonic_s: float) -> int:
        """Return the venue's time at a moment of the monotonic clock: the middle of what may be."""
        best = self._best
        if best is None:
            ago_s = self._clock.monotonic_s() - monotonic_s
            return self._clock.now_ms() - round(ago_s * 1000.0)
        return round(monotonic_s * 1000.0 + (best.low + best.high) / 2.0)

    def now_ms(self) -> int:
        """Return the venue's time."""
        return self.at_ms(self._clock.monotonic_s())

    def signing_ms(self) -> int:
        """Return a timestamp that is surely not ahead of the venue and hardly behind it."""
        best = self._best
        if best is None:
            return self._clock.now_ms()
        return int(self._clock.monotonic_s() * 1000.0 + best.low)
