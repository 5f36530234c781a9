"""A trade's chain: what belongs to it and nothing else, money that adds up, a page to read."""

from decimal import Decimal

import msgspec
import pytest

from app.api.chain import chain, plain
from app.cli.explain import find_chain, show
from app.cli.out import Out
from data.records.memory import MemoryStore
from data.records.rows import Committed, TraceRow
from engine.account.commands import PlaceOrder
from engine.account.messages import (
    Control,
    NotPlaced,
    OrderSeen,
    Placed,
    SignalHeard,
    StopAnswered,
)
from engine.account.signal import Quote, Signal
from engine.errors import UsageError
from engine.venue.instrument import Instrument
from engine.venue.reports import OrderReport
from live.clock import ManualClock
from tests.data.records import make

SIGNAL = Signal(
    signal_id="s1", symbol="SOLUSDT", profile="default", interval_ms=900_000, t=make.NOW,
    close=160.44, level=158.6, levels=(158.6,), floor=150.74, batr=2.1, atr=1.9, drop=0.14,
    level_score=0.82, touches=4,
    quote=Quote(ts=make.NOW, bid=160.4, ask=160.5, mark=160.4, spread_bps=0.6, sweep_bps=1.1),
)  # fmt: skip


CONTRACT = Instrument(
    symbol="SOLUSDT", tick_size=Decimal("0.01"), qty_step=Decimal("0.1"),
    min_order_qty=Decimal("0.1"), max_order_qty=Decimal(1000), max_mkt_order_qty=Decimal(100),
)  # fmt: skip
PLACE = PlaceOrder(
    link_id="l1", trade_id="t1", leg="entry", symbol="SOLUSDT", side="Buy", order_type="Limit",
    qty=Decimal("1.5"), price=Decimal("158.81"), stop_loss=Decimal("150.2"),
)  # fmt: skip
TRADE = make.trade(status="closed", opened_ms=make.NOW + 10, closed_ms=make.NOW + 90,
                   exit_kind="trail", r=Decimal("1.31"))  # fmt: skip


def _trace(*messages) -> tuple[TraceRow, ...]:
    return tuple(
        TraceRow(
            user_id=make.ANN, seq=seq, at_ms=message.at_ms, body=msgspec.json.encode(message),
            state_hash=f"h{seq}",
        )
        for seq, message in enumerate(messages, 1)
    )  # fmt: skip


def _order(link: str, status: str) -> OrderReport:
    return OrderReport(
        order_id="o1", order_link_id=link, symbol="SOLUSDT", side="Buy", order_type="Limit",
        order_status=status, qty=Decimal("1.5"), cum_exec_qty=Decimal("1.50"),
    )  # fmt: skip


RECORDED = _trace(
    SignalHeard(at_ms=make.NOW, signal=SIGNAL, contract=CONTRACT),
    Placed(at_ms=make.NOW + 1, link_id="l1"),
    NotPlaced(at_ms=make.NOW + 1, link_id="other", code=110007, text="no money"),
    OrderSeen(at_ms=make.NOW + 10, order=_order("l1", "Filled")),
    OrderSeen(at_ms=make.NOW + 11, order=_order("l1", "Filled")),
    StopAnswered(
        at_ms=make.NOW + 20, trade_id="t1", symbol="SOLUSDT", stop_loss=Decimal("158.9"), ok=True
    ),
    Control(at_ms=make.NOW + 30, action="pause", actor="user:ann"),
    Control(at_ms=make.NOW + 95, action="resume", actor="user:ann"),
    Control(at_ms=make.NOW + 31, action="close", actor="user:ann", symbol="BTCUSDT"),
)
FILLS = (
    make.execution("e1", fee=Decimal("0.05")),
    make.execution("e2", side="Sell", leg="stop", pnl=Decimal("70.5"), fee=Decimal("0.13")),
    make.execution("e3", leg="funding", exec_type="Funding", fee=Decimal("0.02")),
    make.execution("e4", trade_id="t9", pnl=Decimal(9)),
)


@pytest.fixture
async def store() -> MemoryStore:
    made = MemoryStore(ManualClock(make.NOW))
    lease = await make.start(made)
    intents = (
        make.intent("l1", "done", body=msgspec.json.encode(PLACE)),
        make.intent("l9", trade_id="t9"),
    )
    records = (make.verdict(), make.verdict("s9"), TRADE, make.trade("t19"), *FILLS)
    done = await made.commit(
        make.commit(epoch=lease.epoch, intents=intents, records=records, traces=RECORDED)
    )
    assert isinstance(done, Committed), done
    return made


async def test_the_chain_holds_what_is_of_the_trade_and_nothing_else(store):
    found = await find_chain(store, "t1")
    assert found.signal == SIGNAL
    assert found.verdict == make.verdict()
    assert [o.link_id for o in found.orders] == ["l1"]
    assert found.orders[0].wish == PLACE
    assert [e.exec_id for e in found.fills] == ["e1", "e2", "e3"]
    assert [s.seq for s in found.steps] == [1, 2, 4, 6, 7], "no repeats, no other's, not after"


async def test_money_adds_up_with_funding_apart(store):
    m = (await find_chain(store, "t1")).money
    assert (m.result_usdt, m.fees_usdt) == (Decimal("70.5"), Decimal("0.18"))
    assert m.funding_usdt == Decimal("-0.02")
    assert m.net_usdt == Decimal("70.3")


async def test_a_beginning_of_the_id_is_enough_where_it_is_one_trade(store):
    with pytest.raises(UsageError, match="may be 2 trades"):
        await find_chain(store, "t")
    assert (await find_chain(store, "t19")).trade.trade_id == "t19"
    with pytest.raises(UsageError, match="no trade"):
        await find_chain(store, "zz")


async def test_it_reads_from_signal_to_money(store, capsys):
    show(Out(), await find_chain(store, "t1"))
    said = capsys.readouterr().out
    order = [
        "trade t1 · SOLUSDT", "Signal    s1", "2 Dump", "4 Base        floor 150.74",
        "5 Armed       level 158.6", "6 Breakout", "7 Entry", "8 Managed", "Verdict   approved",
        "trades_max", "Orders", "Buy Limit 1.5 at 158.81, stop 150.2", "Fills", "What happened",
        "stop 158.9 set", "pause by user:ann", "+70.30 USDT   +1.31 R",
    ]  # fmt: skip
    places = [said.index(words) for words in order]
    assert places == sorted(places)


def test_a_broken_row_hides_nothing_but_itself():
    broken = TraceRow(user_id=make.ANN, seq=1, at_ms=1, body=b"\xff{", state_hash="")
    intent = make.intent("l1", body=b"no json")
    found = chain(
        make.ANN,
        TRADE,
        verdicts=(),
        intents=(intent,),
        executions=(),
        trace=(broken, *RECORDED[1:]),
    )
    assert found.signal is None
    assert found.orders[0].wish is None
    assert found.steps


@pytest.mark.parametrize(
    ("value", "text"),
    [("1.500", "1.5"), ("100", "100"), ("1E+2", "100"), ("0.000", "0"), ("1E-8", "0.00000001")],
)
def test_numbers_without_needless_zeros(value, text):
    assert plain(Decimal(value)) == text
