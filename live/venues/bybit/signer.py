"""The only holder of an exchange secret: it signs what it is allowed to sign and shows nothing.

Whoever has a `Signer` can ask for signatures of allow-listed requests, at most so many orders a
second, and for nothing else: no withdrawal, no transfer, no key management, no raw signature.
"""

import hashlib
import hmac
import re
import threading
from collections import deque
from typing import Any, NoReturn

from engine.errors import DataError

RECV_WINDOW_MS = 5000
ORDERS_PER_S = 20  # ceiling of one user's signatures on order requests, whatever the caller does

READS = frozenset(
    {
        "/v5/account/fee-rate",
        "/v5/account/info",
        "/v5/account/transaction-log",
        "/v5/account/user-setting-config",
        "/v5/account/wallet-balance",
        "/v5/execution/list",
        "/v5/order/history",
        "/v5/order/realtime",
        "/v5/position/closed-pnl",
        "/v5/position/list",
        "/v5/user/query-api",
    }
)
ORDER_WRITES = frozenset(
    {
        "/v5/order/amend",
        "/v5/order/cancel",
        "/v5/order/cancel-all",
        "/v5/order/create",
    }
)
OTHER_WRITES = frozenset(
    {
        "/v5/account/set-margin-mode",
        "/v5/position/confirm-pending-mmr",
        "/v5/position/set-leverage",
        "/v5/position/switch-mode",
        "/v5/position/trading-stop",
    }
)
ALLOWED = frozenset({("GET", path) for path in READS}) | frozenset(
    {("POST", path) for path in ORDER_WRITES | OTHER_WRITES}
)
# Taking risk off must never be what the ceiling holds back.
_CEILING_PATHS = frozenset({"/v5/order/create", "/v5/order/amend"})
_REDUCES = '"reduceOnly":true'  # inside of a text the quotes would be escaped
_KEY = re.compile(r"[A-Za-z0-9_-]{4,128}")


class SigningRefused(Exception):  # noqa: N818 - it names the event
    """The signer does not sign this; the message never holds a secret."""


class Signer:
    """One user's key, sealed.

    Parameters
    ----------
    api_key, secret : str
        As the venue issued them. The secret is kept as a keyed hash state: neither the object's
        attributes nor its repr hold the text.
    orders_per_s : int
        Ceiling on signatures of order creations and amendments within any second, streams included.

    Raises
    ------
    DataError
        The key or the secret cannot be one.
    """

    __slots__ = ("_api_key", "_ceiling", "_lock", "_recent", "_state", "refused")

    def __init__(self, api_key: str, secret: str, *, orders_per_s: int = ORDERS_PER_S) -> None:
        # The text goes before anything is raised: a traceback may be shown with its locals.
        self._api_key = ""
        good = bool(secret) and secret.isascii() and secret.isprintable()
        self._state = hmac.new(secret.encode() if good else b"", digestmod=hashlib.sha256)
        del secret
        if not good:
            raise DataError("an API secret is empty or has an impossible form")
        if not _KEY.fullmatch(api_key):
            del api_key  # perhaps the two were swapped
            raise DataError(
                "an API key has an impossible form", why="letters, digits, - and _ only"
            )
        self._api_key = api_key
        self._ceiling = orders_per_s
        self._recent: deque[float] = deque()
        self._lock = threading.Lock()  # requests are signed on the transport's threads
        self.refused = 0

    @property
    def api_key(self) -> str:
        """The public half."""
        return self._api_key

    def headers(
        self,
        method: str,
        path: str,
        payload: str,
        *,
        timestamp_ms: int,
        now_s: float,
        recv_window_ms: int = RECV_WINDOW_MS,
    ) -> dict[str, str]:
        """Return the headers that authenticate one request.

        Parameters
        ----------
        payload : str
            The query string of a GET, the body of a POST: exactly what goes on the wire.
        timestamp_ms : int
            The venue's clock.
        now_s : float
            A clock that never jumps back, for the ceiling.

        Raises
        ------
        SigningRefused
            The endpoint is not on the list, or too many orders were signed this second.
        """
        if (method, path) not in ALLOWED:
            self.refused += 1
            raise SigningRefused(f"{method} {path} is not on the list of what may be signed")
        if path in _CEILING_PATHS and _REDUCES not in payload:
            self.count_order(now_s)
        text = f"{timestamp_ms}{self._api_key}{recv_window_ms}{payload}"
        return {
            "X-BAPI-API-KEY": self._api_key,
            "X-BAPI-SIGN": self._digest(text),
            "X-BAPI-TIMESTAMP": str(timestamp_ms),
            "X-BAPI-RECV-WINDOW": str(recv_window_ms),
        }

    def count_order(self, now_s: float) -> None:
        """Count an order towards the ceiling; `SigningRefused` when it is reached.

        Order frames of a stream carry no signature of their own: the stream asks here for each.
        """
        with self._lock:
            while self._recent and now_s - self._recent[0] >= 1.0:
                self._recent.popleft()
            if len(self._recent) >= self._ceiling:
                self.refused += 1
                raise SigningRefused(f"more than {self._ceiling} orders within a second")
            self._recent.append(now_s)

    def stream_auth(self, expires_ms: int) -> list[str | int]:
        """Return the args of a stream's ``auth`` operation, valid until `expires_ms` (venue)."""
        return [self._api_key, expires_ms, self._digest(f"GET/realtime{expires_ms}")]

    def _digest(self, text: str) -> str:
        state = self._state.copy()
        state.update(text.encode())
        return state.hexdigest()

    def __repr__(self) -> str:
        return f"Signer({self._api_key[:4]}…)"

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a Signer cannot be copied or written down")

    def __getstate__(self) -> NoReturn:
        raise TypeError("a Signer cannot be copied or written down")
