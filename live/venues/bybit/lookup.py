"""What became of an order: the recipe that ends an Unknown.

An order is looked for among the open, then the recently closed, then in the history (which may
lag, and alone survives a restart of the venue). It is absent only after two looks that found it in
none of the three, both too late for the request to be taken in any more, the last one old.
"""

from dataclasses import dataclass
from typing import Any

from engine.venue import wire
from engine.venue.reports import UNREADABLE, ZERO, OrderReport, UnreadRow
from live.clock import Clock
from live.venues.bybit.gate import Said
from live.venues.bybit.readings import HISTORY_PATH, ORDERS_PATH, Readings, failed
from live.venues.port import Banned, Throttled
from live.venues.trading import Absent, Found, LookupOutcome, Priority, Undecided

ABSENT_AGE_MS = 30_000  # lists of the venue lag by up to 15 s
LOOKS_GAP_S = 5.0
SERVER_AHEAD_MS = 1_000  # a timestamp may lie this far in the venue's future
LOOKS_MAX = 10_000

_LISTS: tuple[tuple[str, dict[str, Any]], ...] = (
    (ORDERS_PATH, {"openOnly": 0}),
    (ORDERS_PATH, {"openOnly": 1}),
    (HISTORY_PATH, {}),
)


@dataclass(slots=True)
class _Look:
    """The first look that found nothing, on the clock's monotonic scale."""

    at_s: float
    sent_ms: int  # of which sending; a look before the last one proves nothing of it


class Lookup:
    """Looks for orders of one account."""

    def __init__(self, readings: Readings, clock: Clock, *, recv_window_ms: int) -> None:
        self._readings = readings
        self._clock = clock
        self._too_late_ms = recv_window_ms + SERVER_AHEAD_MS
        self._looks: dict[str, _Look] = {}
        self.asked = 0

    async def look_up(
        self, symbol: str, order_link_id: str, *, sent_ms: int, order_id: str = ""
    ) -> LookupOutcome:
        """Look once; `Absent` only where an earlier look and the age allow it.

        Parameters
        ----------
        sent_ms : int
            The venue's time when the order was last sent.
        """
        name = order_id or order_link_id
        if not name:
            return Undecided("an order without any id cannot be looked up")
        found = await self.find(symbol, order_id=order_id, order_link_id=order_link_id)
        if isinstance(found, OrderReport):
            self._looks.pop(name, None)
            return Found(found)
        if isinstance(found, str):
            return Undecided(found)
        looked_ms = found
        age_ms = looked_ms - sent_ms
        if age_ms <= self._too_late_ms:
            return Undecided(f"not found, but sent only {age_ms} ms ago: it may yet be taken in")
        now_s = self._clock.monotonic_s()
        first = self._looks.get(name)
        if first is None or first.sent_ms < sent_ms:
            self._looks.pop(name, None)
            while len(self._looks) >= LOOKS_MAX:
                self._looks.pop(next(iter(self._looks)))  # to be looked for twice anew
            self._looks[name] = _Look(now_s, sent_ms)
            return Undecided("not found once; a second look decides")
        if now_s - first.at_s < LOOKS_GAP_S or age_ms < ABSENT_AGE_MS:
            return Undecided(f"not found twice, but sent only {age_ms} ms ago")
        del self._looks[name]
        return Absent(looked_ms)

    async def find(
        self,
        symbol: str,
        *,
        order_id: str = "",
        order_link_id: str = "",
        priority: Priority = Priority.RECONCILE,
    ) -> OrderReport | int | str:
        """Return the order, the venue's time if no list has it, or why a list could not be read."""
        self.asked += 1
        link = "" if order_id else order_link_id  # the id wins; two could contradict each other
        ids = wire.query(symbol=symbol, orderId=order_id, orderLinkId=link)
        unread = ""
        hidden: UnreadRow | None = None
        looked_ms: int | None = None
        for path, extra in _LISTS:
            asked_ms = self._readings.now_ms()
            said = await self._readings.ask(path, ids | extra, priority)
            if not isinstance(said, Said) or said.code:
                why = failed(said)
                unread = f"{path} could not be read: {getattr(why, 'reason', why)}"
                if isinstance(why, Banned | Throttled):
                    return unread  # the other lists would be no better
                continue
            try:
                page = wire.read_page(said.result, wire.read_order)
            except wire.WireError as error:
                unread = f"{path} could not be read: {error.what}"
                continue
            mine = [o for o in page.items if _is(o, symbol, order_id, order_link_id)]
            if mine:  # a reduce-only order may have been split under one link id: the open part
                return max(mine, key=lambda o: (o.is_open, o.updated_time, o.order_id))
            hidden = next((u for u in page.unread if _is(u, symbol, order_id, link)), hidden)
            if page.items or page.bad:
                unread = f"{path} answers with other rows than were asked for"
            if looked_ms is None:
                looked_ms = said.venue_ms or asked_ms  # a reply may not say when it was written
        if hidden is not None:
            return _barely_read(hidden)
        if unread or looked_ms is None:
            return unread or "no list could be read"
        return looked_ms


def _barely_read(row: UnreadRow) -> OrderReport:
    """Return an order of which only the ids are known: it is there, whatever it is like."""
    return OrderReport(
        order_id=row.order_id,
        order_link_id=row.order_link_id,
        symbol=row.symbol,
        side="",
        order_type="",
        order_status=UNREADABLE,
        qty=ZERO,
    )


def _is(order: OrderReport | UnreadRow, symbol: str, order_id: str, order_link_id: str) -> bool:
    if order.symbol != symbol:
        return False
    return order.order_id == order_id if order_id else order.order_link_id == order_link_id
