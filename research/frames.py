"""Structured arrays of the engine -> polars frames a person can read: names instead of numbers."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from engine.kernels import paths
from engine.messages import EventKind, LevelKind
from engine.pipeline.p8_management import FillKind
from engine.venue.funding import sensitivity
from research.account import Signal

_LIQUIDITY = {0: "none", paths.MAKER: "maker", paths.TAKER: "taker"}


def _named(values: np.ndarray, names: Mapping[int, str]) -> pl.Series:
    keys = pl.Series(values.astype(np.int64))
    return keys.replace_strict(
        list(names), list(names.values()), return_dtype=pl.String, default="unknown"
    )


def _columns(rows: np.ndarray, skip: Sequence[str] = ()) -> dict[str, np.ndarray]:
    names = rows.dtype.names or ()
    return {name: np.ascontiguousarray(rows[name]) for name in names if name not in skip}


def event_frame(rows: np.ndarray, symbols: Mapping[int, str]) -> pl.DataFrame:
    """Return the signal record: one row an event, `kind` by name, one column a level variant."""
    data = _columns(rows, skip=("levels",))
    frame = pl.DataFrame(data)
    levels = {
        f"level_{kind.name.lower()}": np.ascontiguousarray(rows["levels"][:, int(kind)])
        for kind in LevelKind
    }
    return frame.with_columns(
        _named(rows["kind"], {int(k): k.name for k in EventKind}).alias("kind"),
        _named(rows["symbol_id"], symbols).alias("symbol"),
        *(pl.Series(name, values) for name, values in levels.items()),
    )


def fill_frame(rows: np.ndarray, symbols: Mapping[int, str]) -> pl.DataFrame:
    """Return ts, symbol, trade_id, side, qty, price, fee, liquidity, kind, slippage.

    A funding row trades nothing: `qty` is the position it was charged on, `fee` the payment.
    """
    return pl.DataFrame(
        {
            "ts": np.ascontiguousarray(rows["ts"]),
            "symbol": _named(rows["symbol_id"], symbols),
            "trade_id": np.ascontiguousarray(rows["trade_id"]),
            "side": _named(rows["side"], {paths.BUY: "buy", paths.SELL: "sell"}),
            "qty": np.ascontiguousarray(rows["qty"]),
            "price": np.ascontiguousarray(rows["price"]),
            "fee": np.ascontiguousarray(rows["fee"]),
            "liquidity": _named(rows["liquidity"], _LIQUIDITY),
            "kind": _named(rows["kind"], {int(k): k.name.lower() for k in FillKind}),
            "slippage": np.ascontiguousarray(rows["slippage"]),
        }
    )


def trade_frame(
    rows: np.ndarray, symbols: Mapping[int, str], signals: Sequence[Signal], known: np.ndarray
) -> pl.DataFrame:
    """Return one row a trade; `known` (bool[n]) tells whose funding series covers it."""
    skip = ("status", "exit_kind", "symbol_id", "tp1_hit")
    entered = {s.trade_id: s for s in signals if s.trade_id}
    mine = [entered[int(i)] for i in rows["trade_id"]]
    notional = rows["qty"] * rows["entry"]
    guess = sensitivity(notional, rows["entry_ts"], rows["exit_ts"])
    frame = pl.DataFrame(_columns(rows, skip))
    return frame.with_columns(
        _named(rows["symbol_id"], symbols).alias("symbol"),
        _named(rows["exit_kind"], {int(k): k.name.lower() for k in FillKind}).alias("exit_reason"),
        pl.Series("tp1_hit", rows["tp1_hit"] == 1),
        pl.Series("funding_known", known),
        pl.Series("funding_at_1bp", np.where(known, rows["funding"], guess)),
        pl.Series("cost_r_expected", [s.cost_r for s in mine], pl.Float64),
        pl.Series("level", [float(s.event["level"]) for s in mine], pl.Float64),
        pl.Series("level_score", [float(s.event["level_score"]) for s in mine], pl.Float64),
        pl.Series("floor", [float(s.event["floor"]) for s in mine], pl.Float64),
        pl.Series("batr", [float(s.event["batr"]) for s in mine], pl.Float64),
        pl.Series("breadth", [float(s.event["breadth"]) for s in mine], pl.Float64),
        pl.Series("leverage_bound", [s.leverage_bound for s in mine], pl.Boolean),
    )


def signal_frame(signals: Sequence[Signal]) -> pl.DataFrame:
    """Return every breakout with its verdict: outcome, the value met, the limit that stood."""
    schema = {
        "t": pl.Int64,
        "symbol": pl.String,
        "outcome": pl.String,
        "value": pl.Float64,
        "limit": pl.Float64,
        "cost_r": pl.Float64,
        "spread_bps": pl.Float64,
        "sweep_bps": pl.Float64,
        "trade_id": pl.Int64,
    }
    nan = float("nan")
    rows = [
        (
            s.t,
            s.history.symbol,
            s.outcome,
            s.value,
            s.limit,
            s.cost_r,
            s.estimate.spread_bps if s.estimate else nan,
            s.estimate.sweep_bps if s.estimate else nan,
            s.trade_id,
        )
        for s in signals
    ]
    return pl.DataFrame(rows, schema=schema, orient="row")
