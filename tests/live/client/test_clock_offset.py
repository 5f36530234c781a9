"""The venue's clock: never ahead, heals after a jump."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from live.clock import ManualClock
from live.venues.bybit.clock_offset import SAMPLES_MAX, VenueClock

pytestmark = pytest.mark.laws

delays = st.floats(0.0, 3.0)


@given(
    skew_ms=st.integers(-10_000_000, 10_000_000),
    trips=st.lists(st.tuples(delays, delays, st.floats(0.0, 20.0)), min_size=1, max_size=30),
)
def test_signing_time_is_never_ahead_and_lies_within_the_best_round_trip(skew_ms, trips):
    clock = ManualClock(1_700_000_000_000)
    venue = VenueClock(clock)
    trips_s: list[float] = []
    for there_s, back_s, pause_s in trips:
        sent_s = clock.monotonic_s()
        clock.advance(there_s)
        stamp = clock.now_ms() + skew_ms
        clock.advance(back_s)
        venue.observe(stamp, sent_s, clock.monotonic_s())
        trips_s.append(clock.monotonic_s() - sent_s)
        clock.advance(pause_s)
        true_ms = clock.now_ms() + skew_ms
        assert venue.signing_ms() <= true_ms
        assert true_ms - venue.signing_ms() <= 3000.0 * 2 + 2
        assert abs(venue.now_ms() - true_ms) <= venue.width_ms / 2 + 1
    if clock.monotonic_s() < 300.0:
        assert venue.width_ms <= min(trips_s[-SAMPLES_MAX:]) * 1000.0 + 1e-3


def test_a_clock_that_was_set_is_followed_at_once():
    clock = ManualClock(1_700_000_000_000)
    venue = VenueClock(clock)
    for skew_ms in (50, -7_200_000, 3_600_000):
        sent_s = clock.monotonic_s()
        clock.advance(0.1)
        venue.observe(clock.now_ms() + skew_ms + 1, sent_s, clock.monotonic_s())
        assert abs(venue.now_ms() - clock.now_ms() - skew_ms) <= 100
    assert venue.jumps == 2


def test_nonsense_is_no_sample():
    clock = ManualClock(1000)
    venue = VenueClock(clock)
    venue.observe(0, 0.0, 0.1)
    venue.observe(-5, 0.0, 0.1)
    venue.observe(5, 1.0, 0.5)
    assert not venue.synced
    assert venue.now_ms() == 1000
