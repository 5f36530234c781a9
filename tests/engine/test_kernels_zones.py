"""Histogram, quantiles, value area and the parts of a level's score against naive twins."""

from math import exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kernels import zones
from engine.pipeline.phase import new_contexts
from tests.naive import base as naive

pytestmark = pytest.mark.laws

seeds = st.integers(0, 2**32 - 1)
TROUGH = 7.3


def _filled(seed: int):
    """A context's histograms, filled bar by bar, and the plain lists they stand for."""
    rng = np.random.default_rng(seed)
    depth = rng.uniform(0.02, 0.8)
    contexts = new_contexts(1)
    s = contexts[0]
    contexts["trough"], contexts["depth"] = TROUGH, depth
    contexts["bin_scale"] = zones.bins_per_log(depth)
    ys, bars = [], []
    for _ in range(int(rng.integers(1, 150))):
        y = float(rng.normal(0.4, rng.uniform(0.05, 0.8)) * depth)  # may lie outside of the bins
        c = TROUGH * exp(y)
        h, lo = c * (1 + rng.random() * depth / 5), c * (1 - rng.random() * depth / 5)
        v = float(rng.choice([0.0, rng.random() * 100.0]))
        contexts["nb"] += 1
        ys.append(log(c / TROUGH))
        bars.append((h, lo, v))
        zones.add_close(s, zones.bin_of_log(s, ys[-1]))
        zones.add_volume(s, h, lo, v)
    return contexts, s, depth, ys, bars


@given(seeds)
def test_closes_and_their_quantiles(seed: int) -> None:
    contexts, s, depth, ys, _ = _filled(seed)
    counts = naive.histogram(ys, depth)
    assert contexts["ht"][0].tolist() == counts
    for i, q in enumerate((zones.FLOOR_QUANTILE, zones.CEILING_QUANTILE)):
        want = naive.quantile(counts, q, TROUGH, depth)
        assert zones.quantile_price(s, i, q) == pytest.approx(want, rel=1e-12)


@given(seeds)
def test_volume_its_area_and_its_edges(seed: int) -> None:
    contexts, s, depth, ys, bars = _filled(seed)
    hv = naive.volume_profile(bars, TROUGH, depth)
    assert contexts["hv"][0].tolist() == pytest.approx(hv, rel=1e-12)
    assert sum(hv) == pytest.approx(sum(v for _, _, v in bars), rel=1e-12, abs=1e-12)
    assert zones.value_area_high(s) == pytest.approx(naive.value_area_high(hv, TROUGH, depth))
    rng = np.random.default_rng(seed)
    for y in rng.uniform(-0.4, 1.4, 10) * depth:
        x = TROUGH * exp(y)
        reach = float(rng.choice([0.0, rng.uniform(0.0, 0.4) * depth * x]))
        got = zones.edge_contrast(s, x, reach)
        assert got == pytest.approx(naive.edge_contrast(hv, x, reach, TROUGH, depth), abs=1e-9)
        assert -1.0 <= got <= 1.0
        above = sum(naive.bin_of(z, depth) > naive.bin_of(log(x / TROUGH), depth) for z in ys)
        assert zones.overhang(s, x) == above / len(ys)


@given(seeds)
def test_quantiles_stay_within_a_bin_of_the_closes(seed: int) -> None:
    _, s, depth, ys, _ = _filled(seed)
    width = 1.5 * depth / zones.BINS
    for i, q in enumerate((zones.FLOOR_QUANTILE, zones.CEILING_QUANTILE)):
        y = log(zones.quantile_price(s, i, q) / TROUGH)
        inside = [min(max(v, -0.25 * depth), 1.25 * depth) for v in ys]
        assert min(inside) - width - 1e-9 <= y <= max(inside) + width + 1e-9


@given(st.floats(1e-8, 1e8), st.floats(0.0, 1.0))
def test_round_prices(x: float, share: float) -> None:
    assert zones.is_round(x, share * x * 0.01) == naive.is_round(x, share * x * 0.01)


@pytest.mark.parametrize(
    ("x", "near"),
    [(1.0, True), (1.1, True), (4.9, True), (1.05, False), (5.0, True), (5.25, True), (5.1, False),
     (0.003, True), (0.00305, False), (60_000.0, True), (61_000.0, False), (62_500.0, True)],
)  # fmt: skip
def test_what_is_a_round_price(x: float, near: bool) -> None:  # noqa: FBT001
    assert zones.is_round(x, 0.004 * x) == near


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
def test_the_control_level_is_repeatable_and_in_range(a: int, b: int) -> None:
    got = zones.mixed_unit(a, b)
    assert 0.0 <= got < 1.0
    assert got == naive.mixed(a, b)
