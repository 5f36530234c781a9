"""Values that go in and out of a store. Money is Decimal, times ms UTC; no ORM object leaves."""

from decimal import Decimal
from typing import Any

import msgspec

from engine.account.commands import AnyRecord

WAIT_MAX_MS = 86_400_000  # no delivery is put off for longer than a day


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """The right to write for one user. A newer epoch fences every older one."""

    user_id: str
    holder: str  # process id of our own making, never a host name
    epoch: int
    expires_ms: int  # store clock


class LeaseHeld(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody else holds it."""

    user_id: str
    holder: str
    expires_ms: int


class UserRow(msgspec.Struct, frozen=True, kw_only=True):
    """A user of the platform."""

    user_id: str  # UUID text
    name: str
    mode: str = "paper"  # sim paper demo testnet live: never above the deployment's
    active: bool = True
    armed: bool = False  # real money, explicitly
    kill_generation: int = 0
    killed: bool = False
    created_ms: int = 0


class SettingsRow(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a user's settings (JSON of `UserSettings`)."""

    user_id: str
    version: int
    body: bytes
    created_ms: int
    actor: str = ""


class IntentRow(msgspec.Struct, frozen=True, kw_only=True):
    """A wish to order, stored before it is sent. `state` never goes back (see INTENT_MOVES)."""

    user_id: str
    link_id: str
    trade_id: str
    signal_id: str
    symbol: str
    leg: str
    state: str  # new sent unknown placed done absent refused stale
    body: bytes  # JSON of the PlaceOrder
    created_ms: int
    expires_ms: int
    sent_ms: int = 0
    order_id: str = ""
    code: int = 0


class OutboxRow(msgspec.Struct, frozen=True, kw_only=True):
    """A notification on its way; told at least once, de-duplicated by `event_id`."""

    user_id: str
    event_id: str
    kind: str
    severity: str
    body: bytes  # JSON of the AlertRecord
    created_ms: int
    attempts: int = 0
    next_ms: int = 0
    state: str = "waiting"  # waiting delivered dead


class AuditRow(msgspec.Struct, frozen=True, kw_only=True):
    """One link of a user's chain: `hash = sha256(prev_hash | canonical JSON of the rest)`."""

    user_id: str
    seq: int
    at_ms: int
    epoch: int
    actor: str
    cause: str
    before_hash: str  # of the engine state
    after_hash: str
    detail: bytes
    prev_hash: str
    hash: str


class TraceRow(msgspec.Struct, frozen=True, kw_only=True):
    """A message as `decide` was told it, and the hash of the state after: a recording."""

    user_id: str
    seq: int
    at_ms: int
    body: bytes
    state_hash: str


class ControlRow(msgspec.Struct, frozen=True, kw_only=True):
    """A person's wish to one engine, from another process; carried out at least once.

    The kill switch is not one of them: it has its own row and needs nobody to take it.
    """

    user_id: str
    control_id: str  # the same one again changes nothing
    action: str  # pause resume reconcile close close_all
    actor: str
    at_ms: int
    symbol: str = ""
    trade_id: str = ""
    reason: str = ""
    taken_ms: int = 0  # 0: waits
    answer: str = ""


class ContextRow(msgspec.Struct, frozen=True, kw_only=True):
    """A coin's detector context: bytes of the record, good for one schema and parameter hash."""

    profile: str
    interval: str
    symbol: str
    minute: int
    schema_hash: int
    params_hash: int
    body: bytes
    checksum: str


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """Everything an engine starts from."""

    user: UserRow
    settings: SettingsRow
    state: bytes | None  # JSON of the engine's state; None: never ran
    version: int  # of the state; a commit names the one it replaces
    state_hash: str
    intents: tuple[IntentRow, ...]  # those not terminal
    audit_seq: int
    audit_hash: str


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """One decision (or a burst of them), all or nothing, under one lease."""

    user_id: str
    epoch: int
    at_ms: int
    version: int  # the version this replaces; the store writes version + 1
    state: bytes
    state_hash: str
    intents: tuple[IntentRow, ...] = ()  # upserts; an illegal move of state fails the commit
    records: tuple[AnyRecord, ...] = ()
    traces: tuple[TraceRow, ...] = ()


class Committed(msgspec.Struct, frozen=True, kw_only=True):
    """It is on disk."""

    version: int
    audit_seq: int
    audit_hash: str


class Fenced(msgspec.Struct, frozen=True, kw_only=True):
    """A newer epoch writes for this user: stop, at once, and send nothing."""

    epoch: int


class Conflict(msgspec.Struct, frozen=True, kw_only=True):
    """The stored version is another: somebody (an own, late commit) was there. Load again."""

    version: int
    state_hash: str


class Unavailable(msgspec.Struct, frozen=True, kw_only=True):
    """The store did not take it, or nobody knows: ask `version_of` before trying again."""

    reason: str
    # down | locked | full | unknown_commit | conflict (somebody else was first)
    # | corrupt (a broken row, or a commit that contradicts what is stored: trying again is no use)
    kind: str
    maybe_committed: bool = False


CommitOutcome = Committed | Fenced | Conflict | Unavailable

# Which states of an intent may follow which. Terminal: done absent refused stale.
INTENT_MOVES: dict[str, frozenset[str]] = {
    "new": frozenset({"sent", "unknown", "placed", "done", "absent", "refused", "stale"}),
    "sent": frozenset({"unknown", "placed", "done", "absent", "refused", "stale"}),
    "unknown": frozenset({"sent", "placed", "done", "absent", "refused", "stale"}),
    "placed": frozenset({"done"}),
    "done": frozenset(),
    "absent": frozenset({"done"}),  # a proven late fill, and nothing else
    "refused": frozenset({"done"}),
    "stale": frozenset({"done"}),
}
TERMINAL = frozenset({"done", "absent", "refused", "stale"})


class ExecutionRow(msgspec.Struct, frozen=True, kw_only=True):
    """An execution as stored, keyed (user, exec_id)."""

    user_id: str
    exec_id: str
    trade_id: str
    leg: str
    symbol: str
    side: str
    order_id: str
    link_id: str
    exec_type: str
    qty: Decimal
    price: Decimal
    value: Decimal
    fee: Decimal
    pnl: Decimal
    exec_time: int
    is_maker: bool


class LedgerRow(msgspec.Struct, frozen=True, kw_only=True):
    """What one execution did to the account's money, and what all of them together did so far."""

    user_id: str
    seq: int
    exec_id: str
    at_ms: int  # the execution's time
    change_usdt: Decimal  # pnl - fee; of funding: - fee, as the venue books it
    balance_usdt: Decimal  # the sum of all changes up to here


Facts = dict[str, Any]
