import json

import numpy as np
import pytest
from typer.testing import CliRunner

from data.profiles import load_profile
from engine.bars import Bars
from engine.errors import DataError, UsageError
from engine.messages import EventKind
from engine.pipeline.phase import EVENT
from engine.stats.bootstrap import week_of
from research.cluster import bootstrap, bootstrap_ratio, week_draws
from research.levels import baseline_of, sample_of, specificity, tally
from research.surrogates import surrogate

STEP = 900_000
WEEK = 604_800_000


def market(coins: int, n: int, seed: int) -> list[tuple[str, Bars]]:
    """Make coins that move together, with calm and wild days, driftless: what the null says."""
    rng = np.random.default_rng(seed)
    wild = np.repeat(np.exp(0.7 * rng.standard_normal(n // 96 + 1)), 96)[:n]
    common = rng.standard_normal((n, 4))
    out = []
    for coin in range(coins):
        steps = 0.0025 * wild[:, None] * (0.6 * common + 0.8 * rng.standard_normal((n, 4)))
        prices = 100.0 * np.cumprod((1.0 + steps).ravel()).reshape(n, 4)
        open_ = np.concatenate([[100.0], prices[:-1, -1]])
        every = np.column_stack([open_, prices])
        ts = STEP * np.arange(1, n + 1, dtype=np.int64)
        volume = np.exp(rng.standard_normal(n))
        bars = Bars.from_arrays(
            ts, open_, every.max(axis=1), every.min(axis=1), prices[:, -1], volume
        )
        out.append((f"C{coin}", bars))
    return out


def later(bars: Bars, by_ms: int) -> Bars:
    columns = (bars.open, bars.high, bars.low, bars.close, bars.volume)
    return Bars.from_arrays(bars.ts + by_ms, *columns)


def test_a_market_without_direction_gives_a_ratio_of_one():
    profiles = [load_profile("v1", "15m")]
    found = specificity(sample_of(market(8, 20_000, 1), "15m"), profiles, surrogates=6, seed=2)[0]
    assert found.s.n > 100
    assert found.s.low < 1.0 < found.s.high
    assert found.s.value == pytest.approx(1.0, abs=0.15)
    assert found.s_paired.value == 1.0
    assert found.armed_given_stab.value == pytest.approx(1.0, abs=0.15)


def test_planted_bases_lift_the_ratio():
    from research.planted import make_path

    histories = []
    for i in range(60):
        rng = np.random.default_rng(i)
        bars = make_path("base", "hard", "low", "long", step_ms=STEP, scale=1.0, rng=rng).bars
        histories.append((f"P{i}", later(bars, i * WEEK)))
    profiles = [load_profile(name, "15m") for name in ("default", "v1")]
    sample = sample_of(histories, "15m", bars_min=500)
    default, v1 = specificity(sample, profiles, surrogates=4)
    assert default.s.low > 1.5
    assert default.s_paired.value == pytest.approx(default.s.value / v1.s.value)


def test_ratios_are_those_of_the_counts():
    sample = sample_of(market(3, 8000, 5), "15m")
    profile = load_profile("v1", "15m")
    found = specificity(sample, [profile], surrogates=3, seed=4, threads=3)[0]
    real, null = found.funnel, found.funnel_surrogate
    assert found.s.value == pytest.approx(real["ARMED"] / null["ARMED"])
    assert found.level_changes.value == pytest.approx(real["LEVEL"] / real["ARMED"])
    months = sample.bars * STEP / (30.4375 * 86_400_000)
    assert found.armed.value == pytest.approx(real["ARMED"] / months)
    again = specificity(sample, [profile], surrogates=3, seed=4, threads=1)[0]
    assert again.s == found.s


def test_no_surrogate_is_used_twice_by_neighbouring_seeds():
    bars = market(1, 200, 0)[0][1]
    assert not np.array_equal(
        surrogate(bars, seed=0, interval_ms=STEP).close,
        surrogate(bars, seed=1_000_003, interval_ms=STEP).close,
    )


def test_tally_puts_events_into_their_week_and_half():
    monday = 4 * 86_400_000
    events = np.zeros(3, EVENT)
    events["kind"] = EventKind.ARMED
    events["t"] = [monday + STEP, monday + WEEK + STEP, monday + WEEK]  # close times
    n = 2 * WEEK // STEP
    one = np.ones(n)
    bars = Bars.from_arrays(monday + STEP * np.arange(n, dtype=np.int64), one, one, one, one, one)
    shape = (max(EventKind) + 1, 2)
    out = tally(events, bars, 0, shape, monday + WEEK, STEP)
    assert out[:, EventKind.ARMED].tolist() == [[2.0, 0.0], [0.0, 1.0]]
    assert out[:, 0].sum() == pytest.approx(14 / 30.4375)
    assert out[0, 0, 1] == out[1, 0, 0] == 0.0


def test_short_stretches_are_left_out_and_counted():
    ((name, bars),) = market(1, 4000, 3)
    ts = bars.ts.copy()
    ts[1000:] += STEP
    cut = Bars.from_arrays(ts, bars.open, bars.high, bars.low, bars.close, bars.volume)
    sample = sample_of([(name, cut)], "15m")
    assert (sample.bars, sample.bars_short, len(sample.stretches)) == (3000, 1000, 1)
    assert sample.split_ms == pytest.approx(np.median(ts[1000:]), abs=STEP)
    with pytest.raises(DataError, match="no unbroken stretch"):
        sample_of([(name, cut.slice(0, 900))], "15m")


def test_baseline_is_v1_where_it_is_asked_for():
    profiles = [load_profile(name, "15m") for name in ("v1", "default", "early")]
    assert (baseline_of(profiles), baseline_of(profiles[1:])) == (0, 1)


def test_weeks_begin_on_monday_and_draws_keep_their_number():
    sunday = 4 * 86_400_000 + WEEK - 1
    assert week_of(np.array([sunday, sunday + 1])).tolist() == [0, 1]
    draws = week_draws(9, np.random.default_rng(0), 50)
    assert (draws.sum(axis=1) == 9).all()
    assert draws.std() > 0.5


def test_intervals_cover_as_often_as_they_say():
    rng = np.random.default_rng(3)
    hits = ratio_hits = 0
    for _ in range(200):
        x = rng.standard_normal(60) + 1.0
        e = bootstrap(x, "mean", rng, 400)
        hits += e.low <= 1.0 <= e.high
        below = rng.random(60) + 0.5
        r = bootstrap_ratio(2.0 * below + 0.3 * rng.standard_normal(60), below, rng, 400)
        ratio_hits += r.low <= 2.0 <= r.high
    assert 0.88 <= hits / 200 <= 0.99
    assert 0.88 <= ratio_hits / 200 <= 0.99
    empty = bootstrap(np.array([np.nan]), "median", rng)
    assert empty.n == 0
    assert np.isnan(empty.value)


def test_command_writes_one_document_and_tells_what_is_wrong(tmp_path):
    from app.cli.levels import app
    from data.catalog import Lake

    lake = Lake(tmp_path / "lake", durable=False)
    for name, bars in market(2, 3000, 7):
        lake.write_bars("synthetic", "15m", name, later(bars, 1_700_000 * STEP))
    runner = CliRunner()
    small = ["--lake", str(lake.path), "--surrogates", "2", "--planted", "6"]
    done = runner.invoke(app, [*small, "--json"], catch_exceptions=False)
    document = json.loads(done.stdout)
    assert document["sample"]["symbols"] == 2
    assert [x["profile"] for x in document["specificity"]] == ["15m-default@1", "15m-v1@1"]
    assert set(document["planted"][0]["recall_long"]) == {"value", "low", "high", "n"}
    shown = runner.invoke(app, small, catch_exceptions=False)
    assert "armed, real / surrogate" in shown.stdout
    assert max(len(line) for line in shown.stdout.splitlines()) <= 80
    for bad in (["--surrogates", "-1"], ["--split", "soon"]):
        with pytest.raises(UsageError):
            runner.invoke(app, [*small, *bad], catch_exceptions=False)
    with pytest.raises(DataError):
        runner.invoke(app, [*small, "--symbols", "NOPE"], catch_exceptions=False)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_null_holds_for_every_profile(seed: int):
    profiles = [load_profile(name, "15m") for name in ("default", "v1", "early", "strict")]
    for found in specificity(sample_of(market(20, 30_000, seed), "15m"), profiles, surrogates=10):
        assert found.s.low < 1.05
        assert found.s.high > 0.95
