"""Clients with one mistake each, the ones bots really make: `exactly_once` must find them all.

A proof that finds nothing proves something only where it finds these.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from app.proofs.exactly_once import Parts
from engine.venue.reports import ExecutionReport
from engine.venue.view import AccountView
from live.clock import Clock
from live.venues.bybit.trading import BybitTrading
from live.venues.bybit.transport import Auth, NoReply, Params, Reply, Transport
from live.venues.resync import AccountFeed, NotResynced
from live.venues.settle import NotPlaced, Placed, Settled
from live.venues.trading import (
    Absent,
    Accepted,
    LookupOutcome,
    NewOrder,
    Priority,
    Refused,
    StreamUp,
    TradingVenue,
    Undecided,
)

_TRIES = 3


async def fresh_id_per_retry(
    venue: TradingVenue, order: NewOrder, clock: Clock, *, expires_ms: int, **_: Any
) -> Settled:
    """Send again under a new id whenever an answer is missing."""
    attempt = 0
    while True:
        link = f"{order.order_link_id}-r{attempt}" if attempt else order.order_link_id
        outcome = await venue.place(replace(order, order_link_id=link), priority=Priority.ENTRY)
        attempt += 1
        if isinstance(outcome, Accepted):
            return Placed(outcome.order_id, link)
        if isinstance(outcome, Refused) and outcome.retry_after_s is None:
            return NotPlaced(link, outcome.code, outcome.message)
        if attempt > _TRIES or clock.now_ms() > expires_ms:
            return NotPlaced(link, 0, "gave up")
        await clock.sleep(0.5)


async def timeout_is_reject(
    venue: TradingVenue, order: NewOrder, clock: Clock, *, expires_ms: int, **_: Any
) -> Settled:
    """Take a missing answer for a refusal."""
    while True:
        outcome = await venue.place(order, priority=Priority.ENTRY)
        if isinstance(outcome, Accepted):
            return Placed(outcome.order_id, order.order_link_id)
        if not isinstance(outcome, Refused) or outcome.retry_after_s is None:
            return NotPlaced(order.order_link_id, 0, "no answer")
        if clock.now_ms() > expires_ms:
            return NotPlaced(order.order_link_id, 0, "stale")
        await clock.sleep(outcome.retry_after_s)


class ForceRetry:
    """A transport that sends a POST again by itself, and a create without an id."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner

    async def send(
        self, method: str, path: str, params: Params, *, auth: Auth | None = None
    ) -> Reply | NoReply:
        """Send up to three times."""
        if path == "/v5/order/create":
            params = _without_id(params)
        answer: Reply | NoReply = await self._inner.send(method, path, params, auth=auth)
        for _ in range(_TRIES - 1):
            good = isinstance(answer, Reply) and answer.body.startswith(b'{"retCode":0')
            if method == "GET" or good:
                break
            answer = await self._inner.send(method, path, params, auth=auth)
        return answer

    async def close(self) -> None:
        """Release what the inner one holds."""
        await self._inner.close()


def _without_id(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if name != "orderLinkId"}


class NoDeduplication(AccountView):
    """A view that counts every message about an execution."""

    def _merge_execution(self, report: ExecutionReport) -> bool:
        super()._merge_execution(report)
        return True


class NoResnapshot(AccountFeed):
    """A feed that reads the account once, and after that believes its stream."""

    async def _resync_when_due(self) -> None:
        while not self.resyncs:
            outcome = await _first(self)
            self._tell(outcome.news)
            if not isinstance(outcome, NotResynced):
                self.resyncs += 1
        while True:
            await self._clock.sleep(5.0)
            self.resyncs += 1  # it thinks it has

    async def _read(self) -> None:
        while True:
            for item in await self._stream.batch():
                if not isinstance(item, StreamUp) and hasattr(item, "symbol"):
                    self._tell(self.view.apply(item))  # pyrefly: ignore[bad-argument-type]


async def _first(feed: AccountFeed) -> Any:
    from live.venues.resync import resync

    return await resync(feed._venue, feed.view, since_ms=feed._since_ms)  # noqa: SLF001 - a twin


@dataclass(slots=True)
class HastyLookup:
    """A venue whose first look that finds nothing proves absence."""

    inner: BybitTrading

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def look_up(
        self, symbol: str, order_link_id: str, *, sent_ms: int, order_id: str = ""
    ) -> LookupOutcome:
        """Look once."""
        found = await self.inner.look_up(symbol, order_link_id, sent_ms=sent_ms, order_id=order_id)
        if isinstance(found, Undecided) and "not found" in found.reason:
            return Absent(sent_ms)
        return found


PLANTED: dict[str, Parts] = {
    "fresh id per retry": Parts(place=fresh_id_per_retry),
    "timeout = reject": Parts(place=timeout_is_reject),
    "force_retry": Parts(transport=ForceRetry),
    "no exec de-duplication": Parts(view=NoDeduplication),
    "no re-snapshot": Parts(feed=NoResnapshot),
    "one look = absent": Parts(venue=HastyLookup),
}
