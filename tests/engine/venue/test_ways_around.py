"""Ways around a rule, through the door beside it: amendments, triggers, new rules, gaps."""

from dataclasses import replace
from typing import Any

import pytest

from engine.venue.exchange.book import BookModel
from engine.venue.exchange.commands import (
    ConfirmPendingMmr,
    Deleverage,
    Funding,
    ListInstrument,
    SetReduceOnly,
    SwitchMode,
)
from engine.venue.exchange.events import OrderChanged, PositionChanged
from engine.venue.words import MarginMode, OrderType, PositionMode, TpslMode
from tests.engine.venue.desk import (
    BUY,
    SELL,
    SYMBOL,
    TIERS,
    D,
    Desk,
    accepted,
    contract,
    fills,
    of,
    refused,
)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def thin() -> Desk:
    return Desk(book=BookModel(7, level_usdt=D(200), levels=1))


def test_a_conditional_close_cannot_be_split_without_end(desk: Desk) -> None:
    """Its quantity is not bounded by the position: the count of its parts is."""
    desk.create(BUY, "1")
    stop: dict[str, Any] = {"trigger_price": "90", "trigger_direction": 2, "reduce_only": True}
    assert refused(desk.create(SELL, "1000000000000000", **stop)) == 110009
    assert refused(desk.create(SELL, "11000", **stop)) == 110009  # eleven parts
    accepted(desk.create(SELL, "9000", **stop))
    assert len(desk.open_orders("Stop")) == 9
    assert refused(desk.create(SELL, "2000", **stop)) == 110009
    limits = Desk(equity="1000000", instrument=contract(max_order_qty=D(1)))
    for _ in range(3):
        limits.create(BUY, "300")
    assert refused(limits.create(SELL, "600", "110", reduce_only=True)) == 110020


def test_amending_does_not_pass_what_the_door_refuses() -> None:
    desk = Desk(equity="1000000", instrument=contract(max_mkt_order_qty=D(5_000)))
    desk.leverage("50")
    assert refused(desk.create(BUY, "2100", "99")) == 110090
    resting = accepted(desk.create(BUY, "1000", "99"))
    assert refused(desk.amend(resting, qty="2100")) == 110090
    accepted(desk.amend(resting, qty="1900"))
    accepted(desk.amend(resting, price="98"))
    desk.create(BUY, "50", "97")
    desk.do(SetReduceOnly(uid=1, symbol=SYMBOL))
    assert refused(desk.amend(resting, qty="1950")) == 110023
    accepted(desk.amend(resting, qty="1800"))


def test_amended_limit_prices_of_a_pair_lie_on_the_grid(desk: Desk) -> None:
    order = accepted(
        desk.create(
            BUY,
            "1",
            "90",
            take_profit="110",
            tpsl_mode=TpslMode.PARTIAL,
            tp_order_type=OrderType.LIMIT,
            tp_limit_price="111",
        )
    )
    assert refused(desk.amend(order, tp_limit_price="111.123")) == 10001
    assert refused(desk.amend(order, tp_limit_price="0")) == 10001  # a limit leg needs one
    accepted(desk.amend(order, tp_limit_price="111.5"))


def test_a_remainder_off_the_grid_can_be_closed(desk: Desk) -> None:
    """A lot that changed must not lock anyone in."""
    desk.create(BUY, "1.23")
    desk.do(ListInstrument(instrument=contract(qty_step=D(1), min_order_qty=D(2))))
    events = desk.create(SELL, "0", reduce_only=True, close_on_trigger=True)
    assert fills(events)[0].exec_qty == D("1.23")
    assert desk.position().side is None


def test_a_child_that_has_fired_does_not_grow() -> None:
    """What is filled afterwards gets a pair of its own, with a stop."""
    desk = thin()
    desk.create(
        BUY,
        "10",
        "100.1",
        stop_loss="90",
        take_profit="101",
        tpsl_mode=TpslMode.PARTIAL,
        tp_order_type=OrderType.LIMIT,
        tp_limit_price="102",
    )
    first = desk.position().size
    desk.price("101")  # the TP becomes a resting limit order, its SL is gone
    desk.price("99")  # the rest of the order is filled
    assert desk.position().size == 10
    assert [order.qty for order in desk.open_orders("PartialStopLoss")] == [10 - first]
    assert {order.qty for order in desk.open_orders("PartialTakeProfit")} == {first, 10 - first}


def test_a_position_opened_anew_by_the_rest_of_an_order_has_its_stop() -> None:
    desk = thin()
    desk.create(BUY, "10", "100.1", stop_loss="90")
    desk.create(SELL, "1", reduce_only=True)
    assert desk.position().side is BUY
    desk.create(SELL, str(desk.position().size), reduce_only=True)
    desk.price("101")
    desk.create(SELL, str(desk.position().size), reduce_only=True)
    assert desk.position().side is None
    desk.price("99")
    assert desk.position().side is BUY
    assert desk.position().stop_loss == 90
    assert desk.open_orders("StopLoss")


def test_another_distance_keeps_the_activation_that_is_awaited(desk: Desk) -> None:
    desk.create(BUY, "1")
    desk.protect(trailing_stop="2", active_price="110")
    desk.protect(trailing_stop="3")
    assert desk.position().active_price == 110
    assert desk.position().trail_extreme is None
    assert not fills(desk.price("96"))
    desk.price("110")
    assert not fills(desk.price("107.1"))
    assert fills(desk.price("107"))


def test_leverage_is_bounded_by_what_waits_too() -> None:
    desk = Desk(equity="1000000")
    desk.create(BUY, "3500", "99")
    assert refused(desk.leverage("50")) == 110013
    accepted(desk.leverage("25"))


@pytest.mark.parametrize("price", ["50", "62", "75", "85"])
def test_a_gap_over_several_rungs_costs_the_margin_and_no_more(price: str) -> None:
    desk = Desk(equity="1000000", instrument=contract(max_mkt_order_qty=D(5_000)))
    desk.create(BUY, "3900", "102")
    margin_there = desk.position().margin
    before = desk.account.wallet.wallet_balance
    events = desk.price(price)
    assert fills(events)
    assert desk.position().side is None
    assert before - desk.account.wallet.wallet_balance <= margin_there


def test_reduce_only_holds_for_whatever_would_open(desk: Desk) -> None:
    """Neither a larger opposite order, nor a trigger, nor another mode gets around it."""
    desk.create(BUY, "2")
    stop = accepted(desk.create(BUY, "5", trigger_price=D(101), trigger_direction=1))
    desk.do(SetReduceOnly(uid=1, symbol=SYMBOL))
    assert refused(desk.create(SELL, "3")) == 110023
    desk.price("102")
    assert desk.exchange.account(1).orders[stop].order_status == "Cancelled"
    assert desk.position().size == 2
    accepted(desk.create(SELL, "2"))
    desk.do(SwitchMode(uid=1, symbol=SYMBOL, mode=PositionMode.HEDGE))
    assert refused(desk.create(BUY, "1", position_idx=1)) == 110023
    desk.do(ConfirmPendingMmr(uid=1, symbol=SYMBOL))
    accepted(desk.create(BUY, "1", position_idx=1))


def test_nothing_opens_by_a_trigger_once_delisting_began(desk: Desk) -> None:
    desk.create(BUY, "1")
    stop = accepted(desk.create(BUY, "5", trigger_price=D(101), trigger_direction=1))
    desk.do(ListInstrument(instrument=contract(delivery_time=1)))
    desk.price("102")
    assert desk.exchange.account(1).orders[stop].cancel_type == "CancelByDelisting"
    assert desk.position().size == 1


def test_a_deleveraged_position_is_told_as_such(desk: Desk) -> None:
    desk.create(SELL, "10")
    events = desk.do(Deleverage(uid=1, symbol=SYMBOL, qty=D(4), price=D(90)))
    told = [
        (each.position.position_status, each.position.size) for each in of(events, PositionChanged)
    ]
    assert told == [("Adl", 10), ("Normal", 6)]


def test_a_contract_of_little_leverage_takes_a_first_order() -> None:
    low = tuple(replace(tier, leverage_max=D(5)) for tier in TIERS)
    desk = Desk(instrument=contract(leverage_max=D(5), tiers=low))
    accepted(desk.create(BUY, "1"))
    assert desk.position().leverage == 5


def test_a_take_over_leaves_the_stops_of_the_other_leg(desk: Desk) -> None:
    desk.do(SwitchMode(uid=1, symbol=SYMBOL, mode=PositionMode.HEDGE))
    desk.create(BUY, "10", position_idx=1, stop_loss="50")
    desk.create(SELL, "10", position_idx=2, stop_loss="110")
    assert fills(desk.price("90"))[0].exec_type == "BustTrade"
    assert desk.position(2).stop_loss == 110
    assert [order.position_idx for order in desk.open_orders()] == [2]


def test_a_price_is_not_amended_past_its_stop(desk: Desk) -> None:
    order = accepted(desk.create(BUY, "1", "99", stop_loss="98"))
    assert refused(desk.amend(order, price="97")) == 10001
    accepted(desk.amend(order, price="98.5"))
    accepted(desk.amend(order, price="97", stop_loss="96"))


def test_harder_tiers_ruin_at_once(desk: Desk) -> None:
    desk.create(BUY, "10")
    desk.price("92")
    harder = tuple(replace(tier, maintenance_rate=D("0.2"), deduction=D(0)) for tier in TIERS)
    events = desk.do(ListInstrument(instrument=contract(tiers=harder)))
    assert [each.exec_type for each in fills(events)] == ["BustTrade"]


def test_triggers_do_not_carry_a_position_past_its_risk_limit() -> None:
    desk = Desk(equity="1000000", instrument=contract(max_mkt_order_qty=D(5_000)))
    desk.leverage("50")  # up to 200,000 USDT
    first, second = (
        accepted(desk.create(BUY, "1500", trigger_price=D(101), trigger_direction=1))
        for _ in range(2)
    )
    desk.price("101")
    orders = desk.exchange.account(1).orders
    assert orders[first].order_status == "Filled"
    assert orders[second].cancel_type == "CancelByCannotAffordOrderCost"
    assert desk.position().size == 1500


def test_slippage_is_measured_from_what_is_left_of_the_book() -> None:
    desk = Desk(book=BookModel(7, level_usdt=D(200), levels=5))
    best = desk.exchange.levels(SYMBOL, 2)[1]
    desk.create(BUY, str(best[0][1]))
    events = desk.create(BUY, "0.5", slippage_tolerance_type="TickSize", slippage_tolerance="1")
    order = desk.exchange.account(1).orders[accepted(events)]
    assert order.price == best[1][0] + D("0.1")


def test_funding_of_two_symbols_at_one_instant_has_two_order_ids(desk: Desk) -> None:
    desk.do(ListInstrument(instrument=contract("BBBUSDT")))
    desk.price("100", symbol="BBBUSDT")
    desk.create(BUY, "1")
    desk.create(BUY, "1", symbol="BBBUSDT")
    desk.now += 1_000
    ids = {
        fills(desk.exchange.step(Funding(symbol=symbol, rate=D("0.001")), desk.now))[0].order_id
        for symbol in (SYMBOL, "BBBUSDT")
    }
    assert len(ids) == 2
    assert all(each.count("-") == 4 for each in ids)


def test_closing_one_position_may_ruin_the_account_of_another() -> None:
    """Cross: what a close costs counts at once, not at the next price of the other symbol."""
    desk = Desk(mode=MarginMode.CROSS, equity="300")
    desk.do(ListInstrument(instrument=contract("BBBUSDT")))
    desk.price("100", symbol="BBBUSDT")
    desk.create(BUY, "8", symbol="BBBUSDT")
    desk.create(BUY, "15")
    desk.price("98.5", mark="100", symbol="BBBUSDT")
    shown = desk.position().liq_price
    assert not fills(desk.price(str(shown + D("0.1"))))
    events = desk.create(SELL, "8", symbol="BBBUSDT", reduce_only=True)
    assert [each.exec_type for each in fills(events)] == ["Trade", "BustTrade"]


def test_a_trailing_stop_looks_to_profit_until_it_is_active(desk: Desk) -> None:
    desk.create(BUY, "1")
    desk.protect(trailing_stop="2", active_price="105")
    assert [order.trigger_direction for order in desk.open_orders("TrailingStop")] == [1]
    told = of(desk.price("105"), OrderChanged)
    assert [order.trigger_direction for order in told] == [2]
    assert not of(desk.price("106"), OrderChanged)
    desk.protect(trailing_stop="1", active_price="110")
    assert [order.trigger_direction for order in desk.open_orders("TrailingStop")] == [1]
    desk.protect(trailing_stop="1", active_price="0")
    assert [order.trigger_direction for order in desk.open_orders("TrailingStop")] == [2]
