"""The door: what is turned away before it touches anything, with the venue's codes and words.

Every function returns the refusal as ``(code, message)``, None = let in.
"""

from decimal import Decimal

from engine.venue.exchange import margin
from engine.venue.exchange.commands import CreateOrder, Price
from engine.venue.exchange.life import PARTIAL
from engine.venue.exchange.records import ZERO, Account, Position
from engine.venue.exchange.state import FALLING, RISING, Market
from engine.venue.instrument import Instrument, plain
from engine.venue.words import (
    InstrumentStatus,
    OrderType,
    PositionMode,
    Side,
    TpslMode,
    TriggerBy,
)

PARAMS = 10001
NO = tuple[int, str] | None

LINK_ID_LENGTH_MAX = 36
LINK_ID_CHARS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
ACTIVE_ORDERS_MAX = 500
STOP_ORDERS_MAX = 10
PARTIAL_PAIRS_MAX = 20
TICKS_MAX = 10_000
PERCENT_MIN, PERCENT_MAX = Decimal("0.01"), Decimal(10)
HEDGE_LONG, HEDGE_SHORT = 1, 2


def position_idx(account: Account, symbol: str, idx: int) -> NO:
    """Refuse an index that does not belong to the symbol's mode."""
    fits = idx == 0 if account.mode_of(symbol) is PositionMode.ONE_WAY else idx in (1, 2)
    return None if fits else (PARAMS, "position idx not match position mode")


def status(market: Market, now_ms: int, *, reduces: bool) -> NO:
    """Refuse what a contract's stage of life forbids."""
    stage = market.instrument.status
    if stage in (InstrumentStatus.PRE_LAUNCH, InstrumentStatus.CLOSED) or market.price is None:
        return 110074, "This contract is not live"
    delisted = 0 < market.instrument.delivery_time <= now_ms
    if (stage is InstrumentStatus.DELIVERING or delisted) and not reduces:
        return 30228, "No new positions during delisting."
    return None


def link_id(account: Account, order_link_id: str) -> NO:
    """Refuse a link id that is too long, misspelt, or was used before."""
    if not order_link_id:
        return None
    if len(order_link_id) > LINK_ID_LENGTH_MAX:
        return PARAMS, f"order link id is longer than {LINK_ID_LENGTH_MAX}"
    if not LINK_ID_CHARS.issuperset(order_link_id):
        return PARAMS, "params error: order link id has invalid characters"
    if order_link_id in account.by_link:
        return 110072, "OrderLinkedID is duplicate"
    return None


def price(instrument: Instrument, value: Decimal, name: str = "price") -> NO:
    """Refuse a price off the grid or out of the contract's range."""
    if value <= 0 or not instrument.on_tick(value):
        return PARAMS, f"params error: {name} invalid"
    if not max(instrument.min_price, instrument.tick_size) <= value <= instrument.max_price:
        return 110003, "Order price exceeds the allowable range."
    return None


def quantity(instrument: Instrument, order_type: OrderType, qty: Decimal, *, reduces: bool) -> NO:
    """Refuse a quantity off the grid, too small or (unless it is split) too big."""
    if qty < 0 or not instrument.on_step(qty):
        return PARAMS, "Qty invalid"
    if qty < instrument.min_order_qty:
        return PARAMS, "The number of contracts exceeds minimum limit allowed"
    most = quantity_max(instrument, order_type)
    if qty > most and not reduces:
        return PARAMS, f"The number of contracts exceeds maximum limit allowed: {plain(most)}"
    return None


def quantity_max(instrument: Instrument, order_type: OrderType) -> Decimal:
    """Return the most one order may have."""
    if order_type is OrderType.MARKET:
        return instrument.max_mkt_order_qty
    return instrument.max_order_qty


def notional(instrument: Instrument, qty: Decimal, value_price: Decimal, *, reduces: bool) -> NO:
    """Refuse an opening order of too little value."""
    if reduces or qty * value_price >= instrument.min_notional:
        return None
    return 110094, f"Order does not meet minimum order value {plain(instrument.min_notional)}USDT"


def reduce_only(position: Position | None, side: Side) -> NO:
    """Refuse a reduce-only order that has nothing to reduce."""
    if position is None or position.side is None:
        return 110017, "current position is zero, cannot fix reduce-only order qty"
    if position.side is side:
        return 110017, "Reduce-only rule not satisfied: orderQty will be truncated to zero"
    return None


def trigger(
    instrument: Instrument, quote: Price, value: Decimal, direction: int, source: TriggerBy
) -> NO:
    """Refuse a trigger that the price has passed already."""
    refusal = price(instrument, value, "triggerPrice")
    if refusal:
        return refusal
    if direction not in (RISING, FALLING):
        return PARAMS, "params error: triggerDirection invalid"
    current = source_price(quote, source)
    shown = f"trigger_price[{plain(value)}]", f"current[{plain(current)}]"
    if direction == RISING and value <= current:
        return 110092, f"expect Rising, but {shown[0]} <= {shown[1]}??{source}"
    if direction == FALLING and value >= current:
        return 110093, f"expect Falling, but {shown[0]} >= {shown[1]}??{source}"
    return None


def source_price(quote: Price, source: TriggerBy) -> Decimal:
    """Return the price a trigger looks at."""
    if source is TriggerBy.MARK:
        return quote.mark
    return quote.index if source is TriggerBy.INDEX else quote.last


def protection(
    instrument: Instrument,
    side: Side,
    take_profit: Decimal | None,
    stop_loss: Decimal | None,
    base: Decimal,
) -> NO:
    """Refuse a TP or SL on the wrong side of the base price of a position of this side."""
    for value, name in ((take_profit, "TakeProfit"), (stop_loss, "StopLoss")):
        if value is None or value == 0:
            continue
        refusal = price(instrument, value, name)
        if refusal:
            return refusal
        wants_higher = (name == "TakeProfit") == (side is Side.BUY)
        if (value <= base) if wants_higher else (value >= base):
            word = "higher" if wants_higher else "lower"
            text = f"{name}:{plain(value)} set for {side} position should be {word} than"
            return PARAMS, f"{text} base_price:{plain(base)}??LastPrice"
    return None


def tpsl_shape(
    mode: TpslMode,
    tp_order_type: OrderType,
    sl_order_type: OrderType,
    tp_limit_price: Decimal | None,
    sl_limit_price: Decimal | None,
    instrument: Instrument,
) -> NO:
    """Refuse combinations of mode, type and limit price the venue does not know."""
    legs = (("tp", tp_order_type, tp_limit_price), ("sl", sl_order_type, sl_limit_price))
    for name, order_type, limit_price in legs:
        if order_type is OrderType.MARKET:
            continue
        if mode is TpslMode.FULL:
            return PARAMS, f"{name}OrderType only support Market when tpSlMode is Full"
        if limit_price is None:
            return PARAMS, f"{name}LimitPrice is required when {name}OrderType is Limit"
        refusal = price(instrument, limit_price, f"{name}LimitPrice")
        if refusal:
            return refusal
    return None


def counts(account: Account, symbol: str, wanted: Decimal, *, conditional: bool) -> NO:
    """Refuse more orders than the venue keeps; `wanted` of them are to come."""
    orders = account.open_of(symbol).values()
    if len(orders) + wanted <= STOP_ORDERS_MAX:
        return None
    if conditional:
        stops = sum(1 for each in orders if each.is_conditional and each.stop_order_type == "Stop")
        if stops + wanted > STOP_ORDERS_MAX:
            return 110009, "The number of stop orders exceeds the maximum allowable limit"
        return None
    if len(orders) + wanted <= ACTIVE_ORDERS_MAX:
        return None
    if sum(1 for each in orders if not each.is_conditional) + wanted > ACTIVE_ORDERS_MAX:
        return 110020, "Not allowed to have more than 500 active orders."
    return None


def partial_room(account: Account, position: Position | None) -> NO:
    """Refuse the twenty-first Partial TP/SL."""
    if position is None or len(position.partial_order_ids) < PARTIAL_PAIRS_MAX:
        return None
    orders = [account.open_orders[each] for each in position.partial_order_ids]
    for kind in PARTIAL:
        if sum(1 for order in orders if order.stop_order_type is kind) >= PARTIAL_PAIRS_MAX:
            return 110061, "Not allowed to have more than 20 TP/SLs under Partial tpSlMode"
    return None


def slippage(command: CreateOrder) -> NO:
    """Refuse a slippage tolerance out of place or out of range."""
    kind, value = command.slippage_tolerance_type, command.slippage_tolerance
    if not kind or kind == "UNKNOWN":
        return None
    if command.order_type is not OrderType.MARKET or command.trigger_price is not None:
        return PARAMS, "params error: slippageTolerance is for market orders only"
    if value is None:
        return PARAMS, "params error: slippageTolerance missing"
    if kind == "TickSize":
        if value != int(value) or not 1 <= value <= TICKS_MAX:
            return 110108, "slippageTolerance of type TickSize must be an integer from 1 to 10000"
        return None
    if kind == "Percent":
        if value != round(value, 2) or not PERCENT_MIN <= value <= PERCENT_MAX:
            return 110109, "slippageTolerance of type Percent must be from 0.01 to 10, 2 decimals"
        return None
    return PARAMS, "params error: slippageToleranceType invalid"


def exposure(account: Account, position: Position, side: Side) -> Decimal:
    """Return how much would be held on a side if everything waiting there were filled."""
    held = position.size if position.side is side else -position.size
    waiting = (
        each.qty - each.cum_exec_qty
        for each in account.open_of(position.symbol).values()
        if each.side is side and not each.reduce_only and not each.is_conditional
    )
    return held + sum(waiting, ZERO)


def opening(
    market: Market, account: Account, position: Position, side: Side, leaves: Decimal, more: Decimal
) -> NO:
    """Refuse what would open where only reducing is allowed, or beyond what the leverage allows.

    `leaves` is what the order may still fill, `more` how much of it does not wait already.
    """
    widens = position.side in (None, side) or leaves > position.size
    if position.is_reduce_only and widens:
        return 110023, (
            "Currently you can only reduce your positions on this contract. "
            "Check our announcement or contact customer service for details."
        )
    value = (exposure(account, position, side) + more) * market.quote.mark
    tier = margin.tier_of(market.instrument, value)
    if position.leverage > tier.leverage_max or value > tier.limit:
        return 110090, (
            "Order placement failed as your position may exceed the max limit. "
            f"Please adjust your leverage to {plain(tier.leverage_max)} or below"
        )
    return None
