"""The recorder writes what it was given, in batches, and lets go only of what is on disk."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.catalog import Lake
from data.record import BarRecorder, ClosedBar
from engine.errors import DataError
from tests.data.worlds import FIRST, STEP


def _bar(slot: int, close: float = 1.0) -> ClosedBar:
    return ClosedBar(FIRST + STEP * slot, close, close + 1, close - 1, close, 5.0)


@given(
    adds=st.lists(
        st.tuples(st.sampled_from("AB"), st.integers(0, 30), st.floats(2, 9)), max_size=60
    ),
    batch=st.integers(1, 9),
)
def test_the_lake_holds_the_newest_of_each_bar(tmp_path_factory, adds, batch):
    lake = Lake(tmp_path_factory.mktemp("lake"), durable=False)
    recorder = BarRecorder(lake, "v", "15m", flush_bars=batch)
    naive: dict[str, dict[int, float]] = {}
    for symbol, slot, close in adds:
        recorder.add(symbol, _bar(slot, close))
        naive.setdefault(symbol, {})[FIRST + STEP * slot] = close
        assert recorder.held <= 2 * batch
    recorder.flush()
    assert recorder.held == 0
    for symbol, bars in naive.items():
        got = lake.read("v", "15m", symbol)
        assert dict(zip(got.ts.tolist(), got.close.tolist(), strict=True)) == bars
        assert np.isnan(got.turnover).all()


def test_it_flushes_by_count_and_by_time(tmp_path):
    recorder = BarRecorder(Lake(tmp_path), "v", "15m", flush_bars=3, flush_ms=10 * STEP)
    assert [recorder.add("A", _bar(i)) for i in range(4)] == [False, False, True, False]
    assert recorder.add("B", _bar(0)) is False
    assert recorder.add("B", _bar(10)) is True
    assert (recorder.written, recorder.held) == (5, 1)
    recorder.add("A", _bar(2))
    assert recorder.late == 1


def test_what_the_disk_refuses_stays_held(tmp_path):
    (tmp_path / "lake").write_text("no folder")
    recorder = BarRecorder(Lake(tmp_path / "lake"), "v", "15m")
    recorder.add("A", _bar(0))
    with pytest.raises(DataError, match="cannot write"):
        recorder.flush()
    assert recorder.held == 1
    (tmp_path / "lake").unlink()
    assert recorder.flush() == 1


def test_a_bar_off_the_grid_is_refused(tmp_path):
    recorder = BarRecorder(Lake(tmp_path), "v", "15m")
    with pytest.raises(DataError, match="no 15m bar"):
        recorder.add("A", _bar(0)._replace(ts=FIRST + 1))
