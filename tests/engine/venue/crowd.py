"""A crowd of users who do everything, from a seed; and the laws that hold after each thing."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np

from engine.venue.exchange import commands as c
from engine.venue.exchange.book import BookModel
from engine.venue.exchange.machine import Exchange
from engine.venue.exchange.records import Account
from engine.venue.words import (
    InstrumentStatus,
    MarginMode,
    OrderType,
    PositionMode,
    Side,
    TimeInForce,
    TpslMode,
    TriggerBy,
)
from tests.engine.venue.desk import TIERS, D, contract

SYMBOLS = ("AAAUSDT", "BBBUSDT")
STRICT = (OrderType.MARKET, OrderType.LIMIT)


class Crowd:
    """Commands drawn from a seed: mostly sensible, sometimes not."""

    def __init__(self, seed: int, *, users: int = 3, thin: bool = False) -> None:
        self.rng = np.random.default_rng(seed)
        book = BookModel(seed, level_usdt=D(300), levels=20) if thin else None
        self.exchange = Exchange(seed, book=book, one_child_per_fill=bool(seed % 2))
        self.prices = dict.fromkeys(SYMBOLS, D(100))
        self.users = users
        self.now = 0
        self.links = 0

    def opening(self) -> list[c.Command]:
        modes = (MarginMode.ISOLATED, MarginMode.CROSS)
        made: list[c.Command] = [c.ListInstrument(instrument=contract(s)) for s in SYMBOLS]
        made += [self.price(symbol) for symbol in SYMBOLS]
        made += [
            c.OpenAccount(uid=uid, equity=D(2_000), margin_mode=modes[uid % 2])
            for uid in range(1, self.users + 1)
        ]
        return made

    def pick(self, *options: Any) -> Any:
        return options[int(self.rng.integers(len(options)))]

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def price(self, symbol: str) -> c.Price:
        last = self.prices[symbol]
        step = D(int(self.rng.normal(0, 8)))
        if self.chance(0.02):
            step *= 20
        last = max(last + step / 10, D(5))
        self.prices[symbol] = last
        mark = last + D(int(self.rng.integers(-2, 3))) / 10
        return c.Price(symbol=symbol, last=last, mark=mark, index=mark)

    def near(self, symbol: str, ticks: int = 15) -> Decimal:
        return self.prices[symbol] + D(int(self.rng.integers(-ticks, ticks + 1))) / 10

    def qty(self) -> Decimal:
        bold = 8 if self.chance(0.15) else 1
        return D(int(self.rng.integers(1, 3_000))) * bold / 100

    def command(self) -> c.Command:
        uid = int(self.rng.integers(1, self.users + 1))
        symbol = self.pick(*SYMBOLS)
        makers = (
            (0.30, lambda: self.price(symbol)),
            (0.06, lambda: self.prints(symbol)),
            (
                0.02,
                lambda: c.Funding(symbol=symbol, rate=D(int(self.rng.integers(-50, 51))) / 10_000),
            ),
            (0.30, lambda: self.create(uid, symbol)),
            (0.08, lambda: self.amend(uid, symbol)),
            (0.06, lambda: self.cancel(uid, symbol)),
            (0.09, lambda: self.stop(uid, symbol)),
            (0.09, lambda: self.setting(uid, symbol)),
        )
        draw = float(self.rng.random())
        for share, make in makers:
            draw -= share
            if draw < 0:
                return make()
        return self.price(symbol)

    def prints(self, symbol: str) -> c.Prints:
        price = self.near(symbol, 5)
        return c.Prints(
            symbol=symbol, price=price, qty=self.qty(), taker_side=self.pick(Side.BUY, Side.SELL)
        )

    def idx(self, uid: int, symbol: str) -> int:
        account = self.exchange.account(uid)
        if self.chance(0.03):
            return self.pick(0, 1, 2)
        return 0 if account.mode_of(symbol) is PositionMode.ONE_WAY else self.pick(1, 2)

    def create(self, uid: int, symbol: str) -> c.CreateOrder:
        side = self.pick(Side.BUY, Side.SELL)
        kind = self.pick(*STRICT)
        more: dict[str, Any] = {}
        if kind is OrderType.LIMIT:
            more["price"] = self.near(symbol)
            more["time_in_force"] = self.pick(
                TimeInForce.GTC,
                TimeInForce.GTC,
                TimeInForce.IOC,
                TimeInForce.FOK,
                TimeInForce.POST_ONLY,
            )
        if self.chance(0.25):
            more["reduce_only"] = True
        elif self.chance(0.5):
            self.attach(more, side, more.get("price", self.prices[symbol]))
        if self.chance(0.2):
            trigger = self.near(symbol, 25)
            more["trigger_price"] = trigger
            more["trigger_direction"] = 1 if trigger > self.prices[symbol] else 2
            more["trigger_by"] = self.pick(*TriggerBy)
        if self.chance(0.1):
            more["smp_type"] = self.pick("CancelMaker", "CancelTaker", "CancelBoth")
        self.links += 1
        link = f"link-{self.links if self.chance(0.97) else 1}"
        return c.CreateOrder(
            uid=uid,
            symbol=symbol,
            side=side,
            order_type=kind,
            qty=self.qty(),
            position_idx=self.idx(uid, symbol),
            order_link_id=link,
            **more,
        )

    def attach(self, more: dict[str, Any], side: Side, base: Decimal) -> None:
        away = [D(int(self.rng.integers(1, 40))) / 10 for _ in range(2)]
        more["take_profit"] = base + side.sign * away[0]
        more["stop_loss"] = base - side.sign * away[1]
        if self.chance(0.3):
            more.pop(self.pick("take_profit", "stop_loss"))
        if self.chance(0.3):
            more["tpsl_mode"] = TpslMode.PARTIAL

    def some_order(self, uid: int) -> str:
        orders = list(self.exchange.account(uid).open_orders.values())
        if not orders or self.chance(0.05):
            orders = list(self.exchange.account(uid).orders.values())
        return self.pick(*orders).order_id if orders else "nothing"

    def amend(self, uid: int, symbol: str) -> c.AmendOrder:
        order_id = self.some_order(uid)
        order = self.exchange.account(uid).orders.get(order_id)
        more: dict[str, Any] = {}
        if order is None:
            return c.AmendOrder(uid=uid, symbol=symbol, order_id=order_id, qty=self.qty())
        if self.chance(0.5):
            more["qty"] = self.qty()
        if order.price is not None and self.chance(0.6):
            more["price"] = self.near(order.symbol)
        if order.trigger_price is not None and self.chance(0.6):
            more["trigger_price"] = self.near(order.symbol)
        if order.stop_loss is not None and self.chance(0.4):
            more["stop_loss"] = self.near(order.symbol)
        return c.AmendOrder(uid=uid, symbol=order.symbol, order_id=order_id, **more)

    def cancel(self, uid: int, symbol: str) -> c.Command:
        if self.chance(0.3):
            names = self.pick("", "Order", "StopOrder", "OpenOrder")
            return c.CancelAll(uid=uid, symbol=symbol, order_filter=names)
        order_id = self.some_order(uid)
        order = self.exchange.account(uid).orders.get(order_id)
        symbol = symbol if order is None else order.symbol
        return c.CancelOrder(uid=uid, symbol=symbol, order_id=order_id)

    def stop(self, uid: int, symbol: str) -> c.SetTradingStop:
        more: dict[str, Any] = {}
        mode = self.pick(TpslMode.FULL, TpslMode.FULL, TpslMode.PARTIAL)
        if self.chance(0.7):
            more["stop_loss"] = self.near(symbol, 30)
        if self.chance(0.5):
            more["take_profit"] = self.near(symbol, 30)
        if self.chance(0.1):
            more["stop_loss"] = D(0)
        if self.chance(0.3):
            more["trailing_stop"] = D(int(self.rng.integers(0, 20))) / 10
            if self.chance(0.4):
                more["active_price"] = self.near(symbol, 10)
        if mode is TpslMode.PARTIAL:
            qty = D(int(self.rng.integers(1, 200))) / 100
            more["tp_size"] = qty if more.get("take_profit") else None
            more["sl_size"] = qty if more.get("stop_loss") else None
        return c.SetTradingStop(
            uid=uid, symbol=symbol, tpsl_mode=mode, position_idx=self.idx(uid, symbol), **more
        )

    def setting(self, uid: int, symbol: str) -> c.Command:
        leverage = D(int(self.rng.integers(1, 52)))
        idx = self.idx(uid, symbol)
        return self.pick(
            c.SetLeverage(uid=uid, symbol=symbol, buy_leverage=leverage, sell_leverage=leverage),
            c.SwitchMode(uid=uid, symbol=symbol, mode=self.pick(*PositionMode)),
            c.SwitchMode(uid=uid, coin="USDT", mode=self.pick(*PositionMode)),
            c.SetMarginMode(uid=uid, mode=self.pick(MarginMode.ISOLATED, MarginMode.CROSS)),
            c.AddMargin(
                uid=uid, symbol=symbol, position_idx=idx, margin=D(int(self.rng.integers(-50, 60)))
            ),
            c.SetAutoAddMargin(uid=uid, symbol=symbol, position_idx=idx, on=self.chance(0.5)),
            c.Transfer(uid=uid, amount=D(int(self.rng.integers(-300, 500)))),
            self.venue_act(uid, symbol, idx),
        )

    def venue_act(self, uid: int, symbol: str, idx: int) -> c.Command:
        position = self.exchange.account(uid).positions.get((symbol, idx))
        if position is not None and position.side is not None and self.chance(0.5):
            return c.Deleverage(
                uid=uid,
                symbol=symbol,
                position_idx=idx,
                qty=min(position.size, D(1)),
                price=self.prices[symbol],
            )
        if self.chance(0.3):
            return self.rules(symbol)
        if self.chance(0.3):
            return c.SetReduceOnly(uid=uid, symbol=symbol)
        return c.ConfirmPendingMmr(uid=uid, symbol=symbol)

    def rules(self, symbol: str) -> c.ListInstrument:
        """New rules of a contract: tick, lot, most, tiers, stage of life."""
        step = self.pick(D("0.01"), D("0.1"), D(1))
        factor = self.pick(1, 2)
        tiers = tuple(
            replace(
                tier,
                maintenance_rate=tier.maintenance_rate * factor,
                deduction=tier.deduction * factor,
            )
            for tier in TIERS
        )
        late = self.pick(
            InstrumentStatus.DELIVERING, InstrumentStatus.CLOSED, InstrumentStatus.PRE_LAUNCH
        )
        instrument = contract(
            symbol,
            tick_size=self.pick(D("0.01"), D("0.1"), D("0.5")),
            qty_step=step,
            min_order_qty=step,
            max_order_qty=self.pick(D(5_000), D(10)),
            max_mkt_order_qty=self.pick(D(1_000), D(5)),
            tiers=self.pick(tiers, ()),
            status=late if self.chance(0.1) else InstrumentStatus.TRADING,
        )
        return c.ListInstrument(instrument=instrument)

    def step(self, command: c.Command) -> list[Any]:
        self.now += int(self.rng.integers(1, 2_000))
        return self.exchange.step(command, self.now)

    def accounts(self) -> list[Account]:
        return list(self.exchange.accounts.values())


__all__ = ["Crowd"]
