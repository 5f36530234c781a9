"""The venue's records as a client's reports, without the wire between: the codec's twin.

A law holds every function here against `encode` then `read` of the codec: whoever is faster must
not be another.
"""

from decimal import Decimal

from engine.venue.exchange.records import Execution, Order, Position, Wallet
from engine.venue.reports import ExecutionReport, OrderReport, PositionReport, WalletReport
from engine.venue.wire.fields import mean, minus, plus
from engine.venue.words import MarginMode, StopOrderType

_ZERO = Decimal(0)


def order_report(order: Order) -> OrderReport:
    """Return an order as the stream and the lists tell it."""
    filled = order.cum_exec_qty
    cancelled = order.cancel_type.value
    return OrderReport(
        order_id=order.order_id,
        order_link_id=order.order_link_id,
        symbol=order.symbol,
        side=order.side.value,
        order_type=_word(order.order_type.value),
        order_status=order.order_status.value,
        qty=order.qty,
        price=order.price or None,
        time_in_force=order.time_in_force.value,
        position_idx=order.position_idx,
        reduce_only=order.reduce_only,
        close_on_trigger=order.close_on_trigger,
        cum_exec_qty=filled,
        cum_exec_value=order.cum_exec_value,
        cum_exec_fee=order.cum_exec_fee,
        avg_price=mean(order.cum_exec_value, filled) or None if filled else None,
        cancel_type=_word(cancelled),
        reject_reason=order.reject_reason.value,
        create_type=_word(order.create_type.value),
        stop_order_type=_word(order.stop_order_type.value),
        trigger_price=order.trigger_price or None,
        trigger_direction=order.trigger_direction,
        trigger_by=order.trigger_by.value if order.trigger_by else "",
        take_profit=order.take_profit or None,
        stop_loss=order.stop_loss or None,
        tpsl_mode=order.tpsl_mode.value if order.tpsl_mode else "",
        parent_order_link_id=order.parent_order_link_id,
        created_time=order.created_time,
        updated_time=order.updated_time,
    )


def execution_report(execution: Execution, *, listed: bool = False) -> ExecutionReport:
    """Return an execution as the stream tells it; `listed`: as the list does, less its profit."""
    stop = execution.stop_order_type
    return ExecutionReport(
        exec_id=execution.exec_id,
        exec_type=execution.exec_type.value,
        symbol=execution.symbol,
        side=execution.side.value,
        order_id=execution.order_id,
        order_link_id=execution.order_link_id,
        exec_price=execution.exec_price,
        exec_qty=execution.exec_qty,
        exec_value=execution.exec_value,
        exec_time=execution.exec_time,
        exec_fee=execution.exec_fee,
        fee_rate=execution.fee_rate,
        exec_pnl=None if listed else execution.exec_pnl,
        closed_size=execution.closed_size,
        leaves_qty=execution.leaves_qty,
        is_maker=execution.is_maker,
        create_type=_word(execution.create_type.value) if execution.create_type else "",
        stop_order_type="" if stop is StopOrderType.NONE else _word(stop.value),
        order_type=execution.order_type.value if execution.order_type else "",
        position_idx=None,
        seq=execution.seq,
    )


def position_report(position: Position) -> PositionReport:
    """Return a position slot as the stream and the list tell it."""
    return PositionReport(
        symbol=position.symbol,
        position_idx=position.position_idx,
        side=position.side.value if position.side else "",
        size=position.size,
        entry_price=position.entry_price or None,
        leverage=position.leverage or None,
        mark_price=position.mark_price or None,
        liq_price=position.liq_price or None,
        position_value=position.position_value,
        position_im=position.position_im,
        position_mm=position.position_mm,
        take_profit=position.take_profit or None,
        stop_loss=position.stop_loss or None,
        trailing_stop=position.trailing_stop or None,
        unrealised_pnl=position.unrealised_pnl,
        cur_realised_pnl=position.cur_realised_pnl,
        cum_realised_pnl=position.cum_realised_pnl,
        position_status=position.position_status.value,
        adl_rank_indicator=position.adl_rank_indicator,
        is_reduce_only=position.is_reduce_only,
        auto_add_margin=position.auto_add_margin,
        created_time=position.created_time,
        updated_time=position.updated_time,
        seq=position.seq,
    )


def wallet_report(wallet: Wallet, mode: MarginMode, at_ms: int = 0) -> WalletReport:
    """Return the account's USDT as the stream and the list tell it."""
    isolated = mode is MarginMode.ISOLATED
    available = wallet.available_balance
    if isolated:
        available = minus(wallet.wallet_balance, wallet.total_position_im)
        available = minus(available, wallet.total_order_im)
    return WalletReport(
        wallet_balance=wallet.wallet_balance,
        equity=wallet.equity,
        available_balance=available,
        unrealised_pnl=wallet.unrealised_pnl,
        total_initial_margin=(
            None if isolated else plus(wallet.total_position_im, wallet.total_order_im)
        ),
        total_maintenance_margin=None if isolated else wallet.total_position_mm,
        account_im_rate=None if isolated else wallet.im_rate,
        account_mm_rate=None if isolated else wallet.mm_rate,
        cum_realised_pnl=wallet.cum_realised_pnl,
        updated_time=at_ms,
    )


def _word(value: str) -> str:
    return "" if value in ("UNKNOWN", "") else value
