"""How much: the risk per trade, then the least of what every limit leaves. Controls 1, 3, 5, 6.

Every cap is a largest quantity of its own, so a tighter limit can only make the order smaller. What
remains is floored to the step; below the venue's minimum it is refused with the reason of the
tightest cap. There is no "shrunk too much" beyond that minimum: measured against the wished size it
would let a smaller wish pass where a larger one does not.
"""

from decimal import ROUND_CEILING, Decimal
from typing import NamedTuple

from engine.risk.asked import Asked
from engine.risk.book import Exposure
from engine.risk.breaker import REDUCED_SHARE, REDUCING, on_time
from engine.risk.figures import BIGGEST, ZERO, number, percent, times, usdt
from engine.risk.reasons import Reason
from engine.risk.unit import rounded_prices, unit_loss, unit_margin
from engine.venue.instrument import Instrument, RiskTier

ONE = Decimal(1)


class Cap(NamedTuple):
    """The most one limit allows, in units of the coin; `value` and `limit` say why."""

    reason: Reason
    control: str
    qty: Decimal
    value: str
    limit: str


def reducing(asked: Asked) -> bool:
    """Tell whether the circuit breaker halves the size."""
    return on_time(asked.book.breaker, asked.limits, asked.now_ms).state == REDUCING


def smallest_qty(contract: Instrument, entry: Decimal) -> Decimal:
    """Return the least quantity the venue takes at this price: minimum quantity and notional."""
    wanted = max(contract.min_order_qty, contract.min_notional / entry)
    return (wanted / contract.qty_step).to_integral_value(ROUND_CEILING) * contract.qty_step


def per_trade(asked: Asked) -> Cap:
    """Return what the risk per trade buys: a full stop, costs included, loses no more."""
    limits, request = asked.limits, asked.request
    share = limits.risk_per_trade * (REDUCED_SHARE if reducing(asked) else ONE)
    qty = asked.book.equity_usdt * share / unit_loss(request)
    entry, _ = rounded_prices(request)
    least = smallest_qty(request.contract, entry)
    return Cap(
        Reason.TOO_SMALL,
        "risk per trade",
        qty,
        f"{number(qty)} at {percent(share)}",
        f"{number(least)} ({usdt(least * entry)})",
    )


def total_risk(asked: Asked) -> Cap:
    """Return what the account's total risk leaves; intents in flight count."""
    return _risk_room(
        asked, asked.book.exposures, Reason.TOTAL_RISK, "total risk", asked.limits.total_risk_max
    )


def symbol_risk(asked: Asked) -> Cap:
    """Return what the coin's own limit leaves."""
    same = [each for each in asked.book.exposures if each.symbol == asked.request.symbol]
    return _risk_room(asked, same, Reason.SYMBOL_RISK, "coin risk", asked.limits.symbol_risk_max)


def group_risk(asked: Asked) -> Cap:
    """Return what the correlation group's limit leaves."""
    same = [each for each in asked.book.exposures if each.group == asked.request.group]
    return _risk_room(asked, same, Reason.GROUP_RISK, "group risk", asked.limits.group_risk_max)


def _risk_room(
    asked: Asked,
    exposures: tuple[Exposure, ...] | list[Exposure],
    reason: Reason,
    control: str,
    share: Decimal,
) -> Cap:
    held = sum((each.risk_usdt for each in exposures), ZERO)
    most = asked.book.equity_usdt * share
    qty = (most - held) / unit_loss(asked.request)
    return Cap(reason, control, qty, usdt(held), f"{usdt(most)} ({percent(share)})")


def margin_use(asked: Asked) -> Cap:
    """Return what the margin limit leaves; foreign positions hold margin too."""
    held = sum((each.margin_usdt for each in asked.book.exposures), ZERO)
    share = asked.limits.margin_use_max
    most = asked.book.equity_usdt * share
    qty = (most - held) / unit_margin(asked.request, leverage_of(asked))
    return Cap(Reason.MARGIN_USE, "margin use", qty, usdt(held), f"{usdt(most)} ({percent(share)})")


def available(asked: Asked) -> Cap:
    """Return what the free balance carries: the venue would refuse the rest."""
    free = asked.book.available_usdt - asked.book.pending_margin_usdt
    unit = unit_margin(asked.request, leverage_of(asked))
    entry, _ = rounded_prices(asked.request)
    least = smallest_qty(asked.request.contract, entry) * unit
    return Cap(Reason.AVAILABLE, "free balance", free / unit, usdt(free), usdt(least))


def notional(asked: Asked) -> Cap:
    """Return what leverage allows: one position's value over equity."""
    entry, _ = rounded_prices(asked.request)
    most = asked.book.equity_usdt * asked.limits.leverage_max
    return Cap(Reason.NOTIONAL, "value", most / entry, usdt(most), times(asked.limits.leverage_max))


def risk_tier(asked: Asked) -> Cap:
    """Return what the venue's risk tiers allow at this leverage, liquidation beyond the stop."""
    entry, _ = rounded_prices(asked.request)
    most = ZERO
    for tier in tiers_of(asked.request.contract):
        if tier.leverage_max < leverage_of(asked):
            break
        if liquidation_at(asked, tier.maintenance_rate) > liquidation_limit(asked):
            break
        most = tier.limit
    contract = asked.request.contract
    return Cap(Reason.RISK_TIER, "risk tier", most / entry, usdt(most), usdt(contract.min_notional))


def max_qty(asked: Asked) -> Cap:
    """Return the most the venue takes in one order."""
    contract = asked.request.contract
    most = contract.max_mkt_order_qty if asked.request.market else contract.max_order_qty
    return Cap(Reason.MAX_QTY, "order size", most, number(most), number(contract.min_order_qty))


CAPS = (
    per_trade, total_risk, symbol_risk, group_risk, margin_use, available, notional, risk_tier,
    max_qty,
)  # fmt: skip


def tiers_of(contract: Instrument) -> tuple[RiskTier, ...]:
    """Return the risk tiers; without any, one: MMR = half the margin at the most leverage."""
    if contract.tiers:
        return contract.tiers
    rate = ONE / (2 * contract.leverage_max)
    return (RiskTier(1, BIGGEST, rate, ZERO, contract.leverage_max),)


def liquidation_at(asked: Asked, maintenance_rate: Decimal) -> Decimal:
    """Return the liquidation price of an isolated long at a tier's rate, on the careful side.

    `entry x (1 - 1/leverage) / (1 - MMR)`: a tier's deduction, which only lowers it, is left out,
    so the answer does not depend on the quantity. In cross margin it lies further away still.
    """
    entry, _ = rounded_prices(asked.request)
    return entry * (ONE - ONE / leverage_of(asked)) / (ONE - maintenance_rate)


def liquidation_limit(asked: Asked) -> Decimal:
    """Return the highest liquidation price that still lies beyond the stop, with a margin in R."""
    entry, stop = rounded_prices(asked.request)
    return stop - asked.limits.liquidation_gap_r * (entry - stop)


def leverage_of(asked: Asked) -> Decimal:
    """Return the leverage that is reckoned with: at least 1."""
    leverage = asked.request.leverage
    return ONE if leverage is None else max(leverage, ONE)
