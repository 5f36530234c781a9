"""Impossible, missing, repeated and late bars: counted, answered by a reset, never judged."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.bars import Bars
from engine.messages import EventKind, Phase
from engine.pipeline.phase import CONTEXT, TRANSITIONS, new_contexts
from tests.laws import checks
from tests.laws.budget import FEW
from tests.laws.checks import scan
from tests.naive import compare
from tests.naive import detector as naive
from tests.paths_gen import STEP_MS, columns, path, with_faults, with_holes
from tests.small_profiles import NAMES, small

pytestmark = pytest.mark.laws

seeds = st.integers(0, 2**32 - 1)
names = st.sampled_from(NAMES)
gaps = st.sampled_from([0, 0, 4])
BARS = 400
_FLOATS = [f for f in CONTEXT.names or () if CONTEXT[f].base.kind == "f"]


def _faulty(seed: int) -> tuple[np.random.Generator, Bars]:
    rng = np.random.default_rng(seed)
    bars = with_holes(rng, path(rng, BARS), int(rng.integers(0, 4)))
    return rng, with_faults(rng, bars, int(rng.integers(1, 6)))[0]


@FEW
@given(seeds, names, gaps)
def test_the_twin_agrees_on_faulty_input(seed: int, name: str, gap_max: int) -> None:
    _, bars = _faulty(seed)
    params, context = small(name, gap_max=gap_max), new_contexts(1)
    events = scan(context, params, bars)
    wanted, twin = naive.run(params, bars)
    difference = compare.difference(events, wanted)
    assert difference is None, difference
    counts = [int(context[0][f]) for f in ("n_resets", "n_dropped", "n_unsound", "n_gaps")]
    assert counts == [twin.resets, twin.dropped, twin.unsound, twin.gaps]
    assert int(context[0]["last_t"]) == twin.last_t
    assert max(int(context[0]["phase"]), 1) == twin.phase


@FEW
@given(seeds, names, gaps)
def test_no_nan_and_no_illegal_move_on_any_bar(seed: int, name: str, gap_max: int) -> None:
    _, bars = _faulty(seed)
    params, context = small(name, gap_max=gap_max), new_contexts(1)
    before, resets = Phase.MONITORING, 0
    for j in range(len(bars)):
        scan(context, params, bars.slice(j, j + 1))
        for name_ in _FLOATS:
            if name_ not in checks.MARKET_FIELDS:
                assert np.all(np.isfinite(context[name_])), f"bar {j}: {name_}"
        now = Phase(max(int(context[0]["phase"]), 1))
        if int(context[0]["n_resets"]) != resets:
            assert now == Phase.MONITORING
        elif now != before:
            # one bar may arm nothing and break nothing twice: at most one legal move
            assert now in TRANSITIONS[before], f"bar {j}: {before.name} -> {now.name}"
        before, resets = now, int(context[0]["n_resets"])


@given(seeds, names)
def test_a_reset_leaves_nothing_behind(seed: int, name: str) -> None:
    """After an impossible bar the coin is as good as new."""
    rng = np.random.default_rng(seed)
    bars, params = path(rng, BARS), small(name)
    at = int(rng.integers(1, BARS - 1))
    ts, *values = columns(bars)
    values[int(rng.integers(0, 5))][at] = rng.choice([np.nan, np.inf, -np.inf, -1.0])
    events = scan(new_contexts(1), params, Bars.from_arrays(ts, *values))
    resets = events[events["kind"] == EventKind.RESET]
    assert resets["t"].tolist() == [int(ts[at]) + STEP_MS]
    rest = scan(new_contexts(1), params, bars.slice(at + 1, BARS))
    checks.same(rest, events[events["t"] > ts[at] + STEP_MS], "after the reset")


@given(seeds, names)
def test_repeated_and_late_bars_change_nothing_but_a_count(seed: int, name: str) -> None:
    rng = np.random.default_rng(seed)
    bars, params = path(rng, BARS), small(name)
    rows = list(zip(*columns(bars), strict=True))
    at = int(rng.integers(2, BARS))
    for back in rng.integers(1, at, 3):
        rows.insert(at, (rows[at - int(back)][0], *(x * 2.0 for x in rows[at - int(back)][1:])))
    plain, disturbed = new_contexts(1), new_contexts(1)
    want = scan(plain, params, bars)
    got = scan(disturbed, params, Bars.from_arrays(*(list(x) for x in zip(*rows, strict=True))))
    checks.same(want, got, "duplicates")
    assert disturbed[0]["n_dropped"] == 3
    disturbed["n_dropped"] = 0
    checks.same_context(plain, disturbed, "duplicates")


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_a_handful_of_bars_is_no_problem(count: int) -> None:
    bars = path(np.random.default_rng(1), 3).slice(0, min(count, 3))
    context = new_contexts(1)
    assert len(scan(context, small("default"), bars)) == 0
    assert context[0]["n"] == min(count, 3)


def test_bridged_holes_only_pass_time() -> None:
    rng = np.random.default_rng(5)
    bars = path(rng, 200)
    hole = Bars.from_arrays(*(np.delete(x, slice(100, 103)) for x in columns(bars)))
    context = new_contexts(1)
    events = scan(context, small("default", gap_max=3), hole)
    assert EventKind.RESET not in events["kind"]
    assert context[0]["n"] == 200
    assert context[0]["n_gaps"] == 1
    events = scan(new_contexts(1), small("default", gap_max=2), hole)
    assert EventKind.RESET in events["kind"]
