"""The signer: right signatures, few paths, no secret anywhere."""

import copy
import hashlib
import hmac
import pickle
import traceback

import pytest

from engine.errors import DataError
from live.venues.bybit.signer import ALLOWED, Signer, SigningRefused
from live.venues.bybit.transport import payload
from tests.live.client.fakes import KEY, SECRET


def by_hand(text: str) -> str:
    return hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()


def test_signature_is_hmac_of_the_exact_payload():
    signer = Signer(KEY, SECRET)
    body = '{"symbol":"BTCUSDT","qty":"1"}'
    got = signer.headers("POST", "/v5/order/create", body, timestamp_ms=123, now_s=0.0)
    assert got["X-BAPI-SIGN"] == by_hand(f"123{KEY}5000{body}")
    assert got["X-BAPI-TIMESTAMP"] == "123"
    assert signer.stream_auth(99) == [KEY, 99, by_hand("GET/realtime99")]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v5/asset/withdraw/create"),
        ("POST", "/v5/asset/transfer/inter-transfer"),
        ("POST", "/v5/user/create-sub-api"),
        ("GET", "/v5/order/create"),
        ("post", "/v5/order/create"),
        ("POST", "/v5/order/create/"),
        ("POST", "/v5/order/create?x=1"),
        ("POST", "/v5/order/../asset/withdraw/create"),
        ("DELETE", "/v5/order/realtime"),
    ],
)
def test_what_is_not_on_the_list_is_not_signed(method, path):
    signer = Signer(KEY, SECRET)
    with pytest.raises(SigningRefused):
        signer.headers(method, path, "", timestamp_ms=1, now_s=0.0)
    assert signer.refused == 1


def test_the_list_moves_no_money_out():
    words = ("withdraw", "transfer", "asset", "sub", "create-api", "convert", "broker")
    assert not [path for _, path in ALLOWED if any(word in path for word in words)]


def test_the_secret_shows_nowhere():
    signer = Signer(KEY, SECRET)
    shown = [repr(signer), str(signer), f"{signer}", str(dir(signer))]
    shown += [str(getattr(signer, name)) for name in Signer.__slots__]
    for write in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError) as caught:
            write(signer)
        shown.append("".join(traceback.format_exception(caught.value)))
    with pytest.raises(SigningRefused) as refused:
        signer.headers("POST", "/nowhere", "", timestamp_ms=1, now_s=0.0)
    shown.append("".join(traceback.format_exception(refused.value)))
    with pytest.raises(DataError) as bad:
        Signer(KEY, "tab\tin it")
    shown.append(str(bad.value))
    assert not [text for text in shown if SECRET in text or "tab\tin it" in text]
    assert not hasattr(signer, "__dict__")


def test_order_ceiling_holds_in_any_second_and_spares_what_takes_risk_off():
    signer = Signer(KEY, SECRET, orders_per_s=3)

    def create(now_s: float) -> None:
        signer.headers("POST", "/v5/order/create", "{}", timestamp_ms=1, now_s=now_s)

    for now_s in (0.0, 0.5, 0.9):
        create(now_s)
    with pytest.raises(SigningRefused):
        create(0.95)
    with pytest.raises(SigningRefused):
        signer.count_order(0.99)  # order frames of a stream count as well
    for path in ("/v5/order/cancel", "/v5/order/cancel-all", "/v5/position/trading-stop"):
        assert signer.headers("POST", path, "{}", timestamp_ms=1, now_s=0.95)
    create(1.0)  # the first is a second old


@pytest.mark.parametrize(("key", "secret"), [("", "x"), ("a b c d", "x"), (KEY, ""), (KEY, "é")])
def test_impossible_keys_are_refused(key, secret):
    with pytest.raises(DataError):
        Signer(key, secret)


def test_a_refused_key_leaves_no_secret_in_the_frames_of_its_traceback():
    for key in ("not a key", SECRET + " x"):
        with pytest.raises(DataError) as caught:
            Signer(key, SECRET)
        trace = caught.value.__traceback__
        inside = [f for f, _ in traceback.walk_tb(trace) if f.f_code.co_name == "__init__"]
        assert inside
        assert not [f for f in inside if SECRET in repr(f.f_locals)]


def test_a_close_passes_the_ceiling_and_no_other_text_looks_like_one():
    signer = Signer(KEY, SECRET, orders_per_s=1)

    def create(**body: object) -> None:
        text = payload("POST", body)
        signer.headers("POST", "/v5/order/create", text, timestamp_ms=1, now_s=0.0)

    create(reduceOnly=False)
    create(reduceOnly=True)
    for body in ({"reduceOnly": False}, {}, {"symbol": '"reduceOnly":true'}):
        with pytest.raises(SigningRefused):
            create(**body)
