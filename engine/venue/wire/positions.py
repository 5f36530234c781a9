"""Positions and closed profit, both ways; the entry price has two names (avgPrice, entryPrice)."""

from typing import Any

from engine.venue.exchange.records import ClosedPnl, Position
from engine.venue.reports import ClosedPnlReport, PositionReport
from engine.venue.wire.fields import (
    amount,
    as_row,
    decimal,
    flag,
    integer,
    name,
    plain,
    price,
    required,
    text,
    word,
)


def encode_position_row(position: Position) -> dict[str, Any]:
    """Write a position as ``position/list`` shows it."""
    row = _position(position)
    row["avgPrice"] = plain(position.entry_price)
    for greek in ("delta", "gamma", "vega", "theta"):
        row[greek] = ""
    row["liqPrice"] = plain(position.liq_price)
    for key, value in _stops(position):
        row[key] = plain(value, "0.00") if value else "0.00"
    return row


def encode_position_push(position: Position) -> dict[str, Any]:
    """Write a position as the private topic ``position`` pushes it."""
    row = _position(position)
    row["entryPrice"] = plain(position.entry_price)
    row["category"] = "linear"
    row["liqPrice"] = plain(position.liq_price, "" if position.size else "0")
    for key, value in _stops(position):
        row[key] = plain(value, "0")
    return row


def _stops(position: Position) -> tuple[tuple[str, Any], ...]:
    return (
        ("takeProfit", position.take_profit),
        ("stopLoss", position.stop_loss),
        ("trailingStop", position.trailing_stop),
    )


def _position(position: Position) -> dict[str, Any]:
    mmr_time = _time(position.mmr_sys_updated_time)
    return {
        "positionIdx": position.position_idx,
        "riskId": position.risk_id,
        "riskLimitValue": plain(position.risk_limit_value),
        "symbol": position.symbol,
        "side": position.side.value if position.side else "",
        "size": plain(position.size),
        "positionValue": plain(position.position_value),
        "tradeMode": 0,
        "positionStatus": position.position_status.value,
        "autoAddMargin": position.auto_add_margin,
        "adlRankIndicator": position.adl_rank_indicator,
        "leverage": plain(position.leverage),
        "breakEvenPrice": plain(position.break_even_price),
        "positionBalance": plain(position.margin),
        "markPrice": plain(position.mark_price),
        "bustPrice": plain(position.bust_price),
        "positionMM": plain(position.position_mm),
        "positionMMByMp": plain(position.position_mm),
        "positionIM": plain(position.position_im),
        "positionIMByMp": plain(position.position_im),
        "tpslMode": "Full",
        "unrealisedPnl": plain(position.unrealised_pnl),
        "curRealisedPnl": plain(position.cur_realised_pnl),
        "cumRealisedPnl": plain(position.cum_realised_pnl),
        "sessionAvgPrice": "",
        "seq": position.seq,
        "isReduceOnly": position.is_reduce_only,
        "mmrSysUpdatedTime": mmr_time,
        "mmrSysUpdateTime": mmr_time,  # the documents' example spells it so, their table the other
        "leverageSysUpdatedTime": _time(position.leverage_sys_updated_time),
        "openTime": position.open_time,
        "createdTime": str(position.created_time),
        "updatedTime": str(position.updated_time),
    }


def _time(value: int) -> str:
    return str(value) if value else ""


def read_position(row: Any) -> PositionReport:
    """Read a position of REST or of the stream; flat is side "" and size 0.

    Raises
    ------
    WireError
        No symbol or size, or an unreadable value.
    """
    row = as_row(row)
    entry = price(row, "entryPrice")
    return PositionReport(
        symbol=name(row, "symbol"),
        position_idx=integer(row, "positionIdx"),
        side=_side(row),
        size=required(row, "size"),
        entry_price=entry if entry is not None else price(row, "avgPrice"),
        leverage=price(row, "leverage"),
        mark_price=price(row, "markPrice"),
        liq_price=price(row, "liqPrice"),
        position_value=amount(row, "positionValue"),
        position_im=decimal(row, "positionIM"),
        position_mm=decimal(row, "positionMM"),
        take_profit=price(row, "takeProfit"),
        stop_loss=price(row, "stopLoss"),
        trailing_stop=price(row, "trailingStop"),
        unrealised_pnl=amount(row, "unrealisedPnl"),
        cur_realised_pnl=amount(row, "curRealisedPnl"),
        cum_realised_pnl=amount(row, "cumRealisedPnl"),
        position_status=text(row, "positionStatus") or "Normal",
        adl_rank_indicator=integer(row, "adlRankIndicator"),
        is_reduce_only=flag(row, "isReduceOnly"),
        auto_add_margin=integer(row, "autoAddMargin"),
        created_time=integer(row, "createdTime"),
        updated_time=integer(row, "updatedTime"),
        seq=integer(row, "seq", -1),
    )


def _side(row: Any) -> str:
    side = word(row, "side")
    return "" if side == "None" else side  # "None" on the wires of older accounts


def encode_closed_pnl_row(closed: ClosedPnl) -> dict[str, Any]:
    """Write one result as ``position/closed-pnl`` shows it."""
    return {
        "symbol": closed.symbol,
        "orderId": closed.order_id,
        "side": closed.side.value,
        "qty": plain(closed.qty),
        "orderPrice": plain(closed.order_price),
        "orderType": closed.order_type.value,
        "execType": closed.exec_type.value,
        "closedSize": plain(closed.closed_size),
        "cumEntryValue": plain(closed.cum_entry_value),
        "avgEntryPrice": plain(closed.avg_entry_price),
        "cumExitValue": plain(closed.cum_exit_value),
        "avgExitPrice": plain(closed.avg_exit_price),
        "closedPnl": plain(closed.closed_pnl),
        "fillCount": str(closed.fill_count),
        "leverage": plain(closed.leverage),
        "openFee": plain(closed.open_fee),
        "closeFee": plain(closed.close_fee),
        "createdTime": str(closed.created_time),
        "updatedTime": str(closed.updated_time),
    }


def read_closed_pnl(row: Any) -> ClosedPnlReport:
    """Read one result of a closing order.

    Raises
    ------
    WireError
        No order id, symbol or result, or an unreadable value.
    """
    row = as_row(row)
    return ClosedPnlReport(
        symbol=name(row, "symbol"),
        order_id=name(row, "orderId"),
        side=text(row, "side"),
        closed_pnl=required(row, "closedPnl"),
        closed_size=amount(row, "closedSize"),
        qty=amount(row, "qty"),
        order_price=price(row, "orderPrice"),
        order_type=word(row, "orderType"),
        exec_type=word(row, "execType"),
        cum_entry_value=amount(row, "cumEntryValue"),
        avg_entry_price=price(row, "avgEntryPrice"),
        cum_exit_value=amount(row, "cumExitValue"),
        avg_exit_price=price(row, "avgExitPrice"),
        fill_count=integer(row, "fillCount"),
        leverage=price(row, "leverage"),
        open_fee=decimal(row, "openFee"),
        close_fee=decimal(row, "closeFee"),
        created_time=integer(row, "createdTime"),
        updated_time=integer(row, "updatedTime"),
    )
