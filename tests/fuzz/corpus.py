"""Valid messages to start from: what clients send, written out."""

import msgspec

S = {"category": "linear", "symbol": "BTCUSDT"}
ORDER = {**S, "side": "Buy", "orderType": "Limit", "qty": "0.010", "price": "80000"}
_HEADER = {"X-BAPI-TIMESTAMP": "1700000000000", "X-BAPI-RECV-WINDOW": "5000"}

BODIES: dict[str, list[dict]] = {
    "/v5/order/create": [
        {**ORDER, "timeInForce": "PostOnly", "orderLinkId": "a-1", "positionIdx": 0},
        {**S, "side": "Sell", "orderType": "Market", "qty": "0.01", "reduceOnly": True},
        {**ORDER, "triggerPrice": "70000", "triggerDirection": 2, "triggerBy": "MarkPrice"},
        {**ORDER, "takeProfit": "90000", "stopLoss": "70000", "tpslMode": "Partial",
         "tpOrderType": "Limit", "tpLimitPrice": "90000", "slTriggerBy": "LastPrice"},
        {**S, "side": "Buy", "orderType": "Market", "qty": "0.01",
         "slippageToleranceType": "Percent", "slippageTolerance": "0.5"},
    ],
    "/v5/order/amend": [
        {**S, "orderId": "x", "price": "81000", "qty": "0.02"},
        {**S, "orderLinkId": "a-1", "triggerPrice": "70500", "stopLoss": "0"},
    ],
    "/v5/order/cancel": [{**S, "orderId": "x"}, {**S, "orderLinkId": "a-1"}],
    "/v5/order/cancel-all": [
        {**S, "orderFilter": "Order"}, {"category": "linear", "settleCoin": "USDT"},
    ],
    "/v5/order/create-batch": [{"category": "linear", "request": [ORDER, {**ORDER, "side": "Sell"}]}],
    "/v5/order/amend-batch": [{"category": "linear", "request": [{**S, "orderId": "x", "qty": "0.02"}]}],
    "/v5/order/cancel-batch": [{"category": "linear", "request": [{**S, "orderId": "x"}]}],
    "/v5/order/pre-check": [ORDER],
    "/v5/order/disconnected-cancel-all": [{"product": "DERIVATIVES", "timeWindow": 40}],
    "/v5/position/trading-stop": [
        {**S, "tpslMode": "Full", "positionIdx": 0, "stopLoss": "70000", "takeProfit": "90000"},
        {**S, "tpslMode": "Partial", "positionIdx": 0, "tpSize": "0.01", "slSize": "0.01",
         "takeProfit": "90000", "stopLoss": "70000"},
        {**S, "trailingStop": "500", "activePrice": "85000", "positionIdx": 0},
    ],
    "/v5/position/set-leverage": [{**S, "buyLeverage": "5", "sellLeverage": "5"}],
    "/v5/position/switch-mode": [{**S, "mode": 0}, {"category": "linear", "coin": "USDT", "mode": 3}],
    "/v5/account/set-margin-mode": [{"setMarginMode": "ISOLATED_MARGIN"}],
    "/v5/account/set-limit-px-action": [{"category": "linear", "modifyEnable": True}],
    "/v5/position/add-margin": [{**S, "margin": "10", "positionIdx": 0}],
    "/v5/position/set-auto-add-margin": [{**S, "autoAddMargin": 1, "positionIdx": 0}],
    "/v5/position/confirm-pending-mmr": [S],
}  # fmt: skip
QUERIES: dict[str, list[str]] = {
    "/v5/order/realtime": ["category=linear&symbol=BTCUSDT&limit=50", "category=linear&settleCoin=USDT&openOnly=1"],
    "/v5/order/history": ["category=linear&limit=20&startTime=1700000000000&endTime=1700000600000"],
    "/v5/execution/list": ["category=linear&symbol=BTCUSDT&limit=100&execType=Trade", "category=linear&cursor=1%3A2"],
    "/v5/position/list": ["category=linear&settleCoin=USDT&limit=200", "category=linear&symbol=BTCUSDT"],
    "/v5/position/closed-pnl": ["category=linear&symbol=BTCUSDT&limit=50"],
    "/v5/account/wallet-balance": ["accountType=UNIFIED&coin=USDT"],
    "/v5/account/info": [""],
    "/v5/account/fee-rate": ["category=linear&symbol=BTCUSDT"],
    "/v5/account/transaction-log": ["accountType=UNIFIED&currency=USDT&type=TRADE&limit=50"],
    "/v5/user/query-api": [""],
    "/v5/market/kline": ["category=linear&symbol=BTCUSDT&interval=1&limit=200&start=1700000000000"],
    "/v5/market/instruments-info": ["category=linear&limit=1000&status=PreLaunch", "category=linear&cursor=first%3D1"],
    "/v5/market/tickers": ["category=linear&symbol=BTCUSDT"],
    "/v5/market/orderbook": ["category=linear&symbol=BTCUSDT&limit=200"],
    "/v5/market/recent-trade": ["category=linear&symbol=BTCUSDT&limit=60"],
    "/v5/market/funding/history": ["category=linear&symbol=BTCUSDT&startTime=1&endTime=1700000000000"],
    "/v5/market/open-interest": ["category=linear&symbol=BTCUSDT&intervalTime=1h"],
    "/v5/market/risk-limit": ["category=linear&cursor=first%3D15"],
    "/v5/market/price-limit": ["category=linear&symbol=BTCUSDT"],
}  # fmt: skip
FRAMES: dict[str, list[dict]] = {
    "public": [
        {"req_id": "1", "op": "subscribe", "args": ["kline.1.BTCUSDT", "tickers.BTCUSDT"]},
        {"op": "subscribe", "args": ["orderbook.50.BTCUSDT", "publicTrade.ETHUSDT"]},
        {"op": "unsubscribe", "args": ["kline.1.BTCUSDT"]},
        {"op": "ping"},
        {"req_id": 7, "op": "ping", "args": 1700000000000},
    ],
    "private": [
        {"op": "auth", "args": ["key", 1700000000000, "sign"]},
        {"op": "auth", "args": ["key", "1700000000000", "sign"], "req_id": "a"},
        {"op": "subscribe", "args": ["order", "execution", "position", "wallet"]},
        {"op": "subscribe", "args": ["order.linear"], "req_id": 3},
        {"op": "unsubscribe", "args": ["order"]},
        {"op": "ping", "req_id": "p"},
    ],
    "trade": [
        {"op": "auth", "args": ["key", 1700000000000, "sign"]},
        {"op": "ping"},
        {"reqId": "r1", "header": _HEADER, "op": "order.create", "args": [ORDER]},
        {"reqId": "r2", "header": _HEADER, "op": "order.amend", "args": [BODIES["/v5/order/amend"][0]]},
        {"reqId": "r3", "header": _HEADER, "op": "order.cancel", "args": [{**S, "orderId": "x"}]},
        {"reqId": "r4", "header": {**_HEADER, "X-BAPI-TIMESTAMP": 1700000000000},
         "op": "order.create-batch", "args": [{"category": "linear", "request": [ORDER, ORDER]}]},
    ],
}  # fmt: skip
REPLIES: list[dict] = [
    {"success": True, "ret_msg": "", "conn_id": "c", "req_id": "1", "op": "subscribe"},
    {"req_id": "p", "op": "pong", "args": ["1700000000000"], "conn_id": "c"},
    {"retCode": 0, "retMsg": "OK", "op": "pong", "data": ["1700000000000"], "connId": "c"},
    {"reqId": "r1", "retCode": 0, "retMsg": "OK", "op": "order.create", "connId": "c",
     "data": {"orderId": "x", "orderLinkId": "a-1"}, "retExtInfo": {},
     "header": {"X-Bapi-Limit": "10", "X-Bapi-Limit-Status": "9", "Traceid": "t", "Timenow": "1"}},
    {"retCode": 0, "retMsg": "OK", "result": {"orderId": "x", "orderLinkId": ""}, "retExtInfo": {}, "time": 1},
    {"retCode": 0, "retMsg": "OK", "time": 1, "result": {"list": [{"orderId": "x", "orderLinkId": "a"}]},
     "retExtInfo": {"list": [{"code": 0, "msg": "OK"}, {"code": 10001, "msg": "bad"}]}},
    {"topic": "kline.1.BTCUSDT", "type": "snapshot", "ts": 1, "data": [
        {"start": 0, "end": 59999, "interval": "1", "open": "1", "close": "1", "high": "1", "low": "1",
         "volume": "1", "turnover": "1", "confirm": True, "timestamp": 1}]},
    {"topic": "tickers.BTCUSDT", "type": "delta", "cs": 1, "ts": 1, "data": {"symbol": "BTCUSDT", "lastPrice": "1"}},
]  # fmt: skip


def written(values: list[dict]) -> list[bytes]:
    """Write messages as JSON."""
    return [msgspec.json.encode(value) for value in values]
