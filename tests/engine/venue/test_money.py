"""Margin, take-overs, funding, results: worked examples and slow twins."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.venue.exchange import margin
from engine.venue.exchange.commands import (
    AddMargin,
    ConfirmPendingMmr,
    Deleverage,
    ListInstrument,
    OpenAccount,
    SetAutoAddMargin,
    SetMarginMode,
    SetReduceOnly,
    Transfer,
)
from engine.venue.exchange.events import Liquidated, Logged, PnlClosed, WalletChanged
from engine.venue.exchange.ledger import make_id
from engine.venue.exchange.records import Position
from engine.venue.instrument import RiskTier
from engine.venue.words import InstrumentStatus, MarginMode, Side
from tests.engine.venue.desk import (
    BUY,
    SELL,
    SYMBOL,
    TIERS,
    D,
    Desk,
    accepted,
    contract,
    fills,
    of,
    orders,
    refused,
)

CROSS = MarginMode.CROSS


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_recorded_live_position() -> None:
    """ETHUSDT short 0.01 at 3641.075, 30x: the venue said IM 1.23480936, MM 0.20281586."""
    tiers = (RiskTier(1, D(1_000_000), D("0.005"), D(0), D(100)),)
    eth = contract("ETHUSDT", tick_size=D("0.01"), tiers=tiers, leverage_max=D(100))
    position = Position("ETHUSDT", 0, Side.SELL, D("0.01"), D("3641.075"), D(30))
    fee = D("0.00055")
    initial = margin.isolated_lock(position, fee)
    assert abs(initial / D("1.23480936") - 1) < D("0.0004")
    closing = margin.fee_to_close(D("0.01"), D("3641.075"), D(30), Side.SELL, fee)
    kept = margin.maintenance(eth, position, D("3641.075")) + closing
    assert abs(kept / D("0.20281586") - 1) < D("0.0004")


sizes = st.decimals("0.01", "30000", places=2)
entries = st.decimals("1", "1000", places=1)
leverages = st.integers(1, 50).map(Decimal)
extras = st.decimals("-5", "500", places=2)


@given(
    size=sizes, entry=entries, leverage=leverages, extra=extras, side=st.sampled_from(list(Side))
)
def test_the_liquidation_price_is_where_equity_meets_maintenance(
    size: Decimal, entry: Decimal, leverage: Decimal, extra: Decimal, side: Side
) -> None:
    """Twin: equity and maintenance from their definitions, one tick to either side."""
    rules = contract(min_price=D("0.1"))
    position = Position(SYMBOL, 0, side, size, entry, leverage, extra_margin=extra)
    price = margin.liquidation_price(rules, position)

    def alive(mark: Fraction) -> bool:
        value = Fraction(size) * mark
        tier = next((each for each in TIERS if value <= Fraction(each.limit)), TIERS[-1])
        kept = value * Fraction(tier.maintenance_rate) - Fraction(tier.deduction)
        earned = (mark - Fraction(entry)) * Fraction(size) * side.sign
        return (
            Fraction(size) * Fraction(entry) / Fraction(leverage) + Fraction(extra) + earned > kept
        )

    tick = Fraction(1, 10)
    if price is None:
        far = Fraction(rules.max_price) if side is Side.SELL else tick
        assert alive(far) or not alive(Fraction(entry))
        return
    assert not alive(Fraction(price) - side.sign * tick)
    assert alive(Fraction(price) + side.sign * tick)


@given(seed=st.integers(0, 2**32), other=st.integers(0, 2**32), n=st.integers(0, 10**9))
def test_ids_have_uuid_shape_and_differ(seed: int, other: int, n: int) -> None:
    text = make_id(seed, n)
    assert [len(part) for part in text.split("-")] == [8, 4, 4, 4, 12]
    assert (make_id(other, n) == text) == (seed == other)
    assert make_id(seed, n + 1) != text


def test_what_an_order_and_a_position_lock(desk: Desk) -> None:
    desk.create(BUY, "10", "90")
    # 900 / 10 + 900 * fee to open + 900 * 0.9 * fee to close
    assert desk.account.order_im[SYMBOL] == D("90.94050000")
    desk.create(SELL, "10", "110")
    assert desk.account.wallet.total_order_im == D("111.27050000")  # the costlier side counts
    desk.price("89")
    wallet = desk.account.wallet
    assert wallet.total_position_im == D("90.44550000")  # 90 + the fee to close
    assert wallet.total_order_im == 0  # the sell only closes now
    assert wallet.wallet_balance == D("9999.82000000")
    assert wallet.available_balance == D("9909.37450000")
    assert (wallet.unrealised_pnl, wallet.equity) == (D(-10), D("9989.82"))


def test_leverage(desk: Desk) -> None:
    assert refused(desk.leverage("10")) == 110043
    assert refused(desk.leverage("51")) == 110013
    assert refused(desk.leverage("0.5")) == 10001
    assert refused(desk.leverage("10", "20")) == 10001
    desk.create(BUY, "400")
    assert refused(desk.leverage("1")) == 110007
    before = desk.position().liq_price
    accepted(desk.leverage("20"))
    assert desk.position().liq_price > before
    desk.price("97")
    assert refused(desk.leverage("50")) == 110040
    assert desk.position().leverage == 20


def test_isolated_take_over(desk: Desk) -> None:
    desk.create(BUY, "10", stop_loss="50")
    desk.create(BUY, "1", "50")
    position = desk.position()
    assert position.liq_price == D("91.0")  # 100.1 * 0.9 / 0.99, up to the tick
    assert position.bust_price == D("90.1")
    assert not fills(desk.price("91.5"))
    assert not fills(desk.price("80", mark="91.1"))
    wallet = desk.account.wallet.wallet_balance
    events = desk.price("80", mark="91")
    bust = fills(events)[0]
    assert (bust.exec_type, bust.create_type) == ("BustTrade", "CreateByTakeOver_PassThrough")
    assert (bust.exec_price, bust.closed_size, bust.order_link_id) == (D("90.1"), 10, "")
    cancelled = {order.cancel_type for order in orders(events) if order.order_status != "Filled"}
    assert cancelled == {"CancelByPrepareLiq"}
    row = of(events, Logged)[0].row
    assert row.type == "LIQUIDATION"
    lost = wallet - desk.account.wallet.wallet_balance
    assert D("99") < lost <= position.position_im + 101  # the margin and no more
    told = of(events, Liquidated)[0]
    assert (told.side, told.qty, told.price) == ("Buy", 10, D("90.1"))
    assert desk.position().side is None
    assert not desk.open_orders()


def test_a_big_position_is_reduced_rung_by_rung() -> None:
    desk = Desk(equity="1000000", instrument=contract(max_mkt_order_qty=D(5_000)))
    desk.create(BUY, "3000", "102")
    events = desk.price("93", mark=str(desk.position().liq_price))
    kinds = [(e.create_type, e.exec_qty) for e in fills(events)]
    assert kinds[0][0] == "CreateByLiq"
    assert 0 < kinds[0][1] < 3000
    position = desk.position()
    assert position.side is BUY
    assert position.size * position.mark_price <= TIERS[0].limit


def test_added_margin_moves_the_liquidation_price(desk: Desk) -> None:
    desk.create(BUY, "10")
    add = {"uid": 1, "symbol": SYMBOL}
    assert refused(desk.do(AddMargin(**add, margin=D(20_000)))) == 110012
    desk.do(AddMargin(**add, margin=D(50)))
    assert desk.position().liq_price == D("86.0")  # (100.1 * 0.9 - 5) / 0.99, up
    assert refused(desk.do(AddMargin(**add, margin=D(-60)))) == 10001
    desk.create(SELL, "5")
    assert desk.position().extra_margin == 25
    desk.price("88")
    assert refused(desk.do(AddMargin(**add, margin=D(-20)))) == 110040
    desk.do(SetAutoAddMargin(**add, on=True))
    assert not fills(desk.price("85"))
    assert desk.position().extra_margin > 25


def test_cross_is_about_the_account() -> None:
    desk = Desk(mode=CROSS, equity="100")
    assert refused(desk.do(AddMargin(uid=1, symbol=SYMBOL, margin=D(1)))) == 110076
    desk.create(BUY, "5")
    wallet = desk.account.wallet
    assert wallet.wallet_balance == D("99.72472500")
    # 100 - fee 0.275275 - 0.5 unrealised - (500 / 10 at mark + the fee to close 0.2477475)
    assert wallet.available_balance == D("48.97697750")
    assert desk.position().position_im == D("50.24774750")


def test_cross_take_over_at_rate_one() -> None:
    desk = Desk(mode=CROSS, equity="100")
    desk.create(BUY, "5", stop_loss="40")
    shown = desk.position().liq_price
    assert not fills(desk.price("90", mark=str(shown + D("0.2"))))
    assert desk.account.wallet.mm_rate < 1
    events = desk.price("90", mark=str(shown - D("0.2")))
    assert fills(events)[0].exec_type == "BustTrade"
    assert orders(events)[0].cancel_type == "CancelAllBeforeLiq"
    assert 0 <= desk.account.wallet.wallet_balance < D("0.6")  # a tick of five contracts


def test_margin_mode_switches_only_when_idle(desk: Desk) -> None:
    accepted(desk.do(SetMarginMode(uid=1, mode=MarginMode.ISOLATED)))  # as it is
    accepted(desk.do(SetMarginMode(uid=1, mode=CROSS)))
    desk.create(BUY, "1")
    events = desk.do(SetMarginMode(uid=1, mode=MarginMode.ISOLATED))
    assert refused(events) == 3400045
    assert events[0].reasons


@pytest.mark.parametrize(
    ("side", "rate", "paid"),
    [
        (BUY, "0.001", D(1)),
        (SELL, "0.001", D(-1)),
        (SELL, "-0.002", D(2)),
    ],
)
def test_funding(desk: Desk, side: Side, rate: str, paid: Decimal) -> None:
    desk.create(side, "10")
    before = desk.account.wallet.wallet_balance
    realised = desk.position().cur_realised_pnl
    events = desk.funding(rate)
    execution = fills(events)[0]
    assert (execution.exec_type, execution.exec_fee, execution.order_type) == (
        "Funding",
        paid,
        None,
    )
    row = of(events, Logged)[0].row
    assert (row.type, row.funding, row.change) == ("SETTLEMENT", -paid, -paid)
    assert desk.account.wallet.wallet_balance == before - paid
    assert desk.position().cur_realised_pnl == realised - paid
    assert not fills(Desk().funding("0.001"))


def test_funding_eats_the_margin_once_the_balance_is_bound() -> None:
    desk = Desk(equity="102")
    desk.create(BUY, "10")
    free = desk.account.wallet.available_balance
    assert 0 < free < 5
    before = desk.position().liq_price
    desk.funding("0.005")
    assert desk.account.wallet.available_balance == 0
    assert desk.position().extra_margin == free - 5
    assert desk.position().liq_price > before


def test_closed_pnl_counts_the_fees_of_both_ends(desk: Desk) -> None:
    desk.create(BUY, "10")
    desk.price("110")
    events = desk.create(SELL, "4")
    row = of(events, PnlClosed)[0]
    entry_fee, exit_fee = D("0.22022"), D("0.241780")
    assert (row.closed_size, row.open_fee, row.close_fee) == (4, entry_fee, exit_fee)
    assert row.closed_pnl == D("39.2") - entry_fee - exit_fee  # (109.9 - 100.1) * 4
    assert (row.avg_entry_price, row.avg_exit_price) == (D("100.1"), D("109.9"))


def test_one_closed_row_for_one_order_however_many_fills(desk: Desk) -> None:
    desk.create(BUY, "10")
    desk.create(SELL, "6", "100.4", reduce_only=True)
    for _ in range(3):
        desk.prints("100.5", "2", BUY)
    assert [(row.fill_count, row.closed_size) for row in desk.account.closed_pnl] == [(3, 6)]


def test_deleveraging(desk: Desk) -> None:
    desk.create(SELL, "10", stop_loss="110")
    desk.create(SELL, "1", "105")
    act = Deleverage(uid=1, symbol=SYMBOL, qty=D(4), price=D(90))
    events = desk.do(act)
    got = fills(events)[0]
    assert (got.exec_type, got.create_type, got.exec_fee) == (
        "AdlTrade",
        "CreateByAdl_PassThrough",
        0,
    )
    assert orders(events)[0].cancel_type == "CancelByPrepareAdl"
    assert (desk.position().size, desk.open_orders("StopLoss")[0].qty) == (6, 6)
    assert refused(desk.do(Deleverage(uid=1, symbol=SYMBOL, qty=D(40), price=D(90)))) == 10001


def test_reduce_only_until_confirmed(desk: Desk) -> None:
    desk.create(BUY, "2")
    desk.do(SetReduceOnly(uid=1, symbol=SYMBOL))
    assert desk.position().is_reduce_only
    assert refused(desk.create(BUY, "1")) == 110023
    accepted(desk.create(SELL, "1"))
    desk.do(ConfirmPendingMmr(uid=1, symbol=SYMBOL))
    accepted(desk.create(BUY, "1"))


def test_delisting(desk: Desk) -> None:
    desk.create(BUY, "2", stop_loss="80")
    desk.create(BUY, "1", "90")
    events = desk.do(ListInstrument(instrument=contract(status=InstrumentStatus.DELIVERING)))
    assert [order.cancel_type for order in orders(events)] == ["CancelByDelisting"]
    accepted(desk.create(SELL, "1", reduce_only=True))
    events = desk.do(ListInstrument(instrument=contract(status=InstrumentStatus.CLOSED)))
    got = fills(events)[0]
    assert (got.exec_type, got.exec_price, got.exec_fee) == ("Delivery", 100, 0)
    assert of(events, Logged)[0].row.type == "DELIVERY"
    assert not desk.open_orders()
    assert not desk.exchange.needs_price(SYMBOL)


def test_new_rules_for_old_orders(desk: Desk) -> None:
    desk.create(BUY, "2")
    before = desk.position().liq_price
    resting = accepted(desk.create(BUY, "1", "90.1"))
    harder = tuple(
        RiskTier(t.id, t.limit, t.maintenance_rate * 2, t.deduction * 2, t.leverage_max)
        for t in TIERS
    )
    desk.do(
        ListInstrument(instrument=contract(tick_size=D("0.5"), qty_step=D("0.5"), tiers=harder))
    )
    assert desk.position().liq_price > before
    assert refused(desk.create(BUY, "1", "90.1")) == 10001
    accepted(desk.create(BUY, "1", "90.5"))
    assert resting in desk.account.open_orders
    assert fills(desk.price("90"))[0].exec_price in (D("90.5"), D("90.1"))


def test_money_in_and_out(desk: Desk) -> None:
    assert refused(desk.do(OpenAccount(uid=1, equity=D(1)))) == 10001
    desk.create(BUY, "500")
    assert refused(desk.do(Transfer(uid=1, amount=D(-6_000)))) == 110012
    events = desk.do(Transfer(uid=1, amount=D(-1_000)))
    assert of(events, Logged)[0].row.type == "TRANSFER_OUT"
    assert of(events, WalletChanged)


def test_refresh_follows_the_mark_and_changes_nothing_else(desk: Desk) -> None:
    desk.create(BUY, "10")
    desk.price("105")
    assert desk.account.wallet.unrealised_pnl == 49
    assert desk.position().mark_price == 105
    assert desk.exchange.needs_price(SYMBOL)
    assert desk.exchange.prices[SYMBOL].last == 105
    assert desk.exchange.price_limits(SYMBOL) == (D("107.1"), D("102.9"))
