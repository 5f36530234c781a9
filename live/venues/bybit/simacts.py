"""What happens to a user without its program's doing. Pure.

Somebody at the venue's screen, a liquidation, ADL, a risk limit that was cut, a key that ends.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any

from engine.venue.exchange.commands import (
    CancelAll,
    CancelOrder,
    CreateOrder,
    Deleverage,
    Prints,
    SetLeverage,
    SetReduceOnly,
    SetTradingStop,
    SwitchMode,
    Transfer,
)
from engine.venue.exchange.events import Refused
from engine.venue.exchange.records import Order, Position
from engine.venue.words import InstrumentStatus, OrderType, PositionMode, Side, TpslMode
from live.venues.bybit.faults import HUMAN_ACTIONS, Fault
from live.venues.bybit.simdesk import Desk
from live.venues.bybit.simfaults import ACT

_HALF = Decimal("0.5")
_STOP_DISTANCE = Decimal("0.03")
_NEEDS_POSITION = frozenset({"liquidate", "deleverage", "reduce_only"})


def _held(desk: Desk, uid: int, symbol: str = "") -> list[Position]:
    found = desk.exchange.account(uid).positions.values()
    return [p for p in found if p.size > 0 and symbol in ("", p.symbol)]


def _resting(desk: Desk, uid: int, symbol: str = "") -> list[Order]:
    """Return plain orders that wait in the book, oldest first."""
    return [
        o
        for o in desk.exchange.account(uid).open_orders.values()
        if not o.is_conditional and o.price is not None and symbol in ("", o.symbol)
    ]


# ---------------------------------------------------------------------------- faults


def possible(desk: Desk, uid: int) -> frozenset[str]:
    """Return the venue's acts that could strike a user now."""
    kinds = set(ACT)
    if not _held(desk, uid):
        kinds -= _NEEDS_POSITION
    if not _resting(desk, uid):
        kinds.discard("partial_cancel")
    return frozenset(kinds)


def strike(desk: Desk, uid: int, key: str, fault: Fault) -> None:
    """Let one act happen."""
    if fault.kind == "human":
        human(desk, uid, fault.action, symbol=fault.symbol, value=fault.value)
    elif fault.kind == "expire_key":
        if desk.keys.find(key) is not None:
            desk.keys.change(key, expires_ms=0)
    elif fault.kind == "delist":
        _delist(desk, uid, fault)
    elif fault.kind == "funding":
        held = [p.symbol for p in _held(desk, uid)[:1]] or list(desk.listings)[:1]
        desk.change_funding(fault.symbol or held[0], int(fault.value or "60"))
    elif fault.kind == "wipe_closed":
        desk.closed_from[uid] = desk.now_ms + 1
    elif fault.kind == "partial_cancel":
        _fill_half_and_cancel(desk, uid, fault.symbol)
    else:
        for position in _held(desk, uid, fault.symbol)[:1]:
            _AT_THE_VENUE[fault.kind](desk, uid, position)


def _delist(desk: Desk, uid: int, fault: Fault) -> None:
    symbols = [fault.symbol] if fault.symbol else [p.symbol for p in _held(desk, uid)[:1]]
    status = InstrumentStatus(fault.value) if fault.value else InstrumentStatus.DELIVERING
    for symbol in symbols or list(desk.listings)[:1]:
        desk.touch(symbol)
        rules = desk.listings[symbol].instrument
        desk.change_instrument(replace(rules, status=status, delivery_time=desk.now_ms))


def _fill_half_and_cancel(desk: Desk, uid: int, symbol: str) -> None:
    for order in _resting(desk, uid, symbol)[-1:]:
        rules = desk.exchange.instruments[order.symbol]
        half = max(rules.floor_qty(order.leaves_qty * _HALF), rules.qty_step)
        if order.price is not None and half < order.leaves_qty:
            desk.step(
                Prints(
                    symbol=order.symbol,
                    price=order.price,
                    qty=order.queue_ahead + half,
                    taker_side=order.side.other,
                )
            )
        desk.step(CancelOrder(uid=uid, symbol=order.symbol, order_id=order.order_id))


def _liquidate(desk: Desk, uid: int, position: Position) -> None:
    shown = desk.account(uid).positions[position.symbol, position.position_idx]
    down = position.side is Side.BUY
    last = desk.tape.quote(position.symbol)
    through = shown.liq_price or last * (_HALF if down else 3 * _HALF)
    tick = desk.listings[position.symbol].instrument.tick_size
    desk.tape.shock(position.symbol, max(through - tick if down else through + tick, tick))


def _deleverage(desk: Desk, uid: int, position: Position) -> None:
    rules = desk.exchange.instruments[position.symbol]
    desk.step(
        Deleverage(
            uid=uid,
            symbol=position.symbol,
            qty=max(rules.floor_qty(position.size * _HALF), rules.qty_step),
            price=desk.tape.quote(position.symbol),
            position_idx=position.position_idx,
        )
    )


def _reduce_only(desk: Desk, uid: int, position: Position) -> None:
    desk.step(SetReduceOnly(uid=uid, symbol=position.symbol))


_AT_THE_VENUE: dict[str, Callable[[Desk, int, Position], None]] = {
    "liquidate": _liquidate,
    "deleverage": _deleverage,
    "reduce_only": _reduce_only,
}


# ---------------------------------------------------------------------------- somebody acts


def human(desk: Desk, uid: int, action: str, *, symbol: str = "", value: str = "") -> list[str]:
    """Let the account's owner act at the venue's own screen; returns what was refused.

    Raises
    ------
    ValueError
        An action that there is none of, or a value that is no number.
    """
    if action not in HUMAN_ACTIONS:
        raise ValueError(f"action {action!r} is none of {', '.join(HUMAN_ACTIONS)}")
    try:
        number = Decimal(value) if value else None
    except InvalidOperation:
        raise ValueError(f"value {value!r} is not a number") from None
    if action == "delete_key":
        for key in desk.keys.of(uid):
            desk.keys.delete(key.key)
        return []
    refused = []
    for command in _commands(desk, uid, action, symbol, number):
        answer = desk.order(command)
        if isinstance(answer, Refused):
            refused.append(f"{answer.code}: {answer.message}")
    return refused


def _commands(
    desk: Desk, uid: int, action: str, symbol: str, value: Decimal | None
) -> Iterable[Any]:
    account = desk.exchange.account(uid)
    if action == "cancel_orders":
        return [CancelAll(uid=uid, symbol=symbol, settle_coin="" if symbol else "USDT")]
    if action in ("withdraw", "deposit"):
        share = account.wallet.wallet_balance * _HALF
        amount = share.quantize(Decimal("0.01")) if value is None else value
        return [Transfer(uid=uid, amount=-amount if action == "withdraw" else amount)]
    if action == "switch_mode":
        hedge = account.mode_of(symbol) is PositionMode.HEDGE
        mode = PositionMode.ONE_WAY if hedge else PositionMode.HEDGE
        return [SwitchMode(uid=uid, mode=mode, symbol=symbol, coin="" if symbol else "USDT")]
    if action == "open":
        return [_opening(desk, uid, symbol or next(iter(desk.listings)), value)]
    return [
        _on_position(desk, uid, action, position, value) for position in _held(desk, uid, symbol)
    ]


def _opening(desk: Desk, uid: int, symbol: str, value: Decimal | None) -> CreateOrder:
    desk.touch(symbol)
    rules = desk.listings[symbol].instrument
    least = rules.min_notional / desk.tape.quote(symbol)
    qty = max(rules.floor_qty(least) + rules.qty_step, rules.min_order_qty)
    hedge = desk.exchange.account(uid).mode_of(symbol) is PositionMode.HEDGE
    return CreateOrder(
        uid=uid,
        symbol=symbol,
        side=Side.BUY,
        order_type=OrderType.MARKET,
        qty=qty if value is None else value,
        position_idx=int(hedge),
    )


def _on_position(
    desk: Desk, uid: int, action: str, position: Position, value: Decimal | None
) -> Any:
    side = position.side or Side.BUY
    where = {"uid": uid, "symbol": position.symbol, "position_idx": position.position_idx}
    rules = desk.listings[position.symbol].instrument
    if action == "close":
        return CreateOrder(
            **where,
            side=side.other,
            order_type=OrderType.MARKET,
            qty=position.size,
            reduce_only=True,
        )
    if action == "resize":
        wanted = rules.floor_qty(position.size * (_HALF if value is None else value))
        change = wanted - position.size
        return CreateOrder(
            **where,
            side=side if change > 0 else side.other,
            order_type=OrderType.MARKET,
            qty=max(abs(change), rules.qty_step),
            reduce_only=change <= 0,
        )
    if action == "set_leverage":
        leverage = Decimal(5) if value is None else value
        return SetLeverage(
            uid=uid, symbol=position.symbol, buy_leverage=leverage, sell_leverage=leverage
        )
    price = Decimal(0)
    if action == "move_stop":
        last = desk.tape.quote(position.symbol)
        price = rules.floor_price(last * (1 - side.sign * _STOP_DISTANCE))
        price = price if value is None else value
    return SetTradingStop(**where, tpsl_mode=TpslMode.FULL, stop_loss=price)
