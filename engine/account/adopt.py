"""What people and the venue changed about a trade: taken over as it is, said once, never fought."""

from collections.abc import Iterable
from decimal import Decimal

from msgspec.structs import replace

from engine.account import exits
from engine.account.draft import Draft
from engine.account.fills import slot_key
from engine.account.state import ZERO, Slot, Trade
from engine.venue.reports import OrderReport, PositionReport
from engine.venue.view import is_covered

ODD_MS = 3_000  # news of a fill may be so much later than the position it made
STOP_ANSWER_MS = 10_000  # a stop that was asked for is not asked for again within


# ---------------------------------------------------------------------------- orders


def order(draft: Draft, trade: Trade, report: OrderReport) -> None:
    """Take over a quantity or a price that somebody gave one of our open orders."""
    own = trade.order(report.order_link_id)
    if own is None or own.state != "working" or own.change_ms or not report.is_open:
        return
    same = report.qty == own.qty and (report.price == own.price or own.order_type == "Market")
    if same:
        return
    draft.audit(
        "order_adopted", trade_id=trade.trade_id, link_id=own.link_id, qty=report.qty,
        price=report.price,
    )  # fmt: skip
    draft.alert(
        "adopted",
        f"order_adopted:{own.link_id}:{report.qty.normalize():f}:{report.price}",
        f"{trade.symbol}: your change of the {own.leg} order is kept "
        f"({report.qty:f} at {report.price or 0:f}).",
        severity="warning",
        trade=trade,
        qty=report.qty,
        price=report.price or ZERO,
    )
    draft.put_order(trade, replace(own, qty=report.qty, price=report.price, by_hand=True))


# ---------------------------------------------------------------------------- size


def size(draft: Draft, trade: Trade, position: PositionReport | None) -> tuple[Trade, bool]:
    """Bring a trade's holdings to what the venue shows; False while that is not certain yet.

    What executions explain has been booked before: then ledger and venue agree. What they do not
    explain (the venue's history is too short, or the news is on its way) is waited for, asked for,
    and taken over once it has stood for `ODD_MS`; until then the ledger is the base.
    """
    shown = _signed(position)
    slot = draft.state.slots.get(slot_key(trade.symbol, trade.position_idx))
    booked = slot.size if slot is not None else ZERO
    if shown == booked:
        if trade.differs_ms or trade.odd_ms:
            trade = draft.put(trade, differs_ms=0, differs_size=None, odd_ms=0, venue_size=shown)
        return _within(draft, trade, shown), True
    # Counted from a reading to a reading: what the stream says meanwhile is no whole picture.
    if not trade.differs_ms or trade.differs_size != shown:
        trade = draft.put(trade, differs_ms=draft.at_ms, differs_size=shown)
    elif draft.at_ms - trade.differs_ms >= ODD_MS:
        return _taken_over(draft, trade, position, shown), True
    draft.read_account(f"{trade.symbol}: {booked:f} in the ledger, {shown:f} at the venue")
    return trade, False


def _signed(position: PositionReport | None) -> Decimal:
    if position is None or not position.size:
        return ZERO
    return position.size if position.side == "Buy" else -position.size


def _within(draft: Draft, trade: Trade, shown: Decimal) -> Trade:
    """Lead no more than what is there."""
    there = max(shown, ZERO)
    if trade.qty <= there:
        return trade
    return _reduced(draft, trade, there)


def _taken_over(
    draft: Draft, trade: Trade, position: PositionReport | None, shown: Decimal
) -> Trade:
    """Take the venue's size for true, though nothing tells how it came about."""
    key = slot_key(trade.symbol, trade.position_idx)
    slots = {name: slot for name, slot in draft.state.slots.items() if name != key}
    if position is not None and shown:
        before = draft.state.slots.get(key)
        mark = position.mark_price or (before.mark if before is not None else None)
        slots[key] = Slot(size=shown, entry_price=position.entry_price or ZERO, mark=mark)
    draft.set(slots=slots)
    there = max(shown, ZERO)
    trade = draft.put(trade, differs_ms=0, differs_size=None, odd_ms=0, venue_size=shown)
    draft.audit("size_adopted", trade_id=trade.trade_id, before=trade.qty, after=shown)
    if there < trade.qty:
        return _reduced(draft, trade, there)
    more = there - trade.qty
    if not trade.bought or not more:
        return trade  # it was there before our entry: it is not ours to lead
    entry = (position.entry_price if position is not None else None) or trade.entry_price
    trade = draft.put(
        trade,
        qty=there,
        bought=trade.bought + more,
        bought_value=trade.bought_value + more * (entry or ZERO),
        entry_price=entry,
    )
    _tell_size(draft, trade, "more")
    return trade


def _reduced(draft: Draft, trade: Trade, there: Decimal) -> Trade:
    less = trade.qty - there
    trade = draft.put(trade, qty=there, sold=trade.sold + less, exit_kind="manual")
    _tell_size(draft, trade, "less")
    return trade


def _tell_size(draft: Draft, trade: Trade, what: str) -> None:
    draft.alert(
        "adopted",
        f"size_adopted:{trade.trade_id}:{trade.bought.normalize():f}:{trade.sold.normalize():f}",
        f"{trade.symbol}: there is {what} than this engine traded, and no execution tells why; "
        f"{trade.qty:f} is led on. What that earned or cost is not in its books.",
        severity="warning",
        trade=trade,
        qty=trade.qty,
    )


# ---------------------------------------------------------------------------- stops


def stop(
    draft: Draft, trade: Trade, position: PositionReport, listed: Iterable[OrderReport]
) -> None:
    """Keep a stop that somebody moved; restore one that is gone."""
    wanted = trade.stop_loss
    if wanted is None or trade.qty <= 0 or trade.exit_wish:
        return
    if not is_covered(position, listed):
        _restore(draft, trade, position, wanted)
        return
    stands = position.stop_loss
    if stands is None or stands <= 0 or stands == trade.stop_set == wanted:
        return  # covered by stops of another kind: a person's own way
    if stands > wanted:
        _keep(draft, trade, stands, tighter=True)
    elif trade.stop_set is not None and stands < trade.stop_set and _is_calm(draft, trade):
        _keep(draft, trade, stands, tighter=False)
    elif trade.stop_set is None or stands > trade.stop_set:
        draft.put(trade, stop_set=stands)  # the answer to a move was lost


def _is_calm(draft: Draft, trade: Trade) -> bool:
    """Tell whether our own last move is so old that no reading can be from before it."""
    return not trade.stop_ms or draft.at_ms - trade.stop_ms >= STOP_ANSWER_MS


def _restore(draft: Draft, trade: Trade, position: PositionReport, wanted: Decimal) -> None:
    mark = position.mark_price
    if mark is not None and ZERO < mark <= wanted:
        draft.audit("stop_too_late", trade_id=trade.trade_id, stop=wanted, mark=mark)
        exits.want(draft, trade, trade.stop_kind)
        return
    if trade.stop_ms and draft.at_ms - trade.stop_ms < STOP_ANSWER_MS:
        return
    draft.audit("stop_restored", trade_id=trade.trade_id, stop=wanted)
    draft.alert(
        "adopted",
        f"stop_restored:{trade.trade_id}:{draft.at_ms}",
        f"{trade.symbol}: the stop was gone; it is set again at {wanted:f}.",
        severity="critical",
        trade=trade,
        stop=wanted,
    )
    draft.move_stop(trade, wanted, "restore", stop_set=None)


def _keep(draft: Draft, trade: Trade, stands: Decimal, *, tighter: bool) -> None:
    before = trade.stop_loss
    draft.put(trade, stop_loss=stands, stop_set=stands, stop_ms=0)
    draft.audit("stop_adopted", trade_id=trade.trade_id, before=before, after=stands)
    moved = f"{trade.symbol}: the stop was moved to {stands:f} (it was {before or 0:f})"
    words = (
        f"{moved}; it is kept."
        if tighter
        else f"{moved}: more is at risk than this engine planned. It is kept; move it back, or "
        "close the trade, if you did not mean it."
    )
    draft.alert(
        "adopted",
        f"stop_adopted:{trade.trade_id}:{stands.normalize():f}",
        words,
        severity="info" if tighter else "critical",
        trade=trade,
        stop=stands,
    )
