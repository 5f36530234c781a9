"""What a whole reading of the account proves, against the ledger: repairs, adoption, differences.

A person, the venue and other programs may change the account at any time. What they did is adopted
and never fought; what protects is restored; what cannot be explained blocks entries until a
reading agrees. A reading is judged as a whole, twice is once, and a restart in between changes
nothing: everything that is remembered stands in the state.
"""

from engine.account import adopt, day
from engine.account.answers import find
from engine.account.commands import CancelOrder
from engine.account.draft import Draft
from engine.account.fills import book, slot_key
from engine.account.links import parse_link
from engine.account.messages import AccountRead
from engine.account.seen import mark_of, take_order, take_wallet
from engine.account.state import ZERO, Slot, Trade
from engine.venue.reports import OrderReport, PositionReport

PORTFOLIO = "PORTFOLIO_MARGIN"
_WORDS = {
    "hedge": "the account is in hedge mode; this engine needs one-way mode. No entries.",
    "portfolio_margin": "the account uses portfolio margin, which this engine cannot judge. "
    "No entries.",
    "incomplete": "a part of the account could not be read. No entries until it can.",
}


def on_read(draft: Draft, read: AccountRead) -> None:
    """Reconcile with one reading."""
    for execution in sorted(read.executions, key=lambda e: (e.exec_time, e.seq, e.exec_id)):
        book(draft, execution)
    if read.wallet is not None:
        take_wallet(draft, read.wallet)
    found: list[str] = [] if read.complete else ["incomplete"]
    found += _modes(draft, read)
    found += _orders(draft, read)
    if read.complete:
        found += _positions(draft, read)
        draft.set(read_ms=draft.at_ms, lost_reason="", key_refused=False)
    day.roll(draft)  # after the positions: what they had brought before is none of this day's
    day.judge(draft)
    _tell_differences(draft, tuple(sorted(set(found))))


# ---------------------------------------------------------------------------- modes


def _modes(draft: Draft, read: AccountRead) -> list[str]:
    found = []
    if any(p.position_idx for p in read.positions) or any(o.position_idx for o in read.orders):
        found.append("hedge")
    mode, known = read.margin_mode, draft.state.margin_mode
    if mode == PORTFOLIO:
        found.append("portfolio_margin")
    if mode and mode != known:
        draft.set(margin_mode=mode)
        draft.audit("margin_mode", before=known, after=mode)
        if known and mode != PORTFOLIO:
            words = f"The account's margin mode is now {mode} (it was {known})."
            event = f"margin_mode:{mode}:{draft.at_ms}"
            draft.alert("adopted", event, words, severity="warning")
    return found


# ---------------------------------------------------------------------------- orders


def _orders(draft: Draft, read: AccountRead) -> list[str]:
    """Take in our open orders. One that is not listed is not over: its fate is asked for."""
    for report in sorted(read.orders, key=lambda o: o.order_id):
        found = find(draft, report.order_link_id)
        if found is not None:
            trade = take_order(draft, *found, report)
            _take_back(draft, trade, report)
            adopt.order(draft, trade, report)
    return _lost_orders(draft, read)


def _take_back(draft: Draft, trade: Trade, report: OrderReport) -> None:
    """Cancel an order that works and is believed over: nobody would look after it."""
    order = trade.order(report.order_link_id)
    if order is None or not report.is_open or order.state != "done":
        return
    if order.booked_qty < order.qty:  # else its last fill is known before its end
        draft.audit("order_alive", trade_id=trade.trade_id, link_id=order.link_id)
        draft.cancel(trade, order, "was over")


def _lost_orders(draft: Draft, read: AccountRead) -> list[str]:
    """Take back our open entries whose trade the ledger has lost (an old backup was restored)."""
    found = []
    for report in sorted(read.orders, key=lambda o: o.order_id):
        link = parse_link(report.order_link_id)
        if link is None or not report.is_open or draft.trade(link.trade_id) is not None:
            continue
        name = f"order:{report.order_link_id}"
        found.append(name)
        if name not in draft.state.differences and not report.reduce_only:
            command = CancelOrder(
                link_id=report.order_link_id,
                trade_id=link.trade_id,
                symbol=report.symbol,
                reason="not in the ledger",
            )
            draft.commands.append(command)
            draft.audit("lost_order", link_id=report.order_link_id, symbol=report.symbol)
    return found


# ---------------------------------------------------------------------------- positions


def _positions(draft: Draft, read: AccountRead) -> list[str]:
    held = {(p.symbol, p.position_idx): p for p in read.positions if p.size}
    ours = {(trade.symbol, trade.position_idx): trade for trade in draft.live()}
    found = []
    for key, trade in ours.items():
        position = held.get(key)
        _leverage(draft, trade.symbol, position)
        now, agrees = adopt.size(draft, trade, position)
        if not agrees:
            found.append(f"size:{trade.symbol}")
        elif position is not None and now.qty > 0:
            adopt.stop(draft, now, position, read.orders)
    foreign = {key: p for key, p in held.items() if key not in ours}
    _foreign(draft, foreign, {slot_key(*key) for key in ours})
    locked = tuple(sorted({p.symbol for p in read.positions if p.is_reduce_only}))
    if locked != draft.state.reduce_only:
        draft.set(reduce_only=locked)
    return found


def _leverage(draft: Draft, symbol: str, position: PositionReport | None) -> None:
    """Go by the leverage that is in force, and say so where somebody changed it."""
    stands = position.leverage if position is not None else None
    known = draft.state.leverage.get(symbol)
    if stands is None or stands == known:
        return
    draft.set(leverage={**draft.state.leverage, symbol: stands})
    if known is None:
        return
    draft.audit("leverage_changed", symbol=symbol, before=known, after=stands)
    draft.alert(
        "adopted",
        f"leverage:{symbol}:{stands.normalize():f}:{draft.at_ms}",
        f"{symbol}: leverage is now {stands.normalize():f} (it was {known.normalize():f}); "
        "entries go by what the venue says.",
        severity="warning",
        symbol=symbol,
    )


def _foreign(draft: Draft, held: dict[tuple[str, int], PositionReport], ours: set[str]) -> None:
    """Know the positions that are none of ours, tell of each once, touch none."""
    slots = {name: slot for name, slot in draft.state.slots.items() if name in ours}
    for key, position in sorted(held.items()):
        _leverage(draft, position.symbol, position)
        slots[slot_key(*key)] = slot_of(position)
    if slots != draft.state.slots:
        draft.set(slots=slots)
    names = tuple(slot_key(*key) for key in sorted(held))
    for name in names:
        if name not in draft.state.foreign:
            draft.audit("foreign_position", symbol=name)
            draft.alert(
                "adopted",
                f"foreign:{name}:{draft.at_ms}",
                f"{name}: you hold a position that is not from this engine; it is left alone.",
                symbol=name,
            )
    if names != draft.state.foreign:
        draft.set(foreign=names)


def slot_of(position: PositionReport) -> Slot:
    """Return a position as the ledger keeps it."""
    sign = 1 if position.side == "Buy" else -1
    size = sign * position.size
    return Slot(size=size, entry_price=position.entry_price or ZERO, mark=mark_of(position))


# ---------------------------------------------------------------------------- differences


def _tell_differences(draft: Draft, found: tuple[str, ...]) -> None:
    """Remember what does not fit, tell of it once, and say when it fits again."""
    before = draft.state.differences
    if found == before:
        return
    draft.set(differences=found)
    draft.audit("differences", before=", ".join(before), after=", ".join(found))
    for name in found:
        if name not in before:
            words = _WORDS.get(name) or _unexplained(name)
            event = f"difference:{name}:{draft.at_ms}"
            # a size may differ for a moment, while the news of a fill is on its way
            severity = "warning" if name.startswith("size:") else "critical"
            draft.alert("error", event, f"Account: {words}", severity=severity)
    if not found:
        draft.alert("adopted", f"agrees:{draft.at_ms}", "Account and ledger agree again.")


def _unexplained(name: str) -> str:
    kind, _, what = name.partition(":")
    if kind == "order":
        return f"an order of this engine ({what}) is not in its ledger. No entries."
    return f"{what}: the position is another than the ledger's. No entries until they agree."
