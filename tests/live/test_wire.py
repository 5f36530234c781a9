"""The codec: what goes over the wire comes back to the bit, and nothing unreadable passes."""

import contextlib
import json
import math
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.venue import wire

price = st.floats(min_value=1e-12, max_value=1e15, allow_nan=False)
STEP = 900_000


@given(value=st.floats(min_value=0.0, allow_nan=False, allow_infinity=False))
def test_a_number_reads_back_to_the_bit_and_is_plain(value: float) -> None:
    text = wire.number(value)
    assert float(text) == value
    assert "e" not in text
    assert not text.endswith(".0")


@given(values=st.tuples(price, price, price, price, price, price), confirm=st.booleans())
def test_a_candle_survives_the_stream_bit_for_bit(
    values: tuple[float, ...],
    confirm: bool,  # noqa: FBT001 - hypothesis passes it by name
) -> None:
    raw = wire.encode_kline(
        "kline.15.AUSDT", "15", 1_700_000_100_000, STEP, values, confirm=confirm, ts=7
    )
    message = wire.decode_stream(raw)
    assert isinstance(message, wire.KlinePush)
    assert message.topic == "kline.15.AUSDT"
    bar = message.data[0]
    assert (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.turnover) == values
    assert (bar.start, bar.end, bar.confirm) == (1_700_000_100_000, 1_700_000_999_999, confirm)
    json.loads(raw)


@given(raw=st.binary(max_size=200))
def test_garbage_is_a_wire_error_or_a_message_never_a_crash(raw: bytes) -> None:
    with contextlib.suppress(wire.WireError):
        assert wire.decode_stream(raw) is not None


@pytest.mark.parametrize(
    "change",
    [
        lambda bar: bar.pop("close"),
        lambda bar: bar.update(close="abc"),
        lambda bar: bar.update(close=None),
        lambda bar: bar.update(start="soon"),
        lambda bar: bar.pop("confirm"),
    ],
)
def test_a_candle_without_a_readable_value_is_refused(change: Callable[[dict], object]) -> None:
    raw = wire.encode_kline("kline.15.A", "15", 0, STEP, (1.0,) * 6, confirm=True, ts=7)
    body = json.loads(raw)
    change(body["data"][0])
    with pytest.raises(wire.WireError):
        wire.decode_stream(json.dumps(body))


def test_unknown_fields_spaces_and_order_do_not_matter() -> None:
    raw = wire.encode_kline(
        "kline.15.A", "15", 0, STEP, (1.0, 2.0, 0.5, 1.5, 9.0, 10.0), confirm=True, ts=7
    )
    body = json.loads(raw)
    body["data"][0]["brandNew"] = {"a": [1]}
    spelled = json.dumps(dict(reversed(body.items())), indent=1)
    assert wire.decode_stream(spelled) == wire.decode_stream(raw)


def test_both_pongs_and_acks_are_known() -> None:
    public = b'{"success":true,"ret_msg":"pong","conn_id":"x","req_id":"","op":"ping"}'
    private = b'{"req_id":"1","op":"pong","args":["1"],"conn_id":"x"}'
    ack = b'{"success":true,"ret_msg":"","conn_id":"x","req_id":"9","op":"subscribe"}'
    for raw, pong in ((public, True), (private, True), (ack, False)):
        reply = wire.decode_stream(raw)
        assert isinstance(reply, wire.Reply)
        assert reply.is_pong is pong


def test_requests_of_real_clients_are_read() -> None:
    for raw in ('{"op":"ping","args":12}', '{"op":"ping","req_id":5}', '{"op":"ping"}'):
        assert wire.decode_request(raw).op == "ping"


@given(n=st.integers(1, 30), open_ms=st.integers(0, STEP - 1))
def test_rest_rows_come_back_oldest_first_without_the_open_candle(n: int, open_ms: int) -> None:
    ts = STEP * np.arange(1, n + 1)
    columns = [np.linspace(1.0, 2.0, n) + i for i in range(6)]
    rows = wire.kline_rows(ts, columns, 0, n)
    assert [int(r[0]) for r in rows] == sorted((int(t) for t in ts), reverse=True)
    now = int(ts[-1]) + open_ms  # the newest is still open
    bars = wire.klines_from_rows(rows, now, STEP)
    assert [b.start for b in bars] == [int(t) for t in ts[:-1]]
    assert all(b.confirm for b in bars)
    assert [b.close for b in bars] == columns[3][:-1].tolist()


def test_a_bad_rest_row_is_refused_by_name() -> None:
    with pytest.raises(wire.WireError, match="row"):
        wire.klines_from_rows([["1", "2", "3"]], 10**12, STEP)


def test_an_unreadable_instrument_costs_only_itself() -> None:
    rows = [
        {"symbol": "AUSDT", "launchTime": "5"},
        {"noSymbol": 1},
        {"symbol": "BUSDT", "fundingInterval": "480"},
    ]
    good, bad = wire.instruments_from_rows(rows)
    assert [g.symbol for g in good] == ["AUSDT", "BUSDT"]
    assert bad == 1
    assert good[1].funding_interval == 480


def test_no_value_is_nan() -> None:
    assert math.isnan(wire.as_float(""))
    assert wire.as_int("") == 0


@pytest.mark.realdata
def test_the_venues_own_examples_decode() -> None:
    beside = Path(__file__).resolve().parents[2].parent / "shared"
    payloads = Path(os.environ.get("ZION_SHARED", beside)) / "bybit" / "payloads"
    if not payloads.is_dir():
        pytest.skip("the example payloads are not beside the checkout")
    push = wire.decode_stream((payloads / "ws/public__kline__stream.json").read_bytes())
    assert isinstance(push, wire.KlinePush)
    assert push.data[0].close == 16677.0
    assert push.data[0].confirm is False
    other = wire.decode_stream((payloads / "ws/public__ticker__stream__linear.json").read_bytes())
    assert other == wire.OtherPush("tickers.BTCUSDT")
    body = json.loads((payloads / "rest/market__instrument__response__linear.json").read_bytes())
    good, bad = wire.instruments_from_rows(body["result"]["list"])
    assert (good[0].symbol, bad) == ("BTCUSDT", 0)
    assert good[0].price_filter.tick_size == "0.10"
    body = json.loads((payloads / "rest/market__kline__response.json").read_bytes())
    bars = wire.klines_from_rows(body["result"]["list"], body["time"], 3_600_000)
    assert [b.open for b in bars] == [17086.5, 17071.5, 17071.0]
