"""Counts of a fuzz, by target."""

import traceback
from collections import Counter
from dataclasses import dataclass, field

KEPT = 20


@dataclass
class Score:
    """What happened to the cases."""

    accepted: Counter[str] = field(default_factory=Counter)
    turned_away: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def taken(self, target: str) -> None:
        """Count a case that was read or carried out."""
        self.accepted[target] += 1

    def refused(self, target: str) -> None:
        """Count a case that was turned away with words."""
        self.turned_away[target] += 1

    def uncaught(self, target: str, raw: bytes, error: BaseException) -> None:
        """Count an exception that should not have been."""
        self.broke(target, f"{raw[:300]!r}: {_where(error)}")

    def broke(self, target: str, words: str) -> None:
        """Count a broken promise."""
        self.failed[target] += 1
        if len(self.examples) < KEPT:
            self.examples.append(f"{target}: {words}")

    def add(self, other: "Score") -> None:
        """Take another's counts in."""
        self.accepted += other.accepted
        self.turned_away += other.turned_away
        self.failed += other.failed
        self.examples = [*self.examples, *other.examples][:KEPT]

    @property
    def cases(self) -> int:
        """How many cases there were."""
        return sum(map(Counter.total, (self.accepted, self.turned_away, self.failed)))

    def rows(self) -> list[tuple[str, int, int, int]]:
        """Return target, accepted, refused, uncaught."""
        names = sorted({*self.accepted, *self.turned_away, *self.failed})
        return [(n, self.accepted[n], self.turned_away[n], self.failed[n]) for n in names]


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-2:]
    spots = " < ".join(f"{f.filename.rsplit('/', 2)[-1]}:{f.lineno}" for f in reversed(frames))
    return f"{type(error).__name__}: {str(error)[:200]} at {spots}"
