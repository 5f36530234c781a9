"""NautilusTrader's HTTP client: the strictest parser of replies, one named check each."""

import asyncio
import itertools
from datetime import UTC, datetime, timedelta

from common import acheck, need
from nautilus_world import (
    ACCOUNT,
    BAR_TYPE,
    BUY,
    GTC,
    INSTRUMENT,
    LINEAR,
    MARKET,
    SELL,
    W,
    bybit,
    http,
    nt,
)

STATE = {}
C = None
TYPE, STATUS, TIF = nt.OrderType, nt.OrderStatus, nt.TimeInForce


async def submit(side, kind, qty=None, **fields):
    """Send an order; returns its report."""
    qty = qty or await MARKET.qty(C)
    link = fields.pop("link", None) or MARKET.link()
    return await C.submit_order(ACCOUNT, LINEAR, INSTRUMENT, link, side, kind, qty, **fields)


async def query(report):
    """Return an order as it is now."""
    found = await C.query_order(ACCOUNT, LINEAR, INSTRUMENT, None, report.venue_order_id)
    return need(found, f"{report.venue_order_id} is nowhere")


async def settled(report, *statuses):
    """Wait for an order's status."""
    for _ in range(40):
        now = await query(report)
        if now.order_status in statuses:
            return now
        await asyncio.sleep(0.05)
    raise AssertionError(f"{now.order_status}, not {statuses}")


async def positions():
    """Return the open positions here."""
    rows = await C.request_position_status_reports(ACCOUNT, LINEAR, INSTRUMENT)
    return [r for r in rows if float(str(r.quantity)) > 0]


async def flat():
    """Close whatever is open."""
    await C.cancel_all_orders(ACCOUNT, LINEAR, INSTRUMENT)
    for row in await positions():
        side = SELL if row.position_side == nt.PositionSide.LONG else BUY
        await submit(side, TYPE.MARKET, row.quantity, reduce_only=True)
    need(not await positions(), "not flat")


# ------------------------------------------------------------------ public


async def instruments():
    await MARKET.load(C)
    each = MARKET.instrument
    need(float(str(each.price_increment)) > 0 and float(str(each.size_increment)) > 0, str(each))


async def statuses():
    need(await C.request_instrument_statuses(LINEAR), "none")


async def tickers():
    rows = await C.request_tickers(bybit.BybitTickersParams(LINEAR))
    need(len(rows) > 1 and rows[0].mark_price and rows[0].funding_rate, str(rows[:1]))


async def trades():
    need(await C.request_trades(LINEAR, INSTRUMENT, 50), "none")


async def funding_rates():
    await C.request_funding_rates(LINEAR, INSTRUMENT, limit=5)


async def book():
    deltas = await C.request_orderbook_snapshot(LINEAR, INSTRUMENT, 50)
    need(len(deltas.deltas) > 10, f"{len(deltas.deltas)} levels")


async def bars():
    end = datetime.now(UTC)
    rows = await C.request_bars(LINEAR, BAR_TYPE, end - timedelta(hours=2), end, None)
    need(len(rows) > 100, f"{len(rows)} bars of two hours")
    gap = {b.ts_event - a.ts_event for a, b in itertools.pairwise(rows)}
    need(gap == {60_000_000_000}, f"steps {gap}")


async def server_time():
    raw = bybit.BybitRawHttpClient(api_key=W.key, api_secret=W.secret, base_url=W.rest)
    need((await raw.get_server_time()).time_nano, "none")
    STATE["raw"] = raw


# ------------------------------------------------------------------ account


async def details():
    found = await C.get_account_details()
    need(found.uta == 1 and found.read_only == 0, f"uta {found.uta}")


async def account_state():
    state = await C.request_account_state(bybit.BybitAccountType.UNIFIED, ACCOUNT)
    need(state.balances and state.balances[0].total.as_double() == 10000, str(state.balances))


async def fees():
    rows = await C.request_fee_rates(LINEAR, W.symbol)
    need(float(rows[0].taker_fee_rate) > 0, str(rows))


async def margin_mode():
    for mode in (bybit.BybitMarginMode.REGULAR_MARGIN, bybit.BybitMarginMode.ISOLATED_MARGIN):
        try:
            await C.set_margin_mode(mode)
        except Exception as error:
            need("110026" in str(error), str(error))


async def leverage():
    await C.set_leverage(LINEAR, W.symbol, "6", "6")


async def modes():
    hedge, one_way = bybit.BybitPositionMode.BOTH_SIDES, bybit.BybitPositionMode.MERGED_SINGLE
    await C.switch_mode(LINEAR, hedge, W.symbol)
    await C.switch_mode(LINEAR, one_way, None, "USDT")


# ------------------------------------------------------------------ orders


async def market():
    report = await submit(BUY, TYPE.MARKET)
    done = await settled(report, STATUS.FILLED)
    need(done.avg_px and float(str(done.filled_qty)) > 0, str(done))
    held = await positions()
    need(len(held) == 1 and held[0].position_side == nt.PositionSide.LONG, str(held))
    every = await C.request_position_status_reports(ACCOUNT, LINEAR)
    need(len(every) == 1, f"{len(every)} positions by coin")


async def fills():
    rows = await C.request_fill_reports(ACCOUNT, LINEAR, INSTRUMENT)
    need(rows and rows[0].commission.as_double() > 0, str(rows[:1]))


async def limit():
    price = await MARKET.price(C, -0.004)
    report = await submit(BUY, TYPE.LIMIT, price=price, time_in_force=GTC)
    need(report.order_status == STATUS.ACCEPTED and report.price == price, str(report))
    rows = await C.request_order_status_reports(ACCOUNT, LINEAR, INSTRUMENT, open_only=True)
    need(any(r.venue_order_id == report.venue_order_id for r in rows), "not among the open")
    need(await STATE["raw"].get_open_orders(LINEAR, settle_coin="USDT"), "raw open orders")
    to = await MARKET.price(C, -0.005)
    await C.modify_order(
        ACCOUNT, LINEAR, INSTRUMENT, report.client_order_id, None, report.quantity, to
    )
    need((await query(report)).price == to, "not amended")
    await C.cancel_order(ACCOUNT, LINEAR, INSTRUMENT, report.client_order_id)
    await settled(report, STATUS.CANCELED)
    rows = await C.request_order_status_reports(ACCOUNT, LINEAR, INSTRUMENT)
    need(any(r.venue_order_id == report.venue_order_id for r in rows), "not in the history")


async def post_only():
    report = await submit(
        BUY, TYPE.LIMIT, price=await MARKET.price(C, -0.003), post_only=True, time_in_force=GTC
    )
    need(report.post_only, "not post-only")
    await C.cancel_order(ACCOUNT, LINEAR, INSTRUMENT, None, report.venue_order_id)
    price = await MARKET.price(C, 0.004)
    text = await refused(
        lambda: submit(BUY, TYPE.LIMIT, price=price, post_only=True, time_in_force=GTC)
    )
    need("EC_PostOnlyWillTakeLiquidity" in text, text)


async def immediate():
    for tif in (TIF.IOC, TIF.FOK):
        away = await submit(BUY, TYPE.LIMIT, price=await MARKET.price(C, -0.004), time_in_force=tif)
        await settled(away, STATUS.CANCELED)
        near = await submit(BUY, TYPE.LIMIT, price=await MARKET.price(C, 0.004), time_in_force=tif)
        await settled(near, STATUS.FILLED)


async def conditional():
    kinds = (
        (TYPE.STOP_MARKET, 0.03, None),
        (TYPE.STOP_LIMIT, 0.03, 0.031),
        (TYPE.MARKET_IF_TOUCHED, -0.03, None),
        (TYPE.LIMIT_IF_TOUCHED, -0.03, -0.03),
    )
    for kind, trigger, price in kinds:
        fields = {"trigger_price": await MARKET.price(C, trigger)}
        if price is not None:
            fields["price"] = await MARKET.price(C, price)
        report = await submit(BUY, kind, time_in_force=GTC, **fields)
        need(report.order_type == kind, f"{report.order_type} for {kind}")
        need(report.trigger_price == fields["trigger_price"], str(report.trigger_price))
    rows = await C.request_order_status_reports(ACCOUNT, LINEAR, INSTRUMENT, open_only=True)
    need(len(rows) == len(kinds), f"{len(rows)} open")
    await C.cancel_all_orders(ACCOUNT, LINEAR, INSTRUMENT)
    rows = await C.request_order_status_reports(ACCOUNT, LINEAR, INSTRUMENT, open_only=True)
    need(not rows, f"{len(rows)} left")


async def stop_triggers():
    await flat()
    await submit(BUY, TYPE.MARKET)
    held = (await positions())[0]
    await submit(
        SELL,
        TYPE.STOP_MARKET,
        held.quantity,
        trigger_price=await MARKET.price(C, -0.001),
        reduce_only=True,
        time_in_force=GTC,
    )
    for _ in range(60):
        await asyncio.to_thread(W.step, 10)
        if not await positions():
            return
    raise AssertionError("the stop never triggered")


async def attached():
    await flat()
    protect = bybit.BybitNativeTpSlParams(
        take_profit=str(await MARKET.price(C, 0.03)), stop_loss=str(await MARKET.price(C, -0.03))
    )
    await submit(BUY, TYPE.MARKET, native_tp_sl=protect)
    rows = await C.request_order_status_reports(ACCOUNT, LINEAR, INSTRUMENT, open_only=True)
    need(len(rows) == 2, f"{len(rows)} children")
    await flat()


async def mass_status():
    rows = await C.request_order_status_reports(ACCOUNT, LINEAR)
    need(len(rows) > 5, f"{len(rows)} orders")
    need(len(await C.request_fill_reports(ACCOUNT, LINEAR)) > 3, "fills of all symbols")


async def refused(make):
    try:
        value = await make()
    except Exception as error:
        return str(error)
    raise AssertionError(f"accepted: {value}")


async def too_much():
    price = await MARKET.price(C, -0.004)
    text = await refused(
        lambda: submit(BUY, TYPE.LIMIT, nt.Quantity(900.0, 3), price=price, time_in_force=GTC)
    )
    need("1100" in text or "balance" in text.lower(), text)


async def wrong_secret():
    text = await refused(http(W.key, "wrong").get_account_details)
    need("10004" in text or "sign" in text.lower(), text)


async def main():
    """Try everything."""
    global C  # noqa: PLW0603 - made inside the event loop
    C = http()
    for name, call in (
        ("request_instruments", instruments),
        ("request_instrument_statuses", statuses),
        ("request_tickers", tickers),
        ("request_trades", trades),
        ("request_funding_rates", funding_rates),
        ("request_orderbook_snapshot", book),
        ("request_bars", bars),
        ("get_server_time", server_time),
        ("get_account_details", details),
        ("request_account_state", account_state),
        ("request_fee_rates", fees),
        ("set_margin_mode", margin_mode),
        ("set_leverage", leverage),
        ("switch_mode", modes),
        ("submit_order market; position reports", market),
        ("request_fill_reports", fills),
        ("submit, query, modify, cancel a limit order", limit),
        ("submit_order post-only", post_only),
        ("submit_order IOC and FOK", immediate),
        ("submit_order conditional, four kinds; cancel_all", conditional),
        ("reduce-only stop triggers", stop_triggers),
        ("submit_order with native TP/SL", attached),
        ("mass status: orders and fills of all symbols", mass_status),
        ("too large an order is refused", too_much),
        ("wrong secret is refused", wrong_secret),
    ):
        await acheck(name, call(), 60)


asyncio.run(main())
