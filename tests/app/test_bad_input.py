"""Bad input, as a user gives it: one clear error and its code, or a counted skip; never a trace."""

import json
import resource
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from app.cli.main import main
from data.catalog import Lake
from data.db import select_symbols
from engine.errors import ZionError
from live.venues.bybit.simserver import SimServer

FIRST, STEP = 1_767_225_600_000, 900_000


def _bars(count: int = 600, seed: int = 1) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.004, count)))
    open_ = np.r_[100.0, close[:-1]]
    return pl.DataFrame(
        {
            "ts": FIRST + STEP * np.arange(count, dtype=np.int64),
            "open": open_,
            "high": np.maximum(open_, close) * 1.001,
            "low": np.minimum(open_, close) * 0.999,
            "close": close,
            "volume": np.full(count, 1e4),
            "turnover": np.full(count, 1e7),
        }
    )


def _put(lake: Path, frame: pl.DataFrame, symbol: str = "AUSDT", interval: str = "15m") -> Path:
    path = lake / "venue=bybit" / f"interval={interval}" / f"symbol={symbol}" / "data.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(path)
    return path


@pytest.fixture
def lake(tmp_path) -> Path:
    _put(tmp_path / "lake", _bars())
    return tmp_path / "lake"


@pytest.fixture
def zion(capsys, monkeypatch, tmp_path):
    for name in ("ZION_LAKE", "ZION_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main([*map(str, arguments)])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return caught.value.code, said.out, said.err

    return call


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("backtest --foo", 2, "error: no such option: --foo"),
        ("backtest --positions x", 2, "error: invalid value for '--positions'"),
        ("bench", 2, "error: missing argument 'subject'"),
        ("backtes", 2, "did you mean zion backtest?"),
        ("data nosuch", 2, "error: no such command 'nosuch'"),
        ("--nosuch", 2, "error: no such option '--nosuch'"),
        ("backtest --lake {lake} --capital inf", 2, "error: --capital inf is out of range"),
        ("backtest --lake {lake} --capital nan", 2, "error: --capital nan is out of range"),
        ("backtest --lake {lake} --symbols ,", 2, "error: --symbols ',' names no symbol"),
        ("parity --lake {lake} --seed -3", 2, "error: invalid value for '--seed'"),
        ("levels --lake {lake} --surrogates 0 --planted 0", 2, "error: nothing to measure"),
        ("sim --lake {lake} --symbols ,", 2, "error: --symbols ',' names no symbol"),
        ("sim --lake {lake} --start 2050-01-01", 2, "lies outside of the history"),
        ("sim --lake {lake} --faults {bad}", 3, "bad.json: the list of faults cannot be read"),
        ("data synth --lake new --seed -1", 2, "error: invalid value for '--seed'"),
        ("data synth --lake new --days nan", 2, "error: invalid value for '--days'"),
        ("data synth --lake new --days 1e99", 2, "error: invalid value for '--days'"),
        ("data download --symbols top:x", 2, "error: 'top:x': top:N needs a whole number"),
        ("data download --symbols ,", 2, "error: ',' names no symbol"),
        ("data download --interval ,", 2, "error: --interval ',' names no interval"),
        ("data download --endpoint foo", 2, "error: --endpoint 'foo' is no address"),
        ("data sql x --rows -1 --lake {lake}", 2, "error: invalid value for '--rows'"),
    ],
)
def test_a_wrong_call_is_one_error_line_and_a_way_on(zion, lake, tmp_path, command, code, words):
    (tmp_path / "bad.json").write_text("{")
    got, out, err = zion(*command.format(lake=lake, bad=tmp_path / "bad.json").split())
    assert got == code
    assert words in err
    assert out == ""
    lines = err.splitlines()
    assert sum(line.startswith("error: ") for line in lines) == 1
    assert not any("─" in line for line in lines)  # no box around it


@pytest.mark.parametrize("words", ["data list", "data check", "data compact", "data sql x"])
@pytest.mark.parametrize("left", ["", "venue=bybit", "venue=bybit/interval=15m"])
def test_an_empty_lake_is_told_as_such(zion, tmp_path, words, left):
    (tmp_path / "lake" / left).mkdir(parents=True)
    code, _, err = zion(*words.split(), "--lake", tmp_path / "lake")
    assert code == 3
    assert "is empty" in err or "holds no series" in err
    code, _, err = zion("data", "list", "--lake", tmp_path / "lake", "--interval", "15m")
    assert code == 3
    assert "did you mean" not in err


def test_a_file_without_a_column_is_no_null_to_sql(zion, lake):
    _put(lake, _bars().drop("close"), "BUSDT")
    code, _, err = zion("data", "sql", "SELECT count(*) FROM bars", "--lake", lake)
    assert code == 3
    assert "lacks the column close" in err


def test_parity_over_series_without_a_bar_says_so(zion, tmp_path):
    _put(tmp_path / "lake", _bars(3).clear())
    code, _, err = zion("parity", "--lake", tmp_path / "lake")
    assert code == 3
    assert "not one bar to compare" in err


@pytest.mark.parametrize(
    ("frame", "count", "value", "words"),
    [
        (pl.concat([_bars()[:300], _bars()[299:]]), "repeated_rows", 1, "1 rows given twice"),
        (
            pl.concat([_bars()[:300], _bars()[305:], _bars()[300:305]]),
            "disordered_rows",
            5,
            "5 rows out of order",
        ),
        (
            _bars().with_columns(
                pl.when(pl.int_range(600) == 300).then(np.nan).otherwise(pl.col("low")).alias("low")
            ),
            "unsound_bars",
            1,
            "1 impossible bars left out",
        ),
    ],
)
def test_a_backtest_counts_and_tells_what_it_put_right(zion, tmp_path, frame, count, value, words):
    _put(tmp_path / "lake", frame)
    asked = ("backtest", "--lake", tmp_path / "lake", "--null-runs", 20, "--out", tmp_path / "run")
    code, out, _ = zion(*asked)
    assert code == 0
    assert words in out
    code, out, _ = zion(*asked, "--json")
    assert code == 0
    assert json.loads(out)["counts"][count] == value


def test_a_skipped_coin_says_why(zion, lake, tmp_path):
    path = _put(lake, _bars(), "BUSDT")
    path.write_bytes(path.read_bytes()[:3000])
    code, out, _ = zion("backtest", "--lake", lake, "--null-runs", 20, "--out", tmp_path / "run")
    assert code == 0
    assert "skipped BUSDT" in out
    assert "truncated" in out


LEVELS = "levels --lake {lake} --surrogates 1 --planted 0"
PARITY = "parity --lake {lake} --restarts 2"
SIM = "sim --lake {lake}"
COMPACT = "data compact --lake {lake}"


@pytest.fixture
def still(monkeypatch):
    """A simulator that says where it is and stops."""
    import asyncio

    monkeypatch.setattr(SimServer, "wait", lambda _self: asyncio.sleep(0))


@pytest.mark.usefixtures("still")
@pytest.mark.parametrize("command", [LEVELS, PARITY, SIM, COMPACT])
def test_a_broken_series_is_left_out_counted_and_named(zion, tmp_path, command):
    lake = tmp_path / "lake"
    _put(lake, _bars(2000), "AUSDT")
    broken = _put(lake, _bars(), "BUSDT")
    content = broken.read_bytes()[:3000]
    broken.write_bytes(content)
    json_option = [] if command == SIM else ["--json"]  # the simulator always prints JSON
    code, out, err = zion(*command.format(lake=lake).split(), *json_option)
    assert code == 0, err
    told = [line for line in err.splitlines() if "skipped" in line]
    assert len(told) == 1
    assert "BUSDT: " in told[0]
    assert "truncated" in told[0]
    skipped = json.loads(out)["skipped"]
    assert [s["symbol"].split()[-1] for s in skipped] == ["BUSDT"]
    assert "truncated" in skipped[0]["reason"]
    assert broken.read_bytes() == content


@pytest.mark.parametrize(
    "command", [LEVELS, f"{LEVELS} --symbols top:1", PARITY, SIM, COMPACT, "backtest --lake {lake}"]
)
def test_a_lake_of_broken_files_is_one_error(zion, tmp_path, command):
    lake = tmp_path / "lake"
    for symbol in ("AUSDT", "BUSDT"):
        path = _put(lake, _bars(), symbol)
        path.write_bytes(path.read_bytes()[:3000])
    code, out, err = zion(*command.format(lake=lake).split())
    assert code == 3
    assert out == ""
    assert "error: not" in err
    assert "AUSDT" in err
    assert "truncated" in err


def test_the_busiest_are_chosen_among_what_can_be_read(lake):
    path = _put(lake, _bars(), "BUSDT")
    path.write_bytes(path.read_bytes()[:3000])
    _put(lake, _bars().with_columns(pl.col("turnover") * 2), "CUSDT")
    store = Lake(lake)
    assert select_symbols(store, "bybit", "15m", "top:1") == ["CUSDT"]
    assert select_symbols(store, "bybit", "15m", "top:9") == ["CUSDT", "AUSDT"]


def test_parity_of_broken_coins_alone_is_an_error(zion, lake):
    path = _put(lake, _bars(), "BUSDT")
    path.write_bytes(path.read_bytes()[:3000])
    code, _, err = zion("parity", "--lake", lake, "--symbols", "BUSDT")
    assert code == 3
    assert "BUSDT" in err
    assert "truncated" in err


def test_compact_stops_at_a_full_disk(zion, lake):
    store = Lake(lake)
    store.append("bybit", "15m", "AUSDT", _bars(6000))
    store.append("bybit", "15m", "BUSDT", _bars(10))
    free = _limited(100_000)
    try:
        code, _, err = zion("data", "compact", "--lake", lake)
    finally:
        free()
    assert code == 3
    assert "cannot write" in err
    assert "skipped" not in err


def _limited(size: int):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_no_half_run_and_no_half_series(zion, lake, tmp_path):
    free = _limited(200_000)
    try:
        code, _, err = zion(
            "backtest", "--lake", lake, "--null-runs", 20, "--out", tmp_path / "runs" / "a"
        )
        wrote, _, told = zion("data", "synth", "--lake", tmp_path / "s", "--symbols", 1)
    finally:
        free()
    assert code == 3
    assert "report.html" in err
    assert "try: " in err
    assert [p for p in (tmp_path / "runs").rglob("*") if p.is_file()] == []
    assert wrote == 3
    assert "cannot write" in told
    assert list((tmp_path / "s").rglob("*.parquet")) == []
    code, _, err = zion("data", "list", "--lake", tmp_path / "s")
    assert code == 3
    assert "holds no series" in err


def test_one_lake_is_meant_by_all(zion, lake, tmp_path, monkeypatch):
    home = tmp_path / "home"
    Lake(home / "lake", durable=False).write_bars("bybit", "15m", "HOMEUSDT", _bars())
    monkeypatch.setenv("ZION_HOME", str(home))
    _, out, _ = zion("data", "list", "--json")
    assert [s["symbol"] for s in json.loads(out)["series"]] == ["HOMEUSDT"]
    _, out, _ = zion("parity", "--restarts", 1, "--json")
    assert json.loads(out)["bars"] == 600
    monkeypatch.setenv("ZION_LAKE", str(lake))
    _, out, _ = zion("data", "list", "--json")
    assert [s["symbol"] for s in json.loads(out)["series"]] == ["AUSDT"]


def test_an_unforeseen_failure_is_one_line_unless_verbose(zion, lake, monkeypatch):
    def broken(*_: object) -> None:
        raise RuntimeError("planted")

    monkeypatch.setattr(Lake, "series", broken)
    code, _, err = zion("data", "list", "--lake", lake)
    assert code == 1
    assert "failed unexpectedly" in err
    assert "RuntimeError: planted" in err
    assert not issubclass(RuntimeError, ZionError)
    with pytest.raises(RuntimeError):
        main(["data", "list", "--lake", str(lake), "--verbose"])
