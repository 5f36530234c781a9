"""Phase 2, dump: a fall that is large, fast against the calm before it, and wide in ATR."""

from math import log, sqrt
from typing import NamedTuple

from engine.kernels._jit import kernel
from engine.kernels.zones import bins_per_log
from engine.pipeline.phase import P_DUMP


class DumpParams(NamedTuple):
    """When a fall is a dump."""

    d_min: float = 0.06  # ln(peak/close)
    z_min: float = 2.0  # in sigma before the fall, times root of its bars
    k_atr: float = 8.0  # in slow ATR before the fall


@kernel
def is_dump(s, p, c: float) -> bool:
    """Judge the newest close against the front of the peak queue; keep a dump's facts."""
    front = s.dq_head
    peak = s.dq_high[front]
    # ln(peak/c) >= d_min needs peak/c >= 1 + d_min: spares the log on almost every bar
    if peak < c * (1.0 + p.d_min):
        return False
    fall = log(peak / c)
    bars = max(1, s.n - s.dq_bar[front])
    sigma = sqrt(s.dq_sigma[front])
    if fall < p.d_min or fall < p.z_min * sigma * sqrt(bars):
        return False
    if peak - c < p.k_atr * s.dq_atr[front]:
        return False
    s.peak = peak
    s.peak_bar = s.dq_bar[front]
    s.peak_sigma = sigma
    s.peak_atr = s.dq_atr[front]
    s.drop = fall
    s.z = fall / (sigma * sqrt(bars)) if sigma > 0.0 else 0.0
    return True


@kernel
def new_trough(s, lo: float, median_fall: float) -> None:
    """Start over from a lower low: trough, market, and the depth that cuts the histogram."""
    s.trough = lo
    s.trough_bar = s.n
    s.depth = log(s.peak / lo)
    s.bin_scale = bins_per_log(s.depth)
    s.fall_tr = median_fall
    s.phase = P_DUMP
