"""Equity over time: realised from fills, marked to market at every bar's close."""

from collections.abc import Mapping

import numpy as np
import polars as pl

from engine.kernels import paths
from research.account import AccountRun, cash_of
from research.history import DAY_MS, History


def equity_curve(
    run: AccountRun, histories: Mapping[int, History], capital: float, start_ms: int
) -> pl.DataFrame:
    """Return ts (bar close), equity, realised, unrealised, positions, notional, drawdown.

    A fill counts from the first close after it. Open positions are valued at closes, without the
    costs of closing them.
    """
    step = next(iter(histories.values())).interval_ms
    first = max(min(int(h.bars.ts[0]) for h in histories.values()), start_ms // step * step)
    last = max(int(h.bars.ts[-1]) for h in histories.values())
    n = max((last - first) // step + 2, 1)
    ts = first + step * np.arange(n, dtype=np.int64)  # row 0: before anything
    cash, open_result, notional = np.zeros(n), np.zeros(n), np.zeros(n)
    positions = np.zeros(n, np.int32)
    order = np.argsort(run.fills["trade_id"], kind="stable")
    bounds = np.searchsorted(run.fills["trade_id"][order], run.trades["trade_id"])
    ends = np.searchsorted(run.fills["trade_id"][order], run.trades["trade_id"], side="right")
    for trade, a, b in zip(run.trades, bounds, ends, strict=True):
        fills = run.fills[order[a:b]]
        np.add.at(cash, (fills["ts"] - first) // step + 1, cash_of(fills, trade["entry"]))
        held = slice(int(trade["entry_bar"]), int(trade["exit_bar"]))
        bars = histories[int(trade["symbol_id"])].bars
        closes = bars.close[held]
        if len(closes) == 0:
            continue
        row = int((bars.ts[held.start] + step - first) // step)
        rows = slice(row, row + len(closes))
        qty = np.full(len(closes), trade["qty"])
        if trade["tp1_hit"]:
            done = ts[rows] > trade["tp1_ts"]
            part = fills["qty"][fills["kind"] == paths.TP1][0]
            qty[done] -= part
        open_result[rows] += qty * (closes - trade["entry"])
        notional[rows] += qty * closes
        positions[rows] += 1
    realised = capital + np.cumsum(cash)
    equity = realised + open_result
    return pl.DataFrame(
        {
            "ts": ts,
            "equity": equity,
            "realised": realised,
            "unrealised": open_result,
            "positions": positions,
            "notional": notional,
            "drawdown": equity / np.maximum.accumulate(equity) - 1.0,
        }
    )


def daily(curve: pl.DataFrame) -> pl.DataFrame:
    """Return the last row of each UTC day, with the start before them."""
    # a close at 00:00 belongs to the day it ends
    day = (pl.col("ts") - 1) // DAY_MS
    return pl.concat(
        [
            curve.head(1),
            curve.slice(1).group_by(day.alias("day"), maintain_order=True).last().drop("day"),
        ]
    )
