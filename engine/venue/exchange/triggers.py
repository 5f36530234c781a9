"""Triggers: conditional orders, TP/SL and trailing stops fire when their price comes."""

from decimal import Decimal

from engine.venue.exchange import checks, life, margin, matching, positions, protect
from engine.venue.exchange.records import ZERO, Account, Order, Position
from engine.venue.exchange.state import FALLING, RISING, Market, World
from engine.venue.words import (
    CancelType,
    OrderStatus,
    OrderType,
    Side,
    StopOrderType,
    TriggerBy,
)


def check(world: World, market: Market) -> None:
    """Fire everything the present prices have reached, until nothing more fires."""
    for watch in market.watches:
        if watch.entries:
            break
    else:
        if not market.trailing:
            return
    quote = market.quote
    prices = {TriggerBy.LAST: quote.last, TriggerBy.MARK: quote.mark, TriggerBy.INDEX: quote.index}
    fired = True
    while fired:
        fired = False
        for source, price in prices.items():
            for direction in (RISING, FALLING):
                watch = market.stops[source, direction]
                for account, order in watch.take(price):
                    if not order.is_conditional or order.trigger_price is None:
                        continue
                    if not watch.passed(price, order.trigger_price):
                        continue  # moved by what fired before it; it waits anew already
                    fire(world, market, account, order)
                    fired = True
        fired = _check_trails(world, market, quote.last) or fired


def _check_trails(world: World, market: Market, last: Decimal) -> bool:
    fired = False
    for account, position in list(market.trailing.values()):
        order = account.open_orders.get(position.trailing_order_id)
        if order is None or not order.is_conditional:
            continue
        if trail(position, last):
            fire(world, market, account, order)
            fired = True
        else:
            protect.turn_trail(world, account, position)
    return fired


def trail(position: Position, last: Decimal) -> bool:
    """Let a trailing stop follow the last price; tell whether the price came back to it."""
    side, distance, start = position.side, position.trailing_stop, position.active_price
    if side is None or distance is None:
        return False
    sign = side.sign
    if position.trail_extreme is None:
        if start is not None and (last - start) * sign < 0:
            return False
        position.trail_extreme = start if start is not None else last
    if (last - position.trail_extreme) * sign > 0:
        position.trail_extreme = last
    return (position.trail_extreme - last) * sign >= distance


def fire(world: World, market: Market, account: Account, order: Order) -> None:
    """Turn a conditional order into an active one and send it into the book."""
    world.seq += 1
    life.leave(market, order)
    order.order_status = OrderStatus.TRIGGERED
    world.emit_order(account, order)
    if order.stop_order_type in life.PROTECTIVE:
        position = world.slot(account, order.symbol, order.position_idx)
        life.release(position, order)
        if order.stop_order_type is StopOrderType.TRAILING_STOP:
            market.trailing.pop((account.uid, order.position_idx), None)
        world.touch(account, position)
    order.order_status = OrderStatus.NEW
    _cancel_sibling(world, market, account, order)
    if order.reduce_only or order.close_on_trigger:
        room = positions.room_to_reduce(account, order)
        if not room:
            life.cancel(world, market, account, order, CancelType.REDUCE_ONLY)
            return
        order.qty = min(order.qty, room)
    else:
        barred = _barred(world, market, account, order)
        if barred is not None:
            life.cancel(world, market, account, order, barred)
            return
    if order.order_type is OrderType.MARKET:
        order.price = matching.slippage_limit(world, market, order)
    elif order.price is not None:
        order.price = matching.into_band(market, order.side, order.price)
    if not _affordable(world, market, account, order):
        life.cancel(world, market, account, order, CancelType.INSUFFICIENT)
        return
    matching.take(world, market, account, order)


def _barred(world: World, market: Market, account: Account, order: Order) -> CancelType | None:
    """Return why an order may no longer open anything, though the door once let it in."""
    if checks.status(market, world.now_ms, reduces=False):
        return CancelType.DELISTING
    position = world.slot(account, order.symbol, order.position_idx)
    refusal = checks.opening(market, account, position, order.side, order.qty, ZERO)
    if refusal is None:
        return None
    return CancelType.REDUCE_ONLY if position.is_reduce_only else CancelType.INSUFFICIENT


def _cancel_sibling(world: World, market: Market, account: Account, order: Order) -> None:
    sibling = account.open_orders.get(order.sibling_order_id)
    if sibling is None or not sibling.is_conditional:
        return
    profit = sibling.stop_order_type is StopOrderType.PARTIAL_TAKE_PROFIT
    life.cancel(world, market, account, sibling, CancelType.OCO_TP if profit else CancelType.OCO_SL)


def _affordable(world: World, market: Market, account: Account, order: Order) -> bool:
    if order.reduce_only or order.close_on_trigger:
        return True
    return enough_margin(world, market, account, order)


def enough_margin(world: World, market: Market, account: Account, order: Order) -> bool:
    """Tell whether the account can bear an order that is about to enter the book.

    A taker is judged at the worst price it would pay now, a resting order at its limit. What passes
    at the worst price conceivable needs no look into the book.
    """
    limit = order.price
    if limit is None:
        return True
    free = margin.available(world, account)
    present = account.order_im.get(order.symbol, ZERO)
    extra = None if order.order_id in account.open_orders else order

    def bears(price: Decimal) -> bool:
        order.price = price
        needed = margin.symbol_order_im(world, account, order.symbol, extra) - present
        order.price = limit
        return needed <= 0 or needed <= free

    worst = limit if order.side is Side.BUY else max(limit, market.quote.last)
    return bears(worst) or bears(cost_price(world, market, order, limit))


def cost_price(world: World, market: Market, order: Order, limit: Decimal) -> Decimal:
    """Return the price an order's margin is worked out at."""
    fills = matching.plan(world, market, order.side, order.qty - order.cum_exec_qty, limit)
    if order.order_type is OrderType.LIMIT:
        return limit if order.side is Side.BUY or not fills else max(limit, fills[0][0])
    if not fills:
        return limit
    return fills[-1][0] if order.side is Side.BUY else fills[0][0]
