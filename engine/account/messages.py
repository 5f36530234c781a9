"""What `decide` may be told. Frozen, tagged, JSON through msgspec: a trace of them is a recording.

`at_ms` is the engine's clock (venue time) when the message was taken from the inbox: the only time
`decide` knows. A message carries facts, never an order what to do with them.
"""

from decimal import Decimal

import msgspec

from engine.account.settings import UserSettings
from engine.account.signal import Quote, Signal, SignalEnd
from engine.venue.instrument import Instrument
from engine.venue.reports import ExecutionReport, OrderReport, PositionReport, WalletReport


class Message(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Base of all messages."""

    at_ms: int


class SignalHeard(Message, frozen=True, kw_only=True, tag=True):
    """A breakout reached this user. `contract`: the coin's rules as last read."""

    signal: Signal
    contract: Instrument
    quote: Quote | None = None  # of now; None: none is fresh


class SignalEnded(Message, frozen=True, kw_only=True, tag=True):
    """A setup is over: a resting entry of it has lost its reason."""

    end: SignalEnd


class BarClosed(Message, frozen=True, kw_only=True, tag=True):
    """A bar of a coin with an open trade or entry. `quote`: of the close, for exits."""

    symbol: str
    interval_ms: int
    ts: int  # open time
    open: float
    high: float
    low: float
    close: float
    quote: Quote | None = None


class QuoteSeen(Message, frozen=True, kw_only=True, tag=True):
    """The market of a held coin, at most once a second: funding in trade, volatility, guards."""

    symbol: str
    quote: Quote


class RegimeSeen(Message, frozen=True, kw_only=True, tag=True):
    """The whole market's regime as the market layer judges it (a fact of the market)."""

    regime: str  # NORMAL | RISK_OFF
    breadth: float | None = None
    btc_change_24h: float | None = None
    since_ms: int = 0


class ContractSeen(Message, frozen=True, kw_only=True, tag=True):
    """Rules of a coin changed (tick, lot, status, risk tiers), or were read anew."""

    contract: Instrument


class Executed(Message, frozen=True, kw_only=True, tag=True):
    """A fill, funding payment, liquidation, ADL: told once by the feed, de-duplicated again."""

    execution: ExecutionReport


class OrderSeen(Message, frozen=True, kw_only=True, tag=True):
    """An order as the venue described it last."""

    order: OrderReport


class PositionSeen(Message, frozen=True, kw_only=True, tag=True):
    """A position slot as the venue described it last."""

    position: PositionReport


class WalletSeen(Message, frozen=True, kw_only=True, tag=True):
    """The account's USDT."""

    wallet: WalletReport


class Placed(Message, frozen=True, kw_only=True, tag=True):
    """The venue has the order of this intent."""

    link_id: str
    order_id: str = ""


class NotPlaced(Message, frozen=True, kw_only=True, tag=True):
    """The venue has no order of this intent and gets none: refused, stale, proven absent."""

    link_id: str
    code: int = 0  # retCode; 0 = stale or absent
    text: str = ""


class SentUnknown(Message, frozen=True, kw_only=True, tag=True):
    """An intent was sent and nobody knows what became of it: it counts until it is settled."""

    link_id: str
    reason: str = ""


class StopAnswered(Message, frozen=True, kw_only=True, tag=True):
    """What became of a `MoveStop`."""

    trade_id: str
    symbol: str
    stop_loss: Decimal
    ok: bool
    code: int = 0
    text: str = ""


class CancelAnswered(Message, frozen=True, kw_only=True, tag=True):
    """What became of a `CancelOrder` or `ChangeOrder`; the order's own end comes as `OrderSeen`."""

    link_id: str
    ok: bool
    code: int = 0
    text: str = ""


class LeverageAnswered(Message, frozen=True, kw_only=True, tag=True):
    """What became of a `SetLeverage`."""

    symbol: str
    leverage: Decimal
    ok: bool
    code: int = 0
    text: str = ""


class VenueTrouble(Message, frozen=True, kw_only=True, tag=True):
    """A venue error that counts for the circuit breaker (timeouts, 5xx, unknown outcomes)."""

    what: str
    code: int = 0


class AccountRead(Message, frozen=True, kw_only=True, tag=True):
    """A whole reading of the account, merged with the stream: what reconciliation judges.

    `orders`: open ones, stops included. `complete`: False where rows could not be read.
    """

    positions: tuple[PositionReport, ...]
    orders: tuple[OrderReport, ...]
    wallet: WalletReport | None = None
    executions: tuple[ExecutionReport, ...] = ()  # all since the newest one the ledger knows
    margin_mode: str = ""  # ISOLATED_MARGIN | REGULAR_MARGIN | PORTFOLIO_MARGIN
    complete: bool = True


class ViewLost(Message, frozen=True, kw_only=True, tag=True):
    """The private stream fell, or the account cannot be read: no entries until `AccountRead`."""

    reason: str
    key_refused: bool = False


class SettingsChanged(Message, frozen=True, kw_only=True, tag=True):
    """New settings; they hold for entries from now on."""

    version: int
    settings: UserSettings


class Control(Message, frozen=True, kw_only=True, tag=True):
    """A person's (or the platform's) wish: pause resume kill unkill close close_all reconcile."""

    action: str
    actor: str  # "user:<id>", "admin:<id>", "platform", "telegram:<id>"
    symbol: str = ""
    trade_id: str = ""
    reason: str = ""
    generation: int = 0  # of kill/unkill: of two clicks that race, the higher one holds


class EntriesAllowed(Message, frozen=True, kw_only=True, tag=True):
    """The platform's own gate (crash loop, database gone, maintenance, lapsed plan)."""

    allowed: bool
    reason: str = ""


class Tick(Message, frozen=True, kw_only=True, tag=True):
    """Time passed: expiries, time stops, the day's end. About once a second."""


AnyMessage = (
    SignalHeard
    | SignalEnded
    | BarClosed
    | QuoteSeen
    | RegimeSeen
    | ContractSeen
    | Executed
    | OrderSeen
    | PositionSeen
    | WalletSeen
    | Placed
    | NotPlaced
    | SentUnknown
    | StopAnswered
    | CancelAnswered
    | LeverageAnswered
    | VenueTrouble
    | AccountRead
    | ViewLost
    | SettingsChanged
    | Control
    | EntriesAllowed
    | Tick
)
