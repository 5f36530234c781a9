"""The first target: a reduce-only limit for a share of what was bought, grown as more is bought."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from engine.account import orders
from engine.account.draft import Draft
from engine.account.orders import IN_FLIGHT, MAY_ACT
from engine.account.state import ZERO, OwnOrder, Trade
from engine.venue.instrument import Instrument

RETRY_MS = 5_000
ATTEMPTS_MAX = 5
CHANGES_MAX = 5
ANSWER_MS = 20_000  # an amendment nobody answered is given up for lost
_SIGNIFICANT = ".12g"  # a double's noise lies behind it, no price's tick before it


def snap(value: float) -> Decimal:
    """Return a computed price without the double's noise, which a ceiling would make a tick of.

    >>> snap(100.10000000000001)
    Decimal('100.1')
    """
    return Decimal(format(Decimal(format(value, _SIGNIFICANT)), "f"))


def price_of(trade: Trade) -> Decimal:
    """Return the target, on the tick, to the passive side."""
    entry = trade.entry_price or trade.plan.entry
    target = entry + trade.plan.tp1_r * (entry - trade.plan.stop)
    return trade.contract.ceil_price(target)


def target_qty(trade: Trade) -> Decimal:
    """Return how much TP1 sells of all that was bought: the rest is 0 or tradable; 0: none."""
    contract, bought = trade.contract, trade.bought
    least = contract.min_order_qty
    part = contract.floor_qty(bought * trade.plan.tp1_share)
    if ZERO < bought - part < least:
        part = _floor(bought - least, contract)
    return part if part >= least else ZERO


def _floor(qty: Decimal, contract: Instrument) -> Decimal:
    steps = (qty / contract.qty_step).to_integral_value(ROUND_FLOOR)
    return max(steps * contract.qty_step, ZERO)


def sync(draft: Draft, trade: Trade) -> Trade:
    """Bring the resting target to what it should be; at most one step at a time."""
    if trade.status != "open" or trade.qty <= 0 or trade.tp1_ms or trade.stopped_ms:
        return trade
    order = trade.of_leg("tp1")
    if order is not None and (order.state in IN_FLIGHT or order.cancel or order.by_hand):
        return trade
    need = min(target_qty(trade) - trade.tp1_filled, trade.qty)
    if need <= 0:
        return trade
    if order is not None and order.state in MAY_ACT:
        return _grow(draft, trade, order, order.booked_qty + need)
    return _place(draft, trade, order, need)


def _grow(draft: Draft, trade: Trade, order: OwnOrder, qty: Decimal) -> Trade:
    price = price_of(trade)
    waits = order.change_ms and draft.at_ms - order.change_ms < ANSWER_MS
    if waits or order.changes_failed >= CHANGES_MAX or order.cum_qty > order.booked_qty:
        return trade
    if qty == order.qty and price == order.price:
        return trade
    if qty > trade.contract.max_order_qty:
        return trade
    return draft.change(trade, order, qty, price)


def _place(draft: Draft, trade: Trade, before: OwnOrder | None, need: Decimal) -> Trade:
    if before is not None:
        if before.state == "done" or before.attempt >= ATTEMPTS_MAX:
            return trade  # filled, or taken back by a person: adopted, not fought
        if draft.at_ms - before.made_ms < RETRY_MS:
            return trade
    contract = trade.contract
    qty = min(need, contract.max_order_qty)
    if qty < contract.min_order_qty:
        return trade
    order = orders.make(trade, "tp1", "Sell", "Limit", qty, price_of(trade), draft.at_ms)
    trade = draft.put_order(trade, order)
    draft.place(trade, order)
    return trade


def ceil_to_tick(value: float, contract: Instrument) -> Decimal:
    """Return a computed stop on the tick, upwards: never further away than planned."""
    steps = (snap(value) / contract.tick_size).to_integral_value(ROUND_CEILING)
    return steps * contract.tick_size
