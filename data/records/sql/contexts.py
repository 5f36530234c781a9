"""Coin contexts: no user's, the market layer's."""

from collections.abc import Sequence

from sqlalchemy import Connection, select

from data.records import tables as t
from data.records.rows import ContextRow
from data.records.sql.words import facts, many, run_many, upsert

_UPSERT = upsert(t.contexts)


def save_contexts(c: Connection, rows: Sequence[ContextRow]) -> None:
    """Write contexts."""
    run_many(c, _UPSERT, [facts(row) for row in rows])


def contexts(c: Connection, profile: str, interval: str) -> list[ContextRow]:
    """Return every context of a profile, by symbol."""
    x = t.contexts.c
    query = select(t.contexts).where(x.profile == profile, x.interval == interval)
    return many(ContextRow, c, query.order_by(x.symbol))
