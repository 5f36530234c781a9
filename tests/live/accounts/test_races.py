"""Clicks, settings, stores and restarts that cross each other: the careful one holds."""

import asyncio
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from data.records.rows import IntentRow, Unavailable, UserRow
from engine.account import messages as m
from engine.account.commands import CancelOrder, PlaceOrder
from engine.account.guard import PlannedStop
from engine.account.settings import UserSettings
from engine.account.state import fresh
from engine.risk.limits import RiskLimits
from engine.venue.codes import Action
from engine.venue.exchange import commands as exchange
from engine.venue.reports import PositionReport
from engine.venue.view import AccountView
from live.accounts.brain import AccountBrain
from live.accounts.burst import Decided, decide_one
from live.accounts.guard import StopGuard
from live.accounts.intents import Intents
from live.accounts.notify import ConsoleNotifier, OutboxPump
from live.accounts.paper import PaperAccount
from live.accounts.paper_desk import PaperDesk
from live.accounts.ports import Account
from live.accounts.wal import MemoryWals
from live.venues.trading import Accepted, Refused
from tests.live.accounts.world import SYMBOL, Lines, World, run


def test_of_two_clicks_that_race_the_kill_holds_in_every_process():
    async def main(clock):
        world = World(clock)
        await world.begin()
        process = world.process()
        await world.ready(process)
        user = world.users[0]
        await process.supervisor.kill(user, killed=True, actor="user:1")
        # elsewhere somebody kills again, here somebody unkills: both saw generation 1
        await world.memory.set_kill(user, killed=True, generation=2, actor="x", at_ms=1)
        assert await process.supervisor.kill(user, killed=False, actor="user:1") == 2
        await clock.sleep(3)
        process.supervisor.signal(world.signal())
        await clock.sleep(5)
        assert not world.entries(user)
        assert process.engine(user).state.killed
        await world.end(process)

    run(main)


def test_of_two_clicks_on_the_platforms_switch_the_kill_holds():
    async def main(clock):
        world = World(clock)
        await world.begin()
        process = world.process()
        await world.ready(process)
        user = world.users[0]
        await world.memory.set_kill("", killed=True, generation=1, actor="x", at_ms=1)
        assert await process.supervisor.kill("", killed=False, actor="admin:1") == 1
        await clock.sleep(3)
        process.supervisor.signal(world.signal())
        await clock.sleep(5)
        assert not world.entries(user)
        await world.end(process)

    run(main)


def test_a_kill_clicked_upon_an_old_picture_is_not_lost():
    async def main(clock):
        world = World(clock)
        await world.begin()
        process = world.process()
        await world.ready(process)
        user = world.users[0]
        for generation in (1, 2, 3, 4):  # elsewhere, since the last look
            await world.memory.set_kill(
                user, killed=generation % 2 == 1, generation=generation, actor="x", at_ms=1
            )
        await process.supervisor.kill(user, killed=True, actor="user:1")
        await clock.sleep(3)
        process.supervisor.signal(world.signal())
        await clock.sleep(5)
        assert not world.entries(user)
        (row,) = await world.memory.users()
        assert row.killed
        await world.end(process)

    run(main)


def test_no_user_is_run_before_the_platforms_switch_has_been_read():
    async def main(clock):
        world = World(clock)
        await world.begin()
        await world.memory.set_kill("", killed=True, generation=1, actor="x", at_ms=1)
        real = world.store.platform_kill

        async def away() -> Any:
            return Unavailable(reason="busy", kind="locked")

        world.store.platform_kill = away
        process = world.process()
        await clock.sleep(10)
        process.supervisor.signal(world.signal())
        await clock.sleep(5)
        assert not world.entries(world.users[0])
        world.store.platform_kill = real
        await world.ready(process)
        process.supervisor.signal(world.signal())
        await clock.sleep(5)
        assert not world.entries(world.users[0])
        await world.end(process)

    run(main)


def test_older_settings_that_come_late_change_nothing():
    brain, intents = AccountBrain(), Intents("u")
    newest = UserSettings(risk=RiskLimits(risk_per_trade=Decimal("0.001")))
    out = Decided(fresh("u", 1), UserSettings(), 1)
    for version, settings in ((3, newest), (2, UserSettings())):
        message = m.SettingsChanged(at_ms=1, version=version, settings=settings)
        assert decide_one(brain, out, message, intents) is None
    assert brain.settings_version(out.state) == 3
    assert out.params == newest


def test_an_engine_that_broke_while_the_store_was_away_enters_again_when_it_is_back():
    async def main(clock):
        world = World(clock)
        await world.begin()
        process = world.process()
        await world.ready(process)
        user = world.users[0]
        world.weather.down = True
        process.supervisor.control(user, m.Control(at_ms=0, action="kill", actor="user:1"))
        process.supervisor.control(user, m.Control(at_ms=0, action="unkill", actor="user:1"))
        await clock.sleep(3)
        assert process.session(user).gate.is_shut("journal")
        engine = process.engine(user)
        stored = world.memory
        # another state was written meanwhile: what is owed is set aside, and the engine begins anew
        world.wals.of(user).clear()
        engine._journal._hash = "another"
        world.weather.down = False
        await clock.sleep(10)
        assert stored is world.memory
        assert process.engine(user) is not engine
        assert not process.session(user).gate.shut_words()
        process.supervisor.signal(world.signal())
        await clock.sleep(5)
        assert len(world.entries(user)) == 1
        await world.end(process)

    run(main)


def test_a_state_that_cannot_be_read_enters_nothing_until_a_person_resumes():
    async def main(clock):
        world = World(clock, brain=AccountBrain())
        world.calm()
        await world.begin()
        process = world.process()
        await world.ready(process)
        user = world.users[0]
        process.supervisor.control(user, m.Control(at_ms=0, action="pause", actor="user:1"))
        await clock.sleep(3)
        assert process.engine(user).state.paused
        await process.kill()

        real = AccountBrain.decode

        class Newer(AccountBrain):
            def decode(self, raw: bytes) -> Any:
                return real(self, raw.replace(b'"schema":1', b'"schema":0'))

        world.brain = Newer()
        second = world.process("two")
        await world.ready(second)
        await clock.sleep(3)
        assert second.engine(user).state.paused  # a pause, a halt of the day: nobody knows
        second.supervisor.signal(world.signal())
        await clock.sleep(5)
        assert not world.entries(user)
        await world.end(second)

    run(main)


def test_an_order_that_ended_while_no_process_ran_is_over():
    async def main(clock):
        world = World(clock, brain=AccountBrain())
        world.calm()
        await world.begin(UserSettings(intervals_ms=(60_000,)))
        process = world.process()
        await world.ready(process)
        user = world.users[0]
        process.supervisor.signal(world.signal(over_bps=-30))
        await clock.sleep(2)
        world.price(world.last() * Decimal("0.992"))
        await clock.sleep(4)
        (trade,) = process.engine(user).state.trades.values()
        target = trade.of_leg("tp1")
        assert target.state == "working"
        await process.kill()
        uid = world.keys[user].uid
        world.venue.desk.step(
            exchange.CancelOrder(uid=uid, symbol=SYMBOL, order_link_id=target.link_id)
        )
        await clock.sleep(60)
        second = world.process("two")
        await world.ready(second)
        await clock.sleep(60)
        (trade,) = second.engine(user).state.trades.values()
        assert trade.order(target.link_id).state == "done"
        await world.end(second)

    run(main)


def test_an_order_that_was_taken_in_and_is_proven_gone_is_over_in_the_store_too():
    book = Intents("u")
    order = PlaceOrder(
        link_id="z1", trade_id="t", leg="tp1", symbol="S", side="Sell", order_type="Limit",
        qty=Decimal(1),
    )  # fmt: skip
    book.wanted([order], [], 1)
    book.heard(m.Placed(at_ms=1, link_id="z1"))
    row = book.heard(m.NotPlaced(at_ms=2, link_id="z1", text="proven gone"))
    assert isinstance(row, IntentRow)
    assert row.state == "done"
    assert msgspec.to_builtins(row)["state"] == "done"


def test_a_process_that_was_overtaken_with_a_local_file_stands_by_and_can_come_back():
    async def main(clock):
        world = World(clock)
        await world.begin()
        first = world.process("one")
        await world.ready(first)
        user = world.users[0]
        world.weather.down = True
        first.supervisor.control(user, m.Control(at_ms=0, action="kill", actor="user:1"))
        await clock.sleep(3)
        assert world.wals.of(user).lines
        lease = first.supervisor.keeper.held[user].lease
        await world.memory.release([lease])
        other = await world.memory.acquire(user, "two", 20_000)
        first.session(user).engine._scope.create_task(broken())
        world.weather.down = False
        await clock.sleep(10)
        seat = first.supervisor.seats[user]
        assert seat.standing == "standby"
        await world.memory.release([other])
        await world.ready(first)
        assert seat.standing == "running"
        assert not seat.gate.shut_words()
        await world.end(first)

    run(main)


async def broken() -> None:
    raise ValueError("something broke")


def test_what_waits_in_a_lane_waits_once_however_often_it_is_asked_for():
    async def main(clock):
        world = World(clock)
        await world.begin()
        process = world.process()
        await world.ready(process)
        engine = process.engine(world.users[0])
        asked: list[str] = []

        class Slow:
            async def cancel(self, *_: Any, **named: Any) -> Any:
                asked.append(named["order_link_id"])
                await clock.sleep(60)
                return Accepted("o", named["order_link_id"])

        engine._acts.venue = Slow()
        cancel = CancelOrder(link_id="z1", trade_id="t", symbol=SYMBOL, reason="expired")
        for _ in range(20):
            engine._acts.carry_out([cancel], engine._scope)
            await clock.sleep(2)
        await clock.sleep(200)
        assert asked == ["z1", "z1"]
        await world.end(process)

    run(main)


def test_a_full_disk_ends_the_paper_account_that_met_it_and_no_other():
    async def main(clock):
        world = World(clock, users=2)
        facts = world.process().facts
        journals = MemoryWals()
        desk = PaperDesk(clock, facts, journals)
        accounts = []
        for user in world.users:
            row = UserRow(user_id=user, name=user, mode="paper", created_ms=1)
            opened = await desk.open(row)
            assert isinstance(opened, Account)
            accounts.append(cast("PaperAccount", opened.venue))
        rules = facts.contract(SYMBOL)
        assert rules is not None
        journals.of(world.users[0]).full = True
        desk.rules(rules)
        quote = facts.quote(SYMBOL)
        assert quote is not None
        desk.see(SYMBOL, quote)
        with pytest.raises(OSError, match="no space"):
            await accounts[0].batch()  # its session ends, and begins anew from the journal
        await accounts[1].start()
        assert await accounts[1].batch()

    run(main)


def test_what_the_venue_says_is_through_its_stop_is_closed_by_a_new_order_each_time():
    async def main(clock):
        view = AccountView(stale=False)
        held = PositionReport(
            symbol=SYMBOL, position_idx=0, side="Buy", size=Decimal(2), entry_price=Decimal(100),
            mark_price=Decimal(99), updated_time=1,
        )  # fmt: skip
        view.apply(held)
        links: list[str] = []

        class Through:
            async def set_trading_stop(self, *_: Any, **__: Any) -> Any:
                return Refused(110093, "expect Falling", Action.CLOSE_NOW.value)

            async def place(self, order: Any, **_: Any) -> Any:
                links.append(order.order_link_id)  # taken in, and cancelled for want of a book
                return Accepted("o", order.order_link_id)

        plan = PlannedStop(trade_id="a" * 24, symbol=SYMBOL, side="Buy", stop_loss=Decimal(95))
        told: list[Any] = []
        guard = StopGuard(
            "u", cast("Any", Through()), cast("Any", SimpleNamespace(view=view, sees=True)),
            lambda: {SYMBOL: plan}, clock, alarm=told.append, log=Lines(),
        )  # fmt: skip
        for _ in range(9):
            await guard.look()
            await clock.sleep(1)
        assert len(links) == len(set(links)) == 5
        assert len(told) == 2  # naked for so long; closed

    run(main)


def test_a_store_that_breaks_its_word_ends_neither_the_leases_nor_the_outbox():
    async def main(clock):
        world = World(clock)
        await world.begin()
        process = world.process()
        await world.ready(process)
        renew, outbox = world.store.renew, world.store.outbox

        async def broken(*_: Any) -> Any:
            raise ValueError("a bug")

        pump = OutboxPump(world.store, ConsoleNotifier(process.log), clock, process.log)
        pumping = asyncio.ensure_future(pump.run())
        world.store.renew = world.store.outbox = broken
        await clock.sleep(6)
        assert process.task is not None
        assert not process.task.done()
        assert not pumping.done()
        world.store.renew, world.store.outbox = renew, outbox
        await clock.sleep(6)
        process.supervisor.signal(world.signal())
        await clock.sleep(5)
        assert len(world.entries(world.users[0])) == 1
        assert pump.delivered
        pumping.cancel()
        await world.end(process)

    run(main)
