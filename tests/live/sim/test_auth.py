"""Signatures, headers and the time rule, by hand and over real sockets."""

import hashlib
import hmac
import json

import pytest

from live.clock import SystemClock
from live.venues.bybit.simauth import Caller, Denied, KeyRing, sign, sign_headers
from tests.live.sim.face import SYMBOL, limit, running

NOW = 1_795_000_000_000
QUERY = "category=linear&settleCoin=USDT"


def ring(**options: object) -> tuple[KeyRing, object]:
    keys = KeyRing(3)
    return keys, keys.issue(7, **options)


def check(keys: KeyRing, headers: dict[str, str], payload: str = QUERY, **options):
    return keys.check_rest(headers, payload, NOW, **options)


def code(answer: object) -> int:
    return answer.code if isinstance(answer, Denied) else 0


def test_the_signature_is_the_documents_own_rule() -> None:
    keys, key = ring()
    text = f"{NOW}{key.key}5000{QUERY}"
    expected = hmac.new(key.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    headers = sign_headers(key, QUERY, NOW)
    assert headers["x-bapi-sign"] == expected
    assert check(keys, headers) == Caller(key, NOW)
    assert key.secret not in repr(key)
    # every part is under the signature
    assert code(check(keys, headers, QUERY + "&limit=1")) == 10004
    assert code(check(keys, headers | {"x-bapi-timestamp": str(NOW + 1)})) == 10004
    assert code(check(keys, headers | {"x-bapi-recv-window": "5001"})) == 10004
    assert code(check(keys, headers | {"x-bapi-sign": expected.upper()})) == 10004
    assert code(check(keys, headers | {"x-bapi-sign": "é"})) == 10004


def test_without_a_window_header_five_seconds_count_and_nothing_is_signed_for_it() -> None:
    keys, key = ring()
    bare = {
        "x-bapi-api-key": key.key,
        "x-bapi-timestamp": str(NOW - 5000),
        "x-bapi-sign": sign(key.secret, f"{NOW - 5000}{key.key}{QUERY}"),
    }
    assert code(check(keys, bare)) == 0


@pytest.mark.parametrize(
    ("stamp", "window", "expected"),
    [
        (NOW, 5000, 0),
        (NOW - 5000, 5000, 0),
        (NOW - 5001, 5000, 10002),
        (NOW - 5001, 20_000, 0),
        (NOW + 999, 5000, 0),
        (NOW + 1000, 5000, 10002),
        (NOW + 1000, 60_000, 10002),  # ahead: no window helps
    ],
)
def test_the_time_rule(stamp: int, window: int, expected: int) -> None:
    keys, key = ring()
    assert code(check(keys, sign_headers(key, QUERY, stamp, window))) == expected


def test_a_client_may_sign_by_the_time_it_was_told() -> None:
    keys, key = ring()
    past = NOW - 30 * 86_400_000
    assert code(check(keys, sign_headers(key, QUERY, past))) == 10002
    keys.told(past, NOW)
    assert code(check(keys, sign_headers(key, QUERY, past))) == 0
    assert code(check(keys, sign_headers(key, QUERY, NOW))) == 0
    assert code(check(keys, sign_headers(key, QUERY, past + 1000))) == 10002
    later = NOW + 40_000  # that clock runs on
    assert code(keys.check_rest(sign_headers(key, QUERY, past + 40_000), QUERY, later)) == 0
    assert code(keys.check_rest(sign_headers(key, QUERY, past), QUERY, later)) == 10002
    much = NOW + 400_000  # and is forgotten
    keys.told(much, much)
    assert code(keys.check_rest(sign_headers(key, QUERY, past + 400_000), QUERY, much)) == 10002


def test_each_key_fault_has_its_code() -> None:
    keys, key = ring()
    good = sign_headers(key, QUERY, NOW)
    assert code(check(keys, {})) == 10003
    missing = check(keys, {k: v for k, v in good.items() if k != "x-bapi-sign"})
    assert isinstance(missing, Denied)
    assert missing.status == 401
    assert code(check(keys, good | {"x-bapi-api-key": "nobody"})) == 10003
    assert code(check(keys, good | {"x-bapi-timestamp": "soon"})) == 10001
    keys.change(key.key, ips=("10.0.0.1",))
    assert code(check(keys, good)) == 10010
    keys.change(key.key, ips=(), expires_ms=NOW)
    assert code(check(keys, good)) == 33004
    assert not keys.still_good(key.key, NOW)
    keys.change(key.key, expires_ms=NOW + 1, read_only=True)
    assert code(check(keys, good)) == 0
    assert code(check(keys, good, write=True)) == 10005
    keys.change(key.key, read_only=False, permissions=frozenset({"Position"}))
    assert code(check(keys, good, permission="Order", write=True)) == 10005
    keys.delete(key.key)
    assert code(check(keys, good)) == 10003


def test_a_stream_is_opened_by_a_signature_that_has_not_expired() -> None:
    keys, key = ring()

    def opened(expires: object, signature: str | None = None) -> int:
        text = signature or sign(key.secret, f"GET/realtime{expires}")
        return code(keys.check_stream([key.key, expires, text], NOW))

    assert opened(NOW + 1) == 0
    assert opened(str(NOW + 1)) == 0, "one client sends it as text"
    assert opened(NOW) == 10004
    assert opened(NOW + 1, "0" * 64) == 10004
    assert opened("soon") == 10001
    keys.told(NOW - 30 * 86_400_000, NOW)
    assert opened(NOW) == 10004, "a clock far behind makes nothing valid that has expired"
    assert opened(NOW - 30 * 86_400_000 + 10_000) == 0
    assert opened(NOW - 30 * 86_400_000) == 10004
    assert code(keys.check_stream([key.key], NOW)) == 10001
    assert code(keys.check_stream({"a": 1}, NOW)) == 10001
    assert code(keys.check_stream(["nobody", NOW + 1, "x"], NOW)) == 10003


async def test_the_raw_bytes_are_signed_whatever_their_order_and_spacing() -> None:
    async with running() as v:
        user = await v.user()
        spaced = '{ "symbol":"S000USDT" , "category":"linear","buyLeverage":"7","sellLeverage":"7"}'
        answer = await user.raw("POST", "/v5/position/set-leverage", spaced)
        assert answer.json()["retCode"] == 0
        compact = json.dumps(json.loads(spaced))
        answer = await user.raw("POST", "/v5/position/set-leverage", spaced, signed=compact)
        assert answer.json()["retCode"] == 10004
        odd = f"settleCoin=USDT&limit=5&category=linear&cursor=&symbol={SYMBOL}"
        assert (await user.get("/v5/order/realtime", odd))["retCode"] == 0


async def test_what_a_key_may_not_is_refused_before_anything_happens() -> None:
    async with running() as v:
        reader = await v.user(readOnly=True)
        refused = await reader.post("/v5/order/create", limit("Buy", "1", "90"))
        assert refused["retCode"] == 10005
        assert (await reader.get("/v5/order/realtime", QUERY))["result"]["list"] == []
        info = (await reader.get("/v5/user/query-api"))["result"]
        assert info["readOnly"] == 1
        bound = await v.user(ips=["10.1.1.1"])
        assert (await bound.get("/v5/account/info"))["retCode"] == 10010
        old = await v.user(expiresMs=SystemClock().now_ms() - 1)
        assert (await old.get("/v5/account/info"))["retCode"] == 33004
        late = await reader.raw("GET", "/v5/account/info", skew_ms=-6000)
        assert late.json()["retCode"] == 10002
        assert "req_timestamp[" in late.json()["retMsg"]
        bare = await v.http.get(v.addresses["rest"] + "/v5/account/info")
        assert bare.status_code == 401
