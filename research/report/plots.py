"""The figures, as plain plotly descriptions.

Colours are tokens (`@up`, `@down/0.2`): the page fills them in, for dark and for light. Here are
those of signals and trades; those along time come from `plots_time`.
"""

import numpy as np
import polars as pl

from engine.stats.bootstrap import week_of
from engine.stats.trades import mean_interval
from research.report import words
from research.report.plots_time import equity, exposure, month_map, rolling, underwater
from research.report.shapes import (
    Figure,
    axis,
    corner,
    figure,
    note,
    packed,
    times,
    zero_line,
)
from research.result import BacktestResult

__all__ = [
    "Figure",
    "by_coin",
    "by_month",
    "cost_multiple",
    "equity",
    "excursions",
    "exposure",
    "figure",
    "funnel",
    "month_map",
    "null_histogram",
    "packed",
    "r_histogram",
    "refusals",
    "rolling",
    "times",
    "underwater",
    "waterfall",
]

_DRAWS = 1000


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
        "xaxis": axis("events", range=[0, 1.2 * top]),
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
        "xaxis": axis("signals", range=[0, 1.15 * top]),
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
    shapes = [zero_line("x")]
    notes = [corner(f"n {len(r)}")]
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
        shapes.append({**zero_line("x", edge.value), "line": {"color": "@accent", "width": 2}})
        median = float(np.median(r))
        shapes.append(
            {**zero_line("x", median), "line": {"color": "@text", "width": 1, "dash": "dot"}}
        )
        notes.append(
            note(
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
        "xaxis": axis("R, net"),
        "yaxis": axis("trades"),
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
        f"{other}axis": axis("mean R", range=[-reach, reach]),
        "shapes": [zero_line(other)],
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
    stop = {**zero_line("x", 1.0), "line": {"color": "@down", "width": 1, "dash": "dash"}}
    tp1 = {
        **zero_line("y", result.plan.manage.tp1_r),
        "line": {"color": "@up", "width": 1, "dash": "dash"},
    }
    layout = {
        "xaxis": axis("worst excursion, R", rangemode="tozero"),
        "yaxis": axis("best excursion, R", rangemode="tozero"),
        "shapes": [stop, tp1],
        "annotations": [
            note("stop", x=1.0, yref="paper", y=1, yanchor="top", xanchor="left"),
            note(
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
    layout = {"yaxis": axis("mean R per trade"), "shapes": [zero_line()], "showlegend": False}
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
    shapes = [
        zero_line(),
        {**zero_line("x", 1.0), "line": {"color": "@muted", "width": 1, "dash": "dot"}},
    ]
    notes = [note("as modelled", x=1, yref="paper", y=1, xanchor="left", yanchor="top")]
    if cost > 0 and 0 < gross / cost < 3:  # noqa: PLR2004 - inside the picture
        notes.append(
            note(f"break-even at {gross / cost:.1f}x", x=gross / cost, y=0, yanchor="bottom")
        )
    layout = {
        "xaxis": axis("costs, times the model"),
        "yaxis": axis("mean R"),
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
        "xaxis": axis("mean R of a run"),
        "yaxis": axis("random-entry runs"),
        "shapes": [
            zero_line("x"),
            {**zero_line("x", value), "line": {"color": "@accent", "width": 2}},
        ],
        "annotations": [
            note("this run", x=value, yref="paper", y=1, xanchor="left", yanchor="top")
        ],
        "showlegend": False,
    }
    return figure(data, layout, 260)
