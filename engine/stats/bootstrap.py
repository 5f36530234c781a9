"""Intervals by resampling. Randomness is an argument, always a numpy Generator."""

from collections.abc import Callable

import numpy as np

WEEK_MS = 7 * 86_400_000
_MONDAY_MS = 4 * 86_400_000  # 1970-01-05 was the first Monday
CLUSTERS_MIN = 4  # fewer clusters say nothing about their spread
LEVEL = 0.95


def week_of(ts: np.ndarray) -> np.ndarray:
    """Return the calendar week (from Monday 00:00 UTC) of each time in ms, int64[n]."""
    return (np.asarray(ts, np.int64) - _MONDAY_MS) // WEEK_MS


def interval(draws: np.ndarray) -> tuple[float, float]:
    """Return the 95 % percentile interval of draws; NaN when under half of them are finite."""
    finite = draws[np.isfinite(draws)]
    if len(finite) * 2 < len(draws) or len(finite) == 0:
        return float("nan"), float("nan")
    tail = 50.0 * (1.0 - LEVEL)
    low, high = np.percentile(finite, [tail, 100.0 - tail])
    return float(low), float(high)


def cluster_sums(values: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """Sum rows by cluster: float64[n, k], any[n] -> float64[n_clusters, k], clusters ascending."""
    _, inverse = np.unique(clusters, return_inverse=True)
    sums = np.zeros((int(inverse.max()) + 1 if len(inverse) else 0, values.shape[1]))
    np.add.at(sums, inverse, values)
    return sums


def cluster_draws(sums: np.ndarray, n_draws: int, rng: np.random.Generator) -> np.ndarray:
    """Resample clusters with replacement and add up their sums, float64[n_draws, k].

    Trades of one week move together (coins fall together), so weeks are drawn, not trades: an
    interval over trades would be too narrow. One matrix product for all draws.
    """
    n = len(sums)
    if n < CLUSTERS_MIN:
        return np.full((n_draws, sums.shape[1]), np.nan)
    times_drawn = rng.multinomial(n, np.full(n, 1.0 / n), size=n_draws)
    return times_drawn @ sums


def stationary_indices(
    n: int, n_draws: int, mean_block: float, rng: np.random.Generator
) -> np.ndarray:
    """Return row numbers of the stationary bootstrap (Politis and Romano 1994), int64[n_draws, n].

    Blocks of geometric length with the given mean, joined end to end on a circle: keeps the short
    memory of a return series that independent draws would destroy.
    """
    jump = rng.random((n_draws, n)) < 1.0 / mean_block
    jump[:, 0] = True
    start = rng.integers(0, n, size=(n_draws, n))
    position = np.broadcast_to(np.arange(n), (n_draws, n))
    last_jump = np.maximum.accumulate(np.where(jump, position, 0), axis=1)
    return (np.take_along_axis(start, last_jump, axis=1) + position - last_jump) % n


def series_interval(
    values: np.ndarray,
    statistic: Callable[[np.ndarray], np.ndarray],
    rng: np.random.Generator,
    *,
    n_draws: int = 1000,
    mean_block: float = 10.0,
) -> tuple[float, float]:
    """Return the interval of ``statistic``, which maps float64[b, n] to float64[b]."""
    if len(values) < 2 * CLUSTERS_MIN:
        return float("nan"), float("nan")
    index = stationary_indices(len(values), n_draws, mean_block, rng)
    return interval(statistic(values[index]))
