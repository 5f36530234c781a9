"""Rings against a list; views that copy nothing; the market's falls as the engine computes them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.kernels.rolling import falls
from live.market.frames import SLACK_BARS, Frames
from tests.live.helpers import STEP, only, values, walk


@pytest.mark.laws
@settings(deadline=None, max_examples=40)
@given(
    window=st.integers(1, 70),
    pushes=st.lists(st.sets(st.integers(0, 3), min_size=1), max_size=300),
    last=st.none() | st.integers(0, 100),
)
def test_the_ring_is_a_list_that_forgets(
    window: int, pushes: list[set[int]], last: int | None
) -> None:
    frames = Frames(window, 4)
    lists: dict[int, list[tuple[int, list[float]]]] = {r: [] for r in range(4)}
    for k, rows in enumerate(pushes):
        chosen = np.array(sorted(rows), np.int64)
        # open, high, low, close, volume, turnover: each value its own, each bar possible
        offsets = np.array([2.0, 4.0, 1.0, 3.0, 5.0, 6.0])
        bars = 10.0 * np.arange(len(rows), dtype=float)[:, None] + offsets + 100.0 * k
        ts = np.full(len(rows), STEP * (k + 1), np.int64)
        frames.append(chosen, ts, bars)
        for row, b in zip(chosen, bars, strict=True):
            lists[int(row)].append((STEP * (k + 1), b.tolist()))
    for row, full in lists.items():
        want = full[-window:]
        if last is not None:
            want = want[-last:] if last else []
        frame = frames.frame(row, last)
        assert frame["ts"].to_list() == [t for t, _ in want]
        assert frame.drop("ts").rows() == [tuple(b) for _, b in want]
        assert frames.closes(row, last).tolist() == [b[3] for _, b in want]
        assert frames.bars(row, last).high.tolist() == [b[1] for _, b in want]


def fill(frames: Frames, n: int, row: int = 0, seed: int = 0) -> None:
    bars = walk(n, seed)
    for i in range(n):
        one = np.array([values(bars, i)])
        frames.append(np.array([row]), bars.ts[i : i + 1].copy(), one)


def test_a_frame_copies_nothing_and_stays_true_for_its_slack() -> None:
    frames = Frames(100, 1)
    fill(frames, 250)
    frame = frames.frame(0)
    closes = frame["close"].to_numpy()
    assert np.shares_memory(closes, frames.closes(0))
    before = frame.clone().rows()
    bars = walk(251 + SLACK_BARS)
    for i in range(250, 250 + SLACK_BARS):
        frames.append(np.array([0]), bars.ts[i : i + 1].copy(), np.array([values(bars, i)]))
    assert frame.rows() == before
    frames.append(np.array([0]), bars.ts[-1:].copy(), np.array([values(bars, len(bars) - 1)]))
    assert frame.rows() != before  # one more and the oldest row is gone: the promise is exact


def test_growing_keeps_what_is_there() -> None:
    frames = Frames(10)
    frames.grow(1)
    fill(frames, 30)
    kept = frames.frame(0).rows()
    frames.grow(200)
    assert frames.frame(0).rows() == kept
    assert frames.count(150) == 0
    assert frames.frame(150).height == 0


def test_dump_and_load_are_inverse() -> None:
    frames = Frames(40, 2)
    fill(frames, 90, row=1)
    ts, table = frames.dump(1)
    other = Frames(40, 2)
    other.load(0, ts, table)
    assert other.frame(0).equals(frames.frame(1))
    assert other.closes(0).tobytes() == frames.closes(1).tobytes()


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 1000), window=st.integers(2, 40), gaps=st.sampled_from([0.0, 0.05]))
def test_falls_are_the_engines_to_the_bit(seed: int, window: int, gaps: float) -> None:
    rng = np.random.default_rng(seed)
    bars = walk(120, seed)
    bars = only(bars, rng.random(120) >= gaps)
    want = np.empty(len(bars))
    falls(bars.ts, bars.high, bars.close, STEP, window, want)
    frames = Frames(50, 1)
    got = []
    for i in range(len(bars)):
        frames.append(np.array([0]), bars.ts[i : i + 1].copy(), np.array([values(bars, i)]))
        got.append(frames.falls(np.array([0]), int(bars.ts[i]), STEP, window)[0])
    assert np.array(got).tobytes() == want.tobytes()


@pytest.mark.parametrize("broken", ["again", "older", "nan", "negative"])
def test_what_the_detector_drops_is_left_out(broken: str) -> None:
    frames = Frames(50, 1)
    fill(frames, 60)
    before = frames.frame(0).clone().rows()
    bars = walk(61)
    ts, bar = bars.ts[60:61].copy(), np.array([values(bars, 60)])
    if broken in {"again", "older"}:
        ts = bars.ts[59:60].copy() if broken == "again" else bars.ts[40:41].copy()
    else:
        bar[0, 1] = np.nan if broken == "nan" else -1.0
    frames.append(np.array([0]), ts, bar)
    assert frames.frame(0).rows() == before


def test_a_symbol_without_the_bar_is_absent() -> None:
    frames = Frames(50, 2)
    fill(frames, 60)
    bars = walk(60)
    at = int(bars.ts[-1])
    both = frames.falls(np.array([0, 1]), at, STEP, 20)
    assert not np.isnan(both[0])
    assert np.isnan(both[1])
    assert np.isnan(frames.falls(np.array([0]), at + STEP, STEP, 20)[0])
