"""What a user asks to be done, read at the door: bodies of POST (and of order entry) -> commands.

Every reader takes the body as it came (any JSON value) and the user's id, and answers with a
command or with a `BadRequest`; it never raises. Unknown fields are ignored, as the venue does.
Whether a well-formed request is allowed (tick, margin, mode, state) the machine decides.
"""

from collections.abc import Callable
from typing import Any

from engine.venue.exchange.commands import (
    AddMargin,
    AmendOrder,
    CancelAll,
    CancelOrder,
    ConfirmPendingMmr,
    CreateOrder,
    SetAutoAddMargin,
    SetLeverage,
    SetMarginMode,
    SetTradingStop,
    SwitchMode,
    UserCommand,
)
from engine.venue.wire.fields import BadRequest
from engine.venue.wire.params import (
    PARAMETER_ERROR,
    Params,
    door,
    invalid,
    needed_number,
    read_at_least_zero,
    read_category,
    read_choice,
    read_flag,
    read_link_id,
    read_number,
    read_positive,
    read_symbol,
    read_text,
    read_whole,
    read_word,
    read_word_or_none,
    refuse,
)
from engine.venue.words import (
    MarginMode,
    OrderType,
    PositionMode,
    Side,
    TimeInForce,
    TpslMode,
    TriggerBy,
)

BATCH_MAX = 20  # orders of one batch, linear
_SLOTS = range(3)
_DIRECTIONS = range(3)
_FILTERS = frozenset({"", "Order", "StopOrder", "OpenOrder", "tpslOrder"})
_TOLERANCES = frozenset({"", "TickSize", "Percent"})


@door
def read_create(params: Params, uid: int) -> CreateOrder:
    """Read ``order/create``; a market order is IOC and has no price, whatever it says."""
    read_category(params)
    order_type = read_word(params, "orderType", OrderType)
    market = order_type is OrderType.MARKET
    in_force = read_word(params, "timeInForce", TimeInForce, TimeInForce.GTC)
    price = read_positive(params, "price")
    if price is None and not market:
        raise invalid("price")
    trigger_price = read_positive(params, "triggerPrice")
    direction = read_choice(params, "triggerDirection", _DIRECTIONS, 0)
    if trigger_price is not None and not direction:
        raise invalid("triggerDirection")
    tolerance_type = read_text(params, "slippageToleranceType")
    if tolerance_type not in _TOLERANCES:
        raise invalid("slippageToleranceType")
    return CreateOrder(
        uid=uid,
        symbol=read_symbol(params),
        side=read_word(params, "side", Side),
        order_type=order_type,
        qty=needed_number(params, "qty"),
        price=None if market else price,
        time_in_force=TimeInForce.IOC if market else in_force,
        position_idx=read_choice(params, "positionIdx", _SLOTS, 0),
        order_link_id=read_link_id(params),
        reduce_only=read_flag(params, "reduceOnly"),
        close_on_trigger=read_flag(params, "closeOnTrigger"),
        trigger_price=trigger_price,
        trigger_direction=direction,
        trigger_by=read_word_or_none(params, "triggerBy", TriggerBy),
        take_profit=read_positive(params, "takeProfit"),
        stop_loss=read_positive(params, "stopLoss"),
        tp_trigger_by=read_word(params, "tpTriggerBy", TriggerBy, TriggerBy.LAST),
        sl_trigger_by=read_word(params, "slTriggerBy", TriggerBy, TriggerBy.LAST),
        tpsl_mode=read_word_or_none(params, "tpslMode", TpslMode),
        tp_order_type=read_word(params, "tpOrderType", OrderType, OrderType.MARKET),
        sl_order_type=read_word(params, "slOrderType", OrderType, OrderType.MARKET),
        tp_limit_price=read_positive(params, "tpLimitPrice"),
        sl_limit_price=read_positive(params, "slLimitPrice"),
        slippage_tolerance_type=tolerance_type,
        slippage_tolerance=read_at_least_zero(params, "slippageTolerance"),
        smp_type=read_text(params, "smpType") or "None",
    )


@door
def read_amend(params: Params, uid: int) -> AmendOrder:
    """Read ``order/amend``; "0" of a take profit or stop loss cancels it."""
    read_category(params)
    order_id, link_id = _either_id(params)
    return AmendOrder(
        uid=uid,
        symbol=read_symbol(params),
        order_id=order_id,
        order_link_id=link_id,
        qty=read_positive(params, "qty"),
        price=read_positive(params, "price"),
        trigger_price=read_positive(params, "triggerPrice"),
        trigger_by=read_word_or_none(params, "triggerBy", TriggerBy),
        take_profit=read_at_least_zero(params, "takeProfit"),
        stop_loss=read_at_least_zero(params, "stopLoss"),
        tp_trigger_by=read_word_or_none(params, "tpTriggerBy", TriggerBy),
        sl_trigger_by=read_word_or_none(params, "slTriggerBy", TriggerBy),
        tp_limit_price=read_positive(params, "tpLimitPrice"),
        sl_limit_price=read_positive(params, "slLimitPrice"),
    )


@door
def read_cancel(params: Params, uid: int) -> CancelOrder:
    """Read ``order/cancel``."""
    read_category(params)
    order_id, link_id = _either_id(params)
    return CancelOrder(
        uid=uid, symbol=read_symbol(params), order_id=order_id, order_link_id=link_id
    )


@door
def read_cancel_all(params: Params, uid: int) -> CancelAll:
    """Read ``order/cancel-all``: one of symbol, baseCoin, settleCoin must be there."""
    read_category(params)
    command = CancelAll(
        uid=uid,
        symbol=read_symbol(params, needed=False),
        base_coin=read_text(params, "baseCoin"),
        settle_coin=read_text(params, "settleCoin"),
        order_filter=read_text(params, "orderFilter"),
        stop_order_type=read_text(params, "stopOrderType"),
    )
    if not (command.symbol or command.base_coin or command.settle_coin):
        raise refuse("params error: symbol, baseCoin or settleCoin is required")
    if command.order_filter not in _FILTERS:
        raise invalid("orderFilter")
    return command


@door
def read_trading_stop(params: Params, uid: int) -> SetTradingStop:
    """Read ``position/trading-stop``; "0" cancels, missing leaves."""
    read_category(params)
    return SetTradingStop(
        uid=uid,
        symbol=read_symbol(params),
        tpsl_mode=read_word(params, "tpslMode", TpslMode, TpslMode.FULL),
        position_idx=read_choice(params, "positionIdx", _SLOTS, 0),
        take_profit=read_at_least_zero(params, "takeProfit"),
        stop_loss=read_at_least_zero(params, "stopLoss"),
        trailing_stop=read_at_least_zero(params, "trailingStop"),
        active_price=read_at_least_zero(params, "activePrice"),
        tp_trigger_by=read_word_or_none(params, "tpTriggerBy", TriggerBy),
        sl_trigger_by=read_word_or_none(params, "slTriggerBy", TriggerBy),
        tp_size=read_positive(params, "tpSize"),
        sl_size=read_positive(params, "slSize"),
        tp_order_type=read_word(params, "tpOrderType", OrderType, OrderType.MARKET),
        sl_order_type=read_word(params, "slOrderType", OrderType, OrderType.MARKET),
        tp_limit_price=read_positive(params, "tpLimitPrice"),
        sl_limit_price=read_positive(params, "slLimitPrice"),
    )


@door
def read_set_leverage(params: Params, uid: int) -> SetLeverage:
    """Read ``position/set-leverage``."""
    read_category(params)
    return SetLeverage(
        uid=uid,
        symbol=read_symbol(params),
        buy_leverage=needed_number(params, "buyLeverage"),
        sell_leverage=needed_number(params, "sellLeverage"),
    )


@door
def read_switch_mode(params: Params, uid: int) -> SwitchMode:
    """Read ``position/switch-mode``, by symbol or for a whole coin."""
    read_category(params)
    mode = read_whole(params, "mode")
    words = {0: PositionMode.ONE_WAY, 3: PositionMode.HEDGE}
    if mode not in words:
        raise invalid("mode")
    command = SwitchMode(
        uid=uid,
        mode=words[mode],
        symbol=read_symbol(params, needed=False),
        coin=read_text(params, "coin"),
    )
    if not (command.symbol or command.coin):
        raise refuse("params error: symbol or coin is required")
    return command


@door
def read_set_margin_mode(params: Params, uid: int) -> SetMarginMode:
    """Read ``account/set-margin-mode``."""
    return SetMarginMode(uid=uid, mode=read_word(params, "setMarginMode", MarginMode))


@door
def read_add_margin(params: Params, uid: int) -> AddMargin:
    """Read ``position/add-margin``; a negative margin is taken out."""
    read_category(params)
    margin = read_number(params, "margin")
    if not margin:
        raise invalid("margin")
    return AddMargin(
        uid=uid,
        symbol=read_symbol(params),
        margin=margin,
        position_idx=read_choice(params, "positionIdx", _SLOTS, 0),
    )


@door
def read_set_auto_add_margin(params: Params, uid: int) -> SetAutoAddMargin:
    """Read ``position/set-auto-add-margin`` (the venue spells it autoAddmargin)."""
    read_category(params)
    key = "autoAddmargin" if "autoAddmargin" in params else "autoAddMargin"
    return SetAutoAddMargin(
        uid=uid,
        symbol=read_symbol(params),
        on=bool(read_choice(params, key, range(2))),
        position_idx=read_choice(params, "positionIdx", _SLOTS, 0),
    )


@door
def read_confirm_pending_mmr(params: Params, uid: int) -> ConfirmPendingMmr:
    """Read ``position/confirm-pending-mmr``."""
    read_category(params)
    return ConfirmPendingMmr(uid=uid, symbol=read_symbol(params))


def _either_id(params: Params) -> tuple[str, str]:
    order_id, link_id = read_text(params, "orderId"), read_link_id(params)
    if not (order_id or link_id):
        raise refuse("params error: orderId or orderLinkId is required")
    return order_id, link_id


# ---------------------------------------------------------------------------- by path, in batches

Reader = Callable[[Any, int], UserCommand | BadRequest]

POST_READERS: dict[str, Reader] = {
    "/v5/order/create": read_create,
    "/v5/order/pre-check": read_create,
    "/v5/order/amend": read_amend,
    "/v5/order/cancel": read_cancel,
    "/v5/order/cancel-all": read_cancel_all,
    "/v5/position/trading-stop": read_trading_stop,
    "/v5/position/set-leverage": read_set_leverage,
    "/v5/position/switch-mode": read_switch_mode,
    "/v5/account/set-margin-mode": read_set_margin_mode,
    "/v5/position/add-margin": read_add_margin,
    "/v5/position/set-auto-add-margin": read_set_auto_add_margin,
    "/v5/position/confirm-pending-mmr": read_confirm_pending_mmr,
}
BATCH_READERS: dict[str, Reader] = {
    "/v5/order/create-batch": read_create,
    "/v5/order/amend-batch": read_amend,
    "/v5/order/cancel-batch": read_cancel,
}


@door
def read_batch(
    params: Params, uid: int, reader: Reader
) -> list[tuple[dict[str, Any], UserCommand | BadRequest]]:
    """Read a batch: each request as it came, with its command or its own refusal."""
    category = read_category(params)
    rows = params.get("request")
    if not isinstance(rows, list) or not rows:
        raise invalid("request")
    if len(rows) > BATCH_MAX:
        raise refuse(f"params error: request is longer than {BATCH_MAX}")
    out: list[tuple[dict[str, Any], UserCommand | BadRequest]] = []
    for row in rows:
        if isinstance(row, dict):
            out.append((row, reader({**row, "category": category}, uid)))
        else:
            out.append(({}, BadRequest(PARAMETER_ERROR, "Request parameter error")))
    return out
