"""The live scan against the scan of history: the same bytes, market facts included; snapshots."""

from pathlib import Path

import numpy as np
import pytest

from data.profiles import load_profile
from engine.pipeline.market import market_history
from engine.pipeline.phase import EVENT, new_contexts
from engine.pipeline.scan import scan_history
from live.market import catchup, snapshot
from live.market.collate import Batch
from live.market.scanner import Scanner
from live.market.snapshot import Snapshot, SnapshotUnusable, read_snapshot, write_snapshot
from tests.live.helpers import STEP, kline, synthetic, values

PROFILE = load_profile("default", "15m")


def market():
    return synthetic(6, 2400)


def batches(bars, symbols: list[str]) -> list[Batch]:
    """Every minute of a market, rows ascending."""
    first = min(int(b.ts[0]) for b in bars.values())
    last = max(int(b.ts[-1]) for b in bars.values())
    at = {s: {int(t): i for i, t in enumerate(bars[s].ts)} for s in symbols}
    out = []
    for ts in range(first, last + STEP, STEP):
        rows = [r for r, s in enumerate(symbols) if ts in at[s]]
        table = np.array([values(bars[symbols[r]], at[symbols[r]][ts]) for r in rows])
        out.append(Batch(ts, np.array(rows, np.int64), table.reshape(-1, 6), complete=True))
    return out


def scanner_of(symbols: list[str], profile=PROFILE) -> Scanner:
    scanner = Scanner(profile, STEP, window_bars=300)
    scanner.grow(len(symbols))
    scanner.set_universe(range(len(symbols)), symbols)
    return scanner


def history(bars, symbols: list[str], profile=PROFILE):
    series = market_history(bars, profile.market, STEP)
    contexts, events = new_contexts(len(symbols)), []
    for row, symbol in enumerate(symbols):
        one = contexts[row : row + 1]
        events.append(
            scan_history(
                one, profile.params, bars[symbol], symbol_id=row, interval_ms=STEP, market=series
            )
        )
    return contexts, np.concatenate(events)


def by_symbol(events: np.ndarray) -> np.ndarray:
    return events[np.argsort(events["symbol_id"], kind="stable")]


@pytest.mark.parametrize("name", ["default", "v1"])
def test_live_scan_is_the_scan_of_history(name: str) -> None:
    bars = market()
    symbols = sorted(bars)
    profile = load_profile(name, "15m")
    scanner = scanner_of(symbols, profile)
    found = [scanner.step(b).events for b in batches(bars, symbols)]
    contexts, events = history(bars, symbols, profile)
    assert len(events) > 20, "a market without episodes proves nothing"
    assert scanner.contexts.tobytes() == contexts.tobytes()
    assert by_symbol(np.concatenate(found)).tobytes() == events.tobytes()


def test_split_minutes_change_nothing() -> None:
    """Some rows of a minute first, the others later: as when a bar must be repaired."""
    bars = market()
    symbols = sorted(bars)
    scanner = scanner_of(symbols)
    rng = np.random.default_rng(3)
    found = []
    for b in batches(bars, symbols):
        early = rng.random(len(b.rows)) < 0.5
        for part, complete in ((early, False), (~early, True)):
            piece = Batch(b.ts, b.rows[part], np.ascontiguousarray(b.bars[part]), complete)
            found.append(scanner.step(piece).events)
    contexts, events = history(bars, symbols)
    assert scanner.contexts.tobytes() == contexts.tobytes()
    assert by_symbol(np.concatenate(found)).tobytes() == events.tobytes()


def test_catch_up_then_live_is_the_same() -> None:
    bars = market()
    symbols = sorted(bars)
    whole = batches(bars, symbols)
    cut = whole[1500].ts
    arrays = {
        row: catchup.as_arrays(
            [kline(bars[s], i) for i in range(len(bars[s])) if bars[s].ts[i] < cut]
        )
        for row, s in enumerate(symbols)
    }
    scanner = scanner_of(symbols)
    found = [scan.events for _, scan in catchup.replay(scanner, arrays, cut)]
    found += [scanner.step(b).events for b in whole if b.ts >= cut]
    contexts, events = history(bars, symbols)
    assert scanner.contexts.tobytes() == contexts.tobytes()
    assert by_symbol(np.concatenate(found)).tobytes() == events.tobytes()


def test_planted_bug_market_facts_of_the_same_minute_are_caught() -> None:
    """A scanner that lets bar k see facts made at bar k's own close must differ."""

    class Peeking(Scanner):
        def market(self, ts: int):
            return super().market(ts + self.interval_ms)

        def step(self, batch: Batch):
            self.frames.append(batch.rows, np.full(len(batch.rows), batch.ts), batch.bars)
            self._close(batch.ts)
            return super().step(batch)

    bars = market()
    symbols = sorted(bars)
    mutant = Peeking(PROFILE, STEP, window_bars=300)
    mutant.grow(len(symbols))
    mutant.set_universe(range(len(symbols)), symbols)
    for b in batches(bars, symbols)[:1500]:
        mutant.step(b)
    contexts, _ = history({s: bars[s].slice(0, 1500) for s in symbols}, symbols)
    assert mutant.contexts.tobytes() != contexts.tobytes()


# ---------------------------------------------------------------------------- snapshots


def taken(scanner: Scanner, symbols: list[str], minute: int) -> Snapshot:
    stamps, table = scanner.market_table()
    n = len(symbols)
    return Snapshot(
        interval_ms=STEP,
        params_hash=scanner.profile.params_hash,
        minute=minute,
        symbols=tuple(symbols),
        active=(True,) * n,
        last=tuple(int(t) for t in scanner.contexts["last_t"][:n]),
        contexts=scanner.contexts[:n].copy(),
        since=scanner.since[:n].copy(),
        windows={r: scanner.frames.dump(r) for r in range(n)},
        market_ts=stamps,
        market=table,
    )


def load(old: Snapshot) -> Scanner:
    scanner = scanner_of(list(old.symbols))
    scanner.contexts[:] = old.contexts
    scanner.since[:] = old.since
    for row, (ts, table) in old.windows.items():
        scanner.frames.load(row, ts, table)
    scanner.load_market(old.market_ts, old.market)
    return scanner


def test_restarts_from_the_file_change_no_byte(tmp_path: Path) -> None:
    bars = market()
    symbols = sorted(bars)
    scanner = scanner_of(symbols)
    rng = np.random.default_rng(11)
    found = []
    for b in batches(bars, symbols):
        found.append(scanner.step(b).events)
        if rng.random() < 0.01:
            path = tmp_path / "x.snapshot"
            write_snapshot(path, taken(scanner, symbols, b.ts + STEP))
            scanner = load(read_snapshot(path, interval_ms=STEP, params_hash=PROFILE.params_hash))
    contexts, events = history(bars, symbols)
    assert scanner.contexts.tobytes() == contexts.tobytes()
    assert by_symbol(np.concatenate(found)).tobytes() == events.tobytes()


def small(tmp_path: Path) -> Path:
    bars = market()
    symbols = sorted(bars)
    scanner = scanner_of(symbols)
    for b in batches(bars, symbols)[:50]:
        scanner.step(b)
    path = tmp_path / "market" / "x.snapshot"
    write_snapshot(path, taken(scanner, symbols, 1))
    return path


def test_an_unusable_snapshot_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = PROFILE.params_hash
    with pytest.raises(SnapshotUnusable, match="no snapshot"):
        read_snapshot(tmp_path / "none", interval_ms=STEP, params_hash=own)
    path = small(tmp_path)
    with pytest.raises(SnapshotUnusable, match="profile"):
        read_snapshot(path, interval_ms=STEP, params_hash=own + 1)
    with pytest.raises(SnapshotUnusable, match="interval"):
        read_snapshot(path, interval_ms=STEP + 1, params_hash=own)
    whole = path.read_bytes()
    for cut in (0, 5, 12, 40, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(SnapshotUnusable):
            read_snapshot(path, interval_ms=STEP, params_hash=own)
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    path.write_bytes(flipped)
    with pytest.raises(SnapshotUnusable, match="hash"):
        read_snapshot(path, interval_ms=STEP, params_hash=own)
    path.write_bytes(whole)
    monkeypatch.setattr(snapshot, "STATE_SCHEMA", 1)
    with pytest.raises(SnapshotUnusable, match="record"):
        read_snapshot(path, interval_ms=STEP, params_hash=own)


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = small(tmp_path)
    old = path.read_bytes()
    whole = read_snapshot(path, interval_ms=STEP, params_hash=PROFILE.params_hash)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(snapshot.os, "fsync", full)
    with pytest.raises(OSError, match="space"):
        write_snapshot(path, whole)
    assert path.read_bytes() == old
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_events_have_the_engines_layout() -> None:
    assert (
        scanner_of(["A"])
        .step(Batch(STEP, np.zeros(0, np.int64), np.zeros((0, 6)), complete=True))
        .events.dtype
        == EVENT
    )
