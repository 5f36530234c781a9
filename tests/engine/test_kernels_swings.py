"""Swings against a twin that knows only lists, and their own laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kernels.swings import PIVOTS, swing_step
from engine.pipeline.phase import new_contexts

pytestmark = pytest.mark.laws


def _naive(
    bars: list[tuple[float, float, float]], theta: float
) -> list[tuple[int, float, int, float, int]]:
    """Return (kind, price, bar, relvol, confirmed at) of every pivot."""
    kind, (price, at, relvol) = 1, (bars[0][0], 0, bars[0][2])
    out = []
    for n, (h, lo, v) in enumerate(bars[1:], start=1):
        here, there = (h, lo) if kind == 1 else (lo, h)
        if kind * here >= kind * price:
            price, at, relvol = here, n, v
        elif kind * (price - there) >= theta:
            out.append((kind, price, at, relvol, n))
            kind, price, at, relvol = -kind, there, n, v
    return out


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 6.0), st.integers(2, 300))
def test_pivots_equal_the_twin(seed: int, theta: float, n: int) -> None:
    rng = np.random.default_rng(seed)
    mid = 100.0 + np.cumsum(rng.integers(-2, 3, n)) / 2.0
    spans = rng.integers(0, 4, (2, n)) / 4.0
    bars = list(
        zip(
            (mid + spans[0]).tolist(),
            (mid - spans[1]).tolist(),
            rng.random(n).tolist(),
            strict=True,
        )
    )
    contexts = new_contexts(1)
    s, told = contexts[0], []
    for i, (h, lo, v) in enumerate(bars):
        kind = swing_step(s, h, lo, i, v, theta)
        if kind:
            j = (int(contexts["piv_n"][0]) - 1) % PIVOTS
            row = [contexts[f][0][j] for f in ("piv_kind", "piv_price", "piv_bar", "piv_relvol")]
            told.append((*row, i))
            assert kind == row[0]
    want = _naive(bars, theta)
    assert told == want
    if want:  # the last pivot's rejection: how far price has come back since, at most
        kind, price, _, _, confirmed = want[-1]
        since = bars[confirmed:]
        far = min(lo for _, lo, _ in since) if kind == 1 else max(h for h, _, _ in since)
        assert contexts["piv_rej"][0][(len(want) - 1) % PIVOTS] == abs(price - far)


def test_a_pivot_is_known_at_its_confirmation_not_before() -> None:
    s = new_contexts(1)[0]
    kinds = [
        swing_step(s, h, h - 0.5, n, 1.0, 2.0)
        for n, h in enumerate([10.0, 12.0, 11.0, 9.0, 9.5, 12.5])
    ]
    assert kinds == [0, 0, 0, 1, 0, -1]


def test_a_bar_that_extends_and_reverses_extends() -> None:
    s = new_contexts(1)[0]
    swing_step(s, 10.0, 9.0, 0, 1.0, 1.0)
    assert swing_step(s, 11.0, 1.0, 1, 1.0, 1.0) == 0
