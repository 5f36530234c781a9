"""A settlement that a lake tells twice is charged once, at every door that charges."""

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from data.catalog import Lake
from data.quality import check_funding
from data.replay import read_replay
from data.settlements import ONE_SETTLEMENT_MS, settlements
from research.history import read_funding
from tests.data.worlds import FIRST, run_of

HOUR = 3_600_000
NAN = float("nan")


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 59_999)), max_size=60, unique=True),
    st.data(),
)
def test_every_settlement_stands_once_at_its_first_instant_and_last_rate(marks, data):
    ts = np.array(sorted({h * HOUR + late for h, late in marks}), np.int64)
    rate = np.array([data.draw(st.sampled_from([1e-4, -2e-4, NAN])) for _ in ts])
    found = settlements(ts, rate)
    by_hour: dict[int, list[int]] = {}
    for i, at in enumerate(ts):
        by_hour.setdefault(int(at) // HOUR, []).append(i)
    assert found.ts.tolist() == [int(ts[rows[0]]) for rows in by_hour.values()]
    for rows, got in zip(by_hour.values(), found.rate, strict=True):
        said = [rate[i] for i in rows if np.isfinite(rate[i])]
        assert got == said[-1] if said else np.isnan(got)
    assert found.doubled == len(ts) - len(by_hour)


def test_a_minute_apart_is_another_settlement():
    ts = np.array([0, ONE_SETTLEMENT_MS - 1, ONE_SETTLEMENT_MS, 2 * ONE_SETTLEMENT_MS])
    found = settlements(ts, np.array([1.0, 2.0, 3.0, 4.0]))
    assert found.ts.tolist() == [0, ONE_SETTLEMENT_MS, 2 * ONE_SETTLEMENT_MS]
    assert found.rate.tolist() == [2.0, 3.0, 4.0]
    assert (found.doubled, found.conflicting) == (1, 1)


def test_backtest_and_replay_read_a_doubled_series_alike(tmp_path):
    lake = Lake(tmp_path)
    lake.write_bars("v", "15m", "AUSDT", run_of(200))
    eight = FIRST - FIRST % (8 * HOUR) + 8 * HOUR
    rows = {"ts": [eight, eight + 9, eight + 8 * HOUR], "funding_rate": [1e-4, 1e-4, NAN]}
    lake.write_funding("v", "AUSDT", pl.DataFrame(rows))
    series = read_funding(lake, "v", "AUSDT")
    assert (series.ts.tolist(), series.rate.tolist()) == ([eight], [1e-4])
    stamps, rates = read_replay(lake, "15m").funding["AUSDT"]
    assert (stamps.tolist(), rates.tolist()) == ([eight], [1e-4])
    (quality,) = check_funding(lake)
    assert (quality.settlements, quality.doubled, quality.conflicting, quality.nans) == (2, 1, 0, 1)
    assert not quality.clean
    assert check_funding(lake, "other") == []
