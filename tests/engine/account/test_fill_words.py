"""What an execution writes down and tells: every field of the row, every event's words."""

from decimal import Decimal

import pytest

from engine.account import orders
from engine.account.commands import AlertRecord, AuditRecord, ExecutionRecord
from engine.risk.breaker import HALTED
from tests.engine.account.room import SYMBOL, Room
from tests.engine.account.test_fills import fill, hear

D = Decimal


def alert(room: Room, kind: str) -> AlertRecord:
    return [a for a in room.of(AlertRecord) if a.kind == kind][-1]


def audit(room: Room, cause: str) -> dict[str, str]:
    return [a.detail for a in room.of(AuditRecord) if a.cause == cause][-1]


def test_the_row_is_the_execution() -> None:
    room = Room()
    trade = room.enter()
    told = fill(
        "s9", side="Sell", order_id="x", exec_pnl=D("-7.5"), exec_price=D(98), exec_qty=D(2),
        exec_value=D(196), exec_fee=D("0.1"), is_maker=True, order_link_id="by-hand",
    )  # fmt: skip
    assert hear(room, told) == ExecutionRecord(
        exec_id="s9", exec_type="Trade", symbol=SYMBOL, side="Sell", order_id="x",
        link_id="by-hand", trade_id=trade.trade_id, leg="foreign", qty=D(2), price=D(98),
        value=D(196), fee=D("0.1"), pnl=D("-7.5"), exec_time=1_900_000_000_000, is_maker=True,
    )  # fmt: skip


def test_an_entry_is_told_with_its_price_and_stop() -> None:
    room = Room()
    trade = room.enter()
    told = alert(room, "entry")
    assert told.event_id == f"entry:{trade.trade_id}"
    assert told.words == f"{SYMBOL} bought at 99.2, stop 95.0."
    assert told.facts["qty"] == f"{trade.qty:f}"
    assert told.trade_id == trade.trade_id
    assert trade.stop_set == trade.plan.stop


@pytest.mark.parametrize(
    ("side", "kind", "what", "left"),
    [
        ("Buy", "Trade", "bought", 2),
        ("Sell", "Trade", "sold", -2),
        ("Sell", "AdlTrade", "reduced by the venue", -2),
    ],
)
def test_what_others_did_to_a_trade_is_told_in_words(
    side: str, kind: str, what: str, left: int
) -> None:
    room = Room()
    before = room.enter()
    room.hold_commands = True
    hear(room, fill("p1", order_id="x", exec_qty=D(2), side=side, exec_type=kind))
    now = room.trade
    assert now.qty == before.qty + left
    assert now.tp1_filled == 0
    told = alert(room, "adopted")
    assert told.event_id == "adopted:p1"
    assert told.severity == "warning"
    assert told.words == (f"{SYMBOL}: 2 {what} outside of this engine; {now.qty:f} is led on.")
    assert told.facts == {"qty": "2", "left": f"{now.qty:f}"}
    assert audit(room, "adopted") == {
        "trade_id": before.trade_id, "exec_id": "p1", "what": what
    }  # fmt: skip


def test_a_liquidation_halts_until_a_person_has_looked() -> None:
    room = Room()
    before = room.enter()
    room.hold_commands = True
    hear(room, fill("l1", exec_type="BustTrade", side="Sell", exec_qty=D(1), order_id="x"))
    told = [a for a in room.of(AlertRecord) if a.event_id.startswith("liquidation:")]
    assert [(a.kind, a.severity, a.words, a.trade_id) for a in told] == [
        ("stop", "critical", f"{SYMBOL} was liquidated by the venue.", before.trade_id)
    ]
    assert audit(room, "liquidated") == {
        "trade_id": before.trade_id, "left": f"{before.qty - 1:f}"
    }  # fmt: skip
    assert room.state.breaker.state == HALTED


def test_a_target_is_told_once_with_what_was_sold() -> None:
    room = Room()
    before = room.enter()
    room.market("109")
    room.hear()
    room.wait(1)
    trade = room.trade
    assert 0 < trade.tp1_filled < before.qty
    assert trade.tp1_ms > 0
    (told,) = [a for a in room.of(AlertRecord) if a.kind == "tp1"]
    assert told.event_id == f"tp1:{trade.trade_id}"
    assert told.facts["qty"] == f"{trade.tp1_filled:f}"
    assert told.words.startswith(f"{SYMBOL}: first target, {trade.tp1_filled:f} sold at ")
    assert audit(room, "tp1")["trade_id"] == trade.trade_id


def test_attempts_are_counted_for_each_leg_alone() -> None:
    room = Room()
    trade = room.enter()  # one entry and one target by now
    again = orders.make(trade, "entry", "Buy", "Limit", D(1), D(99), room.now)
    first = orders.make(trade, "close", "Sell", "Market", D(1), None, room.now, 7)
    assert (again.attempt, first.attempt, first.expires_ms, first.made_ms) == (2, 1, 7, room.now)
