"""What the controls read: the account as one immutable value, and the entry that is asked for."""

from decimal import Decimal

import msgspec

from engine.risk.breaker import Breaker
from engine.risk.day import Day
from engine.venue.instrument import Instrument

ZERO = Decimal(0)
FOREIGN = "foreign"


class Exposure(msgspec.Struct, frozen=True, kw_only=True):
    """Something that holds risk or margin: an entry counts from its intent, not from its fill.

    A partly filled entry is one exposure of its filled and its waiting part together.
    """

    symbol: str
    group: str
    kind: str  # position | resting | in_flight (unknown ones too) | foreign (not ours)
    risk_usdt: Decimal  # to the stop that stands, fees and sweep included; locked profit: 0
    notional_usdt: Decimal
    margin_usdt: Decimal  # what the venue locks for it
    trade_id: str = ""


class RiskBook(msgspec.Struct, frozen=True, kw_only=True):
    """One user's account as the controls see it. USDT."""

    equity_usdt: Decimal  # wallet plus unrealised
    available_usdt: Decimal  # what new orders may lock, as the venue said it last
    unrealised_usdt: Decimal = ZERO
    exposures: tuple[Exposure, ...] = ()
    day: Day | None = None  # None: not open, so nothing is entered
    breaker: Breaker = Breaker()
    regime: str = "NORMAL"  # NORMAL | RISK_OFF; anything else is unknown
    order_times_ms: tuple[int, ...] = ()  # of the orders sent in the last minute
    blocked: str = ""  # why entries are off (paused, killed, differences, gate); "": they are on

    # What intents not yet seen in `available_usdt` will lock; the book's builder knows which.
    pending_margin_usdt: Decimal = ZERO


class EntryRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A long that is asked for. What is not known is None, and mostly refused.

    `entry` and `stop` need not lie on the tick: the judge rounds the entry down and the stop up.
    """

    symbol: str
    group: str
    contract: Instrument
    entry: Decimal  # the limit; of a market entry what it is expected to pay
    stop: Decimal
    taker_fee: Decimal  # share of notional; counted twice, a limit may cross too
    leverage: Decimal | None  # in force at the venue; what SetLeverage sets where it is sent first
    market: bool = False  # a market order: the venue's smaller maximum quantity holds
    bid: Decimal | None = None
    ask: Decimal | None = None
    mark: Decimal | None = None
    spread_bps: Decimal | None = None
    sweep_bps: Decimal | None = None  # one way
    quote_ms: int = 0  # venue time of the quote; 0: none
    quote_stale: bool = False  # the book's sequence broke
    funding_rate: Decimal | None = None  # None counts as 1 bp, never as 0
    next_funding_ms: int = 0
    atr: Decimal | None = None
    batr: Decimal | None = None
    signal_ms: int = 0  # close of the deciding bar; 0: not asked
    interval_ms: int = 0
    reduce_only: bool = False  # the venue marked the position slot (isReduceOnly)
