"""The private stream and order entry over real sockets: what is said, in which shape, to whom."""

import asyncio
import json

import pytest
from websockets.exceptions import ConnectionClosed

from live.clock import ManualClock, SystemClock
from live.venues.bybit.simlimits import NO_LIMITS
from live.venues.bybit.simsession import read_life
from tests.live.helpers import STEP, until
from tests.live.sim.face import SYMBOL, limit, market, running

ALL = ("order", "execution", "execution.fast", "position", "wallet")


def op(name: str, body: object, req_id: str = "r1", *, skew_ms: int = 0, **header: str):
    stamp = str(SystemClock().now_ms() + skew_ms)
    return {
        "reqId": req_id,
        "header": {"X-BAPI-TIMESTAMP": stamp, **header},
        "op": name,
        "args": [body],
    }


async def test_three_streams_three_pongs_and_acks() -> None:
    async with running() as v:
        user = await v.user()
        async with user.stream("public/linear") as public:
            assert await public.ask({"op": "ping", "req_id": 7}) == {
                "success": True,
                "ret_msg": "pong",
                "conn_id": "sim-1",
                "req_id": 7,
                "op": "ping",
            }
        async with user.stream("private") as private:
            refused = await private.ask({"op": "subscribe", "args": ["order"]})
            assert (refused["success"], refused["ret_msg"]) == (False, "Request not authorized")
            assert (await private.auth(user.key)) == {
                "success": True,
                "ret_msg": "",
                "op": "auth",
                "conn_id": "sim-private-1",
            }
            pong = await private.ask({"op": "ping", "req_id": "a", "args": 1})
            assert pong["op"] == "pong"
            assert pong["args"][0].isdigit()
            assert pong["req_id"] == "a"
            ack = await private.ask({"op": "subscribe", "args": ["wallet"]})
            assert "req_id" not in ack
            assert ack["success"]
        async with user.stream("trade") as trade:
            early = await trade.ask(op("order.create", limit("Buy", "1", "90")))
            assert early["retCode"] == 10005
            assert (await trade.auth(user.key))["retCode"] == 0
            assert (await trade.auth(user.key))["retCode"] == 20001
            pong = await trade.ask({"op": "ping"})
            assert set(pong) == {"retCode", "retMsg", "op", "data", "connId"}


async def test_topic_kinds_cannot_be_mixed_and_unknown_ones_are_refused() -> None:
    async with running() as v:
        user = await v.user()
        async with user.private("wallet") as s:
            for bad in (["order", "order.linear"], ["nonsense"], [], "order", [7]):
                ack = await s.ask({"op": "subscribe", "args": bad})
                assert not ack["success"], bad
            assert (await s.ask({"op": "subscribe", "args": ["order.linear"]}))["success"]
            await user.post("/v5/order/create", limit("Buy", "1", "90"))
            assert set(await s.hear_topics("order.linear")) >= {"order.linear"}
            wrong = await s.auth(user.key, signature="0" * 64)
            assert not wrong["success"]


async def test_a_fill_is_told_on_every_topic_and_a_limit_order_on_those_it_concerns() -> None:
    async with running() as v:
        user = await v.user()
        async with user.private(*ALL) as s:
            await user.post("/v5/order/create", market("Buy", "3", stopLoss="50"))
            rows = await s.hear_topics(*ALL)
            assert set(rows) == set(ALL)
            (fill,) = rows["execution"]
            (fast,) = rows["execution.fast"]
            assert fill["execId"] == fast["execId"]
            assert fill["stopOrderType"] == "UNKNOWN"
            assert rows["position"][-1]["size"] == "3"
            assert "entryPrice" in rows["position"][-1]
            assert "avgPrice" not in rows["position"][-1]
            assert rows["position"][-1]["seq"] == fill["seq"]
        async with user.private("order", "position") as s:
            await user.post("/v5/order/create", limit("Buy", "1", "90", orderLinkId="mine"))
            rows = await s.hear_topics("order", "position")
            assert rows["order"][0]["orderStatus"] == "New"
            assert rows["order"][0]["orderLinkId"] == "mine"


async def test_nobody_hears_another_users_messages_and_nothing_comes_on_subscribing() -> None:
    async with running() as v:
        one, two = await v.user(), await v.user()
        async with one.private("order") as mine, two.private("order") as theirs:
            await two.post("/v5/order/create", limit("Buy", "1", "90", orderLinkId="two"))
            rows = await theirs.hear_topics("order")
            assert rows["order"][0]["orderLinkId"] == "two"
            pong = await mine.ask({"op": "ping"})
            assert pong["op"] == "pong", "the first thing heard after subscribing"
            async with two.private("order") as late:
                assert (await late.ask({"op": "ping"}))["op"] == "pong"


async def test_order_entry_creates_amends_cancels_and_batches() -> None:
    async with running(rules=NO_LIMITS) as v:
        user = await v.user()
        async with user.trade() as t:
            ack = await t.ask(op("order.create", limit("Buy", "1", "90", orderLinkId="a"), "1"))
            assert (ack["retCode"], ack["reqId"], ack["data"]["orderLinkId"]) == (0, "1", "a")
            assert ack["connId"]
            assert "Timenow" in ack["header"]
            change = {
                "category": "linear",
                "symbol": SYMBOL,
                "orderLinkId": "a",
                "price": "91",
            }
            assert (await t.ask(op("order.amend", change, "2")))["retCode"] == 0
            assert (await t.ask(op("order.cancel", change, "3")))["retCode"] == 0
            assert (await t.ask(op("order.cancel", change, "4")))["retCode"] == 110010
            assert (await t.ask(op("order.cancel", change, "4")))["retCode"] == 20006
            assert (await t.ask(op("order.fly", {}, "5")))["retCode"] == 10404
            late = await t.ask(op("order.cancel", change, "6", skew_ms=-6000))
            assert late["retCode"] == 10002
            wide = {"X-BAPI-RECV-WINDOW": "8000"}
            late = await t.ask(op("order.cancel", change, "7", skew_ms=-6000, **wide))
            assert late["retCode"] == 110010
            rows = [limit("Buy", "1", "90", orderLinkId=f"b{i}") for i in range(3)]
            rows[1]["positionIdx"] = 1
            batch = {"category": "linear", "request": rows}
            ack = await t.ask(op("order.create-batch", batch, "8"))
            assert ack["retCode"] == 0
            assert [c["code"] for c in ack["retExtInfo"]["list"]] == [0, 10001, 0]
            assert [r["orderId"] != "" for r in ack["data"]["list"]] == [True, False, True]
            broken = await t.ask({"op": "order.create", "args": [{}]})
            assert broken["retCode"] == 10001
        truth = await v.state(user.key)
        assert [o["orderStatus"] for o in truth["orders"]] == ["Cancelled", "New", "New"]


async def test_both_doors_share_one_allowance() -> None:
    clock = ManualClock(SystemClock().now_ms())
    async with running(clock=clock) as v:
        user = await v.user()
        async with user.trade() as t:
            for i in range(6):
                body = limit("Buy", "1", "90", orderLinkId=f"w{i}")
                assert (await t.ask(op("order.create", body, f"w{i}")))["retCode"] == 0
            codes = []
            for i in range(6):
                body = limit("Buy", "1", "90", orderLinkId=f"h{i}")
                codes.append((await user.post("/v5/order/create", body))["retCode"])
            assert codes == [0, 0, 0, 0, 10006, 10006]
            ack = await t.ask(op("order.create", limit("Buy", "1", "90"), "last"))
            assert ack["retCode"] == 10006
            assert ack["header"]["X-Bapi-Limit-Status"] == "0"


async def test_a_connection_is_cut_when_its_time_is_over_or_nothing_is_heard_of_it() -> None:
    assert read_life("30s") == 30_000
    assert read_life("10m") == 600_000
    assert [read_life(t) for t in ("29s", "11m", "1h", "", "-1s", "³⁰s")] == [None] * 6
    clock = ManualClock(SystemClock().now_ms())
    async with running(clock=clock) as v:
        user = await v.user()
        async with user.stream("private", "?max_active_time=45s") as s:
            await s.ask({"op": "ping"})
            clock.advance(59.0)
            await s.ask({"op": "ping"})
            clock.advance(1.0)
            with pytest.raises(ConnectionClosed):
                await s.hear()
        async with user.stream("private") as s, user.stream("trade") as t:
            await s.ask({"op": "ping"})
            clock.advance(599.0)
            await t.ask({"op": "ping"})
            clock.advance(1.0)
            with pytest.raises(ConnectionClosed):
                await s.hear()
            await t.ask({"op": "ping"})


async def test_a_deleted_key_ends_its_streams_and_its_requests() -> None:
    async with running() as v:
        user, other = await v.user(), await v.user()
        async with user.private("order") as s, other.private("order") as o:
            await v.control("manual", {"apiKey": user.key.key, "action": "delete_key"})
            with pytest.raises(ConnectionClosed):
                await s.hear()
            assert (await user.get("/v5/account/info"))["retCode"] == 10003
            assert (await o.ask({"op": "ping"}))["op"] == "pong"


HOSTILE = (
    "",
    "[",
    "null",
    "[]",
    '"x"',
    "{}",
    '{"op":null}',
    '{"op":{"op":1},"args":{"a":[]}}',
    '{"op":"subscribe","args":{"a":1}}',
    '{"op":"subscribe","args":[[[["order"]]]]}',
    '{"op":"auth","args":[null,{},[]]}',
    '{"op":"auth"}',
    '{"op":"order.create"}',
    '{"op":"order.create","header":[],"args":[1]}',
    '{"op":"order.create","header":{"X-BAPI-TIMESTAMP":1e400},"args":[{}]}',
    '{"op":"\\ud800"}',
    "[" * 100_000,
    '{"a":' * 50_000,
    b"\xff\xfe\x00",
    b"\x00" * 100,
    "x" * 1_000_000,
)


@pytest.mark.parametrize("name", ["public/linear", "private", "trade"])
async def test_hostile_frames_cost_at_most_their_own_connection(name: str) -> None:
    async with running() as v:
        user = await v.user()
        async with user.private("order") as witness:
            for frame in HOSTILE:
                async with user.stream(name) as s:
                    await s.socket.send(frame)
                    await s.say({"op": "ping"})
                    try:
                        async with asyncio.timeout(20):
                            while "ong" not in json.dumps(await s.hear()):
                                pass
                    except ConnectionClosed:
                        assert len(frame) >= 100_000, frame[:50]
            await user.post("/v5/order/create", limit("Buy", "1", "90"))
            assert await witness.hear_topics("order")
        await until(lambda: not v.sim.venue.sessions, "all gone")


async def test_a_reader_that_never_reads_holds_up_nobody() -> None:
    async with running(rules=NO_LIMITS) as v:
        user, other = await v.user("1000000"), await v.user()
        async with user.private(*ALL) as deaf, other.private("order") as s:
            deaf.socket.transport.pause_reading()
            account = user.key.uid
            for i in range(150):
                v.sim.venue.desk.order(_order(account, "Buy" if i % 2 else "Sell"))
                if i % 50 == 0:
                    await asyncio.sleep(0)
            await other.post("/v5/order/create", limit("Buy", "1", "90"))
            assert await s.hear_topics("order")
            await v.sim.advance(2)
            deaf.socket.transport.resume_reading()


def _order(uid: int, side: str):
    from engine.venue import wire

    return wire.read_create(market(side, "1"), uid)


async def test_the_market_fills_what_rests_and_tells_it() -> None:
    async with running() as v:
        user = await v.user()
        start = v.sim.clock_ms
        bars = v.sim.replay.bars[SYMBOL]
        at = int((start - bars.ts[0]) // STEP)
        low = float(bars.low[at : at + 30].min()) + 0.05
        async with user.private("order", "execution") as s:
            await user.post("/v5/order/create", limit("Buy", "1", f"{low:.2f}"))
            await s.hear_topics("order")
            await v.sim.advance(40)
            rows = await s.hear_topics("execution")
            assert rows["execution"][0]["isMaker"] is True
            assert start < int(rows["execution"][0]["execTime"]) <= v.sim.clock_ms
