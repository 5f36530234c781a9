"""The rest of the simulated venue's public requests: book, trades, funding, limits, statistics."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import numpy as np

from engine.venue.instrument import Instrument, plain
from engine.venue.market_view import FIRST_UPDATE, MarketView
from engine.venue.wire import number
from live.venues.bybit.simanswer import Params, Refused, page_size, text, whole
from live.venues.bybit.simmarket import LISTS, Endpoint, category, symbol_of

_FUNDING_MAX, _INTEREST_MAX, _RATIO_MAX, _TRADES_MAX, _BOOK_MAX = 200, 200, 500, 1000, 1000
_RPI_MAX = 50
_TIER_SYMBOLS = 15  # a page of risk limits without a symbol
_PERIODS_MS: Mapping[str, int] = {
    "5min": 300_000,
    "15min": 900_000,
    "30min": 1_800_000,
    "1h": 3_600_000,
    "4h": 14_400_000,
    "1d": 86_400_000,
}


def orderbook(view: MarketView, query: Params) -> Any:
    """/v5/market/orderbook."""
    symbol = symbol_of(view, query)
    depth = page_size(query, 25, _BOOK_MAX)
    return _book(view, symbol, depth)


def rpi_orderbook(view: MarketView, query: Params) -> Any:
    """/v5/market/rpi_orderbook: each level with its retail part: none."""
    symbol = symbol_of(view, query)
    book = _book(view, symbol, page_size(query, _RPI_MAX, _RPI_MAX))
    return book | {side: [[*level, "0"] for level in book[side]] for side in ("b", "a")}


def full_orderbook(view: MarketView, query: Params) -> Any:
    """/v5/market/full_orderbook: all there is."""
    return _book(view, symbol_of(view, query), view.book.levels)


def _book(view: MarketView, symbol: str, depth: int) -> dict[str, Any]:
    bids, asks = view.levels(symbol, depth)
    now = view.clock_ms
    return {
        "s": symbol,
        "b": [[plain(p), plain(q)] for p, q in bids],
        "a": [[plain(p), plain(q)] for p, q in asks],
        "ts": now,
        "u": view.updates.get(symbol, FIRST_UPDATE),
        "seq": now,
        "cts": now,
    }


def recent_trade(view: MarketView, query: Params) -> Any:
    """/v5/market/recent-trade, newest first."""
    symbol = symbol_of(view, query)
    rows = [
        {
            "execId": trade.id,
            "symbol": symbol,
            "price": plain(trade.price),
            "size": plain(trade.qty),
            "side": trade.side,
            "time": str(trade.time),
            "isBlockTrade": False,
            "isRPITrade": False,
            "seq": str(trade.seq),
        }
        for trade in view.trades(symbol, page_size(query, 500, _TRADES_MAX))
    ]
    return {"category": "linear", "list": rows}


def funding_history(view: MarketView, query: Params) -> Any:
    """/v5/market/funding/history: newest first; a start alone is an error, as at the venue."""
    symbol = symbol_of(view, query)
    if query.get("startTime") and not query.get("endTime"):
        raise Refused(10001, "params error: startTime without endTime")
    start, end = whole(query, "startTime", 0), whole(query, "endTime", view.clock_ms)
    limit = page_size(query, _FUNDING_MAX, _FUNDING_MAX)
    stamps, rates = view.replay.funding.get(symbol, (np.zeros(0, np.int64), np.zeros(0)))
    inside = (stamps >= start) & (stamps <= end) & (stamps <= view.clock_ms)
    pairs = list(zip(stamps[inside], rates[inside], strict=True))[::-1]
    rows = [
        {"symbol": symbol, "fundingRate": number(float(r)), "fundingRateTimestamp": str(int(t))}
        for t, r in pairs[:limit]
    ]
    return {"category": "linear", "list": rows}


def _periods(view: MarketView, query: Params, most: int) -> tuple[list[int], str]:
    """Return the instants of a statistic, newest first, and the next page's cursor."""
    period = text(query, "intervalTime") or text(query, "period")
    length = _PERIODS_MS.get(period)
    if length is None:
        raise Refused(10001, "params error: intervalTime invalid")
    start = max(whole(query, "startTime", 0), view.replay.first)
    end = min(whole(query, "endTime", view.clock_ms), view.clock_ms)
    cursor = text(query, "cursor")
    if cursor:
        seen = cursor.rpartition("lasttime=")[2]
        if not (seen.isascii() and seen.isdigit()):
            raise Refused(10001, "params error: cursor invalid")
        end = min(end, int(seen) * 1000 - 1)
    newest = end - end % length
    limit = page_size(query, 50, most)
    stamps = [newest - i * length for i in range(limit) if newest - i * length >= start]
    full = len(stamps) == limit and newest - limit * length >= start
    return stamps, quote(f"lastid=0&lasttime={stamps[-1] // 1000}") if full else ""


def open_interest(view: MarketView, query: Params) -> Any:
    """/v5/market/open-interest."""
    symbol = symbol_of(view, query)
    stamps, cursor = _periods(view, query, _INTEREST_MAX)
    rows = []
    for at in stamps:
        value = view.open_interest(symbol, at)
        rows.append(
            {
                "openInterest": f"{2 * value:.8f}",
                "singleOpenInterest": number(value),
                "timestamp": str(at),
            }
        )
    return {"symbol": symbol, "category": "linear", "list": rows, "nextPageCursor": cursor}


def account_ratio(view: MarketView, query: Params) -> Any:
    """/v5/market/account-ratio: half and half, always."""
    symbol = symbol_of(view, query)
    stamps, cursor = _periods(view, query, _RATIO_MAX)
    rows = [
        {"symbol": symbol, "buyRatio": "0.5", "sellRatio": "0.5", "timestamp": str(at)}
        for at in stamps
    ]
    return {"list": rows, "nextPageCursor": cursor}


def risk_limit(view: MarketView, query: Params) -> Any:
    """/v5/market/risk-limit: one symbol's tiers, or pages of 15 symbols."""
    if category(query) != "linear":
        return {"category": text(query, "category"), "list": [], "nextPageCursor": ""}
    wanted = text(query, "symbol")
    names = list(view.listings)
    more = ""
    if wanted:
        names = [symbol_of(view, query)]
    else:
        cursor = text(query, "cursor", "0")
        if not (cursor.isascii() and cursor.isdigit()):
            raise Refused(10001, "params error: cursor invalid")
        first = int(cursor[:9])
        more = str(first + _TIER_SYMBOLS) if first + _TIER_SYMBOLS < len(names) else ""
        names = names[first : first + _TIER_SYMBOLS]
    rows = [row for name in names for row in _tiers(view.instrument(name))]
    return {"category": "linear", "list": rows, "nextPageCursor": more}


def _tiers(rules: Instrument) -> list[dict[str, Any]]:
    return [
        {
            "id": tier.id,
            "symbol": rules.symbol,
            "riskLimitValue": plain(tier.limit),
            "maintenanceMargin": plain(tier.maintenance_rate),
            "initialMargin": plain((Decimal(1) / tier.leverage_max).quantize(Decimal("1E-8"))),
            "section": [],
            "isLowestRisk": int(i == 0),
            "maxLeverage": f"{tier.leverage_max:.2f}",
            "mmDeduction": plain(tier.deduction) if tier.deduction else "",
        }
        for i, tier in enumerate(rules.tiers)
    ]


def price_limit(view: MarketView, query: Params) -> Any:
    """/v5/market/price-limit."""
    symbol = symbol_of(view, query)
    most, least = view.band(symbol)
    return {
        "symbol": symbol,
        "buyLmt": plain(most),
        "sellLmt": plain(least),
        "ts": str(view.clock_ms),
    }


def insurance(view: MarketView, _query: Params) -> Any:
    """/v5/market/insurance: one pool for all."""
    pool = {
        "coin": "USDT",
        "symbols": ",".join(list(view.listings)[:50]),
        "balance": "100000000",
        "value": "100000000",
    }
    return {"updatedTime": str(view.clock_ms), "list": [pool]}


def adl_alert(view: MarketView, query: Params) -> Any:
    """/v5/market/adlAlert: nobody is near it."""
    wanted = text(query, "symbol")
    rows = [
        {
            "coin": "USDT",
            "symbol": symbol,
            "balance": "100000000",
            "maxBalance": "100000000",
            "insurancePnlRatio": "0",
            "pnlRatio": "0",
            "adlTriggerThreshold": "10000",
            "adlStopRatio": "-0.25",
        }
        for symbol in view.listings
        if wanted in ("", symbol)
    ]
    return {"updatedTime": str(view.clock_ms), "list": rows}


def index_components(view: MarketView, query: Params) -> Any:
    """/v5/market/index-price-components: this venue alone."""
    name = text(query, "indexName") or text(query, "symbol")
    if name not in view.listings:
        raise Refused(10001, "params error: indexName invalid")
    price = plain(view.last(name))
    part = {
        "exchange": "Bybit",
        "spotPair": name,
        "equivalentPrice": price,
        "multiplier": "1",
        "price": price,
        "weight": "1",
    }
    return {
        "indexName": name,
        "lastPrice": price,
        "updateTime": str(view.clock_ms),
        "components": [part],
    }


def fee_groups(_view: MarketView, _query: Params) -> Any:
    """/v5/market/fee-group-info: none."""
    return {"list": []}


def announcements(_view: MarketView, _query: Params) -> Any:
    """/v5/announcements/index: none."""
    return {"total": 0, "list": []}


def system_status(_view: MarketView, _query: Params) -> Any:
    """/v5/system/status: nothing is planned."""
    return {"list": []}


PUBLIC: Mapping[str, Endpoint] = {
    **LISTS,
    "/v5/market/orderbook": orderbook,
    "/v5/market/rpi_orderbook": rpi_orderbook,
    "/v5/market/full_orderbook": full_orderbook,
    "/v5/market/recent-trade": recent_trade,
    "/v5/market/funding/history": funding_history,
    "/v5/market/open-interest": open_interest,
    "/v5/market/account-ratio": account_ratio,
    "/v5/market/risk-limit": risk_limit,
    "/v5/market/price-limit": price_limit,
    "/v5/market/insurance": insurance,
    "/v5/market/adlAlert": adl_alert,
    "/v5/market/index-price-components": index_components,
    "/v5/market/fee-group-info": fee_groups,
    "/v5/announcements/index": announcements,
    "/v5/system/status": system_status,
}
