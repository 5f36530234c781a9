"""One coin's order book, merged from snapshot and deltas; it says when it may not be believed."""

from enum import Enum
from math import isfinite

from engine.venue.wire import BookMessage

TOO_THIN_BPS = 10_000.0  # the book does not hold the notional: no cost estimate, a refusal


class Merge(Enum):
    """What became of a message."""

    APPLIED = "applied"
    REPEATED = "repeated"  # an update that is here already
    ORPHAN = "orphan"  # a change of a book that is not whole
    GAP = "gap"  # an update is missing before it
    CROSSED = "crossed"  # the best bid reaches the best ask
    BAD = "bad"  # a level that is no price and size


BROKEN = frozenset({Merge.ORPHAN, Merge.GAP, Merge.CROSSED, Merge.BAD})


class OrderBook:
    """Bids and asks of one coin, price to size.

    After anything in `BROKEN` it is stale until the next snapshot: nobody may use it.
    """

    __slots__ = ("asks", "bids", "ts", "u", "whole")

    def __init__(self) -> None:
        self.bids: dict[float, float] = {}
        self.asks: dict[float, float] = {}
        self.u = 0
        self.ts = 0
        self.whole = False

    def apply(self, message: BookMessage) -> Merge:
        """Merge a message: O(levels told), and the best of each side looked at."""
        data = message.data
        if message.resets:
            self.bids, self.asks = {}, {}
        elif not self.whole:
            return Merge.ORPHAN
        elif data.u <= self.u:
            return Merge.REPEATED
        elif data.u != self.u + 1:
            return self._broke(Merge.GAP)
        for side, levels in ((self.bids, data.b), (self.asks, data.a)):
            for price, size in levels:
                if size == 0.0:
                    side.pop(price, None)
                elif price > 0.0 and size > 0.0 and isfinite(price) and isfinite(size):
                    side[price] = size
                else:
                    return self._broke(Merge.BAD)
        self.u, self.ts, self.whole = data.u, message.cts or message.ts, True
        if self.bids and self.asks and max(self.bids) >= min(self.asks):
            return self._broke(Merge.CROSSED)
        return Merge.APPLIED

    def _broke(self, why: Merge) -> Merge:
        self.whole = False
        return why

    def lose(self) -> None:
        """Hear that the connection fell: what comes next may lack what came between."""
        self.whole = False

    def best(self) -> tuple[float, float] | None:
        """Return best bid and ask; None while a side is empty."""
        if not self.bids or not self.asks:
            return None
        return max(self.bids), min(self.asks)

    def sweep_bps(self, notional: float) -> float:
        """Return what buying so much at once costs against the mid, in basis points, one way.

        The asks are walked from the best; `TOO_THIN_BPS` where they do not hold the notional.
        """
        best = self.best()
        if best is None:
            return TOO_THIN_BPS
        mid = (best[0] + best[1]) / 2.0
        left, qty = notional, 0.0
        for price in sorted(self.asks):
            value = price * self.asks[price]
            if value >= left:
                qty += left / price
                vwap = notional / qty if qty > 0.0 else best[1]
                return (vwap / mid - 1.0) * 1e4
            qty += self.asks[price]
            left -= value
        return TOO_THIN_BPS
