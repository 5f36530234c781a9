"""What people do to the books without a lease (users, settings, switches), judged on values."""

import hashlib

import msgspec

from data.records.judge import Head, follow
from data.records.rows import AuditRow, SettingsRow, Unavailable, UserRow

PLATFORM = UserRow(user_id="", name="platform")


def wrong_user(user: UserRow, settings: SettingsRow) -> Unavailable | None:
    """Return why this pair is no new user."""
    if not user.user_id:
        return Unavailable(reason="a user needs an id", kind="corrupt")
    if (settings.user_id, settings.version) != (user.user_id, 1):
        return Unavailable(reason="a user starts with version 1 of its settings", kind="corrupt")
    return None


def wrong_settings(row: SettingsRow, newest: SettingsRow | None) -> Unavailable | None:
    """Return why a version cannot follow the newest one; the newest itself may come again."""
    if newest is None:
        return Unavailable(reason=f"no user {row.user_id!r}", kind="corrupt")
    if row == newest or row.version == newest.version + 1:
        return None
    reason = f"version {row.version} does not follow {newest.version}: settings changed meanwhile"
    return Unavailable(reason=reason, kind="conflict")


def clicked(user: UserRow, *, killed: bool, generation: int) -> UserRow:
    """Return the user after a click; in whatever order two clicks come, the same one holds."""
    newer = generation > user.kill_generation
    if not newer and not (generation == user.kill_generation and killed):
        return user
    return msgspec.structs.replace(user, killed=killed, kill_generation=generation)


def outbox_state(*, delivered: bool, next_ms: int) -> str:
    """Return the state after an attempt."""
    if delivered:
        return "delivered"
    return "dead" if next_ms < 0 else "waiting"


def user_link(head: Head, user: UserRow, settings: SettingsRow) -> AuditRow:
    """Return the first link of a user's chain."""
    return follow(
        head,
        at_ms=user.created_ms,
        actor=settings.actor,
        cause="user added",
        detail={"mode": user.mode, "settings": _digest(settings)},
    )


def settings_link(head: Head, row: SettingsRow) -> AuditRow:
    """Return the link of a new version of settings."""
    return follow(
        head,
        at_ms=row.created_ms,
        actor=row.actor,
        cause="settings",
        detail={"version": row.version, "settings": _digest(row)},
    )


def kill_link(head: Head, user: UserRow, *, actor: str, at_ms: int) -> AuditRow:
    """Return the link of a switch thrown."""
    return follow(
        head,
        at_ms=at_ms,
        actor=actor,
        cause="kill" if user.killed else "unkill",
        detail={"generation": user.kill_generation},
    )


def _digest(row: SettingsRow) -> str:
    return hashlib.sha256(row.body).hexdigest()
