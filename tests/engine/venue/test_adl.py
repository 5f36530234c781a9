"""The deleveraging queue: worked examples, and a crowd ranked the slow way after every step."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.venue.exchange.commands import CreateOrder, Deleverage, OpenAccount, SetLeverage
from engine.venue.exchange.events import PositionChanged
from engine.venue.exchange.records import Position
from engine.venue.words import OrderType, Side
from tests.engine.venue.crowd import Crowd
from tests.engine.venue.desk import BUY, SELL, SYMBOL, D, Desk, of


def hold(desk: Desk, uid: int, side: Side, leverage: str = "10") -> None:
    if uid not in desk.exchange.accounts:
        desk.do(OpenAccount(uid=uid, equity=D(10_000)))
    rate = D(leverage)
    desk.do(SetLeverage(uid=uid, symbol=SYMBOL, buy_leverage=rate, sell_leverage=rate))
    desk.do(CreateOrder(uid=uid, symbol=SYMBOL, side=side, order_type=OrderType.MARKET, qty=D(1)))


def ranks(desk: Desk, *uids: int) -> list[int]:
    accounts = [desk.exchange.refresh(uid) for uid in uids]
    return [account.positions[SYMBOL, 0].adl_rank_indicator for account in accounts]


def test_nobody_else_and_nothing_held() -> None:
    desk = Desk()
    desk.create(BUY, "1")
    assert desk.position().adl_rank_indicator == 1
    told = of(desk.create(SELL, "1"), PositionChanged)[-1].position
    assert told.adl_rank_indicator == 0
    assert desk.position().adl_rank_indicator == 0


def test_profit_and_leverage_bring_a_holder_to_the_front() -> None:
    desk = Desk()
    for uid, leverage in enumerate(("2", "5", "11", "20", "25"), 1):
        hold(desk, uid, BUY, leverage)
    hold(desk, 6, SELL, "25")
    desk.price("102")
    assert ranks(desk, 1, 2, 3, 4, 5) == [1, 2, 3, 4, 5]
    assert ranks(desk, 6) == [1]  # the other side is another queue
    desk.price("99")
    assert ranks(desk, 1, 2, 3, 4, 5) == [1, 2, 3, 4, 5]  # a loss weighs less at more leverage
    desk.price("102")
    hold(desk, 7, BUY, "25")  # as leveraged as the first, but without its profit
    assert ranks(desk, 7, 1) == [1, 1]
    desk.do(Deleverage(uid=5, symbol=SYMBOL, qty=D(1), price=D(102)))
    assert ranks(desk, 5, 4) == [0, 5]


def score(position: Position, mark: Fraction) -> Fraction:
    entry, leverage = Fraction(position.entry_price), Fraction(position.leverage)
    gain = (mark - entry) / entry
    if position.side is SELL:
        gain = -gain
    return max(gain, Fraction(0)) * leverage + min(gain, Fraction(0)) / leverage


@pytest.mark.laws
@given(seed=st.integers(0, 2**32 - 1))
def test_ranks_are_what_sorting_everybody_gives(seed: int) -> None:
    crowd = Crowd(seed, users=7)
    for command in crowd.opening():
        crowd.step(command)
    for number in range(150):
        crowd.step(crowd.command())
        if number % 5:
            continue
        for uid in crowd.exchange.accounts:
            crowd.exchange.refresh(uid)
        everyone = [p for account in crowd.accounts() for p in account.positions.values()]
        for position in everyone:
            if position.side is None:
                assert position.adl_rank_indicator == 0
                continue
            mark = Fraction(crowd.exchange.prices[position.symbol].mark)
            line = [
                score(each, mark)
                for each in everyone
                if (each.symbol, each.side) == (position.symbol, position.side)
            ]
            lower = sum(each < score(position, mark) for each in line)
            assert position.adl_rank_indicator == 1 + 5 * lower // len(line)
