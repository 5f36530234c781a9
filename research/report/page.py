"""The page: what stands in it, in which order, and the bytes of it."""

import json
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from engine.pipeline.p8_management import Intrabar
from engine.stats.bootstrap import week_of
from engine.stats.equity import worst_drawdowns
from engine.stats.metric import TRADES_MIN
from engine.stats.trades import mean_interval
from engine.venue.funding import SENSITIVITY_RATE
from research.curve import daily
from research.report import charts, plots, words
from research.result import BacktestResult

_HERE = Path(__file__).parent


def render(result: BacktestResult, command: str = "") -> str:
    """Return the whole page as text.

    Parameters
    ----------
    command : str
        What to type to get the same run again; shown as it is.
    """
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    figures = _figures(result)
    galleries = []
    for name, rows in charts.pick(result) if len(result.trades) else []:
        drawn = [charts.trade_chart(result, row) for row in rows]
        for chart in drawn:
            figures[chart["anchor"]] = chart.pop("figure")
        galleries.append({"name": name, "charts": drawn})
    return environment.get_template("template.html").render(
        head=_head(result, command),
        verdict=words.verdict(result.metrics, len(result.trades), result.known),
        tiles=_tiles(result),
        assumed=_assumed(result),
        has=set(figures),
        few=len(result.trades) < TRADES_MIN,
        n_trades=len(result.trades),
        tables=_tables(result),
        galleries=galleries,
        figures=_embedded(figures),
        style=Markup((_HERE / "style.css").read_text(encoding="utf-8")),  # noqa: S704 - our own file
        script=Markup((_HERE / "page.js").read_text(encoding="utf-8")),  # noqa: S704 - our own file
        plotly=Markup(get_plotlyjs()),  # noqa: S704 - the library's own bundle
        null_runs=len(result.null.r),
        funding=_funding_line(result),
    )


def _embedded(figures: dict[str, Any]) -> Markup:
    # A symbol named </script> must stay a symbol.
    text = json.dumps(_clean(figures), separators=(",", ":")).replace("<", "\\u003c")
    return Markup(text)  # noqa: S704 - escaped above


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _clean(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def _figures(result: BacktestResult) -> dict[str, Any]:
    drawn = {
        "equity": plots.equity(result),
        "underwater": plots.underwater(result),
        "exposure": plots.exposure(result),
        "funnel": plots.funnel(result),
    }
    if result.refusals:
        drawn["refusals"] = plots.refusals(result)
    if len(result.trades):
        drawn |= {
            "r": plots.r_histogram(result),
            "months": plots.by_month(result),
            "coins": plots.by_coin(result),
            "excursions": plots.excursions(result),
            "waterfall": plots.waterfall(result),
            "multiple": plots.cost_multiple(result),
            "map": plots.month_map(result),
            "null": plots.null_histogram(result),
        }
        rolling = plots.rolling(result)
        if rolling is not None:
            drawn["rolling"] = rolling
    return drawn


def _head(result: BacktestResult, command: str) -> dict[str, Any]:
    return {
        "profile": result.profile.id,
        "venue": result.venue,
        "interval": result.interval,
        "coins": len(result.symbols),
        "period": f"{words.day(result.first_ts)} → {words.day(result.last_ts)}",
        "hashes": result.hashes,
        "command": command,
    }


def _tiles(result: BacktestResult) -> list[dict[str, str]]:
    m, null, n = result.metrics, result.null, len(result.trades)
    few = f"too few trades to say ({n} of {TRADES_MIN})" if n < TRADES_MIN else ""
    mean_null = float(null.expectancy.mean()) if n else float("nan")
    net, deep = m["net_usdt"], m["max_drawdown"]
    return [
        {
            "name": "Expectancy",
            "value": few or f"{words.signed(m['expectancy_r'].value)} R",
            "interval": words.span(m["expectancy_r"]),
            "null": f"random entries {words.signed(mean_null)} R",
            "few": few,
        },
        {
            "name": "Net",
            "value": f"{words.signed(net.value)} USDT",
            "interval": words.span(net, digits=0),
            "null": f"{words.signed(100 * net.value / result.settings.capital, 1)}\u202f% "
            f"on {words.number(result.settings.capital, 0)}",
            "few": "",
        },
        {
            "name": "Deepest drawdown",
            "value": words.share(deep.value),
            "interval": words.span(deep, words.share, 1),
            "null": f"{m['drawdown_days'].value:.0f} days under a high at most",
            "few": "",
        },
        {
            "name": "Profit factor",
            "value": few or words.number(m["profit_factor"].value),
            "interval": words.span(m["profit_factor"], words.number),
            "null": f"random entries {words.number(null.profit_factor)}",
            "few": few,
        },
        {
            "name": "Trades",
            "value": f"{n:,}",
            "interval": (
                f"win rate {words.share(m['win_rate'].value)} "
                f"{words.span(m['win_rate'], words.share, 1)}"
            ),
            "null": f"random entries {words.share(null.win_rate)}",
            "few": "",
        },
    ]


def _funding_line(result: BacktestResult) -> str:
    trades = result.trades
    unknown = result.counts["funding_unknown"]
    if not unknown:
        return "Funding is known for every trade."
    return (
        f"Funding is unknown for {unknown} of {len(trades)} trades and counted as 0 there. If "
        "these "
        f"paid {SENSITIVITY_RATE * 1e4:.0f} bp per 8 h, expectancy would be "
        f"{words.signed(result.funding_sensitivity(), 3)} R instead of "
        f"{words.signed(result.metrics['expectancy_r'].value, 3)} R."
    )


def _assumed(result: BacktestResult) -> list[tuple[str, str]]:
    s, entry, manage, c = result.settings, result.plan.entry, result.plan.manage, result.counts
    if entry.entry_mode:
        how = (
            f"Limit at the level + {entry.retest_batr:g} base ATR, good for {entry.retest_bars} "
            "bars, then gone. "
            "Filled when a bar's low reaches it."
        )
    else:
        how = (
            "Market at the open after the breakout; skipped above the level + "
            f"{entry.chase_max_batr:g} base ATR."
        )
    trail = (
        f"stop to breakeven including costs, then {manage.trail_batr:g} base ATR under the "
        "highest high"
    )
    policy = {
        Intrabar.PESSIMISTIC: (
            "against us: the stop first, a target in a limit's own bar not at all"
        ),
        Intrabar.OPTIMISTIC: "for us: the target first",
        Intrabar.FINER: "by finer candles where there are any, else against us",
    }[Intrabar(manage.intrabar)]
    return [
        ("Entry", how),
        (
            "Exit",
            f"Stop under the base's floor, {entry.stop_max_batr:g} base ATR away at most; "
            f"{words.share(manage.tp1_share, 0)} at +{manage.tp1_r:g} R, {trail}; moved at "
            "closes, in force from "
            f"the next bar. Time stop after {manage.time_stop_bars} bars"
            + ("; out at the open after a failed breakout." if manage.exit_on_failed else "."),
        ),
        (
            "One bar with stop and target",
            f"Decided {policy}. {c['ambiguous_bars']} such bars in {c['ambiguous_trades']} trades, "
            f"{c['resolved_bars']} decided by finer candles.",
        ),
        (
            "Fees",
            f"Taker {s.fees.taker_bps:g} bps; limit orders pay "
            + (
                f"taker too (careful; maker would be {s.fees.maker_bps:g} bps)."
                if s.fees.limit_pays_taker
                else f"maker {s.fees.maker_bps:g} bps."
            ),
        ),
        (
            "Spread and slippage",
            f"Model {s.costs.version}: spread = max(tick, {s.costs.spread_base_bps:g} bps + "
            f"{s.costs.spread_per_atr:g} ATR + {s.costs.spread_per_root_turnover:g}/√turnover); "
            "a market order pays "
            f"half of it and {s.costs.impact:g} x sigma x √(notional / bar turnover). Not fitted "
            "yet: no live fills. "
            f"Turnover is close x volume for {c['turnover_estimated']} signals; ticks are read "
            "off the prices.",
        ),
        (
            "Refused",
            f"Spread over {s.gate.spread_max_bps:g} bps, round trip over {s.gate.cost_r_max:g} "
            "R, 24 h turnover under "
            f"{words.number(s.turnover_min_usdt, 0)} USDT, more than {s.positions_max} positions.",
        ),
        (
            "Size",
            f"{words.share(s.sizing.risk_fraction)} of realised equity at risk, costs included; "
            "one position at most "
            f"{s.sizing.leverage_max:g} x equity (bound {c['leverage_bound']} times). Isolated "
            "margin at "
            f"{s.margin.leverage:g} x, maintenance {words.share(s.margin.maintenance_rate)}.",
        ),
        ("Funding", _funding_line(result)),
        (
            "Universe",
            f"{len(result.symbols)} coins of {result.venue} as the lake has them; those that "
            "vanished from it were "
            f"never seen (survivorship). {c['gaps']} holes in the data, none filled; a trade "
            "open at one ends at the "
            "last known price.",
        ),
        (
            "Not modelled",
            "Latency, partial fills, order-book depth, the mark price (last prices stand for "
            "it), margin tiers, "
            "exchange outages, and the risk controls beyond those above.",
        ),
    ]


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


def _tables(result: BacktestResult) -> dict[str, Any]:
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
