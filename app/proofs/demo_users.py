"""The demo's two users, and what their engines do, told on the terminal."""

import shutil
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import msgspec

from app.dashboard import format as f
from app.dashboard import words
from app.ids import new_id
from data.records.port import Store
from data.records.rows import OutboxRow, SettingsRow, Unavailable, UserRow
from engine.account.commands import AlertRecord
from engine.account.settings import CAREFUL, STANDARD
from engine.errors import DataError

# Invented markets fall together, and Standard waits then: ada does not, so that there is a trade.
_BOLD = msgspec.structs.replace(
    STANDARD, risk=msgspec.structs.replace(STANDARD.risk, regime_filter=False)
)
USERS = (("ada", "standard, in falling markets too", _BOLD), ("bob", "careful", CAREFUL))
_alert = msgspec.json.Decoder(AlertRecord).decode


class Teller(Protocol):
    """Where the demo speaks (`app.cli.out.Out`)."""

    def stage(self, name: str) -> AbstractContextManager[Any]: ...  # noqa: D102
    def say(self, text: str = "") -> None: ...  # noqa: D102
    def log(self, text: str) -> None: ...  # noqa: D102


def forget_accounts(home: Path) -> None:
    """Remove what the engines of an earlier run kept: the simulator has forgotten it too."""
    for path in [*home.glob("zion.db*"), home / "sim-keys.json"]:
        path.unlink(missing_ok=True)
    shutil.rmtree(home / "journal", ignore_errors=True)


async def add_demo_users(store: Store, at_ms: int) -> list[str]:
    """Make the two users; returns who they are, in words."""
    for name, _, settings in USERS:
        user = UserRow(user_id=new_id(), name=name, mode="sim", created_ms=at_ms)
        body = msgspec.json.encode(settings)
        row = SettingsRow(user_id=user.user_id, version=1, body=body, created_ms=at_ms)
        wrong = await store.add_user(user, row)
        if wrong is not None:
            raise DataError("the demo's users cannot be made", why=wrong.reason)
    return [f"{name} ({preset})" for name, preset, _ in USERS]


class TellingNotifier:
    """Says on the terminal what an engine has to tell."""

    def __init__(self, tell: Teller, store: Store) -> None:
        self._tell = tell
        self._store = store
        self._names: dict[str, str] = {}

    async def tell(self, row: OutboxRow) -> str:
        """Write one line; never fails."""
        if row.user_id not in self._names:
            users = await self._store.users()
            if not isinstance(users, Unavailable):
                self._names = {user.user_id: user.name for user in users}
        alert = _alert(row.body)
        who = self._names.get(row.user_id, "")
        coin = words.short(alert.symbol) if alert.symbol else ""
        self._tell.say(f"{f.day_clock(row.created_ms):>12}  {coin:<8}  {who:<6} {alert.words}")
        return ""


class Quiet:
    """A log that tells errors alone: the terminal belongs to the story."""

    def __init__(self, tell: Teller) -> None:
        self._tell = tell

    def info(self, event: str, **facts: Any) -> None:
        """Say nothing."""

    def warning(self, event: str, **facts: Any) -> None:
        """Say nothing."""

    def error(self, event: str, **facts: Any) -> None:
        """Say what went wrong."""
        told = " ".join(f"{name}={value}" for name, value in facts.items())
        self._tell.log(f"  ! {event} {told}".rstrip())
