"""The live path bar by bar: the scanner, minute after minute, saved and loaded at random bars."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from app.proofs.comparison import ParityTask, Seen, Telling
from engine.bars import COLUMNS, Bars, interval_ms
from engine.pipeline.phase import EVENT
from live.market.collate import Batch
from live.market.scanner import Scanner
from live.market.snapshot import Snapshot, read_snapshot, write_snapshot


def minutes(universe: Mapping[str, Bars]) -> Iterator[Batch]:
    """Yield all bars as whole minutes, in order of time; the symbol's place is its row.

    A bar that repeats or goes back in time follows in a batch of its own, where the feed put it.
    """
    stamps, rows, values = [], [], []
    for row, bars in enumerate(universe.values()):
        if not len(bars):
            continue
        stamps.append(np.maximum.accumulate(bars.ts))
        rows.append(np.full(len(bars), row, np.int64))
        values.append(np.column_stack([bars.ts, *(getattr(bars, c) for c in COLUMNS[1:])]))
    when = np.concatenate(stamps)
    order = np.argsort(when, kind="stable")
    at, who, what = when[order], np.concatenate(rows)[order], np.concatenate(values)[order]
    starts = np.flatnonzero(np.r_[True, at[1:] != at[:-1]])
    ends = np.r_[starts[1:], len(at)]
    for start, end in zip(starts, ends, strict=True):
        minute = int(at[start])
        mine, bars_now = who[start:end], what[start:end]
        regular = bars_now[:, 0] == minute
        _, firsts = np.unique(mine, return_index=True)
        first = np.zeros(len(mine), bool)
        first[firsts] = True
        usual = regular & first
        yield Batch(minute, mine[usual], bars_now[usual][:, 1:], complete=True)
        for k in np.flatnonzero(~usual):
            odd = int(bars_now[k, 0])
            yield Batch(odd, mine[k : k + 1], bars_now[k : k + 1, 1:], complete=False)


def _saved(scanner: Scanner, symbols: list[str], step_ms: int, minute: int) -> Snapshot:
    stamps, table = scanner.market_table()
    count = len(symbols)
    return Snapshot(
        interval_ms=step_ms,
        params_hash=scanner.profile.params_hash,
        minute=minute,
        symbols=tuple(symbols),
        active=(True,) * count,
        last=tuple(int(t) for t in scanner.contexts["last_t"][:count]),
        contexts=scanner.contexts[:count],
        since=scanner.since[:count],
        windows={row: scanner.frames.dump(row) for row in range(count)},
        market_ts=stamps,
        market=table,
    )


def _fresh(task: ParityTask, symbols: list[str], step_ms: int) -> Scanner:
    scanner = Scanner(task.profile, step_ms, window_bars=64, market_rows=8)
    scanner.grow(len(symbols))
    scanner.set_universe(range(len(symbols)), symbols)
    return scanner


def _restarted(
    task: ParityTask, scanner: Scanner, symbols: list[str], step_ms: int, minute: int, path: Path
) -> Scanner:
    """Write everything that decides to a file, forget it, and begin anew from the file."""
    write_snapshot(path, _saved(scanner, symbols, step_ms, minute))
    newer = _fresh(task, symbols, step_ms)
    old = read_snapshot(path, interval_ms=step_ms, params_hash=task.profile.params_hash)
    newer.contexts[: len(symbols)] = old.contexts
    newer.since[: len(symbols)] = old.since
    for row, (ts, values) in old.windows.items():
        newer.frames.load(row, ts, values)
    newer.load_market(old.market_ts, old.market)
    return newer


def step_run(
    task: ParityTask, universe: Mapping[str, Bars], out: Telling
) -> tuple[Seen, dict[str, int], list[str]]:
    """Feed the live scanner minute by minute, restarting it at `task.restarts` random minutes."""
    step_ms = interval_ms(task.interval)
    symbols = list(universe)
    batches = list(minutes(universe))
    rng = np.random.default_rng(task.seed)
    wanted = min(task.restarts, max(0, len(batches) - 1))
    stops = set(rng.choice(len(batches) - 1, wanted, replace=False) + 1) if wanted else set()
    found: list[np.ndarray] = []
    scanner = _fresh(task, symbols, step_ms)
    with (
        out.stage("live path, bar by bar") as stage,
        TemporaryDirectory() as folder,
        out.progress("minutes", len(batches)) as advance,
    ):
        path = Path(folder) / "state.snapshot"
        for number, batch in enumerate(batches):
            if number in stops:
                scanner = _restarted(task, scanner, symbols, step_ms, batch.ts, path)
            scan = scanner.step(batch)
            if len(scan.events):
                found.append(scan.events)
            advance()
        stage.note = f"{len(batches):,} minutes, {wanted} restarts"
    events = np.concatenate(found) if found else np.zeros(0, EVENT)
    seen = Seen(
        {s: events[events["symbol_id"] == row] for row, s in enumerate(symbols)},
        {s: scanner.contexts[row : row + 1] for row, s in enumerate(symbols)},
    )
    warnings = []
    if wanted < task.restarts:
        warnings.append(
            f"only {wanted} of {task.restarts} restarts fit into {len(batches)} minutes"
        )
    return seen, {"restarts": wanted}, warnings
