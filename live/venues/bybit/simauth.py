"""Who is asking: the simulated venue's keys, signatures and time rule. Pure: no clock, no sockets.

HMAC-SHA256 as the venue documents it; a key answers for one account and what it may do.
"""

import hashlib
import hmac
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

RECV_WINDOW_MS = 5000
AHEAD_MS = 1000  # a clock this far ahead fails whatever the window
_TOLD_MS = 300_000  # a client may sign by what it was told this long ago
_TOLD_STEP_MS = 10_000
_EXPIRES_AHEAD_MS = 3_600_000  # by a told clock: further ahead, it was another clock's
_HEADERS = ("x-bapi-api-key", "x-bapi-timestamp", "x-bapi-sign")
_HTTP_UNAUTHORISED = 401


@dataclass(frozen=True, slots=True)
class Denied:
    """Why a request is not let in: the venue's code and words, and the HTTP status."""

    code: int
    message: str
    status: int = 200


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key of one account."""

    key: str
    secret: str = field(repr=False)
    uid: int
    read_only: bool = False
    permissions: frozenset[str] = frozenset({"Order", "Position"})
    ips: tuple[str, ...] = ()
    created_ms: int = 0
    expires_ms: int | None = None  # None = never

    def may(self, permission: str) -> bool:
        """Tell whether the key carries a permission ("" = any key does)."""
        return permission == "" or permission in self.permissions


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated request: whose, and what time the server took it to be (ms)."""

    key: ApiKey
    now_ms: int


class KeyRing:
    """All keys of the venue, and the clocks by which a timestamp may be right.

    A replayed market has a time of its own beside the wall clock. A client may sign by either: by
    the wall clock, or by what the venue's time endpoint told it (`told`), as it runs on from there.
    """

    def __init__(self, seed: int = 0) -> None:
        self._rng = np.random.default_rng([seed, 0x5EC2E7])
        self._keys: dict[str, ApiKey] = {}
        self._told: deque[list[int]] = deque()  # [since (wall), lowest offset, highest offset]

    # ------------------------------------------------------------------ keys

    def issue(self, uid: int, *, created_ms: int = 0, **options: object) -> ApiKey:
        """Make a new key; its texts are drawn from the seed."""
        letters = np.array(list("ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"))
        text = "".join(self._rng.choice(letters, 18 + 36))
        made = ApiKey(text[:18], text[18:], uid, created_ms=created_ms)
        made = replace(made, **options)  # pyrefly: ignore[bad-argument-type]
        self._keys[made.key] = made
        return made

    def find(self, key: str) -> ApiKey | None:
        """Return a key by its public text."""
        return self._keys.get(key)

    def change(self, key: str, **options: object) -> None:
        """Change what a key may do (permissions, addresses, expiry)."""
        self._keys[key] = replace(self._keys[key], **options)  # pyrefly: ignore[bad-argument-type]

    def delete(self, key: str) -> None:
        """Remove a key: it is unknown from now on."""
        self._keys.pop(key, None)

    def of(self, uid: int) -> list[ApiKey]:
        """Return an account's keys, oldest first."""
        return [k for k in self._keys.values() if k.uid == uid]

    # ------------------------------------------------------------------ clocks

    def told(self, venue_ms: int, wall_ms: int) -> None:
        """Note that a client was told the venue's time; it may sign by it from now on."""
        offset = venue_ms - wall_ms
        told = self._told
        while told and wall_ms - told[0][0] > _TOLD_MS:
            told.popleft()
        if told and wall_ms - told[-1][0] < _TOLD_STEP_MS:
            told[-1][1] = min(told[-1][1], offset)
            told[-1][2] = max(told[-1][2], offset)
        else:
            told.append([wall_ms, offset, offset])

    def clock(self, wish_ms: int, wall_ms: int) -> int:
        """Return the time on the clock nearest to a wish: the wall's, or one that was told."""
        if not self._told:
            return wall_ms
        low = wall_ms + min(t[1] for t in self._told)
        high = wall_ms + max(t[2] for t in self._told)
        told = min(max(wish_ms, low), high)
        return told if abs(told - wish_ms) < abs(wall_ms - wish_ms) else wall_ms

    def before(self, expires_ms: int, wall_ms: int) -> int | None:
        """Return the time on a clock that an expiry is still ahead of; None when it is past."""
        if expires_ms > wall_ms:
            return wall_ms
        if not self._told:
            return None
        low = wall_ms + min(t[1] for t in self._told)
        high = wall_ms + max(t[2] for t in self._told)
        told = min(high, expires_ms - 1)
        return told if low <= told and expires_ms - told <= _EXPIRES_AHEAD_MS else None

    # ------------------------------------------------------------------ checks

    def check_rest(
        self,
        headers: Mapping[str, str],
        payload: str,
        wall_ms: int,
        *,
        ip: str = "127.0.0.1",
        permission: str = "",
        write: bool = False,
    ) -> Caller | Denied:
        """Check one signed request.

        Parameters
        ----------
        headers : mapping of str to str
            Names in lower case.
        payload : str
            The raw query string of a GET, the raw body of a POST, exactly as it came.
        wall_ms : int
            The server's clock.
        permission : str
            What the endpoint demands of a key; "" = nothing.
        write : bool
            Whether a read-only key is refused.
        """
        if any(not headers.get(name) for name in _HEADERS):
            return Denied(10003, "Authentication params are missing.", _HTTP_UNAUTHORISED)
        key = self._keys.get(headers["x-bapi-api-key"])
        if key is None:
            return Denied(10003, "API key is invalid.")
        stamp, window = headers["x-bapi-timestamp"], headers.get("x-bapi-recv-window", "")
        if not _is_number(stamp) or (window and not _is_number(window)):
            return Denied(10001, "params error: timestamp or recv_window is not a number")
        window_ms = int(window) if window else RECV_WINDOW_MS
        now = self.clock(int(stamp), wall_ms)
        if not now - window_ms <= int(stamp) < now + AHEAD_MS:
            return Denied(
                10002,
                "invalid request, please check your server timestamp or recv_window param."
                f" req_timestamp[{stamp}],server_timestamp[{now}],recv_window[{window_ms}]",
            )
        refusal = self._usable(key, now, ip)
        if refusal is not None:
            return refusal
        origin = f"{stamp}{key.key}{window}{payload}"
        if not _matches(key, origin, headers["x-bapi-sign"]):
            shown = origin[:2000].encode("utf-8", "replace").decode()  # a body may be no UTF-8
            return Denied(10004, f"error sign! origin_string[{shown}]")
        if (write and key.read_only) or not key.may(permission):
            return Denied(10005, "Permission denied, please check your API key permissions.")
        return Caller(key, now)

    def check_stream(self, args: object, wall_ms: int, *, ip: str = "127.0.0.1") -> Caller | Denied:
        """Check the ``auth`` of a stream: ``[key, expires, sign("GET/realtime" + expires)]``."""
        if not isinstance(args, list) or len(args) != 3:  # noqa: PLR2004 - the three of them
            return Denied(10001, "Params Error")
        text, expires, sign = str(args[0]), str(args[1]), args[2]
        if not _is_number(expires) or not isinstance(sign, str):
            return Denied(10001, "Params Error")
        key = self._keys.get(text)
        if key is None:
            return Denied(10003, "API key is invalid.")
        now = self.before(int(expires), wall_ms)
        if now is None:
            return Denied(10004, "Request has expired.")
        refusal = self._usable(key, now, ip)
        if refusal is not None:
            return refusal
        if not _matches(key, f"GET/realtime{expires}", sign):
            return Denied(10004, "Error sign, please check your signature generation algorithm.")
        return Caller(key, now)

    def still_good(self, key: str, now_ms: int) -> bool:
        """Tell whether a key that was let in would be let in now."""
        found = self._keys.get(key)
        return found is not None and self._usable(found, now_ms, "") is None

    @staticmethod
    def _usable(key: ApiKey, now_ms: int, ip: str) -> Denied | None:
        if key.expires_ms is not None and now_ms >= key.expires_ms:
            return Denied(33004, "Your api key has expired.")
        if ip and key.ips and ip not in key.ips:
            return Denied(10010, "Unmatched IP, please check your API key's bound IP addresses.")
        return None


def sign(secret: str, text: str) -> str:
    """Return the lower-case hex HMAC-SHA256 of a text."""
    return hmac.new(secret.encode(), text.encode("utf-8", "surrogateescape"), "sha256").hexdigest()


def sign_headers(
    key: ApiKey, payload: str, stamp_ms: int, window_ms: int = RECV_WINDOW_MS
) -> dict[str, str]:
    """Return the headers of a correctly signed request (for tests, and people acting)."""
    origin = f"{stamp_ms}{key.key}{window_ms}{payload}"
    return {
        "x-bapi-api-key": key.key,
        "x-bapi-timestamp": str(stamp_ms),
        "x-bapi-recv-window": str(window_ms),
        "x-bapi-sign": sign(key.secret, origin),
    }


def _matches(key: ApiKey, origin: str, signature: str) -> bool:
    good = sign(key.secret, origin).encode()
    return hmac.compare_digest(good, signature.encode("utf-8", "surrogateescape"))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20  # noqa: PLR2004 - an int64


def digest(parts: Iterable[object]) -> str:
    """Return a short stable text of some values, for ids that look like the venue's."""
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()
