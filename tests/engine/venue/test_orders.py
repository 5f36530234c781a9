"""Orders one by one: the door, the book, the life cycle."""

import pytest

from engine.venue.exchange.book import BookModel
from engine.venue.exchange.commands import CancelAll, CreateOrder, SwitchMode
from engine.venue.words import InstrumentStatus, OrderType, PositionMode, TriggerBy
from tests.engine.venue.desk import (
    BUY,
    FOK,
    IOC,
    SELL,
    SYMBOL,
    D,
    Desk,
    PostOnly,
    accepted,
    contract,
    fills,
    orders,
    refused,
)

THIN = {"level_usdt": D(1_000), "levels": 5}


def ticks(value: str, kind: str = "TickSize") -> dict[str, str]:
    return {"slippage_tolerance_type": kind, "slippage_tolerance": value}


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.parametrize(
    ("code", "side", "qty", "price", "more"),
    [
        (10001, BUY, "0.015", "99", {}),  # off the step
        (10001, BUY, "0.001", "99", {}),  # under the minimum
        (10001, BUY, "5000.01", "99", {}),  # over the maximum
        (10001, BUY, "1000.01", None, {}),  # the market maximum is lower
        (10001, BUY, "1", "99.05", {}),  # off the tick
        (10001, BUY, "1", "-1", {}),
        (110003, BUY, "1", "20000000", {}),
        (110094, BUY, "0.04", "99", {}),  # under 5 USDT
        (10001, BUY, "0", None, {}),
        (10001, BUY, "1", "99", {"order_link_id": "x" * 37}),
        (10001, BUY, "1", "99", {"order_link_id": "no spaces"}),
        (10001, BUY, "1", "99", {"position_idx": 1}),
        (110017, SELL, "1", "101", {"reduce_only": True}),  # flat
        (110092, BUY, "1", None, {"trigger_price": "99", "trigger_direction": 1}),
        (110093, BUY, "1", None, {"trigger_price": "101", "trigger_direction": 2}),
        (10001, BUY, "1", None, {"trigger_price": "101"}),  # no direction
        (10001, BUY, "1", "99", {"stop_loss": "99.5"}),  # above its own base
        (10001, SELL, "1", "101", {"take_profit": "101.5"}),
        (10001, BUY, "1", "99", ticks("5")),
        (
            110108,
            BUY,
            "1",
            None,
            ticks("0"),
        ),
        (
            110109,
            BUY,
            "1",
            None,
            ticks("11", "Percent"),
        ),
        (110007, BUY, "1900", "99", {}),
    ],
)
def test_the_door(
    desk: Desk, code: int, side: str, qty: str, price: str | None, more: dict
) -> None:
    assert refused(desk.create(side, qty, price, **more)) == code
    assert not desk.account.orders


def test_leverage_bounds_the_size_of_a_position() -> None:
    desk = Desk(equity="1000000")
    desk.leverage("20")  # the tier of 450,000 USDT allows 10
    assert refused(desk.create(BUY, "4500", "100")) == 110090
    desk.leverage("10")
    accepted(desk.create(BUY, "4500", "100"))


def test_a_limit_order_without_price_is_refused(desk: Desk) -> None:
    command = CreateOrder(uid=1, symbol=SYMBOL, side=BUY, order_type=OrderType.LIMIT, qty=D(1))
    assert refused(desk.do(command)) == 10001


def test_unknown_symbol_and_user(desk: Desk) -> None:
    assert refused(desk.create(BUY, "1", symbol="NOPEUSDT")) == 10001
    assert refused(desk.create(BUY, "1", uid=9)) == 10003


def test_a_link_id_serves_once_for_ever(desk: Desk) -> None:
    accepted(desk.create(BUY, "1", order_link_id="a-1"))
    assert refused(desk.create(BUY, "1", order_link_id="a-1")) == 110072
    order_id = accepted(desk.create(BUY, "1", "90", order_link_id="a-2"))
    desk.cancel(order_id)
    assert refused(desk.create(BUY, "1", order_link_id="a-2")) == 110072


@pytest.mark.parametrize(
    ("status", "opening"),
    [
        (InstrumentStatus.PRE_LAUNCH, 110074),
        (InstrumentStatus.CLOSED, 110074),
        (InstrumentStatus.DELIVERING, 30228),
    ],
)
def test_a_contract_that_is_not_trading(status: InstrumentStatus, opening: int) -> None:
    desk = Desk(instrument=contract(status=status))
    assert refused(desk.create(BUY, "1")) == opening


def test_ten_conditional_orders_and_no_more(desk: Desk) -> None:
    for _ in range(10):
        accepted(desk.create(BUY, "1", trigger_price="110", trigger_direction=1))
    assert refused(desk.create(BUY, "1", trigger_price="110", trigger_direction=1)) == 110009
    accepted(desk.create(BUY, "1", "90"))


def test_five_hundred_active_orders_and_no_more(desk: Desk) -> None:
    for _ in range(500):
        accepted(desk.create(BUY, "0.1", "90"))
    assert refused(desk.create(BUY, "0.1", "90")) == 110020


def test_a_market_order_walks_the_book() -> None:
    desk = Desk(book=BookModel(7, **THIN))
    _, asks = desk.exchange.levels(SYMBOL, 3)
    want = asks[0][1] + asks[1][1] / 2
    want = want.quantize(D("0.01"))
    events = desk.create(BUY, str(want))
    got = [(each.exec_price, each.exec_qty) for each in fills(events)]
    assert got == [asks[0], (asks[1][0], want - asks[0][1])]
    assert [order.order_status for order in orders(events)] == ["Filled"]
    _, after = desk.exchange.levels(SYMBOL, 1)
    assert after[0] == (asks[1][0], asks[1][1] - (want - asks[0][1]))  # eaten until the next price
    desk.price("100")
    assert desk.exchange.levels(SYMBOL, 3)[1] == asks


def test_a_market_order_beyond_the_book_is_filled_in_part_and_cancelled() -> None:
    desk = Desk(book=BookModel(7, **THIN))
    _, asks = desk.exchange.levels(SYMBOL, 99)
    there = sum(qty for _, qty in asks)
    last = orders(desk.create(BUY, str(there + 1)))[0]
    assert (last.order_status, last.cum_exec_qty) == ("Cancelled", there)
    assert last.leaves_qty == 0
    assert last.reject_reason == "EC_NoImmediateQtyToFill"


def test_a_market_order_with_no_book_in_range_is_not_executed(desk: Desk) -> None:
    desk.price("100", mark="90")  # the band around mark ends at 92..: below every ask
    order = orders(desk.create(BUY, "1"))[0]
    assert (order.order_status, order.cum_exec_qty) == ("Cancelled", 0)


def test_the_price_of_a_market_order_is_its_internal_limit(desk: Desk) -> None:
    order = orders(desk.create(BUY, "1"))[0]
    assert order.price == D(102)  # mark * (1 + X)
    assert order.avg_price == D("100.1")


def test_limit_prices_beyond_the_band_are_moved_to_its_edge(desk: Desk) -> None:
    order = orders(desk.create(BUY, "1", "150"))[0]
    assert (order.price, order.order_status) == (D(102), "Filled")
    order = orders(desk.create(SELL, "1", "50"))[0]
    assert order.price == D(98)


def test_slippage_tolerance_limits_a_market_order() -> None:
    desk = Desk(book=BookModel(7, **THIN))
    order = orders(desk.create(BUY, "50", **ticks("1")))[0]
    assert order.price == D("100.2")
    assert order.order_status == "Cancelled"
    assert max(each.exec_price for each in desk.account.executions) == D("100.2")


def test_post_only(desk: Desk) -> None:
    events = desk.create(BUY, "1", "100.1", time_in_force=PostOnly)
    accepted(events)
    order = orders(events)[0]
    assert order.order_status == "Cancelled"
    assert order.reject_reason == "EC_PostOnlyWillTakeLiquidity"
    assert orders(desk.create(BUY, "1", "100", time_in_force=PostOnly))[0].order_status == "New"


def test_ioc_and_fok() -> None:
    desk = Desk(book=BookModel(7, **THIN))
    _, asks = desk.exchange.levels(SYMBOL, 1)
    price, qty = str(asks[0][0]), str(asks[0][1] + 1)
    killed = orders(desk.create(BUY, qty, price, time_in_force=FOK))[0]
    assert (killed.order_status, killed.cum_exec_qty) == ("Cancelled", 0)
    assert killed.reject_reason == "EC_CancelForNoFullFill"
    part = orders(desk.create(BUY, qty, price, time_in_force=IOC))[0]
    assert (part.order_status, part.cum_exec_qty) == ("Cancelled", asks[0][1])
    nothing = orders(desk.create(BUY, "1", "99", time_in_force=IOC))[0]
    assert nothing.reject_reason == "EC_NoImmediateQtyToFill"


def test_a_marketable_limit_takes_what_is_there_and_rests() -> None:
    desk = Desk(book=BookModel(7, **THIN))
    _, asks = desk.exchange.levels(SYMBOL, 1)
    order = orders(desk.create(BUY, str(asks[0][1] + 1), str(asks[0][0])))[0]
    assert (order.order_status, order.leaves_qty) == ("PartiallyFilled", 1)
    assert not fills(desk.price(str(asks[0][0])))  # touched, not passed
    filled = desk.price("99")
    assert [(each.exec_qty, each.exec_price, each.is_maker) for each in fills(filled)] == [
        (1, asks[0][0], True)
    ]


def test_resting_orders_wait_behind_the_queue(desk: Desk) -> None:
    bids, _ = desk.exchange.levels(SYMBOL, 1)
    price, ahead = bids[0]
    accepted(desk.create(BUY, "10", str(price)))
    assert not fills(desk.prints(str(price), str(ahead), SELL))
    got = fills(desk.prints(str(price), "4", SELL))
    assert [(each.exec_qty, each.is_maker) for each in got] == [(4, True)]
    assert not fills(desk.prints(str(price), "4", BUY))  # buyers do not hit bids
    assert fills(desk.prints("99.5", "100", SELL))[0].exec_qty == 6  # traded through us


def test_printed_volume_is_shared_by_price_then_arrival(desk: Desk) -> None:
    desk.price("100.1")
    for price in ("100", "100.1", "100.1"):  # inside the spread or at its edge
        desk.create(BUY, "2", price)
    got = fills(desk.prints("99.9", "5", SELL))
    assert [(each.exec_price, each.exec_qty) for each in got] == [
        (D("100.1"), 2),
        (D("100.1"), 2),
        (D(100), 1),
    ]


def test_cancel_and_amend_know_why_they_come_too_late(desk: Desk) -> None:
    filled = accepted(desk.create(BUY, "1"))
    gone = accepted(desk.create(BUY, "1", "90"))
    assert orders(desk.cancel(gone))[0].cancel_type == "CancelByUser"
    for act in (desk.cancel, lambda order_id: desk.amend(order_id, qty="2")):
        assert refused(act("unknown")) == 110001
        assert refused(act(filled)) == 110008
        assert refused(act(gone)) == 110010


def test_amending_price_and_quantity(desk: Desk) -> None:
    order_id = accepted(desk.create(BUY, "2", "90"))
    assert refused(desk.amend(order_id, qty="2")) == 10001  # nothing changes
    assert refused(desk.amend(order_id, price="90.05")) == 10001
    assert refused(desk.amend(order_id, qty="0.01")) == 110094
    assert refused(desk.amend(order_id, qty="1900")) == 110007
    order = orders(desk.amend(order_id, qty="1", price="95"))[0]
    assert (order.qty, order.price, order.order_status) == (1, 95, "New")
    assert desk.account.order_im[SYMBOL] < D(10)
    order = orders(desk.amend(order_id, price="101"))[0]
    assert (order.order_status, order.avg_price) == ("Filled", D("100.1"))


def test_amending_below_what_is_filled(desk: Desk) -> None:
    order_id = accepted(desk.create(BUY, "10", "99.6"))
    desk.prints("99.5", "4", SELL)
    assert refused(desk.amend(order_id, qty="4")) == 110064
    assert orders(desk.amend(order_id, qty="5"))[0].leaves_qty == 1
    assert refused(desk.amend(order_id, stop_loss="90")) == 110059


def test_cancel_all_strips_the_stops_unless_told_otherwise(desk: Desk) -> None:
    desk.create(BUY, "1", stop_loss="90")
    desk.create(BUY, "1", "95")
    desk.create(BUY, "1", trigger_price="110", trigger_direction=1)
    entries = desk.do(CancelAll(uid=1, settle_coin="USDT", order_filter="Order"))
    assert len(entries[0].cancelled) == 1
    assert [order.stop_order_type for order in desk.open_orders()] == ["StopLoss", "Stop"]
    desk.do(CancelAll(uid=1, symbol=SYMBOL))
    assert not desk.open_orders()
    assert desk.position().stop_loss is None
    assert refused(desk.do(CancelAll(uid=1))) == 10001


def test_reduce_only_is_cut_to_the_position_and_follows_it(desk: Desk) -> None:
    desk.create(BUY, "2")
    assert refused(desk.create(BUY, "1", reduce_only=True)) == 110017
    first = orders(desk.create(SELL, "5", "110", reduce_only=True))[0]
    assert first.qty == 2
    changed = orders(desk.create(SELL, "1.5"))
    assert [(o.order_id == first.order_id, o.qty) for o in changed] == [
        (False, D("1.5")),
        (True, D("0.5")),
    ]
    closed = orders(desk.create(SELL, "9", reduce_only=True))
    assert closed[0].cum_exec_qty == D("0.5")
    assert (closed[1].order_status, closed[1].cancel_type) == ("Cancelled", "CancelByReduceOnly")
    assert desk.position().side is None


def test_closing_everything_with_quantity_nought() -> None:
    desk = Desk(instrument=contract(max_mkt_order_qty=D(3)))
    desk.create(BUY, "3")
    desk.create(BUY, "2")
    assert refused(desk.create(SELL, "0", reduce_only=True)) == 10001
    got = orders(desk.create(SELL, "0", reduce_only=True, close_on_trigger=True))
    assert got[0].cum_exec_qty == 3  # the most one market order may have
    assert desk.position().size == 2


def test_a_reduce_only_order_beyond_the_most_is_split() -> None:
    desk = Desk(instrument=contract(max_mkt_order_qty=D(3)))
    desk.create(BUY, "3")
    desk.create(BUY, "2")
    events = desk.create(SELL, "5", reduce_only=True, order_link_id="split")
    ended = orders(events)
    assert [(o.cum_exec_qty, o.order_link_id) for o in ended] == [(3, "split"), (2, "")]
    assert desk.position().side is None


def test_flipping_through_flat_in_one_fill(desk: Desk) -> None:
    desk.create(BUY, "2", stop_loss="90")
    events = desk.create(SELL, "5", stop_loss="110")
    assert [(e.closed_size, e.exec_qty) for e in fills(events)] == [(2, 5)]
    position = desk.position()
    assert (position.side, position.size, position.stop_loss) == (SELL, 3, 110)
    assert [(o.side, o.qty) for o in desk.open_orders("StopLoss")] == [(BUY, 3)]
    assert desk.account.closed_pnl[0].closed_size == 2


def test_hedge_mode(desk: Desk) -> None:
    assert refused(desk.do(SwitchMode(uid=1, symbol=SYMBOL, mode=PositionMode.ONE_WAY))) == 110025
    desk.create(BUY, "1", "90")
    hedge = SwitchMode(uid=1, symbol=SYMBOL, mode=PositionMode.HEDGE)
    assert refused(desk.do(hedge)) == 110028
    desk.do(CancelAll(uid=1, symbol=SYMBOL))
    desk.do(hedge)
    assert refused(desk.create(BUY, "1")) == 10001
    desk.create(BUY, "2", position_idx=1)
    desk.create(SELL, "3", position_idx=2)
    assert (desk.position(1).size, desk.position(2).size) == (2, 3)
    assert refused(desk.do(SwitchMode(uid=1, symbol=SYMBOL, mode=PositionMode.ONE_WAY))) == 110024
    closed = orders(desk.create(SELL, "9", position_idx=1))[0]  # its side closes: it cannot open
    assert (closed.cum_exec_qty, closed.reduce_only) == (2, True)
    assert desk.position(1).side is None
    assert refused(desk.create(SELL, "1", position_idx=1)) == 110017
    one_way = SwitchMode(uid=1, coin="USDT", mode=PositionMode.ONE_WAY)
    desk.do(one_way)  # by coin: busy symbols stay as they are
    assert desk.account.mode_of(SYMBOL) is PositionMode.HEDGE
    assert desk.account.mode_of("OTHERUSDT") is PositionMode.ONE_WAY


def test_conditional_orders_hold_no_margin_and_die_without_it(desk: Desk) -> None:
    accepted(desk.create(BUY, "800", trigger_price="101", trigger_direction=1))
    assert desk.account.order_im == {}
    desk.create(BUY, "400")
    events = orders(desk.price("101"))
    assert [order.order_status for order in events] == ["Triggered", "Cancelled"]
    assert events[-1].cancel_type == "CancelByCannotAffordOrderCost"


def test_triggers_watch_their_own_price(desk: Desk) -> None:
    for source in TriggerBy:
        desk.create(BUY, "1", trigger_price="101", trigger_direction=1, trigger_by=source)
    fired = [
        orders(desk.price(last, mark=mark, index=index))
        for last, mark, index in (
            ("100", "101", "100"),
            ("100", "100", "101"),
            ("101", "100", "100"),
        )
    ]
    assert [events[0].trigger_by for events in fired] == ["MarkPrice", "IndexPrice", "LastPrice"]
    assert [events[-1].order_status for events in fired] == ["Filled"] * 3


def test_self_match_prevention(desk: Desk) -> None:
    desk.price("100")
    resting = accepted(desk.create(SELL, "1", "100"))  # takes the bid? no: bid is 99.9
    events = orders(desk.create(BUY, "1", "100.1", smp_type="CancelMaker"))
    assert (events[0].order_id, events[0].cancel_type) == (resting, "CancelBySmp")
    assert events[1].order_status == "Filled"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1E+40", "1E-40", "sNaN"])
def test_absurd_numbers_are_turned_away(desk: Desk, number: str) -> None:
    assert refused(desk.create(BUY, number, "99")) == 10001
    assert refused(desk.create(BUY, "1", number)) == 10001
    assert refused(desk.leverage(number)) == 10001
    order_id = accepted(desk.create(BUY, "1", "90"))
    assert refused(desk.amend(order_id, qty=number)) == 10001
    assert refused(desk.protect(stop_loss=number)) == 10001
