"""One account under test: Zion's client on it, what its stream has said, and what is left behind.

The same bench stands on the simulator in process, on the simulator over sockets, and on the real
venue's demo; only `Parts` differ.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from decimal import ROUND_CEILING, Decimal
from typing import Any

import numpy as np

from app.proofs.contract.case import Broken, hold, kind_of
from app.proofs.contract.parts import Client, Controls, Parts
from engine.errors import DataError
from engine.venue.instrument import Instrument
from engine.venue.reports import ExecutionReport, OrderReport, PositionReport, WalletReport
from engine.venue.view import News
from engine.venue.wire.instruments import read_instrument
from engine.venue.wire.tickers import Ticker, read_ticker
from live.venues.bybit.gate import Said
from live.venues.bybit.private_stream import BybitPrivateStream
from live.venues.port import Ok
from live.venues.resync import AccountFeed
from live.venues.trading import Accepted, NewOrder, Priority, PrivateItem, StreamDown

NOW, LATER = Priority.PROTECT, Priority.ENTRY
_LOOK_S = 0.02
_PATIENCE_S = 45.0
_TIDY_TRIES = 4


class _Tap:
    """A private stream whose items are written down as they pass."""

    def __init__(self, stream: BybitPrivateStream) -> None:
        self._stream = stream
        self.told: list[PrivateItem] = []

    async def start(self) -> None:
        await self._stream.start()

    async def batch(self) -> list[PrivateItem]:
        items = await self._stream.batch()
        self.told += items
        return items

    async def close(self) -> None:
        await self._stream.close()


class Bench:
    """One account, one symbol."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.symbol = parts.symbol
        self.clock = parts.clock
        self.client = Client(parts, parts.api_key, parts.secret)
        self.venue = self.client.venue
        self.news: list[News] = []
        self.downs: list[StreamDown] = []
        self._tap = _Tap(self.client.private)
        self.feed = AccountFeed(
            self.venue,
            self._tap,
            self.clock,
            on_news=self.news.append,
            on_down=self.downs.append,
            since_ms=self.clock.now_ms(),
        )
        self.view = self.feed.view
        self._rules: Instrument | None = None
        self._task: asyncio.Task[None] | None = None
        self._links = 0
        self._stamp = np.base_repr(self.clock.now_ms(), 36).lower()
        self._base: Decimal | None = None  # where the price of a simulator goes back to

    @property
    def rules(self) -> Instrument:
        """The contract's rules."""
        if self._rules is None:
            raise RuntimeError("the bench has not started")
        return self._rules

    @property
    def controls(self) -> Controls:
        """The simulator's controls; only cases that asked for them get here."""
        if self.parts.controls is None:
            raise RuntimeError("this face has no controls: the case must name its need")
        return self.parts.controls

    # ------------------------------------------------------------------ life

    async def start(self) -> None:
        """Read the rules, begin to listen, refuse an account that is in use on the symbol."""
        row = await self.public("/v5/market/instruments-info", symbol=self.symbol)
        self._rules = read_instrument(row)
        if self.parts.controls is not None:
            self._base = (await self.quote()).last_price
        held = [p for p in await self.positions() if p.symbol == self.symbol]
        if held or await self.orders():
            raise DataError(
                f"the account has a position or orders on {self.symbol}",
                why="the contract's cases begin and end flat",
                hint="another --symbol, or close them first",
            )
        self._task = asyncio.create_task(self.feed.run())
        await self.until(lambda: self.feed.up and not self.view.stale, "a true view")

    async def close(self) -> None:
        """End the client; the account stays as it is."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.client.close()

    def begin(self) -> None:
        """Forget what was told before this case."""
        self._tap.told.clear()
        self.news.clear()
        self.downs.clear()

    def told(self, kind: type[Any]) -> list[Any]:
        """Return what the stream itself has said of a kind since the case began, in order."""
        return [item for item in self._tap.told if isinstance(item, kind)]

    # ------------------------------------------------------------------ waiting

    async def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait for something that must happen; `Broken` by name where it does not."""
        end_s = self.clock.monotonic_s() + _PATIENCE_S
        while not condition():
            if self._task is not None and self._task.done():
                await self._task  # tell why the client itself has ended
            if self.clock.monotonic_s() >= end_s:
                raise Broken(f"never happened: {what}")
            await self.clock.sleep(_LOOK_S)

    async def until_order(self, link: str, *statuses: str) -> OrderReport:
        """Wait until the view shows an order in one of these states."""

        def there() -> bool:
            order = self.view.by_link(link)
            return order is not None and (not statuses or order.order_status in statuses)

        await self.until(there, f"order {link} {' or '.join(statuses)}")
        return kind_of(self.view.by_link(link), OrderReport, link)

    async def wait(self, delay_s: float) -> None:
        """Let time pass."""
        await self.parts.wait(delay_s)

    # ------------------------------------------------------------------ reading

    async def public(self, path: str, **params: Any) -> Any:
        """Return the one row of a public list."""
        rows = await self._rows(path, {"category": "linear", **params}, signed=False)
        hold(rows, f"{path} has no row of {params}")
        return rows[0]

    async def page(self, path: str, **params: Any) -> list[Any]:
        """Return the rows of one page of a signed list."""
        return await self._rows(path, {"category": "linear", **params}, signed=True)

    async def _rows(self, path: str, params: dict[str, Any], *, signed: bool) -> list[Any]:
        gate = self.client.gate
        answer = (
            await self.venue.readings.ask(path, params)
            if signed
            else await gate.call("GET", path, params)
        )
        said = kind_of(answer, Said, path)
        hold(said.code == 0, f"{path}: {said.code} {said.message}")
        return list(said.result.get("list") or [])

    async def post(self, path: str, body: dict[str, Any]) -> Said:
        """Send a signed request that the port has no word for."""
        answer = await self.client.gate.call(
            "POST", path, body, user=self.parts.api_key, auth=self.venue.auth, priority=NOW
        )
        return kind_of(answer, Said, path)

    async def quote(self) -> Ticker:
        """Return where the market stands."""
        ticker = read_ticker(await self.public("/v5/market/tickers", symbol=self.symbol))
        hold(ticker.last_price and ticker.bid1_price and ticker.ask1_price, "an empty market")
        return ticker

    async def last(self) -> Decimal:
        """Return the last price."""
        return (await self.quote()).last_price or Decimal(0)

    async def orders(self) -> list[OrderReport]:
        """Return the symbol's open orders as listed."""
        return kind_of(await self.venue.orders(symbol=self.symbol), Ok, "orders").value

    async def positions(self) -> list[PositionReport]:
        """Return the open positions as listed."""
        return kind_of(await self.venue.positions(), Ok, "positions").value

    async def slots(self) -> list[PositionReport]:
        """Return the symbol's slots, flat ones too."""
        rows = await self.venue.readings.positions(symbol=self.symbol)
        return kind_of(rows, Ok, "position slots").value

    async def executions(self, link: str = "") -> list[ExecutionReport]:
        """Return the symbol's executions since the bench began, or those of an order, as listed."""
        said = await self.venue.executions(start_ms=self.clock.now_ms() - 3_600_000)
        rows = kind_of(said, Ok, "executions").value
        return [
            e for e in rows if e.symbol == self.symbol and (not link or e.order_link_id == link)
        ]

    async def wallet(self) -> WalletReport:
        """Return the wallet as listed."""
        return kind_of(await self.venue.wallet(), Ok, "wallet").value

    # ------------------------------------------------------------------ acting

    def link(self) -> str:
        """Return a link id never used before."""
        self._links += 1
        return f"zc-{self._stamp}-{self._links}"

    def size(self, price: Decimal, times: int = 2) -> Decimal:
        """Return a small quantity that the venue takes, a multiple of `times` steps."""
        rules = self.rules
        least = max(rules.min_order_qty, rules.min_notional * Decimal("1.1") / price)
        steps = (least / rules.qty_step).to_integral_value(ROUND_CEILING)
        return steps * rules.qty_step * times

    def order(self, side: str, qty: Decimal, price: Decimal | None = None, **more: Any) -> NewOrder:
        """Return a limit order, or a market order where no price is given."""
        values: dict[str, Any] = {"order_link_id": self.link(), **more}
        return NewOrder(
            symbol=self.symbol,
            side=side,
            order_type="Market" if price is None else "Limit",
            qty=qty,
            price=price,
            **values,
        )

    async def place(self, order: NewOrder) -> str:
        """Place an order that must be taken; returns its link id."""
        kind_of(await self.venue.place(order, priority=LATER), Accepted, "place")
        return order.order_link_id

    async def rest(self, side: str = "Buy", **more: Any) -> str:
        """Place a limit order far from the market and wait until it rests."""
        price = await self.far(side)
        link = await self.place(self.order(side, self.size(price), price, **more))
        await self.until_order(link, "New")
        return link

    async def far(self, side: str) -> Decimal:
        """Return a price far from the market at which an order of this side rests."""
        last = await self.last()
        away = Decimal("0.95") if side == "Buy" else Decimal("1.05")
        return self.rules.floor_price(last * away)

    async def open(self, side: str = "Buy", times: int = 2, **more: Any) -> PositionReport:
        """Open a small position at the market, and wait until it is seen."""
        idx = more.get("position_idx", 0)
        qty = self.size(await self.last(), times)
        before = self.held(idx)
        link = await self.place(self.order(side, qty, **more))
        await self.until_order(link, "Filled")
        await self.until(lambda: self.held(idx) == before + qty, "the position")
        return kind_of(self.view.position(self.symbol, idx), PositionReport, "the position")

    def held(self, idx: int = 0) -> Decimal:
        """Return the position's size in the view."""
        position = self.view.position(self.symbol, idx)
        return position.size if position is not None else Decimal(0)

    async def flatten(self) -> None:
        """Close the symbol's positions at the market."""
        for position in await self.positions():
            if position.symbol == self.symbol:
                side = "Sell" if position.side == "Buy" else "Buy"
                idx = position.position_idx
                order = self.order(side, position.size, reduce_only=True, position_idx=idx)
                kind_of(await self.venue.place(order, priority=NOW), Accepted, "close")
                await self.until_order(order.order_link_id, "Filled", "Cancelled")

    async def stops(self, *kinds: str) -> list[OrderReport]:
        """Return the symbol's stop orders as listed."""
        return [o for o in await self.orders() if o.stop_order_type and (
            not kinds or o.stop_order_type in kinds)]  # fmt: skip

    async def until_listed(
        self, condition: Callable[[list[OrderReport]], object], what: str
    ) -> list[OrderReport]:
        """Wait until the list of open orders is as it must become; it may lag."""
        end_s = self.clock.monotonic_s() + _PATIENCE_S
        while True:
            rows = await self.orders()
            if condition(rows):
                return rows
            if self.clock.monotonic_s() >= end_s:
                raise Broken(f"never listed: {what}; {[_short(o) for o in rows]}")
            await self.clock.sleep(10 * _LOOK_S)

    async def move(self, price: Decimal) -> None:
        """Send the market to a price."""
        self.controls.price(self.symbol, self.rules.floor_price(price))

    # ------------------------------------------------------------------ leaving

    async def tidy(self) -> None:
        """Leave the symbol flat and without orders; `Broken` where that cannot be done."""
        if self._base is not None:
            self.controls.calm()
            self.controls.price(self.symbol, self._base)
        for _ in range(_TIDY_TRIES):
            with contextlib.suppress(Broken):
                await self.flatten()
            await self.venue.cancel_entries(self.symbol, priority=NOW)
            for order in await self.orders():
                await self.venue.cancel(self.symbol, order_id=order.order_id, priority=NOW)
            held = any(p.symbol == self.symbol for p in await self.positions())
            if not held and not await self.orders():
                return
            await self.clock.sleep(1.0)
        raise Broken(f"{self.symbol} could not be left flat and without orders")


def _short(order: OrderReport) -> str:
    return f"{order.stop_order_type or order.order_type} {order.side} {order.order_status}"


@contextlib.asynccontextmanager
async def bench_on(parts: Parts) -> AsyncIterator[Bench]:
    """Run a bench for the length of a block."""
    bench = Bench(parts)
    try:
        await bench.start()
        yield bench
    finally:
        await bench.close()


def total(values: Iterable[Decimal | None]) -> Decimal:
    """Add amounts, None as 0."""
    return sum((v for v in values if v is not None), Decimal(0))
