"""A contract's rules, and the only crossing between float and Decimal."""

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from engine.venue.words import InstrumentStatus


@dataclass(frozen=True, slots=True)
class RiskTier:
    """One step of the risk limits, by position value at mark."""

    id: int
    limit: Decimal  # upper bound of the value, USDT
    maintenance_rate: Decimal  # MMR
    deduction: Decimal  # mmDeduction, USDT
    leverage_max: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """A USDT perpetual as instruments-info describes it."""

    symbol: str
    tick_size: Decimal
    qty_step: Decimal
    min_order_qty: Decimal
    max_order_qty: Decimal
    max_mkt_order_qty: Decimal
    min_notional: Decimal = Decimal(5)
    min_price: Decimal = Decimal(0)
    max_price: Decimal = Decimal(10_000_000)
    leverage_max: Decimal = Decimal(50)
    leverage_min: Decimal = Decimal(1)
    leverage_step: Decimal = Decimal("0.01")
    funding_interval_min: int = 480
    price_limit_x: Decimal = Decimal("0.02")  # priceLimitRatioX
    price_limit_y: Decimal = Decimal("0.05")
    tiers: tuple[RiskTier, ...] = ()
    status: InstrumentStatus = InstrumentStatus.TRADING
    launch_time: int = 0
    delivery_time: int = 0

    @property
    def base_coin(self) -> str:
        """The coin that is traded."""
        return self.symbol.removesuffix("USDT")

    def floor_price(self, price: Decimal) -> Decimal:
        """Return the price rounded down to the tick."""
        return (price / self.tick_size).to_integral_value(ROUND_FLOOR) * self.tick_size

    def ceil_price(self, price: Decimal) -> Decimal:
        """Return the price rounded up to the tick."""
        return (price / self.tick_size).to_integral_value(ROUND_CEILING) * self.tick_size

    def floor_qty(self, qty: Decimal) -> Decimal:
        """Return the quantity rounded down to the step."""
        return (qty / self.qty_step).to_integral_value(ROUND_FLOOR) * self.qty_step

    def on_tick(self, price: Decimal) -> bool:
        """Tell whether a price lies on the grid."""
        return price % self.tick_size == 0

    def on_step(self, qty: Decimal) -> bool:
        """Tell whether a quantity lies on the grid."""
        return qty % self.qty_step == 0


def exact(value: float) -> Decimal:
    """Return the shortest Decimal that reads back as the same float.

    >>> exact(0.1), exact(1e-05)
    (Decimal('0.1'), Decimal('0.00001'))
    """
    text = repr(value)
    return Decimal(format(Decimal(text), "f"))


def plain(value: Decimal) -> str:
    """Return a Decimal as the wire wants it: no exponent, no digit lost."""
    return format(value, "f")
