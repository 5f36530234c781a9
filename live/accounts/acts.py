"""Carries out what was decided and committed, and tells what became of it as messages.

Commands run in lanes: what belongs together goes in its order (leverage before the entry, one stop
of a position after the other), and nothing that protects waits behind anything that does not. Every
lane is a task of the engine's own scope: its error ends the engine, loudly, and no other user's.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from typing import Any, cast

from data.records.rows import IntentRow
from engine.account import messages as m
from engine.account.commands import (
    AnyCommand,
    CancelOrder,
    ChangeOrder,
    MoveStop,
    PlaceOrder,
    ReadAccount,
    SetLeverage,
)
from engine.venue.codes import Action
from live.accounts.gate import EntryGate
from live.clock import Clock
from live.venues import settle
from live.venues.resync import AccountFeed
from live.venues.trading import (
    Accepted,
    NewOrder,
    OrderChange,
    PlaceOutcome,
    Priority,
    Refused,
    TradingStop,
    TradingVenue,
    Unknown,
)

CLOSE_S = 30.0  # an exit is tried so long under one id; then the brain decides anew
CHANGE_S = 20.0  # a cancel or an amendment is tried so long
STOP_S = 6.0  # a stop is tried so long; the guard looks every second besides
LEVERAGE_S = 6.0
ENTRY = "entry"

Tell = Callable[[m.Message], object]


class Acts:
    """One user's hands.

    Parameters
    ----------
    tell : callable
        Takes the outcomes.
    gate : EntryGate
        Asked before every send of an entry.
    now_ms : callable
        The engine's clock.
    """

    def __init__(
        self,
        venue: TradingVenue,
        feed: AccountFeed,
        gate: EntryGate,
        clock: Clock,
        tell: Tell,
        *,
        patience: settle.Patience | None = None,
    ) -> None:
        self.venue = venue
        self._feed = feed
        self._gate = gate
        self._clock = clock
        self._tell = tell
        self._patience = patience or settle.Patience()
        self._lanes: dict[Hashable, deque[AnyCommand]] = {}
        self._owned: dict[str, float] = {}  # link -> since when its outcome is being found out
        self._withdrawn: set[str] = set()
        self._leverage_refused: dict[str, tuple[int, str]] = {}

    # ------------------------------------------------------------------ lanes

    def carry_out(self, commands: Sequence[AnyCommand], scope: asyncio.TaskGroup) -> None:
        """Begin to carry out commands; returns at once."""
        for command in commands:
            if isinstance(command, PlaceOrder):
                self._owned.setdefault(command.link_id, self._clock.monotonic_s())
            elif isinstance(command, CancelOrder):
                self._withdrawn.add(command.link_id)
            key = _lane(command)
            lane = self._lanes.get(key)
            if lane is not None:
                if command not in lane:  # what waits is absolute: asked for again, it is the same
                    lane.append(command)
                continue
            self._lanes[key] = deque([command])
            scope.create_task(self._drain(key))

    async def _drain(self, key: Hashable) -> None:
        lane = self._lanes[key]
        while lane:
            await self._do(lane.popleft())
        del self._lanes[key]

    @property
    def busy(self) -> int:
        """How many lanes are at work."""
        return len(self._lanes)

    def owns(self, link_id: str) -> bool:
        """Tell whether an order waits to be sent, or somebody finds out what became of it."""
        return link_id in self._owned

    def own(self, link_id: str) -> None:
        """Take an order over whose outcome nobody is finding out."""
        self._owned.setdefault(link_id, self._clock.monotonic_s())

    @staticmethod
    def is_placed(settled: settle.Settled) -> bool:
        """Tell whether the venue has the order."""
        return isinstance(settled, settle.Placed)

    def oldest_s(self) -> float:
        """Return for how long the oldest order has been without an outcome."""
        now_s = self._clock.monotonic_s()
        return max((now_s - since for since in self._owned.values()), default=0.0)

    async def _do(self, command: AnyCommand) -> None:
        match command:
            case PlaceOrder():
                await self.place(command)
            case CancelOrder():
                await self._cancel(command)
            case ChangeOrder():
                await self._change(command)
            case MoveStop():
                await self._stop(command)
            case SetLeverage():
                await self._set_leverage(command)
            case ReadAccount():
                self._feed.ask()

    # ------------------------------------------------------------------ orders

    async def place(self, command: PlaceOrder) -> None:
        """Place an order exactly once and tell what became of it."""
        link = command.link_id
        entry = command.leg == ENTRY
        self._owned.setdefault(link, self._clock.monotonic_s())
        try:
            if entry and command.symbol in self._leverage_refused:
                code, text = self._leverage_refused.pop(command.symbol)
                self._say(m.NotPlaced, link_id=link, code=code, text=f"leverage: {text}")
                return
            now_ms = self._clock.now_ms()
            settled = await settle.place_surely(
                cast("TradingVenue", _Door(self, command)),
                _order(command),
                self._clock,
                expires_ms=command.expires_ms or now_ms + int(CLOSE_S * 1000),
                priority=Priority.ENTRY if entry else Priority.PROTECT,
                heard=self._feed.view.by_link,
                patience=self._patience,
            )
            self.told(settled, command.symbol)
        finally:
            self._owned.pop(link, None)

    def told(self, settled: settle.Settled, symbol: str) -> None:
        """Tell what became of an order."""
        link = settled.order_link_id
        if isinstance(settled, settle.NotPlaced):
            self._withdrawn.discard(link)
            self._say(m.NotPlaced, link_id=link, code=settled.code, text=settled.message)
            return
        self._feed.expect(link, symbol, self.venue.venue_ms())
        self._say(m.Placed, link_id=link, order_id=settled.order_id)
        if settled.order is not None and not settled.order.is_open:
            self._say(m.OrderSeen, order=settled.order)

    def follow(self, row: IntentRow) -> None:
        """See to it that the end of a placed order is heard, also where it came unheard.

        It may have ended while no process ran: a fill tells of the holding, not of the order.
        """
        order = self._feed.view.by_link(row.link_id)
        if order is None:
            if not self._feed.expects(row.link_id):  # by the venue's clock: ours may be wrong
                self._feed.expect(row.link_id, row.symbol, self.venue.venue_ms())
        elif not order.is_open:
            self._say(m.OrderSeen, order=order)

    async def look(self, command: PlaceOrder, sent_ms: int) -> settle.Settled:
        """Find out what became of an order whose sending nobody remembers."""
        link = command.link_id
        self._owned.setdefault(link, self._clock.monotonic_s())
        try:
            word, looks = await settle.settle(
                self.venue,
                command.symbol,
                Unknown(link, "sent before the restart, or not at all", sent_ms),
                self._clock,
                heard=self._feed.view.by_link,
                patience=self._patience,
            )
        finally:
            self._owned.pop(link, None)
        order = getattr(word, "order", None)
        if order is not None:
            return settle.Placed(order.order_id, link, order, looks, 0)
        return settle.NotPlaced(link, 0, "the venue has no such order", looks, 0)

    async def send(self, command: PlaceOrder, order: NewOrder, priority: Priority) -> PlaceOutcome:
        """Send an order once, if it may leave now."""
        link = order.order_link_id
        if command.leg != ENTRY:
            return self._noted(link, await self.venue.place(order, priority=priority))
        why = "it was withdrawn" if link in self._withdrawn else self._gate.refusal()
        if why:
            return Refused(0, f"not sent: {why}")
        sent_ms = self._clock.now_ms()
        outcome = await self._gate.send(self.venue.place(order, priority=priority))
        if outcome is None:
            outcome = Unknown(link, "recalled while it was being sent", sent_ms)
        return self._noted(link, outcome)

    def _noted(self, link: str, outcome: PlaceOutcome) -> PlaceOutcome:
        if isinstance(outcome, Unknown):
            self._say(m.SentUnknown, link_id=link, reason=outcome.reason)
        self._trouble(outcome)
        return outcome

    async def _cancel(self, command: CancelOrder) -> None:
        outcome = await settle.cancel_surely(
            self.venue,
            command.symbol,
            command.link_id,
            self._clock,
            expires_ms=self._clock.now_ms() + int(CHANGE_S * 1000),
            patience=self._patience,
        )
        self._answered(command.link_id, outcome)

    async def _change(self, command: ChangeOrder) -> None:
        outcome = await settle.amend_surely(
            self.venue,
            OrderChange(
                symbol=command.symbol,
                order_link_id=command.link_id,
                qty=command.qty,
                price=command.price,
            ),
            self._clock,
            expires_ms=self._clock.now_ms() + int(CHANGE_S * 1000),
            patience=self._patience,
        )
        self._answered(command.link_id, outcome)

    def _answered(self, link: str, outcome: PlaceOutcome) -> None:
        self._trouble(outcome)
        ok, code, text = _read(outcome)
        self._say(m.CancelAnswered, link_id=link, ok=ok, code=code, text=text)
        order = getattr(outcome, "order", None)
        if order is not None and not order.is_open:
            self._say(m.OrderSeen, order=order)

    # ------------------------------------------------------------------ positions

    async def _stop(self, command: MoveStop) -> None:
        stands = self._feed.view.position(command.symbol, command.position_idx)
        if stands is not None and _is_tighter(stands.side, stands.stop_loss, command.stop_loss):
            # Somebody, perhaps the guard or a person, has set a closer one: never loosened by us.
            self._say(
                m.StopAnswered,
                trade_id=command.trade_id,
                symbol=command.symbol,
                stop_loss=stands.stop_loss or command.stop_loss,
                ok=True,
                text="a closer stop stands",
            )
            return
        stop = TradingStop(
            symbol=command.symbol, position_idx=command.position_idx, stop_loss=command.stop_loss
        )
        outcome = await self._insist(
            lambda: self.venue.set_trading_stop(stop, priority=Priority.PROTECT), STOP_S
        )
        self._trouble(outcome)
        ok, code, text = _read(outcome)
        self._say(
            m.StopAnswered,
            trade_id=command.trade_id,
            symbol=command.symbol,
            stop_loss=command.stop_loss,
            ok=ok,
            code=code,
            text=text,
        )

    async def _set_leverage(self, command: SetLeverage) -> None:
        outcome = await self._insist(
            lambda: self.venue.set_leverage(command.symbol, command.leverage), LEVERAGE_S
        )
        self._trouble(outcome)
        ok, code, text = _read(outcome)
        self._leverage_refused.pop(command.symbol, None)
        if not ok:  # what follows in this lane is not sent at another leverage than was judged
            self._leverage_refused[command.symbol] = (code, text)
        self._say(
            m.LeverageAnswered,
            symbol=command.symbol,
            leverage=command.leverage,
            ok=ok,
            code=code,
            text=text,
        )

    async def _insist(self, send: Callable[[], Any], for_s: float) -> PlaceOutcome:
        """Ask for something absolute, which twice is once, until there is a yes or a no."""
        end_s = self._clock.monotonic_s() + for_s
        while True:
            outcome: PlaceOutcome = await send()
            again_s = (
                self._patience.resend_s
                if isinstance(outcome, Unknown)
                else getattr(outcome, "retry_after_s", None)
            )
            if again_s is None or self._clock.monotonic_s() + again_s >= end_s:
                return outcome
            await self._clock.sleep(max(again_s, self._patience.resend_s))

    # ------------------------------------------------------------------ telling

    def _trouble(self, outcome: PlaceOutcome) -> None:
        """Tell what counts for the circuit breaker, and a key that the venue refuses."""
        if isinstance(outcome, Unknown):
            self._say(m.VenueTrouble, what=outcome.reason)
        elif isinstance(outcome, Refused) and outcome.action == Action.STOP_USER:
            reason = f"{outcome.code}: {outcome.message}"
            self._say(m.ViewLost, reason=reason, key_refused=True)

    def _say(self, kind: type[m.Message], **facts: Any) -> None:
        self._tell(kind(at_ms=self._clock.now_ms(), **facts))


class _Door:
    """What `place_surely` sees of the venue: every single send passes the gate."""

    def __init__(self, acts: Acts, command: PlaceOrder) -> None:
        self._acts = acts
        self._command = command

    async def place(self, order: NewOrder, *, priority: Priority) -> PlaceOutcome:
        return await self._acts.send(self._command, order, priority)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._acts.venue, name)


def _lane(command: AnyCommand) -> Hashable:
    match command:
        case SetLeverage() | PlaceOrder(leg="entry"):
            return ("entry", command.symbol)
        case PlaceOrder(link_id=link):
            return ("place", link)
        case CancelOrder(link_id=link) | ChangeOrder(link_id=link):
            return ("change", link)
        case MoveStop(symbol=symbol):
            return ("stop", symbol)
        case _:
            return "read"


def _order(command: PlaceOrder) -> NewOrder:
    return NewOrder(
        order_link_id=command.link_id,
        symbol=command.symbol,
        side=command.side,
        order_type=command.order_type,
        qty=command.qty,
        price=command.price,
        time_in_force=command.time_in_force if command.order_type != "Market" else "IOC",
        position_idx=command.position_idx,
        reduce_only=command.reduce_only,
        stop_loss=command.stop_loss,
        tpsl_mode="Full" if command.stop_loss is not None else "",
    )


def _read(outcome: PlaceOutcome) -> tuple[bool, int, str]:
    if isinstance(outcome, Accepted):
        return True, 0, ""
    if isinstance(outcome, Refused):
        return False, outcome.code, outcome.message
    return False, 0, outcome.reason


def _is_tighter(side: str, stands: Any, wanted: Any) -> bool:
    if not stands:
        return False
    return stands > wanted if side == "Buy" else side == "Sell" and stands < wanted
