"""Figures about daily closing equity. Intervals: stationary bootstrap of daily returns."""

from math import e, isfinite, sqrt
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from engine.stats.bootstrap import series_interval
from engine.stats.metric import Metric

DAYS_PER_YEAR = 365.0  # this market never closes
DAYS_MIN = 30  # a yearly figure from less is an extrapolation of noise
_EULER_GAMMA = 0.5772156649015329


def returns_of(equity: np.ndarray) -> np.ndarray:
    """Return simple returns of consecutive closes, float64[n - 1]."""
    equity = np.asarray(equity, float)
    return equity[1:] / equity[:-1] - 1.0


def _curve(returns: np.ndarray) -> np.ndarray:
    first = np.ones((*returns.shape[:-1], 1))
    return np.concatenate([first, np.cumprod(1.0 + returns, axis=-1)], axis=-1)


def drawdowns(equity: np.ndarray) -> np.ndarray:
    """Return equity over its running maximum minus 1, <= 0, along the last axis."""
    return equity / np.maximum.accumulate(equity, axis=-1) - 1.0


def max_drawdown(returns: np.ndarray) -> np.ndarray:
    """Return the deepest drawdown (<= 0) along the last axis."""
    return drawdowns(_curve(returns)).min(axis=-1)


def cagr(returns: np.ndarray) -> np.ndarray:
    """Return the yearly growth rate; -1 once equity is gone."""
    growth = np.maximum(np.prod(1.0 + returns, axis=-1), 0.0)
    return growth ** (DAYS_PER_YEAR / returns.shape[-1]) - 1.0


def sharpe(returns: np.ndarray) -> np.ndarray:
    """Return mean over standard deviation (ddof 1) of daily returns, times sqrt(365)."""
    return returns.mean(axis=-1) / returns.std(axis=-1, ddof=1) * sqrt(DAYS_PER_YEAR)


def sortino(returns: np.ndarray) -> np.ndarray:
    """Return mean over downside deviation (root mean square of losses, all days), x sqrt(365)."""
    down = np.sqrt((np.minimum(returns, 0.0) ** 2).mean(axis=-1))
    return returns.mean(axis=-1) / down * sqrt(DAYS_PER_YEAR)


def calmar(returns: np.ndarray) -> np.ndarray:
    """Return CAGR over the depth of the deepest drawdown."""
    return cagr(returns) / -max_drawdown(returns)


class Drawdown(NamedTuple):
    """One fall from a high and its recovery, in rows of the curve; `end` is -1 while it lasts."""

    start: int
    trough: int
    end: int
    depth: float


def worst_drawdowns(equity: np.ndarray, count: int = 5) -> list[Drawdown]:
    """Return the deepest separate drawdowns of a curve, deepest first."""
    under = drawdowns(np.asarray(equity, float))
    found = []
    edges = np.flatnonzero(np.diff(np.concatenate([[0], (under < 0).astype(np.int8), [0]])))
    for a, b in zip(edges[::2], edges[1::2], strict=True):
        low = int(a + np.argmin(under[a:b]))
        end = int(b) if b < len(under) else -1
        found.append(Drawdown(int(a) - 1, low, end, float(under[low])))
    return sorted(found, key=lambda d: d.depth)[:count]


def longest_underwater(equity: np.ndarray) -> int:
    """Return the longest stretch of rows from a high to its recovery, or to the end."""
    worst = worst_drawdowns(equity, count=len(equity))
    return max(((d.end if d.end >= 0 else len(equity) - 1) - d.start for d in worst), default=0)


def probabilistic_sharpe(returns: np.ndarray, benchmark: float) -> float:
    """Return the probability that the true daily Sharpe exceeds ``benchmark``.

    Bailey and Lopez de Prado 2012.

    Daily units, no annualisation. NaN under 3 returns or without spread.
    """
    n = len(returns)
    spread = float(returns.std(ddof=1)) if n > 2 else 0.0  # noqa: PLR2004 - skewness needs three
    if not spread > 0.0:
        return float("nan")
    z = (returns - returns.mean()) / returns.std()
    skew, kurtosis = float((z**3).mean()), float((z**4).mean())
    ratio = float(returns.mean()) / spread
    variance = 1.0 - skew * ratio + 0.25 * (kurtosis - 1.0) * ratio * ratio
    if not variance > 0.0:
        return float("nan")
    return NormalDist().cdf((ratio - benchmark) * sqrt(n - 1) / sqrt(variance))


def expected_best_sharpe(n_trials: int, variance: float) -> float:
    """Return the Sharpe the best of ``n_trials`` worthless trials shows; 0 for a single one."""
    if n_trials <= 1 or not variance > 0.0:
        return 0.0
    quantile = NormalDist().inv_cdf
    return sqrt(variance) * (
        (1.0 - _EULER_GAMMA) * quantile(1.0 - 1.0 / n_trials)
        + _EULER_GAMMA * quantile(1.0 - 1.0 / (n_trials * e))
    )


def deflated_sharpe(returns: np.ndarray, n_trials: int, variance: float | None = None) -> float:
    """Return the probability that the Sharpe is better than the best of as many worthless trials.

    Parameters
    ----------
    returns : float64[n]
        Daily returns of the trial chosen.
    n_trials : int
        Everything tried on this data.
    variance : float, optional
        Of the trials' daily Sharpe ratios; without it that of a worthless one, 1 / (n - 1).
    """
    if variance is None:
        variance = 1.0 / (len(returns) - 1) if len(returns) > 1 else 0.0
    return probabilistic_sharpe(returns, expected_best_sharpe(n_trials, variance))


def equity_metrics(
    equity: np.ndarray, rng: np.random.Generator, *, n_trials: int = 1, n_draws: int = 1000
) -> list[Metric]:
    """Compute every figure about a curve of daily closes, the first value being the start.

    Sharpe, Sortino, Calmar and CAGR are NaN under `DAYS_MIN` days.
    """
    returns = returns_of(equity)
    days = len(returns)
    out = []
    yearly = days >= DAYS_MIN and bool(np.all(equity > 0.0))
    table = (
        ("sharpe", "per year", "mean / deviation of daily returns x sqrt(365)", sharpe),
        ("sortino", "per year", "mean / downside deviation of daily returns x sqrt(365)", sortino),
        ("calmar", "ratio", "CAGR over the deepest drawdown; NaN without one", calmar),
        ("cagr", "share per year", "yearly growth of equity", cagr),
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        for name, unit, definition, statistic in table:
            text = f"{definition}; NaN under {DAYS_MIN} days"
            value = float(statistic(returns)) if yearly else float("nan")
            span = series_interval(returns, statistic, rng, n_draws=n_draws) if yearly else ()
            value = value if isfinite(value) else float("nan")
            out.append(Metric(name, value, unit, text, days, *span))
        deep = float(max_drawdown(returns)) if days else 0.0
        span = series_interval(returns, max_drawdown, rng, n_draws=n_draws)
    text = "deepest fall of daily closing equity (marked to market) from its high; 0 without a fall"
    out.append(Metric("max_drawdown", deep, "share", text, days, *span))
    out.append(
        Metric(
            "drawdown_days",
            float(longest_underwater(np.asarray(equity, float))),
            "days",
            "longest time from a high of equity to its recovery, or to the end",
            days,
        )
    )
    out.append(
        Metric(
            "deflated_sharpe",
            deflated_sharpe(returns, n_trials) if yearly else float("nan"),
            "probability",
            f"that the Sharpe beats the best of {n_trials:,} worthless trials, taken as "
            f"independent; with one trial, that it is above 0; NaN under {DAYS_MIN} days",
            days,
        )
    )
    return out
