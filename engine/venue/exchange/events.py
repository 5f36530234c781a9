"""What the machine says. The first event of a command is its answer, yes or no."""

from dataclasses import dataclass
from decimal import Decimal

from engine.venue.exchange.records import ClosedPnl, Execution, LogRow, Order, Position, Wallet


@dataclass(frozen=True, slots=True)
class Accepted:
    """The door took it. For an order: an acknowledgement, no more."""

    uid: int
    order_id: str = ""
    order_link_id: str = ""
    cancelled: tuple[tuple[str, str], ...] = ()  # of CancelAll: (orderId, orderLinkId)


@dataclass(frozen=True, slots=True)
class Refused:
    """The door turned it away: the venue's code and words; nothing changed."""

    uid: int
    code: int
    message: str
    reasons: tuple[tuple[str, str], ...] = ()  # of SetMarginMode: (reasonCode, reasonMsg)


@dataclass(frozen=True, slots=True)
class OrderChanged:
    """An order is new, or another than before."""

    uid: int
    order: Order


@dataclass(frozen=True, slots=True)
class Executed:
    """A fill, funding payment, liquidation."""

    uid: int
    execution: Execution


@dataclass(frozen=True, slots=True)
class PositionChanged:
    """Pushed after every order action too, even when nothing changed (as the venue does)."""

    uid: int
    position: Position


@dataclass(frozen=True, slots=True)
class WalletChanged:
    """The balance moved."""

    uid: int
    wallet: Wallet


@dataclass(frozen=True, slots=True)
class Logged:
    """A row of the transaction log was written."""

    uid: int
    row: LogRow


@dataclass(frozen=True, slots=True)
class PnlClosed:
    """A closing order ended; its result stands."""

    uid: int
    closed: ClosedPnl


@dataclass(frozen=True, slots=True)
class Liquidated:
    """Public: a position was taken over (topic allLiquidation)."""

    symbol: str
    side: str  # of the position: Buy = a long was liquidated
    qty: Decimal
    price: Decimal  # bankruptcy price
    time: int


Event = (
    Accepted
    | Refused
    | OrderChanged
    | Executed
    | PositionChanged
    | WalletChanged
    | Logged
    | PnlClosed
    | Liquidated
)
