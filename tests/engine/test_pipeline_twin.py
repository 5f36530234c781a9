"""The whole step against its naive twin: every event, every field."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.profiles import load_profile
from engine.bars import Bars, interval_ms
from engine.messages import EventKind, Gate
from engine.pipeline.detector import DetectorParams
from engine.pipeline.market import MarketParams, market_history
from engine.pipeline.phase import new_contexts
from engine.pipeline.scan import scan_history
from tests.golden.made import real_bars
from tests.laws.budget import FEW
from tests.naive import compare
from tests.naive import detector as naive
from tests.paths_gen import STEP_MS, columns, market, path, with_holes
from tests.small_profiles import NAMES, small

seeds = st.integers(0, 2**32 - 1)


def _agree(params: DetectorParams, bars: Bars, *, step_ms: int = STEP_MS, facts=None) -> np.ndarray:
    events = scan_history(
        new_contexts(1), params, bars, symbol_id=3, interval_ms=step_ms, market=facts
    )
    given = (
        {} if facts is None else dict(zip(("breadth", "fall"), facts.aligned(bars.ts), strict=True))
    )
    wanted, _ = naive.run(params, bars, symbol_id=3, step_ms=step_ms, **given)
    difference = compare.difference(events, wanted)
    assert difference is None, difference
    return events


@pytest.mark.laws
@FEW
@given(seeds, st.sampled_from(NAMES))
def test_the_step_equals_its_twin(seed: int, name: str) -> None:
    rng = np.random.default_rng(seed)
    _agree(small(name), with_holes(rng, path(rng, 500), int(rng.integers(0, 2))))


@pytest.mark.laws
@FEW
@given(seeds, st.sampled_from(NAMES))
def test_the_step_equals_its_twin_with_other_parameters(seed: int, name: str) -> None:
    """Corners that no shipped profile visits."""
    rng = np.random.default_rng(seed)
    p = small(name, gap_max=int(rng.integers(0, 3)))
    params = p._replace(
        base=p.base._replace(
            reanchor=int(rng.integers(0, 2)),
            floor_quantile=int(rng.integers(0, 2)),
            kappa_max=float(rng.choice([99.0, 1.5])),
            er_max=float(rng.choice([0.25, 0.9])),
        ),
        armed=p.armed._replace(
            level_mode=int(rng.integers(0, 3)),
            members_min=int(rng.integers(1, 4)),
            touches_min=int(rng.integers(0, 3)),
            change_gap_bars=int(rng.choice([0, 6])),
            hysteresis=float(rng.choice([0.0, 0.25])),
            w_polarity=float(rng.choice([0.0, 0.2])),
        ),
        breakout=p.breakout._replace(
            relvol_min=float(rng.choice([0.0, 1.5])), attempts_max=int(rng.integers(1, 4))
        ),
    )
    bars = with_holes(rng, path(rng, 400), 2, longest=3)
    if rng.random() < 0.2:
        ts, *prices, volume = columns(bars)
        bars = Bars.from_arrays(ts, *prices, 0.0 * volume)
    _agree(params, bars)


@pytest.mark.laws
@FEW
@given(seeds)
def test_the_step_equals_its_twin_with_market_facts(seed: int) -> None:
    universe = market(np.random.default_rng(seed), 2, 250)
    facts = market_history(universe, MarketParams(24, 48, 0.1), STEP_MS)
    for bars in universe.values():
        _agree(small("early"), bars, facts=facts)


@pytest.mark.parametrize("name", NAMES)
def test_the_shipped_profiles_at_full_size(name: str) -> None:
    bars = path(np.random.default_rng(16), 1200, scale=4.0)
    events = _agree(load_profile(name, "15m").params, bars)
    assert {EventKind.DUMP, EventKind.STAB, EventKind.ARMED} <= set(events["kind"].tolist())


@pytest.mark.laws
@FEW
@given(seeds)
def test_a_market_without_volume_meets_the_volume_gate_as_zero(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ts, *prices, volume = columns(path(rng, 900))
    bars = Bars.from_arrays(ts, *prices, 0.0 * volume)
    context, p = new_contexts(1), small("v1")
    events = scan_history(context, p, bars, symbol_id=0, interval_ms=STEP_MS)
    assert not (events["kind"] == EventKind.BREAKOUT).any()
    free = p._replace(breakout=p.breakout._replace(relvol_min=0.0))
    events = scan_history(new_contexts(1), free, bars, symbol_id=0, interval_ms=STEP_MS)
    assert not (events["reject_mask"] & Gate.VOLUME).any()


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["default", "v1"])
@pytest.mark.parametrize(
    ("venue", "interval", "symbol"),
    [("binanceusdm", "15m", "SOLUSDT"), ("bybit", "15m", "AVAXUSDT"), ("bybit", "1h", "ETHUSDT")],
)
def test_the_step_equals_its_twin_on_real_history(
    shared_lake: Path, venue: str, interval: str, symbol: str, name: str
) -> None:
    bars = real_bars(shared_lake, venue, interval, symbol).slice(0, 4000)
    events = _agree(load_profile(name, interval).params, bars, step_ms=interval_ms(interval))
    assert len(events)
