"""A decision in the making: the state so far, what is wanted done, what is to be written down."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from engine.account.commands import (
    AlertRecord,
    AnyCommand,
    AnyRecord,
    AuditRecord,
    CancelOrder,
    ChangeOrder,
    MoveStop,
    PlaceOrder,
    ReadAccount,
    SetLeverage,
    TradeRecord,
)
from engine.account.settings import UserSettings
from engine.account.state import TRADE_MOVES, AccountState, OwnOrder, Trade

ENDED_MAX = 12  # trades remembered after their end, for fills that come late
READ_EVERY_MS = 2_000  # the account is not asked for more often


class Draft:
    """One decision while it is being made. Lives inside one call of `decide`."""

    __slots__ = ("at_ms", "before", "commands", "params", "records", "state", "touched")

    def __init__(self, state: AccountState, params: UserSettings, at_ms: int) -> None:
        self.before = state
        self.at_ms = max(at_ms, state.at_ms)  # time never falls
        self.state = state if self.at_ms == state.at_ms else replace(state, at_ms=self.at_ms)
        self.params = params
        self.commands: list[AnyCommand] = []
        self.records: list[AnyRecord] = []
        self.touched: dict[str, None] = {}  # trades that changed, in order

    def set(self, **changes: Any) -> None:
        """Change fields of the state."""
        self.state = replace(self.state, **changes)

    # ------------------------------------------------------------------ trades

    def live(self) -> Iterator[Trade]:
        """Yield live trades in an order that a restart does not change."""
        for trade_id in sorted(self.state.trades):
            yield self.state.trades[trade_id]

    def trade(self, trade_id: str) -> Trade | None:
        """Return a trade, live or lately ended."""
        return self.state.trades.get(trade_id) or self.state.ended.get(trade_id)

    def of_symbol(self, symbol: str) -> Trade | None:
        """Return the live trade of a symbol; there is never more than one."""
        return next((trade for trade in self.live() if trade.symbol == symbol), None)

    def put(self, trade: Trade, **changes: Any) -> Trade:
        """Store a trade, changed; a move of its status that is not listed is not made."""
        before = self.trade(trade.trade_id)
        status = changes.get("status", trade.status)
        moves = before is not None and status != before.status
        if before is not None and moves and status not in TRADE_MOVES[before.status]:
            changes["status"] = before.status
        trade = replace(trade, **changes)
        trades, ended = self.state.trades, self.state.ended
        if trade.is_live:
            trades = {**trades, trade.trade_id: trade}
            ended = _without(ended, trade.trade_id)
        else:
            trades = _without(trades, trade.trade_id)
            ended = _bounded({**_without(ended, trade.trade_id), trade.trade_id: trade})
        self.set(trades=trades, ended=ended)
        self.touched[trade.trade_id] = None
        return trade

    def put_order(self, trade: Trade, order: OwnOrder, **changes: Any) -> Trade:
        """Store a trade with one of its orders changed, or a new one added."""
        if trade.order(order.link_id) is None:
            orders = (*trade.orders, order)
        else:
            orders = tuple(order if o.link_id == order.link_id else o for o in trade.orders)
        return self.put(trade, orders=orders, **changes)

    # ------------------------------------------------------------------ commands

    def place(self, trade: Trade, order: OwnOrder, *, stop: Decimal | None = None) -> None:
        """Send one of a trade's orders."""
        entry = order.leg == "entry"
        market = order.order_type == "Market"
        self.commands.append(
            PlaceOrder(
                link_id=order.link_id,
                trade_id=trade.trade_id,
                leg=order.leg,
                symbol=trade.symbol,
                side=order.side,
                order_type=order.order_type,
                qty=order.qty,
                price=order.price,
                time_in_force="IOC" if market else "GTC",
                position_idx=trade.position_idx,
                reduce_only=not entry,
                stop_loss=stop,
                expires_ms=order.expires_ms,
                leverage=trade.plan.leverage if entry else None,
            )
        )

    def cancel(self, trade: Trade, order: OwnOrder, reason: str) -> Trade:
        """Ask for the end of an order, and remember that it was asked."""
        command = CancelOrder(
            link_id=order.link_id, trade_id=trade.trade_id, symbol=trade.symbol, reason=reason
        )
        self.commands.append(command)
        asked = replace(order, cancel=order.cancel or reason, cancel_ms=self.at_ms)
        return self.put_order(trade, asked)

    def change(self, trade: Trade, order: OwnOrder, qty: Decimal, price: Decimal | None) -> Trade:
        """Give an order another quantity or price."""
        command = ChangeOrder(
            link_id=order.link_id,
            trade_id=trade.trade_id,
            symbol=trade.symbol,
            qty=qty if qty != order.qty else None,
            price=price if price != order.price else None,
        )
        self.commands.append(command)
        asked = replace(order, change_qty=qty, change_price=price, change_ms=self.at_ms)
        return self.put_order(trade, asked)

    def move_stop(self, trade: Trade, stop: Decimal, reason: str, **changes: Any) -> Trade:
        """Ask for a stop at the venue; `stop_loss` of the trade is where it belongs from now."""
        command = MoveStop(
            trade_id=trade.trade_id,
            symbol=trade.symbol,
            stop_loss=stop,
            reason=reason,
            position_idx=trade.position_idx,
        )
        self.commands.append(command)
        return self.put(trade, stop_loss=stop, stop_ms=self.at_ms, **changes)

    def set_leverage(self, symbol: str, leverage: Decimal) -> None:
        """Set a coin's leverage."""
        self.commands.append(SetLeverage(symbol=symbol, leverage=leverage))

    def read_account(self, reason: str) -> None:
        """Ask for a whole reading, not too often."""
        if self.at_ms - self.state.asked_read_ms >= READ_EVERY_MS:
            self.set(asked_read_ms=self.at_ms)
            self.commands.append(ReadAccount(reason=reason))

    # ------------------------------------------------------------------ records

    def alert(
        self,
        kind: str,
        event_id: str,
        words: str,
        *,
        severity: str = "info",
        trade: Trade | None = None,
        **facts: object,
    ) -> None:
        """Tell a person; `event_id` names the event, so that it is told once."""
        self.records.append(
            AlertRecord(
                event_id=event_id,
                kind=kind,
                severity=severity,
                words=words,
                symbol=trade.symbol if trade else str(facts.get("symbol", "")),
                trade_id=trade.trade_id if trade else "",
                facts={name: _text(value) for name, value in facts.items()},
            )
        )

    def audit(self, cause: str, actor: str = "engine", **detail: object) -> None:
        """Write a line of the chain."""
        said = {name: _text(value) for name, value in detail.items()}
        self.records.append(AuditRecord(cause=cause, actor=actor, detail=said))

    def record(self, record: AnyRecord) -> None:
        """Write something else down."""
        self.records.append(record)

    def record_trades(self) -> None:
        """Write every trade that reads differently now, once, as it stands at the end."""
        for trade_id in self.touched:
            now = self.trade(trade_id)
            then = self.before.trades.get(trade_id) or self.before.ended.get(trade_id)
            if now is None:
                continue
            row = trade_record(now)
            if then is None or row != trade_record(then):
                self.records.append(row)
            if then is not None and now.status != then.status and not self._audited(trade_id):
                self.audit("moved", trade_id=trade_id, was=then.status, status=now.status)

    def _audited(self, trade_id: str) -> bool:
        """Tell whether a line of the chain speaks of a trade already."""
        rows = (r for r in self.records if isinstance(r, AuditRecord))
        return any(r.detail.get("trade_id") == trade_id for r in rows)


def trade_record(trade: Trade) -> TradeRecord:
    """Return a trade as the books show it."""
    risk = trade.plan.risk_usdt
    over = trade.status == "closed"
    return TradeRecord(
        trade_id=trade.trade_id,
        signal_id=trade.signal_id,
        symbol=trade.symbol,
        status=trade.status,
        qty=trade.qty,
        entry_price=trade.entry_price,
        stop_loss=trade.stop_loss,
        realised_usdt=trade.net_usdt,
        fees_usdt=trade.fees_usdt,
        funding_usdt=trade.funding_usdt,
        risk_usdt=risk,
        r=trade.net_usdt / trade.plan.r_usdt if over and trade.plan.r_usdt > 0 else None,
        opened_ms=trade.opened_ms,
        closed_ms=trade.closed_ms,
        exit_kind=trade.exit_kind,
        detail={"bought": _text(trade.bought), "sold": _text(trade.sold)},
    )


def _text(value: object) -> str:
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _without(trades: dict[str, Trade], trade_id: str) -> dict[str, Trade]:
    if trade_id not in trades:
        return trades
    return {name: trade for name, trade in trades.items() if name != trade_id}


def _bounded(ended: dict[str, Trade]) -> dict[str, Trade]:
    if len(ended) <= ENDED_MAX:
        return ended
    oldest = min(ended, key=lambda name: (ended[name].closed_ms, name))
    return _without(ended, oldest)
