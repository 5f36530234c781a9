"""Orders that protect a position: its Full pair, its trailing stop, Partial pairs."""

from decimal import Decimal

from engine.venue.exchange import life
from engine.venue.exchange.records import Account, Order, Position
from engine.venue.exchange.state import FALLING, RISING, Market, World
from engine.venue.words import (
    CancelType,
    CreateType,
    OrderStatus,
    OrderType,
    Side,
    StopOrderType,
    TimeInForce,
    TpslMode,
    TriggerBy,
)

CREATED_BY = {
    StopOrderType.TAKE_PROFIT: CreateType.TAKE_PROFIT,
    StopOrderType.STOP_LOSS: CreateType.STOP_LOSS,
    StopOrderType.TRAILING_STOP: CreateType.TRAILING_STOP,
    StopOrderType.PARTIAL_TAKE_PROFIT: CreateType.PARTIAL_TAKE_PROFIT,
    StopOrderType.PARTIAL_STOP_LOSS: CreateType.PARTIAL_STOP_LOSS,
}
PROFITS = (StopOrderType.TAKE_PROFIT, StopOrderType.PARTIAL_TAKE_PROFIT)


def child(
    world: World,
    market: Market,
    account: Account,
    position: Position,
    kind: StopOrderType,
    qty: Decimal,
    trigger: Decimal,
    trigger_by: TriggerBy,
    limit_price: Decimal | None = None,
) -> Order:
    """Make one protective order, live at once and waiting for its trigger."""
    holds = position.side or Side.BUY
    profit_rises = holds is Side.BUY
    waits = kind is StopOrderType.TRAILING_STOP and position.trail_extreme is None
    rises = profit_rises if kind in PROFITS or waits else not profit_rises
    order = Order(
        order_id=world.new_id(),
        order_link_id="",
        symbol=position.symbol,
        side=holds.other,
        order_type=OrderType.MARKET if limit_price is None else OrderType.LIMIT,
        qty=qty,
        price=limit_price,
        time_in_force=TimeInForce.IOC if limit_price is None else TimeInForce.GTC,
        position_idx=position.position_idx,
        reduce_only=True,
        close_on_trigger=True,
        order_status=OrderStatus.UNTRIGGERED,
        create_type=CREATED_BY[kind],
        stop_order_type=kind,
        trigger_price=trigger,
        trigger_direction=RISING if rises else FALLING,
        trigger_by=trigger_by,
        tpsl_mode=TpslMode.PARTIAL if kind in life.PARTIAL else TpslMode.FULL,
        parent_order_link_id=position.parent_order_link_id,
        last_price_on_created=market.quote.last,
    )
    life.admit(world, account, order)
    life.wait(market, account, order)
    return order


def sync(world: World, market: Market, account: Account, position: Position) -> None:
    """Make the position's orders say what the position says; clear them all when it is flat."""
    if not (position.is_open or has_orders(position)):
        return
    wanted = (
        (
            position.tp_order_id,
            StopOrderType.TAKE_PROFIT,
            position.take_profit,
            position.tp_trigger_by,
        ),
        (position.sl_order_id, StopOrderType.STOP_LOSS, position.stop_loss, position.sl_trigger_by),
        (
            position.trailing_order_id,
            StopOrderType.TRAILING_STOP,
            _activation(position),
            TriggerBy.LAST,
        ),
    )
    ids = []
    for order_id, kind, trigger, trigger_by in wanted:
        order = account.open_orders.get(order_id) if order_id else None
        if order is not None and (trigger is None or order.side is position.side):
            _detach(position, order)
            life.cancel(world, market, account, order, CancelType.TPSL_CLEAR)
            order = None
        if trigger is not None and position.side is not None:
            if order is None:
                order = child(
                    world, market, account, position, kind, position.size, trigger, trigger_by
                )
                world.emit_order(account, order)
            else:
                _follow(world, market, account, position, order, trigger, trigger_by)
        ids.append(order.order_id if order is not None else "")
    position.tp_order_id, position.sl_order_id, position.trailing_order_id = ids
    _follow_trail(market, account, position)
    turn_trail(world, account, position)
    for order_id in position.partial_order_ids:
        order = account.open_orders.get(order_id)
        if order is not None and (position.side is None or order.side is position.side):
            life.cancel(world, market, account, order, CancelType.TPSL_CLEAR)


def has_orders(position: Position) -> bool:
    """Tell whether anything protects a position."""
    return bool(
        position.tp_order_id
        or position.sl_order_id
        or position.trailing_order_id
        or position.partial_order_ids
    )


def _activation(position: Position) -> Decimal | None:
    """Return what a trailing stop's order shows as its trigger: the activation price."""
    return position.active_price if position.trailing_stop is not None else None


def _detach(position: Position, order: Order) -> None:
    """Unlink an order without taking away what the position says: it belonged to another side."""
    if order.order_id == position.tp_order_id:
        position.tp_order_id = ""
    elif order.order_id == position.sl_order_id:
        position.sl_order_id = ""
    else:
        position.trailing_order_id = ""


def _follow(
    world: World,
    market: Market,
    account: Account,
    position: Position,
    order: Order,
    trigger: Decimal,
    trigger_by: TriggerBy,
) -> None:
    same_trigger = order.trigger_price == trigger and order.trigger_by is trigger_by
    if same_trigger and order.qty == position.size:
        return
    order.qty = position.size
    if not same_trigger:
        life.leave(market, order)
        order.trigger_price, order.trigger_by = trigger, trigger_by
        life.wait(market, account, order)
    world.emit_order(account, order)


def turn_trail(world: World, account: Account, position: Position) -> None:
    """Let a trailing stop's order look to profit while it waits for it, and to loss from then."""
    order = account.open_orders.get(position.trailing_order_id)
    if order is None or position.side is None:
        return
    looks_up = (position.side is Side.BUY) == (position.trail_extreme is None)
    direction = RISING if looks_up else FALLING
    if order.trigger_direction != direction:
        order.trigger_direction = direction
        world.emit_order(account, order)


def _follow_trail(market: Market, account: Account, position: Position) -> None:
    key = (account.uid, position.position_idx)
    if position.trailing_order_id:
        market.trailing[key] = (account, position)
    else:
        market.trailing.pop(key, None)


def attach(
    world: World,
    market: Market,
    account: Account,
    position: Position,
    order: Order,
    qty: Decimal,
    *,
    anew: bool,
) -> None:
    """Let an order's attached TP/SL come alive: `qty` of it has just opened (`anew`) or grown."""
    if order.take_profit is None and order.stop_loss is None:
        return
    if order.tpsl_mode is TpslMode.PARTIAL:
        _attach_partial(world, market, account, position, order, qty)
        return
    if order.tpsl_applied and not anew:
        return
    order.tpsl_applied = True
    position.parent_order_link_id = order.order_link_id
    if order.take_profit is not None:
        position.take_profit, position.tp_trigger_by = order.take_profit, order.tp_trigger_by
    if order.stop_loss is not None:
        position.stop_loss, position.sl_trigger_by = order.stop_loss, order.sl_trigger_by


def _attach_partial(
    world: World, market: Market, account: Account, position: Position, order: Order, qty: Decimal
) -> None:
    present = [
        account.open_orders[order_id]
        for order_id in (order.child_tp_order_id, order.child_sl_order_id)
        if order_id in account.open_orders and account.open_orders[order_id].is_conditional
    ]  # one that has fired covers what it covered
    if present and not world.one_child_per_fill:
        for each in present:
            each.qty += qty
            world.emit_order(account, each)
        return
    position.parent_order_link_id = order.order_link_id
    order.child_tp_order_id, order.child_sl_order_id = add_pair(
        world,
        market,
        account,
        position,
        take_profit=order.take_profit,
        stop_loss=order.stop_loss,
        qty=qty,
        tp_trigger_by=order.tp_trigger_by,
        sl_trigger_by=order.sl_trigger_by,
        tp_limit_price=order.tp_limit_price if order.tp_order_type is OrderType.LIMIT else None,
        sl_limit_price=order.sl_limit_price if order.sl_order_type is OrderType.LIMIT else None,
    )


def add_pair(
    world: World,
    market: Market,
    account: Account,
    position: Position,
    *,
    take_profit: Decimal | None,
    stop_loss: Decimal | None,
    qty: Decimal,
    tp_trigger_by: TriggerBy,
    sl_trigger_by: TriggerBy,
    tp_limit_price: Decimal | None,
    sl_limit_price: Decimal | None,
) -> tuple[str, str]:
    """Add a Partial TP, SL or pair of them; the two of a pair cancel each other."""
    made: list[Order] = []
    ids = ["", ""]
    legs = (
        (StopOrderType.PARTIAL_TAKE_PROFIT, take_profit, tp_trigger_by, tp_limit_price),
        (StopOrderType.PARTIAL_STOP_LOSS, stop_loss, sl_trigger_by, sl_limit_price),
    )
    for leg, (kind, trigger, trigger_by, limit_price) in enumerate(legs):
        if trigger is None:
            continue
        order = child(world, market, account, position, kind, qty, trigger, trigger_by, limit_price)
        ids[leg] = order.order_id
        made.append(order)
    if len(made) == len(legs):
        made[0].sibling_order_id, made[1].sibling_order_id = made[1].order_id, made[0].order_id
    for order in made:
        world.emit_order(account, order)
    position.partial_order_ids += tuple(order.order_id for order in made)
    return ids[0], ids[1]
