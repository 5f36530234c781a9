"""What a backtest found, as one value."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from engine.pipeline.p8_management import PlanParams
from engine.pipeline.profile import Known, Profile
from engine.stats.metric import Metric
from research.account import AccountRun
from research.history import History
from research.null import Null
from research.runs import plain
from research.settings import BacktestSettings
from research.universe import Skip


@dataclass(slots=True)
class Timing:
    """Wall seconds by stage; kernels are warm before the first."""

    warm_s: float = 0.0
    load_s: float = 0.0
    market_s: float = 0.0  # the universe's market series, an input of detection
    detect_s: float = 0.0
    simulate_s: float = 0.0
    null_s: float = 0.0
    statistics_s: float = 0.0
    report_s: float = 0.0
    total_s: float = 0.0
    detect_ns_per_bar: float = float("nan")


@dataclass(slots=True)
class BacktestResult:
    """Everything a run found.

    Attributes
    ----------
    events, signals, trades, fills, equity : pl.DataFrame
        Detector events; breakouts with their verdicts; closed trades; fills; the curve.
    funnel, refusals : dict
        Counts by phase and by reason.
    metrics : dict of Metric
        Every figure with unit, definition and interval.
    counts : dict
        Ambiguous and resolved bars, funding unknown, turnover estimated, and so on.
    trials : int
        Configurations tried on overlapping history: those in the log of runs, this one, and those
        behind the profile where `known` is set.
    known : Known or None
        What was seen before the profile was settled, when this history shares some of it.
    """

    venue: str
    interval: str
    profile: Profile
    plan: PlanParams
    settings: BacktestSettings
    symbols: list[str]
    skips: list[Skip]
    bars: int
    first_ts: int
    last_ts: int
    events: pl.DataFrame
    signals: pl.DataFrame
    trades: pl.DataFrame
    fills: pl.DataFrame
    equity: pl.DataFrame
    funnel: dict[str, int]
    refusals: dict[str, int]
    refused_r: dict[str, np.ndarray]
    metrics: dict[str, Metric]
    null: Null
    run: AccountRun
    histories: dict[int, History]
    counts: dict[str, int]
    hashes: dict[str, str]
    timing: Timing
    trials: int = 1
    known: Known | None = None
    benchmark: pl.DataFrame | None = None  # ts, close of BTC by day, where the lake has it
    files: dict[str, str] = field(default_factory=dict)

    def funding_sensitivity(self) -> float:
        """Return the expectancy with unknown funding at 1 bp per 8 h, R; NaN without trades."""
        t = self.trades
        if t.is_empty():
            return float("nan")
        extra = (t["funding_at_1bp"] - t["funding"]) / t["risk"]
        return float((t["r"] - extra).to_numpy().mean())

    def document(self) -> dict[str, Any]:
        """Return the JSON document of the contract, plain types only."""
        timing = {name: getattr(self.timing, name) for name in Timing.__slots__}
        null = {
            "runs": len(self.null.r),
            "expectancy_r": float(np.mean(self.null.expectancy)) if len(self.trades) else None,
            "win_rate": self.null.win_rate,
            "profit_factor": self.null.profit_factor,
        }
        return plain(
            {
                "venue": self.venue,
                "interval": self.interval,
                "profile": self.profile.id,
                "bars": self.bars,
                "symbols": len(self.symbols),
                "first_ts": self.first_ts,
                "last_ts": self.last_ts,
                "events": len(self.events),
                "signals": len(self.signals),
                "trades": len(self.trades),
                "timing": timing,
                "funnel": self.funnel,
                "refusals": self.refusals,
                "metrics": {name: m._asdict() for name, m in self.metrics.items()},
                "random_entries": null,
                "expectancy_r_funding_at_1bp": self.funding_sensitivity(),
                "counts": self.counts,
                "skipped": [{"symbol": s.symbol, "reason": s.reason} for s in self.skips],
                "trials": self.trials,
                "known": self.known._asdict() if self.known else None,
                "hashes": self.hashes,
                "files": self.files,
            }
        )
