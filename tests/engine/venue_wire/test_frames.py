"""Frames of the three streams: who is told what, and in which of the venue's spellings."""

from decimal import Decimal

import pytest

from engine.venue import wire
from engine.venue.exchange.events import Accepted, Refused
from engine.venue.wire import catalogue_kinds as k


def told(raw: bytes):
    return wire.read_json(raw)


# ---------------------------------------------------------------------------- pongs and acks


def test_three_kinds_of_pong_and_each_is_known() -> None:
    public = wire.encode_reply("ping", success=True, ret_msg="pong", req_id=None, conn_id="c")
    private = wire.encode_private_pong(5, req_id="p1", conn_id="c")
    trade = wire.encode_trade_pong(5, conn_id="c")
    assert told(public)["op"] == "ping"
    assert told(private) == {"req_id": "p1", "op": "pong", "args": ["5"], "conn_id": "c"}
    assert told(trade)["data"] == ["5"]
    assert wire.decode_public(public).is_pong
    assert wire.decode_stream(public).is_pong
    assert wire.decode_private(private).is_pong
    assert wire.decode_trade_reply(trade).is_pong


def test_a_private_reply_echoes_an_id_only_where_one_came() -> None:
    bare = wire.encode_private_reply("subscribe", success=True, conn_id="c")
    assert "req_id" not in told(bare)
    kept = wire.encode_private_reply("auth", success=False, ret_msg="no", req_id=7, conn_id="c")
    assert told(kept)["req_id"] == 7
    reply = wire.decode_private(kept)
    assert (reply.op, reply.success, reply.ret_msg, reply.req_id) == ("auth", False, "no", 7)


@pytest.mark.parametrize("expires", [1_700_000_000_000, "1700000000000"])
def test_auth_takes_its_time_as_text_or_number(expires) -> None:
    request = wire.decode_request(
        wire.encode_json({"op": "auth", "args": ["key", expires, "sign"], "req_id": 1})
    )
    auth = wire.read_auth(request)
    assert auth == wire.Auth("key", 1_700_000_000_000, "sign")
    assert auth.signed == "GET/realtime1700000000000"
    again = wire.decode_request(wire.encode_auth(auth, "r"))
    assert wire.read_auth(again) == auth


@pytest.mark.parametrize("args", [None, [], ["key"], ["key", "soon", "s"], [1, 2, 3], "x", [{}]])
def test_a_broken_auth_is_refused(args) -> None:
    assert isinstance(wire.read_auth(wire.Request(op="auth", args=args)), wire.BadRequest)


# ---------------------------------------------------------------------------- topics


@pytest.mark.parametrize(
    ("topics", "refused"),
    [
        (["order", "execution", "position", "wallet", "execution.fast", "greeks"], ""),
        (["order.linear", "position.linear", "execution.fast.linear"], ""),
        (["order", "order.linear"], "together"),
        (["wallet", "order.linear"], ""),
        (["order.futures"], "Invalid topic"),
        (["kline.5.BTCUSDT"], "Invalid topic"),
    ],
)
def test_private_topics(topics, refused) -> None:
    said = wire.check_private_topics(topics)
    assert refused in said
    assert bool(refused) == bool(said)


@pytest.mark.parametrize(
    ("topic", "read"),
    [
        ("kline.15.AUSDT", wire.PublicTopic("kline", "AUSDT", interval="15")),
        ("kline.M.AUSDT", wire.PublicTopic("kline", "AUSDT", interval="M")),
        ("kline.7.AUSDT", None),
        ("orderbook.50.AUSDT", wire.PublicTopic("orderbook", "AUSDT", depth=50)),
        ("orderbook.rpi.AUSDT", wire.PublicTopic("orderbook.rpi", "AUSDT")),
        ("orderbook.full.AUSDT", wire.PublicTopic("orderbook.full", "AUSDT")),
        ("orderbook.500.AUSDT", None),  # gone since September 2025
        ("tickers.AUSDT", wire.PublicTopic("tickers", "AUSDT")),
        ("liquidation.AUSDT", None),  # gone since February 2025
        ("allLiquidation.AUSDT", wire.PublicTopic("allLiquidation", "AUSDT")),
        ("insurance.USDT", wire.PublicTopic("insurance", "USDT")),
        ("insurance.DOGE", None),
        ("tickers.", None),
        ("", None),
        ("order", None),
    ],
)
def test_public_topics(topic, read) -> None:
    assert wire.read_public_topic(topic) == read


def test_a_subscription_is_a_list_of_texts_each_once() -> None:
    def ask(args):
        return wire.read_topics(wire.Request(op="subscribe", args=args))

    assert ask(["a", "b", "a"]) == ["a", "b"]
    for bad in (None, [], "a", [1], [""], {"a": 1}, [["a"]]):
        assert isinstance(ask(bad), wire.BadRequest)


# ---------------------------------------------------------------------------- private pushes


def test_a_push_keeps_what_it_can_read_and_counts_the_rest() -> None:
    good = wire.encode_order_push(k.ORDER)
    raw = wire.encode_private_push(
        "order.linear",
        [good, {"orderId": "x"}, {**good, "category": "spot"}, good],
        message_id="7",
        creation_time=9,
    )
    push = wire.decode_private(raw)
    assert (push.topic, len(push.items), push.bad, push.other) == ("order", 2, 1, 1)
    assert (push.creation_time, push.id) == (9, "7")


def test_a_wallet_push_of_another_coin_is_not_ours_and_not_bad() -> None:
    row = {"accountType": "UNIFIED", "coin": [{"coin": "BTC", "walletBalance": "1"}]}
    push = wire.decode_private(
        wire.encode_private_push("wallet", [row], message_id="1", creation_time=1)
    )
    assert (push.items, push.bad, push.other) == ((), 0, 1)
    assert wire.read_wallet({"accountType": "UNIFIED", "coin": []}).wallet_balance == 0


def test_a_push_without_its_envelope_still_arrives() -> None:
    body = {"topic": "execution", "data": [wire.encode_execution_push(k.EXECUTION)]}
    push = wire.decode_private(wire.encode_json({**body, "creationTime": "soon", "id": []}))
    assert (len(push.items), push.creation_time, push.id) == (1, 0, "")


def test_the_fast_topic_has_no_id_and_an_unknown_topic_harms_nobody() -> None:
    row = wire.encode_fast_execution_push(k.EXECUTION)
    raw = wire.encode_private_push("execution.fast", [row], message_id="1", creation_time=1)
    assert "id" not in told(raw)
    assert wire.decode_private(raw).topic == "execution.fast"
    other = wire.decode_private(b'{"topic":"brand.new","data":[]}')
    assert other == wire.OtherPush("brand.new")


# ---------------------------------------------------------------------------- order entry

BODY = {"category": "linear", "symbol": "AUSDT", "side": "Buy", "orderType": "Market", "qty": "1"}


def ask(**changes):
    frame = {"reqId": "r", "header": {"X-BAPI-TIMESTAMP": "5"}, "op": "order.create",
             "args": [BODY]}  # fmt: skip
    return wire.decode_trade_request(wire.encode_json({**frame, **changes}))


def test_an_order_entry_request_reads_back() -> None:
    raw = wire.encode_trade_request(
        "order.create", BODY, req_id="r1", timestamp_ms=5, recv_window_ms=800
    )
    request = wire.decode_trade_request(raw)
    assert request == wire.TradeRequest("order.create", BODY, "r1", 5, 800)
    assert wire.TRADE_READERS[request.op](request.body, 3).qty == 1
    assert wire.TRADE_PATHS["order.create-batch"] == "/v5/order/create-batch"
    assert ask().recv_window_ms == wire.RECV_WINDOW_MS
    assert ask(op="order.explode").op == "order.explode"  # the server answers 10404
    assert wire.decode_trade_request(wire.encode_trade_ping()).op == "ping"


@pytest.mark.parametrize(
    "changes",
    [
        {"header": None},
        {"header": {}},
        {"header": {"X-BAPI-TIMESTAMP": "now"}},
        {"args": []},
        {"args": [BODY, BODY]},
        {"args": BODY},
        {"op": 5},
        {"reqId": "r" * 37},
        {"reqId": ["r"]},
        {"reqId": True},
    ],
)
def test_a_broken_order_entry_request_is_refused(changes) -> None:
    answer = ask(**changes)
    assert isinstance(answer, wire.BadRequest)
    assert answer.code == 10001


def test_an_order_entry_reply_says_what_is_left_of_the_second() -> None:
    raw = wire.encode_trade_reply(
        "order.create", conn_id="c", now_ms=77, req_id="r",
        data={"orderId": "o", "orderLinkId": "l"}, allowance=wire.Allowance(10, 9, 78),
        trace_id="t",
    )  # fmt: skip
    header = told(raw)["header"]
    assert header["Traceid"] == header["TraceId"] == "t"
    reply = wire.decode_trade_reply(raw)
    assert reply.ack == wire.Ack("o", "l")
    assert (reply.req_id, reply.limit_left, reply.limit_reset_ms, reply.venue_ms) == (
        "r", 9, 78, 77,
    )  # fmt: skip
    odd = wire.decode_trade_reply(
        b'{"retCode":"10006","op":"order.create","header":{"Timenow":[]}}'
    )
    assert (odd.code, odd.venue_ms, odd.limit_left) == (10006, 0, None)


def test_a_batch_says_of_each_what_became_of_it() -> None:
    answers = [
        ({"symbol": "A", "orderLinkId": "l1"}, Accepted(1, "o1", "l1")),
        ({"symbol": "B", "orderLinkId": "l2", "orderId": 5}, Refused(1, 110007, "too poor")),
    ]
    result, ext = wire.encode_batch_result(answers, now_ms=5)
    assert [row["createAt"] for row in result["list"]] == ["5", ""]
    reply = wire.read_reply(wire.envelope(result, 1, ext=ext))
    assert wire.read_batch_ack(reply.result, reply.ext) == [
        wire.Ack("o1", "l1", 0, "OK"),
        wire.Ack("", "l2", 110007, "too poor"),
    ]
    raw = wire.encode_trade_reply("order.create-batch", conn_id="c", now_ms=1, data=result, ext=ext)
    assert wire.decode_trade_reply(raw).acks[1].code == 110007
    with pytest.raises(wire.WireError, match="match"):
        wire.read_batch_ack(result, {"list": []})


def test_a_page_of_html_is_not_a_reply() -> None:
    for raw in (b"<html>502</html>", b"", b"[]", b'{"code":0}', b'{"retCode":"abc"}'):
        with pytest.raises(wire.WireError):
            wire.read_reply(raw)
    reply = wire.read_reply('{"retCode":"110072","retMsg":null,"result":[]}')
    assert (reply.code, reply.message, reply.result, reply.time) == (110072, "", {}, 0)


# ---------------------------------------------------------------------------- windows of a query

NOW = 1_700_000_000_000


@pytest.mark.parametrize(
    ("given", "start", "end"),
    [
        ({}, NOW - wire.WEEK_MS, NOW),
        ({"startTime": "1000"}, 1000, 1000 + wire.WEEK_MS),
        ({"endTime": "9000"}, 9000 - wire.WEEK_MS, 9000),
        ({"startTime": 5, "endTime": "9"}, 5, 9),
    ],
)
def test_a_window_is_filled_in(given, start, end) -> None:
    query = wire.read_executions_query({"category": "linear", **given}, now_ms=NOW)
    assert (query.window.start_ms, query.window.end_ms, query.window.limit) == (start, end, 50)


def test_windows_and_limits_have_bounds() -> None:
    def ask(**given):
        return wire.read_executions_query({"category": "linear", **given}, now_ms=NOW)

    assert "7 days" in ask(startTime=0, endTime=wire.WEEK_MS + 1).message
    assert "less than" in ask(startTime=5, endTime=4).message
    assert ask(limit="500").window.limit == 100
    assert isinstance(ask(limit=0), wire.BadRequest)
    assert isinstance(wire.read_market_query({"category": "linear", "symbol": "A",
                      "startTime": 5}, "history"), wire.BadRequest)  # fmt: skip
    assert isinstance(wire.read_orders_query({"category": "linear"}, now_ms=NOW), wire.BadRequest)
    assert wire.read_orders_query({"category": "inverse"}, now_ms=NOW).category == "inverse"


def test_the_scale_of_a_price_is_its_ticks_decimals() -> None:
    row = wire.encode_instrument_row(k.INSTRUMENT)
    assert row["priceScale"] == "0"
    assert wire.read_instrument({**row, "status": "Settling"}).status == "Closed"
    assert Decimal(row["lowerFundingRate"]) < 0
