"""pybit's own WebSocket classes: every public and private topic, order entry."""

import threading

import pybit._websocket_trading as trading
import pybit.unified_trading as unified
from common import check, need, until, world
from distance import relay
from pybit.unified_trading import HTTP, WebSocket, WebSocketTrading

W = world()
# pybit notes a subscription and an order's callback after it has sent them: a venue on the same
# machine can answer sooner, and pybit's thread dies of it. A network is never that near.
FAR = relay(W.ws, delay_s=0.005)
unified.PUBLIC_WSS = FAR + "/v5/public/{CHANNEL_TYPE}"
unified.PRIVATE_WSS = FAR + "/v5/private"
trading.TRADE_WSS = FAR + "/v5/trade"
KEYS = {"api_key": W.key, "api_secret": W.secret}
LINEAR = {"category": "linear", "symbol": W.symbol}


def opened(make, timeout_s=8.0):
    """Open a socket with a limit: pybit's constructor waits for a connection without one."""
    box = []

    def run():
        try:
            box.append(make())
        except Exception as error:
            box.append(error)

    threading.Thread(target=run, daemon=True).start()
    until(lambda: box, "no connection", timeout_s)
    if isinstance(box[0], Exception):
        raise box[0]
    return box[0]


def public_socket():
    """Return a public socket."""
    return opened(lambda: WebSocket(channel_type="linear", testnet=False))


def hears(subscribe, holds):
    """Subscribe on a socket of its own and step until a push fulfils the wish."""

    def call():
        pushes = []
        socket = public_socket()
        subscribe(socket, pushes.append)
        try:
            until(
                lambda: any(holds(p) for p in pushes),
                f"{len(pushes)} pushes, none as wished: {str(pushes[-1:])[:150]}",
                12,
                lambda: W.step(1),
                0.1,
            )
            need(not socket.exited, "pybit closed its socket")
        finally:
            socket.exit()

    return call


def book_holds(push):
    data = push["data"]
    bids, asks = data["b"], data["a"]
    return bids and asks and max(float(b[0]) for b in bids) < min(float(a[0]) for a in asks)


def third_book(depth):
    """Return a wish for a book that was updated at least twice after its snapshot."""
    seen = []

    def holds(push):
        seen.append(push["data"]["u"])
        return book_holds(push) and len(set(seen)) >= 3

    return lambda s, c: s.orderbook_stream(depth, W.symbol, c), holds


def public():
    code, both = int(W.interval), [W.symbol, W.other]
    for name, subscribe, holds in (
        (
            "kline_stream, closed candle",
            lambda s, c: s.kline_stream(code, W.symbol, c),
            lambda p: p["data"][0]["confirm"] is True,
        ),
        (
            "kline_stream, two symbols",
            lambda s, c: s.kline_stream(code, both, c),
            lambda p: p["topic"].endswith(W.other),
        ),
        (
            "ticker_stream",
            lambda s, c: s.ticker_stream(W.symbol, c),
            lambda p: float(p["data"]["lastPrice"]) > 0 and p["data"]["markPrice"],
        ),
        (
            "trade_stream",
            lambda s, c: s.trade_stream(W.symbol, c),
            lambda p: p["data"][0]["S"] in {"Buy", "Sell"} and p["data"][0]["i"],
        ),
        (
            "price_limit_stream",
            lambda s, c: s.price_limit_stream(W.symbol, c),
            lambda p: float(p["data"]["buyLmt"]) > 0,
        ),
        *((f"orderbook_stream {depth}", *third_book(depth)) for depth in (1, 50, 200, 1000)),
    ):
        check(name, hears(subscribe, holds))
    for name, subscribe in (
        ("all_liquidation_stream accepted", lambda s: s.all_liquidation_stream(W.symbol, print)),
        ("insurance_pool_stream accepted", lambda s: s.insurance_pool_stream("USDT", print)),
    ):
        check(name, subscribes(subscribe))
    check("unsubscribe", unsubscribes)


def subscribes(subscribe):
    """Check that a subscription is not refused."""

    def call():
        socket = public_socket()
        subscribe(socket)
        W.step(3)
        threading.Event().wait(0.5)
        alive = socket.is_connected() and not socket.exited
        topics = len(socket.callback_directory)
        socket.exit()
        need(alive and topics == 1, "refused")

    return call


def unsubscribes():
    pushes = []
    socket = public_socket()
    socket.ticker_stream(W.symbol, pushes.append)
    until(lambda: pushes, "no push", 8, lambda: W.step(1))
    socket.unsubscribe(f"tickers.{W.symbol}")
    until(lambda: not socket.callback_directory, "not acknowledged", 3)
    W.step(1)
    threading.Event().wait(0.3)
    count = len(pushes)
    W.step(3)
    threading.Event().wait(0.5)
    socket.exit()
    need(len(pushes) == count, "pushes after unsubscribe")


class Private:
    """The private socket and what it heard."""

    def __init__(self):
        self.heard = {n: [] for n in ("order", "execution", "execution.fast", "position", "wallet")}
        self.socket = opened(lambda: WebSocket(channel_type="private", testnet=False, **KEYS))
        take = lambda name: self.heard[name].append  # noqa: E731
        self.socket.order_stream(take("order"))
        self.socket.execution_stream(take("execution"))
        self.socket.fast_execution_stream(take("execution.fast"))
        self.socket.position_stream(take("position"))
        self.socket.wallet_stream(take("wallet"))
        self.socket.greek_stream(print)

    def rows(self, name):
        """All rows heard of a topic."""
        return [row for push in self.heard[name] for row in push["data"]]

    def wait(self, name, holds, text, between=None):
        """Wait for a row."""
        return until(
            lambda: next((r for r in self.rows(name) if holds(r)), None),
            f"{text}; heard {len(self.rows(name))} of {name}",
            (between and 60) or 8,
            between,
        )


class Entry:
    """Order entry by WebSocket, replies awaited."""

    def __init__(self):
        self.socket = opened(lambda: WebSocketTrading(testnet=False, **KEYS))
        until(lambda: self.socket.auth, "not authenticated", 5)

    def ask(self, name, **fields):
        """Send one operation; returns the reply, refusals included."""
        box = []
        getattr(self.socket, name)(box.append, error_callback=box.append, **fields)
        until(lambda: box, f"no reply to {name}", 5)
        return box[0]

    def place(self, **fields):
        """Send an order; returns its id."""
        reply = self.ask("place_order", **LINEAR, **fields)
        need(reply["retCode"] == 0, str(reply))
        return reply["data"]["orderId"]


def prices():
    """Return the last price's neighbours and a quantity, as text."""
    session = HTTP()
    session.endpoint = W.rest
    row = session.get_instruments_info(**LINEAR)["result"]["list"][0]
    tick = float(row["priceFilter"]["tickSize"])
    digits = max(0, len(row["priceFilter"]["tickSize"].partition(".")[2]))
    last = float(session.get_tickers(**LINEAR)["result"]["list"][0]["lastPrice"])
    near = lambda share: f"{round(last * (1 + share) / tick) * tick:.{digits}f}"  # noqa: E731
    return near, f"{2000 / last:.3f}"


def market(entry, private):
    _, qty = prices()
    made = entry.place(side="Buy", orderType="Market", qty=qty)
    order = private.wait(
        "order", lambda o: o["orderId"] == made and o["orderStatus"] == "Filled", "Filled"
    )
    need(float(order["avgPrice"]) > 0, str(order))
    fill = private.wait("execution", lambda e: e["orderId"] == made, "its execution")
    need(float(fill["execFee"]) > 0 and fill["execType"] == "Trade", str(fill))
    fast = private.wait("execution.fast", lambda e: e["orderId"] == made, "its fast execution")
    need(fast["execId"] == fill["execId"], "another execId")
    held = private.wait(
        "position", lambda p: p["symbol"] == W.symbol and p["side"] == "Buy", "held"
    )
    need(float(held["entryPrice"]) > 0 and "avgPrice" not in held, str(held))
    private.wait("wallet", lambda w: w["coin"] and w["accountType"] == "UNIFIED", "wallet")


def limit(entry, private):
    near, qty = prices()
    fields = {"side": "Buy", "orderType": "Limit", "qty": qty, "orderLinkId": "judge-ws-1"}
    made = entry.place(**fields, price=near(-0.004))
    private.wait("order", lambda o: o["orderId"] == made and o["orderStatus"] == "New", "New")
    to = near(-0.005)
    need(entry.ask("amend_order", **LINEAR, orderId=made, price=to)["retCode"] == 0, "amend")
    private.wait("order", lambda o: o["orderId"] == made and float(o["price"]) == float(to), "to")
    need(entry.ask("cancel_order", **LINEAR, orderLinkId="judge-ws-1")["retCode"] == 0, "cancel")
    gone = private.wait(
        "order", lambda o: o["orderId"] == made and o["orderStatus"] == "Cancelled", "Cancelled"
    )
    need(gone["cancelType"] == "CancelByUser", gone["cancelType"])


def batch(entry, private):
    near, qty = prices()
    many = [
        {"symbol": W.symbol, "side": "Buy", "orderType": "Limit", "qty": qty, "price": near(p)}
        for p in (-0.004, -0.005)
    ]
    reply = entry.ask("place_batch_order", category="linear", request=many)
    need([r["code"] for r in reply["retExtInfo"]["list"]] == [0, 0], str(reply))
    ids = [r["orderId"] for r in reply["data"]["list"]]
    wish = [{"symbol": W.symbol, "orderId": i} for i in ids]
    to = near(-0.006)
    entry.ask("amend_batch_order", category="linear", request=[w | {"price": to} for w in wish])
    entry.ask("cancel_batch_order", category="linear", request=wish)
    for i in ids:
        private.wait(
            "order", lambda o, i=i: o["orderId"] == i and o["orderStatus"] == "Cancelled", i
        )


def refused(entry, _private):
    near, qty = prices()
    fields = {"side": "Buy", "orderType": "Limit", "price": near(-0.004)}
    reply = entry.ask("place_order", **LINEAR, **fields, qty="900")
    need(reply["retCode"] in {110007, 110004, 110012, 110090}, str(reply))
    reply = entry.ask("cancel_order", **LINEAR, orderId="no-such-order")
    need(reply["retCode"] == 110001, str(reply))
    entry.place(**fields, qty=qty, orderLinkId="judge-twice")
    reply = entry.ask("place_order", **LINEAR, **fields, qty=qty, orderLinkId="judge-twice")
    need(reply["retCode"] == 110072, str(reply))
    entry.ask("cancel_order", **LINEAR, orderLinkId="judge-twice")


def stop(entry, private):
    near, qty = prices()
    entry.place(side="Sell", orderType="Market", qty=qty, reduceOnly=True)
    private.wait("position", lambda p: p["side"] == "" and p["size"] == "0", "flat")
    entry.place(side="Sell", orderType="Market", qty=qty, stopLoss=near(0.001))
    child = private.wait("order", lambda o: o["stopOrderType"] == "StopLoss", "the child")
    need(child["orderStatus"] == "Untriggered" and child["orderLinkId"] == "", str(child))
    private.wait(
        "order",
        lambda o: o["stopOrderType"] == "StopLoss" and o["orderStatus"] == "Filled",
        "the stop filled",
        lambda: W.step(10),
    )


def main():
    """Try everything."""
    public()
    private = check("private socket: auth, five topics", Private)
    entry = check("trade socket: auth", Entry)
    for name, call in (
        ("order by ws; order, execution, execution.fast, position, wallet", market),
        ("create, amend, cancel by ws; order pushes", limit),
        ("batches by ws", batch),
        ("refusals by ws", refused),
        ("attached stop by ws triggers", stop),
    ):
        check(name, lambda call=call: call(need(entry, "no entry"), need(private, "no private")))
    if private:
        check(
            "private socket alive to the end", lambda: need(private.socket.is_connected(), "dead")
        )


main()
