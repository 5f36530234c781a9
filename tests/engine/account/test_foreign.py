"""What a person holds beside our trades counts in the day's result, whoever opens or closes it."""

from decimal import Decimal

from engine.account import messages as m
from engine.account.exposure import equity, unrealised
from engine.account.settings import UserSettings
from engine.risk.day import day_result
from engine.venue.exchange import commands as x
from engine.venue.words import OrderType, Side
from tests.engine.account.room import SYMBOL, Room, position_report, wallet_report

D = Decimal
OTHER = "BBBUSDT"
COINS = (SYMBOL, OTHER)


def by_hand(room: Room, qty: str, side: Side = Side.BUY, symbol: str = OTHER) -> None:
    """A person trades at the market, at a leverage that survives the stories told here."""
    slow = D(2)
    room.step(x.SetLeverage(uid=1, symbol=symbol, buy_leverage=slow, sell_leverage=slow))
    said = room.step(
        x.CreateOrder(
            uid=1,
            symbol=symbol,
            side=side,
            order_type=OrderType.MARKET,
            qty=D(qty),
            order_link_id=f"hand{len(room.said)}",
        )
    )
    assert type(said[0]).__name__ == "Accepted", said[0]
    room.hear()


def result(room: Room) -> Decimal:
    assert room.state.day is not None
    return day_result(room.state.day, unrealised(room.state))


def lived(room: Room) -> Decimal:
    """What the account has won or lost, as the machine has it."""
    wallet = room.account().wallet
    return wallet.wallet_balance + wallet.unrealised_pnl - 10_000


def test_the_days_result_is_the_accounts_through_every_fill_of_ours_and_theirs() -> None:
    room = Room(symbols=COINS)

    def agrees(what: str) -> None:
        room.say(m.QuoteSeen(at_ms=room.now, symbol=SYMBOL, quote=room.quote()))
        room.say(room.read())
        room.hear()
        assert result(room) == lived(room), what
        assert equity(room.state) == 10_000 + lived(room), what

    agrees("at the start")
    by_hand(room, "20")
    room.market("97", symbol=OTHER)
    agrees("a foreign loss of 60, nothing of ours")
    assert -62 < result(room) < -60
    room.enter()
    room.market("101")
    agrees("one of ours open")
    assert result(room) < -20
    by_hand(room, "5", Side.SELL)
    agrees("a part of theirs closed")
    room.market("103", symbol=OTHER)
    agrees("theirs has turned")
    by_hand(room, "40", Side.SELL)
    room.market("104", symbol=OTHER)
    agrees("theirs is short")
    room.say(m.Control(at_ms=room.now, action="close_all", actor="user:1"))
    room.hear()
    assert not room.state.trades
    agrees("ours is closed")
    by_hand(room, "25")
    agrees("all is closed")
    assert not unrealised(room.state)


def test_a_foreign_loss_does_not_leave_the_result_when_one_of_ours_opens() -> None:
    room = Room(symbols=COINS)
    by_hand(room, "40")
    room.market("96", symbol=OTHER)
    room.say(room.read())
    before = result(room)
    assert before < -160
    room.enter()
    room.say(room.read())  # the wallet's figure is as old as its last report, or newer
    assert before - 5 < result(room) < before + 5  # fees and the retest's own way, no jump
    room.market("95", symbol=OTHER)
    room.say(m.PositionSeen(at_ms=room.now, position=position_report(_slot(room))))
    assert room.state.day is not None
    assert room.state.day.halted  # 200 and more are lost: at the news itself, not at a fill


def test_what_a_foreign_position_had_lost_before_is_not_the_days_loss() -> None:
    room = Room(symbols=COINS, ready=False)
    room.say(m.RegimeSeen(at_ms=room.now, regime="NORMAL"))
    by_hand(room, "50")
    room.market("90", symbol=OTHER)  # 500 of 10,000 were lost before this engine knew the account
    room.inbox.clear()
    room.state = Room(ready=False).state
    wallet = wallet_report(room.account().wallet, room.now)
    room.say(m.WalletSeen(at_ms=room.now, wallet=wallet))
    assert room.state.day is None  # a wallet alone does not tell what positions had brought before
    room.say(room.read())
    assert result(room) == 0
    assert room.state.day is not None
    assert not room.state.day.halted
    room.market("85", symbol=OTHER)
    room.say(room.read())
    assert result(room) == -250
    assert room.state.day.halted


def test_a_foreign_profit_that_melts_is_a_loss_of_the_day() -> None:
    room = Room(UserSettings(), symbols=COINS)
    by_hand(room, "50")
    room.market("110", symbol=OTHER)
    room.say(room.read())
    room.now += 86_400_000
    room.say(m.Tick(at_ms=room.now))
    assert room.state.day is not None
    assert room.state.day.start_unrealised_usdt == unrealised(room.state) > 499
    start = result(room)
    room.market("103", symbol=OTHER)
    room.say(room.read())
    assert result(room) == start - 350


def _slot(room: Room):
    return room.account().positions[OTHER, 0]
