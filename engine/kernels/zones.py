"""The base's price histogram and its quantiles; how good a ceiling a price makes.

Bins are equal in log price: the lower edge lies a quarter of the dump below the trough, the upper
edge a quarter above the peak. Only logs of ratios are taken, so a power of two in the price changes
no bin. The functions work on the fields of a coin context.
"""

from math import exp, floor, log, log10

import numpy as np

from engine.kernels._jit import kernel

BINS = 64
BELOW, SPAN = 0.25, 1.5  # in dumps: start below the trough, whole width
FLOOR_QUANTILE, CEILING_QUANTILE, VALUE_AREA = 0.02, 0.95, 0.70


@kernel
def bins_per_log(depth: float) -> float:
    """Return how many bins a unit of log price spans, for a dump of this depth."""
    return BINS / (SPAN * depth)


@kernel
def bin_of_log(s, y: float) -> int:
    """Return the bin of a log ratio to the trough, clipped to the histogram."""
    position = y * s.bin_scale + BINS * BELOW / SPAN
    return int(min(max(position, 0.0), BINS - 1.0))


@kernel
def bin_of(s, price: float) -> int:
    """Return the bin of a price, clipped to the histogram."""
    return bin_of_log(s, log(price / s.trough))


@kernel
def price_at(s, position: float) -> float:
    """Return the price at a position measured in bins."""
    return s.trough * exp((position - BINS * BELOW / SPAN) / s.bin_scale)


@kernel
def add_close(s, b: int) -> None:
    """Count one close and move both quantile pointers; integers only, so order never matters.

    A pointer stands in the bin where the running count first reaches the quantile's share.
    """
    s.ht[b] += 1
    for i in range(2):
        target = (FLOOR_QUANTILE if i == 0 else CEILING_QUANTILE) * s.nb
        at, below = s.q_bin[i], s.q_below[i]
        if b < at:
            below += 1
        while below + s.ht[at] < target and at < BINS - 1:
            below += s.ht[at]
            at += 1
        while at > 0 and below >= target:
            at -= 1
            below -= s.ht[at]
        s.q_bin[i] = at
        s.q_below[i] = below


@kernel
def quantile_price(s, i: int, q: float) -> float:
    """Return a quantile of the base's closes (pointer i), linear within its bin."""
    at = s.q_bin[i]
    return price_at(s, at + (q * s.nb - s.q_below[i]) / max(s.ht[at], 1))


@kernel
def add_volume(s, h: float, lo: float, v: float) -> None:
    """Spread a bar's volume evenly over the bins between its low and its high."""
    first = bin_of(s, lo)
    last = bin_of(s, h)
    part = v / (last - first + 1)
    for b in range(first, last + 1):
        s.hv[b] += part


@kernel
def value_area_high(s) -> float:
    """Return the upper end of the band around the busiest bin that holds 70 % of volume."""
    total = 0.0
    top = 0
    for b in range(BINS):
        total += s.hv[b]
        if s.hv[b] > s.hv[top]:
            top = b
    held, first, last = s.hv[top], top, top
    while held < VALUE_AREA * total and (first > 0 or last < BINS - 1):
        under = s.hv[first - 1] if first > 0 else -1.0
        over = s.hv[last + 1] if last < BINS - 1 else -1.0
        if over >= under:
            last += 1
            held += over
        else:
            first -= 1
            held += under
    return price_at(s, last + 1.0)


@kernel
def edge_contrast(s, x: float, reach: float) -> float:
    """Return (volume below - above) / both, within ``reach`` of x: a ceiling is dense below."""
    if reach <= 0.0 or x <= reach:
        return 0.0
    at = bin_of(s, x)
    first = bin_of(s, x - reach)
    last = bin_of(s, x + reach)
    below = above = 0.0
    for b in range(first, at):
        below += s.hv[b]
    for b in range(at + 1, last + 1):
        above += s.hv[b]
    both = below + above
    return (below - above) / both if both > 0.0 else 0.0


@kernel
def overhang(s, x: float) -> float:
    """Return the share of the base's closes above x: a level closed through is no ceiling."""
    above = 0
    for b in range(bin_of(s, x) + 1, BINS):
        above += s.ht[b]
    return above / s.nb if s.nb > 0 else 0.0


@kernel
def is_round(x: float, tolerance: float) -> bool:
    """Tell whether x lies within ``tolerance`` of a tenth of its decade (a quarter above five)."""
    decade = 10.0 ** floor(log10(x))
    step = 0.1 * decade if x < 5.0 * decade else 0.25 * decade
    return abs(x - np.round(x / step) * step) <= tolerance


@kernel
def mixed_unit(a: int, b: int) -> float:
    """Return a repeatable number in [0, 1) from two integers (splitmix64's finaliser)."""
    # int64 first: uncompiled, numpy takes a negative number only from an int64
    z = np.uint64(np.int64(a)) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(np.int64(b))
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return float(z >> np.uint64(11)) / 9007199254740992.0
