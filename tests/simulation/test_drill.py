"""The drill over a few seeds: the sound system holds, the same seed is the same world."""

import os
import subprocess
import sys

import pytest

from app.proofs.drill.run import live, trace_of
from app.proofs.drill.world import run_seed

SEEDS = range(200, 206)


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_breaks(seed: int) -> None:
    one = live(seed)
    assert one.violations == []
    assert one.commits > 10
    assert sum(one.fired.values()) > 3


@pytest.mark.slow
def test_nothing_breaks_in_many_worlds() -> None:
    broken = [(s, v) for s in range(1_000, 1_100) if (v := live(s).violations)]
    assert broken == []


def test_three_users() -> None:
    assert live(300, users=3).violations == []


def test_the_same_seed_is_the_same_world() -> None:
    assert trace_of(run_seed(203)) == trace_of(run_seed(203))
    assert trace_of(run_seed(203)) != trace_of(run_seed(204))


_PROGRAM = """
from app.proofs.drill.run import live
print(live(203).trace)
"""


@pytest.mark.slow
def test_the_order_of_hashes_changes_nothing() -> None:
    traces = {
        subprocess.run(  # noqa: S603 - our own interpreter
            [sys.executable, "-c", _PROGRAM],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "12345")
    }
    assert len(traces) == 1
