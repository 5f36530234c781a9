"""A signal's whole way through decide, against the real machine."""

from decimal import Decimal

from engine.account.commands import AlertRecord, PlaceOrder, SetLeverage, VerdictRecord
from tests.engine.account.room import Room, links

D = Decimal


def test_a_signal_becomes_leverage_and_one_limit_with_its_stop():
    room = Room()
    room.say(room.signal())
    leverage, order = room.sent
    assert leverage == SetLeverage(symbol="AAAUSDT", leverage=D(5))
    assert isinstance(order, PlaceOrder)
    assert (order.side, order.order_type, order.price) == ("Buy", "Limit", D("99.20"))
    assert order.stop_loss == D("95.00")
    (verdict,) = room.of(VerdictRecord)
    assert verdict.approved
    assert verdict.trade_id == order.trade_id


def test_a_fill_opens_the_trade_and_sends_its_target():
    room = Room()
    trade = room.enter()
    assert trade.status == "open"
    assert trade.qty == room.position().size > 0
    (target,) = links(room.sent, "tp1")
    assert target.reduce_only
    assert target.qty == trade.contract.floor_qty(trade.qty / 2)
    assert room.position().stop_loss == D("95.00")
    assert "entry" in room.kinds()


def test_a_stop_closes_the_trade_and_clears_its_orders():
    room = Room()
    room.enter()
    room.market("94.9")
    room.hear()
    room.wait(2)
    assert not room.state.trades
    assert room.last.exit_kind == "stop"
    assert room.last.net_usdt < 0
    assert not room.account().open_orders
    assert room.account().wallet.wallet_balance == 10_000 + room.state.cash_usdt
    assert [a.kind for a in room.of(AlertRecord)] == ["entry", "stop"]
