"""What the venue refuses, as pybit's HTTP class tells it: the right code, and nothing lost."""

import time

from common import check, need
from pybit.exceptions import InvalidRequestError
from pybit_world import LINEAR, MINE, S, W, client, code_of, filters, place, price, qty, rows

TOO_MUCH = {110004, 110007, 110012, 110090}


def burst():
    """More orders in a second than the venue takes: refused by code, none lost, none doubled."""
    fields = {"side": "Buy", "orderType": "Limit", "qty": qty(), "price": price(-0.005)}
    codes = []
    for _ in range(25):
        try:
            MINE.place_order(**S, **fields)
        except InvalidRequestError as error:
            codes.append(error.status_code)
    need(set(codes) == {10006}, f"codes {codes}")
    # Left to itself pybit waits until the reset time, and dies (ValueError: sleep length must be
    # non-negative) when its answer came after it: that race is its own, so it is not judged here.
    time.sleep(1.1)
    need(len(rows(MINE.get_open_orders(**S, limit=50))) == 25 - len(codes), "lost or doubled")
    MINE.cancel_all_orders(**S)


def duplicate():
    fields = {"side": "Buy", "orderType": "Limit", "qty": qty(), "price": price(-0.005)}
    place(**fields, orderLinkId="judge-twice")
    code_of(lambda: place(**fields, orderLinkId="judge-twice"), 110072)()
    need(len(rows(MINE.get_open_orders(**S))) == 1, "doubled")
    MINE.cancel_all_orders(**S)


def refusals():
    base = {"side": "Buy", "orderType": "Limit"}
    tick, step = filters()
    dust = {"qty": format(step, "f"), "price": format(tick * 100, "f")}
    near = {"qty": qty(), "price": price(-0.004)}
    stranger = {**LINEAR, **base, "symbol": "NOSUCHUSDT", "qty": "1", "price": "1"}
    absurd = {"buyLeverage": "5000", "sellLeverage": "5000"}
    close = {"side": "Sell", "orderType": "Market", "qty": qty(), "reduceOnly": True}
    check("burst of orders -> 10006", burst)
    check("duplicate orderLinkId -> 110072", duplicate)
    for name, call, codes in (
        ("link id of 46 -> 10001", lambda: place(**base, **near, orderLinkId="x" * 46), {10001}),
        ("unknown symbol -> 10001", lambda: MINE.place_order(**stranger), {10001}),
        ("too much -> 110007", lambda: place(**base, **near | {"qty": "900"}), TOO_MUCH),
        ("reduce-only when flat -> 110017", lambda: place(**close), {110017}),
        ("hedge index, one-way -> 10001", lambda: place(**base, **near, positionIdx=1), {10001}),
        ("dust -> 110094", lambda: place(**base, **dust), {110094, 10001, 110003}),
        ("absurd leverage -> 110013", lambda: MINE.set_leverage(**S, **absurd), {110013, 10001}),
        ("wrong secret -> 10004", client(W.key, "wrong").get_account_info, {10004, 401}),
        ("unknown key -> 10003", client("unknown", "wrong").get_account_info, {10003, 401}),
    ):
        check(name, code_of(call, *codes))
