"""The simulated venue itself: machine, market, accounts and keys behind one synchronous face.

No sockets, no clock: time is advanced by whoever owns it, requests are answered at once, and what a
user's streams would tell is handed to those who listen. The HTTP server and the in-process port are
thin shells of this; the same calls at the same times give the same trace.
"""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

import numpy as np

from engine.venue import wire
from engine.venue.exchange.commands import (
    Clock,
    Command,
    CreateOrder,
    ListInstrument,
    OpenAccount,
)
from engine.venue.exchange.events import (
    Event,
    Executed,
    Liquidated,
    OrderChanged,
    PositionChanged,
    Refused,
    WalletChanged,
)
from engine.venue.exchange.machine import Exchange
from engine.venue.exchange.records import Account, Position
from engine.venue.instrument import Instrument
from engine.venue.listings import Listings
from engine.venue.market_view import MarketView
from engine.venue.replay import Replay
from engine.venue.tape import Tape
from engine.venue.words import ExecType, MarginMode
from live.venues.bybit.simauth import ApiKey, KeyRing
from live.venues.bybit.simbook import ThinnableBook
from live.venues.bybit.simfaults import FaultPlan

_FUNDING_RATE = 0.0001  # of a contract whose history has none
CLOSED_KEPT = 500  # closed orders that realtime remembers


@dataclass(frozen=True, slots=True)
class Message:
    """What one private topic says at one moment. `topic` is the all-in-one name."""

    topic: str
    rows: tuple[dict[str, Any], ...]
    time: int
    number: int

    def encode(self, topic: str, uid: int) -> bytes:
        """Write it under the name it was subscribed by."""
        return wire.encode_private_push(
            topic, self.rows, message_id=f"{uid}_{self.number}_{self.time}", creation_time=self.time
        )


class Listener(Protocol):
    """Who hears a user's messages."""

    def deliver(self, messages: list[Message]) -> None:
        """Take what one moment brought, in the order it is told."""
        ...


class Desk:
    """One venue.

    Parameters
    ----------
    replay : Replay
        What the market does.
    interval : str
        The replay's interval.
    seed : int
        Of ids, keys, the book's depth and the order in which topics speak.
    start_ms : int, optional
        Where time begins. Default: the first bar.
    faults : FaultPlan, optional
    """

    def __init__(
        self,
        replay: Replay,
        interval: str,
        *,
        seed: int = 0,
        start_ms: int | None = None,
        faults: FaultPlan | None = None,
    ) -> None:
        begin = replay.first if start_ms is None else start_ms
        replay = replay.copy()
        self.replay = replay
        self.interval = interval
        self.seed = seed
        self.faults = faults if faults is not None else FaultPlan(seed)
        self.book = ThinnableBook(seed)
        self.exchange = Exchange(seed, book=self.book)
        self.keys = KeyRing(seed)
        self.listings = Listings(replay)
        self.view = MarketView(replay, interval, self.listings, self.book, begin)
        levels = self.exchange.awaited
        self.tape = Tape(replay, self.listings, self._play, self._played, begin, levels)
        self.liquidations: list[Liquidated] = []  # public; whoever tells them empties it
        self.crashes: list[str] = []  # faults of our own, caught at the door; must stay empty
        self.unlisted: dict[str, int] = {}  # order -> realtime does not know it before then
        self.book_share: Decimal | None = None  # of an order's quantity; while it is carried out
        self.closed_from: dict[int, int] = {}  # uid -> realtime remembers closed orders since then
        self.settings: dict[int, dict[str, bool]] = defaultdict(dict)
        self._rng = np.random.default_rng([seed, 0x7091C])
        self._listeners: dict[int, list[Listener]] = defaultdict(list)
        self._listed: set[str] = set()
        self._busy: dict[str, None] = {}  # symbols that somebody may hold or have orders in
        self._numbers = 0
        self._accounts = 0

    # ------------------------------------------------------------------ time

    @property
    def now_ms(self) -> int:
        """The venue's time."""
        return self.tape.now_ms

    @property
    def busy(self) -> bool:
        """Tell whether anybody holds something or waits for a price."""
        return any(True for _ in self._played())

    def advance(self, to_ms: int) -> None:
        """Let time pass: the market moves, orders fill, funding is paid."""
        self.tape.advance(to_ms)
        self.view.clock_ms = self.tape.now_ms

    def tick(self) -> None:
        """Let the machine see the time even where no price moves."""
        self.step(Clock())

    def _played(self) -> Iterator[str]:
        gone = [s for s in self._busy if not self.exchange.needs_price(s)]
        for symbol in gone:
            del self._busy[symbol]
        return iter(list(self._busy))

    def _play(self, command: Command, _at_ms: int) -> None:
        self.view.clock_ms = self.tape.now_ms
        self.step(command)

    # ------------------------------------------------------------------ the machine

    def step(self, command: Command) -> list[Event]:
        """Give the machine one command at the time of now, and tell who listens."""
        events = self.exchange.step(command, self.now_ms)
        if events:
            self._tell(events)
        return events

    def order(self, command: Any) -> Event:
        """Carry out a user's command on a symbol, priced as of now; returns the answer."""
        symbol = getattr(command, "symbol", "")
        if symbol:
            if symbol not in self.listings:
                return Refused(command.uid, 10001, "params error: symbol invalid")
            self.touch(symbol)
        if self.book_share is not None and isinstance(command, CreateOrder):
            return self._on_thin_book(command, self.book_share)
        return self.step(command)[0]

    def _on_thin_book(self, command: CreateOrder, share: Decimal) -> Event:
        """Carry out an order while the book holds only a share of what it wants."""
        rules = self.listings[command.symbol].instrument
        self.book.left[command.symbol] = rules.floor_qty(command.qty * share)
        self.tape.renew(command.symbol)
        answer = self.step(command)[0]
        del self.book.left[command.symbol]
        order = self.exchange.account(command.uid).orders.get(getattr(answer, "order_id", ""))
        if order is None or not order.order_status.is_open:
            self.tape.renew(command.symbol)  # else what is left of it waits for the next price
        return answer

    @contextmanager
    def thin_book(self, share: Decimal | None) -> Iterator[None]:
        """Let orders meet a book with this share of what they want; None: as it is."""
        self.book_share = share
        try:
            yield
        finally:
            self.book_share = None

    def touch(self, symbol: str) -> None:
        """Make sure that a symbol is listed and priced, and is played from now on."""
        if symbol not in self._listed:
            self._listed.add(symbol)
            self.step(ListInstrument(instrument=self.listings[symbol].instrument))
        self._busy[symbol] = None
        self.tape.quote(symbol)

    def change_instrument(self, instrument: Instrument) -> None:
        """Give a contract new rules."""
        self.listings.replace(instrument)
        self._listed.add(instrument.symbol)
        self.step(ListInstrument(instrument=instrument))

    def change_funding(self, symbol: str, minutes: int) -> None:
        """Let a contract's funding come every so many minutes from now on, at its present rate."""
        length = max(1, minutes) * 60_000
        stamps, rates = self.replay.funding.get(symbol, (np.zeros(0, np.int64), np.zeros(0)))
        past = stamps <= self.now_ms
        first = self.now_ms - self.now_ms % length + length
        ahead = np.arange(first, self.replay.last + 2 * length, length, dtype=np.int64)
        rate = self.view.funding_rate(symbol) or _FUNDING_RATE
        self.replay.funding[symbol] = (
            np.concatenate([stamps[past], ahead]),
            np.concatenate([rates[past], np.full(len(ahead), rate)]),
        )

    # ------------------------------------------------------------------ accounts

    def open_account(
        self, equity: Decimal, *, margin_mode: MarginMode = MarginMode.ISOLATED, **key: Any
    ) -> ApiKey:
        """Make a user with money, and a key."""
        self._accounts += 1
        uid = 100_000 + self._accounts
        self.step(OpenAccount(uid=uid, equity=equity, margin_mode=margin_mode))
        return self.keys.issue(uid, created_ms=self.now_ms, **key)

    def account(self, uid: int) -> Account:
        """Return an account with its marks, margins and wallet as of now."""
        account = self.exchange.account(uid)
        for symbol, _ in account.positions:
            self.tape.quote(symbol)
        self.exchange.refresh(uid)
        return account

    def flat_slot(self, symbol: str, position_idx: int) -> Position:
        """Return how a slot that never held anything is shown."""
        rules = self.listings[symbol].instrument
        slot = Position(symbol, position_idx)
        slot.leverage = min(slot.leverage, rules.leverage_max)
        if rules.tiers:
            slot.risk_id, slot.risk_limit_value = rules.tiers[0].id, rules.tiers[0].limit
        slot.mark_price = self.tape.quote(symbol)
        slot.created_time = slot.updated_time = self.now_ms
        return slot

    def names(self, uid: int) -> tuple[str, ...]:
        """Return every name a fault may call a user by."""
        return (str(uid), *(key.key for key in self.keys.of(uid)))

    # ------------------------------------------------------------------ messages

    def listen(self, uid: int, listener: Listener) -> None:
        """Hear a user's messages from now on."""
        self._listeners[uid].append(listener)

    def leave(self, uid: int, listener: Listener) -> None:
        """Hear no more."""
        if listener in self._listeners[uid]:
            self._listeners[uid].remove(listener)

    def shuffled(self, amount: int) -> list[int]:
        """Return the numbers below `amount` in an order drawn from the seed."""
        return [int(i) for i in self._rng.permutation(amount)]

    def _tell(self, events: list[Event]) -> None:
        """Turn one step's events into messages: ordered within a topic, not between topics."""
        by_user: dict[int, dict[str, list[Event]]] = {}
        for event in events:
            if isinstance(event, Liquidated):
                self.liquidations.append(event)
                continue
            topic = _TOPICS.get(type(event))
            if topic is None or not self._listeners.get(event.uid):
                continue
            by_user.setdefault(event.uid, defaultdict(list))[topic].append(event)
        for uid, by_topic in by_user.items():
            messages = self._messages(uid, by_topic)
            for listener in list(self._listeners[uid]):
                listener.deliver(messages)

    def _messages(self, uid: int, by_topic: dict[str, list[Event]]) -> list[Message]:
        queues: list[list[Message]] = []
        for topic, events in by_topic.items():
            queues.append(self._split(uid, topic, events))
            if topic == "execution":
                trades = [e for e in events if isinstance(e, Executed)]
                trades = [e for e in trades if e.execution.exec_type is ExecType.TRADE]
                if trades:
                    queues.append(self._split(uid, "execution.fast", trades))
        out: list[Message] = []
        while queues:
            turn = int(self._rng.integers(len(queues))) if len(queues) > 1 else 0
            out.append(queues[turn].pop(0))
            if not queues[turn]:
                queues.pop(turn)
        return out

    def _split(self, uid: int, topic: str, events: list[Any]) -> list[Message]:
        """Cut a topic's rows into messages: sometimes one for all, sometimes one each."""
        if topic == "wallet":
            events = events[-1:]
        rows = [self._row(uid, topic, event) for event in events]
        together = len(rows) > 1 and float(self._rng.random()) < 0.5  # noqa: PLR2004 - a coin
        groups = [tuple(rows)] if together else [(row,) for row in rows]
        out = []
        for group in groups:
            self._numbers += 1
            out.append(Message(topic, group, self.now_ms, self._numbers))
        return out

    def _row(self, uid: int, topic: str, event: Any) -> dict[str, Any]:
        if topic == "order":
            return wire.encode_order_push(event.order)
        if topic == "execution":
            return wire.encode_execution_push(event.execution)
        if topic == "execution.fast":
            return wire.encode_fast_execution_push(event.execution)
        if topic == "position":
            return wire.encode_position_push(event.position)
        return wire.encode_wallet_push(event.wallet, self.exchange.account(uid).margin_mode)


_TOPICS: dict[type, str] = {
    OrderChanged: "order",
    Executed: "execution",
    PositionChanged: "position",
    WalletChanged: "wallet",
}
