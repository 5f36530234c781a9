"""One user's account at the simulated venue, in virtual time: commands in, messages out.

The same machine, tape, listings and book model as `zion sim` and paper mode, without sockets. What
the venue would push goes through the codec both ways, so that `decide` reads here, to the last
digit, what a live client would read. Orders reach the venue when they are sent, as they do at the
simulator's door; a bar's closing and its commands meet the first price of the next bar.
"""

from collections import deque
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import islice
from typing import NamedTuple

from engine.account import commands as c
from engine.account import messages as m
from engine.account.signal import Quote
from engine.venue import wire
from engine.venue.codes import Action, verdict
from engine.venue.exchange import commands as x
from engine.venue.exchange.book import BookModel
from engine.venue.exchange.events import (
    Event,
    Executed,
    OrderChanged,
    PositionChanged,
    Refused,
    WalletChanged,
)
from engine.venue.exchange.machine import Exchange
from engine.venue.exchange.records import Account, Execution
from engine.venue.listings import Listings
from engine.venue.market_view import MarketView
from engine.venue.replay import Replay
from engine.venue.tape import Tape
from engine.venue.words import OrderType, Side, TimeInForce, TpslMode

UID = 1
_BOOK_LEVELS = 50
_FINE = frozenset({Action.SUCCESS, Action.VERIFY, Action.ADOPT})


class Fees(NamedTuple):
    """What the venue charges this user, as shares."""

    maker: Decimal
    taker: Decimal


class Filled(NamedTuple):
    """An execution and what the market showed when it happened."""

    execution: Execution
    last: Decimal
    stop_reason: str  # of the stop that stood then: "" as planned, else breakeven or trail


class AccountDesk:
    """The venue as one user meets it.

    Parameters
    ----------
    replay, interval : Replay, str
        What the market does.
    capital : Decimal
        USDT.
    fees : Fees
    start_ms : int
        Where time begins.
    seed : int
        Of ids and of the book's depth.

    Attributes
    ----------
    inbox : deque of messages
        What the account's streams and answers say, oldest first.
    filled : list of Filled
        Every execution.
    orders : dict
        Every order sent, by its link id.
    """

    def __init__(
        self,
        replay: Replay,
        interval: str,
        capital: Decimal,
        fees: Fees,
        *,
        start_ms: int,
        seed: int = 0,
    ) -> None:
        self.inbox: deque[m.Message] = deque()
        self.filled: list[Filled] = []
        self.orders: dict[str, c.PlaceOrder] = {}  # by link id, as sent
        self.replay = replay
        book = BookModel(seed)
        self.exchange = Exchange(seed, book=book)
        self.listings = Listings(replay)
        self.view = MarketView(replay, interval, self.listings, book, start_ms)
        levels = self.exchange.awaited
        self.tape = Tape(replay, self.listings, self._play, self._played, start_ms, levels)
        self._listed: set[str] = set()
        self._busy: dict[str, None] = {}
        self._stop_reasons: dict[str, str] = {}
        self._step(
            x.OpenAccount(
                uid=UID, equity=capital, maker_fee_rate=fees.maker, taker_fee_rate=fees.taker
            )
        )

    # ------------------------------------------------------------------ time

    @property
    def now_ms(self) -> int:
        """The venue's time."""
        return self.tape.now_ms

    @property
    def busy(self) -> bool:
        """Tell whether anything is held or waits: else time may be leapt over."""
        return any(True for _ in self._played())

    def held(self) -> list[str]:
        """Return the coins with a position or an order, sorted."""
        return sorted(self._played())

    def advance(self, to_ms: int, react: Callable[[], None]) -> None:
        """Let time pass; after every trade of the market `react` may answer what it brought."""
        while self.now_ms < to_ms:
            at = min(self.tape.next_ms(), to_ms) if self.busy else to_ms
            self.tape.advance(at)
            self.view.clock_ms = at
            if self.inbox:
                react()

    def _played(self) -> Iterator[str]:
        for symbol in [s for s in self._busy if not self.exchange.needs_price(s)]:
            del self._busy[symbol]
        return iter(list(self._busy))

    def _play(self, command: x.Command, _at_ms: int) -> None:
        self._step(command)

    def _step(self, command: x.Command) -> list[Event]:
        events = self.exchange.step(command, self.now_ms)
        for event in events:
            self._hear(event)
        return events

    def _hear(self, event: Event) -> None:
        match event:
            case OrderChanged():
                order = wire.read_order(wire.encode_order_push(event.order))
                self._say(m.OrderSeen(at_ms=self.now_ms, order=order))
            case Executed():
                self._note(event.execution)
                found = wire.read_execution(wire.encode_execution_push(event.execution))
                self._say(m.Executed(at_ms=self.now_ms, execution=found))
            case PositionChanged():
                position = wire.read_position(wire.encode_position_push(event.position))
                self._say(m.PositionSeen(at_ms=self.now_ms, position=position))
            case WalletChanged():
                mode = self.account.margin_mode
                wallet = wire.read_wallet(wire.encode_wallet_push(event.wallet, mode))
                self._say(m.WalletSeen(at_ms=self.now_ms, wallet=wallet))
            case _:
                pass

    def _say(self, message: m.Message) -> None:
        self.inbox.append(message)

    def _note(self, execution: Execution) -> None:
        price = self.exchange.prices[execution.symbol]
        reason = self._stop_reasons.get(execution.symbol, "")
        self.filled.append(Filled(execution, price.last, reason))

    # ------------------------------------------------------------------ reading

    @property
    def account(self) -> Account:
        """The account's records, as they are."""
        return self.exchange.account(UID)

    def equity(self) -> Decimal:
        """Return wallet plus unrealised profit at the prices of now."""
        for symbol in self._played():
            self.tape.quote(symbol)
        return self.exchange.refresh(UID).wallet.equity

    def quote(self, symbol: str, notional_usdt: float) -> Quote:
        """Return the market of a coin now; the sweep walks the model's asks."""
        listing = self.listings[symbol]
        last = self.view.last(symbol)
        book = self.view.book
        asks = list(islice(book.side(listing.instrument, last, Side.BUY), _BOOK_LEVELS))
        bid = float(book.best(listing.instrument, last, Side.SELL))
        ask = float(asks[0][0])
        mid = (bid + ask) / 2.0
        return Quote(
            ts=self.now_ms,
            bid=bid,
            ask=ask,
            mark=float(last),
            spread_bps=(ask - bid) / mid * 1e4,
            sweep_bps=sweep_bps(asks, mid, notional_usdt),
            notional_usdt=notional_usdt,
            source="book",
            funding_rate=self.view.funding_rate(symbol),
            next_funding_ms=self.view.next_funding_ms(symbol),
            funding_interval_min=self.view.funding_interval_min(symbol),
            turnover_24h=self.replay.day(symbol, self.now_ms).get("turnover", 0.0),
        )

    def read(self) -> m.AccountRead:
        """Read the whole account, as after a reconnection."""
        account = self.exchange.refresh(UID)
        mode = account.margin_mode
        read = wire.read_position, wire.read_order, wire.read_execution
        return m.AccountRead(
            at_ms=self.now_ms,
            positions=tuple(
                read[0](wire.encode_position_row(p))
                for p in account.positions.values()
                if p.is_open
            ),
            orders=tuple(read[1](wire.encode_order_row(o)) for o in account.open_orders.values()),
            wallet=wire.read_wallet(wire.encode_wallet_push(account.wallet, mode)),
            executions=tuple(read[2](wire.encode_execution_push(e)) for e in account.executions),
            margin_mode=mode.value,
        )

    # ------------------------------------------------------------------ commands

    def carry(self, command: c.AnyCommand) -> None:
        """Carry out what was decided; the answer is in the inbox afterwards."""
        symbol = getattr(command, "symbol", "")
        if symbol:
            self._touch(symbol)
        match command:
            case c.PlaceOrder():
                self._place(command)
            case c.CancelOrder():
                asked = x.CancelOrder(uid=UID, symbol=symbol, order_link_id=command.link_id)
                self._answered(command.link_id, asked, "cancel")
            case c.ChangeOrder():
                asked = x.AmendOrder(
                    uid=UID,
                    symbol=symbol,
                    order_link_id=command.link_id,
                    qty=command.qty,
                    price=command.price,
                )
                self._answered(command.link_id, asked, "amend")
            case c.MoveStop():
                self._move_stop(command)
            case c.SetLeverage():
                self._set_leverage(command)
            case c.ReadAccount():
                self._say(self.read())

    def _touch(self, symbol: str) -> None:
        if symbol not in self._listed:
            self._listed.add(symbol)
            self._step(x.ListInstrument(instrument=self.listings[symbol].instrument))
        self._busy[symbol] = None
        self.tape.quote(symbol)

    def _ask(self, command: x.Command) -> tuple[Event, int]:
        """Step; return the answer and where in the inbox it belongs: before what came of it."""
        place = len(self.inbox)
        return self._step(command)[0], place

    def _place(self, order: c.PlaceOrder) -> None:
        link, now_ms = order.link_id, self.now_ms
        if order.expires_ms and now_ms >= order.expires_ms:
            self._say(m.NotPlaced(at_ms=now_ms, link_id=link, text="it came too late"))
            return
        self.orders[link] = order
        market = order.order_type == OrderType.MARKET
        answer, place = self._ask(
            x.CreateOrder(
                uid=UID,
                symbol=order.symbol,
                side=Side(order.side),
                order_type=OrderType(order.order_type),
                qty=order.qty,
                price=order.price,
                time_in_force=TimeInForce.IOC if market else TimeInForce(order.time_in_force),
                position_idx=order.position_idx,
                order_link_id=link,
                reduce_only=order.reduce_only,
                stop_loss=order.stop_loss,
                tpsl_mode=TpslMode.FULL if order.stop_loss is not None else None,
            )
        )
        if order.stop_loss is not None and not isinstance(answer, Refused):
            self._stop_reasons.pop(order.symbol, None)
        if isinstance(answer, Refused):
            told = m.NotPlaced(at_ms=now_ms, link_id=link, code=answer.code, text=answer.message)
        else:
            order_id = getattr(answer, "order_id", "")
            told = m.Placed(at_ms=now_ms, link_id=link, order_id=order_id)
        self.inbox.insert(place, told)

    def _answered(self, link: str, command: x.Command, op: str) -> None:
        answer, place = self._ask(command)
        ok, code, text = _read(answer, op)
        self.inbox.insert(
            place, m.CancelAnswered(at_ms=self.now_ms, link_id=link, ok=ok, code=code, text=text)
        )

    def _move_stop(self, stop: c.MoveStop) -> None:
        answer, place = self._ask(
            x.SetTradingStop(
                uid=UID,
                symbol=stop.symbol,
                tpsl_mode=TpslMode.FULL,
                position_idx=stop.position_idx,
                stop_loss=stop.stop_loss,
            )
        )
        ok, code, text = _read(answer, "stop")
        if ok:
            self._stop_reasons[stop.symbol] = stop.reason
        told = m.StopAnswered(
            at_ms=self.now_ms,
            trade_id=stop.trade_id,
            symbol=stop.symbol,
            stop_loss=stop.stop_loss,
            ok=ok,
            code=code,
            text=text,
        )
        self.inbox.insert(place, told)

    def _set_leverage(self, wish: c.SetLeverage) -> None:
        answer, place = self._ask(
            x.SetLeverage(
                uid=UID,
                symbol=wish.symbol,
                buy_leverage=wish.leverage,
                sell_leverage=wish.leverage,
            )
        )
        ok, code, text = _read(answer, "leverage")
        told = m.LeverageAnswered(
            at_ms=self.now_ms,
            symbol=wish.symbol,
            leverage=wish.leverage,
            ok=ok,
            code=code,
            text=text,
        )
        self.inbox.insert(place, told)


def _read(answer: Event, op: str) -> tuple[bool, int, str]:
    if not isinstance(answer, Refused):
        return True, 0, ""
    found = verdict(answer.code, answer.message, op=op)
    ended = op == "cancel" and found.action is Action.ORDER_ENDED
    return found.action in _FINE or ended, answer.code, answer.message


def sweep_bps(asks: list[tuple[Decimal, Decimal]], mid: float, notional_usdt: float) -> float:
    """Return what buying so much at once costs against the mid, basis points, one way.

    Where the levels given end first, the rest is paid at the last of them.
    """
    left, qty, price = notional_usdt, 0.0, float(asks[0][0])
    if notional_usdt <= 0.0:
        return (price / mid - 1.0) * 1e4
    for level, size in asks:
        price = float(level)
        value = min(price * float(size), left)
        qty += value / price
        left -= value
        if left <= 0.0:
            break
    qty += left / price
    return (notional_usdt / qty / mid - 1.0) * 1e4
