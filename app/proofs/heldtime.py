"""Clocks of a service whose venue waits for it: the venue stands, the service goes on."""

from app.proofs.simloop import SimClock
from live.venues.bybit.clock_offset import VenueClock


class WireTime:
    """The clock of wires and of the market layer: goes on while the venues stand, then leaps."""

    def __init__(self, real: SimClock, at_ms: int) -> None:
        self._real = real
        self._ahead_ms = at_ms - real.now_ms()
        self.monotonic_s = real.monotonic_s
        self.sleep = real.sleep
        self.call_later = real.call_later

    def now_ms(self) -> int:
        """Return the wall clock."""
        return self._real.now_ms() + self._ahead_ms

    def leap(self, to_ms: int) -> None:
        """Go on at a moment of the venues; never back."""
        self._ahead_ms += max(0, to_ms - self.now_ms())


class HeldTime(WireTime):
    """The engines' clock: the instant at which the venues stand."""

    def __init__(self, real: SimClock, at_ms: int) -> None:
        super().__init__(real, at_ms)
        self.at_ms = at_ms

    def now_ms(self) -> int:
        """Return the venues' time."""
        return self.at_ms


class KnownClock(VenueClock):
    """The venue's clock where it is known: it leaps, which no machine's does."""

    def __init__(self, clock: WireTime) -> None:
        super().__init__(clock)
        self._wire = clock

    def observe(self, venue_ms: int, sent_s: float, received_s: float) -> None:
        """Learn nothing."""

    def at_ms(self, monotonic_s: float) -> int:
        """Return the time at a moment of this hold."""
        ago_s = self._wire.monotonic_s() - monotonic_s
        return self._wire.now_ms() - round(ago_s * 1000.0)

    def signing_ms(self) -> int:
        """Return the time to sign by."""
        return self._wire.now_ms()
