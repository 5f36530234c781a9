"""The system under test, part by part: what a planted bug replaces, the sound one by default."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from live.accounts.commit import Group
from live.accounts.notify import OutboxPump
from live.accounts.supervisor import Supervisor

Make = Callable[..., Any]


def same(thing: Any, *_: Any) -> Any:
    """Return it as it is."""
    return thing


@dataclass(frozen=True, slots=True)
class Build:
    """How a process is put together.

    `brain`, `store` and `venue` take the sound part and return what stands in its place.
    """

    brain: Callable[[Any], Any] = same
    store: Callable[[Any], Any] = same
    venue: Callable[..., Any] = same  # (venue, process)
    group: Make = Group
    supervisor: Make = Supervisor
    pump: Make = OutboxPump
    options: Callable[[Any], Any] = same  # of a session
    market: Callable[..., Any] = same  # (facts, process)


SOUND = Build()


def sound_brain() -> Any:
    """Return the brain that `zion serve` uses."""
    from live.accounts.brain import AccountBrain  # pyrefly: ignore[missing-import]

    return AccountBrain()
