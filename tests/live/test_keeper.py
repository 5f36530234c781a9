"""Contexts in a file or a store: read to the bit, or rebuilt from history and said so."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from app.proofs import simloop
from data.records.rows import ContextRow, Unavailable
from engine.pipeline.phase import CONTEXT
from live.market.keeper import FileKeeper, Keepers, StoreKeeper, inline
from live.market.snapshot import Snapshot, SnapshotUnusable
from live.service import MarketService
from tests.live.helpers import STEP
from tests.live.inside import BREAK_MS, PROFILE, World


class Rows:
    """The contexts' part of a store, in memory."""

    def __init__(self) -> None:
        self.rows: dict[str, ContextRow] = {}
        self.down = False

    async def save_contexts(self, rows: Sequence[ContextRow]) -> Unavailable | None:
        if self.down:
            return Unavailable(reason="down", kind="down")
        self.rows |= {row.symbol: row for row in rows}
        return None

    async def contexts(self, profile: str, interval: str) -> Sequence[ContextRow] | Unavailable:
        if self.down:
            return Unavailable(reason="down", kind="down")
        assert (profile, interval) == ("default", "15m")
        return list(self.rows.values())


def state(service: MarketService) -> dict[str, tuple[bytes, int]]:
    out = {}
    for row in service.collator.active():
        record = service.scanner.contexts[row : row + 1].tobytes()
        out[service.collator.symbol(row)] = (record, service.collator.last(row))
    return out


def recover(home: Path, spoil: Any) -> tuple[list[str], bool, list[str]]:
    """Save into a store, spoil it, start from it without a disk; the notes, and if bit-equal."""

    async def main(clock: simloop.SimClock) -> tuple[list[str], bool, list[str]]:
        world, store = World(clock, home, []), Rows()
        await world.begin(BREAK_MS - 20_000)
        first = world.service(store, home / "one")
        await first.start()
        await first.save()
        await world.until(BREAK_MS + 5_000)
        true = state(first)
        await world.kill(first)
        spoil(store)
        second = world.service(store, home / "two")
        await second.start()
        found, notes = state(second), list(second.health().notes)
        await world.kill(second)
        world.end()
        return notes, found == true, [s.signal_id for s in second.fresh_signals()]

    return simloop.run(main, 1)


def _broken(store: Rows) -> None:
    row = store.rows["BTCUSDT"]
    body = bytes([*row.body[:20], row.body[20] ^ 1, *row.body[21:]])
    store.rows["BTCUSDT"] = msgspec.structs.replace(row, body=body)


def _older(store: Rows) -> None:
    row = store.rows["BTCUSDT"]
    store.rows["BTCUSDT"] = msgspec.structs.replace(row, minute=row.minute - STEP)


def _schema(store: Rows) -> None:
    store.rows = {
        s: msgspec.structs.replace(r, schema_hash=r.schema_hash + 1) for s, r in store.rows.items()
    }


def _headless(store: Rows) -> None:
    row = store.rows["*"]
    store.rows["*"] = msgspec.structs.replace(row, body=b"?" + row.body)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda _: None, ""),
        (_broken, "context of BTCUSDT cannot be used: rebuilt from history"),
        (_older, "context of BTCUSDT cannot be used: rebuilt from history"),
        (_schema, "another version of the record"),
        (_headless, "the row of the whole market is damaged"),
        (lambda store: store.rows.clear(), "the store has no contexts"),
        (lambda store: setattr(store, "down", True), "the store cannot give the contexts: down"),
    ],
)
def test_a_start_without_a_disk_ends_where_a_life_without_a_break_does(
    tmp_path: Path, spoil, said: str
) -> None:
    notes, same, signals = recover(tmp_path, spoil)
    assert same
    assert any(said in note for note in notes) if said else not any("history" in n for n in notes)
    assert len(signals) == 1, "the breakout of the time between is fresh"


def a_snapshot(minute: int) -> Snapshot:
    contexts = np.zeros(2, CONTEXT)
    contexts["n"] = [3, minute]
    return Snapshot(
        interval_ms=STEP,
        params_hash=PROFILE.params_hash,
        minute=minute,
        symbols=("A", "B"),
        active=(True, False),
        last=(minute - STEP, 0),
        contexts=contexts,
        since=np.array([1, 2], np.int64),
        windows={0: (np.arange(20, dtype=np.int64), np.arange(120.0).reshape(6, 20))},
        market_ts=np.array([minute], np.int64),
        market=np.array([[0.5, np.nan, 2.0, 0.0]]),
    )


async def test_of_two_places_the_newer_is_read_and_a_failing_one_stops_no_other(
    tmp_path: Path,
) -> None:
    store = Rows()
    rows = StoreKeeper(store, "default", "15m", 10, inline)
    file = FileKeeper(tmp_path / "a.snapshot", inline)
    keepers = Keepers((file, rows))
    old, new = a_snapshot(minute=STEP), a_snapshot(minute=2 * STEP)
    await keepers.save(old)
    store.down = True
    with pytest.raises(OSError, match="does not take"):
        await keepers.save(new)
    store.down = False
    found = await keepers.load(interval_ms=STEP, params_hash=PROFILE.params_hash)
    assert found.minute == new.minute
    again = await rows.load(interval_ms=STEP, params_hash=PROFILE.params_hash)
    assert again.minute == old.minute
    assert again.contexts.tobytes() == old.contexts.tobytes()
    assert again.symbols == old.symbols
    assert again.windows[0][1].tolist() == old.windows[0][1][:, -10:].tolist()
    assert np.array_equal(again.market, old.market, equal_nan=True)
    with pytest.raises(SnapshotUnusable, match="another profile"):
        await rows.load(interval_ms=STEP, params_hash=1)
