"""The venue over sockets and the venue in the same process are one: the same script, one trace."""

import asyncio
import json
from typing import Any

import pytest

from live.clock import ManualClock
from live.venues.bybit.faults import Fault
from live.venues.bybit.simauth import sign
from live.venues.bybit.simlimits import NO_LIMITS
from tests.live.helpers import STEP
from tests.live.sim.face import SYMBOL, Stream, limit, market, running
from tests.live.sim.inside import BEGIN, Inside

TOPICS = ("order", "execution", "position", "wallet")
SCRIPT: list[tuple[str, Any]] = [
    ("/v5/order/create", market("Buy", "3", stopLoss="90", orderLinkId="a")),
    ("/v5/order/create", limit("Sell", "1", "120", reduceOnly=True, orderLinkId="b")),
    ("/v5/order/create", limit("Buy", "1", "99", orderLinkId="c")),
    ("/v5/order/create", limit("Buy", "1", "99", orderLinkId="c")),
    ("trade", limit("Buy", "2", "98.5", orderLinkId="d")),
    ("/v5/order/amend", {"category": "linear", "symbol": SYMBOL, "orderLinkId": "c", "qty": "2"}),
    ("step", 3),
    ("trade", market("Sell", "1", orderLinkId="e")),
    ("/v5/position/trading-stop", {"category": "linear", "symbol": SYMBOL, "stopLoss": "91"}),
    ("step", 20),
    ("/v5/order/cancel-all", {"category": "linear", "settleCoin": "USDT", "orderFilter": "Order"}),
    ("/v5/order/create", market("Sell", "2", reduceOnly=True, orderLinkId="f")),
    ("step", 1),
]
READS = (
    ("/v5/order/realtime", "category=linear&settleCoin=USDT"),
    ("/v5/order/history", "category=linear"),
    ("/v5/execution/list", "category=linear"),
    ("/v5/position/list", f"category=linear&symbol={SYMBOL}"),
    ("/v5/account/wallet-balance", "accountType=UNIFIED"),
    ("/v5/account/transaction-log", "accountType=UNIFIED"),
    ("/v5/position/closed-pnl", "category=linear"),
    ("/v5/market/tickers", "category=linear"),
    ("/v5/market/orderbook", f"category=linear&symbol={SYMBOL}&limit=5"),
)
FAULTS = [
    Fault("push_drop", nth=3),
    Fault("push_duplicate", nth=6, count=2),
    Fault("push_permute", count=2),
    Fault("error_after", endpoint="/v5/order/create", nth=3, code=10016),
    Fault("partial_cancel", endpoint="order.create"),
    Fault("deleverage", endpoint="/v5/position/trading-stop"),
]


def entry(body: Any, number: int) -> dict[str, Any]:
    header = {"X-BAPI-TIMESTAMP": str(BEGIN), "X-BAPI-RECV-WINDOW": "5000"}
    return {"reqId": str(number), "header": header, "op": "order.create", "args": [body]}


def inside(faults: list[Fault]) -> list[Any]:
    v = Inside(list(faults), rules=NO_LIMITS, seed=5)
    s, t = v.stream("private", *TOPICS), v.stream("trade")
    trace: list[Any] = []
    at = BEGIN
    for number, (what, body) in enumerate(SCRIPT):
        if what == "step":
            for _ in range(body):
                at += STEP
                v.desk.advance(at)
        elif what == "trade":
            v.say(t, entry(body, number))
            trace += v.heard(t)
        else:
            trace.append(v.post(what, body))
        trace += v.heard(s)
    trace += [v.get(path, query) for path, query in READS]
    return [*trace, dict(v.fired)]


async def outside(faults: list[Fault]) -> list[Any]:
    trace: list[Any] = []
    clock = ManualClock(BEGIN)
    async with running(clock=clock, rules=NO_LIMITS, seed=5, updates=0) as v:
        v.sim.add_faults(list(faults))
        user = await v.user()
        auth = {"op": "auth", "args": _auth(user.key)}
        async with user.stream("private") as s, user.stream("trade") as t:
            await s.ask(auth)
            await s.ask({"op": "subscribe", "args": list(TOPICS)})
            await t.ask(auth)
            for number, (what, body) in enumerate(SCRIPT):
                if what == "step":
                    await v.sim.advance(body)
                elif what == "trade":
                    trace.append(await t.ask(entry(body, number)))
                else:
                    text = json.dumps(body)
                    trace.append((await user.raw("POST", what, text, stamp=BEGIN)).json())
                trace += await _until_pong(s)
            for path, query in READS:
                trace.append((await user.raw("GET", path, query, stamp=BEGIN)).json())
        return [*trace, dict((await v.state())["faults_fired"])]


def _auth(key) -> list[Any]:
    expires = BEGIN + 10_000
    return [key.key, expires, sign(key.secret, f"GET/realtime{expires}")]


async def _until_pong(stream: Stream) -> list[Any]:
    await stream.say({"op": "ping"})
    heard: list[Any] = []
    while (message := await stream.hear()).get("op") != "pong":
        heard.append(message)
    return heard


@pytest.mark.parametrize("faults", [[], FAULTS], ids=["fair", "faulty"])
async def test_one_script_one_trace(faults: list[Fault]) -> None:
    one, two = await asyncio.to_thread(inside, faults), await outside(faults)
    one, two = _plain(one), _plain(two)
    assert len(one) > 40
    for a, b in zip(one, two, strict=True):
        assert a == b
    assert one[-1].keys() == {f.kind for f in faults}


def _plain(trace: list[Any]) -> list[Any]:
    """Leave out what names the connection itself."""
    text = json.dumps(trace)
    rows = json.loads(text)
    for row in rows:
        row.pop("connId", None)
        if isinstance(row.get("header"), dict):
            row["header"] = {k: v for k, v in row["header"].items() if k.startswith("X-Bapi")}
    return rows


def test_the_same_seed_tells_the_same_story() -> None:
    first = inside(FAULTS)
    assert first == inside(FAULTS)
