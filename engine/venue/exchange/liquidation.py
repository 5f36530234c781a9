"""Take-overs: positions whose mark reached their liquidation price, accounts whose rate is 1."""

from decimal import Decimal

from engine.venue.exchange import life, margin, positions
from engine.venue.exchange.events import Liquidated, PositionChanged
from engine.venue.exchange.records import ZERO, Account, Order, Position
from engine.venue.exchange.state import Market, World
from engine.venue.words import (
    CancelType,
    CreateType,
    ExecType,
    MarginMode,
    OrderStatus,
    OrderType,
    PositionMode,
    PositionStatus,
    Side,
    TimeInForce,
)


def check(world: World, market: Market) -> None:
    """Take over whoever the present mark has ruined."""
    _check(world, market, list(market.holders.values()))


def check_account(world: World, market: Market, account: Account) -> None:
    """Take over what an account has just opened beyond its liquidation price."""
    uid, holders = account.uid, market.holders
    if account.mode_of(market.symbol) is PositionMode.ONE_WAY:
        pair = holders.get((uid, 0))
        _check(world, market, [] if pair is None else [pair])
        return
    held = (holders.get((uid, idx)) for idx in (1, 2))
    _check(world, market, [pair for pair in held if pair is not None])


def _check(world: World, market: Market, holders: list[tuple[Account, Position]]) -> None:
    # What an account closed here may have ruined it elsewhere.
    crossed = {
        uid: account
        for uid, _, _ in world.touched
        if (account := world.accounts[uid]).margin_mode is not MarginMode.ISOLATED
    }
    if not (holders or crossed):
        return
    mark = market.quote.mark
    for account, position in holders:
        if account.margin_mode is not MarginMode.ISOLATED:
            crossed[account.uid] = account
        elif _ruined(position, mark):
            _take_isolated(world, market, account, position)
    for account in crossed.values():
        _check_cross(world, account)


def _ruined(position: Position, mark: Decimal) -> bool:
    liq, side = position.liq_price, position.side
    return liq is not None and side is not None and (mark - liq) * side.sign <= 0


def _take_isolated(world: World, market: Market, account: Account, position: Position) -> None:
    if position.auto_add_margin and _top_up(world, market, account, position):
        return
    world.seq += 1
    _cancel_orders(world, market, account, position)
    announce(world, account, position, PositionStatus.LIQ)
    mark, instrument = market.quote.mark, market.instrument
    while _ruined(position, mark) and position.side is not None:
        excess = _excess(market, position)
        price = margin.bankruptcy_price(instrument, position)
        if excess and (mark - price) * position.side.sign > 0:
            # one rung down: what lies above the lower tier goes at mark, as long as that is
            # better than the bankruptcy price
            rounded = instrument.floor_price if position.side is Side.BUY else instrument.ceil_price
            price = rounded(mark)
            _close(world, market, account, position, excess, price, CreateType.LIQUIDATION)
            continue
        _close(world, market, account, position, position.size, price, CreateType.TAKE_OVER)


def _excess(market: Market, position: Position) -> Decimal:
    """Return what must go for the position to fall into the next lower tier; 0 in the lowest."""
    mark = market.quote.mark
    instrument = market.instrument
    below = ZERO
    for tier in margin.tiers_of(instrument):
        if position.size * mark <= tier.limit:
            break
        below = tier.limit
    if not below:
        return ZERO
    keep = instrument.floor_qty(below / mark)
    return position.size - keep if keep else ZERO


def _top_up(world: World, market: Market, account: Account, position: Position) -> bool:
    """Add the initial margin once more, as far as the balance goes; True if that saved it."""
    free = margin.available(world, account)
    amount = min(free, account.locked.get((position.symbol, position.position_idx), ZERO))
    if amount <= 0:
        return False
    position.extra_margin += amount
    positions.settle(world, market, account, position)
    return not _ruined(position, market.quote.mark)


def _cancel_orders(world: World, market: Market, account: Account, position: Position) -> None:
    """Cancel what waits on the symbol; the stops of a hedge's other leg lock nothing and stay."""
    for order in list(account.open_of(position.symbol).values()):
        if order.is_conditional and order.position_idx != position.position_idx:
            continue
        life.cancel(world, market, account, order, CancelType.PREPARE_LIQ)


def announce(world: World, account: Account, position: Position, status: PositionStatus) -> None:
    """Tell that the venue is about to take a position, or part of it."""
    margin.show_position(world, account, position)
    position.position_status = status
    position.updated_time = world.now_ms
    world.out.append(PositionChanged(account.uid, position.copy()))


def _close(
    world: World,
    market: Market,
    account: Account,
    position: Position,
    qty: Decimal,
    price: Decimal,
    create_type: CreateType,
) -> None:
    side = position.side
    close_by_venue(
        world,
        market,
        account,
        position,
        qty,
        price,
        create_type=create_type,
        exec_type=ExecType.BUST,
        fee_rate=account.taker_fee_rate,
    )
    if side is not None:
        world.out.append(Liquidated(position.symbol, side.value, qty, price, world.now_ms))


def close_by_venue(
    world: World,
    market: Market,
    account: Account,
    position: Position,
    qty: Decimal,
    price: Decimal,
    *,
    create_type: CreateType,
    exec_type: ExecType,
    fee_rate: Decimal,
) -> None:
    """Close part of a position by an order of the venue's own, filled at once at one price."""
    if position.side is None:
        return
    order = Order(
        order_id=world.new_id(),
        order_link_id="",
        symbol=position.symbol,
        side=position.side.other,
        order_type=OrderType.MARKET,
        qty=qty,
        price=price,
        time_in_force=TimeInForce.IOC,
        position_idx=position.position_idx,
        reduce_only=True,
        create_type=create_type,
        last_price_on_created=market.quote.last,
    )
    life.admit(world, account, order)
    positions.apply_fill(
        world,
        market,
        account,
        order,
        qty,
        price,
        is_maker=False,
        exec_type=exec_type,
        fee_rate=fee_rate,
    )
    life.end(world, market, account, order, OrderStatus.FILLED)
    positions.settle(world, market, account, position)


def _check_cross(world: World, account: Account) -> None:
    """Cross: everything hangs together; orders go first, then positions, costliest first."""
    if not _account_ruined(world, account):
        return
    world.seq += 1
    held = [position for position in account.positions.values() if position.side is not None]
    for symbol in dict.fromkeys(order.symbol for order in account.open_orders.values()):
        market = world.markets[symbol]
        for order in list(account.open_of(symbol).values()):
            life.cancel(world, market, account, order, CancelType.ALL_BEFORE_LIQ)
    held.sort(key=lambda position: -_own_maintenance(world, position))
    for position in held:
        if not _account_ruined(world, account):
            return
        market = world.markets[position.symbol]
        announce(world, account, position, PositionStatus.LIQ)
        price = _cross_bust_price(world, account, market, position)
        _close(world, market, account, position, position.size, price, CreateType.TAKE_OVER)


def _account_ruined(world: World, account: Account) -> bool:
    totals = margin.cross_totals(world, account)
    return totals.maintenance > 0 and totals.balance <= totals.maintenance


def _own_maintenance(world: World, position: Position) -> Decimal:
    market = world.markets[position.symbol]
    return margin.maintenance(market.instrument, position, market.quote.mark)


def _cross_bust_price(
    world: World, account: Account, market: Market, position: Position
) -> Decimal:
    """Return the price at which this position eats its share of the account's whole balance.

    The share is by maintenance margin. Rounded to the tick better for the account, which keeps it
    from falling under zero; the venue's insurance fund bears what a gap leaves.
    """
    side = position.side
    if side is None:
        return ZERO
    totals = margin.cross_totals(world, account)
    mark = market.quote.mark
    fee = margin.fee_to_close(
        position.size, position.entry_price, position.leverage, side, account.taker_fee_rate
    )
    own = margin.maintenance(market.instrument, position, mark) + fee
    share = totals.balance * own / totals.maintenance - fee
    price = mark - side.sign * share / position.size
    rounded = (
        market.instrument.ceil_price(price)
        if side.sign > 0
        else market.instrument.floor_price(price)
    )
    return max(rounded, market.instrument.tick_size)
