"""A user's books, written by commits and read by whoever shows them."""

from collections.abc import Iterator
from typing import Any

import msgspec
from sqlalchemy import Connection, Select, delete, select

from data.records import tables as t
from data.records.chain import canonical
from data.records.judge import Writes
from data.records.rows import AuditRow, ExecutionRow, IntentRow, LedgerRow, TraceRow
from data.records.sql.words import facts, many
from engine.account.commands import DayRecord, TradeRecord, VerdictRecord

_Checks = tuple[tuple[str, str, str], ...]


def trade_facts(writes: Writes) -> Iterator[dict[str, Any]]:
    """Yield the rows of a commit's trades."""
    commit = writes.commit
    for n, record in enumerate(writes.trades.values()):
        yield {
            **facts(record),
            "user_id": commit.user_id,
            "detail": canonical(record.detail),
            "made_version": commit.version + 1,
            "made_n": n,
        }


def verdict_facts(writes: Writes) -> Iterator[dict[str, Any]]:
    """Yield the rows of a commit's verdicts."""
    commit = writes.commit
    for n, record in enumerate(writes.verdicts):
        yield {
            **facts(record),
            "user_id": commit.user_id,
            "checks": canonical(record.checks),
            "version": commit.version + 1,
            "n": n,
        }


def _after(table: Any, user_id: str, after_seq: int, limit: int) -> Select[Any]:
    mine = select(table).where(table.c.user_id == user_id, table.c.seq > after_seq)
    return mine.order_by(table.c.seq).limit(limit)


def audit(c: Connection, user_id: str, after_seq: int, limit: int) -> list[AuditRow]:
    """Return links of the chain in order."""
    return many(AuditRow, c, _after(t.audit, user_id, after_seq, limit))


def trace(c: Connection, user_id: str, after_seq: int, limit: int) -> list[TraceRow]:
    """Return the recording in order."""
    return many(TraceRow, c, _after(t.traces, user_id, after_seq, limit))


def ledger(c: Connection, user_id: str, after_seq: int, limit: int) -> list[LedgerRow]:
    """Return the money's books in the order they were written."""
    return many(LedgerRow, c, _after(t.ledger, user_id, after_seq, limit))


def executions(c: Connection, user_id: str, since_ms: int, limit: int) -> list[ExecutionRow]:
    """Return executions, oldest first."""
    x = t.executions.c
    mine = select(t.executions).where(x.user_id == user_id, x.exec_time >= since_ms)
    return many(ExecutionRow, c, mine.order_by(x.exec_time, x.exec_id).limit(limit))


def intents(c: Connection, user_id: str, trade_id: str) -> list[IntentRow]:
    """Return every intent of a trade in the order they were made."""
    i = t.intents.c
    mine = select(t.intents).where(i.user_id == user_id, i.trade_id == trade_id)
    return many(IntentRow, c, mine.order_by(i.created_ms, i.link_id))


def trades(c: Connection, user_id: str, limit: int) -> list[TradeRecord]:
    """Return trades, the one written first last."""
    x = t.trades.c
    mine = select(t.trades).where(x.user_id == user_id)
    newest = mine.order_by(x.made_version.desc(), x.made_n.desc()).limit(limit)
    return [
        _record(TradeRecord, row, detail=msgspec.json.decode(row.detail))
        for row in c.execute(newest)
    ]


def verdicts(c: Connection, user_id: str, limit: int) -> list[VerdictRecord]:
    """Return verdicts, newest first."""
    v = t.verdicts.c
    mine = select(t.verdicts).where(v.user_id == user_id)
    newest = mine.order_by(v.version.desc(), v.n.desc()).limit(limit)
    return [
        _record(VerdictRecord, row, checks=msgspec.json.decode(row.checks, type=_Checks))
        for row in c.execute(newest)
    ]


def days(c: Connection, user_id: str, limit: int) -> list[DayRecord]:
    """Return days, newest first."""
    d = t.days.c
    newest = select(t.days).where(d.user_id == user_id).order_by(d.day.desc()).limit(limit)
    return [_record(DayRecord, row) for row in c.execute(newest)]


def _record(kind: Any, row: Any, **given: Any) -> Any:
    fields = {name: getattr(row, name) for name in kind.__struct_fields__}
    return kind(**{**fields, **given})


# ---------------------------------------------------------------------------- retention


def prune_traces(c: Connection, before_ms: int) -> int:
    """Forget recordings older than `before_ms`."""
    return c.execute(delete(t.traces).where(t.traces.c.at_ms < before_ms)).rowcount


def prune_outbox(c: Connection, before_ms: int) -> int:
    """Forget what is settled and older."""
    o = t.outbox.c
    old = delete(t.outbox).where(o.state != "waiting", o.created_ms < before_ms)
    return c.execute(old).rowcount
