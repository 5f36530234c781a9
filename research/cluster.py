"""Intervals for figures whose cases move together: calendar weeks are drawn, all coins at once."""

from typing import NamedTuple

import numpy as np

from engine.stats.bootstrap import interval

DRAWS = 2000


class Estimate(NamedTuple):
    """A figure with its interval; NaN where it has no value."""

    value: float
    low: float
    high: float
    n: int = 0  # cases behind it

    def excludes(self, x: float) -> bool:
        """Tell whether the interval lies wholly on one side of ``x``."""
        return self.low > x or self.high < x


def week_draws(n_weeks: int, rng: np.random.Generator, draws: int = DRAWS) -> np.ndarray:
    """Return how often each week stands in each resample, float64[draws, n_weeks]."""
    if n_weeks == 0:
        return np.zeros((draws, 0))
    return rng.multinomial(n_weeks, np.full(n_weeks, 1.0 / n_weeks), size=draws).astype(np.float64)


def quantile_interval(value: float, draws: np.ndarray, n: int = 0) -> Estimate:
    """Return a value with the middle 95 % of its resamples, those without a value left out."""
    low, high = interval(draws) if np.isfinite(value) else (float("nan"), float("nan"))
    return Estimate(float(value), low, high, n)


def bootstrap(
    values: np.ndarray, statistic: str, rng: np.random.Generator, draws: int = DRAWS
) -> Estimate:
    """Return the mean or median of independent cases with its bootstrap interval.

    Parameters
    ----------
    values : float64[n]
        One per case; NaN = no value, left out.
    statistic : {"mean", "median"}
    rng : numpy Generator
    draws : int
        Resamples.
    """
    values = np.asarray(values, np.float64)
    values = values[np.isfinite(values)]
    n = len(values)
    if n == 0:
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    apply = np.median if statistic == "median" else np.mean
    resampled = apply(values[rng.integers(0, n, size=(draws, n))], axis=1)
    return quantile_interval(float(apply(values)), resampled, n)


def bootstrap_ratio(
    above: np.ndarray, below: np.ndarray, rng: np.random.Generator, draws: int = DRAWS
) -> Estimate:
    """Return sum(above)/sum(below) over independent cases with its bootstrap interval."""
    above, below = np.asarray(above, np.float64), np.asarray(below, np.float64)
    n = len(above)
    if n == 0 or below.sum() == 0.0:
        return Estimate(float("nan"), float("nan"), float("nan"), n)
    rows = rng.integers(0, n, size=(draws, n))
    with np.errstate(divide="ignore", invalid="ignore"):
        resampled = above[rows].sum(axis=1) / below[rows].sum(axis=1)
    return quantile_interval(float(above.sum() / below.sum()), resampled, n)
