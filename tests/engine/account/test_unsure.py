"""Answers that nobody got, and news that comes again: what is not known is not believed."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from msgspec.structs import replace as changed

from engine.account import messages as m
from engine.account.commands import (
    AuditRecord,
    CancelOrder,
    ChangeOrder,
    MoveStop,
    SetLeverage,
)
from engine.account.draft import Draft
from engine.account.facts import planned_stops
from engine.account.fills import SEEN_MAX
from engine.venue.exchange import commands as x
from engine.venue.reports import ExecutionReport
from engine.venue.words import TpslMode
from tests.engine.account.room import SYMBOL, Room, execution_report, links

D = Decimal


def test_a_leverage_nobody_confirmed_is_set_again_before_the_next_entry():
    room = Room()
    room.hold_commands = True
    room.say(room.signal())
    assert [c for c in room.sent if isinstance(c, SetLeverage)]
    (entry,) = links(room.sent, "entry")
    # neither yes nor no: a timeout, or the store was away and it was never sent
    room.say(
        m.LeverageAnswered(
            at_ms=room.now, symbol=SYMBOL, leverage=D(5), ok=False, text="no answer in time"
        )
    )
    room.say(m.NotPlaced(at_ms=room.now, link_id=entry.link_id, text="not sent"))
    assert SYMBOL not in room.state.leverage
    room.sent.clear()
    room.say(room.signal("s2"))
    assert [type(c).__name__ for c in room.sent][:2] == ["SetLeverage", "PlaceOrder"]


def moved(room: Room) -> MoveStop:
    room.enter()
    room.market("103.6")
    room.hear()
    room.hold_commands = True
    room.bar(99.5, 103.6, 99, 103.5)
    return next(c for c in room.sent if isinstance(c, MoveStop))


def test_a_stop_nobody_confirmed_is_not_believed_and_is_asked_for_again():
    room = Room()
    move = moved(room)
    before = room.trade.stop_set
    room.say(
        m.StopAnswered(
            at_ms=room.now, trade_id=move.trade_id, symbol=SYMBOL, stop_loss=move.stop_loss,
            ok=False, text="no answer in time",
        )
    )  # fmt: skip
    assert room.trade.stop_set == before
    room.sent.clear()
    room.wait(3)
    assert [c.stop_loss for c in room.sent if isinstance(c, MoveStop)] == [move.stop_loss]


def test_not_modified_is_no_yes_where_the_position_has_another_stop():
    room = Room()
    move = moved(room)
    before = room.trade.stop_set
    room.say(
        m.StopAnswered(
            at_ms=room.now, trade_id=move.trade_id, symbol=SYMBOL, stop_loss=move.stop_loss,
            ok=False, code=34040, text="not modified",
        )
    )  # fmt: skip
    assert room.trade.stop_set == before
    room.hold_commands = False
    for _ in range(4):
        room.wait(3)
    assert room.trade.stop_set == room.position().stop_loss == move.stop_loss


def fill(room: Room, link: str, qty: str, name: str, **facts: Any) -> m.Executed:
    known: dict[str, Any] = {
        "exec_id": name,
        "exec_type": "Trade",
        "symbol": SYMBOL,
        "side": "Buy",
        "order_id": "o1",
        "order_link_id": link,
        "exec_price": D("99.2"),
        "exec_qty": D(qty),
        "exec_value": D(qty) * D("99.2"),
        "exec_time": room.now,
        "exec_fee": D("0.01"),
    }
    return m.Executed(at_ms=room.now, execution=ExecutionReport(**(known | facts)))


def test_a_change_nobody_confirmed_is_asked_for_again_and_is_no_persons():
    room = Room()
    room.say(room.signal())
    room.hear()
    room.hold_commands = True
    (entry,) = links(room.sent, "entry")
    room.say(fill(room, entry.link_id, "1", "e1"))
    (target,) = links(room.sent, "tp1")
    room.say(m.Placed(at_ms=room.now, link_id=target.link_id, order_id="o9"))
    room.say(fill(room, entry.link_id, "3", "e2"))
    (change,) = [c for c in room.sent if isinstance(c, ChangeOrder)]
    room.say(
        m.CancelAnswered(at_ms=room.now, link_id=target.link_id, ok=False, text="no answer in time")
    )
    own = room.trade.of_leg("tp1")
    assert own is not None
    assert own.qty == D("0.50")  # as the venue has it for all that is known
    room.wait(21)
    assert [c.qty for c in room.sent if isinstance(c, ChangeOrder)] == [change.qty, change.qty]


def test_fills_told_again_after_the_memory_of_them_has_gone_are_not_booked_twice():
    room = Room()
    trade = room.enter()
    mine = execution_report(room.account().executions[0])
    others = [
        fill(
            room, "", "1", f"f{n}", symbol="BBBUSDT", order_id=f"b{n}", exec_time=room.now + n,
            side="Sell" if n % 2 else "Buy",
        )
        for n in range(SEEN_MAX + 10)
    ]  # fmt: skip
    for other in others:
        room.say(other)
    cash = room.state.cash_usdt
    room.restart()
    # a feed that starts anew tells everything since the oldest order that is still open
    room.say(m.Executed(at_ms=room.now, execution=mine))
    for other in others:
        room.say(other)
    assert room.trade.bought == trade.bought
    assert room.state.cash_usdt == cash


def test_a_fill_that_comes_very_late_is_booked_if_the_venue_says_it_is_missing():
    room = Room()
    room.say(room.signal())
    room.hear()
    (entry,) = links(room.sent, "entry")
    at = room.now
    for n in range(SEEN_MAX + 10):
        room.say(fill(room, "", "1", f"f{n}", symbol="BBBUSDT", order_id="b", exec_time=at + 1 + n))
    own = room.trade.order(entry.link_id)
    assert own is not None
    report = replace(
        next(r for r in room.read().orders if r.order_link_id == entry.link_id),
        order_status="PartiallyFilled",
        cum_exec_qty=D(1),
    )
    room.say(m.OrderSeen(at_ms=room.now, order=report))
    late = fill(room, entry.link_id, "1", "e1", exec_time=at, order_id=own.order_id)
    room.hold_commands = True
    room.say(late)
    room.say(late)
    assert room.trade.qty == 1


def stop_fill(room: Room, kind: str, qty: str) -> m.Executed:
    return fill(
        room, "", qty, "p1", side="Sell", order_id="p", stop_order_type=kind,
        create_type=f"CreateBy{kind}",
    )  # fmt: skip


def test_a_persons_own_stop_for_a_part_takes_that_part_and_no_more():
    room = Room()
    trade = room.enter()
    for name, kind in (("p1", "PartialStopLoss"), ("p2", "Stop")):
        sold = stop_fill(room, kind, "1")
        room.say(m.Executed(at_ms=room.now, execution=replace(sold.execution, exec_id=name)))
    room.hold_commands = True
    for _ in range(4):
        room.now += 1_000
        room.say(m.Tick(at_ms=room.now))
    assert not room.trade.exit_wish
    assert not links(room.sent, "close")
    assert room.trade.qty == trade.qty - 2


def test_a_persons_own_conditional_order_taken_back_is_no_failed_stop():
    room = Room()
    room.enter()
    listed = next(r for r in room.read().orders if r.stop_order_type)
    own = replace(
        listed, order_id="theirs", stop_order_type="Stop", order_status="Cancelled",
        updated_time=room.now,
    )  # fmt: skip
    room.say(m.OrderSeen(at_ms=room.now, order=own))
    assert not room.trade.exit_wish
    room.say(m.OrderSeen(at_ms=room.now, order=replace(own, stop_order_type="StopLoss")))
    assert room.trade.exit_wish == "stop_incomplete"


def test_a_stop_that_a_person_loosens_after_ours_has_moved_is_said_and_reckoned_with():
    room = Room()
    room.enter()
    room.market("103.6")
    room.hear()
    room.bar(99.5, 103.6, 99, 103.5)
    assert room.trade.stop_kind == "breakeven"
    room.wait(60)
    stop = x.SetTradingStop(uid=1, symbol=SYMBOL, tpsl_mode=TpslMode.FULL, stop_loss=D(96))
    room.step(stop)
    room.hear()
    room.wait(3)
    room.say(room.read())
    assert room.trade.stop_set == room.trade.stop_loss == D(96)
    assert [r for r in room.records if getattr(r, "kind", "") == "adopted"][-1].severity == (
        "critical"
    )


def test_a_reading_from_before_our_own_move_is_no_persons():
    room = Room()
    room.enter()
    room.market("103.6")
    room.hear()
    old = room.read()
    room.bar(99.5, 103.6, 99, 103.5)
    moved_to = room.trade.stop_loss
    room.say(changed(old, at_ms=room.now))
    assert room.trade.stop_loss == moved_to


def test_the_guard_has_no_plan_for_a_position_that_a_person_opened_beside_our_entry():
    room = Room()
    room.say(room.signal())
    room.hear()
    assert SYMBOL in planned_stops(room.state)  # its own first fill may be seen before it is told
    theirs = fill(room, "", "5", "theirs", order_id="theirs")
    room.say(theirs)
    assert SYMBOL not in planned_stops(room.state)
    assert room.trade.of_leg("entry").cancel  # two would melt into one, stops and all


def test_a_leverage_that_may_have_changed_unseen_is_set_again():
    room = Room()
    room.enter()
    room.say(m.Control(at_ms=room.now, action="close_all", actor="user:u1"))
    room.hear()
    room.wait(2)
    assert not room.state.trades
    room.say(m.ViewLost(at_ms=room.now, reason="the stream fell"))
    # meanwhile a person sets 50x for a coin that holds nothing: no reading lists it
    room.step(x.SetLeverage(uid=1, symbol=SYMBOL, buy_leverage=D(50), sell_leverage=D(50)))
    room.inbox.clear()
    room.market("100")
    room.inbox.clear()
    room.say(room.read())
    room.hear()
    room.say(room.signal("s2"))
    assert links(room.sent, "entry")[-1].trade_id == room.trade.trade_id
    assert room.position().leverage == D(5)


def test_an_entry_given_up_and_filled_all_the_same_takes_back_the_one_after_it():
    room = Room()
    room.hold_commands = True
    room.say(room.signal("s1"))
    (first,) = links(room.sent, "entry")
    room.say(m.NotPlaced(at_ms=room.now, link_id=first.link_id, text="proven absent"))
    room.say(room.signal("s2"))
    second = links(room.sent, "entry")[-1]
    assert second.trade_id != first.trade_id
    room.say(fill(room, first.link_id, "2", "late"))
    other = room.state.trades[second.trade_id].order(second.link_id)
    assert other is not None
    assert other.cancel  # one coin, one trade


def test_an_order_that_a_reading_lists_and_the_ledger_has_as_over_is_cancelled():
    room = Room()
    room.say(room.signal())
    room.hear()
    (entry,) = links(room.sent, "entry")
    room.say(m.NotPlaced(at_ms=room.now, link_id=entry.link_id, code=110_008, text="so it says"))
    assert room.last.status in ("expired", "refused")
    assert room.account().open_orders  # and the venue has it all the same
    room.say(room.read())
    room.hear()
    assert not room.account().open_orders


def test_an_order_filled_whole_is_not_cancelled_by_a_reading_that_comes_late():
    room = Room()
    room.say(room.signal())
    room.hear()
    late = room.read()
    room.market("99")
    room.hear()
    room.sent.clear()
    room.say(late)
    assert not [c for c in room.sent if isinstance(c, CancelOrder)]


def test_no_trade_changes_its_status_without_a_line_of_the_chain():
    room = Room()
    trade = room.enter()

    def lines(cause: str) -> list[tuple[str, dict[str, Any]]]:
        draft = Draft(room.state, room.params, room.now)
        if cause:
            draft.audit(cause, trade_id=trade.trade_id)
        draft.put(trade, status="closing")
        draft.record_trades()
        return [(r.cause, r.detail) for r in draft.records if isinstance(r, AuditRecord)]

    moved = {"trade_id": trade.trade_id, "was": "open", "status": "closing"}
    assert lines("") == [("moved", moved)]
    assert [cause for cause, _ in lines("liquidated")] == ["liquidated"]  # it says so already
