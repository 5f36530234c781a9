"""Every signal ends in one verdict; what user, platform or venue forbids is never sent."""

from dataclasses import replace
from decimal import Decimal

import msgspec
import pytest

from engine.account import messages as m
from engine.account.commands import (
    CancelOrder,
    PlaceOrder,
    ReadAccount,
    SetLeverage,
    VerdictRecord,
)
from engine.account.decide import decide
from engine.account.entry import HEARD_MAX, leverage_of, plan_of
from engine.account.settings import UserSettings
from engine.pipeline.p7_entry import EntryPlan, Rejected
from engine.risk.limits import RiskLimits
from tests.engine.account.room import BAR_MS, SYMBOL, Room, contract, links

D = Decimal


def verdict(room: Room) -> VerdictRecord:
    return room.of(VerdictRecord)[-1]


def resting(params: UserSettings | None = None) -> Room:
    room = Room(params)
    room.say(room.signal())
    room.hear()
    assert room.trade.status == "resting"
    return room


# ---------------------------------------------------------------------------- verdicts


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"profile": "other"}, "other_profile"),
        ({"interval_ms": 60_000}, "other_interval"),
        ({"level": float("nan")}, "no_level"),
        ({"level": -1.0}, "no_level"),
        ({"batr": float("nan")}, "no_base"),
        ({"batr": 0.0}, "no_base"),
        ({"floor": 120.0}, "no_room_for_a_stop"),
        ({"level": 1e308, "batr": 1e308, "floor": 1e308}, "no_level"),
        ({"t": 1}, "signal_old"),
        ({"atr": 20.0}, "volatility"),
    ],
)
def test_a_signal_that_cannot_be_traded_is_refused_in_words(changes, reason):
    room = Room()
    room.say(room.signal(**changes))
    assert verdict(room).reason == reason
    assert not room.state.trades
    told = [] if reason in ("other_profile", "other_interval") else ["refused"]
    assert room.kinds() == told


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        (UserSettings(level_score_min=0.5), "level_score"),
        (UserSettings(residual_share_min=0.5), "residual_share"),
        (UserSettings(symbols_deny=(SYMBOL,)), "symbol_denied"),
        (UserSettings(symbols_allow=("XUSDT",)), "symbol_not_allowed"),
        (UserSettings(level_kind=9), "no_level"),
        (UserSettings(risk=RiskLimits(spread_max_bps=D(1))), "spread"),
    ],
)
def test_what_the_user_leaves_out_is_refused(params, reason):
    room = Room(params)
    room.say(room.signal())
    assert verdict(room).reason == reason


def test_a_contract_of_another_coin_is_refused():
    room = Room()
    wrong = msgspec.structs.replace(room.signal(), contract=contract("XUSDT"))
    room.say(wrong)
    assert verdict(room).reason == "bad_numbers"


def test_without_a_quote_nothing_is_entered():
    room = Room()
    room.say(msgspec.structs.replace(room.signal(), quote=None))
    assert verdict(room).reason == "no_quote"


def test_a_signal_told_twice_is_one_signal():
    room = Room()
    told = room.signal()
    for _ in range(3):
        room.say(told)
        room.hear()
    assert len(links(room.sent, "entry")) == 1
    assert len(room.of(VerdictRecord)) == 1
    refused = room.signal("s2")
    for _ in range(3):
        room.say(refused)
    assert [v.reason for v in room.of(VerdictRecord)] == ["approved", "symbol_busy"]


def test_a_signal_that_may_have_been_forgotten_is_not_heard_again():
    room = Room()
    first = room.signal("first", profile="other")
    room.say(first)
    for number in range(HEARD_MAX):
        room.say(room.signal(f"n{number}", profile="other"))
    assert len(room.state.heard) == HEARD_MAX
    room.say(msgspec.structs.replace(room.signal("first"), at_ms=room.now))
    assert verdict(room).reason == "signal_old"


def test_a_market_entry_is_bounded_by_the_chase_and_sent_soon_or_never():
    room = Room(UserSettings(entry_mode="next_open"))
    room.say(room.signal())
    (order,) = links(room.sent, "entry")
    assert (order.order_type, order.price, order.time_in_force) == ("Market", None, "IOC")
    assert order.expires_ms <= room.now + 15_000
    room.hear()
    assert room.trade.status == "open"
    far = Room(UserSettings(entry_mode="next_open"))
    far.say(far.signal(level=90.0, levels=(90.0,) * 8, floor=88.0))
    assert verdict(far).reason == "chased"


def test_the_leverage_is_the_least_of_all_limits_and_on_its_step():
    params = UserSettings(leverage=D("7.777"), risk=RiskLimits(leverage_max=D(9)))
    assert leverage_of(params, contract()) == D("7.77")
    assert leverage_of(params, contract(leverage_max=D(3))) == 3
    assert leverage_of(params, contract(leverage_step=D(0))) == D("7.777")


def test_the_plan_is_research_s_for_every_level():
    room = Room()
    signal = room.signal(levels=(91.0, 92.0, 93.0, 94.0, 95.0, 96.0, 97.0, 98.0)).signal
    for kind in range(8):
        plan = plan_of(signal, UserSettings(level_kind=kind))
        assert isinstance(plan, EntryPlan | Rejected)
        if isinstance(plan, EntryPlan):
            assert plan.level == signal.levels[kind]


def test_leverage_that_is_in_force_is_not_set_again():
    room = Room()
    room.enter()
    assert len([c for c in room.sent if isinstance(c, SetLeverage)]) == 1
    room.say(m.Control(at_ms=room.now, action="close_all", actor="user:u1"))
    room.hear()
    room.market("100")
    room.now += BAR_MS
    room.say(room.signal("s2"))
    assert len(links(room.sent, "entry")) == 2
    assert len([c for c in room.sent if isinstance(c, SetLeverage)]) == 1


def test_a_leverage_that_is_refused_takes_the_entry_back():
    room = Room()
    room.hold_commands = True
    room.say(room.signal())
    room.say(
        m.LeverageAnswered(at_ms=room.now, symbol=SYMBOL, leverage=D(5), ok=False, code=110013)
    )
    assert isinstance(room.sent[-1], CancelOrder)
    room.say(m.LeverageAnswered(at_ms=room.now, symbol=SYMBOL, leverage=D(5), ok=False, code=10003))
    assert room.state.key_refused


# ---------------------------------------------------------------------------- what turns it off


def test_nothing_is_entered_before_the_account_has_been_read_or_after_it_was_lost():
    room = Room(ready=False)
    room.say(m.RegimeSeen(at_ms=room.now, regime="NORMAL"))
    room.say(room.signal("a"))
    assert verdict(room).reason == "blocked"
    room.ready()
    room.say(m.ViewLost(at_ms=room.now, reason="the stream fell"))
    room.say(room.signal("b"))
    assert verdict(room).reason == "blocked"
    assert "stream" in verdict(room).words
    room.say(room.read())
    room.say(room.signal("c"))
    assert verdict(room).approved


@pytest.mark.parametrize(
    "message",
    [
        m.Control(at_ms=0, action="pause", actor="user:u1"),
        m.Control(at_ms=0, action="kill", actor="user:u1", generation=1),
        m.RegimeSeen(at_ms=0, regime="RISK_OFF"),
        m.SettingsChanged(at_ms=0, version=2, settings=UserSettings(symbols_deny=(SYMBOL,))),
        m.SettingsChanged(at_ms=0, version=2, settings=UserSettings(symbols_allow=("XUSDT",))),
        m.SettingsChanged(at_ms=0, version=2, settings=UserSettings(leverage=D(2))),
        m.SettingsChanged(at_ms=0, version=2, settings=UserSettings(entry_mode="next_open")),
        m.SettingsChanged(at_ms=0, version=2, settings=UserSettings(profile="other")),
        m.SettingsChanged(at_ms=0, version=2, settings=UserSettings(intervals_ms=(1,))),
    ],
)
def test_what_forbids_entries_takes_the_resting_one_back(message):
    room = resting()
    room.say(message)
    room.hear()
    assert not room.state.trades
    assert room.last.status == "expired"
    assert not room.account().open_orders


def test_new_settings_that_allow_it_leave_the_entry_alone():
    room = resting()
    room.say(m.SettingsChanged(at_ms=0, version=2, settings=UserSettings(tp1_r=D(2))))
    assert room.trade.status == "resting"
    assert room.trade.plan.tp1_r == 1  # it keeps what it was entered with
    room.say(m.SettingsChanged(at_ms=0, version=1, settings=UserSettings(profile="old")))
    assert room.state.settings_version == 2


def test_the_platform_s_gate_refuses_new_entries_and_keeps_what_rests():
    room = resting()
    for _ in range(2):
        room.say(m.EntriesAllowed(at_ms=room.now, allowed=False, reason="maintenance"))
    assert room.trade.status == "resting"
    room.say(room.signal("s2"))
    assert "maintenance" in verdict(room).words


def test_of_two_clicks_the_higher_generation_holds_and_a_tie_is_a_kill():
    room = Room()

    def click(action: str, generation: int) -> bool:
        room.say(m.Control(at_ms=room.now, action=action, actor="user:u1", generation=generation))
        return room.state.killed

    assert click("kill", 3)
    assert click("unkill", 3)
    assert click("unkill", 2)
    assert not click("unkill", 4)
    assert not click("kill", 3)
    assert click("kill", 4)
    assert click("kill", 4)
    assert room.kinds() == ["kill", "kill", "kill"]


def test_a_kill_leaves_stops_and_closing_alone():
    room = Room()
    room.enter()
    room.say(m.Control(at_ms=room.now, action="kill", actor="user:u1", generation=1))
    room.hear()
    assert room.position().stop_loss == D("95.00")
    assert room.trade.status == "open"
    room.say(m.Control(at_ms=room.now, action="close", actor="user:u1", symbol=SYMBOL))
    room.hear()
    assert room.position().size == 0


def test_pause_and_resume_twice_are_once():
    room = Room()
    for action in ("pause", "pause", "resume", "resume", "dance"):
        room.say(m.Control(at_ms=room.now, action=action, actor="user:u1"))
    causes = [r.cause for r in room.records if hasattr(r, "cause")]
    assert causes.count("pause") == causes.count("resume") == 1
    room.say(room.signal())
    assert verdict(room).approved


def test_closing_a_resting_entry_takes_it_back():
    room = resting()
    room.say(m.Control(at_ms=room.now, action="close", actor="user:u1"))
    assert room.trade.status == "resting"  # nothing was named
    room.say(m.Control(at_ms=room.now, action="close", actor="u", trade_id=room.trade.trade_id))
    room.hear()
    assert room.last.status == "expired"


# ---------------------------------------------------------------------------- fates of a sending


def sent(room: Room) -> PlaceOrder:
    room.hold_commands = True
    room.say(room.signal())
    return links(room.sent, "entry")[0]


@pytest.mark.parametrize("code", [110007, 110012, 110003, 110094, 30228])
def test_a_refused_entry_is_over_and_not_tried_again(code):
    room = Room()
    order = sent(room)
    room.say(m.NotPlaced(at_ms=room.now, link_id=order.link_id, code=code, text="no"))
    room.wait(30)
    assert room.last.status == "refused"
    assert str(code) in room.last.exit_kind
    assert len(links(room.sent, "entry")) == 1


def test_an_entry_never_sent_is_expired():
    room = Room()
    order = sent(room)
    room.say(m.NotPlaced(at_ms=room.now, link_id=order.link_id))
    assert room.last.status == "expired"


def test_an_unknown_entry_counts_until_the_venue_has_said():
    room = Room()
    order = sent(room)
    room.say(m.SentUnknown(at_ms=room.now, link_id=order.link_id))
    assert room.trade.status == "pending"
    room.say(m.SentUnknown(at_ms=room.now, link_id=order.link_id))
    room.say(room.signal("s2"))
    assert verdict(room).reason == "symbol_busy"
    room.wait(70)
    assert any(isinstance(c, ReadAccount) for c in room.sent)
    room.say(m.Placed(at_ms=room.now, link_id=order.link_id, order_id="o1"))
    assert room.trade.status == "resting"
    room.say(m.SentUnknown(at_ms=room.now, link_id=order.link_id))  # 30 s late
    assert room.trade.orders[0].state == "working"


def test_a_fill_proves_an_order_that_was_given_up():
    room = Room()
    order = sent(room)
    room.say(m.NotPlaced(at_ms=room.now, link_id=order.link_id))
    assert room.last.status == "expired"
    room.act(order)  # it was there all the time
    room.market("99")
    room.hold_commands = False
    room.hear()
    assert room.trade.status == "open"
    assert room.trade.orders[0].state == "done"
    assert room.position().stop_loss == D("95.00")


def test_an_order_that_was_given_up_and_lives_is_cancelled():
    room = Room()
    order = sent(room)
    room.say(m.NotPlaced(at_ms=room.now, link_id=order.link_id))
    room.act(order)
    room.hold_commands = False
    room.hear()
    assert not room.account().open_orders


def test_a_key_that_is_refused_at_an_entry_stops_entries():
    room = Room()
    order = sent(room)
    room.say(m.NotPlaced(at_ms=room.now, link_id=order.link_id, code=10003, text="key"))
    assert room.state.key_refused
    room.say(room.signal("s2"))
    assert verdict(room).reason == "blocked"
    room.say(m.Control(at_ms=room.now, action="resume", actor="user:u1"))
    room.say(room.signal("s3"))
    assert verdict(room).approved


def test_an_order_withdrawn_before_it_was_placed_is_cancelled_when_it_is():
    room = Room()
    order = sent(room)
    room.say(m.Control(at_ms=room.now, action="pause", actor="user:u1"))
    cancels = [c for c in room.sent if isinstance(c, CancelOrder)]
    room.say(m.Placed(at_ms=room.now, link_id=order.link_id, order_id="o1"))
    assert len([c for c in room.sent if isinstance(c, CancelOrder)]) == len(cancels) + 1
    room.say(m.CancelAnswered(at_ms=room.now, link_id=order.link_id, ok=True))
    room.say(m.CancelAnswered(at_ms=room.now, link_id=order.link_id, ok=False, code=110001))
    assert isinstance(room.sent[-1], ReadAccount)
    room.say(m.CancelAnswered(at_ms=room.now, link_id=order.link_id, ok=False, code=10003))
    assert room.state.key_refused


def test_answers_about_orders_that_are_none_of_ours_change_nothing():
    room = Room()
    before = room.state
    for message in (
        m.Placed(at_ms=room.now, link_id="someone"),
        m.NotPlaced(at_ms=room.now, link_id="someone"),
        m.SentUnknown(at_ms=room.now, link_id="someone"),
        m.CancelAnswered(at_ms=room.now, link_id="someone", ok=True),
    ):
        said = decide(room.state, message, room.params)
        assert said.state == before
        assert not said.commands
        assert not said.records


def test_three_errors_in_a_minute_halt_entries_and_take_back_what_rests():
    room = resting()
    for _ in range(3):
        room.say(m.VenueTrouble(at_ms=room.now, what="timeout"))
    room.hear()
    assert room.state.breaker.state == "HALTED"
    assert room.last.exit_kind == "breaker"
    assert room.kinds().count("breaker") == 1
    room.now += 241 * 60_000
    room.say(m.Tick(at_ms=room.now))
    assert room.state.breaker.state == "REDUCING"


# ---------------------------------------------------------------------------- the day


def test_a_loss_beyond_the_limit_halts_the_day_until_its_stored_end():
    room = resting(UserSettings(risk=RiskLimits(daily_loss_max=D("0.004"))))
    room.market("99")
    room.hear()
    room.market("94.8")
    room.hear()
    room.wait(2)
    day = room.state.day
    assert day is not None
    assert day.halted
    assert room.kinds().count("halt") == 1
    room.restart()
    room.say(room.signal("s2"))
    assert verdict(room).reason == "daily_loss"
    room.now = day.resets_ms
    room.say(m.Tick(at_ms=room.now))
    assert room.state.day is not None
    assert not room.state.day.halted
    assert room.state.day.day > day.day


def test_an_open_loss_halts_and_takes_back_what_rests():
    room = Room(
        UserSettings(risk=RiskLimits(daily_loss_max=D("0.003"))), symbols=(SYMBOL, "BBBUSDT")
    )
    room.enter()
    room.say(room.signal("s2", "BBBUSDT"))
    room.hear()
    assert len(room.state.trades) == 2
    room.say(m.QuoteSeen(at_ms=room.now, symbol=SYMBOL, quote=room.quote(mark=95.5)))
    room.hear()
    assert room.state.day is not None
    assert room.state.day.halted
    assert room.trade.status == "open"


def test_a_clock_set_back_changes_no_day():
    room = Room()
    day = room.state.day
    room.say(m.Tick(at_ms=room.now - 3 * 86_400_000))
    assert room.state.day == day
    assert room.state.at_ms == room.now


# ---------------------------------------------------------------------------- bad numbers


@pytest.mark.parametrize("bad", [D("NaN"), D("Infinity"), D("1E+30"), D("1E-30")])
def test_a_number_that_is_none_is_put_aside_and_the_account_read(bad):
    room = Room()
    room.enter()
    heard = [x for x, _ in room.said if isinstance(x, m.Executed)][-1]
    wrong = m.Executed(
        at_ms=room.now + 9_000, execution=replace(heard.execution, exec_id="x", exec_price=bad)
    )
    before = room.trade
    said = decide(room.state, wrong, room.params)
    assert said.state.trades[before.trade_id] == before
    assert any(isinstance(c, ReadAccount) for c in said.commands)
    read = msgspec.structs.replace(room.read(), executions=(wrong.execution,))
    assert decide(room.state, read, room.params).state.cash_usdt == room.state.cash_usdt


def test_a_person_may_ask_for_a_reading():
    room = Room()
    room.now += 5_000
    room.say(m.Control(at_ms=room.now, action="reconcile", actor="user:u1"))
    assert isinstance(room.sent[-1], ReadAccount)
