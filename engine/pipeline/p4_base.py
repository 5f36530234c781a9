"""Phase 4, base: a range after the fall, measured from its own anchor."""

from math import log, sqrt
from typing import NamedTuple

from engine.kernels._jit import kernel
from engine.kernels.rolling import ew_step
from engine.kernels.swings import HIGH, LOW
from engine.kernels.zones import (
    BINS,
    CEILING_QUANTILE,
    FLOOR_QUANTILE,
    add_close,
    add_volume,
    bin_of_log,
    quantile_price,
)

AWAIT_RALLY, AWAIT_TEST, ANCHORED = 0, 1, 2
_FLOOR_MIN_BARS = 8  # before that a 2 % quantile means nothing: the trough stands in


class BaseParams(NamedTuple):
    """What a range must look like to be a base."""

    base_min: int = 96  # bars since the anchor
    base_max: int = 768
    batr_bars: int = 96  # window of the base's own ATR and volume
    reanchor: int = 1  # 1: start over at the automatic rally, wait for the secondary test
    floor_quantile: int = 1  # 1: 2 % quantile of closes; 0: the trough (a crash wick)
    height_min: float = 2.0  # H in base ATR
    height_share_max: float = 0.6  # H of the dump
    drift_max: float = 0.6  # H per base
    er_max: float = 0.25  # net move over path
    kappa_max: float = 99.0  # range over root of quadratic variation; 99 = off: it improved nothing
    spring: float = 1.0  # ATR a close may pierce the floor
    shelf_break: float = 1.5  # base ATR under the quantile floor that end an armed base
    recovery: float = 0.85  # of the dump: the base is left behind


@kernel
def clear_level(s) -> None:
    """Forget the level and all that is known of it."""
    s.level = s.level_edge = s.zone_lo = s.level_score = 0.0
    s.level_touches = 0
    s.touches_r = s.touches_s = 0
    for i in range(len(s.parts)):
        s.parts[i] = 0.0


@kernel
def base_reset(s) -> None:
    """Zero every accumulator of the base, its level included."""
    s.nb = 0
    s.c0 = s.c_last = s.sy = s.sxy = s.path = s.qv = s.don = s.bvol = s.batr = 0.0
    for i in range(2):
        s.q_bin[i] = s.q_below[i] = 0
    s.floor = s.q95 = s.height = s.drift = s.er = 0.0
    clear_level(s)
    for b in range(BINS):
        s.ht[b] = 0
        s.hv[b] = 0.0


@kernel
def base_anchor(s, bar: int) -> None:
    """Start the base at a bar: what stands before it belongs to the fall."""
    base_reset(s)
    s.anchor_bar = bar


@kernel
def base_add(s, p, h: float, lo: float, c: float, v: float, tr: float, r: float) -> None:
    """Add one bar to the base. O(1) but for the bins the bar spans."""
    y = log(c / s.trough)
    if s.nb == 0:
        s.c0 = c
    else:
        s.path += abs(r)
        s.qv += r * r
    s.sy += y
    s.sxy += s.nb * y
    s.c_last = c
    s.don = max(s.don, h)
    s.bvol = ew_step(s.bvol, v, p.batr_bars, s.nb)
    s.batr = ew_step(s.batr, tr, p.batr_bars, s.nb)
    s.nb += 1
    add_close(s, bin_of_log(s, y))
    add_volume(s, h, lo, v)


@kernel
def reanchor(s, confirmed: int) -> None:
    """Follow the automatic rally and its secondary test.

    The first swing high confirmed in the base, its own bar after the trough, is the rally: all
    accumulators start over at this, its confirming, bar. The next swing low is the test.
    """
    if s.anchor_state == AWAIT_RALLY and confirmed == HIGH:
        j = (s.piv_n - 1) % len(s.piv_bar)
        if s.piv_bar[j] > s.trough_bar:
            base_anchor(s, s.piv_bar[j])
            s.don = s.piv_price[j]
            s.anchor_state = AWAIT_TEST
    elif s.anchor_state == AWAIT_TEST and confirmed == LOW:
        s.anchor_state = ANCHORED


@kernel
def envelope(s, p) -> None:
    """Bring floor, ceiling quantile and height up to this bar."""
    s.q95 = quantile_price(s, 1, CEILING_QUANTILE)
    if p.floor_quantile == 1 and s.nb >= _FLOOR_MIN_BARS:
        # within its bin the quantile may fall short of any price there was
        s.floor = max(s.trough, quantile_price(s, 0, FLOOR_QUANTILE))
    else:
        s.floor = s.trough
    s.height = s.q95 - s.floor


@kernel
def er_of(s) -> float:
    """Return the efficiency ratio of the base's own bars: net log move over its path."""
    return abs(log(s.c_last / s.c0)) / s.path if s.path > 0.0 else 0.0


@kernel
def drift_of(s) -> float:
    """Return |OLS slope of ln close| times bars, over the log height: 1 = its own height."""
    nb = s.nb
    if nb < 2 or s.q95 <= s.floor:
        return 0.0
    sx = 0.5 * nb * (nb - 1.0)
    sxx = (nb - 1.0) * nb * (2.0 * nb - 1.0) / 6.0
    slope = (nb * s.sxy - sx * s.sy) / (nb * sxx - sx * sx)
    return abs(slope) * nb / log(s.q95 / s.floor)


@kernel
def kappa_of(s) -> float:
    """Return ln(highest/floor) over the root of quadratic variation; Brownian: about 1.6."""
    if s.qv <= 0.0 or s.don <= s.floor or s.floor <= 0.0:
        return 0.0
    return log(s.don / s.floor) / sqrt(s.qv)


@kernel
def is_valid(s, p, c: float) -> bool:
    """Tell whether the range is a base now; `envelope` must be up to date. Cheap tests first."""
    dump = s.peak - s.trough
    if s.height < p.height_min * s.batr or s.height > p.height_share_max * dump:
        return False
    if c > s.q95 + s.batr:
        return False
    s.er = er_of(s)
    if s.er > p.er_max:
        return False
    s.drift = drift_of(s)
    if s.drift > p.drift_max:
        return False
    return p.kappa_max >= 99.0 or kappa_of(s) <= p.kappa_max


@kernel
def hard_floor_broken(s, p, lo: float, c: float) -> bool:
    """Tell whether the trough gave way; count a spring when it was pierced and won back."""
    if c < s.trough - p.spring * s.atr or lo < s.trough - 2.0 * p.spring * s.atr:
        return True
    if lo < s.trough <= c:
        s.springs += 1
    return False
