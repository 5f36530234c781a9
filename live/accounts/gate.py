"""Whether an entry may leave this process now: the last look before the wire.

`decide` has its own say, in the transaction. This one is for what happens after it: a kill, a lost
lease, a drain between the commit and the send. Stops and closes never ask here.
"""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from live.clock import Clock

T = TypeVar("T")


class EntryGate:
    """One user's gate for entries.

    Parameters
    ----------
    clock : Clock
        Its monotonic scale is that of `lease`.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lease_until_s = float("-inf")
        self.epoch = 0
        self._shut: dict[str, str] = {}  # cause -> words
        self._under_way: set[asyncio.Future[None]] = set()

    # ------------------------------------------------------------------ causes

    def lease(self, epoch: int, until_s: float) -> None:
        """Hold the lease of this epoch until then, unless it is renewed."""
        if epoch < self.epoch:
            return
        self.epoch, self._lease_until_s = epoch, until_s

    def lose_lease(self) -> None:
        """Know that somebody else may write for this user."""
        self._lease_until_s = float("-inf")
        self._recall()

    def shut(self, cause: str, words: str) -> None:
        """Let no entry out for this cause; what waits to be sent is recalled."""
        self._shut[cause] = words
        self._recall()

    def open(self, cause: str) -> None:
        """Take a cause back."""
        self._shut.pop(cause, None)

    def is_shut(self, cause: str) -> bool:
        """Tell whether a cause stands."""
        return cause in self._shut

    @property
    def leased(self) -> bool:
        """Tell whether the lease holds at this moment."""
        return self._clock.monotonic_s() < self._lease_until_s

    def refusal(self) -> str:
        """Return why no entry may be sent now; "" = it may."""
        if not self.leased:
            return "the lease of this user is not held"
        return self.shut_words()

    def shut_words(self) -> str:
        """Return why entries are shut off, the lease apart; "" = they are not."""
        return next(iter(self._shut.values()), "")

    # ------------------------------------------------------------------ sending

    async def send(self, request: Awaitable[T]) -> T | None:
        """Wait for a request of an entry; None: it was recalled, and may or may not have left."""
        sending = asyncio.ensure_future(request)
        recalled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._under_way.add(recalled)
        left_s = self._lease_until_s - self._clock.monotonic_s()
        alarm = self._clock.call_later(max(0.0, left_s), lambda: self._expired(recalled))
        try:
            await asyncio.wait([sending, recalled], return_when=asyncio.FIRST_COMPLETED)
            return sending.result() if sending.done() else None
        finally:
            alarm.cancel()
            self._under_way.discard(recalled)
            recalled.cancel()
            if not sending.done():
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)

    def _expired(self, recalled: "asyncio.Future[None]") -> None:
        if recalled.done():
            return
        if self.leased:  # renewed meanwhile
            left_s = self._lease_until_s - self._clock.monotonic_s()
            self._clock.call_later(left_s, lambda: self._expired(recalled))
            return
        recalled.set_result(None)

    def _recall(self) -> None:
        for recalled in list(self._under_way):
            if not recalled.done():
                recalled.set_result(None)
