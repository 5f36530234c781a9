"""What may be asked of the machine: a user's requests, the market's facts, the venue's own acts.

Every command is a frozen value; `Exchange.step(command, now_ms)` answers with events. Requests of a
user carry its `uid`; texts have been turned into words and Decimals by the door (`wire`), so a
command is well-typed but may still be refused for what it means.
"""

from dataclasses import dataclass
from decimal import Decimal

from engine.venue.instrument import Instrument
from engine.venue.words import (
    MarginMode,
    OrderType,
    PositionMode,
    Side,
    TimeInForce,
    TpslMode,
    TriggerBy,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateOrder:
    """``POST /v5/order/create`` and its stream twin."""

    uid: int
    symbol: str
    side: Side
    order_type: OrderType
    qty: Decimal  # 0 with reduce_only and close_on_trigger = close what there is
    price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    position_idx: int = 0
    order_link_id: str = ""
    reduce_only: bool = False
    close_on_trigger: bool = False
    trigger_price: Decimal | None = None
    trigger_direction: int = 0
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
    slippage_tolerance_type: str = ""  # "" | TickSize | Percent
    slippage_tolerance: Decimal | None = None
    smp_type: str = "None"


@dataclass(frozen=True, slots=True, kw_only=True)
class AmendOrder:
    """``POST /v5/order/amend``; None = leave as it is, 0 of a TP/SL = cancel it."""

    uid: int
    symbol: str
    order_id: str = ""
    order_link_id: str = ""
    qty: Decimal | None = None
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    trigger_by: TriggerBy | None = None
    take_profit: Decimal | None = None
    stop_loss: Decimal | None = None
    tp_trigger_by: TriggerBy | None = None
    sl_trigger_by: TriggerBy | None = None
    tp_limit_price: Decimal | None = None
    sl_limit_price: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelOrder:
    """``POST /v5/order/cancel``; the id wins over the link id."""

    uid: int
    symbol: str
    order_id: str = ""
    order_link_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelAll:
    """``POST /v5/order/cancel-all``; without a filter it strips the stops too."""

    uid: int
    symbol: str = ""
    base_coin: str = ""
    settle_coin: str = ""
    order_filter: str = ""  # "" | Order | StopOrder | OpenOrder
    stop_order_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetTradingStop:
    """``POST /v5/position/trading-stop``; None = leave, 0 = cancel."""

    uid: int
    symbol: str
    tpsl_mode: TpslMode
    position_idx: int = 0
    take_profit: Decimal | None = None
    stop_loss: Decimal | None = None
    trailing_stop: Decimal | None = None
    active_price: Decimal | None = None
    tp_trigger_by: TriggerBy | None = None
    sl_trigger_by: TriggerBy | None = None
    tp_size: Decimal | None = None
    sl_size: Decimal | None = None
    tp_order_type: OrderType = OrderType.MARKET
    sl_order_type: OrderType = OrderType.MARKET
    tp_limit_price: Decimal | None = None
    sl_limit_price: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetLeverage:
    """``POST /v5/position/set-leverage``."""

    uid: int
    symbol: str
    buy_leverage: Decimal
    sell_leverage: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchMode:
    """``POST /v5/position/switch-mode``, by symbol or for a whole coin."""

    uid: int
    mode: PositionMode
    symbol: str = ""
    coin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetMarginMode:
    """``POST /v5/account/set-margin-mode``."""

    uid: int
    mode: MarginMode


@dataclass(frozen=True, slots=True, kw_only=True)
class AddMargin:
    """``POST /v5/position/add-margin``; negative takes out. Isolated only."""

    uid: int
    symbol: str
    margin: Decimal
    position_idx: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAutoAddMargin:
    """``POST /v5/position/set-auto-add-margin``. Isolated only."""

    uid: int
    symbol: str
    on: bool
    position_idx: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmPendingMmr:
    """``POST /v5/position/confirm-pending-mmr``: lifts isReduceOnly after a risk-limit cut."""

    uid: int
    symbol: str


# ---------------------------------------------------------------------------- the market's facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Where a symbol trades now. The book is the book model's, around `last`."""

    symbol: str
    last: Decimal
    mark: Decimal
    index: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Prints:
    """Volume that traded since the last price, at it: what resting orders may be filled from."""

    symbol: str
    price: Decimal
    qty: Decimal
    taker_side: Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Funding:
    """A symbol's funding instant: everyone who holds it pays, or receives, now."""

    symbol: str
    rate: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """Time passes and nothing else."""


# ---------------------------------------------------------------------------- the venue's own acts


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAccount:
    """A new user with money."""

    uid: int
    equity: Decimal
    maker_fee_rate: Decimal = Decimal("0.0002")
    taker_fee_rate: Decimal = Decimal("0.00055")
    margin_mode: MarginMode = MarginMode.ISOLATED


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """Money in (+) or out (-)."""

    uid: int
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ListInstrument:
    """A contract appears, or its rules change (tick, lot, tiers, funding interval, status)."""

    instrument: Instrument


@dataclass(frozen=True, slots=True, kw_only=True)
class SetReduceOnly:
    """The venue cut a risk limit: this position may only shrink until confirmed."""

    uid: int
    symbol: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleverage:
    """The venue closes part of a winner's position (ADL), at the bankrupt side's price."""

    uid: int
    symbol: str
    qty: Decimal
    price: Decimal
    position_idx: int = 0


UserCommand = (
    CreateOrder
    | AmendOrder
    | CancelOrder
    | CancelAll
    | SetTradingStop
    | SetLeverage
    | SwitchMode
    | SetMarginMode
    | AddMargin
    | SetAutoAddMargin
    | ConfirmPendingMmr
)
MarketFact = Price | Prints | Funding | Clock
VenueAct = OpenAccount | Transfer | ListInstrument | SetReduceOnly | Deleverage
Command = UserCommand | MarketFact | VenueAct
