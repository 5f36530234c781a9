"""Faults that reach into the venue: a thin book, late stops, funding that comes more often."""

import json

import pytest

from engine.errors import DataError
from live.venues.bybit.faults import Fault, read_faults
from live.venues.bybit.simlimits import NO_LIMITS
from tests.live.sim.face import SYMBOL, limit, market, running
from tests.live.sim.inside import Inside

CREATE = "/v5/order/create"
HOUR_MS = 3_600_000


def entry(v: Inside, req_id: str, body: dict, op: str = "order.create") -> dict:
    header = {"X-BAPI-TIMESTAMP": str(v.wall_ms), "X-BAPI-RECV-WINDOW": "4000"}
    return {"reqId": req_id, "header": header, "op": op, "args": [body]}


def last_order(v: Inside):
    return list(v.desk.exchange.account(v.key.uid).orders.values())[-1]


@pytest.mark.parametrize(
    ("share", "body", "filled", "status", "reason"),
    [
        ("0.5", market("Buy", "10"), 5, "Cancelled", "EC_NoImmediateQtyToFill"),
        ("0", market("Sell", "10"), 0, "Cancelled", "EC_NoImmediateQtyToFill"),
        ("0.3", limit("Buy", "10", "104", timeInForce="IOC"), 3, "Cancelled", None),
        ("0.3", limit("Buy", "10", "104", timeInForce="FOK"), 0, "Cancelled", None),
        ("0.3", limit("Buy", "10", "104"), 3, "PartiallyFilled", None),
        ("1", market("Buy", "10"), 10, "Filled", None),
    ],
)
@pytest.mark.parametrize("road", ["rest", "trade"])
def test_a_thin_book_fills_a_part_or_nothing(
    road: str, share: str, body: dict, filled: int, status: str, reason: str | None
) -> None:
    v = Inside([Fault("thin_book", value=share)], equity="100000")
    if road == "rest":
        assert v.post(CREATE, body)["retCode"] == 0
    else:
        t = v.stream("trade")
        v.say(t, entry(v, "1", body))
        assert v.heard(t)[0]["retCode"] == 0
    order = last_order(v)
    assert (order.cum_exec_qty, order.order_status.value) == (filled, status)
    if reason is not None:
        assert order.reject_reason == reason
    assert v.fired == {"thin_book": 1}
    v.pass_ms(HOUR_MS // 8)
    v.post(CREATE, market("Buy", "10"))
    assert last_order(v).order_status.value == "Filled", "the book is whole again"


def test_a_thin_book_lets_what_cannot_take_pass() -> None:
    v = Inside([Fault("thin_book")])
    v.post(CREATE, limit("Buy", "1", "90", timeInForce="PostOnly"))
    v.post(CREATE, market("Buy", "1", triggerPrice="120", triggerDirection=1))
    v.post("/v5/order/pre-check", market("Buy", "1"))
    assert v.fired == {}
    for bad in ("2", "-0.1", "NaN", "much"):
        with pytest.raises(DataError):
            read_faults(json.dumps({"kind": "thin_book", "value": bad}).encode())


def test_a_stop_of_an_order_is_told_and_listed_late() -> None:
    v = Inside([Fault("child_late", ms=3000)])
    s = v.stream("private", "order", "position")
    v.post(CREATE, market("Buy", "1", stopLoss="90", orderLinkId="a"))
    told = v.heard(s)
    rows = [r for m in told if m["topic"] == "order" for r in m["data"]]
    assert [r["orderLinkId"] for r in rows] == ["a"]
    (position,) = [r for m in told if m["topic"] == "position" for r in m["data"]][-1:]
    assert position["stopLoss"] == "90", "the position itself knows it"
    query = f"category=linear&symbol={SYMBOL}&orderFilter=StopOrder"
    assert v.get("/v5/order/realtime", query)["result"]["list"] == []
    v.pass_ms(3000)
    (late,) = v.rows(s, "order")
    (listed,) = v.get("/v5/order/realtime", query)["result"]["list"]
    assert late["orderId"] == listed["orderId"]
    assert late["stopOrderType"] == "StopLoss"
    assert v.fired == {"child_late": 1}


def test_funding_comes_more_often_from_one_day_to_the_next() -> None:
    v = Inside([Fault("funding", endpoint=CREATE, value="60")])
    other = Inside(replay=v.venue.desk.replay)
    v.post(CREATE, market("Buy", "10"))
    v.pass_ms(2 * HOUR_MS)
    executions = v.desk.exchange.account(v.key.uid).executions
    paid = [e for e in executions if e.exec_type.value == "Funding"]
    assert [e.exec_time % HOUR_MS for e in paid] == [0, 0]
    assert paid[1].exec_time - paid[0].exec_time == HOUR_MS
    query = f"category=linear&symbol={SYMBOL}"
    (row,) = v.get("/v5/market/instruments-info", query)["result"]["list"]
    assert row["fundingInterval"] == 60
    (ticker,) = v.get("/v5/market/tickers", query)["result"]["list"]
    assert ticker["fundingIntervalHour"] == "1"
    assert int(ticker["nextFundingTime"]) - v.desk.now_ms <= HOUR_MS
    assert v.fired == {"funding": 1}
    assert len(other.desk.replay.funding.get(SYMBOL, ((),))[0]) == 0, "another venue's stays"


def test_a_slow_order_entry_looks_at_the_order_late() -> None:
    v = Inside([Fault("slow", ms=2000, stream="trade")], rules=NO_LIMITS)
    t = v.stream("trade")
    v.say(t, entry(v, "1", limit("Buy", "1", "90")))
    v.say(t, entry(v, "2", limit("Buy", "1", "91")))
    assert [m["reqId"] for m in v.heard(t)] == ["2"]
    account = v.desk.exchange.account(v.key.uid)
    assert len(account.orders) == 1, "the slow one has not been looked at"
    v.pass_ms(1999)
    assert v.heard(t) == []
    assert t.next_ms() == v.wall_ms + 1
    v.pass_ms(1)
    assert [(m["reqId"], m["retCode"]) for m in v.heard(t)] == [("1", 0)]
    assert len(account.orders) == 2
    # looked at too late for its window, as by REST
    v.venue.plan.add([Fault("slow", ms=4001, stream="trade")])
    v.say(t, entry(v, "3", limit("Buy", "1", "92")))
    v.pass_ms(4001)
    assert [m["retCode"] for m in v.heard(t)] == [10002]


def test_what_had_arrived_is_done_though_the_connection_ends() -> None:
    v = Inside([Fault("slow", ms=2000, stream="trade")])
    t = v.stream("trade")
    v.say(t, entry(v, "1", limit("Buy", "1", "90")))
    v.venue.disconnect(t)
    assert len(v.desk.exchange.account(v.key.uid).orders) == 1
    assert v.desk.crashes == []


@pytest.mark.parametrize(
    ("header", "reset_ms"), [("past", -301), ("present", 300), ("absent", None)]
)
def test_a_throttled_order_entry_says_when_or_not(header: str, reset_ms: int | None) -> None:
    v = Inside([Fault("throttle", header=header, ms=300)])
    t = v.stream("trade")
    v.say(t, entry(v, "1", limit("Buy", "1", "90")))
    (said,) = v.heard(t)
    assert said["retCode"] == 10006
    shown = said["header"].get("X-Bapi-Limit-Reset-Timestamp")
    assert shown == (None if reset_ms is None else str(v.desk.now_ms + reset_ms))


async def test_slow_order_entry_over_a_socket() -> None:
    async with running() as v:
        user = await v.user()
        await v.control("faults", [{"kind": "slow", "ms": 40, "stream": "trade"}])
        async with user.trade() as t:
            header = {"X-BAPI-TIMESTAMP": str(v.sim._clock.now_ms())}
            body = limit("Buy", "1", "90")
            await t.say({"reqId": "1", "header": header, "op": "order.create", "args": [body]})
            assert (await t.hear())["retCode"] == 0
        assert (await v.state())["faults_fired"] == {"slow": 1}
