"""The naive twin of the market facts: for every bar, look at every coin's own list of bars."""

from math import isfinite, log, nan
from statistics import median

from engine.bars import Bars


def usable_bars(bars: Bars, step_ms: int) -> dict[int, tuple[float, float]]:
    """Return {open time: (high, close)} of possible, on-grid bars later than all before."""
    out: dict[int, tuple[float, float]] = {}
    latest = None
    columns = (bars.ts, bars.open, bars.high, bars.low, bars.close, bars.volume)
    for t, o, h, lo, c, v in zip(*(x.tolist() for x in columns), strict=True):
        if t % step_ms or not all(isfinite(x) for x in (o, h, lo, c, v)):
            continue
        if min(o, h, lo, c) <= 0.0 or v < 0.0 or h < max(o, c) or lo > min(o, c):
            continue
        if latest is None or t > latest:
            latest = t
            out[t] = (h, c)
    return out


def fall(bars: dict[int, tuple[float, float]], t: int, window: int, step_ms: int) -> float | None:
    """ln(highest high of the last ``window`` bars / close at t), or None with a hole in it."""
    stamps = [t - i * step_ms for i in range(window)]
    if any(x not in bars for x in stamps):
        return None
    return log(max(bars[x][0] for x in stamps) / bars[t][1])


def facts_before(
    universe: dict[str, Bars], t: int, params, step_ms: int
) -> tuple[float, float, int, int]:
    """Return (breadth, median fall, present, absent) for the bar that opens at t."""
    short, long = [], []
    for bars in universe.values():
        mine = usable_bars(bars, step_ms)
        here = fall(mine, t - step_ms, params.fall_bars, step_ms)
        if here is not None:
            long.append(here)
            short.append(fall(mine, t - step_ms, params.breadth_bars, step_ms))
    if not long:
        return nan, nan, 0, len(universe)
    limit = -log(1.0 - params.breadth_fall)
    fallen = sum(x is not None and x >= limit for x in short)
    return fallen / len(long), median(long), len(long), len(universe) - len(long)
