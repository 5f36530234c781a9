"""Whose books are followed: the union of what holders want, counted, whatever their number."""

from collections.abc import Iterable


class Interest:
    """Holders and their coins. Work goes with what changes, never with the number of holders."""

    def __init__(self) -> None:
        self._of: dict[str, frozenset[str]] = {}
        self._count: dict[str, int] = {}

    def hold(self, holder: str, symbols: Iterable[str]) -> bool:
        """Say what a holder wants from now on, all of it; True when the union changed."""
        wanted = frozenset(symbols)
        before = self._of.get(holder, frozenset())
        changed = False
        for symbol in wanted - before:
            changed |= symbol not in self._count
            self._count[symbol] = self._count.get(symbol, 0) + 1
        for symbol in before - wanted:
            self._count[symbol] -= 1
            if not self._count[symbol]:
                del self._count[symbol]
                changed = True
        if wanted:
            self._of[holder] = wanted
        else:
            self._of.pop(holder, None)
        return changed

    def release(self, holder: str) -> bool:
        """Let a holder want nothing; True when the union changed."""
        return self.hold(holder, ())

    def __contains__(self, symbol: str) -> bool:
        return symbol in self._count

    def __len__(self) -> int:
        return len(self._count)

    @property
    def symbols(self) -> list[str]:
        """The union, sorted."""
        return sorted(self._count)

    def count(self, symbol: str) -> int:
        """Return how many hold a coin."""
        return self._count.get(symbol, 0)
