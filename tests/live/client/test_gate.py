"""One request: what is sent again, what never, and what stops everything."""

import asyncio

import pytest

from live.venues.bybit.gate import TIME_PATH, Held, Lost, Said
from live.venues.bybit.transport import NoReply, Reply
from live.venues.trading import Priority
from tests.live.client.fakes import Running, World, envelope, settle

CREATE = "/v5/order/create"


async def post(world: World, path: str = CREATE):
    return await world.gate.call(
        "POST", path, {"a": "1"}, user="u1", auth=world.venue.auth, priority=Priority.ENTRY
    )


async def test_outside_the_window_reads_the_clock_and_sends_the_same_once_more():
    world = World()
    world.transport.skew_ms = -7000  # our clock is ahead
    world.transport.script(CREATE, envelope(code=10002, message="time"), envelope({"orderId": "7"}))
    said = await post(world)
    assert isinstance(said, Said)
    assert said.code == 0
    assert world.transport.signed[0] == world.transport.signed[1]  # the same bytes
    assert len(world.transport.calls(TIME_PATH)) == 1
    assert abs(world.venue_clock.now_ms() - (world.clock.now_ms() - 7000)) <= 1


async def test_outside_the_window_twice_is_given_up():
    world = World()
    world.transport.script(CREATE, envelope(code=10002))
    said = await post(world)
    assert isinstance(said, Said)
    assert said.code == 10002
    assert len(world.transport.calls(CREATE)) == 2


async def test_many_refused_timestamps_share_one_reading_of_the_clock():
    world = World()
    world.transport.latency_s = 0.1
    world.transport.script(CREATE, *[envelope(code=10002)] * 5, envelope())
    async with Running(world.clock):
        answers = await asyncio.gather(*(post(world) for _ in range(5)))
    assert [a.code for a in answers if isinstance(a, Said)] == [0] * 5
    assert len(world.transport.calls(TIME_PATH)) == 1


@pytest.mark.parametrize(
    ("headers", "least_s", "most_s"),
    [
        ({}, 1.0, 1.1),
        ({"x-bapi-limit-reset-timestamp": "1"}, 0.0, 0.1),  # past
        ({"x-bapi-limit-reset-timestamp": "1700000000700"}, 0.6, 0.8),
        ({"x-bapi-limit-reset-timestamp": "1800000000000"}, 2.0, 2.1),  # absurd: clamped
        ({"x-bapi-limit-reset-timestamp": "soon"}, 1.0, 1.1),
    ],
)
async def test_too_many_visits_waits_for_the_reset(headers, least_s, most_s):
    world = World()
    full = Reply(200, envelope(code=10006, message="Too many visits!"), headers)
    world.transport.script(CREATE, full, envelope())
    async with Running(world.clock):
        said = await post(world)
    assert isinstance(said, Said)
    assert said.code == 0
    assert least_s <= world.clock.monotonic_s() <= most_s + 0.2
    assert len(world.transport.calls(CREATE)) == 2


async def test_too_many_visits_for_ever_is_refused_with_a_wait():
    world = World()
    world.transport.script(CREATE, envelope(code=10006))
    async with Running(world.clock):
        said = await post(world)
    assert isinstance(said, Said)
    assert said.code == 10006
    assert said.retry_after_s
    assert len(world.transport.calls(CREATE)) == 3


async def test_a_locked_out_address_sends_nothing_for_ten_minutes():
    world = World()
    world.transport.script(CREATE, Reply(403, b"access too frequent"), envelope())
    first = await post(world)
    assert isinstance(first, Held)
    assert first.banned
    assert first.code == 403
    for _ in range(5):
        again = await post(world)
        assert isinstance(again, Held)
        assert again.banned
    assert len(world.transport.sent) == 1
    world.clock.advance(599.0)
    assert isinstance(await post(world), Held)
    world.clock.advance(1.1)
    assert isinstance(await post(world), Said)


async def test_a_ban_reaches_those_who_wait():
    world = World()
    world.transport.latency_s = 0.2
    world.transport.script(CREATE, Reply(403, b""), envelope())
    async with Running(world.clock):
        answers = await asyncio.gather(*(post(world) for _ in range(30)))
    assert len(world.transport.sent) == 6  # what entries may take of the user's first second
    banned = [a for a in answers if isinstance(a, Held) and a.banned]
    assert len(banned) >= 23


NONE = [
    b"",
    b"null",
    b"[]",
    b"7",
    b"<html>502</html>",
    b'{"retCode":0,"result":{"orderId":"1"',
    b'{"retCode":0,"retCode":10006}',
    b'{"retCode":"0"}',
    b'{"retCode":true}',
    b'{"retCode":null,"retMsg":"OK"}',
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b"\xff\xfe\x00",
    b'{"retCode":0}' + b"x",
    b"NaN",
]


@pytest.mark.parametrize("body", NONE, ids=range(len(NONE)))
@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_an_answer_that_is_none_is_lost(body, method):
    if method == "GET" and body == NONE[6]:
        return  # a reading may say something twice: the last word counts
    world = World()
    path = CREATE if method == "POST" else "/v5/order/realtime"
    world.transport.script(path, body)
    answer = await world.gate.call(method, path, {}, user="u1", auth=world.venue.auth)
    assert isinstance(answer, Lost)
    assert len(world.transport.sent) == 1


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(500, b"x"), Lost),
        (Reply(502, envelope()), Lost),
        (Reply(302, b""), Lost),
        (Reply(404, b"<html>"), Held),
        (Reply(401, b""), Held),
        (Reply(429, b""), Held),
        (Reply(200, envelope()), Said),
        (Reply(401, envelope(code=10003)), Said),
        (Reply(404, envelope(code=0)), Held),
        (NoReply("x", maybe_sent=False), Held),
        (NoReply("x", maybe_sent=True), Lost),
    ],
    ids=str,
)
async def test_statuses(reply, kind):
    world = World()
    world.transport.script(CREATE, reply)
    assert isinstance(await post(world), kind)
    assert len(world.transport.sent) == 1


async def test_a_wait_that_is_cancelled_takes_nothing_along():
    world = World()
    for _ in range(6):  # all that entries may take of a second
        await post(world)
    waiting = asyncio.create_task(post(world))
    await settle()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert world.budget.scheduler.waiting == 0
    assert world.budget.scheduler.in_flight == 0
    assert len(world.transport.sent) == 6
    await world.gate.close()


async def test_an_entry_that_waits_too_long_is_not_sent():
    world = World()
    world.budget.block("u1", CREATE, 100.0)
    async with Running(world.clock, step_s=0.5):
        answer = await post(world)
    assert isinstance(answer, Held)
    assert not answer.banned
    assert world.transport.sent == []
    await world.gate.close()


async def test_a_caller_that_leaves_does_not_free_the_place_of_its_request():
    world = World()
    world.transport.latency_s = 5.0
    left = asyncio.create_task(post(world))
    await settle()
    left.cancel()
    with pytest.raises(asyncio.CancelledError):
        await left
    assert world.gate.abandoned == 1
    assert world.budget.scheduler.in_flight == 1  # its thread is still at it
    assert world.budget.scheduler.ip.flying == 1
    async with Running(world.clock, step_s=0.5):
        await world.clock.sleep(6.0)
    assert world.budget.scheduler.in_flight == 0
    assert world.budget.scheduler.ip.flying == 0
    await world.gate.close()
