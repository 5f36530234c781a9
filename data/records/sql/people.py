"""Users, settings, switches and wishes: what people write, without a lease."""

from sqlalchemy import Connection, insert, select, update

from data.records import people as rules
from data.records import tables as t
from data.records.judge import Head
from data.records.rows import AuditRow, ControlRow, SettingsRow, Unavailable, UserRow
from data.records.sql.engines import lock_head
from data.records.sql.words import facts, insert_once, many, one, run_many

_NEW_USER = insert_once(t.users)
_NEW_CONTROL = insert_once(t.controls)


def users(c: Connection) -> list[UserRow]:
    """Return every user, oldest first; the platform is none."""
    u = t.users.c
    query = select(t.users).where(u.user_id != "").order_by(u.created_ms, u.user_id)
    return many(UserRow, c, query)


def add_user(c: Connection, user: UserRow, settings: SettingsRow) -> Unavailable | None:
    """Make a user; the same call again changes nothing."""
    wrong = rules.wrong_user(user, settings)
    if wrong is not None:
        return wrong
    new = c.execute(_NEW_USER[c.dialect.name], facts(user)).rowcount == 1
    if new:
        head = Head(user_id=user.user_id)
        c.execute(insert(t.engines), {**facts(head), "state": None, "checksum": ""})
        c.execute(insert(t.settings), facts(settings))
        _append(c, rules.user_link(head, user, settings))
    return None


def add_settings(c: Connection, row: SettingsRow) -> Unavailable | None:
    """Add the version after the newest; the same row again changes nothing."""
    head = lock_head(c, row.user_id)
    s = t.settings.c
    query = select(t.settings).where(s.user_id == row.user_id)
    found = many(SettingsRow, c, query.order_by(s.version.desc()).limit(1))
    newest = found[0] if found else None
    wrong = rules.wrong_settings(row, newest)
    if wrong is not None or head is None or row == newest:
        return wrong
    c.execute(insert(t.settings), facts(row))
    _append(c, rules.settings_link(head, row))
    return None


def settings(c: Connection, user_id: str, version: int) -> SettingsRow | None:
    """Return one version."""
    s = t.settings.c
    query = select(t.settings).where(s.user_id == user_id, s.version == version)
    return one(SettingsRow, c, query)


def set_kill(
    c: Connection, user_id: str, *, killed: bool, generation: int, actor: str, at_ms: int
) -> UserRow | Unavailable:
    """Write the switch and its link."""
    head = lock_head(c, user_id)
    user = one(UserRow, c, select(t.users).where(t.users.c.user_id == user_id))
    if head is None or user is None:
        return Unavailable(reason=f"no user {user_id!r}", kind="corrupt")
    after = rules.clicked(user, killed=killed, generation=generation)
    if after != user:
        values = {"killed": after.killed, "kill_generation": after.kill_generation}
        c.execute(update(t.users).where(t.users.c.user_id == user_id).values(values))
        _append(c, rules.kill_link(head, after, actor=actor, at_ms=at_ms))
    return after


def platform_kill(c: Connection) -> tuple[bool, int]:
    """Return the platform's switch."""
    u = t.users.c
    row = c.execute(select(u.killed, u.kill_generation).where(u.user_id == "")).one()
    return row.killed, row.kill_generation


def _append(c: Connection, row: AuditRow) -> None:
    c.execute(insert(t.audit), facts(row))
    values = {"audit_seq": row.seq, "audit_hash": row.hash}
    c.execute(update(t.engines).where(t.engines.c.user_id == row.user_id).values(values))


# ---------------------------------------------------------------------------- wishes


def add_control(c: Connection, row: ControlRow) -> Unavailable | None:
    """Write a wish; the same one again changes nothing."""
    known = select(t.users.c.user_id).where(t.users.c.user_id == row.user_id)
    if not row.user_id or c.execute(known).one_or_none() is None:
        return Unavailable(reason=f"no user {row.user_id!r}", kind="corrupt")
    run_many(c, _NEW_CONTROL, [facts(row)])
    return None


def controls(c: Connection, limit: int) -> list[ControlRow]:
    """Return what waits, oldest first."""
    x = t.controls.c
    waiting = select(t.controls).where(x.taken_ms == 0)
    ordered = waiting.order_by(x.at_ms, x.user_id, x.control_id).limit(limit)
    return many(ControlRow, c, ordered)


def control(c: Connection, user_id: str, control_id: str) -> ControlRow | None:
    """Return one wish, taken or not."""
    x = t.controls.c
    query = select(t.controls).where(x.user_id == user_id, x.control_id == control_id)
    return one(ControlRow, c, query)


def control_done(
    c: Connection, user_id: str, control_id: str, *, taken_ms: int, answer: str
) -> None:
    """Write down that a wish was taken, once."""
    x = t.controls.c
    mine = (x.user_id == user_id, x.control_id == control_id, x.taken_ms == 0)
    c.execute(update(t.controls).where(*mine).values(taken_ms=taken_ms, answer=answer))
