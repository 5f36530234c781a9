"""Parity: the same bars through the history run and through the live path, byte for byte."""

from collections.abc import Callable, Mapping

from app.proofs.comparison import ParityResult, ParityTask, Seen, Telling, compare
from app.proofs.parity_step import step_run
from data.catalog import Lake
from data.db import select_symbols
from data.readable import Skip, nothing_readable, read_series
from engine.bars import Bars, interval_ms
from engine.errors import DataError
from engine.pipeline.market import market_history
from engine.pipeline.phase import new_contexts
from engine.pipeline.scan import scan_history
from live.market.scanner import Scanner


def load(task: ParityTask) -> tuple[dict[str, Bars], list[str], list[Skip]]:
    """Read the universe: all symbols of the venue and interval.

    Returns
    -------
    (universe, symbols to compare, what could not be read)
    """
    lake = Lake(task.lake)
    venue = lake.resolve_venue(task.venue)
    every = lake.symbols(venue, task.interval)
    chosen = select_symbols(lake, venue, task.interval, task.symbols)
    universe, skips = read_series(lake, venue, task.interval, every)
    asked, chosen = chosen, [s for s in chosen if s in universe]
    if asked and not chosen:
        lost = [s for s in skips if s.symbol in asked]
        raise nothing_readable(f"asked for at {venue} {task.interval}", lost)
    if task.bars:
        universe = {s: b.slice(max(0, len(b) - task.bars), len(b)) for s, b in universe.items()}
    if not chosen:
        raise DataError(f"the lake {task.lake} has no {task.interval} bars of {venue}")
    if not any(len(universe[s]) for s in chosen):
        raise DataError(
            f"not one bar to compare: {', '.join(chosen[:5])} of {task.lake} hold none",
            hint="zion data check names every empty series",
        )
    return universe, chosen, skips


def history_run(task: ParityTask, universe: Mapping[str, Bars], chosen: list[str]) -> Seen:
    """Run the history driver over whole series, market facts included."""
    step_ms = interval_ms(task.interval)
    market = market_history(universe, task.profile.market, step_ms)
    events, contexts = {}, {}
    for row, (symbol, bars) in enumerate(universe.items()):
        if symbol not in chosen:
            continue
        context = new_contexts(1)
        events[symbol] = scan_history(
            context,
            task.profile.params,
            bars,
            symbol_id=row,
            interval_ms=step_ms,
            market=market,
        )
        contexts[symbol] = context
    return Seen(events, contexts)


def run_parity(
    task: ParityTask,
    out: Telling,
    *,
    history: Callable[..., Seen] = history_run,
    scanner: type[Scanner] = Scanner,
) -> ParityResult:
    """Run both paths and compare them; the paths may be replaced, to prove the proof itself.

    Raises
    ------
    DataError
        The lake, venue, interval or symbols do not exist.
    """
    with out.stage("read the lake") as stage:
        universe, chosen, skips = load(task)
        bars = sum(len(universe[s]) for s in chosen)
        stage.note = f"{bars:,} bars of {len(chosen)} coins, universe of {len(universe)}"
    out.skipped(skips)
    with out.stage("history run"):
        expected = history(task, universe, chosen)
    if task.feed == "ws":
        from app.proofs.parity_ws import stream_run  # the whole service: only when asked for

        live, extra, warnings = stream_run(task, universe, out)
    else:
        live, extra, warnings = step_run(task, universe, out, make=scanner)
    values, mismatches, first = compare(expected, live)
    return ParityResult(
        bars=bars,
        symbols=len(chosen),
        events=sum(map(len, expected.events.values())),
        values=values,
        mismatches=mismatches,
        first_mismatch=first,
        restarts=extra.pop("restarts", 0),
        extra=extra,
        warnings=warnings,
        skips=skips,
    )
