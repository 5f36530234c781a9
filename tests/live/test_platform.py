"""One process of the platform: news reach the engines, wishes are taken once, progress is told."""

import asyncio
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from data.records.rows import ControlRow
from engine.account.messages import Control
from engine.account.signal import SignalEnd
from live.accounts.brain import AccountBrain
from live.accounts.engine import EngineFault
from live.accounts.missed import MissedBars
from live.accounts.notify import ConsoleNotifier, OutboxPump
from live.accounts.paper_desk import PaperDesk
from live.accounts.wal import MemoryWals
from live.bus import LocalBus
from live.clock import ManualClock
from live.market import topics
from live.market.interest import Interest
from live.market.views import BarsClosed, HealthView
from live.platform import Platform, PlatformOptions
from tests.live.accounts.test_whole import filled, settings, trade
from tests.live.accounts.world import SYMBOL, Process, World, run


class _Market:
    """A market layer that tells what a test wants told."""

    def __init__(self, process: Process) -> None:
        self.bus = LocalBus()
        self.status = "live"
        self.late: tuple[Any, ...] = ()
        self.over: tuple[SignalEnd, ...] = ()
        self.desk = SimpleNamespace(
            interest=Interest(),
            quote=process.facts.quote,
            fresh_signals=lambda: self.late,
            teller=SimpleNamespace(ends=lambda: self.over),
        )
        self.stopped = False
        self.bars: list[tuple[int, float, float, float, float]] = []

    async def start(self) -> None:
        pass

    def closed_bars(self, symbol: str, interval_ms: int, from_ms: int) -> list[Any]:
        assert interval_ms == 60_000
        known = self.bars if symbol == SYMBOL and self.status == "live" else []
        return [bar for bar in known if bar[0] >= from_ms]

    async def failure(self) -> None:
        await self._never()

    @staticmethod
    async def _never() -> None:
        await asyncio.get_running_loop().create_future()

    async def stop(self) -> None:
        self.stopped = True

    def health(self) -> HealthView:
        return HealthView(status=self.status, since=0, last_message_age_s=0.1)


def _platform(world: World, name: str = "one") -> tuple[Any, Platform]:
    process = Process(world, name)
    market: Any = _Market(process)
    platform = Platform(
        market=market,
        store=world.store,
        supervisor=process.supervisor,
        pump=OutboxPump(world.store, ConsoleNotifier(process.log), world.clock, process.log),
        group=process.group,
        paper=PaperDesk(world.clock, process.facts, MemoryWals()),
        clock=world.clock,
        log=process.log,
        close=process.gate.close,
        options=PlatformOptions(store_late_s=5.0),
    )
    return process, platform


async def _start(world: World, process: Process, platform: Platform) -> None:
    process.task = asyncio.get_running_loop().create_task(platform.run())
    await world.ready(process)


def _wish(user_id: str, action: str, control_id: str = "c1") -> ControlRow:
    return ControlRow(
        user_id=user_id, control_id=control_id, action=action, actor="admin:cli", at_ms=1
    )


def test_a_told_breakout_is_traded_and_the_end_of_its_setup_is_heard():
    async def main(clock):
        world = World(clock)
        await world.begin()
        process, platform = _platform(world)
        await _start(world, process, platform)
        bus = platform.market.bus
        await bus.publish(topics.SIGNAL, world.signal())
        await clock.sleep(5)
        user = world.users[0]
        assert world.position(user).size > 0
        heard = []
        session = process.session(user)
        put, session.put = session.put, lambda message: heard.append(message) or put(message)
        end = SignalEnd(symbol=SYMBOL, profile="default", interval_ms=60_000, t=1, kind="FAILED")
        await bus.publish(topics.SIGNAL_END, end)
        bars = BarsClosed("1m", 60_000, (SYMBOL, "XUSDT"), ((1.0, 2.0, 0.5, 1.5, 70_000.0),) * 2)
        platform.market.desk.interest.hold("u", [SYMBOL])
        await bus.publish(topics.BARS, bars)
        await clock.sleep(1)
        kinds = [type(m).__name__ for m in heard]
        assert kinds.count("SignalEnded") == 1
        (bar,) = [m for m in heard if type(m).__name__ == "BarClosed"]
        assert (bar.symbol, bar.open, bar.high, bar.low, bar.close) == (SYMBOL, 1.0, 2.0, 0.5, 1.5)
        await world.end(process)

    run(main)


def test_a_breakout_told_before_the_engine_ran_is_traded_once():
    async def main(clock):
        world = World(clock, brain=AccountBrain())
        await world.begin()
        process, platform = _platform(world)
        platform.market.status = "starting"
        signal = world.signal()
        platform.market.late = (signal,)
        await _start(world, process, platform)
        user = world.users[0]
        await clock.sleep(2)
        assert user not in platform._late  # before the market is live nobody knows a coin's rules
        platform.market.status = "live"
        await clock.sleep(5)
        await platform.market.bus.publish(topics.SIGNAL, signal)
        await clock.sleep(5)
        assert len(await world.memory.verdicts(user, 10)) == 1
        assert platform._late[user].handed == {signal.signal_id}
        await world.end(process)

    run(main)


def test_wishes_of_other_processes_are_taken_once_and_answered():
    async def main(clock):
        world = World(clock)
        await world.begin()
        user = world.users[0]
        await world.memory.add_control(_wish(user, "pause"))
        process, platform = _platform(world)
        await _start(world, process, platform)
        await world.memory.add_control(_wish(user, "reconcile", "c2"))
        await world.memory.add_control(_wish(user, "dance", "c3"))
        await clock.sleep(10)
        answers = {c: await world.memory.control(user, c) for c in ("c1", "c2", "c3")}
        assert answers["c1"].answer == "pause taken"
        assert answers["c2"].answer == "reconcile taken"
        assert "nothing was done" in answers["c3"].answer
        assert all(row.taken_ms for row in answers.values())
        assert await world.memory.controls(10) == []
        trace = await world.memory.trace(user, 0, 1000)
        assert sum(b'"Control"' in row.body and b'"pause"' in row.body for row in trace) == 1
        await world.end(process)

    run(main)


def test_a_wish_that_went_down_with_its_engine_is_handed_to_the_next_one():
    async def main(clock):
        world = World(clock, brain=AccountBrain())
        await world.begin()
        user = world.users[0]
        process, platform = _platform(world)
        await _start(world, process, platform)
        engine = process.engine(user)
        await world.memory.add_control(_wish(user, "pause"))
        turn = engine._turn

        async def breaks(batch: Any) -> None:
            if any(isinstance(each, Control) for each in batch):
                raise EngineFault("it broke in the middle")
            await turn(batch)

        engine._turn = breaks
        await clock.sleep(20)
        assert process.engine(user) is not engine
        assert process.engine(user).state.paused
        answer = await world.memory.control(user, "c1")
        assert answer.answer == "pause taken"
        await world.end(process)

    run(main)


def test_readiness_tells_progress_standby_and_the_end():
    async def main(clock):
        world = World(clock, users=2)
        await world.begin()
        process, platform = _platform(world)
        await _start(world, process, platform)
        first = platform.readiness()
        assert (first.ready, first.running, first.why) == (True, 2, ())
        other, standby = _platform(world, "two")
        other.task = asyncio.get_running_loop().create_task(standby.run())
        await clock.sleep(5)
        waiting = standby.readiness()
        assert (waiting.ready, waiting.standby, waiting.running) == (False, 2, 0)
        assert "standby" in waiting.why[0]
        world.weather.down = True
        await clock.sleep(7)  # shorter than what is left of a lease
        assert any("the store has not answered" in why for why in platform.readiness().why)
        world.weather.down = False
        await clock.sleep(5)
        platform.market.status = "starting"
        assert platform.readiness().why == ("the market layer is starting",)
        assert await platform.drain() == 0
        assert await platform.drain() == 0, "a second call changes nothing"
        assert not platform.readiness().ready
        await clock.sleep(5)
        assert standby.readiness().running == 2, "the leases were given back"
        await world.end(process, other)
        await platform.stop()
        assert platform.market.stopped

    run(main)


async def _trailed(clock: Any, how: str) -> tuple[Decimal, Decimal]:
    """Let two bars rise after TP1; returns the highest price known and the stop at the venue."""
    world = World(clock, brain=AccountBrain())
    world.calm()
    await world.begin(settings())
    user = world.users[0]
    process, platform = _platform(world)
    market: Any = platform.market
    await _start(world, process, platform)
    await filled(world, process)
    market.desk.interest.hold(user, [SYMBOL])
    opened = trade(process, user)
    risk = opened.entry_price - opened.plan.stop
    world.price(opened.entry_price + risk * Decimal("1.2"))
    await clock.sleep(3)
    assert trade(process, user).tp1_ms
    if how != "undisturbed":
        await process.kill()
    bars = market.bars
    for step in (2, 3):
        ts = clock.now_ms() - clock.now_ms() % 60_000
        world.price(opened.entry_price + risk * step)
        at = float(world.last())
        await clock.sleep((ts + 60_000 - clock.now_ms()) / 1000 + 0.1)
        bars.append((ts, at, at, at, at))
        if how == "undisturbed":
            await market.bus.publish(topics.BARS, BarsClosed("1m", ts, (SYMBOL,), (bars[-1][1:],)))
    if how != "undisturbed":
        process, platform = _platform(world, "two")
        market = platform.market
        market.bars = bars
        market.status = "starting" if how == "late market" else "live"
        await _start(world, process, platform)
        await clock.sleep(10)
        market.status = "live"
    await clock.sleep(10)
    assert process.session(user).crashes == 0
    found = trade(process, user).highest, world.position(user).stop_loss
    await world.end(process)
    return found


@pytest.mark.parametrize("how", ["market first", "late market"])
def test_bars_that_closed_while_nobody_ran_trail_the_stop_as_if_they_had_been_heard(how: str):
    undisturbed = run(lambda clock: _trailed(clock, "undisturbed"))
    assert run(lambda clock: _trailed(clock, how)) == undisturbed


def test_a_hole_before_a_live_bar_is_filled_first_and_in_order():
    told: list[int] = []
    engine = SimpleNamespace(watched={SYMBOL}, bars_from=lambda: {SYMBOL: (60_000, 120_000)})
    session: Any = SimpleNamespace(engine=engine, put=lambda message: told.append(message.ts))
    known = [(ts, 1.0, 1.0, 1.0, 1.0) for ts in (120_000, 180_000, 240_000)]
    missed = MissedBars(lambda *_: known, lambda _: None, lambda: [session], ManualClock(600_000))
    missed.before(SYMBOL, 60_000, 240_000)
    assert told == [120_000, 180_000]
    missed.before(SYMBOL, 60_000, 120_000)
    missed.before(SYMBOL, 300_000, 600_000)
    assert told == [120_000, 180_000]
