"""An open trade is led as research leads it; what fails at the venue ends covered or flat."""

from dataclasses import replace
from decimal import Decimal

import pytest

from engine.account import messages as m
from engine.account.commands import CancelOrder, ChangeOrder, MoveStop, ReadAccount
from engine.account.settings import UserSettings
from engine.account.signal import SignalEnd
from engine.kernels.path_rules import breakeven_price, next_stop
from engine.venue.exchange import commands as x
from engine.venue.reports import ExecutionReport, OrderReport
from engine.venue.words import InstrumentStatus
from tests.engine.account.room import BAR_MS, SYMBOL, Room, links

D = Decimal


def moves(room: Room) -> list[MoveStop]:
    return [c for c in room.sent if isinstance(c, MoveStop)]


def reach_target(room: Room) -> None:
    room.enter()
    room.market("103.6")
    room.hear()
    assert room.trade.tp1_ms


# ---------------------------------------------------------------------------- target, stop


def test_the_target_is_a_reduce_only_limit_at_its_r_rounded_up():
    room = Room(UserSettings(tp1_r=D("1.333")))
    trade = room.enter()
    (target,) = links(room.sent, "tp1")
    entry = trade.entry_price
    assert entry is not None
    exact = entry + D("1.333") * (entry - D(95))
    assert exact <= target.price < exact + D("0.01")


def test_after_the_target_the_stop_goes_to_breakeven_and_then_trails_at_bar_close():
    room = Room()
    reach_target(room)
    assert room.trade.qty == room.position().size == room.trade.bought - room.trade.tp1_filled
    assert not moves(room)  # not before the bar has closed
    room.bar(99.5, 103.6, 99, 103.5)
    trade = room.trade
    entry = float(trade.entry_price or 0)
    even = breakeven_price(entry, 0.00055, 0.0001)
    wanted = next_stop(95.0, even, 103.5, 2.0, 3.0)  # in its own bar the close is the highest
    assert float(moves(room)[-1].stop_loss) == pytest.approx(wanted, abs=0.01)
    assert float(moves(room)[-1].stop_loss) >= wanted - 1e-9
    assert room.position().stop_loss == trade.stop_loss == trade.stop_set
    room.market("110")
    room.bar(103.5, 111, 103, 110)
    assert float(room.trade.stop_set or 0) == pytest.approx(111 - 3 * 2.0)
    assert room.kinds()[-2:] == ["breakeven", "trail"]
    room.bar(110, 110.5, 108, 109)
    assert len(moves(room)) == 2  # never down
    room.market("104.5")
    room.hear()
    room.wait(2)
    assert room.last.exit_kind == "trail"
    assert room.last.net_usdt > 0


def test_a_bar_heard_twice_or_of_another_interval_changes_nothing():
    room = Room()
    reach_target(room)
    room.bar(99.5, 103.6, 99, 103.5)
    before = room.trade
    message = next(x for x, _ in reversed(room.said) if isinstance(x, m.BarClosed))
    room.say(message)
    assert room.trade == before
    other = m.BarClosed(
        at_ms=room.now, symbol=SYMBOL, interval_ms=60_000, ts=room.now, open=1, high=999, low=1,
        close=100,
    )  # fmt: skip
    room.say(other)
    assert room.trade.highest == before.highest


def test_a_bar_with_impossible_numbers_is_none():
    room = Room()
    before = room.enter()
    for bad in (float("nan"), float("inf"), 0.0, -1.0):
        room.say(
            m.BarClosed(
                at_ms=room.now, symbol=SYMBOL, interval_ms=BAR_MS, ts=room.now, open=100, high=bad,
                low=99, close=100,
            )
        )  # fmt: skip
        assert room.trade == before


def test_a_stop_that_comes_too_late_leaves_at_once():
    room = Room()
    reach_target(room)
    room.bar(99.5, 103.6, 97.5, 98)  # the price is back under breakeven
    assert room.last.exit_kind == "breakeven"
    assert room.position().size == 0
    assert links(room.sent, "close")[0].reduce_only


@pytest.mark.parametrize(("code", "text"), [(110092, ""), (110093, ""), (10001, "expect Falling")])
def test_a_stop_on_the_wrong_side_flattens(code, text):
    room = Room()
    trade = room.enter()
    room.say(
        m.StopAnswered(
            at_ms=room.now, trade_id=trade.trade_id, symbol=SYMBOL, stop_loss=D(100), ok=False,
            code=code, text=text,
        )
    )  # fmt: skip
    room.hear()
    assert room.position().size == 0
    assert room.last.status == "closed"


def test_a_move_that_fails_is_asked_again_and_then_a_person_hears():
    room = Room()
    reach_target(room)
    room.hold_commands = True
    room.bar(99.5, 103.6, 99, 103.5)
    (first,) = moves(room)
    for _ in range(6):
        room.say(
            m.StopAnswered(
                at_ms=room.now, trade_id=first.trade_id, symbol=SYMBOL, stop_loss=first.stop_loss,
                ok=False, code=10006,
            )
        )  # fmt: skip
        room.wait(3)
    assert len(moves(room)) > 3
    assert {c.stop_loss for c in moves(room)} == {first.stop_loss}
    assert room.kinds().count("error") == 1
    assert room.trade.stop_set == D(95)


def test_a_refused_key_stops_entries_and_nothing_else():
    room = Room()
    trade = room.enter()
    room.say(
        m.StopAnswered(
            at_ms=room.now, trade_id=trade.trade_id, symbol=SYMBOL, stop_loss=D(96), ok=False,
            code=10003,
        )
    )  # fmt: skip
    assert room.state.key_refused
    assert room.trade.status == "open"
    room.say(m.ViewLost(at_ms=room.now, reason="auth", key_refused=True))
    assert room.kinds().count("error") == 1


def test_an_answer_about_an_older_stop_changes_nothing():
    room = Room()
    reach_target(room)
    room.bar(99.5, 103.6, 99, 103.5)
    before = room.trade
    room.say(
        m.StopAnswered(
            at_ms=room.now, trade_id=before.trade_id, symbol=SYMBOL, stop_loss=D(95), ok=True
        )
    )
    assert room.trade.stop_set == before.stop_set
    room.say(
        m.StopAnswered(at_ms=room.now, trade_id="none", symbol=SYMBOL, stop_loss=D(95), ok=True)
    )


# ---------------------------------------------------------------------------- time


def test_the_time_stop_leaves_after_its_bars():
    room = Room(UserSettings(time_stop_bars=2))
    room.enter()
    room.bar(100, 100, 99, 99.5)
    assert room.trade.status == "open"
    room.bar(99.5, 100, 99, 99.5)
    assert room.last.exit_kind == "time"


def test_the_time_stop_does_not_need_its_bar():
    room = Room(UserSettings(time_stop_bars=2))
    room.enter()
    room.wait(2 * 900 + 61)
    assert room.last.exit_kind == "time"


def test_an_entry_expires():
    room = Room()
    room.say(room.signal())
    room.hear()
    assert room.trade.status == "resting"
    room.wait(24 * 900 + 1)
    assert room.last.status == "expired"
    assert room.last.exit_kind == "expired"
    assert not room.account().open_orders


def test_a_cancellation_without_effect_is_repeated():
    room = Room()
    room.say(room.signal())
    room.hear()
    room.hold_commands = True
    room.say(m.Control(at_ms=room.now, action="pause", actor="user:u1"))
    room.wait(6)
    room.wait(6)
    assert len([c for c in room.sent if isinstance(c, CancelOrder)]) == 3


def test_a_late_fill_of_a_withdrawn_entry_is_led_on():
    room = Room()
    room.say(room.signal())
    room.hear()
    room.hold_commands = True
    room.say(m.Control(at_ms=room.now, action="pause", actor="user:u1"))
    room.market("99")  # the fill wins the race
    room.hold_commands = False
    room.hear()
    assert room.trade.status == "open"
    assert room.position().stop_loss == D("95.00")


# ---------------------------------------------------------------------------- ends


def end(room: Room, kind: str, **changes: object) -> m.SignalEnded:
    fields = {
        "symbol": SYMBOL, "profile": "default", "interval_ms": BAR_MS, "t": room.now + 1,
        "kind": kind,
    }  # fmt: skip
    return m.SignalEnded(at_ms=room.now, end=SignalEnd(**(fields | changes)))


def test_a_failed_setup_takes_the_resting_entry_back_and_a_cooled_one_does_not():
    room = Room()
    room.say(room.signal())
    room.hear()
    for other in (
        end(room, "COOLED"), end(room, "FAILED", profile="x"), end(room, "FAILED", t=0),
        end(room, "FAILED", symbol="XUSDT"),
    ):  # fmt: skip
        room.say(other)
        assert room.trade.status == "resting"
    room.say(end(room, "FAILED"))
    room.hear()
    assert room.last.exit_kind == "failed"


def test_a_failed_setup_closes_only_where_the_user_wants_that():
    room = Room()
    room.enter()
    room.say(end(room, "FAILED"))
    assert room.trade.status == "open"
    keen = Room(UserSettings(exit_on_failed=True))
    keen.enter()
    keen.say(end(keen, "FAILED"))
    keen.hear()
    assert keen.last.exit_kind == "failed"


# ---------------------------------------------------------------------------- partial fills, dust


def part(room: Room, qty: str) -> None:
    """Fill a part of the resting entry, as if somebody sold so much into it."""
    room.market("99.2")
    room.prints("99.2", qty)
    room.hear()


def test_the_target_grows_with_the_entry():
    room = Room()
    room.say(room.signal())
    room.hear()
    order = links(room.sent, "entry")[0]
    execution = m.Executed(at_ms=room.now, execution=_fill(room, order.link_id, "1", "e1"))
    room.hold_commands = True
    room.say(execution)
    (target,) = links(room.sent, "tp1")
    assert target.qty == D("0.50")
    room.say(m.Executed(at_ms=room.now, execution=_fill(room, order.link_id, "3", "e2")))
    assert not [c for c in room.sent if isinstance(c, ChangeOrder)]  # not before it is placed
    room.say(m.Placed(at_ms=room.now, link_id=target.link_id, order_id="o9"))
    (change,) = [c for c in room.sent if isinstance(c, ChangeOrder)]
    assert change.qty == D("2.00")
    room.say(m.Tick(at_ms=room.now))
    assert len([c for c in room.sent if isinstance(c, ChangeOrder)]) == 1  # one at a time
    room.say(m.CancelAnswered(at_ms=room.now, link_id=target.link_id, ok=False, code=10006))
    assert len([c for c in room.sent if isinstance(c, ChangeOrder)]) == 2
    room.say(m.CancelAnswered(at_ms=room.now, link_id=target.link_id, ok=True))
    own = room.trade.of_leg("tp1")
    assert own is not None
    assert (own.qty, own.change_ms) == (D("2.00"), 0)


def _fill(
    room: Room, link: str, qty: str, name: str, side: str = "Buy", price: str = "99.2"
) -> ExecutionReport:
    value = D(qty) * D(price)
    return ExecutionReport(
        exec_id=name, exec_type="Trade", symbol=SYMBOL, side=side, order_id="o1",
        order_link_id=link, exec_price=D(price), exec_qty=D(qty), exec_value=value,
        exec_time=room.now, exec_fee=(value * D("0.0002")).quantize(D("1E-8")),
    )  # fmt: skip


def test_what_is_too_little_to_split_has_no_target_order_and_its_price_counts():
    room = Room(min_order_qty=D(10), qty_step=D("0.1"))
    trade = room.enter()
    assert trade.qty < 20
    assert not links(room.sent, "tp1")
    room.market("104")
    room.bar(99.5, 104, 99, 104)
    assert room.trade.tp1_ms
    assert moves(room)


def test_a_share_of_one_sells_all_at_the_target():
    room = Room(UserSettings(tp1_share=D(1)))
    room.enter()
    room.market("103.6")
    room.hear()
    assert room.last.exit_kind == "tp1"
    assert room.position().size == 0


def test_a_refused_target_is_tried_again_later_and_not_for_ever():
    room = Room()
    room.hold_commands = True
    room.say(room.signal())
    entry = links(room.sent, "entry")[0]
    room.say(m.Placed(at_ms=room.now, link_id=entry.link_id, order_id="o1"))
    room.say(m.Executed(at_ms=room.now, execution=_fill(room, entry.link_id, str(entry.qty), "e1")))
    for _ in range(8):
        target = links(room.sent, "tp1")[-1]
        room.say(m.NotPlaced(at_ms=room.now, link_id=target.link_id, code=110003, text="price"))
        room.wait(6)
    assert len(links(room.sent, "tp1")) == 5


def test_a_target_taken_back_by_hand_is_not_placed_again():
    room = Room()
    room.enter()
    target = links(room.sent, "tp1")[0]
    room.step(x.CancelOrder(uid=1, symbol=SYMBOL, order_link_id=target.link_id))
    room.hear()
    room.wait(30)
    assert len(links(room.sent, "tp1")) == 1
    room.market("104")
    room.bar(99.5, 104, 99, 104)
    assert room.trade.tp1_ms  # its price counts instead


# ---------------------------------------------------------------------------- stops that fail


def test_a_stop_filled_in_part_is_finished_at_the_market():
    room = Room()
    trade = room.enter()
    stop = replace(
        _fill(room, "", "1", "e9", side="Sell", price="94"),
        order_id="stop1", stop_order_type="StopLoss", create_type="CreateByStopLoss",
    )  # fmt: skip
    room.hold_commands = True
    room.say(m.Executed(at_ms=room.now, execution=stop))
    assert not links(room.sent, "close")
    room.wait(2)
    (close,) = links(room.sent, "close")
    assert close.qty == trade.qty - 1


def test_a_stop_that_was_pulled_and_not_filled_leaves_at_once():
    room = Room()
    room.enter()
    report = OrderReport(
        order_id="stop1", order_link_id="", symbol=SYMBOL, side="Sell", order_type="Market",
        order_status="Cancelled", qty=room.trade.qty, stop_order_type="StopLoss",
        updated_time=room.now + 5,
    )  # fmt: skip
    room.say(m.OrderSeen(at_ms=room.now, order=replace(report, order_status="Deactivated")))
    room.say(m.OrderSeen(at_ms=room.now, order=replace(report, stop_order_type="")))
    room.say(m.OrderSeen(at_ms=room.now, order=replace(report, symbol="XUSDT")))
    assert room.trade.status == "open"
    room.say(m.OrderSeen(at_ms=room.now, order=report))
    room.hear()
    assert room.position().size == 0


def test_an_exit_that_fails_is_tried_again_slower_and_a_person_hears():
    room = Room()
    room.enter()
    room.hold_commands = True
    room.say(m.Control(at_ms=room.now, action="close_all", actor="user:u1"))
    for _ in range(40):
        close = links(room.sent, "close")[-1]
        room.say(m.NotPlaced(at_ms=room.now, link_id=close.link_id, code=110003, text="price"))
        room.wait(1)
    tries = links(room.sent, "close")
    assert 5 <= len(tries) <= 7
    assert len({c.link_id for c in tries}) == len(tries)
    assert room.kinds().count("error") == 1


def test_nothing_to_reduce_asks_for_a_reading():
    room = Room()
    room.enter()
    room.hold_commands = True
    room.wait(3)
    room.say(m.Control(at_ms=room.now, action="close", actor="user:u1", symbol=SYMBOL))
    close = links(room.sent, "close")[-1]
    room.say(m.NotPlaced(at_ms=room.now, link_id=close.link_id, code=110017))
    assert isinstance(room.sent[-1], ReadAccount)


def test_more_than_a_market_order_may_hold_is_closed_in_pieces():
    room = Room(max_mkt_order_qty=D(5))
    room.enter()
    assert room.trade.qty > 5
    room.say(m.Control(at_ms=room.now, action="close_all", actor="user:u1"))
    room.hear()
    assert room.position().size == 0
    assert len(links(room.sent, "close")) > 1


# ---------------------------------------------------------------------------- the venue's own acts


def test_a_liquidation_is_booked_and_halts():
    room = Room()
    trade = room.enter()
    bust = replace(
        _fill(room, "", str(trade.qty), "b1", side="Sell", price="80"), exec_type="BustTrade",
        order_id="liq",
    )  # fmt: skip
    room.say(m.Executed(at_ms=room.now, execution=bust))
    room.hold_commands = True
    assert room.state.breaker.state == "HALTED"
    assert room.state.trades == {} or room.trade.exit_kind == "liquidation"


def test_adl_reduces_the_trade_and_the_rest_is_led_on():
    room = Room()
    before = room.enter()
    room.step(x.Deleverage(uid=1, symbol=SYMBOL, qty=D(2), price=D(99)))
    room.hear()
    assert room.trade.qty == before.qty - 2 == room.position().size
    assert "adopted" in room.kinds()


def test_funding_is_booked_to_the_trade():
    room = Room()
    room.enter()
    room.step(x.Funding(symbol=SYMBOL, rate=D("0.001")))
    room.hear()
    assert room.trade.funding_usdt < 0
    assert room.state.day is not None
    assert room.state.day.funding_usdt == room.trade.funding_usdt
    assert room.state.cash_usdt == room.account().wallet.wallet_balance - 10_000


def test_a_delisting_takes_the_entry_back_and_tells_once():
    room = Room()
    room.say(room.signal())
    room.hear()
    leaves = replace(room.contracts[SYMBOL], status=InstrumentStatus.DELIVERING)
    for _ in range(2):
        room.say(m.ContractSeen(at_ms=room.now, contract=leaves))
    room.hear()
    assert room.last.exit_kind == "delisting"
    assert room.kinds().count("error") == 1


def test_a_new_tick_rounds_what_follows():
    room = Room()
    reach_target(room)
    coarse = replace(room.contracts[SYMBOL], tick_size=D("0.5"))
    room.say(m.ContractSeen(at_ms=room.now, contract=coarse))
    room.bar(99.5, 103.6, 99, 103.5)
    assert moves(room)[-1].stop_loss % D("0.5") == 0
