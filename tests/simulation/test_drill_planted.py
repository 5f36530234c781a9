"""Planted bugs that hundreds of drawn worlds may pass by, in worlds whose faults ask for them."""

import pytest

from app.proofs.drill.plan import CLOCK, Injection
from app.proofs.drill.planted import PLANTED
from app.proofs.drill.world import run_seed


def _again(kind: str, fault: str, amount: int, *at_ms: int) -> list[Injection]:
    return [Injection(CLOCK, ms, kind, fault, amount) for ms in at_ms]


# Each: the faults, and the invariant that the judge must find broken.
ASKED = {
    "outbox given up": (_again("deaf_notifier", "F91", 20_000, 5_000, 31_000, 57_000), "I15"),
    "regime ignored": (_again("risk_off", "P4", 30_000, *range(2_000, 120_000, 30_000)), "I13"),
    "nobody restores a stop": (
        [
            Injection(CLOCK, ms + user, "stop_gone", "F78", 0, user)
            for user in (0, 1)
            for ms in range(10_000, 120_000, 7_000)
        ],
        "I2",
    ),
    "no execution de-duplication": (
        [
            Injection(f"u{user}.push.execution", visit, "double", "F39", 0, user)
            for user in (0, 1)
            for visit in range(1, 20)
        ],
        "I3",
    ),
}


# A fault strikes only where something happens: a world with a breakout while it lasts.
SEED = {"regime ignored": 1}


@pytest.mark.parametrize("name", ASKED)
def test_a_planted_bug_is_found_where_its_fault_strikes(name: str) -> None:
    faults, invariant = ASKED[name]
    seed = SEED.get(name, 0)
    assert run_seed(seed, injections=list(faults)).judge.violations == []
    wrong = run_seed(seed, injections=list(faults), build=PLANTED[name]).judge.violations
    assert invariant in {broken for broken, _ in wrong}
