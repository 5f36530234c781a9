"""I4: at every send, all that is open, resting, in flight or unknown is within the limits."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.account import messages as m
from engine.account.commands import AlertRecord, PlaceOrder, VerdictRecord
from engine.account.exposure import equity, exposures
from engine.account.settings import UserSettings
from engine.risk.limits import RiskLimits
from tests.engine.account.room import SYMBOL, Room, contract, links

D = Decimal
COINS = tuple(f"C{n:02d}USDT" for n in range(14))


def of_coin(room: Room, coin: str, name: str, floor: float) -> m.SignalHeard:
    told = room.signal(name, floor=floor)
    signal = msgspec.structs.replace(told.signal, symbol=coin)
    return msgspec.structs.replace(told, signal=signal, contract=contract(coin))


def entries(room: Room) -> list[PlaceOrder]:
    return links(room.sent, "entry")


def within(room: Room, lim: RiskLimits) -> None:
    worth = Fraction(equity(room.state) or 0)
    held = exposures(room.state)
    risk = sum((Fraction(each.risk_usdt) for each in held), Fraction(0))
    margin = sum((Fraction(each.margin_usdt) for each in held), Fraction(0))
    assert len([each for each in held if each.kind != "foreign"]) <= lim.trades_max
    assert risk <= worth * Fraction(lim.total_risk_max)
    assert margin <= worth * Fraction(lim.margin_use_max)
    for each in held:
        assert Fraction(each.risk_usdt) <= worth * Fraction(lim.symbol_risk_max)


STEPS = st.tuples(
    st.sampled_from(COINS),
    st.sampled_from([93.5, 95.5, 97.0]),
    st.sampled_from(["nothing", "placed", "unknown", "restart", "again"]),
)
LIMITS = st.builds(
    RiskLimits,
    risk_per_trade=st.sampled_from([D("0.0025"), D("0.005"), D("0.02")]),
    trades_max=st.integers(1, 8),
    total_risk_max=st.sampled_from([D("0.004"), D("0.02"), D("0.013")]),
    margin_use_max=st.sampled_from([D("0.05"), D("0.3"), D("0.9")]),
    symbol_risk_max=st.sampled_from([D("0.003"), D("0.01")]),
)


@pytest.mark.laws
@settings(max_examples=max(2, settings().max_examples // 4))
@given(st.lists(STEPS, min_size=4, max_size=10), LIMITS)
def test_a_burst_of_signals_never_spends_one_room_twice(
    story: list[tuple[str, float, str]], lim: RiskLimits
) -> None:
    """No answer of the venue is needed for an entry to count: its intent does."""
    room = Room(UserSettings(risk=lim))
    room.hold_commands = True
    for n, (coin, floor, then) in enumerate(story):
        before = len(entries(room))
        room.say(of_coin(room, coin, f"s{n}", floor))
        within(room, lim)
        new = entries(room)[before:]
        assert len(new) <= 1
        for order in new:
            if then == "placed":
                room.say(m.Placed(at_ms=room.now, link_id=order.link_id, order_id=f"o{n}"))
            elif then == "unknown":
                room.say(m.SentUnknown(at_ms=room.now, link_id=order.link_id, reason="timeout"))
        if then == "restart":
            room.restart()
        if then == "again":  # told twice, it is entered once
            room.say(of_coin(room, coin, f"s{n}", floor))
            assert len(entries(room)) == before + len(new)
        within(room, lim)
    symbols = [order.symbol for order in entries(room)]
    assert len(set(symbols)) == len(symbols)


def test_the_burst_has_entries_and_refusals() -> None:
    """The law above would hold of a brain that never buys: this one does, then stops in words."""
    room = Room()
    room.hold_commands = True
    for n, coin in enumerate(COINS):
        room.say(of_coin(room, coin, f"s{n}", 95.5))
    assert len(entries(room)) == 4  # 0.5 % each, 2 % in all; the floors leave crumbs
    refusals = [each for each in room.of(VerdictRecord) if not each.approved]
    assert {each.reason for each in refusals} <= {"total_risk", "group_risk"} | {"trades_max"}
    for each in refusals:
        assert each.words.startswith(each.symbol)
        assert each.checks


def test_an_entry_that_is_unknown_keeps_its_room_and_one_that_is_absent_gives_it_back() -> None:
    room = Room(UserSettings(risk=RiskLimits(trades_max=1)))
    room.hold_commands = True
    room.say(of_coin(room, COINS[0], "s0", 95.5))
    (order,) = entries(room)
    room.say(m.SentUnknown(at_ms=room.now, link_id=order.link_id, reason="timeout"))
    room.say(of_coin(room, COINS[1], "s1", 95.5))
    assert room.of(VerdictRecord)[-1].reason == "trades_max"
    room.say(m.NotPlaced(at_ms=room.now, link_id=order.link_id))
    room.say(of_coin(room, COINS[2], "s2", 95.5))
    assert [each.symbol for each in entries(room)] == [COINS[0], COINS[2]]


def test_settings_that_change_in_flight_hold_for_the_next_signal() -> None:
    room = Room()
    room.hold_commands = True
    room.say(of_coin(room, COINS[0], "s0", 95.5))
    tight = UserSettings(risk=RiskLimits(trades_max=1))
    room.say(m.SettingsChanged(at_ms=room.now, version=2, settings=tight))
    room.say(of_coin(room, COINS[1], "s1", 95.5))
    assert room.of(VerdictRecord)[-1].reason == "trades_max"


# ---------------------------------------------------------------------------- funding in trade


def quote(room: Room, rate: float, in_min: float) -> m.QuoteSeen:
    told = room.quote(funding_rate=rate, next_funding_ms=room.now + int(in_min * 60_000))
    return m.QuoteSeen(at_ms=room.now, symbol=SYMBOL, quote=told)


def alerts(room: Room, reason: str) -> list[AlertRecord]:
    return [each for each in room.of(AlertRecord) if each.facts.get("reason") == reason]


def test_dear_funding_is_told_once_a_payment_and_nothing_is_sold_for_it() -> None:
    room = Room()
    room.enter()
    due = room.now + 3_600_000
    for n in range(5):
        room.now += 1000
        told = room.quote(funding_rate=0.006, next_funding_ms=due)
        room.say(m.QuoteSeen(at_ms=room.now, symbol=SYMBOL, quote=told))
        assert len(alerts(room, "funding")) == 1, n
    assert room.trade.exit_wish == ""
    (alert,) = alerts(room, "funding")
    assert alert.severity == "warning"
    assert "funding payment" in alert.words
    room.now += 1000
    room.say(quote(room, 0.006, 60))  # the next payment is another event
    assert len(alerts(room, "funding")) == 2


def test_ruinous_funding_closes_in_its_last_minutes() -> None:
    room = Room()
    room.enter()
    room.say(quote(room, 0.02, 5.01))
    assert room.trade.exit_wish == ""
    room.say(quote(room, 0.02, 4.9))
    room.hear()
    room.wait(2)
    assert room.last.exit_kind == "funding"
    assert room.position().size == 0


@pytest.mark.parametrize("rate", [None, float("nan"), -0.05, 0.0001])
def test_usual_funding_says_nothing(rate: Any) -> None:
    room = Room()
    room.enter()
    room.say(quote(room, rate, 2))
    assert not alerts(room, "funding")
    assert room.trade.exit_wish == ""
