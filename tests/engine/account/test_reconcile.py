"""What a reading proves is taken over once; what a person did is kept; the rest is let be."""

from dataclasses import replace
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.account import messages as m
from engine.account.adopt import ODD_MS
from engine.account.commands import (
    AlertRecord,
    CancelOrder,
    MoveStop,
    PlaceOrder,
    ReadAccount,
    VerdictRecord,
)
from engine.account.links import link_id_of, trade_id_of
from engine.account.reconcile import reconcile
from engine.venue.exchange import commands as x
from engine.venue.reports import OrderReport, PositionReport
from engine.venue.words import OrderType, Side, TimeInForce, TpslMode
from tests.engine.account.room import SYMBOL, Room, contract, order_report

D = Decimal
OTHER = "BBBUSDT"


def two_coins() -> Room:
    room = Room()
    room.step(x.ListInstrument(instrument=contract(OTHER)))
    room.step(x.Price(symbol=OTHER, last=D(100), mark=D(100), index=D(100)))
    return room


def breakout(room: Room, name: str, symbol: str) -> m.SignalHeard:
    heard = room.signal(name)
    signal = msgspec.structs.replace(heard.signal, symbol=symbol)
    return msgspec.structs.replace(heard, signal=signal, contract=contract(symbol))


def entered() -> Room:
    room = two_coins()
    room.enter()
    assert room.trade.qty > 0
    room.hear()
    room.records.clear()
    room.sent.clear()
    return room


def read(room: Room, **changes) -> m.AccountRead:
    return msgspec.structs.replace(room.read(), **changes)


def by_hand(room: Room, side: str, qty: str, symbol: str = SYMBOL, *, close: bool = False) -> None:
    """A person trades at the market, and no stream tells of it."""
    room.step(
        x.CreateOrder(
            uid=1,
            symbol=symbol,
            side=Side(side),
            order_type=OrderType.MARKET,
            qty=D(qty),
            time_in_force=TimeInForce.IOC,
            reduce_only=close,
        )
    )
    room.inbox.clear()


def set_stop(room: Room, price: str) -> None:
    stop = x.SetTradingStop(uid=1, symbol=SYMBOL, tpsl_mode=TpslMode.FULL, stop_loss=D(price))
    room.step(stop)
    room.inbox.clear()


def alerts(said) -> list[AlertRecord]:
    return [r for r in said.records if isinstance(r, AlertRecord)]


def orders_of(said) -> list:
    return [c for c in said.commands if not isinstance(c, ReadAccount)]


def twice(room: Room, reading: m.AccountRead):
    """Reconcile, and again: the second time must change nothing and want nothing."""
    first = reconcile(room.state, reading, room.params)
    again = reconcile(first.state, reading, room.params)
    assert again.state == first.state
    assert (orders_of(again), alerts(again)) == ([], [])
    room.state = first.state
    return first


# ---------------------------------------------------------------------------- nothing to do


def test_a_reading_that_agrees_opens_the_door_and_says_nothing():
    room = entered()
    room.say(m.ViewLost(at_ms=room.now, reason="gone"))
    assert room.state.read_ms == 0
    said = twice(room, room.read())
    assert (said.commands, alerts(said)) == ((), [])
    assert said.state.read_ms == room.now
    assert said.state.differences == ()


def test_executions_of_a_reading_are_booked_once_and_in_their_order():
    room = entered()
    before = room.state
    by_hand(room, "Sell", "1", close=True)
    rows = tuple(reversed(room.read().executions))
    said = twice(room, read(room, executions=rows + rows))
    assert said.state.trades[room.trade.trade_id].sold == 1
    straight = reconcile(before, room.read(), room.params)
    assert straight.state == said.state


# ---------------------------------------------------------------------------- people


def test_closed_by_hand_stays_closed_and_its_result_is_booked():
    room = entered()
    size = room.trade.qty
    by_hand(room, "Sell", str(size), close=True)
    said = twice(room, room.read())
    trade = next(iter(said.state.ended.values())) if said.state.ended else room.trade
    room.hear()
    assert (trade.qty, trade.exit_kind) == (0, "manual")
    assert not [c for c in said.commands if isinstance(c, PlaceOrder | MoveStop)]
    # the target order went with the position; once the venue says so the trade is over
    for order in trade.orders:
        found = room.account().orders[order.order_id]
        room.say(m.OrderSeen(at_ms=room.now, order=order_report(found)))
    room.hear()
    assert room.last.status == "closed"
    assert room.last.exit_kind == "manual"
    assert room.state.cash_usdt == room.account().wallet.wallet_balance - 10_000


def test_resized_by_hand_is_led_on_with_what_is_left():
    room = entered()
    left = room.trade.qty - 1
    by_hand(room, "Sell", "1", close=True)
    said = twice(room, room.read())
    trade = said.state.trades[room.trade.trade_id]
    assert (trade.qty, trade.status) == (left, "open")
    assert "adopted" in [a.kind for a in alerts(said)]
    assert not [c for c in said.commands if isinstance(c, PlaceOrder)]


@pytest.mark.parametrize(("price", "severity"), [("96", "info"), ("90", "critical")])
def test_a_stop_moved_by_hand_is_kept_and_asked_about_where_it_is_further(price, severity):
    room = entered()
    set_stop(room, price)
    said = twice(room, room.read())
    trade = said.state.trades[room.trade.trade_id]
    assert (trade.stop_loss, trade.stop_set) == (D(price), D(price))
    assert [c for c in said.commands if isinstance(c, MoveStop)] == []
    (told,) = alerts(said)
    assert (told.kind, told.severity) == ("adopted", severity)
    for _ in range(20):
        room.wait(1)
    assert [c for c in room.sent if isinstance(c, MoveStop)] == []


def test_a_stop_taken_away_is_restored_once_an_episode():
    room = entered()
    set_stop(room, "0")
    assert room.position().stop_loss is None
    said = twice(room, room.read())
    (moved,) = orders_of(said)
    assert isinstance(moved, MoveStop)
    assert (moved.stop_loss, moved.reason) == (D(95), "restore")
    room.act(moved)
    room.hear()
    assert room.position().stop_loss == D(95)
    assert (twice(room, room.read()).commands, room.trade.stop_set) == ((), D(95))
    set_stop(room, "0")
    room.now += 60_000
    assert len(orders_of(twice(room, room.read()))) == 1


def test_a_stop_that_comes_too_late_means_out():
    room = entered()
    set_stop(room, "0")
    room.market("94")
    room.inbox.clear()
    said = twice(room, room.read())
    out = [c for c in said.commands if isinstance(c, PlaceOrder)]
    assert [(c.leg, c.side, c.reduce_only, c.qty) for c in out] == [
        ("close", "Sell", True, room.trade.qty)
    ]
    assert [c for c in said.commands if isinstance(c, MoveStop)] == []


def test_a_lost_answer_to_a_move_is_no_persons_doing():
    room = entered()
    trade = msgspec.structs.replace(room.trade, stop_loss=D(97), stop_ms=room.now)
    room.state = msgspec.structs.replace(room.state, trades={trade.trade_id: trade})
    said = twice(room, room.read())  # the venue still has 95: our move is on its way
    assert alerts(said) == []
    assert said.state.trades[trade.trade_id].stop_loss == D(97)
    set_stop(room, "96")  # an older move of ours arrived
    said = twice(room, room.read())
    assert alerts(said) == []
    kept = said.state.trades[trade.trade_id]
    assert (kept.stop_loss, kept.stop_set) == (D(97), D(96))


def test_another_leverage_is_told_and_gone_by():
    room = entered()
    (position,) = room.read().positions
    reading = read(room, positions=(replace(position, leverage=D(20)),))
    said = twice(room, reading)
    assert said.state.leverage[SYMBOL] == D(20)
    (told,) = alerts(said)
    assert "20" in told.words
    assert said.commands == ()


def test_a_changed_order_is_kept():
    room = entered()
    target = room.trade.of_leg("tp1")
    assert target is not None
    rows = tuple(
        replace(o, price=D(150)) if o.order_link_id == target.link_id else o
        for o in room.read().orders
    )
    said = twice(room, read(room, orders=rows))
    kept = said.state.trades[room.trade.trade_id].of_leg("tp1")
    assert kept is not None
    assert kept.price == D(150)
    assert [a.kind for a in alerts(said)] == ["adopted"]


# ---------------------------------------------------------------------------- not ours


def test_a_foreign_position_is_told_of_once_and_left_alone():
    room = entered()
    by_hand(room, "Buy", "3", OTHER)
    said = twice(room, room.read())
    assert [a.symbol for a in alerts(said)] == [OTHER]
    assert said.commands == ()
    room.now += 60_000
    assert alerts(twice(room, room.read())) == []
    by_hand(room, "Sell", "3", OTHER, close=True)
    twice(room, room.read())
    assert (room.state.foreign, OTHER in room.state.slots) == ((), False)


@pytest.mark.parametrize("what", ["hedge", "portfolio"])
def test_an_account_it_cannot_lead_enters_nothing_and_is_told_so(what):
    room = two_coins()
    short = PositionReport(symbol=OTHER, position_idx=2, side="Sell", size=D(1), entry_price=D(100))
    changes = {"positions": (short,)} if what == "hedge" else {"margin_mode": "PORTFOLIO_MARGIN"}
    said = twice(room, read(room, **changes))
    assert said.commands == ()
    assert "critical" in [a.severity for a in alerts(said)]
    heard = room.say(room.signal())
    assert [c for c in heard.commands if isinstance(c, PlaceOrder)] == []
    (verdict,) = [r for r in heard.records if isinstance(r, VerdictRecord)]
    assert not verdict.approved
    said = twice(room, room.read())  # a reading that agrees opens the door again
    assert said.state.differences == ()
    heard = room.say(room.signal("s2"))
    assert [c.leg for c in heard.commands if isinstance(c, PlaceOrder)] == ["entry"]


# ---------------------------------------------------------------------------- what is not proven


def test_an_order_that_is_not_listed_is_not_over():
    room = Room()
    room.say(room.signal())
    room.hear()
    entry = room.trade.of_leg("entry")
    assert entry is not None
    assert entry.state == "working"
    said = twice(room, read(room, orders=()))
    kept = said.state.trades[room.trade.trade_id].of_leg("entry")
    assert kept is not None
    assert kept.state == "working"
    assert said.commands == ()


def test_a_size_nothing_explains_is_waited_for_then_taken_over():
    room = entered()
    size = room.trade.qty
    by_hand(room, "Sell", str(size), close=True)
    silent = read(room, executions=(), orders=())
    said = twice(room, silent)
    assert said.state.trades[room.trade.trade_id].qty == size  # the ledger is the base
    assert said.state.differences == (f"size:{SYMBOL}",)
    assert [a.kind for a in alerts(said)] == ["error"]
    heard = room.say(breakout(room, "s2", OTHER))
    assert [c for c in heard.commands if isinstance(c, PlaceOrder)] == []
    room.now += ODD_MS
    said = twice(room, msgspec.structs.replace(silent, at_ms=room.now))
    trade = room.state.trades.get(room.trade.trade_id) if room.state.trades else room.last
    assert trade is not None
    assert (trade.qty, trade.exit_kind) == (0, "manual")
    assert said.state.differences == ()


def test_what_the_stream_found_odd_long_ago_hurries_no_reading():
    room = entered()
    trade = msgspec.structs.replace(
        room.trade, odd_ms=room.now - 60_000, venue_size=room.trade.qty - 1
    )
    room.state = msgspec.structs.replace(room.state, trades={trade.trade_id: trade})
    (position,) = room.read().positions
    stale = read(room, positions=(replace(position, size=position.size - 1),))
    said = twice(room, stale)
    assert said.state.trades[trade.trade_id].qty == trade.qty


def test_a_size_is_taken_over_though_the_clock_ticks_between_readings():
    room = entered()
    size = room.trade.qty
    by_hand(room, "Sell", str(size), close=True)
    room.hold_commands = True
    for _ in range(8):
        room.say(read(room, executions=(), orders=()))
        for _ in range(2):
            room.now += 500
            room.say(m.Tick(at_ms=room.now))
    assert all(trade.qty == 0 for trade in room.state.trades.values())
    assert room.state.differences == ()


def test_news_that_comes_in_time_explains_the_size():
    room = entered()
    by_hand(room, "Sell", "1", close=True)
    twice(room, read(room, executions=()))
    assert room.state.differences
    said = twice(room, room.read())
    assert said.state.differences == ()
    assert said.state.trades[room.trade.trade_id].sold == 1


def test_a_part_that_cannot_be_read_keeps_the_door_shut():
    room = entered()
    room.say(m.ViewLost(at_ms=room.now, reason="gone"))
    said = twice(room, read(room, positions=(), complete=False))
    assert said.state.read_ms == 0
    assert said.state.trades[room.trade.trade_id].qty > 0
    assert said.state.differences == ("incomplete",)


def test_an_entry_of_a_trade_the_ledger_has_lost_is_taken_back_once():
    room = Room()
    lost = link_id_of(trade_id_of("u1", "before the backup"), "entry", 1)
    row = OrderReport(
        order_id="x",
        order_link_id=lost,
        symbol=OTHER,
        side="Buy",
        order_type="Limit",
        order_status="New",
        qty=D(1),
        price=D(50),
    )
    said = twice(room, read(room, orders=(row,)))
    (cancelled,) = orders_of(said)
    assert isinstance(cancelled, CancelOrder)
    assert cancelled.link_id == lost
    assert said.state.differences == (f"order:{lost}",)


# ---------------------------------------------------------------------------- laws

ACTS = st.lists(
    st.sampled_from(
        [
            "sell1", "sellall", "buy1", "stop96", "stop90", "nostop", "foreign", "unforeign",
            "price94", "price103", "cancel", "read", "late", "restart",
        ]
    ),
    max_size=8,
)  # fmt: skip


def meddle(room: Room, act: str) -> None:
    """Let a person do one thing at the venue; nobody is told."""
    position = room.account().positions.get((SYMBOL, 0))
    held = position.size if position is not None and position.side is Side.BUY else D(0)
    if act in ("sell1", "sellall") and held:
        by_hand(room, "Sell", str(min(held, D(1)) if act == "sell1" else held), close=True)
    elif act in ("stop96", "stop90", "nostop") and held:
        set_stop(room, {"nostop": "0"}.get(act, act[4:]))
    else:
        _elsewhere(room, act)
    room.inbox.clear()


def _elsewhere(room: Room, act: str) -> None:
    match act:
        case "buy1":
            by_hand(room, "Buy", "1")
        case "foreign":
            by_hand(room, "Buy", "2", OTHER)
        case "unforeign":
            by_hand(room, "Sell", "2", OTHER, close=True)
        case "price94" | "price103":
            room.market(act[5:])
        case "cancel":
            room.step(x.CancelAll(uid=1, symbol=SYMBOL, order_filter="Order"))
        case "late":
            room.now += 1_500
        case "restart":
            room.restart()


@given(ACTS)
def test_whatever_people_do_one_reading_converges_and_touches_nothing_foreign(acts):
    room = entered()
    for act in acts:
        meddle(room, act)
        room.now += 500
        if act != "read":
            continue
        reading = room.read()
        first = reconcile(room.state, reading, room.params)
        again = reconcile(first.state, reading, room.params)
        assert again.state == first.state
        assert (orders_of(again), alerts(again)) == ([], [])
        assert first.state.differences == ()
        _follows(room, first)
    room.now += 500
    reading = room.read()
    wallet = room.account().wallet.wallet_balance
    _follows(room, reconcile(room.state, reading, room.params))
    shown = {p.symbol: p.size if p.side == "Buy" else -p.size for p in reading.positions}
    assert {name: slot.size for name, slot in room.state.slots.items()} == shown
    for trade in room.state.trades.values():
        there = max(shown.get(trade.symbol, D(0)), D(0))
        # what a person buys after closing ours is a position of theirs
        assert trade.qty <= there if "buy1" in acts else trade.qty == there
    assert room.state.cash_usdt == wallet - 10_000


def _follows(room: Room, said) -> None:
    """Take the decision; look that it commands nothing foreign and nothing twice."""
    acts = orders_of(said)
    assert all(c.symbol == SYMBOL for c in acts)
    assert sum(isinstance(c, MoveStop) for c in acts) <= 1
    assert sum(isinstance(c, PlaceOrder) for c in acts) <= 1
    assert all(c.reduce_only for c in acts if isinstance(c, PlaceOrder))
    for command in acts:
        if isinstance(command, MoveStop):
            assert command.stop_loss >= D(90)
    room.state = said.state
    for command in acts:
        room.act(command)
    room.inbox.clear()
