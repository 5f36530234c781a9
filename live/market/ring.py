"""The write side of the rolling window: one jitted call appends a bar to many symbols.

Every value is written twice, N apart, in a buffer of 2N: the last bars then always lie in one
contiguous piece, whatever the position. That piece is what a zero-copy frame views.
"""

import numpy as np

from engine.kernels._jit import kernel
from engine.kernels.candles import is_sound


def warm_ring() -> None:
    """Compile, or load from the cache, this module's kernels (`engine.warm` does the engine's)."""
    stamps, values, count = np.zeros((1, 2), np.int64), np.zeros((1, 6, 2)), np.zeros(1, np.int64)
    rows, ts = np.zeros(1, np.int64), np.ones(1, np.int64)
    ring_append(stamps, values, count, rows, ts, np.ones((1, 6)))
    ring_falls(stamps, values, count, rows, 1, 1, 1, np.empty(1))


@kernel
def ring_append(
    stamps: np.ndarray,
    values: np.ndarray,
    count: np.ndarray,
    rows: np.ndarray,
    ts: np.ndarray,
    bars: np.ndarray,
) -> None:
    """Append one bar to each of ``rows``; what the detector would drop is left out here too.

    That is a repeated or older bar and an impossible one. The hole it leaves makes the coin absent
    from the market's facts, as `engine.pipeline.market.usable` does over history.

    Parameters
    ----------
    stamps : int64[symbols, 2N]
        Open times, ms.
    values : float64[symbols, 6, 2N]
        Open, high, low, close, volume, turnover.
    count : int64[symbols]
        Bars ever appended.
    rows : int64[k]
        Which symbols.
    ts : int64[k]
        Open times.
    bars : float64[k, 6]
        The bars.
    """
    n = stamps.shape[1] // 2
    for k in range(len(rows)):
        row = rows[k]
        o, h, lo, c, v = bars[k, 0], bars[k, 1], bars[k, 2], bars[k, 3], bars[k, 4]
        seen = count[row] > 0 and ts[k] <= stamps[row, (count[row] - 1) % n]
        if seen or not is_sound(o, h, lo, c, v):
            continue
        p = count[row] % n
        stamps[row, p] = ts[k]
        stamps[row, p + n] = ts[k]
        for j in range(6):
            values[row, j, p] = bars[k, j]
            values[row, j, p + n] = bars[k, j]
        count[row] += 1


@kernel
def ring_falls(
    stamps: np.ndarray,
    values: np.ndarray,
    count: np.ndarray,
    rows: np.ndarray,
    at: int,
    step_ms: int,
    window: int,
    out: np.ndarray,
) -> None:
    """Write ln(highest high of the last ``window`` bars / close) of each row at the bar ``at``.

    The live twin of `engine.kernels.rolling.falls`: NaN where the symbol lacks that bar or an
    unbroken window behind it. Same operations on the same numbers, so the same bytes.
    """
    n = stamps.shape[1] // 2
    for k in range(len(rows)):
        row = rows[k]
        out[k] = np.nan
        if count[row] < window or window > n:
            continue
        last = (count[row] - 1) % n + n
        first = last - window + 1
        # Stamps ascend on the grid: the span alone tells an unbroken run.
        if stamps[row, last] != at or stamps[row, first] != at - (window - 1) * step_ms:
            continue
        top = values[row, 1, first]
        for i in range(first + 1, last + 1):
            top = max(top, values[row, 1, i])
        out[k] = np.log(top / values[row, 3, last])
