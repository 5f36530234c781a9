"""Ids of our own making: of users, wishes, processes. Never a host name."""

import uuid


def new_id() -> str:
    """Return an id nobody has had; nothing that is replayed asks for one."""
    return str(uuid.uuid4())  # noqa: TID251 - the one place
