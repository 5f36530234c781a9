"""The null: the same coins, stops, plan and costs, entered at random times."""

from dataclasses import dataclass

import numpy as np

from engine.kernels import paths
from engine.kernels.paths import PathRules
from research.account import AccountRun, walk
from research.history import History

BAND_POINTS = 240


@dataclass(frozen=True, slots=True)
class Null:
    """Matched random entries.

    Attributes
    ----------
    r, net : float64[n_runs, n_trades]
        Column i is matched to trade i: same coin, same stop distance, same risk.
    band_ts : int64[m]
    band : float64[3, m]
        5 %, 50 % and 95 % of the runs' realised equity.
    """

    r: np.ndarray
    net: np.ndarray
    band_ts: np.ndarray
    band: np.ndarray

    @property
    def expectancy(self) -> np.ndarray:
        """Mean R of each run, float64[n_runs]."""
        return self.r.mean(axis=1) if self.r.size else np.full(len(self.r), np.nan)

    @property
    def win_rate(self) -> float:
        """Share of winners over all runs."""
        return float((self.net > 0).mean()) if self.net.size else float("nan")

    @property
    def profit_factor(self) -> float:
        """Gains over losses over all runs."""
        losses = -self.net[self.net <= 0].sum()
        return float(self.net[self.net > 0].sum() / losses) if losses > 0 else float("nan")


def _orders(
    history: History,
    trades: np.ndarray,
    orders: np.ndarray,
    n_runs: int,
    start_ms: int,
    rng: np.random.Generator,
) -> np.ndarray:
    bars = history.bars
    follows = np.flatnonzero(np.diff(bars.ts) == history.interval_ms)
    follows = follows[bars.ts[follows] >= start_ms]
    bar = rng.choice(follows, size=(n_runs, len(trades)))
    price = bars.open[bar + 1]
    distance = (trades["entry"] - trades["stop"]) / trades["entry"]
    rows = np.zeros((n_runs, len(trades)), paths.ORDER)
    rows["bar"] = bar
    rows["trade_id"] = trades["trade_id"]
    rows["symbol_id"] = history.symbol_id
    rows["mode"] = paths.NEXT_OPEN
    rows["chase"] = np.inf
    # a resting limit paid no slippage on the way in: nor does its match
    rows["sweep_in"] = np.where(orders["mode"] == paths.RETEST, 0.0, orders["sweep_in"])
    rows["sweep_out"] = orders["sweep_out"]
    filled = price * (1.0 + rows["sweep_in"])
    rows["stop"] = filled * (1.0 - distance)
    rows["batr"] = filled * orders["batr"] / trades["entry"]
    rows["qty"] = trades["risk"] / (filled * distance)
    return rows


def random_entries(
    run: AccountRun,
    histories: dict[int, History],
    rules: PathRules,
    *,
    n_runs: int,
    capital: float,
    start_ms: int,
    rng: np.random.Generator,
) -> Null:
    """Walk ``n_runs`` random-time twins of every trade; one kernel pass a coin.

    Each twin is walked on its own and with the trade's own risk: no limit of an account applies, so
    the band is of entries, not of account management.
    """
    n = len(run.trades)
    table = np.zeros((n_runs, n), paths.TRADE)
    for symbol_id in np.unique(run.trades["symbol_id"]):
        at = np.flatnonzero(run.trades["symbol_id"] == symbol_id)
        history = histories[int(symbol_id)]
        rows = _orders(history, run.trades[at], run.orders[at], n_runs, start_ms, rng)
        walked, _ = walk(history, rows.reshape(-1), rules, with_fills=False)
        table[:, at] = walked.reshape(n_runs, len(at))
    # a twin below its stop at the open does not exist: distance is from that very open
    r = np.where(table["status"] == paths.OPENED, table["r"], 0.0)
    net = np.where(table["status"] == paths.OPENED, table["net"], 0.0)
    if n == 0:
        return Null(r, net, np.empty(0, np.int64), np.empty((3, 0)))
    first = min(int(h.bars.ts[0]) for h in histories.values())
    last = max(int(h.bars.ts[-1]) for h in histories.values())
    grid = np.linspace(max(first, start_ms), last, BAND_POINTS).astype(np.int64)
    steps = np.zeros((n_runs, BAND_POINTS))
    column = np.minimum(np.searchsorted(grid, table["exit_ts"]), BAND_POINTS - 1)
    np.add.at(steps, (np.arange(n_runs)[:, None], column), net)
    curves = capital + np.cumsum(steps, axis=1)
    return Null(r, net, grid, np.percentile(curves, [5, 50, 95], axis=0))
