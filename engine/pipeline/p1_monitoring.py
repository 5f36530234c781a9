"""Phase 1, monitoring: which coins are watched at all, and what is always known of them."""

from enum import StrEnum
from typing import NamedTuple

from engine.kernels._jit import kernel
from engine.kernels.rolling import ew_step
from engine.kernels.swings import swing_step
from engine.pipeline.phase import P_ARMED, P_BASE, PEAK_CAPACITY


class MonitorParams(NamedTuple):
    """What is measured on every bar."""

    n_atr: int = 14  # bars of the fast ATR: Wilder's customary window
    n_slow: int = 192  # bars of slow ATR, slow volume; also the warm-up
    window: int = 192  # bars in which a peak is looked for
    k_zz: float = 2.0  # ATR a price must come back to make a pivot
    gap_max: int = 0  # missing bars bridged; 0 = any gap resets


class EligibilityParams(NamedTuple):
    """Which coins may enter the funnel."""

    turnover_min_usdt: float = 5_000_000.0  # 24 h; below it the cost model says no anyway
    listed_min_days: float = 30.0


class Ineligible(StrEnum):
    """Why a coin is not watched."""

    THIN = "too thin"
    YOUNG = "too young"
    UNKNOWN_TURNOVER = "turnover unknown"
    BLACKLISTED = "blacklisted"


def eligibility(
    turnover_24h_usdt: float,
    listed_days: float,
    *,
    blacklisted: bool,
    params: EligibilityParams,
) -> Ineligible | None:
    """Return the first reason a coin is not watched, or None when it is.

    Parameters
    ----------
    turnover_24h_usdt : float
        Quote turnover of the last 24 hours; NaN = unknown.
    listed_days : float
        Age of the listing; NaN counts as old enough (history without listing dates).
    blacklisted : bool
        Named by a person, or halted.
    params : EligibilityParams
        The limits.
    """
    if blacklisted:
        return Ineligible.BLACKLISTED
    if listed_days < params.listed_min_days:
        return Ineligible.YOUNG
    if turnover_24h_usdt != turnover_24h_usdt:  # noqa: PLR0124 - NaN
        return Ineligible.UNKNOWN_TURNOVER
    return Ineligible.THIN if turnover_24h_usdt < params.turnover_min_usdt else None


@kernel
def indicators(s, p, tr: float, r: float, v: float) -> float:
    """Update volatility and volume; return this bar's volume over the average before it."""
    n = s.n
    relvol = v / s.vol_slow if s.vol_slow > 0.0 else 0.0
    s.atr = ew_step(s.atr, tr, p.n_atr, n)
    s.atr_slow = ew_step(s.atr_slow, tr, p.n_slow, n)
    s.variance = ew_step(s.variance, r * r, 3 * p.n_slow, n)
    s.vol_slow = ew_step(s.vol_slow, v, p.n_slow, n)
    return relvol


@kernel
def push_peak(s, p, h: float) -> None:
    """Keep the monotone queue of candidate peaks of the last ``window`` bars.

    Every entry carries volatility as known at its own bar, so a dump is measured against the calm
    before it. O(1) amortised.
    """
    n = s.n
    head, size = s.dq_head, s.dq_len
    while size > 0 and s.dq_bar[head] <= n - p.window:
        head = head + 1 if head + 1 < PEAK_CAPACITY else 0
        size -= 1
    while size > 0:
        last = head + size - 1
        if last >= PEAK_CAPACITY:
            last -= PEAK_CAPACITY
        if s.dq_high[last] > h:
            break
        size -= 1
    slot = head + size
    if slot >= PEAK_CAPACITY:
        slot -= PEAK_CAPACITY
    s.dq_high[slot] = h
    s.dq_bar[slot] = n
    s.dq_sigma[slot] = s.variance
    s.dq_atr[slot] = s.atr_slow
    s.dq_head = head
    s.dq_len = size + 1


@kernel
def clear_peaks(s) -> None:
    """Consume the dump: forget the peaks before this bar."""
    s.dq_head = 0
    s.dq_len = 0


@kernel
def swings(s, p, h: float, lo: float, relvol: float) -> int:
    """Update the pivots; the threshold is finer inside a base than outside one."""
    if s.phase == P_BASE or s.phase == P_ARMED:  # noqa: PLR1714 - `in` is slower in a kernel
        theta = p.k_zz * s.atr
    else:
        theta = p.k_zz * 0.5 * (s.atr + s.atr_slow)
    return swing_step(s, h, lo, s.n, relvol, theta)
