"""What one user and one address may do, and how the venue says no."""

import httpx
from hypothesis import given
from hypothesis import strategies as st

from live.clock import ManualClock, SystemClock
from live.venues.bybit.simlimits import LimitRules, Limits, Window
from tests.live.sim.face import limit, running

CREATE = "/v5/order/create"


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(1, 4)), max_size=80))
def test_no_window_ever_holds_more_than_its_limit(steps: list[tuple[int, int]]) -> None:
    window, now, taken = Window(5, 1000), 0, []
    for gap, wish in steps:
        now += gap
        granted = window.take(now, wish)
        inside = sum(n for at, n in taken if at > now - 1000)
        assert granted == min(wish, 5 - inside)
        taken.append((now, granted))
        assert window.free_at(now) >= now


def test_users_and_endpoints_do_not_share() -> None:
    limits = Limits()
    assert [limits.user(1, CREATE, 0).granted for _ in range(11)] == [1] * 10 + [0]
    refused = limits.user(1, CREATE, 400)
    assert refused.headers == {
        "X-Bapi-Limit": "10",
        "X-Bapi-Limit-Status": "0",
        "X-Bapi-Limit-Reset-Timestamp": "1000",
    }
    assert limits.user(2, CREATE, 400).granted == 1
    assert limits.user(1, "/v5/order/amend", 400).granted == 1
    assert limits.user(1, CREATE, 1000).granted == 1
    assert limits.user(1, "/v5/user/query-api", 0).headers == {}


def test_a_batch_uses_as_many_as_it_holds() -> None:
    limits = Limits()
    path = "/v5/order/create-batch"
    first = limits.user(1, path, 0, 3)
    assert (first.granted, first.headers["X-Bapi-Limit-Status"]) == (3, "7")
    assert limits.user(1, path, 0, 20).granted == 7


def test_an_address_that_asks_too_much_is_locked_out_for_its_time() -> None:
    limits = Limits(LimitRules(ip_requests=3, ip_window_ms=5000, ban_ms=600_000))
    assert [limits.address("a", 10 * i) for i in range(4)] == [True, True, True, False]
    assert limits.address("b", 40)
    assert not limits.address("a", 600_029)
    assert limits.address("a", 600_030)


async def test_the_eleventh_order_of_a_second_is_refused_in_a_200_reply() -> None:
    clock = ManualClock(SystemClock().now_ms())
    async with running(clock=clock) as v:
        user, other = await v.user(), await v.user()
        now = clock.now_ms()
        replies = [await user.raw("POST", CREATE, _order(i), stamp=now) for i in range(11)]
        codes = [r.json()["retCode"] for r in replies]
        assert codes == [0] * 10 + [10006]
        last = replies[-1]
        assert last.status_code == 200
        assert last.json()["retMsg"].startswith("Too many visits!")
        assert last.headers["X-Bapi-Limit"] == "10"
        assert last.headers["X-Bapi-Limit-Status"] == "0"
        assert int(last.headers["X-Bapi-Limit-Reset-Timestamp"]) == clock.now_ms() + 1000
        left = [int(r.headers["X-Bapi-Limit-Status"]) for r in replies[:10]]
        assert left == list(range(9, -1, -1))
        assert (await other.raw("POST", CREATE, _order(0), stamp=now)).json()["retCode"] == 0
        clock.advance(1.0)
        again = await user.raw("POST", CREATE, _order(12), stamp=clock.now_ms())
        assert again.json()["retCode"] == 0
        truth = await v.state(user.key)
        assert len(truth["orders"]) == 11, "a throttled order was never taken in"


def _order(number: int) -> str:
    import json

    return json.dumps(limit("Buy", "1", "90", orderLinkId=f"n-{number}"))


async def test_an_address_is_answered_403_and_others_go_on() -> None:
    clock = ManualClock(SystemClock().now_ms())
    rules = LimitRules(ip_requests=5, ban_ms=600_000)
    async with running(clock=clock, rules=rules) as v:
        url = v.addresses["rest"] + "/v5/market/time"
        codes = [(await v.http.get(url)).status_code for _ in range(7)]
        assert codes == [200] * 5 + [403] * 2
        elsewhere = httpx.AsyncHTTPTransport(local_address="127.0.0.9")
        async with httpx.AsyncClient(transport=elsewhere) as other:
            assert (await other.get(url)).status_code == 200
        clock.advance(599.0)
        assert (await v.http.get(url)).status_code == 403
        clock.advance(1.0)
        assert (await v.http.get(url)).status_code == 200
        assert (await v.state())["refused"]["banned"] == 3


async def test_new_connections_have_a_budget() -> None:
    from websockets.exceptions import InvalidStatus

    async with running(rules=LimitRules(connects=3)) as v:
        user = await v.user()
        turned_away = []
        for _ in range(5):
            try:
                async with user.stream("private") as stream:
                    await stream.ask({"op": "ping"})
            except InvalidStatus as error:
                turned_away.append(error.response.status_code)
        assert turned_away == [403, 403]
