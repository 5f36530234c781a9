"""A failing seed as a short story: the fewest faults, and what happened around the violation."""

from collections.abc import Iterable

from app.proofs.drill.shrink import shrink
from app.proofs.drill.system import SOUND, Build

_BEFORE = 25
_AFTER = 3
_WIDTH = 200


def tell_story(seed: int, users: int = 2, build: Build = SOUND) -> Iterable[str]:
    """Yield the lines."""
    few, world = shrink(seed, users=users, build=build)
    yield f"  seed {seed} with the fewest faults that break it ({len(few)}):"
    for injection in few:
        yield f"    {injection}"
    lines = world.story
    marks = [i for i, (_, words) in enumerate(lines) if words.startswith("VIOLATION")]
    if not marks:
        return
    for at_ms, words in lines[max(0, marks[0] - _BEFORE) : marks[0] + 1 + _AFTER]:
        yield f"    {at_ms / 1000.0:9.3f} s  {words[:_WIDTH]}"
