"""ccxt.pro: streams and order entry by WebSocket, one named check each."""

import asyncio

import ccxt.pro
from common import acheck, auntil, need, world

W = world()
S = W.unified


def client(key=None, secret=None):
    """Return a streaming client that talks to the simulator only."""
    given = {}
    if key:
        given |= {"apiKey": key, "secret": secret}
    made = ccxt.pro.bybit(given)
    rest = {n: W.rest for n, url in made.urls["api"].items() if isinstance(url, str)}
    public = {n: f"{W.ws}/v5/public/{n}" for n in ("linear", "inverse", "spot", "option")}
    private = {
        "spot": {"unified": f"{W.ws}/v5/private", "nonUnified": f"{W.ws}/v5/private"},
        "contract": f"{W.ws}/v5/private",
        "usdc": f"{W.ws}/v5/private",
        "trade": f"{W.ws}/v5/trade",
    }
    made.urls["api"] = {**rest, "ws": {"public": public, "private": private}}
    made.options["fetchMarkets"] = {"types": ["linear"]}
    return made


async def pushed(watch, holds, text, *, stir=True):
    """Take pushes until one fulfils the wish, stepping the clock meanwhile."""

    async def stirring():
        while True:
            await asyncio.sleep(0.2)
            await asyncio.to_thread(W.step, 1)

    task = asyncio.create_task(stirring()) if stir else None
    try:
        for _ in range(200):
            value = await watch()
            if holds(value):
                return value
    finally:
        if task is not None:
            task.cancel()
    raise AssertionError(f"200 pushes without: {text}")


async def public(ex):
    """Try the public streams."""
    starts = set()

    def third_candle(rows):
        starts.update(row[0] for row in rows)
        return len(starts) == 3

    await acheck("load_markets", ex.load_markets())
    tries = {
        "watch_ticker": (lambda: ex.watch_ticker(S), lambda t: t["last"] and t["bid"]),
        "watch_tickers": (lambda: ex.watch_tickers([S]), lambda t: t[S]["last"]),
        "watch_bids_asks": (lambda: ex.watch_bids_asks([S]), lambda t: t[S]["bid"] < t[S]["ask"]),
        "watch_ohlcv": (lambda: ex.watch_ohlcv(S, "1m"), third_candle),
        "watch_trades": (lambda: ex.watch_trades(S), lambda r: r[0]["price"] > 0),
    }
    for depth in (1, 50, 200, 1000):
        tries[f"watch_order_book {depth}"] = (
            lambda depth=depth: ex.watch_order_book(S, depth),
            lambda b: b["bids"] and b["asks"] and b["bids"][0][0] < b["asks"][0][0],
        )
    for name, (watch, holds) in tries.items():
        await acheck(name, pushed(watch, holds, name), 30)
    await acheck("un_watch_ohlcv", ex.un_watch_ohlcv(S, "1m"))
    await acheck("un_watch_tickers", ex.un_watch_tickers([S]))


class Heard:
    """What the private streams said, collected in the background."""

    def __init__(self, ex):
        self.orders, self.fills, self.positions, self.balances = [], [], [], []
        self.errors = {}
        watches = {
            "orders": (ex.watch_orders, self.orders),
            "fills": (ex.watch_my_trades, self.fills),
            "positions": (ex.watch_positions, self.positions),
            "balances": (ex.watch_balance, self.balances),
        }
        self.tasks = [asyncio.create_task(self._take(n, *w)) for n, w in watches.items()]

    async def _take(self, name, watch, into):
        try:
            while True:
                value = await watch()
                into.extend(value if isinstance(value, list) else [value])
        except Exception as error:
            self.errors[name] = f"{type(error).__name__}: {error}"

    async def wait(self, name, holds, text):
        """Wait for something heard."""
        rows = getattr(self, name)

        def look():
            if name in self.errors:
                raise AssertionError(self.errors[name])
            return next((r for r in rows if holds(r)), None)

        return await auntil(look, f"{text}; heard {len(rows)} of {name}")


async def prices(ex):
    """Return functions of the present market."""
    last = (await ex.fetch_ticker(S))["last"]
    near = lambda share: float(ex.price_to_precision(S, last * (1 + share)))  # noqa: E731
    return near, float(ex.amount_to_precision(S, 2000 / last))


async def market_order(ex, heard):
    _, qty = await prices(ex)
    made = await ex.create_order_ws(S, "market", "buy", qty)
    need(made["id"], str(made))
    await heard.wait(
        "orders", lambda o: o["id"] == made["id"] and o["status"] == "closed", "filled"
    )
    fill = await heard.wait("fills", lambda t: t["order"] == made["id"], "its fill")
    need(fill["price"] > 0 and fill["fee"]["cost"] > 0, str(fill))
    held = await heard.wait("positions", lambda p: p["contracts"], "its position")
    need(held["side"] == "long" and held["entryPrice"] > 0, str(held))
    await heard.wait("balances", lambda b: b["USDT"]["total"] < 10000, "the fee in the wallet")


async def limit_order(ex, heard):
    near, qty = await prices(ex)
    link = {"clientOrderId": "judge-ws-1"}
    made = await ex.create_order_ws(S, "limit", "buy", qty, near(-0.004), link)
    seen = await heard.wait(
        "orders", lambda o: o["id"] == made["id"] and o["status"] == "open", "new"
    )
    need(seen["clientOrderId"] == "judge-ws-1", str(seen))
    await ex.edit_order_ws(made["id"], S, "limit", "buy", qty, near(-0.005))
    want = near(-0.005)
    await heard.wait("orders", lambda o: o["id"] == made["id"] and o["price"] == want, "amended")
    await ex.cancel_order_ws(made["id"], S)
    await heard.wait(
        "orders", lambda o: o["id"] == made["id"] and o["status"] == "canceled", "cancelled"
    )


async def post_only(ex, heard):
    near, qty = await prices(ex)
    made = await ex.create_order_ws(S, "limit", "buy", qty, near(0.005), {"postOnly": True})
    gone = await heard.wait(
        "orders", lambda o: o["id"] == made["id"] and o["status"] == "canceled", "cancelled"
    )
    need(not gone["filled"], "a post-only order took")


async def stop_order(ex, heard):
    near, qty = await prices(ex)
    made = await ex.create_order_ws(S, "market", "sell", qty, None, {"stopLossPrice": near(-0.001)})
    await heard.wait("orders", lambda o: o["id"] == made["id"], "untriggered")
    for _ in range(60):
        await asyncio.to_thread(W.step, 10)
        await asyncio.sleep(0.05)
        if any(o["id"] == made["id"] and o["status"] == "closed" for o in heard.orders):
            break
    await heard.wait(
        "orders", lambda o: o["id"] == made["id"] and o["status"] == "closed", "filled"
    )
    await heard.wait("positions", lambda p: not p["contracts"], "flat")


async def refused(ex, _heard):
    near, _ = await prices(ex)
    try:
        made = await ex.create_order_ws(S, "limit", "buy", 900, near(-0.004))
    except ccxt.pro.ExchangeError:
        return
    raise AssertionError(f"accepted: {made}")


async def wrong_secret():
    ex = client(W.key, "wrong")
    try:
        await ex.watch_balance()
    except ccxt.pro.AuthenticationError:
        return
    finally:
        await ex.close()
    raise AssertionError("authenticated with a wrong secret")


async def private(ex):
    """Try the private streams and order entry."""
    heard = Heard(ex)
    await asyncio.sleep(1.0)
    for stream in ("orders", "fills", "positions", "balances"):

        async def alive(stream=stream):
            need(stream not in heard.errors, heard.errors.get(stream, ""))

        await acheck(f"watch {stream}", alive())
    for name, call in (
        ("create_order_ws market; order, fill, position, wallet pushes", market_order),
        ("create, edit, cancel by ws; order pushes", limit_order),
        ("post-only by ws", post_only),
        ("stop by ws triggers", stop_order),
        ("too large an order by ws is refused", refused),
    ):
        await acheck(name, call(ex, heard), 40)
    await acheck("wrong secret is refused", wrong_secret())
    for task in heard.tasks:
        task.cancel()


async def main():
    """Try everything."""
    ex = client()
    await public(ex)
    await ex.close()
    mine = client(W.key, W.secret)
    await acheck("load_markets with keys", mine.load_markets())
    await private(mine)
    await mine.close()


asyncio.run(main())
