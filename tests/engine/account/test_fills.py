"""Whose an execution is, and that it is booked once, whatever it looks like."""

from decimal import Decimal, localcontext

from hypothesis import given
from hypothesis import strategies as st

from engine.account import messages as m
from engine.account.commands import AlertRecord, ExecutionRecord, ReadAccount
from engine.account.fills import SEEN_MAX, filled_slot
from engine.account.links import link_id_of, trade_id_of
from engine.account.state import Slot
from engine.venue.exchange.ledger import MONEY
from engine.venue.reports import ExecutionReport
from tests.engine.account.room import SYMBOL, Room, links
from tests.naive import account as naive

D = Decimal


def fill(name: str = "e1", **changes: object) -> ExecutionReport:
    fields = {
        "exec_id": name, "exec_type": "Trade", "symbol": SYMBOL, "side": "Buy", "order_id": "o1",
        "order_link_id": "", "exec_price": D(99), "exec_qty": D(1), "exec_value": D(99),
        "exec_time": 1_900_000_000_000, "exec_fee": D("0.05"),
    }  # fmt: skip
    return ExecutionReport(**(fields | changes))


def hear(room: Room, execution: ExecutionReport) -> ExecutionRecord | None:
    before = len(room.of(ExecutionRecord))
    room.say(m.Executed(at_ms=room.now, execution=execution))
    return (room.of(ExecutionRecord)[before:] or [None])[0]


def test_an_execution_is_booked_once():
    room = Room()
    room.hold_commands = True
    room.say(room.signal())
    link = links(room.sent, "entry")[0].link_id
    assert hear(room, fill(order_link_id=link)) is not None
    after = room.state
    assert hear(room, fill(order_link_id=link)) is None
    assert room.state == after


def test_a_fill_without_its_fee_is_not_booked_and_the_account_is_read():
    room = Room()
    room.now += 5_000
    assert hear(room, fill(exec_fee=None)) is None
    assert isinstance(room.sent[-1], ReadAccount)
    assert hear(room, fill()) is not None  # it comes again with its fee


def test_a_maker_s_fill_without_link_is_known_by_its_order_id():
    room = Room()
    room.hold_commands = True
    room.say(room.signal())
    link = links(room.sent, "entry")[0].link_id
    room.say(m.Placed(at_ms=room.now, link_id=link, order_id="venue-7"))
    row = hear(room, fill(order_id="venue-7"))
    assert row is not None
    assert (row.leg, row.link_id) == ("entry", link)
    assert room.trade.status == "open"


def test_the_guard_s_fill_is_a_close_of_its_trade():
    room = Room()
    trade = room.enter()
    link = link_id_of(trade.trade_id, "guard", 1)
    row = hear(room, fill(order_link_id=link, side="Sell", exec_qty=trade.qty, order_id="g1"))
    assert row is not None
    assert (row.leg, row.trade_id) == ("close", trade.trade_id)
    assert room.position().size == trade.qty  # of the machine: only told here
    assert trade.trade_id not in room.state.trades or room.trade.qty == 0


def test_a_stranger_s_coin_is_booked_to_nobody_s_trade():
    room = Room()
    room.enter()
    row = hear(room, fill(symbol="XUSDT"))
    assert row is not None
    assert (row.leg, row.trade_id) == ("foreign", "")
    paid = hear(room, fill("f1", symbol="XUSDT", exec_type="Funding", exec_fee=D("0.3")))
    assert paid is not None
    assert paid.leg == "funding"
    assert room.trade.funding_usdt == 0


def test_another_slot_of_the_same_coin_is_none_of_ours():
    room = Room()
    before = room.enter()
    row = hear(room, fill("h1", position_idx=2, side="Sell"))
    assert row is not None
    assert row.trade_id == ""
    assert room.trade.qty == before.qty
    assert f"{SYMBOL}/2" in room.state.slots


def test_a_person_s_buy_is_led_with_the_trade():
    room = Room()
    before = room.enter()
    row = hear(room, fill("p1", order_id="x", exec_qty=D(2)))
    assert row is not None
    assert (row.leg, row.trade_id) == ("foreign", before.trade_id)
    assert room.trade.qty == before.qty + 2
    assert [a.event_id for a in room.of(AlertRecord)][-1] == "adopted:p1"


def test_a_person_who_sells_more_than_there_is_ends_the_trade():
    room = Room()
    before = room.enter()
    room.hold_commands = True
    hear(room, fill("p1", order_id="x", side="Sell", exec_qty=before.qty + 3))
    room.wait(1)
    target = links(room.sent, "tp1")[0]
    room.say(m.NotPlaced(at_ms=room.now, link_id=target.link_id))
    trade = room.state.trades.get(before.trade_id) or room.last
    assert trade.qty == 0
    assert trade.exit_kind == "manual"
    assert room.state.slots[SYMBOL].size == -3


def test_a_fill_of_a_trade_nobody_remembers_is_booked_and_the_account_read():
    room = Room()
    room.now += 5_000
    link = link_id_of(trade_id_of("u1", "long ago"), "entry", 1)
    row = hear(room, fill(order_link_id=link))
    assert row is not None
    assert row.trade_id == trade_id_of("u1", "long ago")
    assert isinstance(room.sent[-1], ReadAccount)


def test_a_result_the_venue_tells_otherwise_is_the_venue_s():
    room = Room()
    trade = room.enter()
    room.now += 5_000
    told = fill("s1", side="Sell", order_id="x", exec_pnl=D("-7.5"), exec_price=D(98))
    row = hear(room, told)
    assert row is not None
    assert row.pnl == D("-7.5")
    assert room.trade.pnl_usdt == trade.pnl_usdt - D("7.5")
    assert any(getattr(r, "cause", "") == "result_differs" for r in room.records)


def test_an_exit_told_before_its_entry_ends_in_the_same_sums():
    room = Room()
    room.say(room.signal())
    room.hear()
    room.market("99")
    room.market("94.9")
    done = [x for x in room.inbox if isinstance(x, m.Executed)]
    assert len(done) == 2
    room.inbox.sort(key=lambda x: not (isinstance(x, m.Executed) and x is done[1]))
    room.hear()
    room.wait(2)
    assert room.last.status == "closed"
    assert room.last.exit_kind == "stop"
    assert room.state.cash_usdt == room.account().wallet.wallet_balance - 10_000


def test_ids_are_remembered_within_bounds():
    room = Room()
    for number in range(SEEN_MAX + 5):
        hear(room, fill(f"n{number}", symbol="XUSDT", exec_type="Funding"))
    assert len(room.state.seen) == SEEN_MAX


def test_what_a_trade_is_left_with_after_its_end_goes_at_once():
    room = Room()
    trade = room.enter()
    room.market("94.9")
    room.hear()
    assert room.last.trade_id == trade.trade_id
    entry = links(room.sent, "entry")[0]
    room.hold_commands = True
    hear(room, fill("late", order_link_id=entry.link_id, exec_qty=D("0.5")))
    assert room.trade.status == "closing"
    assert links(room.sent, "close")[-1].qty == D("0.5")


PRICES = st.decimals(min_value=1, max_value=1_000, places=2)
LOTS = st.decimals(min_value=D("0.01"), max_value=100, places=2)


@given(st.lists(st.tuples(st.sampled_from(("Buy", "Sell")), LOTS, PRICES), max_size=12))
def test_a_slot_adds_up(fills):
    slot, total = Slot(size=D(0), entry_price=D(0)), D(0)
    for side, qty, price in fills:
        slot, _ = filled_slot(slot, side, qty, price)
        total += qty if side == "Buy" else -qty
        assert slot.size == total
        assert (slot.entry_price > 0) == (slot.size != 0)


@given(st.lists(st.tuples(st.sampled_from(("Buy", "Sell")), LOTS, PRICES), max_size=12))
def test_a_slot_is_what_fractions_say_to_the_last_digit(fills):
    slot, rows, total = Slot(size=D(0), entry_price=D(0)), [], D(0)
    for number, (side, qty, price) in enumerate(fills):
        with localcontext(MONEY):
            slot, pnl = filled_slot(slot, side, qty, price)
            total += pnl
        rows.append(
            ExecutionRecord(
                exec_id=str(number), exec_type="Trade", symbol=SYMBOL, side=side, order_id="",
                link_id="", trade_id="t", leg="entry", qty=qty, price=price, value=qty * price,
                fee=D(0), pnl=pnl, exec_time=number,
            )
        )  # fmt: skip
    books = naive.books(rows)
    assert books.cash == naive.exact(total)
    if slot.size:
        assert books.entries[SYMBOL] == naive.exact(slot.entry_price)


def test_a_slot_reversed_by_one_fill_opens_at_its_price():
    slot, pnl = filled_slot(Slot(size=D(2), entry_price=D(10)), "Sell", D(5), D(12))
    assert slot == Slot(size=D(-3), entry_price=D(12))
    assert pnl == 4
