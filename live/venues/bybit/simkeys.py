"""Keys of simulated accounts: opened on demand and kept, so that a restart finds them again."""

import asyncio
import urllib.error
import urllib.request
from pathlib import Path

import msgspec

from engine.errors import DataError
from live.venues.keys import Key, KeyFile, write_keys

_WAIT_S = 10.0


class _Made(msgspec.Struct, frozen=True):
    api_key: str = msgspec.field(name="apiKey")
    secret: str = msgspec.field(name="apiSecret")


_read = msgspec.json.Decoder(_Made).decode


class SimKeys:
    """Keys at one simulator.

    Parameters
    ----------
    rest_url : str
        The simulator's; no real venue answers there, so no real key can come from it.
    path : Path
        Where keys are kept, mode 0600.
    equity_usdt : int
        What a new account has.
    """

    def __init__(self, rest_url: str, path: Path, *, equity_usdt: int = 10_000) -> None:
        self._rest_url = rest_url.rstrip("/")
        self._path = path
        self._equity_usdt = equity_usdt
        self._turn = asyncio.Lock()

    def of(self, user_id: str, name: str) -> Key | None:
        """Return a user's key as kept."""
        return KeyFile(self._path).of(user_id, name) if self._path.is_file() else None

    async def make(self, user_id: str) -> Key:
        """Open a new account for a user and keep its key.

        Raises
        ------
        DataError
            No simulator answers at the address.
        """
        async with self._turn:  # the file is written whole: one after another
            key = await asyncio.to_thread(self._open)
            kept = KeyFile(self._path).all() if self._path.is_file() else {}
            write_keys(self._path, {**kept, user_id: key})
            return key

    def _open(self) -> Key:
        body = msgspec.json.encode({"equity": str(self._equity_usdt)})
        request = urllib.request.Request(  # noqa: S310 - the address is the operator's own
            f"{self._rest_url}/sim/accounts",
            data=body,
            headers={"Content-Type": "application/json"},
            method="POST",
        )
        try:
            with urllib.request.urlopen(request, timeout=_WAIT_S) as answer:  # noqa: S310 - see above
                made = _read(answer.read())
        except (urllib.error.URLError, OSError, msgspec.DecodeError) as error:
            raise DataError(
                f"no simulator opens an account at {self._rest_url}",
                why=f"{type(error).__name__}",
                hint="zion sim, or another ZION_VENUE",
            ) from None
        return Key(made.api_key, made.secret)
