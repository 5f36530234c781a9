"""`zion backtest` as a person and as a script meet it."""

import json
import subprocess
import sys

import pytest


def zion(*words, cwd):
    command = [
        sys.executable,
        "-c",
        "from app.cli.main import main; main()",
        "backtest",
        *map(str, words),
    ]
    return subprocess.run(  # noqa: S603
        command, capture_output=True, text=True, check=False, cwd=cwd, timeout=300
    )


def test_json_is_one_document_and_files_are_there(lake, tmp_path):
    done = zion("--lake", lake.path, "--json", "--out", tmp_path / "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["trades"] > 20
    assert document["files"]["report"] == str(tmp_path / "run" / "report.html")
    for path in document["files"].values():
        assert (tmp_path / path).is_file()


def test_terminal_tells_the_result_within_80_columns(lake, tmp_path):
    done = zion("--lake", lake.path, "--ascii", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "expectancy" in done.stdout
    assert "random" in done.stdout
    assert done.stdout.isascii()
    body = [x for x in done.stdout.splitlines() if not x.startswith(("report", "again"))]
    assert max(map(len, body)) <= 80
    assert len(list((tmp_path / "var" / "runs").glob("*/report.html"))) == 1


def test_few_trades_say_so(lake, tmp_path):
    symbol = lake.symbols("synthetic", "15m")[0]
    done = zion("--lake", lake.path, "--symbols", symbol, cwd=tmp_path)
    assert "Too few trades to say" in done.stdout
    assert "expectancy" not in done.stdout.split("report")[0]


@pytest.mark.parametrize(
    ("words", "code", "what"),
    [
        (["--symbols", "NOPE"], 3, "NOPE"),
        (["--interval", "15s"], 3, "15s"),
        (["--start", "yesterday"], 2, "yesterday"),
        (["--risk", "50"], 2, "risk"),
        (["--capital", "-1"], 2, "capital"),
        (["--profile", "none.toml"], 3, "none.toml"),
    ],
)
def test_bad_words_are_one_error_with_its_code(lake, tmp_path, words, code, what):
    done = zion("--lake", lake.path, *words, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    errors = [x for x in done.stderr.splitlines() if x.startswith("error:")]
    assert len(errors) == 1
    assert what in errors[0]
    assert "Traceback" not in done.stderr


def test_no_lake_is_told(tmp_path):
    done = zion(cwd=tmp_path)
    assert done.returncode == 3
    assert "no lake" in done.stderr


def test_portfolio_is_one_document_with_its_files_and_its_comparison(lake, tmp_path):
    settings = tmp_path / "me.toml"
    settings.write_text("[risk]\ntrades_max = 2\n", encoding="utf-8")
    two = ",".join(lake.symbols("synthetic", "15m")[:2])
    words = ["--lake", lake.path, "--portfolio", "--settings", settings, "--symbols", two]
    done = zion(*words, "--compare", "--json", "--out", tmp_path / "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["kind"] == "portfolio"
    assert document["compare"]["unexplained"] == []
    for path in document["files"].values():
        assert (tmp_path / path).is_file()


@pytest.mark.parametrize(
    ("words", "code", "what"),
    [
        (["--settings", "careful"], 2, "--portfolio"),
        (["--compare"], 2, "--portfolio"),
        (["--portfolio", "--risk", "1"], 2, "--risk"),
        (["--portfolio", "--settings", "none.toml"], 3, "none.toml"),
        (["--portfolio", "--interval", "5m"], 2, "5m"),
    ],
)
def test_portfolio_refuses_what_has_no_meaning(lake, tmp_path, words, code, what):
    done = zion("--lake", lake.path, *words, cwd=tmp_path)
    assert done.returncode == code
    assert what in done.stderr
