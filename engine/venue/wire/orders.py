"""Orders and executions, both ways, in the shape of REST and in that of the streams."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from engine.venue.exchange.records import Execution, Order
from engine.venue.reports import ExecutionReport, OrderReport
from engine.venue.wire.fields import (
    amount,
    as_row,
    decimal,
    flag,
    integer,
    mean,
    name,
    plain,
    price,
    product,
    required,
    text,
    word,
)
from engine.venue.words import ExecType, StopOrderType

# ---------------------------------------------------------------------------- orders


def encode_order_row(order: Order) -> dict[str, Any]:
    """Write an order as ``order/realtime`` and ``order/history`` show it."""
    row = _order(order)
    row["stopOrderType"] = order.stop_order_type.value or "UNKNOWN"
    row["extraFees"] = ""
    return row


def encode_order_push(order: Order) -> dict[str, Any]:
    """Write an order as the private topic ``order`` pushes it."""
    row = _order(order)
    row["category"] = "linear"
    row["stopOrderType"] = order.stop_order_type.value
    row["closedPnl"] = plain(order.closed_pnl)
    row["feeCurrency"] = "USDT"
    return row


def _order(order: Order) -> dict[str, Any]:
    average = mean(order.cum_exec_value, order.cum_exec_qty) if order.cum_exec_qty else None
    leaves = order.leaves_qty
    return {
        "orderId": order.order_id,
        "orderLinkId": order.order_link_id,
        "parentOrderLinkId": order.parent_order_link_id,
        "blockTradeId": "",
        "symbol": order.symbol,
        "price": plain(order.price, "0"),
        "qty": plain(order.qty),
        "side": order.side.value,
        "isLeverage": "",
        "positionIdx": order.position_idx,
        "orderStatus": order.order_status.value,
        "createType": order.create_type.value,
        "cancelType": order.cancel_type.value,
        "rejectReason": order.reject_reason.value,
        "avgPrice": plain(average),
        "leavesQty": plain(leaves),
        "leavesValue": plain(product(leaves, order.price or Decimal(0))),
        "cumExecQty": plain(order.cum_exec_qty),
        "cumExecValue": plain(order.cum_exec_value),
        "cumExecFee": plain(order.cum_exec_fee),
        "cumFeeDetail": {"USDT": plain(order.cum_exec_fee)} if order.cum_exec_fee else {},
        "timeInForce": order.time_in_force.value,
        "orderType": order.order_type.value,
        "orderIv": "",
        "marketUnit": "",
        "slippageToleranceType": order.slippage_tolerance_type or "UNKNOWN",
        "slippageTolerance": order.slippage_tolerance,
        "triggerPrice": plain(order.trigger_price),
        "triggerDirection": order.trigger_direction,
        "triggerBy": order.trigger_by.value if order.trigger_by else "",
        "takeProfit": plain(order.take_profit),
        "stopLoss": plain(order.stop_loss),
        "tpTriggerBy": order.tp_trigger_by.value if order.take_profit else "",
        "slTriggerBy": order.sl_trigger_by.value if order.stop_loss else "",
        "tpLimitPrice": plain(order.tp_limit_price),
        "slLimitPrice": plain(order.sl_limit_price),
        "tpslMode": order.tpsl_mode.value if order.tpsl_mode else "",
        "ocoTriggerBy": "",
        "lastPriceOnCreated": plain(order.last_price_on_created),
        "reduceOnly": order.reduce_only,
        "closeOnTrigger": order.close_on_trigger,
        "placeType": "",
        "smpType": order.smp_type,
        "smpGroup": 0,
        "smpOrderId": "",
        "rpiTakerAccess": False,
        "rpiMatchedQty": "0",
        "createdTime": str(order.created_time),
        "updatedTime": str(order.updated_time),
    }


def read_order(row: Any) -> OrderReport:
    """Read an order of REST or of the stream.

    Raises
    ------
    WireError
        No id, symbol, side, status or quantity, or a value that is not what it should be.
    """
    row = as_row(row)
    return OrderReport(
        order_id=name(row, "orderId"),
        order_link_id=text(row, "orderLinkId"),
        symbol=name(row, "symbol"),
        side=name(row, "side"),
        order_type=word(row, "orderType"),
        order_status=name(row, "orderStatus"),
        qty=required(row, "qty"),
        price=price(row, "price"),
        time_in_force=text(row, "timeInForce"),
        position_idx=integer(row, "positionIdx"),
        reduce_only=flag(row, "reduceOnly"),
        close_on_trigger=flag(row, "closeOnTrigger"),
        cum_exec_qty=amount(row, "cumExecQty"),
        cum_exec_value=amount(row, "cumExecValue"),
        cum_exec_fee=_fee(row),
        avg_price=price(row, "avgPrice"),
        cancel_type=word(row, "cancelType"),
        reject_reason=text(row, "rejectReason"),
        create_type=word(row, "createType"),
        stop_order_type=word(row, "stopOrderType"),
        trigger_price=price(row, "triggerPrice"),
        trigger_direction=integer(row, "triggerDirection"),
        trigger_by=word(row, "triggerBy"),
        take_profit=price(row, "takeProfit"),
        stop_loss=price(row, "stopLoss"),
        tpsl_mode=word(row, "tpslMode"),
        parent_order_link_id=text(row, "parentOrderLinkId"),
        created_time=integer(row, "createdTime"),
        updated_time=integer(row, "updatedTime"),
    )


def _fee(row: Mapping[str, Any]) -> Decimal:
    # cumExecFee is deprecated for linear: the detail wins where it names our coin.
    detail = row.get("cumFeeDetail")
    if isinstance(detail, dict):
        fee = decimal(detail, "USDT")
        if fee is not None:
            return fee
    return amount(row, "cumExecFee")


# ---------------------------------------------------------------------------- executions


def encode_execution_row(execution: Execution) -> dict[str, Any]:
    """Write an execution as ``execution/list`` shows it."""
    row = _execution(execution)
    row["extraFees"] = ""
    row["execFeeV2"] = ""
    row["feeCurrency"] = "USDT"
    return row


def encode_execution_push(execution: Execution) -> dict[str, Any]:
    """Write an execution as the private topic ``execution`` pushes it."""
    row = _execution(execution)
    row["category"] = "linear"
    row["execPnl"] = plain(execution.exec_pnl)
    row["isLeverage"] = "0"
    row["marketUnit"] = ""
    row["feeCurrency"] = "USDT"
    row["extraFees"] = []
    return row


def encode_fast_execution_push(execution: Execution) -> dict[str, Any]:
    """Write a trade as ``execution.fast`` pushes it: a maker's link id is always ""."""
    return {
        "category": "linear",
        "symbol": execution.symbol,
        "execId": execution.exec_id,
        "execPrice": plain(execution.exec_price),
        "execQty": plain(execution.exec_qty),
        "orderId": execution.order_id,
        "orderLinkId": "" if execution.is_maker else execution.order_link_id,
        "side": execution.side.value,
        "isMaker": execution.is_maker,
        "execTime": str(execution.exec_time),
        "seq": execution.seq,
    }


def _execution(execution: Execution) -> dict[str, Any]:
    stop = execution.stop_order_type
    return {
        "symbol": execution.symbol,
        "orderId": execution.order_id,
        "orderLinkId": execution.order_link_id,
        "side": execution.side.value,
        "orderPrice": plain(execution.order_price),
        "orderQty": plain(execution.order_qty),
        "leavesQty": plain(execution.leaves_qty),
        "createType": execution.create_type.value if execution.create_type else "",
        "orderType": execution.order_type.value if execution.order_type else "UNKNOWN",
        "stopOrderType": "UNKNOWN" if stop is StopOrderType.NONE else stop.value,
        "execFee": plain(execution.exec_fee),
        "execId": execution.exec_id,
        "execPrice": plain(execution.exec_price),
        "execQty": plain(execution.exec_qty),
        "execType": execution.exec_type.value,
        "execValue": plain(execution.exec_value),
        "execTime": str(execution.exec_time),
        "isMaker": execution.is_maker,
        "feeRate": plain(execution.fee_rate),
        "tradeIv": "",
        "markIv": "",
        "markPrice": plain(execution.mark_price),
        "indexPrice": plain(execution.index_price),
        "underlyingPrice": "",
        "blockTradeId": "",
        "closedSize": plain(execution.closed_size),
        "seq": execution.seq,
    }


def read_execution(row: Any) -> ExecutionReport:
    """Read an execution of REST or of the streams, ``execution.fast`` included.

    Raises
    ------
    WireError
        No execution id, symbol, price, quantity or time, or an unreadable value.
    """
    row = as_row(row)
    exec_price = required(row, "execPrice")
    exec_qty = required(row, "execQty")
    value = decimal(row, "execValue")
    return ExecutionReport(
        exec_id=name(row, "execId"),
        exec_type=word(row, "execType") or ExecType.TRADE.value,  # the fast topic has no other
        symbol=name(row, "symbol"),
        side=text(row, "side"),
        order_id=text(row, "orderId"),
        order_link_id=text(row, "orderLinkId"),
        exec_price=exec_price,
        exec_qty=exec_qty,
        exec_value=product(exec_price, exec_qty) if value is None else value,
        exec_time=_time(row),
        exec_fee=decimal(row, "execFee"),
        fee_rate=decimal(row, "feeRate"),
        exec_pnl=decimal(row, "execPnl"),
        closed_size=amount(row, "closedSize"),
        leaves_qty=decimal(row, "leavesQty"),
        is_maker=flag(row, "isMaker"),
        create_type=word(row, "createType"),
        stop_order_type=word(row, "stopOrderType"),
        order_type=word(row, "orderType"),
        position_idx=integer(row, "positionIdx") if "positionIdx" in row else None,
        seq=integer(row, "seq", -1),
    )


def _time(row: Mapping[str, Any]) -> int:
    required(row, "execTime")
    return integer(row, "execTime")
