"""Facts of a single candle. Scalars in, scalars out."""

from math import isfinite

from engine.kernels._jit import kernel


@kernel
def is_sound(o: float, h: float, lo: float, c: float, v: float) -> bool:
    """Tell whether a bar is possible: finite, positive, enclosed by high and low, volume >= 0."""
    if not (isfinite(o) and isfinite(h) and isfinite(lo) and isfinite(c) and isfinite(v)):
        return False
    if o <= 0.0 or h <= 0.0 or lo <= 0.0 or c <= 0.0 or v < 0.0:
        return False
    return h >= o and h >= c and lo <= o and lo <= c


@kernel
def true_range(h: float, lo: float, previous_close: float) -> float:
    """Return the true range in price units; ``previous_close`` of 0 means there is none."""
    span = h - lo
    if previous_close <= 0.0:
        return span
    return max(span, abs(h - previous_close), abs(lo - previous_close))


@kernel
def body_share(o: float, h: float, lo: float, c: float) -> float:
    """Return the signed body as a share of the range; 0 for a bar without range."""
    return (c - o) / (h - lo) if h > lo else 0.0


@kernel
def close_location(h: float, lo: float, c: float) -> float:
    """Return where the close lies in the range, 0 = low, 1 = high; 0 for a bar without range."""
    return (c - lo) / (h - lo) if h > lo else 0.0
