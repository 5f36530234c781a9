"""Notifications on their way."""

from sqlalchemy import Connection, or_, select, update

from data.records import tables as t
from data.records.people import outbox_state
from data.records.rows import OutboxRow
from data.records.sql.words import many

_o = t.outbox.c


def outbox(c: Connection, limit: int, now_ms: int, wait_max_ms: int) -> list[OutboxRow]:
    """Return what waits and is due, oldest first."""
    is_due = or_(_o.next_ms <= now_ms, _o.next_ms > now_ms + wait_max_ms)
    due = select(t.outbox).where(_o.state == "waiting", is_due)
    ordered = due.order_by(_o.created_ms, _o.user_id, _o.event_id).limit(limit)
    return many(OutboxRow, c, ordered)


def outbox_done(
    c: Connection, user_id: str, event_id: str, *, delivered: bool, attempts: int, next_ms: int
) -> None:
    """Write down a delivery or a failure; what is settled stays settled."""
    mine = (_o.user_id == user_id, _o.event_id == event_id, _o.state == "waiting")
    state = outbox_state(delivered=delivered, next_ms=next_ms)
    values: dict[str, object] = {"state": state, "attempts": attempts}
    if state == "waiting":
        values["next_ms"] = next_ms
    c.execute(update(t.outbox).where(*mine).values(values))
