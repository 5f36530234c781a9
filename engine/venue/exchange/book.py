"""The book model: what stands around the last price. Nobody's own orders are in it.

Deterministic: the same seed, symbol and last price give the same levels. What takers ate is
remembered until the next price, which brings a fresh book.
"""

from collections.abc import Iterator
from decimal import Decimal
from hashlib import blake2b

from engine.venue.exchange.records import ZERO
from engine.venue.instrument import Instrument
from engine.venue.words import Side

BPS = Decimal("0.0001")
PERCENT = Decimal("0.01")
Level = tuple[Decimal, Decimal]  # price, quantity


class BookModel:
    """A symmetric book of geometric gaps and seeded, slowly growing depth.

    Parameters
    ----------
    half_spread_bps : Decimal
        Distance of the best prices from last, rounded up to ticks (at least one).
    gap_bps : Decimal
        Distance between levels, rounded down to ticks (at least one).
    level_usdt : Decimal
        Value at the best level; level n holds ``1 + n / 8`` of it, times 0.5 to 1.5 by the seed.
    levels : int
        How many there are on each side: the book ends there.
    """

    __slots__ = ("_jitter", "gap_bps", "half_spread_bps", "level_usdt", "levels", "seed")

    def __init__(
        self,
        seed: int = 0,
        *,
        half_spread_bps: Decimal = Decimal("0.5"),
        gap_bps: Decimal = Decimal("0.5"),
        level_usdt: Decimal = Decimal(20_000),
        levels: int = 1_000,
    ) -> None:
        self.seed = seed
        self.half_spread_bps = half_spread_bps
        self.gap_bps = gap_bps
        self.level_usdt = level_usdt
        self.levels = levels
        self._jitter: dict[str, tuple[Decimal, ...]] = {}

    def best(self, instrument: Instrument, last: Decimal, side: Side) -> Decimal:
        """Return the best ask (Buy takes it) or bid (Sell takes it)."""
        tick = instrument.tick_size
        half = max(1, -int(-last * self.half_spread_bps * BPS // tick)) * tick
        if side is Side.BUY:
            return instrument.ceil_price(last) + half
        return max(instrument.floor_price(last) - half, tick)

    def side(self, instrument: Instrument, last: Decimal, taker: Side) -> Iterator[Level]:
        """Yield the levels a taker meets, best first."""
        jitter = self._jitter_of(instrument.symbol)
        tick = instrument.tick_size
        gap = max(1, int(last * self.gap_bps * BPS // tick)) * tick * taker.sign
        price = self.best(instrument, last, taker)
        for number in range(self.levels):
            if price <= 0:
                return
            usdt = self.level_usdt * (8 + number) / 8 * jitter[number % 64]
            yield price, max(instrument.floor_qty(usdt / price), instrument.min_order_qty)
            price += gap

    def quantity_at(
        self, instrument: Instrument, last: Decimal, maker: Side, price: Decimal
    ) -> Decimal:
        """Return what already rests at a price on the maker's side: the queue ahead."""
        taker = maker.other
        best = self.best(instrument, last, taker)
        tick = instrument.tick_size
        gap = max(1, int(last * self.gap_bps * BPS // tick)) * tick
        distance = (best - price) * maker.sign
        if distance < 0:
            return ZERO  # inside the spread: first in line
        number, off = divmod(distance, gap)
        if off or number >= self.levels:
            return ZERO
        usdt = (
            self.level_usdt
            * (8 + number)
            / 8
            * self._jitter_of(instrument.symbol)[int(number) % 64]
        )
        return max(instrument.floor_qty(usdt / price), instrument.min_order_qty)

    def _jitter_of(self, symbol: str) -> tuple[Decimal, ...]:
        known = self._jitter.get(symbol)
        if known is None:
            noise = blake2b(f"{self.seed}:{symbol}".encode(), digest_size=64).digest()
            known = tuple((50 + byte * 100 // 255) * PERCENT for byte in noise)
            self._jitter[symbol] = known
        return known


class Ladder:
    """One side of the book at one price: worked out as far as anyone looked, eaten from its top."""

    __slots__ = ("_source", "eaten", "head", "levels")

    def __init__(self, source: Iterator[Level]) -> None:
        self._source = source
        self.levels: list[Level] = []
        self.head = 0
        self.eaten = ZERO  # of the head level

    def walk(self) -> Iterator[Level]:
        """Yield what is left, best first."""
        number, eaten = self.head, self.eaten
        levels = self.levels
        while True:
            while number >= len(levels):
                following = next(self._source, None)
                if following is None:
                    return
                levels.append(following)
            price, qty = levels[number]
            yield price, qty - eaten
            number += 1
            eaten = ZERO

    def eat(self, qty: Decimal) -> None:
        """Take a quantity off the top; it has been seen by `walk`."""
        while qty > 0:
            left = self.levels[self.head][1] - self.eaten
            if qty < left:
                self.eaten += qty
                return
            qty -= left
            self.head += 1
            self.eaten = ZERO
