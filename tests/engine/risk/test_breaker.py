"""The circuit breaker: what raises it, what lowers it, and that no step is skipped."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.risk.breaker import (
    ACTIVE,
    CAUSE_WORDS,
    HALTED,
    REDUCING,
    SLIPS_KEPT,
    Breaker,
    breaker_words,
    on_error,
    on_liquidation,
    on_resume,
    on_time,
    on_trade,
)
from engine.risk.limits import RiskLimits
from tests.engine.risk.made import MINUTE_MS, NOW_MS, D, approved, asked, book, limits

LIMITS = RiskLimits()
COOL_MS = 240 * MINUTE_MS
DAY_ENDS_MS = NOW_MS + 10 * 3_600_000


def trade(
    breaker: Breaker,
    result: str,
    slip: str = "0",
    at_ms: int = NOW_MS,
    lim: RiskLimits = LIMITS,
    ends_ms: int = DAY_ENDS_MS,
) -> Breaker:
    return on_trade(
        breaker,
        lim,
        at_ms,
        result_usdt=D(result),
        slippage_r=D(slip),
        day_ends_ms=ends_ms,
    )


def lose(times: int, breaker: Breaker | None = None) -> Breaker:
    now = breaker or Breaker()
    for n in range(times):
        now = trade(now, "-1", at_ms=NOW_MS + n)
    return now


def test_four_losses_reduce_six_halt() -> None:
    assert lose(3) == Breaker(losses=3, slips=(False,) * 3)
    four = lose(4)
    assert (four.state, four.cause, four.since_ms, four.until_ms) == (
        REDUCING, "losses", NOW_MS + 3, 0,
    )  # fmt: skip
    assert lose(5) == msgspec.structs.replace(four, losses=5, slips=(False,) * 5)
    six = lose(6)
    assert (six.state, six.cause, six.since_ms) == (HALTED, "losses", NOW_MS + 5)
    assert six.until_ms == DAY_ENDS_MS


def test_a_halt_by_losses_lasts_at_least_the_cool_down() -> None:
    late = trade(lose(5), "-1", ends_ms=NOW_MS + 1)
    assert late.until_ms == NOW_MS + COOL_MS


def test_a_halt_by_losses_cools_to_half_size_and_the_next_loss_halts_again() -> None:
    six = lose(6)
    assert on_time(six, LIMITS, DAY_ENDS_MS - 1) == six
    cooled = on_time(six, LIMITS, DAY_ENDS_MS)
    assert (cooled.state, cooled.cause, cooled.since_ms, cooled.until_ms) == (
        REDUCING, "losses", DAY_ENDS_MS, 0,
    )  # fmt: skip
    assert on_time(cooled, LIMITS, DAY_ENDS_MS + 10**12) == cooled
    again = trade(cooled, "-1", at_ms=DAY_ENDS_MS + 5, ends_ms=DAY_ENDS_MS + 86_400_000)
    assert (again.state, again.losses, again.until_ms) == (HALTED, 7, DAY_ENDS_MS + 86_400_000)


def test_a_win_ends_half_size_and_a_scratch_changes_nothing() -> None:
    four = lose(4)
    assert trade(four, "0") == msgspec.structs.replace(four, slips=(False,) * 5)
    won = trade(four, "0.01", at_ms=NOW_MS + 9)
    assert (won.state, won.cause, won.since_ms, won.until_ms, won.losses) == (
        ACTIVE, "", NOW_MS + 9, 0, 0,
    )  # fmt: skip
    assert trade(lose(2), "1").losses == 0


def test_a_win_of_an_open_trade_does_not_end_a_halt() -> None:
    six = lose(6)
    won = trade(six, "5")
    assert (won.state, won.until_ms, won.losses) == (HALTED, six.until_ms, 0)


def test_three_errors_within_a_minute_halt() -> None:
    one = on_error(Breaker(), LIMITS, NOW_MS)
    assert one == Breaker(errors_ms=(NOW_MS,))
    two = on_error(one, LIMITS, NOW_MS + 30_000)
    assert on_error(two, LIMITS, NOW_MS + 60_000).state == ACTIVE  # the first is out of the window
    three = on_error(two, LIMITS, NOW_MS + 59_999)
    assert (three.state, three.cause, three.errors_ms) == (HALTED, "errors", ())
    assert (three.since_ms, three.until_ms) == (NOW_MS + 59_999, NOW_MS + 59_999 + COOL_MS)


def test_errors_count_while_the_clock_is_set_back() -> None:
    two = on_error(on_error(Breaker(), LIMITS, NOW_MS), LIMITS, NOW_MS)
    assert on_error(two, LIMITS, NOW_MS - 59_999).state == HALTED
    assert on_error(two, LIMITS, NOW_MS - 60_000).errors_ms == (NOW_MS - 60_000,)


def test_a_halt_by_errors_cools_in_two_steps() -> None:
    halted = Breaker(state=HALTED, cause="errors", until_ms=NOW_MS + COOL_MS)
    assert on_time(halted, LIMITS, NOW_MS + COOL_MS - 1) == halted
    half = on_time(halted, LIMITS, NOW_MS + COOL_MS)
    assert (half.state, half.cause, half.since_ms) == (REDUCING, "errors", NOW_MS + COOL_MS)
    assert half.until_ms == NOW_MS + 2 * COOL_MS
    assert on_time(half, LIMITS, half.until_ms - 1) == half
    assert on_time(half, LIMITS, half.until_ms) == Breaker(since_ms=half.until_ms)


def test_a_halt_by_errors_that_covers_a_run_of_losses_cools_to_half_size_for_good() -> None:
    four = lose(4)
    halted = on_error(on_error(on_error(four, LIMITS, NOW_MS), LIMITS, NOW_MS), LIMITS, NOW_MS)
    half = on_time(halted, LIMITS, halted.until_ms)
    assert (half.state, half.cause, half.until_ms) == (REDUCING, "losses", 0)


def test_slipping_twice_in_ten_trades_halts() -> None:
    once = trade(Breaker(), "1", "0.301")
    assert (once.state, once.slips) == (ACTIVE, (True,))
    assert trade(Breaker(), "1", "0.3").slips == (False,)
    for _ in range(SLIPS_KEPT - 1):
        once = trade(once, "1")
    assert once.slips == (True, *(False,) * 9)
    late = trade(once, "1", "0.4")
    assert (late.state, late.slips) == (ACTIVE, (*(False,) * 9, True))  # the first has left
    twice = trade(late, "1", "0.4")
    assert (twice.state, twice.cause, twice.slips) == (HALTED, "slippage", ())
    assert twice.until_ms == NOW_MS + COOL_MS


def test_what_is_no_number_counts_against_us() -> None:
    bad = trade(Breaker(), "NaN", "NaN")
    assert (bad.losses, bad.slips) == (1, (True,))
    assert trade(Breaker(losses=2), "Infinity", "-1").losses == 3


def test_a_liquidation_needs_a_person_who_gets_half_size() -> None:
    halted = on_liquidation(lose(1), NOW_MS)
    assert (halted.state, halted.cause, halted.until_ms) == (HALTED, "liquidation", 0)
    assert on_time(halted, LIMITS, 10**15) == halted
    half = on_resume(halted, LIMITS, NOW_MS + 5)
    assert (half.state, half.cause, half.since_ms, half.until_ms) == (
        REDUCING, "liquidation", NOW_MS + 5, 0,
    )  # fmt: skip
    assert on_resume(half, LIMITS, NOW_MS + 6) == half
    assert on_resume(Breaker(), LIMITS, NOW_MS) == Breaker()


def test_a_standing_halt_is_never_shortened() -> None:
    liquidated = on_liquidation(Breaker(), NOW_MS)
    for _ in range(3):
        liquidated = on_error(liquidated, LIMITS, NOW_MS)
    assert (liquidated.cause, liquidated.until_ms) == ("liquidation", 0)
    long = Breaker(state=HALTED, cause="losses", since_ms=3, until_ms=NOW_MS + 10 * COOL_MS)
    errors = on_error(on_error(on_error(long, LIMITS, NOW_MS), LIMITS, NOW_MS), LIMITS, NOW_MS)
    assert errors == long
    short = Breaker(state=HALTED, cause="losses", since_ms=3, until_ms=NOW_MS + 1)
    for _ in range(3):
        short = on_error(short, LIMITS, NOW_MS)
    assert (short.cause, short.until_ms, short.since_ms) == ("errors", NOW_MS + COOL_MS, 3)
    worse = on_liquidation(short, NOW_MS)
    assert (worse.cause, worse.until_ms, worse.since_ms) == ("liquidation", 0, 3)


def test_reducing_halves_the_risk_and_says_so() -> None:
    full = approved(asked())
    half = approved(asked(on=book(breaker=lose(4))))
    assert (full.halved, half.halved) == (False, True)
    assert half.risk_usdt <= full.risk_usdt / 2 + D("0.4")
    assert half.qty == D("7.8")  # 25 USDT / 3.17, floored
    assert ("breaker", "REDUCING", "not HALTED") in half.checks


def test_a_cool_down_that_is_over_lets_the_judge_ask_at_half_size() -> None:
    halted = Breaker(state=HALTED, cause="errors", until_ms=NOW_MS)
    assert approved(asked(on=book(breaker=halted))).halved


@pytest.mark.parametrize("cause", sorted(CAUSE_WORDS))
def test_words_say_why_and_until_when(cause: str) -> None:
    halted = breaker_words(Breaker(state=HALTED, cause=cause, until_ms=NOW_MS))
    assert halted == f"Entries are halted: {CAUSE_WORDS[cause]}; until 2025-11-24 16:00 UTC."
    half = breaker_words(Breaker(state=REDUCING, cause=cause))
    assert half == (f"Entries at half size: {CAUSE_WORDS[cause]}; full size after a winning trade.")


def test_words_of_the_rest() -> None:
    assert breaker_words(Breaker()) == "Entries at full size."
    person = breaker_words(Breaker(state=HALTED))
    assert person == "Entries are halted: no cause; until you resume."
    timed = breaker_words(Breaker(state=REDUCING, cause="moon", until_ms=NOW_MS))
    assert timed == (
        "Entries at half size: moon; full size after a winning trade or at 2025-11-24 16:00 UTC."
    )


@st.composite
def events(draw: st.DrawFn) -> tuple[str, int, Decimal, Decimal]:
    kind = draw(st.sampled_from(["trade", "trade", "trade", "error", "time", "resume", "bust"]))
    step_ms = draw(st.sampled_from([0, 1, 20_000, MINUTE_MS, COOL_MS, 90_000_000, -3_600_000]))
    result = draw(st.sampled_from([D(-1), D(-1), D(-1), D(0), D(1), D("NaN")]))
    slip = draw(st.sampled_from([D(0), D(0), D("0.5"), D("NaN")]))
    return kind, step_ms, result, slip


@pytest.mark.laws
@given(st.lists(events(), max_size=60), st.integers(1, 4), st.integers(1, 3))
def test_no_step_is_skipped(
    story: list[tuple[str, int, Decimal, Decimal]], reduce: int, more: int
) -> None:
    lim = limits(breaker_reduce_losses=reduce, breaker_halt_losses=reduce + more)
    now, at_ms, run = Breaker(), NOW_MS, 0
    for kind, step_ms, result, slip in story:
        at_ms += step_ms
        before, now = now, _happen(now, lim, at_ms, kind, result, slip)
        if kind == "trade":
            run = _run_of(run, result)
            if run >= lim.breaker_halt_losses and result != 0:
                assert now.state == HALTED
        assert now.losses == run
        assert len(now.slips) <= SLIPS_KEPT
        assert len(now.errors_ms) < lim.breaker_errors
        assert (now.state == ACTIVE) == (now.cause == "")
        assert now.state != ACTIVE or run < reduce
        if before.state == HALTED and now.state == ACTIVE:
            # cooled down to REDUCING on the way in, then the same trade won
            assert kind == "trade"
            assert result > 0
            assert 0 < before.until_ms <= at_ms
        if before.state == HALTED and before.until_ms == 0:
            assert now.state == HALTED or kind == "resume"


def _run_of(run: int, result: Decimal) -> int:
    if result.is_nan() or result < 0:
        return run + 1
    return 0 if result > 0 else run


def _happen(
    now: Breaker, lim: RiskLimits, at_ms: int, kind: str, result: Decimal, slip: Decimal
) -> Breaker:
    if kind == "trade":
        return on_trade(
            now, lim, at_ms, result_usdt=result, slippage_r=slip, day_ends_ms=at_ms + 1000
        )
    if kind == "bust":
        halted = on_liquidation(now, at_ms)
        assert (halted.state, halted.until_ms) == (HALTED, 0)
        return halted
    return {"error": on_error, "time": on_time, "resume": on_resume}[kind](now, lim, at_ms)
