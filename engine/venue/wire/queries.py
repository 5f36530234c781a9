"""What a client wants to read: the parameters of every GET, typed at the door.

Values come as the texts of a query string (or as JSON). A limit above the venue's maximum is cut
to it for a user's own lists and refused for candles and instruments.
"""

from dataclasses import dataclass

from engine.venue.wire.market_rows import INSTRUMENTS_LIMIT_MAX, KLINE_LIMIT_MAX
from engine.venue.wire.params import (
    Params,
    door,
    invalid,
    read_category,
    read_link_id,
    read_symbol,
    read_text,
    read_whole,
    refuse,
)
from engine.venue.wire.public import INTERVAL_CODES

DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
OPEN_INTEREST_INTERVALS = ("5min", "15min", "30min", "1h", "4h", "1d")
_ORDER_FILTERS = frozenset({"", "Order", "StopOrder", "OpenOrder", "tpslOrder"})
_INTERVALS = frozenset(INTERVAL_CODES.values()) | {"W", "M"}
_EVER = 1 << 53


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A span of time and a page of it; ends included, ms."""

    start_ms: int
    end_ms: int
    limit: int
    cursor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrdersQuery:
    """``order/realtime`` and ``order/history``."""

    category: str
    symbol: str = ""
    base_coin: str = ""
    settle_coin: str = ""
    order_id: str = ""
    order_link_id: str = ""
    order_filter: str = ""
    order_status: str = ""  # of history
    closed: bool = False  # openOnly=1: the recent closed ones
    window: Window


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionsQuery:
    """``execution/list``."""

    category: str
    symbol: str = ""
    base_coin: str = ""
    order_id: str = ""
    order_link_id: str = ""
    exec_type: str = ""
    window: Window


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionsQuery:
    """``position/list``: a symbol (flat rows too) or a settle coin (only what is held)."""

    category: str
    symbol: str = ""
    settle_coin: str = ""
    base_coin: str = ""
    limit: int
    cursor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryQuery:
    """``position/closed-pnl`` and ``account/transaction-log``."""

    category: str
    symbol: str = ""
    currency: str = ""
    base_coin: str = ""
    type: str = ""
    window: Window


@dataclass(frozen=True, slots=True, kw_only=True)
class KlineQuery:
    """Candles, of trades, mark, index or premium; `interval` is the venue's spelling."""

    category: str
    symbol: str
    interval: str
    window: Window


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketQuery:
    """The other public calls; what a call does not use is empty."""

    category: str
    symbol: str = ""
    base_coin: str = ""
    status: str = ""
    interval: str = ""
    limit: int = 0
    cursor: str = ""
    start_ms: int | None = None
    end_ms: int | None = None


@door
def read_orders_query(params: Params, *, now_ms: int, history: bool = False) -> OrdersQuery:
    """Read ``order/realtime``, or ``order/history``."""
    category = read_category(params, only_linear=False)
    found = OrdersQuery(
        category=category,
        symbol=read_symbol(params, needed=False),
        base_coin=read_text(params, "baseCoin"),
        settle_coin=read_text(params, "settleCoin"),
        order_id=read_text(params, "orderId"),
        order_link_id=read_link_id(params),
        order_filter=read_text(params, "orderFilter"),
        order_status=read_text(params, "orderStatus"),
        closed=read_whole(params, "openOnly", 0) == 1,
        window=_window(params, now_ms, 20, 50, WEEK_MS),
    )
    if found.order_filter not in _ORDER_FILTERS:
        raise invalid("orderFilter")
    named = found.symbol or found.base_coin or found.settle_coin
    if not (history or named or found.order_id or found.order_link_id) and category == "linear":
        raise refuse(
            "Missing some parameters that must be filled in, symbol or settleCoin or baseCoin"
        )
    return found


@door
def read_executions_query(params: Params, *, now_ms: int) -> ExecutionsQuery:
    """Read ``execution/list``."""
    return ExecutionsQuery(
        category=read_category(params, only_linear=False),
        symbol=read_symbol(params, needed=False),
        base_coin=read_text(params, "baseCoin"),
        order_id=read_text(params, "orderId"),
        order_link_id=read_link_id(params),
        exec_type=read_text(params, "execType"),
        window=_window(params, now_ms, 50, 100, WEEK_MS),
    )


@door
def read_positions_query(params: Params) -> PositionsQuery:
    """Read ``position/list``."""
    category = read_category(params, only_linear=False)
    found = PositionsQuery(
        category=category,
        symbol=read_symbol(params, needed=False),
        settle_coin=read_text(params, "settleCoin"),
        base_coin=read_text(params, "baseCoin"),
        limit=_limit(params, 20, 200),
        cursor=read_text(params, "cursor"),
    )
    if category == "linear" and not (found.symbol or found.settle_coin):
        raise refuse("Missing some parameters that must be filled in, symbol or settleCoin")
    return found


@door
def read_closed_pnl_query(params: Params, *, now_ms: int) -> HistoryQuery:
    """Read ``position/closed-pnl``."""
    return HistoryQuery(
        category=read_category(params, only_linear=False),
        symbol=read_symbol(params, needed=False),
        window=_window(params, now_ms, 50, 100, WEEK_MS),
    )


@door
def read_log_query(params: Params, *, now_ms: int) -> HistoryQuery:
    """Read ``account/transaction-log``; 24 hours unless told otherwise."""
    return HistoryQuery(
        category=read_text(params, "category"),
        currency=read_text(params, "currency"),
        base_coin=read_text(params, "baseCoin"),
        type=read_text(params, "type"),
        window=_window(params, now_ms, 20, 50, DAY_MS),
    )


@door
def read_kline_query(params: Params, *, now_ms: int) -> KlineQuery:
    """Read the four kinds of candles."""
    category = read_text(params, "category", "linear")
    if category != "linear":
        raise invalid("category")
    interval = read_text(params, "interval")
    if interval not in _INTERVALS:
        raise refuse("Invalid period!")
    limit = read_whole(params, "limit", 200)
    if not 1 <= limit <= KLINE_LIMIT_MAX:
        raise invalid("limit")
    window = Window(
        start_ms=read_whole(params, "start", 0),
        end_ms=read_whole(params, "end", now_ms),
        limit=limit,
    )
    return KlineQuery(
        category=category, symbol=read_symbol(params), interval=interval, window=window
    )


@door
def read_instruments_query(params: Params) -> MarketQuery:
    """Read ``instruments-info``, the account's twin too."""
    limit = read_whole(params, "limit", 500)
    if not 1 <= limit <= INSTRUMENTS_LIMIT_MAX:
        raise invalid("limit")
    return MarketQuery(
        category=read_category(params, only_linear=False),
        symbol=read_symbol(params, needed=False),
        base_coin=read_text(params, "baseCoin"),
        status=read_text(params, "status"),
        limit=limit,
        cursor=read_text(params, "cursor"),
    )


_MARKET_LIMITS = {  # path's last part -> default, most
    "orderbook": (25, 1000),
    "recent-trade": (500, 1000),
    "history": (200, 200),
    "open-interest": (50, 200),
}


@door
def read_market_query(params: Params, call: str) -> MarketQuery:
    """Read tickers, orderbook, recent-trade, funding ``history``, open-interest, risk-limit,
    price-limit: `call` is the last part of the path.
    """  # noqa: D205 - a list of calls
    default, most = _MARKET_LIMITS.get(call, (500, 1000))
    named = call in _MARKET_LIMITS or call == "price-limit"
    category = read_text(params, "category", "linear" if call == "price-limit" else "")
    if category not in ("linear", "inverse", "spot", "option"):
        raise invalid("category")
    start, end = (
        read_whole(params, key, -1) if params.get(key) not in (None, "") else None
        for key in ("startTime", "endTime")
    )
    if call == "history" and start is not None and end is None:
        raise refuse("params error: endTime is required when startTime is given")
    interval = read_text(params, "intervalTime")
    if call == "open-interest" and interval not in OPEN_INTEREST_INTERVALS:
        raise invalid("intervalTime")
    return MarketQuery(
        category=category,
        symbol=read_symbol(params, needed=named),
        base_coin=read_text(params, "baseCoin"),
        interval=interval,
        limit=_limit(params, default, most),
        cursor=read_text(params, "cursor"),
        start_ms=start,
        end_ms=end,
    )


def _limit(params: Params, default: int, most: int) -> int:
    limit = read_whole(params, "limit", default)
    if limit < 1:
        raise invalid("limit")
    return min(limit, most)


def _window(params: Params, now_ms: int, default: int, most: int, span_ms: int) -> Window:
    """Neither end: the last `span_ms`; one end: that much from it; at most seven days."""
    start, end = read_whole(params, "startTime", -1), read_whole(params, "endTime", -1)
    if start < 0:
        end = now_ms if end < 0 else end
        start = end - span_ms
    elif end < 0:
        end = start + span_ms
    if end < start:
        raise refuse("The start time should be less than end time")
    if end - start > WEEK_MS:
        raise refuse("The time range between startTime and endTime must be within 7 days")
    return Window(
        start_ms=start,
        end_ms=min(end, _EVER),
        limit=_limit(params, default, most),
        cursor=read_text(params, "cursor"),
    )


Query = OrdersQuery | ExecutionsQuery | PositionsQuery | HistoryQuery | KlineQuery | MarketQuery
