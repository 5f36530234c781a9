"""The figures along time: the account, its drawdowns, its months."""

from typing import Any

import numpy as np
import polars as pl

from research.curve import daily
from research.report import words
from research.report.shapes import Figure, axis, corner, figure, packed, times, zero_line
from research.result import BacktestResult


def equity(result: BacktestResult) -> Figure:
    """Fig 1."""
    frame = _thin(result.equity)
    ts = times(frame["ts"])
    band_ts = times(result.null.band_ts)
    data: list[dict[str, Any]] = []
    if result.null.band.size:
        low, mid, high = result.null.band
        line = {"width": 0}
        data += [
            {
                "x": band_ts,
                "y": packed(low),
                "mode": "lines",
                "line": line,
                "showlegend": False,
                "hoverinfo": "skip",
            },
            {
                "x": band_ts,
                "y": packed(high),
                "mode": "lines",
                "line": line,
                "fill": "tonexty",
                "fillcolor": "@muted/0.16",
                "name": "random entries, 5 to 95 %",
                "hoverinfo": "skip",
            },
            {
                "x": band_ts,
                "y": packed(mid),
                "mode": "lines",
                "name": "random entries, median",
                "line": {"color": "@muted", "width": 1, "dash": "dot"},
            },
        ]
    if result.benchmark is not None:
        close = result.benchmark["close"].to_numpy()
        data.append(
            {
                "x": times(result.benchmark["ts"]),
                "y": packed(result.settings.capital * close / close[0]),
                "mode": "lines",
                "name": "BTC, bought and held",
                "visible": "legendonly",
                "line": {"color": "@warn", "width": 1.2, "dash": "dash"},
            }
        )
    data.append(
        {
            "x": ts,
            "y": packed(frame["equity"]),
            "mode": "lines",
            "name": "this account",
            "line": {"color": "@accent", "width": 1.8},
        }
    )
    layout = {
        "xaxis": {"type": "date"},
        "yaxis": axis("USDT"),
        "shapes": [zero_line(at=result.settings.capital)],
        "annotations": [corner(f"{len(result.trades)} trades")],
        "legend": {"orientation": "h", "y": -0.12},
    }
    return figure(data, layout, 360)


def underwater(result: BacktestResult) -> Figure:
    """Fig 2."""
    frame = _thin(result.equity)
    data = [
        {
            "x": times(frame["ts"]),
            "y": packed(100 * frame["drawdown"].to_numpy()),
            "mode": "lines",
            "line": {"color": "@down", "width": 1},
            "fill": "tozeroy",
            "fillcolor": "@down/0.18",
            "name": "under the high",
        }
    ]
    layout = {
        "xaxis": {"type": "date"},
        "yaxis": axis("%"),
        "shapes": [zero_line()],
        "showlegend": False,
    }
    return figure(data, layout, 190)


def exposure(result: BacktestResult) -> Figure:
    """Fig 3."""
    by_day = daily(result.equity)
    ratio = by_day["notional"].to_numpy() / np.maximum(by_day["equity"].to_numpy(), 1e-9)
    data = [
        {
            "x": times(by_day["ts"]),
            "y": packed(ratio),
            "mode": "lines",
            "line": {"width": 1, "color": "@accent", "shape": "hv"},
            "fill": "tozeroy",
            "fillcolor": "@accent/0.15",
            "name": "notional",
        }
    ]
    layout = {
        "xaxis": {"type": "date"},
        "yaxis": axis("x equity"),
        "shapes": [zero_line()],
        "showlegend": False,
    }
    return figure(data, layout, 170)


def rolling(result: BacktestResult, window: int = 50) -> Figure | None:
    """Fig 13."""
    trades = result.trades.sort("exit_ts")
    r = trades["r"].to_numpy()
    if len(r) < window + 10:
        return None
    view = np.lib.stride_tricks.sliding_window_view(r, window)
    mean = view.mean(axis=1)
    error = 1.96 * view.std(axis=1, ddof=1) / np.sqrt(window)
    ts = times(trades["exit_ts"].to_numpy()[window - 1 :])
    line = {"width": 0, "shape": "hv"}
    data = [
        {"x": ts, "y": packed(mean - error), "mode": "lines", "line": line, "hoverinfo": "skip"},
        {
            "x": ts,
            "y": packed(mean + error),
            "mode": "lines",
            "line": line,
            "fill": "tonexty",
            "fillcolor": "@accent/0.15",
            "hoverinfo": "skip",
        },
        {
            "x": ts,
            "y": packed(mean),
            "mode": "lines",
            "line": {"color": "@accent", "width": 1.5, "shape": "hv"},
        },
    ]
    layout = {
        "xaxis": {"type": "date"},
        "yaxis": axis("mean R"),
        "shapes": [zero_line()],
        "showlegend": False,
    }
    return figure(data, layout, 240)


def month_map(result: BacktestResult) -> Figure:
    """Fig 12."""
    by_day = daily(result.equity).with_columns(
        (pl.from_epoch(pl.col("ts") - 1, time_unit="ms")).dt.strftime("%Y-%m").alias("month")
    )
    ends = by_day.group_by("month", maintain_order=True).agg(pl.col("equity").last())
    values = ends["equity"].to_numpy()
    change = 100 * (values / np.concatenate([[result.settings.capital], values[:-1]]) - 1)
    years = sorted({m[:4] for m in ends["month"]})
    grid: list[list[float | None]] = [[None] * 12 for _ in years]
    for month, value in zip(ends["month"], change, strict=True):
        grid[years.index(month[:4])][int(month[5:]) - 1] = round(float(value), 2)
    text = [["" if v is None else words.signed(v, 1) for v in row] for row in grid]
    reach = max(1.0, float(np.abs(change).max()) if len(change) else 1.0)
    data = [
        {
            "type": "heatmap",
            "z": grid,
            "y": years,
            "text": text,
            "texttemplate": "%{text}",
            "x": [
                "Jan",
                "Feb",
                "Mar",
                "Apr",
                "May",
                "Jun",
                "Jul",
                "Aug",
                "Sep",
                "Oct",
                "Nov",
                "Dec",
            ],
            "zmin": -reach,
            "zmax": reach,
            "showscale": False,
            "xgap": 2,
            "ygap": 2,
            "hoverinfo": "skip",
            "colorscale": [[0, "@down/0.8"], [0.5, "@raised"], [1, "@up/0.8"]],
        }
    ]
    layout = {
        "yaxis": {"autorange": "reversed", "type": "category", "ticks": ""},
        "xaxis": {"ticks": ""},
    }
    return figure(data, layout, 70 + 38 * len(years))


def _thin(frame: pl.DataFrame, rows: int = 2500) -> pl.DataFrame:
    # Every bucket keeps its lowest row, so that no drawdown is drawn shallower than it was.
    step = max(1, frame.height // rows)
    if step == 1:
        return frame
    indexed = frame.with_row_index("row")
    lowest = indexed.group_by(pl.col("row") // step, maintain_order=True).agg(
        pl.all().sort_by("equity").first()
    )
    edges = pl.concat([indexed.head(1), indexed.tail(1)])
    return pl.concat([lowest.select(indexed.columns), edges]).unique("row").sort("row").drop("row")
