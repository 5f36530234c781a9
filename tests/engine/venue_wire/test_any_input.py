"""Whatever arrives, a reader answers or says `WireError`; the door never raises at all."""

import contextlib
import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.venue import wire
from engine.venue.wire import params
from engine.venue.wire.catalogue import examine
from tests.engine.venue_wire import gen

pytestmark = pytest.mark.laws

ROW_READERS = {
    "order": (wire.read_order, gen.orders.map(wire.encode_order_row)),
    "execution": (wire.read_execution, gen.executions.map(wire.encode_execution_push)),
    "position": (wire.read_position, gen.positions.map(wire.encode_position_row)),
    "wallet": (wire.read_wallet, gen.wallets.map(wire.encode_wallet_row)),
    "log": (wire.read_log, gen.log_rows.map(wire.encode_log_row)),
    "closed": (wire.read_closed_pnl, gen.closed_pnls.map(wire.encode_closed_pnl_row)),
    "instrument": (wire.read_instrument, gen.instruments.map(wire.encode_instrument_row)),
    "tier": (wire.read_risk_tier, st.just({"symbol": "A", "maxLeverage": "5", "id": 1,
             "maintenanceMargin": "1", "initialMargin": "1", "riskLimitValue": "1"})),
    "ticker": (wire.read_ticker, st.just(wire.encode_ticker_row(wire.Ticker(symbol="A")))),
    "candles": (lambda x: wire.klines_from_rows(x, 10**12, 60_000),
                st.just({"x": [["1", "2", "3", "1", "2", "5", "6"]]})),
    "candle": (lambda x: wire.klines_from_rows([x], 10**12, 60_000), st.just({"0": "1"})),
    "instruments": (lambda x: wire.instruments_from_rows([x]),
                    gen.instruments.map(wire.encode_instrument_row)),
    "tickers": (lambda x: wire.tickers_from_rows([x, {"symbol": "A"}]), st.just({"symbol": "A"})),
    "book": (wire.read_book, st.just({"s": "A", "b": [["1", "2"]], "a": [], "u": 1, "seq": 2})),
    "trade": (wire.read_trade, st.just({"i": "1", "s": "A", "p": "1", "v": "2", "T": 1, "S": ""})),
    "funding": (wire.read_funding, st.just({"symbol": "A", "fundingRate": "1",
                "fundingRateTimestamp": "1"})),
    "interest": (wire.read_open_interest, st.just({"openInterest": "1", "timestamp": "1"})),
    "limit": (wire.read_price_limit, st.just({"symbol": "A", "buyLmt": "1", "sellLmt": "1"})),
    "liquidation": (wire.read_liquidation, st.just({"s": "A", "S": "Buy", "v": "1", "p": "1"})),
    "insurance": (wire.read_insurance, st.just({"coin": "A", "symbols": "", "balance": "1"})),
    "alert": (wire.read_adl_alert, st.just({"c": "U", "s": "A", "b": 1, "mb": 1, "i_pr": 1})),
    "account": (wire.read_account_info, st.just({"marginMode": "X", "unifiedMarginStatus": 5})),
    "fee": (wire.read_fee_rate, st.just({"takerFeeRate": "1", "makerFeeRate": "1"})),
    "key": (wire.read_key_info, st.just({"permissions": {"Wallet": []}, "ips": [], "uta": 1})),
    "time": (wire.read_time, st.just({"timeSecond": "1", "timeNano": "2"})),
    "ack": (wire.read_ack, st.just({"orderId": "1", "orderLinkId": ""})),
    "reply": (wire.open_reply, st.just({"retCode": 0, "retMsg": "", "result": {}, "time": 1})),
    "page": (lambda x: wire.read_page(x, wire.read_order), st.just({"list": [], "x": 1})),
    "batch": (lambda x: wire.read_batch_ack(x, x), st.just({"list": [{}], "x": 1})),
}  # fmt: skip


@pytest.mark.parametrize("kind", ROW_READERS)
@given(data=st.data())
def test_a_reader_of_rows_reads_or_says_why_not(kind, data) -> None:
    reader, rows = ROW_READERS[kind]
    row = data.draw(rows)
    value = data.draw(gen.anything | gen.mangled(row))
    with contextlib.suppress(wire.WireError):
        reader(value)


def _deep(levels: int) -> object:
    value: object = "x"
    for i in range(levels):
        value = [value] if i % 2 else {"a": value}
    return value


@pytest.mark.parametrize("kind", ROW_READERS)
@settings(max_examples=1)
@given(data=st.data())
def test_a_value_nested_as_deep_as_json_allows_harms_no_reader(kind, data) -> None:
    reader, rows = ROW_READERS[kind]
    row = data.draw(rows)
    for key in row:
        with contextlib.suppress(wire.WireError):
            reader({**row, key: _deep(900)})


DOORS = {
    **{path: reader for path, reader in wire.POST_READERS.items()},  # noqa: C416 - widened type
    "dcp": lambda x, _uid: wire.read_set_dcp(x),
    "px": lambda x, _uid: wire.read_set_price_limit_action(x),
    "accountType": lambda x, _uid: wire.read_account_type(x),
    "batch": lambda x, uid: wire.read_batch(x, uid, wire.read_create),
    "realtime": lambda x, _uid: wire.read_orders_query(x, now_ms=10**12),
    "history": lambda x, _uid: wire.read_orders_query(x, now_ms=10**12, history=True),
    "executions": lambda x, _uid: wire.read_executions_query(x, now_ms=10**12),
    "positions": lambda x, _uid: wire.read_positions_query(x),
    "closed": lambda x, _uid: wire.read_closed_pnl_query(x, now_ms=10**12),
    "log": lambda x, _uid: wire.read_log_query(x, now_ms=10**12),
    "kline": lambda x, _uid: wire.read_kline_query(x, now_ms=10**12),
    "instruments": lambda x, _uid: wire.read_instruments_query(x),
    "market": lambda x, _uid: wire.read_market_query(x, "orderbook"),
    "interest": lambda x, _uid: wire.read_market_query(x, "open-interest"),
}
BODY = {
    "category": "linear", "symbol": "AUSDT", "side": "Buy", "orderType": "Limit", "qty": "1",
    "price": "2", "timeInForce": "GTC", "positionIdx": 0, "orderLinkId": "a", "orderId": "b",
    "reduceOnly": False, "closeOnTrigger": False, "triggerPrice": "3", "triggerDirection": 1,
    "triggerBy": "LastPrice", "takeProfit": "5", "stopLoss": "1", "tpslMode": "Full",
    "buyLeverage": "5", "sellLeverage": "5", "mode": 0, "coin": "USDT", "margin": "1",
    "autoAddMargin": 1, "setMarginMode": "REGULAR_MARGIN", "settleCoin": "USDT", "limit": 5,
    "orderFilter": "Order", "interval": "15", "startTime": 1, "endTime": 2, "timeWindow": 10,
    "request": [{"symbol": "AUSDT"}], "accountType": "UNIFIED", "cursor": "", "openOnly": 0,
    "slippageToleranceType": "Percent", "slippageTolerance": "0.5", "modifyEnable": True,
    "intervalTime": "5min",
}  # fmt: skip


@pytest.mark.parametrize("name", DOORS)
@given(value=gen.anything | gen.mangled(BODY))
def test_the_door_answers_anything(name, value) -> None:
    answer = DOORS[name](value, 1)
    if isinstance(answer, wire.BadRequest):
        assert answer.code == 10001
        assert 0 < len(answer.message) < 200


@pytest.mark.parametrize("name", DOORS)
def test_a_good_request_passes_every_door(name) -> None:
    assert not isinstance(DOORS[name](dict(BODY), 1), wire.BadRequest)


FRAMES = [
    wire.decode_stream, wire.decode_public, wire.decode_private, wire.decode_request,
    wire.decode_trade_reply, wire.read_reply, wire.read_json, examine,
]  # fmt: skip
SEEDS = [
    b'{"topic":"order","id":"1","creationTime":1,"data":[{"orderId":"1"}]}',
    b'{"topic":"kline.15.AUSDT","data":[{"start":1}],"ts":1,"type":"snapshot"}',
    b'{"topic":"orderbook.50.AUSDT","type":"delta","data":{"s":"A","b":[["1","2"]],"u":1}}',
    b'{"topic":"tickers.AUSDT","type":"delta","data":{"symbol":"AUSDT"},"cs":1,"ts":1}',
    b'{"topic":"publicTrade.A","data":[{"i":"1","p":"1","v":"1","T":1,"s":"A"}],"ts":1}',
    b'{"success":true,"ret_msg":"","op":"auth","conn_id":"x","req_id":5}',
    b'{"reqId":"a","retCode":0,"op":"order.create-batch","data":{"list":[{}]},"header":{}}',
    b'{"reqId":"a","header":{"X-BAPI-TIMESTAMP":"1"},"op":"order.create","args":[{}]}',
    b'{"method":"POST","path":"/v5/order/create","body":{"category":"linear"}}',
    b'{"method":"GET","path":"/v5/market/kline","query":{"category":"linear"}}',
    b'{"retCode":0,"result":{"list":[["1","2","3","4","5"]],"category":"linear"}}',
    b'{"retCode":0,"result":{"list":[{"orderId":"1","orderStatus":"New"}]}}',
    b'{"retCode":0,"retMsg":"OK","result":{"list":[]},"retExtInfo":{},"time":1}',
]


@st.composite
def _mutated(draw) -> bytes:
    raw = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(raw)))
        match draw(st.integers(0, 3)):
            case 0:
                raw[at:at] = draw(st.binary(max_size=4))
            case 1:
                del raw[at : at + draw(st.integers(1, 9))]
            case 2 if at < len(raw):
                raw[at] = draw(st.integers(0, 255))
            case _:
                other = draw(st.sampled_from(SEEDS))
                raw[at:at] = other[: draw(st.integers(0, len(other)))]
    return bytes(raw)


raws = st.binary(max_size=60) | st.text(max_size=60) | _mutated() | gen.anything.map(
    lambda x: json.dumps(x, default=str)
)  # fmt: skip


@pytest.mark.parametrize("read", FRAMES, ids=lambda f: f.__name__)
@given(raw=raws)
def test_a_frame_is_read_or_says_why_not(read, raw) -> None:
    with contextlib.suppress(wire.WireError):
        read(raw)


@given(raw=raws)
def test_an_order_entry_frame_is_always_answered(raw) -> None:
    request = wire.decode_trade_request(raw)
    if isinstance(request, wire.TradeRequest):
        wire.read_auth(wire.Request(op=request.op, args=request.body))
        reader = wire.TRADE_READERS.get(request.op)
        if reader:
            reader(request.body, 1)


@given(args=gen.anything)
def test_topics_and_auth_are_read_or_refused(args) -> None:
    request = wire.Request(op="subscribe", args=args)
    topics = wire.read_topics(request)
    if isinstance(topics, list):
        assert isinstance(wire.check_private_topics(topics), str)
        for topic in topics:
            wire.read_public_topic(topic)
    auth = wire.read_auth(request)
    assert isinstance(auth, wire.Auth | wire.BadRequest)


HOSTILE = {
    "deep list": b"[" * 200_000,
    "deep closed": b"[" * 50_000 + b"]" * 50_000,
    "deep object": b'{"a":' * 100_000,
    "deep inside": b'{"topic":"order","data":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep args": b'{"op":"order.create","args":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "long text": b'{"op":"' + b"x" * 1_000_000 + b'"}',
    "long number": b'{"op":"a","retCode":' + b"1" * 1_000_000 + b"}",
    "long fraction": b'{"topic":"order","data":[{"qty":0.' + b"1" * 900_000 + b"}]}",
    "exponent": b'{"retCode":0,"time":1e99999999999999999999}',
    "many keys": b"{" + b",".join(b'"%d":1' % i for i in range(100_000)) + b"}",
    "binary": bytes(range(256)) * 4000,
    "surrogate": b'{"topic":"\\ud800"}',
    "nothing": b"",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_frames_are_bounded(name) -> None:
    raw = HOSTILE[name]
    for read in FRAMES:
        with contextlib.suppress(wire.WireError):
            read(raw)
    assert isinstance(wire.decode_trade_request(raw), wire.BadRequest | wire.TradeRequest)


def test_a_request_longer_than_a_megabyte_is_refused() -> None:
    raw = b'{"op":"ping","x":"' + b"x" * wire.REQUEST_BYTES_MAX + b'"}'
    assert isinstance(wire.decode_trade_request(raw), wire.BadRequest)
    with pytest.raises(wire.WireError, match="long"):
        wire.decode_request(raw)


# ---------------------------------------------------------------------------- numbers

EXACT = ["0.1", "123456789012345678.123456789012345678", "-0.000000000000000001", "9" * 60]


@pytest.mark.parametrize("text", EXACT)
def test_no_digit_is_lost_as_text_or_as_a_json_number(text) -> None:
    for raw in (f'{{"x":"{text}"}}', f'{{"x":{text}}}'):
        value = (
            wire.as_decimal(wire.read_json(raw)["x"])
            if len(text) < 20 or "." in text
            else (wire.as_decimal(text))
        )
        assert value == Decimal(text)
        assert wire.plain(value) == text


def test_small_change_of_real_clients() -> None:
    assert wire.plain(wire.as_decimal("1e-05")) == "0.00001"
    assert wire.plain(wire.as_decimal(wire.read_json("1e-05"))) == "0.00001"
    assert wire.as_decimal("  7 ") == 7
    assert wire.as_decimal("") is None
    assert wire.as_decimal(None) is None
    for bad in ("abc", "1_000", "NaN", "Infinity", "1e999", "0e-99", "--1", True, [], "9" * 100):
        with pytest.raises(wire.WireError):
            wire.as_decimal(bad)


@given(value=gen.anything)
def test_a_number_is_plain_or_refused(value) -> None:
    with contextlib.suppress(wire.WireError):
        number = wire.as_decimal(value)
        assert len(wire.plain(number)) <= 2 * 80


# ---------------------------------------------------------------------------- the door's rules


def create(**changes):
    body = {"category": "linear", "symbol": "AUSDT", "side": "Buy", "orderType": "Limit",
            "qty": "1", "price": "2"}  # fmt: skip
    return wire.read_create({**body, **changes}, 1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"category": None}, "category"),
        ({"category": "spot"}, "category"),
        ({"symbol": ""}, "symbol"),
        ({"symbol": "ausdt"}, "symbol"),
        ({"symbol": 5}, "symbol"),
        ({"side": "buy"}, "Side"),
        ({"orderType": "Stop"}, "OrderType"),
        ({"qty": None}, "Qty"),
        ({"qty": "-1"}, "Qty"),
        ({"qty": True}, "Qty"),
        ({"qty": ["1"]}, "Qty"),
        ({"qty": "NaN"}, "Qty"),
        ({"price": "0"}, "Price"),
        ({"price": {}}, "Price"),
        ({"timeInForce": "DAY"}, "TimeInForce"),
        ({"positionIdx": 3}, "position idx"),
        ({"positionIdx": "1.5"}, "position idx"),
        ({"orderLinkId": "a" * 37}, "longer than 36"),
        ({"orderLinkId": "a b"}, "orderLinkId"),
        ({"orderLinkId": 5}, "orderLinkId"),
        ({"reduceOnly": "maybe"}, "reduceOnly"),
        ({"triggerPrice": "5"}, "TriggerDirection"),
        ({"triggerPrice": "5", "triggerDirection": 3}, "TriggerDirection"),
        ({"stopLoss": "-5"}, "stopLoss"),
        ({"tpslMode": "Half"}, "tpslMode"),
        ({"slippageToleranceType": "Bps"}, "slippageToleranceType"),
    ],
)
def test_a_wrong_create_is_refused_by_name(changes, words) -> None:
    answer = create(**changes)
    assert isinstance(answer, wire.BadRequest)
    assert answer.code == params.PARAMETER_ERROR
    assert words in answer.message


def test_what_real_clients_send_passes() -> None:
    assert create(qty=1, price=2.5, positionIdx="0", position_idx=0, leverage=5).qty == 1
    assert create(price=Decimal("0.1")).price == Decimal("0.1")
    assert create(orderLinkId=None, takeProfit="0", stopLoss="").take_profit is None
    assert create(reduceOnly="true").reduce_only
    market = create(orderType="Market", price="5", timeInForce="GTC")
    assert (market.price, market.time_in_force) == (None, "IOC")
    assert create(orderLinkId="-" * 36).order_link_id == "-" * 36


def test_one_bad_row_costs_only_itself() -> None:
    good = {"orderId": "1", "symbol": "A", "side": "Buy", "orderStatus": "New", "qty": "1"}
    page = wire.read_page({"list": [good, {"orderId": "2"}, 5], "nextPageCursor": "a%3A"},
                          wire.read_order)  # fmt: skip
    assert [o.order_id for o in page.items] == ["1"]
    assert (page.bad, page.cursor) == (2, "a%3A")
    brand_new = {**good, "orderStatus": "Levitating", "brandNew": {}, "cancelType": "ByMagic"}
    read = wire.read_order(brand_new)
    assert (read.order_status, read.cancel_type, read.is_open) == ("Levitating", "ByMagic", True)
