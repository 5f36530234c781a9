"""The real brain through the executor on the simulated venue: a trade's whole life, disturbed."""

from decimal import Decimal
from typing import Any

import pytest

from engine.account import messages as m
from engine.account.settings import UserSettings
from live.accounts.brain import AccountBrain
from tests.live.accounts.world import SYMBOL, Process, World, run


def settings(**more: Any) -> UserSettings:
    return UserSettings(intervals_ms=(60_000,), **more)


async def begun(clock: Any, seed: int = 1, users: int = 1, **more: Any) -> tuple[World, Process]:
    world = World(clock, seed=seed, users=users, brain=AccountBrain())
    world.calm()
    await world.begin(settings(**more))
    process = world.process()
    await world.ready(process)
    return world, process


def trade(process: Process, user: str) -> Any:
    state = process.engine(user).state
    trades = {**state.ended, **state.trades}
    return next((t for t in trades.values() if t.symbol == SYMBOL), None)


async def filled(world: World, process: Process) -> None:
    """Send a signal whose retest is under the market, and let the market come back to it."""
    process.supervisor.signal(world.signal(over_bps=-30))
    await world.clock.sleep(3)
    user = world.users[0]
    assert len(world.entries(user)) == 1, await world.memory.verdicts(user, 5)
    world.price(world.last() * Decimal("0.992"))
    await world.clock.sleep(3)
    assert world.position(user).is_open


def test_signal_retest_fill_target_breakeven_and_stop():
    async def main(clock):
        world, process = await begun(clock)
        user = world.users[0]
        await filled(world, process)
        now = trade(process, user)
        position = world.position(user)
        assert now.qty == position.size
        assert position.stop_loss == now.stop_loss
        assert position.leverage == now.plan.leverage
        targets = [o for o in world.account(user).open_orders.values() if o.reduce_only]
        assert any(o.price is not None and o.price > now.entry_price for o in targets)
        entry, risk = now.entry_price, now.entry_price - now.plan.stop
        world.price(entry + risk * Decimal("1.2"))
        await clock.sleep(3)
        now = trade(process, user)
        assert now.tp1_ms
        assert 0 < world.position(user).size < now.bought
        close = float(world.last())
        bar = m.BarClosed(
            at_ms=0, symbol=SYMBOL, interval_ms=60_000,
            ts=clock.now_ms() - clock.now_ms() % 60_000 + 60_000,
            open=close, high=close, low=close, close=close,
        )  # fmt: skip
        process.supervisor.market(SYMBOL, bar)
        await clock.sleep(3)
        assert world.position(user).stop_loss > entry
        world.price(entry * Decimal("0.9"))
        await clock.sleep(8)
        assert not world.position(user).is_open
        now = trade(process, user)
        assert now.status == "closed"
        booked = {e.exec_id for e in await world.memory.executions(user, 0, 100)}
        assert booked == {e.exec_id for e in world.account(user).executions}
        assert process.session(user).crashes == 0
        kinds = {row.kind for row in await world.memory.outbox(100, clock.now_ms())}
        assert {"entry", "tp1"} <= kinds
        await world.end(process)

    run(main)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_process_that_dies_with_a_position_leaves_the_next_one_the_same_trade(seed):
    async def main(clock):
        world, process = await begun(clock, seed)
        user = world.users[0]
        await filled(world, process)
        before = trade(process, user)
        await process.kill()
        world.price(before.entry_price + (before.entry_price - before.plan.stop) * 2)
        await clock.sleep(5)  # the target is filled while nobody looks
        second = world.process("two")
        await world.ready(second)
        await clock.sleep(5)
        after = trade(second, user)
        assert after.trade_id == before.trade_id
        assert after.tp1_ms
        assert after.qty == world.position(user).size
        assert len(world.entries(user)) == 1
        assert world.position(user).stop_loss is not None
        intents = await world.memory.intents(user, after.trade_id)
        assert {row.leg: row.state for row in intents} == {"entry": "done", "tp1": "done"}
        await world.end(second)

    run(main, seed)


def test_a_position_closed_by_hand_stays_closed():
    async def main(clock):
        world, process = await begun(clock)
        user = world.users[0]
        await filled(world, process)
        world.by_hand(user, "close")
        await clock.sleep(8)
        assert not world.position(user).is_open
        assert trade(process, user).status == "closed"
        assert not world.account(user).open_orders
        assert len(world.entries(user)) == 1
        await world.end(process)

    run(main)


def test_a_stop_taken_away_by_hand_is_back_within_seconds():
    async def main(clock):
        world, process = await begun(clock)
        user = world.users[0]
        await filled(world, process)
        stop = world.position(user).stop_loss
        world.by_hand(user, "remove_stop")
        await clock.sleep(4)
        assert world.position(user).stop_loss == stop
        await world.end(process)

    run(main)


def test_a_resting_entry_goes_on_kill_and_the_open_trade_is_still_managed():
    async def main(clock):
        world, process = await begun(clock)
        user = world.users[0]
        process.supervisor.signal(world.signal(over_bps=-30))
        await clock.sleep(3)
        assert [o for o in world.account(user).open_orders.values() if not o.reduce_only]
        await process.supervisor.kill("", killed=True, actor="admin:1")
        await clock.sleep(3)
        assert not world.account(user).open_orders
        assert trade(process, user).status == "expired"
        await world.end(process)

    run(main)


def test_an_account_that_is_closed_by_wish_ends_flat_with_every_fill_booked():
    async def main(clock):
        world, process = await begun(clock)
        user = world.users[0]
        await filled(world, process)
        wish = m.Control(at_ms=0, action="close_all", actor=f"user:{user}")
        assert process.supervisor.control(user, wish)
        await clock.sleep(8)
        assert not world.position(user).is_open
        assert not world.account(user).open_orders
        stored = await world.memory.load(user)
        assert not stored.intents
        await world.end(process)

    run(main)


def test_a_coin_that_a_person_holds_is_not_entered_and_its_stop_not_touched():
    async def main(clock):
        world, process = await begun(clock)
        user = world.users[0]
        world.by_hand(user, "open")
        await clock.sleep(3)
        before = world.position(user).copy()
        assert before.is_open
        process.supervisor.signal(world.signal(over_bps=-30))
        await clock.sleep(5)
        (verdict,) = await world.memory.verdicts(user, 5)
        assert (verdict.approved, verdict.reason) == (False, "symbol_busy")
        assert (world.position(user).size, world.position(user).stop_loss) == (
            before.size, before.stop_loss,
        )  # fmt: skip
        await world.end(process)

    run(main)
