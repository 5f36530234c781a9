"""Everything a user's engine needs from outside, as protocols: the composition root gives them.

What is not here is not reached: no clock but `live.clock.Clock`, no file, no socket, no randomness.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from data.records.rows import OutboxRow, UserRow
from engine.account.guard import PlannedStop
from engine.account.messages import RegimeSeen
from engine.account.settings import UserSettings
from engine.account.signal import Quote
from engine.venue.instrument import Instrument
from live.venues.trading import PrivateStream, TradingVenue

# ---------------------------------------------------------------------------- the venue


@dataclass(frozen=True, slots=True)
class Account:
    """One user's way to the venue, open. Its `venue` and `stream` are closed by who opened it."""

    venue: TradingVenue
    stream: PrivateStream
    margin_mode: Callable[[], str] = lambda: ""  # as last read; "" = not known


@dataclass(frozen=True, slots=True)
class NoAccount:
    """A user's account cannot be used: a reason code each, and the words for a person."""

    reasons: tuple[tuple[str, str], ...]
    retryable: bool = False

    @property
    def words(self) -> str:
        """All reasons in one line."""
        return "; ".join(words for _, words in self.reasons)


class Accounts(Protocol):
    """Opens accounts: simulated, paper, demo or real, as the user's mode says."""

    async def open(self, user: UserRow) -> Account | NoAccount:
        """Open one user's account; the key is checked before anything is traded with it."""
        ...

    async def check(self, user: UserRow) -> NoAccount | None:
        """Check the key again; None: it is good."""
        ...


# ---------------------------------------------------------------------------- the market


class MarketFacts(Protocol):
    """What the market layer knows at this moment. Users never touch a public stream."""

    def quote(self, symbol: str) -> Quote | None:
        """Return the newest quote; None: there is none."""
        ...

    def contract(self, symbol: str) -> Instrument | None:
        """Return a coin's rules as last read; None: not known."""
        ...

    def regime(self) -> RegimeSeen | None:
        """Return the market's regime as judged last; None: not yet."""
        ...

    def hold(self, holder: str, symbols: Iterable[str]) -> None:
        """Say which coins a user has at stake: their books are followed."""
        ...


# ---------------------------------------------------------------------------- people


class Notifier(Protocol):
    """Tells people. May be slow, may fail: nothing that trades waits for it."""

    async def tell(self, row: OutboxRow) -> str:
        """Deliver one notification; returns "" or why it could not be delivered."""
        ...


class Log(Protocol):
    """Where an operator reads what happened (structlog's bound logger fits)."""

    def info(self, event: str, **facts: Any) -> Any:
        """Say what happened."""
        ...

    def warning(self, event: str, **facts: Any) -> Any:
        """Say what should be looked at."""
        ...

    def error(self, event: str, **facts: Any) -> Any:
        """Say what went wrong."""
        ...


# ---------------------------------------------------------------------------- files


class Wal(Protocol):
    """An append-only file of one user, mode 0600. What `append` returned from is on disk."""

    def append(self, line: bytes) -> None:
        """Write one line and wait until the disk has it; `OSError` where it cannot."""
        ...

    def read(self) -> Sequence[bytes]:
        """Return every whole line; a torn last one is left out."""
        ...

    def clear(self) -> None:
        """Forget everything: the store has it."""
        ...

    def set_aside(self) -> str:
        """Keep the file under another name, and begin an empty one; returns the name."""
        ...


class Wals(Protocol):
    """Gives each user a file."""

    def of(self, user_id: str) -> Wal:
        """Return a user's file; nothing is opened before it is used."""
        ...


# ---------------------------------------------------------------------------- the pure core


class Deciding(Protocol):
    """What `decide` returns."""

    @property
    def state(self) -> Any:
        """The state after it."""
        ...

    @property
    def commands(self) -> Sequence[Any]:
        """What is wanted done."""
        ...

    @property
    def records(self) -> Sequence[Any]:
        """What is written down with it."""
        ...


class Brain(Protocol):
    """One user's decisions, pure (`engine.account`); a test may give another."""

    def fresh(self, user_id: str, version: int) -> Any:
        """Return the state of a user who never traded, under a version of the settings."""
        ...

    def decide(self, state: Any, message: Any, params: UserSettings) -> Deciding:
        """Decide."""
        ...

    def same(self, before: Any, after: Any) -> bool:
        """Tell whether two states differ by nothing but the time of the newest message."""
        ...

    def encode(self, state: Any) -> bytes:
        """Write a state down."""
        ...

    def decode(self, raw: bytes) -> Any:
        """Read a state."""
        ...

    def digest(self, state: Any) -> str:
        """Return the state's hash."""
        ...

    def plans(self, state: Any) -> Mapping[str, PlannedStop]:
        """Return, by symbol, where the stops of held positions belong."""
        ...

    def watched(self, state: Any) -> frozenset[str]:
        """Return the coins with a trade or an entry: their bars and quotes matter."""
        ...

    def bars_from(self, state: Any) -> Mapping[str, tuple[int, int]]:
        """Return by held coin the interval, and where the next unseen bar begins, ms."""
        ...

    def settings_version(self, state: Any) -> int:
        """Return which version of the settings the state has heard of."""
        ...

    def newest_ms(self, state: Any) -> int:
        """Return the time of the newest execution booked; 0: none."""
        ...
