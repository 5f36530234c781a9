"""The order state machine against its own table: no unlisted move, no figure that falls."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from engine.account import orders
from engine.account.state import OwnOrder
from engine.venue.reports import OrderReport

D = Decimal
STATES = ("new", "unknown", "working", "done", "absent", "refused")
MADE = OwnOrder(
    link_id="ze1", leg="entry", attempt=1, side="Buy", order_type="Limit", qty=D(10), price=D(99)
)
# From the papers, not from the code: what may become of what.
LISTED = {
    "new": "unknown working done absent refused",
    "unknown": "working done absent refused",
    "working": "done",
    "done": "",
    "absent": "done",
    "refused": "done",
}


def of(state: str, **changes: object) -> OwnOrder:
    return replace(MADE, state=state, **changes)


def report(status: str = "New", **changes: object) -> OrderReport:
    fields: dict[str, object] = {
        "order_id": "o1",
        "order_link_id": "ze1",
        "symbol": "AAAUSDT",
        "side": "Buy",
        "order_type": "Limit",
        "order_status": status,
        "qty": D(10),
        "price": D(99),
    }
    return OrderReport(**(fields | changes))


@pytest.mark.parametrize("before", STATES)
@pytest.mark.parametrize("wanted", STATES)
def test_only_listed_moves_are_made(before: str, wanted: str) -> None:
    after = orders.moved(of(before), wanted)
    allowed = wanted in LISTED[before].split()
    assert after == (of(wanted) if allowed else of(before))


@pytest.mark.parametrize("before", STATES)
def test_placed(before: str) -> None:
    after = orders.placed(of(before), "o1")
    assert after.state == ("working" if before in ("new", "unknown") else before)
    assert after.order_id == "o1"
    assert orders.placed(of(before, order_id="o0"), "o1").order_id == "o0"


@pytest.mark.parametrize("before", STATES)
def test_an_open_report_makes_it_work_unless_it_is_over(before: str) -> None:
    after = orders.reported(of(before), report(cum_exec_qty=D(3)))
    working = before in ("new", "unknown", "working")
    assert after.state == ("working" if working else before)
    assert (after.order_id, after.cum_qty, after.text, after.ended_by) == ("o1", 3, "", "")


@pytest.mark.parametrize("before", ["new", "unknown", "working"])
@pytest.mark.parametrize(
    ("status", "text"), [("Cancelled", ""), ("Rejected", "EC_Why"), ("Filled", "")]
)
def test_an_ended_report_ends_it_and_says_why(before: str, status: str, text: str) -> None:
    said = report(status, cancel_type="CancelByUser", reject_reason="EC_Why")
    after = orders.reported(of(before), said)
    assert (after.state, after.text, after.ended_by) == ("done", text, "CancelByUser")


def test_what_is_over_hears_no_second_end() -> None:
    said = report("Rejected", cancel_type="CancelByUser", reject_reason="EC_Why")
    for state in ("absent", "refused"):
        after = orders.reported(of(state), said)
        assert (after.state, after.text, after.ended_by) == (state, "", "")
        proven = orders.reported(of(state), report("Filled", cum_exec_qty=D(1)))
        assert proven.state == "done"
    after = orders.reported(of("done", ended_by="CancelByAdmin"), said)
    assert (after.state, after.text, after.ended_by) == ("done", "", "CancelByAdmin")


def test_a_filled_figure_never_falls() -> None:
    after = orders.reported(of("working", cum_qty=D(5)), report(cum_exec_qty=D(3)))
    assert after.cum_qty == 5
    assert orders.filled(of("working", cum_qty=D(5)), D(2)).cum_qty == 5
    assert orders.filled(of("working", cum_qty=D(5), booked_qty=D(4)), D(2)).cum_qty == 6


def test_an_amendment_comes_true_where_quantity_and_price_are_as_asked() -> None:
    asked = of("working", change_ms=7, change_qty=D(8), change_price=D(98))
    for qty, price, true in (("8", "98", True), ("8", "99", False), ("10", "98", False)):
        after = orders.reported(asked, report(qty=D(qty), price=D(price)))
        assert (after.qty, after.price, after.change_ms) == (
            (D(8), D(98), 0) if true else (D(10), D(99), 7)
        )
    assert orders.reported(of("working"), report(qty=D(0), price=None)) == of(
        "working", order_id="o1"
    )


def test_a_refused_amendment_is_counted_and_ends_what_is_filled() -> None:
    after = orders.not_changed(of("working", change_ms=7, changes_failed=2, booked_qty=D(9)))
    assert (after.state, after.change_ms, after.changes_failed) == ("working", 0, 3)
    assert orders.not_changed(of("working", change_ms=7, booked_qty=D(10))).state == "done"


@pytest.mark.parametrize("before", STATES)
def test_a_fill_makes_it_work_and_the_last_one_ends_it(before: str) -> None:
    part = orders.filled(of(before, booked_qty=D(1)), D(4))
    assert (part.booked_qty, part.cum_qty) == (5, 5)
    over = before in ("done", "absent", "refused")
    assert part.state == ("done" if over else "working")
    assert orders.filled(of(before, booked_qty=D(1)), D(9)).state == "done"


def test_while_an_amendment_is_under_way_the_larger_quantity_is_whole() -> None:
    asked = of("working", change_ms=7, change_qty=D(12))
    assert orders.filled(asked, D(10)).state == "working"
    assert orders.filled(asked, D(12)).state == "done"
    assert orders.filled(replace(asked, change_ms=0), D(10)).state == "done"
    assert orders.filled(replace(asked, change_qty=D(5)), D(9)).state == "working"


def test_what_may_still_be_filled() -> None:
    assert orders.open_qty(None) == 0
    assert orders.open_qty(of("working", booked_qty=D(4), cum_qty=D(6))) == 6
    assert orders.open_qty(of("done", booked_qty=D(4), cum_qty=D(6))) == 2
    assert orders.open_qty(of("done", booked_qty=D(6), cum_qty=D(6))) == 0
    for state in ("absent", "refused"):
        assert orders.open_qty(of(state)) == 0
