"""What our client sends: requests as the venue wants them, every number a plain string.

The writers take anything with the named attributes (the port's requests, the machine's commands):
None and "" are left out, a Decimal 0 is written ("0" cancels a stop).
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from engine.venue.wire.fields import plain
from engine.venue.words import MarginMode, PositionMode

CATEGORY = "linear"

_ORDER = {
    "symbol": "symbol",
    "side": "side",
    "order_type": "orderType",
    "qty": "qty",
    "price": "price",
    "time_in_force": "timeInForce",
    "order_link_id": "orderLinkId",
    "trigger_price": "triggerPrice",
    "trigger_by": "triggerBy",
    "take_profit": "takeProfit",
    "stop_loss": "stopLoss",
    "tp_trigger_by": "tpTriggerBy",
    "sl_trigger_by": "slTriggerBy",
    "tpsl_mode": "tpslMode",
    "tp_order_type": "tpOrderType",
    "sl_order_type": "slOrderType",
    "tp_limit_price": "tpLimitPrice",
    "sl_limit_price": "slLimitPrice",
    "slippage_tolerance_type": "slippageToleranceType",
    "slippage_tolerance": "slippageTolerance",
    "smp_type": "smpType",
}
_AMEND = {
    key: _ORDER[key]
    for key in (
        "symbol",
        "order_link_id",
        "qty",
        "price",
        "trigger_price",
        "trigger_by",
        "take_profit",
        "stop_loss",
        "tp_trigger_by",
        "sl_trigger_by",
        "tp_limit_price",
        "sl_limit_price",
    )
} | {"order_id": "orderId"}
_STOP = {
    key: _ORDER[key]
    for key in (
        "symbol",
        "tpsl_mode",
        "take_profit",
        "stop_loss",
        "tp_trigger_by",
        "sl_trigger_by",
        "tp_order_type",
        "sl_order_type",
        "tp_limit_price",
        "sl_limit_price",
    )
} | {
    "trailing_stop": "trailingStop",
    "active_price": "activePrice",
    "tp_size": "tpSize",
    "sl_size": "slSize",
}


def encode_create(order: Any) -> dict[str, Any]:
    """Write ``order/create``; `order` has the attributes of the port's NewOrder."""
    body = _written(order, _ORDER)
    body["positionIdx"] = order.position_idx
    body["reduceOnly"] = bool(order.reduce_only)
    if order.close_on_trigger:
        body["closeOnTrigger"] = True
    if order.trigger_direction:
        body["triggerDirection"] = order.trigger_direction
    return body


def encode_amend(change: Any) -> dict[str, Any]:
    """Write ``order/amend``; None leaves, 0 of a stop cancels it."""
    return _written(change, _AMEND)


def encode_cancel(symbol: str, *, order_id: str = "", order_link_id: str = "") -> dict[str, Any]:
    """Write ``order/cancel``."""
    return query(symbol=symbol, orderId=order_id, orderLinkId=order_link_id)


def encode_cancel_all(
    *, symbol: str = "", settle_coin: str = "", order_filter: str = "Order"
) -> dict[str, Any]:
    """Write ``order/cancel-all``.

    The filter is "Order" unless told otherwise: without one the venue strips the stops as well.
    """
    return query(symbol=symbol, settleCoin=settle_coin, orderFilter=order_filter)


def encode_trading_stop(stop: Any) -> dict[str, Any]:
    """Write ``position/trading-stop``; `stop` has the attributes of the port's TradingStop."""
    body = _written(stop, _STOP)
    body["positionIdx"] = stop.position_idx
    return body


def encode_set_leverage(symbol: str, buy: Decimal, sell: Decimal | None = None) -> dict[str, Any]:
    """Write ``position/set-leverage``; one-way wants both sides equal."""
    return query(symbol=symbol, buyLeverage=buy, sellLeverage=buy if sell is None else sell)


def encode_switch_mode(mode: PositionMode, *, symbol: str = "", coin: str = "") -> dict[str, Any]:
    """Write ``position/switch-mode``."""
    return query(symbol=symbol, coin=coin) | {"mode": int(mode.value)}


def encode_set_margin_mode(mode: MarginMode) -> dict[str, Any]:
    """Write ``account/set-margin-mode``."""
    return {"setMarginMode": mode.value}


def encode_add_margin(symbol: str, margin: Decimal, position_idx: int = 0) -> dict[str, Any]:
    """Write ``position/add-margin``."""
    return query(symbol=symbol, margin=margin) | {"positionIdx": position_idx}


def encode_set_auto_add_margin(symbol: str, *, on: bool, position_idx: int = 0) -> dict[str, Any]:
    """Write ``position/set-auto-add-margin``."""
    return query(symbol=symbol) | {"autoAddmargin": int(on), "positionIdx": position_idx}


def encode_confirm_pending_mmr(symbol: str) -> dict[str, Any]:
    """Write ``position/confirm-pending-mmr``."""
    return query(symbol=symbol)


def encode_batch(bodies: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Write a batch of create, amend or cancel bodies."""
    rows = [{k: v for k, v in body.items() if k != "category"} for body in bodies]
    return {"category": CATEGORY, "request": rows}


def query(**params: Decimal | int | str | None) -> dict[str, Any]:
    """Write the parameters of any linear request: None and "" left out, all values text.

    >>> query(symbol="BTCUSDT", limit=50, cursor="")
    {'category': 'linear', 'symbol': 'BTCUSDT', 'limit': '50'}
    """
    out: dict[str, Any] = {"category": CATEGORY}
    for key, value in params.items():
        if value is not None and value != "":
            out[key] = _spelt(value)
    return out


def _written(source: Any, names: Mapping[str, str]) -> dict[str, Any]:
    out: dict[str, Any] = {"category": CATEGORY}
    for attribute, key in names.items():
        value = getattr(source, attribute, None)
        if value is None or value == "":
            continue
        out[key] = value if type(value) is str else _spelt(value)
    return out


def _spelt(value: Any) -> str:
    return plain(value) if isinstance(value, Decimal) else str(value)
