"""The simulated venue's order and position endpoints: parameters in, results out."""

from collections.abc import Iterable, Mapping
from typing import Any

from engine.venue import wire
from engine.venue.exchange.commands import CreateOrder
from engine.venue.exchange.events import Accepted
from engine.venue.exchange.events import Refused as MachineRefused
from engine.venue.exchange.records import Order, Position
from engine.venue.words import ExecType, OrderStatus, PositionMode
from live.venues.bybit.simanswer import (
    Answer,
    Params,
    Refusal,
    Refused,
    page,
    page_size,
    span,
    text,
    whole,
)
from live.venues.bybit.simdesk import CLOSED_KEPT, Desk
from live.venues.bybit.simmarket import category

_DAY_MS = 86_400_000
_UNFILLED_KEPT_MS = _DAY_MS  # history keeps orders without a fill so long
_FILLED_ONLY_MS = 7 * _DAY_MS
_IDS = ("orderId", "orderLinkId")
_WORDS: Mapping[str, frozenset[str]] = {
    "orderFilter": frozenset({"", "Order", "StopOrder", "tpslOrder", "OpenOrder"}),
    "orderStatus": frozenset({"", *(status.value for status in OrderStatus)}),
    "execType": frozenset(
        {"", "MovePosition", "CorporateAction", *(kind.value for kind in ExecType)}
    ),
    "openOnly": frozenset({"", "0", "1", "2"}),
}
_BATCH_PATHS = frozenset(wire.BATCH_READERS)


# ---------------------------------------------------------------------------- acting


def act(desk: Desk, uid: int, path: str, params: Any) -> Answer | Refusal:
    """Carry out one POST that the codec knows: order, stop, leverage, mode."""
    command = wire.POST_READERS[path](params, uid)
    if isinstance(command, wire.BadRequest):
        return Refusal(command.code, command.message)
    if path == "/v5/order/pre-check":
        return _pre_check(desk, uid, command)
    answer = _beyond_band(desk, command) or desk.order(command)
    if isinstance(answer, MachineRefused):
        empty = wire.encode_margin_mode_result(answer) if "margin-mode" in path else {}
        return Refusal(answer.code, answer.message, empty)
    if not isinstance(answer, Accepted):
        raise TypeError(f"the machine answered {path} with {type(answer).__name__}")
    return Answer(_result(desk, uid, path, command, answer))


def _beyond_band(desk: Desk, command: Any) -> MachineRefused | None:
    """Refuse a price beyond the band for a user who has asked for that (else it is re-priced)."""
    if not isinstance(command, CreateOrder) or not desk.settings[command.uid].get("lpaPerp"):
        return None
    if command.price is None or command.symbol not in desk.listings:
        return None
    desk.touch(command.symbol)
    most, least = desk.exchange.price_limits(command.symbol)
    beyond = command.price > most if command.side.sign > 0 else command.price < least
    said = "Order price exceeds the allowable range."
    return MachineRefused(command.uid, 110003, said) if beyond else None


def _result(desk: Desk, uid: int, path: str, command: Any, answer: Accepted) -> Any:
    if path == "/v5/order/cancel-all":
        return wire.encode_cancel_all_result(answer)
    if path.startswith("/v5/order/"):
        return wire.encode_ack(answer)
    if path == "/v5/account/set-margin-mode":
        return wire.encode_margin_mode_result(answer)
    if path == "/v5/position/add-margin":
        position = desk.account(uid).positions.get((command.symbol, command.position_idx))
        row = {} if position is None else wire.encode_position_row(position)
        return {"category": "linear", **row}
    return {}


def _pre_check(desk: Desk, uid: int, command: Any) -> Answer:
    """Answer order/pre-check: the account's rates before, and with the order's margin."""
    wallet = desk.account(uid).wallet
    im, mm = int(wallet.im_rate * 10_000), int(wallet.mm_rate * 10_000)
    extra = 0
    if isinstance(command, CreateOrder) and command.symbol in desk.listings and wallet.equity > 0:
        price = command.price or desk.tape.quote(command.symbol)
        slot = desk.account(uid).positions.get((command.symbol, command.position_idx))
        leverage = slot.leverage if slot is not None else 10
        extra = int(command.qty * price / leverage / wallet.equity * 10_000)
    ids = {"orderId": "", "orderLinkId": getattr(command, "order_link_id", "")}
    rates = {"preImrE4": im, "preMmrE4": mm, "postImrE4": im + extra, "postMmrE4": mm + extra // 2}
    return Answer(ids | rates)


def batch(desk: Desk, uid: int, path: str, params: Any, granted: int) -> Answer | Refusal:
    """Carry out a batch, item by item; what exceeds the allowance is refused by itself."""
    items = wire.read_batch(params, uid, wire.BATCH_READERS[path])
    if isinstance(items, wire.BadRequest):
        return Refusal(items.code, items.message)
    answers: list[tuple[Any, Any]] = []
    for number, (request, command) in enumerate(items):
        if number >= granted:
            answer: Any = MachineRefused(uid, 10006, "Too many visits!")
        elif isinstance(command, wire.BadRequest):
            answer = MachineRefused(uid, command.code, command.message)
        else:
            answer = desk.order(command)
        answers.append((request, answer))
    created = desk.now_ms if path.endswith("create-batch") else None
    result, ext = wire.encode_batch_result(answers, created)
    return Answer(result, ext)


def batch_size(path: str, params: Any) -> int:
    """Return how many of an allowance a request uses."""
    if path not in _BATCH_PATHS or not isinstance(params, Mapping):
        return 1
    rows = params.get("request")
    return max(1, min(len(rows), wire.BATCH_MAX)) if isinstance(rows, list) else 1


# ---------------------------------------------------------------------------- orders


def _wanted(params: Params) -> None:
    """Refuse a request for open orders that names neither a contract, a coin nor an order."""
    if not any(text(params, n) for n in ("symbol", "baseCoin", "settleCoin", *_IDS)):
        raise Refused(10001, "params error: symbol, baseCoin or settleCoin is required")


def _check(desk: Desk, params: Params) -> None:
    """Refuse words that there are none of: left unsaid, they would widen what is listed."""
    symbol = text(params, "symbol")
    if symbol and symbol not in desk.listings:
        raise Refused(10001, f"params error: symbol invalid {symbol}"[:200])
    for name, words in _WORDS.items():
        if text(params, name) not in words:
            raise Refused(10001, f"params error: {name} invalid")


def _matches(order: Order, params: Params, *, by_id: bool) -> bool:
    order_id, link_id = text(params, "orderId"), text(params, "orderLinkId")
    if by_id:
        return order.order_id == order_id if order_id else order.order_link_id == link_id
    symbol, base, settle = (text(params, n) for n in ("symbol", "baseCoin", "settleCoin"))
    stop = order.order_status is OrderStatus.UNTRIGGERED or bool(order.stop_order_type.value)
    kinds = {"": True, "Order": not stop, "StopOrder": stop, "tpslOrder": stop, "OpenOrder": True}
    return (
        (not symbol or order.symbol == symbol)
        and (not base or order.symbol == f"{base}USDT")
        and settle in ("", "USDT")
        and kinds.get(text(params, "orderFilter"), True)
    )


def _rank(order: Order) -> int:
    return order.sequence


def realtime(desk: Desk, uid: int, params: Params, lag_ms: int) -> Any:
    """GET /v5/order/realtime: what is open; by id or openOnly=1 also what closed lately."""
    asked = category(params)
    if asked != "linear":
        return {"category": asked, "list": [], "nextPageCursor": ""}
    _wanted(params)
    _check(desk, params)
    limit = page_size(params, 20, 50)
    account = desk.exchange.account(uid)
    by_id = bool(text(params, "orderId") or text(params, "orderLinkId"))
    closed_too = by_id or whole(params, "openOnly", 0) == 1
    found: Iterable[Order] = account.open_orders.values()
    if by_id and len(account.orders) <= CLOSED_KEPT:
        since = desk.closed_from.get(uid, 0)
        wanted = text(params, "orderId") or account.by_link.get(text(params, "orderLinkId"), "")
        order = account.orders.get(wanted)
        seen = order is not None and (order.order_status.is_open or order.updated_time >= since)
        found = [order] if order is not None and seen else []
    elif closed_too:
        since = desk.closed_from.get(uid, 0)
        closed = [
            o
            for o in account.orders.values()
            if not o.order_status.is_open and o.updated_time >= since
        ]
        closed = sorted(closed, key=lambda o: (o.updated_time, o.sequence))[-CLOSED_KEPT:]
        found = [*closed, *(found if by_id else ())]
    now, unlisted = desk.now_ms, desk.unlisted
    rows = [
        o
        for o in found
        if _matches(o, params, by_id=by_id)
        and o.created_time <= now - lag_ms
        and unlisted.get(o.order_id, now) <= now
    ]
    rows.sort(key=_rank, reverse=True)
    cut, cursor = page(rows, params, limit, _rank)
    return _orders(cut, cursor)


def _orders(rows: Iterable[Order], cursor: str) -> dict[str, Any]:
    return {
        "category": "linear",
        "list": [wire.encode_order_row(order) for order in rows],
        "nextPageCursor": cursor,
    }


def history(desk: Desk, uid: int, params: Params, lag_ms: int) -> Any:
    """GET /v5/order/history: what ended, by the venue's rules of what it keeps."""
    asked = category(params)
    if asked != "linear":
        return {"category": asked, "list": [], "nextPageCursor": ""}
    _check(desk, params)
    limit = page_size(params, 20, 50)
    by_id = bool(text(params, "orderId") or text(params, "orderLinkId"))
    now = desk.now_ms
    start, end = (0, now) if by_id else span(params, now)
    status = text(params, "orderStatus")
    rows = [
        o
        for o in desk.exchange.account(uid).orders.values()
        if not o.order_status.is_open
        and start <= o.created_time <= end
        and o.updated_time <= now - lag_ms
        and status in ("", o.order_status.value)
        and _kept(o, now)
        and _matches(o, params, by_id=by_id)
    ]
    rows.sort(key=_rank, reverse=True)
    cut, cursor = page(rows, params, limit, _rank)
    return _orders(cut, cursor)


def _kept(order: Order, now_ms: int) -> bool:
    age = now_ms - order.updated_time
    return order.cum_exec_qty > 0 or age <= _UNFILLED_KEPT_MS


def executions(desk: Desk, uid: int, params: Params, lag_ms: int) -> Any:
    """GET /v5/execution/list: newest first."""
    asked = category(params)
    if asked != "linear":
        return {"category": asked, "list": [], "nextPageCursor": ""}
    _check(desk, params)
    limit = page_size(params, 50, 100)
    ids = (text(params, "orderId"), text(params, "orderLinkId"))
    now = desk.now_ms
    start, end = (0, now) if any(ids) and "startTime" not in params else span(params, now)
    symbol, kind = text(params, "symbol"), text(params, "execType")
    base = text(params, "baseCoin")
    numbered = list(enumerate(desk.exchange.account(uid).executions, 1))
    rows = [
        (n, e)
        for n, e in reversed(numbered)
        if start <= e.exec_time <= min(end, now - lag_ms)
        and symbol in ("", e.symbol)
        and base in ("", e.symbol.removesuffix("USDT"))
        and ids[0] in ("", e.order_id)
        and ids[1] in ("", e.order_link_id)
        and kind in ("", e.exec_type.value)
    ]
    cut, cursor = page(rows, params, limit, lambda row: row[0])
    return {
        "category": "linear",
        "list": [wire.encode_execution_row(e) for _, e in cut],
        "nextPageCursor": cursor,
    }


# ---------------------------------------------------------------------------- positions


def positions(desk: Desk, uid: int, params: Params, _lag_ms: int) -> Any:
    """GET /v5/position/list: of a symbol also when flat, of a coin only what is held."""
    asked = category(params)
    limit = page_size(params, 20, 200)
    symbol, settle = text(params, "symbol"), text(params, "settleCoin")
    base = text(params, "baseCoin")
    if asked != "linear" or settle not in ("", "USDT"):
        return {"category": asked, "list": [], "nextPageCursor": ""}
    if not (symbol or settle or base):
        raise Refused(10001, "params error: symbol or settleCoin is required")
    if symbol and symbol not in desk.listings:
        raise Refused(10001, "params error: symbol invalid")
    if symbol:
        desk.touch(symbol)
    account = desk.account(uid)
    held = [p for p in account.positions.values() if p.size > 0]
    rows = _slots(desk, uid, symbol) if symbol else held
    if base:
        rows = [p for p in rows if p.symbol == f"{base}USDT"]
    ranked = sorted(((_place(desk, p), p) for p in rows), key=lambda r: -r[0])
    cut, cursor = page(ranked, params, limit, lambda row: row[0])
    return {
        "category": "linear",
        "list": [wire.encode_position_row(p) for _, p in cut],
        "nextPageCursor": cursor,
    }


def _place(desk: Desk, position: Position) -> int:
    # Listed backwards: pages go from the highest rank down, symbols ascend.
    number = desk.listings[position.symbol].number * 3 + position.position_idx
    return 10_000_000 - number


def _slots(desk: Desk, uid: int, symbol: str) -> list[Position]:
    account = desk.exchange.account(uid)
    hedge = account.mode_of(symbol) is PositionMode.HEDGE
    out = []
    for idx in (1, 2) if hedge else (0,):
        known = account.positions.get((symbol, idx))
        out.append(desk.flat_slot(symbol, idx) if known is None else known)
    return out


def closed_pnl(desk: Desk, uid: int, params: Params, lag_ms: int) -> Any:
    """GET /v5/position/closed-pnl, newest first."""
    asked = category(params)
    if asked != "linear":
        return {"category": asked, "list": [], "nextPageCursor": ""}
    _check(desk, params)
    limit = page_size(params, 50, 100)
    now = desk.now_ms
    start, end = span(params, now)
    symbol = text(params, "symbol")
    numbered = list(enumerate(desk.exchange.account(uid).closed_pnl, 1))
    rows = [
        (n, c)
        for n, c in reversed(numbered)
        if start <= c.updated_time <= min(end, now - lag_ms) and symbol in ("", c.symbol)
    ]
    cut, cursor = page(rows, params, limit, lambda row: row[0])
    return {
        "category": "linear",
        "list": [wire.encode_closed_pnl_row(c) for _, c in cut],
        "nextPageCursor": cursor,
    }
