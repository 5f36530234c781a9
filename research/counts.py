"""Counts of a run: its funnel, its refusals, and what its figures leave open."""

from collections.abc import Mapping

import numpy as np

from engine.messages import EventKind
from engine.venue.funding import covers
from research.account import AccountRun, Signal
from research.history import History

FUNNEL = {
    "dump": EventKind.DUMP,
    "base": EventKind.STAB,
    "armed": EventKind.ARMED,
    "breakout": EventKind.BREAKOUT,
}


def funding_known(run: AccountRun, histories: Mapping[int, History]) -> np.ndarray:
    """Tell for each trade whether its coin's funding is known while it was open, bool[trades]."""
    return np.array(
        [
            covers(histories[int(t["symbol_id"])].funding, int(t["entry_ts"]), int(t["exit_ts"]))
            for t in run.trades
        ],
        dtype=bool,
    )


def funnel(events: np.ndarray, run: AccountRun, signals: list[Signal]) -> dict[str, int]:
    """Count what became of dumps, from the first sight to TP1."""
    out = {name: int((events["kind"] == int(kind)).sum()) for name, kind in FUNNEL.items()}
    unfilled = ("expired", "no_bar", "chased", "below_stop", "r_too_small")
    out["ordered"] = len(run.trades) + sum(s.outcome in unfilled for s in signals)
    out["entered"] = len(run.trades)
    out["tp1"] = int(run.trades["tp1_hit"].sum())
    return out


def refusals(signals: list[Signal]) -> dict[str, int]:
    """Count refused signals by reason, the commonest first."""
    out: dict[str, int] = {}
    for signal in signals:
        if signal.outcome != "entered":
            out[signal.outcome] = out.get(signal.outcome, 0) + 1
    return dict(sorted(out.items(), key=lambda item: (-item[1], item[0])))


def counts(
    run: AccountRun, signals: list[Signal], histories: list[History], known: np.ndarray, gaps: int
) -> dict[str, int]:
    """Count what a reader should know of the data and of the model's guesses."""
    return {
        "ambiguous_bars": int(run.trades["ambiguous"].sum()),
        "ambiguous_trades": int((run.trades["ambiguous"] > 0).sum()),
        "resolved_bars": int(run.trades["resolved"].sum()),
        "funding_unknown": int((~known).sum()),
        "turnover_estimated": sum(s.turnover_estimated for s in signals),
        "leverage_bound": sum(s.leverage_bound for s in signals if s.trade_id),
        "coins_without_funding": sum(len(h.funding.ts) == 0 for h in histories),
        "gaps": gaps,
        "unsound_bars": sum(h.unsound for h in histories),
        "repeated_rows": sum(h.repeated for h in histories),
        "disordered_rows": sum(h.disordered for h in histories),
    }
