"""Facts about the whole market: nobody's order, nobody's absence, nobody's future bends them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.bars import Bars
from engine.pipeline.market import MarketParams, market_history, market_row, symbol_falls
from engine.pipeline.phase import new_contexts
from tests.laws import checks
from tests.laws.budget import FEW
from tests.laws.checks import scan
from tests.naive import market as naive
from tests.paths_gen import STEP_MS, columns, market, with_faults
from tests.small_profiles import NAMES, small

pytestmark = pytest.mark.laws

seeds = st.integers(0, 2**32 - 1)
PARAMS = MarketParams(breadth_bars=12, fall_bars=24, breadth_fall=0.05)
FIELDS = ("ts", "breadth", "median_fall", "present", "absent")


def _universe(
    seed: int, coins: int = 5, bars: int = 200
) -> tuple[np.random.Generator, dict[str, Bars]]:
    rng = np.random.default_rng(seed)
    return rng, market(rng, coins, bars)


def _same(a, b, until: int | None = None) -> None:
    rows = slice(None) if until is None else a.ts <= until
    more = slice(None) if until is None else b.ts <= until
    for name in FIELDS:
        assert getattr(a, name)[rows].tobytes() == getattr(b, name)[more].tobytes(), name


@FEW
@given(seeds)
def test_the_twin_agrees_bar_for_bar(seed: int) -> None:
    rng, universe = _universe(seed, bars=120)
    coin = next(iter(universe))
    if rng.random() < 0.5:
        universe[coin] = with_faults(rng, universe[coin], 3)[0]
    series = market_history(universe, PARAMS, STEP_MS)
    for i in rng.choice(len(series.ts), min(40, len(series.ts)), replace=False):
        want = naive.facts_before(universe, int(series.ts[i]), PARAMS, STEP_MS)
        got = [getattr(series, name)[i] for name in FIELDS[1:]]
        assert got == pytest.approx(want, rel=1e-12, nan_ok=True)


@given(seeds)
def test_the_order_of_the_universe_changes_no_byte(seed: int) -> None:
    rng, universe = _universe(seed)
    names = list(universe)
    rng.shuffle(names)
    a = market_history(universe, PARAMS, STEP_MS)
    b = market_history({name: universe[name] for name in names}, PARAMS, STEP_MS)
    _same(a, b)
    assert a.universe_hash == b.universe_hash
    less = market_history({name: universe[name] for name in names[1:]}, PARAMS, STEP_MS)
    assert less.universe_hash != a.universe_hash


@FEW
@given(seeds)
def test_only_bars_closed_before_a_bar_speak_for_it(seed: int) -> None:
    rng, universe = _universe(seed)
    whole = market_history(universe, PARAMS, STEP_MS)
    t = int(rng.choice(whole.ts))  # facts of the bar that opens at t
    poisoned = {}
    for name, bars in universe.items():
        ts, *values = columns(bars)
        for x in values[:4]:
            x[ts >= t] *= rng.uniform(0.3, 3.0)
        values[1][ts >= t] *= 4.0
        values[2][ts >= t] /= 4.0
        poisoned[name] = Bars.from_arrays(ts, *values)
    _same(whole, market_history(poisoned, PARAMS, STEP_MS), until=t)
    cut = {name: bars.slice(0, int((bars.ts < t).sum())) for name, bars in universe.items()}
    _same(market_history(cut, PARAMS, STEP_MS), whole, until=t)


@FEW
@given(seeds)
def test_a_live_row_from_the_last_bars_equals_history(seed: int) -> None:
    """A ring of the window's length is enough: nothing is accumulated."""
    rng, universe = _universe(seed)
    whole = market_history(universe, PARAMS, STEP_MS)
    for i in rng.choice(len(whole.ts), 10, replace=False):
        t = int(whole.ts[i]) - STEP_MS  # the bar that has just closed
        short, long = np.full((2, len(universe)), np.nan)
        for j, bars in enumerate(universe.values()):
            n = int((bars.ts <= t).sum())
            ring = bars.slice(max(0, n - PARAMS.fall_bars), n)
            if len(ring) and ring.ts[-1] == t:
                a, b = symbol_falls(ring, PARAMS, STEP_MS)
                short[j], long[j] = a[-1], b[-1]
        row = market_row(short, long, PARAMS)
        got = [getattr(whole, name)[i] for name in FIELDS[1:]]
        assert np.array(row).tobytes() == np.array([float(x) for x in got]).tobytes()


@given(seeds)
def test_a_broken_coin_is_absent_and_bends_nobody(seed: int) -> None:
    rng, universe = _universe(seed)
    name = str(rng.choice(list(universe)))
    ts, *values = columns(universe[name])
    for x in values[:4]:
        x[:] = rng.choice([np.nan, np.inf, -1.0, 0.0], len(x))
    rest = {k: v for k, v in universe.items() if k != name}
    with_broken = market_history(universe | {name: Bars.from_arrays(ts, *values)}, PARAMS, STEP_MS)
    without = market_history(rest, PARAMS, STEP_MS)
    for field in ("ts", "breadth", "median_fall", "present"):
        assert getattr(with_broken, field).tobytes() == getattr(without, field).tobytes()
    assert (with_broken.absent - without.absent == 1).all()


@FEW
@given(seeds, st.sampled_from(NAMES))
def test_choosing_symbols_changes_no_fact(seed: int, name: str) -> None:
    _, universe = _universe(seed, bars=500)
    facts = market_history(universe, PARAMS, STEP_MS)
    params = small(name)
    for bars in list(universe.values())[:2]:
        with_facts = scan(new_contexts(1), params, bars, market=facts)
        without = scan(new_contexts(1), params, bars)
        assert np.isnan(without["breadth"]).all()
        times = with_facts["t"] - STEP_MS
        breadth, fall = facts.aligned(times)
        assert with_facts["breadth"].tobytes() == breadth.tobytes()
        assert with_facts["market_fall"].tobytes() == fall.tobytes()
        # market facts inform, they do not decide
        for field in ("breadth", "market_fall", "residual_share"):
            with_facts[field] = without[field] = 0.0
        checks.same(with_facts, without, "with and without the market")


def test_an_empty_market_has_no_rows() -> None:
    none = path_of_nothing()
    for universe in ({}, {"A": none}, {"A": none, "B": none}):
        assert len(market_history(universe, PARAMS, STEP_MS).ts) == 0


def path_of_nothing() -> Bars:
    return Bars.from_arrays(*([] for _ in range(6)))
