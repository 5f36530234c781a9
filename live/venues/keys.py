"""Where a user's exchange key comes from: a file of this machine, or a table in memory.

The file is a JSON object, user's name or id to `{"key": ..., "secret": ...}`, readable by its owner
alone. It is read anew at every question, so a changed key needs no restart.
"""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import msgspec

from engine.errors import DataError

FILE_BYTES_MAX = 1_000_000


@dataclass(frozen=True, slots=True)
class Key:
    """An exchange key. Its secret shows nowhere."""

    api_key: str
    secret: str = field(repr=False)


class Keys(Protocol):
    """Gives keys."""

    def of(self, user_id: str, name: str) -> Key | None:
        """Return a user's key; None: there is none."""
        ...


class MemoryKeys:
    """Keys of simulated accounts."""

    def __init__(self, keys: Mapping[str, Key] | None = None) -> None:
        self._keys = dict(keys or {})

    def put(self, user_id: str, key: Key) -> None:
        """Keep a key."""
        self._keys[user_id] = key

    def of(self, user_id: str, name: str) -> Key | None:
        """Return a user's key."""
        return self._keys.get(user_id) or self._keys.get(name)


class _Entry(msgspec.Struct, frozen=True):
    key: str
    secret: str


_read = msgspec.json.Decoder(dict[str, _Entry]).decode


class KeyFile:
    """Keys in a file.

    Parameters
    ----------
    path : Path
        Mode 0600: a file that others may read holds no secrets.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def of(self, user_id: str, name: str) -> Key | None:
        """Return a user's key, by id or by name.

        Raises
        ------
        DataError
            The file cannot be read, is open to others, or is no file of keys. Never repeats it.
        """
        entries = self._entries()
        entry = entries.get(user_id) or entries.get(name)
        return None if entry is None else Key(entry.key, entry.secret)

    def all(self) -> dict[str, Key]:
        """Return every key, as `of` does."""
        return {user: Key(e.key, e.secret) for user, e in self._entries().items()}

    def wrong(self) -> str:
        """Return what is wrong with the file, "" for nothing."""
        try:
            self._entries()
        except DataError as error:
            return f"{error.what}: {error.why}" if error.why else error.what
        return ""

    def _entries(self) -> dict[str, _Entry]:
        try:
            fd = os.open(self.path, os.O_RDONLY)
        except OSError as error:
            raise DataError(
                f"the keys file {self.path} cannot be read",
                why=error.strerror or "",
                hint="ZION_KEYS_FILE names it",
            ) from None
        with os.fdopen(fd, "rb") as file:
            mode = stat.S_IMODE(os.fstat(fd).st_mode)
            if mode & 0o077:
                raise DataError(
                    f"the keys file {self.path} is open to others",
                    why=f"its mode is {mode:04o}",
                    hint=f"chmod 600 {self.path}",
                )
            raw = file.read(FILE_BYTES_MAX)
        try:
            return _read(raw)
        except msgspec.DecodeError:
            # the decoder's words could repeat a part of the text
            raise DataError(
                f"{self.path} is no keys file", hint='{"NAME": {"key": "...", "secret": "..."}}'
            ) from None


def write_keys(path: Path, keys: Mapping[str, Key]) -> None:
    """Write keys of simulated accounts to a file, whole or not at all, mode 0600."""
    path.parent.mkdir(parents=True, exist_ok=True)
    body = msgspec.json.encode({user: _Entry(k.api_key, k.secret) for user, k in keys.items()})
    draft = path.with_name(path.name + ".new")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "wb") as file:
        os.fchmod(fd, 0o600)
        file.write(body)
    draft.replace(path)
