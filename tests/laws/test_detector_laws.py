"""Laws of the detector on sound bars, by hypothesis over seeds and profiles."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.messages import EventKind
from engine.pipeline.market import MarketParams, market_history
from engine.pipeline.phase import new_contexts
from tests.laws import checks
from tests.laws.budget import FEW
from tests.laws.checks import scan
from tests.paths_gen import STEP_MS, market, path, with_holes
from tests.small_profiles import NAMES, small

pytestmark = pytest.mark.laws

seeds = st.integers(0, 2**32 - 1)
names = st.sampled_from(NAMES)
BARS = 900


def _bars(seed: int):
    rng = np.random.default_rng(seed)
    return rng, path(rng, BARS)


@given(seeds, names)
def test_a_longer_history_has_the_same_beginning(seed: int, name: str) -> None:
    rng, bars = _bars(seed)
    for k in rng.integers(1, BARS, 8):
        checks.check_prefix(scan, small(name), bars, int(k))


@given(seeds, names)
def test_garbage_in_the_future_changes_nothing_before_it(seed: int, name: str) -> None:
    rng, bars = _bars(seed)
    for k in rng.integers(1, BARS, 8):
        checks.check_poison(scan, small(name), bars, int(k), rng)


@given(seeds, names, st.integers(-12, 12), st.integers(-12, 12))
def test_powers_of_two_change_no_event(seed: int, name: str, price: int, volume: int) -> None:
    _, bars = _bars(seed)
    checks.check_scale(scan, small(name, round_weight=0.0), bars, price, volume)


@given(seeds, names, st.sampled_from([0, 3]))
def test_any_chunking_with_restarts_gives_the_same_bytes(
    seed: int, name: str, gap_max: int
) -> None:
    rng, bars = _bars(seed)
    bars = with_holes(rng, bars, 2)
    for _ in range(4):
        checks.check_chunks(scan, small(name, gap_max=gap_max), bars, rng)


@FEW
@given(seeds, names)
def test_live_minutes_equal_history_in_any_order_of_coins(seed: int, name: str) -> None:
    rng = np.random.default_rng(seed)
    universe = market(rng, 4, 500)
    facts = market_history(universe, MarketParams(24, 48, 0.1), STEP_MS)
    checks.check_step(scan, small(name), list(universe.values()), rng, facts)


@FEW
@given(seeds, names)
@example(seed=0, name="default")
def test_only_legal_transitions_and_true_numbers(seed: int, name: str) -> None:
    rng, bars = _bars(seed)
    bars = with_holes(rng, bars, int(rng.integers(0, 3)))
    params = small(name)
    events = scan(new_contexts(1), params, bars)
    checks.check_phases(events)
    checks.check_bookkeeping(events, params, bars)


@pytest.mark.parametrize("name", NAMES)
def test_the_test_paths_visit_everything(name: str) -> None:
    """Laws on paths without events would prove nothing."""
    kinds: set[int] = set()
    for seed in range(40):
        rng = np.random.default_rng(seed)
        bars = with_holes(rng, path(rng, BARS), 1)
        kinds |= set(scan(new_contexts(1), small(name), bars)["kind"].tolist())
    assert kinds == {int(k) for k in EventKind}
