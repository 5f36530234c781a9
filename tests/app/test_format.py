"""Numbers as a person reads them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dashboard import format as f


@pytest.mark.parametrize(
    ("value", "digits", "sign", "text"),
    [
        (1.01, 2, True, "+1.01"),
        (-15.4, 2, True, "\u221215.40"),
        (0, 2, True, "0.00"),
        (0.001, 2, False, "<0.01"),
        (-0.001, 2, True, "\u2212<0.01"),
        (1234567.891, 1, False, "1,234,567.9"),
        (None, 2, False, "\u2014"),
        (math.nan, 2, False, "\u2014"),
        (math.inf, 2, False, "\u2014"),
        ("0.10", 2, False, "0.10"),
    ],
)
def test_numbers(value: float | str | None, digits: int, sign: bool, text: str) -> None:  # noqa: FBT001
    assert f.number(value, digits, sign=sign) == text


def test_money_loses_its_cents_from_a_hundred_thousand_on() -> None:
    assert f.usdt(-15.4) == "\u221215.40 USDT"
    assert f.usdt(123456.78) == "+123,457 USDT"


@pytest.mark.parametrize(
    ("value", "tick", "text"),
    [
        (158.6, "0.01", "158.60"),
        (158.6, "0.010", "158.60"),
        (0.00001234, "0.00000001", "0.00001234"),
        (91400, "5", "91,400"),
        (20.67512, "", "20.675"),
        (None, "0.01", "\u2014"),
    ],
)
def test_prices_have_the_decimals_of_their_tick(value: float, tick: str, text: str) -> None:
    assert f.price(value, tick) == text


@given(st.floats(allow_nan=True, allow_infinity=True), st.integers(0, 8))
def test_a_number_that_is_not_zero_never_reads_as_zero(value: float, digits: int) -> None:
    text = f.number(value, digits)
    if math.isfinite(value) and value != 0:
        assert text.strip("\u2212<") != f"{0:.{digits}f}"
    assert "nan" not in text.lower()
    assert "-" not in text  # a minus is U+2212


def test_durations() -> None:
    assert [f.age(m * 60_000) for m in (0, 35, 119, 120, 1140, 2881)] == [
        "now",
        "35 m",
        "119 m",
        "2 h",
        "19 h",
        "2 d",
    ]
    assert f.age(None) == "\u2014"
    assert f.countdown(233_000) == "3:53"


def test_small_counts_are_words() -> None:
    assert f.count(1, "touch", "touches") == "one touch"
    assert f.count(4, "touch", "touches") == "four touches"
    assert f.count(12, "touch", "touches") == "12 touches"
