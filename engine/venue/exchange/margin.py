"""Margin of accounts: what positions and orders lock, and where a position is taken over.

By the rules since 2025-09-02 (value and maintenance margin at mark, initial margin at entry):
`IM = size * entry / leverage + fee_to_close`, `MM = size * mark * MMR - deduction + fee_to_close`,
`fee_to_close = size * entry * (1 -/+ 1 / leverage) * taker_fee` (long / short).
"""

from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import cache

from engine.venue.exchange.ledger import q8
from engine.venue.exchange.records import ZERO, Account, Order, Position
from engine.venue.exchange.state import Market, World
from engine.venue.instrument import Instrument, RiskTier
from engine.venue.words import MarginMode, PositionMode, PositionStatus, Side

ONE = Decimal(1)
NO_LIMIT = Decimal("1E12")
SHOWN_RATE = Decimal("1E-4")


def tiers_of(instrument: Instrument) -> tuple[RiskTier, ...]:
    """Return the risk tiers; without any, one: MMR = half the margin at the most leverage."""
    return instrument.tiers or _lone_tier(instrument.leverage_max)


@cache
def _lone_tier(leverage_max: Decimal) -> tuple[RiskTier, ...]:
    return (RiskTier(1, NO_LIMIT, ONE / (2 * leverage_max), ZERO, leverage_max),)


def tier_of(instrument: Instrument, value: Decimal) -> RiskTier:
    """Return the tier of a position value; beyond the last limit, the last."""
    tiers = tiers_of(instrument)
    for tier in tiers:
        if value <= tier.limit:
            return tier
    return tiers[-1]


def fee_to_close(
    size: Decimal, entry: Decimal, leverage: Decimal, side: Side, rate: Decimal
) -> Decimal:
    """Return the taker fee of a close at the bankruptcy price, exact."""
    return size * entry * (ONE - side.sign / leverage) * rate


def unrealised(position: Position, price: Decimal) -> Decimal:
    """Return what a position would earn at a price, before fees, exact."""
    if position.side is None:
        return ZERO
    return (price - position.entry_price) * position.size * position.side.sign


def isolated_lock(position: Position, taker_fee_rate: Decimal) -> Decimal:
    """Return what an isolated position locks, fee to close and added margin included."""
    if position.side is None:
        return ZERO
    value = position.size * position.entry_price
    fee = fee_to_close(
        position.size, position.entry_price, position.leverage, position.side, taker_fee_rate
    )
    return q8(value / position.leverage + fee) + position.extra_margin


def maintenance(instrument: Instrument, position: Position, mark: Decimal) -> Decimal:
    """Return the maintenance margin at mark without the fee to close, exact."""
    value = position.size * mark
    tier = tier_of(instrument, value)
    return value * tier.maintenance_rate - tier.deduction


def liquidation_price(instrument: Instrument, position: Position) -> Decimal | None:
    """Return where an isolated position's equity meets its maintenance margin.

    Solved in the tier that holds at the solution, so it does not move with mark. Rounded to the
    tick nearer to the entry; None outside of the contract's price range.
    """
    side = position.side
    if side is None:
        return None
    sign = side.sign
    base = position.entry_price * (ONE - sign / position.leverage)
    solution = ZERO
    for tier in tiers_of(instrument):
        cushion = (position.extra_margin + tier.deduction) / position.size
        solution = (base - sign * cushion) / (ONE - sign * tier.maintenance_rate)
        if position.size * solution <= tier.limit:
            break
    return shown_price(instrument, solution, side)


def shown_price(instrument: Instrument, price: Decimal, side: Side) -> Decimal | None:
    """Return a liquidation price on the tick nearer to the entry, None out of range."""
    rounding = ROUND_CEILING if side is Side.BUY else ROUND_FLOOR
    on_tick = (price / instrument.tick_size).to_integral_value(rounding) * instrument.tick_size
    lowest = max(instrument.min_price, instrument.tick_size)
    return on_tick if lowest <= on_tick <= instrument.max_price else None


def bankruptcy_price(instrument: Instrument, position: Position) -> Decimal:
    """Return where an isolated position's margin is gone: on the tick nearer to the entry."""
    side = position.side
    if side is None:
        return ZERO
    cushion = position.extra_margin / position.size
    price = position.entry_price * (ONE - side.sign / position.leverage) - side.sign * cushion
    rounding = ROUND_CEILING if side is Side.BUY else ROUND_FLOOR
    ticks = (price / instrument.tick_size).to_integral_value(rounding)
    return max(ticks, ONE) * instrument.tick_size


def order_cost(
    qty: Decimal, price: Decimal, leverage: Decimal, side: Side, taker_fee_rate: Decimal
) -> Decimal:
    """Return what an opening order locks: initial margin, fee to open, fee to close."""
    value = qty * price
    fees = value * taker_fee_rate + fee_to_close(qty, price, leverage, side, taker_fee_rate)
    return q8(value / leverage + fees)


def _opening(orders: Iterable[Order], side: Side, free: Decimal) -> list[tuple[Decimal, Decimal]]:
    """Return (qty, price) of what a side's orders would open, `free` of it closing first."""
    wanted = []
    for order in orders:
        if order.side is not side or order.reduce_only or order.is_conditional:
            continue
        leaves = order.qty - order.cum_exec_qty
        closing = min(free, leaves)
        free -= closing
        if leaves > closing and order.price is not None:
            wanted.append((leaves - closing, order.price))
    return wanted


def symbol_order_im(
    world: World, account: Account, symbol: str, extra: Order | None = None
) -> Decimal:
    """Return what a symbol's active orders lock, one more order `extra` included.

    One-way: the costlier side counts, what only closes the position is free. Hedge: both opening
    sides count.
    """
    waiting = account.open_of(symbol)
    if not waiting:
        return ZERO if extra is None else _lone_order_im(world, account, extra)
    orders = list(waiting.values())
    if extra is not None:
        orders.append(extra)
    rate = account.taker_fee_rate
    hedge = account.mode_of(symbol) is PositionMode.HEDGE
    costs = []
    for side, hedge_idx in ((Side.BUY, 1), (Side.SELL, 2)):
        idx = hedge_idx if hedge else 0
        slot = world.slot(account, symbol, idx)
        mine = [order for order in orders if order.position_idx == idx]
        free = slot.size if slot.side is side.other else ZERO
        cost = ZERO
        for qty, price in _opening(mine, side, free):
            cost += order_cost(qty, price, slot.leverage, side, rate)
        costs.append(cost)
    return costs[0] + costs[1] if hedge else max(costs)


def _lone_order_im(world: World, account: Account, order: Order) -> Decimal:
    """Return what an order would lock that has the symbol to itself."""
    slot = world.slot(account, order.symbol, order.position_idx)
    opened = order.qty - order.cum_exec_qty
    if slot.side is order.side.other:
        opened -= slot.size
    if opened <= 0 or order.price is None or order.reduce_only:
        return ZERO
    return order_cost(opened, order.price, slot.leverage, order.side, account.taker_fee_rate)


def refresh_orders(world: World) -> None:
    """Redo the margin of the orders that changed."""
    if not world.stale_orders:
        return
    for (_, symbol), account in world.stale_orders.items():
        cost = symbol_order_im(world, account, symbol)
        if cost:
            account.order_im[symbol] = cost
        else:
            account.order_im.pop(symbol, None)
    world.stale_orders.clear()


def available(world: World, account: Account) -> Decimal:
    """Return what new orders may lock; may be negative."""
    refresh_orders(world)
    ordered = sum(account.order_im.values(), ZERO)
    if account.margin_mode is MarginMode.ISOLATED:
        locked = sum(account.locked.values(), ZERO)
        return account.wallet.wallet_balance - locked - ordered
    totals = cross_totals(world, account)
    return totals.balance - totals.initial - ordered


class Totals:
    """An account's sums at mark, exact."""

    __slots__ = ("balance", "initial", "maintenance", "unrealised")

    def __init__(self) -> None:
        self.balance = self.initial = self.maintenance = self.unrealised = ZERO


def cross_totals(world: World, account: Account) -> Totals:
    """Sum an account's open positions at mark; `balance` is wallet plus unrealised profit."""
    totals = Totals()
    for (symbol, _), position in account.positions.items():
        side = position.side
        if side is None:
            continue
        market = world.markets[symbol]
        mark = market.quote.mark
        fee = fee_to_close(
            position.size, position.entry_price, position.leverage, side, account.taker_fee_rate
        )
        totals.unrealised += unrealised(position, mark)
        totals.initial += position.size * mark / position.leverage + fee
        totals.maintenance += maintenance(market.instrument, position, mark) + fee
    totals.balance = account.wallet.wallet_balance + totals.unrealised
    return totals


def cross_liquidation_price(
    world: World, account: Account, market: Market, position: Position
) -> Decimal | None:
    """Return the first tick of mark at which the account is taken over, the other marks at rest.

    Everything the account holds of the symbol moves with its mark, through the tiers on the way.
    None where that never happens within the contract's price range.
    """
    side = position.side
    if side is None:
        return None
    keys = ((market.symbol, idx) for idx in (0, 1, 2))
    held = [each for key in keys if (each := account.positions.get(key)) and each.side is not None]
    totals = cross_totals(world, account)
    mark, instrument = market.quote.mark, market.instrument
    kept = sum((maintenance(instrument, each, mark) for each in held), ZERO)
    fixed = totals.balance - totals.maintenance + kept
    near = mark
    for far in _segments(instrument, held, mark, side):
        margin_there = slope = ZERO
        for each in held:
            if each.side is None:
                continue
            tier = tier_of(instrument, each.size * (near + far) / 2)
            margin_there += each.size * near * tier.maintenance_rate - tier.deduction
            slope += each.size * (each.side.sign - tier.maintenance_rate)
        moved = sum((unrealised(each, near) - unrealised(each, mark) for each in held), ZERO)
        room = fixed + moved - margin_there
        if room <= 0:
            return _reached(instrument, near, side)
        if slope * (far - near) + room <= 0:
            return _reached(instrument, near - room / slope, side)
        near = far
    return None


def _segments(
    instrument: Instrument, held: list[Position], mark: Decimal, side: Side
) -> list[Decimal]:
    """Return the ends of the stretches of mark within which no tier changes, on the losing way."""
    rises = side is Side.SELL
    end = max(instrument.max_price, mark) if rises else ZERO
    limits = [tier.limit / each.size for each in held for tier in tiers_of(instrument)]
    between = {at for at in limits if min(mark, end) < at < max(mark, end)}
    return [*sorted(between, reverse=not rises), end]


def _reached(instrument: Instrument, price: Decimal, side: Side) -> Decimal | None:
    """Return the first tick at or beyond a price on the losing way, None out of range."""
    beyond = instrument.floor_price if side is Side.BUY else instrument.ceil_price
    on_tick = beyond(price)
    lowest = max(instrument.min_price, instrument.tick_size)
    return on_tick if lowest <= on_tick <= instrument.max_price else None


def show_position(world: World, account: Account, position: Position) -> None:
    """Work out what a position shows at the present mark."""
    market = world.markets[position.symbol]
    if market.price is None:
        return
    mark = position.mark_price = market.price.mark
    side = position.side
    if side is None:
        position.position_value = position.position_im = position.position_mm = ZERO
        position.unrealised_pnl = position.margin = ZERO
        position.liq_price = position.bust_price = position.break_even_price = None
        position.position_status = PositionStatus.NORMAL
        position.adl_rank_indicator = 0
        return
    position.adl_rank_indicator = market.deleveraging().rank(position)
    instrument = market.instrument
    rate = account.taker_fee_rate
    fee = fee_to_close(position.size, position.entry_price, position.leverage, side, rate)
    tier = tier_of(instrument, position.size * mark)
    position.risk_id, position.risk_limit_value = tier.id, tier.limit
    position.position_value = q8(position.size * mark)
    position.position_mm = q8(position.size * mark * tier.maintenance_rate - tier.deduction + fee)
    position.unrealised_pnl = q8(unrealised(position, mark))
    cost = position.size * position.entry_price + side.sign * position.open_fee
    even = cost / (position.size * (ONE - side.sign * rate))
    position.break_even_price = even.quantize(instrument.tick_size)
    if account.margin_mode is MarginMode.ISOLATED:
        position.position_im = account.locked.get((position.symbol, position.position_idx), ZERO)
        position.position_im -= position.extra_margin
        position.margin = position.position_im + position.extra_margin
        position.bust_price = bankruptcy_price(instrument, position)
    else:
        position.position_im = q8(position.size * mark / position.leverage + fee)
        position.margin = position.position_im
        position.liq_price = cross_liquidation_price(world, account, market, position)
        position.bust_price = None


def show_wallet(world: World, account: Account) -> None:
    """Work out what the wallet shows at the present marks."""
    wallet = account.wallet
    totals = cross_totals(world, account)
    isolated = account.margin_mode is MarginMode.ISOLATED
    wallet.unrealised_pnl = q8(totals.unrealised)
    wallet.equity = wallet.wallet_balance + wallet.unrealised_pnl
    wallet.total_order_im = sum(account.order_im.values(), ZERO)
    locked = sum(account.locked.values(), ZERO) if isolated else q8(totals.initial)
    wallet.total_position_im = locked
    wallet.total_position_mm = q8(totals.maintenance)
    base = wallet.wallet_balance if isolated else wallet.equity
    wallet.available_balance = max(base - locked - wallet.total_order_im, ZERO)
    wallet.im_rate = wallet.mm_rate = ZERO
    if not isolated and totals.balance > 0:
        initial = totals.initial + wallet.total_order_im
        wallet.im_rate = (initial / totals.balance).quantize(SHOWN_RATE)
        wallet.mm_rate = (totals.maintenance / totals.balance).quantize(SHOWN_RATE)
