"""The store in memory: same judgements as the others, no database. For simulations and tests.

Its faults come from outside, through a wrapper (`data.records.faulty`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from data.records.judge import Head, View, Writes, judge
from data.records.people import (
    PLATFORM,
    clicked,
    kill_link,
    outbox_state,
    settings_link,
    user_link,
    wrong_settings,
    wrong_user,
)
from data.records.port import StoreClock
from data.records.rows import (
    TERMINAL,
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
from engine.account.commands import (
    DayRecord,
    ExecutionRecord,
    TradeRecord,
    VerdictRecord,
)


@dataclass(slots=True)
class _Books:
    """Everything of one user."""

    head: Head
    state: bytes | None = None
    intents: dict[str, IntentRow] = field(default_factory=dict)
    executions: dict[str, ExecutionRow] = field(default_factory=dict)
    ledger: list[LedgerRow] = field(default_factory=list)
    trades: dict[str, TradeRecord] = field(default_factory=dict)
    verdicts: list[VerdictRecord] = field(default_factory=list)
    days: dict[str, DayRecord] = field(default_factory=dict)
    audit: list[AuditRow] = field(default_factory=list)
    traces: dict[int, TraceRow] = field(default_factory=dict)
    settings: list[SettingsRow] = field(default_factory=list)

    def link(self, row: AuditRow) -> None:
        self.audit.append(row)
        self.head = msgspec.structs.replace(self.head, audit_seq=row.seq, audit_hash=row.hash)


class MemoryStore:
    """A `Store` in plain dicts. One event loop; nothing here waits, so every method is atomic.

    Parameters
    ----------
    clock : StoreClock
        Decides about leases.
    """

    def __init__(self, clock: StoreClock) -> None:
        self._clock = clock
        self._leases: dict[str, Lease] = {}
        self._users: dict[str, UserRow] = {"": PLATFORM}
        self._books: dict[str, _Books] = {"": _Books(Head(user_id=""))}
        self._outbox: dict[tuple[str, str], OutboxRow] = {}
        self._controls: dict[tuple[str, str], ControlRow] = {}
        self._contexts: dict[tuple[str, str, str], ContextRow] = {}

    # -- leases

    async def acquire(
        self, user_id: str, holder: str, ttl_ms: int
    ) -> Lease | LeaseHeld | Unavailable:
        """Take the lease if it is free, over, or the holder's own; the epoch rises."""
        now_ms = self._clock.now_ms()
        old = self._leases.get(user_id)
        if old is not None and old.holder not in {"", holder} and old.expires_ms > now_ms:
            return LeaseHeld(user_id=user_id, holder=old.holder, expires_ms=old.expires_ms)
        lease = Lease(
            user_id=user_id,
            holder=holder,
            epoch=1 if old is None else old.epoch + 1,
            expires_ms=now_ms + ttl_ms,
        )
        self._leases[user_id] = lease
        return lease

    async def renew(
        self, leases: Sequence[Lease], ttl_ms: int
    ) -> Sequence[Lease | LeaseHeld] | Unavailable:
        """Extend leases that nobody else has taken since, even when they were over."""
        expires_ms = self._clock.now_ms() + ttl_ms
        answers: list[Lease | LeaseHeld] = []
        for lease in leases:
            stored = self._leases.get(lease.user_id)
            if stored is None:
                answers.append(LeaseHeld(user_id=lease.user_id, holder="", expires_ms=0))
            elif (stored.holder, stored.epoch) != (lease.holder, lease.epoch):
                answers.append(
                    LeaseHeld(
                        user_id=lease.user_id, holder=stored.holder, expires_ms=stored.expires_ms
                    )
                )
            else:
                renewed = msgspec.structs.replace(stored, expires_ms=expires_ms)
                self._leases[lease.user_id] = renewed
                answers.append(renewed)
        return answers

    async def release(self, leases: Sequence[Lease]) -> None:
        """Give leases back; the epoch stays, for the next taking must have a higher one."""
        for lease in leases:
            stored = self._leases.get(lease.user_id)
            if stored and (stored.holder, stored.epoch) == (lease.holder, lease.epoch):
                self._leases[lease.user_id] = msgspec.structs.replace(
                    stored, holder="", expires_ms=0
                )

    async def leases(self) -> Sequence[Lease] | Unavailable:
        """Return every lease as stored, by user; one given back has no holder."""
        return [self._leases[user_id] for user_id in sorted(self._leases)]

    # -- engines

    async def load(self, user_id: str) -> Stored | Unavailable | None:
        """Return what an engine starts from; None: no such user."""
        if not user_id or user_id not in self._users:
            return None
        books = self._books[user_id]
        waiting = [row for row in books.intents.values() if row.state not in TERMINAL]
        return Stored(
            user=self._users[user_id],
            settings=books.settings[-1],
            state=books.state,
            version=books.head.version,
            state_hash=books.head.state_hash,
            intents=tuple(sorted(waiting, key=lambda row: (row.created_ms, row.link_id))),
            audit_seq=books.head.audit_seq,
            audit_hash=books.head.audit_hash,
        )

    async def commit(self, commit: Commit) -> CommitOutcome:
        """Write one decision, all or nothing."""
        return self._commit(commit)

    async def commit_many(self, commits: Sequence[Commit]) -> Sequence[CommitOutcome]:
        """Write many, each judged alone, in their order."""
        return [self._commit(commit) for commit in commits]

    def _commit(self, commit: Commit) -> CommitOutcome:
        if not commit.user_id or commit.user_id not in self._users:
            return Unavailable(reason=f"no user {commit.user_id!r}", kind="corrupt")
        books = self._books[commit.user_id]
        lease = self._leases.get(commit.user_id)
        named = {row.exec_id for row in commit.records if isinstance(row, ExecutionRecord)}
        view = View(
            books.head,
            lease.epoch if lease else 0,
            {
                row.link_id: books.intents[row.link_id].state
                for row in commit.intents
                if row.link_id in books.intents
            },
            named & books.executions.keys(),
        )
        judged = judge(view, commit)
        if not isinstance(judged, Writes):
            return judged
        self._write(books, judged)
        return judged.outcome

    def _write(self, books: _Books, writes: Writes) -> None:
        books.state = writes.commit.state
        books.intents.update(writes.intents)
        books.executions.update((row.exec_id, row) for row in writes.executions)
        books.ledger.extend(writes.ledger)
        books.trades.update(writes.trades)
        books.verdicts.extend(writes.verdicts)
        books.days.update(writes.days)
        books.audit.extend(writes.audit)
        books.traces.update((row.seq, row) for row in writes.traces)
        for row in writes.outbox.values():
            self._outbox.setdefault((row.user_id, row.event_id), row)
        books.head = writes.after.head

    async def version_of(self, user_id: str) -> tuple[int, str] | Unavailable:
        """Return (version, state_hash) as stored; (0, "") of a user who never ran."""
        books = self._books.get(user_id)
        return (books.head.version, books.head.state_hash) if books else (0, "")

    # -- users and settings

    async def users(self) -> Sequence[UserRow] | Unavailable:
        """Return every user, oldest first."""
        rows = [row for row in self._users.values() if row.user_id]
        return sorted(rows, key=lambda row: (row.created_ms, row.user_id))

    async def add_user(self, user: UserRow, settings: SettingsRow) -> Unavailable | None:
        """Make a user with version 1 of settings; the same call again changes nothing."""
        wrong = wrong_user(user, settings)
        if wrong is not None or user.user_id in self._users:
            return wrong
        self._users[user.user_id] = user
        books = self._books[user.user_id] = _Books(Head(user_id=user.user_id))
        books.settings.append(settings)
        books.link(user_link(books.head, user, settings))
        return None

    async def add_settings(self, row: SettingsRow) -> Unavailable | None:
        """Add the version after the newest; the same row again changes nothing."""
        books = self._books.get(row.user_id)
        newest = books.settings[-1] if books and books.settings else None
        wrong = wrong_settings(row, newest)
        if wrong is not None or books is None or row == newest:
            return wrong
        books.settings.append(row)
        books.link(settings_link(books.head, row))
        return None

    async def settings(self, user_id: str, version: int) -> SettingsRow | Unavailable | None:
        """Return one version of a user's settings."""
        rows = self._of(user_id).settings
        return rows[version - 1] if 1 <= version <= len(rows) else None

    async def set_kill(
        self, user_id: str, *, killed: bool, generation: int, actor: str, at_ms: int
    ) -> UserRow | Unavailable:
        """Write the kill switch; a lower generation changes nothing, of equals the kill holds."""
        user = self._users.get(user_id)
        if user is None:
            return Unavailable(reason=f"no user {user_id!r}", kind="corrupt")
        after = clicked(user, killed=killed, generation=generation)
        if after != user:
            self._users[user_id] = after
            books = self._books[user_id]
            books.link(kill_link(books.head, after, actor=actor, at_ms=at_ms))
        return after

    async def platform_kill(self) -> tuple[bool, int] | Unavailable:
        """Return (killed, generation) of the whole platform."""
        row = self._users[""]
        return row.killed, row.kill_generation

    # -- wishes from other processes

    async def add_control(self, row: ControlRow) -> Unavailable | None:
        """Write a wish; the same user and id again changes nothing."""
        if not row.user_id or row.user_id not in self._users:
            return Unavailable(reason=f"no user {row.user_id!r}", kind="corrupt")
        self._controls.setdefault((row.user_id, row.control_id), row)
        return None

    async def controls(self, limit: int) -> Sequence[ControlRow] | Unavailable:
        """Return what waits, oldest first."""
        rows = [row for row in self._controls.values() if not row.taken_ms]
        return sorted(rows, key=lambda r: (r.at_ms, r.user_id, r.control_id))[:limit]

    async def control(self, user_id: str, control_id: str) -> ControlRow | Unavailable | None:
        """Return one wish, taken or not."""
        return self._controls.get((user_id, control_id))

    async def control_done(
        self, user_id: str, control_id: str, *, taken_ms: int, answer: str
    ) -> Unavailable | None:
        """Write down that a wish was taken; a second time changes nothing."""
        row = self._controls.get((user_id, control_id))
        if row is not None and not row.taken_ms:
            self._controls[user_id, control_id] = msgspec.structs.replace(
                row, taken_ms=taken_ms, answer=answer
            )
        return None

    # -- outbox

    async def outbox(
        self, limit: int, now_ms: int, wait_max_ms: int = WAIT_MAX_MS
    ) -> Sequence[OutboxRow] | Unavailable:
        """Return what waits and is due, oldest first."""
        waiting = [r for r in self._outbox.values() if r.state == "waiting"]
        due = [r for r in waiting if not now_ms < r.next_ms <= now_ms + wait_max_ms]
        return sorted(due, key=lambda r: (r.created_ms, r.user_id, r.event_id))[:limit]

    async def outbox_done(
        self, user_id: str, event_id: str, *, delivered: bool, attempts: int, next_ms: int
    ) -> None:
        """Write down a delivery or a failure."""
        row = self._outbox.get((user_id, event_id))
        if row is not None and row.state == "waiting":
            self._outbox[user_id, event_id] = msgspec.structs.replace(
                row,
                state=outbox_state(delivered=delivered, next_ms=next_ms),
                attempts=attempts,
                next_ms=row.next_ms if delivered or next_ms < 0 else next_ms,
            )

    # -- reading

    def _of(self, user_id: str) -> _Books:
        return self._books.get(user_id) or _Books(Head(user_id=user_id))

    async def audit(self, user_id: str, after_seq: int, limit: int) -> Sequence[AuditRow]:
        """Return links of the chain in order."""
        return self._of(user_id).audit[max(0, after_seq) :][:limit]

    async def chain_head(self, user_id: str) -> tuple[int, str] | Unavailable:
        """Return (seq, hash) of the newest link."""
        head = self._of(user_id).head
        return head.audit_seq, head.audit_hash

    async def trace(self, user_id: str, after_seq: int, limit: int) -> Sequence[TraceRow]:
        """Return the recording in order."""
        rows = self._of(user_id).traces.values()
        return [row for row in rows if row.seq > after_seq][:limit]

    async def executions(self, user_id: str, since_ms: int, limit: int) -> Sequence[ExecutionRow]:
        """Return executions, oldest first."""
        rows = [r for r in self._of(user_id).executions.values() if r.exec_time >= since_ms]
        return sorted(rows, key=lambda r: (r.exec_time, r.exec_id))[:limit]

    async def intents(self, user_id: str, trade_id: str) -> Sequence[IntentRow] | Unavailable:
        """Return every intent of a trade in the order they were made."""
        rows = [r for r in self._of(user_id).intents.values() if r.trade_id == trade_id]
        return sorted(rows, key=lambda r: (r.created_ms, r.link_id))

    async def trades(self, user_id: str, limit: int) -> Sequence[TradeRecord]:
        """Return trades, the one written first last."""
        return list(reversed(self._of(user_id).trades.values()))[:limit]

    async def verdicts(self, user_id: str, limit: int) -> Sequence[VerdictRecord]:
        """Return verdicts, newest first."""
        return self._of(user_id).verdicts[::-1][:limit]

    async def days(self, user_id: str, limit: int) -> Sequence[DayRecord]:
        """Return days, newest first."""
        return sorted(self._of(user_id).days.values(), key=lambda r: r.day, reverse=True)[:limit]

    async def ledger(self, user_id: str, after_seq: int, limit: int) -> Sequence[LedgerRow]:
        """Return the money's books in the order they were written."""
        return self._of(user_id).ledger[max(0, after_seq) :][:limit]

    # -- retention

    async def prune_traces(self, before_ms: int) -> int | Unavailable:
        """Forget recordings older than `before_ms`."""
        gone = 0
        for books in self._books.values():
            kept = {seq: row for seq, row in books.traces.items() if row.at_ms >= before_ms}
            gone += len(books.traces) - len(kept)
            books.traces = kept
        return gone

    async def prune_outbox(self, before_ms: int) -> int | Unavailable:
        """Forget what is settled and older."""
        gone = [
            key
            for key, row in self._outbox.items()
            if row.state != "waiting" and row.created_ms < before_ms
        ]
        for key in gone:
            del self._outbox[key]
        return len(gone)

    # -- coin contexts

    async def save_contexts(self, rows: Sequence[ContextRow]) -> Unavailable | None:
        """Write contexts."""
        self._contexts.update(((r.profile, r.interval, r.symbol), r) for r in rows)

    async def contexts(self, profile: str, interval: str) -> Sequence[ContextRow] | Unavailable:
        """Return every context of a profile, by symbol."""
        rows = [r for key, r in self._contexts.items() if key[:2] == (profile, interval)]
        return sorted(rows, key=lambda r: r.symbol)

    async def close(self) -> None:
        """Nothing to release; what was written stays for the next process of a simulation."""
