"""Amendments: an open order gets another quantity, price, trigger or attached pair."""

from dataclasses import dataclass
from decimal import Decimal

from engine.venue.exchange import checks, life, matching, orders, positions, protect, triggers
from engine.venue.exchange.checks import NO
from engine.venue.exchange.commands import AmendOrder
from engine.venue.exchange.events import Accepted, Refused
from engine.venue.exchange.records import Account, Order
from engine.venue.exchange.state import Market, World
from engine.venue.words import StopOrderType, TpslMode, TriggerBy

UNCHANGED = "The order remains unchanged as the parameters entered match the existing ones."


@dataclass(slots=True)
class Draft:
    """What the order will be; every field settled."""

    qty: Decimal
    price: Decimal | None
    trigger_price: Decimal | None
    trigger_by: TriggerBy | None
    take_profit: Decimal | None
    stop_loss: Decimal | None
    tp_trigger_by: TriggerBy
    sl_trigger_by: TriggerBy
    tp_limit_price: Decimal | None
    sl_limit_price: Decimal | None

    def put(self, order: Order) -> None:
        """Write it into the order."""
        order.qty, order.price = self.qty, self.price
        order.trigger_price, order.trigger_by = self.trigger_price, self.trigger_by
        order.take_profit, order.stop_loss = self.take_profit, self.stop_loss
        order.tp_trigger_by, order.sl_trigger_by = self.tp_trigger_by, self.sl_trigger_by
        order.tp_limit_price, order.sl_limit_price = self.tp_limit_price, self.sl_limit_price


def _as_is(order: Order) -> Draft:
    return Draft(
        order.qty,
        order.price,
        order.trigger_price,
        order.trigger_by,
        order.take_profit,
        order.stop_loss,
        order.tp_trigger_by,
        order.sl_trigger_by,
        order.tp_limit_price,
        order.sl_limit_price,
    )


def _kept(new: Decimal | None, old: Decimal | None) -> Decimal | None:
    """Return the new value, None for 0 (cancel it), the old one for None."""
    if new is None:
        return old
    return new or None


def _draft(order: Order, command: AmendOrder) -> Draft:
    return Draft(
        order.qty if command.qty is None else command.qty,
        order.price if command.price is None else command.price,
        order.trigger_price if command.trigger_price is None else command.trigger_price,
        order.trigger_by if order.trigger_by is None else command.trigger_by or order.trigger_by,
        _kept(command.take_profit, order.take_profit),
        _kept(command.stop_loss, order.stop_loss),
        command.tp_trigger_by or order.tp_trigger_by,
        command.sl_trigger_by or order.sl_trigger_by,
        _kept(command.tp_limit_price, order.tp_limit_price),
        _kept(command.sl_limit_price, order.sl_limit_price),
    )


def amend(world: World, market: Market, account: Account, command: AmendOrder) -> None:
    """Amend an open order, or refuse to."""
    order = orders.find(account, command.symbol, command.order_id, command.order_link_id)
    late = orders.too_late(account, order, "replace")
    if late is not None or order is None:
        world.out.append(late or Refused(account.uid, 110001, "order not exists"))
        return
    before, draft = _as_is(order), _draft(order, command)
    refusal = _refused(world, market, account, order, before, draft)
    if refusal:
        world.out.append(Refused(account.uid, *refusal))
        return
    if order.reduce_only and not order.is_conditional:
        draft.qty = min(draft.qty, order.cum_exec_qty + positions.room_to_reduce(account, order))
    if draft.price is not None and draft.price != before.price and not order.is_conditional:
        draft.price = matching.into_band(market, order.side, draft.price)
    free = order.reduce_only or order.is_conditional
    draft.put(order)
    if not free and not triggers.enough_margin(world, market, account, order):
        before.put(order)
        world.out.append(Refused(account.uid, 110007, "ab not enough for new order"))
        return
    world.seq += 1
    world.out.append(Accepted(account.uid, order.order_id, order.order_link_id))
    _place_anew(world, market, account, order, before)


def _refused(
    world: World, market: Market, account: Account, order: Order, before: Draft, draft: Draft
) -> NO:
    if draft == before:
        return checks.PARAMS, UNCHANGED
    return (
        _qty_refused(market, order, before, draft)
        or _price_refused(market, order, before, draft)
        or _trigger_refused(market, order, before, draft)
        or _attached_refused(market, order, before, draft)
        or checks.status(market, world.now_ms, reduces=order.reduce_only or draft.qty <= before.qty)
        or _protective_refused(account, order, before, draft)
        or _opening_refused(world, market, account, order, before, draft)
    )


def _opening_refused(
    world: World, market: Market, account: Account, order: Order, before: Draft, draft: Draft
) -> NO:
    """Refuse an enlargement that the door would refuse as an order."""
    if order.reduce_only or draft.qty <= before.qty:
        return None
    position = world.slot(account, order.symbol, order.position_idx)
    more = draft.qty if order.is_conditional else draft.qty - before.qty
    leaves = draft.qty - order.cum_exec_qty
    return checks.opening(market, account, position, order.side, leaves, more)


def _qty_refused(market: Market, order: Order, before: Draft, draft: Draft) -> NO:
    if draft.qty == before.qty:
        return None
    if draft.qty <= order.cum_exec_qty:
        return 110064, (
            "The number of contracts modified cannot be less than or equal to the filled quantity."
        )
    instrument = market.instrument
    value_price = draft.price or draft.trigger_price or market.quote.last
    return checks.quantity(
        instrument, order.order_type, draft.qty, reduces=False
    ) or checks.notional(instrument, draft.qty, value_price, reduces=order.reduce_only)


def _price_refused(market: Market, order: Order, before: Draft, draft: Draft) -> NO:
    if draft.price == before.price or draft.price is None:
        return None
    if before.price is None:
        return checks.PARAMS, "params error: a market order has no price to amend"
    return checks.price(market.instrument, draft.price) or checks.notional(
        market.instrument, draft.qty, draft.price, reduces=order.reduce_only
    )


def _trigger_refused(market: Market, order: Order, before: Draft, draft: Draft) -> NO:
    if draft.trigger_price == before.trigger_price and draft.trigger_by == before.trigger_by:
        return None
    if draft.trigger_price is None or not order.is_conditional:
        return checks.PARAMS, "params error: only a conditional order has a trigger to amend"
    source = draft.trigger_by or TriggerBy.LAST
    return checks.trigger(
        market.instrument, market.quote, draft.trigger_price, order.trigger_direction, source
    )


def _attached_refused(market: Market, order: Order, before: Draft, draft: Draft) -> NO:
    new = (draft.take_profit, draft.stop_loss, draft.tp_limit_price, draft.sl_limit_price)
    old = (before.take_profit, before.stop_loss, before.tp_limit_price, before.sl_limit_price)
    based = (draft.price, draft.trigger_price) == (before.price, before.trigger_price)
    if new == old and (based or order.cum_exec_qty):
        return None
    if order.cum_exec_qty:
        return 110059, "It is not allowed to amend TP/SL of a partially filled order"
    if order.reduce_only:
        text = "reduce-only order cannot carry takeProfit or stopLoss"
        return (checks.PARAMS, text) if new != old else None
    base = draft.price or draft.trigger_price or market.quote.last
    return checks.tpsl_shape(
        order.tpsl_mode or TpslMode.FULL,
        order.tp_order_type,
        order.sl_order_type,
        draft.tp_limit_price,
        draft.sl_limit_price,
        market.instrument,
    ) or checks.protection(market.instrument, order.side, draft.take_profit, draft.stop_loss, base)


def _protective_refused(account: Account, order: Order, before: Draft, draft: Draft) -> NO:
    kind = order.stop_order_type
    if kind is StopOrderType.TRAILING_STOP:
        return checks.PARAMS, "params error: a trailing stop is amended by trading-stop"
    if draft.qty == before.qty:
        return None
    if kind in life.FULL:
        return 110060, "Under Full TP/SL mode, TP/SL size can't be modified."
    if kind in life.PARTIAL and draft.qty > positions.room_to_reduce(account, order):
        return 110058, "TP/SL size cannot exceed the size of the position"
    return None


def _place_anew(
    world: World, market: Market, account: Account, order: Order, before: Draft
) -> None:
    position = world.slot(account, order.symbol, order.position_idx)
    world.touch(account, position)
    if order.order_id == position.tp_order_id:
        position.take_profit = order.trigger_price
        position.tp_trigger_by = order.trigger_by or TriggerBy.LAST
    elif order.order_id == position.sl_order_id:
        position.stop_loss = order.trigger_price
        position.sl_trigger_by = order.trigger_by or TriggerBy.LAST
    if order.is_conditional:
        life.leave(market, order)
        life.wait(market, account, order)
        world.emit_order(account, order)
        protect.sync(world, market, account, position)
        return
    world.stale_orders[account.uid, order.symbol] = account
    if order.price == before.price and order.qty <= before.qty:
        world.emit_order(account, order)  # keeps its place in the queue
        return
    life.leave(market, order)
    world.counter += 1
    order.sequence = world.counter
    matching.take(world, market, account, order)
