"""The contracts of a replayed market: their grid and limits, worked out from their prices. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from math import floor, log10
from typing import NamedTuple

import numpy as np

from engine.venue.instrument import Instrument, RiskTier, exact
from engine.venue.replay import Replay
from engine.venue.words import InstrumentStatus

_SAMPLE = 200
_DIGITS_MAX = 10
_SIGNIFICANT = 5  # digits of a price whose bars do not lie on a grid
_TIERS = 5
MAKER_FEE_RATE, TAKER_FEE_RATE = Decimal("0.0002"), Decimal("0.00055")


@dataclass(frozen=True, slots=True)
class Listing:
    """One contract of the replayed market, and its place in the list."""

    instrument: Instrument
    number: int

    def price(self, value: float) -> Decimal:
        """Return a price of the replay on the contract's grid (nearest tick, never 0)."""
        tick = self.instrument.tick_size
        steps = (exact(float(value)) / tick).to_integral_value()
        return max(steps, Decimal(1)) * tick

    def qty(self, value: float) -> Decimal:
        """Return a volume of the replay on the contract's grid, rounded down."""
        return self.instrument.floor_qty(exact(float(f"{value:.10g}")))


class Knot(NamedTuple):
    """A trade of a bar: where its price turns."""

    share: float  # of the bar's time
    price: float
    volume: float
    buyer: bool  # who took


def knots(values: tuple[float, float, float, float, float, float]) -> tuple[Knot, ...]:
    """Return a bar's four trades: open, far end, near end, close; a quarter of the volume each.

    The same path that `replay.partial` draws. The last is dated just before the bar's end.
    """
    o, h, lo, c, v, _ = values
    path = (o, lo, h, c) if c >= o else (o, h, lo, c)
    quarter = v / 4.0
    before = (o, *path[:3])
    return tuple(
        Knot(share, price, quarter, price >= last)
        for share, price, last in zip((0.0, 1 / 3, 2 / 3, 1.0), path, before, strict=True)
    )


def knot_ms(start_ms: int, share: float, interval_ms: int) -> int:
    """Return when a knot happens; the close lies one ms before the bar's end."""
    return start_ms + min(int(share * interval_ms), interval_ms - 1)


def _digits(prices: np.ndarray) -> int:
    top = float(prices.max())
    plain = max(0, _SIGNIFICANT - 1 - floor(log10(top)))
    digits = next(
        (d for d in range(_DIGITS_MAX + 1) if np.array_equal(np.round(prices, d), prices)),
        None,
    )
    return plain if digits is None else digits


def make_instrument(replay: Replay, symbol: str) -> Instrument:
    """Work out a contract's rules: its tick is the finest decimal its first prices use."""
    bars = replay.bars[symbol]
    sample = np.concatenate([c[:_SAMPLE] for c in (bars.open, bars.high, bars.low, bars.close)])
    digits = _digits(sample)
    tick = Decimal(1).scaleb(-digits)
    price = float(bars.close[0])
    # About 5 USDT a step, as the venue keeps it, between 0.001 and 1.
    step = Decimal(1).scaleb(max(-3, min(0, floor(log10(5.0 / price)))))
    most = Decimal(1).scaleb(max(3, floor(log10(2e7 / price))))
    unit = Decimal(200_000)
    tiers = tuple(
        RiskTier(
            id=i + 1,
            limit=unit * 2**i * 5,
            maintenance_rate=Decimal("0.01") + Decimal("0.005") * i,
            deduction=Decimal(0),
            leverage_max=(Decimal(1) / (2 * (Decimal("0.01") + Decimal("0.005") * i))).quantize(
                Decimal("0.01")
            ),
        )
        for i in range(_TIERS)
    )
    return Instrument(
        symbol=symbol,
        tick_size=tick,
        qty_step=step,
        min_order_qty=step,
        max_order_qty=most,
        max_mkt_order_qty=most / 2,
        min_price=tick,
        max_price=Decimal(1_999_999),
        leverage_max=tiers[0].leverage_max,
        tiers=with_deductions(tiers),
        launch_time=replay.launch_ms(symbol),
    )


def with_deductions(tiers: tuple[RiskTier, ...]) -> tuple[RiskTier, ...]:
    """Return tiers whose deductions make the maintenance margin continuous across their limits."""
    out: list[RiskTier] = []
    for tier in tiers:
        due = Decimal(0)
        if out:
            last = out[-1]
            due = last.deduction + last.limit * (tier.maintenance_rate - last.maintenance_rate)
        out.append(RiskTier(tier.id, tier.limit, tier.maintenance_rate, due, tier.leverage_max))
    return tuple(out)


class Listings:
    """Every contract of a replay, each made when it is first asked for."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        self._numbers = {symbol: i + 1 for i, symbol in enumerate(replay.bars)}
        self._made: dict[str, Listing] = {}

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._numbers

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers)

    def __getitem__(self, symbol: str) -> Listing:
        found = self._made.get(symbol)
        if found is None:
            made = make_instrument(self._replay, symbol)
            found = self._made[symbol] = Listing(made, self._numbers[symbol])
        return found

    def status(self, symbol: str) -> InstrumentStatus:
        """Return where a contract's life stands; does not work its rules out for it."""
        made = self._made.get(symbol)
        return InstrumentStatus.TRADING if made is None else made.instrument.status

    def replace(self, instrument: Instrument) -> None:
        """Take new rules of a contract."""
        self._made[instrument.symbol] = Listing(instrument, self._numbers[instrument.symbol])
