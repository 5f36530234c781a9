"""What the signed lists hold: pages that lose and repeat nothing, windows, the venue's rules."""

from decimal import Decimal
from urllib.parse import quote, unquote

import pytest

from live.venues.bybit.simlimits import NO_LIMITS
from live.venues.bybit.simroutes import GETS, POSTS
from tests.live.helpers import STEP
from tests.live.sim.face import SYMBOL, limit, market
from tests.live.sim.inside import Inside, read

DAY_MS = 86_400_000


def crowd(orders: int = 45) -> Inside:
    """A user with many orders, executions, log rows."""
    v = Inside(rules=NO_LIMITS, equity="1000000")
    for i in range(orders):
        side = "Buy" if i % 2 else "Sell"
        v.post("/v5/order/create", market(side, "1", orderLinkId=f"m{i}"))
        v.post("/v5/order/create", limit("Buy", "1", "90", orderLinkId=f"l{i}"))
        v.pass_ms(1000)
    return v


def pages(v: Inside, path: str, query: str, between=None) -> list[dict]:
    rows, cursor = [], ""
    for _ in range(200):
        text = f"{query}&cursor={cursor}" if cursor else query
        result = v.get(path, text)["result"]
        rows += result["list"]
        cursor = result["nextPageCursor"]
        if not cursor:
            return rows
        if between is not None:
            between()
    raise AssertionError("pages without end")


@pytest.mark.parametrize(
    ("path", "query", "name", "amount"),
    [
        ("/v5/order/realtime", "category=linear&settleCoin=USDT&limit=7", "orderId", 45),
        ("/v5/order/realtime", "category=linear&settleCoin=USDT&openOnly=1&limit=7", "orderId", 45),
        ("/v5/order/history", "category=linear&limit=4", "orderId", 45),
        ("/v5/execution/list", "category=linear&limit=6", "execId", 45),
        ("/v5/account/transaction-log", "accountType=UNIFIED&limit=6", "id", 46),
    ],
)
def test_pages_hold_every_row_once_even_while_new_ones_come(path, query, name, amount) -> None:
    v = crowd()
    count = iter(range(1000))

    def more() -> None:
        v.post("/v5/order/create", market("Buy", "1", orderLinkId=f"x{next(count)}"))
        v.pass_ms(1000)

    whole = pages(v, path, query.rsplit("&limit", 1)[0] + "&limit=50")
    assert len(whole) == amount
    rows = pages(v, path, query, more)
    ids = [row[name] for row in rows]
    assert len(ids) == len(set(ids))
    missing = {r[name] for r in whole} - set(ids)
    assert not missing


def test_a_cursor_is_percent_encoded_and_wanted_back_verbatim() -> None:
    v = crowd(10)
    query = "category=linear&settleCoin=USDT&limit=3"
    cursor = v.get("/v5/order/realtime", query)["result"]["nextPageCursor"]
    assert "%3A" in cursor
    assert "%2C" in cursor
    again = v.get("/v5/order/realtime", f"{query}&cursor={cursor}")
    assert len(again["result"]["list"]) == 3
    assert v.get("/v5/order/realtime", f"{query}&cursor={quote(cursor)}")["retCode"] == 10001
    for bad in ("x", "1", "1%3A2%2C2%3A2", "-1%3A3%2C-1%3A3"):
        reply = v.get("/v5/order/realtime", f"{query}&cursor={bad}")
        assert reply["retCode"] == 10001, unquote(bad)


def test_executions_come_newest_first_and_windows_are_a_week() -> None:
    v = crowd(5)
    rows = v.get("/v5/execution/list", "category=linear")["result"]["list"]
    times = [int(r["execTime"]) for r in rows]
    assert times == sorted(times, reverse=True)
    now = v.desk.now_ms
    path = "/v5/execution/list"
    wide = f"category=linear&startTime={now - 7 * DAY_MS - 1}&endTime={now}"
    assert v.get(path, wide)["retCode"] == 10001
    assert v.get(path, f"category=linear&startTime={now}&endTime={now - 1}")["retCode"] == 10001
    assert v.get(path, "category=linear&limit=0")["retCode"] == 10001
    assert v.get(path, "category=linear&limit=none")["retCode"] == 10001
    some = f"category=linear&startTime={times[2]}&endTime={times[1]}"
    assert len(v.get(path, some)["result"]["list"]) == 2


def test_realtime_forgets_closed_orders_at_a_restart_and_history_does_not() -> None:
    v = Inside()
    v.post("/v5/order/create", limit("Buy", "1", "90", orderLinkId="a"))
    cancel = {"category": "linear", "symbol": SYMBOL, "orderLinkId": "a"}
    assert v.post("/v5/order/cancel", cancel)["retCode"] == 0
    one = f"category=linear&symbol={SYMBOL}&orderLinkId=a"
    assert v.get("/v5/order/realtime", f"category=linear&symbol={SYMBOL}")["result"]["list"] == []
    (found,) = v.get("/v5/order/realtime", one)["result"]["list"]
    assert (found["orderStatus"], found["leavesQty"]) == ("Cancelled", "0")
    v.desk.closed_from[v.key.uid] = v.desk.now_ms + 1
    assert v.get("/v5/order/realtime", one)["result"]["list"] == []
    assert len(v.get("/v5/order/history", one)["result"]["list"]) == 1


def test_history_keeps_a_cancelled_order_for_a_day_and_a_filled_one_for_years() -> None:
    v = Inside()
    v.post("/v5/order/create", limit("Buy", "1", "90", orderLinkId="a"))
    v.post("/v5/order/cancel", {"category": "linear", "symbol": SYMBOL, "orderLinkId": "a"})
    v.post("/v5/order/create", market("Buy", "1", orderLinkId="b"))
    found = v.get("/v5/order/history", "category=linear")["result"]["list"]
    assert {o["orderLinkId"] for o in found} == {"a", "b"}
    v.pass_ms(DAY_MS + 1)
    found = v.get("/v5/order/history", "category=linear")["result"]["list"]
    assert [o["orderLinkId"] for o in found] == ["b"]


def test_positions_of_a_symbol_are_shown_flat_and_of_a_coin_only_held() -> None:
    v = Inside()
    path = "/v5/position/list"
    (flat,) = v.get(path, f"category=linear&symbol={SYMBOL}")["result"]["list"]
    assert (flat["side"], flat["size"], flat["seq"]) == ("", "0", -1)
    assert v.get(path, "category=linear&settleCoin=USDT")["result"]["list"] == []
    assert v.get(path, "category=linear")["retCode"] == 10001
    assert v.get(path, "category=inverse&settleCoin=BTC")["result"]["list"] == []
    assert v.get(path, "category=stocks&settleCoin=USDT")["retCode"] == 10001
    switch = {"category": "linear", "coin": "USDT", "mode": 3}
    assert v.post("/v5/position/switch-mode", switch)["retCode"] == 0
    both = v.get(path, f"category=linear&symbol={SYMBOL}")["result"]["list"]
    assert sorted(p["positionIdx"] for p in both) == [1, 2]
    v.post("/v5/order/create", market("Sell", "1", positionIdx=2))
    (held,) = v.get(path, "category=linear&settleCoin=USDT")["result"]["list"]
    assert (held["positionIdx"], held["side"], held["size"]) == (2, "Sell", "1")
    assert "avgPrice" in held


def test_position_marks_follow_the_market() -> None:
    v = Inside()
    v.post("/v5/order/create", market("Buy", "1"))
    seen = set()
    for _ in range(5):
        v.pass_ms(STEP)
        (row,) = v.get("/v5/position/list", f"category=linear&symbol={SYMBOL}")["result"]["list"]
        assert Decimal(row["markPrice"]) == v.desk.view.last(SYMBOL)
        seen.add(row["markPrice"])
    assert len(seen) > 1


def test_every_signed_path_answers_the_hopeless_without_falling() -> None:
    v = Inside(rules=NO_LIMITS)
    hopeless = [None, 1, "x", [], {"category": {}}, {"symbol": ["a"]}, {"request": [None, 3]}]
    for path in sorted(POSTS):
        for body in [*hopeless, {"category": "linear", "request": [{}] * 21}]:
            assert v.post(path, body)["retCode"] != 0, (path, body)
        reply = v.raw("POST", path, "{")
        assert read(reply)["retCode"] == 10001
    for path in sorted(GETS):
        for query in (
            "category=%ff&limit=%00",
            "symbol=" + "A" * 3000,
            "limit=1e9&cursor=%2C",
            "&",
        ):
            reply = v.raw("GET", path, query)
            assert reply.status == 200, (path, query)
    for gone in ("switch-isolated", "set-risk-limit", "set-tpsl-mode"):
        reply = v.raw("POST", f"/v5/position/{gone}", "{}")
        assert (reply.status, b"10017" in reply.body) == (404, True)
    assert v.desk.crashes == []


def test_prices_beyond_the_band_are_repriced_or_refused_as_the_user_set_it() -> None:
    v = Inside()
    v.desk.touch(SYMBOL)
    most, _ = v.desk.exchange.price_limits(SYMBOL)
    far = limit("Buy", "1", str(most * 2), timeInForce="GTC")
    action = {"category": "linear", "modifyEnable": True}
    assert v.post("/v5/account/set-limit-px-action", action)["retCode"] == 0
    assert v.get("/v5/account/user-setting-config")["result"]["lpaPerp"] is True
    assert v.post("/v5/order/create", far)["retCode"] == 110003
    v.post("/v5/account/set-limit-px-action", action | {"modifyEnable": False})
    made = v.post("/v5/order/create", far)
    assert made["retCode"] == 0
    query = f"category=linear&orderId={made['result']['orderId']}"
    (row,) = v.get("/v5/order/realtime", query)["result"]["list"]
    assert Decimal(row["price"]) == most


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ("/v5/order/realtime", "orderFilter=stop"),
        ("/v5/order/realtime", "openOnly=7"),
        ("/v5/order/realtime", "symbol=NOSUCHUSDT"),
        ("/v5/order/history", "orderStatus=Done"),
        ("/v5/order/history", "symbol=NOSUCHUSDT"),
        ("/v5/execution/list", "execType=Trades"),
        ("/v5/execution/list", "symbol=nosuch"),
        ("/v5/position/closed-pnl", "symbol=NOSUCHUSDT"),
    ],
)
def test_a_word_that_there_is_none_of_is_refused_and_widens_no_list(path: str, wrong: str) -> None:
    v = crowd(1)
    base = "category=linear" + ("" if "symbol" in wrong else f"&symbol={SYMBOL}")
    assert v.get(path, f"{base}&{wrong}")["retCode"] == 10001
    assert v.get(path, f"{base}&settleCoin=USDT".replace(wrong, ""))["retCode"] == 0
