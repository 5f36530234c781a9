"""Leases of all users of this process: taken one by one, kept in bulk, given back in the end.

The store's clock decides who holds a lease. What this process believes of it ends earlier: counted
on its own monotonic clock from before the request was sent, less a margin.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from data.records.port import Store
from data.records.rows import Lease, LeaseHeld, Unavailable
from live.clock import Clock, Late, within


@dataclass(frozen=True, slots=True)
class LeaseOptions:
    """Timings, seconds."""

    ttl_s: float = 15.0
    renew_s: float = 4.0
    margin_s: float = 2.0  # our belief ends so much before the store's
    deadline_s: float = 3.0


@dataclass(slots=True)
class Held:
    """A lease as this process believes it."""

    lease: Lease
    until_s: float  # monotonic


OnLease = Callable[[str, int, float], None]  # user, epoch, until
OnLost = Callable[[str, str], None]  # user, why


class LeaseKeeper:
    """Takes, keeps and gives back.

    Parameters
    ----------
    holder : str
        This process.
    on_lease : callable
        Told of every taking and renewal: (user, epoch, until).
    on_lost : callable
        Told that another process holds a user now.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        holder: str,
        *,
        on_lease: OnLease,
        on_lost: OnLost,
        options: LeaseOptions = LeaseOptions(),
    ) -> None:
        self.held: dict[str, Held] = {}
        self.away = ""
        self._store = store
        self._clock = clock
        self._holder = holder
        self._on_lease = on_lease
        self._on_lost = on_lost
        self._options = options

    async def acquire(self, user_id: str) -> Lease | LeaseHeld | Unavailable:
        """Take a user's lease if it is free."""
        asked_s = self._clock.monotonic_s()
        try:
            said = await within(
                self._clock,
                self._store.acquire(user_id, self._holder, int(self._options.ttl_s * 1000)),
                self._options.deadline_s,
            )
        except Late:
            return Unavailable(reason="the store does not answer", kind="down")
        if isinstance(said, Lease):
            self._take(said, asked_s)
        return said

    def _take(self, lease: Lease, asked_s: float) -> None:
        until_s = asked_s + self._options.ttl_s - self._options.margin_s
        self.held[lease.user_id] = Held(lease, until_s)
        self._on_lease(lease.user_id, lease.epoch, until_s)

    async def run(self) -> NoReturn:
        """Renew for ever."""
        while True:
            await self._clock.sleep(self._options.renew_s)
            await self.renew()

    async def renew(self) -> None:
        """Renew all leases in one call."""
        leases = [held.lease for held in self.held.values()]
        if not leases:
            return
        asked_s = self._clock.monotonic_s()
        ttl_ms = int(self._options.ttl_s * 1000)
        try:
            said = await within(
                self._clock, self._store.renew(leases, ttl_ms), self._options.deadline_s
            )
        except Late:
            said = Unavailable(reason="the store does not answer", kind="down")
        except Exception as error:  # noqa: BLE001 - what we hold ends by itself; trades are managed
            said = Unavailable(reason=f"the store broke ({type(error).__name__})", kind="down")
        if isinstance(said, Unavailable):
            self.away = said.reason or said.kind  # what we hold ends by itself
            return
        self.away = ""
        for lease, answer in zip(leases, said, strict=True):
            held = self.held.get(lease.user_id)
            if held is None or held.lease.epoch != lease.epoch:
                continue  # released, or taken anew, meanwhile
            if isinstance(answer, Lease):
                self._take(answer, asked_s)
            else:
                self.lose(lease.user_id, f"held by another process ({answer.holder})")

    def lose(self, user_id: str, why: str) -> None:
        """Know that a lease is another's."""
        if self.held.pop(user_id, None) is not None:
            self._on_lost(user_id, why)

    async def release(self, *users: str) -> None:
        """Give leases back; without a name all of them. Best effort: they end by themselves."""
        chosen = users or tuple(self.held)
        leases = [held.lease for u in chosen if (held := self.held.pop(u, None)) is not None]
        if not leases:
            return
        try:
            await within(self._clock, self._store.release(leases), self._options.deadline_s)
        except Late:
            return
