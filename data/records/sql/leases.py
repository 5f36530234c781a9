"""Leases: who may write for a user. The epoch rises with every taking and never falls."""

from collections.abc import Sequence

from sqlalchemy import Connection, select, text, tuple_, update

from data.records import tables as t
from data.records.rows import Lease, LeaseHeld
from data.records.sql.words import chunks, insert_once, many, run_many

_FIRST = insert_once(t.leases)
# Not now(): that is the transaction's begin, before the lock was waited for.
_SERVER_MS = text(
    "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint".replace(":", "\\:")
)


def _now_ms(c: Connection, given_ms: int) -> int:
    """Return the store's clock: the server's own where there is one, else what was given."""
    if c.dialect.name != "postgresql":
        return given_ms
    return c.execute(_SERVER_MS).scalar_one()


def acquire(
    c: Connection, user_id: str, holder: str, ttl_ms: int, now_ms: int
) -> Lease | LeaseHeld:
    """Take the lease if it is free, over, or the holder's own."""
    free = {"user_id": user_id, "holder": "", "epoch": 0, "expires_ms": 0}
    run_many(c, _FIRST, [free])
    query = select(t.leases).where(t.leases.c.user_id == user_id).with_for_update()
    old = c.execute(query).one()
    now_ms = _now_ms(c, now_ms)  # after the lock was waited for
    if old.holder not in {"", holder} and old.expires_ms > now_ms:
        return LeaseHeld(user_id=user_id, holder=old.holder, expires_ms=old.expires_ms)
    lease = Lease(user_id=user_id, holder=holder, epoch=old.epoch + 1, expires_ms=now_ms + ttl_ms)
    values = {"holder": holder, "epoch": lease.epoch, "expires_ms": lease.expires_ms}
    c.execute(update(t.leases).where(t.leases.c.user_id == user_id).values(values))
    return lease


def renew(
    c: Connection, leases: Sequence[Lease], ttl_ms: int, now_ms: int
) -> list[Lease | LeaseHeld]:
    """Extend leases that nobody else has taken since: all of them by two statements."""
    stored = _lock(c, leases)
    expires_ms = _now_ms(c, now_ms) + ttl_ms
    mine = [x for x in leases if (s := stored.get(x.user_id)) and _same(s, x)]
    _set(c, mine, {"expires_ms": expires_ms})
    kept = {x.user_id for x in mine}
    answers: list[Lease | LeaseHeld] = []
    for lease in leases:
        row = stored.get(lease.user_id)
        if row is None:
            answers.append(LeaseHeld(user_id=lease.user_id, holder="", expires_ms=0))
        elif lease.user_id in kept and _same(row, lease):
            answers.append(
                Lease(
                    user_id=row.user_id,
                    holder=row.holder,
                    epoch=row.epoch,
                    expires_ms=expires_ms,
                )
            )
        else:
            held_ms = expires_ms if row.user_id in kept else row.expires_ms
            answers.append(LeaseHeld(user_id=row.user_id, holder=row.holder, expires_ms=held_ms))
    return answers


def release(c: Connection, leases: Sequence[Lease]) -> None:
    """Give back those that are still ours."""
    stored = _lock(c, leases)
    mine = [x for x in leases if (s := stored.get(x.user_id)) and _same(s, x)]
    _set(c, mine, {"holder": "", "expires_ms": 0})


def all_leases(c: Connection) -> list[Lease]:
    """Return every lease as stored."""
    return many(Lease, c, select(t.leases).order_by(t.leases.c.user_id))


def _same(stored: Lease, lease: Lease) -> bool:
    return (stored.holder, stored.epoch) == (lease.holder, lease.epoch)


def _lock(c: Connection, leases: Sequence[Lease]) -> dict[str, Lease]:
    stored: dict[str, Lease] = {}
    for some in chunks(lease.user_id for lease in leases):
        query = select(t.leases).where(t.leases.c.user_id.in_(some))
        ordered = query.order_by(t.leases.c.user_id).with_for_update()
        stored.update((row.user_id, row) for row in many(Lease, c, ordered))
    return stored


def _set(c: Connection, mine: Sequence[Lease], values: dict[str, object]) -> None:
    keys = tuple_(t.leases.c.user_id, t.leases.c.epoch)
    for some in chunks((lease.user_id, lease.epoch) for lease in mine):
        c.execute(update(t.leases).where(keys.in_(some)).values(values))
