"""Lists of one account, whole: every page, windows of any span, each row once.

A list may move while it is read: a row that shifts from one page to the one before is missed. So a
list of several pages is read until two readings name the same rows.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from engine.venue import wire
from engine.venue.reports import (
    ExecutionReport,
    OrderReport,
    PositionReport,
    UnreadRow,
    WalletReport,
)
from live.venues.bybit.gate import Answer, Gate, Held, Lost, Said
from live.venues.bybit.transport import Auth
from live.venues.port import Banned, Failed, Ok, Outcome, Partial, Throttled
from live.venues.trading import Priority

ORDERS_PATH = "/v5/order/realtime"
HISTORY_PATH = "/v5/order/history"
EXECUTIONS_PATH = "/v5/execution/list"
POSITIONS_PATH = "/v5/position/list"
WALLET_PATH = "/v5/account/wallet-balance"
SETTLE = "USDT"
ORDERS_A_PAGE, EXECUTIONS_A_PAGE, POSITIONS_A_PAGE = 50, 100, 200  # what the venue gives at most
PAGES_MAX = 1000
READINGS_MAX = 4
WINDOW_MS = 7 * 86_400_000 - 1  # start and end may lie at most 7 days apart
OVERLAP_MS = 1000
_CODE_THROTTLED, _HTTP_BUSY = 10006, 429

_WHAT = {ORDERS_PATH: "order", EXECUTIONS_PATH: "execution", POSITIONS_PATH: "position"}

T = TypeVar("T")
Key = Callable[[Any], Any]


class Readings:
    """What one user may read of the own account.

    Parameters
    ----------
    user : str
        Names the user's budgets.
    """

    def __init__(self, gate: Gate, auth: Auth, user: str) -> None:
        self._gate = gate
        self._auth = auth
        self._user = user
        self.quarantined = 0  # rows that could not be read

    def now_ms(self) -> int:
        """Return the venue's time."""
        return self._gate.venue_clock.now_ms()

    async def ask(
        self, path: str, params: Mapping[str, Any], priority: Priority = Priority.RECONCILE
    ) -> Answer:
        """Send one signed GET."""
        return await self._gate.call(
            "GET", path, params, user=self._user, auth=self._auth, priority=priority
        )

    # ------------------------------------------------------------------ the lists

    async def orders(
        self, *, symbol: str = "", priority: Priority = Priority.RECONCILE
    ) -> Outcome[list[OrderReport]]:
        """Return every open order, stops included. A row that cannot be read fails the reading.

        Taken for absent, an unreadable order would look like one that has ended: the rest of the
        list is in `Failed.partial`, with that row named.
        """
        params = wire.query(symbol=symbol) if symbol else wire.query(settleCoin=SETTLE)
        params |= {"openOnly": 0, "limit": ORDERS_A_PAGE}
        return await self._settled(
            ORDERS_PATH, params, wire.read_order, lambda o: o.order_id, priority
        )

    async def positions(
        self, *, symbol: str = "", priority: Priority = Priority.RECONCILE
    ) -> Outcome[list[PositionReport]]:
        """Return every open position; of one symbol its slots, flat ones too."""
        params = wire.query(symbol=symbol) if symbol else wire.query(settleCoin=SETTLE)
        params |= {"limit": POSITIONS_A_PAGE}
        return await self._settled(
            POSITIONS_PATH,
            params,
            wire.read_position,
            lambda p: (p.symbol, p.position_idx),
            priority,
        )

    async def executions(
        self,
        *,
        start_ms: int,
        end_ms: int | None = None,
        symbol: str = "",
        order_id: str = "",
        priority: Priority = Priority.RECONCILE,
    ) -> Outcome[list[ExecutionReport]]:
        """Return the executions of any span, oldest first, each once. See `orders` of bad rows."""
        end = end_ms if end_ms is not None else self._gate.venue_clock.now_ms() + OVERLAP_MS
        found: dict[str, ExecutionReport] = {}
        unread: dict[UnreadRow, None] = {}  # windows overlap
        venue_ms = 0
        start = start_ms
        while True:
            stop = min(start + WINDOW_MS, max(end, start))
            params = wire.query(symbol=symbol, orderId=order_id) | {
                "startTime": start,
                "endTime": stop,
                "limit": EXECUTIONS_A_PAGE,
            }
            rows = await self._pages(EXECUTIONS_PATH, params, wire.read_execution, priority)
            if not isinstance(rows, Ok):
                return rows
            found.update((e.exec_id, e) for e in rows.value[0])
            unread.update(dict.fromkeys(rows.value[1]))
            venue_ms = rows.venue_ms
            if stop >= end:
                break
            start = stop - OVERLAP_MS
        ordered = sorted(found.values(), key=lambda e: (e.exec_time, e.seq, e.exec_id))
        return self._whole(EXECUTIONS_PATH, ordered, venue_ms, tuple(unread))

    async def wallet(self, *, priority: Priority = Priority.RECONCILE) -> Outcome[WalletReport]:
        """Return the account's USDT, stamped with the venue's time."""
        params = {"accountType": "UNIFIED", "coin": SETTLE}
        said = await self.ask(WALLET_PATH, params, priority)
        if not isinstance(said, Said) or said.code:
            return failed(said)
        try:
            report = wire.read_page(said.result, wire.read_wallet)
        except wire.WireError as error:
            return Failed(f"{error.what}: {error.why}")
        if not report.items:
            self.quarantined += report.bad
            why = "the wallet's answer holds no readable account"
            unread = report.unread or (UnreadRow(why="no account in it"),)
            named = tuple(replace(row, what="wallet", symbol="") for row in unread)
            return Failed(why, partial=Partial(None, said.venue_ms, named))
        return Ok(replace(report.items[0], updated_time=said.venue_ms), said.venue_ms)

    # ------------------------------------------------------------------ pages

    async def _settled(
        self,
        path: str,
        params: Mapping[str, Any],
        reader: Callable[[Any], T],
        key: Key,
        priority: Priority,
    ) -> Outcome[list[T]]:
        before: set[Any] | None = None
        for _ in range(READINGS_MAX):
            rows = await self._pages(path, params, reader, priority)
            if not isinstance(rows, Ok):
                return rows
            items, unread, pages = rows.value
            found = {key(item): item for item in items}
            names = {*found, *unread}
            if pages == 1 or names == before:
                return self._whole(path, list(found.values()), rows.venue_ms, unread)
            before = names
        return Failed(f"{path} does not stand still for {READINGS_MAX} readings")

    def _whole(
        self, path: str, items: list[T], venue_ms: int, unread: tuple[UnreadRow, ...]
    ) -> Outcome[list[T]]:
        if not unread:
            return Ok(items, venue_ms)
        self.quarantined += len(unread)
        named = tuple(replace(row, what=_WHAT[path]) for row in unread)
        why = f"{path}: {len(unread)} row(s) of an account cannot be read: {unread[0].why}"
        return Failed(why, partial=Partial(items, venue_ms, named))

    async def _pages(
        self,
        path: str,
        params: Mapping[str, Any],
        reader: Callable[[Any], T],
        priority: Priority,
    ) -> Outcome[tuple[list[T], tuple[UnreadRow, ...], int]]:
        """Read page after page; the venue's cursor goes back as it came."""
        items: list[T] = []
        unread: tuple[UnreadRow, ...] = ()
        cursor = ""
        seen: set[str] = set()
        for number in range(1, PAGES_MAX + 1):
            query = dict(params) | ({"cursor": cursor} if cursor else {})
            said = await self.ask(path, query, priority)
            if not isinstance(said, Said) or said.code:
                return failed(said)
            try:
                page = wire.read_page(said.result, reader)
            except wire.WireError as error:
                return Failed(f"{path}: {error.what}: {error.why}")
            items += page.items
            unread += page.unread
            cursor = page.cursor
            if not cursor or not (page.items or page.bad):
                return Ok((items, unread, number), said.venue_ms)
            if cursor in seen:
                return Failed(f"{path} repeats page {cursor!r:.60}")
            seen.add(cursor)
        return Failed(f"{path} has more than {PAGES_MAX} pages")


def failed(answer: Answer) -> Throttled | Banned | Failed:
    """Say why a reading gave nothing."""
    if isinstance(answer, Held):
        if answer.banned:
            return Banned(answer.retry_after_s or 0.0)
        if answer.code == _HTTP_BUSY or not answer.code:
            return Throttled(answer.retry_after_s or 0.0)
        return Failed(answer.reason, retryable=False)
    if isinstance(answer, Lost):
        return Failed(answer.reason)
    if answer.code == _CODE_THROTTLED:
        return Throttled(answer.retry_after_s or 0.0)
    return Failed(
        f"{answer.code}: {answer.message}", retryable=answer.code in (10000, 10002, 10016)
    )
