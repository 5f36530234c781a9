"""Many seeds of the drill, shared among processes, and the same for each planted bug."""

import hashlib
import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from app.proofs.comparison import Telling
from app.proofs.drill.catalogue import NAMES
from app.proofs.drill.planted import PLANTED
from app.proofs.drill.system import SOUND, Build
from app.proofs.drill.world import World, run_seed
from engine.venue.codes import CODES

FIRED_MIN = 100  # a fault that struck less often proves little
_SHOWN = 20
_CHUNK = 10


@dataclass(frozen=True, slots=True)
class Task:
    """Which seeds, how many users each, how many seeds at most for each planted bug."""

    start: int
    seeds: int
    users: int = 2
    planted_seeds: int = 0
    processes: int = 2
    planted: tuple[str, ...] = ()


@dataclass(slots=True)
class Lived:
    """What one seed came to."""

    seed: int
    violations: list[tuple[str, str]]
    fired: Counter[str]
    codes: Counter[int]
    trace: str
    commits: int
    executions: int
    processes: int
    naked_s: float = 0.0


def lived(world: World) -> Lived:
    """Return what a world came to, with the hash of all that happened in it."""
    accounts = [world.judge.account(n) for n in range(len(world.users))]
    return Lived(
        seed=world.seed,
        violations=list(world.judge.violations),
        fired=world.plan.fired,
        codes=world.plan.codes,
        trace=trace_of(world),
        commits=world.judge.commits,
        executions=sum(len(account.executions) for account in accounts),
        processes=len(world.processes),
        naked_s=world.judge.naked_longest_s,
    )


def trace_of(world: World) -> str:
    """Return the hash of everything that happened: the same for the same seed, always."""
    digest = hashlib.blake2b(digest_size=16)
    for at_ms, words in world.story:
        digest.update(f"{at_ms} {words}\n".encode())
    for n in range(len(world.users)):
        account = world.judge.account(n)
        for order in account.orders.values():
            digest.update(f"{order.order_id} {order.updated_time} {order.order_status}".encode())
        for execution in account.executions:
            digest.update(f"{execution.exec_id} {execution.exec_time}".encode())
        digest.update(str(account.wallet.wallet_balance).encode())
    digest.update(world.judge.written.digest())
    return digest.hexdigest()


@dataclass(slots=True)
class Found:
    """What the seeds showed."""

    task: Task
    seconds: float = 0.0
    commits: int = 0
    executions: int = 0
    deaths: int = 0
    broken: int = 0
    first: str = ""
    first_seed: int = -1
    naked_s: float = 0.0
    violations: list[dict[str, Any]] = field(default_factory=list)
    fired: Counter[str] = field(default_factory=Counter)
    codes: Counter[int] = field(default_factory=Counter)
    planted: dict[str, int] = field(default_factory=dict)  # seeds it took; 0: not found

    def add(self, one: Lived) -> None:
        """Take a seed in."""
        self.commits += one.commits
        self.executions += one.executions
        self.deaths += one.processes - 1
        self.fired.update(one.fired)
        self.codes.update(one.codes)
        self.naked_s = max(self.naked_s, one.naked_s)
        if not one.violations:
            return
        self.broken += 1
        if self.first_seed < 0 or one.seed < self.first_seed:
            self.first_seed = one.seed
            self.first = f"seed {one.seed}: {one.violations[0][0]}: {one.violations[0][1]}"
        for invariant, detail in one.violations:
            if len(self.violations) < _SHOWN:
                self.violations.append({"seed": one.seed, "invariant": invariant, "detail": detail})

    @property
    def seldom(self) -> list[str]:
        """Faults of the catalogue that struck less than a hundred times."""
        return [name for name in NAMES if self.fired[name] < FIRED_MIN]

    @property
    def codes_seldom(self) -> list[int]:
        """Codes of the venue's table that were answered less than a hundred times."""
        return sorted(code for code in CODES if code and self.codes[code] < FIRED_MIN)

    @property
    def missed(self) -> list[str]:
        """Planted bugs that no seed found."""
        return [name for name, seeds in self.planted.items() if not seeds]

    @property
    def per_minute(self) -> int:
        """Seeds a minute."""
        return round(self.task.seeds / self.seconds * 60.0) if self.seconds else 0

    def document(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "seeds": self.task.seeds,
            "users": self.task.users,
            "seconds": round(self.seconds, 1),
            "seeds_per_min": self.per_minute,
            "broken_seeds": self.broken,
            "violations": self.violations,
            "commits": self.commits,
            "executions": self.executions,
            "processes_started_again": self.deaths,
            "naked_longest_s": round(self.naked_s, 2),
            "faults_fired": {name: self.fired[name] for name in NAMES},
            "faults_below_100": self.seldom,
            "codes_answered": {str(c): n for c, n in sorted(self.codes.items())},
            "codes_below_100": self.codes_seldom,
            "planted": dict(self.planted),
        }

    def lines(self, number: Callable[[float], str]) -> Iterable[str]:
        """Yield what a person reads."""
        yield (
            f"  worlds      {number(self.task.seeds)} in {self.seconds:.0f} s, "
            f"{number(self.per_minute)} a minute · {number(self.commits)} commits · "
            f"{number(self.executions)} executions · {number(self.deaths)} processes replaced"
        )
        yield f"  broken      {self.broken}"
        yield f"  faults      {' · '.join(f'{n} {number(self.fired[n])}' for n in NAMES)}"
        if self.seldom:
            yield f"  fired less than {FIRED_MIN} times: {', '.join(self.seldom)}"
        if self.codes_seldom:
            yield f"  {len(self.codes_seldom)} codes answered less than {FIRED_MIN} times"
        for name, seeds in self.planted.items():
            where = f"found after {seeds} seed(s)" if seeds else "NOT found"
            yield f"  planted     {name:<28} {where}"


def live(seed: int, users: int = 2, build: Build = SOUND) -> Lived:
    """Run one seed."""
    return lived(run_seed(seed, users=users, build=build))


def _sound(job: tuple[int, int]) -> Lived:
    return live(*job)


def hunt(job: tuple[str, int, int, int]) -> tuple[str, int]:
    """Return how many seeds a planted bug took to be found; 0: it was not."""
    name, start, seeds, users = job
    for turn in range(seeds):
        seed = start + turn
        try:
            seen = {invariant for invariant, _ in live(seed, users, PLANTED[name]).violations}
        except Exception:  # noqa: BLE001 - so wrong that the world itself cannot go on
            seen = {"crash"}
        # What the sound system does too in this world is no proof of the bug.
        if seen and seen - {invariant for invariant, _ in live(seed, users).violations}:
            return name, turn + 1
    return name, 0


def drill(task: Task, tell: Telling) -> Found:
    """Run the sound system over all seeds, each planted bug over its share until it is found."""
    found = Found(task)
    jobs = [(seed, task.users) for seed in range(task.start, task.start + task.seeds)]
    with multiprocessing.get_context("spawn").Pool(task.processes) as pool:
        begun = perf_counter()
        chunk = max(1, min(_CHUNK, len(jobs) // task.processes))
        with tell.stage("worlds") as stage, tell.progress("worlds", task.seeds) as told:
            for one in pool.imap_unordered(_sound, jobs, chunk):
                found.add(one)
                told(1)
            stage.note = f"{found.broken} broken"
        found.seconds = perf_counter() - begun
        if task.planted_seeds:
            names = task.planted or tuple(PLANTED)
            hunts = [(name, task.start, task.planted_seeds, task.users) for name in names]
            with tell.stage("planted bugs") as stage:
                counts = dict(pool.imap_unordered(hunt, hunts))
                found.planted = {name: counts[name] for name in names}
                stage.note = f"{sum(map(bool, counts.values()))} of {len(names)} found"
    return found
