"""Orders meet the market: takers walk the book, resting orders wait for the price or for prints."""

from decimal import Decimal

from engine.venue.exchange import life, positions
from engine.venue.exchange.commands import Price, Prints
from engine.venue.exchange.records import ZERO, Account, Order
from engine.venue.exchange.state import Market, World
from engine.venue.instrument import Instrument
from engine.venue.words import (
    CancelType,
    OrderStatus,
    RejectReason,
    Side,
    TimeInForce,
)

ONE = Decimal(1)
PERCENT = Decimal("0.01")
Fill = tuple[Decimal, Decimal]  # price, quantity


def price_band(instrument: Instrument, quote: Price) -> tuple[Decimal, Decimal]:
    """Return (highest price to buy at, lowest price to sell at), exact.

    The premium of the rule is a 30 s average of mid less mark; here it is the present one, the
    model's mid being last.
    """
    mark, index = quote.mark, quote.index
    premium = quote.last - mark
    x, y = instrument.price_limit_x, instrument.price_limit_y
    highest = min(mark * (ONE + y), max(index, mark * (ONE + x) + max(ZERO, premium)))
    lowest = max(mark * (ONE - y), min(index, mark * (ONE - x) + min(ZERO, premium)))
    return highest, lowest


def band_edge(instrument: Instrument, quote: Price, side: Side) -> Decimal:
    """Return the edge of the band for a side, on the tick inside of it."""
    highest, lowest = price_band(instrument, quote)
    if side is Side.BUY:
        return max(instrument.floor_price(highest), instrument.tick_size)
    return instrument.ceil_price(lowest)


def edge_of(market: Market, side: Side) -> Decimal:
    """Return `band_edge`, worked out once a price."""
    edges = market.band_edges
    if edges is None:
        instrument, quote = market.instrument, market.quote
        edges = (
            band_edge(instrument, quote, Side.BUY),
            band_edge(instrument, quote, Side.SELL),
        )
        market.band_edges = edges
    return edges[0] if side is Side.BUY else edges[1]


def into_band(market: Market, side: Side, price: Decimal) -> Decimal:
    """Return a limit price, moved to the edge of the band if it lies outside."""
    edge = edge_of(market, side)
    return min(price, edge) if side is Side.BUY else max(price, edge)


def slippage_limit(world: World, market: Market, order: Order) -> Decimal:
    """Return the limit a market order becomes: the band's edge, or nearer by its tolerance."""
    quote, instrument = market.quote, market.instrument
    edge = edge_of(market, order.side)
    if order.slippage_tolerance_type not in ("TickSize", "Percent"):
        return edge
    best, _ = next(world.levels(market, order.side), (quote.last, ZERO))
    tolerance = Decimal(order.slippage_tolerance)
    if order.slippage_tolerance_type == "TickSize":
        limit = best + order.side.sign * tolerance * instrument.tick_size
    else:
        limit = best * (ONE + order.side.sign * tolerance * PERCENT)
    if order.side is Side.BUY:
        return min(edge, instrument.floor_price(limit))
    return max(edge, instrument.ceil_price(limit))


def plan(world: World, market: Market, side: Side, qty: Decimal, limit: Decimal) -> list[Fill]:
    """Return what a taker would get now, best first, no worse than its limit."""
    fills: list[Fill] = []
    for price, there in world.levels(market, side):
        if qty <= 0 or (price > limit if side is Side.BUY else price < limit):
            break
        taken = min(qty, there)
        fills.append((price, taken))
        qty -= taken
    return fills


def would_take(world: World, market: Market, side: Side, price: Decimal) -> bool:
    """Tell whether a limit price meets the other side of the book."""
    for best, _ in world.levels(market, side):
        return price >= best if side is Side.BUY else price <= best
    return False


def take(world: World, market: Market, account: Account, order: Order) -> None:
    """Send an admitted order into the book: fill what fills, then rest or cancel the rest."""
    if order.price is None:
        raise ValueError("an order reaches the book with a price")
    if not _passes_self_match(world, market, account, order):
        return
    leaves = order.qty - order.cum_exec_qty
    fills, refusal = _offer(world, market, order, order.price, leaves)
    if refusal:
        _kill(world, market, account, order, refusal)
        return
    for price, qty in fills:
        positions.apply_fill(world, market, account, order, qty, price, is_maker=False)
    filled = sum((qty for _, qty in fills), ZERO)
    if fills:
        market.ladder(world.book, order.side).eat(filled)
    if filled == leaves:
        life.end(world, market, account, order, OrderStatus.FILLED)
    elif order.time_in_force is TimeInForce.IOC:
        _kill(world, market, account, order, RejectReason.NO_IMMEDIATE_QTY)
    else:
        order.order_status = OrderStatus.PARTIALLY_FILLED if order.cum_exec_qty else OrderStatus.NEW
        life.rest(world, market, account, order)
        world.emit_order(account, order)
    if fills:
        position = world.slot(account, order.symbol, order.position_idx)
        positions.settle(world, market, account, position)


def _offer(
    world: World, market: Market, order: Order, limit: Decimal, leaves: Decimal
) -> tuple[list[Fill], RejectReason | None]:
    """Return what an order gets at once, and why the engine kills it, if it does."""
    if order.time_in_force in (TimeInForce.POST_ONLY, TimeInForce.RPI):
        takes = would_take(world, market, order.side, limit)
        return [], RejectReason.POST_ONLY if takes else None
    fills = plan(world, market, order.side, leaves, limit)
    if order.time_in_force is TimeInForce.FOK and sum(qty for _, qty in fills) < leaves:
        return [], RejectReason.NO_FULL_FILL
    return fills, None


def _kill(
    world: World, market: Market, account: Account, order: Order, reason: RejectReason
) -> None:
    life.end(world, market, account, order, OrderStatus.CANCELLED, reason=reason)


def _passes_self_match(world: World, market: Market, account: Account, order: Order) -> bool:
    """Apply self-match prevention against the account's own resting orders; False = it ended."""
    if order.smp_type not in ("CancelMaker", "CancelTaker", "CancelBoth") or order.price is None:
        return True
    mine = [
        other
        for other in account.open_of(order.symbol).values()
        if other.side is order.side.other
        and not other.is_conditional
        and other.price is not None
        and (order.price - other.price) * order.side.sign >= 0
    ]
    if not mine:
        return True
    if order.smp_type != "CancelTaker":
        for other in mine:
            life.cancel(world, market, account, other, CancelType.SMP)
    if order.smp_type == "CancelMaker":
        return True
    life.cancel(world, market, account, order, CancelType.SMP)
    return False


def fill_passed(world: World, market: Market, last: Decimal) -> None:
    """Fill, wholly and at their own price, resting orders that the price has gone through."""
    for watch in (market.buys, market.sells):
        for account, order in watch.take(last):
            if order.order_status.is_open:
                _fill_resting(world, market, account, order, order.qty - order.cum_exec_qty)


def fill_from_prints(world: World, market: Market, prints: Prints) -> None:
    """Let printed volume fill resting orders: price first, then the queue, then arrival."""
    maker = prints.taker_side.other
    waiting = [
        entry
        for entry in market.resting(maker).entries.values()
        if (entry[0] - prints.price) * maker.sign >= 0
    ]
    waiting.sort(key=lambda entry: (-entry[0] * maker.sign, entry[1]))
    pool = prints.qty
    queue_gone = prints.qty
    for level, _, account, order in waiting:
        if not order.order_status.is_open:
            continue
        if level == prints.price:
            ahead = order.queue_ahead
            order.queue_ahead = max(ahead - queue_gone, ZERO)
            share = min(pool, max(queue_gone - ahead, ZERO))
        else:
            share = pool
        qty = min(share, order.qty - order.cum_exec_qty)
        if qty > 0:
            pool -= qty
            _fill_resting(world, market, account, order, qty)


def _fill_resting(
    world: World, market: Market, account: Account, order: Order, qty: Decimal
) -> None:
    if order.price is None:
        raise ValueError("a resting order has a price")
    if order.reduce_only:
        qty = min(qty, positions.room_to_reduce(account, order))
        if qty <= 0:
            life.cancel(world, market, account, order, CancelType.REDUCE_ONLY)
            return
    world.seq += 1
    positions.apply_fill(world, market, account, order, qty, order.price, is_maker=True)
    if order.cum_exec_qty == order.qty:
        life.end(world, market, account, order, OrderStatus.FILLED)
    else:
        order.order_status = OrderStatus.PARTIALLY_FILLED
        watch = market.resting(order.side)
        if order.order_id not in watch.entries:  # taken out by a price that went through
            watch.add(account, order, order.price)
        world.emit_order(account, order)
    position = world.slot(account, order.symbol, order.position_idx)
    positions.settle(world, market, account, position)
