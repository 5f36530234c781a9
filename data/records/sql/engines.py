"""Loading an engine and writing its decisions, one by one or in groups."""

import hashlib
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, tuple_, update

from data.records import tables as t
from data.records.errors import CorruptRow
from data.records.judge import Head, View, Writes, judge
from data.records.rows import (
    TERMINAL,
    Commit,
    CommitOutcome,
    IntentRow,
    SettingsRow,
    Stored,
    Unavailable,
    UserRow,
)
from data.records.sql.records import trade_facts, verdict_facts
from data.records.sql.words import chunks, facts, insert_once, many, one, run_many, upsert
from engine.account.commands import ExecutionRecord

_HEAD = (
    t.engines.c.user_id,
    t.engines.c.version,
    t.engines.c.state_hash,
    t.engines.c.audit_seq,
    t.engines.c.audit_hash,
    t.engines.c.ledger_seq,
    t.engines.c.ledger_usdt,
    t.engines.c.trace_seq,
)
_WAITING = sorted({"new", "sent", "unknown", "placed"})
assert not TERMINAL & set(_WAITING)  # noqa: S101 - a new state must be placed by whoever adds it


def load(c: Connection, user_id: str) -> Stored | None:
    """Return what an engine starts from."""
    if not user_id:
        return None
    user = one(UserRow, c, select(t.users).where(t.users.c.user_id == user_id))
    if user is None:
        return None
    newest = (
        select(t.settings)
        .where(t.settings.c.user_id == user_id)
        .order_by(t.settings.c.version.desc())
        .limit(1)
    )
    waiting = (
        select(t.intents)
        .where(t.intents.c.user_id == user_id, t.intents.c.state.in_(_WAITING))
        .order_by(t.intents.c.created_ms, t.intents.c.link_id)
    )
    head = c.execute(select(t.engines).where(t.engines.c.user_id == user_id)).one()
    if head.checksum != checksum(user_id, head.version, head.state, head.state_hash):
        raise CorruptRow(f"the stored state of user {user_id} was changed from outside")
    return Stored(
        user=user,
        settings=many(SettingsRow, c, newest)[0],
        state=head.state,
        version=head.version,
        state_hash=head.state_hash,
        intents=tuple(many(IntentRow, c, waiting)),
        audit_seq=head.audit_seq,
        audit_hash=head.audit_hash,
    )


def version_of(c: Connection, user_id: str) -> tuple[int, str]:
    """Return (version, state_hash) as stored."""
    columns = (t.engines.c.version, t.engines.c.state_hash)
    row = c.execute(select(*columns).where(t.engines.c.user_id == user_id)).one_or_none()
    return (row.version, row.state_hash) if row else (0, "")


def chain_head(c: Connection, user_id: str) -> tuple[int, str]:
    """Return (seq, hash) of the newest link as the head names it."""
    columns = (t.engines.c.audit_seq, t.engines.c.audit_hash)
    row = c.execute(select(*columns).where(t.engines.c.user_id == user_id)).one_or_none()
    return (row.audit_seq, row.audit_hash) if row else (0, "")


def checksum(user_id: str, version: int, state: bytes | None, state_hash: str) -> str:
    """Return the row's own hash; "" of an engine that never ran."""
    if state is None:
        return ""
    head = f"{user_id}|{version}|{state_hash}|".encode()
    return hashlib.sha256(head + state).hexdigest()


# ---------------------------------------------------------------------------- commits


def commit_many(c: Connection, commits: Sequence[Commit]) -> list[CommitOutcome]:
    """Judge each against what is stored and what went before it; write what holds."""
    views = _views(c, commits)
    outcomes: list[CommitOutcome] = []
    accepted: list[Writes] = []
    for commit in commits:
        view = views.get(commit.user_id)
        if view is None:
            outcomes.append(Unavailable(reason=f"no user {commit.user_id!r}", kind="corrupt"))
            continue
        judged = judge(view, commit)
        if isinstance(judged, Writes):
            views[commit.user_id] = judged.after
            accepted.append(judged)
            outcomes.append(judged.outcome)
        else:
            outcomes.append(judged)
    _write(c, accepted)
    return outcomes


def lock_head(c: Connection, user_id: str) -> Head | None:
    """Return one user's head, locked until the transaction ends."""
    query = select(*_HEAD).where(t.engines.c.user_id == user_id).with_for_update()
    return one(Head, c, query)


def _views(c: Connection, commits: Sequence[Commit]) -> dict[str, View]:
    users = {commit.user_id for commit in commits if commit.user_id}
    heads: dict[str, Head] = {}
    epochs: dict[str, int] = {}
    e, leases = t.engines.c.user_id, t.leases.c
    # Everybody locks heads first, then leases, each in the order of the user's id: no deadlocks.
    for some in chunks(users):
        query = select(*_HEAD).where(e.in_(some)).order_by(e).with_for_update()
        heads.update((head.user_id, head) for head in many(Head, c, query))
    for some in chunks(users):
        held = select(leases.user_id, leases.epoch).where(leases.user_id.in_(some))
        locked = held.order_by(leases.user_id).with_for_update(read=True)
        epochs.update((row.user_id, row.epoch) for row in c.execute(locked))
    states = _intent_states(c, commits)
    known = _known_executions(c, commits)
    return {
        user: View(head, epochs.get(user, 0), states.get(user, {}), known.get(user, set()))
        for user, head in heads.items()
    }


def _intent_states(c: Connection, commits: Sequence[Commit]) -> dict[str, dict[str, str]]:
    i = t.intents.c
    found: dict[str, dict[str, str]] = {}
    for some in chunks((x.user_id, row.link_id) for x in commits for row in x.intents):
        pairs = tuple_(i.user_id, i.link_id).in_(some)
        for row in c.execute(select(i.user_id, i.link_id, i.state).where(pairs)):
            found.setdefault(row.user_id, {})[row.link_id] = row.state
    return found


def _known_executions(c: Connection, commits: Sequence[Commit]) -> dict[str, set[str]]:
    x = t.executions.c
    named = (
        (commit.user_id, record.exec_id)
        for commit in commits
        for record in commit.records
        if isinstance(record, ExecutionRecord)
    )
    found: dict[str, set[str]] = {}
    for some in chunks(named):
        pairs = tuple_(x.user_id, x.exec_id).in_(some)
        for row in c.execute(select(x.user_id, x.exec_id).where(pairs)):
            found.setdefault(row.user_id, set()).add(row.exec_id)
    return found


_UPSERT_INTENT = upsert(t.intents)
_UPSERT_TRADE = upsert(t.trades, keep=("made_version", "made_n"))
_UPSERT_DAY = upsert(t.days)
_INSERT_ALERT = insert_once(t.outbox)
_MOVE_HEAD = update(t.engines).where(t.engines.c.user_id == bindparam("of_user"))


def _write(c: Connection, accepted: Sequence[Writes]) -> None:
    run_many(c, _UPSERT_INTENT, [facts(r) for w in accepted for r in w.intents.values()])
    run_many(c, insert(t.executions), [facts(r) for w in accepted for r in w.executions])
    run_many(c, insert(t.ledger), [facts(r) for w in accepted for r in w.ledger])
    run_many(c, _UPSERT_TRADE, [row for w in accepted for row in trade_facts(w)])
    run_many(c, insert(t.verdicts), [row for w in accepted for row in verdict_facts(w)])
    days = [
        {"user_id": w.commit.user_id, **facts(day)} for w in accepted for day in w.days.values()
    ]
    run_many(c, _UPSERT_DAY, days)
    run_many(c, _INSERT_ALERT, [facts(r) for w in accepted for r in w.outbox.values()])
    run_many(c, insert(t.audit), [facts(r) for w in accepted for r in w.audit])
    run_many(c, insert(t.traces), [facts(r) for w in accepted for r in w.traces])
    newest = {w.commit.user_id: w for w in accepted}  # of several, the last
    run_many(c, _MOVE_HEAD, [_moved(newest[user]) for user in sorted(newest)])


def _moved(writes: Writes) -> dict[str, Any]:
    head, commit = facts(writes.after.head), writes.commit
    user_id = head.pop("user_id")
    sum_ = checksum(user_id, head["version"], commit.state, commit.state_hash)
    return {"of_user": user_id, "state": commit.state, "checksum": sum_, **head}
