"""The page: what stands in it, in which order, and the bytes of it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from engine.pipeline.p8_management import Intrabar
from engine.stats.metric import TRADES_MIN
from engine.venue.funding import SENSITIVITY_RATE
from research.report import charts, plots, words
from research.report.tables import tables
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
        tables=tables(result),
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
