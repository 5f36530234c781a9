"""One request to the venue and what came of it, as values: the seam below all of the client.

Two implementations: `pybit_transport` over HTTP, and an in-process one for simulations. Nothing
raises out of a transport but cancellation.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote

import msgspec

from live.clock import Clock
from live.venues.bybit.clock_offset import VenueClock
from live.venues.bybit.signer import RECV_WINDOW_MS, Signer

Params = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer, whatever it holds. Header names are lower case."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    sent_s: float = 0.0  # on the clock's monotonic scale
    received_s: float = 0.0


@dataclass(frozen=True, slots=True)
class NoReply:
    """No answer. `maybe_sent` False: the venue certainly never saw the request."""

    reason: str
    maybe_sent: bool
    sent_s: float = 0.0


class Auth:
    """Signs one user's requests at the moment they leave."""

    def __init__(
        self,
        signer: Signer,
        venue_clock: VenueClock,
        clock: Clock,
        *,
        recv_window_ms: int = RECV_WINDOW_MS,
    ) -> None:
        self.signer = signer
        self.recv_window_ms = recv_window_ms
        self._venue_clock = venue_clock
        self._clock = clock

    @property
    def api_key(self) -> str:
        """Whose requests these are."""
        return self.signer.api_key

    def headers(self, method: str, path: str, payload: str) -> dict[str, str]:
        """Return the headers of one request; `SigningRefused` if it may not be signed."""
        return self.signer.headers(
            method,
            path,
            payload,
            timestamp_ms=self._venue_clock.signing_ms(),
            now_s=self._clock.monotonic_s(),
            recv_window_ms=self.recv_window_ms,
        )


class Transport(Protocol):
    """Sends a request once."""

    async def send(
        self, method: str, path: str, params: Params, *, auth: Auth | None = None
    ) -> Reply | NoReply:
        """Send, never again by itself, and return what came back within its time-out.

        `payload` makes the bytes of `params`; `auth` signs them right before they leave.
        """
        ...

    async def close(self) -> None:
        """Release threads and sockets."""
        ...


def payload(method: str, params: Params) -> str:
    """Return the exact text that is signed and sent: a query string, or a JSON body.

    A cursor comes percent-encoded from the venue and goes back as it came.

    >>> payload("GET", {"symbol": "BTCUSDT", "cursor": "1%3A2%2C1", "limit": 50, "x": None})
    'symbol=BTCUSDT&cursor=1%3A2%2C1&limit=50'
    >>> payload("POST", {"symbol": "BTCUSDT", "qty": "0.1"})
    '{"symbol":"BTCUSDT","qty":"0.1"}'
    """
    kept = {name: value for name, value in params.items() if value is not None}
    if method != "GET":
        return msgspec.json.encode(kept).decode()
    return "&".join(
        f"{name}={value if name == 'cursor' else quote(str(value), safe='')}"
        for name, value in kept.items()
    )
