"""What one user's brain remembers: an immutable value, written down whole with every decision.

Copies are cheap (`msgspec.structs.replace`), bytes are canonical: the same state gives the same
bytes in every process, so that a recording can be replayed and compared.
"""

from decimal import Decimal
from hashlib import blake2b

import msgspec

from engine.risk.breaker import Breaker
from engine.risk.day import Day
from engine.venue.instrument import Instrument
from engine.venue.reports import WalletReport

STATE_SCHEMA = 1
ZERO = Decimal(0)

LIVE = frozenset({"pending", "resting", "open", "closing"})
# What a trade may become. `expired` and `refused` come back to life by a proven late fill alone.
TRADE_MOVES: dict[str, frozenset[str]] = {
    "pending": frozenset({"resting", "open", "closing", "closed", "expired", "refused"}),
    "resting": frozenset({"open", "closing", "closed", "expired", "refused"}),
    "open": frozenset({"closing", "closed"}),
    "closing": frozenset({"closed", "expired", "refused"}),
    "closed": frozenset({"closing"}),  # a late fill of an entry whose trade is over
    "expired": frozenset({"open"}),
    "refused": frozenset({"open"}),
}


class OwnOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One of our orders, from the wish to the venue's last word."""

    link_id: str
    leg: str  # entry | tp1 | close
    attempt: int
    side: str
    order_type: str
    qty: Decimal  # as the venue has it
    price: Decimal | None = None
    state: str = "new"  # new unknown working done absent refused; see `orders.MOVES`
    order_id: str = ""
    cum_qty: Decimal = ZERO  # filled, as the venue says; never falls
    booked_qty: Decimal = ZERO  # filled, as the ledger has it
    made_ms: int = 0
    expires_ms: int = 0
    cancel: str = ""  # why its cancellation is wanted; "": it is not
    cancel_ms: int = 0  # asked last
    cancel_done: bool = False  # the venue answered yes
    change_ms: int = 0  # an amendment under way since; 0: none
    change_qty: Decimal = ZERO  # what it asks for
    change_price: Decimal | None = None
    changes_failed: int = 0
    by_hand: bool = False  # a person changed it: kept as it is
    ended_by: str = ""  # the venue's cancelType
    code: int = 0  # of a refusal
    text: str = ""

    @property
    def is_over(self) -> bool:
        """Tell whether the order can do nothing any more, and everything it did is booked."""
        if self.state in ("absent", "refused"):
            return True
        return self.state == "done" and self.booked_qty >= self.cum_qty


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a trade was entered with: the numbers and rules that hold for its whole life."""

    entry: Decimal  # the limit, or what the market was expected to give
    stop: Decimal
    qty: Decimal
    level: Decimal
    batr: Decimal
    sweep: Decimal  # share of price that an exit at the market was expected to pay
    taker_fee: Decimal
    risk_usdt: Decimal
    r_usdt: Decimal
    margin_usdt: Decimal
    leverage: Decimal
    expires_ms: int
    market: bool = False
    tp1_r: Decimal = Decimal(1)
    tp1_share: Decimal = Decimal("0.5")
    trail_batr: Decimal = Decimal(3)
    time_stop_bars: int = 480
    exit_on_failed: bool = False


class Trade(msgspec.Struct, frozen=True, kw_only=True):
    """One signal's life at this user: plan, orders, holdings, money."""

    trade_id: str
    signal_id: str
    symbol: str
    profile: str
    interval_ms: int
    signal_ms: int  # close of the deciding bar
    contract: Instrument
    plan: Plan
    group: str = "alts"
    status: str = "pending"
    position_idx: int = 0
    orders: tuple[OwnOrder, ...] = ()
    qty: Decimal = ZERO  # held now
    bought: Decimal = ZERO
    sold: Decimal = ZERO
    bought_value: Decimal = ZERO  # sum of price x qty, exact
    entry_price: Decimal | None = None
    stop_loss: Decimal | None = None  # where the stop belongs, as decided last
    stop_set: Decimal | None = None  # where the venue has it, as far as it has said
    stop_kind: str = "stop"  # stop | breakeven | trail
    stop_ms: int = 0  # the last move was asked then
    stop_tries: int = 0
    stopped_ms: int = 0  # the stop was hit; what is held still must go
    highest: Decimal = ZERO
    bar_ts: int = 0  # the newest bar seen
    mark: Decimal | None = None
    tp1_ms: int = 0  # TP1 reached, in whole; 0: not yet
    tp1_filled: Decimal = ZERO
    exit_wish: str = ""  # why it must be closed at the market; "": it need not
    exit_ms: int = 0  # the last attempt
    opened_ms: int = 0
    closed_ms: int = 0
    exit_kind: str = ""
    pnl_usdt: Decimal = ZERO  # of exits, before fees and funding
    fees_usdt: Decimal = ZERO  # + paid
    funding_usdt: Decimal = ZERO  # + received
    slippage_r: Decimal = ZERO  # worst execution against its plan, in R
    funding_told_ms: int = 0  # the payment that was last told to be dear
    odd_ms: int = 0  # holdings here and at the venue differ since
    venue_size: Decimal | None = None  # as reported last, long positive
    differs_ms: int = 0  # whole readings show another size than the ledger since; 0: they agree
    differs_size: Decimal | None = None  # the size they show

    @property
    def is_live(self) -> bool:
        """Tell whether the trade may still act or be acted upon."""
        return self.status in LIVE

    @property
    def net_usdt(self) -> Decimal:
        """What the trade has earned so far, fees and funding included."""
        return self.pnl_usdt - self.fees_usdt + self.funding_usdt

    def order(self, link_id: str) -> OwnOrder | None:
        """Return the order of a link id."""
        return next((order for order in self.orders if order.link_id == link_id), None)

    def of_leg(self, leg: str) -> OwnOrder | None:
        """Return the newest order of a leg."""
        return next((order for order in reversed(self.orders) if order.leg == leg), None)


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """A position as the ledger has it, ours or not: what realised results are worked out from."""

    size: Decimal  # long positive
    entry_price: Decimal
    mark: Decimal | None = None  # as the venue showed it last


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """A signal that has had its verdict."""

    signal_id: str
    t: int
    trade_id: str = ""


class AccountState(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that decides for one user."""

    user_id: str
    schema: int = STATE_SCHEMA
    settings_version: int = 0
    at_ms: int = 0  # the newest message's time; never falls
    trades: dict[str, Trade] = {}  # live ones, by trade_id
    ended: dict[str, Trade] = {}  # the last few that are over, for fills that come late
    slots: dict[str, Slot] = {}  # by "symbol" or "symbol/position_idx"
    heard: tuple[Heard, ...] = ()  # oldest first
    heard_floor_ms: int = 0  # a signal this old may have been forgotten: it is not heard again
    seen: tuple[str, ...] = ()  # digests of the newest executions' ids, in order of booking
    seen_ms: tuple[int, ...] = ()  # their exec_time
    seen_floor_ms: int = 0  # the newest exec_time of those that are not remembered any more
    newest_ms: int = 0  # exec_time of the newest execution booked
    cash_usdt: Decimal = ZERO  # the sum of all changes booked
    wallet: WalletReport | None = None
    day: Day | None = None
    day_zone: str = ""
    breaker: Breaker = Breaker()
    regime: str = ""  # "" not told yet
    leverage: dict[str, Decimal] = {}  # in force, by symbol, as the venue said
    reduce_only: tuple[str, ...] = ()  # symbols whose slot the venue only lets shrink
    margin_mode: str = ""
    order_times_ms: tuple[int, ...] = ()
    paused: bool = False
    killed: bool = False
    kill_generation: int = 0
    gate_open: bool = True  # the platform's own
    gate_reason: str = ""
    read_ms: int = 0  # the newest whole reading of the account; 0: none since the view was lost
    lost_reason: str = "not read yet"
    key_refused: bool = False
    differences: tuple[str, ...] = ()  # what reconciliation could not settle: no entries
    foreign: tuple[str, ...] = ()  # positions that are none of ours and were told of
    asked_read_ms: int = 0
    alerts: int = 0  # numbers the alerts that have no event of their own


class Corrupt(msgspec.Struct, frozen=True):
    """Bytes that are no state of this schema: start afresh from the venue, and say so."""

    reason: str
    schema: int | None = None


class _Head(msgspec.Struct):
    schema: int = 0


_ENCODER = msgspec.json.Encoder(order="deterministic")
_DECODER = msgspec.json.Decoder(AccountState)
_HEAD = msgspec.json.Decoder(_Head)


def fresh(user_id: str, version: int) -> AccountState:
    """Return the state of a user who never traded, under a version of the settings."""
    return AccountState(user_id=user_id, settings_version=version)


def encode_state(state: AccountState) -> bytes:
    """Return the canonical bytes of a state."""
    return _ENCODER.encode(state)


def decode_state(raw: bytes) -> AccountState | Corrupt:
    """Read a state; bytes of another schema, or none at all, are a value."""
    try:
        schema = _HEAD.decode(raw).schema
        if schema != STATE_SCHEMA:
            return Corrupt(f"state of schema {schema}, this code reads {STATE_SCHEMA}", schema)
        return _DECODER.decode(raw)
    except (msgspec.MsgspecError, ValueError, ArithmeticError) as error:
        return Corrupt(f"unreadable state: {error}")


def state_hash(state: AccountState) -> str:
    """Return what names a state: the hash of its canonical bytes."""
    return hash_of(encode_state(state))


def hash_of(raw: bytes) -> str:
    """Return the hash of a state's canonical bytes."""
    return blake2b(raw, digest_size=16).hexdigest()
