"""Fills become positions: sizes, entry prices, realised profit, and what follows a change."""

from decimal import Decimal

from engine.venue.exchange import life, margin, protect
from engine.venue.exchange.events import Executed, Logged
from engine.venue.exchange.ledger import book_row, q8, q10
from engine.venue.exchange.records import ZERO, Account, Execution, Order, Position
from engine.venue.exchange.state import Closing, Market, World
from engine.venue.words import (
    CancelType,
    ExecType,
    LogType,
    MarginMode,
)

LOG_OF = {
    ExecType.TRADE: LogType.TRADE,
    ExecType.BUST: LogType.LIQUIDATION,
    ExecType.ADL: LogType.ADL,
    ExecType.DELIVERY: LogType.DELIVERY,
}


def apply_fill(
    world: World,
    market: Market,
    account: Account,
    order: Order,
    qty: Decimal,
    price: Decimal,
    *,
    is_maker: bool,
    exec_type: ExecType = ExecType.TRADE,
    fee_rate: Decimal | None = None,
) -> None:
    """Book one fill: execution, position, wallet, log. `settle` follows once for the action."""
    position = world.slot(account, order.symbol, order.position_idx)
    if fee_rate is None:
        fee_rate = account.maker_fee_rate if is_maker else account.taker_fee_rate
    value = qty * price
    fee = q8(value * fee_rate)
    closed = min(qty, position.size) if position.side is order.side.other else ZERO
    opened = qty - closed
    open_part = fee if not closed else q8(fee * opened / qty)
    pnl = ZERO
    if closed:
        pnl = _close(world, position, order, closed, price, fee - open_part, exec_type)
    anew = position.side is None
    if opened:
        _open(world, position, order, opened, price, open_part)
    order.cum_exec_qty += qty
    order.cum_exec_value += value
    order.cum_exec_fee += fee
    position.seq = order.seq = world.seq
    position.updated_time = world.now_ms
    _write(
        world,
        market,
        account,
        order,
        position,
        qty,
        price,
        value,
        fee,
        fee_rate,
        pnl,
        closed,
        exec_type,
        is_maker=is_maker,
    )
    if opened:
        protect.attach(world, market, account, position, order, opened, anew=anew)


def _close(
    world: World,
    position: Position,
    order: Order,
    closed: Decimal,
    price: Decimal,
    close_fee: Decimal,
    exec_type: ExecType,
) -> Decimal:
    """Take `closed` off a position; return its profit before fees."""
    pnl = q8((price - position.entry_price) * closed * -order.side.sign)
    whole = closed == position.size
    open_fee = position.open_fee if whole else q8(position.open_fee * closed / position.size)
    closing = world.closings.get(order.order_id)
    if closing is None:
        closing = Closing(order.side, position.leverage, exec_type)
        world.closings[order.order_id] = closing
    closing.closed_size += closed
    closing.entry_value += closed * position.entry_price
    closing.exit_value += closed * price
    closing.pnl += pnl
    closing.open_fee += open_fee
    closing.close_fee += close_fee
    closing.fill_count += 1
    order.closed_pnl += pnl - open_fee - close_fee
    position.cur_realised_pnl += pnl - close_fee
    position.cum_realised_pnl += pnl - close_fee
    position.open_fee -= open_fee
    if whole:
        empty(position)
    else:
        position.extra_margin -= q8(position.extra_margin * closed / position.size)
        position.size -= closed
    return pnl


def empty(position: Position) -> None:
    """Make a slot flat; what it was told (leverage, mode, flags) stays."""
    position.side = None
    position.size = position.entry_price = position.extra_margin = position.open_fee = ZERO
    position.take_profit = position.stop_loss = None
    position.trailing_stop = position.active_price = position.trail_extreme = None
    position.parent_order_link_id = ""


def _open(
    world: World, position: Position, order: Order, opened: Decimal, price: Decimal, fee: Decimal
) -> None:
    if position.side is None:
        position.side = order.side
        position.size = opened
        position.entry_price = q10(price)
        position.cur_realised_pnl = ZERO
        position.open_time = world.now_ms
        position.created_time = position.created_time or world.now_ms
    else:
        total = position.size + opened
        value = position.entry_price * position.size + price * opened
        position.entry_price = q10(value / total)
        position.size = total
    position.open_fee += fee
    position.cur_realised_pnl -= fee
    position.cum_realised_pnl -= fee


def _write(
    world: World,
    market: Market,
    account: Account,
    order: Order,
    position: Position,
    qty: Decimal,
    price: Decimal,
    value: Decimal,
    fee: Decimal,
    fee_rate: Decimal,
    pnl: Decimal,
    closed: Decimal,
    exec_type: ExecType,
    *,
    is_maker: bool,
) -> None:
    quote = market.quote
    execution = Execution(
        world.new_id(),
        exec_type,
        order.symbol,
        order.side,
        order.order_id,
        order.order_link_id,
        order.order_type,
        order.stop_order_type,
        order.create_type,
        order.price if order.price is not None else ZERO,
        order.qty,
        price,
        qty,
        value,
        fee,
        fee_rate,
        pnl,
        closed,
        order.qty - order.cum_exec_qty,
        is_maker,
        quote.mark,
        quote.index,
        order.position_idx,
        world.now_ms,
        world.seq,
    )
    account.executions.append(execution)
    account.wallet.cum_realised_pnl += pnl - fee
    world.out.append(Executed(account.uid, execution))
    row = book_row(
        account,
        world.new_row_id(account.uid, order.symbol),
        LOG_OF[exec_type],
        world.now_ms,
        symbol=order.symbol,
        side=order.side,
        qty=qty,
        size=position.size * position.side.sign if position.side else ZERO,
        trade_price=price,
        cash_flow=pnl,
        fee=fee,
        fee_rate=fee_rate,
        order_id=order.order_id,
        order_link_id=order.order_link_id,
        trade_id=execution.exec_id,
    )
    world.out.append(Logged(account.uid, row))
    world.moved_wallets[account.uid] = account


def settle(world: World, market: Market, account: Account, position: Position) -> None:
    """Bring everything that hangs on a position into line with it, after an action."""
    relock(market, account, position)
    protect.sync(world, market, account, position)
    _clamp(world, market, account, position)
    world.stale_orders[account.uid, position.symbol] = account
    world.touch(account, position)


def relock(market: Market, account: Account, position: Position) -> None:
    """Redo what a position locks and where it would be taken over."""
    key = (account.uid, position.position_idx)
    slot_key = (position.symbol, position.position_idx)
    if market.queue is not None:
        market.queue.place(key, position)
    if position.side is None:
        market.holders.pop(key, None)
        account.locked.pop(slot_key, None)
        position.liq_price = None
        return
    market.holders[key] = (account, position)
    if account.margin_mode is MarginMode.ISOLATED:
        account.locked[slot_key] = margin.isolated_lock(position, account.taker_fee_rate)
        position.liq_price = margin.liquidation_price(market.instrument, position)
    else:
        account.locked.pop(slot_key, None)


def _clamp(world: World, market: Market, account: Account, position: Position) -> None:
    """Shrink or cancel resting reduce-only orders that would do more than close."""
    if not account.open_of(position.symbol):
        return
    for order in list(account.open_of(position.symbol).values()):
        if not order.reduce_only or order.is_conditional:
            continue
        if order.position_idx != position.position_idx:
            continue
        if position.side is not order.side.other:
            life.cancel(world, market, account, order, CancelType.REDUCE_ONLY)
        elif order.qty - order.cum_exec_qty > position.size:
            order.qty = order.cum_exec_qty + position.size
            world.emit_order(account, order)


def room_to_reduce(account: Account, order: Order) -> Decimal:
    """Return how much an order that may only reduce can still close."""
    position = account.positions.get((order.symbol, order.position_idx))
    if position is None or position.side is not order.side.other:
        return ZERO
    return position.size
