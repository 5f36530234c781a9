"""The backtest in one call: lake -> events -> one account's trades -> figures, frames, files."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import polars as pl

from data.catalog import Lake
from data.profiles import load_profile
from engine.bars import Bars, interval_ms
from engine.errors import DataError, UsageError
from engine.kernels._jit import source_hash
from engine.messages import EventKind
from engine.pipeline.market import MarketSeries, market_history
from engine.pipeline.p8_management import Intrabar, PlanParams, path_rules, plan_params
from engine.pipeline.phase import EVENT, new_contexts
from engine.pipeline.profile import Profile
from engine.pipeline.scan import scan_history
from engine.stats.metric import Metric
from engine.venue.funding import NO_FUNDING, covers
from research import frames
from research.account import AccountRun, run_account, signals_of, walk, would_have_made
from research.curve import equity_curve
from research.figures import all_metrics
from research.history import DAY_MS, NO_FINE, FineBars, History, read_fine, read_history
from research.null import Null, random_entries
from research.runs import (
    data_hash,
    log_run,
    make_folder,
    plain,
    trials_before,
    write_frames,
    write_text,
)
from research.settings import BacktestSettings, digest

Progress = Callable[[str, float, str], None]
FUNNEL = {
    "dump": EventKind.DUMP,
    "base": EventKind.STAB,
    "armed": EventKind.ARMED,
    "breakout": EventKind.BREAKOUT,
}


@dataclass(frozen=True, slots=True)
class Skip:
    """A symbol that took no part, and why."""

    symbol: str
    reason: str


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
                "hashes": self.hashes,
                "files": self.files,
            }
        )


def choose_symbols(lake: Lake, venue: str, interval: str, wanted: str | Sequence[str]) -> list[str]:
    """Return the symbols meant by ``all``, ``top:N``, ``A,B`` or a list.

    `top:N` ranks by turnover (close x volume where it is not known) over the whole history: it
    knows the future of each coin's popularity, and the report says so.

    Raises
    ------
    DataError, UsageError
        Unknown symbols, or a top that is not a positive number.
    """
    there = lake.symbols(venue, interval)
    if not isinstance(wanted, str):
        names = list(wanted)
    elif wanted == "all":
        names = there
    elif wanted.startswith("top:"):
        names = _top(lake, venue, interval, wanted, there)
    else:
        names = [name.strip().upper() for name in wanted.split(",") if name.strip()]
    if not names:
        raise DataError(
            f"no symbols at {venue} {interval}", hint="zion data list shows what there is"
        )
    for name in names:
        if name not in there:
            lake.files(venue, interval, name)  # raises the reader's own error, with near matches
    return sorted(set(names))


def _top(lake: Lake, venue: str, interval: str, wanted: str, there: list[str]) -> list[str]:
    count = wanted.removeprefix("top:")
    if not count.isdecimal() or int(count) < 1:
        raise UsageError(f"--symbols {wanted} is not a number of symbols", hint="as in top:50")
    turnover = {}
    for symbol in there:
        try:
            bars = lake.read(venue, interval, symbol)
        except DataError:
            continue
        own = np.where(np.isnan(bars.turnover), bars.close * bars.volume, bars.turnover)
        turnover[symbol] = float(np.nansum(own))
    return sorted(turnover, key=lambda s: (-turnover[s], s))[: int(count)]


@dataclass(slots=True)
class _Loaded:
    raw: dict[str, Bars]
    universe: dict[str, Bars]  # the profile's whole universe: what the market series is made of
    histories: dict[int, History]
    skips: list[Skip]


def _load(
    lake: Lake, venue: str, interval: str, symbols: list[str], profile: Profile, end_ms: int | None
) -> _Loaded:
    out = _Loaded({}, {}, {}, [])
    for symbol_id, symbol in enumerate(lake.symbols(venue, interval)):
        wanted = symbol in symbols
        try:
            raw, history = read_history(lake, venue, interval, symbol, symbol_id, end_ms=end_ms)
        except DataError as error:
            if wanted:
                out.skips.append(Skip(symbol, error.what))
            continue
        out.universe[symbol] = history.bars
        if not wanted:
            continue
        least = profile.params.monitor.n_slow + 2
        if len(raw) < least:
            out.skips.append(
                Skip(symbol, f"{len(raw)} bars, the detector needs {least} to warm up")
            )
            continue
        out.raw[symbol] = raw
        out.histories[symbol_id] = history
    if not out.histories:
        why = "; ".join(f"{s.symbol}: {s.reason}" for s in out.skips[:3])
        raise DataError(f"nothing to test at {venue} {interval}", why=why)
    return out


def _detect(loaded: _Loaded, profile: Profile, market: MarketSeries, step: int) -> list[np.ndarray]:
    found = []
    for symbol_id, history in loaded.histories.items():
        raw = loaded.raw[history.symbol]
        found.append(
            scan_history(
                new_contexts(1),
                profile.params,
                raw,
                symbol_id=symbol_id,
                interval_ms=step,
                market=market,
            )
        )
    return found


def _warm(profile: Profile, plan: PlanParams, settings: BacktestSettings) -> None:
    """Compile, or load from the cache, before anything is timed."""
    ts = 900_000 * np.arange(4, dtype=np.int64)
    one = np.ones(4)
    bars = Bars.from_arrays(ts, one, one, one, one, one)
    market = market_history({"X": bars}, profile.market, 900_000)
    scan_history(
        new_contexts(1), profile.params, bars, symbol_id=0, interval_ms=900_000, market=market
    )
    history = History("X", 0, 900_000, bars, NO_FUNDING, NO_FINE, 0.1, 0)
    from engine.kernels import paths

    walk(history, np.zeros(1, paths.ORDER), path_rules(plan, settings.fees, settings.margin))


def _times(start_ms: int | None, end_ms: int | None) -> None:
    if start_ms is not None and end_ms is not None and end_ms <= start_ms:
        raise UsageError("--end is not after --start")


def backtest(
    lake: Lake | Path | str,
    venue: str | None = None,
    interval: str = "15m",
    symbols: str | Sequence[str] = "all",
    profile: str | Profile = "default",
    capital: float = 10_000.0,
    *,
    start_ms: int | None = None,
    end_ms: int | None = None,
    intrabar: str | None = None,
    settings: BacktestSettings | None = None,
    runs: Path | str | None = None,
    run_name: str | None = None,
    command: str = "",
    progress: Progress | None = None,
) -> BacktestResult:
    """Run the detector and one account over a lake.

    Parameters
    ----------
    lake : Lake or path
    venue : str, optional
        May be left out when the lake has one.
    symbols : str or list
        ``all``, ``top:N``, ``A,B``; what cannot be read or is too short is skipped and told.
    profile : str or Profile
        Name, file, or the value itself.
    capital : float
        USDT the account starts with.
    start_ms, end_ms : int, optional
        Signals from `start_ms` on are traded, bars up to `end_ms` are read; the detector always
        starts at the first bar there is.
    intrabar : str, optional
        ``pessimistic``, ``optimistic`` or ``finer``; the profile's own by default.
    runs : path, optional
        Where the run is filed (`events`, `trades`, `fills`, `equity`, the report, the log);
        nothing is written without it.
    progress : callable, optional
        Called after each stage with its name, seconds and a note.

    Returns
    -------
    BacktestResult

    Raises
    ------
    UsageError, DataError
        Unknown names, bad numbers, an empty or unreadable lake, an unwritable place.
    """
    began = perf_counter()
    lake = lake if isinstance(lake, Lake) else Lake(lake)
    tell: Progress = progress or (lambda _name, _seconds, _note: None)
    settings = (settings or BacktestSettings())._replace(capital=float(capital))
    if not settings.capital > 0.0:
        raise UsageError(f"--capital {capital} must be above 0")
    _times(start_ms, end_ms)
    step = interval_ms(interval)
    venue = lake.resolve_venue(venue)
    names = choose_symbols(lake, venue, interval, symbols)
    chosen = profile if isinstance(profile, Profile) else load_profile(profile, interval)
    plan = _plan(chosen, intrabar)
    folder = make_folder(Path(runs), run_name) if runs is not None and run_name else None
    _warm(chosen, plan, settings)
    timing = Timing(warm_s=perf_counter() - began)

    clock = perf_counter()
    loaded = _load(lake, venue, interval, names, chosen, end_ms)
    if plan.manage.intrabar == Intrabar.FINER:
        _add_fine(loaded, lake, venue, interval)
    n_bars = sum(map(len, loaded.raw.values()))
    timing.load_s = perf_counter() - clock
    gaps = sum(int((np.diff(b.ts) != step).sum()) for b in loaded.raw.values())
    tell("load", timing.load_s, f"{n_bars:,} bars|{gaps} gaps reported, none filled")

    clock = perf_counter()
    market = market_history(loaded.universe, chosen.market, step)
    timing.market_s = perf_counter() - clock
    tell("market", timing.market_s, f"{len(market.ts):,} instants|of {len(loaded.universe)} coins")

    clock = perf_counter()
    found = _detect(loaded, chosen, market, step)
    timing.detect_s = perf_counter() - clock
    timing.detect_ns_per_bar = timing.detect_s * 1e9 / n_bars
    tell(
        "detect", timing.detect_s, f"{n_bars:,} bars|{timing.detect_ns_per_bar:.0f} ns/bar, 1 core"
    )

    clock = perf_counter()
    histories = list(loaded.histories.values())
    signals = signals_of(found, histories, start_ms)
    run = run_account(signals, plan, settings)
    refused_r = would_have_made(signals, plan, settings)
    timing.simulate_s = perf_counter() - clock
    tell(
        "simulate",
        timing.simulate_s,
        f"{len(signals):,} signals|one account, {len(run.trades)} trades",
    )

    clock = perf_counter()
    first_ts = max(min(int(h.bars.ts[0]) for h in histories), start_ms or 0)
    rules = path_rules(plan, settings.fees, settings.margin)
    rng = np.random.default_rng(settings.seed)
    null = random_entries(
        run,
        loaded.histories,
        rules,
        n_runs=settings.null_runs,
        capital=settings.capital,
        start_ms=first_ts,
        rng=rng,
    )
    timing.null_s = perf_counter() - clock
    tell("null", timing.null_s, f"{null.r.size:,} random entries|same coins, stops and plan")

    clock = perf_counter()
    curve = equity_curve(run, loaded.histories, settings.capital, first_ts)
    hashes = {
        "params": digest(
            chosen.params_hash, plan, settings, venue, interval, names, start_ms, end_ms
        ),
        "data": data_hash(loaded.raw),
        "code": source_hash(),
        "profile": f"{chosen.params_hash & (2**64 - 1):016x}",
    }
    runs_path = Path(runs) if runs is not None else None
    trials = trials_before(runs_path, hashes["data"], hashes["params"])
    metrics = all_metrics(run, null, curve, rng, settings, trials)
    symbol_names = {i: h.symbol for i, h in loaded.histories.items()}
    everything = np.concatenate([*found, np.zeros(0, EVENT)])
    everything = everything[np.argsort(everything["t"], kind="stable")]
    if start_ms is not None:
        everything = everything[everything["t"] >= start_ms]
    known = _funding_known(run, loaded.histories)
    result = BacktestResult(
        venue=venue,
        interval=interval,
        profile=chosen,
        plan=plan,
        settings=settings,
        symbols=[h.symbol for h in histories],
        skips=loaded.skips,
        bars=n_bars,
        first_ts=first_ts,
        last_ts=max(int(h.bars.ts[-1]) for h in histories) + step,
        events=frames.event_frame(everything, symbol_names),
        signals=frames.signal_frame(signals),
        trades=frames.trade_frame(run.trades, symbol_names, signals, known),
        fills=frames.fill_frame(run.fills, symbol_names),
        equity=curve,
        funnel=_funnel(everything, run, signals),
        refusals=_refusals(signals),
        refused_r=refused_r,
        metrics=metrics,
        null=null,
        run=run,
        histories=loaded.histories,
        counts=_counts(run, signals, histories, known, gaps),
        hashes=hashes,
        timing=timing,
        trials=trials,
        benchmark=_benchmark(loaded.universe, first_ts),
    )
    timing.statistics_s = perf_counter() - clock
    timing.total_s = perf_counter() - began
    if runs_path is not None:
        _file(result, runs_path, folder or make_folder(runs_path, hashes["params"]), command, tell)
        timing.total_s = perf_counter() - began
    return result


def _benchmark(universe: Mapping[str, Bars], start_ms: int) -> pl.DataFrame | None:
    bars = universe.get("BTCUSDT")
    if bars is None:
        return None
    frame = bars.frame().select("ts", "close").filter(pl.col("ts") >= start_ms)
    by_day = frame.group_by(pl.col("ts") // DAY_MS, maintain_order=True).agg(
        pl.col("ts").last().alias("at"), pl.col("close").last()
    )
    return by_day.select(pl.col("at").alias("ts"), "close") if by_day.height else None


def _plan(profile: Profile, intrabar: str | None) -> PlanParams:
    values = dict(profile.plan)
    if intrabar is not None:
        values["intrabar"] = intrabar
    return plan_params(values, f"profile {profile.id}")


def _add_fine(loaded: _Loaded, lake: Lake, venue: str, interval: str) -> None:
    from dataclasses import replace

    for symbol_id, history in loaded.histories.items():
        try:
            fine: FineBars = read_fine(lake, venue, interval, history.symbol)
        except DataError as error:
            loaded.skips.append(Skip(f"{history.symbol} (finer bars)", error.what))
            continue
        loaded.histories[symbol_id] = replace(history, fine=fine)


def _funding_known(run: AccountRun, histories: Mapping[int, History]) -> np.ndarray:
    return np.array(
        [
            covers(histories[int(t["symbol_id"])].funding, int(t["entry_ts"]), int(t["exit_ts"]))
            for t in run.trades
        ],
        dtype=bool,
    )


def _funnel(events: np.ndarray, run: AccountRun, signals: list[Any]) -> dict[str, int]:
    out = {name: int((events["kind"] == int(kind)).sum()) for name, kind in FUNNEL.items()}
    unfilled = ("expired", "no_bar", "chased", "below_stop", "r_too_small")
    out["ordered"] = len(run.trades) + sum(s.outcome in unfilled for s in signals)
    out["entered"] = len(run.trades)
    out["tp1"] = int(run.trades["tp1_hit"].sum())
    return out


def _refusals(signals: list[Any]) -> dict[str, int]:
    out: dict[str, int] = {}
    for signal in signals:
        if signal.outcome != "entered":
            out[signal.outcome] = out.get(signal.outcome, 0) + 1
    return dict(sorted(out.items(), key=lambda item: (-item[1], item[0])))


def _counts(
    run: AccountRun, signals: list[Any], histories: list[History], known: np.ndarray, gaps: int
) -> dict[str, int]:
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
    }


def _file(result: BacktestResult, runs: Path, folder: Path, command: str, tell: Progress) -> None:
    from research.report import render  # plotly and jinja2 only when a report is wanted

    named = {"events": result.events, "trades": result.trades, "fills": result.fills}
    result.files = write_frames(folder, {**named, "equity": result.equity})
    result.files["report"] = str(folder / "report.html")
    clock = perf_counter()
    page = render(result, command)
    result.timing.report_s = perf_counter() - clock
    write_text(folder / "report.html", page)
    import json

    write_text(folder / "run.json", json.dumps(result.document(), indent=1))
    row = {
        "run": folder.name,
        "profile": result.profile.id,
        "params_hash": result.hashes["params"],
        "data_hash": result.hashes["data"],
        "code_hash": result.hashes["code"],
        "trades": len(result.trades),
        "expectancy_r": result.metrics["expectancy_r"].value,
        "sharpe": result.metrics["sharpe"].value,
    }
    log_run(runs, row)
    tell("report", result.timing.report_s, f"{len(page) / 1e6:.1f} MB|{folder}")
