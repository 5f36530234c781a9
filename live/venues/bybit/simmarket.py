"""The simulated venue's public requests: one pure function an endpoint, query in, result out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from math import isnan
from typing import Any
from urllib.parse import quote

import numpy as np

from engine.venue import wire
from engine.venue.wire import number
from live.venues.bybit.replay import Replay

_KLINE_DEFAULT, _INSTRUMENTS_DEFAULT, _FUNDING_MAX = 200, 500, 200
_FUNDING_MS = 8 * 3_600_000


@dataclass(frozen=True, slots=True)
class Refusal:
    """The venue's error: its code and its words."""

    code: int
    message: str


def _whole(query: Mapping[str, str], name: str, default: int) -> int | Refusal:
    text = query.get(name, "")
    if text == "":
        return default
    if not text.lstrip("-").isdigit():
        return Refusal(10001, f"params error: {name} invalid")
    return int(text)


def time(_replay: Replay, _interval: str, _query: Mapping[str, str], clock_ms: int) -> Any:
    """/v5/market/time."""
    return {"timeSecond": str(clock_ms // 1000), "timeNano": str(clock_ms * 1_000_000)}


def kline(replay: Replay, interval: str, query: Mapping[str, str], clock_ms: int) -> Any:
    """/v5/market/kline: newest first, the open candle first of all and without a mark."""
    symbol = query.get("symbol", "")
    start = _whole(query, "start", 0)
    end = _whole(query, "end", clock_ms)
    limit = _whole(query, "limit", _KLINE_DEFAULT)
    for value in (start, end, limit):
        if isinstance(value, Refusal):
            return value
    assert isinstance(start, int)  # noqa: S101 - narrowed by the loop above
    assert isinstance(end, int)  # noqa: S101
    assert isinstance(limit, int)  # noqa: S101
    if query.get("category", "linear") != "linear":
        return Refusal(10001, "params error: category invalid")
    if symbol not in replay.bars:
        return Refusal(10001, f"Not supported symbols: {symbol}")
    if query.get("interval") != wire.interval_code(interval):
        return Refusal(10001, "Invalid period!")
    if not 1 <= limit <= wire.KLINE_LIMIT_MAX:
        return Refusal(10001, "params error: limit invalid")
    stamps, columns = replay.columns(symbol)
    stop = min(replay.closed(symbol, clock_ms), int(np.searchsorted(stamps, end, side="right")))
    first = max(int(np.searchsorted(stamps, start)), 0)
    rows = []
    now = replay.open_bar(symbol, clock_ms)
    if now is not None and start <= now.start <= end:
        rows.append([str(now.start), *("0" if isnan(v) else number(v) for v in now.values)])
    room = limit - len(rows)
    rows += wire.kline_rows(stamps, columns, max(first, stop - room), max(first, stop))
    return {"symbol": symbol, "category": "linear", "list": rows}


def _tick(price: float) -> str:
    digits = max(0, 5 - len(str(int(price))) if price >= 1.0 else 5)
    return format(Decimal(1).scaleb(-digits), "f")


def instruments(replay: Replay, _interval: str, query: Mapping[str, str], clock_ms: int) -> Any:
    """/v5/market/instruments-info, in pages; the cursor comes percent-encoded."""
    limit = _whole(query, "limit", _INSTRUMENTS_DEFAULT)
    if isinstance(limit, Refusal):
        return limit
    if query.get("category") != "linear" or not 1 <= limit <= wire.INSTRUMENTS_LIMIT_MAX:
        return Refusal(10001, "params error: category or limit invalid")
    names = [s for s in replay.bars if query.get("symbol", s) == s]
    if query.get("status", "Trading") != "Trading":
        names = []
    cursor = query.get("cursor", "")
    first = 0
    if cursor:
        head, _, position = cursor.partition("=")
        if head != "first" or not position.isdigit():
            return Refusal(10001, "params error: cursor invalid")
        first = int(position)
    rows = [_instrument(replay, s, i, clock_ms) for i, s in enumerate(names[first : first + limit])]
    more = first + limit < len(names)
    return {
        "category": "linear",
        "list": rows,
        "nextPageCursor": quote(f"first={first + limit}") if more else "",
    }


def _instrument(replay: Replay, symbol: str, index: int, clock_ms: int) -> dict[str, Any]:
    price = replay.last_price(symbol, clock_ms)
    tick = _tick(price)
    return {
        "symbol": symbol,
        "symbolId": index + 1,
        "contractType": "LinearPerpetual",
        "status": "Trading",
        "baseCoin": symbol.removesuffix("USDT"),
        "quoteCoin": "USDT",
        "settleCoin": "USDT",
        "symbolType": "",
        "launchTime": str(replay.launch_ms(symbol)),
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": str(max(0, -int(Decimal(tick).as_tuple().exponent))),
        "leverageFilter": {"minLeverage": "1", "maxLeverage": "50.00", "leverageStep": "0.01"},
        "priceFilter": {"minPrice": tick, "maxPrice": "1999999.80", "tickSize": tick},
        "lotSizeFilter": {
            "maxOrderQty": "1000000.000",
            "minOrderQty": "0.001",
            "qtyStep": "0.001",
            "postOnlyMaxOrderQty": "1000000.000",
            "maxMktOrderQty": "500000.000",
            "minNotionalValue": "5",
        },
        "unifiedMarginTrade": True,
        "fundingInterval": 480,
        "copyTrading": "both",
        "upperFundingRate": "0.00375",
        "lowerFundingRate": "-0.00375",
        "isPreListing": False,
        "preListingInfo": None,
        "riskParameters": {"priceLimitRatioX": "0.01", "priceLimitRatioY": "0.02"},
    }


def tickers(replay: Replay, _interval: str, query: Mapping[str, str], clock_ms: int) -> Any:
    """/v5/market/tickers: all symbols, or the one asked for."""
    wanted = query.get("symbol", "")
    if query.get("category") != "linear" or (wanted and wanted not in replay.bars):
        return Refusal(10001, "params error: category or symbol invalid")
    names = [wanted] if wanted else list(replay.bars)
    rows = [_ticker(replay, s, replay.last_price(s, clock_ms), clock_ms) for s in names]
    return {"category": "linear", "list": rows}


def _ticker(replay: Replay, symbol: str, price: float, clock_ms: int) -> dict[str, str]:
    day = replay.day(symbol, clock_ms)
    tick = float(_tick(price))
    first = day.get("open", price)
    text = number(price)
    return {
        "symbol": symbol,
        "lastPrice": text,
        "indexPrice": text,
        "markPrice": text,
        "prevPrice24h": number(first),
        "price24hPcnt": f"{price / first - 1.0:.6f}",
        "highPrice24h": number(max(day.get("high", price), price)),
        "lowPrice24h": number(min(day.get("low", price), price)),
        "prevPrice1h": number(first),
        "openInterest": "0",
        "openInterestValue": "0",
        "singleOpenInterest": "0",
        "singleOpenInterestValue": "0",
        "turnover24h": number(day.get("turnover", 0.0)),
        "volume24h": number(day.get("volume", 0.0)),
        "fundingRate": number(_funding_rate(replay, symbol, clock_ms)),
        "nextFundingTime": str(clock_ms - clock_ms % _FUNDING_MS + _FUNDING_MS),
        "fundingIntervalHour": "8",
        "fundingCap": "0.005",
        "deliveryTime": "0",
        "bid1Price": number(float(f"{price - tick / 2:.10g}")),
        "bid1Size": "1000",
        "ask1Price": number(float(f"{price + tick / 2:.10g}")),
        "ask1Size": "1000",
        "preOpenPrice": "",
        "preQty": "",
        "curPreListingPhase": "",
    }


def _funding_rate(replay: Replay, symbol: str, clock_ms: int) -> float:
    series = replay.funding.get(symbol)
    if series is None:
        return 0.0
    at = int(np.searchsorted(series[0], clock_ms, side="right")) - 1
    return float(series[1][at]) if at >= 0 else 0.0


def funding_history(replay: Replay, _interval: str, query: Mapping[str, str], clock_ms: int) -> Any:
    """/v5/market/funding/history: newest first; a start alone is an error, as at the venue."""
    symbol = query.get("symbol", "")
    if query.get("category") != "linear" or symbol not in replay.bars:
        return Refusal(10001, "params error: category or symbol invalid")
    if query.get("startTime") and not query.get("endTime"):
        return Refusal(10001, "params error: startTime without endTime")
    start = _whole(query, "startTime", 0)
    end = _whole(query, "endTime", clock_ms)
    limit = _whole(query, "limit", _FUNDING_MAX)
    for value in (start, end, limit):
        if isinstance(value, Refusal):
            return value
    stamps, rates = replay.funding.get(symbol, (np.zeros(0, np.int64), np.zeros(0)))
    inside = (stamps >= start) & (stamps <= end) & (stamps <= clock_ms)
    pairs = list(zip(stamps[inside], rates[inside], strict=True))[::-1]
    rows = [
        {"symbol": symbol, "fundingRate": number(float(r)), "fundingRateTimestamp": str(int(t))}
        for t, r in pairs[: min(int(limit), _FUNDING_MAX)]  # pyrefly: ignore[bad-argument-type]
    ]
    return {"category": "linear", "list": rows}


ENDPOINTS: Mapping[str, Callable[[Replay, str, Mapping[str, str], int], Any]] = {
    "time": time,
    "kline": kline,
    "instruments-info": instruments,
    "tickers": tickers,
    "funding/history": funding_history,
}
