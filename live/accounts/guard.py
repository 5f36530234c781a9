"""The stop guard's task: once a second, whatever else goes on, its judgement is carried out.

It is no part of the engine: it reads the account's view itself, asks the venue itself, with short
deadlines, and goes on while the store is down, the inbox is stuck or the engine starts anew. What
is to be done says `engine.account.guard`; nothing here sets a stop anywhere else.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import NoReturn

from engine.account.commands import AlertRecord
from engine.account.guard import (
    LIMITS,
    CoverPosition,
    Flatten,
    GuardAction,
    Naked,
    PlannedStop,
    SoundAlarm,
    guard,
)
from engine.account.links import ATTEMPT_MAX, link_id_of
from engine.venue.codes import Action
from engine.venue.view import AccountView, PositionKey, Snapshot
from live.accounts.ports import Log
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

_TOLD_EVERY = 30  # attempts to close the same position: about a minute


@dataclass(frozen=True, slots=True)
class GuardOptions:
    """Timings, seconds."""

    every_s: float = 1.0
    deadline_s: float = 0.6
    reach_s: float = 5.0  # without an answer for so long the venue is out of reach


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
        plans: Callable[[], Mapping[str, PlannedStop]],
        clock: Clock,
        *,
        alarm: Callable[[AlertRecord], None],
        log: Log,
        options: GuardOptions | None = None,
    ) -> None:
        self.naked: dict[PositionKey, Naked] = {}
        self.looks = 0
        self.restored = 0
        self.flattened = 0
        self.last_look_s = clock.monotonic_s()
        self.longest_ms = 0
        self._reached_s = clock.monotonic_s()
        self._user_id = user_id
        self._venue = venue
        self._feed = feed
        self._plans = plans
        self._clock = clock
        self._alarm = alarm
        self._log = log
        self._options = options or GuardOptions()

    async def run(self) -> NoReturn:
        """Look every second, for ever."""
        while True:
            await self._clock.sleep(self._options.every_s)
            await self.look()

    async def look(self) -> None:
        """Look once, and do what is needed."""
        self.looks += 1
        plans = self._plans()
        view = await self._view() if plans else None
        if not plans:
            self.naked = {}
        elif view is not None:
            await self._judge(plans, view)
        self.last_look_s = self._clock.monotonic_s()

    async def _judge(self, plans: Mapping[str, PlannedStop], view: AccountView) -> None:
        now_s = self._clock.monotonic_s()
        now_ms = int(now_s * 1000)
        verdict = guard(
            view.positions(),
            view.open_orders(),
            plans,
            self.naked,
            now_ms,
            reachable=now_s - self._reached_s < self._options.reach_s,
        )
        self.naked = verdict.naked
        ages = [now_ms - naked.since_ms for naked in verdict.naked.values()]
        self.longest_ms = max([self.longest_ms, *ages])
        async with asyncio.TaskGroup() as scope:
            for action in verdict.actions:
                scope.create_task(self._do(action))

    # ------------------------------------------------------------------ reading

    async def _view(self) -> AccountView | None:
        """Return the account as it is; read here and now where the stream tells nothing."""
        if self._feed.sees:
            self._reached_s = self._clock.monotonic_s()
            return self._feed.view
        try:
            read = await within(self._clock, self._own_reading(), 2 * self._options.deadline_s)
        except Late:
            return None
        if read is not None:
            self._reached_s = self._clock.monotonic_s()
        return read

    async def _own_reading(self) -> AccountView | None:
        # Not as urgent as a stop: were all streams cut at once, hundreds of these every second
        # would leave no room for the readings that end them, nor for stops.
        positions = await self._venue.positions(priority=Priority.RECONCILE)
        if not isinstance(positions, Ok):
            return None
        if not positions.value:
            return AccountView()
        orders = await self._venue.orders(priority=Priority.RECONCILE)
        if not isinstance(orders, Ok):
            return None
        view = AccountView()
        view.snapshot(Snapshot(tuple(orders.value), tuple(positions.value)))
        return view

    # ------------------------------------------------------------------ acting

    async def _do(self, action: GuardAction) -> None:
        match action:
            case CoverPosition(plan=plan):
                await self._cover(plan)
            case Flatten():
                await self._flatten(action)
            case SoundAlarm(plan=plan, age_ms=age_ms):
                words = f"{plan.symbol}: the position has had no stop for {age_ms // 1000} s"
                self._tell(plan, "naked", words)

    async def _cover(self, plan: PlannedStop) -> None:
        stop = TradingStop(
            symbol=plan.symbol, position_idx=plan.position_idx, stop_loss=plan.stop_loss
        )
        said = await self._ask(self._venue.set_trading_stop(stop, priority=Priority.PROTECT))
        if isinstance(said, Accepted):
            self.restored += 1
            self._log.warning("a stop was restored", user=self._user_id, symbol=plan.symbol)
        elif isinstance(said, Refused) and said.action == Action.CLOSE_NOW:
            naked = self.naked.get((plan.symbol, plan.position_idx))
            position = self._feed.view.position(plan.symbol, plan.position_idx)
            if naked is not None and position is not None and position.size:
                await self._too_late(plan, naked, position.size)

    async def _too_late(self, plan: PlannedStop, naked: Naked, qty: Decimal) -> None:
        """Close what the venue says is through its stop: every attempt an order of its own."""
        now_ms = int(self._clock.monotonic_s() * 1000)
        if naked.attempts and now_ms - naked.attempt_ms < LIMITS.again_ms:
            return
        attempt = naked.attempts + 1
        tried = replace(naked, attempts=attempt, attempt_ms=now_ms)
        self.naked[plan.symbol, plan.position_idx] = tried
        await self._flatten(Flatten(plan=plan, qty=qty, attempt=attempt, reason="price_through"))

    async def _flatten(self, action: Flatten) -> None:
        plan = action.plan
        naked = self.naked.get((plan.symbol, plan.position_idx))
        order = NewOrder(
            order_link_id=self._link(action, naked.since_ms if naked is not None else 0),
            symbol=plan.symbol,
            side="Sell" if plan.side == "Buy" else "Buy",
            order_type="Market",
            time_in_force="IOC",
            qty=action.qty,
            position_idx=plan.position_idx,
            reduce_only=True,
        )
        said = await self._ask(self._venue.place(order, priority=Priority.PROTECT))
        self.flattened += isinstance(said, Accepted)
        words = f"{plan.symbol}: the position cannot be protected ({action.reason}) and is closed"
        if action.attempt % _TOLD_EVERY == 1:
            self._tell(plan, "flatten", words)

    def _link(self, action: Flatten, since_ms: int) -> str:
        """Derive an id: the same attempt of the same episode is the same order."""
        episode = f"{action.qty}|{since_ms}|{action.attempt}".encode()
        number = int.from_bytes(hashlib.blake2b(episode, digest_size=4).digest())
        return link_id_of(action.plan.trade_id, "guard", number % ATTEMPT_MAX)

    async def _ask(self, asked: Awaitable[PlaceOutcome]) -> PlaceOutcome:
        try:
            said = await within(self._clock, asked, self._options.deadline_s)
        except Late:
            return Unknown("", "no answer within the guard's deadline", self._clock.now_ms())
        if not isinstance(said, Unknown):
            self._reached_s = self._clock.monotonic_s()
        return said

    def _tell(self, plan: PlannedStop, what: str, words: str) -> None:
        self._log.error(what, user=self._user_id, symbol=plan.symbol, words=words)
        self._alarm(
            AlertRecord(
                event_id=f"{what}-{plan.trade_id}-{self._clock.now_ms()}",
                kind="error",
                severity="critical",
                words=words,
                symbol=plan.symbol,
                trade_id=plan.trade_id,
            )
        )
