"""The figures, as plain plotly descriptions.

Colours are tokens (`@up`, `@down/0.2`): the page fills them in, for dark and for light.
"""

import base64
from typing import Any

import numpy as np
import polars as pl

from engine.stats.bootstrap import week_of
from engine.stats.trades import mean_interval
from research.backtest import BacktestResult
from research.curve import daily
from research.report import words

Figure = dict[str, Any]
_DRAWS = 1000


def packed(values: Any, kind: str = "f4") -> dict[str, str]:
    """Return an array as plotly's typed base64: a third of its text."""
    array = np.ascontiguousarray(values, dtype=f"<{kind}")
    return {"dtype": kind, "bdata": base64.b64encode(array.tobytes()).decode()}


def times(ts: Any) -> dict[str, str]:
    """Return ms as float64: a date axis reads them as they are."""
    return packed(np.asarray(ts, np.float64), "f8")


def figure(data: list[Any], layout: dict[str, Any], height: int = 300) -> Figure:
    """Return one figure; the page adds what all share."""
    return {"data": data, "layout": {"height": height, **layout}}


def _axis(title: str, **more: Any) -> dict[str, Any]:
    return {"title": {"text": title}, **more}


def _zero(axis: str = "y", at: float = 0.0) -> dict[str, Any]:
    line = {"type": "line", "line": {"color": "@muted", "width": 1}}
    if axis == "y":
        return {**line, "xref": "paper", "x0": 0, "x1": 1, "y0": at, "y1": at}
    return {**line, "yref": "paper", "y0": 0, "y1": 1, "x0": at, "x1": at}


def _note(text: str, **where: Any) -> dict[str, Any]:
    base = {"text": text, "showarrow": False, "font": {"color": "@muted", "size": 11}}
    return {**base, **where}


def _corner(text: str) -> dict[str, Any]:
    return _note(text, xref="paper", yref="paper", x=1, y=1.0, xanchor="right", yanchor="bottom")


def equity(result: BacktestResult) -> Figure:
    """Fig 1."""
    frame = _thin(result.equity)
    ts = times(frame["ts"])
    band_ts = times(result.null.band_ts)
    data = []
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
        "yaxis": _axis("USDT"),
        "shapes": [_zero(at=result.settings.capital)],
        "annotations": [_corner(f"{len(result.trades)} trades")],
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
        "yaxis": _axis("%"),
        "shapes": [_zero()],
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
        "yaxis": _axis("x equity"),
        "shapes": [_zero()],
        "showlegend": False,
    }
    return figure(data, layout, 170)


def funnel(result: BacktestResult) -> Figure:
    """Fig 4."""
    names = list(result.funnel)
    counts = [result.funnel[n] for n in names]
    before = [counts[0], *counts[:-1]]
    text = [
        f"{c:,}" if i == 0 else f"{c:,} · {words.share(c / b if b else float('nan'), 0)}"
        for i, (c, b) in enumerate(zip(counts, before, strict=True))
    ]
    colours = ["@p2", "@p4", "@p5", "@p6", "@up", "@up", "@up"]
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "y": [words.PHASES[n] for n in names],
            "x": counts,
            "text": text,
            "textposition": "outside",
            "cliponaxis": False,
            "marker": {"color": colours[: len(names)]},
            "hoverinfo": "skip",
        }
    ]
    top = max(*counts, 1)
    layout = {
        "yaxis": {"autorange": "reversed", "ticks": ""},
        "xaxis": _axis("events", range=[0, 1.2 * top]),
        "margin": {"l": 110},
        "showlegend": False,
    }
    return figure(data, layout, 260)


def refusals(result: BacktestResult) -> Figure:
    """Fig 5."""
    names = list(result.refusals)
    counts = [result.refusals[n] for n in names]
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "y": [words.REASONS.get(n, n) for n in names],
            "x": counts,
            "text": [f"{c:,}" for c in counts],
            "textposition": "outside",
            "cliponaxis": False,
            "marker": {"color": "@down"},
            "hoverinfo": "skip",
        }
    ]
    top = max([*counts, 1])
    layout = {
        "yaxis": {"autorange": "reversed", "ticks": "", "automargin": True},
        "xaxis": _axis("signals", range=[0, 1.15 * top]),
        "showlegend": False,
    }
    return figure(data, layout, 260)


def r_histogram(result: BacktestResult) -> Figure:
    """Fig 6."""
    r = result.trades["r"].to_numpy()
    edge = result.metrics["expectancy_r"]
    size = 0.25
    low = np.floor(r.min() / size) * size if len(r) else -1.0
    high = np.ceil(max(r.max() if len(r) else 1.0, low + size) / size) * size
    edges = np.arange(low, high + size / 2, size)
    counts, _ = np.histogram(r, edges)
    centre = (edges[:-1] + edges[1:]) / 2
    data = [
        {
            "type": "bar",
            "x": centre.tolist(),
            "y": counts.tolist(),
            "width": size * 0.92,
            "marker": {"color": ["@up" if c > 0 else "@down" for c in centre]},
            "hovertemplate": "%{x:.2f} R: %{y}<extra></extra>",
        }
    ]
    shapes = [_zero("x")]
    notes = [_corner(f"n {len(r)}")]
    if np.isfinite(edge.low):
        shapes.append(
            {
                "type": "rect",
                "yref": "paper",
                "y0": 0,
                "y1": 1,
                "x0": edge.low,
                "x1": edge.high,
                "fillcolor": "@accent/0.18",
                "line": {"width": 0},
            }
        )
    if len(r):
        shapes.append({**_zero("x", edge.value), "line": {"color": "@accent", "width": 2}})
        median = float(np.median(r))
        shapes.append({**_zero("x", median), "line": {"color": "@text", "width": 1, "dash": "dot"}})
        notes.append(
            _note(
                f"mean {words.signed(edge.value)} · median {words.signed(median)}",
                xref="paper",
                yref="paper",
                x=0,
                y=1.0,
                xanchor="left",
                yanchor="bottom",
            )
        )
    layout = {
        "xaxis": _axis("R, net"),
        "yaxis": _axis("trades"),
        "shapes": shapes,
        "annotations": notes,
        "showlegend": False,
    }
    return figure(data, layout, 280)


def _points(groups: list[tuple[str, np.ndarray, np.ndarray]], seed: int, *, along: str) -> Figure:
    rng = np.random.default_rng(seed)
    names: list[str] = []
    means: list[float] = []
    downs: list[float] = []
    ups: list[float] = []
    sizes: list[int] = []
    for name, r, ts in groups:
        mean, low, high = mean_interval(r, week_of(ts), rng, n_draws=_DRAWS)
        names.append(f"{name}  n {len(r)}" if along == "y" else f"{name}<br>n {len(r)}")
        means.append(mean)
        downs.append(mean - low if np.isfinite(low) else 0.0)
        ups.append(high - mean if np.isfinite(high) else 0.0)
        sizes.append(len(r))
    bars = {
        "type": "data",
        "symmetric": False,
        "array": ups,
        "arrayminus": downs,
        "color": "@muted",
        "thickness": 1,
        "width": 0,
    }
    # hollow: too few weeks for an interval
    hollow = ["circle" if u or d else "circle-open" for u, d in zip(ups, downs, strict=True)]
    marker = {"color": ["@up" if m > 0 else "@down" for m in means], "size": 7, "symbol": hollow}
    text = [f"n {s}" for s in sizes]
    other = "y" if along == "x" else "x"
    data = [
        {
            along: names,
            other: means,
            f"error_{other}": bars,
            "mode": "markers",
            "marker": marker,
            "customdata": text,
            "hovertemplate": "%{"
            + along
            + "}: %{"
            + other
            + ":+.2f} R, %{customdata}<extra></extra>",
        }
    ]
    # one long interval must not flatten all others
    spread = [abs(m) for m in means] or [1.0]
    reach = max(1.2, 1.15 * float(np.percentile(spread, 95)) + 0.4)
    layout = {
        f"{along}axis": {"type": "category", "ticks": "", "automargin": True},
        f"{other}axis": _axis("mean R", range=[-reach, reach]),
        "shapes": [_zero(other)],
        "showlegend": False,
    }
    return figure(data, layout, 270)


def by_month(result: BacktestResult) -> Figure:
    """Fig 7, months."""
    trades = result.trades.sort("signal_ts")
    month = pl.from_epoch("signal_ts", time_unit="ms").dt.strftime("%Y-%m").alias("month")
    groups = [
        (str(key[0]), rows["r"].to_numpy(), rows["signal_ts"].to_numpy())
        for key, rows in trades.with_columns(month).group_by("month", maintain_order=True)
    ]
    return _points(groups, result.settings.seed, along="x")


def by_coin(result: BacktestResult) -> Figure:
    """Fig 7, coins."""
    groups = [
        (str(key[0]), rows["r"].to_numpy(), rows["signal_ts"].to_numpy())
        for key, rows in result.trades.group_by("symbol", maintain_order=True)
    ]
    groups.sort(key=lambda g: float(g[1].mean()))
    drawn = _points(groups, result.settings.seed, along="y")
    drawn["layout"]["height"] = max(220, 60 + 17 * len(groups))
    return drawn


def excursions(result: BacktestResult) -> Figure:
    """Fig 8."""
    trades = result.trades
    data = []
    for won, name, colour, symbol in (
        (True, "ended above 0", "@up", "circle"),
        (False, "ended below 0", "@down", "x"),
    ):
        rows = trades.filter(pl.col("net") > 0 if won else pl.col("net") <= 0)
        data.append(
            {
                "x": packed(rows["mae_r"]),
                "y": packed(rows["mfe_r"]),
                "mode": "markers",
                "name": name,
                "marker": {"color": colour, "size": 6, "symbol": symbol, "opacity": 0.75},
                "text": rows["symbol"].to_list(),
                "hovertemplate": "%{text}: worst −%{x:.2f} R, best +%{y:.2f} R<extra></extra>",
            }
        )
    stop = {**_zero("x", 1.0), "line": {"color": "@down", "width": 1, "dash": "dash"}}
    tp1 = {
        **_zero("y", result.plan.manage.tp1_r),
        "line": {"color": "@up", "width": 1, "dash": "dash"},
    }
    layout = {
        "xaxis": _axis("worst excursion, R", rangemode="tozero"),
        "yaxis": _axis("best excursion, R", rangemode="tozero"),
        "shapes": [stop, tp1],
        "annotations": [
            _note("stop", x=1.0, yref="paper", y=1, yanchor="top", xanchor="left"),
            _note(
                "TP1",
                y=result.plan.manage.tp1_r,
                xref="paper",
                x=1,
                xanchor="right",
                yanchor="bottom",
            ),
        ],
        "legend": {"orientation": "h", "y": -0.22},
    }
    return figure(data, layout, 320)


def waterfall(result: BacktestResult) -> Figure:
    """Fig 9."""
    m = result.metrics
    steps = [m["gross_r"].value, -m["slippage_r"].value, -m["fees_r"].value, -m["funding_r"].value]
    data = [
        {
            "type": "waterfall",
            "x": ["gross", "slippage", "fees", "funding", "net"],
            "measure": ["absolute", "relative", "relative", "relative", "total"],
            "y": [*steps, m["expectancy_r"].value],
            "text": [words.signed(v, 3) for v in [*steps, m["expectancy_r"].value]],
            "textposition": "outside",
            "cliponaxis": False,
            "increasing": {"marker": {"color": "@up"}},
            "decreasing": {"marker": {"color": "@down"}},
            "totals": {"marker": {"color": "@accent"}},
            "connector": {"line": {"color": "@line"}},
            "hoverinfo": "skip",
        }
    ]
    layout = {"yaxis": _axis("mean R per trade"), "shapes": [_zero()], "showlegend": False}
    return figure(data, layout, 280)


def cost_multiple(result: BacktestResult) -> Figure:
    """Fig 10."""
    m = result.metrics
    gross, cost = m["gross_r"].value, m["cost_r"].value
    x = np.linspace(0, 3, 31)
    data = [
        {
            "x": x.tolist(),
            "y": (gross - x * cost).tolist(),
            "mode": "lines",
            "line": {"color": "@accent", "width": 2},
            "name": "net",
        }
    ]
    shapes = [_zero(), {**_zero("x", 1.0), "line": {"color": "@muted", "width": 1, "dash": "dot"}}]
    notes = [_note("as modelled", x=1, yref="paper", y=1, xanchor="left", yanchor="top")]
    if cost > 0 and 0 < gross / cost < 3:  # noqa: PLR2004 - inside the picture
        notes.append(
            _note(f"break-even at {gross / cost:.1f}x", x=gross / cost, y=0, yanchor="bottom")
        )
    layout = {
        "xaxis": _axis("costs, times the model"),
        "yaxis": _axis("mean R"),
        "shapes": shapes,
        "annotations": notes,
        "showlegend": False,
    }
    return figure(data, layout, 280)


def null_histogram(result: BacktestResult) -> Figure:
    """Fig 14: where this run stands among the random ones."""
    runs = result.null.expectancy
    data = [
        {
            "type": "histogram",
            "x": packed(runs),
            "nbinsx": 30,
            "marker": {"color": "@muted/0.55"},
            "hovertemplate": "%{x} R: %{y} runs<extra></extra>",
        }
    ]
    value = result.metrics["expectancy_r"].value
    layout = {
        "xaxis": _axis("mean R of a run"),
        "yaxis": _axis("random-entry runs"),
        "shapes": [_zero("x"), {**_zero("x", value), "line": {"color": "@accent", "width": 2}}],
        "annotations": [
            _note("this run", x=value, yref="paper", y=1, xanchor="left", yanchor="top")
        ],
        "showlegend": False,
    }
    return figure(data, layout, 260)


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
        "yaxis": _axis("mean R"),
        "shapes": [_zero()],
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
