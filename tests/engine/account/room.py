"""A user's brain in a room with the real machine: what it commands happens, what happens it hears.

`say` decides one message; `act` carries commands to the machine; what the machine tells waits in
`inbox` until it is heard, so that a test may lose it, double it or turn its order round.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from engine.account import messages as m
from engine.account.commands import (
    CancelOrder,
    ChangeOrder,
    MoveStop,
    PlaceOrder,
    Record,
    SetLeverage,
)
from engine.account.decide import Decision, decide
from engine.account.settings import UserSettings
from engine.account.signal import Quote, Signal
from engine.account.state import AccountState, Trade, decode_state, encode_state, fresh
from engine.venue.exchange import commands as x
from engine.venue.exchange import events as e
from engine.venue.exchange.machine import Exchange
from engine.venue.exchange.records import Execution, Order, Position, Wallet
from engine.venue.instrument import Instrument, RiskTier
from engine.venue.reports import ExecutionReport, OrderReport, PositionReport, WalletReport
from engine.venue.words import OrderType, Side, TimeInForce, TpslMode

D = Decimal
SYMBOL = "AAAUSDT"
BAR_MS = 900_000
START = 1_900_000_000_000 - 1_900_000_000_000 % BAR_MS
TIERS = (
    RiskTier(1, D(200_000), D("0.01"), D(0), D(50)),
    RiskTier(2, D(2_000_000), D("0.05"), D(8_000), D(10)),
)


def contract(symbol: str = SYMBOL, **changes: Any) -> Instrument:
    rules: dict[str, Any] = {
        "symbol": symbol,
        "tick_size": D("0.01"),
        "qty_step": D("0.01"),
        "min_order_qty": D("0.01"),
        "max_order_qty": D(5_000),
        "max_mkt_order_qty": D(1_000),
        "leverage_max": D(50),
        "tiers": TIERS,
    }
    return Instrument(**(rules | changes))


def order_report(order: Order) -> OrderReport:
    return OrderReport(
        order_id=order.order_id,
        order_link_id=order.order_link_id,
        symbol=order.symbol,
        side=order.side.value,
        order_type=order.order_type.value,
        order_status=order.order_status.value,
        qty=order.qty,
        price=order.price if order.order_type is OrderType.LIMIT else None,
        position_idx=order.position_idx,
        reduce_only=order.reduce_only,
        cum_exec_qty=order.cum_exec_qty,
        cancel_type="" if order.cancel_type.value == "UNKNOWN" else order.cancel_type.value,
        reject_reason="" if "NoError" in order.reject_reason.value else order.reject_reason.value,
        stop_order_type=order.stop_order_type.value,
        create_type=order.create_type.value,
        trigger_price=order.trigger_price,
        created_time=order.created_time,
        updated_time=order.updated_time,
    )


def execution_report(done: Execution) -> ExecutionReport:
    return ExecutionReport(
        exec_id=done.exec_id,
        exec_type=done.exec_type.value,
        symbol=done.symbol,
        side=done.side.value,
        order_id=done.order_id,
        order_link_id=done.order_link_id,
        exec_price=done.exec_price,
        exec_qty=done.exec_qty,
        exec_value=done.exec_value,
        exec_time=done.exec_time,
        exec_fee=done.exec_fee,
        exec_pnl=done.exec_pnl,
        closed_size=done.closed_size,
        is_maker=done.is_maker,
        create_type=done.create_type.value if done.create_type else "",
        stop_order_type=done.stop_order_type.value,
        seq=done.seq,
    )


def position_report(position: Position) -> PositionReport:
    return PositionReport(
        symbol=position.symbol,
        position_idx=position.position_idx,
        side=position.side.value if position.side else "",
        size=position.size,
        entry_price=position.entry_price or None,
        leverage=position.leverage,
        mark_price=position.mark_price or None,
        stop_loss=position.stop_loss,
        updated_time=position.updated_time,
        seq=position.seq,
    )


def wallet_report(wallet: Wallet, at_ms: int) -> WalletReport:
    return WalletReport(
        wallet_balance=wallet.wallet_balance,
        equity=wallet.equity,
        available_balance=wallet.available_balance,
        unrealised_pnl=wallet.unrealised_pnl,
        updated_time=at_ms,
    )


class Room:
    """One user with 10,000 USDT, one coin at 100; `seconds` moves the clock and ticks."""

    def __init__(
        self,
        params: UserSettings | None = None,
        *,
        seed: int = 3,
        ready: bool = True,
        symbols: tuple[str, ...] = (SYMBOL,),
        **rules: Any,
    ) -> None:
        self.contracts = {name: contract(name, **rules) for name in symbols}
        self.exchange = Exchange(seed)
        self.params = params or UserSettings()
        self.now = START
        self.state: AccountState = fresh("u1", 1)
        self.inbox: list[m.AnyMessage] = []
        self.records: list[Record] = []
        self.said: list[tuple[m.AnyMessage, UserSettings]] = []
        self.sent: list[Any] = []
        self.hold_commands = False
        for name in symbols:
            self.step(x.ListInstrument(instrument=self.contracts[name]))
            self.market("100", symbol=name)
        self.step(x.OpenAccount(uid=1, equity=D(10_000)))
        self.inbox.clear()
        if ready:
            self.ready()

    # ------------------------------------------------------------------ the machine

    def step(self, command: x.Command) -> list[e.Event]:
        events = self.exchange.step(command, self.now)
        for event in events:
            if getattr(event, "uid", 0) == 1:
                self._tell(event)
        return events

    def _tell(self, event: e.Event) -> None:
        at = self.now
        match event:
            case e.OrderChanged():
                self.inbox.append(m.OrderSeen(at_ms=at, order=order_report(event.order)))
            case e.Executed():
                execution = execution_report(event.execution)
                self.inbox.append(m.Executed(at_ms=at, execution=execution))
            case e.PositionChanged():
                report = position_report(event.position)
                self.inbox.append(m.PositionSeen(at_ms=at, position=report))
            case e.WalletChanged():
                self.inbox.append(m.WalletSeen(at_ms=at, wallet=wallet_report(event.wallet, at)))

    def market(self, last: str, mark: str | None = None, symbol: str = SYMBOL) -> None:
        price = D(last)
        self.step(x.Price(symbol=symbol, last=price, mark=D(mark or last), index=price))

    def prints(self, price: str, qty: str, taker: Side = Side.SELL) -> None:
        self.step(x.Prints(symbol=SYMBOL, price=D(price), qty=D(qty), taker_side=taker))

    def account(self) -> Any:
        return self.exchange.refresh(1)

    def position(self) -> Position:
        return self.account().positions[SYMBOL, 0]

    def read(self) -> m.AccountRead:
        account = self.account()
        positions = tuple(position_report(p) for p in account.positions.values() if p.size)
        listed = tuple(order_report(o) for o in account.open_orders.values())
        return m.AccountRead(
            at_ms=self.now,
            positions=positions,
            orders=listed,
            wallet=wallet_report(account.wallet, self.now),
            executions=tuple(execution_report(done) for done in account.executions[-50:]),
            margin_mode="ISOLATED_MARGIN",
        )

    # ------------------------------------------------------------------ the brain

    def say(self, message: m.AnyMessage) -> Decision:
        said = decide(self.state, message, self.params)
        self.said.append((message, self.params))
        if isinstance(message, m.SettingsChanged):
            self.params = message.settings
        self.state = said.state
        self.records += said.records
        self.sent += said.commands
        if not self.hold_commands:
            for command in said.commands:
                self.act(command)
        return said

    def hear(self) -> None:
        """Let the brain hear everything that happened, and what follows from that."""
        while self.inbox:
            self.say(self.inbox.pop(0))

    def restart(self) -> None:
        """Forget everything that was not written down."""
        state = decode_state(encode_state(self.state))
        assert isinstance(state, AccountState), state
        self.state = state

    def act(self, command: Any) -> None:
        match command:
            case PlaceOrder():
                self._place(command)
            case CancelOrder():
                asked = x.CancelOrder(uid=1, symbol=command.symbol, order_link_id=command.link_id)
                self._answer(m.CancelAnswered, asked, link_id=command.link_id)
            case ChangeOrder():
                change = x.AmendOrder(
                    uid=1,
                    symbol=command.symbol,
                    order_link_id=command.link_id,
                    qty=command.qty,
                    price=command.price,
                )
                self._answer(m.CancelAnswered, change, link_id=command.link_id)
            case MoveStop():
                stop = x.SetTradingStop(
                    uid=1,
                    symbol=command.symbol,
                    tpsl_mode=TpslMode.FULL,
                    stop_loss=command.stop_loss,
                )
                self._answer(
                    m.StopAnswered,
                    stop,
                    trade_id=command.trade_id,
                    symbol=command.symbol,
                    stop_loss=command.stop_loss,
                )
            case SetLeverage():
                value = command.leverage
                asked = x.SetLeverage(
                    uid=1, symbol=command.symbol, buy_leverage=value, sell_leverage=value
                )
                self._answer(m.LeverageAnswered, asked, symbol=command.symbol, leverage=value)
            case _:
                self.inbox.append(self.read())

    def _answer(self, kind: type[Any], asked: x.Command, **named: Any) -> None:
        first = self.step(asked)[0]
        code, text = (0, "") if isinstance(first, e.Accepted) else (first.code, first.message)
        self.inbox.append(kind(at_ms=self.now, ok=code == 0, code=code, text=text, **named))

    def _place(self, command: PlaceOrder) -> None:
        first = self.step(
            x.CreateOrder(
                uid=1,
                symbol=command.symbol,
                side=Side(command.side),
                order_type=OrderType(command.order_type),
                qty=command.qty,
                price=command.price,
                time_in_force=TimeInForce(command.time_in_force),
                order_link_id=command.link_id,
                reduce_only=command.reduce_only,
                stop_loss=command.stop_loss,
                tpsl_mode=TpslMode.FULL if command.stop_loss else None,
            )
        )[0]
        link = command.link_id
        if isinstance(first, e.Accepted):
            self.inbox.append(m.Placed(at_ms=self.now, link_id=link, order_id=first.order_id))
        else:
            self.inbox.append(
                m.NotPlaced(at_ms=self.now, link_id=link, code=first.code, text=first.message)
            )

    # ------------------------------------------------------------------ short words

    def ready(self) -> None:
        self.say(m.RegimeSeen(at_ms=self.now, regime="NORMAL"))
        self.say(self.read())
        self.hear()

    def quote(self, symbol: str = SYMBOL, **changes: Any) -> Quote:
        price = float(self.exchange.prices[symbol].last)
        fields: dict[str, Any] = {
            "ts": self.now,
            "bid": price - 0.01,
            "ask": price + 0.01,
            "mark": price,
            "spread_bps": 2.0,
            "sweep_bps": 1.0,
            "funding_rate": 0.0001,
            "next_funding_ms": self.now + 3_600_000,
            "turnover_24h": 1e8,
        }
        return Quote(**(fields | changes))

    def signal(self, name: str = "s1", symbol: str = SYMBOL, **changes: Any) -> m.SignalHeard:
        """A breakout of the level 99: the limit rests at 99.2, the stop at 95."""
        fields: dict[str, Any] = {
            "signal_id": name,
            "symbol": symbol,
            "profile": "default",
            "interval_ms": BAR_MS,
            "t": self.now - self.now % BAR_MS,
            "close": 100.0,
            "level": 99.0,
            "levels": (99.0,) * 8,
            "floor": 95.5,
            "batr": 2.0,
            "atr": 2.0,
        }
        return m.SignalHeard(
            at_ms=self.now,
            signal=Signal(**(fields | changes)),
            contract=self.contracts[symbol],
            quote=self.quote(symbol),
        )

    def wait(self, seconds: float = 1.0) -> None:
        self.now += int(seconds * 1000)
        self.say(m.Tick(at_ms=self.now))
        self.hear()

    def bar(
        self, open_: float, high: float, low: float, close: float, symbol: str = SYMBOL
    ) -> None:
        """Close the bar that is open; the clock moves to its end."""
        ts = self.now - self.now % BAR_MS
        self.now = ts + BAR_MS
        self.say(
            m.BarClosed(
                at_ms=self.now,
                symbol=symbol,
                interval_ms=BAR_MS,
                ts=ts,
                open=open_,
                high=high,
                low=low,
                close=close,
            )
        )
        self.hear()

    def enter(self, name: str = "s1") -> Trade:
        """Have a trade open: a signal, its entry, its fill."""
        self.say(self.signal(name))
        self.hear()
        self.market("99")
        self.hear()
        return self.trade

    @property
    def trade(self) -> Trade:
        (trade,) = self.state.trades.values()
        return trade

    @property
    def last(self) -> Trade:
        return max(self.state.ended.values(), key=lambda trade: trade.closed_ms)

    def of(self, kind: type[Any]) -> list[Any]:
        return [record for record in self.records if isinstance(record, kind)]

    def kinds(self) -> list[str]:
        return [r.kind for r in self.records if hasattr(r, "event_id")]


def links(commands: Iterable[Any], leg: str) -> list[PlaceOrder]:
    return [c for c in commands if isinstance(c, PlaceOrder) and c.leg == leg]
