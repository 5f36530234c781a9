"""Position-level protection by hand: Full replaces, Partial only adds, a trailing stop follows."""

from decimal import Decimal

from engine.venue.exchange import checks, protect, triggers
from engine.venue.exchange.checks import NO
from engine.venue.exchange.commands import SetTradingStop
from engine.venue.exchange.events import Accepted, Refused
from engine.venue.exchange.records import Account, Position
from engine.venue.exchange.state import Market, World
from engine.venue.words import OrderType, TpslMode, TriggerBy

NOT_MODIFIED = (34040, "not modified")
Pair = tuple[Decimal | None, Decimal | None]


def set_trading_stop(
    world: World, market: Market, account: Account, command: SetTradingStop
) -> None:
    """Set, move or take away what protects a position."""
    position = account.positions.get((command.symbol, command.position_idx))
    refusal = checks.position_idx(account, command.symbol, command.position_idx)
    if not refusal and (position is None or position.side is None):
        refusal = (checks.PARAMS, "can not set tp/sl/ts for zero position")
    if refusal or position is None:
        world.out.append(Refused(account.uid, *(refusal or NOT_MODIFIED)))
        return
    refusal = _refused(market, account, position, command)
    if refusal:
        world.out.append(Refused(account.uid, *refusal))
        return
    world.seq += 1
    world.out.append(Accepted(account.uid))
    if command.tpsl_mode is TpslMode.FULL:
        _apply_full(position, command)
    else:
        _add_partial(world, market, account, position, command)
    _apply_trailing(market, position, command)
    position.updated_time = world.now_ms
    protect.sync(world, market, account, position)
    world.touch(account, position)


def _refused(market: Market, account: Account, position: Position, command: SetTradingStop) -> NO:
    side = position.side
    if side is None:
        return NOT_MODIFIED
    instrument, quote = market.instrument, market.quote
    tp_base = checks.source_price(quote, command.tp_trigger_by or position.tp_trigger_by)
    sl_base = checks.source_price(quote, command.sl_trigger_by or position.sl_trigger_by)
    refusal = (
        checks.tpsl_shape(
            command.tpsl_mode,
            command.tp_order_type,
            command.sl_order_type,
            command.tp_limit_price,
            command.sl_limit_price,
            instrument,
        )
        or checks.protection(instrument, side, command.take_profit, None, tp_base)
        or checks.protection(instrument, side, None, command.stop_loss, sl_base)
        or _trailing_refused(market, command)
    )
    if refusal:
        return refusal
    if command.tpsl_mode is TpslMode.PARTIAL:
        return _partial_refused(market, account, position, command)
    return None if _full_changes(position, command) else NOT_MODIFIED


def _trailing_refused(market: Market, command: SetTradingStop) -> NO:
    distance, start = command.trailing_stop, command.active_price
    instrument = market.instrument
    if distance and (distance < 0 or not instrument.on_tick(distance)):
        return checks.PARAMS, "params error: trailingStop invalid"
    if distance and distance >= market.quote.last:
        return checks.PARAMS, "params error: trailingStop is beyond the price"
    return checks.price(instrument, start, "activePrice") if start else None


def _differs(wanted: Decimal | None, present: Decimal | None) -> bool:
    return wanted is not None and (wanted or None) != present


def _full_changes(position: Position, command: SetTradingStop) -> bool:
    """Tell whether anything would be another than it is."""
    tp_by, sl_by = command.tp_trigger_by, command.sl_trigger_by
    return (
        _differs(command.take_profit, position.take_profit)
        or _differs(command.stop_loss, position.stop_loss)
        or _trail_changes(position, command)
        or (bool(command.take_profit) and tp_by not in (None, position.tp_trigger_by))
        or (bool(command.stop_loss) and sl_by not in (None, position.sl_trigger_by))
    )


def _trail_changes(position: Position, command: SetTradingStop) -> bool:
    if _differs(command.trailing_stop, position.trailing_stop):
        return True
    follows = command.trailing_stop or position.trailing_stop
    return bool(follows) and _differs(command.active_price, position.active_price)


def _partial_refused(
    market: Market, account: Account, position: Position, command: SetTradingStop
) -> NO:
    tp, sl = command.take_profit, command.stop_loss
    if not (tp or sl):
        return None if _trail_changes(position, command) else NOT_MODIFIED
    for name, price, size in (("tp", tp, command.tp_size), ("sl", sl, command.sl_size)):
        if bool(price) != bool(size):
            word = "takeProfit" if name == "tp" else "stopLoss"
            return checks.PARAMS, (
                f'"{name}Size" and "{word}" parameters need to input in pairs '
                "when tpslMode is Partial"
            )
        if not size:
            continue
        if size < 0 or not market.instrument.on_step(size):
            return checks.PARAMS, "Qty invalid"
        if size > position.size:
            return 110058, "TP/SL size cannot exceed the size of the position"
    if tp and sl and command.tp_size != command.sl_size:
        return checks.PARAMS, "slSize and tpSize must be equal when tpslMode is Partial"
    return checks.partial_room(account, position)


def _apply_full(position: Position, command: SetTradingStop) -> None:
    if command.take_profit is not None:
        position.take_profit = command.take_profit or None
        position.tp_trigger_by = command.tp_trigger_by or position.tp_trigger_by
    if command.stop_loss is not None:
        position.stop_loss = command.stop_loss or None
        position.sl_trigger_by = command.sl_trigger_by or position.sl_trigger_by


def _add_partial(
    world: World, market: Market, account: Account, position: Position, command: SetTradingStop
) -> None:
    qty = command.tp_size or command.sl_size
    if not qty or not (command.take_profit or command.stop_loss):
        return
    tp_limit = command.tp_limit_price if command.tp_order_type is OrderType.LIMIT else None
    sl_limit = command.sl_limit_price if command.sl_order_type is OrderType.LIMIT else None
    protect.add_pair(
        world,
        market,
        account,
        position,
        take_profit=command.take_profit or None,
        stop_loss=command.stop_loss or None,
        qty=qty,
        tp_trigger_by=command.tp_trigger_by or TriggerBy.LAST,
        sl_trigger_by=command.sl_trigger_by or TriggerBy.LAST,
        tp_limit_price=tp_limit,
        sl_limit_price=sl_limit,
    )


def _apply_trailing(market: Market, position: Position, command: SetTradingStop) -> None:
    if not _trail_changes(position, command):
        return
    if command.trailing_stop is not None and not command.trailing_stop:
        position.trailing_stop = position.active_price = position.trail_extreme = None
        return
    waits = position.trailing_stop is not None and position.trail_extreme is None
    if not (waits and command.active_price is None):  # what is still awaited stays
        position.active_price = command.active_price or market.quote.last
    position.trailing_stop = command.trailing_stop or position.trailing_stop
    position.trail_extreme = None
    triggers.trail(position, market.quote.last)
