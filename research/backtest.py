"""The backtest in one call: lake -> events -> one account's trades -> figures, frames, files."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import numpy as np
import polars as pl

from data.catalog import Lake
from data.profiles import load_profile
from data.synth import VENUE as MADE_UP
from engine.bars import Bars, interval_ms
from engine.errors import DataError, UsageError
from engine.kernels._jit import source_hash
from engine.pipeline.market import market_history
from engine.pipeline.p8_management import Intrabar, PlanParams, path_rules, plan_params
from engine.pipeline.phase import EVENT
from engine.pipeline.profile import Known, Profile
from research import frames
from research.account import AccountRun, run_account, signals_of, would_have_made
from research.counts import counts, funding_known, funnel, refusals
from research.curve import equity_curve
from research.figures import all_metrics
from research.history import DAY_MS
from research.null import Null, random_entries
from research.result import BacktestResult, Timing
from research.runs import (
    FRAMES,
    Span,
    data_hash,
    log_run,
    make_folder,
    trials_before,
    write_frames,
    write_text,
)
from research.settings import BacktestSettings, digest
from research.stages import Progress, Watch, detect, warm_up
from research.universe import Loaded, add_fine, choose_symbols, load

__all__ = ["BacktestResult", "backtest"]


class _Ask(NamedTuple):
    """A request whose every part has been checked."""

    lake: Lake
    venue: str
    interval: str
    step: int
    symbols: list[str]
    profile: Profile
    plan: PlanParams
    settings: BacktestSettings


def check_times(start_ms: int | None, end_ms: int | None) -> None:
    """Refuse a stretch of time that ends before it begins."""
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
    ask = _ask(lake, venue, interval, symbols, profile, intrabar, settings, capital)
    check_times(start_ms, end_ms)
    runs = Path(runs) if runs is not None else None
    # before the work, not after it
    folder = make_folder(runs, run_name) if runs is not None and run_name else None
    watch = Watch(Timing(), progress)
    watch.stage("warm", warm_up)
    loaded = watch.stage("load", lambda: _load(ask, end_ms), lambda x: _load_note(x, ask.step))
    n_bars = sum(map(len, loaded.raw.values()))
    market = watch.stage(
        "market",
        lambda: market_history(loaded.universe, ask.profile.market, ask.step),
        lambda x: f"{len(x.ts):,} instants|of {len(loaded.universe)} coins",
    )
    found = watch.stage("detect", lambda: detect(loaded, ask.profile, market, ask.step))
    watch.timing.detect_ns_per_bar = watch.timing.detect_s * 1e9 / n_bars
    watch.tell("detect", f"{n_bars:,} bars|{watch.timing.detect_ns_per_bar:.0f} ns/bar, 1 core")
    signals = signals_of(found, list(loaded.histories.values()), start_ms)
    run = watch.stage(
        "simulate",
        lambda: run_account(signals, ask.plan, ask.settings),
        lambda x: f"{len(signals):,} signals|one account, {len(x.trades):,} trades",
    )
    first_ts = max(min(int(h.bars.ts[0]) for h in loaded.histories.values()), start_ms or 0)
    rng = np.random.default_rng(ask.settings.seed)
    null = watch.stage(
        "null",
        lambda: _null(ask, run, loaded, first_ts, rng),
        lambda x: f"{x.r.size:,} random entries|same coins, stops and plan",
    )
    scan = _Scan(loaded, found, run, null, first_ts, n_bars)
    scope = (start_ms, end_ms)
    result = watch.stage("statistics", lambda: _conclude(ask, scan, rng, scope, runs))
    result.timing = watch.timing
    watch.timing.total_s = perf_counter() - began
    if runs is not None:
        _file(result, runs, folder or make_folder(runs, result.hashes["params"]), command, watch)
        watch.timing.total_s = perf_counter() - began
    return result


def _ask(
    lake: Lake | Path | str,
    venue: str | None,
    interval: str,
    symbols: str | Sequence[str],
    profile: str | Profile,
    intrabar: str | None,
    settings: BacktestSettings | None,
    capital: float,
) -> _Ask:
    lake = lake if isinstance(lake, Lake) else Lake(lake)
    settings = (settings or BacktestSettings())._replace(capital=float(capital))
    if not settings.capital > 0.0:
        raise UsageError(f"--capital {capital:g} must be above 0")
    step = interval_ms(interval)
    venue = lake.resolve_venue(venue)
    names = choose_symbols(lake, venue, interval, symbols)
    chosen = profile if isinstance(profile, Profile) else load_profile(profile, interval)
    return _Ask(lake, venue, interval, step, names, chosen, _plan(chosen, intrabar), settings)


class _Scan(NamedTuple):
    """What loading, detection, the account and its null gave."""

    loaded: Loaded
    found: list[np.ndarray]
    run: AccountRun
    null: Null
    first_ts: int
    n_bars: int


def _load(ask: _Ask, end_ms: int | None) -> Loaded:
    loaded = load(ask.lake, ask.venue, ask.interval, ask.symbols, ask.profile, end_ms)
    if ask.plan.manage.intrabar == Intrabar.FINER:
        add_fine(loaded, ask.lake, ask.venue, ask.interval)
    return loaded


def _load_note(loaded: Loaded, step: int) -> str:
    n_bars = sum(map(len, loaded.raw.values()))
    return f"{n_bars:,} bars|{_gaps(loaded, step)} gaps reported, none filled"


def _gaps(loaded: Loaded, step: int) -> int:
    return sum(int((np.diff(b.ts) != step).sum()) for b in loaded.raw.values())


def _null(
    ask: _Ask, run: AccountRun, loaded: Loaded, first_ts: int, rng: np.random.Generator
) -> Null:
    return random_entries(
        run,
        loaded.histories,
        path_rules(ask.plan, ask.settings.fees, ask.settings.margin),
        n_runs=ask.settings.null_runs,
        capital=ask.settings.capital,
        start_ms=first_ts,
        rng=rng,
    )


def _conclude(
    ask: _Ask,
    scan: _Scan,
    rng: np.random.Generator,
    scope: tuple[int | None, int | None],
    runs: Path | None,
) -> BacktestResult:
    """Turn what was simulated into frames, figures and counts."""
    loaded, run, signals = scan.loaded, scan.run, scan.run.signals
    histories = list(loaded.histories.values())
    curve = equity_curve(run, loaded.histories, ask.settings.capital, scan.first_ts)
    asked = (ask.plan, ask.settings, ask.venue, ask.interval, ask.symbols, scope)
    hashes = {
        "params": digest(ask.profile.params_hash, *asked),
        "data": data_hash(loaded.raw),
        "code": source_hash(),
        "profile": f"{ask.profile.params_hash & (2**64 - 1):016x}",
    }
    last_ts = max(int(h.bars.ts[-1]) for h in histories) + ask.step
    span = Span(ask.venue, ask.interval, scan.first_ts, last_ts)
    seen = _seen(ask, span)
    trials = trials_before(runs, span, hashes["params"]) + (seen.trials if seen else 0)
    names = {i: h.symbol for i, h in loaded.histories.items()}
    events = np.concatenate([*scan.found, np.zeros(0, EVENT)])
    events = events[np.argsort(events["t"], kind="stable")]
    events = events[events["t"] >= (scope[0] or 0)]
    funded = funding_known(run, loaded.histories)
    return BacktestResult(
        venue=ask.venue,
        interval=ask.interval,
        profile=ask.profile,
        plan=ask.plan,
        settings=ask.settings,
        symbols=[h.symbol for h in histories],
        skips=loaded.skips,
        bars=scan.n_bars,
        first_ts=scan.first_ts,
        last_ts=last_ts,
        events=frames.event_frame(events, names),
        signals=frames.signal_frame(signals),
        trades=frames.trade_frame(run.trades, names, signals, funded),
        fills=frames.fill_frame(run.fills, names),
        equity=curve,
        funnel=funnel(events, run, signals),
        refusals=refusals(signals),
        refused_r=would_have_made(signals, ask.plan, ask.settings),
        metrics=all_metrics(run, scan.null, curve, rng, ask.settings, trials),
        null=scan.null,
        run=run,
        histories=loaded.histories,
        counts=counts(run, signals, histories, funded, _gaps(loaded, ask.step)),
        hashes=hashes,
        timing=Timing(),
        trials=trials,
        known=seen,
        benchmark=_benchmark(loaded.universe, scan.first_ts),
    )


def _seen(ask: _Ask, span: Span) -> Known | None:
    """Return what the profile has seen where this history shares it: other coins move alike."""
    known = ask.profile.known
    if known is None or ask.venue == MADE_UP or not known.overlaps(span.first_ts, span.last_ts):
        return None
    return known


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


def _file(result: BacktestResult, runs: Path, folder: Path, command: str, watch: Watch) -> None:
    from research.report import render  # plotly and jinja2 only when a report is wanted

    named = {"events": result.events, "trades": result.trades, "fills": result.fills}
    result.files = {name: str(folder / f"{name}.parquet") for name in FRAMES}
    result.files["report"] = str(folder / "report.html")
    page = watch.stage("report", lambda: render(result, command))
    row = {
        "run": folder.name,
        "profile": result.profile.id,
        "venue": result.venue,
        "interval": result.interval,
        "first_ts": result.first_ts,
        "last_ts": result.last_ts,
        "params_hash": result.hashes["params"],
        "data_hash": result.hashes["data"],
        "code_hash": result.hashes["code"],
        "trades": len(result.trades),
        "expectancy_r": result.metrics["expectancy_r"].value,
        "sharpe": result.metrics["sharpe"].value,
    }
    try:
        write_frames(folder, {**named, "equity": result.equity})
        write_text(folder / "report.html", page)
        write_text(folder / "run.json", json.dumps(result.document(), indent=1))
        log_run(runs, row)
    except DataError:
        # Half a run would be taken for a whole one.
        for path in [*result.files.values(), folder / "run.json"]:
            Path(path).unlink(missing_ok=True)
        raise
    watch.tell("report", f"{len(page) / 1e6:.1f} MB|{folder}")
