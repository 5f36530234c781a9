"""Store away, commits nobody knows of, a second process, a stuck inbox, poison, people, the end."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from data.records.rows import SettingsRow
from engine.account import messages as m
from engine.account.settings import UserSettings
from engine.venue.exchange.commands import SetTradingStop
from engine.venue.words import TpslMode
from live.venues.bybit.faults import Fault
from tests.live.accounts.toy import Toy
from tests.live.accounts.world import SYMBOL, World, run


def told(user: str, action: str, reason: str = "") -> m.Control:
    return m.Control(at_ms=0, action=action, actor=f"user:{user}", reason=reason)


async def open_trade(world: World, process: Any) -> str:
    await world.ready(process)
    process.supervisor.signal(world.signal())
    await world.clock.sleep(4)
    user = world.users[0]
    assert world.position(user).stop_loss
    return user


# ---------------------------------------------------------------------------- the store


def test_while_the_store_is_away_nothing_is_entered_and_a_close_goes_out_and_is_booked_later():
    async def main(clock):
        world = World(clock)
        await world.begin()
        process = world.process()
        user = await open_trade(world, process)
        world.weather.down = True
        process.supervisor.control(user, told(user, "close"))
        process.supervisor.signal(world.signal("BBBUSDT"))
        await clock.sleep(20)
        assert not world.position(user).is_open  # closed, although it could not be written down
        assert len(world.entries(user)) == 1
        assert world.wals.of(user).lines
        assert process.engine(user).progress().owed > 0
        world.weather.down = False
        await clock.sleep(5)
        assert process.engine(user).progress().owed == 0
        assert not world.wals.of(user).lines
        booked = {e.exec_id for e in await world.memory.executions(user, 0, 100)}
        assert booked == {e.exec_id for e in world.account(user).executions}
        assert process.engine(user).state.allowed
        await world.end(process)

    run(main)


def test_what_the_local_file_holds_is_in_the_store_before_the_next_process_decides():
    async def main(clock):
        world = World(clock)
        await world.begin()
        process = world.process()
        user = await open_trade(world, process)
        world.weather.down = True
        process.supervisor.control(user, told(user, "close"))
        await clock.sleep(6)
        await process.kill()
        world.weather.down = False
        second = world.process("two")
        await world.ready(second)
        assert not world.wals.of(user).lines
        assert second.engine(user).state.trades[SYMBOL].status == "over"
        booked = {e.exec_id for e in await world.memory.executions(user, 0, 100)}
        assert booked == {e.exec_id for e in world.account(user).executions}
        await world.end(second)

    run(main)


def test_a_local_file_that_another_state_overtook_is_set_aside():
    async def main(clock):
        world = World(clock)
        await world.begin()
        process = world.process()
        user = await open_trade(world, process)
        world.weather.down = True
        process.supervisor.control(user, told(user, "close"))
        await clock.sleep(6)
        await process.kill()
        world.weather.down = False
        elsewhere, world.wals = world.wals, type(world.wals)()  # another machine: no such file
        second = world.process("two")
        await world.ready(second)
        await clock.sleep(2)
        await second.kill()
        world.wals = elsewhere
        third = world.process("three")
        await world.ready(third)
        assert elsewhere.of(user).aside
        booked = {e.exec_id for e in await world.memory.executions(user, 0, 100)}
        assert booked == {e.exec_id for e in world.account(user).executions}
        await world.end(third)

    run(main)


@pytest.mark.parametrize("method", ["commit"])
def test_a_commit_nobody_knows_of_is_read_back_and_the_order_is_sent_once(method):
    async def main(clock):
        world = World(clock)
        await world.begin()
        process = world.process()
        await world.ready(process)
        world.weather.unknown.add(method)
        process.supervisor.signal(world.signal())
        await clock.sleep(5)
        user = world.users[0]
        assert len(world.entries(user)) == 1
        assert world.position(user).stop_loss
        assert not process.engine(user).progress().away
        await world.end(process)

    run(main)


def test_a_full_disk_too_leaves_closes_going():
    async def main(clock):
        world = World(clock)
        await world.begin()
        process = world.process()
        user = await open_trade(world, process)
        world.weather.down = True
        world.wals.of(user).full = True
        process.supervisor.control(user, told(user, "close"))
        await clock.sleep(5)
        assert not world.position(user).is_open
        world.weather.down = False
        await clock.sleep(5)
        booked = {e.exec_id for e in await world.memory.executions(user, 0, 100)}
        assert booked == {e.exec_id for e in world.account(user).executions}
        await world.end(process)

    run(main)


# ---------------------------------------------------------------------------- two processes


def test_a_second_process_stands_by_and_takes_over_when_the_first_is_gone():
    async def main(clock):
        world = World(clock)
        await world.begin()
        first = world.process("one")
        user = await open_trade(world, first)
        second = world.process("two")
        await clock.sleep(5)
        assert second.supervisor.seats[user].standing == "standby"
        assert await first.supervisor.drain() == 0
        await first.kill()
        await clock.sleep(8)
        assert second.supervisor.seats[user].standing == "running"
        assert second.engine(user).state.trades[SYMBOL].size == world.position(user).size
        await world.end(second)

    run(main)


def test_a_process_that_slept_through_its_lease_sends_nothing_and_stops():
    async def main(clock):
        world = World(clock)
        await world.begin()
        first = world.process("one")
        await world.ready(first)
        user = world.users[0]
        lease = first.supervisor.keeper.held[user].lease
        await world.memory.release([lease])  # as if its time had run out while it was paused
        second = world.process("two")
        await clock.sleep(3)
        assert second.supervisor.seats[user].standing == "running"
        first.supervisor.signal(world.signal())
        await clock.sleep(3)
        assert len(world.entries(user)) == 0
        assert first.supervisor.seats[user].standing == "standby"
        second.supervisor.signal(world.signal())
        await clock.sleep(4)
        assert len(world.entries(user)) == 1
        await world.end(first, second)

    run(main)


# ---------------------------------------------------------------------------- the guard


def test_the_guard_restores_a_stop_while_the_engine_is_stuck_in_its_store():
    async def main(clock):
        world = World(clock)
        await world.begin()
        process = world.process()
        user = await open_trade(world, process)
        stop = world.position(user).stop_loss
        world.weather.down = True
        remove(world, user)
        await clock.sleep(3.5)
        assert world.position(user).stop_loss == stop
        assert process.session(user).guard.restored == 1
        await world.end(process)

    run(main)


def remove(world: World, user: str) -> None:
    """A person takes the stop away."""
    uid = world.keys[user].uid
    world.venue.desk.step(
        SetTradingStop(uid=uid, symbol=SYMBOL, tpsl_mode=TpslMode.FULL, stop_loss=Decimal(0))
    )


def test_what_cannot_be_covered_is_closed_and_said():
    async def main(clock):
        world = World(clock)
        await world.begin()
        process = world.process()
        user = await open_trade(world, process)
        fault = Fault(
            kind="error", code=10016, count=500, probability=1.0,
            endpoint="/v5/position/trading-stop",
        )  # fmt: skip
        world.venue.plan.add([fault])
        remove(world, user)
        await clock.sleep(8)
        assert world.position(user).is_open
        await clock.sleep(8)
        assert not world.position(user).is_open
        assert process.session(user).guard.flattened == 1
        rows = await world.memory.outbox(100, clock.now_ms())
        kinds = [row.event_id.split("-")[0] for row in rows]
        assert "naked" in kinds
        assert "flatten" in kinds
        await world.end(process)

    run(main)


def test_a_stop_is_never_loosened():
    async def main(clock):
        world = World(clock)
        await world.begin()
        process = world.process()
        user = await open_trade(world, process)
        stop = world.position(user).stop_loss
        process.supervisor.control(user, told(user, "tighten", "0.5"))
        await clock.sleep(2)
        assert world.position(user).stop_loss == stop + Decimal("0.5")
        process.supervisor.control(user, told(user, "tighten", "0.2"))
        await clock.sleep(2)
        assert world.position(user).stop_loss == stop + Decimal("0.5")
        await world.end(process)

    run(main)


# ---------------------------------------------------------------------------- isolation


class Touchy(Toy):
    """Breaks on a fact of one user's account."""

    victim = ""

    def decide(self, state, message, params):
        if isinstance(message, m.AccountRead) and state.user_id == self.victim:
            raise ValueError("poison")
        return super().decide(state, message, params)


def test_a_poisoned_wish_is_put_aside_and_the_next_one_is_heard():
    async def main(clock):
        world = World(clock)
        await world.begin()
        process = world.process()
        user = await open_trade(world, process)
        engine = process.engine(user)
        process.supervisor.control(user, told(user, "poison"))
        process.supervisor.control(user, told(user, "close"))
        await clock.sleep(3)
        assert not world.position(user).is_open
        assert process.engine(user) is engine
        causes = [row.cause for row in await world.memory.audit(user, 0, 100)]
        assert "dead_letter" in causes
        await world.end(process)

    run(main)


def test_an_engine_that_breaks_again_and_again_enters_nothing_and_the_others_do_not_notice():
    async def main(clock):
        brain = Touchy()
        world = World(clock, users=3, brain=brain)
        brain.victim = world.users[1]
        await world.begin()
        process = world.process()
        await clock.sleep(40)
        victim = process.session(world.users[1])
        assert victim.gate.is_shut("crash loop")
        for user in (world.users[0], world.users[2]):
            assert process.session(user).crashes == 0
        process.supervisor.signal(world.signal())
        await clock.sleep(5)
        assert [len(world.entries(u)) for u in world.users] == [1, 0, 1]
        await world.end(process)

    run(main)


def test_one_burst_of_signals_is_one_transaction_for_many_users():
    async def main(clock):
        world = World(clock, users=20)
        await world.begin()
        process = world.process()
        await world.ready(process)
        before = process.group.transactions
        assert process.supervisor.signal(world.signal()) == 20
        await clock.sleep(0.001)
        commits = [c for c in world.weather.calls if c in ("commit", "commit_many")]
        assert commits[-1] == "commit_many"
        assert process.group.transactions - before <= 3
        await clock.sleep(6)
        assert all(len(world.entries(u)) == 1 for u in world.users)
        await world.end(process)

    run(main)


# ---------------------------------------------------------------------------- people


def test_a_kill_holds_here_at_once_and_in_the_other_process_within_three_seconds():
    async def main(clock):
        world = World(clock, users=2)
        await world.begin()
        one, two = world.users
        first = world.process("one")
        first.supervisor._serves = lambda row: row.user_id == one
        second = world.process("two")
        second.supervisor._serves = lambda row: row.user_id == two
        await clock.sleep(10)
        assert await first.supervisor.kill("", killed=True, actor="admin:1") == 1
        first.supervisor.signal(world.signal())
        await clock.sleep(3)
        second.supervisor.signal(world.signal())
        await clock.sleep(3)
        assert [len(world.entries(u)) for u in world.users] == [0, 0]
        await first.supervisor.kill("", killed=False, actor="admin:1")
        await clock.sleep(3)
        for process in (first, second):
            process.supervisor.signal(world.signal())
        await clock.sleep(4)
        assert [len(world.entries(u)) for u in world.users] == [1, 1]
        await world.end(first, second)

    run(main)


def test_a_kill_survives_the_process_and_an_older_click_does_not_undo_it():
    async def main(clock):
        world = World(clock)
        await world.begin()
        process = world.process()
        await world.ready(process)
        user = world.users[0]
        world.weather.down = True  # it holds all the same, and is written down later
        generation = await process.supervisor.kill(user, killed=True, actor=f"user:{user}")
        process.supervisor.signal(world.signal())
        await clock.sleep(2)
        world.weather.down = False
        await clock.sleep(3)
        await world.memory.set_kill(
            user, killed=False, generation=generation - 1, actor="user:late", at_ms=clock.now_ms()
        )
        await process.kill()
        second = world.process("two")
        await world.ready(second)
        second.supervisor.signal(world.signal())
        await clock.sleep(4)
        assert len(world.entries(user)) == 0
        assert second.engine(user).state.killed
        await world.end(second)

    run(main)


def test_a_kill_between_commit_and_send_recalls_the_entry():
    async def main(clock):
        world = World(clock)
        await world.begin()
        process = world.process()
        await world.ready(process)
        user = world.users[0]
        session = process.session(user)

        def hook(method: str, _user: str) -> None:
            if method == "commit" and SYMBOL in session.engine.state.trades:
                return
            if method == "commit":
                session.gate.shut("kill", "the kill switch is on")

        world.weather.hook = hook
        process.supervisor.signal(world.signal())
        await clock.sleep(30)
        assert len(world.entries(user)) == 0
        assert session.engine.state.trades[SYMBOL].status == "none"
        assert not (await world.memory.load(user)).intents
        await world.end(process)

    run(main)


def test_new_settings_reach_the_engine():
    async def main(clock):
        world = World(clock)
        await world.begin()
        process = world.process()
        await world.ready(process)
        user = world.users[0]
        body = msgspec.json.encode(UserSettings(intervals_ms=(900_000,)))
        await world.memory.add_settings(
            SettingsRow(user_id=user, version=2, body=body, created_ms=2)
        )
        await clock.sleep(17)  # nobody tells: another process wrote them
        assert process.engine(user).state.settings_version == 2
        await world.memory.add_settings(
            SettingsRow(user_id=user, version=3, body=b'{"leverage": "much"}', created_ms=3)
        )
        await clock.sleep(17)
        assert process.engine(user).state.settings_version == 2
        assert process.log.events().count("settings cannot be read") == 1
        assert process.supervisor.signal(world.signal()) == 0  # of an interval no longer wanted
        await world.end(process)

    run(main)


# ---------------------------------------------------------------------------- lost answers


@pytest.mark.parametrize("kind", ["lost_reply", "lost_request", "http_after", "error_after"])
@pytest.mark.parametrize("seed", [1, 2])
def test_an_answer_that_is_lost_is_looked_up_and_never_asked_for_twice(kind, seed):
    async def main(clock):
        world = World(clock, seed=seed)
        await world.begin()
        process = world.process()
        await world.ready(process)
        more: dict[str, Any] = {"http_after": {"status": 502}, "error_after": {"code": 10016}}.get(
            kind, {}
        )
        fault = Fault(kind=kind, count=1, probability=1.0, endpoint="/v5/order/create", **more)
        world.venue.plan.add([fault])
        process.supervisor.signal(world.signal())
        await clock.sleep(40)
        user = world.users[0]
        assert len(world.entries(user)) == 1
        assert process.engine(user).progress().unknown == 0
        await world.end(process)

    run(main, seed)


def test_a_drain_takes_no_signal_and_leaves_no_lease():
    async def main(clock):
        world = World(clock)
        await world.begin()
        process = world.process()
        await world.ready(process)
        user = world.users[0]
        begun = clock.monotonic_s()
        assert await process.supervisor.drain() == 0
        assert clock.monotonic_s() - begun < 8.5
        assert process.supervisor.signal(world.signal()) == 0
        leases = await world.memory.leases()
        assert all(lease.expires_ms <= clock.now_ms() for lease in leases)
        assert len(world.entries(user)) == 0
        await world.end(process)

    run(main)
