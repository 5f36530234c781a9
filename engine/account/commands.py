"""What `decide` wants done, and what it wants written down. Acting is `live`'s work.

The executor commits `Decision.records` with the new state in one transaction, and only then carries
out `Decision.commands`, in their order. A command is idempotent by what it names.
"""

from decimal import Decimal
from typing import Any

import msgspec


class Command(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Base of all commands."""


class PlaceOrder(Command, frozen=True, kw_only=True, tag=True):
    """Send an order exactly once under `link_id`; it stands in the store before it is sent."""

    link_id: str  # derived of (user, signal, leg, attempt): at most 36 of [A-Za-z0-9_-]
    trade_id: str
    leg: str  # entry | tp1 | close
    symbol: str
    side: str  # Buy | Sell
    order_type: str  # Limit | Market
    qty: Decimal
    price: Decimal | None = None
    time_in_force: str = "GTC"
    position_idx: int = 0
    reduce_only: bool = False
    stop_loss: Decimal | None = None  # attached, tpslMode Full
    expires_ms: int = 0  # not sent (again) after it; an order that works is cancelled by decide
    leverage: Decimal | None = None  # of an entry: sent at this one or not at all


class CancelOrder(Command, frozen=True, kw_only=True, tag=True):
    """Cancel one of our orders."""

    link_id: str
    trade_id: str
    symbol: str
    reason: str


class ChangeOrder(Command, frozen=True, kw_only=True, tag=True):
    """Give one of our orders another quantity or price."""

    link_id: str
    trade_id: str
    symbol: str
    qty: Decimal | None = None
    price: Decimal | None = None


class MoveStop(Command, frozen=True, kw_only=True, tag=True):
    """Set the position's stop (tpslMode Full). Only ever tighter, unless it is missing."""

    trade_id: str
    symbol: str
    stop_loss: Decimal
    reason: str  # breakeven | trail | protect | restore
    position_idx: int = 0


class SetLeverage(Command, frozen=True, kw_only=True, tag=True):
    """Set the symbol's leverage before an entry is sent."""

    symbol: str
    leverage: Decimal


class ReadAccount(Command, frozen=True, kw_only=True, tag=True):
    """Read the account anew: something does not fit."""

    reason: str


AnyCommand = PlaceOrder | CancelOrder | ChangeOrder | MoveStop | SetLeverage | ReadAccount


# ---------------------------------------------------------------------------- records


class Record(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Base of all records: rows of the user's books, written in the decision's transaction."""


class VerdictRecord(Record, frozen=True, kw_only=True, tag=True):
    """What became of a signal at this user, in words."""

    signal_id: str
    symbol: str
    approved: bool
    reason: str  # a code; "approved"
    words: str
    value: str = ""
    limit: str = ""
    trade_id: str = ""
    checks: tuple[tuple[str, str, str], ...] = ()  # (control, value, limit) of every one asked


class AlertRecord(Record, frozen=True, kw_only=True, tag=True):
    """Something a person should hear; goes to the outbox, told once by `event_id`."""

    event_id: str
    # armed entry tp1 breakeven trail stop close funding refused halt breaker error kill adopted
    kind: str
    severity: str  # info | warning | critical
    words: str
    symbol: str = ""
    trade_id: str = ""
    facts: dict[str, str] = {}


class AuditRecord(Record, frozen=True, kw_only=True, tag=True):
    """A change of state worth a line in the chain: who, why, what."""

    cause: str
    actor: str
    detail: dict[str, Any] = {}


class ExecutionRecord(Record, frozen=True, kw_only=True, tag=True):
    """An execution as booked. `trade_id` "" : not ours (a person's, another bot's)."""

    exec_id: str
    exec_type: str
    symbol: str
    side: str
    order_id: str
    link_id: str
    trade_id: str
    leg: str  # entry tp1 stop close liquidation adl funding foreign
    qty: Decimal
    price: Decimal
    value: Decimal
    fee: Decimal
    pnl: Decimal
    exec_time: int
    is_maker: bool = False


class TradeRecord(Record, frozen=True, kw_only=True, tag=True):
    """A trade as it stands now (upsert by `trade_id`)."""

    trade_id: str
    signal_id: str
    symbol: str
    status: str  # pending resting open closing closed expired refused
    qty: Decimal
    entry_price: Decimal | None
    stop_loss: Decimal | None
    realised_usdt: Decimal  # results of exits, fees and funding included
    fees_usdt: Decimal
    funding_usdt: Decimal  # + received
    risk_usdt: Decimal  # planned at entry
    r: Decimal | None = None
    opened_ms: int = 0
    closed_ms: int = 0
    exit_kind: str = ""
    detail: dict[str, Any] = {}


class DayRecord(Record, frozen=True, kw_only=True, tag=True):
    """The day's risk books (upsert by `day`)."""

    day: str  # ISO date in the user's time zone
    resets_ms: int  # UTC instant at which the day ends
    start_equity_usdt: Decimal
    realised_usdt: Decimal
    fees_usdt: Decimal
    funding_usdt: Decimal
    halted: bool
    reason: str = ""


AnyRecord = VerdictRecord | AlertRecord | AuditRecord | ExecutionRecord | TradeRecord | DayRecord
