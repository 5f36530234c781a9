"""pybit's own HTTP class: every endpoint of the linear market, one named check each."""

from decimal import Decimal

from common import check, need, refused, until
from pybit.exceptions import InvalidRequestError
from pybit_refusals import refusals
from pybit_world import (
    BARE,
    LINEAR,
    MINE,
    STATE,
    S,
    W,
    find,
    flat,
    idempotent,
    place,
    position,
    price,
    qty,
    rows,
    settled,
)

# ------------------------------------------------------------------ public


def klines(name, columns):
    def call():
        found = rows(getattr(BARE, name)(**S, interval=1, limit=30))
        need(len(found) == 30 and len(found[0]) == columns, f"{len(found)} rows")
        need(int(found[0][0]) > int(found[1][0]), "not newest first")

    return call


def every_kline():
    for interval in (1, 3, 5, 15, 30, 60, 120, 240, 360, 720, "D"):
        need(rows(BARE.get_kline(**S, interval=interval, limit=5)), f"none of {interval}")


def instruments():
    first = BARE.get_instruments_info(**LINEAR, limit=1)
    need(len(rows(first)) == 1 and first["result"]["nextPageCursor"], "no second page")
    second = BARE.get_instruments_info(**LINEAR, limit=1, cursor=first["result"]["nextPageCursor"])
    need(rows(second)[0]["symbol"] != rows(first)[0]["symbol"], "the same page twice")
    need(rows(BARE.get_instruments_info(**LINEAR, status="PreLaunch")) == [], "PreLaunch")


def public():
    check("get_server_time", lambda: need(BARE.get_server_time()["result"]["timeNano"], "none"))
    check("get_instruments_info, two pages", instruments)
    check("get_kline", klines("get_kline", 7))
    check("get_kline, every interval", every_kline)
    for name in ("mark", "index", "premium_index"):
        check(f"get_{name}_price_kline", klines(f"get_{name}_price_kline", 5))
    check("get_tickers, all", lambda: need(len(rows(BARE.get_tickers(**LINEAR))) > 1, "one"))
    check("get_orderbook", lambda: need(BARE.get_orderbook(**S, limit=50)["result"]["b"], "empty"))
    check(
        "get_public_trade_history", lambda: need(rows(BARE.get_public_trade_history(**S)), "none")
    )
    check("get_funding_rate_history", lambda: rows(BARE.get_funding_rate_history(**S, limit=10)))
    check("get_open_interest", lambda: rows(BARE.get_open_interest(**S, intervalTime="1h")))
    check("get_risk_limit", lambda: need(rows(BARE.get_risk_limit(**S)), "none"))
    check("get_price_limit", lambda: need(BARE.get_price_limit(**S)["result"]["buyLmt"], "none"))


# ------------------------------------------------------------------ account


def wallet():
    row = rows(MINE.get_wallet_balance(accountType="UNIFIED"))[0]
    coin = next(c for c in row["coin"] if c["coin"] == "USDT")
    need(Decimal(coin["walletBalance"]) == 10000 == Decimal(row["totalEquity"]), str(row))


def key_info():
    found = MINE.get_api_key_information()["result"]
    need(found["readOnly"] == 0 and found["uta"] == 1, str(found))
    need({"Order", "Position"} <= set(found["permissions"]["ContractTrade"]), str(found))


def margin_mode():
    for word in ("REGULAR_MARGIN", "ISOLATED_MARGIN"):
        idempotent(lambda word=word: MINE.set_margin_mode(setMarginMode=word), 110026)
        need(MINE.get_account_info()["result"]["marginMode"] == word, word)


def leverage():
    idempotent(lambda: MINE.set_leverage(**S, buyLeverage="5", sellLeverage="5"), 110043)
    need(Decimal(position()["leverage"]) == 5, "leverage not 5")
    error = refused(
        lambda: MINE.set_leverage(**S, buyLeverage="5", sellLeverage="5"), InvalidRequestError
    )
    need(error.status_code == 110043, f"code {error.status_code}")


def modes():
    idempotent(lambda: MINE.switch_position_mode(**S, mode=3), 110025)
    need(sorted(p["positionIdx"] for p in rows(MINE.get_positions(**S))) == [1, 2], "hedge")
    idempotent(lambda: MINE.switch_position_mode(**LINEAR, coin="USDT", mode=0), 110025)
    need(position(0)["side"] == "", "one-way")


def account():
    check("get_api_key_information", key_info)
    check("get_account_info", lambda: need(MINE.get_account_info()["result"]["marginMode"], "none"))
    check("get_wallet_balance", wallet)
    check("get_fee_rates", lambda: need(rows(MINE.get_fee_rates(**S))[0]["takerFeeRate"], "none"))
    check("get_fee_rates, all", lambda: need(len(rows(MINE.get_fee_rates(**LINEAR))) > 1, "one"))
    check("set_margin_mode", margin_mode)
    check("set_leverage", leverage)
    check("switch_position_mode", modes)
    check("query_dcp_info", MINE.query_dcp_info)
    check("get_user_setting_config", MINE.get_user_setting_config)
    check(
        "set_limit_price_action",
        lambda: MINE.set_limit_price_action(**LINEAR, modifyEnable=False),
    )
    check("get_coin_info", lambda: MINE.get_coin_info(coin="USDT"))


# ------------------------------------------------------------------ orders


def market():
    order_id = STATE["buy"] = place(side="Buy", orderType="Market", qty=qty())
    order = settled(order_id, "Filled")
    need(Decimal(order["avgPrice"]) > 0 and Decimal(order["leavesQty"]) == 0, str(order))
    held = position()
    need(held["side"] == "Buy" and held["size"] == order["cumExecQty"], str(held))
    need(Decimal(held["avgPrice"]) > 0 and Decimal(held["positionIM"]) > 0, str(held))


def executions():
    found = rows(MINE.get_executions(**S, orderId=STATE["buy"]))
    need(found and Decimal(found[0]["execFee"]) > 0 and not found[0]["isMaker"], str(found))
    need(found[0]["execType"] == "Trade", found[0]["execType"])


def limit():
    order_id = place(
        side="Buy", orderType="Limit", qty=qty(), price=price(-0.004), orderLinkId="judge-1"
    )
    need(find(order_id)["orderStatus"] == "New", find(order_id)["orderStatus"])
    need(rows(MINE.get_open_orders(**S, orderLinkId="judge-1")), "not found by its link")
    need(rows(MINE.get_open_orders(**LINEAR, settleCoin="USDT")), "not found by coin")
    to, more = price(-0.005), qty(3000)
    MINE.amend_order(**S, orderLinkId="judge-1", price=to, qty=more)
    order = find(order_id)
    need(Decimal(order["price"]) == Decimal(to) and order["qty"] == more, str(order))
    MINE.cancel_order(**S, orderId=order_id)
    order = settled(order_id, "Cancelled")
    need(order["cancelType"] == "CancelByUser", order["cancelType"])
    error = refused(lambda: MINE.cancel_order(**S, orderId=order_id), InvalidRequestError)
    need(error.status_code in {110001, 110008, 110010}, str(error))


def post_only():
    order_id = place(
        side="Buy", orderType="Limit", qty=qty(), price=price(0.004), timeInForce="PostOnly"
    )
    order = settled(order_id, "Cancelled")
    need(order["rejectReason"] == "EC_PostOnlyWillTakeLiquidity", order["rejectReason"])


def immediate():
    for tif in ("IOC", "FOK"):
        away = place(side="Buy", orderType="Limit", qty=qty(), price=price(-0.004), timeInForce=tif)
        need(settled(away, "Cancelled")["cumExecQty"] == "0", f"{tif} filled away")
        near = place(side="Buy", orderType="Limit", qty=qty(), price=price(0.004), timeInForce=tif)
        settled(near, "Filled")


def banded():
    order_id = place(side="Buy", orderType="Limit", qty=qty(), price=price(0.5))
    order = settled(order_id, "Filled", "PartiallyFilled", "New")
    top = Decimal(BARE.get_price_limit(**S)["result"]["buyLmt"])
    need(Decimal(order["price"]) <= top * Decimal("1.001"), f"{order['price']} above {top}")
    flat()


def conditional():
    order_id = place(
        **{"side": "Buy", "orderType": "Market", "qty": qty(), "triggerBy": "MarkPrice"},
        **{"triggerPrice": price(0.03), "triggerDirection": 1},
    )
    order = find(order_id)
    need(order["orderStatus"] == "Untriggered" and order["stopOrderType"] == "Stop", str(order))
    need(rows(MINE.get_open_orders(**S, orderFilter="StopOrder")), "not among StopOrder")
    need(not rows(MINE.get_open_orders(**S, orderFilter="Order")), "among Order")
    to = price(0.04)
    MINE.amend_order(**S, orderId=order_id, triggerPrice=to)
    need(Decimal(find(order_id)["triggerPrice"]) == Decimal(to), "not amended")
    MINE.cancel_order(**S, orderId=order_id)
    settled(order_id, "Deactivated", "Cancelled")
    error = refused(
        lambda: place(
            **{"side": "Buy", "orderType": "Market", "qty": qty()},
            **{"triggerPrice": price(-0.03), "triggerDirection": 1},
        ),
        InvalidRequestError,
    )
    need(error.status_code in {110092, 110093, 10001}, str(error))


def conditional_triggers():
    flat()
    order_id = place(
        **{"side": "Buy", "orderType": "Market", "qty": qty()},
        **{"triggerPrice": price(0.0008), "triggerDirection": 1},
    )
    until(lambda: find(order_id)["orderStatus"] == "Filled", "never", 60, lambda: W.step(10))
    need(find(order_id)["createType"] != "", "createType")


def attached():
    flat()
    place(
        **{"side": "Buy", "orderType": "Market", "qty": qty()},
        **{"takeProfit": price(0.03), "stopLoss": price(-0.03), "tpslMode": "Full"},
    )
    held = position()
    need(Decimal(held["stopLoss"]) > 0 and Decimal(held["takeProfit"]) > 0, str(held))
    kinds = {o["stopOrderType"] for o in rows(MINE.get_open_orders(**S, orderFilter="StopOrder"))}
    need(kinds == {"TakeProfit", "StopLoss"}, str(kinds))


def trading_stop():
    to = price(-0.02)
    MINE.set_trading_stop(**S, stopLoss=to, positionIdx=0, tpslMode="Full")
    need(Decimal(position()["stopLoss"]) == Decimal(to), "stop not moved")
    error = refused(
        lambda: MINE.set_trading_stop(**S, stopLoss=to, positionIdx=0, tpslMode="Full"),
        InvalidRequestError,
    )
    need(error.status_code == 34040, str(error))
    half = qty(1000)
    MINE.set_trading_stop(
        **S,
        **{"takeProfit": price(0.02), "tpSize": half, "stopLoss": price(-0.01), "slSize": half},
        **{"tpslMode": "Partial", "positionIdx": 0, "tpOrderType": "Limit"},
        tpLimitPrice=price(0.02),
    )
    kinds = [o["stopOrderType"] for o in rows(MINE.get_open_orders(**S, orderFilter="StopOrder"))]
    need("PartialTakeProfit" in kinds and "PartialStopLoss" in kinds, str(kinds))
    MINE.set_trading_stop(**S, trailingStop=price(-0.99), positionIdx=0)
    need(Decimal(position()["trailingStop"]) > 0, "no trailing stop")
    MINE.set_trading_stop(**S, trailingStop="0", stopLoss="0", takeProfit="0", positionIdx=0)
    held = position()
    need(not Decimal(held["trailingStop"] or 0) and not Decimal(held["stopLoss"] or 0), str(held))


def stop_closes():
    flat()
    place(side="Buy", orderType="Market", qty=qty(), stopLoss=price(-0.001))
    until(lambda: position()["size"] == "0", "the stop never triggered", 60, lambda: W.step(10))
    need(not rows(MINE.get_open_orders(**S)), "orders left behind a closed position")
    closed = rows(MINE.get_closed_pnl(**S))
    need(closed and Decimal(closed[0]["closedPnl"]) < 0, str(closed[:1]))


def batches():
    many = [
        {"symbol": W.symbol, "side": "Buy", "orderType": "Limit", "qty": qty(), "price": price(p)}
        for p in (-0.004, -0.005)
    ]
    bad = {**many[0], "qty": "0.00000001"}
    reply = MINE.place_batch_order(**LINEAR, request=[*many, bad])
    codes = [r["code"] for r in reply["retExtInfo"]["list"]]
    need(codes[:2] == [0, 0] and codes[2] != 0, str(codes))
    ids = [r["orderId"] for r in rows(reply)][:2]
    to = price(-0.006)
    MINE.amend_batch_order(
        **LINEAR, request=[{"symbol": W.symbol, "orderId": i, "price": to} for i in ids]
    )
    need(all(Decimal(find(i)["price"]) == Decimal(to) for i in ids), "not amended")
    MINE.cancel_batch_order(**LINEAR, request=[{"symbol": W.symbol, "orderId": i} for i in ids])
    for i in ids:
        settled(i, "Cancelled")


def cancel_entries_keeps_protection():
    flat()
    place(side="Buy", orderType="Market", qty=qty(), stopLoss=price(-0.03))
    place(side="Buy", orderType="Limit", qty=qty(), price=price(-0.01))
    MINE.cancel_all_orders(**S, orderFilter="Order")
    left = [o["stopOrderType"] for o in rows(MINE.get_open_orders(**S))]
    need(left == ["StopLoss"], str(left))
    flat()


def add_margin():
    idempotent(lambda: MINE.set_margin_mode(setMarginMode="ISOLATED_MARGIN"), 110026)
    place(side="Buy", orderType="Market", qty=qty())
    before = Decimal(position()["positionBalance"])
    MINE.add_or_reduce_margin(**S, margin="10", positionIdx=0)
    need(Decimal(position()["positionBalance"]) - before == 10, "margin not added")
    MINE.set_auto_add_margin(**S, autoAddMargin=1, positionIdx=0)
    need(position()["autoAddMargin"] == 1, "autoAddMargin")
    MINE.set_auto_add_margin(**S, autoAddMargin=0, positionIdx=0)
    flat()


def funding():
    place(side="Buy", orderType="Market", qty=qty())
    W.step(500)
    found = rows(MINE.get_executions(**S, execType="Funding"))
    need(found and found[0]["execType"] == "Funding", "no funding within 500 minutes")
    flat()
    log = rows(MINE.get_transaction_log(accountType="UNIFIED", limit=50))
    need({"TRADE", "SETTLEMENT"} <= {r["type"] for r in log}, str({r["type"] for r in log}))
    for r in log:
        change = Decimal(r["cashFlow"]) + Decimal(r["funding"] or 0) - Decimal(r["fee"])
        need(Decimal(r["change"]) == change, str(r))


def pages():
    seen, cursor = [], ""
    for _ in range(100):
        reply = MINE.get_executions(**S, limit=3, **({"cursor": cursor} if cursor else {}))
        seen += [r["execId"] for r in rows(reply)]
        cursor = reply["result"]["nextPageCursor"]
        if not cursor:
            break
    need(len(seen) == len(set(seen)) > 3, f"{len(seen)} rows, {len(set(seen))} distinct")


def pre_check():
    near = {"side": "Buy", "orderType": "Limit", "qty": qty(), "price": price(-0.004)}
    found = MINE.pre_check_order(**S, **near)["result"]
    need("postImrE4" in found, str(found))


def orders():
    for name, call in (
        ("place_order Market; get_positions", market),
        ("get_executions", executions),
        ("place_order Limit; amend_order; cancel_order", limit),
        ("place_order PostOnly that would take", post_only),
        ("place_order IOC and FOK", immediate),
        ("place_order beyond the price band", banded),
        ("place_order conditional; wrong side refused", conditional),
        ("conditional order triggers", conditional_triggers),
        ("place_order with takeProfit and stopLoss", attached),
        ("set_trading_stop Full, Partial, trailing, cancelled", trading_stop),
        ("stop closes the position; get_closed_pnl", stop_closes),
        ("place_batch_order, amend_batch_order, cancel_batch_order", batches),
        ("cancel_all_orders orderFilter=Order keeps the stop", cancel_entries_keeps_protection),
        ("add_or_reduce_margin, set_auto_add_margin", add_margin),
        ("funding: executions and transaction log", funding),
        ("get_executions by cursor", pages),
        ("pre_check_order", pre_check),
    ):
        check(name, call)


public()
account()
orders()
refusals()
