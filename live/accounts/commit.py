"""One user's journal: decisions go to the store, or, while it is away, to the local file.

What a store says decides what may be done: `Written` lets everything be carried out, `Kept` (it is
on the local file only) lets nothing out that takes on risk, `Fenced` ends this engine, `Reload`
means that the stored state is another than the one decided upon.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import NoReturn, TypeVar

import msgspec

from data.records.port import Store
from data.records.rows import (
    Commit,
    CommitOutcome,
    Committed,
    Conflict,
    Fenced,
    Stored,
    Unavailable,
)
from engine.errors import DataError
from live.accounts.ports import Wal
from live.accounts.wal import read_line, write_line
from live.clock import Clock, Late, within

T = TypeVar("T")

COMMIT_S = 2.0  # a store that has not answered by then is away
READ_S = 1.0
GROUP_S = 5.0  # after it a transaction is given up, and nobody knows what became of it
GROUP_MAX = 500  # commits in one transaction
_RETRIES = 3
_RETRY_S = 0.05


@dataclass(frozen=True, slots=True)
class Written:
    """The store has it."""

    version: int


@dataclass(frozen=True, slots=True)
class Kept:
    """The store is away; the local file has it (`on_disk`), or only memory."""

    version: int
    on_disk: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Reload:
    """Another state is stored: decide anew upon that one."""

    version: int


class Group:
    """Commits of many users in one transaction: what comes while one is written goes with the next.

    A thousand users who heard one signal cost a handful of transactions, not a thousand.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._waiting: deque[tuple[Commit, asyncio.Future[CommitOutcome]]] = deque()
        self._woken = asyncio.Event()
        self.transactions = 0
        self.commits = 0

    async def commit(self, commit: Commit) -> CommitOutcome:
        """Write a commit with others; the outcome is its own."""
        outcome: asyncio.Future[CommitOutcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((commit, outcome))
        self._woken.set()
        return await outcome

    async def run(self) -> NoReturn:
        """Write whatever waits, for ever."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            while self._waiting:
                await self._write(self._next())

    async def _many(self, commits: list[Commit]) -> Sequence[CommitOutcome]:
        if len(commits) == 1:
            return [await self._store.commit(commits[0])]
        return await self._store.commit_many(commits)

    def _next(self) -> list[tuple[Commit, asyncio.Future[CommitOutcome]]]:
        """Take what waits, one commit of a user at most: the second names the first's version."""
        taken: list[tuple[Commit, asyncio.Future[CommitOutcome]]] = []
        users: set[str] = set()
        while self._waiting and len(taken) < GROUP_MAX:
            if self._waiting[0][0].user_id in users:
                break
            commit, outcome = self._waiting.popleft()
            if not outcome.done():  # else its engine is gone
                users.add(commit.user_id)
                taken.append((commit, outcome))
        return taken

    async def _write(self, group: list[tuple[Commit, asyncio.Future[CommitOutcome]]]) -> None:
        if not group:
            return
        self.transactions += 1
        self.commits += len(group)
        outcomes: Sequence[CommitOutcome]
        commits = [commit for commit, _ in group]
        try:
            outcomes = await within(self._clock, self._many(commits), GROUP_S)
        except asyncio.CancelledError:
            for _, outcome in group:
                outcome.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - a store that breaks its word is a store away
            away = Unavailable(reason=repr(error), kind="unknown_commit", maybe_committed=True)
            outcomes = [away] * len(group)
        for (_, outcome), said in zip(group, outcomes, strict=True):
            if not outcome.done():
                outcome.set_result(said)


class Journal:
    """One user's way to write.

    Parameters
    ----------
    store, group : Store and Group
        `group` writes, `store` is read.
    wal : Wal
        Where decisions go while the store is away.
    """

    def __init__(self, user_id: str, store: Store, group: Group, wal: Wal, clock: Clock) -> None:
        self.user_id = user_id
        self.version = 0
        self.epoch = 0
        self.away = ""  # why the store is away; "" = it is there
        self._hash = ""
        self._store = store
        self._group = group
        self._wal = wal
        self._clock = clock
        self._owed: deque[Commit] = deque()  # not in the store yet, oldest first

    @property
    def next_version(self) -> int:
        """The version that the next decision replaces."""
        return self.version + len(self._owed)

    @property
    def owed(self) -> int:
        """How many decisions the store does not have."""
        return len(self._owed)

    # ------------------------------------------------------------------ beginning

    async def load(self, epoch: int) -> Stored | Fenced | Unavailable | None:
        """Return what to start from, after what a local file still holds went to the store."""
        self.epoch = epoch
        stored = await self._read(self._store.load(self.user_id))
        if not isinstance(stored, Stored):
            return stored
        self.version, self._hash = stored.version, stored.state_hash
        self._owed = deque(c for c in map(read_line, self._wal.read()) if c is not None)
        if not self._owed:
            return stored
        self.away = "the local file is not in the store yet"
        said = await self.heal()
        if isinstance(said, Fenced):
            return said
        if self._owed:
            return Unavailable(reason=self.away, kind="down")
        again = await self._read(self._store.load(self.user_id))
        if isinstance(again, Stored):
            self.version, self._hash = again.version, again.state_hash
        return again

    # ------------------------------------------------------------------ writing

    async def write(self, commit: Commit) -> Written | Kept | Reload | Fenced:
        """Write a decision; `version` and `epoch` of the commit are filled in here."""
        commit = msgspec.structs.replace(commit, version=self.next_version, epoch=self.epoch)
        if self.away:
            return self._keep(commit, self.away)
        said = await self._try(commit)
        if isinstance(said, Committed):
            self.version, self._hash = said.version, commit.state_hash
            return Written(said.version)
        if isinstance(said, Fenced):
            return said
        if isinstance(said, Conflict):
            return Reload(said.version)
        if said.kind == "corrupt":
            raise DataError(
                f"a decision of user {self.user_id} cannot be written down", why=said.reason
            )
        self.away = said.reason or said.kind
        return self._keep(commit, self.away)

    def _keep(self, commit: Commit, reason: str) -> Kept:
        self._owed.append(commit)
        try:
            self._wal.append(write_line(commit))
        except OSError as error:
            return Kept(commit.version + 1, on_disk=False, reason=f"{reason}; {error}")
        return Kept(commit.version + 1, on_disk=True, reason=reason)

    async def _try(self, commit: Commit) -> CommitOutcome:
        """Commit, again where that is safe; an outcome nobody knows is read back by version."""
        said: CommitOutcome = _away("not tried")
        for attempt in range(_RETRIES):
            if attempt:
                await self._clock.sleep(_RETRY_S * attempt)
            said = await self._once(commit)
            if not isinstance(said, Unavailable):
                break
            if said.maybe_committed:
                at = await self._read(self._store.version_of(self.user_id))
                if isinstance(at, Unavailable):
                    break
                if at[0] != commit.version:
                    said = Conflict(version=at[0], state_hash=at[1])
                    break
            elif said.kind not in ("locked", "conflict"):
                break
        if isinstance(said, Conflict) and _is_ours(commit, said):
            return Committed(version=said.version, audit_seq=0, audit_hash="")
        return said

    async def _once(self, commit: Commit) -> CommitOutcome:
        try:
            return await within(self._clock, self._group.commit(commit), COMMIT_S)
        except Late:
            return _away("the store does not answer", maybe_committed=True)

    # ------------------------------------------------------------------ healing

    async def heal(self) -> Written | Kept | Reload | Fenced:
        """Bring what is owed to the store, oldest first; `Written` when it has everything."""
        at = await self._read(self._store.version_of(self.user_id))
        if isinstance(at, Unavailable):
            return Kept(self.next_version, on_disk=True, reason=at.reason)
        reached, digest = self.version, self._hash
        while self._owed and self._owed[0].version < at[0]:
            had = self._owed.popleft()
            reached, digest = had.version + 1, had.state_hash
        if (reached, digest) != at:
            return self._set_aside(at[0])
        self.version, self._hash = at
        while self._owed:
            commit = msgspec.structs.replace(self._owed[0], epoch=self.epoch)
            said = await self._try(commit)
            if isinstance(said, Committed):
                self._owed.popleft()
                self.version, self._hash = said.version, commit.state_hash
            elif isinstance(said, Conflict):
                return self._set_aside(said.version)
            elif isinstance(said, Unavailable):
                return Kept(self.next_version, on_disk=True, reason=said.reason)
            else:
                return said
        self._wal.clear()
        self.away = ""
        return Written(self.version)

    def _set_aside(self, version: int) -> Reload:
        """Give up what is owed: another state was written. The venue knows what was traded."""
        self._wal.set_aside()
        self._owed.clear()
        self.away = ""
        return Reload(version)

    async def reload(self) -> Stored | Unavailable | None:
        """Read the stored state again."""
        stored = await self._read(self._store.load(self.user_id))
        if isinstance(stored, Stored):
            self.version, self._hash = stored.version, stored.state_hash
        return stored

    async def _read(self, asked: Awaitable[T]) -> T | Unavailable:
        try:
            return await within(self._clock, asked, READ_S)
        except Late:
            return _away("the store does not answer")


def _away(reason: str, *, maybe_committed: bool = False) -> Unavailable:
    return Unavailable(reason=reason, kind="down", maybe_committed=maybe_committed)


def _is_ours(commit: Commit, said: Conflict) -> bool:
    """Tell a late commit of our own from somebody else's."""
    return (said.version, said.state_hash) == (commit.version + 1, commit.state_hash)
