"""Bybit's public market data by request: pybit in a bounded thread pool, outcomes as values.

pybit never retries here by itself: it would sleep on its thread, hide the venue's code and send
again unasked. One budget of requests guards the address; a lock-out (HTTP 403) stops every call.
"""

import asyncio
import logging
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from engine.bars import interval_ms
from engine.venue import wire
from engine.venue.instrument import Instrument, RiskTier
from engine.venue.wire import InstrumentInfo, Kline, TickerInfo
from live.clock import Clock
from live.venues.bybit.budget import WindowBudget
from live.venues.bybit.budgets import PUBLIC, NoTurn, RequestBudget
from live.venues.port import Banned, Failed, Ok, Outcome, Throttled
from live.venues.trading import Priority

BAN_S = 600.0  # the venue wants at least 10 min of silence after HTTP 403
REQUESTS_PER_5_S = 400  # of the 600 the venue allows an address
_PAGES_MAX = 50
_HTTP_BANNED, _HTTP_BUSY = 403, 429
_CODE_THROTTLED = 10006
_CODES_TRANSIENT = frozenset({10000, 10016, 10429, 429})


class BybitPublicRest:
    """The `PublicRest` of Bybit.

    Parameters
    ----------
    base_url : str
        Scheme and host, no path.
    clock : Clock
    workers : int
        Threads, and so requests in flight.
    timeout_s : float
        For connecting and for reading.
    budget : WindowBudget, optional
        Of this reader alone.
    shared : RequestBudget, optional
        Of the whole process, instead: users trade from the same address, and a lock-out hits all.
    """

    def __init__(
        self,
        base_url: str,
        clock: Clock,
        *,
        workers: int = 8,
        timeout_s: float = 10.0,
        budget: WindowBudget | None = None,
        shared: RequestBudget | None = None,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._clock = clock
        self._workers = workers
        self._timeout_s = timeout_s
        self._shared = shared
        self._budget = budget or WindowBudget(clock, REQUESTS_PER_5_S, 5.0)
        self._banned_until_s = 0.0
        self._pool: ThreadPoolExecutor | None = None
        self._local = threading.local()
        self._sessions: list[Any] = []
        self.calls = 0
        self.quarantined = 0  # unreadable rows of a list, left out

    # ------------------------------------------------------------------ the port

    async def klines(
        self,
        symbol: str,
        interval: str,
        *,
        start_ms: int | None = None,
        end_ms: int | None = None,
        limit: int = wire.KLINE_LIMIT_MAX,
    ) -> Outcome[list[Kline]]:
        """Return closed candles, oldest first, the newest `limit` of the range.

        The candle that is still open at the venue's time is left out.
        """
        query = {
            "category": "linear",
            "symbol": symbol,
            "interval": wire.interval_code(interval),
            "start": start_ms,
            "end": end_ms,
            "limit": limit,
        }
        reply = await self._call("get_kline", query)
        if not isinstance(reply, Ok):
            return reply
        try:
            rows = reply.value.get("list") or []
            bars = wire.klines_from_rows(rows, reply.venue_ms, interval_ms(interval))
        except wire.WireError as error:
            return Failed(f"{error.what}: {error.why}", retryable=False)
        return Ok(bars, reply.venue_ms)

    async def instruments(self) -> Outcome[list[InstrumentInfo]]:
        """Return every linear instrument: all pages, the venue's cursor passed on verbatim."""
        pages = await self._pages("get_instruments_info", {"limit": wire.INSTRUMENTS_LIMIT_MAX})
        if not isinstance(pages, Ok):
            return pages
        rows, bad = wire.instruments_from_rows(pages.value)
        self.quarantined += bad
        return Ok(list({row.symbol: row for row in rows}.values()), pages.venue_ms)

    async def contracts(self) -> Outcome[list[Instrument]]:
        """Return the rules of every USDT perpetual that trades, without risk tiers."""
        pages = await self._pages("get_instruments_info", {"limit": wire.INSTRUMENTS_LIMIT_MAX})
        if not isinstance(pages, Ok):
            return pages
        found: dict[str, Instrument] = {}
        for row in pages.value:
            try:
                contract = wire.read_instrument(row)
            except wire.WireError:
                self.quarantined += 1  # another kind of contract, or a row that cannot be read
                continue
            found[contract.symbol] = contract
        return Ok(list(found.values()), pages.venue_ms)

    async def tiers(self, symbol: str) -> Outcome[tuple[RiskTier, ...]]:
        """Return a contract's risk tiers, the lowest first."""
        reply = await self._call("get_risk_limit", {"category": "linear", "symbol": symbol})
        if not isinstance(reply, Ok):
            return reply
        try:
            rows = [wire.read_risk_tier(row) for row in reply.value.get("list") or []]
        except wire.WireError as error:
            return Failed(f"{error.what}: {error.why}", retryable=False)
        mine = sorted((t for name, t in rows if name == symbol), key=lambda t: t.limit)
        return Ok(tuple(mine), reply.venue_ms)

    async def _pages(self, method: str, query: Mapping[str, Any]) -> Outcome[list[Any]]:
        rows: list[Any] = []
        cursor: str | None = None
        seen: set[str] = set()
        for _ in range(_PAGES_MAX):
            reply = await self._call(method, {"category": "linear", **query, "cursor": cursor})
            if not isinstance(reply, Ok):
                return reply
            rows += reply.value.get("list") or []
            cursor = reply.value.get("nextPageCursor") or None
            if cursor is None:
                return Ok(rows, reply.venue_ms)
            if cursor in seen:
                return Failed(f"the venue repeats page {cursor!r}")
            seen.add(cursor)
        return Failed(f"more than {_PAGES_MAX} pages")

    async def tickers(self) -> Outcome[list[TickerInfo]]:
        """Return every linear ticker."""
        reply = await self._call("get_tickers", {"category": "linear"})
        if not isinstance(reply, Ok):
            return reply
        rows, bad = wire.tickers_from_rows(reply.value.get("list") or [])
        self.quarantined += bad
        return Ok(rows, reply.venue_ms)

    async def server_time(self) -> Outcome[int]:
        """Return the venue's clock, ms."""
        reply = await self._call("get_server_time", {})
        return Ok(reply.venue_ms, reply.venue_ms) if isinstance(reply, Ok) else reply

    async def close(self) -> None:
        """End the threads and their connections."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await asyncio.to_thread(pool.shutdown, wait=True, cancel_futures=True)
        for session in self._sessions:
            session.client.close()
        self._sessions.clear()

    # ------------------------------------------------------------------ one request

    async def _call(self, method: str, query: Mapping[str, Any]) -> Outcome[dict[str, Any]]:
        left_s = self._banned_until_s - self._clock.monotonic_s()
        if left_s > 0.0:
            return Banned(left_s)
        if self._shared is not None:
            return await self._call_shared(self._shared, method, query)
        await self._budget.take()
        return await self._run(method, query)

    async def _call_shared(
        self, shared: RequestBudget, method: str, query: Mapping[str, Any]
    ) -> Outcome[dict[str, Any]]:
        turn = await shared.turn(PUBLIC, "public", Priority.POLL)
        if isinstance(turn, NoTurn):
            return Banned(turn.retry_after_s) if turn.banned else Throttled(turn.retry_after_s)
        try:
            outcome = await self._run(method, query)
        finally:
            shared.done(turn)
        if isinstance(outcome, Banned):
            shared.ban(outcome.retry_after_s)
        return outcome

    async def _run(self, method: str, query: Mapping[str, Any]) -> Outcome[dict[str, Any]]:
        self.calls += 1
        outcome = await self._carry(method, query)
        if isinstance(outcome, Banned):
            self._banned_until_s = self._clock.monotonic_s() + outcome.retry_after_s
        return outcome

    async def _carry(self, method: str, query: Mapping[str, Any]) -> Outcome[dict[str, Any]]:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="bybit-rest")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self._send, method, dict(query))

    def _session(self) -> Any:
        session = getattr(self._local, "session", None)
        if session is None:
            from pybit.unified_trading import HTTP

            # A non-empty set that no code matches: an empty one means pybit's own retries.
            session = HTTP(
                timeout=self._timeout_s,
                retry_codes={-1},
                max_retries=1,
                force_retry=False,
                logging_level=logging.CRITICAL,
            )
            session.endpoint = self._base_url
            self._local.session = session
            self._sessions.append(session)
        return session

    def _send(self, method: str, query: dict[str, Any]) -> Outcome[dict[str, Any]]:
        """Send one request on a worker thread; every way it can fail becomes a value."""
        from pybit.exceptions import FailedRequestError, InvalidRequestError
        from requests.exceptions import RequestException

        try:
            reply = getattr(self._session(), method)(**query)
        except FailedRequestError as error:
            return _http_failure(error)
        except InvalidRequestError as error:
            return _refused(error)
        except (RequestException, OSError) as error:
            return Failed(f"{type(error).__name__}: {error}")
        except (ValueError, AttributeError, KeyError, TypeError) as error:
            return Failed(
                f"an answer that is no reply of the venue: {type(error).__name__}: {error}"
            )
        result = reply.get("result") if isinstance(reply, dict) else None
        venue_ms = reply.get("time") if isinstance(reply, dict) else None
        if not isinstance(result, dict) or not isinstance(venue_ms, int):
            return Failed("an answer without result or time")
        return Ok(result, venue_ms)


def _http_failure(error: Any) -> Outcome[dict[str, Any]]:
    if error.status_code == _HTTP_BANNED:
        return Banned(BAN_S)
    if error.status_code == _HTTP_BUSY:
        return Throttled(2.0)
    return Failed(f"HTTP {error.status_code}")


def _refused(error: Any) -> Outcome[dict[str, Any]]:
    return judged(error.status_code, error.message)


def judged(code: int, message: str) -> Outcome[dict[str, Any]]:
    """Return what a retCode other than 0 means for a reading."""
    if code == _CODE_THROTTLED:
        # The reset header may be absent, or past: one window of the limit is always enough.
        return Throttled(1.0)
    return Failed(f"{code}: {message}", retryable=code in _CODES_TRANSIENT)
