"""Which fault strikes where: injections named by site and visit, so that a story can be cut short.

A site is a place that the system passes ("u0.create.entry", "store.commit", "u1.push.order"), a
visit the how-manieth passing. An injection never shifts another one: taken out of a list, the rest
keeps its places as far as the system goes the same way. What happens by the hour stands at the site
"clock", its visit in ms since the beginning.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

CLOCK = "clock"


class Injection(msgspec.Struct, frozen=True, order=True):
    """One fault at one place."""

    site: str
    visit: int
    kind: str
    fault: str  # of the catalogue: F1 .. F91
    amount: int = 0
    user: int = 0

    def __str__(self) -> str:
        where = f"at {self.visit} ms" if self.site == CLOCK else f"{self.site} #{self.visit}"
        much = f" {self.amount}" if self.amount else ""
        return f"{self.fault} {self.kind}{much} ({where})"


class Plan:
    """The faults of one run, and what has fired."""

    def __init__(self, injections: Iterable[Injection]) -> None:
        self.injections: Sequence[Injection] = tuple(injections)
        self.fired: Counter[str] = Counter()
        self.codes: Counter[int] = Counter()
        self.struck: list[Injection] = []
        self.visits: Counter[str] = Counter()
        self.over = False
        self._at = {(i.site, i.visit): i for i in self.injections if i.site != CLOCK}

    @property
    def by_clock(self) -> list[Injection]:
        """What happens by the hour, in order."""
        return sorted(i for i in self.injections if i.site == CLOCK)

    def at(self, site: str) -> Injection | None:
        """Count a visit; return the fault that waits there."""
        visit = self.visits[site] = self.visits[site] + 1
        if self.over:
            return None
        return self._at.get((site, visit))

    def fire(self, injection: Injection) -> None:
        """Count a fault that has struck."""
        self.fired[injection.fault] += 1
        self.struck.append(injection)


_MASK = (1 << 64) - 1


def drawn(*parts: int) -> float:
    """Return a number in [0, 1) that hangs on nothing but its parts.

    >>> drawn(1, 2) == drawn(1, 2), drawn(1, 2) == drawn(2, 1)
    (True, False)
    """
    x = 0x9E3779B97F4A7C15
    for part in parts:
        x = (x ^ (part & _MASK)) * 0xBF58476D1CE4E5B9 & _MASK
        x ^= x >> 29
        x = x * 0x94D049BB133111EB & _MASK
        x ^= x >> 32
    return (x >> 11) / (1 << 53)
