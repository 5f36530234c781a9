"""What is written is read back, digit for digit, as REST has it and as the streams do."""

from dataclasses import replace
from decimal import Context, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.venue import reports as r
from engine.venue import wire
from engine.venue.exchange import commands as c
from engine.venue.words import MarginMode, Side
from tests.engine.venue_wire import gen

pytestmark = pytest.mark.laws
ZERO = Decimal(0)


def over_the_wire(row):
    """As bytes and back: what a client really gets."""
    return wire.read_json(wire.encode_json(row))


def word(value):
    text = "" if value is None else str(value.value)
    return "" if text == "UNKNOWN" else text


def order_report(o) -> r.OrderReport:
    """The naive twin of the reader: straight from the record."""
    average = None
    if o.cum_exec_qty and o.cum_exec_value:
        average = Context(prec=16).divide(o.cum_exec_value, o.cum_exec_qty) or None
    return r.OrderReport(
        order_id=o.order_id,
        order_link_id=o.order_link_id,
        symbol=o.symbol,
        side=word(o.side),
        order_type=word(o.order_type),
        order_status=word(o.order_status),
        qty=o.qty,
        price=o.price,
        time_in_force=word(o.time_in_force),
        position_idx=o.position_idx,
        reduce_only=o.reduce_only,
        close_on_trigger=o.close_on_trigger,
        cum_exec_qty=o.cum_exec_qty,
        cum_exec_value=o.cum_exec_value,
        cum_exec_fee=o.cum_exec_fee,
        avg_price=average,
        cancel_type=word(o.cancel_type),
        reject_reason=word(o.reject_reason),
        create_type=word(o.create_type),
        stop_order_type=word(o.stop_order_type),
        trigger_price=o.trigger_price,
        trigger_direction=o.trigger_direction,
        trigger_by=word(o.trigger_by),
        take_profit=o.take_profit,
        stop_loss=o.stop_loss,
        tpsl_mode=word(o.tpsl_mode),
        parent_order_link_id=o.parent_order_link_id,
        created_time=o.created_time,
        updated_time=o.updated_time,
    )


@given(order=gen.orders)
def test_an_order_reads_back_from_rest_and_from_the_stream_alike(order) -> None:
    expected = order_report(order)
    assert wire.read_order(over_the_wire(wire.encode_order_row(order))) == expected
    assert wire.read_order(over_the_wire(wire.encode_order_push(order))) == expected


def execution_report(e) -> r.ExecutionReport:
    return r.ExecutionReport(
        exec_id=e.exec_id,
        exec_type=word(e.exec_type),
        symbol=e.symbol,
        side=word(e.side),
        order_id=e.order_id,
        order_link_id=e.order_link_id,
        exec_price=e.exec_price,
        exec_qty=e.exec_qty,
        exec_value=e.exec_value,
        exec_time=e.exec_time,
        exec_fee=e.exec_fee,
        fee_rate=e.fee_rate,
        exec_pnl=None,
        closed_size=e.closed_size,
        leaves_qty=e.leaves_qty,
        is_maker=e.is_maker,
        create_type=word(e.create_type),
        stop_order_type=word(e.stop_order_type),
        order_type=word(e.order_type),
        seq=e.seq,
    )


@given(execution=gen.executions)
def test_an_execution_reads_back_from_all_three_wires(execution) -> None:
    expected = execution_report(execution)
    assert wire.read_execution(over_the_wire(wire.encode_execution_row(execution))) == expected
    pushed = wire.read_execution(over_the_wire(wire.encode_execution_push(execution)))
    assert pushed == replace(expected, exec_pnl=execution.exec_pnl)
    fast = wire.read_execution(over_the_wire(wire.encode_fast_execution_push(execution)))
    assert (fast.exec_id, fast.order_id, fast.exec_time, fast.seq) == (
        expected.exec_id, expected.order_id, expected.exec_time, expected.seq,
    )  # fmt: skip
    assert fast.exec_value == Context(prec=200).multiply(fast.exec_price, fast.exec_qty)
    assert fast.order_link_id == ("" if execution.is_maker else execution.order_link_id)
    assert (fast.exec_type, fast.exec_fee) == ("Trade", None)


def position_report(p) -> r.PositionReport:
    return r.PositionReport(
        symbol=p.symbol,
        position_idx=p.position_idx,
        side=word(p.side),
        size=p.size,
        entry_price=p.entry_price or None,
        leverage=p.leverage,
        mark_price=p.mark_price or None,
        liq_price=p.liq_price,
        position_value=p.position_value,
        position_im=p.position_im,
        position_mm=p.position_mm,
        take_profit=p.take_profit,
        stop_loss=p.stop_loss,
        trailing_stop=p.trailing_stop,
        unrealised_pnl=p.unrealised_pnl,
        cur_realised_pnl=p.cur_realised_pnl,
        cum_realised_pnl=p.cum_realised_pnl,
        position_status=word(p.position_status),
        adl_rank_indicator=p.adl_rank_indicator,
        is_reduce_only=p.is_reduce_only,
        auto_add_margin=p.auto_add_margin,
        created_time=p.created_time,
        updated_time=p.updated_time,
        seq=p.seq,
    )


@given(position=gen.positions)
def test_a_position_reads_back_though_its_entry_price_has_two_names(position) -> None:
    expected = position_report(position)
    row, push = wire.encode_position_row(position), wire.encode_position_push(position)
    assert "entryPrice" not in row
    assert "avgPrice" not in push
    assert wire.read_position(over_the_wire(row)) == expected
    assert wire.read_position(over_the_wire(push)) == expected


@given(wallet=gen.wallets, mode=gen.margin_modes)
def test_a_wallet_reads_back_and_isolated_margin_has_no_account_figures(wallet, mode) -> None:
    row = over_the_wire(wire.encode_wallet_row(wallet, mode))
    assert wire.read_wallet(over_the_wire(wire.encode_wallet_push(wallet, mode))) == (
        read := wire.read_wallet(row)
    )
    exact = Context(prec=200)
    isolated = mode is MarginMode.ISOLATED
    held = exact.add(wallet.total_position_im, wallet.total_order_im)
    assert read == r.WalletReport(
        wallet_balance=wallet.wallet_balance,
        equity=wallet.equity,
        available_balance=(
            exact.subtract(wallet.wallet_balance, held) if isolated else wallet.available_balance
        ),
        unrealised_pnl=wallet.unrealised_pnl,
        total_initial_margin=None if isolated else held,
        total_maintenance_margin=None if isolated else wallet.total_position_mm,
        account_im_rate=None if isolated else wallet.im_rate,
        account_mm_rate=None if isolated else wallet.mm_rate,
        cum_realised_pnl=wallet.cum_realised_pnl,
    )


@given(row=gen.log_rows)
def test_a_log_row_reads_back(row) -> None:
    assert wire.read_log(over_the_wire(wire.encode_log_row(row))) == r.LogReport(
        id=row.id,
        type=word(row.type),
        symbol=row.symbol,
        side=row.side,
        transaction_time=row.transaction_time,
        change=row.change,
        cash_flow=row.cash_flow,
        fee=row.fee,
        funding=row.funding,
        cash_balance=row.cash_balance,
        order_id=row.order_id,
        order_link_id=row.order_link_id,
        trade_id=row.trade_id,
        qty=row.qty,
        trade_price=row.trade_price or None,
    )


@given(closed=gen.closed_pnls)
def test_a_closed_profit_reads_back(closed) -> None:
    read = wire.read_closed_pnl(over_the_wire(wire.encode_closed_pnl_row(closed)))
    for field in r.ClosedPnlReport.__dataclass_fields__:
        mine = getattr(closed, field)
        mine = str(mine.value) if hasattr(mine, "value") else mine
        if field in ("order_price", "avg_entry_price", "avg_exit_price"):
            mine = mine or None
        assert getattr(read, field) == mine, field


@given(instrument=gen.instruments)
def test_the_rules_of_a_contract_and_its_tiers_read_back(instrument) -> None:
    rows = [over_the_wire(row) for row in wire.encode_risk_rows(instrument)]
    tiers = tuple(wire.read_risk_tier(row)[1] for row in rows)
    assert tiers == instrument.tiers
    row = over_the_wire(wire.encode_instrument_row(instrument))
    assert wire.read_instrument(row, tiers) == instrument


def test_a_margin_rate_in_percent_is_known_by_its_leverage() -> None:
    row = {"id": 1, "symbol": "A", "riskLimitValue": "150", "maintenanceMargin": "0.5",
           "initialMargin": "1", "maxLeverage": "100.00", "mmDeduction": ""}  # fmt: skip
    assert wire.read_risk_tier(row)[1].maintenance_rate == Decimal("0.005")


# ---------------------------------------------------------------------------- requests


@given(command=gen.creates())
def test_a_create_is_read_as_it_was_meant(command) -> None:
    body = over_the_wire(wire.encode_create(command))
    assert wire.read_create(body, gen.UID) == command
    assert all(isinstance(v, str | bool | int) for v in body.values())


@given(command=gen.amends)
def test_an_amendment_is_read_as_it_was_meant(command) -> None:
    assert wire.read_amend(over_the_wire(wire.encode_amend(command)), gen.UID) == command


@given(command=gen.trading_stops)
def test_a_trading_stop_is_read_as_it_was_meant(command) -> None:
    body = over_the_wire(wire.encode_trading_stop(command))
    assert wire.read_trading_stop(body, gen.UID) == command


@given(symbol=gen.symbols, order_id=gen.ids, link=gen.links, leverage=gen.above, mode=gen.modes)
def test_the_small_requests_are_read_as_they_were_meant(
    symbol, order_id, link, leverage, mode
) -> None:
    uid = gen.UID
    cancel = c.CancelOrder(uid=uid, symbol=symbol, order_id=order_id, order_link_id=link)
    body = wire.encode_cancel(symbol, order_id=order_id, order_link_id=link)
    assert wire.read_cancel(body, uid) == cancel
    every = c.CancelAll(uid=uid, symbol=symbol, order_filter="Order")
    assert wire.read_cancel_all(wire.encode_cancel_all(symbol=symbol), uid) == every
    both = c.SetLeverage(uid=uid, symbol=symbol, buy_leverage=leverage, sell_leverage=leverage)
    assert wire.read_set_leverage(wire.encode_set_leverage(symbol, leverage), uid) == both
    switch = c.SwitchMode(uid=uid, mode=mode, coin="USDT")
    assert wire.read_switch_mode(wire.encode_switch_mode(mode, coin="USDT"), uid) == switch
    out = leverage.copy_negate()
    margin = c.AddMargin(uid=uid, symbol=symbol, margin=out, position_idx=1)
    assert wire.read_add_margin(wire.encode_add_margin(symbol, out, 1), uid) == margin
    auto = c.SetAutoAddMargin(uid=uid, symbol=symbol, on=True, position_idx=2)
    encoded = wire.encode_set_auto_add_margin(symbol, on=True, position_idx=2)
    assert wire.read_set_auto_add_margin(encoded, uid) == auto
    confirm = c.ConfirmPendingMmr(uid=uid, symbol=symbol)
    assert wire.read_confirm_pending_mmr(wire.encode_confirm_pending_mmr(symbol), uid) == confirm


@given(mode=gen.margin_modes)
def test_a_margin_mode_is_read_as_it_was_meant(mode) -> None:
    command = wire.read_set_margin_mode(wire.encode_set_margin_mode(mode), gen.UID)
    assert command.mode is mode


@given(commands=st.lists(gen.creates(), min_size=1, max_size=20))
def test_a_batch_is_read_one_by_one(commands) -> None:
    body = over_the_wire(wire.encode_batch(wire.encode_create(x) for x in commands))
    read = wire.read_batch(body, gen.UID, wire.read_create)
    assert [command for _, command in read] == commands


# ---------------------------------------------------------------------------- market values


_tickers = st.builds(
    wire.Ticker,
    symbol=gen.symbols,
    last_price=gen.maybe,
    mark_price=gen.maybe,
    open_interest=gen.maybe,
    funding_rate=st.none() | gen.money,
    bid1_price=gen.maybe,
    next_funding_time=gen.times,
    funding_interval_hour=st.integers(0, 24),
    tick_direction=st.sampled_from(["", "PlusTick"]),
)


@given(ticker=_tickers, later=_tickers)
def test_a_ticker_is_a_snapshot_and_then_what_changed(ticker, later) -> None:
    later = replace(later, symbol=ticker.symbol)
    first = wire.decode_public(wire.encode_ticker_push(ticker, None, ts=1, cs=2))
    assert first.snapshot
    known = first.onto(None)
    assert wire.read_ticker(known) == ticker
    raw = wire.encode_ticker_push(later, ticker, ts=3, cs=4)
    if raw is None:
        assert later == ticker
    else:
        push = wire.decode_public(raw)
        assert not push.snapshot
        known = push.onto(known)
    assert wire.read_ticker(known) == later
    row = over_the_wire(wire.encode_ticker_row(ticker))
    assert wire.read_ticker(row) == replace(ticker, tick_direction="")


_levels = st.lists(st.tuples(gen.above, gen.amount), max_size=5).map(tuple)


@given(bids=_levels, asks=_levels, snapshot=st.booleans(), depth=st.sampled_from([1, 50, 1000]))
def test_a_book_reads_back_from_both_wires(bids, asks, snapshot, depth) -> None:
    book = wire.Book(
        symbol="AUSDT", bids=bids, asks=asks, update_id=9, seq=8, ts=7, cts=6,
        snapshot=snapshot, depth=depth,
    )  # fmt: skip
    assert wire.decode_public(wire.encode_book_push(book)) == book
    by_rest = wire.read_book(over_the_wire(wire.encode_book_result(book)))
    assert by_rest == replace(book, snapshot=True, depth=0)


_trades = st.builds(
    wire.PublicTrade,
    id=gen.ids,
    symbol=st.just("AUSDT"),
    side=st.sampled_from(["Buy", "Sell"]),
    price=gen.above,
    qty=gen.above,
    time=gen.times,
    seq=gen.times,
    tick_direction=st.sampled_from(["", "MinusTick"]),
    block=st.booleans(),
    rpi=st.booleans(),
)


@given(trades=st.lists(_trades, max_size=4))
def test_public_trades_read_back_from_both_wires(trades) -> None:
    push = wire.decode_public(wire.encode_trades_push("AUSDT", trades, ts=5))
    assert push == wire.TradesPush("AUSDT", tuple(trades), 0, 5)
    rows = [wire.read_trade(over_the_wire(wire.encode_trade_row(t))) for t in trades]
    assert rows == [replace(t, tick_direction="") for t in trades]


@given(a=gen.above, b=gen.above, time=gen.times)
def test_the_single_rows_of_the_market_read_back(a, b, time) -> None:
    band = wire.PriceLimit("AUSDT", a, b, time)
    assert wire.decode_public(wire.encode_price_limit_push(band)) == band
    assert wire.read_price_limit(over_the_wire(wire.encode_price_limit_result(band))) == band
    gone = wire.Liquidation("AUSDT", str(Side.BUY), a, b, time)
    push = wire.decode_public(wire.encode_liquidations_push("AUSDT", [gone], ts=time))
    assert push == wire.LiquidationsPush("AUSDT", (gone,), 0, time)
    rate = wire.FundingRate("AUSDT", a.copy_negate(), time)
    assert wire.read_funding(over_the_wire(wire.encode_funding_row(rate))) == rate
    interest = wire.OpenInterest(a, time)
    row = over_the_wire(wire.encode_open_interest_row(interest))
    assert wire.read_open_interest(row) == interest
    assert Context(prec=200).multiply(Decimal(row["singleOpenInterest"]), Decimal(2)) == a
    pool = wire.Insurance("USDT", "AUSDT", a, time)
    raw = wire.encode_rows_push(
        "insurance.USDT", [wire.encode_insurance_row(pool, stream=True)], ts=1, delta=True
    )
    assert wire.decode_public(raw) == wire.RowsPush("insurance.USDT", (pool,), 0, 1)


def test_an_alert_has_long_names_by_rest_and_short_ones_on_the_stream() -> None:
    numbers = [Decimal(x) for x in ("5", "9.5", "-0.25", "0.125", "10000", "-0.5")]
    alert = wire.AdlAlert("USDT", "AUSDT", *numbers)
    for stream in (False, True):
        row = over_the_wire(wire.encode_adl_alert_row(alert, stream=stream))
        assert wire.read_adl_alert(row) == alert


def test_account_key_fee_and_time_read_back() -> None:
    info = wire.read_account_info(
        over_the_wire(wire.encode_account_info_result(MarginMode.CROSS, updated_time=5))
    )
    assert info == wire.AccountInfo("REGULAR_MARGIN", 5, 5)
    assert info.is_unified_2
    fee = wire.FeeRate("AUSDT", Decimal("0.00055"), Decimal("0.0002"))
    assert wire.read_fee_rate(over_the_wire(wire.encode_fee_rate_row(fee))) == fee
    key = wire.KeyInfo(
        api_key="k",
        read_only=False,
        permissions={"ContractTrade": ("Order", "Position"), "Wallet": ("AccountTransfer",)},
        ips=("10.0.0.1",),
        deadline_day=12,
        expired_at="2030-01-01T00:00:00Z",
        user_id=5,
        vip_level="VIP-1",
    )
    read = wire.read_key_info(over_the_wire(wire.encode_key_result(key)))
    assert {k: v for k, v in read.permissions.items() if v} == key.permissions
    assert replace(read, permissions=key.permissions) == key
    assert key.may_trade
    assert not key.may_withdraw
    assert replace(key, permissions={"Wallet": ("Withdraw",)}).may_withdraw
    assert not replace(key, read_only=True).may_trade
    assert wire.read_time(wire.encode_time_result(1_700_000_000_123)) == 1_700_000_000_123
