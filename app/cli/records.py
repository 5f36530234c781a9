"""The store behind a command: opened, asked page by page, closed; its trouble as an error."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from data.records.rows import TraceRow, Unavailable, UserRow
from engine.errors import DataError, UsageError

if TYPE_CHECKING:
    from data.records.port import Store

T = TypeVar("T")
_PAGE_ROWS = 5_000
ROWS_MAX = 1_000_000  # of a list read at once; more than one user makes in years


@contextlib.asynccontextmanager
async def opened() -> "AsyncIterator[Store]":
    """Open the store that the settings name, close it at the end."""
    from live.compose import open_store
    from live.settings import load_settings

    store = await open_store(load_settings().settings)
    try:
        yield store
    finally:
        await store.close()


def had(value: "T | Unavailable") -> T:
    """Return what the store gave.

    Raises
    ------
    DataError
        It could not give it.
    """
    if isinstance(value, Unavailable):
        raise DataError(
            f"the database does not answer: {value.kind}",
            why=value.reason,
            hint="zion doctor says what is wrong with it",
        )
    return value


async def chosen_users(store: "Store", wanted: str) -> Sequence[UserRow]:
    """Return the user of a name or an id; every user for ""."""
    users = had(await store.users())
    if not wanted:
        return users
    found = [u for u in users if wanted in {u.user_id, u.name}]
    if not found:
        raise UsageError(f"no user {wanted!r}", hint="zion user list")
    if len(found) > 1:
        raise UsageError(f"{len(found)} users are called {wanted!r}", hint="give the id instead")
    return found


async def pages(store: "Store", user_id: str, after_seq: int = 0) -> AsyncIterator[TraceRow]:
    """Yield a user's whole recording, a page at a time."""
    while rows := had(await store.trace(user_id, after_seq, _PAGE_ROWS)):
        for row in rows:
            yield row
        after_seq = rows[-1].seq
