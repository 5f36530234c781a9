"""A store that fails when it is told to, from outside: for what uses a store."""

from collections.abc import Callable
from typing import Any, cast

from data.records.port import Store
from data.records.rows import Commit, Unavailable

# Asked before every call with the method's name and its user ("": none, or many). What it returns:
# None: go on; `Unavailable` without `maybe_committed`: nothing was done; with it: the call is done,
# and its caller is told that nobody knows (F55).
Faults = Callable[[str, str], Unavailable | None]

# These say nothing of trouble: they promise rows, or nothing at all.
_SILENT = frozenset({"release", "outbox_done", "close"})


def faulty(store: Store, faults: Faults) -> Store:
    """Return a store whose every call asks `faults` first and is done by `store`."""
    return cast(Store, _FaultyStore(store, faults))


class _FaultyStore:
    def __init__(self, store: Store, faults: Faults) -> None:
        self._store = store
        self._faults = faults

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        async def call(*args: Any, **named: Any) -> Any:
            first = args[0] if args else ""
            user_id = first.user_id if isinstance(first, Commit) else first
            fault = self._faults(name, user_id if isinstance(user_id, str) else "")
            if fault is None:
                return await method(*args, **named)
            if fault.maybe_committed:
                await method(*args, **named)
            if name in _SILENT:
                return None
            return [fault] * len(first) if name == "commit_many" else fault

        return call
