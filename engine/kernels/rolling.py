"""Exponential and rolling statistics, one bar at a time or over a history."""

from math import log

import numpy as np

from engine.kernels._jit import kernel


@kernel
def ew_step(mean: float, x: float, window: int, n_seen: int) -> float:
    """Return the EW mean after one more value.

    The weight is 1/min(window, n_seen + 1): a plain mean at first, then exponential.
    Scaling ``mean`` and ``x`` by a power of two scales the result exactly.
    """
    # the steady weight is the same on every bar: the compiler lifts its division out of the loop
    weight = 1.0 / (n_seen + 1) if n_seen + 1 < window else 1.0 / window
    return mean + weight * (x - mean)


@kernel
def rolling_max(x: np.ndarray, window: int) -> np.ndarray:
    """Return the maximum of the last ``window`` values (fewer at the start), float64[n].

    Van Herk / Gil-Werman: about 3 ns a value whatever the window. Maxima are order-free, so the
    result equals any other exact method bit for bit. No NaN may enter.
    """
    n = len(x)
    out = np.empty(n)
    suffix = np.empty(window)
    for start in range(0, n, window):
        stop = min(start + window, n)
        running = x[start]
        for i in range(start, stop):
            running = max(running, x[i])
            # suffix[k] = maximum of the previous block from its k-th value on
            k = i - start + 1
            out[i] = max(running, suffix[k]) if start > 0 and k < window else running
        if stop - start == window:
            running = x[stop - 1]
            for k in range(window - 1, -1, -1):
                running = max(running, x[start + k])
                suffix[k] = running
    return out


@kernel
def reduce_falls(
    short: np.ndarray, long: np.ndarray, limit: float, breadth: np.ndarray, median: np.ndarray
) -> np.ndarray:
    """Reduce many coins' falls to the market's facts, instant by instant.

    Parameters
    ----------
    short, long : float64[instants, coins]
        Falls from the short and the long window's high; NaN in ``long`` = the coin is absent.
    limit : float
        From which short fall on a coin counts as fallen.
    breadth, median : float64[instants]
        Written: share of present coins fallen, median long fall; NaN where nobody is present.

    Returns
    -------
    int64[instants]
        How many coins were present. Sorted within each instant, so the coins' order is free.
        Cost: one sort an instant, about 30 ns a coin.
    """
    instants, coins = long.shape
    present = np.zeros(instants, np.int64)
    values = np.empty(coins)
    for i in range(instants):
        count = fallen = 0
        for j in range(coins):
            if not np.isnan(long[i, j]):
                values[count] = long[i, j]
                count += 1
                if short[i, j] >= limit:
                    fallen += 1
        present[i] = count
        breadth[i] = median[i] = np.nan
        if count > 0:
            ordered = np.sort(values[:count])
            breadth[i] = fallen / count
            median[i] = 0.5 * (ordered[(count - 1) // 2] + ordered[count // 2])
    return present


@kernel
def falls(
    ts: np.ndarray,
    high: np.ndarray,
    close: np.ndarray,
    step_ms: int,
    window: int,
    out: np.ndarray,
) -> None:
    """Write ln(highest high of the last ``window`` bars / close) into ``out``, float64[n].

    NaN where fewer than ``window`` bars stand in an unbroken run. Exact at any start that has the
    window behind it: nothing is accumulated. Cost about 12 ns a bar.
    """
    n = len(ts)
    start = 0
    while start < n:
        stop = start + 1
        while stop < n and ts[stop] - ts[stop - 1] == step_ms:
            stop += 1
        top = rolling_max(high[start:stop], window)
        for i in range(start, stop):
            enough = i - start >= window - 1
            out[i] = log(top[i - start] / close[i]) if enough else np.nan
        start = stop
