"""Sizing and the sums of risk, slowly and exactly: fractions, and a search instead of formulas."""

from decimal import Decimal
from fractions import Fraction

from engine.risk.book import EntryRequest, RiskBook
from engine.risk.limits import RiskLimits


def steps_below(value: Decimal, step: Decimal) -> Fraction:
    return Fraction(value) // Fraction(step) * Fraction(step)


def steps_above(value: Decimal, step: Decimal) -> Fraction:
    return -(-Fraction(value) // Fraction(step)) * Fraction(step)


def loss_of(request: EntryRequest, qty: Fraction) -> Fraction:
    """Lose the whole way to the stop; pay the fee and half the spread plus impact twice."""
    entry = steps_below(request.entry, request.contract.tick_size)
    stop = steps_above(request.stop, request.contract.tick_size)
    fee = Fraction(request.taker_fee)
    sweep = Fraction(request.sweep_bps or 0) / 10_000
    bought = qty * entry
    return qty * (entry - stop) + bought * fee + bought * sweep + bought * fee + bought * sweep


def margin_of(request: EntryRequest, qty: Fraction) -> Fraction:
    """Lock the value over leverage, the fee in, and the fee of a close where nothing is left."""
    value = qty * steps_below(request.entry, request.contract.tick_size)
    leverage, fee = Fraction(request.leverage or 1), Fraction(request.taker_fee)
    bankrupt = value * (1 - 1 / leverage)
    return value / leverage + value * fee + bankrupt * fee


def fits(
    request: EntryRequest, book: RiskBook, limits: RiskLimits, qty: Fraction, *, halved: bool
) -> bool:
    """Tell whether an order of this size breaks no limit that money or risk sets."""
    equity = Fraction(book.equity_usdt)
    loss, margin = loss_of(request, qty), margin_of(request, qty)
    held = {"all": Fraction(0), "coin": Fraction(0), "group": Fraction(0), "margin": Fraction(0)}
    for each in book.exposures:
        held["all"] += Fraction(each.risk_usdt)
        held["coin"] += Fraction(each.risk_usdt) if each.symbol == request.symbol else 0
        held["group"] += Fraction(each.risk_usdt) if each.group == request.group else 0
        held["margin"] += Fraction(each.margin_usdt)
    per_trade = equity * Fraction(limits.risk_per_trade) / (2 if halved else 1)
    value = qty * steps_below(request.entry, request.contract.tick_size)
    free = Fraction(book.available_usdt) - Fraction(book.pending_margin_usdt)
    contract = request.contract
    most = contract.max_mkt_order_qty if request.market else contract.max_order_qty
    return all(
        (
            loss <= per_trade,
            held["all"] + loss <= equity * Fraction(limits.total_risk_max),
            held["coin"] + loss <= equity * Fraction(limits.symbol_risk_max),
            held["group"] + loss <= equity * Fraction(limits.group_risk_max),
            held["margin"] + margin <= equity * Fraction(limits.margin_use_max),
            margin <= free,
            value <= equity * Fraction(limits.leverage_max),
            value <= tier_value(request, limits),
            qty <= Fraction(most),
        )
    )


def tier_value(request: EntryRequest, limits: RiskLimits) -> Fraction:
    """Return the largest value whose risk tier carries leverage and stop."""
    entry = steps_below(request.entry, request.contract.tick_size)
    stop = steps_above(request.stop, request.contract.tick_size)
    leverage = Fraction(request.leverage or 1)
    lowest = stop - Fraction(limits.liquidation_gap_r) * (entry - stop)
    good = Fraction(0)
    for tier in request.contract.tiers:
        # the price at which what is left equals what must be kept
        gone = entry * (1 - 1 / leverage) / (1 - Fraction(tier.maintenance_rate))
        if Fraction(tier.leverage_max) < leverage or gone > lowest:
            return good
        good = Fraction(tier.limit)
    return good


def largest(
    request: EntryRequest, book: RiskBook, limits: RiskLimits, *, halved: bool = False
) -> Fraction:
    """Find the largest number of steps that fits, by halving; 0 where the venue takes none."""
    step = Fraction(request.contract.qty_step)
    low, high = 0, 1
    while fits(request, book, limits, high * step, halved=halved):
        high *= 2
    while high - low > 1:
        middle = (low + high) // 2
        if fits(request, book, limits, middle * step, halved=halved):
            low = middle
        else:
            high = middle
    qty = low * step
    entry = steps_below(request.entry, request.contract.tick_size)
    enough = qty >= Fraction(request.contract.min_order_qty)
    return qty if enough and qty * entry >= Fraction(request.contract.min_notional) else Fraction(0)
