"""What one unit of a coin costs: to be stopped out of, and to hold."""

from decimal import ROUND_CEILING, Decimal

from engine.risk.book import EntryRequest
from engine.risk.figures import BPS, ZERO

_STEP = Decimal("1E-16")  # finer than any tick times any fee: figures stay short in the store


def rounded_prices(request: EntryRequest) -> tuple[Decimal, Decimal]:
    """Return (entry, stop) as they are sent: a long's limit down to the tick, its stop up."""
    return request.contract.floor_price(request.entry), request.contract.ceil_price(request.stop)


def round_trip_share(request: EntryRequest) -> Decimal:
    """Return the cost of in and out as a share of price: two taker fees, two sweeps.

    The research rule (`engine.venue.costs.round_trip_share`), in Decimal. A resting limit mostly
    pays less on its way in; what it saves is not risked.
    """
    sweep = ZERO if request.sweep_bps is None else request.sweep_bps
    return 2 * request.taker_fee + 2 * sweep * BPS


def unit_loss(request: EntryRequest) -> Decimal:
    """Return what one unit loses from entry to stop, costs included, rounded up."""
    entry, stop = rounded_prices(request)
    loss = entry - stop + round_trip_share(request) * entry
    return loss.quantize(_STEP, ROUND_CEILING)


def unit_margin(request: EntryRequest, leverage: Decimal) -> Decimal:
    """Return what an order of one unit locks: initial margin, fee in, fee out, rounded up.

    By the venue's rule (`engine.venue.exchange.margin.order_cost`), the fee out at bankruptcy.
    """
    entry, _ = rounded_prices(request)
    fees = entry * request.taker_fee * (2 - 1 / leverage)
    return (entry / leverage + fees).quantize(_STEP, ROUND_CEILING)
