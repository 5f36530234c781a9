"""A settings file is read exactly, and what is wrong with it is told by name."""

from decimal import Decimal

import pytest

from app.cli.settings_file import read_settings
from engine.account.settings import CAREFUL, STANDARD
from engine.errors import DataError


def write(tmp_path, text, name="s.toml"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_presets_by_name_and_files_of_what_differs(tmp_path):
    assert read_settings("standard") == STANDARD
    assert read_settings("careful") == CAREFUL
    assert read_settings(write(tmp_path, "")) == STANDARD
    toml = read_settings(write(tmp_path, "tp1_share = 0.4\n[risk]\ntrades_max = 2\n"))
    assert (toml.tp1_share, toml.risk.trades_max) == (Decimal("0.4"), 2)
    text = '{"tp1_share": 0.4, "leverage": "2.5", "risk": {"trades_max": 2}}'
    other = read_settings(write(tmp_path, text, "s.json"))
    assert (other.tp1_share, other.leverage) == (Decimal("0.4"), Decimal("2.5"))
    assert other.risk == toml.risk


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.toml", "leverag = 3", "unknown setting leverag"),
        ("a.toml", "[risk]\ntrades_mx = 3", "unknown setting risk.trades_mx"),
        ("a.toml", "leverage = ", "holds no settings"),
        ("a.toml", "leverage = 'much'", "holds no settings"),
        ("a.toml", "leverage = 500", "leverage"),
        ("a.toml", "timezone = 'Mars/Dune'", "timezone"),
        ("a.toml", "leverage = 9\n[risk]\nleverage_max = 3", "leverage"),
        ("a.json", "[1, 2]", "holds no settings"),
        ("a.json", "{", "holds no settings"),
        ("a.json", '{"risk": 5}', "holds no settings"),
        ("a.json", '{"tp1_share": NaN}', ""),
        ("a.json", '{"tp1_share": 1e999999999}', ""),
    ],
)
def test_what_is_wrong_is_named(tmp_path, name, text, said):
    with pytest.raises(DataError) as raised:
        read_settings(write(tmp_path, text, name))
    assert said in f"{raised.value.what}"


def test_a_file_that_is_not_there():
    with pytest.raises(DataError, match="cannot be read") as raised:
        read_settings("nowhere.toml")
    assert "standard" in raised.value.hint
