"""Bars of all symbols, arriving in any order, become whole minutes in one order. Pure, no I/O.

One minute is open at a time: bar k of any symbol is handed on only when every watched symbol's bar
k-1 has been handed on or is known not to exist. So the facts of the whole market that bar k may see
are complete, and the order of arrival inside a minute cannot change a byte. What comes early waits;
what the venue never had is a hole, which the detector answers with its gap rule.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

Values = tuple[float, float, float, float, float, float]


class Verdict(Enum):
    """What became of an offered bar."""

    STAGED = "staged"  # belongs to the open minute
    AHEAD = "ahead"  # waits for its minute
    DUPLICATE = "duplicate"  # that bar is here already
    LATE = "late"  # its minute is closed: it was declared missing, and the detector went on
    FOREIGN = "foreign"  # not on the interval's grid, or the symbol is not watched


@dataclass(slots=True)
class Counters:
    """What the collator has seen; every irregularity is counted."""

    bars: int = 0
    duplicates: int = 0
    conflicts: int = 0  # a repeated bar with other values: the first one stays
    late: int = 0
    foreign: int = 0
    holes: int = 0  # bars the venue never had


@dataclass(frozen=True, slots=True)
class Batch:
    """Bars of one minute, rows ascending. ``complete`` = nothing more of this minute will come."""

    ts: int
    rows: np.ndarray
    bars: np.ndarray
    complete: bool
    absent: int = 0


@dataclass(slots=True)
class _Row:
    symbol: str
    active: bool = False
    dormant: bool = False  # the venue had no bar for it lately: not waited for
    shard: int = -1
    known_through: int = 0  # the venue has told every bar up to this open time
    have: bool = False  # bar of the open minute staged
    done: bool = False  # bar of the open minute handed on
    last: int = 0  # open time of the last bar handed on
    ahead: dict[int, Values] = field(default_factory=dict)


class Collator:
    """Collects the bars of one interval.

    Parameters
    ----------
    interval_ms : int
        Length of a bar.
    """

    def __init__(self, interval_ms: int) -> None:
        self.interval_ms = interval_ms
        self.minute = 0  # open time of the bar to be decided next; 0 = not begun
        self.counters = Counters()
        self.ahead_total = 0
        self._rows: list[_Row] = []
        self._by_symbol: dict[str, int] = {}
        self._staged: dict[int, Values] = {}
        self._waiting: set[int] = set()  # rows whose bar of the open minute is still awaited
        self._watermark: dict[int, int] = {}  # newest bar a connection has delivered
        self._horizon = 0  # newest bar or knowledge from anywhere

    # ------------------------------------------------------------------ symbols

    def __len__(self) -> int:
        return len(self._rows)

    def row(self, symbol: str) -> int:
        """Return a symbol's row, giving it a new one when it has none yet."""
        row = self._by_symbol.get(symbol)
        if row is None:
            row = len(self._rows)
            self._by_symbol[symbol] = row
            self._rows.append(_Row(symbol))
        return row

    def find(self, symbol: str) -> int | None:
        """Return a symbol's row, or None."""
        return self._by_symbol.get(symbol)

    def symbol(self, row: int) -> str:
        """Return the symbol of a row."""
        return self._rows[row].symbol

    def active(self) -> list[int]:
        """Return the rows that are watched, ascending."""
        return [i for i, r in enumerate(self._rows) if r.active]

    def is_active(self, row: int) -> bool:
        """Tell whether a symbol is watched."""
        return self._rows[row].active

    def is_dormant(self, row: int) -> bool:
        """Tell whether the venue had no bar of this symbol lately."""
        return self._rows[row].dormant

    def is_awaited(self, row: int) -> bool:
        """Tell whether the open minute lacks this symbol although it has bars of later ones."""
        return row in self._waiting and bool(self._rows[row].ahead)

    def last(self, row: int) -> int:
        """Return the open time of the last bar handed on, 0 = none."""
        return self._rows[row].last

    def activate(self, symbol: str, last: int) -> int:
        """Watch a symbol from the open minute on; ``last`` is its detector's newest bar."""
        row = self.row(symbol)
        entry = self._rows[row]
        entry.active, entry.dormant, entry.have, entry.done = True, False, False, False
        entry.last = last
        # What an earlier life or an early stream left over is behind us now.
        for ts in [t for t in entry.ahead if t < self.minute]:
            del entry.ahead[ts]
            self.ahead_total -= 1
        if self.minute:
            self._open_row(row)
        return row

    def deactivate(self, symbol: str) -> None:
        """Stop watching a symbol: nothing waits for it any more."""
        row = self._by_symbol.get(symbol)
        if row is None:
            return
        entry = self._rows[row]
        entry.active = False
        self._waiting.discard(row)
        self._staged.pop(row, None)
        self.ahead_total -= len(entry.ahead)
        entry.ahead.clear()

    def begin(self, minute: int) -> None:
        """Open the first minute."""
        self.minute = minute
        self._open()

    # ------------------------------------------------------------------ what arrives

    def offer(self, row: int, ts: int, values: Values, shard: int = -1) -> Verdict:
        """Take a closed bar: from a stream (``shard`` = its connection) or from history (-1)."""
        entry = self._rows[row]
        if shard >= 0:
            entry.shard = shard
            if self._watermark.get(shard, 0) < ts:
                self._watermark[shard] = ts
        if ts % self.interval_ms or ts <= 0 or not (entry.active or ts >= self.minute):
            self.counters.foreign += 1
            return Verdict.FOREIGN
        if ts < self.minute:
            return self._behind(entry, ts)
        self._horizon = max(self._horizon, ts)
        if ts > self.minute or not entry.active or not self.minute:
            return self._wait(entry, ts, values)
        if entry.have:
            return self._again(self._staged.get(row), values)
        self._stage(row, entry, values)
        return Verdict.STAGED

    def _behind(self, entry: _Row, ts: int) -> Verdict:
        if ts <= entry.last:
            self.counters.duplicates += 1
            return Verdict.DUPLICATE
        self.counters.late += 1
        return Verdict.LATE

    def _wait(self, entry: _Row, ts: int, values: Values) -> Verdict:
        if ts in entry.ahead:
            return self._again(entry.ahead[ts], values)
        entry.ahead[ts] = values
        entry.dormant = False
        self.ahead_total += 1
        return Verdict.AHEAD

    def _again(self, first: Values | None, values: Values) -> Verdict:
        self.counters.duplicates += 1
        # Turnover may be told differently by stream and history; the detector does not read it.
        if first is not None and first[:5] != values[:5]:
            self.counters.conflicts += 1
        return Verdict.DUPLICATE

    def _stage(self, row: int, entry: _Row, values: Values) -> None:
        entry.have = True
        entry.dormant = False
        self._staged[row] = values
        self._waiting.discard(row)

    def known(self, row: int, through: int) -> None:
        """Note that the venue has told every bar of a symbol up to and including ``through``."""
        entry = self._rows[row]
        entry.known_through = max(entry.known_through, through)
        self._horizon = max(self._horizon, through)
        self._settle(row)

    def rejoined(self, rows: Iterable[int], shard: int) -> None:
        """Note that a connection begins anew: what it delivered before says nothing any more."""
        self._watermark.pop(shard, None)
        for row in rows:
            entry = self._rows[row]
            entry.shard = shard
            entry.dormant = False
            if entry.active and self.minute and not entry.have:
                self._waiting.add(row)

    # ------------------------------------------------------------------ what is missing

    def missing(self) -> list[int]:
        """Return the rows whose bar of the open minute has not come, ascending."""
        return sorted(self._waiting)

    def suspects(self) -> list[int]:
        """Return the missing rows that will not come by themselves: their stream is past them."""
        out = []
        for row in self._waiting:
            entry = self._rows[row]
            passed = self._watermark.get(entry.shard, 0) > self.minute
            if entry.known_through < self.minute and (
                entry.ahead or (passed and not entry.dormant)
            ):
                out.append(row)
        return sorted(out)

    def started(self) -> bool:
        """Tell whether a bar of the open minute, or of a later one, has come."""
        return bool(self._staged) or self._horizon > self.minute

    # ------------------------------------------------------------------ what goes on

    def take(self, *, overdue: bool = False) -> Batch | None:
        """Return the next batch, or None when there is nothing to hand on yet.

        A complete batch closes the open minute and opens the next. With ``overdue`` the bars that
        have come are handed on although others are missing, and dormant symbols are not waited for.
        """
        if not self.minute or self._horizon < self.minute:
            return None
        for row in list(self._waiting):
            self._settle(row, overdue=overdue)
        if not self._waiting:
            batch = self._batch(complete=True)
            self.minute += self.interval_ms
            self._open()
            return batch
        if overdue and self._staged:
            return self._batch(complete=False)
        return None

    def _settle(self, row: int, *, overdue: bool = False) -> None:
        entry = self._rows[row]
        if row not in self._waiting:
            return
        if entry.known_through >= self.minute:
            entry.dormant = not entry.ahead
            self._waiting.discard(row)
        elif entry.dormant and (overdue or self._watermark.get(entry.shard, 0) > self.minute):
            self._waiting.discard(row)

    def _batch(self, *, complete: bool) -> Batch:
        rows = sorted(self._staged)
        bars = np.array([self._staged[row] for row in rows], np.float64).reshape(len(rows), 6)
        absent = 0
        for row in rows:
            self._rows[row].done = True
            self._rows[row].last = self.minute
        if complete:
            absent = sum(r.active and not r.done for r in self._rows)
            self.counters.holes += absent
        self.counters.bars += len(rows)
        batch = Batch(self.minute, np.array(rows, np.int64), bars, complete, absent)
        self._staged.clear()
        return batch

    def _open(self) -> None:
        self._staged.clear()
        self._waiting.clear()
        for row, entry in enumerate(self._rows):
            entry.have = entry.done = False
            if entry.active:
                self._open_row(row)

    def _open_row(self, row: int) -> None:
        entry = self._rows[row]
        values = entry.ahead.pop(self.minute, None)
        self._waiting.add(row)
        if values is not None:
            self.ahead_total -= 1
            self._stage(row, entry, values)
