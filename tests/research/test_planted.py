import numpy as np
import pytest

from data.profiles import load_profile
from engine.bars import Bars
from research.levels_planted import CASE, judge, planted_truth, specs
from research.planted import CEILINGS, LENGTHS, NOISES, WALK_BARS, make_path
from research.surrogates import stretches

STEP = 900_000


def path(kind: str, ceiling: str, noise: str = "low", length: str = "long", seed: int = 0):
    rng = np.random.default_rng(seed)
    return make_path(kind, ceiling, noise, length, step_ms=STEP, scale=1.0, rng=rng)


@pytest.mark.parametrize("ceiling", CEILINGS)
@pytest.mark.parametrize("noise", NOISES)
def test_a_base_is_what_its_truth_says(ceiling: str, noise: str):
    for seed in range(5):
        made = path("base", ceiling, noise, "short", seed)
        truth, bars = made.truth, made.bars
        assert len(stretches(bars, STEP)[0]) == len(bars)
        first, last = LENGTHS["short"]
        assert first <= truth.end - truth.start <= last
        assert bars.low[: truth.start].min() < truth.floor < truth.ceiling < bars.high.max()
        inside = bars.close[truth.start + 10 : truth.end]
        height = truth.ceiling - truth.floor
        slack = {"low": 0.2, "medium": 0.5, "high": 0.9}[noise]
        slack = 0.5 if ceiling == "sloped" else slack if ceiling == "noisy" else 0.01
        assert inside.max() < truth.ceiling + slack * height
        assert inside.min() > truth.floor - slack * height
        assert bars.close[-30] > truth.ceiling


def test_a_hard_ceiling_is_touched_and_never_closed_through():
    made = path("base", "hard", seed=3)
    truth, close = made.truth, made.bars.close
    inside = close[truth.start : truth.end]
    assert inside.max() <= truth.ceiling * (1.0 + 1e-12)
    height = truth.ceiling - truth.floor
    near = inside > truth.ceiling - 0.15 * height
    assert np.count_nonzero(np.diff(near.astype(int)) == 1) >= 4


def test_walks_differ_only_in_how_they_calm_down():
    tails = {}
    for kind in ("calming", "wild"):
        made = path("walk", kind, seed=1)
        truth = made.truth
        assert truth.end - truth.start == WALK_BARS
        assert np.isnan(truth.floor)
        assert np.isnan(truth.ceiling)
        r = np.diff(np.log(made.bars.close))
        fall = r[truth.start - 12 : truth.start - 1].std()
        tails[kind] = r[truth.start + 200 :].std() / fall
    assert tails["calming"] < 0.5
    assert tails["wild"] > 0.7


def test_noise_means_wicks():
    def wick(noise: str) -> float:
        bars = path("walk", "calming", noise, seed=2).bars
        body = np.maximum(bars.open, bars.close)
        return float(np.percentile((bars.high - body) / body, 99))

    assert wick("low") < wick("medium") < wick("high")


def test_the_same_seed_gives_the_same_path():
    one, other = path("base", "noisy", seed=8), path("base", "noisy", seed=8)
    np.testing.assert_array_equal(one.bars.close, other.bars.close)
    assert one.truth == other.truth
    assert not np.array_equal(path("base", "noisy", seed=9).bars.close[:50], one.bars.close[:50])


def test_the_default_sees_long_bases_and_places_their_floor():
    profile = load_profile("default", "15m")
    rows = [judge(profile, path("base", "hard", seed=s), STEP) for s in range(20)]
    cases = np.array(rows, CASE)
    assert cases["armed"].mean() >= 0.8
    assert abs(np.nanmedian(cases["floor_atr"])) < 0.5
    assert np.nanmean(np.abs(cases["level_atr"]) < 0.5) > 0.8
    assert np.nanmin(cases["delay_bars"]) >= profile.params.stabilization.n_stab


def test_a_planted_shift_of_the_truth_is_seen():
    profile = load_profile("default", "15m")
    made = path("base", "hard", seed=4)
    batr = 0.005 * made.truth.ceiling
    moved = made.truth._replace(
        ceiling=made.truth.ceiling + 3 * batr, floor=made.truth.floor + 3 * batr
    )
    right, wrong = judge(profile, made, STEP), judge(profile, made._replace(truth=moved), STEP)
    assert right[0] == wrong[0] == 1.0
    assert wrong[2] < right[2] - 1.0
    assert wrong[3] < right[3] - 1.0


def test_nothing_after_the_base_is_judged():
    profile = load_profile("v1", "15m")
    made = path("base", "hard", seed=5)
    columns = [
        getattr(made.bars, x).copy() for x in ("ts", "open", "high", "low", "close", "volume")
    ]
    for column in columns[1:]:
        column[made.truth.end :] = np.nan
    poisoned = made._replace(bars=Bars.from_arrays(*columns))
    assert judge(profile, poisoned, STEP) == judge(profile, made, STEP)


def test_figures_tell_the_first_detector_from_the_default_and_threads_change_nothing():
    profiles = [load_profile(name, "15m") for name in ("default", "v1")]
    default, v1 = planted_truth(profiles, planted=24, seed=1, threads=1)
    again = planted_truth(profiles, planted=24, seed=1, threads=3)
    assert again == [default, v1]
    assert v1.floor_error.high < -1.0 < default.floor_error.low
    assert default.walks_calming.value < v1.walks_calming.value
    assert v1.delay_bars.high < default.delay_bars.low
    assert len(default.cells) == len(CEILINGS) * len(NOISES)
    assert default.recall_long.n == sum(s.count for s in specs(24) if s.length == "long")
