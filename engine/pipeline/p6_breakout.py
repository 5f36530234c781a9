"""Phase 6, breakout: a close through the level known before the bar, its gates, and its failure."""

from typing import NamedTuple

from engine.kernels._jit import kernel
from engine.kernels.candles import body_share, close_location
from engine.messages import Gate

# Gates as plain ints: what the kernel writes.
G_BODY = int(Gate.BODY)
G_CLOSE_LOCATION = int(Gate.CLOSE_LOCATION)
G_VOLUME = int(Gate.VOLUME)
G_CHASE = int(Gate.CHASE)
# What the rules say: of a bar that may trigger, and of a breakout that stands.
NO_TRIGGER, CONFIRMED, REJECTED = 0, 1, 2
STILL, FAILED_AGAIN, FAILED_FOR_GOOD, OVER = 0, 1, 2, 3


class BreakoutParams(NamedTuple):
    """What confirms a breakout. The gates are settings, not proven filters."""

    buffer_batr: float = 0.15  # close above the level by this much
    body_min: float = 0.5  # share of the range; 0 = off
    clv_min: float = 0.65
    relvol_min: float = 1.5  # times the base's EW volume
    chase_max_batr: float = 2.5
    fail_bars: int = 8  # within which falling back counts as failed
    attempts_max: int = 2
    cool_bars: int = 16


@kernel
def trigger(s, p, o: float, h: float, lo: float, c: float, v: float):
    """Judge a bar of an armed coin; return (outcome, mask of failed gates).

    Level, base ATR and base volume are those before this bar.
    """
    line = s.level + p.buffer_batr * s.batr
    if c <= line or s.prev_close > line:
        return NO_TRIGGER, 0
    mask = 0
    if body_share(o, h, lo, c) < p.body_min:
        mask |= G_BODY
    if close_location(h, lo, c) < p.clv_min:
        mask |= G_CLOSE_LOCATION
    relvol = v / s.bvol if s.bvol > 0.0 else 0.0
    if relvol < p.relvol_min:
        mask |= G_VOLUME
    if c - s.level > p.chase_max_batr * s.batr:
        mask |= G_CHASE
    return (CONFIRMED, 0) if mask == 0 else (REJECTED, mask)


@kernel
def after_breakout(s, p, c: float) -> int:
    """Follow a breakout until it failed or its time is over."""
    age = s.n - s.brk_bar
    if age <= p.fail_bars and c < s.brk_level - s.batr:
        return FAILED_AGAIN if s.attempts < p.attempts_max and c > s.trough else FAILED_FOR_GOOD
    return OVER if age >= p.cool_bars else STILL
