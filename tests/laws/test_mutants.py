"""Planted mistakes that the laws must catch. Each was a way such systems have gone wrong."""

import numpy as np
import pytest

from engine.bars import Bars
from engine.pipeline.market import MarketSeries
from engine.pipeline.phase import CONTEXT, EVENT, new_contexts
from tests.laws import checks
from tests.laws.checks import persisted, scan
from tests.paths_gen import STEP_MS, columns, path, with_faults, with_holes
from tests.small_profiles import NAMES, small

pytestmark = pytest.mark.laws

BARS = 900


def _bars(seed: int) -> Bars:
    return path(np.random.default_rng(seed), BARS)


def _rolling_frame(length: int):
    """Decide each bar by scanning the last rows of a frame anew, as if that were the same thing."""

    def live(params, bars: Bars) -> np.ndarray:
        out = [np.zeros(0, EVENT)]
        for j in range(len(bars)):
            start = max(0, j + 1 - length)
            seen = scan(new_contexts(1), params, bars.slice(start, j + 1))
            out.append(seen[seen["t"] == bars.ts[j] + STEP_MS])
        return np.concatenate(out)

    return live


@pytest.mark.parametrize("name", NAMES)
def test_an_ewm_over_the_rolling_frame_is_caught(name: str) -> None:
    bars, params = _bars(3), small(name)
    full = scan(new_contexts(1), params, bars)
    # with the whole history in the frame it is right, so the law does not cry wolf
    checks.same(full, _rolling_frame(BARS)(params, bars), "whole frame")
    with pytest.raises(AssertionError):
        checks.same(full, _rolling_frame(600)(params, bars), "rolling frame")


def _peeking(column: int):
    def look_ahead(context, params, bars, symbol_id=0, market=None):
        series = columns(bars)
        series[column][:-1] = series[column][1:]  # bar k judged by bar k + 1
        series[2] = np.maximum.reduce([series[1], series[2], series[4]])
        series[3] = np.minimum.reduce([series[1], series[3], series[4]])
        return scan(context, params, Bars.from_arrays(*series), symbol_id, market)

    return look_ahead


def _prefix_breaks(wrong, cuts: int) -> bool:
    for seed in range(6):
        bars, rng = _bars(seed), np.random.default_rng(seed)
        full = scan(new_contexts(1), small("v1"), bars)
        # cuts at bars with events: there the future matters
        ends = np.searchsorted(bars.ts + STEP_MS, full["t"]) + 1
        for k in rng.choice(ends, min(cuts, len(ends)), replace=False):
            try:
                checks.check_prefix(wrong, small("v1"), bars, int(k))
                checks.check_poison(wrong, small("v1"), bars, int(k), rng)
            except AssertionError:
                return True
    return False


@pytest.mark.parametrize(("column", "word"), [(2, "high"), (3, "low"), (4, "close"), (5, "volume")])
def test_a_look_ahead_by_one_bar_is_caught(column: int, word: str) -> None:
    assert _prefix_breaks(_peeking(column), 30), f"nobody noticed tomorrow's {word}"


def test_the_engine_itself_does_not_look_ahead_there() -> None:
    assert not _prefix_breaks(scan, 30)


def test_market_facts_of_the_same_bar_are_caught() -> None:
    bars = _bars(1)
    grid = np.arange(bars.ts[0], bars.ts[-1] + 1, STEP_MS)
    values = np.random.default_rng(0).random((2, len(grid)))
    counts = np.ones(len(grid), np.int64)
    right = MarketSeries(grid, values[0], values[1], counts, counts, "x")
    late = MarketSeries(grid - STEP_MS, values[0], values[1], counts, counts, "x")
    params = small("v1")
    with pytest.raises(AssertionError):
        checks.same(
            scan(new_contexts(1), params, bars, market=right),
            scan(new_contexts(1), params, bars, market=late),
            "market of the same bar",
        )


def _losing(field: str):
    def restart(contexts: np.ndarray) -> np.ndarray:
        back = persisted(contexts)
        back[field] = 0
        return back

    return restart


def _loss_is_noticed(field: str) -> bool:
    for seed in range(16):
        rng = np.random.default_rng(seed)
        bars = path(rng, 500)
        if seed % 2 == 1:
            bars = with_faults(rng, with_holes(rng, bars, 2), 6)[0]
        grid = np.arange(bars.ts.min(), bars.ts.max() + 1, STEP_MS)
        ones = np.ones(len(grid))
        market = MarketSeries(grid, 0.5 * ones, 0.1 * ones, ones, ones, "x")
        for name in ("default", "v1"):
            wrong = _losing(field)
            try:
                checks.check_chunks(scan, small(name), bars, rng, wrong, most=200, market=market)
            except (AssertionError, OverflowError):
                return True
    return False


@pytest.mark.parametrize("field", CONTEXT.names)
def test_every_unpersisted_field_is_noticed(field: str) -> None:
    """A field left out of the snapshot (a scratch array beside the record) breaks the bytes."""
    assert _loss_is_noticed(field), f"{field} may be lost unnoticed"
