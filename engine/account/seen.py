"""What the venue and the market show: orders, positions, wallet, quotes, regime, contracts."""

from decimal import Decimal
from math import isfinite

from msgspec.structs import replace

from engine.account import day, exits, fills, manage, orders
from engine.account.answers import find
from engine.account.draft import Draft
from engine.account.entry import withdraw, withdraw_all
from engine.account.messages import (
    ContractSeen,
    OrderSeen,
    PositionSeen,
    QuoteSeen,
    RegimeSeen,
    WalletSeen,
)
from engine.account.signal import Quote
from engine.account.state import OwnOrder, Trade
from engine.risk import funding
from engine.venue.instrument import exact
from engine.venue.reports import OrderReport, PositionReport, WalletReport
from engine.venue.words import InstrumentStatus

STOPS_ENDED_BADLY = ("Cancelled", "Rejected", "PartiallyFilledCanceled")


def on_order(draft: Draft, message: OrderSeen) -> None:
    """Take in an order as the venue described it; ours by link id or by order id."""
    report = message.order
    found = find(draft, report.order_link_id)
    if found is None:
        _stop_seen(draft, report)
        return
    take_order(draft, *found, report)


def take_order(draft: Draft, trade: Trade, before: OwnOrder, report: OrderReport) -> Trade:
    """Take in a report of one of our orders."""
    order = orders.reported(before, report)
    if order == before:
        return trade
    changes = {}
    if order.leg == "entry" and order.state == "working" and trade.status == "pending":
        changes["status"] = "resting"
        draft.audit("entry_resting", trade_id=trade.trade_id, order_id=order.order_id)
    trade = draft.put_order(trade, order, **changes)
    if report.is_open and order.state in ("absent", "refused"):
        draft.audit("order_alive", trade_id=trade.trade_id, link_id=order.link_id)
        trade = draft.cancel(trade, order, "was given up")
    elif order.cancel and order.state == "working" and before.state != "working":
        trade = draft.cancel(trade, order, order.cancel)
    return trade


def _stop_seen(draft: Draft, report: OrderReport) -> None:
    """Leave at once where the stop was pulled and could not be filled."""
    if report.stop_order_type not in fills.STOP_WORDS:
        return
    trade = draft.of_symbol(report.symbol)
    if trade is None or trade.qty <= 0 or report.position_idx != trade.position_idx:
        return
    pulled = report.order_status in STOPS_ENDED_BADLY and trade.opened_ms <= report.updated_time
    if pulled:
        draft.audit("stop_failed", trade_id=trade.trade_id, status=report.order_status)
        exits.want(draft, trade, "stop_incomplete")


# ---------------------------------------------------------------------------- position, wallet


def on_position(draft: Draft, message: PositionSeen) -> None:
    """Take in a position slot: leverage, size, stop, whether the venue only lets it shrink."""
    position = message.position
    state = draft.state
    leverage = position.leverage
    known = state.leverage.get(position.symbol)
    if leverage is not None and leverage > 0 and leverage != known:
        draft.set(leverage={**state.leverage, position.symbol: leverage})
    _note_reduce_only(draft, position)
    _mark_slot(draft, position)
    trade = draft.of_symbol(position.symbol)
    if trade is None or trade.position_idx != position.position_idx:
        return
    size = position.size if position.side != "Sell" else -position.size
    same = size == trade.qty
    odd_ms = 0 if same else trade.odd_ms or draft.at_ms
    changes: dict[str, object] = {"venue_size": size, "odd_ms": odd_ms}
    mark = mark_of(position)
    if mark is not None:
        changes["mark"] = mark
    trade = draft.put(trade, **changes)
    if same and size > 0:
        _stop_of_position(draft, trade, position)


def mark_of(position: PositionReport) -> Decimal | None:
    """Return the mark price that a position was shown at; None: it was shown none."""
    mark = position.mark_price
    return mark if mark is not None and mark > 0 else None


def _mark_slot(draft: Draft, position: PositionReport) -> None:
    key, mark = fills.slot_key(position.symbol, position.position_idx), mark_of(position)
    slot = draft.state.slots.get(key)
    if slot is not None and mark is not None and mark != slot.mark:
        draft.set(slots={**draft.state.slots, key: replace(slot, mark=mark)})
        day.judge(draft)


def _note_reduce_only(draft: Draft, position: PositionReport) -> None:
    held = draft.state.reduce_only
    if position.is_reduce_only == (position.symbol in held):
        return
    others = tuple(name for name in held if name != position.symbol)
    draft.set(reduce_only=(*others, position.symbol) if position.is_reduce_only else others)
    draft.audit("reduce_only", symbol=position.symbol, on=position.is_reduce_only)


def _stop_of_position(draft: Draft, trade: Trade, position: PositionReport) -> None:
    stop, wanted = position.stop_loss, trade.stop_loss
    if stop is not None and stop > 0:
        trade = manage.stop_stands(draft, trade, stop)
    if wanted is None or trade.status != "open":
        return
    if stop is not None and stop > wanted:
        draft.put(trade, stop_loss=stop)
        draft.audit("stop_adopted", trade_id=trade.trade_id, before=wanted, after=stop)
        draft.alert(
            "adopted",
            f"stop_adopted:{trade.trade_id}:{stop.normalize():f}",
            f"{trade.symbol}: the stop was moved up to {stop:f} by hand; it is kept.",
            trade=trade,
            stop=stop,
        )
    elif stop is None or (stop < wanted and wanted == trade.stop_set):
        draft.read_account(f"{trade.symbol}: the stop is not where it was")


def on_wallet(draft: Draft, message: WalletSeen) -> None:
    """Take in the account's money."""
    take_wallet(draft, message.wallet)
    day.roll(draft)
    day.judge(draft)


def take_wallet(draft: Draft, wallet: WalletReport) -> None:
    """Keep the account's money as the newest report has it."""
    known = draft.state.wallet
    if known is None or wallet.updated_time >= known.updated_time:
        draft.set(wallet=wallet)


# ---------------------------------------------------------------------------- market


def on_quote(draft: Draft, message: QuoteSeen) -> None:
    """Take in the market of a held coin: its mark counts for the day's loss."""
    trade = draft.of_symbol(message.symbol)
    mark = message.quote.mark
    if trade is None or not isfinite(mark) or mark <= 0:
        return
    trade = draft.put(trade, mark=exact(mark))
    day.judge(draft)
    _judge_funding(draft, trade, message.quote)


def _judge_funding(draft: Draft, trade: Trade, quote: Quote) -> None:
    """Tell a dear payment once, and leave before a ruinous one."""
    if trade.status != "open" or trade.qty <= 0 or trade.mark is None:
        return
    rate = quote.funding_rate
    view = funding.judge_held(
        draft.params.risk,
        symbol=trade.symbol,
        notional_usdt=trade.qty * trade.mark,
        r_usdt=trade.plan.r_usdt,
        rate=exact(rate) if rate is not None and isfinite(rate) else None,
        next_funding_ms=quote.next_funding_ms,
        now_ms=draft.at_ms,
    )
    if view.action == funding.KEEP:
        return
    if view.action == funding.CLOSE:
        trade = exits.want(draft, trade, "funding")
    if trade.funding_told_ms == quote.next_funding_ms and view.action == funding.WARN:
        return
    trade = draft.put(trade, funding_told_ms=quote.next_funding_ms)
    draft.alert(
        "funding",
        f"funding:{trade.trade_id}:{quote.next_funding_ms}:{view.action}",
        view.words,
        severity="warning",
        trade=trade,
        reason="funding",
        value=view.value,
        limit=view.limit,
    )


def on_regime(draft: Draft, message: RegimeSeen) -> None:
    """Take in the market's regime; in RISK_OFF nothing rests."""
    before = draft.state.regime
    if message.regime == before:
        return
    draft.set(regime=message.regime)
    draft.audit("regime", before=before, after=message.regime)
    if draft.params.risk.regime_filter and message.regime != "NORMAL":
        withdraw_all(draft, "risk_off")


def on_contract(draft: Draft, message: ContractSeen) -> None:
    """Take in a coin's rules: prices and quantities are rounded by the newest ones."""
    contract = message.contract
    trade = draft.of_symbol(contract.symbol)
    if trade is None or trade.contract == contract:
        return
    was = trade.contract
    trade = draft.put(trade, contract=contract)
    draft.audit("contract", symbol=contract.symbol, tick=contract.tick_size, step=contract.qty_step)
    leaves = contract.status is not InstrumentStatus.TRADING
    if leaves or contract.delivery_time:
        withdraw(draft, trade, "delisting")
        if (was.status, was.delivery_time) != (contract.status, contract.delivery_time):
            draft.alert(
                "error",
                f"delisting:{trade.trade_id}:{contract.delivery_time}",
                f"{contract.symbol} leaves the venue; the trade is led on, nothing new is opened.",
                severity="warning",
                trade=trade,
            )
