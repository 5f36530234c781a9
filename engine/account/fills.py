"""Executions become money and holdings, each once, by the venue's own rule of rounding.

An execution is known by its id. The result of a closing one is the venue's where it says so, else
worked out as `engine/venue/exchange/ledger.py` tells: results and fees to 8 decimals, entry prices
to 10, half to even. Late and permuted executions end in the same sums.
"""

from decimal import Decimal
from hashlib import blake2b
from typing import NamedTuple

from msgspec.structs import replace

from engine.account import day, orders
from engine.account.commands import ExecutionRecord
from engine.account.draft import Draft
from engine.account.entry import withdraw
from engine.account.links import parse_link
from engine.account.messages import Executed
from engine.account.state import ZERO, OwnOrder, Slot, Trade
from engine.venue.exchange.ledger import q8, q10
from engine.venue.reports import ExecutionReport

SEEN_MAX = 512  # ids of executions remembered: far more than can come late
# Stops of the whole position are ours; those for a part, and conditional orders, are a person's.
STOP_WORDS = ("StopLoss", "TrailingStop")
_STOP_CREATED = ("CreateByStopLoss", "CreateByTrailingStop")
PROFIT_WORDS = ("TakeProfit", "PartialTakeProfit")
_VENUE_LEGS = {
    "Funding": "funding",
    "BustTrade": "liquidation",
    "AdlTrade": "adl",
    "Delivery": "close",
    "Settle": "close",
}
_EXIT_KINDS = {"liquidation": "liquidation", "adl": "adl", "tp1": "tp1", "foreign": "manual"}


class Owner(NamedTuple):
    """Whose an execution is."""

    trade: Trade | None
    leg: str
    order: OwnOrder | None
    trade_id: str


class Booked(NamedTuple):
    """What an execution did to the account."""

    pnl: Decimal
    fee: Decimal  # of a funding payment: what was paid
    slot: Slot
    differs: bool  # the venue's result is another than ours


def digest_of(exec_id: str) -> str:
    """Return what an execution is remembered by."""
    return blake2b(exec_id.encode(), digest_size=8).hexdigest()


def on_executed(draft: Draft, message: Executed) -> None:
    """Book an execution, once."""
    book(draft, message.execution)


def book(draft: Draft, execution: ExecutionReport) -> bool:
    """Book an execution; False where it was booked before, or cannot be yet."""
    digest = digest_of(execution.exec_id)
    if digest in draft.state.seen:
        return False
    owner = owner_of(draft, execution)
    if execution.exec_time <= draft.state.seen_floor_ms and not _is_missing(owner, execution):
        return False
    if execution.exec_fee is None:
        draft.read_account("an execution came without its fee")
        return False
    booked = _book_money(draft, execution)
    _remember(draft, digest, execution.exec_time)
    draft.record(_record(execution, owner, booked))
    if booked.differs:
        draft.audit("result_differs", exec_id=execution.exec_id, symbol=execution.symbol)
        draft.read_account(f"{execution.symbol}: a result differs from the venue's")
    if owner.trade is not None:
        _book_trade(draft, owner.trade, owner, execution, booked)
    elif owner.leg == "foreign":
        _make_way(draft, execution.symbol)
    elif owner.trade_id:
        draft.audit("fill_of_forgotten_trade", trade_id=owner.trade_id, exec_id=execution.exec_id)
        draft.read_account(f"{execution.symbol}: a fill of a trade that is over")
    day.judge(draft)
    return True


def _remember(draft: Draft, digest: str, exec_time: int) -> None:
    """Remember an execution; of those forgotten for it, how new the newest was."""
    state = draft.state
    seen, times = (*state.seen, digest), (*state.seen_ms, exec_time)
    draft.set(
        seen=seen[-SEEN_MAX:],
        seen_ms=times[-SEEN_MAX:],
        seen_floor_ms=max((state.seen_floor_ms, *times[:-SEEN_MAX])),
        newest_ms=max(state.newest_ms, exec_time),
    )


def _is_missing(owner: Owner, execution: ExecutionReport) -> bool:
    """Tell whether an execution as old as those forgotten is one that was never booked.

    A feed that starts anew tells much again. Only of an order of ours, of which the venue says that
    more was filled than is booked, such an old one is new.
    """
    order = owner.order
    return order is not None and order.booked_qty + execution.exec_qty <= order.cum_qty


def _make_way(draft: Draft, symbol: str) -> None:
    """Take back an entry that waits where a person has gone in: two would melt into one."""
    trade = draft.of_symbol(symbol)
    if trade is not None and trade.bought == 0:
        withdraw(draft, trade, "a position of yours")


# ---------------------------------------------------------------------------- whose it is


def owner_of(draft: Draft, execution: ExecutionReport) -> Owner:
    """Return whose an execution is: by link id, by order id, by what the venue did."""
    link = parse_link(execution.order_link_id)
    if link is not None:
        trade = draft.trade(link.trade_id)
        leg = "close" if link.leg == "guard" else link.leg
        order = trade.order(execution.order_link_id) if trade is not None else None
        return Owner(trade, leg, order, link.trade_id)
    known = _by_order_id(draft, execution.order_id)
    if known is not None:
        return known
    trade = draft.of_symbol(execution.symbol)
    if trade is None or not _is_touched(trade, execution):
        leg = _VENUE_LEGS.get(execution.exec_type, "foreign")
        return Owner(None, leg if leg == "funding" else "foreign", None, "")
    return Owner(trade, _leg_of(execution), None, trade.trade_id)


def _by_order_id(draft: Draft, order_id: str) -> Owner | None:
    if not order_id:
        return None
    for book_ in (draft.state.trades, draft.state.ended):
        for trade_id in sorted(book_):
            for order in book_[trade_id].orders:
                if order.order_id == order_id:
                    return Owner(book_[trade_id], order.leg, order, trade_id)
    return None


def _leg_of(execution: ExecutionReport) -> str:
    leg = _VENUE_LEGS.get(execution.exec_type)
    if leg is not None:
        return leg
    if execution.stop_order_type in STOP_WORDS or execution.create_type in _STOP_CREATED:
        return "stop"
    return "foreign"


def _is_touched(trade: Trade, execution: ExecutionReport) -> bool:
    """Tell whether what happened to a symbol's position happened to the trade."""
    index = execution.position_idx
    if index is not None and index != trade.position_idx:
        return False
    if trade.qty > 0:
        return True
    # Its own entry's fill may still be on its way: the venue may tell of the exit first.
    return _leg_of(execution) in ("stop", "liquidation", "adl") and execution.side == "Sell"


# ---------------------------------------------------------------------------- money


def slot_key(symbol: str, position_idx: int | None) -> str:
    """Return the name of a position slot."""
    return f"{symbol}/{position_idx}" if position_idx else symbol


def _book_money(draft: Draft, execution: ExecutionReport) -> Booked:
    state = draft.state
    key = slot_key(execution.symbol, execution.position_idx)
    slot = state.slots.get(key, Slot(size=ZERO, entry_price=ZERO))
    fee = execution.exec_fee or ZERO
    if execution.exec_type == "Funding":
        draft.set(cash_usdt=state.cash_usdt - fee)
        day.book(draft, ZERO, ZERO, -fee)
        return Booked(ZERO, fee, slot, differs=False)
    after, own = filled_slot(slot, execution.side, execution.exec_qty, execution.exec_price)
    said = execution.exec_pnl
    pnl = own if said is None else said
    slots = {name: value for name, value in state.slots.items() if name != key}
    if after.size:
        slots[key] = after
    draft.set(slots=slots, cash_usdt=state.cash_usdt + pnl - fee)
    day.book(draft, pnl, fee, ZERO)
    return Booked(pnl, fee, after, differs=said is not None and said != own)


def filled_slot(slot: Slot, side: str, qty: Decimal, price: Decimal) -> tuple[Slot, Decimal]:
    """Return the slot after a fill, and what the fill has realised before fees."""
    sign = 1 if side == "Buy" else -1
    against = slot.size * sign < 0
    closed = min(qty, abs(slot.size)) if against else ZERO
    pnl = q8((price - slot.entry_price) * closed * -sign) if closed else ZERO
    size = slot.size + sign * closed
    opened = qty - closed
    entry = slot.entry_price
    if opened:
        held = abs(size)
        entry = q10((entry * held + price * opened) / (held + opened)) if held else q10(price)
        size += sign * opened
    return Slot(size=size, entry_price=entry if size else ZERO, mark=slot.mark), pnl


def _record(execution: ExecutionReport, owner: Owner, booked: Booked) -> ExecutionRecord:
    return ExecutionRecord(
        exec_id=execution.exec_id,
        exec_type=execution.exec_type,
        symbol=execution.symbol,
        side=execution.side,
        order_id=execution.order_id,
        link_id=execution.order_link_id or (owner.order.link_id if owner.order else ""),
        trade_id=owner.trade_id,
        leg=owner.leg,
        qty=execution.exec_qty,
        price=execution.exec_price,
        value=execution.exec_value,
        fee=booked.fee,
        pnl=booked.pnl,
        exec_time=execution.exec_time,
        is_maker=execution.is_maker,
    )


# ---------------------------------------------------------------------------- the trade


def _book_trade(
    draft: Draft, trade: Trade, owner: Owner, execution: ExecutionReport, booked: Booked
) -> None:
    if execution.exec_type == "Funding":
        draft.put(trade, funding_usdt=trade.funding_usdt - booked.fee)
        return
    money = {
        "pnl_usdt": trade.pnl_usdt + booked.pnl,
        "fees_usdt": trade.fees_usdt + booked.fee,
    }
    trade = replace(trade, **money)
    if owner.order is not None:
        order = orders.filled(owner.order, execution.exec_qty)
        if not order.order_id:
            order = replace(order, order_id=execution.order_id)
        trade = draft.put_order(trade, order)
    if execution.side == "Buy":
        _bought(draft, trade, owner, execution, booked)
    else:
        _sold(draft, trade, owner, execution)


def _bought(
    draft: Draft, trade: Trade, owner: Owner, execution: ExecutionReport, booked: Booked
) -> None:
    first = trade.bought == 0
    qty = trade.qty + execution.exec_qty
    price = execution.exec_price
    held = booked.slot.size > 0
    changes: dict[str, object] = {
        "bought": trade.bought + execution.exec_qty,
        "bought_value": trade.bought_value + execution.exec_qty * price,
        "qty": qty,
        "entry_price": booked.slot.entry_price if held else q10(price),
        "highest": max(trade.highest, price),
    }
    if first:
        changes["opened_ms"] = execution.exec_time
        if trade.stop_set is None:
            changes["stop_set"] = trade.plan.stop  # it came with the order
    changes["status"] = "closing" if trade.status in ("closing", "closed") else "open"
    if trade.status in ("closing", "closed") and not trade.exit_wish:
        changes["exit_wish"] = "late_fill"  # the trade is over: what came late goes at once
    trade = draft.put(trade, **changes)
    if owner.leg == "foreign":
        _adopted(draft, trade, execution, "bought")
    elif first:
        _entered(draft, trade, execution)
    for other in [other for other in draft.live() if other.symbol == trade.symbol]:
        if other.trade_id != trade.trade_id and other.bought == 0:
            withdraw(draft, other, "an earlier entry was filled after all")
    if trade.plan.market:
        _slipped(draft, trade, (price - trade.plan.entry))


def _entered(draft: Draft, trade: Trade, execution: ExecutionReport) -> None:
    draft.audit("entered", trade_id=trade.trade_id, exec_id=execution.exec_id)
    draft.alert(
        "entry",
        f"entry:{trade.trade_id}",
        f"{trade.symbol} bought at {execution.exec_price:f}, stop {trade.stop_loss or 0:f}.",
        trade=trade,
        qty=execution.exec_qty,
        price=execution.exec_price,
        stop=trade.stop_loss or ZERO,
    )


def _sold(draft: Draft, trade: Trade, owner: Owner, execution: ExecutionReport) -> None:
    leg, qty = owner.leg, execution.exec_qty
    if leg == "foreign":
        qty = min(qty, trade.qty)  # what a person sells beyond it is not the trade's
    changes: dict[str, object] = {"sold": trade.sold + qty, "qty": trade.qty - qty}
    exit_kind = _exit_kind(trade, leg)
    if exit_kind:
        changes["exit_kind"] = exit_kind
    if leg == "stop":
        changes["stopped_ms"] = trade.stopped_ms or draft.at_ms
    if leg == "tp1":
        changes["tp1_filled"] = trade.tp1_filled + qty
    trade = draft.put(trade, **changes)
    if leg == "stop" and trade.stop_set is not None:
        _slipped(draft, trade, trade.stop_set - execution.exec_price)
    elif leg == "tp1":
        _target_filled(draft, trade, owner.order, execution)
    elif leg == "liquidation":
        _liquidated(draft, trade)
    elif leg in ("adl", "foreign"):
        _adopted(draft, trade, execution, "reduced by the venue" if leg == "adl" else "sold")


def _exit_kind(trade: Trade, leg: str) -> str:
    if leg == "stop":
        return trade.stop_kind
    if leg == "close":
        return trade.exit_wish or "close"
    return _EXIT_KINDS.get(leg, "")


def _slipped(draft: Draft, trade: Trade, worse: Decimal) -> None:
    """Remember the worst execution against its plan."""
    distance = trade.plan.entry - trade.plan.stop
    if distance > 0 and worse / distance > trade.slippage_r:
        draft.put(trade, slippage_r=worse / distance)


def _target_filled(
    draft: Draft, trade: Trade, order: OwnOrder | None, execution: ExecutionReport
) -> None:
    order = trade.order(order.link_id) if order is not None else None
    if trade.tp1_ms or (order is not None and not order.is_over):
        return
    trade = draft.put(trade, tp1_ms=max(execution.exec_time, 1))
    draft.audit("tp1", trade_id=trade.trade_id, qty=trade.tp1_filled)
    draft.alert(
        "tp1",
        f"tp1:{trade.trade_id}",
        f"{trade.symbol}: first target, {trade.tp1_filled:f} sold at {execution.exec_price:f}.",
        trade=trade,
        qty=trade.tp1_filled,
        price=execution.exec_price,
    )
    withdraw(draft, trade, "tp1")  # what rests below would buy after the target


def _liquidated(draft: Draft, trade: Trade) -> None:
    draft.audit("liquidated", trade_id=trade.trade_id, left=trade.qty)
    draft.alert(
        "stop",
        f"liquidation:{trade.trade_id}",
        f"{trade.symbol} was liquidated by the venue.",
        severity="critical",
        trade=trade,
    )
    day.count_liquidation(draft)


def _adopted(draft: Draft, trade: Trade, execution: ExecutionReport, what: str) -> None:
    draft.audit("adopted", trade_id=trade.trade_id, exec_id=execution.exec_id, what=what)
    draft.alert(
        "adopted",
        f"adopted:{execution.exec_id}",
        f"{trade.symbol}: {execution.exec_qty:f} {what} outside of this engine; {trade.qty:f} is "
        "led on.",
        severity="warning",
        trade=trade,
        qty=execution.exec_qty,
        left=trade.qty,
    )
