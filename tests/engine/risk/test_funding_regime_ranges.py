"""Funding in a trade, the market's regime, and the ranges of every number a user may set."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.account.settings import CAREFUL, STANDARD, UserSettings
from engine.pipeline.p8_management import RANGES as PLAN_RANGES
from engine.risk.figures import instant, number, percent, span, usdt
from engine.risk.funding import FundingView, judge_held
from engine.risk.limits import RiskLimits
from engine.risk.ranges import LIMIT_RANGES, SETTINGS_RANGES, check_limits, check_settings
from engine.risk.regime import (
    CALM_MS,
    GAP_MS,
    NORMAL,
    RISK_OFF,
    STALE_MS,
    UNKNOWN,
    Regime,
    RegimeFacts,
    fallen_share,
    regime_at,
    step_regime,
)
from tests.engine.risk.made import MINUTE_MS, NOW_MS, D, limits

# ---------------------------------------------------------------------------- funding


def view(rate: str | None, wait_min: float = 4, **changes: Any) -> FundingView:
    values: dict[str, Any] = {
        "symbol": "SOLUSDT",
        "notional_usdt": D(1000),
        "r_usdt": D(10),
        "rate": None if rate is None else D(rate),
        "next_funding_ms": NOW_MS + int(wait_min * MINUTE_MS),
        "now_ms": NOW_MS,
    }
    return judge_held(limits(), **(values | changes))


@pytest.mark.parametrize(
    ("rate", "wait_min", "action"),
    [
        ("0.001", 4, "keep"),  # 0.1 R: at the limit
        ("0.0010001", 4, "warn"),
        ("0.003", 5, "warn"),  # 0.3 R: at the limit
        ("0.0030001", 5, "close"),
        ("0.0030001", 5.001, "warn"),  # the rate may still move
        ("0.0030001", 0, "warn"),  # it is being paid now: too late
        ("0.0030001", -1, "warn"),
        ("-0.02", 4, "keep"),  # a long is paid
        (None, 4, "keep"),  # unknown counts as 1 bp
        ("NaN", 4, "keep"),
    ],
)
def test_a_held_trade_is_warned_then_closed(rate: str | None, wait_min: float, action: str) -> None:
    seen = view(rate, wait_min)
    assert seen.action == action
    assert "SOLUSDT" in seen.words


def test_the_words_of_funding() -> None:
    assert view("0.004") == FundingView(
        "close",
        "SOLUSDT: the next funding payment takes 0.4 R at 0.4 %, the limit is 0.3 R: out.",
        "0.4 R at 0.4 %",
        "0.3 R",
    )
    assert view("0.002") == FundingView(
        "warn",
        "SOLUSDT: the next funding payment takes 0.2 R at 0.2 % (limits 0.1 R, 0.1 %).",
        "0.2 R at 0.2 %",
        "0.1 R, 0.1 %",
    )
    assert view(None) == FundingView(
        "keep", "SOLUSDT: funding of 0.01 R at 0.01 %.", "0.01 R at 0.01 %", "0.1 R, 0.1 %"
    )
    # a rate over its own limit warns though it costs little in R
    assert view("0.0011", r_usdt=D(1000)).action == "warn"


@pytest.mark.parametrize("bad", ["0", "-1", "NaN", "1e30"])
def test_nothing_held_pays_nothing(bad: str) -> None:
    assert view("0.02", r_usdt=D(bad)).words == "SOLUSDT: nothing to pay funding for."
    assert view("0.02", notional_usdt=D(bad)) == FundingView(
        "keep", "SOLUSDT: nothing to pay funding for.", "", ""
    )


# ---------------------------------------------------------------------------- regime


def see(state: Regime, share: float | None, btc: float | None, at_ms: int = NOW_MS) -> Regime:
    return step_regime(state, RegimeFacts(at_ms=at_ms, fallen_share=share, btc_change_24h=btc))


@pytest.mark.parametrize(
    ("share", "btc", "regime"),
    [
        (0.5, -0.0599, NORMAL),
        (0.5001, 0.1, RISK_OFF),
        (0.0, -0.06, RISK_OFF),
        (None, -0.07, RISK_OFF),
        (0.6, None, RISK_OFF),
        (None, 0.0, UNKNOWN),
        (0.1, None, UNKNOWN),
        (None, None, UNKNOWN),
        (float("nan"), float("nan"), UNKNOWN),
        (float("inf"), float("-inf"), UNKNOWN),
    ],
)
def test_what_makes_a_regime(share: float | None, btc: float | None, regime: str) -> None:
    state = see(Regime(), share, btc)
    assert state.regime == regime
    assert state.since_ms == (NOW_MS if regime != UNKNOWN else 0)
    assert state.seen_ms == state.since_ms


def test_the_cause_is_told() -> None:
    both = see(Regime(), 0.62, -0.08)
    assert both.cause == "62% of the coins stand 10% or more under their 24 h high"
    assert see(Regime(), 0.1, -0.0712).cause == "BTC lost 7.1% in 24 h"


def test_normal_comes_back_after_six_hours_seen_calm() -> None:
    state = see(Regime(), 0.6, 0.0)
    calm_from = NOW_MS + MINUTE_MS
    at_ms = calm_from
    while at_ms < calm_from + CALM_MS:
        state = see(state, 0.5, -0.05, at_ms)
        assert (state.regime, state.calm_since_ms) == (RISK_OFF, calm_from)
        assert (state.since_ms, state.cause[:3]) == (NOW_MS, "60%")
        at_ms += GAP_MS
    state = see(state, 0.1, 0.0, at_ms)
    assert state == Regime(regime=NORMAL, since_ms=at_ms, seen_ms=at_ms)
    assert see(state, 0.1, 0.0, at_ms + 5).since_ms == at_ms


def test_a_relapse_a_hole_and_an_unknown_do_not_count_as_calm() -> None:
    state = see(see(Regime(), 0.6, 0.0), 0.1, 0.0, NOW_MS + 1)
    relapse = see(state, 0.1, -0.07, NOW_MS + 2)
    assert (relapse.since_ms, relapse.calm_since_ms) == (NOW_MS, 0)
    edge = see(state, 0.1, 0.0, NOW_MS + 1 + GAP_MS)
    assert edge.calm_since_ms == NOW_MS + 1
    hole = see(state, 0.1, 0.0, NOW_MS + 2 + GAP_MS)
    assert hole.calm_since_ms == NOW_MS + 2 + GAP_MS
    assert see(state, None, 0.0, NOW_MS + 5) == state
    assert see(state, 0.9, 0.0, NOW_MS) == state  # facts of before
    assert see(state, 0.9, 0.0, NOW_MS + 1).calm_since_ms == 0


def test_old_facts_are_unknown_but_a_risk_off_stays() -> None:
    normal = see(Regime(), 0.1, 0.0)
    assert regime_at(normal, NOW_MS + STALE_MS) == NORMAL
    assert regime_at(normal, NOW_MS + STALE_MS + 1) == UNKNOWN
    assert regime_at(see(Regime(), 0.9, 0.0), NOW_MS + 10**12) == RISK_OFF
    assert regime_at(Regime(), 0) == UNKNOWN


def test_the_share_of_fallen_coins() -> None:
    assert fallen_share([]) is None
    assert fallen_share([(float("nan"), 1.0), (1.0, 0.0), (0.0, 1.0), (1.0, float("inf"))]) is None
    assert fallen_share([(90.0, 100.0), (90.1, 100.0), (50.0, 100.0), (5.0, 5.0)]) == 0.5
    assert fallen_share([(1.0, 1.0), (float("nan"), 1.0), (0.1, 1.0)]) == 0.5


@pytest.mark.laws
@given(
    st.lists(
        st.tuples(
            st.sampled_from([60_000, 300_000, 600_000, 600_001, 3_600_000]),
            st.sampled_from([0.1, 0.5, 0.51, None, float("nan")]),
            st.sampled_from([0.0, -0.059, -0.06, None]),
        ),
        max_size=80,
    )
)
def test_no_normal_within_six_hours_of_a_fall(
    story: list[tuple[int, float | None, float | None]],
) -> None:
    state, at_ms, fell_ms = Regime(), NOW_MS, None
    for step_ms, share, btc in story:
        at_ms += step_ms
        state = see(state, share, btc, at_ms)
        if (share is not None and share > 0.5) or (btc is not None and btc <= -0.06):
            fell_ms = at_ms
            assert state.regime == RISK_OFF
        elif fell_ms is not None and at_ms - fell_ms < CALM_MS:
            assert state.regime == RISK_OFF


# ---------------------------------------------------------------------------- ranges


def numbers_of(struct: Any) -> set[str]:
    return {
        name
        for name in type(struct).__struct_fields__
        if isinstance(getattr(struct, name), int | float | Decimal)
        and not isinstance(getattr(struct, name), bool)
    }


def test_every_number_has_a_range_that_holds_its_default() -> None:
    assert numbers_of(RiskLimits()) == set(LIMIT_RANGES)
    assert numbers_of(STANDARD) == set(SETTINGS_RANGES)
    for preset in (STANDARD, CAREFUL):
        assert check_settings(preset) == []
    assert check_limits(RiskLimits()) == []


def test_the_plan_has_one_set_of_ranges() -> None:
    for name in SETTINGS_RANGES.keys() & PLAN_RANGES.keys():
        low, high = PLAN_RANGES[name]
        assert SETTINGS_RANGES[name] == (D(str(low)), D(str(high))), name


def as_type(default: Any, value: Decimal) -> Any:
    return value if isinstance(default, Decimal) else type(default)(value)


@pytest.mark.parametrize("name", sorted(LIMIT_RANGES))
def test_a_limit_out_of_range_is_named(name: str) -> None:
    default, (low, high) = getattr(RiskLimits(), name), LIMIT_RANGES[name]
    assert low < high
    unit = D(1) if isinstance(default, int) else D("0.00001")
    for value in (low, high):
        problems = check_limits(limits(**{name: as_type(default, value)}))
        assert not [each for each in problems if "range" in each]
    for value in (low - unit, high + unit):
        bad = as_type(default, value)
        assert check_limits(limits(**{name: bad})) == [
            f"risk.{name} = {bad} is out of range: {low} to {high}"
        ]
    if isinstance(default, Decimal):
        for odd in ("NaN", "Infinity", "-Infinity", "sNaN"):
            assert len(check_limits(limits(**{name: D(odd)}))) == 1


@pytest.mark.parametrize("name", sorted(SETTINGS_RANGES))
def test_a_setting_out_of_range_is_named(name: str) -> None:
    default, (low, high) = getattr(STANDARD, name), SETTINGS_RANGES[name]
    unit = D(1) if isinstance(default, int) else D("0.00001")
    for value in (low - unit, high + unit):
        bad = as_type(default, value)
        changed = msgspec.structs.replace(STANDARD, **{name: bad})
        assert check_settings(changed) == [f"{name} = {bad} is out of range: {low} to {high}"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"risk_per_trade": D("0.03")}, "risk.risk_per_trade = 0.03 exceeds risk.total_risk_max"),
        ({"symbol_risk_max": D("0.004")}, "exceeds risk.symbol_risk_max = 0.004: not one trade"),
        ({"group_risk_max": D("0.004")}, "exceeds risk.group_risk_max = 0.004: not one trade"),
        ({"daily_loss_max": D("0.004")}, "exceeds risk.daily_loss_max = 0.004: less than one loss"),
        ({"funding_close_r": D("0.05")}, "exceeds risk.funding_close_r = 0.05: an entry would"),
        ({"breaker_reduce_losses": 6}, "risk.breaker_reduce_losses = 6 must be below"),
    ],
)
def test_contradictions_of_limits_are_told(changes: dict[str, Any], words: str) -> None:
    problems = check_limits(limits(**changes))
    assert any(words in problem for problem in problems), problems
    assert check_settings(msgspec.structs.replace(STANDARD, risk=limits(**changes))) == problems


def test_equal_is_no_contradiction() -> None:
    same = limits(
        risk_per_trade=D("0.01"), total_risk_max=D("0.01"), daily_loss_max=D("0.01"),
        group_risk_max=D("0.01"), breaker_reduce_losses=5, funding_close_r=D("0.1"),
    )  # fmt: skip
    assert check_limits(same) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"profile": ""}, "profile is empty"),
        ({"timezone": "Mars/Base"}, "timezone = 'Mars/Base' is no time zone (like Europe/Berlin)"),
        ({"entry_mode": "hope"}, "entry_mode = 'hope' is unknown: retest or next_open"),
        ({"intervals_ms": ()}, "intervals_ms needs one or more intervals of a minute to a day"),
        (
            {"intervals_ms": (900_000, 59_999)},
            "intervals_ms needs one or more intervals of a minute to a day",
        ),
        (
            {"intervals_ms": (86_400_001,)},
            "intervals_ms needs one or more intervals of a minute to a day",
        ),
        (
            {"symbols_allow": ("B", "A", "C"), "symbols_deny": ("A", "B")},
            "A, B is both allowed and denied",
        ),
        (
            {"leverage": D(6)},
            "leverage = 6 exceeds risk.leverage_max = 5: every entry would be refused",
        ),
    ],
)
def test_wrong_settings_are_told(changes: dict[str, Any], words: str) -> None:
    assert check_settings(msgspec.structs.replace(STANDARD, **changes)) == [words]


def test_right_settings_pass() -> None:
    right = UserSettings(
        entry_mode="next_open", intervals_ms=(60_000, 86_400_000), symbols_allow=("A",),
        symbols_deny=("B",), timezone="Asia/Kolkata",
    )  # fmt: skip
    assert check_settings(right) == []


# ---------------------------------------------------------------------------- figures


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("0.00012345678", "0.000123457"), ("1E+3", "1000"), ("NaN", "NaN"), ("0", "0"),
        ("-0.50", "-0.5"), ("1234567.89", "1234568"), ("999999.5", "1000000"), ("1E+30", "1E+30"),
        ("1E-30", "1E-30"), ("100", "100"), ("0.0", "0"), ("1E+15", "1000000000000000"),
        ("-1234567.89", "-1234568"), ("1E-15", "0.000000000000001"),
    ],
)  # fmt: skip
def test_numbers_are_written_plainly(value: str, text: str) -> None:
    assert number(D(value)) == text


def test_units_are_written() -> None:
    assert (usdt(D("1.005")), usdt(D("NaN"))) == ("1.00 USDT", "NaN USDT")
    assert (percent(D("0.00123456")), percent(D("inf"))) == ("0.1235 %", "Infinity of 1")
    assert (span(1500), span(60_000), span(7_140_000)) == ("1.5 s", "1 min", "119 min")
    assert (span(7_200_000), span(-900_000), span(59_999)) == ("2 h", "-15 min", "59.999 s")
    assert instant(NOW_MS) == "2025-11-24 16:00 UTC"
    assert instant(10**30) == f"{10**30} ms"
