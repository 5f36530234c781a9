"""Small worlds for the tests of the data floor."""

import numpy as np
from hypothesis import strategies as st

from engine.bars import COLUMNS, Bars

STEP = 900_000
FIRST = 1_767_225_600_000


def bars_at(ts: object, *, seed: int = 0, close: float | None = None) -> Bars:
    """Return possible bars at these times; `close` makes them all alike."""
    stamps = np.asarray(ts, np.int64)
    rng = np.random.default_rng(seed)
    middle = np.full(len(stamps), close) if close else 100 + rng.normal(0, 1, len(stamps))
    spread = rng.uniform(0.1, 1.0, (2, len(stamps)))
    return Bars.from_arrays(
        stamps,
        middle,
        middle + spread[0],
        middle - spread[1],
        middle,
        rng.uniform(0, 9, len(stamps)),
        rng.uniform(0, 900, len(stamps)),
    )


def run_of(count: int, *, first: int = FIRST, seed: int = 0, close: float | None = None) -> Bars:
    """Return `count` bars without a gap."""
    return bars_at(first + STEP * np.arange(count), seed=seed, close=close)


def same(left: Bars, right: Bars) -> bool:
    """Whether two runs of bars are equal byte for byte."""
    return all(getattr(left, c).tobytes() == getattr(right, c).tobytes() for c in COLUMNS)


@st.composite
def any_bars(draw: st.DrawFn, *, most: int = 40) -> Bars:
    """Bars with ascending ts over three months and any float in them."""
    slots = draw(st.lists(st.integers(0, 9_000), unique=True, min_size=1, max_size=most))
    number = st.floats(allow_nan=False, width=64)
    columns = [draw(st.lists(number, min_size=len(slots), max_size=len(slots))) for _ in range(5)]
    turnover = draw(
        st.lists(st.one_of(st.just(float("nan")), number), min_size=len(slots), max_size=len(slots))
    )
    return Bars.from_arrays(FIRST + STEP * np.sort(slots), *columns, turnover)
