"""One user's account at Bybit: the `TradingVenue` of live trading.

Every request that acts is sent once, by the order stream where it is up, else by HTTP; by HTTP
after the stream only if the frame certainly never left. What an answer does not prove stays
Unknown until a lookup, or the private stream, has proved it.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from engine.venue import wire
from engine.venue.codes import Action
from engine.venue.reports import ExecutionReport, OrderReport, PositionReport, WalletReport
from live.venues.bybit.gate import Answer, Gate, Held, Said
from live.venues.bybit.lookup import Lookup
from live.venues.bybit.outcome import outcome, read_code
from live.venues.bybit.readings import Readings
from live.venues.bybit.signer import Signer
from live.venues.bybit.trade_stream import NOT_SENT, TradeStream
from live.venues.bybit.transport import Auth
from live.venues.port import Ok, Outcome
from live.venues.trading import (
    Accepted,
    LookupOutcome,
    NewOrder,
    OrderChange,
    PlaceOutcome,
    Priority,
    Refused,
    TradingStop,
    Unknown,
)

_PATHS = {
    "create": "/v5/order/create",
    "amend": "/v5/order/amend",
    "cancel": "/v5/order/cancel",
    "cancel-all": "/v5/order/cancel-all",
    "trading-stop": "/v5/position/trading-stop",
    "set-leverage": "/v5/position/set-leverage",
}
_BY_STREAM = {"create": "order.create", "amend": "order.amend", "cancel": "order.cancel"}
_NO_ORDER = 110001  # right after a create it may be lag
_ORDER_GONE = frozenset({_NO_ORDER, 110008, 110010})
_UNCHANGED = ("not modified", "remains unchanged")  # 10001 of an amendment that changes nothing
AGAIN_S = 1.0


class BybitTrading:
    """The `TradingVenue` of Bybit.

    Parameters
    ----------
    gate : Gate
        Shared by all users of this process.
    signer : Signer
        This user's key.
    user : str
        Names the user's budgets.
    stream : TradeStream or None
        Order entry by stream, where wanted; closed together with this object.
    on_accepted : callable or None
        Told the monotonic moment of sending of each accepted order request: the private stream
        must bring something after it.
    """

    def __init__(
        self,
        gate: Gate,
        signer: Signer,
        *,
        user: str,
        stream: TradeStream | None = None,
        on_accepted: Callable[[float], None] | None = None,
    ) -> None:
        self.auth = Auth(signer, gate.venue_clock, gate.clock)
        self.readings = Readings(gate, self.auth, user)
        self.lookups = Lookup(self.readings, gate.clock, recv_window_ms=self.auth.recv_window_ms)
        self._gate = gate
        self._user = user
        self._stream = stream
        self._on_accepted = on_accepted

    # ------------------------------------------------------------------ orders

    async def place(self, order: NewOrder, *, priority: Priority) -> PlaceOutcome:
        """Send an order once; "that link id is taken" adopts the order that has it."""
        said = await self._act("create", wire.encode_create(order), priority)
        link = order.order_link_id
        if isinstance(said, Said) and read_code(said, "create").action is Action.ADOPT:
            return await self._adopt(order.symbol, link, said)
        return self._outcome(said, "create", link)

    async def amend(self, change: OrderChange, *, priority: Priority) -> PlaceOutcome:
        """Change a working order; one that has ended is a refusal that carries the order."""
        said = await self._act("amend", wire.encode_amend(change), priority)
        link = change.order_link_id
        if isinstance(said, Said) and said.code:
            if any(words in said.message.lower() for words in _UNCHANGED):
                return Accepted(change.order_id, link, already=True)
            if said.code in _ORDER_GONE:
                found = await self._find(change.symbol, change.order_id, link)
                if found is not None and found.is_open:
                    return _listed_all_the_same(said, found)
                result = self._outcome(said, "amend", link)
                if not isinstance(result, Refused):
                    return result
                lag = found is None and said.code == _NO_ORDER
                doubt_ms = said.sent_ms if lag else None
                return replace(result, order=found, doubtful_ms=doubt_ms)
        return self._outcome(said, "amend", link)

    async def cancel(
        self, symbol: str, *, order_id: str = "", order_link_id: str = "", priority: Priority
    ) -> PlaceOutcome:
        """Cancel an order. One that is gone is looked for: it may have been filled."""
        body = wire.encode_cancel(symbol, order_id=order_id, order_link_id=order_link_id)
        said = await self._act("cancel", body, priority)
        if not isinstance(said, Said) or said.code not in _ORDER_GONE:
            return self._outcome(said, "cancel", order_link_id)
        found = await self._find(symbol, order_id, order_link_id)
        if found is None:
            # 110001 may be lag right after the create: no proof that the order does not exist.
            result = self._outcome(said, "cancel", order_link_id)
            is_no = isinstance(result, Refused)
            return replace(result, doubtful_ms=said.sent_ms) if is_no else result
        if found.is_open:
            return _listed_all_the_same(said, found)
        return Accepted(found.order_id, found.order_link_id, already=True, order=found)

    async def cancel_entries(self, symbol: str, *, priority: Priority) -> PlaceOutcome:
        """Cancel every plain order of a symbol; the filter keeps its stops."""
        body = wire.encode_cancel_all(symbol=symbol, order_filter="Order")
        return self._outcome(await self._act("cancel-all", body, priority), "cancel-all", "")

    # ------------------------------------------------------------------ positions

    async def set_trading_stop(self, stop: TradingStop, *, priority: Priority) -> PlaceOutcome:
        """Set a position's stops. Where the answer leaves it open, the position tells."""
        said = await self._act("trading-stop", wire.encode_trading_stop(stop), priority)
        result = self._outcome(said, "trading-stop", "")
        unsure = isinstance(result, Unknown) or (
            isinstance(said, Said) and read_code(said, "trading-stop").action is Action.VERIFY
        )
        if not unsure:
            return result
        position = await self._position(stop.symbol, stop.position_idx, priority)
        if position is not None and stop.tpsl_mode == "Full" and _stands(stop, position):
            return Accepted(already=True)
        if isinstance(said, Said) and not isinstance(result, Unknown):
            if position is None:
                return Unknown("", f"{said.code}, and the position cannot be read", said.sent_ms)
            return Refused(said.code, said.message, Action.REREAD.value)
        return result

    async def set_leverage(self, symbol: str, leverage: Decimal) -> PlaceOutcome:
        """Set the leverage of both sides. Where the answer leaves it open, the position tells."""
        body = wire.encode_set_leverage(symbol, leverage)
        said = await self._act("set-leverage", body, Priority.ENTRY)
        result = self._outcome(said, "set-leverage", "")
        if isinstance(result, Unknown):
            rows = await self.readings.positions(symbol=symbol, priority=Priority.ENTRY)
            if (
                isinstance(rows, Ok)
                and rows.value
                and all(p.leverage == leverage for p in rows.value)
            ):
                return Accepted(already=True)
        return result

    # ------------------------------------------------------------------ readings

    async def look_up(
        self, symbol: str, order_link_id: str, *, sent_ms: int, order_id: str = ""
    ) -> LookupOutcome:
        """Look once for an order: open, recently closed, then history."""
        return await self.lookups.look_up(symbol, order_link_id, sent_ms=sent_ms, order_id=order_id)

    async def orders(
        self, *, symbol: str = "", priority: Priority = Priority.RECONCILE
    ) -> Outcome[list[OrderReport]]:
        """Return every open order (stops included), all pages."""
        return await self.readings.orders(symbol=symbol, priority=priority)

    async def positions(
        self, *, priority: Priority = Priority.RECONCILE
    ) -> Outcome[list[PositionReport]]:
        """Return every open position, all pages."""
        return await self.readings.positions(priority=priority)

    async def executions(
        self,
        *,
        start_ms: int,
        end_ms: int | None = None,
        priority: Priority = Priority.RECONCILE,
    ) -> Outcome[list[ExecutionReport]]:
        """Return executions of any span, oldest first, each once."""
        return await self.readings.executions(start_ms=start_ms, end_ms=end_ms, priority=priority)

    async def wallet(self, *, priority: Priority = Priority.RECONCILE) -> Outcome[WalletReport]:
        """Return the account's USDT."""
        return await self.readings.wallet(priority=priority)

    def venue_ms(self) -> int:
        """Return the venue's clock as measured last."""
        return self._gate.venue_clock.now_ms()

    async def close(self) -> None:
        """End this user's order stream; the gate is shared and stays."""
        if self._stream is not None:
            await self._stream.close()

    # ------------------------------------------------------------------ sending

    async def _act(self, op: str, body: Mapping[str, Any], priority: Priority) -> Answer:
        """Send a request that acts, once; by HTTP only what did not leave by the stream."""
        path = _PATHS[op]
        by_stream = _BY_STREAM.get(op)
        stream = self._stream
        sent_s = self._gate.clock.monotonic_s()
        answer: Answer | None = None
        if by_stream is not None and stream is not None and stream.ready:

            async def send() -> Answer:
                return await stream.request(by_stream, body, user=self._user)

            answer = await self._gate.ask(
                send, path, user=self._user, priority=priority, by_http=False
            )
            if isinstance(answer, Held) and answer.reason == NOT_SENT:
                answer = None
        if answer is None:
            answer = await self._gate.call(
                "POST", path, body, user=self._user, auth=self.auth, priority=priority
            )
        taken = isinstance(answer, Said) and not answer.code
        if taken and by_stream is not None and self._on_accepted is not None:
            self._on_accepted(sent_s)
        return answer

    def _outcome(self, answer: Answer, op: str, link: str) -> PlaceOutcome:
        return outcome(answer, op, link, self._gate.venue_clock.now_ms())

    # ------------------------------------------------------------------ second looks

    async def _adopt(self, symbol: str, link: str, said: Said) -> PlaceOutcome:
        found = await self._find(symbol, "", link)
        if found is None:
            why = f"{said.code}: {said.message}; the order that has the id is not found yet"
            return Unknown(link, why, said.sent_ms)
        return Accepted(found.order_id, link, already=True, order=found)

    async def _find(self, symbol: str, order_id: str, link: str) -> OrderReport | None:
        found = await self.lookups.find(
            symbol, order_id=order_id, order_link_id=link, priority=Priority.PROTECT
        )
        return found if isinstance(found, OrderReport) else None

    async def _position(
        self, symbol: str, position_idx: int, priority: Priority
    ) -> PositionReport | None:
        rows = await self.readings.positions(symbol=symbol, priority=priority)
        if not isinstance(rows, Ok):
            return None
        return next((p for p in rows.value if p.position_idx == position_idx), None)


def _stands(stop: TradingStop, position: PositionReport) -> bool:
    """Tell whether a position has the stops that were asked for."""
    asked = (
        (stop.take_profit, position.take_profit),
        (stop.stop_loss, position.stop_loss),
        (stop.trailing_stop, position.trailing_stop),
    )
    return all(want is None or want == (have or Decimal(0)) for want, have in asked)


def _listed_all_the_same(said: Said, found: OrderReport) -> Refused:
    """Return a refusal that says to ask again: gone by one word of the venue, open by another."""
    why = f"{said.code}: {said.message}; yet it is listed as {found.order_status}"
    return Refused(said.code, why, Action.WAIT.value, AGAIN_S, order=found)
