"""Leaving: at the market, reduce-only, until nothing is held; and the end of a trade."""

from engine.account import day, orders
from engine.account.draft import Draft
from engine.account.entry import withdraw
from engine.account.orders import MAY_ACT
from engine.account.state import OwnOrder, Trade
from engine.venue.codes import Action, verdict

EXIT_MS = 30_000  # an exit is tried so long under one id
RETRY_MS = 1_000
RETRY_MAX_MS = 30_000
STOP_GRACE_MS = 1_500  # a stop that was hit may be filled in several pieces for so long
ALARM_ATTEMPTS = 4


def want(draft: Draft, trade: Trade, reason: str, actor: str = "engine") -> Trade:
    """Decide that a trade is left now, whatever is held of it; its entry is taken back."""
    if trade.exit_wish or not trade.is_live:
        return trade
    draft.audit("exit_wanted", actor, trade_id=trade.trade_id, reason=reason, qty=trade.qty)
    trade = draft.put(trade, exit_wish=reason, status="closing")
    return withdraw(draft, trade, reason)


def push(draft: Draft, trade: Trade) -> Trade:
    """Have one closing order under way while something is held that must go."""
    if trade.exit_wish and trade.qty > 0 and not _is_under_way(draft, trade):
        contract = trade.contract
        qty = min(trade.qty, contract.max_mkt_order_qty)
        # Made before what came to nothing is forgotten: attempts go on counting.
        order = orders.make(
            trade, "close", "Sell", "Market", qty, None, draft.at_ms, draft.at_ms + EXIT_MS
        )
        tried = tuple(o for o in trade.orders if not _is_forgotten(o))
        trade = draft.put(trade, orders=(*tried, order), exit_ms=draft.at_ms)
        draft.place(trade, order)
        if order.attempt == ALARM_ATTEMPTS:
            draft.alert(
                "error",
                f"exit_fails:{trade.trade_id}",
                f"{trade.symbol}: {trade.qty:f} could not be closed yet; it is tried on.",
                severity="critical",
                trade=trade,
            )
    return trade


def _is_forgotten(order: OwnOrder) -> bool:
    """Tell whether an attempt to close came to nothing, long before the present one."""
    return order.leg == "close" and order.is_over and not order.booked_qty


def _is_under_way(draft: Draft, trade: Trade) -> bool:
    order = trade.of_leg("close")
    if order is None:
        return False
    if not order.is_over:
        return True  # what it has done, or will do, is not known or not booked yet
    if order.state == "done" and order.booked_qty > 0:
        return False  # it took a part: the rest follows at once
    wait_ms = min(RETRY_MS << min(order.attempt - 1, 5), RETRY_MAX_MS)
    return draft.at_ms - trade.exit_ms < wait_ms


def clear(draft: Draft, trade: Trade) -> Trade:
    """Take back every order of a trade that is over or being left."""
    trade = withdraw(draft, trade, trade.exit_wish or "position closed")
    target = trade.of_leg("tp1")
    if target is not None and target.state in MAY_ACT and not target.cancel:
        trade = draft.cancel(trade, target, trade.exit_wish or "position closed")
    return trade


def finish(draft: Draft, trade: Trade) -> Trade:
    """End a trade that holds nothing and has nothing under way."""
    if not trade.is_live:
        return trade
    over = trade.qty == 0 and trade.bought > 0
    if over or trade.exit_wish:
        trade = clear(draft, trade)
        if over and trade.status == "open":
            trade = draft.put(trade, status="closing")
    if not all(order.is_over for order in trade.orders):
        return trade
    if trade.bought == 0 and trade.sold == 0:
        return _ended_unfilled(draft, trade)
    return _closed(draft, trade) if trade.qty == 0 else trade


def _ended_unfilled(draft: Draft, trade: Trade) -> Trade:
    entry = trade.of_leg("entry")
    refused = entry is not None and (entry.state == "refused" or bool(entry.text))
    reason = why_not(entry)
    trade = draft.put(
        trade,
        status="refused" if refused else "expired",
        closed_ms=draft.at_ms,
        exit_kind=reason,
    )
    draft.audit("entry_ended", trade_id=trade.trade_id, status=trade.status, reason=reason)
    words = f"{trade.symbol}: no entry ({reason})."
    severity = "warning" if refused else "info"
    draft.alert("refused", f"ended:{trade.trade_id}", words, severity=severity, trade=trade)
    return trade


def why_not(entry: OwnOrder | None) -> str:
    """Say why an entry was never filled."""
    if entry is None:
        return "never sent"
    if entry.state == "refused":
        return f"the venue refused it: {entry.code} {entry.text}".strip()
    return entry.cancel or entry.text or entry.ended_by or "not sent in time"


def _closed(draft: Draft, trade: Trade) -> Trade:
    trade = draft.put(trade, status="closed", closed_ms=draft.at_ms)
    net = trade.net_usdt
    draft.audit("trade_closed", trade_id=trade.trade_id, kind=trade.exit_kind, net_usdt=net)
    r = f", {net / trade.plan.r_usdt:+.2f} R" if trade.plan.r_usdt > 0 else ""
    draft.alert(
        "stop" if trade.exit_kind in ("stop", "breakeven", "trail") else "close",
        f"close:{trade.trade_id}:{trade.sold.normalize():f}",
        f"{trade.symbol} closed ({trade.exit_kind}): {net:+.2f} USDT{r}.",
        trade=trade,
        net_usdt=net,
        exit_kind=trade.exit_kind,
    )
    day.count_trade(draft, trade)
    return trade


def after_stop(draft: Draft, trade: Trade) -> Trade:
    """Flatten what a stop that was hit has left."""
    left = trade.stopped_ms and trade.qty > 0
    if left and draft.at_ms - trade.stopped_ms >= STOP_GRACE_MS:
        return want(draft, trade, "stop_incomplete")
    return trade


def not_placed(draft: Draft, trade: Trade, order: OwnOrder) -> None:
    """Look what is held where the venue sees nothing to reduce."""
    if order.leg != "entry" and verdict(order.code, order.text).action is Action.REREAD:
        draft.read_account(f"{trade.symbol}: nothing to reduce at the venue")
