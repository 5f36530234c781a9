"""Planted bugs of the brain: what it is told, what it wants, what it remembers."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from app.proofs.drill.system import Build
from engine.account import messages as m
from engine.account.commands import (
    AuditRecord,
    CancelOrder,
    MoveStop,
    PlaceOrder,
    SetLeverage,
    VerdictRecord,
)
from engine.account.settings import UserSettings

replace = msgspec.structs.replace
Hear = Callable[[Any], Any]  # a message, or None to lose it
Want = Callable[[Any, Any], list[Any]]  # (command, state) -> what is wanted instead


class Twisted:
    """A sound brain behind a mistake."""

    def __init__(
        self,
        inner: Any,
        *,
        hear: Hear = lambda message: message,
        want: Want = lambda command, _: [command],
        write: Callable[[Any], Any] = lambda record: record,
        under: Callable[[UserSettings], UserSettings] = lambda params: params,
        read: Callable[[Any], Any] = lambda state: state,
        before: Callable[[Any], Any] = lambda state: state,
        also: Callable[[Any, Any], list[Any]] = lambda _message, _state: [],
    ) -> None:
        self._inner = inner
        self._hear = hear
        self._want = want
        self._write = write
        self._under = under
        self._read = read
        self._before = before
        self._also = also

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def decode(self, raw: bytes) -> Any:
        """Read a state."""
        return self._read(self._inner.decode(raw))

    def decide(self, state: Any, message: Any, params: UserSettings) -> Any:
        """Decide, wrongly."""
        heard = self._hear(message)
        if heard is None:
            heard = m.Tick(at_ms=message.at_ms)
        if isinstance(heard, m.SettingsChanged):
            heard = replace(heard, settings=self._under(heard.settings))
        said = self._inner.decide(self._before(state), heard, self._under(params))
        commands = [c for wish in said.commands for c in self._want(wish, said.state)]
        commands += self._also(heard, said.state)
        records = [r for r in map(self._write, said.records) if r is not None]
        return type(said)(state=said.state, commands=tuple(commands), records=tuple(records))


def _twist(**how: Any) -> Build:
    return Build(brain=lambda inner: Twisted(inner, **how))


def _risk(**limits: Any) -> Build:
    return _twist(under=lambda s: replace(s, risk=replace(s.risk, **limits)))


def _placed(leg: str, change: Callable[[PlaceOrder, Any], PlaceOrder]) -> Want:
    def want(command: Any, state: Any) -> list[Any]:
        ours = isinstance(command, PlaceOrder) and command.leg == leg
        return [change(command, state) if ours else command]

    return want


def _lose(*kinds: type) -> Hear:
    return lambda message: None if isinstance(message, kinds) else message


def _deaf_to_funding(message: Any) -> Any:
    if isinstance(message, m.Executed) and message.execution.exec_type == "Funding":
        return None
    if isinstance(message, m.AccountRead):
        kept = tuple(e for e in message.executions if e.exec_type != "Funding")
        return replace(message, executions=kept)
    return message


def _free(execution: Any) -> Any:
    import dataclasses

    return dataclasses.replace(execution, exec_fee=Decimal(0))


def _no_fees(message: Any) -> Any:
    if isinstance(message, m.Executed):
        return replace(message, execution=_free(message.execution))
    if isinstance(message, m.AccountRead):
        return replace(message, executions=tuple(map(_free, message.executions)))
    return message


def _unknown_is_refused(message: Any) -> Any:
    if isinstance(message, m.SentUnknown):
        return m.NotPlaced(at_ms=message.at_ms, link_id=message.link_id, text="no answer")
    return message


def _leverage_is_fine(message: Any) -> Any:
    return replace(message, ok=True) if isinstance(message, m.LeverageAnswered) else message


def _forever_young(message: Any) -> Any:
    if isinstance(message, m.SignalHeard):
        return replace(message, signal=replace(message.signal, t=message.at_ms))
    return message


def _fresh_quotes(message: Any) -> Any:
    quote = getattr(message, "quote", None)
    if quote is None:
        return message
    return replace(message, quote=replace(quote, ts=message.at_ms, stale=False))


def _wider(command: Any, _state: Any) -> list[Any]:
    if isinstance(command, MoveStop) and command.reason == "trail":
        tick = Decimal(1).scaleb(command.stop_loss.as_tuple().exponent)  # pyrefly: ignore
        below = (command.stop_loss * Decimal("0.985") / tick).to_integral_value() * tick
        return [replace(command, stop_loss=below)]
    return [command]


def _off_tick(command: Any, _state: Any) -> list[Any]:
    if isinstance(command, MoveStop):
        return [replace(command, stop_loss=command.stop_loss * Decimal("1.0000317"))]
    if isinstance(command, PlaceOrder) and command.leg == "tp1" and command.price:
        return [replace(command, price=command.price * Decimal("1.0000317"))]
    return [command]


def _less(order: PlaceOrder, state: Any) -> PlaceOrder:
    trade = state.trades.get(order.trade_id)
    if trade is None or order.qty <= trade.contract.qty_step:
        return order
    return replace(order, qty=order.qty - trade.contract.qty_step)


def _restless(message: Any, state: Any) -> list[Any]:
    """Set the same stop again at every tick."""
    if not isinstance(message, m.Tick):
        return []
    return [
        MoveStop(
            trade_id=t.trade_id, symbol=t.symbol, stop_loss=t.stop_set, reason="breakeven",
            position_idx=t.position_idx,
        )
        for t in state.trades.values()
        if t.qty and t.stop_set
    ]  # fmt: skip


def _meddle(message: Any, state: Any) -> list[Any]:
    """Protect what others hold, too."""
    if not isinstance(message, m.PositionSeen) or not message.position.size:
        return []
    position = message.position
    if any(t.symbol == position.symbol for t in state.trades.values()) or not position.entry_price:
        return []
    stop = (position.entry_price * Decimal("0.9")).quantize(Decimal("0.01"))
    return [MoveStop(trade_id="none", symbol=position.symbol, stop_loss=stop, reason="protect")]


def _buy_back(message: Any, state: Any) -> list[Any]:
    """Buy again what a person has sold."""
    if not isinstance(message, m.Executed) or message.execution.side != "Sell":
        return []
    fill = message.execution
    if fill.order_link_id or fill.stop_order_type or fill.exec_type != "Trade":
        return []
    return [
        PlaceOrder(
            link_id=f"zr-{fill.exec_id}"[:36], trade_id=t.trade_id, leg="entry", symbol=t.symbol,
            side="Buy", order_type="Market", qty=fill.exec_qty, stop_loss=t.plan.stop,
            position_idx=t.position_idx,
        )
        for t in (*state.trades.values(), *state.ended.values())
        if t.symbol == fill.symbol
    ][-1:]  # fmt: skip


def _unhalted(state: Any) -> Any:
    day = state.day
    return replace(state, day=replace(day, halted=False)) if day is not None else state


def _no_memory(state: Any) -> Any:
    return replace(state, heard=(), trades={}, ended={})


BRAINS: dict[str, Build] = {
    "stop after fill": _twist(want=_placed("entry", lambda o, _: replace(o, stop_loss=None))),
    "no execution de-duplication": _twist(before=lambda state: replace(state, seen=())),
    "halt forgotten at restart": _twist(read=_unhalted),
    "halt never set": _risk(daily_loss_max=Decimal(1)),
    "trades forgotten at restart": _twist(read=_no_memory),
    "breakeven again and again": _twist(also=_restless),
    "TP1 not reduce-only": _twist(
        want=_placed("tp1", lambda o, _: replace(o, reduce_only=False))
    ),
    "close into reverse": _twist(
        want=_placed("close", lambda o, _: replace(o, reduce_only=False, qty=o.qty * 2))
    ),
    "time zone ignored": _twist(under=lambda s: replace(s, timezone="UTC")),
    "funding not counted": _twist(hear=_deaf_to_funding),
    "fees not counted": _twist(hear=_no_fees),
    "foreign position touched": _twist(also=_meddle),
    "manual close fought": _twist(also=_buy_back),
    "stale quote used": _twist(hear=_fresh_quotes),
    "expired signal entered": _twist(hear=_forever_young),
    "regime ignored": _risk(regime_filter=False),
    "leverage not read back": _twist(hear=_leverage_is_fine),
    "leverage never set": _twist(
        want=lambda c, _: [] if isinstance(c, SetLeverage) else [c],
        hear=_leverage_is_fine,
        before=lambda s: replace(s, leverage=dict.fromkeys(("AAAUSDT", "BBBUSDT", "CCCUSDT"),
                                                           Decimal(5))),
    ),
    "audit row missing": _twist(
        write=lambda r: None if isinstance(r, AuditRecord) and r.cause != "day_opened" else r
    ),
    "no verdict on a refusal": _twist(
        write=lambda r: None if isinstance(r, VerdictRecord) and not r.approved else r
    ),
    "wrong tick rounding": _twist(want=_off_tick),
    "one trade too many": _twist(
        under=lambda s: replace(s, risk=replace(s.risk, trades_max=s.risk.trades_max + 1))
    ),
    "total risk ignored": _risk(
        total_risk_max=Decimal(1), symbol_risk_max=Decimal(1), group_risk_max=Decimal(1),
        margin_use_max=Decimal(5),
    ),
    "entry never withdrawn": _twist(
        want=lambda c, _: [] if isinstance(c, CancelOrder) else [c]
    ),
}  # fmt: skip
