"""ccxt, REST: unified calls on the linear market, one named check each."""

import itertools

import ccxt
from ccxt_refusals import refusals
from ccxt_world import EX, STATE, S, W, flat, last, order, price, qty, settled, size
from common import check, need, refused, until

# ------------------------------------------------------------------ public


def markets():
    found = EX.load_markets()
    market = need(found.get(S), f"{S} missing")
    need(market["linear"] and market["swap"] and market["active"], "not a live linear swap")
    need(market["precision"]["price"] > 0 and market["precision"]["amount"] > 0, "no precision")
    need(market["limits"]["cost"]["min"] is not None, "no minimum notional")


def candles():
    rows = EX.fetch_ohlcv(S, "1m", limit=50)
    need(len(rows) == 50, f"{len(rows)} candles")
    need(all(b[0] - a[0] == 60_000 for a, b in itertools.pairwise(rows)), "gaps")
    need(all(r[3] <= min(r[1], r[4]) and r[2] >= max(r[1], r[4]) for r in rows), "impossible bar")


def coarse_candles():
    rows = EX.fetch_ohlcv(S, "1h", limit=20)
    need(len(rows) >= 10 and rows[1][0] - rows[0][0] == 3_600_000, f"{len(rows)} hours")


def kind_of_candles(name):
    def call():
        rows = getattr(EX, name)(S, "1m", limit=10)
        need(len(rows) == 10, f"{len(rows)} candles")

    return call


def book():
    b = EX.fetch_order_book(S, 25)
    need(b["bids"] and b["asks"] and b["bids"][0][0] < b["asks"][0][0], "crossed or empty")
    need(b["bids"] == sorted(b["bids"], key=lambda x: -x[0]), "bids out of order")


def public():
    check("load_markets", markets)
    check("fetch_time", lambda: need(EX.fetch_time() > 0, "no time"))
    check("fetch_currencies", EX.fetch_currencies)
    check("fetch_ohlcv 1m", candles)
    check("fetch_ohlcv 1h", coarse_candles)
    for name in ("fetch_mark_ohlcv", "fetch_index_ohlcv", "fetch_premium_index_ohlcv"):
        check(name, kind_of_candles(name))
    check("fetch_ticker", lambda: need(last() > 0, "no last price"))
    check("fetch_tickers", lambda: need(len(EX.fetch_tickers()) >= 2, "one market only"))
    check("fetch_bids_asks", lambda: need(EX.fetch_bids_asks()[S]["bid"], "no bid"))
    check("fetch_order_book", book)
    check("fetch_trades", lambda: need(EX.fetch_trades(S, limit=20), "no trades"))
    check("fetch_funding_rate", lambda: need(EX.fetch_funding_rate(S)["fundingTimestamp"], "none"))
    check("fetch_funding_rate_history", lambda: need(EX.fetch_funding_rate_history(S), "none"))
    check("fetch_open_interest", lambda: EX.fetch_open_interest(S))
    check("fetch_open_interest_history", lambda: EX.fetch_open_interest_history(S, "1h"))
    check("fetch_market_leverage_tiers", lambda: need(EX.fetch_market_leverage_tiers(S), "none"))
    check("fetch_leverage_tiers", lambda: need(S in EX.fetch_leverage_tiers([S]), "none"))


# ------------------------------------------------------------------ account


def balance():
    b = EX.fetch_balance()
    need(b["USDT"]["total"] == 10000, f"USDT total {b['USDT']['total']}")
    need(b["USDT"]["free"] == 10000, f"USDT free {b['USDT']['free']}")


def leverage():
    EX.set_leverage(7, S)
    need(EX.fetch_leverage(S)["longLeverage"] == 7, "leverage not 7")


def mode(hedged):
    def call():
        EX.set_position_mode(hedged, S)
        rows = EX.privateGetV5PositionList({"category": "linear", "symbol": W.symbol})
        found = sorted(int(r["positionIdx"]) for r in rows["result"]["list"])
        need(found == ([1, 2] if hedged else [0]), f"positionIdx {found}")

    return call


def account():
    check("fetch_balance", balance)
    check("is_unified_enabled", lambda: need(EX.is_unified_enabled()[1], "not unified"))
    check("fetch_trading_fee", lambda: need(EX.fetch_trading_fee(S)["taker"] > 0, "no fee"))
    check("fetch_trading_fees", lambda: need(S in EX.fetch_trading_fees(), "symbol missing"))
    check("set_margin_mode cross", lambda: EX.set_margin_mode("cross", S))
    check("set_margin_mode isolated", lambda: EX.set_margin_mode("isolated", S, {"leverage": 5}))
    check("set_leverage", leverage)
    check("set_position_mode hedge", mode(True))
    check("set_position_mode one-way", mode(False))


# ------------------------------------------------------------------ orders


def market_buy():
    made = EX.create_order(S, "market", "buy", qty())
    STATE["buy"] = made["id"]
    filled = settled(made["id"], "closed")
    need(filled["filled"] > 0 and filled["average"] > 0, "no fill")
    need(filled["remaining"] == 0, f"remaining {filled['remaining']}")


def position():
    p = EX.fetch_position(S)
    need(p["side"] == "long" and p["contracts"] > 0 and p["entryPrice"] > 0, str(p["info"]))
    need(p["leverage"] == 7, f"leverage {p['leverage']}")
    need(p["liquidationPrice"] and p["liquidationPrice"] < p["entryPrice"], "liquidation price")
    need(len(EX.fetch_positions()) == 1, "positions of all symbols")


def trades():
    rows = EX.fetch_my_trades(S)
    mine = [t for t in rows if t["order"] == STATE["buy"]]
    need(mine and mine[0]["fee"]["cost"] > 0, "no fill with a fee")
    need(EX.fetch_order_trades(STATE["buy"], S), "no fills by order")


def limit_rest():
    made = EX.create_order(
        S, "limit", "buy", qty(), price(-0.004), {"clientOrderId": "judge-limit-1"}
    )
    STATE["limit"] = made["id"]
    need(any(o["id"] == made["id"] for o in EX.fetch_open_orders(S)), "not among the open orders")
    found = EX.fetch_open_order(made["id"], S)
    need(found["status"] == "open" and found["clientOrderId"] == "judge-limit-1", str(found))


def edit():
    to, size_ = price(-0.005), qty(3000)
    EX.edit_order(STATE["limit"], S, "limit", "buy", size_, to)
    found = order(STATE["limit"])
    need(found["price"] == to and found["amount"] == size_, f"{found['price']} {found['amount']}")


def cancel():
    EX.cancel_order(STATE["limit"], S)
    settled(STATE["limit"], "canceled")
    need(not [o for o in EX.fetch_open_orders(S) if o["id"] == STATE["limit"]], "still open")
    need(any(o["id"] == STATE["limit"] for o in EX.fetch_canceled_orders(S)), "not in the history")


def post_only():
    made = EX.create_order(S, "limit", "buy", qty(), price(-0.003), {"postOnly": True})
    need(order(made["id"])["timeInForce"] == "PO", "not post-only")
    EX.cancel_order(made["id"], S)
    crossing = EX.create_order(S, "limit", "buy", qty(), price(0.005), {"postOnly": True})
    gone = settled(crossing["id"], "canceled")
    need(gone["filled"] == 0, "a post-only order took")


def immediate():
    made = EX.create_order(S, "limit", "buy", qty(), price(-0.003), {"timeInForce": "IOC"})
    need(settled(made["id"], "canceled")["filled"] == 0, "filled away from the market")
    made = EX.create_order(S, "limit", "buy", qty(), price(0.003), {"timeInForce": "IOC"})
    settled(made["id"], "closed")


def fill_or_kill():
    made = EX.create_order(S, "limit", "sell", qty(), price(0.003), {"timeInForce": "FOK"})
    need(settled(made["id"], "canceled")["filled"] == 0, "filled away from the market")
    made = EX.create_order(S, "limit", "buy", qty(), price(0.003), {"timeInForce": "FOK"})
    settled(made["id"], "closed")


def conditional():
    made = EX.create_order(
        S,
        "market",
        "buy",
        qty(),
        None,
        {"triggerPrice": price(0.02), "triggerDirection": "ascending"},
    )
    rows = EX.fetch_open_orders(S, params={"trigger": True})
    need(any(o["id"] == made["id"] for o in rows), "not among the conditional orders")
    to = price(0.03)
    EX.edit_order(made["id"], S, "market", "buy", qty(), None, {"triggerPrice": to})
    need(order(made["id"], trigger=True)["triggerPrice"] == to, "trigger price not amended")
    EX.cancel_order(made["id"], S, {"trigger": True})
    rows = EX.fetch_open_orders(S, params={"trigger": True})
    need(not any(o["id"] == made["id"] for o in rows), "still there")


def reduce_only():
    held = size()
    made = EX.create_order(S, "market", "sell", held, None, {"reduceOnly": True})
    settled(made["id"], "closed")
    need(size() == 0, f"size {size()}")
    refused(
        lambda: EX.create_order(S, "market", "sell", 1, None, {"reduceOnly": True}),
        ccxt.ExchangeError,
    )


def stop_triggers():
    EX.create_order(S, "market", "buy", qty())
    held = size()
    made = EX.create_order(S, "market", "sell", held, None, {"stopLossPrice": price(-0.001)})
    until(lambda: size() == 0, "the stop never triggered", 60, lambda: W.step(10))
    need(order(made["id"])["status"] == "closed", str(order(made["id"])["info"]))


def take_profit_triggers():
    EX.create_order(S, "market", "sell", qty())
    EX.create_order(S, "market", "buy", abs(size()), None, {"takeProfitPrice": price(-0.0005)})
    until(lambda: size() == 0, "the take-profit never triggered", 60, lambda: W.step(10))


def attached():
    EX.create_order(
        S,
        "market",
        "buy",
        qty(),
        None,
        {"stopLoss": {"triggerPrice": price(-0.02)}, "takeProfit": {"triggerPrice": price(0.02)}},
    )
    found = EX.fetch_position(S)
    need(found["stopLossPrice"] and found["takeProfitPrice"], str(found["info"]))
    rows = EX.fetch_open_orders(S, params={"trigger": True})
    need(len(rows) == 2, f"{len(rows)} children")


def attached_limit():
    flat()
    made = EX.create_order(
        S,
        "limit",
        "buy",
        qty(),
        price(-0.002),
        {"stopLoss": {"triggerPrice": price(-0.02), "price": price(-0.021)}},
    )
    found = order(made["id"])
    need(float(found["info"]["stopLoss"]) > 0 and found["info"]["tpslMode"] == "Partial", "lost")
    EX.cancel_order(made["id"], S)


def trading_stop():
    flat()
    EX.create_order(S, "market", "buy", qty())
    sl, tp = price(-0.03), price(0.03)
    EX.create_order(S, "market", "sell", 0, None, {"stopLossPrice": sl, "takeProfitPrice": tp})
    found = EX.fetch_position(S)
    need(found["stopLossPrice"] == sl and found["takeProfitPrice"] == tp, str(found["info"]))


def trailing():
    distance = EX.price_to_precision(S, last() * 0.01)
    EX.create_order(S, "market", "sell", 0, None, {"trailingAmount": distance})
    found = EX.fetch_position(S)["info"]
    need(float(found["trailingStop"]) == float(distance), f"trailingStop {found['trailingStop']}")
    rows = EX.fetch_open_orders(S, params={"trigger": True})
    need(any(r["info"]["stopOrderType"] == "TrailingStop" for r in rows), "no trailing order")


def trailing_triggers():
    flat()
    EX.create_order(S, "market", "buy", qty())
    distance = EX.price_to_precision(S, last() * 0.002)
    EX.create_order(S, "market", "sell", 0, None, {"trailingAmount": distance})
    until(lambda: size() == 0, "the trailing stop never triggered", 60, lambda: W.step(10))


def batch():
    rows = [
        {
            "symbol": S,
            "type": "limit",
            "side": "buy",
            "amount": qty(),
            "price": price(-0.004 - i / 1e3),
        }
        for i in range(3)
    ]
    made = EX.create_orders(rows)
    need(len(made) == 3 and all(o["id"] for o in made), str(made))
    to = price(-0.008)
    EX.edit_orders(
        [
            {
                "id": o["id"],
                "symbol": S,
                "type": "limit",
                "side": "buy",
                "amount": qty(),
                "price": to,
            }
            for o in made[:2]
        ]
    )
    need(order(made[0]["id"])["price"] == to, "batch amend")
    EX.cancel_orders([o["id"] for o in made[:2]], S)
    need(len(EX.fetch_open_orders(S)) == 1, "batch cancel")
    EX.cancel_orders_for_symbols([{"symbol": S, "id": made[2]["id"]}])
    need(not EX.fetch_open_orders(S), "cancel for symbols")


def cancel_all():
    for i in range(3):
        EX.create_order(S, "limit", "sell", qty(), price(0.004 + i / 1e3))
    EX.cancel_all_orders(S)
    need(not EX.fetch_open_orders(S), "orders left")


def hedge():
    flat()
    EX.set_position_mode(True, S)
    EX.create_order(S, "market", "buy", qty(), None, {"hedged": True})
    EX.create_order(S, "market", "sell", qty(), None, {"hedged": True})
    rows = [p for p in EX.fetch_positions([S]) if p["contracts"]]
    need(sorted(p["side"] for p in rows) == ["long", "short"], str([p["side"] for p in rows]))
    for row in rows:
        side = "sell" if row["side"] == "long" else "buy"
        EX.create_order(
            S, "market", side, row["contracts"], None, {"hedged": True, "reduceOnly": True}
        )
    need(not [p for p in EX.fetch_positions([S]) if p["contracts"]], "legs left open")
    EX.set_position_mode(False, S)


def funding():
    flat()
    EX.create_order(S, "market", "buy", qty())
    W.step(500)
    rows = EX.fetch_funding_history(S)
    need(rows and rows[0]["amount"] is not None, "no funding within 500 minutes")


def history():
    flat()
    need(EX.fetch_positions_history([S]), "no closed PnL")
    need(EX.fetch_closed_orders(S), "no closed orders")
    rows = EX.fetch_ledger("USDT")
    need(rows and {r["type"] for r in rows} >= {"trade"}, "no trades in the ledger")


def orders():
    for name, call in (
        ("create_order market", market_buy),
        ("fetch_position", position),
        ("fetch_my_trades", trades),
        ("create_order limit", limit_rest),
        ("edit_order", edit),
        ("cancel_order", cancel),
        ("create_order post-only", post_only),
        ("create_order IOC", immediate),
        ("create_order FOK", fill_or_kill),
        ("create_order conditional", conditional),
        ("create_order reduce-only", reduce_only),
        ("stopLossPrice triggers", stop_triggers),
        ("takeProfitPrice triggers", take_profit_triggers),
        ("attached stopLoss and takeProfit", attached),
        ("attached stopLoss limit (Partial)", attached_limit),
        ("trading-stop stopLoss and takeProfit", trading_stop),
        ("trailingAmount", trailing),
        ("trailing stop triggers", trailing_triggers),
        ("create_orders, edit_orders, cancel_orders", batch),
        ("cancel_all_orders", cancel_all),
        ("hedge mode", hedge),
        ("fetch_funding_history", funding),
        ("fetch_positions_history, closed orders, ledger", history),
    ):
        check(name, call)


public()
account()
orders()
refusals()
