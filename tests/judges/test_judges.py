"""The judges' runner: what counts as a pass, what as a failure, and what as neither."""

import sys

import pytest

from tests.judges import report, venvs
from tests.judges.__main__ import DRIVERS, JUDGES
from tests.judges.report import Verdict, table, unexpected

GOOD = {"name": "fetch_ticker", "ok": True, "why": ""}
BAD = {"name": "create_order", "ok": False, "why": "no such field"}


@pytest.fixture
def expected(tmp_path, monkeypatch):
    def write(text: str) -> None:
        path = tmp_path / "expected.toml"
        path.write_text(text)
        monkeypatch.setattr(report, "EXPECTED", path)

    write("")
    return write


def test_a_failure_without_a_reason_is_unexpected(expected):
    verdict = Verdict("ccxt_rest", "ccxt", [GOOD, BAD])
    assert unexpected([verdict]) == ["ccxt_rest: create_order: no such field"]
    expected('[ccxt_rest]\n"create_order" = "the client rounds"\n')
    assert unexpected([verdict]) == []
    assert "expected: the client rounds" in table([verdict])


def test_an_expectation_that_passes_is_unexpected(expected):
    expected('[ccxt_rest]\n"fetch_ticker" = "was so once"\n')
    assert "passes now" in unexpected([Verdict("ccxt_rest", "ccxt", [GOOD])])[0]


@pytest.mark.usefixtures("expected")
def test_a_judge_that_could_not_run_has_passed_nothing():
    verdict = Verdict("nautilus_ws", "nautilus", not_run="needs Python 3.12")
    assert verdict.passed == 0
    row = table([verdict]).splitlines()[1]
    assert "needs Python 3.12" in row
    assert [cell.strip() for cell in row.split("|")][2:5] == ["0", "0", "0"]


@pytest.mark.usefixtures("expected")
def test_a_driver_that_broke_is_unexpected():
    verdict = Verdict("pybit_ws", "pybit", [GOOD], broke="the driver ended with code 1")
    assert unexpected([verdict]) == ["pybit_ws: the driver ended with code 1"]


def test_every_judge_has_a_driver_and_pinned_packages():
    for judge, (environment, package, words) in JUDGES.items():
        assert (DRIVERS / f"{judge}.py").is_file()
        assert words.format(venvs.version(environment, package))


def test_expectations_name_judges_and_give_reasons():
    for judge, reasons in report.known().items():
        assert judge in JUDGES
        assert all(reasons.values())


def test_an_interpreter_that_is_too_old_is_no_interpreter(monkeypatch):
    monkeypatch.setattr(venvs, "PYTHON_MIN", {"nautilus": (9, 0)})
    monkeypatch.setenv("JUDGE_PYTHON", sys.executable)
    with pytest.raises(venvs.NotRun, match=r"needs Python 9\.0 or newer; JUDGE_PYTHON"):
        venvs.interpreter("nautilus")
