"""The simulated venue's book: the machine's model, made thin for a moment by a fault. Pure."""

from collections.abc import Iterator
from decimal import Decimal

from engine.venue.exchange.book import BookModel, Level
from engine.venue.instrument import Instrument
from engine.venue.words import Side


class ThinnableBook(BookModel):
    """A book of which, for a symbol, no more than a quantity may be left on either side."""

    __slots__ = ("left",)

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self.left: dict[str, Decimal] = {}  # symbol -> all there is on a side

    def side(self, instrument: Instrument, last: Decimal, taker: Side) -> Iterator[Level]:
        """Yield the levels a taker meets, best first."""
        levels = super().side(instrument, last, taker)
        left = self.left.get(instrument.symbol)
        return levels if left is None else _cut(levels, left)


def _cut(levels: Iterator[Level], left: Decimal) -> Iterator[Level]:
    for price, qty in levels:
        if left <= 0:
            return
        yield price, min(qty, left)
        left -= qty
