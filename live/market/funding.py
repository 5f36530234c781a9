"""When a coin's funding is paid next, and by how much. Pure."""

import msgspec


class Funding(msgspec.Struct, frozen=True, kw_only=True):
    """The calendar of one coin; ``next_ms`` 0 = unknown."""

    symbol: str
    rate: float | None
    next_ms: int
    interval_min: int

    def instants(self, count: int) -> tuple[int, ...]:
        """Return the next instants, ms, as far as the interval of now holds."""
        if not self.next_ms:
            return ()
        step_ms = self.interval_min * 60_000
        return tuple(self.next_ms + i * step_ms for i in range(count if step_ms else 1))


def next_instant(told_ms: int, interval_min: int, now_ms: int) -> int:
    """Return the first instant after now: the one told, moved on by whole intervals if it is over.

    The venue tells the next one some moments after the last; until then it is the one computed.
    """
    if told_ms <= 0 or told_ms > now_ms:
        return max(0, told_ms)
    step_ms = interval_min * 60_000
    if step_ms <= 0:
        return 0
    return told_ms + ((now_ms - told_ms) // step_ms + 1) * step_ms
