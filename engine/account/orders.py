"""The order state machine: from a wish to the venue's last word, by listed transitions only.

An order is `new` from the moment it is decided (it counts for risk from then on), `unknown` while
nobody knows what became of its sending, `working` where the venue has it, and then over: `done`
(filled or cancelled, in whole or in part), `refused`, or `absent` (never taken). What is over stays
over; only a fill that the venue proves may still turn `absent` and `refused` into `done`.
"""

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

from msgspec.structs import replace

from engine.account.links import ATTEMPT_MAX, link_id_of
from engine.account.state import ZERO, OwnOrder, Trade
from engine.venue.reports import OrderReport

MOVES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "new": frozenset({"unknown", "working", "done", "absent", "refused"}),
        "unknown": frozenset({"working", "done", "absent", "refused"}),
        "working": frozenset({"done"}),
        "done": frozenset(),
        "absent": frozenset({"done"}),
        "refused": frozenset({"done"}),
    }
)
IN_FLIGHT = frozenset({"new", "unknown"})
MAY_ACT = frozenset({"new", "unknown", "working"})


def moved(order: OwnOrder, state: str) -> OwnOrder:
    """Return the order in another state; unchanged where the move is not listed."""
    return replace(order, state=state) if state in MOVES[order.state] else order


def make(
    trade: Trade,
    leg: str,
    side: str,
    order_type: str,
    qty: Decimal,
    price: Decimal | None,
    now_ms: int,
    expires_ms: int = 0,
) -> OwnOrder:
    """Return the next attempt at a leg."""
    made = [order.attempt for order in trade.orders if order.leg == leg]
    attempt = min(max(made, default=0) + 1, ATTEMPT_MAX)
    return OwnOrder(
        link_id=link_id_of(trade.trade_id, leg, attempt),
        leg=leg,
        attempt=attempt,
        side=side,
        order_type=order_type,
        qty=qty,
        price=price,
        made_ms=now_ms,
        expires_ms=expires_ms,
    )


def placed(order: OwnOrder, order_id: str) -> OwnOrder:
    """Take in that the venue has the order."""
    return replace(moved(order, "working"), order_id=order.order_id or order_id)


def reported(order: OwnOrder, report: OrderReport) -> OwnOrder:
    """Take in how the venue described the order; an older or doubled report changes nothing."""
    cum = max(order.cum_qty, report.cum_exec_qty)
    order = replace(order, order_id=order.order_id or report.order_id, cum_qty=cum)
    if order.change_ms and report.qty == order.change_qty and report.price == order.change_price:
        order = changed(order)
    if report.is_open:
        return moved(order, "working")
    if order.state in ("absent", "refused") and not cum:
        return order
    ended = moved(order, "done")
    if ended.state == order.state:
        return order
    why = report.reject_reason if report.order_status == "Rejected" else ""
    return replace(ended, text=why, ended_by=report.cancel_type)


def changed(order: OwnOrder) -> OwnOrder:
    """Take in that an amendment has come true."""
    return replace(order, qty=order.change_qty, price=order.change_price, change_ms=0)


def not_changed(order: OwnOrder) -> OwnOrder:
    """Take in that an amendment was refused: the order is what it was, or has ended."""
    order = replace(order, change_ms=0, changes_failed=order.changes_failed + 1)
    return moved(order, "done") if order.booked_qty >= order.qty else order


def filled(order: OwnOrder, qty: Decimal) -> OwnOrder:
    """Take in a fill that was booked."""
    booked = order.booked_qty + qty
    order = replace(order, booked_qty=booked, cum_qty=max(order.cum_qty, booked))
    whole = max(order.qty, order.change_qty) if order.change_ms else order.qty
    if booked >= whole or order.state in ("absent", "refused"):
        return moved(order, "done")
    return moved(order, "working")


def open_qty(order: OwnOrder | None) -> Decimal:
    """Return how much of an order may still be filled, or is filled and not booked yet."""
    if order is None or order.is_over:
        return ZERO
    if order.state == "done":
        return order.cum_qty - order.booked_qty
    return order.qty - order.booked_qty
