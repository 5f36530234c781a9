"""The process dies at every single call it makes to the world; whoever comes next puts it right."""

from typing import Any

import pytest

from tests.live.accounts.world import SYMBOL, Process, World, run

_ASKED = (
    "place", "cancel", "amend", "set_trading_stop", "set_leverage", "look_up", "orders",
    "positions", "executions", "wallet",
)  # fmt: skip


class Dying:
    """A venue that counts the calls of a process and kills it in the middle of one."""

    def __init__(self, venue: Any, count: "Count") -> None:
        self._venue = venue
        self._count = count

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._venue, name)
        if name not in _ASKED:
            return method

        async def call(*args: Any, **named: Any) -> Any:
            self._count.at(f"before {name}")
            result = await method(*args, **named)
            self._count.at(f"after {name}")
            return result

        return call


class Count:
    """Where a process is in its life, and where it ends."""

    def __init__(self, die_at: int) -> None:
        self.calls: list[str] = []
        self.die_at = die_at
        self.process: Process | None = None
        self.armed = False

    def at(self, what: str) -> None:
        if not self.armed:
            return
        self.calls.append(what)
        if len(self.calls) == self.die_at and self.process is not None:
            task = self.process.task
            assert task is not None
            task.cancel()  # delivered at the next await: nothing more is said or done


def life(die_at: int, seed: int = 3) -> tuple[list[str], list[str]]:
    """One trade with a death at the given call; returns the calls and what is wrong afterwards."""
    wrong: list[str] = []
    count = Count(die_at)

    async def main(clock):
        world = World(clock, seed=seed)
        await world.begin()
        world.wrap = lambda venue, process: Dying(venue, count) if process.name == "one" else venue
        first = world.process("one")
        await world.ready(first)
        count.process, count.armed = first, True
        world.weather.hook = lambda method, _: count.at(method) if method == "commit" else None
        first.supervisor.signal(world.signal())
        await clock.sleep(3)
        await first.kill()
        world.weather.hook = None
        user = world.users[0]
        second = world.process("two")
        await world.ready(second)
        await clock.sleep(45)
        entries = world.entries(user)
        if len(entries) > 1:
            wrong.append(f"{len(entries)} entries")
        position = world.position(user)
        if position is not None and position.is_open and not position.stop_loss:
            wrong.append("naked")
        stored = await world.memory.load(user)
        if any(row.state in ("new", "sent", "unknown") for row in stored.intents):
            wrong.append(f"left unknown: {[(r.link_id, r.state) for r in stored.intents]}")
        booked = {e.exec_id for e in await world.memory.executions(user, 0, 100)}
        if booked != {e.exec_id for e in world.account(user).executions}:
            wrong.append("executions differ")
        state = second.engine(user).state
        held = position.size if position is not None and position.is_open else 0
        believed = state.trades[SYMBOL].size if SYMBOL in state.trades else 0
        if held != believed:
            wrong.append(f"held {held}, believed {believed}")
        await world.end(second)

    run(main, seed)
    return count.calls, wrong


def test_a_life_undisturbed_has_calls_to_die_at():
    calls, wrong = life(die_at=0)
    assert not wrong
    assert {"commit", "before place", "after place"} <= set(calls)


@pytest.mark.parametrize("die_at", range(1, 9))
def test_dying_at_any_call_leaves_one_entry_at_most_and_no_open_question(die_at):
    calls, wrong = life(die_at)
    assert not wrong, (calls[:die_at], wrong)
