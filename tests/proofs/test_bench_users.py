"""The benchmark of users runs, small, and says what it is to say; no time is asserted."""

import asyncio
from pathlib import Path

import pytest

from app.proofs import bench_users
from app.proofs.bench_users import Measured, measure, slope_of


@pytest.mark.parametrize("store", ["memory", pytest.param("sqlite", marks=pytest.mark.slow)])
def test_every_user_hands_an_order_over_and_commits_are_grouped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: str
) -> None:
    monkeypatch.setattr(bench_users, "ROUNDS", 1)
    monkeypatch.setattr(bench_users, "COINS", 3)
    monkeypatch.setattr(bench_users, "SIGNALS", 2)
    monkeypatch.setattr(bench_users, "settle_garbage", lambda: None)
    found = asyncio.run(measure(4, store, tmp_path))
    assert found.users == 4
    assert found.commits >= 4
    assert found.transactions < found.commits
    assert len(found.detection) == 1
    assert min(found.signal_us, found.decide_us, *found.cpu_ms, *found.wall_ms) > 0


def test_the_exponent_is_that_of_the_law_behind_the_figures() -> None:
    flat = [Measured(users=n, detection=[1.0, 1.0]) for n in (1, 10, 100)]
    assert slope_of(flat) == (0.0, 0.0)
    grows = [Measured(users=n, detection=[n**0.5, n**0.5]) for n in (1, 10, 100)]
    slope, wide = slope_of(grows)
    assert abs(slope - 0.5) < 1e-12
    assert wide < 1e-9
