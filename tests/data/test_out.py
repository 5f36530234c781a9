"""How commands speak: numbers, signs, one JSON document."""

import io
import json
import sys
from dataclasses import dataclass

import numpy as np
import pytest

from app.cli.out import Out, emit_json, jsonable, number, percent, signed, utc
from tests.data.worlds import FIRST


@pytest.mark.parametrize(
    ("got", "want"),
    [
        (number(1234567.891, 1), "1,234,567.9"),
        (number(-0.04, 2), "−0.04"),
        (number(-0.0004, 2), "0.00"),
        (number(float("nan")), "—"),
        (number(float("-inf")), "—"),
        (number(7), "7"),
        (signed(1.31), "+1.31"),
        (signed(-1.31), "−1.31"),
        (signed(0.001), "0.00"),
        (percent(0.411), "41.1 %"),
        (percent(-0.03, 0), "−3 %"),
        (utc(FIRST), "2026-01-01 00:00"),
    ],
)
def test_numbers_read_as_the_house_writes_them(got, want):
    assert got == want


def test_json_is_plain_and_finite(capsys):
    @dataclass
    class Row:
        x: float
        when: object

    value = {
        "a": np.float64("nan"),
        "b": np.arange(2),
        3: Row(1.5, {"s"}),
        "t": (np.int64(4), None),
    }
    emit_json(value)
    said = json.loads(capsys.readouterr().out)
    assert said == {"a": None, "b": [0, 1], "3": {"x": 1.5, "when": ["s"]}, "t": [4, None]}
    assert jsonable(np.array([np.inf])) == [None]


def test_results_go_out_and_progress_goes_to_err(capsys):
    out = Out()
    out.title("zion x · y")
    with out.stage("load") as stage:
        stage.note = "3 gaps"
    out.say("answer −1")
    out.look("mind")
    said = capsys.readouterr()
    assert said.out == "answer −1\n"
    assert said.err.splitlines()[0] == "zion x · y"
    assert said.err.splitlines()[1].startswith("  ✓ load")
    assert said.err.splitlines()[1].endswith("s   3 gaps")
    assert "\033" not in said.err
    assert out.stages[0].duration_s >= 0


def test_under_json_stdout_holds_the_document_alone(capsys):
    out = Out(json=True)
    out.say("words")
    out.table(["a"], [["b"]])
    out.document({"x": 1})
    assert json.loads(capsys.readouterr().out) == {"x": 1}


def test_a_stage_that_fails_claims_nothing(capsys):
    with pytest.raises(ValueError, match="x"), Out().stage("load"):
        raise ValueError("x")
    assert capsys.readouterr().err == ""


def test_plain_signs_where_the_terminal_has_no_others(monkeypatch, capsys):
    Out(ascii=True).ok("a · b → −1")
    assert capsys.readouterr().err == "  [ok] a - b > -1\n"
    written = io.BytesIO()
    latin = io.TextIOWrapper(written, encoding="latin-1")
    monkeypatch.setattr(sys, "stdout", latin)
    Out().say("−1 … ✗")
    latin.flush()
    assert written.getvalue() == b"-1 ... x\n"


def test_tables_align(capsys):
    Out().table(["coin", "bars"], [["BTCUSDT", "1"], ["A", "1,000"]])
    assert capsys.readouterr().out == ("  coin      bars\n  BTCUSDT      1\n  A        1,000\n")


def test_progress_is_silent_off_a_terminal(capsys):
    with Out().progress("x", 3) as advance:
        advance()
        advance(2)
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "")
