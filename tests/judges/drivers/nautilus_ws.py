"""NautilusTrader's WebSocket clients: public data, private reports, order entry.

They drop in silence whatever they cannot parse, so every check waits for the parsed object.
"""

import asyncio

from common import acheck, auntil, need
from nautilus_world import (
    ACCOUNT,
    BAR_TYPE,
    BUY,
    GTC,
    INSTRUMENT,
    LINEAR,
    MARKET,
    SELL,
    STRATEGY,
    TRADER,
    W,
    bybit,
    http,
    nt,
)

LIVE = bybit.BybitEnvironment.MAINNET
TYPE, STATUS = nt.OrderType, nt.OrderStatus


class Ear:
    """A socket and everything that was parsed from it, by class name."""

    def __init__(self, client):
        self.client = client
        self.heard = []
        for each in MARKET.instruments:
            client.cache_instrument(each)
        client.set_account_id(ACCOUNT)

    async def open(self):
        """Connect and wait until the socket is up."""
        loop = asyncio.get_running_loop()
        await asyncio.wait_for(self.client.connect(loop, self.hear), 8)
        await asyncio.wait_for(self.client.wait_until_active(5.0), 8)
        return self

    def hear(self, message):
        """Keep a message; market data comes wrapped in a capsule."""
        name = type(message).__name__
        if name == "PyCapsule":
            from nautilus_trader.model.data import capsule_to_data

            message = capsule_to_data(message)
            name = type(message).__name__
        self.heard.append((name, message))

    def of(self, name):
        """Return what was heard of a class."""
        return [m for n, m in self.heard if n == name]

    async def wait(self, name, holds, text, between=None, timeout_s=10.0):
        """Wait for a parsed object that fulfils the wish."""
        return await auntil(
            lambda: next((m for m in self.of(name) if holds(m)), None),
            f"{text}; heard {sorted({n for n, _ in self.heard})}",
            timeout_s,
            between,
        )


def anything(_):
    return True


async def hears(subscribe, name, holds=anything):
    """Subscribe on a socket of its own and step until an object is parsed."""
    client = bybit.BybitWebSocketClient.new_public(LINEAR, LIVE, url=f"{W.ws}/v5/public/linear")
    ear = await Ear(client).open()
    try:
        await subscribe(client)
        await ear.wait(name, holds, name, lambda: W.step(1))
    finally:
        await client.close()


async def public():
    """Try the public topics."""
    near = lambda p: float(str(p)) > 0  # noqa: E731
    tries = [
        ("subscribe_bars", lambda c: c.subscribe_bars(BAR_TYPE), "Bar", lambda b: near(b.close)),
        ("subscribe_trades", lambda c: c.subscribe_trades(INSTRUMENT), "TradeTick", anything),
    ]
    ticker = lambda c: c.subscribe_ticker(INSTRUMENT)  # noqa: E731
    for kind in ("QuoteTick", "MarkPriceUpdate", "IndexPriceUpdate", "FundingRateUpdate"):
        tries.append((f"subscribe_ticker: {kind}", ticker, kind, anything))  # noqa: PERF401
    for name, subscribe, kind, holds in tries:
        await acheck(name, hears(subscribe, kind, holds), 30)
    for depth in (1, 50, 200, 1000):
        await acheck(
            f"subscribe_orderbook {depth}",
            hears(lambda c, d=depth: c.subscribe_orderbook(INSTRUMENT, d), "OrderBookDeltas"),
            30,
        )


async def open_private():
    """Open the private socket with its four topics."""
    client = bybit.BybitWebSocketClient.new_private(
        LIVE, api_key=W.key, api_secret=W.secret, url=f"{W.ws}/v5/private"
    )
    ear = await Ear(client).open()
    await client.subscribe_orders()
    await client.subscribe_executions()
    await client.subscribe_positions()
    await client.subscribe_wallet()
    await auntil(lambda: client.subscription_count() == 4, "four subscriptions", 5)
    return ear


async def open_trade():
    """Open the order-entry socket."""
    client = bybit.BybitWebSocketClient.new_trade(
        LIVE, api_key=W.key, api_secret=W.secret, url=f"{W.ws}/v5/trade"
    )
    ear = await Ear(client).open()
    await asyncio.sleep(0.5)
    return ear


class Desk:
    """Orders by WebSocket, their reports from the private socket."""

    def __init__(self, rest, private, trade):
        self.rest, self.private, self.trade = rest, private, trade

    async def submit(self, side, kind, qty=None, **fields):
        """Send an order; returns its client id."""
        link = MARKET.link()
        qty = qty or await MARKET.qty(self.rest)
        await self.trade.client.submit_order(
            LINEAR, TRADER, STRATEGY, INSTRUMENT, link, side, kind, qty, **fields
        )
        return link

    async def report(self, link, *statuses, between=None, timeout_s=10.0):
        """Wait for an order report."""
        return await self.private.wait(
            "OrderStatusReport",
            lambda r: r.client_order_id == link and r.order_status in statuses,
            f"{link} {statuses}",
            between,
            timeout_s,
        )

    async def market(self):
        link = await self.submit(BUY, TYPE.MARKET)
        order = await self.report(link, STATUS.FILLED)
        fill = await self.private.wait(
            "FillReport", lambda f: f.venue_order_id == order.venue_order_id, "fill"
        )
        need(fill.commission.as_double() > 0, str(fill))
        held = await self.private.wait(
            "PositionStatusReport", lambda p: float(str(p.quantity)) > 0, "position"
        )
        need(held.position_side == nt.PositionSide.LONG, str(held))
        await self.private.wait("AccountState", anything, "wallet")

    async def limit(self):
        price = await MARKET.price(self.rest, -0.004)
        link = await self.submit(BUY, TYPE.LIMIT, price=price, time_in_force=GTC)
        order = await self.report(link, STATUS.ACCEPTED)
        to = await MARKET.price(self.rest, -0.005)
        await self.trade.client.modify_order(
            LINEAR, TRADER, STRATEGY, INSTRUMENT, link, order.venue_order_id, order.quantity, to
        )
        await self.private.wait(
            "OrderStatusReport", lambda r: r.client_order_id == link and r.price == to, "amended"
        )
        await self.trade.client.cancel_order(
            LINEAR, TRADER, STRATEGY, INSTRUMENT, link, order.venue_order_id
        )
        await self.report(link, STATUS.CANCELED)

    async def stop(self):
        link = await self.submit(
            SELL,
            TYPE.STOP_MARKET,
            trigger_price=await MARKET.price(self.rest, -0.001),
            trigger_type=nt.TriggerType.LAST_PRICE,
            reduce_only=True,
            time_in_force=GTC,
        )
        await self.private.wait("OrderStatusReport", lambda r: r.client_order_id == link, "report")
        await self.report(link, STATUS.FILLED, between=lambda: W.step(10), timeout_s=60)

    async def batch(self):
        rows = [
            self.trade.client.build_place_order_params(
                LINEAR,
                INSTRUMENT,
                MARKET.link(),
                BUY,
                TYPE.LIMIT,
                await MARKET.qty(self.rest),
                price=await MARKET.price(self.rest, share),
                time_in_force=GTC,
            )
            for share in (-0.004, -0.005)
        ]
        await self.trade.client.batch_place_orders(TRADER, STRATEGY, rows)
        links = [nt.ClientOrderId(r.order_link_id) for r in rows]
        for link in links:
            await self.report(link, STATUS.ACCEPTED)
        gone = [
            self.trade.client.build_cancel_order_params(LINEAR, INSTRUMENT, None, link)
            for link in links
        ]
        await self.trade.client.batch_cancel_orders(TRADER, STRATEGY, gone)
        for link in links:
            await self.report(link, STATUS.CANCELED)

    async def refused(self):
        price = await MARKET.price(self.rest, -0.004)
        link = await self.submit(
            BUY, TYPE.LIMIT, nt.Quantity(900.0, 3), price=price, time_in_force=GTC
        )
        event = await self.trade.wait(
            "OrderRejected", lambda e: e.client_order_id == link, "rejection"
        )
        need(str(event.reason), "no reason")


async def wrong_secret():
    client = bybit.BybitWebSocketClient.new_private(
        LIVE, api_key=W.key, api_secret=W.secret[::-1], url=f"{W.ws}/v5/private"
    )
    ear = Ear(client)
    try:
        await ear.open()
        said = await ear.wait("BybitWebSocketError", anything, "the refusal")
        need("op=auth" in said.message, said.message)
    finally:
        await client.close()


async def main():
    """Try everything."""
    nt.init_tracing()
    rest = http()
    await acheck("request_instruments", MARKET.load(rest))
    await public()
    private = await acheck("private socket: auth, four topics", open_private(), 20)
    trade = await acheck("trade socket: auth", open_trade(), 20)
    desk = Desk(rest, private, trade)
    for name, call in (
        ("order by ws; order, fill, position, wallet reports", desk.market),
        ("submit, modify, cancel by ws", desk.limit),
        ("reduce-only stop by ws triggers", desk.stop),
        ("batch place and cancel by ws", desk.batch),
        ("too large an order by ws is refused", desk.refused),
    ):

        async def tried(call=call):
            need(private and trade, "no sockets")
            await call()

        await acheck(name, tried(), 90)
    await acheck("wrong secret is refused", wrong_secret(), 30)
    for ear in (private, trade):
        if ear:
            await ear.client.close()


asyncio.run(main())
