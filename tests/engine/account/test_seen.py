"""What the venue shows is taken over; what people did is kept; nonsense harms nobody."""

from dataclasses import fields, is_dataclass, replace
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.account import messages as m
from engine.account.commands import AlertRecord, ReadAccount
from engine.account.decide import decide
from engine.account.state import AccountState, decode_state, encode_state
from engine.venue.exchange import commands as x
from engine.venue.reports import WalletReport
from engine.venue.words import TpslMode
from tests.engine.account.room import SYMBOL, Room, links, position_report
from tests.engine.account.test_laws import live

D = Decimal


def see(room: Room, **changes: Any) -> None:
    room.account()
    report = replace(position_report(room.position()), **changes)
    room.say(m.PositionSeen(at_ms=room.now, position=report))


def test_a_stop_moved_up_by_hand_is_kept_and_told_once():
    room = Room()
    room.enter()
    room.step(x.SetTradingStop(uid=1, symbol=SYMBOL, tpsl_mode=TpslMode.FULL, stop_loss=D("96.50")))
    room.hear()
    see(room)
    assert room.trade.stop_loss == room.trade.stop_set == D("96.50")
    assert [a.kind for a in room.of(AlertRecord)].count("adopted") == 1


def test_a_stop_that_is_gone_asks_for_a_reading():
    room = Room()
    room.enter()
    room.now += 5_000
    see(room, stop_loss=None)
    assert isinstance(room.sent[-1], ReadAccount)


def test_holdings_that_differ_for_long_ask_for_a_reading():
    room = Room()
    room.enter()
    room.hold_commands = True
    room.now += 5_000
    see(room, size=D(1))
    assert not isinstance(room.sent[-1], ReadAccount)
    room.wait(4)
    assert isinstance(room.sent[-1], ReadAccount)
    see(room)
    assert room.trade.odd_ms == 0


def test_leverage_and_the_reduce_only_mark_are_taken_over():
    room = Room()
    room.enter()
    see(room, leverage=D(7), is_reduce_only=True)
    assert room.state.leverage[SYMBOL] == 7
    assert room.state.reduce_only == (SYMBOL,)
    see(room, is_reduce_only=False)
    assert room.state.reduce_only == ()


def test_an_older_wallet_changes_nothing():
    room = Room()
    before = room.state.wallet
    old = WalletReport(wallet_balance=D(1), equity=D(1), updated_time=1)
    room.say(m.WalletSeen(at_ms=room.now, wallet=old))
    assert room.state.wallet == before


def test_a_mark_that_is_none_is_not_taken():
    room = Room()
    before = room.enter().mark
    for bad in (float("nan"), float("inf"), 0.0, -3.0):
        room.say(m.QuoteSeen(at_ms=room.now, symbol=SYMBOL, quote=room.quote(mark=bad)))
        assert room.trade.mark == before
    room.say(m.QuoteSeen(at_ms=room.now, symbol="XUSDT", quote=room.quote()))


def test_a_target_changed_by_hand_is_kept():
    room = Room()
    room.enter()
    target = links(room.sent, "tp1")[0]
    room.step(x.AmendOrder(uid=1, symbol=SYMBOL, order_link_id=target.link_id, price=D("105.00")))
    room.inbox.clear()
    room.say(room.read())
    room.hear()
    room.wait(30)
    (order,) = [o for o in room.account().open_orders.values() if o.order_link_id]
    assert order.price == D("105.00")


def test_settings_told_again_and_the_same_regime_change_nothing():
    room = Room()
    before = room.state
    room.say(m.RegimeSeen(at_ms=room.now, regime="NORMAL"))
    room.say(m.ContractSeen(at_ms=room.now, contract=room.contracts[SYMBOL]))
    assert room.state == before


# ---------------------------------------------------------------------------- nonsense

BAD: dict[type, tuple[Any, ...]] = {
    Decimal: (D("NaN"), D("-Infinity"), D("1E+40"), D("-5"), D(0), D("1E-40"), D("123.456789")),
    float: (float("nan"), float("inf"), -1.0, 0.0, 1e308, 5e-324),
    int: (-1, 0, 2**53),
    str: ("", "x" * 300, "ze001-" + "a" * 24, "None"),
    bool: (True, False),
    type(None): (D("1.5"),),
}


def bent(part: Any, draw: np.random.Generator) -> Any:
    """Return a value with one of its numbers or words made wrong, however deep."""
    names = [f.name for f in fields(part)] if is_dataclass(part) else part.__struct_fields__
    name = names[int(draw.integers(len(names)))]
    value = getattr(part, name)
    if isinstance(value, msgspec.Struct) or is_dataclass(value):
        wrong = bent(value, draw)
    elif isinstance(value, tuple) and value and not isinstance(value[0], str | int | float):
        wrong = (bent(value[0], draw), *value[1:])
    elif type(value) in BAD:
        choices = BAD[type(value)]
        wrong = choices[int(draw.integers(len(choices)))]
    else:
        return part
    if is_dataclass(part):
        return replace(part, **{name: wrong})
    return msgspec.structs.replace(part, **{name: wrong})


@given(st.integers(0, 2**32))
def test_no_message_is_so_wrong_that_it_raises(seed: int):
    draw = np.random.default_rng(seed)
    room = live(seed, 40)
    state: AccountState = room.state
    for message, params in room.said[-25:]:
        wrong = bent(message, draw)
        said = decide(state, wrong, params)
        again = decode_state(encode_state(said.state))
        assert again == said.state
        if draw.random() < 0.3:
            state = said.state
