"""The order benchmarks run, small, and say what they are to say; no time is asserted."""

import json

import pytest
from typer.testing import CliRunner

from app.cli.bench import app
from app.proofs import bench_orders, bench_venue
from app.proofs.bench_peer import Peer

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    for module in (bench_orders, bench_venue):
        monkeypatch.setattr(module, "ROUNDS", 1)
    monkeypatch.setattr(bench_venue, "COINS", 3)


def test_every_figure_is_a_positive_number_beside_its_reference():
    figures = list(bench_orders.orders([2, 3], rounds_of=10))
    assert all(f.value > 0 for f in figures)
    assert all(f.ratio is None or f.ratio > 0 for f in figures)
    names = [f.name for f in figures]
    for words in (
        "plain pybit", "by REST, one after", "by order stream, 16", "2 users by REST",
        "3 users by order stream", "last handed over", "Exchange.step, market", "in-process door",
        "HTTP server", "3 coins, no orders",
    ):  # fmt: skip
        assert any(words in name for name in names), words


def test_the_canned_venue_accepts_by_both_ways_and_the_simulated_one_refuses_nothing():
    with Peer("canned") as peer:
        figures = list(bench_orders.cost(peer, 3))
    assert [f.unit for f in figures] == ["us CPU/order"] * len(figures)
    limited = list(bench_orders.limited(4))
    assert [f.ratio for f in limited] == [1.0] * 3


@pytest.mark.parametrize("text", ["", "0", "1,x", "-5", "1000000"])
def test_a_wrong_number_of_accounts_is_refused(text):
    result = CliRunner().invoke(app, ["orders", "--n", text])
    assert "cannot be used" in str(result.exception)


def test_the_document_is_json(monkeypatch):
    monkeypatch.setattr(
        bench_orders, "orders", lambda n: [bench_orders.Figure("x", float(n[0]), "ms")]
    )
    result = CliRunner().invoke(app, ["orders", "--n", "7", "--json"])
    assert json.loads(result.stdout)[0]["value"] == 7.0
