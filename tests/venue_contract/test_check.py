"""`zion venue check`: what it refuses, what it prints, how it exits."""

import json

import pytest

from app.cli.main import main
from app.proofs.contract import CASES
from app.proofs.contract.case import Broken, Case


def zion(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(["venue", "check", *arguments])
    return caught.value.code  # type: ignore[return-value]


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in ("ZION_VENUE", "ZION_BYBIT_KEY", "ZION_BYBIT_SECRET"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("mode", ["live", "paper"])
def test_it_refuses_what_is_no_place_to_try(mode, monkeypatch, capsys):
    monkeypatch.setenv("ZION_VENUE", mode)
    assert zion() == 2
    assert f"does not run on '{mode}'" in capsys.readouterr().err


@pytest.mark.parametrize("mode", ["demo", "testnet"])
def test_without_a_key_it_says_which_settings_are_missing(mode, monkeypatch, capsys):
    monkeypatch.setenv("ZION_VENUE", mode)
    assert zion() == 3
    assert "ZION_BYBIT_KEY" in capsys.readouterr().err


@pytest.mark.parametrize("cases", ["x", "1-", "-3", "0", "5000", "1,,9999"])
def test_cases_that_are_none_are_refused(cases, capsys):
    assert zion("--cases", cases) == 2
    capsys.readouterr()


def test_on_the_simulator_it_runs_what_was_asked_for(capsys):
    assert zion("--cases", "1,24,60", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["venue"], said["passed"], said["failed"], said["not_run"]) == ("sim", 3, 0, 0)
    assert [c["number"] for c in said["cases"]] == [1, 24, 60]
    assert said["cases"][1]["clause"] == CASES[24].clause


def test_a_failure_is_told_in_the_table_and_by_exit_code_4(monkeypatch, capsys):
    async def broken(_bench: object) -> None:
        raise Broken("the venue said something else")

    bad = Case(5, "a case that fails", "0.0", frozenset(), broken)
    monkeypatch.setitem(CASES, 5, bad)
    assert zion("--cases", "5,12", "--no-money") == 4
    said = capsys.readouterr().out
    assert "failed: the venue said something else" in said
    assert "not run: needs money at risk" in said
