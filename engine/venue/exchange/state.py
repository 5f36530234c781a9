"""What the machine holds between steps, and how its parts find each other's orders."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from engine.venue.exchange import adl
from engine.venue.exchange.book import BookModel, Ladder, Level
from engine.venue.exchange.commands import Price
from engine.venue.exchange.events import Event, OrderChanged
from engine.venue.exchange.ledger import make_id
from engine.venue.exchange.records import ZERO, Account, Order, Position
from engine.venue.instrument import Instrument
from engine.venue.words import ExecType, Side, TriggerBy

RISING, FALLING = 1, 2


@dataclass(slots=True)
class Watch:
    """Orders waiting for one price to come from one side. Asked in O(1) while it is far away."""

    rising: bool
    strict: bool  # the level must be passed, not only touched
    entries: dict[str, tuple[Decimal, int, Account, Order]] = field(default_factory=dict)
    bound: Decimal = ZERO  # nearest level ever added since the last look

    def add(self, account: Account, order: Order, level: Decimal) -> None:
        """Wait for an order's level."""
        if not self.entries or (level < self.bound if self.rising else level > self.bound):
            self.bound = level
        self.entries[order.order_id] = (level, order.sequence, account, order)

    def discard(self, order_id: str) -> None:
        """Wait for it no more."""
        self.entries.pop(order_id, None)

    def is_near(self, low: Decimal, high: Decimal) -> bool:
        """Tell whether a price of [low, high] may reach a level."""
        return self.bound <= high if self.rising else self.bound >= low

    def passed(self, price: Decimal, level: Decimal) -> bool:
        """Tell whether a price has reached a level."""
        if self.strict:
            return price > level if self.rising else price < level
        return price >= level if self.rising else price <= level

    def take(self, price: Decimal) -> list[tuple[Account, Order]]:
        """Remove and return those whose level a price has reached, in the order it met them."""
        if not self.entries or not self.passed(price, self.bound):
            return []
        hits = [entry for entry in self.entries.values() if self.passed(price, entry[0])]
        hits.sort(key=lambda entry: (entry[0] if self.rising else -entry[0], entry[1]))
        for entry in hits:
            del self.entries[entry[3].order_id]
        levels = [entry[0] for entry in self.entries.values()]
        if levels:
            self.bound = min(levels) if self.rising else max(levels)
        return [(account, order) for _, _, account, order in hits]


class Market:
    """One symbol: its rules, its price, who waits and who holds."""

    __slots__ = (
        "_asks",
        "_bids",
        "band_edges",
        "buys",
        "holders",
        "instrument",
        "price",
        "queue",
        "sells",
        "stops",
        "symbol",
        "trailing",
        "watches",
    )

    def __init__(self, instrument: Instrument) -> None:
        self.symbol = instrument.symbol
        self.instrument = instrument
        self.price: Price | None = None
        self.buys = Watch(rising=False, strict=True)  # resting: filled when the price goes through
        self.sells = Watch(rising=True, strict=True)
        self.stops = {
            (source, direction): Watch(rising=direction == RISING, strict=False)
            for source in TriggerBy
            for direction in (RISING, FALLING)
        }
        self.watches = tuple(self.stops.values())
        self.trailing: dict[tuple[int, int], tuple[Account, Position]] = {}
        self.holders: dict[tuple[int, int], tuple[Account, Position]] = {}
        self._asks: Ladder | None = None  # what a buyer takes, since the last price
        self._bids: Ladder | None = None
        self.band_edges: tuple[Decimal, Decimal] | None = None  # to buy, to sell; of this price
        self.queue: adl.Queue | None = None  # worked out when somebody looks

    def ladder(self, book: BookModel, taker: Side) -> Ladder:
        """Return the side of the book that a taker eats."""
        ladder = self._asks if taker is Side.BUY else self._bids
        if ladder is None:
            ladder = Ladder(book.side(self.instrument, self.quote.last, taker))
            if taker is Side.BUY:
                self._asks = ladder
            else:
                self._bids = ladder
        return ladder

    def change(self, instrument: Instrument) -> None:
        """Take new rules; book and band are worked out anew."""
        self.instrument = instrument
        self._asks = self._bids = None
        self.band_edges = None

    def move(self, price: Price) -> None:
        """Take a new price; it brings a fresh book."""
        self.price = price
        self._asks = self._bids = None
        self.band_edges = self.queue = None

    def deleveraging(self) -> adl.Queue:
        """Return the deleveraging queue at the present mark."""
        if self.queue is None:
            self.queue = adl.line_up(self.holders, self.quote.mark)
        return self.queue

    def resting(self, side: Side) -> Watch:
        """Return where a side's resting orders wait."""
        return self.buys if side is Side.BUY else self.sells

    def waits(self) -> bool:
        """Tell whether a price here could change anything."""
        return bool(
            self.holders
            or self.buys.entries
            or self.sells.entries
            or any(watch.entries for watch in self.stops.values())
        )

    def awaited(self, low: Decimal, high: Decimal) -> list[Decimal]:
        """Return the prices of [low, high] at which somebody who waits is met."""
        levels: list[Decimal] = []
        for watch in (self.buys, self.sells, *self.watches):
            if watch.entries and watch.is_near(low, high):
                levels += [self._met_at(watch, entry[0]) for entry in watch.entries.values()]
        return [level for level in levels if low <= level <= high]

    def _met_at(self, watch: Watch, level: Decimal) -> Decimal:
        # a price that has gone through a resting order fills it; one that touches it may not
        if not watch.strict:
            return level
        return level + (self.instrument.tick_size if watch.rising else -self.instrument.tick_size)

    @property
    def quote(self) -> Price:
        """The price; asked only where the door has seen that there is one."""
        if self.price is None:
            raise LookupError(f"{self.symbol} has no price yet")
        return self.price


@dataclass(slots=True)
class Closing:
    """What one closing order has closed so far."""

    side: Side
    leverage: Decimal
    exec_type: ExecType
    closed_size: Decimal = ZERO
    entry_value: Decimal = ZERO
    exit_value: Decimal = ZERO
    pnl: Decimal = ZERO
    open_fee: Decimal = ZERO
    close_fee: Decimal = ZERO
    fill_count: int = 0


class World:
    """Everything that changes."""

    __slots__ = (
        "accounts",
        "book",
        "closings",
        "counter",
        "markets",
        "moved_wallets",
        "now_ms",
        "one_child_per_fill",
        "out",
        "seed",
        "seq",
        "stale_orders",
        "touched",
    )

    def __init__(self, seed: int, book: BookModel, *, one_child_per_fill: bool) -> None:
        self.seed = seed
        self.book = book
        self.one_child_per_fill = one_child_per_fill
        self.counter = 0
        self.seq = 0
        self.now_ms = 0
        self.accounts: dict[int, Account] = {}
        self.markets: dict[str, Market] = {}
        self.out: list[Event] = []
        self.touched: dict[tuple[int, str, int], Position] = {}  # to be shown at the step's end
        self.moved_wallets: dict[int, Account] = {}
        self.stale_orders: dict[tuple[int, str], Account] = {}  # whose order margin is to be redone
        self.closings: dict[str, Closing] = {}  # by order id

    def new_id(self) -> str:
        """Return the next id."""
        self.counter += 1
        return make_id(self.seed, self.counter)

    def new_row_id(self, uid: int, symbol: str) -> str:
        """Return the next id of a log row, in the venue's shape."""
        self.counter += 1
        return f"{uid}_{symbol or 'USDT'}_{self.counter}"

    def emit_order(self, account: Account, order: Order) -> None:
        """Say that an order is new or another."""
        order.updated_time = self.now_ms
        order.seq = self.seq
        self.out.append(OrderChanged(account.uid, order.copy()))

    def touch(self, account: Account, position: Position) -> None:
        """Show a position at the end of the step."""
        self.touched[account.uid, position.symbol, position.position_idx] = position

    def levels(self, market: Market, taker: Side) -> Iterator[Level]:
        """Return an iterator over what a taker meets now, best first."""
        return market.ladder(self.book, taker).walk()

    def slot(self, account: Account, symbol: str, position_idx: int) -> Position:
        """Return a position slot, made on its first use."""
        key = (symbol, position_idx)
        position = account.positions.get(key)
        if position is None:
            position = Position(symbol, position_idx)
            limit = self.markets[symbol].instrument.tiers
            position.leverage = min(position.leverage, self.markets[symbol].instrument.leverage_max)
            if limit:
                position.risk_id, position.risk_limit_value = limit[0].id, limit[0].limit
            account.positions[key] = position
        return position
