"""The tables of the page."""

from importlib import metadata
from typing import Any

import numpy as np
import polars as pl

from engine.stats.bootstrap import week_of
from engine.stats.equity import worst_drawdowns
from engine.stats.trades import mean_interval
from research.curve import daily
from research.report import words
from research.result import BacktestResult


def tables(result: BacktestResult) -> dict[str, Any]:
    """Return every table of the page by name: heads, and cells as (text, sort key)."""
    return {
        "coins": _coins(result),
        "exits": _exits(result),
        "refusals": _refused(result),
        "trades": _trades(result),
        "drawdowns": _drawdowns(result),
        "open": _left_open(result),
        "metrics": _metrics(result),
        "how": _how(result),
        "skips": _table(["coin", "why"], [[s.symbol, s.reason] for s in result.skips], left=2),
    }


def _table(head: list[str], rows: list[list[Any]], left: int = 1) -> dict[str, Any]:
    """Return cells as (text, sort key, leaning)."""
    cells = []
    for row in rows:
        line = []
        for value in row:
            text, key = value if isinstance(value, tuple) else (str(value), value)
            sortable = isinstance(key, int | float) and np.isfinite(key)
            line.append((text, key if sortable else str(key)))
        cells.append(line)
    return {"head": head, "rows": cells, "left": left}


def _r(value: float, digits: int = 2) -> tuple[str, float]:
    return words.signed(value, digits), value


def _coins(result: BacktestResult) -> dict[str, Any]:
    rng = np.random.default_rng(result.settings.seed)
    signals = dict(result.signals.group_by("symbol").len().iter_rows())
    rows = []
    traded = {str(k[0]): v for k, v in result.trades.group_by("symbol", maintain_order=True)}
    for symbol in result.symbols:
        mine = traded.get(symbol)
        if mine is None:
            rows.append([symbol, signals.get(symbol, 0), 0, *[(words.DASH, -1e9)] * 6])
            continue
        r = mine["r"].to_numpy()
        mean, low, high = mean_interval(r, week_of(mine["signal_ts"].to_numpy()), rng)
        known = np.isfinite(low)
        paid = mine["fees"] + mine["slippage"] + mine["funding"]
        cost = float((paid / mine["risk"]).to_numpy().mean())
        rows.append(
            [
                symbol,
                signals.get(symbol, 0),
                len(mine),
                _r(mean),
                (
                    f"[{words.signed(low)}, {words.signed(high)}]" if known else "few weeks",
                    low if known else -1e9,
                ),
                (words.share(float((r > 0).mean()), 0), float((r > 0).mean())),
                _r(float(mine["net"].sum())),
                (words.number(cost), cost),
                _r(float(r.min())),
            ]
        )
    head = ["coin", "signals", "trades", "mean R", "95 %", "won", "net USDT", "cost R", "worst R"]
    return _table(head, sorted(rows, key=lambda row: -row[2]))


def _exits(result: BacktestResult) -> dict[str, Any]:
    rows = []
    for key, mine in result.trades.group_by("exit_reason", maintain_order=True):
        r = mine["r"].to_numpy()
        held_ms = float((mine["exit_ts"] - mine["entry_ts"]).to_numpy().mean())
        rows.append(
            [
                words.EXITS.get(str(key[0]), str(key[0])),
                len(mine),
                (words.share(len(mine) / len(result.trades), 0), len(mine)),
                _r(float(r.mean())),
                _r(float(mine["net"].sum())),
                (words.duration(held_ms), held_ms),
            ]
        )
    head = ["exit", "trades", "share", "mean R", "net USDT", "held on average"]
    return _table(head, sorted(rows, key=lambda row: -row[1]))


def _refused(result: BacktestResult) -> dict[str, Any]:
    rows = []
    for reason, count in result.refusals.items():
        would = result.refused_r.get(reason, np.empty(0))
        mean = float(would.mean()) if len(would) else float("nan")
        made = _r(mean) if len(would) else (words.DASH, -1e9)
        rows.append([words.REASONS.get(reason, reason), count, len(would), made])
    return _table(["reason", "refused", "would have filled", "would have made, mean R"], rows)


def _trades(result: BacktestResult) -> dict[str, Any]:
    rows = []
    for t in result.trades.sort("entry_ts").iter_rows(named=True):
        cost = (t["fees"] + t["slippage"] + t["funding"]) / t["risk"]
        rows.append(
            [
                (words.when(t["entry_ts"]), t["entry_ts"]),
                t["symbol"],
                _r(t["r"]),
                _r(t["net"]),
                (words.number(cost), cost),
                (words.number(t["mae_r"]), t["mae_r"]),
                (words.number(t["mfe_r"]), t["mfe_r"]),
                (words.duration(t["exit_ts"] - t["entry_ts"]), t["exit_ts"] - t["entry_ts"]),
                words.EXITS.get(t["exit_reason"], t["exit_reason"]),
                (f"{t['level_score']:.2f}", t["level_score"]),
            ]
        )
    head = [
        "entry, UTC",
        "coin",
        "R",
        "net USDT",
        "cost R",
        "worst R",
        "best R",
        "held",
        "exit",
        "score",
    ]
    return _table(head, rows, left=2)


def _drawdowns(result: BacktestResult) -> dict[str, Any]:
    by_day = daily(result.equity)
    ts = by_day["ts"].to_numpy()
    exits = result.trades["exit_ts"].to_numpy()
    rows = []
    for d in worst_drawdowns(by_day["equity"].to_numpy()):
        end = int(ts[d.end]) if d.end >= 0 else int(ts[-1])
        inside = int(((exits > ts[d.start]) & (exits <= end)).sum())
        recovered = words.day(end) if d.end >= 0 else "not yet"
        days = (end - int(ts[d.start])) // 86_400_000
        rows.append(
            [
                words.day(int(ts[d.start])),
                words.day(int(ts[d.trough])),
                recovered,
                (words.share(d.depth), d.depth),
                days,
                inside,
            ]
        )
    return _table(["high", "low", "recovered", "depth", "days", "trades"], rows, left=3)


def _left_open(result: BacktestResult) -> dict[str, Any]:
    rows = [
        [t["symbol"], words.when(t["entry_ts"]), words.EXITS[t["exit_reason"]], _r(t["r"])]
        for t in result.trades.filter(pl.col("exit_reason").is_in(["end", "gap"])).iter_rows(
            named=True
        )
    ]
    return _table(["coin", "entry, UTC", "why", "R when cut"], rows, left=3)


def _metrics(result: BacktestResult) -> dict[str, Any]:
    rows = []
    for m in result.metrics.values():
        digits = 0 if m.unit in ("trades", "days") else 3
        interval = (
            f"[{words.number(m.low, digits)}, {words.number(m.high, digits)}]"
            if np.isfinite(m.low)
            else ""
        )
        rows.append(
            [m.name, (words.number(m.value, digits), m.value), interval, m.unit, m.n, m.definition]
        )
    return _table(["figure", "value", "95 %", "unit", "n", "definition"], rows)


def _how(result: BacktestResult) -> dict[str, Any]:
    t = result.timing
    rows = [
        ["bars", f"{result.bars:,}"],
        ["load", f"{t.load_s:.2f} s"],
        ["market series", f"{t.market_s:.2f} s"],
        ["detect", f"{t.detect_s:.2f} s · {t.detect_ns_per_bar:.0f} ns a bar, one core"],
        ["simulate", f"{t.simulate_s:.2f} s"],
        ["random entries", f"{t.null_s:.2f} s · {result.null.r.size:,} walks"],
        ["statistics", f"{t.statistics_s:.2f} s"],
        ["bars that could not be", f"{result.counts['unsound_bars']:,}"],
        ["rows given twice", f"{result.counts['repeated_rows']:,}"],
        ["rows out of order", f"{result.counts['disordered_rows']:,}"],
        ["configurations tried on overlapping history", f"{result.trials:,}"],
        ["seed", str(result.settings.seed)],
        *[[f"hash of {name}", value] for name, value in result.hashes.items()],
        ["version", metadata.version("zion-core")],
        *[[name, path] for name, path in result.files.items()],
    ]
    return _table(["", ""], rows, left=2)
