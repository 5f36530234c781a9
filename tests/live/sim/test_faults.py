"""Every scripted fault strikes where it should, as often as it should, and is counted."""

import json

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from engine.errors import DataError
from live.venues.bybit.faults import HUMAN_ACTIONS, Fault, read_faults
from live.venues.bybit.simdoor import HttpReply
from live.venues.bybit.simfaults import PLANNED, FaultPlan
from live.venues.bybit.simlimits import NO_LIMITS
from tests.live.helpers import STEP
from tests.live.sim.face import SYMBOL, limit, market, running
from tests.live.sim.inside import Inside

CREATE = "/v5/order/create"


def orders(v: Inside) -> int:
    return len(v.desk.exchange.account(v.key.uid).orders)


def raw(v: Inside, link: str = "a") -> HttpReply:
    return v.raw("POST", CREATE, json.dumps(limit("Buy", "1", "90", orderLinkId=link)))


@pytest.mark.parametrize(
    ("fault", "taken", "status", "code"),
    [
        (Fault("lost_request"), 0, None, None),
        (Fault("lost_reply"), 1, None, None),
        (Fault("slow", ms=700), 1, 200, 0),
        (Fault("late_reply", ms=900), 1, 200, 0),
        (Fault("error", code=10000), 0, 200, 10000),
        (Fault("error", code=10016), 0, 200, 10016),
        (Fault("error_after", code=10016), 1, 200, 10016),
        (Fault("error_after"), 1, 200, 10000),
        (Fault("throttle"), 0, 200, 10006),
        (Fault("http", status=502), 0, 502, None),
        (Fault("http", status=429), 0, 429, None),
        (Fault("http_after", status=502), 1, 502, None),
        (Fault("html"), 0, 200, None),
        (Fault("html_after"), 1, 200, None),
        (Fault("truncated"), 1, 200, None),
        (Fault("skew", ms=9000), 0, 200, 10002),
        (Fault("skew", ms=-9000), 0, 200, 10002),
        (Fault("ban", ms=5000), 0, 403, None),
    ],
)
def test_a_request_is_struck_once(fault: Fault, taken: int, status, code) -> None:
    v = Inside([fault])
    begin = v.wall_ms
    reply = raw(v)
    assert orders(v) == taken
    assert v.fired == {fault.kind: 1}
    if status is None:
        assert reply.dropped
    else:
        assert (reply.status, reply.dropped) == (status, False)
    if code is not None:
        assert json.loads(reply.body)["retCode"] == code
    elif status == 200:
        with pytest.raises(ValueError, match=r"Expecting|Unterminated|delimiter"):
            json.loads(reply.body)
    if fault.kind in ("slow", "late_reply"):
        assert v.wall_ms == begin + fault.ms
    v.pass_ms(6000)
    assert json.loads(raw(v, "b").body)["retCode"] == 0, "the next one passes"
    assert orders(v) == taken + 1
    assert v.venue.plan.waiting == 0


@pytest.mark.parametrize(("header", "shift"), [("present", 500), ("past", -1), ("absent", None)])
def test_a_throttled_reply_may_lack_or_misdate_its_reset(header: str, shift) -> None:
    v = Inside([Fault("throttle", header=header)])
    reply = raw(v)
    stamp = reply.headers.get("X-Bapi-Limit-Reset-Timestamp")
    assert stamp == (None if shift is None else str(v.desk.now_ms + shift))


def test_a_repeated_request_after_a_lost_reply_is_a_duplicate() -> None:
    v = Inside([Fault("lost_reply", endpoint=CREATE)])
    assert raw(v).dropped
    assert json.loads(raw(v).body)["retCode"] == 110072
    assert orders(v) == 1


def test_a_stop_is_rejected_where_there_is_one() -> None:
    v = Inside([Fault("stop_rejected", count=2)])
    assert json.loads(raw(v).body)["retCode"] == 0
    assert v.post(CREATE, market("Buy", "1", stopLoss="50"))["retCode"] == 110093
    assert v.post(CREATE, market("Buy", "1"))["retCode"] == 0
    stop = {"category": "linear", "symbol": SYMBOL, "stopLoss": "50", "positionIdx": 0}
    assert v.post("/v5/position/trading-stop", stop)["retCode"] == 110093
    assert v.post("/v5/position/trading-stop", stop)["retCode"] == 0
    assert v.fired == {"stop_rejected": 2}


def test_history_lags_and_realtime_forgets() -> None:
    v = Inside([Fault("stale", ms=60_000, endpoint="/v5/execution/list", count=2)])
    v.post(CREATE, market("Buy", "1", orderLinkId="a"))
    assert v.get("/v5/execution/list", "category=linear")["result"]["list"] == []
    v.pass_ms(60_000)
    assert len(v.get("/v5/execution/list", "category=linear")["result"]["list"]) == 1
    v = Inside([Fault("wipe_closed", endpoint=CREATE, nth=2)])
    one = f"category=linear&symbol={SYMBOL}&orderLinkId=a"
    v.post(CREATE, market("Buy", "1", orderLinkId="a"))
    assert len(v.get("/v5/order/realtime", one)["result"]["list"]) == 1
    v.post(CREATE, market("Buy", "1", orderLinkId="b"))
    assert v.get("/v5/order/realtime", one)["result"]["list"] == []
    assert len(v.get("/v5/order/history", one)["result"]["list"]) == 1


def test_occasions_are_narrowed_and_counted_by_rule() -> None:
    plan = FaultPlan(
        1,
        [
            Fault("error", code=1, endpoint="/v5/order/*", account="a", nth=3, count=2),
            Fault("lost_reply", probability=0.3, count=1000),
        ],
    )
    for endpoint in ("/v5/position/list", "/v5/order/create"):
        assert plan.draw({"error"}, account=("b",), endpoint=endpoint) is None
    assert plan.draw({"error"}, account=("a",), endpoint="/v5/position/list") is None
    hits = [
        plan.draw({"error"}, account=("x", "a"), endpoint="/v5/order/amend") is not None
        for _ in range(6)
    ]
    assert hits == [False, False, True, True, False, False]
    drawn = [plan.draw({"lost_reply"}) is not None for _ in range(400)]
    assert 80 < sum(drawn) < 160
    again = FaultPlan(1, [Fault("error", nth=9), Fault("lost_reply", probability=0.3, count=1000)])
    assert [again.draw({"lost_reply"}) is not None for _ in range(400)] == drawn
    assert plan.fired["error"] == 2


def test_what_cannot_be_a_fault_is_refused_by_name() -> None:
    for bad in (
        b'{"kind":"nonsense"}',
        b'{"kind":"human","action":"dance"}',
        b'{"kind":"error","probability":1.5}',
        b'{"kind":"throttle","header":"blue"}',
        b'{"kind":"slow","nth":-1}',
    ):
        with pytest.raises(DataError):
            read_faults(bad)


# ---------------------------------------------------------------------------- streams


def ids(rows: list[dict]) -> list[str]:
    return [r["orderLinkId"] for r in rows]


def test_a_message_is_dropped_repeated_late_or_preceded_by_garbage() -> None:
    v = Inside(
        [
            Fault("push_drop", topic="order"),
            Fault("push_duplicate", topic="order"),
            Fault("push_late", topic="order", ms=2000),
        ]
    )
    s = v.stream("private", "order", "position")
    for link in ("a", "b", "c", "d"):
        raw(v, link)
    assert ids(v.rows(s, "order")) == ["b", "b", "d"]
    v.pass_ms(2000)
    assert ids(v.rows(s, "order")) == ["c"]
    assert v.fired == {"push_drop": 1, "push_duplicate": 1, "push_late": 1}
    v.venue.plan.add([Fault("push_malformed", topic="order")])
    raw(v, "e")
    frames = s.due(v.wall_ms)
    whole = [f.endswith(b"}") for f in frames]
    garbage = whole.index(False)
    assert whole.count(False) == 1
    assert b'"e"' in frames[garbage + 1]


def test_the_messages_of_a_moment_come_in_any_order() -> None:
    v = Inside([Fault("push_permute", count=500)], equity="1000000", rules=NO_LIMITS)
    s = v.stream("private", "order", "execution", "position", "wallet")
    backwards = 0
    for i in range(60):
        v.post(CREATE, market("Buy", "1", stopLoss="50", orderLinkId=f"p{i}"))
        rows = [m for m in v.heard(s) if m.get("topic") == "order"]
        numbers = [int(m["id"].split("_")[1]) for m in rows]
        backwards += numbers != sorted(numbers)
    assert backwards > 5
    assert v.fired["push_permute"] == 60


@pytest.mark.parametrize("kind", ["stream_stall", "stream_mute", "stream_close", "stream_abort"])
def test_a_connection_goes_silent_or_ends(kind: str) -> None:
    v = Inside([Fault(kind)])
    s, other = v.stream("private", "order"), v.stream("private", "order")
    raw(v, "a")
    heard = [ids(v.rows(x, "order")) for x in (s, other)]
    assert sorted(heard) == [[], ["a"]], "one connection of the two"
    struck = s if heard[0] == [] else other
    v.say(struck, {"op": "ping"})
    pongs = len(v.heard(struck))
    assert pongs == (1 if kind == "stream_stall" else 0)
    assert struck.ending == {"stream_close": "close", "stream_abort": "abort"}.get(kind, "")


def test_auth_subscription_and_connection_are_refused_for_a_time() -> None:
    faults = [Fault("refuse_auth"), Fault("refuse_subscribe"), Fault("refuse_connect", ms=60_000)]
    v = Inside(faults)
    assert v.venue.connect("private", v.wall_ms) is None
    v.pass_ms(59_999)
    assert v.venue.connect("private", v.wall_ms) is None
    v.pass_ms(1)
    s = v.venue.connect("private", v.wall_ms)
    assert s is not None
    again = v.stream("private", "order")
    assert again.caller is None
    third = v.stream("private", "order")
    assert third.caller is not None
    assert third.topics == {}
    assert v.fired == {"refuse_auth": 1, "refuse_subscribe": 1, "refuse_connect": 1}


def test_a_connection_is_cut_after_its_time() -> None:
    v = Inside([Fault("max_active", ms=5000, stream="trade")])
    private, trade = v.stream("private"), v.stream("trade")
    v.pass_ms(5000)
    for s in (private, trade):
        s.look(v.wall_ms)
    assert (private.ending, trade.ending) == ("", "close")


@pytest.mark.parametrize(
    ("fault", "taken", "answers"),
    [
        (Fault("lost_request", stream="trade"), 0, []),
        (Fault("lost_reply", endpoint="order.create"), 1, []),
        (Fault("error", code=10016), 0, [10016]),
        (Fault("error_after", code=10000), 1, [10000]),
        (Fault("throttle"), 0, [10006]),
        (Fault("skew", ms=5000), 0, [10002]),
        (Fault("stream_mute", stream="trade"), 0, []),
    ],
)
def test_order_entry_by_stream_is_struck_too(fault: Fault, taken: int, answers: list[int]) -> None:
    v = Inside([fault])
    t = v.stream("trade")
    body = limit("Buy", "1", "90")
    header = {"X-BAPI-TIMESTAMP": str(v.wall_ms), "X-BAPI-RECV-WINDOW": "4000"}
    v.say(t, {"reqId": "1", "header": header, "op": "order.create", "args": [body]})
    assert [m["retCode"] for m in v.heard(t)] == answers
    assert orders(v) == taken
    assert v.fired[fault.kind] == 1


def test_a_fill_that_a_cancel_raced_is_told_twice() -> None:
    v = Inside([Fault("double_filled")])
    s = v.stream("private", "order")
    v.post(CREATE, market("Buy", "1", orderLinkId="a"))
    first, second = v.rows(s, "order")
    assert (first["cancelType"], second["cancelType"]) == ("UNKNOWN", "CancelByUser")
    assert first["orderStatus"] == second["orderStatus"] == "Filled"
    assert second["rejectReason"] == "EC_OrigClOrdIDDoesNotExist"


# ---------------------------------------------------------------------------- the venue's acts


def test_a_contract_is_delisted_under_its_holder() -> None:
    v = Inside([Fault("delist", endpoint=CREATE), Fault("delist", value="Closed", nth=2)])
    v.post(CREATE, market("Buy", "2"))
    assert v.post(CREATE, market("Buy", "1"))["retCode"] != 0
    executions = v.desk.exchange.account(v.key.uid).executions
    assert executions[-1].exec_type.value == "Delivery"
    listed = v.get("/v5/market/instruments-info", "category=linear")["result"]["list"]
    assert SYMBOL not in [row["symbol"] for row in listed]
    assert v.fired == {"delist": 2}


def test_a_resting_order_is_filled_in_part_and_cancelled() -> None:
    v = Inside([Fault("partial_cancel", endpoint=CREATE)])
    s = v.stream("private", "order", "execution")
    price = v.desk.view.best(SYMBOL)[0][0]
    v.post(CREATE, limit("Buy", "4", str(price), orderLinkId="a"))
    states = [(r["orderStatus"], r["cumExecQty"]) for r in v.rows(s, "order")]
    assert states[0] == ("New", "0")
    assert states[-1][0] == "Cancelled"
    assert 0 < float(states[-1][1]) < 4
    assert v.fired == {"partial_cancel": 1}


def test_liquidation_adl_and_a_risk_cut_reach_the_position() -> None:
    query = f"category=linear&symbol={SYMBOL}"
    v = Inside([Fault("liquidate", endpoint=CREATE)])
    v.desk.touch(SYMBOL)
    v.post(CREATE, market("Buy", "10"))
    kinds = {e.exec_type.value for e in v.desk.exchange.account(v.key.uid).executions}
    assert "BustTrade" in kinds
    assert v.get("/v5/position/list", query)["result"]["list"][0]["size"] == "0"
    assert v.desk.liquidations[0].symbol == SYMBOL
    v = Inside([Fault("deleverage", endpoint=CREATE), Fault("reduce_only", endpoint=CREATE, nth=2)])
    v.post(CREATE, market("Buy", "10"))
    assert v.get("/v5/position/list", query)["result"]["list"][0]["size"] == "5.0"
    v.post(CREATE, market("Buy", "1"))
    (row,) = v.get("/v5/position/list", query)["result"]["list"]
    assert row["isReduceOnly"] is True
    assert v.post(CREATE, market("Buy", "1"))["retCode"] != 0
    confirm = {"category": "linear", "symbol": SYMBOL}
    assert v.post("/v5/position/confirm-pending-mmr", confirm)["retCode"] == 0


@pytest.mark.parametrize("action", HUMAN_ACTIONS)
def test_somebody_acts_at_the_venue(action: str) -> None:
    v = Inside([Fault("human", action=action, endpoint=CREATE, nth=2)])
    s = v.stream("private", "order", "position", "wallet")
    v.post(CREATE, market("Buy", "10", stopLoss="50"))
    v.heard(s)
    v.post(CREATE, limit("Buy", "1", "90"))
    account = v.desk.exchange.account(v.key.uid)
    position = account.positions[SYMBOL, 0]
    seen = {m["topic"] for m in v.heard(s)}
    expected = {
        "close": position.size == 0,
        "resize": position.size == 5,
        "open": position.size > 10,
        "move_stop": position.stop_loss not in (None, 50),
        "remove_stop": position.stop_loss is None,
        "cancel_orders": not [o for o in account.open_orders.values() if not o.is_conditional],
        "withdraw": account.wallet.wallet_balance < 6000,
        "deposit": account.wallet.wallet_balance > 14_000,
        "set_leverage": position.leverage == 5,
        "delete_key": v.desk.keys.of(v.key.uid) == [],
        "switch_mode": True,  # refused at the venue with a position: nothing to see
    }
    assert expected[action], action
    assert v.fired == {"human": 1, f"human:{action}": 1}
    if action not in ("switch_mode", "delete_key"):
        assert seen


def test_a_key_expires_in_the_middle() -> None:
    v = Inside([Fault("expire_key", endpoint=CREATE)])
    s = v.stream("private", "order")
    raw(v, "a")
    assert v.get("/v5/account/info")["retCode"] == 33004
    s.look(v.wall_ms + 1000)
    assert s.ending == "close"


def test_every_kind_of_the_plan_has_been_named_here() -> None:
    from pathlib import Path

    names = ("test_faults.py", "test_public.py", "test_fault_menu.py")
    text = "".join(Path(__file__).with_name(name).read_text() for name in names)
    unnamed = [k for k in PLANNED - {"rest"} if f'"{k}"' not in text]
    assert unnamed == []


# ---------------------------------------------------------------------------- over sockets


async def test_faults_are_armed_counted_and_felt_over_sockets() -> None:
    async with running() as v:
        user, other = await v.user(), await v.user()
        plan = [
            {"kind": "lost_request", "account": user.key.key, "endpoint": CREATE},
            {"kind": "lost_reply", "account": user.key.key, "endpoint": CREATE},
            {"kind": "http", "status": 502, "endpoint": "/v5/account/*"},
            {"kind": "stream_abort", "account": user.key.key, "nth": 1},
        ]
        assert (await v.control("faults", plan))["faults_waiting"] == 4
        assert (await other.post(CREATE, limit("Buy", "1", "90")))["retCode"] == 0
        for taken in (0, 1):
            with pytest.raises(httpx.RemoteProtocolError):
                await user.post(CREATE, limit("Buy", "1", "90"))
            assert len((await v.state(user.key))["orders"]) == taken
        assert (await user.raw("GET", "/v5/account/info")).status_code == 502
        async with user.private("order") as s, other.private("order") as o:
            await user.post(CREATE, limit("Buy", "1", "90"))
            with pytest.raises(ConnectionClosed):
                await s.hear()
            await other.post(CREATE, limit("Buy", "1", "90"))
            assert await o.hear_topics("order")
        fired = (await v.state())["faults_fired"]
        assert fired == {"lost_request": 1, "lost_reply": 1, "http": 1, "stream_abort": 1}
        await v.control("faults", [{"kind": "refuse_connect", "ms": 600_000}])
        with pytest.raises(InvalidStatus):
            async with user.private("order"):
                raise AssertionError("let in")
        assert (await v.http.delete(v.addresses["rest"] + "/sim/faults")).status_code == 200


async def test_manual_actions_and_accounts_are_checked() -> None:
    async with running() as v:
        user = await v.user("5000", marginMode="REGULAR_MARGIN")
        assert (await v.state(user.key))["marginMode"] == "REGULAR_MARGIN"
        await user.post(CREATE, market("Buy", "2"))
        done = await v.control("manual", {"apiKey": user.key.key, "action": "close"})
        assert done == {"refused": []}
        truth = await v.state(user.key)
        assert truth["positions"][0]["size"] == "0"
        assert len(truth["executions"]) == 2
        for bad in (
            {"apiKey": user.key.key, "action": "dance"},
            {"apiKey": "nobody", "action": "close"},
            {"apiKey": user.key.key, "action": "close", "symbol": "NOSUCHUSDT"},
            {"apiKey": user.key.key, "action": "withdraw", "value": "much"},
        ):
            assert "error" in await v.control("manual", bad)
        for bad in ({"equity": "much"}, {"equity": -1}, {"equity": "NaN"}, {"marginMode": "x"}):
            assert "error" in await v.control("accounts", bad)
        reply = await v.http.get(v.addresses["rest"] + "/sim/state?apiKey=nobody")
        assert reply.status_code == 404
        elsewhere = {"host": "evil.example"}
        reply = await v.http.get(v.addresses["rest"] + "/sim/state", headers=elsewhere)
        assert reply.status_code == 403
        to = v.sim.clock_ms + STEP // 3
        assert (await v.control("clock", {"to": to}))["clock"] == to
