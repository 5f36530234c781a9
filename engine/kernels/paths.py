"""A trade's path over closed bars: entry, stop, TP1, trailing, time, funding, liquidation.

One walk serves the backtest, its null and the account: an order comes in, fills and one trade row
come out. Long only: Pattern 1 buys a breakout.

What a bar can tell, and what it cannot. Inside a bar only open, high, low, close are known. A stop
and a target in one bar, or a target in the bar of a limit entry, are ambiguous: `intrabar` decides
(pessimistic: against us), or finer bars do where there are any; both are counted in the trade row.
"""

import numpy as np

from engine.kernels._jit import kernel
from engine.kernels.path_money import charge_funding, open_position, report, sell_rest
from engine.kernels.path_records import (
    BELOW_STOP,
    BREAKEVEN,
    BUY,
    CHASED,
    END,
    ENTRY,
    EXPIRED,
    FAILED,
    FILL,
    FINER,
    FUNDING,
    GAP,
    LIQUIDATION,
    MAKER,
    NEXT_OPEN,
    NO_BAR,
    OPENED,
    OPTIMISTIC,
    ORDER,
    PESSIMISTIC,
    POSITION,
    R_TOO_SMALL,
    RETEST,
    SELL,
    STOP,
    TAKER,
    TIME,
    TP1,
    TRADE,
    TRAIL,
    PathRules,
)
from engine.kernels.path_rules import (
    bankruptcy_price,
    breakeven_price,
    find_entry,
    liquidation_price,
    next_stop,
    resolve_bar,
    stop_path,
    write_fill,
)

__all__ = [
    "BELOW_STOP",
    "BREAKEVEN",
    "BUY",
    "CHASED",
    "END",
    "ENTRY",
    "EXPIRED",
    "FAILED",
    "FILL",
    "FINER",
    "FUNDING",
    "GAP",
    "LIQUIDATION",
    "MAKER",
    "NEXT_OPEN",
    "NO_BAR",
    "OPENED",
    "OPTIMISTIC",
    "ORDER",
    "PESSIMISTIC",
    "POSITION",
    "RETEST",
    "R_TOO_SMALL",
    "SELL",
    "STOP",
    "TAKER",
    "TIME",
    "TP1",
    "TRADE",
    "TRAIL",
    "PathRules",
    "bankruptcy_price",
    "breakeven_price",
    "find_entry",
    "liquidation_price",
    "next_stop",
    "resolve_bar",
    "stop_path",
    "walk_trade",
    "walk_trades",
    "write_fill",
]


@kernel
def _leave(p: np.void, kind: int, reference: float, ts: int) -> None:
    p["kind"] = kind
    p["reference"] = reference
    p["exit_ts"] = ts


@kernel
def _at_open(p: np.void, from_open: bool, o: float, t: int) -> None:
    """Decide what the open decides: a jump beyond a stop, an exit wished at the last close."""
    if from_open and o <= p["liquidation"]:
        _leave(p, LIQUIDATION, 0.0, t)
    elif from_open and o <= p["stop"]:
        _leave(p, p["stop_kind"], o, t)
    elif p["wish"] != 0:
        _leave(p, p["wish"], o, t)


@kernel
def _target_counts(
    p: np.void,
    from_open: bool,
    o: float,
    c: float,
    down: bool,
    t: int,
    interval_ms: int,
    fine_ts: np.ndarray,
    fine_high: np.ndarray,
    fine_low: np.ndarray,
    fine_ms: int,
    intrabar: int,
) -> bool:
    """Tell whether a target inside the bar's range was reached, and before a stop in it."""
    # In a limit's own bar the high may be older than the fill; a close up there is not.
    known = o if from_open else c
    sure = not down if from_open else False
    if known >= p["target"]:
        sure = from_open or not down
    if sure:
        return True
    p["ambiguous"] += 1
    if intrabar == FINER:
        limit = 0.0 if from_open else p["entry"]
        floor = max(p["stop"], p["liquidation"])
        end = t + interval_ms
        verdict = resolve_bar(
            fine_ts, fine_high, fine_low, t, end, fine_ms, limit, floor, p["target"]
        )
        if verdict != 0:
            p["resolved"] += 1
            return verdict == 2
    return intrabar == OPTIMISTIC


@kernel
def _take_target(p: np.void, order: np.void, ts: int, rules: PathRules, fills: np.ndarray) -> None:
    """Fill TP1 at its price: a resting limit."""
    part = p["left"] * rules.tp1_share
    target = p["target"]
    fee = part * target * rules.maker_fee
    p["fees"] += fee
    p["gross"] += part * (target - p["entry_ref"])
    p["proceeds"] += part * target
    p["at"] = write_fill(fills, p["at"], ts, order, SELL, TP1, MAKER, part, target, fee, 0.0)
    p["left"] -= part
    p["tp1_done"] = 1
    p["tp1_ts"] = ts
    p["best"] = max(p["best"], target)


@kernel
def _touch_stop(p: np.void, down: bool, ts: int) -> None:
    """Leave when TP1 took all, or where the bar touched the stop or the liquidation price."""
    if p["left"] <= 0.0:
        _leave(p, TP1, 0.0, p["tp1_ts"])
    elif down and p["liquidation"] >= p["stop"]:
        _leave(p, LIQUIDATION, 0.0, ts)
    elif down:
        _leave(p, p["stop_kind"], p["stop"], ts)


@kernel
def _at_close(
    p: np.void, order: np.void, seen: float, lo: float, close_t: int, age_ms: int, span_ms: int,
    rules: PathRules,
) -> None:  # fmt: skip
    """Learn what the closed bar tells: it acts from the next bar on."""
    p["worst"] = min(p["worst"], lo)
    p["best"] = max(p["best"], seen)
    p["highest"] = max(p["highest"], seen)
    if p["tp1_done"]:
        moved = next_stop(p["stop"], p["breakeven"], p["highest"], order["batr"], rules.trail_batr)
        if moved > p["stop"]:
            p["stop"] = moved
            p["stop_kind"] = TRAIL if moved > p["breakeven"] else BREAKEVEN
    if age_ms >= span_ms:
        p["wish"] = TIME
    if rules.exit_on_failed and 0 < order["failed_t"] <= close_t:
        p["wish"] = FAILED


@kernel
def _begin(
    p: np.void, ts: np.ndarray, open_: np.ndarray, low: np.ndarray, order: np.void,
    interval_ms: int, rules: PathRules, trade: np.void, fills: np.ndarray, at: int,
) -> bool:  # fmt: skip
    """Place the order: True with the position open, False with the row of an order that left."""
    trade["trade_id"] = order["trade_id"]
    trade["symbol_id"] = order["symbol_id"]
    trade["signal_ts"] = ts[order["bar"]] + interval_ms
    trade["stop"] = order["stop"]
    trade["qty"] = order["qty"]
    status, bar, entry, reference, inside = find_entry(ts, open_, low, order, interval_ms, rules)
    trade["status"] = status
    if status != OPENED:
        trade["exit_bar"] = bar
        gone = ts[bar] if status != EXPIRED else ts[bar] + interval_ms - 1
        trade["exit_ts"] = max(gone, trade["signal_ts"])
        return False
    p["at"] = at
    p["entry_ref"] = reference
    p["entry_bar"] = bar
    p["inside"] = inside
    p["entry_ts"] = ts[bar] + interval_ms - 1 if inside else ts[bar]
    open_position(p, order, entry, rules, fills)
    return True


@kernel
def walk_trade(
    ts: np.ndarray,
    open_: np.ndarray,
    high: np.ndarray,
    low: np.ndarray,
    close: np.ndarray,
    order: np.void,
    funding_ts: np.ndarray,
    funding_rate: np.ndarray,
    fine_ts: np.ndarray,
    fine_high: np.ndarray,
    fine_low: np.ndarray,
    fine_ms: int,
    interval_ms: int,
    rules: PathRules,
    trade: np.void,
    fills: np.ndarray,
    at: int,
) -> int:
    """Walk one order to its end; write its trade row, append its fills; return the next free row.

    Prices in quote units, ``ts`` int64 ms of bar opens ascending, no NaN (impossible candles are
    taken out before). Fills at an open carry the bar's open time, fills inside a bar its last
    millisecond: the latest they can have happened. O(bars held).
    """
    p = np.zeros(1, POSITION)[0]
    if not _begin(p, ts, open_, low, order, interval_ms, rules, trade, fills, at):
        return at
    k = p["entry_bar"]
    span_ms = rules.time_stop_bars * interval_ms
    p["next_funding"] = np.searchsorted(funding_ts, p["entry_ts"], side="right")
    while True:
        t, o, h, lo, c = ts[k], open_[k], high[k], low[k], close[k]
        from_open = k > p["entry_bar"] or p["inside"] == 0
        if k > p["entry_bar"]:
            charge_funding(p, order, funding_ts, funding_rate, t, o, fills)
        _at_open(p, from_open, o, t)
        if p["kind"] == 0:
            last_ms = t + interval_ms - 1
            down = lo <= max(p["stop"], p["liquidation"])
            if p["tp1_done"] == 0 and h >= p["target"]:
                counts = _target_counts(
                    p, from_open, o, c, down, t, interval_ms,
                    fine_ts, fine_high, fine_low, fine_ms, rules.intrabar,
                )  # fmt: skip
                if counts:
                    at_open = from_open and o >= p["target"]
                    _take_target(p, order, t if at_open else last_ms, rules, fills)
            _touch_stop(p, down, last_ms)
        if p["kind"] == 0:
            seen = h if from_open else max(p["entry"], c)
            age_ms = t + interval_ms - ts[p["entry_bar"]]
            _at_close(p, order, seen, lo, t + interval_ms, age_ms, span_ms, rules)
            if k + 1 >= len(ts):
                _leave(p, END, c, t + interval_ms - 1)
            elif ts[k + 1] - t != interval_ms:
                # what happened in a hole is not known: out at the last known price
                _leave(p, GAP, c, t + interval_ms - 1)
        if p["kind"] != 0:
            break
        k += 1
    sell_rest(p, order, rules, fills)
    report(p, trade, k, p["at"] - at)
    return p["at"]


@kernel
def walk_trades(
    ts: np.ndarray,
    open_: np.ndarray,
    high: np.ndarray,
    low: np.ndarray,
    close: np.ndarray,
    orders: np.ndarray,
    funding_ts: np.ndarray,
    funding_rate: np.ndarray,
    fine_ts: np.ndarray,
    fine_high: np.ndarray,
    fine_low: np.ndarray,
    fine_ms: int,
    interval_ms: int,
    rules: PathRules,
    trades: np.ndarray,
    fills: np.ndarray,
) -> int:
    """Walk every order of one symbol; return the number of fills (those past the end are lost).

    Each order is walked on its own: whether two may be open at once is the account's question.
    """
    at = 0
    for i in range(len(orders)):
        at = walk_trade(
            ts, open_, high, low, close, orders[i], funding_ts, funding_rate,
            fine_ts, fine_high, fine_low, fine_ms, interval_ms, rules, trades[i], fills, at,
        )  # fmt: skip
    return at
