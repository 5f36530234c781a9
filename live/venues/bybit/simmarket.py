"""The simulated venue's public lists: time, candles, instruments, tickers. Query in, result out."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from math import isnan
from typing import Any
from urllib.parse import quote

import numpy as np

from engine.venue import wire
from engine.venue.instrument import plain
from engine.venue.market_view import MarketView
from engine.venue.wire import number
from engine.venue.words import InstrumentStatus
from live.venues.bybit.simanswer import Params, Refused, text, whole
from live.venues.bybit.simcandles import candles, served

_KLINE_DEFAULT, _INSTRUMENTS_DEFAULT = 200, 500
OTHER_CATEGORIES = frozenset({"inverse", "spot", "option"})


def category(query: Params, *, default: str = "") -> str:
    """Return the category asked for; other known ones exist and are empty here."""
    wanted = text(query, "category", default)
    if wanted != "linear" and wanted not in OTHER_CATEGORIES:
        raise Refused(10001, "params error: category invalid")
    return wanted


def symbol_of(view: MarketView, query: Params) -> str:
    """Return the symbol asked for; `Refused` where the venue has none of that name."""
    wanted = text(query, "symbol")
    if category(query, default="linear") != "linear" or wanted not in view.listings:
        raise Refused(10001, f"params error: symbol invalid {wanted}"[:200])
    return wanted


def time(view: MarketView, _query: Params) -> Any:
    """/v5/market/time."""
    now = view.clock_ms
    return {"timeSecond": str(now // 1000), "timeNano": str(now * 1_000_000)}


def kline(view: MarketView, query: Params) -> Any:
    """/v5/market/kline: newest first, the open candle first of all and without a mark."""
    symbol = text(query, "symbol")
    start = whole(query, "start", 0)
    end = whole(query, "end", view.clock_ms)
    limit = whole(query, "limit", _KLINE_DEFAULT)
    code = text(query, "interval")
    if category(query, default="linear") != "linear":
        raise Refused(10001, "params error: category invalid")
    if symbol not in view.listings:
        raise Refused(10001, f"Not supported symbols: {symbol}"[:200])
    if not served(code, view.replay.interval_ms):
        raise Refused(10001, "Invalid period!")
    if not 1 <= limit <= wire.KLINE_LIMIT_MAX:
        raise Refused(10001, "params error: limit invalid")
    if code == wire.interval_code(view.interval):
        rows = _native_rows(view, symbol, start, end, limit)
    else:
        found = candles(view.replay, symbol, code, start, end, limit, view.clock_ms)
        rows = [[str(c.start), *map(number, c.values)] for c in reversed(found)]
    return {"symbol": symbol, "category": "linear", "list": rows}


def _native_rows(view: MarketView, symbol: str, start: int, end: int, limit: int) -> list[Any]:
    replay, clock_ms = view.replay, view.clock_ms
    stamps, columns = replay.columns(symbol)
    stop = min(replay.closed(symbol, clock_ms), int(np.searchsorted(stamps, end, side="right")))
    first = max(int(np.searchsorted(stamps, start)), 0)
    rows: list[Any] = []
    now = replay.open_bar(symbol, clock_ms)
    if now is not None and start <= now.start <= end:
        rows.append([str(now.start), *("0" if isnan(v) else number(v) for v in now.values)])
    room = limit - len(rows)
    rows += wire.kline_rows(stamps, columns, max(first, stop - room), max(first, stop))
    return rows


def shadow_kline(view: MarketView, query: Params) -> Any:
    """/v5/market/mark-price-kline and index-price-kline: here both follow the trades."""
    result = kline(view, query)
    result["list"] = [row[:5] for row in result["list"]]
    return result


def premium_kline(view: MarketView, query: Params) -> Any:
    """/v5/market/premium-index-price-kline: no premium, mark and index follow the trades."""
    result = kline(view, query)
    result["list"] = [[row[0], "0", "0", "0", "0"] for row in result["list"]]
    return result


def instruments(view: MarketView, query: Params) -> Any:
    """/v5/market/instruments-info, in pages; the cursor comes percent-encoded."""
    limit = whole(query, "limit", _INSTRUMENTS_DEFAULT)
    wanted = category(query)
    if not 1 <= limit <= wire.INSTRUMENTS_LIMIT_MAX:
        raise Refused(10001, "params error: category or limit invalid")
    names = [s for s in view.listings if text(query, "symbol", s) == s]
    base, status = text(query, "baseCoin"), text(query, "status", "Trading")
    names = [
        s
        for s in names
        if (not base or s == f"{base}USDT") and view.listings.status(s).value == status
    ]
    if wanted != "linear":
        names = []
    cursor = text(query, "cursor")
    first = 0
    if cursor:
        head, _, position = cursor.partition("=")
        if head != "first" or not (position.isascii() and position.isdigit()):
            raise Refused(10001, "params error: cursor invalid")
        first = int(position[:9])
    rows = [instrument_row(view, s) for s in names[first : first + limit]]
    more = first + limit < len(names)
    return {
        "category": wanted,
        "list": rows,
        "nextPageCursor": quote(f"first={first + limit}") if more else "",
    }


def instrument_row(view: MarketView, symbol: str) -> dict[str, Any]:
    """Write one row of instruments-info."""
    listing = view.listings[symbol]
    rules = listing.instrument
    return {
        "symbol": symbol,
        "symbolId": listing.number,
        "contractType": "LinearPerpetual",
        "status": rules.status.value,
        "baseCoin": rules.base_coin,
        "quoteCoin": "USDT",
        "settleCoin": "USDT",
        "symbolType": "",
        "launchTime": str(rules.launch_time),
        "deliveryTime": str(rules.delivery_time),
        "deliveryFeeRate": "",
        "priceScale": str(max(0, -int(rules.tick_size.as_tuple().exponent))),
        "leverageFilter": {
            "minLeverage": plain(rules.leverage_min),
            "maxLeverage": f"{rules.leverage_max:.2f}",
            "leverageStep": plain(rules.leverage_step),
        },
        "priceFilter": {
            "minPrice": plain(rules.min_price or rules.tick_size),
            "maxPrice": plain(rules.max_price),
            "tickSize": plain(rules.tick_size),
        },
        "lotSizeFilter": {
            "maxOrderQty": plain(rules.max_order_qty),
            "minOrderQty": plain(rules.min_order_qty),
            "qtyStep": plain(rules.qty_step),
            "postOnlyMaxOrderQty": plain(rules.max_order_qty),
            "maxMktOrderQty": plain(rules.max_mkt_order_qty),
            "minNotionalValue": plain(rules.min_notional),
        },
        "unifiedMarginTrade": True,
        "fundingInterval": view.funding_interval_min(symbol),
        "copyTrading": "both",
        "upperFundingRate": "0.00375",
        "lowerFundingRate": "-0.00375",
        "displayName": "",
        "forbidUplWithdrawal": False,
        "isPreListing": rules.status is InstrumentStatus.PRE_LAUNCH,
        "preListingInfo": None,
        "riskParameters": {
            "priceLimitRatioX": plain(rules.price_limit_x),
            "priceLimitRatioY": plain(rules.price_limit_y),
        },
    }


def tickers(view: MarketView, query: Params) -> Any:
    """/v5/market/tickers: all symbols, or the one asked for."""
    asked = category(query)
    wanted = text(query, "symbol")
    if wanted and (asked != "linear" or wanted not in view.listings):
        raise Refused(10001, "params error: category or symbol invalid")
    base = text(query, "baseCoin")
    names = [wanted] if wanted else [s for s in view.listings if base in ("", s[:-4])]
    rows = [ticker_row(view, s) for s in names] if asked == "linear" else []
    return {"category": asked, "list": rows}


def ticker_row(view: MarketView, symbol: str) -> dict[str, str]:
    """Write one row of tickers."""
    replay, now = view.replay, view.clock_ms
    price = replay.last_price(symbol, now)
    day = replay.day(symbol, now)
    first = day.get("open", price)
    bid, ask = view.best(symbol)
    exact_price = view.last(symbol)
    shown = plain(exact_price)
    interest = Decimal(str(view.open_interest(symbol, now)))
    return {
        "symbol": symbol,
        "lastPrice": shown,
        "indexPrice": shown,
        "markPrice": shown,
        "prevPrice24h": number(first),
        "price24hPcnt": f"{price / first - 1.0:.6f}",
        "highPrice24h": number(max(day.get("high", price), price)),
        "lowPrice24h": number(min(day.get("low", price), price)),
        "prevPrice1h": plain(view.hour_ago(symbol)),
        "openInterest": plain(interest * 2),
        "openInterestValue": f"{interest * 2 * exact_price:.2f}",
        "singleOpenInterest": plain(interest),
        "singleOpenInterestValue": f"{interest * exact_price:.2f}",
        "turnover24h": number(float(f"{day.get('turnover', 0.0):.12g}")),
        "volume24h": number(float(f"{day.get('volume', 0.0):.12g}")),
        "fundingRate": number(view.funding_rate(symbol)),
        "nextFundingTime": str(view.next_funding_ms(symbol)),
        "fundingIntervalHour": str(max(1, view.funding_interval_min(symbol) // 60)),
        "fundingCap": "0.005",
        "predictedDeliveryPrice": "",
        "basisRate": "",
        "basis": "",
        "deliveryFeeRate": "",
        "deliveryTime": "0",
        "bid1Price": plain(bid[0]),
        "bid1Size": plain(bid[1]),
        "ask1Price": plain(ask[0]),
        "ask1Size": plain(ask[1]),
        "preOpenPrice": "",
        "preQty": "",
        "curPreListingPhase": "",
    }


Endpoint = Callable[[MarketView, Params], Any]
LISTS: Mapping[str, Endpoint] = {
    "/v5/market/time": time,
    "/v5/market/kline": kline,
    "/v5/market/mark-price-kline": shadow_kline,
    "/v5/market/index-price-kline": shadow_kline,
    "/v5/market/premium-index-price-kline": premium_kline,
    "/v5/market/instruments-info": instruments,
    "/v5/market/tickers": tickers,
}
