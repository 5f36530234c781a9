"""Questions see what readers see, change nothing, and reach no other file."""

import numpy as np
import polars as pl
import pytest

from data.catalog import Lake
from data.db import Questions, query_pl, select_symbols
from engine.bars import Bars
from engine.errors import DataError, UsageError
from tests.data.worlds import FIRST, STEP, run_of


@pytest.fixture
def lake(tmp_path):
    lake = Lake(tmp_path / "lake's")  # a quote in the path must not matter
    for number, symbol in enumerate(("AUSDT", "BUSDT", "CUSDT", "DUSDT")):
        bars = run_of(300, seed=number)
        scale = [3.0, 1.0, 4.0, 2.0][number]
        # Half of the coins do not know their turnover.
        turnover = bars.volume * bars.close * scale if number % 2 else None
        volume = bars.volume * scale
        lake.write_bars(
            "v",
            "15m",
            symbol,
            Bars.from_arrays(bars.ts, bars.open, bars.high, bars.low, bars.close, volume, turnover),
        )
    lake.write_funding("v", "AUSDT", pl.DataFrame({"ts": [FIRST], "funding_rate": [1e-4]}))
    return lake


def test_the_view_shows_what_the_lake_reads(lake):
    lake.append("v", "15m", "AUSDT", run_of(30, first=FIRST + 290 * STEP, seed=9))
    for name in lake.series():
        got = query_pl(
            "SELECT ts, open, high, low, close, volume, turnover FROM bars "
            "WHERE venue = ? AND interval = ? AND symbol = ? ORDER BY ts",
            name,
            lake=lake,
        )
        want = lake.read(*name).frame().with_columns(pl.col("turnover").fill_nan(None))
        assert got.equals(want)
    assert query_pl("SELECT * FROM funding", lake=lake).rows() == [("v", "AUSDT", FIRST, 1e-4)]


def test_top_is_by_median_daily_turnover(lake):
    naive = {}
    for _, _, symbol in lake.series():
        bars = lake.read("v", "15m", symbol)
        quote = np.where(np.isnan(bars.turnover), bars.close * bars.volume, bars.turnover)
        days = bars.ts // 86_400_000
        naive[symbol] = np.median([quote[days == d].sum() for d in np.unique(days)])
    ranked = sorted(naive, key=lambda s: -naive[s])
    assert select_symbols(lake, "v", "15m", "top:3") == ranked[:3]
    assert select_symbols(lake, "v", "15m", "top:99") == ranked
    assert select_symbols(lake, "v", "15m") == ["AUSDT", "BUSDT", "CUSDT", "DUSDT"]
    assert select_symbols(lake, "v", "15m", "DUSDT, AUSDT,DUSDT") == ["DUSDT", "AUSDT"]


@pytest.mark.parametrize(
    ("spec", "error", "words"),
    [
        ("top:0", UsageError, "top:N"),
        ("top:x", UsageError, "top:N"),
        (" , ", UsageError, "names no symbol"),
        ("AUSDT,BUSD", DataError, "unknown symbol 'BUSD'"),
    ],
)
def test_a_wrong_choice_is_told(lake, spec, error, words):
    with pytest.raises(error, match=words):
        select_symbols(lake, "v", "15m", spec)


@pytest.mark.parametrize(
    "sql",
    [
        "DROP VIEW bars",
        "COPY bars TO 'x.csv'",
        "SELECT 1; SELECT 2",
        "SELECT * FROM read_text('{outside}')",
        "SELECT * FROM read_csv('{outside}')",
        "SELECT * FROM '{outside}'",
        "ATTACH '{outside}' AS x",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "SELEC 1",
        "SELECT nothing FROM bars",
        "",
    ],
)
def test_only_harmless_questions_are_answered(lake, tmp_path, sql):
    outside = tmp_path / "secret.csv"
    outside.write_text("a\n1\n")
    with pytest.raises(UsageError):
        query_pl(sql.format(outside=outside), lake=lake)
    assert not (tmp_path / "x.csv").exists()


def test_one_connection_answers_many_questions(lake):
    with Questions(lake) as questions:
        for _ in range(3):
            assert questions.query_pl("SELECT count(*) FROM bars").item() == 1200
            with pytest.raises(UsageError):
                questions.query_pl("SELECT x FROM bars")
            assert questions.query_pl("SELECT $a + 1", {"a": 41}).item() == 42


def test_runs_are_seen_with_their_name(lake, tmp_path):
    for run in ("r1", "r2"):
        folder = tmp_path / "runs" / run
        folder.mkdir(parents=True)
        pl.DataFrame({"net_r": [1.5]}).write_parquet(folder / "trades.parquet")
    got = query_pl("SELECT run, net_r FROM trades ORDER BY run", lake=lake, runs=tmp_path / "runs")
    assert got.rows() == [("r1", 1.5), ("r2", 1.5)]


def test_an_empty_lake_has_empty_views(tmp_path):
    assert query_pl("SELECT count(*) FROM bars", lake=Lake(tmp_path)).item() == 0
    assert query_pl("SELECT count(*) FROM funding", lake=Lake(tmp_path)).item() == 0


def test_a_broken_file_is_an_error_of_data(lake):
    path = lake.files("v", "15m", "AUSDT")[0]
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError):
        query_pl("SELECT sum(close) FROM bars", lake=lake)
