"""What protects a position: attached pairs, trading stops, trailing stops, pairs that cancel."""

import pytest

from engine.venue.exchange.book import BookModel
from engine.venue.words import OrderType, TpslMode, TriggerBy
from tests.engine.venue.desk import (
    BUY,
    SELL,
    D,
    Desk,
    accepted,
    fills,
    orders,
    refused,
)

PARTIAL = TpslMode.PARTIAL


@pytest.fixture
def desk() -> Desk:
    return Desk()


def live(desk: Desk, kind: str) -> list:
    return [(order.side, order.qty, order.trigger_price) for order in desk.open_orders(kind)]


def test_an_attached_pair_is_not_live_before_its_order_fills(desk: Desk) -> None:
    order_id = accepted(
        desk.create(BUY, "2", "95", take_profit="110", stop_loss="90", order_link_id="entry")
    )
    assert len(desk.open_orders()) == 1
    events = desk.price("94")
    assert live(desk, "StopLoss") == [(SELL, 2, 90)]
    assert live(desk, "TakeProfit") == [(SELL, 2, 110)]
    child = desk.open_orders("StopLoss")[0]
    assert (child.order_link_id, child.parent_order_link_id) == ("", "entry")
    assert child.create_type == "CreateByStopLoss"
    assert orders(events)[0].order_id == order_id


def test_a_full_stop_follows_the_size_of_the_position(desk: Desk) -> None:
    desk.create(BUY, "4", "99.6", stop_loss="90")
    desk.prints("99.5", "1", SELL)
    assert live(desk, "StopLoss") == [(SELL, 1, 90)]
    desk.prints("99.5", "9", SELL)
    assert live(desk, "StopLoss") == [(SELL, 4, 90)]
    desk.create(SELL, "3")
    assert live(desk, "StopLoss") == [(SELL, 1, 90)]
    events = orders(desk.create(SELL, "1"))
    assert (events[-1].order_status, events[-1].cancel_type) == (
        "Deactivated",
        "CancelByTpSlTsClear",
    )


def test_a_later_orders_pair_replaces_the_first(desk: Desk) -> None:
    desk.create(BUY, "1", stop_loss="90", take_profit="120")
    desk.create(BUY, "1", stop_loss="95")
    assert live(desk, "StopLoss") == [(SELL, 2, 95)]
    assert live(desk, "TakeProfit") == [(SELL, 2, 120)]


def test_a_moved_stop_survives_the_next_fill_of_its_order(desk: Desk) -> None:
    desk.create(BUY, "4", "99.6", stop_loss="90")
    desk.prints("99.5", "1", SELL)
    desk.protect(stop_loss="95")
    desk.prints("99.5", "9", SELL)
    assert live(desk, "StopLoss") == [(SELL, 4, 95)]


def test_a_stop_fires_and_takes_its_pair_along(desk: Desk) -> None:
    desk.create(BUY, "1", stop_loss="95", take_profit="105")
    events = desk.price("94")
    told = [(o.stop_order_type, o.order_status) for o in orders(events)]
    assert told == [
        ("StopLoss", "Triggered"),
        ("StopLoss", "Filled"),
        ("TakeProfit", "Deactivated"),
    ]
    assert fills(events)[0].exec_price == D("93.9")  # the bid of the new price, not the trigger
    assert fills(events)[0].closed_size == 1
    assert not desk.open_orders()
    assert desk.position().side is None


def test_a_stop_already_passed_when_its_order_fills_fires_at_once(desk: Desk) -> None:
    desk.create(BUY, "1", "95", stop_loss="90")
    desk.price("80")
    assert [each.exec_price for each in desk.account.executions] == [95, D("79.9")]


def test_mark_price_triggers(desk: Desk) -> None:
    desk.create(BUY, "1", stop_loss="95", sl_trigger_by=TriggerBy.MARK)
    assert not fills(desk.price("94", mark="96"))
    assert fills(desk.price("96", mark="95"))


def test_a_stop_without_a_book_leaves_the_position_bare() -> None:
    desk = Desk(book=BookModel(7, level_usdt=D(100), levels=2))
    desk.create(BUY, "1.5", stop_loss="95")
    desk.price("100")
    desk.create(BUY, "1.5")
    ended = orders(desk.price("94"))[1]
    assert (ended.order_status, ended.stop_order_type) == ("Cancelled", "StopLoss")
    assert 0 < ended.cum_exec_qty < 3
    assert desk.position().stop_loss is None
    assert not desk.open_orders("StopLoss")


def test_trading_stop_full(desk: Desk) -> None:
    assert refused(desk.protect(stop_loss="90")) == 10001  # nothing to protect
    desk.create(BUY, "2")
    assert refused(desk.protect(stop_loss="101")) == 10001
    assert refused(desk.protect(take_profit="99")) == 10001
    assert refused(desk.protect(stop_loss="90.05")) == 10001
    assert refused(desk.protect()) == 34040
    wrong = {"stop_loss": "90", "sl_order_type": OrderType.LIMIT, "sl_limit_price": "89"}
    assert refused(desk.protect(**wrong)) == 10001
    events = desk.protect(stop_loss="90", take_profit="120")
    assert accepted(events) == ""  # no id is told
    first = desk.open_orders("StopLoss")[0].order_id
    assert refused(desk.protect(stop_loss="90")) == 34040
    desk.protect(stop_loss="95")
    assert desk.open_orders("StopLoss")[0].order_id == first  # the same order, moved
    assert live(desk, "StopLoss") == [(SELL, 2, 95)]
    desk.protect(stop_loss="0")
    assert (live(desk, "StopLoss"), desk.position().stop_loss) == ([], None)
    assert live(desk, "TakeProfit") == [(SELL, 2, 120)]


def test_cancelling_or_amending_a_stop_shows_in_the_position(desk: Desk) -> None:
    desk.create(BUY, "1", stop_loss="90", take_profit="120")
    stop = desk.open_orders("StopLoss")[0].order_id
    desk.amend(stop, trigger_price="92")
    assert desk.position().stop_loss == 92
    assert refused(desk.amend(stop, qty="0.5")) == 110060
    assert orders(desk.cancel(stop))[0].order_status == "Deactivated"
    assert desk.position().stop_loss is None
    assert desk.position().take_profit == 120


def test_partial_stops_only_add(desk: Desk) -> None:
    desk.create(BUY, "2")
    assert refused(desk.protect(PARTIAL, take_profit="110")) == 10001
    assert refused(desk.protect(PARTIAL, take_profit="110", tp_size="3")) == 110058
    pair = {"take_profit": "110", "stop_loss": "90"}
    assert refused(desk.protect(PARTIAL, **pair, tp_size="1", sl_size="0.5")) == 10001
    for _ in range(2):
        desk.protect(PARTIAL, **pair, tp_size="1", sl_size="1")
    assert len(desk.open_orders("PartialTakeProfit")) == 2
    assert desk.position().stop_loss is None
    for _ in range(18):
        desk.protect(PARTIAL, **pair, tp_size="1", sl_size="1")
    assert refused(desk.protect(PARTIAL, **pair, tp_size="1", sl_size="1")) == 110061


@pytest.mark.parametrize(
    ("price", "gone", "why"),
    [
        ("106", "PartialStopLoss", "CancelByOCOSlCanceledByTpTriggered"),
        ("94", "PartialTakeProfit", "CancelByOCOTpCanceledBySlTriggered"),
    ],
)
def test_the_two_of_a_pair_cancel_each_other(desk: Desk, price: str, gone: str, why: str) -> None:
    desk.create(BUY, "2")
    desk.protect(PARTIAL, take_profit="105", stop_loss="95", tp_size="1", sl_size="1")
    events = orders(desk.price(price))
    sibling = next(order for order in events if order.stop_order_type == gone)
    assert (sibling.order_status, sibling.cancel_type) == ("Deactivated", why)
    assert desk.position().size == 1
    assert not desk.open_orders()


def test_a_partial_take_profit_may_be_a_limit_order(desk: Desk) -> None:
    desk.create(BUY, "2")
    legs = {"take_profit": "110", "tp_size": "1", "tp_order_type": OrderType.LIMIT}
    assert refused(desk.protect(PARTIAL, **legs)) == 10001
    desk.protect(PARTIAL, **legs, tp_limit_price="111")
    rested = orders(desk.price("110"))[-1]
    assert (rested.order_status, rested.price, rested.order_type) == ("New", 111, "Limit")
    assert fills(desk.price("111.1"))[0].is_maker


@pytest.mark.parametrize(("each", "children"), [(False, [3]), (True, [1, 2])])
def test_attached_partial_pairs_take_what_was_filled(*, each: bool, children: list[int]) -> None:
    desk = Desk(one_child_per_fill=each)
    desk.create(BUY, "5", "99.6", tpsl_mode=PARTIAL, stop_loss="90", take_profit="110")
    desk.prints("99.5", "1", SELL)
    desk.prints("99.5", "2", SELL)
    assert [order.qty for order in desk.open_orders("PartialStopLoss")] == children
    assert [order.qty for order in desk.open_orders("PartialTakeProfit")] == children


def test_trailing_stop_from_the_present_price(desk: Desk) -> None:
    desk.create(BUY, "1")
    desk.protect(trailing_stop="2")
    order = desk.open_orders("TrailingStop")[0]
    assert order.trigger_price == 100
    for price in ("101", "99.1", "103"):
        assert not fills(desk.price(price))
    assert not fills(desk.price("101.1"))
    got = desk.price("101")  # 103 less 2
    assert orders(got)[-1].stop_order_type == "TrailingStop"
    assert fills(got)[0].exec_price == D("100.9")
    assert desk.position().trailing_stop is None


def test_trailing_stop_waits_for_its_activation(desk: Desk) -> None:
    desk.create(SELL, "1")
    desk.protect(trailing_stop="2", active_price="97")
    assert desk.open_orders("TrailingStop")[0].trigger_price == 97
    for price in ("105", "97.5", "104"):
        assert not fills(desk.price(price))
    desk.price("97")  # starts: the first stop is 99
    assert not fills(desk.price("98.9"))
    assert fills(desk.price("99"))
    assert desk.position().side is None


def test_trailing_and_full_stop_live_side_by_side(desk: Desk) -> None:
    desk.create(BUY, "1", stop_loss="90")
    desk.protect(trailing_stop="3")
    assert len(desk.open_orders()) == 2
    desk.price("97")
    assert not desk.open_orders()
    assert refused(desk.protect(trailing_stop="0")) == 10001


def test_reduce_only_orders_carry_no_pair(desk: Desk) -> None:
    desk.create(BUY, "1")
    assert refused(desk.create(SELL, "1", "110", reduce_only=True, stop_loss="120")) == 10001


def test_full_and_limit_do_not_go_together(desk: Desk) -> None:
    wrong = {"take_profit": "110", "tp_order_type": OrderType.LIMIT, "tp_limit_price": "110"}
    assert refused(desk.create(BUY, "1", **wrong)) == 10001
    accepted(desk.create(BUY, "1", tpsl_mode=PARTIAL, **wrong))
