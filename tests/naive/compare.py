"""Comparing the engine's event rows with the twin's dictionaries."""

from math import isnan

import numpy as np

from engine.messages import EventKind

# Inputs, or one operation on them: equal to the last bit. The rest within 1e-9.
EXACT = frozenset({
    "close", "body", "clv", "breadth", "market_fall", "peak", "hard_floor", "drop", "level_edge",
    "score_polarity", "score_round",
})  # fmt: skip


def _same(name: str, got: object, want: object) -> bool:
    if isinstance(want, int) and not isinstance(want, bool):
        return int(got) == want
    if isinstance(want, list):
        return bool(np.allclose(got, want, rtol=1e-9, atol=0.0))
    if isnan(want) or isnan(got):
        return isnan(want) and isnan(got)
    if name in EXACT:
        return got == want
    return abs(got - want) <= 1e-9 * max(abs(got), abs(want)) + 1e-12


def difference(rows: np.ndarray, wanted: list[dict]) -> str | None:
    """Return the first difference in words, or None."""
    for i, (row, want) in enumerate(zip(rows, wanted, strict=False)):
        kind = EventKind(want["kind"])
        for name, value in want.items():
            if not _same(name, row[name], value):
                return (
                    f"event {i}, {kind.name} at bar {want['bar_index']} (t={want['t']}): "
                    f"{name} is {row[name]!r}, the twin says {value!r} "
                    f"(engine kind {int(row['kind'])} at bar {int(row['bar_index'])})"
                )
    if len(rows) != len(wanted):
        at = min(len(rows), len(wanted))
        first = rows[at]["kind"] if len(rows) > at else wanted[at]["kind"]
        return f"{len(rows)} events, the twin has {len(wanted)}; first extra kind {int(first)}"
    return None
