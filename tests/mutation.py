"""`make mutation`: mutants of the risk controls, the ledger and the order state machine.

Every mutant of a seeded sample (`--share 1` is all of them) runs against the tests that reach its
function. Prints a table per module and the survivors; both go to `var/mutation.txt`. Fails below
`--floor`. The same seed and share choose the same mutants of the same code.
"""

import argparse
import collections
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

PROBE = "engine.account.orders.x_placed__mutmut_1"  # one mutant: makes all, and measures the tests
REPORT = Path("var/mutation.txt")
CAUGHT = ("killed", "timeout", "caught by type check")
SURVIVED = ("survived", "no tests")


def run(*names: str, children: int) -> None:
    """Run mutants by name."""
    command = [sys.executable, "-m", "mutmut", "run", "--max-children", str(children), *names]
    env = {**os.environ, "ZION_HYPOTHESIS_PROFILE": "mutants"}
    subprocess.run(command, check=True, env=env, stdout=subprocess.DEVNULL)  # noqa: S603


def verdicts() -> dict[str, str]:
    """Return what became of each mutant, by name."""
    command = [sys.executable, "-m", "mutmut", "results", "--all", "true"]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603
    rows = (line.strip().rpartition(": ") for line in told.splitlines() if ": " in line)
    return {name: verdict for name, _, verdict in rows}


def sample(names: Iterable[str], share: float, seed: int) -> list[str]:
    """Return the share of the mutants that is tried."""
    ordered = sorted(names)
    count = max(1, round(len(ordered) * share))
    picked = np.random.default_rng(seed).choice(len(ordered), count, replace=False)
    return [ordered[number] for number in sorted(picked)]


def module_of(name: str) -> str:
    """Return the module of a mutant: `a.b.x_function__mutmut_1` is of `a.b`."""
    return name.rpartition(".")[0]


def table(found: Mapping[str, str]) -> tuple[list[str], float]:
    """Return the lines of the table, and the score of all, in percent."""
    counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for name, verdict in found.items():
        for row in (module_of(name), "all"):
            counts[row][verdict] += 1
    lines = [f"{'module':<36}{'mutants':>8}{'killed':>8}{'timeout':>8}{'survived':>9}{'score':>9}"]
    total = 0.0
    for row in [*sorted(set(counts) - {"all"}), "all"]:
        held = counts[row]
        caught = sum(held[word] for word in CAUGHT)
        total = 100 * caught / max(1, sum(held.values()))
        lines.append(
            f"{row:<36}{sum(held.values()):>8}{caught - held['timeout']:>8}{held['timeout']:>8}"
            f"{sum(held[word] for word in SURVIVED):>9}{total:>8.1f}%"
        )
    return lines, total


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=0.25, help="of the mutants, up to 1")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="mutants whose name begins so")
    parser.add_argument("--floor", type=float, default=85.0, help="percent")
    parser.add_argument("--children", type=int, default=2)
    asked = parser.parse_args(argv)
    shutil.rmtree("mutants", ignore_errors=True)  # its cache misses files that are mutated anew
    run(PROBE, children=asked.children)
    known = [name for name in verdicts() if name.startswith(asked.only)]
    chosen = sample(known, asked.share, asked.seed)
    run(*chosen, children=asked.children)
    after = verdicts()
    found = {name: after[name] for name in chosen}
    lines, score = table(found)
    odd = {name: said for name, said in found.items() if said not in CAUGHT}
    lines += [
        "",
        f"{len(chosen)} of {len(known)} mutants (share {asked.share:g}, seed {asked.seed}), "
        f"score {score:.1f} %, floor {asked.floor:g} %",
        "",
        *(f"{said}: {name}" for name, said in sorted(odd.items())),
    ]
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text("\n".join(lines) + "\n")
    sys.stdout.write(REPORT.read_text())
    return 0 if score >= asked.floor else 1


if __name__ == "__main__":
    sys.exit(main())
