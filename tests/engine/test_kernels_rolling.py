import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kernels.candles import body_share, close_location, is_sound, true_range
from engine.kernels.rolling import ew_step, falls, rolling_max

pytestmark = pytest.mark.laws

seeds = st.integers(0, 2**32 - 1)
prices = st.floats(1e-9, 1e9)


@given(seeds, st.integers(1, 60), st.integers(0, 200))
def test_rolling_max_is_the_maximum_of_the_last_values(seed: int, window: int, n: int) -> None:
    x = np.random.default_rng(seed).integers(0, 50, n) / 4.0
    want = [max(x[max(0, i + 1 - window) : i + 1]) for i in range(n)]
    assert rolling_max(x, window).tolist() == want


@given(seeds, st.integers(1, 20))
def test_falls_need_an_unbroken_window(seed: int, window: int) -> None:
    rng = np.random.default_rng(seed)
    steps = rng.choice([60_000, 60_000, 60_000, 120_000], 80)
    ts = np.cumsum(steps)
    close = np.exp(rng.normal(0, 0.1, 80))
    high = close * (1 + rng.random(80))
    out = np.empty(80)
    falls(ts, high, close, 60_000, window, out)
    for i in range(80):
        start = i + 1 - window
        if start < 0 or ts[i] - ts[start] != (window - 1) * 60_000:
            assert np.isnan(out[i])
        else:
            assert out[i] == pytest.approx(np.log(high[start : i + 1].max() / close[i]), rel=1e-13)
        # exact from any start that has the window behind it
        if start > 0:
            part = np.empty(window)
            falls(
                ts[start : i + 1], high[start : i + 1], close[start : i + 1], 60_000, window, part
            )
            assert part[-1:].tobytes() == out[i : i + 1].tobytes()


@given(st.lists(prices, min_size=1, max_size=50), st.integers(1, 20), st.integers(-20, 20))
def test_the_ew_mean_is_a_plain_mean_first_and_scales_exactly(
    xs: list[float], window: int, j: int
) -> None:
    mean = scaled = 0.0
    for n, x in enumerate(xs):
        mean = ew_step(mean, x, window, n)
        scaled = ew_step(scaled, x * 2.0**j, window, n)
        # a small mean after a large value has lost its last digits
        slack = 1e-12 * max(xs[: n + 1])
        if n < window:
            assert mean == pytest.approx(sum(xs[: n + 1]) / (n + 1), rel=1e-9, abs=slack)
        assert min(xs[: n + 1]) - slack <= mean <= max(xs[: n + 1]) + slack
    assert scaled == mean * 2.0**j


@given(prices, prices, prices, prices, st.floats(0, 1e12))
def test_a_candle_is_sound_when_high_and_low_enclose(
    o: float, h: float, lo: float, c: float, v: float
) -> None:
    assert is_sound(o, h, lo, c, v) == (lo <= min(o, c) and h >= max(o, c))
    assert is_sound(o, max(o, h, lo, c), min(o, h, lo, c), c, v)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, -1.0, 0.0])
@pytest.mark.parametrize("field", range(5))
def test_impossible_numbers_are_not_sound(field: int, bad: float) -> None:
    bar = [2.0, 3.0, 1.0, 2.0, 5.0]
    assert is_sound(*bar)
    bar[field] = bad
    assert is_sound(*bar) == (field == 4 and bad == 0.0)  # no volume is a fact, not a fault


def test_candle_shares() -> None:
    assert true_range(12.0, 10.0, 0.0) == 2.0
    assert true_range(12.0, 10.0, 15.0) == 5.0
    assert true_range(12.0, 10.0, 9.0) == 3.0
    assert (body_share(10.0, 14.0, 10.0, 13.0), close_location(14.0, 10.0, 13.0)) == (0.75, 0.75)
    assert body_share(13.0, 14.0, 10.0, 10.0) == -0.75
    assert (body_share(5.0, 5.0, 5.0, 5.0), close_location(5.0, 5.0, 5.0)) == (0.0, 0.0)
