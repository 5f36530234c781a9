"""Portfolio backtest and whole live service over one lake: the same money, or it is said."""

from decimal import Decimal

import numpy as np
import pytest
from typer.testing import CliRunner

from app.cli import parity as command
from app.cli.out import Out
from app.proofs import parity_live
from app.proofs.parity_live import LiveTask, differing, run_live_parity
from data.catalog import Lake
from data.synth import make_market, write_market
from engine.errors import PromiseBroken
from live.platform import Platform

END_MS = 1_768_310_100_000  # twelve days in: the first trades are over


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    path = tmp_path_factory.mktemp("parity") / "lake"
    made = make_market(np.random.default_rng(7), symbols=10, days=40, interval="15m")
    write_market(Lake(path), made)
    return path


def task(lake, users):
    names = "ADAUSDT,AVAXUSDT,BNBUSDT"
    start = END_MS - 3 * 86_400_000
    return LiveTask(lake, None, "15m", names, users, 7, start_ms=start, end_ms=END_MS)


def test_three_users_live_to_the_cent_what_the_portfolio_says(lake):
    found = run_live_parity(task(lake, 3), Out(json=True))
    assert found.differences == []
    assert found.fills >= 6
    assert found.fundings > 0
    assert found.trades >= 3
    assert len(set(found.wallets.values())) == 3


def test_bars_told_with_a_column_too_many_are_found(lake, monkeypatch):
    closed = Platform._closed

    def shifted(self, bars):
        rows = tuple((row[1], row[2], row[3], row[4]) for row in bars.rows)
        return closed(self, type(bars)(bars.interval, bars.ts, bars.symbols, rows))

    monkeypatch.setattr(Platform, "_closed", shifted)
    found = run_live_parity(task(lake, 1), Out(json=True))
    assert {"fill", "trade", "wallet"} <= set(found.causes)
    assert found.document()["mismatches"] == len(found.differences)
    assert any("✗" in line for line in found.lines())


def test_a_row_that_one_side_lacks_or_has_otherwise_is_a_difference():
    ours, theirs = {"a": (1,), "b": (2,)}, {"b": (3,), "c": (Decimal(4),)}
    found = list(differing("u", "fill", ours, theirs))
    assert [(d.key, d.portfolio, d.live) for d in found] == [
        ("a", "1", "nothing"),
        ("b", "2", "3"),
        ("c", "nothing", "4"),
    ]


def test_the_command_ends_with_4_where_they_differ(lake, monkeypatch):
    found = parity_live.LiveResult(1, 1, 1)
    found.differences = [parity_live.Difference("u", "fill", "k", "1", "2")]
    monkeypatch.setattr(parity_live, "run_live_parity", lambda *_: found)
    done = CliRunner().invoke(command.app, ["--lake", str(lake), "--feed", "live"])
    assert isinstance(done.exception, PromiseBroken)
    assert "mismatch" not in done.output
    assert "1 differences" in done.output
