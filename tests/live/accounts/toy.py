"""A brain of a hundred lines: enough of a trade's life to see what the executor makes of it."""

from decimal import Decimal
from typing import Any

import msgspec

from engine.account import messages as m
from engine.account.commands import (
    AlertRecord,
    AuditRecord,
    CancelOrder,
    ExecutionRecord,
    MoveStop,
    PlaceOrder,
    TradeRecord,
    VerdictRecord,
)
from engine.account.guard import PlannedStop
from engine.account.links import trade_id_of


class Trade(msgspec.Struct, frozen=True, kw_only=True):
    trade_id: str
    symbol: str
    link_id: str
    stop: Decimal
    qty: Decimal
    status: str = "pending"
    size: Decimal = Decimal(0)


class ToyState(msgspec.Struct, frozen=True, kw_only=True):
    user_id: str
    settings_version: int
    seen: bool = False  # the account is read, the stream is up
    allowed: bool = True
    killed: bool = False
    trades: dict[str, Trade] = {}
    executions: tuple[str, ...] = ()
    newest_ms: int = 0


class ToyDecision(msgspec.Struct, frozen=True, kw_only=True):
    state: ToyState
    commands: list[Any] = []
    records: list[Any] = []


class Toy:
    """Buys what it hears of, at the level, one unit; gives it up when told."""

    def fresh(self, user_id: str, version: int) -> ToyState:
        return ToyState(user_id=user_id, settings_version=version)

    def same(self, before: ToyState, after: ToyState) -> bool:
        return before == after

    def encode(self, state: ToyState) -> bytes:
        return msgspec.json.encode(state)

    def decode(self, raw: bytes) -> ToyState:
        return msgspec.json.decode(raw, type=ToyState)

    def digest(self, state: ToyState) -> str:
        import hashlib

        return hashlib.sha256(self.encode(state)).hexdigest()

    def settings_version(self, state: ToyState) -> int:
        return state.settings_version

    def newest_ms(self, state: ToyState) -> int:
        return state.newest_ms

    def bars_from(self, state: ToyState) -> dict[str, tuple[int, int]]:  # noqa: ARG002
        return {}

    def watched(self, state: ToyState) -> frozenset[str]:
        return frozenset(s for s, t in state.trades.items() if t.status not in ("over", "none"))

    def plans(self, state: ToyState) -> dict[str, PlannedStop]:
        return {
            t.symbol: PlannedStop(
                trade_id=t.trade_id, symbol=t.symbol, side="Buy", stop_loss=t.stop
            )
            for t in state.trades.values()
            if t.size > 0
        }

    # ------------------------------------------------------------------ decide

    def decide(self, state: ToyState, message: m.Message, _params: Any) -> ToyDecision:
        match message:
            case m.ViewLost():
                return ToyDecision(state=_set(state, seen=False))
            case m.AccountRead():
                return ToyDecision(state=_set(state, seen=True))
            case m.EntriesAllowed(allowed=allowed):
                return ToyDecision(state=_set(state, allowed=allowed))
            case m.SettingsChanged(version=version):
                return ToyDecision(state=_set(state, settings_version=version))
            case m.Control(action=action):
                return self._control(state, action, message)
            case m.SignalHeard():
                return self._signal(state, message)
            case m.Executed():
                return self._executed(state, message)
            case m.NotPlaced(link_id=link):
                return self._not_placed(state, link)
            case m.Placed(link_id=link):
                return self._move(state, link, "resting")
            case _:
                return ToyDecision(state=state)

    def _control(self, state: ToyState, action: str, message: m.Control) -> ToyDecision:
        if action == "poison":
            raise ValueError("poisoned")
        state = _set(state, killed={"kill": True, "unkill": False}.get(action, state.killed))
        commands: list[Any] = []
        for t in state.trades.values():
            if action == "kill" and t.status in ("pending", "resting"):
                commands.append(
                    CancelOrder(
                        link_id=t.link_id, trade_id=t.trade_id, symbol=t.symbol, reason="kill"
                    )
                )
            if action == "close" and t.size > 0:
                commands.append(
                    PlaceOrder(
                        link_id=f"c{t.link_id}", trade_id=t.trade_id, leg="close",
                        symbol=t.symbol, side="Sell", order_type="Market", qty=t.size,
                        reduce_only=True,
                    )
                )  # fmt: skip
            if action == "tighten" and t.size > 0:
                commands.append(
                    MoveStop(
                        trade_id=t.trade_id, symbol=t.symbol,
                        stop_loss=t.stop + Decimal(message.reason), reason="trail",
                    )
                )  # fmt: skip
        audit = AuditRecord(cause=action, actor=message.actor)
        return ToyDecision(state=state, commands=commands, records=[audit])

    def _signal(self, state: ToyState, message: m.SignalHeard) -> ToyDecision:
        signal, rules = message.signal, message.contract
        why = (
            "" if state.seen and state.allowed and not state.killed
            and signal.symbol not in state.trades else "not now"
        )  # fmt: skip
        verdict = VerdictRecord(
            signal_id=signal.signal_id, symbol=signal.symbol, approved=not why,
            reason=why or "approved", words=why or "yes",
        )  # fmt: skip
        if why:
            return ToyDecision(state=state, records=[verdict])
        link = f"z-{state.user_id[-4:]}-{signal.symbol}-{signal.t % 10**9}"
        trade = Trade(
            trade_id=trade_id_of(state.user_id, signal.signal_id), symbol=signal.symbol,
            link_id=link,
            stop=rules.floor_price(Decimal(str(signal.floor))),
            qty=rules.floor_qty(Decimal(200) / Decimal(str(signal.close))),
        )  # fmt: skip
        order = PlaceOrder(
            link_id=link, trade_id=trade.trade_id, leg="entry", symbol=signal.symbol, side="Buy",
            order_type="Limit", qty=trade.qty,
            price=rules.floor_price(Decimal(str(signal.level))), stop_loss=trade.stop,
            expires_ms=message.at_ms + 120_000,
        )  # fmt: skip
        state = _set(state, trades={**state.trades, signal.symbol: trade})
        record = TradeRecord(
            trade_id=trade.trade_id, signal_id=signal.signal_id, symbol=signal.symbol,
            status="pending", qty=trade.qty, entry_price=None, stop_loss=trade.stop,
            realised_usdt=Decimal(0), fees_usdt=Decimal(0), funding_usdt=Decimal(0),
            risk_usdt=Decimal(1),
        )  # fmt: skip
        alert = AlertRecord(
            event_id=f"entry-{link}", kind="entry", severity="info", words="an entry is placed"
        )
        return ToyDecision(state=state, commands=[order], records=[verdict, record, alert])

    def _executed(self, state: ToyState, message: m.Executed) -> ToyDecision:
        fill = message.execution
        if fill.exec_id in state.executions:
            return ToyDecision(state=state)
        trade = state.trades.get(fill.symbol)
        if trade is not None and fill.exec_type != "Funding":
            sign = 1 if fill.side == "Buy" else -1
            size = trade.size + sign * fill.exec_qty
            status = "open" if size > 0 else "over"
            changed = msgspec.structs.replace(trade, size=size, status=status)
            state = _set(state, trades={**state.trades, fill.symbol: changed})
        state = _set(
            state,
            executions=(*state.executions, fill.exec_id),
            newest_ms=max(state.newest_ms, fill.exec_time),
        )
        record = ExecutionRecord(
            exec_id=fill.exec_id, exec_type=fill.exec_type, symbol=fill.symbol, side=fill.side,
            order_id=fill.order_id, link_id=fill.order_link_id,
            trade_id=trade.trade_id if trade else "",
            leg="entry" if fill.side == "Buy" else "close",
            qty=fill.exec_qty, price=fill.exec_price, value=fill.exec_value,
            fee=fill.exec_fee or Decimal(0), pnl=fill.exec_pnl or Decimal(0),
            exec_time=fill.exec_time, is_maker=fill.is_maker,
        )  # fmt: skip
        return ToyDecision(state=state, records=[record])

    def _not_placed(self, state: ToyState, link: str) -> ToyDecision:
        return self._move(state, link, "none")

    def _move(self, state: ToyState, link: str, status: str) -> ToyDecision:
        for t in state.trades.values():
            if t.link_id == link and t.size == 0 and t.status in ("pending", "resting"):
                changed = msgspec.structs.replace(t, status=status)
                return ToyDecision(state=_set(state, trades={**state.trades, t.symbol: changed}))
        return ToyDecision(state=state)


def _set(state: ToyState, **facts: Any) -> ToyState:
    return msgspec.structs.replace(state, **facts)
