"""What became of what was asked: placed, refused, unknown; cancelled, changed; leverage."""

from msgspec.structs import replace

from engine.account import day, exits, manage, orders
from engine.account.draft import Draft
from engine.account.entry import withdraw
from engine.account.links import parse_link
from engine.account.messages import (
    CancelAnswered,
    LeverageAnswered,
    NotPlaced,
    Placed,
    SentUnknown,
    VenueTrouble,
    ViewLost,
)
from engine.account.state import OwnOrder, Trade
from engine.venue.codes import Action, Proof, verdict


def find(draft: Draft, link_id: str) -> tuple[Trade, OwnOrder] | None:
    """Return one of our orders with its trade."""
    link = parse_link(link_id)
    trade = draft.trade(link.trade_id) if link is not None else None
    order = trade.order(link_id) if trade is not None else None
    return (trade, order) if trade is not None and order is not None else None


def on_placed(draft: Draft, message: Placed) -> None:
    """Take in that the venue has an order; one that was to go is cancelled at once."""
    found = find(draft, message.link_id)
    if found is None:
        return
    trade, before = found
    order = orders.placed(before, message.order_id)
    if order == before:
        return
    changes = {}
    if order.leg == "entry" and order.state == "working" and trade.status == "pending":
        changes["status"] = "resting"
        draft.audit("entry_resting", trade_id=trade.trade_id, order_id=order.order_id)
    trade = draft.put_order(trade, order, **changes)
    if order.cancel and order.state == "working":
        draft.cancel(trade, order, order.cancel)


def on_not_placed(draft: Draft, message: NotPlaced) -> None:
    """Take in that there is no order of an intent, and none will come."""
    found = find(draft, message.link_id)
    if found is None:
        return
    trade, before = found
    gone = "refused" if message.code else "absent"
    if before.state == "working":
        gone = "done"  # it was taken in, and the venue proves to have it no more
    order = orders.moved(before, gone)
    if order.state == before.state:
        return
    order = replace(order, code=message.code, text=message.text)
    trade = draft.put_order(trade, order)
    draft.audit(
        "not_placed", trade_id=trade.trade_id, link_id=order.link_id, code=message.code,
        text=message.text,
    )  # fmt: skip
    said = verdict(message.code, message.text)
    if message.code and said.action is Action.STOP_USER:
        manage.refuse_key(draft, message.code, message.text)
    exits.not_placed(draft, trade, order)


def on_unknown(draft: Draft, message: SentUnknown) -> None:
    """Take in that nobody knows: the order counts for risk until the venue has said."""
    found = find(draft, message.link_id)
    if found is None:
        return
    trade, before = found
    order = orders.moved(before, "unknown")
    if order.state != before.state:
        draft.put_order(trade, order)
        draft.audit("unknown", trade_id=trade.trade_id, link_id=order.link_id)


def on_cancelled(draft: Draft, message: CancelAnswered) -> None:
    """Take in what became of a cancellation or an amendment; the order's end comes by itself."""
    found = find(draft, message.link_id)
    if found is None:
        return
    trade, order = found
    said = verdict(message.code, message.text, op="cancel" if order.cancel else "amend")
    if said.action is Action.STOP_USER:
        manage.refuse_key(draft, message.code, message.text)
    if order.cancel:
        if message.ok:
            draft.put_order(trade, replace(order, cancel_done=True))
        elif said.action in (Action.ORDER_ENDED, Action.QUERY):
            draft.read_account(f"{trade.symbol}: an order to cancel was not found")
    elif order.change_ms and (message.ok or message.code):  # else nobody knows: asked for again
        taken = message.ok or said.proof is Proof.TAKEN
        draft.put_order(trade, orders.changed(order) if taken else orders.not_changed(order))


def on_leverage(draft: Draft, message: LeverageAnswered) -> None:
    """Take in a coin's leverage; at a wrong one nothing is entered (the executor withholds it).

    Neither yes nor a code is no answer: what nobody confirmed is set again before the next entry.
    """
    said = verdict(message.code, message.text, op="leverage")
    if message.ok or (message.code and said.proof is Proof.TAKEN):
        draft.set(leverage={**draft.state.leverage, message.symbol: message.leverage})
        return
    known = {name: x for name, x in draft.state.leverage.items() if name != message.symbol}
    draft.set(leverage=known)
    draft.audit("leverage_refused", symbol=message.symbol, code=message.code, text=message.text)
    if said.action is Action.STOP_USER:
        manage.refuse_key(draft, message.code, message.text)
    trade = draft.of_symbol(message.symbol)
    if trade is not None and trade.bought == 0:
        withdraw(draft, trade, "leverage refused")


def on_trouble(draft: Draft, message: VenueTrouble) -> None:
    """Count an error of the venue."""
    draft.audit("venue_error", what=message.what, code=message.code)
    day.count_error(draft)


def on_lost(draft: Draft, message: ViewLost) -> None:
    """Enter nothing until the account has been read again; what rests is under its stop."""
    if draft.state.read_ms:
        draft.audit("view_lost", reason=message.reason)
    draft.set(read_ms=0, lost_reason=message.reason or "the stream fell")
    _forget_leverage(draft)
    if message.key_refused:
        manage.refuse_key(draft, 0, message.reason)


def _forget_leverage(draft: Draft) -> None:
    """Forget what no reading will tell anew: of a coin without a position nobody lists it."""
    state = draft.state
    held = {trade.symbol for trade in draft.live()}
    held |= {key.partition("/")[0] for key in state.slots}
    kept = {symbol: x for symbol, x in state.leverage.items() if symbol in held}
    if kept != state.leverage:
        draft.set(leverage=kept)
