"""All figures of a run in one table, the null beside them."""

import numpy as np
import polars as pl

from engine.stats.bootstrap import week_of
from engine.stats.equity import equity_metrics
from engine.stats.metric import Metric
from engine.stats.trades import TradeColumns, mean_interval, streaks, trade_metrics
from research.account import AccountRun
from research.curve import daily
from research.history import DAY_MS
from research.null import Null
from research.settings import BacktestSettings


def trade_columns(trades: np.ndarray) -> TradeColumns:
    """Return `TRADE` rows as columns in order of their exits, clustered by the signal's week."""
    rows = trades[np.argsort(trades["exit_ts"], kind="stable")]
    names = ("r", "net", "gross", "fees", "slippage", "funding", "risk", "mae_r", "mfe_r")
    return TradeColumns(*(np.ascontiguousarray(rows[n]) for n in names), week_of(rows["signal_ts"]))


def all_metrics(
    run: AccountRun,
    null: Null,
    curve: pl.DataFrame,
    rng: np.random.Generator,
    settings: BacktestSettings,
    trials: int,
) -> dict[str, Metric]:
    """Compute every metric of a run by name."""
    columns = trade_columns(run.trades)
    found = trade_metrics(columns, rng, n_draws=settings.draws)
    by_day = daily(curve)["equity"].to_numpy()
    found += equity_metrics(by_day, rng, n_trials=trials)
    found += _against_null(run, null, rng, settings.draws)
    n = len(run.trades)
    open_share = float((curve["positions"] > 0).mean())
    runs = streaks(columns.net)
    span_days = max((int(curve["ts"][-1]) - int(curve["ts"][0])) / DAY_MS, 1e-9)
    found += [
        Metric(
            "exposure", open_share, "share", "bars with a position open over all bars", curve.height
        ),
        Metric("trades_per_day", n / span_days, "per day", "trades over days of the period", n),
        Metric("wins_in_a_row", runs.wins_max, "trades", "longest run of winners", n),
        Metric("losses_in_a_row", runs.losses_max, "trades", "longest run of losers", n),
        Metric(
            "losses_in_a_row_by_chance",
            runs.losses_expected,
            "trades",
            "longest run of losers expected at this win rate if order were chance",
            n,
        ),
        _sum("fees_usdt", run.trades["fees"], "fees paid"),
        _sum("slippage_usdt", run.trades["slippage"], "slippage against reference prices"),
        _sum("funding_usdt", run.trades["funding"], "funding paid; unknown series count 0 here"),
        _sum("gross_usdt", run.trades["gross"], "result at reference prices, before all costs"),
    ]
    return {m.name: m for m in found}


def _sum(name: str, values: np.ndarray, definition: str) -> Metric:
    return Metric(
        name, float(values.sum()), "USDT", f"sum of {definition}; 0 without trades", len(values)
    )


def _against_null(
    run: AccountRun, null: Null, rng: np.random.Generator, draws: int
) -> list[Metric]:
    n = len(run.trades)
    if n == 0 or null.r.size == 0:
        nan = float("nan")
        return [
            Metric(
                "excess_r",
                nan,
                "R",
                "mean of R minus its matched random entries; NaN without trades",
                0,
            ),
            Metric("null_share_better", nan, "share", "NaN without trades", 0),
        ]
    difference = run.trades["r"] - null.r.mean(axis=0)
    mean, low, high = mean_interval(
        difference, week_of(run.trades["signal_ts"]), rng, n_draws=draws
    )
    at_least = float((null.expectancy >= run.trades["r"].mean()).mean())
    return [
        Metric(
            "excess_r",
            mean,
            "R",
            "mean of each trade's R minus the mean R of its random-time twins",
            n,
            low,
            high,
        ),
        Metric(
            "null_share_better",
            at_least,
            "share",
            "random-entry runs whose expectancy is at least ours",
            len(null.r),
        ),
    ]
