"""The store over SQL: the port's methods, for whatever runs a function in a transaction."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection

from data.records.port import StoreClock
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
from data.records.sql import contexts, engines, outbox, people, records
from data.records.sql import leases as lease_rows
from engine.account.commands import DayRecord, TradeRecord, VerdictRecord

P = ParamSpec("P")
T = TypeVar("T")
Work = Callable[Concatenate[Connection, P], T]

ATTEMPTS = 5  # of a transaction that lost against another one; each is a whole new one


class SqlStore(ABC):
    """A `Store` whose work is functions over a connection.

    Parameters
    ----------
    clock : StoreClock
        Decides about leases where the database has no clock of its own.
    """

    def __init__(self, clock: StoreClock) -> None:
        self._clock = clock

    @abstractmethod
    async def _run(self, work: Callable[[Connection], T], *, writes: bool) -> T | Unavailable:
        """Run in one transaction, again where it lost against another; trouble is a value."""

    @abstractmethod
    async def close(self) -> None:
        """Release files and connections."""

    async def _write(self, work: Work[P, T], *args: P.args, **named: P.kwargs) -> T | Unavailable:
        return await self._run(lambda c: work(c, *args, **named), writes=True)

    async def _read(self, work: Work[P, T], *args: P.args, **named: P.kwargs) -> T | Unavailable:
        return await self._run(lambda c: work(c, *args, **named), writes=False)

    # -- leases

    async def acquire(
        self, user_id: str, holder: str, ttl_ms: int
    ) -> Lease | LeaseHeld | Unavailable:
        """Take the lease if it is free, over, or the holder's own; the epoch rises."""
        return await self._write(lease_rows.acquire, user_id, holder, ttl_ms, self._clock.now_ms())

    async def renew(
        self, leases: Sequence[Lease], ttl_ms: int
    ) -> Sequence[Lease | LeaseHeld] | Unavailable:
        """Extend leases that nobody else has taken since, even when they were over."""
        if not leases:
            return []
        return await self._write(lease_rows.renew, leases, ttl_ms, self._clock.now_ms())

    async def release(self, leases: Sequence[Lease]) -> None:
        """Give leases back (best effort)."""
        if leases:
            await self._write(lease_rows.release, leases)

    async def leases(self) -> Sequence[Lease] | Unavailable:
        """Return every lease as stored, by user; one given back has no holder."""
        return await self._read(lease_rows.all_leases)

    # -- engines

    async def load(self, user_id: str) -> Stored | Unavailable | None:
        """Return what an engine starts from; None: no such user."""
        return await self._read(engines.load, user_id)

    async def commit(self, commit: Commit) -> CommitOutcome:
        """Write one decision, all or nothing."""
        done = await self._write(engines.commit_many, [commit])
        return done if isinstance(done, Unavailable) else done[0]

    async def commit_many(self, commits: Sequence[Commit]) -> Sequence[CommitOutcome]:
        """Write many in one transaction, each judged alone.

        A value that the database refuses fails the whole transaction: then each is written in
        one of its own, so that one user's poison is nobody else's.
        """
        if not commits:
            return []
        done = await self._write(engines.commit_many, commits)
        if not isinstance(done, Unavailable):
            return done
        if done.kind != "corrupt" or len(commits) == 1:
            return [done] * len(commits)
        return [await self.commit(commit) for commit in commits]

    async def version_of(self, user_id: str) -> tuple[int, str] | Unavailable:
        """Return (version, state_hash) as stored; (0, "") of a user who never ran."""
        return await self._read(engines.version_of, user_id)

    # -- users and settings

    async def users(self) -> Sequence[UserRow] | Unavailable:
        """Return every user, oldest first."""
        return await self._read(people.users)

    async def add_user(self, user: UserRow, settings: SettingsRow) -> Unavailable | None:
        """Make a user with version 1 of settings; the same call again changes nothing."""
        return await self._write(people.add_user, user, settings)

    async def add_settings(self, row: SettingsRow) -> Unavailable | None:
        """Add the version after the newest; the same row again changes nothing."""
        return await self._write(people.add_settings, row)

    async def settings(self, user_id: str, version: int) -> SettingsRow | Unavailable | None:
        """Return one version of a user's settings."""
        return await self._read(people.settings, user_id, version)

    async def set_kill(
        self, user_id: str, *, killed: bool, generation: int, actor: str, at_ms: int
    ) -> UserRow | Unavailable:
        """Write the kill switch; a lower generation changes nothing, of equals the kill holds."""
        return await self._write(
            people.set_kill,
            user_id,
            killed=killed,
            generation=generation,
            actor=actor,
            at_ms=at_ms,
        )

    async def platform_kill(self) -> tuple[bool, int] | Unavailable:
        """Return (killed, generation) of the whole platform."""
        return await self._read(people.platform_kill)

    # -- wishes from other processes

    async def add_control(self, row: ControlRow) -> Unavailable | None:
        """Write a wish; the same user and id again changes nothing."""
        return await self._write(people.add_control, row)

    async def controls(self, limit: int) -> Sequence[ControlRow] | Unavailable:
        """Return what waits, oldest first."""
        return await self._read(people.controls, limit)

    async def control(self, user_id: str, control_id: str) -> ControlRow | Unavailable | None:
        """Return one wish, taken or not."""
        return await self._read(people.control, user_id, control_id)

    async def control_done(
        self, user_id: str, control_id: str, *, taken_ms: int, answer: str
    ) -> Unavailable | None:
        """Write down that a wish was taken; a second time changes nothing."""
        return await self._write(
            people.control_done, user_id, control_id, taken_ms=taken_ms, answer=answer
        )

    # -- outbox

    async def outbox(
        self, limit: int, now_ms: int, wait_max_ms: int = WAIT_MAX_MS
    ) -> Sequence[OutboxRow] | Unavailable:
        """Return what waits and is due, oldest first."""
        return await self._read(outbox.outbox, limit, now_ms, wait_max_ms)

    async def outbox_done(
        self, user_id: str, event_id: str, *, delivered: bool, attempts: int, next_ms: int
    ) -> None:
        """Write down a delivery or a failure; not written, it is told again."""
        await self._write(
            outbox.outbox_done,
            user_id,
            event_id,
            delivered=delivered,
            attempts=attempts,
            next_ms=next_ms,
        )

    # -- reading, always of one user

    async def audit(
        self, user_id: str, after_seq: int, limit: int
    ) -> Sequence[AuditRow] | Unavailable:
        """Return links of the chain in order."""
        return await self._read(records.audit, user_id, after_seq, limit)

    async def chain_head(self, user_id: str) -> tuple[int, str] | Unavailable:
        """Return (seq, hash) of the newest link as the head names it."""
        return await self._read(engines.chain_head, user_id)

    async def trace(
        self, user_id: str, after_seq: int, limit: int
    ) -> Sequence[TraceRow] | Unavailable:
        """Return the recording in order."""
        return await self._read(records.trace, user_id, after_seq, limit)

    async def executions(
        self, user_id: str, since_ms: int, limit: int
    ) -> Sequence[ExecutionRow] | Unavailable:
        """Return executions, oldest first."""
        return await self._read(records.executions, user_id, since_ms, limit)

    async def intents(self, user_id: str, trade_id: str) -> Sequence[IntentRow] | Unavailable:
        """Return every intent of a trade in the order they were made."""
        return await self._read(records.intents, user_id, trade_id)

    async def trades(self, user_id: str, limit: int) -> Sequence[TradeRecord] | Unavailable:
        """Return trades, the one written first last."""
        return await self._read(records.trades, user_id, limit)

    async def verdicts(self, user_id: str, limit: int) -> Sequence[VerdictRecord] | Unavailable:
        """Return verdicts, newest first."""
        return await self._read(records.verdicts, user_id, limit)

    async def days(self, user_id: str, limit: int) -> Sequence[DayRecord] | Unavailable:
        """Return days, newest first."""
        return await self._read(records.days, user_id, limit)

    async def ledger(
        self, user_id: str, after_seq: int, limit: int
    ) -> Sequence[LedgerRow] | Unavailable:
        """Return the money's books in the order they were written."""
        return await self._read(records.ledger, user_id, after_seq, limit)

    # -- retention

    async def prune_traces(self, before_ms: int) -> int | Unavailable:
        """Forget recordings older than `before_ms`."""
        return await self._write(records.prune_traces, before_ms)

    async def prune_outbox(self, before_ms: int) -> int | Unavailable:
        """Forget what is settled and older."""
        return await self._write(records.prune_outbox, before_ms)

    # -- coin contexts

    async def save_contexts(self, rows: Sequence[ContextRow]) -> Unavailable | None:
        """Write contexts."""
        return await self._write(contexts.save_contexts, rows) if rows else None

    async def contexts(self, profile: str, interval: str) -> Sequence[ContextRow] | Unavailable:
        """Return every context of a profile, by symbol."""
        return await self._read(contexts.contexts, profile, interval)


class Failed(Exception):  # noqa: N818 - carries a driver's error out of a transaction
    """A transaction did not happen; `trouble` says what the caller is told."""

    def __init__(self, trouble: Unavailable) -> None:
        super().__init__(trouble.reason)
        self.trouble = trouble


def retried(trouble: Unavailable, attempt: int) -> bool:
    """Return whether a whole new transaction is worth trying."""
    return trouble.kind == "locked" and attempt + 1 < ATTEMPTS


def options(**more: Any) -> dict[str, Any]:
    """Return what every engine is made with: no statement's values ever reach an error."""
    return {"hide_parameters": True, **more}
