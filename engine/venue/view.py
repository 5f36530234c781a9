"""What a user's account looks like from here: reports merged so that their order does not matter.

The venue orders nothing between its topics, sends messages twice, late and permuted, and no topic
begins with a snapshot. So every kind of report is merged by a rule that is commutative,
associative and idempotent: the view is a function of the set of reports seen, not of their
sequence. (Only where two reports tell of the same millisecond, and nothing else in them tells
which is the later, does the one that came last win; the next snapshot settles it.)

What a snapshot adds is absence: a position it does not list is flat, an open order it does not
list has ended, unless something newer arrived meanwhile.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal

from engine.venue.reports import (
    ZERO,
    ExecutionReport,
    OrderReport,
    PositionReport,
    UnreadRow,
    WalletReport,
)

Report = OrderReport | ExecutionReport | PositionReport | WalletReport
PositionKey = tuple[str, int]
# Later stages of an order's life win among reports of one millisecond.
_STAGE = {"Untriggered": 0, "Triggered": 1, "New": 2, "PartiallyFilled": 3}
_LAST_STAGE = 4
_RISES, _FALLS = 1, 2  # the venue's trigger directions


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One reading of an account, every list complete.

    `executions` reach back to `complete_ms` of the view and were read before `positions`: the
    newest of a symbol dates that reading, by the venue's own clock. Orders are the open ones,
    positions those with a size.
    """

    orders: tuple[OrderReport, ...] = ()
    positions: tuple[PositionReport, ...] = ()
    executions: tuple[ExecutionReport, ...] = ()
    wallet: WalletReport | None = None
    unread: tuple[UnreadRow, ...] = ()  # rows of these lists that could not be read


@dataclass(frozen=True, slots=True)
class News:
    """What a merge changed."""

    executions: tuple[ExecutionReport, ...] = ()  # seen for the first time
    orders: tuple[str, ...] = ()  # ids of orders that read differently now
    positions: tuple[PositionKey, ...] = ()
    wallet: bool = False
    vanished: tuple[OrderReport, ...] = ()  # open here, not at the venue: their end must be asked
    unread: tuple[UnreadRow, ...] = ()  # rows that could be read the last time, or were not there
    absent: tuple[str, ...] = ()  # link ids of expected orders that the venue proves not to have

    def __bool__(self) -> bool:
        return bool(
            self.executions
            or self.orders
            or self.positions
            or self.wallet
            or self.vanished
            or self.unread
            or self.absent
        )


def is_covered(position: PositionReport, orders: Iterable[OrderReport]) -> bool:
    """Tell whether a working stop on the losing side covers all of a position."""
    if position.stop_loss:
        return True
    kinds = ("StopLoss", "TrailingStop", "PartialStopLoss")
    covered = ZERO
    for order in orders:
        if not order.is_open or order.symbol != position.symbol:
            continue
        if order.position_idx != position.position_idx or order.side == position.side:
            continue
        if order.stop_order_type not in kinds and not (
            order.reduce_only and order.stop_order_type == "Stop"
        ):
            continue
        if order.trigger_direction == (_RISES if position.side == "Buy" else _FALLS):
            continue  # it takes profit, or waits for one before it begins to trail
        if order.stop_order_type == "StopLoss" or not order.qty:
            return True  # of the whole position, whatever its size
        covered += order.qty - order.cum_exec_qty
    return covered >= position.size


@dataclass(slots=True)
class _OrderEntry:
    """The newest words about an order, and the most that was ever filled of it."""

    newest: OrderReport
    filled: tuple[Decimal, int, Decimal, Decimal]  # qty, time, value, fee

    def shown(self) -> OrderReport:
        qty, _, value, fee = self.filled
        if qty == self.newest.cum_exec_qty:
            return self.newest
        return replace(
            self.newest, cum_exec_qty=qty, cum_exec_value=value, cum_exec_fee=fee, avg_price=None
        )


@dataclass(slots=True)
class _PositionEntry:
    """A position, and how new that is. `absent` 1: a snapshot did not list it."""

    report: PositionReport
    absent: int = 0

    def age(self) -> tuple[int, int, int]:
        at = self.report
        return (at.updated_time, at.seq, self.absent)


@dataclass(slots=True)
class AccountView:
    """One account: orders, executions, positions, wallet.

    `stale` is True from the beginning of a resynchronisation to its end (and before the first):
    decisions that need the whole truth wait; whatever arrives is kept and merged at the end.
    """

    stale: bool = True
    complete_ms: int = 0  # every execution up to here has been read; the stream may miss one
    wallet: WalletReport | None = None
    unread: tuple[UnreadRow, ...] = ()  # what the newest snapshot could not read
    orders_max: int = 10_000  # closed orders beyond this are forgotten, the oldest first
    executions_max: int = 100_000
    _orders: dict[str, _OrderEntry] = field(default_factory=dict)
    _links: dict[str, str] = field(default_factory=dict)
    _executions: dict[str, ExecutionReport] = field(default_factory=dict)
    _positions: dict[PositionKey, _PositionEntry] = field(default_factory=dict)
    _buffer: list[Report] | None = None
    _listed: set[str] | None = None  # the open orders of the snapshot
    _blind: dict[str, frozenset[str]] = field(default_factory=dict)  # see `_note_unread`
    _known_ms: int = 0  # the newest moment any report told of
    _floor_ms: int = 0  # that, when the resynchronisation began
    # At this moment, or that of the symbol's newest execution, nothing was held but `_held`. By
    # symbol: the list of positions may lag behind executions, of which others' prove nothing.
    _flat_before_ms: int = 0
    _newest_ms: dict[str, int] = field(default_factory=dict)
    _held: set[PositionKey] = field(default_factory=set)

    # ------------------------------------------------------------------ reading

    def orders(self) -> list[OrderReport]:
        """Return every order known, in order of first sight."""
        return [entry.shown() for entry in self._orders.values()]

    def open_orders(self, symbol: str = "") -> list[OrderReport]:
        """Return the orders that may still act."""
        entries = self._orders.values()
        mine = (e for e in entries if not symbol or e.newest.symbol == symbol)
        return [e.shown() for e in mine if e.newest.is_open]

    def order(self, order_id: str) -> OrderReport | None:
        """Return an order by the venue's id."""
        entry = self._orders.get(order_id)
        return entry.shown() if entry is not None else None

    def by_link(self, order_link_id: str) -> OrderReport | None:
        """Return an order by our id."""
        order_id = self._links.get(order_link_id)
        return self.order(order_id) if order_id is not None else None

    def executions(self) -> list[ExecutionReport]:
        """Return every execution once, oldest first."""
        return _in_time(self._executions.values())

    def fills(self, order_id: str) -> list[ExecutionReport]:
        """Return the executions of an order, oldest first: fast messages carry no link id."""
        return _in_time(e for e in self._executions.values() if e.order_id == order_id)

    def positions(self) -> list[PositionReport]:
        """Return the positions that hold something, by symbol and index."""
        entries = sorted(self._positions.items())
        return [entry.report for _, entry in entries if entry.report.size]

    def position(self, symbol: str, position_idx: int = 0) -> PositionReport | None:
        """Return a slot as last described; None if it never was."""
        entry = self._positions.get((symbol, position_idx))
        return entry.report if entry is not None else None

    def hidden(self, symbol: str) -> tuple[UnreadRow, ...]:
        """Return what cannot be seen of a symbol: as long as it is something, no entry there.

        A row that does not even tell its symbol, or that of the wallet, hides every symbol.
        """
        return tuple(row for row in self.unread if row.symbol in ("", symbol))

    def unprotected(self) -> list[PositionReport]:
        """Return the positions that no working stop covers, on the losing side."""
        return [p for p in self.positions() if not is_covered(p, self.open_orders(p.symbol))]

    # ------------------------------------------------------------------ merging

    def apply(self, report: Report) -> News:
        """Merge one report, or keep it for the end of a resynchronisation."""
        if self._buffer is not None:
            self._buffer.append(report)
            return News()
        return self._merge([report])

    def begin_resync(self) -> None:
        """Keep what arrives from now on: a snapshot is about to be read.

        Called once the stream is subscribed and before the first request is sent. Called again
        (the stream fell once more) it keeps what is kept already.
        """
        self.stale = True
        self._floor_ms = self._known_ms
        if self._buffer is None:
            self._buffer = []

    def snapshot(self, taken: Snapshot) -> News:
        """Merge a reading."""
        news = self._merge(
            [*taken.executions, *taken.orders, *([taken.wallet] if taken.wallet else [])]
        )
        fresh = self._note_unread(taken.unread)
        newest_ms = max((e.exec_time for e in taken.executions), default=0)
        # What could not be read is asked for again until it can be.
        holes = [u.ts - 1 for u in taken.unread if u.what == "execution"]
        self.complete_ms = max(self.complete_ms, min([newest_ms, *holes]))
        listed = {(p.symbol, p.position_idx) for p in taken.positions}
        self._flat_before_ms, self._held = self._floor_ms, listed
        self._newest_ms = {}
        for each in taken.executions:
            known_ms = self._newest_ms.get(each.symbol, 0)
            self._newest_ms[each.symbol] = max(known_ms, each.exec_time)
        missing = [
            key
            for key, entry in self._positions.items()
            if key not in listed and entry.report.size and not self._blind_to("position", key[0])
        ]
        for key in missing:
            self._flatten(key)
        moved = self._merge(taken.positions)
        self._listed = {order.order_id for order in taken.orders}
        self._listed |= {row.order_id for row in taken.unread if row.what == "order"}
        return News(
            executions=news.executions,
            orders=news.orders,
            positions=(*missing, *moved.positions),
            wallet=news.wallet,
            unread=fresh,
        )

    def _note_unread(self, rows: tuple[UnreadRow, ...]) -> tuple[UnreadRow, ...]:
        """Remember of which symbols absence proves nothing; returns the rows that are new.

        An unread order that tells its id is listed by it; of one that does not, any of its symbol
        may be the one.
        """
        fresh = tuple(row for row in rows if row not in self.unread)
        self.unread = rows
        self._blind = {
            "order": frozenset(r.symbol for r in rows if r.what == "order" and not r.order_id),
            "position": frozenset(r.symbol for r in rows if r.what == "position"),
        }
        return fresh

    def _blind_to(self, what: str, symbol: str) -> bool:
        blind = self._blind.get(what, frozenset())
        return symbol in blind or "" in blind

    def end_resync(self, *, complete: bool = True) -> News:
        """Merge what arrived meanwhile; `complete` False: the reading failed, the view is stale.

        `vanished` of the result names the orders that are open here and that the snapshot did not
        list: they have ended, or have only just begun.
        """
        buffered, self._buffer = self._buffer or [], None
        news = self._merge(buffered)
        self.stale = not complete
        listed, self._listed = self._listed, None
        if listed is None:
            return news
        vanished = tuple(
            o
            for o in self.open_orders()
            if o.order_id not in listed and not self._blind_to("order", o.symbol)
        )
        return replace(news, vanished=vanished)

    # ------------------------------------------------------------------ the rules

    def _merge(self, reports: Iterable[Report]) -> News:
        executions: list[ExecutionReport] = []
        orders: dict[str, None] = {}
        positions: dict[PositionKey, None] = {}
        wallet = False
        for report in reports:
            if isinstance(report, OrderReport):
                if self._merge_order(report):
                    orders[report.order_id] = None
            elif isinstance(report, ExecutionReport):
                if self._merge_execution(report):
                    executions.append(report)
            elif isinstance(report, PositionReport):
                if self._merge_position(_PositionEntry(report)):
                    positions[report.symbol, report.position_idx] = None
            else:
                wallet = self._merge_wallet(report) or wallet
        self._forget()
        return News(tuple(executions), tuple(orders), tuple(positions), wallet)

    def _merge_order(self, report: OrderReport) -> bool:
        self._known_ms = max(self._known_ms, report.updated_time)
        if report.order_link_id:
            self._links.setdefault(report.order_link_id, report.order_id)
        filled = (
            report.cum_exec_qty,
            report.updated_time,
            report.cum_exec_value,
            report.cum_exec_fee,
        )
        entry = self._orders.get(report.order_id)
        if entry is None:
            self._orders[report.order_id] = _OrderEntry(report, filled)
            return True
        before = entry.shown()
        if _order_age(report) >= _order_age(entry.newest):
            entry.newest = report
        entry.filled = max(entry.filled, filled)
        return entry.shown() != before

    def _merge_execution(self, report: ExecutionReport) -> bool:
        self._known_ms = max(self._known_ms, report.exec_time)
        known = self._executions.get(report.exec_id)
        if known is None or _execution_worth(report) > _execution_worth(known):
            self._executions[report.exec_id] = report
        return known is None

    def _merge_position(self, entry: _PositionEntry) -> bool:
        at = entry.report
        self._known_ms = max(self._known_ms, at.updated_time)
        key = (at.symbol, at.position_idx)
        proven = key not in self._held and not self._blind_to("position", at.symbol)
        before_ms = max(self._flat_before_ms, self._newest_ms.get(at.symbol, 0))
        if at.updated_time < before_ms and proven and at.size:
            return False  # late words on a position that a snapshot has proved to be gone
        known = self._positions.get(key)
        if known is not None and known.age() > entry.age():
            return False
        self._positions[key] = entry
        return known is None or known.report != at

    def _merge_wallet(self, report: WalletReport) -> bool:
        known = self.wallet
        if known is not None and known.updated_time > report.updated_time:
            return False
        self.wallet = report
        return report != known

    def _flatten(self, key: PositionKey) -> None:
        """Write down that a snapshot did not list a position: flat as of what was known before.

        Only older words lose to it; whatever the stream says of later moments wins.
        """
        known = self._positions[key].report
        flat = replace(
            known,
            side="",
            size=ZERO,
            entry_price=None,
            liq_price=None,
            position_value=ZERO,
            position_im=None,
            position_mm=None,
            take_profit=None,
            stop_loss=None,
            trailing_stop=None,
            unrealised_pnl=ZERO,
            updated_time=max(known.updated_time, self._floor_ms),
        )
        self._positions[key] = _PositionEntry(flat, absent=1)

    def _forget(self) -> None:
        """Drop the oldest closed orders and executions beyond the limits."""
        if len(self._orders) > self.orders_max + self.orders_max // 10:
            surplus = len(self._orders) - self.orders_max
            closed = [k for k, e in self._orders.items() if not e.newest.is_open][:surplus]
            for order_id in closed:
                entry = self._orders.pop(order_id)
                self._links.pop(entry.newest.order_link_id, None)
        if len(self._executions) > self.executions_max + self.executions_max // 10:
            oldest = self.executions()[: len(self._executions) - self.executions_max]
            for execution in oldest:
                del self._executions[execution.exec_id]


def _in_time(executions: Iterable[ExecutionReport]) -> list[ExecutionReport]:
    return sorted(executions, key=lambda e: (e.exec_time, e.seq, e.exec_id))


def supersedes(new: Report, old: Report) -> bool:
    """Tell whether a view loses nothing if it sees only `new` of the two, about one thing."""
    if isinstance(new, OrderReport) and isinstance(old, OrderReport):
        return new.cum_exec_qty >= old.cum_exec_qty and _order_age(new) >= _order_age(old)
    if isinstance(new, PositionReport) and isinstance(old, PositionReport):
        return _PositionEntry(new).age() >= _PositionEntry(old).age()
    if isinstance(new, WalletReport) and isinstance(old, WalletReport):
        return new.updated_time >= old.updated_time
    return False


def _order_age(report: OrderReport) -> tuple[bool, int, Decimal, int]:
    """Rank reports of one order; an ended order stays ended."""
    stage = _STAGE.get(report.order_status, _LAST_STAGE)
    return (not report.is_open, report.updated_time, report.cum_exec_qty, stage)


def _execution_worth(report: ExecutionReport) -> tuple[bool, bool, str]:
    """Rank reports of one execution: the fast topic knows no fee and, of makers, no link id."""
    return (report.exec_fee is not None, report.order_link_id != "", repr(report))
