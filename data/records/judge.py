"""What becomes of a commit: judged on values, the same way for every store. Pure.

A store reads the heads under a lock, asks `judge`, and writes what it is told; nothing here knows a
database. A later commit of the same group is judged against the `Writes.after` of the earlier one.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import msgspec

from data.records.chain import GENESIS, canonical, link
from data.records.money import add, plain_money
from data.records.rows import (
    INTENT_MOVES,
    AuditRow,
    Commit,
    Committed,
    Conflict,
    ExecutionRow,
    Fenced,
    IntentRow,
    LedgerRow,
    OutboxRow,
    TraceRow,
    Unavailable,
)
from engine.account.commands import (
    AlertRecord,
    AuditRecord,
    DayRecord,
    ExecutionRecord,
    TradeRecord,
    VerdictRecord,
)
from engine.errors import DataError


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """Where a user's books stand."""

    user_id: str
    version: int = 0
    state_hash: str = ""
    audit_seq: int = 0
    audit_hash: str = GENESIS
    ledger_seq: int = 0
    ledger_usdt: Decimal = Decimal(0)
    trace_seq: int = 0


@dataclass(frozen=True, slots=True)
class View:
    """What a commit is judged against, read under the user's lock."""

    head: Head
    epoch: int  # the newest lease's; 0: never taken
    intents: Mapping[str, str] = field(default_factory=dict)  # link_id -> state, those it names
    executions: Collection[str] = ()  # exec_ids it names and the store has


@dataclass(slots=True)
class Writes:
    """What an accepted commit writes."""

    commit: Commit
    after: View
    intents: dict[str, IntentRow] = field(default_factory=dict)
    executions: list[ExecutionRow] = field(default_factory=list)
    ledger: list[LedgerRow] = field(default_factory=list)
    trades: dict[str, TradeRecord] = field(default_factory=dict)
    verdicts: list[VerdictRecord] = field(default_factory=list)
    days: dict[str, DayRecord] = field(default_factory=dict)
    outbox: dict[str, OutboxRow] = field(default_factory=dict)
    audit: list[AuditRow] = field(default_factory=list)
    traces: tuple[TraceRow, ...] = ()

    @property
    def outcome(self) -> Committed:
        """What the caller is told once it is on disk."""
        head = self.after.head
        return Committed(version=head.version, audit_seq=head.audit_seq, audit_hash=head.audit_hash)


def judge(view: View, commit: Commit) -> Writes | Fenced | Conflict | Unavailable:
    """Return what to write, or why nothing is written."""
    if commit.epoch != view.epoch:
        return Fenced(epoch=view.epoch)
    if commit.version != view.head.version:
        return Conflict(version=view.head.version, state_hash=view.head.state_hash)
    wrong = _contradiction(view, commit)
    if wrong:
        return Unavailable(reason=wrong, kind="corrupt")
    return _Writer(view, commit).write()


def _contradiction(view: View, commit: Commit) -> str:
    states = dict(view.intents)
    for row in commit.intents:
        if row.user_id != commit.user_id:
            return f"intent {row.link_id} is another user's"
        if row.state not in INTENT_MOVES:
            return f"intent {row.link_id}: no state {row.state!r}"
        old = states.get(row.link_id, row.state)
        if row.state != old and row.state not in INTENT_MOVES[old]:
            return f"intent {row.link_id} cannot go from {old} to {row.state}"
        states[row.link_id] = row.state
    last = view.head.trace_seq
    for trace in commit.traces:
        if trace.user_id != commit.user_id:
            return f"trace {trace.seq} is another user's"
        if trace.seq <= last:
            return f"trace {trace.seq} does not follow {last}"
        last = trace.seq
    return ""


class _Writer:
    """Splits the records of an accepted commit to their tables."""

    def __init__(self, view: View, commit: Commit) -> None:
        self._view = view
        self._commit = commit
        self._head = view.head
        self._known = set(view.executions)
        self._out = Writes(commit, view)

    def write(self) -> Writes | Unavailable:
        commit, out = self._commit, self._out
        out.intents.update((row.link_id, row) for row in commit.intents)
        out.traces = commit.traces
        try:
            for record in commit.records:
                _SPLIT[type(record)](self, plain_money(record))
        except DataError as error:
            return Unavailable(reason=error.what, kind="corrupt")
        self._head = msgspec.structs.replace(
            self._head,
            version=commit.version + 1,
            state_hash=commit.state_hash,
            trace_seq=commit.traces[-1].seq if commit.traces else self._head.trace_seq,
        )
        states = dict(self._view.intents)
        states.update((row.link_id, row.state) for row in commit.intents)
        out.after = replace(
            self._view, head=self._head, intents=states, executions=frozenset(self._known)
        )
        return out

    def verdict(self, record: VerdictRecord) -> None:
        self._out.verdicts.append(record)

    def alert(self, record: AlertRecord) -> None:
        commit = self._commit
        row = OutboxRow(
            user_id=commit.user_id,
            event_id=record.event_id,
            kind=record.kind,
            severity=record.severity,
            body=canonical(record),
            created_ms=commit.at_ms,
            next_ms=0,  # due at once, whatever a clock that is wrong says
        )
        self._out.outbox.setdefault(row.event_id, row)

    def audit(self, record: AuditRecord) -> None:
        row = follow(
            self._head,
            at_ms=self._commit.at_ms,
            epoch=self._commit.epoch,
            actor=record.actor,
            cause=record.cause,
            after_hash=self._commit.state_hash,
            detail=record.detail,
        )
        self._out.audit.append(row)
        self._head = msgspec.structs.replace(self._head, audit_seq=row.seq, audit_hash=row.hash)

    def execution(self, record: ExecutionRecord) -> None:
        if record.exec_id in self._known:
            return
        self._known.add(record.exec_id)
        facts: dict[str, Any] = {n: getattr(record, n) for n in record.__struct_fields__}
        self._out.executions.append(ExecutionRow(user_id=self._commit.user_id, **facts))
        change = add(record.pnl, record.fee.copy_negate())
        row = LedgerRow(
            user_id=self._commit.user_id,
            seq=self._head.ledger_seq + 1,
            exec_id=record.exec_id,
            at_ms=record.exec_time,
            change_usdt=change,
            balance_usdt=add(self._head.ledger_usdt, change),
        )
        self._out.ledger.append(row)
        self._head = msgspec.structs.replace(
            self._head, ledger_seq=row.seq, ledger_usdt=row.balance_usdt
        )

    def trade(self, record: TradeRecord) -> None:
        # As it will be read again: a Decimal in the detail is text, a tuple a list.
        detail = msgspec.json.decode(canonical(record.detail))
        self._out.trades[record.trade_id] = msgspec.structs.replace(record, detail=detail)

    def day(self, record: DayRecord) -> None:
        self._out.days[record.day] = record


_SPLIT: dict[type, Callable[[_Writer, Any], None]] = {
    VerdictRecord: _Writer.verdict,
    AlertRecord: _Writer.alert,
    AuditRecord: _Writer.audit,
    ExecutionRecord: _Writer.execution,
    TradeRecord: _Writer.trade,
    DayRecord: _Writer.day,
}


def follow(
    head: Head,
    *,
    at_ms: int,
    actor: str,
    cause: str,
    detail: object,
    epoch: int = 0,
    after_hash: str | None = None,
) -> AuditRow:
    """Return the link that follows a head; without `after_hash` the engine's state stays."""
    return link(
        user_id=head.user_id,
        seq=head.audit_seq + 1,
        at_ms=at_ms,
        epoch=epoch,
        actor=actor,
        cause=cause,
        before_hash=head.state_hash,
        after_hash=head.state_hash if after_hash is None else after_hash,
        detail=detail,
        prev_hash=head.audit_hash,
    )
