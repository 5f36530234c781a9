"""The liquidation price shown is the first tick at which the machine takes over."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.venue.exchange.commands import (
    CreateOrder,
    ListInstrument,
    OpenAccount,
    Price,
    SetLeverage,
    SwitchMode,
)
from engine.venue.exchange.events import Executed
from engine.venue.exchange.machine import Exchange
from engine.venue.exchange.records import Position
from engine.venue.words import MarginMode, OrderType, PositionMode, Side
from tests.engine.venue.desk import BUY, SELL, SYMBOL, D, Desk, contract

pytestmark = pytest.mark.laws
OTHER = "BBBUSDT"
TICK = D("0.1")
Holding = tuple[str, Side, Decimal]

holdings = st.lists(
    st.tuples(
        st.sampled_from([SYMBOL, OTHER]),
        st.sampled_from(list(Side)),
        st.decimals("0.5", "4000", places=1),
    ),
    min_size=1,
    max_size=3,
)


class Shown:
    """An account with some positions, rebuilt as often as anyone wants to ruin it."""

    def __init__(
        self, mode: MarginMode, holdings: list[Holding], leverage: int, cushion: int, *, hedge: bool
    ) -> None:
        self.exchange = Exchange(3)
        self.prices = {SYMBOL: D(100), OTHER: D(100)}
        self.now = 0
        for symbol in self.prices:
            rules = contract(symbol, max_order_qty=D(50_000), max_mkt_order_qty=D(50_000))
            self.do(ListInstrument(instrument=rules))
            self.price(symbol, D(100))
        value = sum((qty for _, _, qty in holdings), D(0)) * 100
        equity = (value / leverage) * (100 + cushion) / 100 + 50
        self.do(OpenAccount(uid=1, equity=equity, margin_mode=mode))
        if hedge:
            self.do(SwitchMode(uid=1, coin="USDT", mode=PositionMode.HEDGE))
        for symbol in self.prices:
            rate = D(leverage)
            self.do(SetLeverage(uid=1, symbol=symbol, buy_leverage=rate, sell_leverage=rate))
        for symbol, side, qty in holdings:
            idx = (1 if side is BUY else 2) if hedge else 0
            self.do(
                CreateOrder(
                    uid=1,
                    symbol=symbol,
                    side=side,
                    order_type=OrderType.MARKET,
                    qty=qty,
                    position_idx=idx,
                )
            )

    def do(self, command: Any) -> list[Any]:
        self.now += 1
        return self.exchange.step(command, self.now)

    def price(self, symbol: str, price: Decimal) -> list[Any]:
        return self.do(Price(symbol=symbol, last=price, mark=price, index=price))

    def held(self) -> list[Position]:
        return [each for each in self.exchange.refresh(1).positions.values() if each.side]

    def ruined_at(self, symbol: str, mark: Decimal) -> bool:
        events = self.price(symbol, mark)
        return any(isinstance(e, Executed) and e.execution.exec_type == "BustTrade" for e in events)


@pytest.mark.parametrize("mode", [MarginMode.ISOLATED, MarginMode.CROSS])
@given(
    held=holdings,
    leverage=st.integers(2, 25),
    cushion=st.integers(2, 400),
    hedge=st.booleans(),
)
def test_it_is_where_the_machine_takes_over(
    *, mode: MarginMode, held: list[Holding], leverage: int, cushion: int, hedge: bool
) -> None:
    def account() -> Shown:
        return Shown(mode, held, leverage, cushion, hedge=hedge)

    for position in account().held():
        side, shown = position.side, position.liq_price
        assert side is not None
        where = account()
        if shown is None:  # nowhere within the contract's range
            assert not where.ruined_at(position.symbol, TICK if side is BUY else D(100_000))
            continue
        assert (D(100) - shown) * side.sign > 0
        assert not where.ruined_at(position.symbol, shown + side.sign * TICK)
        assert where.ruined_at(position.symbol, shown)


def test_two_legs_of_one_symbol_are_ruined_together() -> None:
    """Long 10 and short 8 move with one mark: nothing near is a danger to either."""
    desk = Desk(mode=MarginMode.CROSS, equity="300")
    desk.do(SwitchMode(uid=1, symbol=SYMBOL, mode=PositionMode.HEDGE))
    desk.create(BUY, "10", position_idx=1)
    desk.create(SELL, "8", position_idx=2)
    assert [desk.position(idx).liq_price for idx in (1, 2)] == [None, None]
    assert not any(isinstance(event, Executed) for event in desk.price("50"))
