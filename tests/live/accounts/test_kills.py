"""The process dies at every single call it makes to the world; whoever comes next puts it right."""

from decimal import Decimal
from typing import Any

import pytest

from engine.account import messages as m
from engine.account.settings import UserSettings
from live.accounts import engine
from live.accounts.brain import AccountBrain
from live.accounts.engine import UserEngine
from live.accounts.session import Session
from live.venues.bybit.faults import Fault
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


async def live_on(world: World, process: Process) -> None:
    """One trade: signal, retest, target, bar's close, and out by wish; whoever is alive hears."""
    clock, user = world.clock, world.users[0]
    process.supervisor.signal(world.signal(over_bps=-30))
    await clock.sleep(2)
    world.price(world.last() * Decimal("0.992"))
    await clock.sleep(2)
    world.price(world.last() * Decimal("1.08"))
    await clock.sleep(2)
    close = float(world.last())
    bar = m.BarClosed(
        at_ms=0, symbol=SYMBOL, interval_ms=60_000,
        ts=clock.now_ms() - clock.now_ms() % 60_000 + 60_000,
        open=close, high=close, low=close, close=close,
    )  # fmt: skip
    process.supervisor.market(SYMBOL, bar)
    await clock.sleep(2)
    process.supervisor.control(user, m.Control(at_ms=0, action="close_all", actor="user:1"))
    await clock.sleep(3)


def life(die_at: int, seed: int = 3) -> tuple[list[str], list[str]]:
    """One trade with a death at the given call; returns the calls and what is wrong afterwards."""
    wrong: list[str] = []
    count = Count(die_at)

    async def main(clock):
        world = World(clock, seed=seed, brain=AccountBrain())
        world.calm()
        await world.begin(UserSettings(intervals_ms=(60_000,)))
        world.wrap = lambda venue, process: Dying(venue, count) if process.name == "one" else venue
        first = world.process("one")
        await world.ready(first)
        count.process, count.armed = first, True
        world.weather.hook = lambda method, _: count.at(method) if method == "commit" else None
        await live_on(world, first)
        count.armed = False
        await first.kill()
        world.weather.hook = None
        second = world.process("two")
        await world.ready(second)
        await clock.sleep(45)
        wrong.extend(await judged(world, second))
        await world.end(second)

    run(main, seed)
    return count.calls, wrong


async def judged(world: World, process: Process) -> list[str]:
    """What is wrong with the books once all is quiet."""
    user, wrong = world.users[0], []
    entries = [o for o in world.entries(user) if o.order_link_id.startswith("ze")]
    if len(entries) > 1:
        wrong.append(f"{len(entries)} entries")
    position = world.position(user)
    held = position.size if position is not None and position.is_open else Decimal(0)
    if held and not position.stop_loss:
        wrong.append("naked")
    if position is not None and position.is_open and position.side.value == "Sell":
        wrong.append("reversed")
    stored = await world.memory.load(user)
    assert stored is not None
    open_rows = [(r.link_id, r.state) for r in stored.intents if r.state != "placed"]
    if open_rows:
        wrong.append(f"left unknown: {open_rows}")
    booked = {e.exec_id for e in await world.memory.executions(user, 0, 100)}
    if booked != {e.exec_id for e in world.account(user).executions}:
        wrong.append("executions differ")
    state = process.engine(user).state
    believed = sum((t.qty for t in state.trades.values()), Decimal(0))
    if held != believed:
        wrong.append(f"held {held}, believed {believed}")
    cash = world.account(user).wallet.wallet_balance - 10_000
    if cash != state.cash_usdt:
        wrong.append(f"money {cash} there, {state.cash_usdt} here")
    if process.session(user).crashes:
        wrong.append("the engine broke")
    return wrong


def test_a_life_undisturbed_has_all_the_calls_to_die_at():
    calls, wrong = life(die_at=0)
    assert not wrong
    assert {"commit", "after place", "after set_leverage", "after set_trading_stop"} <= set(calls)
    assert 20 < len(calls) <= 34, len(calls)  # else the deaths below miss some


@pytest.mark.parametrize("die_at", range(1, 35))
def test_dying_at_any_call_leaves_one_entry_at_most_and_no_open_question(die_at):
    calls, wrong = life(die_at)
    assert not wrong, (calls[:die_at], wrong)


def test_without_the_sweep_an_intent_would_stay_open(monkeypatch):
    monkeypatch.setattr(UserEngine, "_sweep", lambda _: None)
    assert life(die_at=1)[1]


def test_without_the_past_a_fill_would_be_lost(monkeypatch):
    monkeypatch.setattr(Session, "_since_ms", lambda self, _: self._parts.clock.now_ms())
    assert any(life(die_at)[1] for die_at in (8, 10, 12))


@pytest.mark.parametrize("refused", [False, True])
def test_an_entry_sent_after_a_restart_has_its_leverage_or_is_not_sent(refused, monkeypatch):
    """The decision is written; the process dies before it says anything to the venue."""
    monkeypatch.setattr(engine, "FRESH_MS", 300_000)  # longer than a lease takes to lapse

    async def main(clock):
        world = World(clock, brain=AccountBrain())
        world.calm()
        await world.begin(UserSettings(intervals_ms=(60_000,), leverage=Decimal(3)))
        count, user = Count(die_at=1), world.users[0]
        world.wrap = lambda venue, process: Dying(venue, count) if process.name == "one" else venue
        first = world.process("one")
        await world.ready(first)
        count.process, count.armed = first, True
        first.supervisor.signal(world.signal(over_bps=-30))
        await clock.sleep(1)
        assert count.calls == ["before set_leverage"]
        await first.kill()
        assert not world.entries(user)
        if refused:
            fault = Fault(
                kind="error", code=110013, count=50, probability=1.0,
                endpoint="/v5/position/set-leverage",
            )  # fmt: skip
            world.venue.plan.add([fault])
        second = world.process("two")
        await world.ready(second)
        await clock.sleep(45)
        assert len(world.entries(user)) == (0 if refused else 1)
        stored = await world.memory.load(user)
        assert [row.state for row in stored.intents] == ([] if refused else ["placed"])
        if not refused:
            world.price(world.last() * Decimal("0.992"))
            await clock.sleep(2)
            assert world.position(user).size > 0
            assert world.position(user).leverage == 3
        await world.end(second)

    run(main)
