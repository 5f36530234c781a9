"""A small desk in front of the machine: short orders, short prices, events by kind."""

from decimal import Decimal
from typing import Any

from engine.venue.exchange.book import BookModel
from engine.venue.exchange.commands import (
    AmendOrder,
    CancelOrder,
    Command,
    CreateOrder,
    Funding,
    ListInstrument,
    OpenAccount,
    Price,
    Prints,
    SetLeverage,
    SetTradingStop,
)
from engine.venue.exchange.events import (
    Accepted,
    Event,
    Executed,
    OrderChanged,
    PnlClosed,
    Refused,
)
from engine.venue.exchange.machine import Exchange
from engine.venue.exchange.records import Order, Position
from engine.venue.instrument import Instrument, RiskTier
from engine.venue.words import MarginMode, OrderType, Side, TimeInForce, TpslMode

D = Decimal
BUY, SELL = Side.BUY, Side.SELL
SYMBOL = "AAAUSDT"

TIERS = (
    RiskTier(1, D(200_000), D("0.01"), D(0), D(50)),
    RiskTier(2, D(400_000), D("0.02"), D(2_000), D(25)),
    RiskTier(3, D(2_000_000), D("0.05"), D(14_000), D(10)),
)


def contract(symbol: str = SYMBOL, **changes: Any) -> Instrument:
    rules: dict[str, Any] = {
        "symbol": symbol,
        "tick_size": D("0.1"),
        "qty_step": D("0.01"),
        "min_order_qty": D("0.01"),
        "max_order_qty": D(5_000),
        "max_mkt_order_qty": D(1_000),
        "leverage_max": D(50),
        "tiers": TIERS,
    }
    return Instrument(**(rules | changes))


class Desk:
    """One exchange, one symbol unless told otherwise, user 1 with 10,000 USDT."""

    def __init__(
        self,
        *,
        seed: int = 7,
        mode: MarginMode = MarginMode.ISOLATED,
        equity: str = "10000",
        instrument: Instrument | None = None,
        book: BookModel | None = None,
        **options: Any,
    ) -> None:
        self.exchange = Exchange(seed, book=book, **options)
        self.now = 0
        self.links = 0
        self.do(ListInstrument(instrument=instrument or contract()))
        self.price("100")
        self.do(OpenAccount(uid=1, equity=D(equity), margin_mode=mode))

    def do(self, command: Command) -> list[Event]:
        self.now += 1_000
        return self.exchange.step(command, self.now)

    def price(
        self, last: str, *, mark: str | None = None, index: str | None = None, symbol: str = SYMBOL
    ) -> list[Event]:
        mark = last if mark is None else mark
        return self.do(Price(symbol=symbol, last=D(last), mark=D(mark), index=D(index or mark)))

    def prints(self, price: str, qty: str, taker: Side) -> list[Event]:
        return self.do(Prints(symbol=SYMBOL, price=D(price), qty=D(qty), taker_side=taker))

    def funding(self, rate: str) -> list[Event]:
        return self.do(Funding(symbol=SYMBOL, rate=D(rate)))

    def create(self, side: Side, qty: str, price: str | None = None, **more: Any) -> list[Event]:
        numbers = (
            "trigger_price",
            "take_profit",
            "stop_loss",
            "tp_limit_price",
            "sl_limit_price",
            "slippage_tolerance",
        )
        for name in numbers:
            if isinstance(more.get(name), str):
                more[name] = D(more[name])
        fields: dict[str, Any] = {
            "uid": 1,
            "symbol": SYMBOL,
            "side": side,
            "order_type": OrderType.MARKET if price is None else OrderType.LIMIT,
            "qty": D(qty),
            "price": None if price is None else D(price),
        }
        return self.do(CreateOrder(**(fields | more)))

    def amend(self, order_id: str, **changes: str) -> list[Event]:
        values = {name: D(value) for name, value in changes.items()}
        return self.do(AmendOrder(uid=1, symbol=SYMBOL, order_id=order_id, **values))

    def cancel(self, order_id: str) -> list[Event]:
        return self.do(CancelOrder(uid=1, symbol=SYMBOL, order_id=order_id))

    def protect(self, mode: TpslMode = TpslMode.FULL, **more: Any) -> list[Event]:
        for name, value in more.items():
            if type(value) is str:
                more[name] = D(value)
        return self.do(SetTradingStop(uid=1, symbol=SYMBOL, tpsl_mode=mode, **more))

    def leverage(self, buy: str, sell: str | None = None) -> list[Event]:
        return self.do(
            SetLeverage(uid=1, symbol=SYMBOL, buy_leverage=D(buy), sell_leverage=D(sell or buy))
        )

    @property
    def account(self) -> Any:
        return self.exchange.refresh(1)

    def position(self, idx: int = 0) -> Position:
        return self.account.positions[SYMBOL, idx]

    def open_orders(self, kind: str | None = None) -> list[Order]:
        orders = list(self.account.open_orders.values())
        return [order for order in orders if kind is None or order.stop_order_type == kind]


def accepted(events: list[Event]) -> str:
    """The id of the order that was taken; fails on a refusal."""
    assert isinstance(events[0], Accepted), events[0]
    return events[0].order_id


def refused(events: list[Event]) -> int:
    """The code of a refusal, which is all that happened."""
    assert len(events) == 1
    assert isinstance(events[0], Refused), events[0]
    return events[0].code


def of(events: list[Event], kind: type) -> list[Any]:
    names = {Executed: "execution", OrderChanged: "order", PnlClosed: "closed"}
    found = [event for event in events if isinstance(event, kind)]
    return [getattr(event, names[kind]) for event in found] if kind in names else found


def fills(events: list[Event]) -> list[Any]:
    return of(events, Executed)


def orders(events: list[Event]) -> list[Any]:
    return of(events, OrderChanged)


PostOnly, IOC, FOK = TimeInForce.POST_ONLY, TimeInForce.IOC, TimeInForce.FOK
