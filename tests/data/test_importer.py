"""Foreign files come in whole, rows that cannot be real stay out and are counted."""

import gzip
import zipfile

import polars as pl
import pytest

from data.catalog import Lake
from data.importer import import_file, import_path
from engine.bars import Bars
from engine.errors import DataError
from tests.data.worlds import FIRST, STEP, run_of, same

BARS = run_of(50, seed=4)
HEADER_12 = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
    "taker_buy_volume,taker_buy_quote_volume,ignore"
)


def _rows(scale: float = 1.0, *, binance: bool = False) -> list[str]:
    lines = []
    for row in BARS.frame().iter_rows():
        ts, *values = row
        cells = [repr(int(ts * scale)), *map(repr, values)]
        if binance:
            cells = [*cells[:6], "0", cells[6], "5", "1.0", "2.0", "0"]
        lines.append(",".join(cells))
    return lines


def _times(pattern: str) -> list[str]:
    stamps = pl.Series(BARS.ts).cast(pl.Datetime("ms")).dt.strftime(pattern)
    return [f"{t},{line.split(',', 1)[1]}" for t, line in zip(stamps, _rows(), strict=True)]


SHAPES = {
    "BTCUSDT-15m-2026-01.csv": _rows(binance=True),
    "BTCUSDT-15m-2026-02.csv": [HEADER_12, *_rows(binance=True)],
    "BTCUSDT-15m-us.csv": _rows(1000.0, binance=True),
    "BTCUSDT_15_2026-01-01_2026-01-31.csv": _rows(),
    "BTCUSDT_15_seconds.csv": ["start,open,high,low,close,volume,turnover", *_rows(0.001)],
    "BTCUSDT_15_dotted.csv": _times("%Y.%m.%d %H:%M"),
    "BTCUSDT-15m-iso.csv": ["Date,Open,High,Low,Close,Volume,Turnover", *_times("%FT%TZ")],
    "BTCUSDT.15m.reordered.csv": [
        "close,low,turnover,high,volume,open,timestamp,extra",
        *(
            ",".join([c, lo, t, h, v, o, ts, "x"])
            for ts, o, h, lo, c, v, t in (line.split(",") for line in _rows())
        ),
    ],
}


@pytest.mark.parametrize("name", SHAPES)
def test_every_known_shape_gives_the_same_bars(tmp_path, name):
    path = tmp_path / name
    path.write_text("\n".join(SHAPES[name]) + "\n")
    lake = Lake(tmp_path / "lake")
    told = import_file(lake, path, venue="v")
    assert (told.symbol, told.interval, told.accepted) == ("BTCUSDT", "15m", 50)
    assert dict(told.rejected) == {}
    assert same(lake.read("v", "15m", "BTCUSDT"), BARS)


def test_packed_files_and_parquet_come_in_too(tmp_path):
    text = "\n".join(SHAPES["BTCUSDT-15m-2026-02.csv"]).encode()
    (tmp_path / "AUSDT-15m-1.csv.gz").write_bytes(gzip.compress(text))
    with zipfile.ZipFile(tmp_path / "BUSDT-15m-1.zip", "w") as archive:
        archive.writestr("BUSDT-15m-1.csv", text)
    frame = BARS.frame().with_columns(
        pl.col("ts").cast(pl.Datetime("ms")), pl.col("open").cast(str)
    )
    frame.write_parquet(tmp_path / "CUSDT-15m-x.parquet")
    lake = Lake(tmp_path / "lake")
    told = list(import_path(lake, tmp_path, venue="v"))
    assert [t.symbol for t in told] == ["AUSDT", "BUSDT", "CUSDT"]
    for symbol in lake.symbols("v", "15m"):
        assert same(lake.read("v", "15m", symbol), BARS)


def test_another_lake_comes_in_with_its_own_labels(tmp_path):
    old = Lake(tmp_path / "old")
    old.write_bars("okx", "15m", "AUSDT", BARS)
    old.write_bars("okx", "1h", "BUSDT", Bars.from_frame(BARS.frame()[::4]))
    lake = Lake(tmp_path / "lake")
    assert len(list(import_path(lake, old.path, venue="other"))) == 2
    assert lake.series() == [("okx", "15m", "AUSDT"), ("okx", "1h", "BUSDT")]
    assert same(lake.read("okx", "15m", "AUSDT"), BARS)


def test_planted_faults_are_counted_by_reason_and_kept_out(tmp_path):
    lines = _rows()
    planted = {
        3: ("number", "nan"),
        5: ("number", ""),
        7: ("number", "12,5x"),
        9: ("impossible", "-4"),
        11: ("impossible", "0"),
        13: ("impossible", "99999"),  # close over high
    }
    for at, (_, close) in planted.items():
        cells = lines[at].split(",")
        cells[4] = close.replace(",", ".")
        lines[at] = ",".join(cells)
    lines[15] = lines[15].replace(str(FIRST + 15 * STEP), str(FIRST + 15 * STEP + 1))
    lines[17] = "garbage," + lines[17].split(",", 1)[1]
    lines.append(lines[20].replace(lines[20].split(",")[5], "77.0"))
    lines[30], lines[31] = lines[31], lines[30]
    path = tmp_path / "BTCUSDT-15m-x.csv"
    path.write_text("\n".join(lines))
    lake = Lake(tmp_path / "lake")
    told = import_file(lake, path, venue="v")
    want = {"number": 3, "impossible": 3, "off_grid": 1, "time": 1, "duplicate": 1}
    assert dict(told.rejected) == want
    assert told.rows == 51
    assert told.accepted == 51 - sum(want.values())
    assert told.disordered == 2  # the swapped one, and the late copy
    bars = lake.read("v", "15m", "BTCUSDT")
    assert len(bars) == told.accepted
    assert bars.volume[list(bars.ts).index(FIRST + 20 * STEP)] == 77.0


def test_new_bars_join_old_ones_and_win(tmp_path):
    lake = Lake(tmp_path / "lake")
    lake.write_bars("v", "15m", "BTCUSDT", run_of(60, first=FIRST - 30 * STEP, close=9.0))
    path = tmp_path / "BTCUSDT-15m-x.csv"
    path.write_text("\n".join(_rows()))
    import_file(lake, path, venue="v")
    bars = lake.read("v", "15m", "BTCUSDT")
    assert bars.close.tolist() == [9.0] * 30 + BARS.close.tolist()


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("BTCUSDT-15m.csv", "a,b,c\n1,2,3\n", "no kline file that we know"),
        ("BTCUSDT-15m.csv", "", "cannot read"),
        ("BTCUSDT-15m.csv", "ts,open,high,low,close\n1,2,3,4,5\n", "no column for volume"),
        ("BTCUSDT-15m.csv", "ts,open,high,low,close,volume,ts\n1,2,3,4,5,6,7\n", "twice"),
        ("BTCUSDT-15m.csv", "ts,open,high,low,close,volume\nx,2,3,4,5,6\n", "no bar that can be"),
        ("prices.csv", "\n".join(_rows()), "cannot tell the symbol"),
        ("BTCUSDT-15m.parquet", "no parquet", "cannot read"),
        ("BTCUSDT-15m.zip", "no zip", "cannot read"),
    ],
)
def test_what_cannot_be_understood_is_told(tmp_path, name, text, words):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        import_file(Lake(tmp_path / "lake"), path, venue="v")
    assert words in caught.value.what
    assert str(path) in caught.value.what
    assert not (tmp_path / "lake").exists()


def test_in_a_folder_one_bad_file_does_not_stop_the_others(tmp_path):
    (tmp_path / "AUSDT-15m-1.csv").write_text("\n".join(_rows()))
    (tmp_path / "BUSDT-15m-1.csv").write_text("nonsense\n")
    told = list(import_path(Lake(tmp_path / "lake"), tmp_path, venue="v"))
    assert [bool(t.problem) for t in told] == [False, True]
    with pytest.raises(DataError, match="no file or folder"):
        list(import_path(Lake(tmp_path / "lake"), tmp_path / "gone", venue="v"))


def test_an_interval_can_be_told_from_the_bars(tmp_path):
    path = tmp_path / "some.csv"
    path.write_text("\n".join(_rows()))
    told = import_file(Lake(tmp_path / "lake"), path, venue="v", symbol="XUSDT")
    assert told.interval == "15m"
