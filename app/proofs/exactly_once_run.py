"""Many seeds of `exactly_once`, shared among processes, and the same for each planted bug."""

import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from app.proofs.comparison import Telling
from app.proofs.exactly_once import SOUND, SeedResult, run_seed
from app.proofs.exactly_once_world import MENU
from app.proofs.planted_client import PLANTED

FIRED_MIN = 100  # a fault that struck less often proves little
_SHOWN = 20
_CHUNK = 25


@dataclass(frozen=True, slots=True)
class Task:
    """Which seeds, and how many for each planted bug."""

    start: int
    seeds: int
    planted_seeds: int
    processes: int


@dataclass(slots=True)
class Found:
    """What the seeds showed."""

    task: Task
    seconds: float = 0.0
    orders: int = 0
    executions: int = 0
    settled_unknowns: int = 0
    broken: int = 0
    first: str = ""
    first_seed: int = -1
    kinds: Counter[str] = field(default_factory=Counter)  # violations by kind
    violations: list[dict[str, Any]] = field(default_factory=list)
    fired: Counter[str] = field(default_factory=Counter)
    planted: dict[str, tuple[int, int]] = field(default_factory=dict)  # found in, first seed

    def add(self, result: SeedResult) -> None:
        """Take a seed in."""
        self.orders += result.orders
        self.executions += result.executions
        self.settled_unknowns += result.unknowns
        self.fired.update(result.fired)
        if not result.violations:
            return
        self.broken += 1
        if self.first_seed < 0 or result.seed < self.first_seed:
            self.first_seed = result.seed
            self.first = f"seed {result.seed}: {result.violations[0][0]}: {result.violations[0][1]}"
        for kind, detail in result.violations:
            self.kinds[kind] += 1
            if len(self.violations) < _SHOWN:
                self.violations.append({"seed": result.seed, "invariant": kind, "detail": detail})

    @property
    def missed(self) -> list[str]:
        """Planted bugs that no seed found."""
        return [name for name, (seeds, _) in self.planted.items() if not seeds]

    @property
    def seldom(self) -> list[str]:
        """Faults of the menu that struck less than a hundred times."""
        names = sorted({entry[0] for entry in MENU})
        return [name for name in names if self.fired[name] < FIRED_MIN]

    def document(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "seeds": self.task.seeds,
            "seconds": round(self.seconds, 1),
            "seeds_per_min": round(self.task.seeds / self.seconds * 60.0) if self.seconds else None,
            "orders": self.orders,
            "executions": self.executions,
            "unknown_outcomes_settled": self.settled_unknowns,
            "duplicates": self.kinds["duplicate"],
            "lost": self.kinds["lost"],
            "left_unknown": self.kinds["unknown"],
            "violations": self.violations,
            "broken_seeds": self.broken,
            "faults_fired": dict(sorted(self.fired.items())),
            "faults_below_100": self.seldom,
            "planted": {
                name: {"seeds": self.task.planted_seeds, "found_in": n, "first_seed": first}
                for name, (n, first) in self.planted.items()
            },
        }

    def lines(self, number: Callable[[float], str]) -> Iterable[str]:
        """Yield what a person reads."""
        yield (
            f"  runs        {number(self.task.seeds)} in {self.seconds:.0f} s · "
            f"{number(self.orders)} orders · {number(self.executions)} executions · "
            f"{number(self.settled_unknowns)} unknown outcomes settled"
        )
        yield (
            f"  duplicates {self.kinds['duplicate']} · lost {self.kinds['lost']} · "
            f"left unknown {self.kinds['unknown']} · seeds broken {self.broken}"
        )
        fired = " · ".join(f"{name} {number(n)}" for name, n in sorted(self.fired.items()))
        yield f"  faults      {fired}"
        if self.seldom:
            yield f"  fired less than {FIRED_MIN} times: {', '.join(self.seldom)}"
        for name, (seeds, first) in self.planted.items():
            where = f"found in {seeds} of {self.task.planted_seeds} seeds" if seeds else "NOT found"
            yield f"  planted     {name:<24} {where}" + (f", first {first}" if seeds else "")


def _sound(seed: int) -> SeedResult:
    return run_seed(seed, SOUND)


def _planted(job: tuple[str, int]) -> tuple[str, int, bool]:
    name, seed = job
    return name, seed, bool(run_seed(seed, PLANTED[name]).violations)


def prove(task: Task, tell: Telling) -> Found:
    """Run the sound client over all seeds, each planted bug over its share."""
    found = Found(task)
    seeds = range(task.start, task.start + task.seeds)
    jobs = [(name, task.start + seed) for name in PLANTED for seed in range(task.planted_seeds)]
    with multiprocessing.get_context("spawn").Pool(task.processes) as pool:
        begun = perf_counter()
        with tell.stage("seeds") as stage, tell.progress("seeds", task.seeds) as told:
            for result in pool.imap_unordered(_sound, seeds, _chunk(seeds, task.processes)):
                found.add(result)
                told(1)
            stage.note = f"{found.broken} broken"
        found.seconds = perf_counter() - begun
        if jobs:
            with tell.stage("planted bugs") as stage:
                hits: dict[str, list[int]] = {name: [] for name in PLANTED}
                for name, seed, hit in pool.imap_unordered(
                    _planted, jobs, _chunk(jobs, task.processes)
                ):
                    if hit:
                        hits[name].append(seed)
                stage.note = f"{sum(map(bool, hits.values()))} of {len(hits)} found"
            found.planted = {name: (len(s), min(s, default=-1)) for name, s in hits.items()}
    return found


def _chunk(jobs: Sequence[Any], processes: int) -> int:
    return max(1, min(_CHUNK, len(jobs) // processes))
