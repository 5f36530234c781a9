"""What the venue refuses, as ccxt, REST, tells it: the right exception, and nothing lost by it."""

import time

import ccxt
from ccxt_world import EX, S, W, client, price, qty
from common import check, need, refused


def duplicate():
    params = {"clientOrderId": "judge-twice"}
    EX.create_order(S, "limit", "buy", qty(), price(-0.005), params)
    refused(
        lambda: EX.create_order(S, "limit", "buy", qty(), price(-0.005), params), ccxt.ExchangeError
    )
    need(len(EX.fetch_open_orders(S)) == 1, "doubled")
    EX.cancel_all_orders(S)


def burst():
    """More orders in a second than the venue takes: refused as ccxt knows it, none of them lost."""
    hasty = client(W.key, W.secret, patient=False)
    hasty.load_markets()
    size_, at = qty(), price(-0.005)
    made, error = [], None
    for _ in range(40):
        try:
            made.append(hasty.create_order(S, "limit", "buy", size_, at)["id"])
        except ccxt.RateLimitExceeded as refusal:
            error = refusal
            break
    need(error is not None, "40 orders in a row and no limit")
    time.sleep(1.5)
    need(len(EX.fetch_open_orders(S, limit=50)) == len(made), "an order was lost or doubled")
    EX.cancel_all_orders(S)


def refusals():
    check("burst of orders -> RateLimitExceeded", burst)
    check(
        "too large an order -> InsufficientFunds",
        lambda: refused(
            lambda: EX.create_order(S, "limit", "buy", qty(500_000), price(-0.004)),
            ccxt.InsufficientFunds,
        ),
    )
    check(
        "cancel of an unknown order -> OrderNotFound",
        lambda: refused(lambda: EX.cancel_order("no-such-order", S), ccxt.OrderNotFound),
    )
    check("duplicate clientOrderId refused", duplicate)
    check(
        "wrong secret -> AuthenticationError",
        lambda: refused(client(W.key, "wrong").fetch_balance, ccxt.AuthenticationError),
    )
    check(
        "unknown key -> AuthenticationError",
        lambda: refused(client("unknown", "wrong").fetch_balance, ccxt.AuthenticationError),
    )
