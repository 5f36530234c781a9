"""From a world that broke to the few faults that broke it: delta debugging over the injections."""

from collections.abc import Callable, Sequence

from app.proofs.drill.catalogue import draw
from app.proofs.drill.dice import Dice
from app.proofs.drill.plan import Injection
from app.proofs.drill.system import SOUND, Build
from app.proofs.drill.world import World, run_seed

Breaks = Callable[[Sequence[Injection]], bool]


def ddmin(faults: Sequence[Injection], breaks: Breaks, runs_max: int = 200) -> list[Injection]:
    """Return a list from which no fault can be taken (within so many runs), in its order.

    An injection is named by site and visit, so taking one out moves no other.
    """
    kept = list(faults)
    parts, runs = 2, 0
    while len(kept) >= 1 and runs < runs_max:
        size = max(1, -(-len(kept) // parts))
        shrunk = False
        for begin in range(0, len(kept), size):
            without = kept[:begin] + kept[begin + size :]
            runs += 1
            if breaks(without):
                kept, parts, shrunk = without, max(parts - 1, 2), True
                break
        if shrunk:
            continue
        if size == 1:
            break
        parts = min(len(kept), parts * 2)
    return kept


def shrink(
    seed: int, *, users: int = 2, build: Build = SOUND, runs_max: int = 200
) -> tuple[list[Injection], World]:
    """Return the fewest faults that still break the same promise, and the world they make."""
    first = run_seed(seed, users=users, build=build)
    faults = draw(Dice(seed), users)
    wanted = {invariant for invariant, _ in first.judge.violations}

    def breaks(some: Sequence[Injection]) -> bool:
        world = run_seed(seed, users=users, build=build, injections=list(some))
        return bool(wanted & {invariant for invariant, _ in world.judge.violations})

    if not wanted:
        return faults, first
    few = ddmin(faults, breaks, runs_max)
    return few, run_seed(seed, users=users, build=build, injections=few, telling=True)
