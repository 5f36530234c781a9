"""What a comparison of two paths is: the task, what each path saw, and the first difference."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from data.readable import Skip
from engine.messages import EventKind
from engine.pipeline.phase import CONTEXT, EVENT
from engine.pipeline.profile import Profile


class Telling(Protocol):
    """What a proof needs of the command line's output."""

    def stage(self, name: str) -> AbstractContextManager[Any]:
        """Time a step."""
        ...

    def skipped(self, skips: Iterable[Any]) -> None:
        """Tell what was left out."""
        ...

    def progress(self, name: str, total: int) -> AbstractContextManager[Any]:
        """Show a long step's share."""
        ...


@dataclass(frozen=True, slots=True)
class ParityTask:
    """What is to be compared."""

    lake: Path
    venue: str | None
    interval: str
    symbols: str
    profile: Profile
    feed: str
    restarts: int
    reconnects: int
    late: int
    bars: int
    seed: int

    def again(self, symbol: str = "") -> str:
        """Return the command that repeats the comparison."""
        names = symbol or self.symbols
        venue = f" --venue {self.venue}" if self.venue else ""
        return (
            f"zion parity --lake {self.lake}{venue} --interval {self.interval} --symbols {names} "
            f"--profile {self.profile.name} --feed {self.feed} --restarts {self.restarts} "
            f"--seed {self.seed}"
        )


@dataclass(frozen=True, slots=True)
class Seen:
    """What one path saw: per symbol its events and its final context."""

    events: Mapping[str, np.ndarray]
    contexts: Mapping[str, np.ndarray]


@dataclass(slots=True)
class ParityResult:
    """The comparison's outcome; `first_mismatch` is None when all bytes agree."""

    bars: int
    symbols: int
    events: int
    values: int
    mismatches: int
    first_mismatch: dict[str, Any] | None
    restarts: int
    extra: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    skips: list[Skip] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """Return the JSON of the contract, with what the feed adds."""
        return {
            "bars": self.bars,
            "symbols": self.symbols,
            "events": self.events,
            "values": self.values,
            "mismatches": self.mismatches,
            "first_mismatch": self.first_mismatch,
            "restarts": self.restarts,
            **self.extra,
            "skipped": self.skips,
            "warnings": self.warnings,
        }

    def lines(self, number: Callable[..., str]) -> Iterator[str]:
        """Yield what a person reads."""
        columns = len(EVENT.names or ())
        yield (
            f"  compared   {columns} columns, {number(self.events)} events, "
            f"final state of {self.symbols} coins   raw bytes"
        )
        for name, count in self.extra.items():
            yield f"             {name.replace('_', ' ')} {number(count)}"
        yield from (f"  ! {text}" for text in self.warnings)
        if self.first_mismatch is None:
            yield ""
            yield f"  ✓ identical · 0 mismatches · {self.restarts} restarts resumed"
            return
        m = self.first_mismatch
        yield ""
        yield f"  ✗ differs · first at {m['symbol']}  {m['where']}"
        yield f"      {'column':<20} {'history':>28} {'live':>28}"
        for column, (a, b) in m["columns"].items():
            yield f"      {column:<20} {a!s:>28} {b!s:>28}"


def compare(history: Seen, live: Seen) -> tuple[int, int, dict[str, Any] | None]:
    """Compare two paths' events and final contexts as raw bytes.

    Returns
    -------
    (int, int, dict or None)
        Values compared, differing records, and the first difference.
    """
    values = mismatches = 0
    first = None
    for symbol, expected in history.events.items():
        found = live.events.get(symbol, np.zeros(0, EVENT))
        same = min(len(expected), len(found))
        values += max(len(expected), len(found)) * len(EVENT.names or ())
        values += len(CONTEXT.names or ())
        for i in range(same):
            if expected[i].tobytes() != found[i].tobytes():
                mismatches += 1
                first = first or _event_difference(symbol, i, expected[i], found[i])
        if len(expected) != len(found):
            mismatches += abs(len(expected) - len(found))
            first = first or _length_difference(symbol, expected, found)
        a, b = history.contexts[symbol], live.contexts[symbol]
        if a.tobytes() != b.tobytes():
            mismatches += 1
            first = first or _state_difference(symbol, a[0], b[0])
    return values, mismatches, first


def _when(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _columns(a: np.void, b: np.void, names: tuple[str, ...]) -> dict[str, tuple[str, str]]:
    out = {}
    for name in names:
        if np.asarray(a[name]).tobytes() != np.asarray(b[name]).tobytes():
            out[name] = (repr(a[name].tolist())[:28], repr(b[name].tolist())[:28])
    return out


def _event_difference(symbol: str, i: int, a: np.void, b: np.void) -> dict[str, Any]:
    kind = EventKind(int(a["kind"])).name
    return {
        "symbol": symbol,
        "where": f"event {i} ({kind})  bar {int(a['bar_index'])}  {_when(int(a['t']))}",
        "columns": _columns(a, b, EVENT.names or ()),
    }


def _length_difference(symbol: str, a: np.ndarray, b: np.ndarray) -> dict[str, Any]:
    longer, who = (a, "history") if len(a) > len(b) else (b, "live")
    extra = longer[min(len(a), len(b))]
    kind = EventKind(int(extra["kind"])).name
    return {
        "symbol": symbol,
        "where": f"only {who} has {kind} at {_when(int(extra['t']))}",
        "columns": {"events": (str(len(a)), str(len(b)))},
    }


def _state_difference(symbol: str, a: np.void, b: np.void) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "where": "final state, after all events agreed",
        "columns": _columns(a, b, CONTEXT.names or ()),
    }
