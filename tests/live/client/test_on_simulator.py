"""The whole client on the simulated venue, over real sockets."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from engine.venue.view import News
from live.clock import SystemClock
from live.venues.bybit.budgets import RequestBudget
from live.venues.bybit.clock_offset import VenueClock
from live.venues.bybit.faults import Fault
from live.venues.bybit.gate import Gate
from live.venues.bybit.private_stream import BybitPrivateStream
from live.venues.bybit.public_rest import BybitPublicRest
from live.venues.bybit.pybit_transport import PybitTransport
from live.venues.bybit.signer import Signer
from live.venues.bybit.trade_stream import TradeStream
from live.venues.bybit.trading import BybitTrading
from live.venues.port import Banned, Ok
from live.venues.resync import AccountFeed
from live.venues.trading import (
    Accepted,
    Found,
    NewOrder,
    OrderChange,
    Priority,
    Refused,
    StreamDown,
    StreamUp,
    TradingStop,
    Undecided,
    Unknown,
)
from tests.live.helpers import until
from tests.live.sim.face import SYMBOL, Venue, running

D = Decimal
CREATE = "/v5/order/create"
NOW, LATER = Priority.PROTECT, Priority.ENTRY


class Client:
    """A user of the simulator with Zion's own client."""

    def __init__(self, venue: Venue, key: Any, *, by_stream: bool) -> None:
        clock = SystemClock()
        rng = np.random.default_rng(1)
        self.sim = venue.sim
        self.key = key
        self.budget = RequestBudget(clock)
        self.venue_clock = VenueClock(clock)
        self.transport = PybitTransport(venue.addresses["rest"], clock, workers=4)
        self.gate = Gate(self.transport, self.budget, self.venue_clock, clock, rng)
        signer = Signer(key.key, key.secret)
        connections = self.budget.connections
        ws = venue.addresses["ws"]
        self.private = BybitPrivateStream(
            ws, signer, self.venue_clock, clock, rng, connections=connections
        )
        self.trade = (
            TradeStream(ws, signer, self.gate, clock, rng, connections=connections, ack_s=1.0)
            if by_stream
            else None
        )
        self.trading = BybitTrading(
            self.gate,
            signer,
            user=str(key.uid),
            stream=self.trade,
            on_accepted=self.private.expect_data,
        )
        self.news: list[News] = []
        self.downs: list[StreamDown] = []
        self.feed = AccountFeed(
            self.trading,
            self.private,
            clock,
            on_news=self.news.append,
            on_down=self.downs.append,
        )
        self.view = self.feed.view
        self.task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        if self.trade is not None:
            await self.trade.start()
            await until(lambda: self.trade is not None and self.trade.ready, "order stream")
        self.task = asyncio.create_task(self.feed.run())
        await until(lambda: self.feed.up and not self.view.stale, "a true view")

    async def close(self) -> None:
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
        await self.private.close()
        await self.trading.close()
        await self.gate.close()

    def fault(self, kind: str, **more: Any) -> None:
        self.sim.add_faults([Fault(kind=kind, **more)])

    @property
    def account(self) -> Any:
        return self.sim.venue.desk.account(self.key.uid)

    async def place(self, link: str, side: str = "Buy", **more: Any) -> Any:
        values: dict = {"order_type": "Limit", "qty": D(1), "price": D(90)} | more
        if values["order_type"] == "Market":
            values["price"] = None
        order = NewOrder(order_link_id=link, symbol=SYMBOL, side=side, **values)
        return await self.trading.place(order, priority=LATER)

    def links(self) -> list[str]:
        return [o.order_link_id for o in self.account.orders.values()]


@contextlib.asynccontextmanager
async def client(*, by_stream: bool = False, **options: Any) -> AsyncIterator[Client]:
    async with running(**options) as venue:
        user = await venue.user()
        made = Client(venue, user.key, by_stream=by_stream)
        try:
            await made.start()
            yield made
        finally:
            await made.close()


@pytest.mark.parametrize("by_stream", [False, True])
async def test_an_orders_life(by_stream):
    async with client(by_stream=by_stream) as c:
        placed = await c.place("a1", stop_loss=D(80), tpsl_mode="Full")
        assert isinstance(placed, Accepted)
        await until(lambda: c.view.by_link("a1") is not None, "the order's event")
        moved = await c.trading.amend(
            OrderChange(symbol=SYMBOL, order_link_id="a1", price=D(91)), priority=LATER
        )
        assert isinstance(moved, Accepted)
        await until(lambda: c.view.by_link("a1").price == 91, "the new price")
        gone = await c.trading.cancel(SYMBOL, order_link_id="a1", priority=NOW)
        assert isinstance(gone, Accepted)
        await until(lambda: not c.view.open_orders(), "the end")
        again = await c.trading.cancel(SYMBOL, order_link_id="a1", priority=NOW)
        assert isinstance(again, Accepted)
        assert again.already
        assert again.order is not None
        assert again.order.order_status == "Cancelled"
        assert c.links() == ["a1"]


@pytest.mark.parametrize("by_stream", [False, True])
async def test_a_position_its_stops_and_its_end(by_stream):
    async with client(by_stream=by_stream) as c:
        assert isinstance(await c.trading.set_leverage(SYMBOL, D(5)), Accepted)
        assert await c.trading.set_leverage(SYMBOL, D(5)) == Accepted(already=True)
        await c.place("in", order_type="Market", stop_loss=D(70), tpsl_mode="Full")
        await until(lambda: bool(c.view.positions()), "the position")
        position = c.view.positions()[0]
        assert (position.side, position.size, position.leverage) == ("Buy", D(1), D(5))
        assert c.view.unprotected() == []
        stop = TradingStop(symbol=SYMBOL, stop_loss=D(75))
        assert isinstance(await c.trading.set_trading_stop(stop, priority=NOW), Accepted)
        same = await c.trading.set_trading_stop(stop, priority=NOW)
        assert isinstance(same, Accepted)
        assert same.already
        await c.place("rest")
        assert isinstance(await c.trading.cancel_entries(SYMBOL, priority=NOW), Accepted)
        await until(lambda: not c.view.by_link("rest").is_open, "the entry cancelled")
        assert c.account.positions[SYMBOL, 0].stop_loss == 75  # the stop stands
        await c.place("out", "Sell", order_type="Market", reduce_only=True)
        await until(lambda: not c.view.positions(), "flat")
        await until(lambda: len(c.view.executions()) == 2, "both executions")
        mine = {e.exec_id: e for e in c.view.executions()}
        assert mine.keys() == {e.exec_id for e in c.account.executions}
        wallet = await c.trading.wallet()
        assert isinstance(wallet, Ok)
        assert wallet.value.wallet_balance == c.account.wallet.wallet_balance
        assert c.view.wallet.wallet_balance == wallet.value.wallet_balance


@pytest.mark.parametrize("by_stream", [False, True])
@pytest.mark.parametrize(
    ("kind", "taken"),
    [
        ("lost_request", False),
        ("lost_reply", True),
        ("html", False),
        ("html_after", True),
        ("http", False),
        ("http_after", True),
        ("truncated", True),
        ("error", False),
        ("error_after", True),
    ],
)
async def test_what_an_answer_does_not_prove_is_unknown_until_looked_up(kind, taken, by_stream):
    async with client(by_stream=by_stream) as c:
        endpoint = "order.create" if by_stream else CREATE
        if by_stream and kind.startswith("ht"):
            return  # a page is no frame
        c.fault(kind, endpoint=endpoint, code=10016)
        result = await c.place("a1")
        assert isinstance(result, Unknown), result
        assert result.order_link_id == "a1"
        found = await c.trading.look_up(SYMBOL, "a1", sent_ms=result.sent_ms)
        assert isinstance(found, Found if taken else Undecided)
        if not taken:  # never Absent so soon
            return
        # the same id, sent again, is not a second order
        again = await c.place("a1")
        assert isinstance(again, Accepted)
        assert again.already
        assert c.links() == ["a1"]


@pytest.mark.parametrize("header", ["present", "past", "absent"])
async def test_throttled_orders_are_placed_once_after_the_wait(header):
    async with client() as c:
        c.fault("throttle", endpoint=CREATE, header=header, ms=200)
        assert isinstance(await c.place("a1"), Accepted)
        assert c.links() == ["a1"]
        assert c.gate.throttled == 1


async def test_the_users_own_allowance_is_kept():
    async with client() as c:
        results = await asyncio.gather(*(c.place(f"a{n}") for n in range(14)))
        assert {type(r) for r in results} == {Accepted}
        assert c.gate.throttled == 0
        assert sorted(c.links()) == sorted(f"a{n}" for n in range(14))


async def test_a_skewed_clock_is_read_anew_and_the_order_placed_once():
    async with client() as c:
        c.fault("skew", endpoint=CREATE, ms=60_000)
        assert isinstance(await c.place("a1"), Accepted)
        assert c.gate.resyncs == 1
        assert c.links() == ["a1"]


async def test_a_locked_out_address_stops_http_and_streams_go_on():
    async with client(by_stream=True) as c:
        c.fault("ban", endpoint="/v5/position/set-leverage", ms=600_000)
        refused = await c.trading.set_leverage(SYMBOL, D(3))
        assert isinstance(refused, Refused)
        assert refused.code == 403
        before = c.transport.sent
        for _ in range(3):
            assert not isinstance(await c.trading.orders(), Ok)
        assert c.transport.sent == before
        assert isinstance(await c.place("a1"), Accepted)  # by the order stream
        await until(lambda: c.view.by_link("a1") is not None, "its event")
        assert c.transport.sent == before


async def test_a_lock_out_found_by_the_public_reader_holds_back_the_traders_too():
    async with client() as c:
        public = BybitPublicRest(c.transport.base_url, SystemClock(), shared=c.budget)
        try:
            assert isinstance(await public.tickers(), Ok)
            c.fault("ban", endpoint="/v5/market/tickers", ms=600_000)
            assert isinstance(await public.tickers(), Banned)
            assert isinstance(await public.tickers(), Banned)
        finally:
            await public.close()
        before = c.transport.sent
        refused = await c.place("a1")
        assert isinstance(refused, Refused)
        assert refused.action == "global stop"
        assert refused.retry_after_s == pytest.approx(600.0, abs=5.0)
        assert c.transport.sent == before


@pytest.mark.parametrize("fault", ["stream_close", "stream_abort"])
async def test_what_happens_while_the_stream_is_down_is_found(fault):
    async with client() as c:
        await c.place("a1")
        await until(lambda: c.view.by_link("a1") is not None, "the first order")
        c.fault(fault, stream="private")
        c.fault("refuse_connect", stream="private", ms=1000)
        await c.place("in", order_type="Market")
        await c.trading.cancel(SYMBOL, order_link_id="a1", priority=NOW)
        await until(lambda: bool(c.downs), "the fall")
        await until(lambda: c.feed.up and not c.view.stale, "a true view again")
        assert c.view.by_link("a1").order_status == "Cancelled"
        assert [p.size for p in c.view.positions()] == [D(1)]
        counted = [e.exec_id for n in c.news for e in n.executions]
        assert counted == [e.exec_id for e in c.account.executions]


@pytest.mark.parametrize("fault", ["push_duplicate", "push_permute", "push_malformed", "push_late"])
async def test_messages_in_any_disorder_give_the_same_view(fault):
    async with client() as c:
        for _ in range(3):
            c.fault(fault, count=50, ms=50)
        for n in range(4):
            await c.place(f"a{n}", "Buy" if n % 2 else "Sell", order_type="Market")
        await until(lambda: len(c.view.executions()) == len(c.account.executions), "all fills")
        await until(lambda: len(c.view.orders()) == 4 and not c.view.open_orders(), "all ends")
        await until(lambda: not c.view.positions() and not c.view.stale, "flat")
        counted = [e.exec_id for n in c.news for e in n.executions]
        assert sorted(counted) == sorted(e.exec_id for e in c.account.executions)


async def test_a_link_id_used_twice_by_two_senders_is_one_order():
    async with client() as c:
        results = await asyncio.gather(*(c.place("a1") for _ in range(5)))
        assert {type(r) for r in results} <= {Accepted, Unknown}
        assert sum(isinstance(r, Accepted) and not r.already for r in results) == 1
        assert c.links() == ["a1"]


async def test_an_expired_key_is_refused_at_once_and_stops_its_user():
    async with client() as c:
        c.sim.venue.desk.keys.change(c.key.key, expires_ms=1)
        result = await c.place("a1")
        assert isinstance(result, Refused)
        assert result.code == 33004
        assert result.action == "stop user"


async def test_refused_authentication_and_subscription_are_down_not_silent():
    async with running() as venue:
        user = await venue.user()
        made = Client(venue, user.key, by_stream=False)
        made.fault("refuse_subscribe", stream="private")
        made.fault("refuse_auth", stream="private")
        await made.private.start()
        try:
            items = []
            while not items or not isinstance(items[-1], StreamUp):
                items += await made.private.batch()
            assert [type(i) for i in items] == [StreamDown, StreamDown, StreamUp]
        finally:
            await made.close()


@pytest.mark.parametrize("by_stream", [False, True])
async def test_a_stop_rejected_with_the_entry_is_a_certain_no(by_stream):
    async with client(by_stream=by_stream) as c:
        endpoint = "order.create" if by_stream else CREATE
        c.fault("stop_rejected", endpoint=endpoint)
        result = await c.place("a1", stop_loss=D(80), tpsl_mode="Full")
        assert isinstance(result, Refused)
        assert result.action == "close now"
        assert c.links() == []


async def test_fifty_open_orders_are_read_over_pages():
    async with client() as c:
        desk = c.sim.venue.desk
        from engine.venue.exchange.commands import CreateOrder
        from engine.venue.words import OrderType, Side

        for n in range(120):
            command = CreateOrder(
                uid=c.key.uid,
                symbol=SYMBOL,
                side=Side.BUY,
                order_type=OrderType.LIMIT,
                qty=D(1),
                price=D(80),
                order_link_id=f"x{n}",
            )
            desk.order(command)
        listed = await c.trading.orders()
        assert isinstance(listed, Ok)
        assert len({o.order_id for o in listed.value}) == len(listed.value)
        assert {o.order_link_id for o in listed.value} == {
            o.order_link_id for o in c.account.open_orders.values()
        }
        assert len(listed.value) > 50
