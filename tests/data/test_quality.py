"""What is wrong is counted as a slow reader would count it; what is right is called clean."""

from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.catalog import Lake
from data.quality import check_bars, check_lake, check_series
from tests.data.worlds import FIRST, STEP, run_of

NAN = float("nan")


def test_a_clean_run_is_clean():
    quality = check_bars(run_of(500), "15m")
    assert quality.clean
    assert (quality.bars, quality.gaps, quality.jumps) == (500, (), ())
    assert (quality.first_ts, quality.last_ts) == (FIRST, FIRST + 499 * STEP)


@given(
    slots=st.lists(st.integers(0, 60), min_size=1, max_size=40),
    wrong=st.lists(
        st.sampled_from(["", "", "", "nan", "zero", "high", "neg", "quiet"]), max_size=40
    ),
)
def test_counts_equal_those_of_a_slow_reader(slots, wrong):
    rows = []
    kinds = wrong + [""] * len(slots)
    for slot, kind in zip(slots, kinds, strict=False):
        row = {"ts": FIRST + STEP * slot, "open": 10.0, "high": 11.0, "low": 9.0, "close": 10.5}
        row |= {"volume": 1.0, "turnover": 10.0}
        row |= {
            "": {},
            "nan": {"close": NAN},
            "zero": {"low": 0.0},
            "high": {"high": 10.2},
            "neg": {"volume": -1.0},
            "quiet": {"volume": 0.0},
        }[kind]
        rows.append(row)
    used = kinds[: len(slots)]
    got = check_bars(pl.DataFrame(rows), "15m")
    seen = sorted(set(slots))
    assert got.bars == len(seen)
    assert got.duplicates == len(slots) - len(seen)
    assert got.disordered == sum(s < max(slots[: i + 1]) for i, s in enumerate(slots))
    assert got.missing == seen[-1] - seen[0] + 1 - len(seen)
    assert len(got.gaps) == sum(b - a > 1 for a, b in pairwise(seen))
    assert got.nans == used.count("nan")
    assert got.impossible == sum(used.count(k) for k in ("zero", "high", "neg"))
    assert got.zero_volume == used.count("quiet")


def test_gaps_seams_and_misplaced_times_are_named():
    bars = run_of(100, close=100.0)
    frame = bars.frame().filter(~pl.col("ts").is_between(FIRST + 40 * STEP, FIRST + 49 * STEP))
    after = pl.col("ts") > FIRST + 49 * STEP
    frame = frame.with_columns(
        *(
            pl.when(after).then(pl.col(c) * 1.05).otherwise(c)
            for c in ("open", "high", "low", "close")
        )
    )
    quality = check_bars(frame, "15m")
    (gap,) = quality.gaps
    assert (gap.from_ts, gap.to_ts, gap.bars) == (FIRST + 40 * STEP, FIRST + 50 * STEP, 10)
    (jump,) = quality.jumps
    assert jump.seam
    assert jump.ts == FIRST + 50 * STEP
    assert jump.fraction == pytest.approx(0.05)
    assert not quality.clean
    shifted = bars.frame().with_columns(pl.col("ts") + 1)
    assert check_bars(shifted, "15m").misaligned == 100


def test_a_file_that_cannot_be_read_is_a_finding_and_nothing_is_repaired(tmp_path):
    lake = Lake(tmp_path)
    lake.write_bars("v", "15m", "AUSDT", run_of(10))
    lake.write_bars("v", "15m", "BUSDT", run_of(10))
    path = lake.files("v", "15m", "BUSDT")[0]
    path.write_bytes(path.read_bytes()[:-20])
    broken = path.read_bytes()
    good, bad = check_lake(lake)
    assert good.clean
    assert not bad.clean
    assert str(path) in bad.problem
    assert path.read_bytes() == broken


def test_duplicates_inside_a_file_are_seen_through_the_lake(tmp_path):
    lake = Lake(tmp_path)
    folder = lake.folder("v", "15m", "AUSDT")
    folder.mkdir(parents=True)
    run_of(5).frame()[[0, 1, 1, 4, 3]].write_parquet(folder / "x.parquet")
    quality = check_series(lake, "v", "15m", "AUSDT")
    assert (quality.duplicates, quality.disordered, quality.missing) == (1, 1, 1)


@pytest.mark.realdata
def test_the_known_faults_of_real_history_are_found(shared_lake):
    found = check_lake(Lake(shared_lake), "binanceusdm", "15m")
    assert not [q for q in found if q.problem]
    gapped = [q for q in found if q.gaps]
    assert gapped
    seams = [abs(j.fraction) for q in found for j in q.jumps if j.seam]
    assert 0.05 < max(seams) < 0.12
    assert np.median([q.turnover_unknown / q.bars for q in found]) == 1.0
