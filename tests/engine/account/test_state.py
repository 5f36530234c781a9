"""State, ids, orders: bytes that come back, names that are derived, moves that are listed."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.account import messages as m
from engine.account.decide import decide
from engine.account.facts import newest_ms, planned_stops, settings_version, watched
from engine.account.links import ATTEMPT_MAX, LINK_MAX, Link, link_id_of, parse_link, trade_id_of
from engine.account.orders import (
    MOVES,
    changed,
    filled,
    moved,
    not_changed,
    open_qty,
    placed,
    reported,
)
from engine.account.state import (
    STATE_SCHEMA,
    Corrupt,
    OwnOrder,
    decode_state,
    encode_state,
    fresh,
    state_hash,
)
from engine.venue.reports import OrderReport
from tests.engine.account.room import SYMBOL, Room

D = Decimal
NAMES = st.text(max_size=60)
STATES = tuple(MOVES)


# ---------------------------------------------------------------------------- bytes


def test_a_state_comes_back_from_its_bytes():
    room = Room()
    room.enter()
    raw = encode_state(room.state)
    again = decode_state(raw)
    assert again == room.state
    assert encode_state(again) == raw
    assert state_hash(again) == state_hash(room.state)
    assert state_hash(fresh("u1", 1)) != state_hash(fresh("u2", 1))


@given(st.binary(max_size=200))
def test_bytes_that_are_no_state_are_a_value(raw):
    assert isinstance(decode_state(raw), Corrupt)


def test_a_cut_or_older_state_is_a_value_that_says_why():
    raw = encode_state(fresh("u1", 1))
    for end in range(0, len(raw), 7):
        assert isinstance(decode_state(raw[:end]), Corrupt)
    other = msgspec.json.encode({"schema": STATE_SCHEMA + 1, "user_id": "u1"})
    said = decode_state(other)
    assert isinstance(said, Corrupt)
    assert said.schema == STATE_SCHEMA + 1


def test_a_restart_changes_no_order_of_what_is_wanted_done():
    names = tuple(f"{letter}USDT" for letter in "ABCDEF")
    room = Room(symbols=names)
    for name in names:
        room.now += 1_000
        room.say(room.signal(f"s-{name}", name))
        room.hear()
    assert len(room.state.trades) > 2
    assert list(room.state.trades) != sorted(room.state.trades)  # else this would prove nothing
    stop = m.Control(at_ms=room.now, action="pause", actor="user:u1")
    before = decide(room.state, stop, room.params)
    room.restart()
    after = decide(room.state, stop, room.params)
    assert after.commands == before.commands
    assert after.records == before.records


def test_what_others_read_off_a_state():
    room = Room()
    assert not planned_stops(room.state)
    trade = room.enter()
    plan = planned_stops(room.state)[SYMBOL]
    assert (plan.trade_id, plan.stop_loss, plan.side) == (trade.trade_id, D("95.00"), "Buy")
    assert watched(room.state) == {SYMBOL}
    assert newest_ms(room.state) > 0
    assert settings_version(room.state) == 1


# ---------------------------------------------------------------------------- ids


@given(NAMES, NAMES, st.sampled_from(("entry", "tp1", "close", "guard")), st.integers(0, 46_655))
def test_a_link_is_read_back(user, signal, leg, attempt):
    trade_id = trade_id_of(user, signal)
    link = link_id_of(trade_id, leg, attempt)
    assert len(link) <= LINK_MAX
    assert all(c.isalnum() or c in "-_" for c in link)
    assert parse_link(link) == Link(trade_id=trade_id, leg=leg, attempt=attempt)


@given(NAMES, NAMES, NAMES, NAMES)
def test_no_two_trades_share_an_id(user, signal, other, another):
    same = (user, signal) == (other, another)
    assert (trade_id_of(user, signal) == trade_id_of(other, another)) == same


@given(st.text(max_size=40))
def test_what_is_none_of_ours_is_not_read(text):
    link = parse_link(text)
    assert link is None or link_id_of(link.trade_id, link.leg, link.attempt) == text


@pytest.mark.parametrize(
    "text", ["", "zx001-" + "a" * 24, "ze0 1-" + "a" * 24, "ze001_" + "a" * 24]
)
def test_near_misses_are_none_of_ours(text):
    assert parse_link(text) is None
    assert parse_link("ze001-" + "A" * 24) is None


def test_attempts_beyond_all_reason_share_the_last_name():
    trade_id = trade_id_of("u", "s")
    assert link_id_of(trade_id, "close", 10**9) == link_id_of(trade_id, "close", ATTEMPT_MAX)


# ---------------------------------------------------------------------------- orders


def own(**changes: object) -> OwnOrder:
    fields = {
        "link_id": "l", "leg": "entry", "attempt": 1, "side": "Buy", "order_type": "Limit",
        "qty": D(4), "price": D(10),
    }  # fmt: skip
    return OwnOrder(**(fields | changes))


def report(status: str, cum: str = "0", **changes: object) -> OrderReport:
    fields = {
        "order_id": "o", "order_link_id": "l", "symbol": SYMBOL, "side": "Buy",
        "order_type": "Limit", "order_status": status, "qty": D(4), "price": D(10),
        "cum_exec_qty": D(cum),
    }  # fmt: skip
    return OrderReport(**(fields | changes))


REPORTS = st.sampled_from(
    [
        report("New"),
        report("PartiallyFilled", "1"),
        report("PartiallyFilled", "3"),
        report("Filled", "4"),
        report("Cancelled"),
        report("Cancelled", "3"),
        report("Rejected", reject_reason="EC_Others"),
        report("SomethingNew"),
    ]
)
NEWS = st.one_of(
    REPORTS, st.sampled_from(("placed", "unknown", "absent", "refused")), st.just(D(1))
)


@given(st.lists(NEWS, max_size=14))
def test_an_order_only_makes_listed_moves_and_its_quantity_never_falls(news):
    order = own()
    for told in news:
        before = order
        if isinstance(told, OrderReport):
            order = reported(order, told)
        elif isinstance(told, Decimal):
            order = filled(order, told) if order.booked_qty < order.qty else order
        elif told == "placed":
            order = placed(order, "o")
        else:
            order = moved(order, told)
        assert order.state in {before.state} | MOVES[before.state]
        assert order.cum_qty >= before.cum_qty
        if before.state == "done":
            assert order.state == "done"
        assert open_qty(order) >= 0


@given(st.sampled_from(STATES), st.sampled_from(STATES))
def test_a_move_that_is_not_listed_is_not_made(a, b):
    assert moved(own(state=a), b).state == (b if b in MOVES[a] else a)


def test_two_filled_messages_are_one_end():
    once = reported(own(state="working"), report("Filled", "4"))
    twice = reported(once, report("Filled", "4", cancel_type="CancelByUser"))
    assert twice == once


def test_what_is_done_counts_until_it_is_booked():
    done = reported(own(state="working"), report("Cancelled", "3"))
    assert not done.is_over
    assert open_qty(done) == 3
    booked = filled(done, D(3))
    assert booked.is_over
    assert open_qty(booked) == 0


def test_an_amendment_holds_when_it_is_answered_or_seen_and_not_before():
    asked = own(state="working", change_ms=1, change_qty=D(6), change_price=D(10))
    assert filled(asked, D(4)).state == "working"  # six are wanted
    assert changed(asked).qty == 6
    assert reported(asked, report("New", qty=D(6))).change_ms == 0
    assert not_changed(asked).qty == 4
    assert not_changed(filled(asked, D(4))).state == "done"
