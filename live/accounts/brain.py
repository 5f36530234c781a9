"""The real brain behind the port: `engine.account`, as the executor asks for it."""

from collections.abc import Mapping

import msgspec

from engine.account import messages as m
from engine.account.decide import Decision, decide
from engine.account.facts import bars_from, newest_ms, planned_stops, settings_version, watched
from engine.account.guard import PlannedStop
from engine.account.settings import UserSettings
from engine.account.state import (
    AccountState,
    Corrupt,
    decode_state,
    encode_state,
    fresh,
    hash_of,
)
from engine.errors import DataError


class AccountBrain:
    """`engine.account` as a `Brain`.

    A state is written down and hashed in a row: its bytes are made once.
    """

    def __init__(self) -> None:
        self._written: tuple[AccountState | None, bytes] = (None, b"")

    def fresh(self, user_id: str, version: int) -> AccountState:
        """Return the state of a user who never traded."""
        return fresh(user_id, version)

    def decide(self, state: AccountState, message: m.AnyMessage, params: UserSettings) -> Decision:
        """Decide."""
        return decide(state, message, params)

    def same(self, before: AccountState, after: AccountState) -> bool:
        """Tell whether nothing but time has passed."""
        if before.at_ms != after.at_ms:
            after = msgspec.structs.replace(after, at_ms=before.at_ms)
        return after == before

    def encode(self, state: AccountState) -> bytes:
        """Write a state down."""
        if state is not self._written[0]:  # immutable: the same object has the same bytes
            self._written = (state, encode_state(state))
        return self._written[1]

    def decode(self, raw: bytes) -> AccountState:
        """Read a state.

        Raises
        ------
        DataError
            The bytes are none of this schema.
        """
        read = decode_state(raw)
        if isinstance(read, Corrupt):
            raise DataError("a stored state cannot be read", why=read.reason)
        return read

    def digest(self, state: AccountState) -> str:
        """Return the state's hash."""
        return hash_of(self.encode(state))

    def plans(self, state: AccountState) -> Mapping[str, PlannedStop]:
        """Return where the stops of held positions belong."""
        return planned_stops(state)

    def watched(self, state: AccountState) -> frozenset[str]:
        """Return the coins with a trade or an entry."""
        return watched(state)

    def bars_from(self, state: AccountState) -> Mapping[str, tuple[int, int]]:
        """Return by held coin the interval, and where the next unseen bar begins."""
        return bars_from(state)

    def settings_version(self, state: AccountState) -> int:
        """Return which settings the state has heard of."""
        return settings_version(state)

    def newest_ms(self, state: AccountState) -> int:
        """Return the time of the newest execution booked."""
        return newest_ms(state)
