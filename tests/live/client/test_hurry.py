"""A reading of the account that could wait, and what then makes it hurry."""

import asyncio

from engine.account.guard import PlannedStop
from live.accounts.guard import StopGuard
from live.venues.trading import Priority, StreamDown, StreamUp
from tests.engine.test_account_view import fill
from tests.live.client.fakes import START_MS, Running, settle
from tests.live.client.test_resync import D, Feed, running


async def _checking(f: Feed) -> None:
    """Bring a feed into a check of its living stream, which waits for a turn."""
    f.stream.say(StreamUp(1))
    await settle()
    f.account.pause = asyncio.Event()
    async with Running(f.clock, step_s=1.0):
        await f.clock.sleep(61.0)
    assert f.account.ranks[-1] == Priority.POLL
    assert f.view.stale


async def test_an_account_that_does_something_does_not_wait_for_a_turn_of_the_lowest_rank():
    async with running() as f:
        await _checking(f)
        before = len(f.account.ranks)
        f.stream.say(fill(1, 1, START_MS + 1), fill(1, 2, START_MS + 2))
        await settle()
        assert f.account.ranks[before:] == [Priority.RECONCILE]  # once, whatever follows
        f.account.pause.set()
        await settle(100)
        assert f.fills() == ["e1-1", "e1-2"]
        assert not f.view.stale


async def test_an_order_that_the_venue_took_lets_a_reading_hurry_too():
    async with running() as f:
        await _checking(f)
        f.feed.expect("link", "AUSDT", START_MS)
        await settle()
        assert f.account.ranks[-1] == Priority.RECONCILE


async def test_a_check_of_a_stream_that_lives_blinds_nobody_until_it_tells_something():
    async with running() as f:
        assert not f.feed.sees
        await _checking(f)
        assert f.feed.sees
        f.stream.say(fill(1, 1, START_MS + 1))
        await settle()
        assert not f.feed.sees
        f.account.pause.set()
        await settle(100)
        assert f.feed.sees
        f.stream.say(StreamDown(1, "cut"))
        await settle()
        assert not f.feed.sees


async def test_the_guards_own_readings_leave_room_for_stops_and_for_the_readings_that_end_them():
    plan = PlannedStop(trade_id="a" * 24, symbol="AUSDT", side="Buy", stop_loss=D(95))
    async with running() as f:
        await _checking(f)
        asked: list[Priority] = []
        positions = f.account.positions

        async def read(*, priority: Priority) -> object:
            asked.append(priority)
            return await positions(priority=priority)

        f.account.positions = read
        f.account.pause.set()
        f.stream.say(StreamDown(1, "cut"))
        await settle(100)
        asked.clear()
        guard = StopGuard(
            "u", f.account, f.feed, lambda: {"AUSDT": plan}, f.clock, alarm=lambda _: None, log=None
        )  # fmt: skip
        await guard.look()
        assert asked == [Priority.RECONCILE]
