"""The stop guard: every second, whatever else goes on, no held position stands without its stop.

It is no part of the engine: it reads the account's view itself, asks the venue itself, with short
deadlines, and goes on while the store is down, the inbox is stuck or the engine starts anew. It
only ever sets a stop where none stands, at the price decided last, so it widens nothing.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import NoReturn

from engine.account.commands import AlertRecord
from engine.venue.codes import Action
from engine.venue.reports import PositionReport
from engine.venue.view import AccountView, PositionKey, Snapshot
from live.accounts.ports import Log, StopPlan
from live.clock import Clock, Late, within
from live.venues.port import Ok
from live.venues.resync import AccountFeed
from live.venues.trading import (
    Accepted,
    NewOrder,
    PlaceOutcome,
    Priority,
    Refused,
    TradingStop,
    TradingVenue,
    Unknown,
)


@dataclass(frozen=True, slots=True)
class GuardOptions:
    """Timings, seconds."""

    every_s: float = 1.0
    deadline_s: float = 0.6
    alarm_s: float = 5.0
    flatten_s: float = 10.0
    again_s: float = 2.0  # between two attempts to flatten the same position


@dataclass(slots=True)
class Naked:
    """A position without a stop, since it was seen so."""

    since_s: float
    alarmed: bool = False
    flattened_s: float = float("-inf")
    attempts: int = 0


class StopGuard:
    """Guards one account.

    Parameters
    ----------
    plans : callable
        By symbol, where stops belong. A position of a symbol without a plan is none of ours.
    alarm : callable
        Takes what a person must hear.
    """

    def __init__(
        self,
        user_id: str,
        venue: TradingVenue,
        feed: AccountFeed,
        plans: Callable[[], Mapping[str, StopPlan]],
        clock: Clock,
        *,
        alarm: Callable[[AlertRecord], None],
        log: Log,
        options: GuardOptions = GuardOptions(),
    ) -> None:
        self.naked: dict[PositionKey, Naked] = {}
        self.looks = 0
        self.restored = 0
        self.flattened = 0
        self.last_look_s = clock.monotonic_s()
        self.longest_s = 0.0
        self._user_id = user_id
        self._venue = venue
        self._feed = feed
        self._plans = plans
        self._clock = clock
        self._alarm = alarm
        self._log = log
        self._options = options

    async def run(self) -> NoReturn:
        """Look every second, for ever."""
        while True:
            await self._clock.sleep(self._options.every_s)
            await self.look()

    async def look(self) -> None:
        """Look once, and do what is needed."""
        self.looks += 1
        plans = self._plans()
        if plans:
            view = await self._view()
            if view is not None:
                await self._protect(plans, view)
        else:
            self.naked.clear()
        self.last_look_s = self._clock.monotonic_s()

    async def _view(self) -> AccountView | None:
        """Return the account as it is; read here and now where the stream tells nothing."""
        if not self._feed.view.stale:
            return self._feed.view
        try:
            return await within(self._clock, self._own_reading(), 2 * self._options.deadline_s)
        except Late:
            return None

    async def _own_reading(self) -> AccountView | None:
        positions = await self._venue.positions(priority=Priority.PROTECT)
        if not isinstance(positions, Ok):
            return None
        if not positions.value:
            return AccountView()
        orders = await self._venue.orders(priority=Priority.PROTECT)
        if not isinstance(orders, Ok):
            return None
        view = AccountView()
        view.snapshot(Snapshot(tuple(orders.value), tuple(positions.value)))
        return view

    async def _protect(self, plans: Mapping[str, StopPlan], view: AccountView) -> None:
        now_s = self._clock.monotonic_s()
        bare = {
            (p.symbol, p.position_idx): p
            for p in view.unprotected()
            if (plan := plans.get(p.symbol)) is not None and plan.side == p.side
        }
        for key in [k for k in self.naked if k not in bare]:
            del self.naked[key]
        async with asyncio.TaskGroup() as scope:
            for key, position in bare.items():
                seen = self.naked.setdefault(key, Naked(now_s))
                self.longest_s = max(self.longest_s, now_s - seen.since_s)
                scope.create_task(self._cover(plans[position.symbol], position, seen))

    async def _cover(self, plan: StopPlan, position: PositionReport, seen: Naked) -> None:
        age_s = self._clock.monotonic_s() - seen.since_s
        if age_s >= self._options.alarm_s and not seen.alarmed:
            seen.alarmed = True
            words = f"{position.symbol}: the position has had no stop for {age_s:.0f} s"
            self._tell(plan, position, "naked", words)
        if age_s >= self._options.flatten_s:
            await self._flatten(plan, position, seen)
            return
        stop = TradingStop(
            symbol=position.symbol, position_idx=position.position_idx, stop_loss=plan.stop_loss
        )
        said = await self._ask(
            lambda: self._venue.set_trading_stop(stop, priority=Priority.PROTECT)
        )
        if isinstance(said, Accepted):
            self.restored += 1
            self._log.warning("a stop was restored", user=self._user_id, symbol=position.symbol)
        elif isinstance(said, Refused) and said.action == Action.CLOSE_NOW:
            await self._flatten(plan, position, seen)  # the price is through it already

    async def _flatten(self, plan: StopPlan, position: PositionReport, seen: Naked) -> None:
        now_s = self._clock.monotonic_s()
        if now_s - seen.flattened_s < self._options.again_s:
            return
        seen.flattened_s = now_s
        seen.attempts += 1
        order = NewOrder(
            order_link_id=self._link(plan, position, seen.attempts),
            symbol=position.symbol,
            side="Sell" if position.side == "Buy" else "Buy",
            order_type="Market",
            time_in_force="IOC",
            qty=position.size or Decimal(0),
            position_idx=position.position_idx,
            reduce_only=True,
        )
        said = await self._ask(lambda: self._venue.place(order, priority=Priority.PROTECT))
        self.flattened += isinstance(said, Accepted)
        words = f"{position.symbol}: the position could not be protected and is being closed"
        self._tell(plan, position, "flatten", words)

    def _link(self, plan: StopPlan, position: PositionReport, attempt: int) -> str:
        """Derive an id: the same attempt upon the same position is the same order."""
        of = f"{self._user_id}|{plan.trade_id}|{position.updated_time}|{attempt}"
        return "zg" + hashlib.blake2b(of.encode(), digest_size=12).hexdigest()

    async def _ask(self, send: Callable[[], Awaitable[PlaceOutcome]]) -> PlaceOutcome:
        try:
            return await within(self._clock, send(), self._options.deadline_s)
        except Late:
            return Unknown("", "no answer within the guard's deadline", self._clock.now_ms())

    def _tell(self, plan: StopPlan, position: PositionReport, what: str, words: str) -> None:
        self._log.error(what, user=self._user_id, symbol=position.symbol, words=words)
        self._alarm(
            AlertRecord(
                event_id=f"{what}-{plan.trade_id}-{position.updated_time}",
                kind="error",
                severity="critical",
                words=words,
                symbol=position.symbol,
                trade_id=plan.trade_id,
            )
        )
