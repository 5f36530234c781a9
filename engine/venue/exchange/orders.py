"""What users do with orders: create, amend, cancel."""

from collections.abc import Iterator
from decimal import ROUND_CEILING, Decimal

from engine.venue.exchange import checks, life, matching, positions, triggers
from engine.venue.exchange.checks import NO
from engine.venue.exchange.commands import CancelAll, CancelOrder, CreateOrder
from engine.venue.exchange.events import Accepted, Refused
from engine.venue.exchange.records import ZERO, Account, Order, Position
from engine.venue.exchange.state import Market, World
from engine.venue.words import (
    CancelType,
    CreateType,
    OrderStatus,
    OrderType,
    PositionMode,
    Side,
    StopOrderType,
    TimeInForce,
    TpslMode,
    TriggerBy,
)

ONE = Decimal(1)


def create(world: World, market: Market, account: Account, command: CreateOrder) -> None:
    """Create an order, or refuse it."""
    position = account.positions.get((command.symbol, command.position_idx))
    reduces = _only_reduces(account, command)
    qty = _wanted_qty(market, position, command)
    refusal = _refused_at_door(world, market, account, position, command, qty, reduces=reduces)
    if refusal:
        world.out.append(Refused(account.uid, *refusal))
        return
    if reduces and command.trigger_price is None and position is not None:
        qty = min(qty, position.size)
    parts = list(_parts(market, command, qty))
    order = _build(market, command, parts[0], reduces=reduces)
    if order.price is None:
        order.price = matching.slippage_limit(world, market, order)
    conditional = command.trigger_price is not None
    if not (reduces or conditional or triggers.enough_margin(world, market, account, order)):
        world.out.append(Refused(account.uid, 110007, "ab not enough for new order"))
        return
    world.seq += 1
    order.order_id = world.new_id()
    world.out.append(Accepted(account.uid, order.order_id, order.order_link_id))
    _enter(world, market, account, order)
    for part in parts[1:]:  # the link id stays with the first
        rest = _build(market, command, part, reduces=reduces)
        rest.order_id, rest.order_link_id = world.new_id(), ""
        if rest.price is None:
            rest.price = matching.slippage_limit(world, market, rest)
        _enter(world, market, account, rest)


def _enter(world: World, market: Market, account: Account, order: Order) -> None:
    slot = world.slot(account, order.symbol, order.position_idx)
    life.admit(world, account, order)
    world.touch(account, slot)
    if order.is_conditional:
        if order.order_type is OrderType.MARKET:
            order.price = None
        life.wait(market, account, order)
        world.emit_order(account, order)
        return
    if order.reduce_only:
        room = positions.room_to_reduce(account, order)
        if not room:  # an earlier part of the same order has closed everything
            life.cancel(world, market, account, order, CancelType.REDUCE_ONLY)
            return
        order.qty = min(order.qty, room)
    matching.take(world, market, account, order)


def _only_reduces(account: Account, command: CreateOrder) -> bool:
    """Tell whether an order can only close: by its flag, or by its side in hedge mode."""
    if command.reduce_only or command.close_on_trigger:
        return True
    if account.mode_of(command.symbol) is PositionMode.ONE_WAY:
        return False
    opens = Side.BUY if command.position_idx == checks.HEDGE_LONG else Side.SELL
    return command.side is not opens


def _wanted_qty(market: Market, position: Position | None, command: CreateOrder) -> Decimal:
    """Return the quantity; 0 of a closing order means all there is, up to one order's most."""
    if command.qty or not (command.reduce_only and command.close_on_trigger) or position is None:
        return command.qty
    return min(position.size, checks.quantity_max(market.instrument, command.order_type))


def _refused_at_door(
    world: World,
    market: Market,
    account: Account,
    position: Position | None,
    command: CreateOrder,
    qty: Decimal,
    *,
    reduces: bool,
) -> NO:
    instrument = market.instrument
    conditional = command.trigger_price is not None
    # A position that new rules left off the grid may still be closed.
    whole = reduces and position is not None and ZERO < qty == position.size
    return (
        checks.status(market, world.now_ms, reduces=reduces)
        or checks.link_id(account, command.order_link_id)
        or checks.position_idx(account, command.symbol, command.position_idx)
        or _price_refused(market, command)
        or (checks.reduce_only(position, command.side) if reduces else None)
        or (
            None if whole else checks.quantity(instrument, command.order_type, qty, reduces=reduces)
        )
        or checks.notional(instrument, qty, command.price or market.quote.last, reduces=reduces)
        or checks.slippage(command)
        or _trigger_refused(market, command)
        or _attached_refused(market, account, position, command, reduces=reduces)
        or checks.counts(
            account,
            command.symbol,
            _counted(market, position, command, qty, reduces=reduces),
            conditional=conditional,
        )
        or (None if reduces else _opening_refused(world, market, account, command, qty))
    )


def _price_refused(market: Market, command: CreateOrder) -> NO:
    if command.order_type is OrderType.MARKET:
        return None
    if command.price is None:
        return checks.PARAMS, "params error: price missing for a limit order"
    return checks.price(market.instrument, command.price)


def _trigger_refused(market: Market, command: CreateOrder) -> NO:
    if command.trigger_price is None:
        return None
    source = command.trigger_by or TriggerBy.LAST
    return checks.trigger(
        market.instrument, market.quote, command.trigger_price, command.trigger_direction, source
    )


def _opening_refused(
    world: World, market: Market, account: Account, command: CreateOrder, qty: Decimal
) -> NO:
    position = world.slot(account, command.symbol, command.position_idx)
    return checks.opening(market, account, position, command.side, qty, qty)


def _counted(
    market: Market, position: Position | None, command: CreateOrder, qty: Decimal, *, reduces: bool
) -> Decimal:
    """Return how many orders a command leaves waiting at most: a big close is split."""
    conditional = command.trigger_price is not None
    if not reduces or (command.order_type is OrderType.MARKET and not conditional):
        return ONE
    if position is not None and not conditional:
        qty = min(qty, position.size)
    most = checks.quantity_max(market.instrument, command.order_type)
    return (qty / most).to_integral_value(ROUND_CEILING)


def _attached_refused(
    market: Market,
    account: Account,
    position: Position | None,
    command: CreateOrder,
    *,
    reduces: bool,
) -> NO:
    if not (command.take_profit or command.stop_loss):
        return None
    if reduces:
        return checks.PARAMS, "reduce-only order cannot carry takeProfit or stopLoss"
    mode = command.tpsl_mode or TpslMode.FULL
    base = command.price or command.trigger_price or market.quote.last
    room = checks.partial_room(account, position) if mode is TpslMode.PARTIAL else None
    return (
        room
        or checks.tpsl_shape(
            mode,
            command.tp_order_type,
            command.sl_order_type,
            command.tp_limit_price,
            command.sl_limit_price,
            market.instrument,
        )
        or checks.protection(
            market.instrument, command.side, command.take_profit, command.stop_loss, base
        )
    )


def _parts(market: Market, command: CreateOrder, qty: Decimal) -> Iterator[Decimal]:
    """Split what a reduce-only order has beyond one order's most."""
    most = checks.quantity_max(market.instrument, command.order_type)
    while qty > most:
        yield most
        qty -= most
    yield qty


def _build(market: Market, command: CreateOrder, qty: Decimal, *, reduces: bool) -> Order:
    """Return the order a command describes, without an id yet."""
    conditional = command.trigger_price is not None
    is_market = command.order_type is OrderType.MARKET
    price = command.price
    if is_market:
        price = None
    elif price is not None and not conditional:
        price = matching.into_band(market, command.side, price)
    attached = bool(command.take_profit or command.stop_loss)
    tolerance = command.slippage_tolerance
    return Order(
        order_id="",
        order_link_id=command.order_link_id,
        symbol=command.symbol,
        side=command.side,
        order_type=command.order_type,
        qty=qty,
        price=price,
        time_in_force=TimeInForce.IOC if is_market else command.time_in_force,
        position_idx=command.position_idx,
        reduce_only=reduces,
        close_on_trigger=command.close_on_trigger,
        order_status=OrderStatus.UNTRIGGERED if conditional else OrderStatus.NEW,
        create_type=CreateType.USER,
        stop_order_type=StopOrderType.STOP if conditional else StopOrderType.NONE,
        trigger_price=command.trigger_price,
        trigger_direction=command.trigger_direction if conditional else 0,
        trigger_by=(command.trigger_by or TriggerBy.LAST) if conditional else None,
        take_profit=command.take_profit or None,
        stop_loss=command.stop_loss or None,
        tp_trigger_by=command.tp_trigger_by,
        sl_trigger_by=command.sl_trigger_by,
        tpsl_mode=(command.tpsl_mode or TpslMode.FULL) if attached else command.tpsl_mode,
        tp_order_type=command.tp_order_type,
        sl_order_type=command.sl_order_type,
        tp_limit_price=command.tp_limit_price,
        sl_limit_price=command.sl_limit_price,
        smp_type=command.smp_type,
        slippage_tolerance_type=command.slippage_tolerance_type or "UNKNOWN",
        slippage_tolerance="" if tolerance is None else format(tolerance, "f"),
        last_price_on_created=market.quote.last,
    )


def find(account: Account, symbol: str, order_id: str, order_link_id: str) -> Order | None:
    """Return an order by its id, or by its link id if none is given."""
    key = order_id or account.by_link.get(order_link_id, "")
    order = account.orders.get(key)
    return order if order is not None and order.symbol == symbol else None


def too_late(account: Account, order: Order | None, verb: str) -> Refused | None:
    """Return the refusal of a change to an order that is not open."""
    if order is None:
        return Refused(account.uid, 110001, f"order not exists or too late to {verb}")
    if order.order_status.is_open:
        return None
    if order.order_status is OrderStatus.FILLED:
        return Refused(account.uid, 110008, "The order has been completed or cancelled.")
    return Refused(account.uid, 110010, "The order has been cancelled")


def cancel(world: World, market: Market, account: Account, command: CancelOrder) -> None:
    """Cancel an open order."""
    order = find(account, command.symbol, command.order_id, command.order_link_id)
    refusal = too_late(account, order, "cancel")
    if refusal is not None or order is None:
        world.out.append(refusal or Refused(account.uid, 110001, "order not exists"))
        return
    world.seq += 1
    world.out.append(Accepted(account.uid, order.order_id, order.order_link_id))
    _cancel_one(world, market, account, order)


def _cancel_one(world: World, market: Market, account: Account, order: Order) -> None:
    life.cancel(world, market, account, order, CancelType.USER)
    slot = world.slot(account, order.symbol, order.position_idx)
    if order.stop_order_type is StopOrderType.TRAILING_STOP:
        market.trailing.pop((account.uid, order.position_idx), None)
    world.touch(account, slot)


def cancel_all(world: World, account: Account, command: CancelAll) -> None:
    """Cancel what the filters leave: symbol before base coin before settle coin."""
    if not (command.symbol or command.base_coin or command.settle_coin):
        text = "params error: symbol, baseCoin or settleCoin is required"
        world.out.append(Refused(account.uid, checks.PARAMS, text))
        return
    chosen = [order for order in account.open_orders.values() if _chosen(world, order, command)]
    ids = tuple((order.order_id, order.order_link_id) for order in chosen)
    world.seq += 1
    world.out.append(Accepted(account.uid, cancelled=ids))
    for order in chosen:
        if order.order_status.is_open:
            _cancel_one(world, world.markets[order.symbol], account, order)


def _chosen(world: World, order: Order, command: CancelAll) -> bool:
    if command.symbol:
        if order.symbol != command.symbol:
            return False
    elif command.base_coin:
        if world.markets[order.symbol].instrument.base_coin != command.base_coin:
            return False
    elif command.settle_coin != "USDT":
        return False
    if command.stop_order_type and order.stop_order_type != command.stop_order_type:
        return False
    if command.order_filter == "Order":
        return not order.is_conditional
    if command.order_filter == "StopOrder":
        return order.is_conditional
    if command.order_filter == "OpenOrder":
        return order.stop_order_type not in life.PROTECTIVE
    return True
