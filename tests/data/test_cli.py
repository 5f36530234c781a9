"""`zion data`: results on stdout, errors as one line, exit codes of the contract."""

import json

import pytest

from app.cli.main import main
from data.catalog import Lake
from tests.data.bybit_server import Exchange, instrument, kline_row, served
from tests.data.worlds import FIRST, STEP, run_of

DAY = 86_400_000


@pytest.fixture
def zion(capsys):
    def call(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main(["data", *map(str, arguments)])
        said = capsys.readouterr()
        return caught.value.code, said.out, said.err

    return call


@pytest.fixture
def lake(tmp_path):
    lake = Lake(tmp_path / "lake", durable=False)
    lake.write_bars("v", "15m", "AUSDT", run_of(200))
    lake.append("v", "15m", "BUSDT", run_of(100))
    return lake


def test_help_of_every_command_has_an_example(zion):
    for command in ("list", "check", "synth", "compact", "sql", "import", "download"):
        code, out, err = zion(command, "--help")
        assert code == 0
        assert "Example:" in out
        assert f"zion data {command}" in out
        assert err == ""


def test_synth_list_check_sql_compact(zion, tmp_path):
    at = tmp_path / "lake"
    code, out, err = zion(
        "synth", "--lake", at, "--symbols", 3, "--days", 12, "--seed", 2, "--json"
    )
    made = json.loads(out)
    assert (code, made["symbols"], made["bars"]) == (0, 3, 3 * 12 * 96)
    assert "✓ make" in err
    code, out, err = zion("list", "--lake", at, "--json")
    assert [s["symbol"] for s in json.loads(out)["series"]] == ["BTCUSDT", "ETHUSDT", "SOLUSDT"]
    assert err == ""
    code, out, _ = zion("list", "--lake", at)
    assert "synthetic" in out
    assert "3,456" in out
    code, out, _ = zion("check", "--lake", at)
    assert (code, "3 of 3 series are clean" in out) == (0, True)
    code, out, _ = zion("sql", "SELECT count(*) AS n FROM bars", "--lake", at, "--json")
    assert json.loads(out) == {"columns": ["n"], "rows": [[3456]]}
    code, out, _ = zion("sql", "SELECT symbol, 1.5 AS x, NULL AS y FROM bars LIMIT 2", "--lake", at)
    assert out.count("\n") == 4
    code, out, _ = zion("compact", "--lake", at, "--json")
    assert json.loads(out)["folded"] == {}


def test_compact_folds_tails(zion, lake):
    code, out, _ = zion("compact", "--lake", lake.path, "--json")
    assert code == 0
    assert json.loads(out)["folded"] == {"v 15m BUSDT": 1}
    assert len(lake.read("v", "15m", "BUSDT")) == 100


def test_check_names_what_is_wrong_and_fails_on_what_cannot_be_read(zion, lake):
    bars = run_of(50).frame().filter(run_of(50).frame()["ts"] != FIRST + 7 * STEP)
    lake.write_bars("v", "15m", "CUSDT", bars)
    code, out, _ = zion("check", "--lake", lake.path)
    assert code == 0
    assert "v 15m CUSDT" in out
    assert "2 of 3 series are clean" in out
    assert zion("check", "--lake", lake.path, "--strict")[0] == 3
    path = lake.files("v", "15m", "AUSDT")[0]
    path.write_bytes(b"PAR1")
    code, out, err = zion("check", "--lake", lake.path, "--json")
    assert code == 3
    assert len(json.loads(out)["series"]) == 3
    assert str(path) in err.replace("\n", "")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("list", "--lake", "{none}"), 3, "error: no lake at"),
        (("list", "--lake", "{lake}", "--venue", "w"), 3, "error: unknown venue 'w'"),
        (("check", "--lake", "{lake}", "--interval", "5m"), 3, "error: unknown interval '5m'"),
        (("sql", "DROP TABLE x", "--lake", "{lake}"), 2, "error: only one SELECT"),
        (("synth", "--lake", "{lake}", "--interval", "7m"), 3, "error: unknown interval '7m'"),
        (("synth", "--lake", "{lake}", "--symbols", "0"), 2, "error: symbols must be"),
        (("synth", "--lake", "{file}/x", "--symbols", "1", "--days", "9"), 3, "cannot write"),
        (("import", "{none}", "--venue", "v", "--lake", "{lake}"), 3, "error: no file or folder"),
        (("download", "--venue", "okx", "--lake", "{lake}"), 2, "error: no downloader"),
        (("compact", "--lake", "{lake}", "--codec", "rar"), 2, "error: unknown codec"),
        (("import",), 2, "missing argument"),
        (("list", "--nope"), 2, "no such option"),
    ],
)
def test_errors_are_lines_with_their_code(zion, lake, tmp_path, arguments, code, words):
    (tmp_path / "file").write_text("")
    names = {"none": tmp_path / "none", "lake": lake.path, "file": tmp_path / "file"}
    got, out, err = zion(*(a.format(**names) for a in arguments))
    assert got == code
    assert words in err
    assert "Traceback" not in err
    assert out == ""


def test_import_reports_what_it_rejected(zion, tmp_path):
    path = tmp_path / "AUSDT-15m-1.csv"
    lines = [",".join(map(repr, row)) for row in run_of(5).frame().iter_rows()]
    lines[2] = lines[2].replace(",", ",-", 1)
    path.write_text("\n".join(lines))
    code, out, _ = zion("import", path, "--venue", "v", "--lake", tmp_path / "lake")
    assert code == 0
    assert "v 15m AUSDT: 4 of 5 rows; rejected: 1 impossible" in out


def test_download_from_a_server(zion, tmp_path):
    now = FIRST + 3 * DAY
    exchange = Exchange(now_ms=now, instruments=[instrument("AUSDT"), instrument("BUSDT")])
    for symbol in ("AUSDT", "BUSDT"):
        exchange.klines[symbol] = {t: kline_row(t, 100.0) for t in range(FIRST, now + STEP, STEP)}
    with served(exchange) as url:
        common = ("download", "--endpoint", url, "--lake", tmp_path / "lake", "--days", 2)
        code, out, err = zion(*common, "--symbols", "top:1", "--json")
        told = json.loads(out)
        assert (code, len(told["series"]), told["series"][0]["bars"]) == (0, 1, 192)
        assert told["series"][0]["symbol"] == "BUSDT"
        assert "✓ download" in err
        code, out, err = zion(*common, "--symbols", "BUSD")
        assert code == 3
        assert "try: did you mean BUSDT" in err
        code, out, err = zion(*common, "--symbols", "all")
        assert code == 0
        assert "192 bars." in out
        exchange.always = "403"
        code, out, err = zion(*common)
        assert (code, out) == (3, "")
        assert "refuses this IP" in err
    code, out, err = zion(*common, "--tries", 1)
    assert code == 3
    assert "cannot reach http://127.0.0.1" in err
