"""The venue's clock: never ahead, heals after a jump."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from live.clock import ManualClock
from live.venues.bybit.clock_offset import SAMPLE_AGE_S, SAMPLES_MAX, VenueClock

pytestmark = pytest.mark.laws

delays = st.floats(0.0, 3.0)


@given(
    skew_ms=st.integers(-10_000_000, 10_000_000),
    trips=st.lists(st.tuples(delays, delays, st.floats(0.0, 20.0)), min_size=1, max_size=30),
)
def test_signing_time_is_never_ahead_and_lies_within_the_best_round_trip(skew_ms, trips):
    clock = ManualClock(1_700_000_000_000)
    venue = VenueClock(clock)
    took_s: list[float] = []
    for there_s, back_s, pause_s in trips:
        sent_s = clock.monotonic_s()
        clock.advance(there_s)
        stamp = clock.now_ms() + skew_ms
        clock.advance(back_s)
        venue.observe(stamp, sent_s, clock.monotonic_s())
        took_s.append(clock.monotonic_s() - sent_s)
        clock.advance(pause_s)
        true_ms = clock.now_ms() + skew_ms
        assert venue.signing_ms() <= true_ms
        assert true_ms - venue.signing_ms() <= 3000.0 * 2 + 2
        assert abs(venue.now_ms() - true_ms) <= venue.width_ms / 2 + 1
    if clock.monotonic_s() < 300.0:
        assert venue.width_ms <= min(took_s[-SAMPLES_MAX:]) * 1000.0 + 1e-3


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


@given(
    st.lists(
        st.tuples(st.integers(-400, 400), st.integers(1, 300), st.integers(0, 120_000)),
        min_size=1,
        max_size=60,
    )
)
def test_the_best_sample_is_the_shortest_round_trip_still_remembered(trips):
    """The newest of the shortest, searched for naively after every reply."""
    clock = ManualClock(1_000_000_000)
    venue, kept, jumps, now_ms = VenueClock(clock), [], 0, 1_000_000
    for off_ms, trip_ms, later_ms in trips:
        now_ms += later_ms
        sent_s, received_s = now_ms / 1000.0, (now_ms + trip_ms) / 1000.0
        venue_ms = 1_000_000_000 + now_ms + off_ms
        venue.observe(venue_ms, sent_s, received_s)
        if venue.jumps > jumps:
            kept, jumps = [], venue.jumps
        kept.append((received_s, received_s * 1000.0 - sent_s * 1000.0, venue_ms))
        kept = [k for k in kept[-SAMPLES_MAX:] if received_s - k[0] <= SAMPLE_AGE_S]
        assert venue.width_ms == pytest.approx(min(k[1] for k in kept), abs=1e-3)
