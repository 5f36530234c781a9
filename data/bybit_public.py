"""Bybit's public REST as typed outcomes: one request at a time, within a budget, no keys.

pybit sends; it never retries by itself (a set of codes that no reply carries keeps its own retry
rules out). Every outcome is a value: a reply, or a `Trouble` that says whether and when to try
again. Time and waiting are arguments.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pybit.exceptions import FailedRequestError, InvalidRequestError
from pybit.unified_trading import HTTP
from requests.exceptions import RequestException, Timeout

MAINNET = "https://api.bybit.com"

_NO_RETRY_CODES = frozenset({-1})  # an empty set would bring pybit's own back
_OK_STATUS = 200
_BANNED_STATUS = 403
_BUSY_CODES = frozenset({10006, 10018, 429})
_SERVER_CODES = frozenset({10000, 10016, 409, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Trouble:
    """A request that brought nothing.

    Attributes
    ----------
    kind : str
        `rate_limited` (10006), `ip_banned` (HTTP 403), `server` (10000, 10016, 5xx, not JSON),
        `timeout`, `unreachable`, `refused` (any other retCode: asking again is useless),
        `malformed` (JSON of another shape).
    wait_s : float
        How long Bybit wants silence, at least; 0 where it says nothing.
    """

    kind: str
    detail: str
    wait_s: float = 0.0

    @property
    def passing(self) -> bool:
        """Whether asking again may help."""
        return self.kind not in ("refused", "ip_banned")


class TokenBucket:
    """At most `burst` requests at once and `rate_per_s` in the long run.

    Parameters
    ----------
    rate_per_s, burst : float
        Bybit allows 600 requests in 5 s for one IP; the defaults stay well under it, since an IP
        may be shared.
    now : callable
        Monotonic seconds.
    sleep : callable
        Waits so many seconds.
    """

    def __init__(
        self,
        *,
        now: Callable[[], float],
        sleep: Callable[[float], None],
        rate_per_s: float = 40.0,
        burst: float = 40.0,
    ) -> None:
        self.rate_per_s, self.burst = rate_per_s, burst
        self._now, self._sleep = now, sleep
        self._tokens, self._at = burst, now()

    def take(self) -> float:
        """Take one token; return the seconds waited for it."""
        moment = self._now()
        self._tokens = min(self.burst, self._tokens + (moment - self._at) * self.rate_per_s)
        self._at = moment
        wait_s = max(0.0, (1.0 - self._tokens) / self.rate_per_s)
        if wait_s:
            self._sleep(wait_s)
        self._tokens -= 1.0
        return wait_s


class PublicClient:
    """The market endpoints that history needs.

    Parameters
    ----------
    endpoint : str
        Base URL; a local simulator, or Bybit itself.
    bucket : TokenBucket
    timeout_s : int
        Of one request.
    """

    def __init__(self, endpoint: str, *, bucket: TokenBucket, timeout_s: float = 10) -> None:
        self._http = HTTP(
            testnet=False,
            timeout=timeout_s,
            force_retry=False,
            max_retries=1,
            retry_codes=set(_NO_RETRY_CODES),
        )
        self._http.endpoint = endpoint.rstrip("/")
        self._bucket = bucket
        self.endpoint = self._http.endpoint
        self.requests = 0

    def close(self) -> None:
        """Close the connections."""
        self._http.client.close()

    def instruments(self, cursor: str = "") -> dict[str, Any] | Trouble:
        """Return one page of linear instruments (`list`, `nextPageCursor`)."""
        # The cursor comes percent-encoded and goes back as it came.
        return self._ask(
            self._http.get_instruments_info, category="linear", limit=1000, cursor=cursor or None
        )

    def tickers(self) -> dict[str, Any] | Trouble:
        """Return the tickers of all linear symbols (`list`)."""
        return self._ask(self._http.get_tickers, category="linear")

    def klines(
        self, symbol: str, interval: str, start_ms: int, end_ms: int
    ) -> dict[str, Any] | Trouble:
        """Return at most 1000 klines opening in [start_ms, end_ms], newest first, and `time_ms`."""
        return self._ask(
            self._http.get_kline,
            category="linear",
            symbol=symbol,
            interval=interval,
            start=start_ms,
            end=end_ms,
            limit=1000,
        )

    def funding(self, symbol: str, start_ms: int, end_ms: int) -> dict[str, Any] | Trouble:
        """Return at most 200 funding rates in [start_ms, end_ms], newest first, and `time_ms`."""
        return self._ask(
            self._http.get_funding_rate_history,
            category="linear",
            symbol=symbol,
            startTime=start_ms,
            endTime=end_ms,
            limit=200,
        )

    def _ask(self, call: Callable[..., Any], **query: Any) -> dict[str, Any] | Trouble:
        self._bucket.take()
        self.requests += 1
        try:
            return _checked(call(**query))
        except InvalidRequestError as error:
            return _by_code(int(error.status_code), str(error.message))
        except FailedRequestError as error:
            return _by_status(int(error.status_code), str(error.message))
        except Timeout:
            return Trouble("timeout", "no answer in time")
        except (RequestException, OSError) as error:
            return Trouble("unreachable", type(error).__name__)


def _checked(reply: Any) -> dict[str, Any] | Trouble:
    result = reply.get("result") if isinstance(reply, dict) else None
    if not isinstance(result, dict) or not isinstance(result.get("list"), list):
        return Trouble("malformed", "a reply without result.list")
    time_ms = reply.get("time")
    if not isinstance(time_ms, int):
        return Trouble("malformed", "a reply without its time")
    return {**result, "time_ms": time_ms}


def _by_code(code: int, message: str) -> Trouble:
    if code in _BUSY_CODES:
        # The header with the reset time may be absent or past; the limit itself is per second.
        return Trouble("rate_limited", f"retCode {code}: {message}", wait_s=1.0)
    if code in _SERVER_CODES:
        return Trouble("server", f"retCode {code}: {message}")
    return Trouble("refused", f"retCode {code}: {message}")


def _by_status(status: int, message: str) -> Trouble:
    if status == _BANNED_STATUS:
        return Trouble("ip_banned", "HTTP 403: too many requests from this IP", wait_s=600.0)
    if status in _BUSY_CODES:
        return Trouble("rate_limited", f"HTTP {status}", wait_s=1.0)
    return Trouble("server", "not JSON" if status == 409 else f"HTTP {status}: {message}")  # noqa: PLR2004
