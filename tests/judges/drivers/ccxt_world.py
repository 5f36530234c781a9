"""What the ccxt REST driver stands on: a client at the simulator, prices, orders, positions."""

import ccxt
from common import until, world

W = world()
S = W.unified
STATE = {}


def client(key, secret, *, patient=True):
    """Return a client that talks to the simulator only, mostly within its own rate limit."""
    made = ccxt.bybit({"apiKey": key, "secret": secret, "enableRateLimit": patient})
    made.urls["api"] = {
        name: W.rest if isinstance(url, str) else url for name, url in made.urls["api"].items()
    }
    made.options["fetchMarkets"] = {"types": ["linear"]}
    return made


EX = client(W.key, W.secret)


def last():
    """Return the last price."""
    return float(EX.fetch_ticker(S)["last"])


def price(share):
    """Return the last price moved by a share, on the grid."""
    return float(EX.price_to_precision(S, last() * (1 + share)))


def qty(usdt=2000.0):
    """Return a quantity worth so much."""
    return float(EX.amount_to_precision(S, usdt / last()))


def order(order_id, *, trigger=False):
    """Return an order as it is now."""
    return EX.fetch_order(order_id, S, {"acknowledged": True, "trigger": trigger})


def settled(order_id, status):
    """Wait for an order's status."""
    return until(
        lambda: (o := order(order_id))["status"] == status and o, f"{order_id} not {status}"
    )


def size():
    """Return the signed size of the position."""
    rows = [p for p in EX.fetch_positions([S]) if p["contracts"]]
    return sum(p["contracts"] * (1 if p["side"] == "long" else -1) for p in rows)


def flat():
    """Close whatever is open."""
    EX.cancel_all_orders(S)
    held = size()
    if held:
        side = "sell" if held > 0 else "buy"
        EX.create_order(S, "market", side, abs(held), None, {"reduceOnly": True})
        until(lambda: size() == 0, "position not flat")
