from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.bars import Bars
from engine.errors import UsageError
from research.surrogates import sign_at, stretches, surrogate

STEP = 900_000


def walk(
    n: int, seed: int, *, first: int = 1, sigma: float = 0.01, gap_at: int | None = None
) -> Bars:
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(sigma * rng.standard_normal(n)))
    open_ = np.concatenate([[100.0], close[:-1]]) * np.exp(0.1 * sigma * rng.standard_normal(n))
    high = np.maximum(open_, close) * (1.0 + sigma * rng.random(n))
    low = np.minimum(open_, close) * (1.0 - sigma * rng.random(n))
    ts = STEP * np.arange(first, first + n, dtype=np.int64)
    if gap_at is not None:
        ts[gap_at:] += 7 * STEP
    return Bars.from_arrays(ts, open_, high, low, close, rng.random(n), rng.random(n))


def relatives(bars: Bars) -> np.ndarray:
    columns = np.stack([bars.open, bars.high, bars.low, bars.close])
    return columns[:, 1:] / bars.close[:-1] - 1.0


def naive(bars: Bars, seed: int, block_ms: int) -> np.ndarray:
    out = [[bars.open[0], bars.high[0], bars.low[0], bars.close[0]]]
    for i in range(1, len(bars)):
        o, h, lo, c = bars.open[i], bars.high[i], bars.low[i], bars.close[i]
        if bars.ts[i] - bars.ts[i - 1] == STEP:
            before, now = bars.close[i - 1], out[-1][3]
            r = [x / before - 1.0 for x in (o, h, lo, c)]
            if sign_at(seed, int(bars.ts[i]) // block_ms) < 0:
                r = [-r[0], -r[2], -r[1], -r[3]]
            o, h, lo, c = (now * (1.0 + x) for x in r)
        out.append([o, h, lo, c])
    return np.array(out).T


@pytest.mark.parametrize("block", ["bar", "1h", "24h"])
def test_equals_the_obvious_twin(block: str):
    bars = walk(500, 1, gap_at=300)
    made = surrogate(bars, seed=5, interval_ms=STEP, block=block)
    width = {"bar": STEP, "1h": 3_600_000, "24h": 86_400_000}[block]
    columns = np.stack([made.open, made.high, made.low, made.close])
    np.testing.assert_allclose(columns, naive(bars, 5, width), rtol=1e-12)


@given(st.integers(2, 200), st.integers(0, 10_000), st.integers(0, 10_000))
@settings(max_examples=50, deadline=None)
def test_every_bar_stays_possible_and_keeps_its_size(n: int, path: int, seed: int):
    bars = walk(n, path)
    made = surrogate(bars, seed=seed, interval_ms=STEP)
    assert len(stretches(made, STEP)[0]) == n
    real, fake = relatives(bars), relatives(made)
    np.testing.assert_allclose(np.abs(fake[3]), np.abs(real[3]), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(fake[1] - fake[2], real[1] - real[2], rtol=1e-9, atol=1e-12)


def test_gaps_volume_and_turnover_stay_and_a_stretch_starts_at_its_real_price():
    bars = walk(200, 3, gap_at=120)
    made = surrogate(bars, seed=1, interval_ms=STEP)
    np.testing.assert_array_equal(made.ts, bars.ts)
    np.testing.assert_array_equal(made.volume, bars.volume)
    np.testing.assert_array_equal(made.turnover, bars.turnover)
    for at in (0, 120):
        assert (made.open[at], made.close[at]) == (bars.open[at], bars.close[at])


def test_signs_are_shared_whatever_the_range_of_a_symbol():
    a, b = walk(400, 1, first=1), walk(300, 2, first=101)
    ratio = []
    for bars in (a, b):
        made = relatives(surrogate(bars, seed=9, interval_ms=STEP))[3]
        ratio.append(np.sign(made / relatives(bars)[3]))
    np.testing.assert_array_equal(ratio[0][100:], ratio[1])
    assert (ratio[0] > 0).mean() == pytest.approx(0.5, abs=0.1)


def test_co_movement_is_kept():
    rng = np.random.default_rng(0)
    common = 0.01 * rng.standard_normal(2000)
    pair = []
    for _ in range(2):
        close = 50.0 * np.cumprod(1.0 + common + 0.003 * rng.standard_normal(2000))
        ts = STEP * np.arange(1, 2001, dtype=np.int64)
        open_ = np.concatenate([[50.0], close[:-1]])
        pair.append(
            Bars.from_arrays(
                ts, open_, np.maximum(open_, close), np.minimum(open_, close), close, close
            )
        )
    real = np.corrcoef(*(relatives(x)[3] for x in pair))[0, 1]
    fake = np.corrcoef(*(relatives(surrogate(x, seed=4, interval_ms=STEP))[3] for x in pair))[0, 1]
    assert real > 0.85
    assert fake == pytest.approx(real, abs=0.02)


def test_a_drift_vanishes_and_arithmetic_flips_add_none():
    n = 300
    drifting = 1.0 + 0.004 + 0.02 * np.random.default_rng(1).standard_normal(n)
    close = 10.0 * np.cumprod(drifting)
    open_ = np.concatenate([[10.0], close[:-1]])
    ts = STEP * np.arange(1, n + 1, dtype=np.int64)
    bars = Bars.from_arrays(
        ts, open_, np.maximum(open_, close), np.minimum(open_, close), close, close
    )
    made = np.stack([relatives(surrogate(bars, seed=s, interval_ms=STEP))[3] for s in range(1600)])
    spread = 0.02 / np.sqrt(made.size)
    assert relatives(bars)[3].mean() > 20.0 * spread
    assert abs(made.mean()) < 3.5 * spread
    # what flips of log returns would have given
    r = np.log1p(relatives(bars)[3])
    assert np.mean(0.5 * (np.expm1(r) + np.expm1(-r))) > 5.0 * spread


def test_signs_have_no_pattern():
    signs = np.array([[sign_at(seed, t) for t in range(2000)] for seed in range(20)])
    limit = 4.5 / np.sqrt(2000)
    assert np.abs(signs.mean(axis=1)).max() < limit
    assert max(abs((a * b).mean()) for a, b in pairwise(signs)) < limit
    assert np.abs((signs[:, 1:] * signs[:, :-1]).mean(axis=1)).max() < limit


def test_a_bar_that_doubled_is_not_flipped_below_zero():
    close = np.array([1.0, 3.0, 3.0, 9.5, 9.0])
    open_ = np.array([1.0, 1.0, 3.0, 3.0, 9.5])
    ts = STEP * np.arange(1, 6, dtype=np.int64)
    bars = Bars.from_arrays(
        ts, open_, np.maximum(open_, close), np.minimum(open_, close), close, close
    )
    for seed in range(20):
        assert surrogate(bars, seed=seed, interval_ms=STEP).low.min() > 0.0


def test_stretches_cut_at_gaps_and_at_impossible_bars():
    bars = walk(100, 2, gap_at=60)
    low = bars.low.copy()
    low[20] = bars.high[20] * 2.0
    close = bars.close.copy()
    close[90] = np.nan
    broken = Bars.from_arrays(bars.ts, bars.open, bars.high, low, close, bars.volume, bars.turnover)
    assert [len(x) for x in stretches(broken, STEP)] == [20, 39, 30, 9]
    assert [len(x) for x in stretches(broken, STEP, bars_min=30)] == [39, 30]
    assert stretches(bars.slice(0, 0), STEP) == []


def test_unknown_block_is_told():
    with pytest.raises(UsageError, match="unknown block"):
        surrogate(walk(3, 0), seed=0, interval_ms=STEP, block="2h")
