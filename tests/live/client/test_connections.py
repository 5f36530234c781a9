"""The budget of connections: who goes first, and what an outage leaves of it."""

import asyncio
import contextlib

from live.clock import ManualClock
from live.venues.bybit.budget import DOWN_AFTER, Rank, WindowBudget
from live.venues.trading import StreamDown, StreamUp
from tests.live.client.fakes import Running, settle
from tests.live.client.test_schedule import within
from tests.live.client.test_streams import Private


async def test_who_has_something_at_stake_goes_first():
    clock = ManualClock()
    budget = WindowBudget(clock, 1, 300.0)
    await budget.take()
    order: list[Rank] = []

    async def want(rank: Rank) -> None:
        await budget.take(rank)
        order.append(rank)

    ranks = [Rank.ORDERS, Rank.PRIVATE, Rank.EXPOSED, Rank.MARKET]
    tasks = [asyncio.create_task(want(rank)) for rank in ranks]
    async with Running(clock, step_s=10.0):
        await asyncio.gather(*tasks)
    assert order == sorted(ranks)
    assert clock.monotonic_s() >= 1200.0


async def test_a_place_that_nobody_waits_for_any_more_is_not_used_up():
    clock = ManualClock()
    budget = WindowBudget(clock, 1, 300.0)
    await budget.take()
    first, second = (asyncio.create_task(budget.take()) for _ in range(2))
    await settle()
    first.cancel()
    clock.advance(300.0)
    await settle()
    assert second.done()


async def test_after_an_outage_everybody_is_back_in_three_windows_the_exposed_at_once():
    clock = ManualClock()
    budget = WindowBudget(clock, 400, 300.0)
    outage_s = 900.0
    moments: list[float] = []
    back: dict[int, float] = {}

    async def user(number: int) -> None:
        rank = Rank.EXPOSED if number % 5 == 0 else Rank.PRIVATE  # 200 of 1,000
        while True:
            await budget.take(rank)
            now_s = clock.monotonic_s()
            moments.append(now_s)
            if now_s >= outage_s:
                budget.worked()
                back[number] = now_s - outage_s
                return
            budget.failed()
            await clock.sleep(15.0 + number % 16)

    tasks = [asyncio.create_task(user(n)) for n in range(1000)]
    async with Running(clock, step_s=1.0):
        await asyncio.gather(*tasks)
    assert within_fast(moments, 300.0) <= 400
    waits = sorted(back.values())
    assert waits[300] <= 10.0  # the outage has used up no more than a quarter of the window
    assert waits[-1] <= 900.0
    exposed = [waited for number, waited in back.items() if number % 5 == 0]
    # the few that sleep off their last failure excepted, they come before all the others
    assert sorted(exposed)[-1] <= 35.0


def within_fast(moments: list[float], length_s: float) -> int:
    """The most of these sorted moments that fall into any window."""
    worst = first = 0
    for last, moment in enumerate(moments):
        while moments[first] + length_s <= moment:
            first += 1
        worst = max(worst, last - first + 1)
    return worst


def test_the_two_ways_to_count_agree():
    moments = [0.0, 1.0, 1.5, 4.0, 4.5, 4.6, 9.0]
    assert within_fast(moments, 3.0) == within(moments, 3.0) == 3


async def test_one_probe_at_a_time_while_nobody_gets_through():
    clock = ManualClock()
    budget = WindowBudget(clock, 400, 300.0)
    for _ in range(DOWN_AFTER):
        await budget.take()
        budget.failed()
    tasks = [asyncio.create_task(budget.take()) for _ in range(50)]
    async with Running(clock, step_s=0.5):
        await clock.sleep(9.5)
    assert sum(task.done() for task in tasks) == 3
    budget.worked()
    await settle()
    assert all(task.done() for task in tasks)


async def test_a_key_that_was_refused_by_mistake_comes_back():
    world = Private()
    world.sockets.auth_reply = {"success": False, "ret_msg": "busy", "op": "auth", "conn_id": "c"}
    await world.stream.start()
    async with Running(world.clock, step_s=0.5):
        await world.clock.sleep(60.0)
        items = await world.stream.batch()
        assert isinstance(items[-1], StreamDown)
        assert items[-1].fatal
        world.sockets.auth_reply = None
        await world.clock.sleep(300.0)
        assert await world.stream.batch() == [StreamUp(4)]
    assert world.stream.keeper.fatal == ""
    await world.stream.close()


async def test_an_error_of_a_library_while_connecting_ends_no_stream():
    world = Private()
    whole = world.sockets.__call__

    async def broken(_: str) -> object:
        raise RuntimeError("of a kind that nobody expected")

    world.stream.keeper._connect = broken  # type: ignore[assignment]
    await world.stream.start()
    async with Running(world.clock, step_s=0.5):
        await world.clock.sleep(600.0)
        assert len(world.stream.keeper.crashes) == 20  # told, and bounded
        world.stream.keeper._connect = whole
        assert await world.stream.batch() == [StreamUp(1)]
    with contextlib.suppress(asyncio.CancelledError):
        await world.stream.close()
