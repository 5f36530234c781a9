"""A trade as a picture: candles, zones, level, entry, the stop's path, TP1 and the exits."""

from typing import Any

import numpy as np
import polars as pl

from engine.kernels import paths
from engine.messages import EventKind
from engine.pipeline.p8_management import path_rules
from research.report import words
from research.report.shapes import figure, packed
from research.result import BacktestResult

CANDLES_MAX = 240
_PHASES = {"DUMP": ("2 Dump", "@p2"), "STAB": ("4 Base", "@p4"), "ARMED": ("5 Armed", "@p5")}


def pick(result: BacktestResult, count: int = 6) -> list[tuple[str, list[int]]]:
    """Return rows of `trades` worth a look: best, worst, median, random; no trade twice."""
    order = np.argsort(result.trades["r"].to_numpy(), kind="stable")
    n = len(order)
    rng = np.random.default_rng(result.settings.seed)
    middle = max(0, n // 2 - count // 2)
    groups = [
        ("The best", order[::-1][:count]),
        ("The worst", order[:count]),
        ("The median", order[middle : middle + count]),
        ("At random", rng.permutation(n)[:count]),
    ]
    seen: set[int] = set()
    out = []
    for name, rows in groups:
        fresh = [int(i) for i in rows if int(i) not in seen]
        seen.update(fresh)
        if fresh:
            out.append((name, fresh))
    return out


def stop_steps(result: BacktestResult, row: int) -> np.ndarray:
    """Return the stop in force on each bar of a trade, float64[bars_held + 1]."""
    trade, order = result.run.trades[row], result.run.orders[row]
    history = result.histories[int(trade["symbol_id"])]
    bars = history.bars
    out = np.empty(int(trade["bars_held"]) + 1)
    inside = int(trade["entry_ts"] != bars.ts[int(trade["entry_bar"])])
    rules = path_rules(result.plan, result.settings.fees, result.settings.margin)
    paths.stop_path(
        bars.ts,
        bars.high,
        bars.close,
        trade,
        inside,
        history.interval_ms,
        float(order["batr"]),
        float(order["sweep_out"]),
        rules,
        out,
    )
    return out


def _setup_events(result: BacktestResult, symbol: str, signal_ts: int) -> pl.DataFrame:
    mine = result.events.filter((pl.col("symbol") == symbol) & (pl.col("t") <= signal_ts))
    dumps = mine.filter(pl.col("kind") == EventKind.DUMP.name)
    begin = dumps["t"][-1] if len(dumps) else signal_ts
    return mine.filter(pl.col("t") >= begin)


def trade_chart(result: BacktestResult, row: int) -> dict[str, Any]:
    """Return the chart of one trade with its caption."""
    trade = result.run.trades[row]
    signal = next(s for s in result.run.signals if s.trade_id == int(trade["trade_id"]))
    history = result.histories[int(trade["symbol_id"])]
    bars, step = history.bars, history.interval_ms
    ts = bars.ts
    begin_t = max(int(signal.event["peak_t"]) - 12 * step, int(trade["signal_ts"]) - 700 * step)
    a = int(np.searchsorted(ts, begin_t))
    b = min(len(ts), int(trade["exit_bar"]) + 1 + max(12, int(trade["bars_held"]) // 8))
    group = max(1, -(-(b - a) // CANDLES_MAX))
    data = [_candles(bars, a, b, group)]
    entry_t, exit_t = int(trade["entry_ts"]), int(trade["exit_ts"])
    stop = stop_steps(result, row)
    stop_x = [int(t) for t in ts[int(trade["entry_bar"]) : int(trade["exit_bar"]) + 1]]
    keep = [0, *(np.flatnonzero(np.diff(stop)) + 1).tolist()]
    data.append(
        {
            "x": [*(stop_x[i] for i in keep), exit_t],
            "y": [*(float(stop[i]) for i in keep), float(stop[-1])],
            "mode": "lines",
            "line": {"color": "@down", "width": 1.6, "shape": "hv"},
            "name": "stop",
        }
    )
    fills = result.run.fills[result.run.fills["trade_id"] == trade["trade_id"]]
    for kinds, name, colour, symbol in (
        ((paths.ENTRY,), "entry", "@accent", "triangle-up"),
        ((paths.TP1,), "TP1", "@up", "circle"),
        (tuple(k for k in range(3, 12) if k != paths.FUNDING), "exit", "@text", "x"),
    ):
        these = fills[np.isin(fills["kind"], kinds)]
        if len(these):
            data.append(
                {
                    "x": [int(t) for t in these["ts"]],
                    "y": these["price"].tolist(),
                    "mode": "markers",
                    "name": name,
                    "marker": {
                        "color": colour,
                        "size": 10,
                        "symbol": symbol,
                        "line": {"color": "@surface", "width": 1},
                    },
                }
            )
    layout = {
        "xaxis": {"type": "date", "rangeslider": {"visible": False}, "nticks": 6},
        "yaxis": {"side": "right", "automargin": True, "nticks": 7, **_span(bars, a, b, trade)},
        "shapes": _shapes(result, signal, trade, entry_t, exit_t, begin_t),
        "annotations": _labels(result, signal, trade, history, begin_t),
        "showlegend": False,
        "margin": {"l": 8, "r": 56, "t": 34, "b": 26},
    }
    return {"figure": figure(data, layout, 330), **_caption(result, row, trade, history)}


def _span(bars: Any, a: int, b: int, trade: Any) -> dict[str, Any]:
    low = min(float(bars.low[a:b].min()), float(trade["stop"]))
    high = max(float(bars.high[a:b].max()), float(trade["tp1"]))
    room = 0.05 * (high - low)
    return {"range": [low - room, high + 2.2 * room]}


def _candles(bars: Any, a: int, b: int, group: int) -> dict[str, Any]:
    edges = np.arange(a, b, group)
    return {
        "type": "candlestick",
        "x": packed(bars.ts[edges].astype(np.float64), "f8"),
        "open": packed(bars.open[edges], "f8"),
        "high": packed(np.maximum.reduceat(bars.high[:b], edges), "f8"),
        "low": packed(np.minimum.reduceat(bars.low[:b], edges), "f8"),
        "close": packed(bars.close[np.minimum(edges + group, b) - 1], "f8"),
        "increasing": {"line": {"color": "@up", "width": 1}, "fillcolor": "@up"},
        "decreasing": {"line": {"color": "@down", "width": 1}, "fillcolor": "@down"},
        "name": "price",
        "hoverinfo": "x+y",
    }


def _box(x0: int, x1: int, y0: float, y1: float, colour: str) -> dict[str, Any]:
    return {
        "type": "rect",
        "x0": x0,
        "x1": x1,
        "y0": y0,
        "y1": y1,
        "fillcolor": colour,
        "line": {"width": 0},
        "layer": "below",
    }


def _line(x0: int, x1: int, y: float, colour: str, dash: str) -> dict[str, Any]:
    return {
        "type": "line",
        "x0": x0,
        "x1": x1,
        "y0": y,
        "y1": y,
        "line": {"color": colour, "width": 1.2, "dash": dash},
    }


def _shapes(
    result: BacktestResult, signal: Any, trade: Any, entry_t: int, exit_t: int, begin_t: int
) -> list[dict[str, Any]]:
    event, end = signal.event, int(trade["signal_ts"])
    anchor = max(int(event["anchor_t"]), begin_t)
    level, floor, batr = float(event["level"]), float(event["floor"]), float(event["batr"])
    shapes = [
        _box(
            anchor,
            end,
            float(event["zone_lo"]),
            max(float(event["level_edge"]), level),
            "@accent/0.20",
        ),
        _box(anchor, end, floor - 0.25 * batr, floor + 0.25 * batr, "@up/0.20"),
        _line(anchor, exit_t, level, "@accent", "solid"),
        _box(entry_t, exit_t, float(trade["entry"]), float(trade["tp1"]), "@up/0.09"),
        _box(entry_t, exit_t, float(trade["stop"]), float(trade["entry"]), "@down/0.09"),
        _line(entry_t, exit_t, float(trade["tp1"]), "@up", "dot"),
        _line(entry_t, exit_t, float(trade["entry"]), "@text", "dot"),
    ]
    for start, stop, _, colour in _ribbon(result, signal, begin_t):
        shapes.append(
            {
                "type": "rect",
                "yref": "paper",
                "y0": 1.0,
                "y1": 1.045,
                "x0": start,
                "x1": stop,
                "fillcolor": colour,
                "line": {"width": 0},
            }
        )
    return shapes


def _ribbon(result: BacktestResult, signal: Any, begin_t: int) -> list[tuple[int, int, str, str]]:
    marks = []
    events = _setup_events(result, signal.history.symbol, signal.t)
    for t, kind in zip(events["t"], events["kind"], strict=True):
        if kind in _PHASES:
            marks.append((t, *_PHASES[kind]))
        elif kind == EventKind.INVAL.name:
            marks.append((t, *_PHASES["DUMP"]))
        elif kind == EventKind.DISARM.name:
            marks.append((t, *_PHASES["STAB"]))
    ends = [m[0] for m in marks[1:]] + [signal.t]
    return [
        (max(t, begin_t), end, name, colour)
        for (t, name, colour), end in zip(marks, ends, strict=True)
        if end > max(t, begin_t)
    ]


def _labels(
    result: BacktestResult, signal: Any, trade: Any, history: Any, begin_t: int
) -> list[dict[str, Any]]:
    def tag(y: float, text: str, colour: str) -> dict[str, Any]:
        return {
            "xref": "paper",
            "x": 0.004,
            "xanchor": "left",
            "y": y,
            "text": text,
            "showarrow": False,
            "font": {"color": colour, "size": 10},
            "bgcolor": "@surface/0.75",
        }

    show = [
        tag(
            float(signal.event["level"]),
            f"level {words.price(float(signal.event['level']), history.tick)}"
            f" · score {float(signal.event['level_score']):.2f}",
            "@accent",
        ),
        tag(
            float(signal.event["floor"]),
            f"floor {words.price(float(signal.event['floor']), history.tick)}",
            "@up",
        ),
    ]
    width = max(int(trade["exit_ts"]) - begin_t, 1)
    for start, stop, name, colour in _ribbon(result, signal, begin_t):
        if (stop - start) / width > 0.11:  # noqa: PLR2004 - narrower than its own name
            show.append(
                {
                    "x": (start + stop) / 2,
                    "yref": "paper",
                    "y": 1.045,
                    "yanchor": "bottom",
                    "text": name,
                    "showarrow": False,
                    "font": {"size": 9, "color": colour},
                }
            )
    return show


def _caption(result: BacktestResult, row: int, trade: Any, history: Any) -> dict[str, Any]:
    frame = result.trades.row(row, named=True)
    cost = (frame["fees"] + frame["slippage"] + frame["funding"]) / frame["risk"]
    return {
        "title": f"{frame['symbol']} · {words.when(frame['entry_ts'])}",
        "result": f"{words.signed(frame['r'])} R · {words.signed(frame['net'])} USDT",
        "won": frame["net"] > 0,
        "text": (
            f"In at {words.price(frame['entry'], history.tick)}, stop "
            f"{words.price(frame['stop'], history.tick)}, "
            f"out: {words.EXITS.get(frame['exit_reason'], frame['exit_reason'])} after "
            f"{words.duration(frame['exit_ts'] - frame['entry_ts'])}. Best "
            f"{words.signed(frame['mfe_r'])} R, "
            f"worst {words.signed(-frame['mae_r'])} R, costs {words.number(cost)} R."
        ),
        "anchor": f"trade-{int(trade['trade_id'])}",
    }
