"""The private stream and the order stream over sockets that misbehave, in virtual time."""

import asyncio
import json

import numpy as np
import pytest

from engine.venue.reports import ExecutionReport, OrderReport, PositionReport, WalletReport
from live.venues.bybit.gate import Lost
from live.venues.bybit.keeper import KeeperOptions
from live.venues.bybit.private_stream import BybitPrivateStream
from live.venues.bybit.trade_stream import TradeStream
from live.venues.bybit.trading import BybitTrading
from live.venues.trading import Accepted, Priority, Refused, StreamDown, StreamUp, Unknown
from tests.live.client.fakes import (
    START_MS,
    FakeVenueSockets,
    Running,
    World,
    envelope,
    order_row,
    settle,
)
from tests.live.client.test_trading import CREATE, buy


class Private(World):
    """A client with a private stream."""

    def __init__(self, **options: object) -> None:
        super().__init__()
        self.sockets = FakeVenueSockets()
        more: dict = options
        self.stream = BybitPrivateStream(
            "ws://venue/",
            self.signer,
            self.venue_clock,
            self.clock,
            np.random.default_rng(3),
            connections=self.budget.connections,
            connect=self.sockets,
            **more,
        )

    async def up(self) -> None:
        await self.stream.start()
        await settle()
        assert await self.stream.batch() == [StreamUp(len(self.sockets.sockets))]


def push(topic: str, *rows: dict, at: int = START_MS) -> dict:
    return {"id": "1", "topic": topic, "creationTime": at, "data": list(rows)}


def fill_row(n: int) -> dict:
    return {
        "category": "linear",
        "execId": f"e{n}",
        "symbol": "BTCUSDT",
        "side": "Buy",
        "orderId": "o",
        "orderLinkId": "l",
        "execPrice": "1",
        "execQty": "1",
        "execTime": str(START_MS + n),
        "execType": "Trade",
        "seq": n,
    }


async def test_auth_is_acknowledged_before_the_subscription_and_that_before_up():
    world = Private()
    await world.up()
    auth, subscribe, *_ = [m for m in world.sockets.last.sent if m["op"] != "ping"]
    assert auth["args"][1] >= START_MS + 5000
    assert subscribe["args"] == ["order", "execution", "position", "wallet"]
    assert world.stream.up
    await world.stream.close()


async def test_every_topic_becomes_reports():
    world = Private()
    await world.up()
    socket = world.sockets.last
    socket.push(push("order", order_row("a") | {"category": "linear"}, order_row("b")))
    socket.push(push("execution", fill_row(1), fill_row(2)))
    socket.push(push("position", {"symbol": "BTCUSDT", "size": "0", "side": "", "seq": 5}))
    wallet = {"coin": [{"coin": "USDT", "walletBalance": "5"}]}
    socket.push(push("wallet", wallet, at=START_MS + 9))
    socket.push(push("greeks", {"x": 1}))
    await settle()
    items = await world.stream.batch()
    kinds = [OrderReport, OrderReport, ExecutionReport, ExecutionReport]
    assert [type(i) for i in items] == [*kinds, PositionReport, WalletReport]
    assert isinstance(items[-1], WalletReport)
    assert items[-1].updated_time == START_MS + 9
    assert world.stream.counters.unknown_topics == 1
    await world.stream.close()


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\x00\xff\xfe",
        b"[" * 50_000,
        b'{"topic":"order","data":[',
        b"[]",
        b"{}",
        b'{"topic":[]}',
        b"x" * (2**20 + 1),
        json.dumps(push("order", {"orderId": "9"})).encode(),
    ],
    ids=range(9),
)
async def test_a_frame_that_cannot_be_read_costs_itself_and_asks_for_a_snapshot(frame):
    world = Private()
    await world.up()
    for _ in range(50):
        world.sockets.last.push(frame)
    world.sockets.last.push(push("execution", fill_row(1)))
    await settle(300)
    items = await world.stream.batch()
    assert [type(i) for i in items] == [StreamUp, ExecutionReport]  # once for all fifty
    assert world.stream.counters.malformed + world.stream.counters.bad_rows == 50
    assert len(world.sockets.sockets) == 1
    await world.stream.close()


async def test_a_cut_is_told_and_healed():
    world = Private()
    await world.up()
    world.sockets.last.cut()
    async with Running(world.clock):
        down, up = [await world.stream.batch() for _ in range(2)]
    assert isinstance(down[0], StreamDown)
    assert not down[0].fatal
    assert up == [StreamUp(2)]
    await world.stream.close()


async def test_silence_is_found_out_within_20_s():
    world = Private()
    await world.up()
    world.sockets.pongs = False
    began_s = world.clock.monotonic_s()
    async with Running(world.clock, step_s=0.05):
        (down,) = await world.stream.batch()
        assert isinstance(down, StreamDown)
        assert world.clock.monotonic_s() - began_s <= 20.0
        assert await world.stream.batch() == [StreamUp(2)]
    await world.stream.close()


async def test_pongs_keep_a_quiet_stream_alive():
    world = Private()
    await world.up()
    async with Running(world.clock, step_s=0.25):
        await world.clock.sleep(200.0)
    assert len(world.sockets.sockets) == 1
    assert 8 <= world.sockets.last.ops().count("ping") <= 25
    await world.stream.close()


async def test_pongs_without_the_data_that_must_come_is_a_stall():
    world = Private()
    await world.up()
    world.stream.expect_data(world.clock.monotonic_s())
    began_s = world.clock.monotonic_s()
    async with Running(world.clock, step_s=0.05):
        (down,) = await world.stream.batch()
        assert isinstance(down, StreamDown)
        assert 14.9 <= world.clock.monotonic_s() - began_s <= 20.0
        await world.stream.batch()
    assert world.stream.counters.stalls == 1
    await world.stream.close()


async def test_data_that_came_ends_the_wait_for_it():
    world = Private()
    await world.up()
    world.stream.expect_data(world.clock.monotonic_s())
    world.sockets.last.push(push("execution", fill_row(1)))
    await settle()
    world.stream.expect_data(-1.0)  # its data came before the answer
    async with Running(world.clock, step_s=0.25):
        await world.clock.sleep(40.0)
    assert len(world.sockets.sockets) == 1
    await world.stream.close()


async def test_a_refused_subscription_is_down_and_tried_again_slower_and_slower():
    world = Private()
    world.sockets.subscribe_ok = False
    await world.stream.start()
    async with Running(world.clock, step_s=0.1):
        await world.clock.sleep(120.0)
    tries = len(world.sockets.sockets)
    assert 6 <= tries <= 14
    items = await world.stream.batch()
    assert {type(i) for i in items} == {StreamDown}
    world.sockets.subscribe_ok = True
    async with Running(world.clock, step_s=0.1):
        assert await world.stream.batch() == [StreamUp(tries + 1)]
    await world.stream.close()


async def test_a_refused_key_is_fatal_and_not_tried_for_ever():
    world = Private()
    bad = {"success": False, "ret_msg": "Params Error", "op": "auth", "conn_id": "c"}
    world.sockets.auth_reply = bad
    await world.stream.start()
    async with Running(world.clock, step_s=0.1):
        await world.clock.sleep(120.0)
    items = await world.stream.batch()
    assert [isinstance(i, StreamDown) and i.fatal for i in items] == [False, False, True]
    assert len(world.sockets.sockets) == 3
    await world.stream.close()


async def test_reconnections_keep_to_the_budget_whatever_happens():
    world = Private(options=KeeperOptions(backoff_first_s=0.001, backoff_max_s=0.001))
    world.sockets.refuse = 10**9
    await world.stream.start()
    async with Running(world.clock, step_s=0.1):
        await world.clock.sleep(290.0)
    assert world.stream.keeper.failed_connects <= 400
    await world.stream.close()


async def test_a_slow_reader_loses_no_execution_and_reads_the_newest_orders():
    world = Private(items_waiting_max=20)
    await world.up()
    for n in range(100):
        at = n ^ 1  # each pair the wrong way round
        stamp = {"updatedTime": str(START_MS + at), "cumExecQty": str(at)}
        world.sockets.last.push(push("order", order_row("a", qty="200", **stamp)))
        world.sockets.last.push(push("execution", fill_row(n)))
    fills: list[str] = []
    newest = 0
    async with Running(world.clock):
        while len(fills) < 100:
            items = await world.stream.batch()
            assert len(items) <= 20
            for item in items:
                if isinstance(item, ExecutionReport):
                    fills.append(item.exec_id)
                else:
                    assert isinstance(item, OrderReport)
                    newest = max(newest, item.updated_time)
            await settle(5)
    assert fills == [f"e{n}" for n in range(100)]
    assert newest == START_MS + 99
    assert world.stream.counters.conflated > 0
    assert len(world.sockets.sockets) == 1
    await world.stream.close()


# ---------------------------------------------------------------------------- order stream


class Trade(World):
    """A client with an order stream."""

    def __init__(self) -> None:
        super().__init__()
        self.sockets = FakeVenueSockets(trade=True)
        self.stream = TradeStream(
            "ws://venue",
            self.signer,
            self.gate,
            self.clock,
            np.random.default_rng(3),
            connections=self.budget.connections,
            connect=self.sockets,
        )
        self.told: list[float] = []
        self.venue = BybitTrading(
            self.gate, self.signer, user="u1", stream=self.stream, on_accepted=self.told.append
        )

    async def up(self) -> None:
        await self.stream.start()
        await settle()
        assert self.stream.ready

    async def place(self, link: str = "a1"):
        return await self.venue.place(buy(link), priority=Priority.ENTRY)


async def test_an_order_goes_by_the_stream_and_not_by_http():
    world = Trade()
    await world.up()
    assert await world.place() == Accepted("id-a1", "a1")
    (frame,) = [m for m in world.sockets.last.sent if m["op"] == "order.create"]
    assert frame["args"][0]["orderLinkId"] == "a1"
    assert len(frame["reqId"]) <= 36
    assert world.transport.sent == []
    assert world.told == [0.0]
    await world.venue.close()


async def test_answers_find_their_requests_in_any_order():
    world = Trade()
    await world.up()
    world.sockets.acks = False
    waiting = [asyncio.create_task(world.place(f"a{n}")) for n in range(5)]
    await settle()
    frames = [m for m in world.sockets.last.sent if m["op"] == "order.create"]
    assert len({m["reqId"] for m in frames}) == 5
    for frame in reversed(frames):
        world.sockets.last.push(world.sockets.ack(frame))
    results = await asyncio.gather(*waiting)
    assert results == [Accepted(f"id-a{n}", f"a{n}") for n in range(5)]
    await world.venue.close()


async def test_an_answer_that_does_not_come_is_unknown_and_not_sent_by_http():
    world = Trade()
    await world.up()
    world.sockets.acks = False
    async with Running(world.clock, step_s=0.1):
        result = await world.place()
    assert isinstance(result, Unknown)
    assert result.order_link_id == "a1"
    assert world.transport.sent == []
    await world.venue.close()


async def test_a_cut_with_orders_on_their_way_leaves_them_unknown():
    world = Trade()
    await world.up()
    world.sockets.acks = False
    waiting = [asyncio.create_task(world.place(f"a{n}")) for n in range(3)]
    await settle()
    world.sockets.last.cut()
    results = await asyncio.gather(*waiting)
    assert {type(r) for r in results} == {Unknown}
    assert world.transport.sent == []
    await world.venue.close()


async def test_closing_leaves_what_is_on_its_way_unknown():
    world = Trade()
    await world.up()
    world.sockets.acks = False
    waiting = asyncio.create_task(world.place())
    await settle()
    await world.venue.close()
    assert isinstance(await waiting, Unknown)


async def test_without_the_stream_orders_go_by_http():
    world = Trade()
    world.sockets.refuse = 10**6
    world.transport.script(CREATE, envelope({"orderId": "7"}))
    await world.stream.start()
    await settle()
    assert await world.place() == Accepted("7", "a1")
    assert len(world.transport.calls(CREATE)) == 1
    await world.venue.close()


async def test_a_refusal_by_the_stream_is_a_refusal():
    world = Trade()
    await world.up()
    world.sockets.order_code = 110007
    result = await world.place()
    assert isinstance(result, Refused)
    assert result.code == 110007
    assert world.transport.sent == []
    await world.venue.close()


async def test_a_restart_of_the_venue_moves_on_to_a_new_connection():
    world = Trade()
    await world.up()
    world.sockets.order_code = 10019
    assert isinstance(await world.place(), Refused)
    assert not world.stream.ready
    world.sockets.order_code = 0
    async with Running(world.clock, step_s=0.1):
        await world.clock.sleep(20.0)
    assert await world.place() == Accepted("id-a1", "a1")
    await world.venue.close()


async def test_a_key_refused_by_the_order_stream_is_not_tried_again():
    world = Trade()
    world.sockets.auth_reply = {"retCode": 33004, "retMsg": "expired", "op": "auth", "connId": "c"}
    await world.stream.start()
    async with Running(world.clock, step_s=0.1):
        await world.clock.sleep(60.0)
    assert len(world.sockets.sockets) == 1
    assert "33004" in world.stream.keeper.fatal
    await world.venue.close()


async def test_garbage_on_the_order_stream_is_counted_and_costs_nothing():
    world = Trade()
    await world.up()
    for frame in (b"", b"[]", b"\xff", b'{"retCode":0}', b"[" * 9999, b"x" * (2**20 + 1)):
        world.sockets.last.push(frame)
    await settle(100)
    assert await world.place() == Accepted("id-a1", "a1")
    assert world.stream.counters.malformed == 5
    await world.venue.close()


async def test_the_ceiling_of_the_signer_holds_for_frames_too():
    world = Trade()
    await world.up()
    for _ in range(20):
        world.signer.count_order(0.0)
    result = await world.place()
    assert isinstance(result, Refused)
    assert world.sockets.last.ops().count("order.create") == 0
    assert world.transport.sent == []
    await world.venue.close()


async def test_a_peer_that_no_longer_reads_holds_nobody_for_ever():
    world = Trade()
    await world.up()
    stuck = asyncio.Event()

    async def never(_: bytes) -> None:
        await stuck.wait()

    world.sockets.last.send = never  # type: ignore[method-assign]
    async with Running(world.clock, step_s=0.1):
        assert isinstance(await world.place(), Unknown)  # it may have left in part
        await world.clock.sleep(30.0)
    assert len(world.sockets.sockets) == 2
    assert world.stream.ready
    await world.venue.close()


async def test_an_error_of_our_own_ends_a_life_and_not_the_stream():
    world = Private()
    await world.up()

    def broken(_: int) -> bytes:
        raise ZeroDivisionError

    whole, world.stream.ping = world.stream.ping, broken  # type: ignore[method-assign]
    async with Running(world.clock, step_s=0.1):
        (down,) = await world.stream.batch()
        assert isinstance(down, StreamDown)
        world.stream.ping = whole  # type: ignore[method-assign]
        assert await world.stream.batch() == [StreamUp(2)]
    assert world.stream.keeper.crashes == ["ZeroDivisionError: "]
    await world.stream.close()


async def test_requests_outside_a_connection_do_not_leave():
    world = Trade()
    answer = await world.stream.request("order.create", {}, user="u1")
    assert not isinstance(answer, Lost)
    assert world.sockets.sockets == []
