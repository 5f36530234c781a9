"""Figures about trades, from columns of closed trades. Intervals: bootstrap over calendar weeks."""

from collections.abc import Callable
from math import log, sqrt
from typing import NamedTuple

import numpy as np

from engine.stats.bootstrap import cluster_draws, cluster_sums, interval
from engine.stats.metric import Metric

N_DRAWS = 2000
_F = np.ndarray


class TradeColumns(NamedTuple):
    """Columns of closed trades, float64[n] but `cluster`, in order of their exits.

    `r`, `mae_r`, `mfe_r` in R, the rest in quote units.
    """

    r: _F
    net: _F
    gross: _F
    fees: _F
    slippage: _F
    funding: _F
    risk: _F
    mae_r: _F
    mfe_r: _F
    cluster: _F  # week of the signal

    def take(self, rows: np.ndarray) -> "TradeColumns":
        """Return the trades named by a mask or by row numbers."""
        return TradeColumns(*(column[rows] for column in self))


def _columns(t: TradeColumns) -> np.ndarray:
    win = t.net > 0.0
    one = np.ones(len(t.r))
    return np.column_stack(
        [
            one,  # 0
            t.r,  # 1
            t.r * t.r,  # 2
            win,  # 3
            np.where(win, t.net, 0.0),  # 4 gains
            np.where(win, 0.0, -t.net),  # 5 losses
            np.where(win, t.r, 0.0),  # 6
            np.where(win, 0.0, -t.r),  # 7
            t.mae_r,  # 8
            t.mfe_r,  # 9
            t.fees / t.risk,  # 10
            t.slippage / t.risk,  # 11
            t.funding / t.risk,  # 12
            t.gross / t.risk,  # 13
            t.net,  # 14
        ]
    )


def _sqn(s: np.ndarray) -> np.ndarray:
    n, total, square = s[..., 0], s[..., 1], s[..., 2]
    variance = (square - total * total / n) / (n - 1.0)
    return np.sqrt(n) * (total / n) / np.sqrt(variance)


# name, unit, definition, statistic of the column sums
_TABLE: tuple[tuple[str, str, str, Callable[[np.ndarray], np.ndarray]], ...] = (
    (
        "expectancy_r",
        "R",
        "mean of net / risk; NaN without trades",
        lambda s: s[..., 1] / s[..., 0],
    ),
    (
        "gross_r",
        "R",
        "mean of gross / risk: before slippage, fees and funding; NaN without trades",
        lambda s: s[..., 13] / s[..., 0],
    ),
    (
        "win_rate",
        "share",
        "trades with net > 0 over all; NaN without trades",
        lambda s: s[..., 3] / s[..., 0],
    ),
    (
        "profit_factor",
        "ratio",
        "sum of net gains over sum of net losses; NaN without a loss",
        lambda s: s[..., 4] / s[..., 5],
    ),
    ("net_usdt", "USDT", "sum of net; 0 without trades", lambda s: s[..., 14]),
    (
        "payoff",
        "ratio",
        "mean R of winners over mean loss in R of losers; NaN without both",
        lambda s: (s[..., 6] / s[..., 3]) / (s[..., 7] / (s[..., 0] - s[..., 3])),
    ),
    (
        "sqn",
        "number",
        "sqrt(n) x mean R / standard deviation of R; NaN under 2 trades or without spread",
        _sqn,
    ),
    (
        "mae_r",
        "R",
        "mean of the worst excursion against the entry, counted positive",
        lambda s: s[..., 8] / s[..., 0],
    ),
    ("mfe_r", "R", "mean of the best excursion for the entry", lambda s: s[..., 9] / s[..., 0]),
    ("fees_r", "R", "mean of fees / risk", lambda s: s[..., 10] / s[..., 0]),
    ("slippage_r", "R", "mean of slippage / risk", lambda s: s[..., 11] / s[..., 0]),
    (
        "funding_r",
        "R",
        "mean of funding paid / risk; symbols without a series count 0 here and are counted apart",
        lambda s: s[..., 12] / s[..., 0],
    ),
    (
        "cost_r",
        "R",
        "mean of fees + slippage + funding, over risk",
        lambda s: (s[..., 10] + s[..., 11] + s[..., 12]) / s[..., 0],
    ),
)


def trade_metrics(
    trades: TradeColumns, rng: np.random.Generator, *, n_draws: int = N_DRAWS
) -> list[Metric]:
    """Compute every figure about trades with its interval; all are NaN without trades but net."""
    n = len(trades.r)
    table = _columns(trades) if n else np.zeros((0, 15))
    total = table.sum(axis=0)
    draws = cluster_draws(cluster_sums(table, trades.cluster), n_draws, rng)
    out = []
    with np.errstate(divide="ignore", invalid="ignore"):
        for name, unit, definition, statistic in _TABLE:
            value = float(statistic(total))
            value = value if np.isfinite(value) else float("nan")
            low, high = interval(statistic(draws))
            out.append(Metric(name, value, unit, definition, n, low, high))
    return out


def mean_interval(
    values: np.ndarray, clusters: np.ndarray, rng: np.random.Generator, *, n_draws: int = N_DRAWS
) -> tuple[float, float, float]:
    """Return (mean, low, high) of a column, clusters resampled; NaN when empty."""
    if len(values) == 0:
        return float("nan"), float("nan"), float("nan")
    table = np.column_stack([np.ones(len(values)), values])
    draws = cluster_draws(cluster_sums(table, clusters), n_draws, rng)
    return float(values.mean()), *interval(draws[:, 1] / draws[:, 0])


class Streaks(NamedTuple):
    """Runs of wins and of losses, and the longest losing run chance alone would give."""

    wins_max: int
    losses_max: int
    losses_expected: float


def _longest(flags: np.ndarray) -> int:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return int((edges[1::2] - edges[::2]).max()) if len(edges) else 0


def streaks(net: np.ndarray) -> Streaks:
    """Return the longest runs of trades in their order; by chance ln(n p) / -ln(1 - p)."""
    win = net > 0.0
    n = len(net)
    share = float(win.mean()) if n else 0.0
    expected = (
        log(n * share) / -log(1.0 - share) if n and 0.0 < share < 1.0 and n * share > 1 else 0.0
    )
    return Streaks(_longest(win), _longest(~win), expected)


def standard_error(values: np.ndarray) -> float:
    """Return the standard error of a mean of independent values; NaN under two."""
    n = len(values)
    return float(values.std(ddof=1)) / sqrt(n) if n > 1 else float("nan")
