"""Every reason for which an entry is refused, and the words a user reads."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Reason(StrEnum):
    """A refusal's code; stored, so a code is never renamed."""

    BAD_NUMBERS = "bad_numbers"
    BAD_BOOK = "bad_book"
    BLOCKED = "blocked"
    SYMBOL_DENIED = "symbol_denied"
    SYMBOL_NOT_ALLOWED = "symbol_not_allowed"
    NOT_TRADING = "not_trading"
    DELISTING = "delisting"
    REDUCE_ONLY = "reduce_only"
    SIGNAL_OLD = "signal_old"
    NO_QUOTE = "no_quote"
    STALE_BOOK = "stale_book"
    PRICE_INSANE = "price_insane"
    NO_ROOM_FOR_STOP = "no_room_for_stop"
    THROUGH_STOP = "through_stop"
    RISK_OFF = "risk_off"
    REGIME_UNKNOWN = "regime_unknown"
    BREAKER_HALTED = "breaker_halted"
    VOLATILITY = "volatility"
    DAY_UNKNOWN = "day_unknown"
    DAILY_LOSS = "daily_loss"
    EQUITY_FLOOR = "equity_floor"
    ORDER_RATE = "order_rate"
    TRADES_MAX = "trades_max"
    SYMBOL_BUSY = "symbol_busy"
    SPREAD = "spread"
    COST_R = "cost_r"
    FUNDING_RATE = "funding_rate"
    FUNDING_COST = "funding_cost"
    LEVERAGE_UNKNOWN = "leverage_unknown"
    LEVERAGE_LIMIT = "leverage_limit"
    LEVERAGE_CONTRACT = "leverage_contract"
    LIQUIDATION = "liquidation"
    TOO_SMALL = "too_small"
    TOTAL_RISK = "total_risk"
    SYMBOL_RISK = "symbol_risk"
    GROUP_RISK = "group_risk"
    MARGIN_USE = "margin_use"
    AVAILABLE = "available"
    NOTIONAL = "notional"
    RISK_TIER = "risk_tier"
    MAX_QTY = "max_qty"


# {symbol}, {value}, {limit} are filled in; value and limit carry their units.
WORDS: Mapping[Reason, str] = MappingProxyType(
    {
        Reason.BAD_NUMBERS: "{symbol}: the request holds a number that cannot be right ({value}).",
        Reason.BAD_BOOK: "{symbol}: a figure of your account cannot be right ({value}); no entry "
        "until it is read anew.",
        Reason.BLOCKED: "{symbol}: entries are off: {value}.",
        Reason.SYMBOL_DENIED: "{symbol} is on your list of coins not to trade.",
        Reason.SYMBOL_NOT_ALLOWED: "{symbol} is not among the {limit} you allow.",
        Reason.NOT_TRADING: "{symbol} is not open for trading at the venue (status {value}).",
        Reason.DELISTING: "{symbol} will be delisted (in {value}); nothing new is opened in it.",
        Reason.REDUCE_ONLY: "{symbol}: the venue lets positions of this coin only be reduced.",
        Reason.SIGNAL_OLD: "{symbol}: the signal is {value} old, the limit is {limit}.",
        Reason.NO_QUOTE: "{symbol}: there is no quote of now ({value} is missing).",
        Reason.STALE_BOOK: "{symbol}: the quote is stale ({value}; it may be {limit} old).",
        Reason.PRICE_INSANE: "{symbol}: prices do not fit together ({value}, at most {limit}).",
        Reason.NO_ROOM_FOR_STOP: "{symbol}: the stop {value} does not lie below the entry {limit}.",
        Reason.THROUGH_STOP: "{symbol}: the price {value} is already through the stop {limit}.",
        Reason.RISK_OFF: "{symbol}: the whole market is RISK_OFF; no entries until it calms down.",
        Reason.REGIME_UNKNOWN: "{symbol}: the market's regime is not known ({value}).",
        Reason.BREAKER_HALTED: "{symbol}: the circuit breaker has halted entries ({value}), "
        "{limit}.",
        Reason.VOLATILITY: "{symbol} moves {value} its base's range, the limit is {limit}.",
        Reason.DAY_UNKNOWN: "{symbol}: the books of today are not open ({value}).",
        Reason.DAILY_LOSS: "{symbol}: today's loss of {value} has reached your limit of {limit}; "
        "no entries until your day ends.",
        Reason.EQUITY_FLOOR: "{symbol}: equity of {value} is below the floor of {limit}.",
        Reason.ORDER_RATE: "{symbol}: {value} orders in the last minute, the ceiling is {limit}.",
        Reason.TRADES_MAX: "{symbol}: {value} trades are open or waiting, the most is {limit}.",
        Reason.SYMBOL_BUSY: "{symbol} already has {value}; one at a time.",
        Reason.SPREAD: "{symbol}: the spread is {value}, the limit is {limit}.",
        Reason.COST_R: "{symbol}: fees and slippage would eat {value} of the risk, the limit is "
        "{limit}.",
        Reason.FUNDING_RATE: "{symbol}: the next funding rate is {value}, the limit is {limit}.",
        Reason.FUNDING_COST: "{symbol}: the next funding payment would cost {value}, the limit is "
        "{limit}.",
        Reason.LEVERAGE_UNKNOWN: "{symbol}: the leverage in force at the venue is not known.",
        Reason.LEVERAGE_LIMIT: "{symbol}: leverage is {value}, your limit is {limit}.",
        Reason.LEVERAGE_CONTRACT: "{symbol}: leverage is {value}, the venue allows {limit}.",
        Reason.LIQUIDATION: "{symbol}: at this leverage the position would be liquidated at "
        "{value}; it must be {limit} or lower, to lie beyond the stop.",
        Reason.TOO_SMALL: "{symbol}: the size your risk allows ({value}) is below the venue's "
        "minimum of {limit}.",
        Reason.TOTAL_RISK: "{symbol}: open risk is {value}, your limit is {limit}: no room for "
        "another trade.",
        Reason.SYMBOL_RISK: "{symbol}: risk in this coin is {value}, your limit is {limit}: no "
        "room for a trade.",
        Reason.GROUP_RISK: "{symbol}: risk in its group is {value}, your limit is {limit}: no "
        "room for another trade.",
        Reason.MARGIN_USE: "{symbol}: margin in use is {value}, your limit is {limit}: no room "
        "for another trade.",
        Reason.AVAILABLE: "{symbol}: the free balance of {value} does not carry the smallest "
        "order ({limit}).",
        Reason.NOTIONAL: "{symbol}: leverage of at most {limit} leaves {value}, less than the "
        "venue's minimum.",
        Reason.RISK_TIER: "{symbol}: the venue's risk limit leaves {value}, less than its minimum "
        "of {limit}.",
        Reason.MAX_QTY: "{symbol}: the venue takes at most {value} an order, less than its "
        "minimum of {limit}.",
    }
)
