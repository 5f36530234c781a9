"""What `live` and `app` need of a store: one port, one contract for all that implement it."""

from collections.abc import Sequence
from typing import Protocol

from data.records.rows import (
    WAIT_MAX_MS,
    AuditRow,
    Commit,
    CommitOutcome,
    ContextRow,
    ControlRow,
    ExecutionRow,
    IntentRow,
    Lease,
    LeaseHeld,
    LedgerRow,
    OutboxRow,
    SettingsRow,
    Stored,
    TraceRow,
    Unavailable,
    UserRow,
)
from engine.account.commands import DayRecord, TradeRecord, VerdictRecord


class StoreClock(Protocol):
    """The only thing a store asks of a clock; `live.clock.Clock` is one."""

    def now_ms(self) -> int:
        """Return the wall clock, UTC ms."""
        ...


class Store(Protocol):
    """Everything is scoped to one user, but for what names no user. No method raises for weather.

    Expected trouble is `Unavailable`; a broken row is `Unavailable(kind="corrupt")`.
    """

    # -- leases (store clock decides; `ttl_ms` from its now)
    async def acquire(
        self, user_id: str, holder: str, ttl_ms: int
    ) -> Lease | LeaseHeld | Unavailable:
        """Take the lease if it is free or over; every taking raises the epoch."""
        ...

    async def renew(
        self, leases: Sequence[Lease], ttl_ms: int
    ) -> Sequence[Lease | LeaseHeld] | Unavailable:
        """Extend leases that are still ours; one call for all users of a process."""
        ...

    async def release(self, leases: Sequence[Lease]) -> None:
        """Give leases back (best effort)."""
        ...

    async def leases(self) -> Sequence[Lease] | Unavailable:
        """Return every lease as stored, those that are over too (a supervisor's view)."""
        ...

    # -- engines
    async def load(self, user_id: str) -> Stored | Unavailable | None:
        """Return what an engine starts from; None: no such user."""
        ...

    async def commit(self, commit: Commit) -> CommitOutcome:
        """Write one decision: state, intents, records, audit, outbox, trace; all or nothing."""
        ...

    async def commit_many(self, commits: Sequence[Commit]) -> Sequence[CommitOutcome]:
        """Write decisions of many users in one transaction (group commit), each judged alone."""
        ...

    async def version_of(self, user_id: str) -> tuple[int, str] | Unavailable:
        """Return (version, state_hash) as stored."""
        ...

    # -- users and settings
    async def users(self) -> Sequence[UserRow] | Unavailable:
        """Return every user of the platform (a supervisor's view)."""
        ...

    async def add_user(self, user: UserRow, settings: SettingsRow) -> Unavailable | None:
        """Make a user with version 1 of settings; the same call again changes nothing."""
        ...

    async def add_settings(self, row: SettingsRow) -> Unavailable | None:
        """Add a version; versions are consecutive."""
        ...

    async def settings(self, user_id: str, version: int) -> SettingsRow | Unavailable | None:
        """Return one version of a user's settings."""
        ...

    async def set_kill(
        self, user_id: str, *, killed: bool, generation: int, actor: str, at_ms: int
    ) -> UserRow | Unavailable:
        """Write the kill switch ("" = of the whole platform); a lower generation changes nothing.

        Of two clicks with one generation the kill holds. Needs no lease: whoever may click may
        stop. A change is a link of the user's chain (the platform's chain is that of user "").
        """
        ...

    async def platform_kill(self) -> tuple[bool, int] | Unavailable:
        """Return (killed, generation) of the whole platform."""
        ...

    # -- wishes from other processes (`zion live`): written here, taken by whoever holds the lease
    async def add_control(self, row: ControlRow) -> Unavailable | None:
        """Write a wish; the same user and id again changes nothing."""
        ...

    async def controls(self, limit: int) -> Sequence[ControlRow] | Unavailable:
        """Return what waits, oldest first, all users."""
        ...

    async def control(self, user_id: str, control_id: str) -> ControlRow | Unavailable | None:
        """Return one wish, taken or not."""
        ...

    async def control_done(
        self, user_id: str, control_id: str, *, taken_ms: int, answer: str
    ) -> Unavailable | None:
        """Write down that an engine has taken a wish; a second time changes nothing."""
        ...

    # -- outbox
    async def outbox(
        self, limit: int, now_ms: int, wait_max_ms: int = WAIT_MAX_MS
    ) -> Sequence[OutboxRow] | Unavailable:
        """Return what waits and is due, oldest first, all users.

        Nobody puts an attempt off for longer than `wait_max_ms`: a later one was set by a clock
        ahead of this one, and is due.
        """
        ...

    async def outbox_done(
        self, user_id: str, event_id: str, *, delivered: bool, attempts: int, next_ms: int
    ) -> None:
        """Write down a delivery or a failure; `next_ms` < 0: dead."""
        ...

    # -- reading, always of one user
    async def audit(
        self, user_id: str, after_seq: int, limit: int
    ) -> Sequence[AuditRow] | Unavailable:
        """Return links of the chain in order."""
        ...

    async def chain_head(self, user_id: str) -> tuple[int, str] | Unavailable:
        """Return (seq, hash) of the newest link as the head names it; (0, "") without one."""
        ...

    async def trace(
        self, user_id: str, after_seq: int, limit: int
    ) -> Sequence[TraceRow] | Unavailable:
        """Return the recording in order."""
        ...

    async def executions(
        self, user_id: str, since_ms: int, limit: int
    ) -> Sequence[ExecutionRow] | Unavailable:
        """Return executions, oldest first."""
        ...

    async def intents(self, user_id: str, trade_id: str) -> Sequence[IntentRow] | Unavailable:
        """Return every intent of a trade, terminal ones too, in the order they were made."""
        ...

    async def trades(self, user_id: str, limit: int) -> Sequence[TradeRecord] | Unavailable:
        """Return trades, newest first."""
        ...

    async def verdicts(self, user_id: str, limit: int) -> Sequence[VerdictRecord] | Unavailable:
        """Return verdicts, newest first."""
        ...

    async def days(self, user_id: str, limit: int) -> Sequence[DayRecord] | Unavailable:
        """Return days, newest first."""
        ...

    async def ledger(
        self, user_id: str, after_seq: int, limit: int
    ) -> Sequence[LedgerRow] | Unavailable:
        """Return the money's books in the order they were written."""
        ...

    # -- retention: what may be forgotten, of all users
    async def prune_traces(self, before_ms: int) -> int | Unavailable:
        """Forget recordings older than `before_ms`; return how many rows went."""
        ...

    async def prune_outbox(self, before_ms: int) -> int | Unavailable:
        """Forget what was delivered or given up and is older; what waits stays."""
        ...

    # -- coin contexts
    async def save_contexts(self, rows: Sequence[ContextRow]) -> Unavailable | None:
        """Write contexts (upsert by profile, interval, symbol)."""
        ...

    async def contexts(self, profile: str, interval: str) -> Sequence[ContextRow] | Unavailable:
        """Return every context of a profile; a broken one is left out by its reader."""
        ...

    async def close(self) -> None:
        """Release files and connections."""
        ...
