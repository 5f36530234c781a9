"""What a client reads from the venue: one value a noun, the same from REST and from a stream.

Produced by the codec (`wire`), which has normalised what the venue spells in several ways: "" and
"UNKNOWN" of a kind are "", "no value" of a price is None. Words stay text: a value unknown to us
(`words`) must not stop a reader. Money and quantities are Decimal, times ms.
"""

from dataclasses import dataclass
from decimal import Decimal

ZERO = Decimal(0)


# The status of an order of which only its ids could be read: it exists, no more is known.
UNREADABLE = "Unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadRow:
    """A row of the venue's that could not be read, named by what of it could."""

    why: str
    what: str = ""  # "order", "position", "execution", "wallet"
    symbol: str = ""  # "": not even that, so it may be any
    order_id: str = ""
    order_link_id: str = ""
    exec_id: str = ""
    ts: int = 0  # of an execution; 0: not even that


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReport:
    """An order as the venue described it last."""

    order_id: str
    order_link_id: str
    symbol: str
    side: str
    order_type: str
    order_status: str
    qty: Decimal
    price: Decimal | None = None
    time_in_force: str = ""
    position_idx: int = 0
    reduce_only: bool = False
    close_on_trigger: bool = False
    cum_exec_qty: Decimal = ZERO
    cum_exec_value: Decimal = ZERO
    cum_exec_fee: Decimal = ZERO
    avg_price: Decimal | None = None
    cancel_type: str = ""
    reject_reason: str = ""
    create_type: str = ""
    stop_order_type: str = ""
    trigger_price: Decimal | None = None
    trigger_direction: int = 0
    trigger_by: str = ""
    take_profit: Decimal | None = None
    stop_loss: Decimal | None = None
    tpsl_mode: str = ""
    parent_order_link_id: str = ""
    created_time: int = 0
    updated_time: int = 0

    @property
    def is_open(self) -> bool:
        """Tell whether the order may still act; an unknown status counts as open (careful)."""
        return self.order_status not in CLOSED_STATUSES


CLOSED_STATUSES = frozenset(
    {"Rejected", "Filled", "Cancelled", "PartiallyFilledCanceled", "Deactivated"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionReport:
    """One fill, funding payment, liquidation. `exec_id` is its identity."""

    exec_id: str
    exec_type: str
    symbol: str
    side: str
    order_id: str
    order_link_id: str  # "" of a maker's fast message, of stops and liquidations
    exec_price: Decimal
    exec_qty: Decimal
    exec_value: Decimal
    exec_time: int
    exec_fee: Decimal | None = None  # None: the fast topic does not say
    fee_rate: Decimal | None = None
    exec_pnl: Decimal | None = None
    closed_size: Decimal = ZERO
    leaves_qty: Decimal | None = None
    is_maker: bool = False
    create_type: str = ""
    stop_order_type: str = ""
    order_type: str = ""
    position_idx: int | None = None  # only some wires say
    seq: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionReport:
    """A position slot; flat = side "" and size 0."""

    symbol: str
    position_idx: int
    side: str
    size: Decimal
    entry_price: Decimal | None  # avgPrice by REST, entryPrice by stream
    leverage: Decimal | None = None
    mark_price: Decimal | None = None
    liq_price: Decimal | None = None
    position_value: Decimal = ZERO
    position_im: Decimal | None = None
    position_mm: Decimal | None = None
    take_profit: Decimal | None = None
    stop_loss: Decimal | None = None
    trailing_stop: Decimal | None = None
    unrealised_pnl: Decimal = ZERO
    cur_realised_pnl: Decimal = ZERO
    cum_realised_pnl: Decimal = ZERO
    position_status: str = "Normal"
    adl_rank_indicator: int = 0
    is_reduce_only: bool = False
    auto_add_margin: int = 0
    created_time: int = 0
    updated_time: int = 0
    seq: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletReport:
    """The USDT of a unified account."""

    wallet_balance: Decimal
    equity: Decimal
    available_balance: Decimal | None = None
    unrealised_pnl: Decimal = ZERO
    total_initial_margin: Decimal | None = None
    total_maintenance_margin: Decimal | None = None
    account_im_rate: Decimal | None = None
    account_mm_rate: Decimal | None = None
    cum_realised_pnl: Decimal = ZERO
    updated_time: int = 0  # when the venue wrote it: the stream's creationTime, a reply's time


@dataclass(frozen=True, slots=True, kw_only=True)
class LogReport:
    """A row of the transaction log."""

    id: str
    type: str
    symbol: str
    side: str
    transaction_time: int
    change: Decimal
    cash_flow: Decimal
    fee: Decimal
    funding: Decimal
    cash_balance: Decimal
    order_id: str = ""
    order_link_id: str = ""
    trade_id: str = ""
    qty: Decimal = ZERO
    trade_price: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedPnlReport:
    """What one closing order earned, fees included."""

    symbol: str
    order_id: str
    side: str  # of the closing order
    closed_pnl: Decimal
    closed_size: Decimal = ZERO
    qty: Decimal = ZERO
    order_price: Decimal | None = None
    order_type: str = ""
    exec_type: str = ""
    cum_entry_value: Decimal = ZERO
    avg_entry_price: Decimal | None = None
    cum_exit_value: Decimal = ZERO
    avg_exit_price: Decimal | None = None
    fill_count: int = 0
    leverage: Decimal | None = None
    open_fee: Decimal | None = None
    close_fee: Decimal | None = None
    created_time: int = 0
    updated_time: int = 0
