"""One user's trouble is one user's: slow answers, bad keys, refused leverage; paper in the open."""

from decimal import Decimal
from typing import Any

from engine.account import messages as m
from engine.account.settings import UserSettings
from live.accounts.brain import AccountBrain
from live.accounts.paper_desk import ByMode, PaperDesk
from live.accounts.ports import NoAccount
from live.accounts.wal import MemoryWals
from live.venues.bybit.faults import Fault
from live.venues.trading import Unknown
from tests.live.accounts.world import SYMBOL, World, run

SETTINGS = UserSettings(intervals_ms=(60_000,))


class Slow:
    """A venue whose every answer takes its time."""

    def __init__(self, venue: Any, clock: Any, wait_s: float) -> None:
        self._venue = venue
        self._clock = clock
        self._wait_s = wait_s

    def __getattr__(self, name: str) -> Any:
        return getattr(self._venue, name)

    async def place(self, order: Any, **_: Any) -> Any:
        await self._clock.sleep(self._wait_s)
        return Unknown(order.order_link_id, "no answer", self._clock.now_ms())


def test_one_users_slow_venue_delays_nobody_else():
    async def main(clock):
        world = World(clock, users=3, brain=AccountBrain())
        world.calm()
        slow = world.users[1]
        await world.begin(SETTINGS)
        process = world.process()
        keys = {world.keys[u].key: u for u in world.users}
        world.wrap = lambda venue, _: (
            Slow(venue, clock, 30.0)
            if keys[venue.auth.signer.api_key] == slow
            else venue
        )  # fmt: skip
        await world.ready(process)
        begun = clock.monotonic_s()
        process.supervisor.signal(world.signal(over_bps=-30))
        while sum(len(world.entries(u)) for u in world.users) < 2:
            await clock.sleep(0.05)
        assert clock.monotonic_s() - begun < 1.0
        assert not world.entries(slow)
        lags = [process.engine(u).progress().lag_s for u in world.users]
        assert max(lags) < 0.5  # not even the slow one's inbox waits for its order
        await world.end(process)

    run(main)


def test_a_key_that_is_refused_in_mid_life_pauses_its_user_loudly():
    async def main(clock):
        world = World(clock, users=2, brain=AccountBrain())
        world.calm()
        await world.begin(SETTINGS)
        process = world.process()
        await world.ready(process)
        bad, good = world.users
        world.venue.desk.keys.change(world.keys[bad].key, expires_ms=0)
        await clock.sleep(70)
        process.supervisor.signal(world.signal(over_bps=-30))
        await clock.sleep(5)
        assert [len(world.entries(u)) for u in (bad, good)] == [0, 1]
        assert process.engine(bad).state.key_refused or not process.engine(bad).state.read_ms
        await world.end(process)

    run(main)


def test_an_account_that_is_refused_is_not_traded_and_says_why():
    async def main(clock):
        world = World(clock, users=2)
        await world.begin()
        world.refusals[world.users[0]] = NoAccount((("key_withdraw", "the key may withdraw"),))
        process = world.process()
        opened = process.open

        async def open_account(user):
            refusal = world.refusals.get(user.user_id)
            return refusal if refusal is not None else await opened(user)

        process.open = open_account
        await clock.sleep(10)
        seats = process.supervisor.seats
        assert seats[world.users[0]].standing == "refused"
        assert "withdraw" in seats[world.users[0]].why
        assert seats[world.users[1]].standing == "running"
        await world.end(process)

    run(main)


def test_no_entry_at_a_leverage_that_was_refused():
    async def main(clock):
        world = World(clock, brain=AccountBrain())
        world.calm()
        await world.begin(SETTINGS)
        process = world.process()
        await world.ready(process)
        fault = Fault(
            kind="error", code=110013, count=50, probability=1.0,
            endpoint="/v5/position/set-leverage",
        )  # fmt: skip
        world.venue.plan.add([fault])
        process.supervisor.signal(world.signal(over_bps=-30))
        await clock.sleep(10)
        user = world.users[0]
        assert not world.entries(user)
        assert not process.engine(user).state.trades
        assert not (await world.memory.load(user)).intents
        await world.end(process)

    run(main)


def test_a_paper_user_trades_without_a_key_and_survives_a_restart():
    async def main(clock):
        world = World(clock, brain=AccountBrain())
        world.calm()
        journals = MemoryWals()
        await world.begin(SETTINGS)
        user = world.users[0]

        def paper(name: str) -> tuple[Any, PaperDesk]:
            process = world.process(name)
            desk = PaperDesk(clock, process.facts, journals)
            by_mode = ByMode(desk, desk)
            process.open = by_mode.open
            return process, desk

        async def move(desk: PaperDesk, process: Any, to: Decimal) -> None:
            world.price(to)
            desk.see(SYMBOL, process.facts.quote(SYMBOL))
            await clock.sleep(2)

        process, desk = paper("one")
        await world.ready(process)
        process.supervisor.signal(world.signal(over_bps=-30))
        await clock.sleep(2)
        await move(desk, process, world.last() * Decimal("0.99"))
        (trade,) = process.engine(user).state.trades.values()
        assert trade.qty > 0
        assert trade.status == "open"
        assert not world.account(user).orders  # nothing of it went to a venue
        await process.kill()
        second, desk = paper("two")
        await world.ready(second)
        await clock.sleep(3)
        (again,) = second.engine(user).state.trades.values()
        assert (again.trade_id, again.qty, again.stop_loss) == (
            trade.trade_id, trade.qty, trade.stop_loss,
        )  # fmt: skip
        await move(desk, second, trade.plan.stop * Decimal("0.98"))
        await clock.sleep(5)
        assert not second.engine(user).state.trades
        (ended,) = second.engine(user).state.ended.values()
        assert ended.exit_kind == "stop"
        booked = await world.memory.executions(user, 0, 100)
        assert {e.side for e in booked} == {"Buy", "Sell"}
        await world.end(second)

    run(main)


def test_a_wish_is_heard_while_the_market_floods_the_inbox():
    async def main(clock):
        world = World(clock, brain=AccountBrain())
        world.calm()
        await world.begin(SETTINGS)
        process = world.process()
        await world.ready(process)
        user = world.users[0]
        process.supervisor.signal(world.signal(over_bps=-30))
        await clock.sleep(2)
        session = process.session(user)
        for n in range(5_000):
            session.put(
                m.BarClosed(
                    at_ms=0, symbol=SYMBOL, interval_ms=60_000, ts=n, open=1.0, high=1.0, low=1.0,
                    close=1.0,
                )
            )  # fmt: skip
        session.put(m.Control(at_ms=0, action="pause", actor="user:1"))
        await clock.sleep(0.3)
        assert process.engine(user).state.paused
        await clock.sleep(2)
        assert not [o for o in world.account(user).open_orders.values() if not o.reduce_only]
        await world.end(process)

    run(main)
