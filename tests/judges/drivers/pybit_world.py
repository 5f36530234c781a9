"""What the pybit HTTP driver stands on: sessions at the simulator, prices, orders, positions."""

import time
from decimal import ROUND_DOWN, Decimal

from common import need, refused, until, world
from pybit.exceptions import FailedRequestError, InvalidRequestError
from pybit.unified_trading import HTTP

W = world()
LINEAR = {"category": "linear"}
S = LINEAR | {"symbol": W.symbol}
STATE = {}


def client(key=None, secret=None):
    """Return a session that talks to the simulator only and never retries by itself."""
    session = HTTP(api_key=key, api_secret=secret, max_retries=1, retry_codes={-1})
    session.endpoint = W.rest
    return session


BARE = client()
MINE = client(W.key, W.secret)


def rows(reply):
    """Return a reply's list, its envelope checked."""
    need(reply["retCode"] == 0 and reply["time"] > 0 and "retExtInfo" in reply, str(reply)[:200])
    return reply["result"]["list"]


def last():
    """Return the last price."""
    return Decimal(rows(BARE.get_tickers(**S))[0]["lastPrice"])


def filters():
    """Return tick and step."""
    row = rows(BARE.get_instruments_info(**S))[0]
    return Decimal(row["priceFilter"]["tickSize"]), Decimal(row["lotSizeFilter"]["qtyStep"])


def price(share):
    """Return the last price moved by a share, on the grid, as text."""
    tick, _ = filters()
    return format((last() * (1 + Decimal(str(share))) / tick).quantize(1, ROUND_DOWN) * tick, "f")


def qty(usdt=2000):
    """Return a quantity worth so much, as text."""
    _, step = filters()
    return format((Decimal(usdt) / last() / step).quantize(1, ROUND_DOWN) * step, "f")


def place(**fields):
    """Send an order, within the venue's ten a second; returns its id."""
    time.sleep(0.11)
    reply = MINE.place_order(**S, **fields)
    return need(reply["result"]["orderId"], str(reply))


def find(order_id):
    """Return an order as it is now."""
    found = rows(MINE.get_open_orders(**S, orderId=order_id))
    found = found or rows(MINE.get_order_history(**S, orderId=order_id))
    return need(found, f"{order_id} is nowhere")[0]


def settled(order_id, *statuses):
    """Wait for an order's status."""
    return until(
        lambda: (o := find(order_id))["orderStatus"] in statuses and o,
        f"{order_id} is {find(order_id)['orderStatus']}, not {statuses}",
        timeout_s=3,
    )


def position(idx=0):
    """Return the position."""
    found = [p for p in rows(MINE.get_positions(**S)) if p["positionIdx"] == idx]
    return need(found, f"no positionIdx {idx}")[0]


def flat():
    """Close whatever is open."""
    MINE.cancel_all_orders(**S)
    held = position()
    if Decimal(held["size"]):
        side = "Sell" if held["side"] == "Buy" else "Buy"
        place(side=side, orderType="Market", qty=held["size"], reduceOnly=True)
        until(lambda: position()["size"] == "0", "not flat")


def idempotent(call, *codes):
    """Accept a change or the venue's 'not modified'."""
    try:
        call()
    except InvalidRequestError as error:
        need(error.status_code in codes, str(error))


def code_of(call, *codes):
    """Check that a call is refused with one of the codes."""

    def run():
        error = refused(call, InvalidRequestError, FailedRequestError)
        need(error.status_code in codes, f"code {error.status_code}: {error}")

    return run
