"""What a JSON document of the venue is, found from its shape, and whether we can read it.

For looking at recorded payloads: each is named (its kind), read with the reader that production
uses, and its field names are held against those we know of that kind.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from engine.venue.wire.catalogue_kinds import FREE_MAPS, KINDS, PUSH_KINDS, Kind
from engine.venue.wire.client import CATEGORY
from engine.venue.wire.fields import (
    BadRequest,
    NotOurs,
    WireError,
    as_decimal,
    as_list,
    as_row,
    read_json,
    text,
)
from engine.venue.wire.keys import read_account_type, read_set_dcp, read_set_price_limit_action
from engine.venue.wire.params import CATEGORIES
from engine.venue.wire.public import Reply, decode_request
from engine.venue.wire.queries import (
    read_closed_pnl_query,
    read_executions_query,
    read_instruments_query,
    read_kline_query,
    read_log_query,
    read_market_query,
    read_orders_query,
    read_positions_query,
)
from engine.venue.wire.requests import BATCH_READERS, POST_READERS, read_batch
from engine.venue.wire.rest import open_reply, read_batch_ack
from engine.venue.wire.streams import PrivatePush, decode_private, read_stream_reply
from engine.venue.wire.topics import LiquidationsPush, RowsPush, TradesPush, decode_public
from engine.venue.wire.trade import decode_trade_reply, decode_trade_request

_NOW = 4_102_444_800_000  # 2100: recorded windows lie before it
_ENVELOPE = frozenset({"retCode", "retMsg", "result", "retExtInfo", "time"})
_UNIFIED = frozenset(
    {"category", "list", "nextPageCursor", "symbol", "updatedTime", "success", "total"}
)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a document was taken for; `unknown` names fields we have never heard of."""

    kind: str
    unknown: tuple[str, ...] = ()


def examine(raw: bytes | str) -> Finding:
    """Name a document, read it, and list the fields that are unknown to us.

    Raises
    ------
    WireError
        It is no document of the venue's, or it cannot be read as what it is.
    """
    row = as_row(read_json(raw))
    if "method" in row and "path" in row:
        return _rest_request(row)
    if "topic" in row and "data" in row:
        return _push(row, raw)
    if "retCode" in row:
        return _trade_reply(row, raw) if "op" in row else _rest_reply(row)
    if "op" in row and "success" not in row and row["op"] != "pong":
        return _frame(row, raw)
    reply: Reply = read_stream_reply(row)
    return Finding("stream pong" if reply.is_pong else "stream reply")


# ---------------------------------------------------------------------------- replies


def _rest_reply(body: Mapping[str, Any]) -> Finding:
    reply = open_reply(body)
    unknown = set(body) - _ENVELOPE
    result = reply.result
    if isinstance(result.get("list"), list) and "list" in reply.ext:
        read_batch_ack(result, reply.ext)
        return Finding("batch acknowledgement", _sorted(unknown))
    rows = result.get("list", result.get("rows"))
    if rows is not None:
        unknown |= set(result) - _UNIFIED - {"rows"}
        return _rows(as_list(rows), unknown, text(result, "category"))
    kind = _kind_of(result)
    if kind is None:
        return Finding("reply without a body" if not result else "reply, not read by us")
    return _read(kind, [result], unknown)


def _rows(rows: list[Any], unknown: set[str], category: str) -> Finding:
    if not rows:
        return Finding("empty list", _sorted(unknown))
    if all(isinstance(row, list) for row in rows):
        _check_candles(rows)
        return Finding("candles", _sorted(unknown))
    first = as_row(rows[0])
    kind = _kind_of(first)
    if kind is None:
        return Finding("list, not read by us")
    if kind.name == "instrument" and category not in (CATEGORY, ""):
        return Finding(f"instrument, {category}")
    return _read(kind, rows, unknown)


def _check_candles(rows: Iterable[list[Any]]) -> None:
    for row in rows:
        if len(row) not in (5, 7):
            raise WireError("a candle row has neither five nor seven values")
        for value in row:
            if as_decimal(value) is None:
                raise WireError("a candle row holds no number")


def _read(kind: Kind, rows: list[Any], unknown: set[str]) -> Finding:
    for row in rows:
        if kind.read is not None:
            with suppress(NotOurs):
                kind.read(row)
        unknown |= set(names(row)) - kind.known
    return Finding(kind.name, _sorted(unknown))


def _kind_of(row: Mapping[str, Any]) -> Kind | None:
    for kind in KINDS:
        if kind.needs <= row.keys() and not (kind.lacks & row.keys()):
            return kind
    return None


def names(value: Any) -> Iterator[str]:
    """Yield every field name of a row, nested ones too; maps keyed by data are not entered."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            for key, inner in item.items():
                yield key
                if key not in FREE_MAPS:
                    stack.append(inner)
        elif isinstance(item, list):
            stack.extend(item)


def _sorted(found: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(found))


# ---------------------------------------------------------------------------- streams


def _push(body: Mapping[str, Any], raw: bytes | str) -> Finding:
    topic = text(body, "topic")
    message = decode_private(raw)
    if isinstance(message, PrivatePush):
        if message.bad:
            raise WireError(f"rows of {topic} cannot be read", why=f"{message.bad} of them")
        head = message.topic
    else:
        read = decode_public(raw)
        if isinstance(read, TradesPush | LiquidationsPush | RowsPush) and read.bad:
            raise WireError(f"rows of {topic} cannot be read", why=f"{read.bad} of them")
        head = topic.split(".")[0]
    known = PUSH_KINDS.get(head)
    if known is None:
        return Finding(f"push of {head}, not read by us")
    return Finding(f"push of {head}", _sorted(set(names(dict(body))) - known))


def _trade_reply(body: Mapping[str, Any], raw: bytes | str) -> Finding:
    reply = decode_trade_reply(raw)
    return Finding(
        f"order entry: {reply.op}", _sorted(set(names(dict(body))) - PUSH_KINDS["trade"])
    )


def _frame(row: Mapping[str, Any], raw: bytes | str) -> Finding:
    op = text(row, "op")
    if op.startswith("order."):
        request = decode_trade_request(raw)
        if isinstance(request, BadRequest):
            raise WireError("an order-entry request cannot be read", why=request.message)
        reader = POST_READERS.get(f"/v5/{op.replace('.', '/', 1)}")
        _must(reader(request.body, 0) if reader else None)
    else:
        decode_request(raw)
    return Finding(f"request: {op}")


# ---------------------------------------------------------------------------- REST requests

_GET_READERS: dict[str, Callable[[Any], Any]] = {
    "/v5/order/realtime": lambda q: read_orders_query(q, now_ms=_NOW),
    "/v5/order/history": lambda q: read_orders_query(q, now_ms=_NOW, history=True),
    "/v5/execution/list": lambda q: read_executions_query(q, now_ms=_NOW),
    "/v5/position/list": read_positions_query,
    "/v5/position/closed-pnl": lambda q: read_closed_pnl_query(q, now_ms=_NOW),
    "/v5/account/transaction-log": lambda q: read_log_query(q, now_ms=_NOW),
    "/v5/market/kline": lambda q: read_kline_query(q, now_ms=_NOW),
    "/v5/market/mark-price-kline": lambda q: read_kline_query(q, now_ms=_NOW),
    "/v5/market/index-price-kline": lambda q: read_kline_query(q, now_ms=_NOW),
    "/v5/market/premium-index-price-kline": lambda q: read_kline_query(q, now_ms=_NOW),
    "/v5/market/instruments-info": read_instruments_query,
    "/v5/account/instruments-info": read_instruments_query,
    **{
        path: partial(read_market_query, call=call)
        for path, call in (
            ("/v5/market/tickers", "tickers"),
            ("/v5/market/orderbook", "orderbook"),
            ("/v5/market/recent-trade", "recent-trade"),
            ("/v5/market/funding/history", "history"),
            ("/v5/market/open-interest", "open-interest"),
            ("/v5/market/risk-limit", "risk-limit"),
            ("/v5/market/price-limit", "price-limit"),
        )
    },
}
_NOTHING_TO_READ = frozenset(  # calls without parameters that matter
    {
        "/v5/market/time",
        "/v5/account/info",
        "/v5/account/fee-rate",
        "/v5/account/query-dcp-info",
        "/v5/account/user-setting-config",
        "/v5/account/collateral-info",
        "/v5/account/withdrawal",
        "/v5/asset/transfer/query-account-coins-balance",
        "/v5/asset/coin/query-info",
        "/v5/position/symbol-info",
        "/v5/apilimit/query",
        "/v5/system/status",
        "/v5/announcements/index",
        "/v5/user/query-api",
        "/v5/market/insurance",
        "/v5/market/adlAlert",
    }
)
_GET_READERS |= dict.fromkeys(_NOTHING_TO_READ, as_row)
_GET_READERS["/v5/account/wallet-balance"] = read_account_type
_OTHER_POSTS: dict[str, Callable[[Any], Any]] = {
    "/v5/order/disconnected-cancel-all": read_set_dcp,
    "/v5/account/set-limit-px-action": read_set_price_limit_action,
}


def _rest_request(row: Mapping[str, Any]) -> Finding:
    path, method = text(row, "path"), text(row, "method")
    if "bodyRaw" in row:
        return Finding(f"{method} {path}, as text")
    if method == "GET":
        reader = _GET_READERS.get(path)
        params = as_row(row.get("query", {}))
        _must(reader(_linear(params)) if reader else None)
    else:
        params = as_row(row.get("body", {}))
        _must(_posted(path, params))
        reader = POST_READERS.get(path) or BATCH_READERS.get(path) or _OTHER_POSTS.get(path)
    return Finding(f"{method} {path}" if reader else f"{method} {path}, not read by us")


def _posted(path: str, params: Mapping[str, Any]) -> Any:
    if path in BATCH_READERS:
        answers = read_batch(_linear(params), 0, BATCH_READERS[path])
        if isinstance(answers, BadRequest):
            return answers
        return next((a for _, a in answers if isinstance(a, BadRequest)), answers)
    if path in _OTHER_POSTS:
        return _OTHER_POSTS[path](params)
    reader = POST_READERS.get(path)
    return reader(_linear(params), 0) if reader else None


def _linear(params: Mapping[str, Any]) -> dict[str, Any]:
    """Read a request of another product as if it were one of ours: the shape is what counts."""
    other = params.get("category") in CATEGORIES
    return {**params, "category": CATEGORY} if other else dict(params)


def _must(answer: Any) -> None:
    if isinstance(answer, BadRequest):
        raise WireError("a request cannot be read", why=answer.message)
