"""The user's day: its end is a stored UTC instant, right over every clock change."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.risk.day import (
    DAY_MS,
    Day,
    book_day,
    breaches,
    day_bounds,
    day_limit,
    day_result,
    judge_day,
    open_day,
    roll_day,
    zone_known,
)
from engine.risk.limits import RiskLimits
from tests.engine.risk.made import DAY, NOW_MS, D, limits

HOUR_MS = 3_600_000
LIMITS = RiskLimits()
ZONES = [
    "UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Asia/Beirut", "Asia/Kolkata",
    "Pacific/Apia", "Pacific/Kwajalein", "Australia/Lord_Howe",
    "Atlantic/Azores", "America/Asuncion", "Pacific/Kiritimati",
]  # fmt: skip


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.mark.parametrize(
    ("at", "zone", "name", "ends"),
    [
        ("2026-03-28T22:59:59+00:00", "UTC", "2026-03-28", "2026-03-29T00:00+00:00"),
        # the night the clocks go forward: a day of 23 h
        ("2026-03-28T23:00:00+00:00", "Europe/Berlin", "2026-03-29", "2026-03-29T22:00+00:00"),
        # the night they go back: a day of 25 h
        ("2026-10-24T22:00:00+00:00", "Europe/Berlin", "2026-10-25", "2026-10-25T23:00+00:00"),
        # a midnight that does not exist: the day begins with the change, at 01:00
        ("2018-11-03T12:00:00-03:00", "America/Sao_Paulo", "2018-11-03", "2018-11-04T03:00+00:00"),
        ("2018-11-04T03:00:00+00:00", "America/Sao_Paulo", "2018-11-04", "2018-11-05T02:00+00:00"),
        # 24:00 goes back to 23:00: the day lasts on through its second last hour
        ("2018-02-17T12:00:00-02:00", "America/Sao_Paulo", "2018-02-17", "2018-02-18T03:00+00:00"),
        ("2018-02-18T02:30:00+00:00", "America/Sao_Paulo", "2018-02-17", "2018-02-18T03:00+00:00"),
        # a day that never was
        ("2011-12-30T09:00:00+00:00", "Pacific/Apia", "2011-12-29", "2011-12-30T10:00+00:00"),
        ("2011-12-30T10:00:00+00:00", "Pacific/Apia", "2011-12-31", "2011-12-31T10:00+00:00"),
        # 00:01 goes back to 23:01: the day ends, is back, and ends again
        ("2010-11-07T02:29:00+00:00", "America/St_Johns", "2010-11-06", "2010-11-07T02:30+00:00"),
        ("2010-11-07T03:00:00+00:00", "America/St_Johns", "2010-11-06", "2010-11-07T03:30+00:00"),
        # no such zone: UTC
        ("2026-01-01T12:00:00+00:00", "Mars/Olympus", "2026-01-01", "2026-01-02T00:00+00:00"),
    ],
)
def test_a_day_ends_at_local_midnight(at: str, zone: str, name: str, ends: str) -> None:
    assert day_bounds(ms(at), zone) == (name, ms(ends))


@pytest.mark.parametrize("at_ms", [-1, 250_000_000_000_001, 10**30, -(10**30)])
def test_instants_no_calendar_holds_get_a_day_all_the_same(at_ms: int) -> None:
    name, ends_ms = day_bounds(at_ms, "Europe/Berlin")
    assert name == "unknown"
    assert at_ms < ends_ms <= at_ms + DAY_MS
    assert ends_ms % DAY_MS == 0


def test_the_bounds_of_the_calendar_are_asked() -> None:
    assert day_bounds(0, "UTC") == ("1970-01-01", DAY_MS)
    assert day_bounds(250_000_000_000_000, "UTC")[0] == "9892-03-08"


@pytest.mark.laws
@given(
    st.integers(ms("2005-01-01T00:00+00:00"), ms("2035-01-01T00:00+00:00")),
    st.sampled_from(ZONES),
)
def test_every_instant_lies_in_a_day_that_ends_with_its_date(at_ms: int, zone: str) -> None:
    """A naive walk by the minute finds the first instant of a later date just there."""
    name, ends_ms = day_bounds(at_ms, zone)
    assert at_ms < ends_ms <= at_ms + 26 * HOUR_MS

    def date_at(instant_ms: int) -> str:
        return datetime.fromtimestamp(instant_ms / 1000, ZoneInfo(zone)).date().isoformat()

    assert date_at(at_ms) == name
    assert date_at(ends_ms) > name
    assert date_at(ends_ms - 1) == name
    step = timedelta(minutes=30)
    walked = datetime.fromtimestamp(at_ms / 1000, UTC)
    while walked.timestamp() * 1000 < ends_ms:
        assert walked.astimezone(ZoneInfo(zone)).date().isoformat() == name
        walked += step


@pytest.mark.laws
@given(
    st.lists(st.integers(-3, 40).map(lambda hours: hours * HOUR_MS), max_size=20),
    st.lists(st.sampled_from(ZONES), min_size=20, max_size=20),
)
def test_a_halt_holds_to_its_stored_end_whatever_clock_and_zone_do(
    steps: list[int], zones: list[str]
) -> None:
    at_ms = ms("2026-03-28T20:00+00:00")
    day = open_day(at_ms, "Europe/Berlin", equity_usdt=D(1000))
    for step, zone in zip(steps, zones, strict=False):
        at_ms += step
        rolled = roll_day(day, at_ms, zone, equity_usdt=D(900), unrealised_usdt=D(7))
        if at_ms < day.resets_ms:
            assert rolled == day
        else:
            assert rolled.resets_ms > at_ms
            assert (rolled.halted, rolled.start_equity_usdt) == (False, D(900))
            assert rolled.start_unrealised_usdt == 7
        day = msgspec.structs.replace(rolled, halted=True)


def test_a_first_day_is_opened_with_what_was_read() -> None:
    day = roll_day(None, NOW_MS, "UTC", equity_usdt=D(5), unrealised_usdt=D(-1))
    assert day == Day(
        day="2025-11-24",
        resets_ms=ms("2025-11-25T00:00+00:00"),
        start_equity_usdt=D(5),
        start_unrealised_usdt=D(-1),
    )
    assert open_day(NOW_MS, "UTC", equity_usdt=D(5)).start_unrealised_usdt == 0
    assert roll_day(day, day.resets_ms, "UTC", equity_usdt=D(6)).day == "2025-11-25"
    assert roll_day(day, day.resets_ms - 1, "UTC", equity_usdt=D(6)) == day


def test_realised_fees_funding_and_the_swing_of_unrealised_count() -> None:
    day = msgspec.structs.replace(DAY, start_unrealised_usdt=D(10))
    day = book_day(day, realised_usdt=D(-100), fees_usdt=D(7))
    day = book_day(day, funding_usdt=D(-3), realised_usdt=D(1), fees_usdt=D("0.5"))
    assert (day.realised_usdt, day.fees_usdt, day.funding_usdt) == (D(-99), D("7.5"), D(-3))
    assert book_day(day) == day
    assert day_result(day, D(-5)) == D(-99) - D("7.5") - 3 - 15
    assert day_limit(day, LIMITS) == 200


@pytest.mark.parametrize(
    ("unrealised", "halts"), [("-199.99", False), ("-200", True), ("-900", True), ("5", False)]
)
def test_the_limit_halts_when_it_is_reached(unrealised: str, *, halts: bool) -> None:
    assert breaches(DAY, D(unrealised), LIMITS) is halts
    judged = judge_day(DAY, D(unrealised), LIMITS)
    assert judged.halted is halts
    if halts:
        assert judged.reason == f"loss of {-D(unrealised):.2f} USDT, limit 200.00 USDT (2 %)"
        # it stays, though the loss is won back, or the limit raised
        assert judge_day(judged, D(500), limits(daily_loss_max=D("0.2"))) == judged
    else:
        assert judged == DAY


def test_without_equity_any_loss_halts_and_none_does_not() -> None:
    poor = msgspec.structs.replace(DAY, start_equity_usdt=D(-5))
    assert day_limit(poor, LIMITS) == 0
    assert judge_day(poor, D(0), LIMITS) == poor
    assert judge_day(poor, D("-0.01"), LIMITS).halted


@pytest.mark.parametrize("bad", ["NaN", "Infinity", "-1E+20"])
def test_what_cannot_be_read_halts_nothing_for_good(bad: str) -> None:
    day = msgspec.structs.replace(DAY, realised_usdt=D(-900))
    assert judge_day(day, D(bad), LIMITS) == day
    broken = msgspec.structs.replace(day, start_equity_usdt=D(bad))
    assert judge_day(broken, D(0), LIMITS) == broken
    assert judge_day(day, D(0), limits(daily_loss_max=D(bad))) == day


def test_zones() -> None:
    assert zone_known("Europe/Berlin")
    for wrong in (
        "",
        "Mars/Olympus",
        "../etc/passwd",
        "/etc/passwd",
        "Europe",
        "a\x00b",
        "x" * 999,
    ):
        assert not zone_known(wrong), wrong


@pytest.mark.laws
@given(st.decimals(-500, 500, places=2), st.decimals(-500, 500, places=2))
def test_a_halted_day_and_the_judge_agree(realised: Decimal, unrealised: Decimal) -> None:
    day = book_day(DAY, realised_usdt=realised)
    assert judge_day(day, unrealised, LIMITS).halted == (realised + unrealised <= -200)
