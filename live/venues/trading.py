"""What a user's engine needs of a venue to trade: a port, its requests and its typed outcomes.

An answer to an order is never its fate: `Accepted` means the venue took it in, `Refused` that it
certainly did not, `Unknown` that only the venue's own word (a lookup, a stream) may tell.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum
from typing import Protocol

from engine.venue.reports import (
    ExecutionReport,
    OrderReport,
    PositionReport,
    WalletReport,
)
from live.venues.port import Outcome

# ---------------------------------------------------------------------------- outcomes


@dataclass(frozen=True, slots=True)
class Accepted:
    """The venue took the request in; the stream, or a lookup, says what became of it."""

    order_id: str = ""
    order_link_id: str = ""
    already: bool = False  # the venue said "not modified", "duplicate", "already cancelled"
    order: OrderReport | None = None  # what a lookup found, where the answer asked for one


@dataclass(frozen=True, slots=True)
class Refused:
    """Certainly not taken. `code` is the venue's retCode; `action` what the table says to do."""

    code: int
    message: str
    action: str = ""
    retry_after_s: float | None = None  # set where the same request, same id, may be sent again
    order: OrderReport | None = None  # what a lookup found, where the answer asked for one
    # Set (venue clock) where a server under load may have taken it in all the same: the same id may
    # be sent again, but that the order is not there has to be proven like that of an Unknown.
    doubtful_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """Perhaps taken. Never send again before a lookup by `order_link_id` has settled it."""

    order_link_id: str
    reason: str
    sent_ms: int  # venue clock


PlaceOutcome = Accepted | Refused | Unknown


@dataclass(frozen=True, slots=True)
class Found:
    """The venue knows the order. Status `UNREADABLE`: it exists, and its row tells no more."""

    order: OrderReport


@dataclass(frozen=True, slots=True)
class Absent:
    """Two looks, old and far enough apart, found it neither open nor closed: not there."""

    looked_ms: int


@dataclass(frozen=True, slots=True)
class Undecided:
    """Not found yet, but too early, or not every list could be read."""

    reason: str


LookupOutcome = Found | Absent | Undecided


class Priority(IntEnum):
    """Who goes first when requests are short; lower goes first."""

    PROTECT = 0  # stops and closes
    RECONCILE = 1  # of users with positions
    ENTRY = 2
    POLL = 3


# ---------------------------------------------------------------------------- requests


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOrder:
    """An order to place. `order_link_id` is derived and stored before it is sent."""

    order_link_id: str
    symbol: str
    side: str
    order_type: str
    qty: Decimal
    price: Decimal | None = None
    time_in_force: str = "GTC"
    position_idx: int = 0
    reduce_only: bool = False
    close_on_trigger: bool = False
    trigger_price: Decimal | None = None
    trigger_direction: int = 0
    trigger_by: str = ""
    take_profit: Decimal | None = None
    stop_loss: Decimal | None = None
    tpsl_mode: str = ""
    sl_trigger_by: str = ""
    tp_trigger_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderChange:
    """New values of a working order; None = leave."""

    symbol: str
    order_id: str = ""
    order_link_id: str = ""
    qty: Decimal | None = None
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    take_profit: Decimal | None = None
    stop_loss: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingStop:
    """Stops of a position; None = leave, 0 = cancel."""

    symbol: str
    position_idx: int = 0
    tpsl_mode: str = "Full"
    take_profit: Decimal | None = None
    stop_loss: Decimal | None = None
    trailing_stop: Decimal | None = None
    active_price: Decimal | None = None
    sl_trigger_by: str = ""
    tp_trigger_by: str = ""
    tp_size: Decimal | None = None
    sl_size: Decimal | None = None


# ---------------------------------------------------------------------------- private stream


@dataclass(frozen=True, slots=True)
class StreamUp:
    """Authenticated and subscribed; anything before may be missing: take a snapshot now."""

    connection: int


@dataclass(frozen=True, slots=True)
class StreamDown:
    """Nothing arrives until `StreamUp`. `fatal`: the key itself was refused."""

    connection: int
    reason: str
    fatal: bool = False


PrivateItem = OrderReport | ExecutionReport | PositionReport | WalletReport | StreamUp | StreamDown


class PrivateStream(Protocol):
    """A user's own events, in the order of arrival (topics are not ordered among each other)."""

    async def start(self) -> None:
        """Begin to connect; returns at once."""
        ...

    async def batch(self) -> list[PrivateItem]:
        """Return everything that has arrived, waiting for at least one item."""
        ...

    async def close(self) -> None:
        """End the connection."""
        ...


class TradingVenue(Protocol):
    """One user's account at a venue. No method raises for what a venue may answer.

    A call that is cancelled before it returned is an `Unknown` sent at that moment, whoever
    cancelled it (a deadline, a shutdown): the request may have left, and may still leave.
    """

    def venue_ms(self) -> int:
        """Return the venue's clock, ms: what `sent_ms` is told by. This machine's may be wrong."""
        ...

    async def place(self, order: NewOrder, *, priority: Priority) -> PlaceOutcome:
        """Send an order once."""
        ...

    async def amend(self, change: OrderChange, *, priority: Priority) -> PlaceOutcome:
        """Change a working order."""
        ...

    async def cancel(
        self, symbol: str, *, order_id: str = "", order_link_id: str = "", priority: Priority
    ) -> PlaceOutcome:
        """Cancel one order; accepted is not yet cancelled."""
        ...

    async def cancel_entries(self, symbol: str, *, priority: Priority) -> PlaceOutcome:
        """Cancel every plain order of a symbol and never a stop."""
        ...

    async def set_trading_stop(self, stop: TradingStop, *, priority: Priority) -> PlaceOutcome:
        """Set, move or remove a position's stops; "not modified" is `Accepted(already=True)`."""
        ...

    async def set_leverage(self, symbol: str, leverage: Decimal) -> PlaceOutcome:
        """Set the leverage of both sides; "already so" is `Accepted(already=True)`."""
        ...

    async def look_up(
        self, symbol: str, order_link_id: str, *, sent_ms: int, order_id: str = ""
    ) -> LookupOutcome:
        """Look once for an order: open, recently closed, then history.

        By `order_id` where one is given (stops of a position have no link id). Asked again, a
        second look that finds nothing, late enough after `sent_ms` (venue clock), is `Absent`.
        """
        ...

    async def orders(
        self, *, symbol: str = "", priority: Priority = Priority.RECONCILE
    ) -> Outcome[list[OrderReport]]:
        """Return every open order (stops included), all pages."""
        ...

    async def positions(
        self, *, priority: Priority = Priority.RECONCILE
    ) -> Outcome[list[PositionReport]]:
        """Return every open position, all pages."""
        ...

    async def executions(
        self,
        *,
        start_ms: int,
        end_ms: int | None = None,
        priority: Priority = Priority.RECONCILE,
    ) -> Outcome[list[ExecutionReport]]:
        """Return executions of any span, oldest first, overlapping windows de-duplicated."""
        ...

    async def wallet(self, *, priority: Priority = Priority.RECONCILE) -> Outcome[WalletReport]:
        """Return the account's USDT."""
        ...

    async def close(self) -> None:
        """Release threads and sockets."""
        ...


def is_flat(positions: Sequence[PositionReport]) -> bool:
    """Tell whether no position of a reading holds anything."""
    return all(p.size == 0 for p in positions)
