"""The lake gives back what was written, merges as it says, and names what is broken."""

import os
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.catalog import HEAD_NAME, Lake, Skips
from data.files import BAR_SCHEMA, read_columns
from engine.bars import COLUMNS, Bars
from engine.errors import DataError, UsageError
from tests.data.worlds import FIRST, STEP, any_bars, bars_at, run_of, same

NAME = ("v", "15m", "AUSDT")


@given(bars=any_bars(), codec=st.sampled_from(["none", "lz4", "zstd"]))
def test_what_is_written_is_read(tmp_path_factory, bars, codec):
    lake = Lake(tmp_path_factory.mktemp("lake"), codec=codec, durable=False)
    assert lake.write_bars(*NAME, bars) == len(bars)
    assert same(lake.read(*NAME), bars)
    assert same(Lake(lake.path, cache=lake.path / "c").read(*NAME), bars)
    ours = pq.read_table(lake.files(*NAME)[0])
    assert ours.schema.remove_metadata() == BAR_SCHEMA
    assert ours["close"].to_numpy().tobytes() == bars.close.tobytes()
    assert ours["turnover"].null_count == int(np.isnan(bars.turnover).sum())


@given(
    parts=st.lists(any_bars(), min_size=1, max_size=5),
    folds=st.lists(st.booleans(), min_size=5, max_size=5),
)
def test_tails_heads_and_folds_merge_as_a_dict_would(tmp_path_factory, parts, folds):
    lake = Lake(tmp_path_factory.mktemp("lake"), durable=False)
    naive: dict[int, bytes] = {}
    for part, fold in zip(parts, folds, strict=False):
        lake.append(*NAME, part)
        naive |= {int(part.ts[i]): _row(part, i) for i in range(len(part))}
        if fold:
            lake.compact(*NAME)
            assert [p.name for p in lake.files(*NAME)] == [HEAD_NAME]
    got = lake.read(*NAME)
    assert {int(got.ts[i]): _row(got, i) for i in range(len(got))} == naive
    assert (np.diff(got.ts) > 0).all()


def _row(bars: Bars, i: int) -> bytes:
    return b"".join(getattr(bars, c)[i].tobytes() for c in COLUMNS)


@given(bars=any_bars(), start=st.integers(0, 9_100), length=st.integers(0, 9_100))
def test_a_range_is_start_inclusive_end_exclusive(tmp_path_factory, bars, start, length):
    lake = Lake(tmp_path_factory.mktemp("lake"), durable=False)
    lake.write_bars(*NAME, bars)
    low, high = FIRST + STEP * start, FIRST + STEP * (start + length)
    keep = (bars.ts >= low) & (bars.ts < high)
    assert lake.read(*NAME, low, high).ts.tolist() == bars.ts[keep].tolist()


@pytest.mark.parametrize(
    "how",
    [
        {"compression": "snappy"},
        {"compression": "none", "use_dictionary": True},
        {"compression": "none", "use_dictionary": False, "row_group_size": 7},
        {"compression": "none", "use_dictionary": False, "data_page_size": 64},
        {"compression": "none", "use_byte_stream_split": True, "use_dictionary": False},
        {"compression": "none", "use_dictionary": False, "data_page_version": "2.0"},
        {"compression": "none", "use_dictionary": False, "write_statistics": False},
    ],
)
def test_files_of_other_writers_are_read(tmp_path, how):
    bars = run_of(500, seed=3)
    frame = bars.frame().with_columns(
        pl.when(pl.col("ts") % (3 * STEP) == 0).then(pl.col("turnover")).alias("turnover"),
        more=pl.lit(1.5),
    )
    path = _plant(tmp_path, frame.to_arrow(), **how)
    got = Lake(tmp_path).read(*NAME)
    assert same(got, Bars.from_frame(pl.read_parquet(path)))
    assert np.isnan(got.turnover).sum() > 300


def test_nulls_in_prices_become_nan_and_an_unknown_turnover_may_be_of_type_null(tmp_path):
    frame = (
        run_of(9)
        .frame()
        .with_columns(
            close=pl.when(pl.col("ts") == FIRST).then(None).otherwise(pl.col("close")),
            turnover=pl.lit(None),
        )
    )
    _plant(tmp_path, frame.to_arrow())
    got = Lake(tmp_path).read(*NAME)
    assert np.isnan(got.close).tolist() == [True] + [False] * 8
    assert np.isnan(got.turnover).all()


def _plant(root: Path, table: pa.Table, name: str = HEAD_NAME, **how: object) -> Path:
    folder = Lake(root).folder(*NAME)
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / name, **how)
    return folder / name


def test_disorder_and_duplicates_in_a_file_are_put_right_and_counted(tmp_path):
    bars = run_of(6, seed=1)
    frame = bars.frame()[[0, 2, 1, 3, 3, 5]].with_columns(volume=pl.Series([0.0, 1, 2, 3, 4, 5]))
    _plant(tmp_path, frame.to_arrow())
    lake = Lake(tmp_path, cache=tmp_path / "cache")
    for reader in (lake, lake, Lake(tmp_path, cache=tmp_path / "cache"), Lake(tmp_path)):
        got = reader.read(*NAME)
        assert ((got.ts - FIRST) // STEP).tolist() == [0, 1, 2, 3, 5]
        assert got.volume.tolist() == [0.0, 2.0, 1.0, 4.0, 5.0]
        assert reader.skips[NAME] == Skips(duplicates=1, disordered=1, overlaps=0)


def test_foreign_files_overlap_in_the_order_of_their_names(tmp_path):
    _plant(tmp_path, run_of(5, close=1.0).frame().to_arrow(), "a.parquet")
    _plant(tmp_path, run_of(5, first=FIRST + 3 * STEP, close=2.0).frame().to_arrow(), "b.parquet")
    lake = Lake(tmp_path)
    assert lake.read(*NAME).close.tolist() == [1, 1, 1, 2, 2, 2, 2, 2]
    assert lake.skips[NAME].overlaps == 2
    lake.append(*NAME, run_of(1, close=3.0))
    assert lake.read(*NAME).close.tolist() == [3, 1, 1, 2, 2, 2, 2, 2]
    assert lake.compact(*NAME) == 3
    assert lake.read(*NAME).close.tolist() == [3, 1, 1, 2, 2, 2, 2, 2]
    assert lake.compact(*NAME) == 0


def test_what_a_crash_leaves_behind_a_new_head_is_not_seen(tmp_path):
    lake = Lake(tmp_path)
    lake.append(*NAME, run_of(5, close=1.0))
    tail = lake.files(*NAME)[0]
    shutil.copy(tail, tmp_path / "kept")
    lake.write_bars(*NAME, run_of(3, close=2.0))  # fewer bars: those of the tail are gone for good
    shutil.copy(tmp_path / "kept", tail)  # as if the process died before it removed the tail
    assert len(lake.files(*NAME)) == 2
    assert lake.read(*NAME).close.tolist() == [2.0] * 3
    lake.append(*NAME, run_of(1, first=FIRST + 5 * STEP, close=3.0))
    assert lake.read(*NAME).close.tolist() == [2.0] * 3 + [3.0]


def test_tails_are_monthly(tmp_path):
    lake = Lake(tmp_path)
    day = 86_400_000
    lake.append(*NAME, bars_at([FIRST - STEP, FIRST, FIRST + 30 * day, FIRST + 31 * day]))
    names = [p.name for p in lake.files(*NAME)]
    assert names == ["tail-2025-12.parquet", "tail-2026-01.parquet", "tail-2026-02.parquet"]
    info = lake.info(*NAME)
    assert (info.bars, info.files) == (4, 3)
    assert (info.first_ts, info.last_ts) == (FIRST - STEP, FIRST + 31 * day)


def test_bars_that_do_not_ascend_are_not_written(tmp_path):
    lake = Lake(tmp_path)
    lake.write_bars(*NAME, run_of(3))
    for order in ([0, 0], [1, 0]):
        with pytest.raises(DataError, match="not strictly ascending"):
            lake.write_bars(*NAME, run_of(3).frame()[order])
    with pytest.raises(DataError, match="lack the columns high"):
        lake.write_bars(*NAME, run_of(3).frame().drop("high"))
    assert same(lake.read(*NAME), run_of(3))


BAD = {
    "empty file": (b"", "truncated or not Parquet"),
    "text": (b"ts,open\n1,2\n", "truncated or not Parquet"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_file_that_is_no_parquet_is_named(tmp_path, kind):
    content, why = BAD[kind]
    path = _plant(tmp_path, run_of(3).frame().to_arrow())
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        Lake(tmp_path).read(*NAME)
    assert str(path) in caught.value.what
    assert why in caught.value.why
    assert caught.value.hint
    assert "truncated" in Lake(tmp_path).info(*NAME).problem


@given(share=st.floats(0.0, 0.999), codec=st.sampled_from(["none", "zstd"]))
def test_a_truncated_file_never_passes_for_a_whole_one(tmp_path_factory, share, codec):
    lake = Lake(tmp_path_factory.mktemp("lake"), codec=codec, durable=False)
    lake.write_bars(*NAME, run_of(64))
    path = lake.files(*NAME)[0]
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(DataError, match="cannot read"):
        lake.read(*NAME)


def test_a_hole_in_the_middle_of_a_compressed_file_is_named(tmp_path):
    lake = Lake(tmp_path, codec="zstd")
    lake.write_bars(*NAME, run_of(500))
    path = lake.files(*NAME)[0]
    content = bytearray(path.read_bytes())
    content[100:400] = bytes(300)
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot read"):
        lake.read(*NAME)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f.drop("low", "volume"), "lacks the columns low, volume"),
        (lambda f: f.drop("turnover"), "lacks the column turnover"),
        (lambda f: f.with_columns(pl.col("open").cast(pl.Float32)), "column open is float"),
        (lambda f: f.with_columns(pl.col("close").cast(pl.String)), "column close is"),
        (lambda f: f.with_columns(pl.col("ts").cast(pl.Datetime("ms"))), "column ts is timestamp"),
        (lambda f: f.with_columns(pl.col("ts") // 1000), "ts runs from"),
        (lambda f: f.with_columns(pl.col("ts") * 1000), "ts runs from"),
        (lambda f: f.with_columns(ts=pl.when(pl.col("ts") > FIRST).then("ts")), "ts runs from 0"),
    ],
)
def test_missing_and_mistyped_columns_are_named(tmp_path, change, words):
    path = _plant(tmp_path, change(run_of(5).frame()).to_arrow())
    with pytest.raises(DataError) as caught:
        Lake(tmp_path).read(*NAME)
    assert str(path) in caught.value.what
    assert words in caught.value.what


def test_a_file_in_the_wrong_folder_is_refused(tmp_path):
    lake = Lake(tmp_path)
    lake.write_bars(*NAME, run_of(3))
    lake.write_bars("v", "15m", "BUSDT", run_of(3))
    shutil.copy(lake.files(*NAME)[0], lake.files("v", "15m", "BUSDT")[0])
    with pytest.raises(DataError, match="says it holds symbol AUSDT, its folder says BUSDT"):
        lake.read("v", "15m", "BUSDT")


def test_unknown_names_are_told_with_what_is_near(tmp_path):
    lake = Lake(tmp_path / "lake")
    with pytest.raises(DataError, match="no lake at"):
        lake.venues()
    lake.path.mkdir()
    with pytest.raises(DataError, match="is empty"):
        lake.resolve_venue(None)
    for symbol in ("BTCUSDT", "ETHUSDT"):
        lake.write_bars("bybit", "15m", symbol, run_of(3))
    assert lake.resolve_venue(None) == "bybit"
    for call, hint in (
        (lambda: lake.read("bybit", "15m", "BTCUSD"), "BTCUSDT"),
        (lambda: lake.read("bybit", "5m", "BTCUSDT"), "15m"),
        (lambda: lake.read("bibit", "15m", "BTCUSDT"), "bybit"),
        (lambda: lake.symbols("bybit", "1h"), "15m"),
        (lambda: lake.resolve_venue("bybitt"), "bybit"),
        (lambda: lake.write_bars("bybit", "15x", "BTCUSDT", run_of(3)), "15m"),
        (lambda: lake.write_bars("bybit", "15m", "../../BTC", run_of(3)), "letters"),
    ):
        with pytest.raises(DataError) as caught:
            call()
        assert hint in caught.value.hint
    lake.write_bars("okx", "1h", "BTCUSDT", run_of(3))
    with pytest.raises(UsageError, match="several venues: bybit, okx") as told:
        lake.resolve_venue(None)
    assert told.value.exit_code == 2
    assert lake.series() == [
        ("bybit", "15m", "BTCUSDT"),
        ("bybit", "15m", "ETHUSDT"),
        ("okx", "1h", "BTCUSDT"),
    ]
    with pytest.raises(UsageError, match="codec"):
        Lake(tmp_path, codec="gzip9")


def test_a_changed_series_never_meets_a_stale_copy(tmp_path):
    cache = tmp_path / "cache"
    lake = Lake(tmp_path / "lake", cache=cache)
    for number in range(1, 6):
        lake.write_bars(*NAME, run_of(5, close=float(number)))
        assert lake.read(*NAME).close.tolist() == [number] * 5
        assert Lake(lake.path, cache=cache).read(*NAME).close.tolist() == [number] * 5
    assert len(list(cache.iterdir())) == 1
    names = {p.suffix for p in lake.path.rglob("*") if p.is_file() and p.name != ".lock"}
    assert names == {".parquet"}


def test_a_mapped_copy_is_used_and_a_broken_one_is_not(tmp_path):
    lake = Lake(tmp_path / "lake", cache=tmp_path / "cache")
    bars = run_of(50)
    lake.write_bars(*NAME, bars)
    assert same(lake.read(*NAME), bars)
    (copy,) = (tmp_path / "cache").iterdir()
    # Poison in the copy is seen by a new reader: so it is the copy that is read.
    content = bytearray(copy.read_bytes())
    content[64 + 8 * 50 : 64 + 8 * 51] = np.float64(-7.0).tobytes()
    copy.write_bytes(content)
    assert Lake(lake.path, cache=tmp_path / "cache").read(*NAME).open[0] == -7.0
    for broken in (b"", content[:60], content[:-8], b"x" * len(content)):
        copy.write_bytes(broken)
        assert same(Lake(lake.path, cache=tmp_path / "cache").read(*NAME), bars)


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path):
    (tmp_path / "file").write_text("")
    lake = Lake(tmp_path / "lake", cache=tmp_path / "file" / "cache")
    lake.write_bars(*NAME, run_of(5))
    assert same(lake.read(*NAME), run_of(5))


def test_arrays_of_every_path_look_alike_to_a_kernel(tmp_path):
    lake = Lake(tmp_path / "lake", cache=tmp_path / "cache")
    lake.write_bars(*NAME, run_of(50))
    Lake(tmp_path / "lake", codec="zstd").write_bars("v", "15m", "ZUSDT", run_of(50))
    kinds = set()
    for reader in (Lake(lake.path), lake, lake, Lake(lake.path, cache=tmp_path / "cache")):
        for symbol in ("AUSDT", "ZUSDT"):
            bars = reader.read("v", "15m", symbol)
            flags = [getattr(bars, c).flags for c in COLUMNS]
            kinds |= {(f.c_contiguous, f.aligned, f.writeable) for f in flags}
            assert [getattr(bars, c).dtype.str for c in COLUMNS] == ["<i8"] + ["<f8"] * 6
    assert kinds == {(True, True, False)}


def test_funding_round_trip_merges_and_is_none_where_unknown(tmp_path):
    lake = Lake(tmp_path)
    assert lake.funding("v", "AUSDT") is None
    lake.write_funding("v", "AUSDT", pl.DataFrame({"ts": [FIRST], "funding_rate": [1e-4]}))
    more = pl.DataFrame({"ts": [FIRST + STEP, FIRST], "funding_rate": [3e-4, 2e-4]})
    assert lake.write_funding("v", "AUSDT", more) == 2
    got = lake.funding("v", "AUSDT")
    assert got is not None
    assert got.rows() == [(FIRST, 2e-4), (FIRST + STEP, 3e-4)]
    lake.write_bars(*NAME, run_of(3))
    assert lake.venues() == ["v"]


@pytest.mark.realdata
def test_real_history_reads_alike_through_pyarrow(shared_lake):
    lake = Lake(shared_lake)
    assert lake.venues() == ["binance", "binanceusdm", "bybit"]
    for name in lake.series(interval="15m")[::9]:
        bars = lake.read(*name)
        (path,) = lake.files(*name)
        table = pq.read_table(path, partitioning=None).select(list(COLUMNS))
        assert same(bars, Bars.from_frame(pl.DataFrame(table)))
        block = read_columns(path, BAR_SCHEMA, {})
        assert block.shape == (7, len(bars))
    assert not os.access(shared_lake / ".lock", os.F_OK)
