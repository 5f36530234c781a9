"""The guard covers what is bare, never widens, touches only what is ours, and gives up late."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from engine.account.guard import (
    LIMITS,
    CoverPosition,
    Flatten,
    PlannedStop,
    SoundAlarm,
    guard,
)
from engine.venue.reports import OrderReport, PositionReport
from engine.venue.view import is_covered

D = Decimal
TWO, HUNDRED = D(2), D(100)
PLAN = PlannedStop(trade_id="t1", symbol="AUSDT", side="Buy", stop_loss=D(90))


def held(symbol="AUSDT", size=TWO, side="Buy", idx=0, mark=HUNDRED, stop=None):
    return PositionReport(
        symbol=symbol,
        position_idx=idx,
        side=side,
        size=size,
        entry_price=D(100),
        mark_price=mark,
        stop_loss=stop,
    )


def stop_order(qty=TWO, kind="PartialStopLoss", direction=2, symbol="AUSDT", status="Untriggered"):
    return OrderReport(
        order_id=f"o-{qty}-{kind}-{direction}",
        order_link_id="",
        symbol=symbol,
        side="Sell",
        order_type="Market",
        order_status=status,
        qty=qty,
        reduce_only=True,
        stop_order_type=kind,
        trigger_direction=direction,
    )


def watch(looks):
    """Let the guard look again and again; return every (moment, action)."""
    naked, told = {}, []
    for now_ms, positions, reachable in looks:
        verdict = guard(positions, (), {"AUSDT": PLAN}, naked, now_ms, reachable=reachable)
        naked = verdict.naked
        told += [(now_ms, action) for action in verdict.actions]
    return told, naked


def kinds(told):
    return [type(action) for _, action in told]


def test_a_bare_position_gets_its_planned_stop_at_the_first_look():
    told, naked = watch([(0, [held()], True)])
    assert told == [(0, CoverPosition(plan=PLAN))]
    assert list(naked) == [("AUSDT", 0)]


def test_alarm_at_five_seconds_once_and_out_at_ten_with_pauses():
    told, _ = watch([(t, [held()], True) for t in range(0, 16_000, 1_000)])
    alarms = [t for t, a in told if isinstance(a, SoundAlarm)]
    outs = [(t, a.attempt, a.reason) for t, a in told if isinstance(a, Flatten)]
    assert alarms == [5_000]
    assert outs == [
        (10_000, 1, "uncovered"),
        (12_000, 2, "uncovered"),
        (14_000, 3, "uncovered"),
    ]
    assert [t for t, a in told if isinstance(a, CoverPosition)] == list(range(0, 10_000, 1_000))


def test_time_without_the_venue_does_not_count_towards_giving_up():
    looks = [(t, [held()], t > 20_000) for t in range(0, 31_000, 1_000)]
    told, _ = watch(looks)
    assert [t for t, a in told if isinstance(a, SoundAlarm)] == [5_000]
    assert min(t for t, a in told if isinstance(a, Flatten)) == 30_000


def test_a_price_beyond_the_stop_closes_at_once():
    told, _ = watch([(0, [held(mark=D(90))], True), (500, [held(mark=D(89))], True)])
    assert [(t, a.reason) for t, a in told if isinstance(a, Flatten)] == [(0, "price_through")]
    assert kinds(told) == [Flatten]


def test_covered_again_ends_the_episode():
    looks = [(0, [held()], True), (6_000, [held()], True), (7_000, [held(stop=D(80))], True)]
    told, naked = watch([*looks, (60_000, [held()], True)])
    assert naked[("AUSDT", 0)].since_ms == 60_000
    assert kinds(told).count(SoundAlarm) == 1


POSITIONS = st.builds(
    held,
    symbol=st.sampled_from(["AUSDT", "BUSDT"]),
    size=st.sampled_from([D(0), D(1), D(2)]),
    side=st.sampled_from(["Buy", "Sell", ""]),
    idx=st.sampled_from([0, 1]),
    mark=st.sampled_from([None, D(80), D(90), D(100)]),
    stop=st.sampled_from([None, D(70), D(95)]),
)
ORDERS = st.builds(
    stop_order,
    qty=st.sampled_from([D(0), D(1), D(2)]),
    kind=st.sampled_from(["PartialStopLoss", "StopLoss", "Stop", "TakeProfit", ""]),
    direction=st.sampled_from([1, 2]),
    symbol=st.sampled_from(["AUSDT", "BUSDT"]),
    status=st.sampled_from(["Untriggered", "Cancelled"]),
)


@given(st.lists(POSITIONS, max_size=3), st.lists(ORDERS, max_size=3), st.integers(0, 30_000))
def test_it_acts_only_on_what_is_ours_and_bare_and_only_at_the_planned_price(
    positions, orders, later
):
    plans = {"AUSDT": PLAN}
    first = guard(positions, orders, plans, {}, 0)
    second = guard(positions, orders, plans, first.naked, later)
    bare = [
        p
        for p in positions
        if (p.symbol, p.side, p.position_idx) == ("AUSDT", "Buy", 0)
        and p.size
        and not is_covered(p, orders)
    ]
    for verdict in (first, second):
        assert all(action.plan == PLAN for action in verdict.actions)
        assert bool(verdict.naked) == bool(bare)
        if not bare:
            assert verdict.actions == ()
        for action in verdict.actions:
            if isinstance(action, Flatten):
                assert action.qty in [p.size for p in bare]
    if bare:  # it always does something: covers, or gets out (or has just tried to)
        acts = [a for a in second.actions if not isinstance(a, SoundAlarm)]
        assert acts or later < LIMITS.again_ms


@given(st.lists(ORDERS, max_size=4))
def test_a_position_is_covered_by_a_whole_stop_or_by_parts_that_add_up(orders):
    works = [
        o
        for o in orders
        if o.order_status == "Untriggered"
        and o.symbol == "AUSDT"
        and o.trigger_direction == 2
        and o.stop_order_type in ("StopLoss", "PartialStopLoss", "Stop")
    ]
    whole = any(o.stop_order_type == "StopLoss" or not o.qty for o in works)
    assert is_covered(held(), orders) == (whole or sum(o.qty for o in works) >= 2)
