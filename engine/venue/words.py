"""The venue's own words, spelt as it spells them. A value is compared by text, never by order."""

from enum import StrEnum


class Side(StrEnum):
    """What an order wants; of a position: "Buy" = long, "" = flat."""

    BUY = "Buy"
    SELL = "Sell"

    @property
    def other(self) -> "Side":
        """The side that closes this one."""
        return Side.SELL if self is Side.BUY else Side.BUY

    @property
    def sign(self) -> int:
        """+1 for Buy, -1 for Sell."""
        return 1 if self is Side.BUY else -1


class OrderType(StrEnum):
    """How an order names its price."""

    MARKET = "Market"
    LIMIT = "Limit"


class TimeInForce(StrEnum):
    """How long an order lives."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    POST_ONLY = "PostOnly"
    RPI = "RPI"


class OrderStatus(StrEnum):
    """Where an order stands; the first three are open."""

    NEW = "New"
    PARTIALLY_FILLED = "PartiallyFilled"
    UNTRIGGERED = "Untriggered"
    REJECTED = "Rejected"
    FILLED = "Filled"
    CANCELLED = "Cancelled"
    TRIGGERED = "Triggered"
    DEACTIVATED = "Deactivated"

    @property
    def is_open(self) -> bool:
        """Tell whether the order may still act."""
        return self in (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED, OrderStatus.UNTRIGGERED)


class StopOrderType(StrEnum):
    """What kind of stop an order is; "" for a plain order (spelt UNKNOWN on some wires)."""

    NONE = ""
    STOP = "Stop"
    TAKE_PROFIT = "TakeProfit"
    STOP_LOSS = "StopLoss"
    TRAILING_STOP = "TrailingStop"
    PARTIAL_TAKE_PROFIT = "PartialTakeProfit"
    PARTIAL_STOP_LOSS = "PartialStopLoss"


class CreateType(StrEnum):
    """Who made an order."""

    USER = "CreateByUser"
    STOP_ORDER = "CreateByStopOrder"
    TAKE_PROFIT = "CreateByTakeProfit"
    STOP_LOSS = "CreateByStopLoss"
    PARTIAL_TAKE_PROFIT = "CreateByPartialTakeProfit"
    PARTIAL_STOP_LOSS = "CreateByPartialStopLoss"
    TRAILING_STOP = "CreateByTrailingStop"
    CLOSING = "CreateByClosing"
    LIQUIDATION = "CreateByLiq"
    TAKE_OVER = "CreateByTakeOver_PassThrough"
    ADL = "CreateByAdl_PassThrough"


class CancelType(StrEnum):
    """Why an order was cancelled."""

    UNKNOWN = "UNKNOWN"
    USER = "CancelByUser"
    REDUCE_ONLY = "CancelByReduceOnly"
    PREPARE_LIQ = "CancelByPrepareLiq"
    ALL_BEFORE_LIQ = "CancelAllBeforeLiq"
    PREPARE_ADL = "CancelByPrepareAdl"
    ALL_BEFORE_ADL = "CancelAllBeforeAdl"
    ADMIN = "CancelByAdmin"
    SETTLE = "CancelBySettle"
    TPSL_CLEAR = "CancelByTpSlTsClear"
    OCO_TP = "CancelByOCOTpCanceledBySlTriggered"
    OCO_SL = "CancelByOCOSlCanceledByTpTriggered"
    SMP = "CancelBySmp"
    DELISTING = "CancelByDelisting"
    INSUFFICIENT = "CancelByCannotAffordOrderCost"


class RejectReason(StrEnum):
    """Why the matching engine refused what the door had accepted."""

    NONE = "EC_NoError"
    POST_ONLY = "EC_PostOnlyWillTakeLiquidity"
    NO_IMMEDIATE_QTY = "EC_NoImmediateQtyToFill"
    NO_FULL_FILL = "EC_CancelForNoFullFill"
    BY_TRIGGER_MARGIN = "EC_NoEnoughQtyToFill"
    ORIG_ID_MISSING = "EC_OrigClOrdIDDoesNotExist"
    OTHERS = "EC_Others"


class ExecType(StrEnum):
    """What made an execution."""

    TRADE = "Trade"
    FUNDING = "Funding"
    ADL = "AdlTrade"
    BUST = "BustTrade"
    DELIVERY = "Delivery"
    SETTLE = "Settle"


class TriggerBy(StrEnum):
    """Which price pulls a trigger."""

    LAST = "LastPrice"
    MARK = "MarkPrice"
    INDEX = "IndexPrice"


class TpslMode(StrEnum):
    """Full: one pair for the whole position. Partial: its own quantity."""

    FULL = "Full"
    PARTIAL = "Partial"


class MarginMode(StrEnum):
    """Of the whole account (UTA 2.0)."""

    ISOLATED = "ISOLATED_MARGIN"
    CROSS = "REGULAR_MARGIN"
    PORTFOLIO = "PORTFOLIO_MARGIN"


class PositionMode(StrEnum):
    """One-way: index 0. Hedge: 1 = long, 2 = short."""

    ONE_WAY = "0"
    HEDGE = "3"


class PositionStatus(StrEnum):
    """Whether the venue is taking a position over."""

    NORMAL = "Normal"
    LIQ = "Liq"
    ADL = "Adl"


class InstrumentStatus(StrEnum):
    """Life of a contract."""

    PRE_LAUNCH = "PreLaunch"
    TRADING = "Trading"
    DELIVERING = "Delivering"
    CLOSED = "Closed"


class LogType(StrEnum):
    """Rows of the transaction log."""

    TRANSFER_IN = "TRANSFER_IN"
    TRANSFER_OUT = "TRANSFER_OUT"
    TRADE = "TRADE"
    SETTLEMENT = "SETTLEMENT"
    LIQUIDATION = "LIQUIDATION"
    ADL = "ADL"
    DELIVERY = "DELIVERY"
    BONUS = "BONUS"
