"""What the machine keeps: one record a noun. Money and quantities are Decimal, times ms.

A record belongs to the machine and changes with it; what leaves it (`events`) is a copy. Field
names are the venue's own: the codec maps name to name. `None` = "no value" ("" on the wire).
"""

from dataclasses import dataclass, field, fields
from decimal import Decimal
from operator import attrgetter

from engine.venue.words import (
    CancelType,
    CreateType,
    ExecType,
    LogType,
    MarginMode,
    OrderStatus,
    OrderType,
    PositionMode,
    PositionStatus,
    RejectReason,
    Side,
    StopOrderType,
    TimeInForce,
    TpslMode,
    TriggerBy,
)

ZERO = Decimal(0)


@dataclass(slots=True)
class Order:
    """One order, plain or conditional, from its acceptance to its end."""

    order_id: str
    order_link_id: str
    symbol: str
    side: Side
    order_type: OrderType
    qty: Decimal
    price: Decimal | None  # of a market order: the internal limit it was converted to
    time_in_force: TimeInForce
    position_idx: int = 0
    reduce_only: bool = False
    close_on_trigger: bool = False
    order_status: OrderStatus = OrderStatus.NEW
    cancel_type: CancelType = CancelType.UNKNOWN
    reject_reason: RejectReason = RejectReason.NONE
    create_type: CreateType = CreateType.USER
    stop_order_type: StopOrderType = StopOrderType.NONE
    trigger_price: Decimal | None = None
    trigger_direction: int = 0  # 1 = when the price rises to it, 2 = falls
    trigger_by: TriggerBy | None = None
    take_profit: Decimal | None = None
    stop_loss: Decimal | None = None
    tp_trigger_by: TriggerBy = TriggerBy.LAST
    sl_trigger_by: TriggerBy = TriggerBy.LAST
    tpsl_mode: TpslMode | None = None
    tp_order_type: OrderType = OrderType.MARKET
    sl_order_type: OrderType = OrderType.MARKET
    tp_limit_price: Decimal | None = None
    sl_limit_price: Decimal | None = None
    parent_order_link_id: str = ""
    sibling_order_id: str = ""  # the other half of a Partial TP/SL pair
    smp_type: str = "None"
    slippage_tolerance_type: str = "UNKNOWN"
    slippage_tolerance: str = ""
    last_price_on_created: Decimal | None = None
    cum_exec_qty: Decimal = ZERO
    cum_exec_value: Decimal = ZERO
    cum_exec_fee: Decimal = ZERO
    closed_pnl: Decimal = ZERO
    created_time: int = 0
    updated_time: int = 0
    seq: int = 0
    queue_ahead: Decimal = ZERO  # quantity that trades before us at our price (the model's own)
    sequence: int = 0  # arrival rank within the machine: ties are broken by it
    tpsl_applied: bool = False  # the attached Full pair went over to the position
    child_tp_order_id: str = ""  # of an attached Partial pair: the newest children
    child_sl_order_id: str = ""

    @property
    def leaves_qty(self) -> Decimal:
        """What may still be filled; 0 once the order ended."""
        return self.qty - self.cum_exec_qty if self.order_status.is_open else ZERO

    @property
    def avg_price(self) -> Decimal | None:
        """Mean fill price; None without a fill."""
        return self.cum_exec_value / self.cum_exec_qty if self.cum_exec_qty else None

    @property
    def is_conditional(self) -> bool:
        """Tell whether it still waits for its trigger."""
        return self.order_status is OrderStatus.UNTRIGGERED

    def copy(self) -> "Order":
        """Return a copy that no longer changes."""
        return Order(*_ORDER_VALUES(self))


_ORDER_VALUES = attrgetter(*(each.name for each in fields(Order)))


@dataclass(frozen=True, slots=True)
class Execution:
    """One fill, funding payment, liquidation or delivery."""

    exec_id: str
    exec_type: ExecType
    symbol: str
    side: Side
    order_id: str
    order_link_id: str
    order_type: OrderType | None  # None = UNKNOWN (funding)
    stop_order_type: StopOrderType
    create_type: CreateType | None
    order_price: Decimal
    order_qty: Decimal
    exec_price: Decimal
    exec_qty: Decimal
    exec_value: Decimal
    exec_fee: Decimal  # + = paid
    fee_rate: Decimal
    exec_pnl: Decimal  # realised by this fill, before fees
    closed_size: Decimal
    leaves_qty: Decimal
    is_maker: bool
    mark_price: Decimal
    index_price: Decimal
    position_idx: int
    exec_time: int
    seq: int


@dataclass(slots=True)
class Position:
    """One position slot of a symbol (one-way: index 0; hedge: 1 long, 2 short)."""

    symbol: str
    position_idx: int
    side: Side | None = None  # None = flat
    size: Decimal = ZERO
    entry_price: Decimal = ZERO  # quantised, see `Exchange`'s rounding rule
    leverage: Decimal = Decimal(10)
    margin: Decimal = ZERO  # isolated: locked margin incl. closing fee and what was added
    extra_margin: Decimal = ZERO  # of it: added by hand (+), eaten by funding (-)
    take_profit: Decimal | None = None
    stop_loss: Decimal | None = None
    trailing_stop: Decimal | None = None  # distance
    active_price: Decimal | None = None
    tp_trigger_by: TriggerBy = TriggerBy.LAST
    sl_trigger_by: TriggerBy = TriggerBy.LAST
    risk_id: int = 1
    risk_limit_value: Decimal = ZERO
    auto_add_margin: int = 0
    position_status: PositionStatus = PositionStatus.NORMAL
    adl_rank_indicator: int = 0
    is_reduce_only: bool = False
    cur_realised_pnl: Decimal = ZERO
    cum_realised_pnl: Decimal = ZERO
    open_fee: Decimal = ZERO  # entry fees not yet attributed to a close
    created_time: int = 0
    updated_time: int = 0
    open_time: int = 0
    leverage_sys_updated_time: int = 0
    mmr_sys_updated_time: int = 0
    seq: int = -1  # never traded
    tp_order_id: str = ""  # the live orders that protect it (the machine's own)
    sl_order_id: str = ""
    trailing_order_id: str = ""
    partial_order_ids: tuple[str, ...] = ()
    parent_order_link_id: str = ""  # of the order whose attached pair protects it
    trail_extreme: Decimal | None = None  # best last price since activation; None = not active
    # what the machine works out whenever it shows the position
    mark_price: Decimal = ZERO
    position_value: Decimal = ZERO
    position_im: Decimal = ZERO
    position_mm: Decimal = ZERO
    liq_price: Decimal | None = None
    bust_price: Decimal | None = None
    break_even_price: Decimal | None = None
    unrealised_pnl: Decimal = ZERO

    @property
    def is_open(self) -> bool:
        """Tell whether anything is held."""
        return self.side is not None

    def copy(self) -> "Position":
        """Return a copy that no longer changes."""
        return Position(*_POSITION_VALUES(self))


_POSITION_VALUES = attrgetter(*(each.name for each in fields(Position)))


@dataclass(slots=True)
class Wallet:
    """The account's USDT. Equity = wallet_balance + unrealised profit."""

    wallet_balance: Decimal = ZERO
    equity: Decimal = ZERO
    unrealised_pnl: Decimal = ZERO
    total_position_im: Decimal = ZERO
    total_order_im: Decimal = ZERO
    total_position_mm: Decimal = ZERO
    available_balance: Decimal = ZERO
    cum_realised_pnl: Decimal = ZERO
    im_rate: Decimal = ZERO
    mm_rate: Decimal = ZERO

    def copy(self) -> "Wallet":
        """Return a copy that no longer changes."""
        return Wallet(*_WALLET_VALUES(self))


_WALLET_VALUES = attrgetter(*(each.name for each in fields(Wallet)))


@dataclass(frozen=True, slots=True)
class LogRow:
    """One row of the transaction log; `change` moves the wallet from one row's cash to the next."""

    id: str
    type: LogType
    symbol: str
    side: str  # "Buy" | "Sell" | "None"
    transaction_time: int
    qty: Decimal
    size: Decimal  # of the position after it
    trade_price: Decimal
    cash_flow: Decimal  # realised profit before fees
    fee: Decimal  # + = paid
    funding: Decimal  # + = received
    change: Decimal  # cash_flow + funding - fee
    cash_balance: Decimal  # after it
    fee_rate: Decimal
    order_id: str
    order_link_id: str
    trade_id: str


@dataclass(frozen=True, slots=True)
class ClosedPnl:
    """What one closing order earned, fees included."""

    symbol: str
    order_id: str
    side: Side  # of the closing order
    qty: Decimal
    order_price: Decimal
    order_type: OrderType
    exec_type: ExecType
    closed_size: Decimal
    cum_entry_value: Decimal
    avg_entry_price: Decimal
    cum_exit_value: Decimal
    avg_exit_price: Decimal
    closed_pnl: Decimal
    fill_count: int
    leverage: Decimal
    open_fee: Decimal
    close_fee: Decimal
    created_time: int
    updated_time: int


@dataclass(slots=True)
class Account:
    """Everything of one user at the venue."""

    uid: int
    margin_mode: MarginMode = MarginMode.ISOLATED
    wallet: Wallet = field(default_factory=Wallet)
    coin_mode: PositionMode = PositionMode.ONE_WAY  # of symbols never switched by name
    position_mode: dict[str, PositionMode] = field(default_factory=dict)  # absent = coin_mode
    orders: dict[str, Order] = field(default_factory=dict)  # all ever, by id, oldest first
    open_orders: dict[str, Order] = field(default_factory=dict)
    by_link: dict[str, str] = field(default_factory=dict)  # orderLinkId -> orderId, for ever
    positions: dict[tuple[str, int], Position] = field(default_factory=dict)
    executions: list[Execution] = field(default_factory=list)
    log: list[LogRow] = field(default_factory=list)
    closed_pnl: list[ClosedPnl] = field(default_factory=list)
    maker_fee_rate: Decimal = Decimal("0.0002")
    taker_fee_rate: Decimal = Decimal("0.00055")
    # indexes and caches of the machine
    open_by_symbol: dict[str, dict[str, Order]] = field(default_factory=dict)
    order_im: dict[str, Decimal] = field(default_factory=dict)  # symbol -> margin of its orders
    locked: dict[tuple[str, int], Decimal] = field(default_factory=dict)  # isolated margins

    def mode_of(self, symbol: str) -> PositionMode:
        """Return how a symbol's positions are kept."""
        return self.position_mode.get(symbol, self.coin_mode)

    def open_of(self, symbol: str) -> dict[str, Order]:
        """Return a symbol's open orders, by id, oldest first."""
        return self.open_by_symbol.get(symbol, _NO_ORDERS)


_NO_ORDERS: dict[str, Order] = {}
