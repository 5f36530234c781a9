"""An order's life: admitted, resting or waiting, ended. Every map it stands in is kept here."""

from decimal import Decimal

from engine.venue.exchange.events import PnlClosed
from engine.venue.exchange.ledger import q10
from engine.venue.exchange.records import ZERO, Account, ClosedPnl, Order, Position
from engine.venue.exchange.state import Market, World
from engine.venue.words import (
    CancelType,
    OrderStatus,
    RejectReason,
    StopOrderType,
    TriggerBy,
)

PARTIAL = (StopOrderType.PARTIAL_TAKE_PROFIT, StopOrderType.PARTIAL_STOP_LOSS)
FULL = (StopOrderType.TAKE_PROFIT, StopOrderType.STOP_LOSS, StopOrderType.TRAILING_STOP)
PROTECTIVE = FULL + PARTIAL


def admit(world: World, account: Account, order: Order) -> None:
    """Take an order into the books of its account."""
    world.counter += 1
    order.sequence = world.counter
    order.created_time = order.updated_time = world.now_ms
    account.orders[order.order_id] = order
    account.open_orders[order.order_id] = order
    account.open_by_symbol.setdefault(order.symbol, {})[order.order_id] = order
    if order.order_link_id:
        account.by_link[order.order_link_id] = order.order_id


def rest(world: World, market: Market, account: Account, order: Order) -> None:
    """Let an order wait in the book, behind what stands at its price already."""
    if order.price is None:
        raise ValueError("only an order with a price can rest")
    last = market.quote.last
    order.queue_ahead = world.book.quantity_at(market.instrument, last, order.side, order.price)
    market.resting(order.side).add(account, order, order.price)
    world.stale_orders[account.uid, order.symbol] = account


def wait(market: Market, account: Account, order: Order) -> None:
    """Let a conditional order wait for its trigger; a trailing stop is followed elsewhere."""
    if order.stop_order_type is StopOrderType.TRAILING_STOP or order.trigger_price is None:
        return
    source = order.trigger_by or TriggerBy.LAST
    watch = market.stops[source, order.trigger_direction]
    watch.add(account, order, order.trigger_price)


def leave(market: Market, order: Order) -> None:
    """Take an order out of wherever it waits."""
    if order.is_conditional:
        for watch in market.stops.values():
            watch.discard(order.order_id)
    else:
        market.resting(order.side).discard(order.order_id)


def end(
    world: World,
    market: Market,
    account: Account,
    order: Order,
    status: OrderStatus,
    cancel_type: CancelType = CancelType.UNKNOWN,
    reason: RejectReason = RejectReason.NONE,
) -> None:
    """End an order for good."""
    leave(market, order)
    if order.stop_order_type in PROTECTIVE:
        release(account.positions[order.symbol, order.position_idx], order)
    order.order_status = status
    order.cancel_type = cancel_type
    order.reject_reason = reason
    account.open_orders.pop(order.order_id, None)
    account.open_of(order.symbol).pop(order.order_id, None)
    world.stale_orders[account.uid, order.symbol] = account
    world.emit_order(account, order)
    _write_closed(world, account, order)


def cancel(
    world: World, market: Market, account: Account, order: Order, cancel_type: CancelType
) -> None:
    """Cancel an open order; a conditional one that never triggered is deactivated."""
    status = OrderStatus.DEACTIVATED if order.is_conditional else OrderStatus.CANCELLED
    end(world, market, account, order, status, cancel_type)


def release(position: Position, order: Order) -> None:
    """Forget a protective order that fires or ends: the position is without it now."""
    if order.order_id == position.tp_order_id:
        position.tp_order_id, position.take_profit = "", None
    elif order.order_id == position.sl_order_id:
        position.sl_order_id, position.stop_loss = "", None
    elif order.order_id == position.trailing_order_id:
        position.trailing_order_id, position.trailing_stop = "", None
        position.active_price = position.trail_extreme = None
    elif order.order_id in position.partial_order_ids:
        position.partial_order_ids = tuple(
            each for each in position.partial_order_ids if each != order.order_id
        )


def _write_closed(world: World, account: Account, order: Order) -> None:
    closing = world.closings.pop(order.order_id, None)
    if closing is None:
        return
    size = closing.closed_size
    order_price: Decimal = order.price if order.price is not None else ZERO
    row = ClosedPnl(
        symbol=order.symbol,
        order_id=order.order_id,
        side=order.side,
        qty=order.qty,
        order_price=order_price,
        order_type=order.order_type,
        exec_type=closing.exec_type,
        closed_size=size,
        cum_entry_value=closing.entry_value,
        avg_entry_price=q10(closing.entry_value / size),
        cum_exit_value=closing.exit_value,
        avg_exit_price=q10(closing.exit_value / size),
        closed_pnl=closing.pnl - closing.open_fee - closing.close_fee,
        fill_count=closing.fill_count,
        leverage=closing.leverage,
        open_fee=closing.open_fee,
        close_fee=closing.close_fee,
        created_time=order.created_time,
        updated_time=world.now_ms,
    )
    account.closed_pnl.append(row)
    world.out.append(PnlClosed(account.uid, row))
