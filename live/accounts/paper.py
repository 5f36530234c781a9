"""Paper accounts: real quotes, fills by the exchange in this process, no key and no venue.

One exchange a user, so nobody's paper order meets another's. What happened to it stands in a
journal of requests and of those market facts that changed something; replayed, it is the same
account to the last id. Between two quotes the market is not seen: a paper stop is triggered by a
quote, at most a second late.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec

from engine.account.signal import Quote
from engine.venue import wire
from engine.venue.codes import Proof, verdict
from engine.venue.exchange import events as e
from engine.venue.exchange.commands import Command, Funding, ListInstrument, OpenAccount, Price
from engine.venue.exchange.machine import Exchange
from engine.venue.instrument import Instrument, exact
from engine.venue.reports import (
    ExecutionReport,
    OrderReport,
    PositionReport,
    WalletReport,
)
from engine.venue.words import MarginMode
from live.accounts.ports import Wal
from live.clock import Clock
from live.venues.port import Ok, Outcome
from live.venues.trading import (
    Absent,
    Accepted,
    Found,
    LookupOutcome,
    NewOrder,
    OrderChange,
    PlaceOutcome,
    Priority,
    PrivateItem,
    Refused,
    StreamUp,
    TradingStop,
)

UID = 1
_RATE_DIGITS = 8
_PATHS = {
    "create": "/v5/order/create",
    "amend": "/v5/order/amend",
    "cancel": "/v5/order/cancel",
    "cancel-all": "/v5/order/cancel-all",
    "trading-stop": "/v5/position/trading-stop",
    "set-leverage": "/v5/position/set-leverage",
}


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the journal: exactly one of what may happen."""

    at_ms: int
    open_usdt: Decimal | None = None
    seed: int = 0
    contract: Instrument | None = None
    path: str = ""
    body: dict[str, Any] = {}
    price: tuple[str, Decimal, Decimal] | None = None  # symbol, last, mark
    funding: tuple[str, Decimal] | None = None
    due: tuple[str, int, Decimal] | None = None  # the next funding: symbol, when, rate


_read_line = msgspec.json.Decoder(Line).decode
_write_line = msgspec.json.Encoder(decimal_format="string").encode


class PaperAccount:
    """One user's account: a `TradingVenue` and a `PrivateStream` in one.

    Parameters
    ----------
    contract : callable
        A coin's rules; None: not known, nothing can be traded there.
    quote : callable
        The newest quote; None: there is none.
    journal : Wal
        What happened. An empty one begins the account with `equity_usdt`.
    seed : int
        Of ids, and of the book's depth.
    """

    def __init__(
        self,
        clock: Clock,
        journal: Wal,
        *,
        contract: Callable[[str], Instrument | None],
        quote: Callable[[str], Quote | None],
        equity_usdt: Decimal = Decimal(10_000),
        seed: int = 0,
    ) -> None:
        self.torn = 0  # lines of the journal that could not be read
        self._clock = clock
        self._journal = journal
        self._contract = contract
        self._quote = quote
        self._items: deque[PrivateItem] = deque()
        self._woken = asyncio.Event()
        self._listening = False
        self._broken: Exception | None = None
        self._funding: dict[str, tuple[int, Decimal]] = {}
        self._silent: dict[str, Line] = {}  # prices that changed nothing and are not written yet
        self._exchange = Exchange(seed)
        lines = [*self._lines()]
        if not lines:
            lines = [Line(at_ms=clock.now_ms(), open_usdt=equity_usdt, seed=seed)]
            self._write(lines[0])
        for line in lines:
            self._replay(line)

    # ------------------------------------------------------------------ the journal

    def _lines(self) -> list[Line]:
        lines = []
        for raw in self._journal.read():
            try:
                lines.append(_read_line(raw))
            except msgspec.DecodeError:
                self.torn += 1
        return lines

    def _replay(self, line: Line) -> None:
        if line.open_usdt is not None:
            self._exchange = Exchange(line.seed)
            account = OpenAccount(uid=UID, equity=line.open_usdt, margin_mode=MarginMode.ISOLATED)
            self._exchange.step(account, line.at_ms)
            return
        if line.due is not None:
            self._funding[line.due[0]] = line.due[1:]
            return
        if line.funding is not None:
            self._funding.pop(line.funding[0], None)
        command = _command(line)
        if command is not None:
            self._exchange.step(command, line.at_ms)

    def _write(self, line: Line) -> None:
        self._journal.append(_write_line(line) + b"\n")

    def fail(self, error: Exception) -> None:
        """End this account's session: only what the journal has did happen, so it begins anew."""
        self._broken = self._broken or error
        self._woken.set()

    def _step(self, line: Line, *, always: bool) -> list[e.Event]:
        """Let one thing happen; written down before anybody is told, unless it changed nothing."""
        if self._broken is not None:
            raise self._broken
        command = _command(line)
        if command is None:
            return []
        happened = self._exchange.step(command, line.at_ms)
        if always or _changed(happened):
            try:
                self._write_with_silent(line)
            except OSError as error:  # a full disk
                self.fail(error)
                raise
        elif line.price is not None:
            self._silent[line.price[0]] = line
        self._tell(happened)
        return happened

    def _write_with_silent(self, line: Line) -> None:
        for silent in self._silent.values():
            if line.price is None or silent.price is None or silent.price[0] != line.price[0]:
                self._write(silent)
        self._silent.clear()
        self._write(line)

    # ------------------------------------------------------------------ the market

    def see(self, symbol: str, quote: Quote) -> None:
        """Let the market of a coin move; of coins where nothing is at stake it is not looked at."""
        self._pay_funding(symbol, quote)
        if not quote.stale and self._exchange.needs_price(symbol):
            line = self._price(symbol, quote)
            if line is not None:
                self._step(line, always=False)

    def _price(self, symbol: str, quote: Quote) -> Line | None:
        rules = self._exchange.instruments.get(symbol)
        if rules is None or not quote.bid > 0 or not quote.ask > 0 or not quote.mark > 0:
            return None
        last = max(rules.floor_price(exact((quote.bid + quote.ask) / 2)), rules.tick_size)
        mark = max(rules.floor_price(exact(quote.mark)), rules.tick_size)
        return Line(at_ms=self._clock.now_ms(), price=(symbol, last, mark))

    def _pay_funding(self, symbol: str, quote: Quote) -> None:
        due = self._funding.get(symbol)
        if due is not None and quote.ts >= due[0]:
            del self._funding[symbol]
            if symbol in self._exchange.instruments:
                line = Line(at_ms=self._clock.now_ms(), funding=(symbol, due[1]))
                self._step(line, always=True)
        if symbol not in self._exchange.instruments:
            return
        if quote.funding_rate is None or quote.next_funding_ms <= quote.ts:
            return
        rate = exact(round(quote.funding_rate, _RATE_DIGITS))
        known = self._funding.get(symbol)
        self._funding[symbol] = (quote.next_funding_ms, rate)
        if known != self._funding[symbol]:
            due = (symbol, quote.next_funding_ms, rate)
            self._write(Line(at_ms=self._clock.now_ms(), due=due))

    def rules(self, contract: Instrument) -> None:
        """Take a contract's rules, where they are others than known."""
        if self._exchange.instruments.get(contract.symbol) != contract:
            self._step(Line(at_ms=self._clock.now_ms(), contract=contract), always=True)

    # ------------------------------------------------------------------ acting

    def _act(self, op: str, body: dict[str, Any], link: str = "") -> PlaceOutcome:
        symbol = str(body.get("symbol", ""))
        if not self._ready(symbol):
            return Refused(10001, f"paper: no rules or no fresh price of {symbol}", "drop signal")
        line = Line(at_ms=self._clock.now_ms(), path=_PATHS[op], body=body)
        happened = self._step(line, always=True)
        answer = happened[0] if happened else e.Refused(UID, 10001, "params error")
        if isinstance(answer, e.Refused):
            return self._refusal(answer, op, link)
        order_id = getattr(answer, "order_id", "")
        return Accepted(order_id, link)

    def _ready(self, symbol: str) -> bool:
        """Tell whether a coin can be traded: listed here, and priced as of now."""
        rules = self._contract(symbol)
        if rules is not None:
            self.rules(rules)
        if symbol not in self._exchange.instruments:
            return False
        quote = self._quote(symbol)
        line = self._price(symbol, quote) if quote is not None and not quote.stale else None
        if line is not None:
            self._step(line, always=False)
        return symbol in self._exchange.prices

    def _refusal(self, answer: e.Refused, op: str, link: str) -> PlaceOutcome:
        code = verdict(answer.code, answer.message, op=op)
        order = self._by_link(link) if link else None
        if code.proof is Proof.TAKEN:
            return Accepted(order.order_id if order else "", link, already=True, order=order)
        return Refused(answer.code, answer.message, code.action.value, order=order)

    async def place(self, order: NewOrder, *, priority: Priority) -> PlaceOutcome:  # noqa: ARG002
        """Send an order once."""
        return self._act("create", wire.encode_create(order), order.order_link_id)

    async def amend(self, change: OrderChange, *, priority: Priority) -> PlaceOutcome:  # noqa: ARG002
        """Change a working order."""
        return self._act("amend", wire.encode_amend(change), change.order_link_id)

    async def cancel(
        self,
        symbol: str,
        *,
        order_id: str = "",
        order_link_id: str = "",
        priority: Priority,  # noqa: ARG002
    ) -> PlaceOutcome:
        """Cancel one order."""
        body = wire.encode_cancel(symbol, order_id=order_id, order_link_id=order_link_id)
        return self._act("cancel", body, order_link_id)

    async def cancel_entries(self, symbol: str, *, priority: Priority) -> PlaceOutcome:  # noqa: ARG002
        """Cancel every plain order of a symbol and never a stop."""
        return self._act("cancel-all", wire.encode_cancel_all(symbol=symbol, order_filter="Order"))

    async def set_trading_stop(self, stop: TradingStop, *, priority: Priority) -> PlaceOutcome:  # noqa: ARG002
        """Set, move or remove a position's stops."""
        return self._act("trading-stop", wire.encode_trading_stop(stop))

    async def set_leverage(self, symbol: str, leverage: Decimal) -> PlaceOutcome:
        """Set the leverage of both sides."""
        return self._act("set-leverage", wire.encode_set_leverage(symbol, leverage))

    # ------------------------------------------------------------------ readings

    async def look_up(
        self,
        symbol: str,  # noqa: ARG002
        order_link_id: str,
        *,
        sent_ms: int,  # noqa: ARG002
        order_id: str = "",
    ) -> LookupOutcome:
        """Look for an order: nothing is under way here, so absent is absent."""
        if order_id:
            order = self._exchange.account(UID).orders.get(order_id)
            report = _order(order) if order is not None else None
        else:
            report = self._by_link(order_link_id)
        return Found(report) if report is not None else Absent(self._clock.now_ms())

    def _by_link(self, link: str) -> OrderReport | None:
        account = self._exchange.account(UID)
        order = account.orders.get(account.by_link.get(link, ""))
        return _order(order) if order is not None else None

    async def orders(
        self,
        *,
        symbol: str = "",
        priority: Priority = Priority.RECONCILE,  # noqa: ARG002
    ) -> Outcome[list[OrderReport]]:
        """Return every open order."""
        found = self._exchange.account(UID).open_orders.values()
        return self._ok([_order(o) for o in found if symbol in ("", o.symbol)])

    async def positions(
        self,
        *,
        priority: Priority = Priority.RECONCILE,  # noqa: ARG002
    ) -> Outcome[list[PositionReport]]:
        """Return every open position."""
        account = self._exchange.refresh(UID)
        return self._ok([_position(p) for p in account.positions.values() if p.is_open])

    async def executions(
        self,
        *,
        start_ms: int,
        end_ms: int | None = None,
        priority: Priority = Priority.RECONCILE,  # noqa: ARG002
    ) -> Outcome[list[ExecutionReport]]:
        """Return executions, oldest first."""
        return self._ok(
            [
                _execution(x)
                for x in self._exchange.account(UID).executions
                if x.exec_time >= start_ms and (end_ms is None or x.exec_time <= end_ms)
            ]
        )

    async def wallet(
        self,
        *,
        priority: Priority = Priority.RECONCILE,  # noqa: ARG002
    ) -> Outcome[WalletReport]:
        """Return the account's USDT."""
        return self._ok(self._wallet(self._exchange.refresh(UID).wallet))

    def _wallet(self, wallet: Any) -> WalletReport:
        row = wire.encode_wallet_push(wallet, MarginMode.ISOLATED)
        return replace(wire.read_wallet(row), updated_time=self._clock.now_ms())

    def _ok(self, value: Any) -> Ok[Any]:
        return Ok(value, self._clock.now_ms())

    # ------------------------------------------------------------------ the stream

    async def start(self) -> None:
        """Begin to tell."""
        self._listening = True
        self._put(StreamUp(1))

    async def batch(self) -> list[PrivateItem]:
        """Return everything that has happened, waiting for at least one item."""
        while not self._items and self._broken is None:
            self._woken.clear()
            await self._woken.wait()
        if self._broken is not None:
            raise self._broken
        taken = list(self._items)
        self._items.clear()
        return taken

    def venue_ms(self) -> int:
        """Return this venue's clock: ours."""
        return self._clock.now_ms()

    async def close(self) -> None:
        """Nothing is open; the journal has everything."""
        self._listening = False

    def _put(self, item: PrivateItem) -> None:
        self._items.append(item)
        self._woken.set()

    def _tell(self, happened: list[e.Event]) -> None:
        if not self._listening:
            return
        for event in happened:
            match event:
                case e.OrderChanged(order=order):
                    self._put(_order(order))
                case e.Executed(execution=execution):
                    self._put(_execution(execution))
                case e.PositionChanged(position=position):
                    self._put(_position(position))
                case e.WalletChanged(wallet=wallet):
                    self._put(self._wallet(wallet))
                case _:
                    pass


def _changed(happened: list[e.Event]) -> bool:
    return any(isinstance(event, e.OrderChanged | e.Executed) for event in happened)


def _command(line: Line) -> Command | None:
    """Return what a line lets happen; None: nothing the exchange knows."""
    if line.contract is not None:
        return ListInstrument(instrument=line.contract)
    if line.price is not None:
        symbol, last, mark = line.price
        return Price(symbol=symbol, last=last, mark=mark, index=mark)
    if line.funding is not None:
        return Funding(symbol=line.funding[0], rate=line.funding[1])
    reader = wire.POST_READERS.get(line.path)
    command = reader(line.body, UID) if reader is not None else None
    return None if command is None or isinstance(command, wire.BadRequest) else command


def _order(order: Any) -> OrderReport:
    return wire.read_order(wire.encode_order_push(order))


def _execution(execution: Any) -> ExecutionReport:
    return wire.read_execution(wire.encode_execution_push(execution))


def _position(position: Any) -> PositionReport:
    return wire.read_position(wire.encode_position_push(position))
