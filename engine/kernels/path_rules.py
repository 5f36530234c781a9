"""The single rules of a trade's path: its prices, its entry, one ambiguous bar, the stop's way."""

import numpy as np

from engine.kernels._jit import kernel
from engine.kernels.path_records import (
    BELOW_STOP,
    CHASED,
    EXPIRED,
    NEXT_OPEN,
    NO_BAR,
    OPENED,
    R_TOO_SMALL,
    PathRules,
)


@kernel
def liquidation_price(entry: float, leverage: float, maintenance_rate: float) -> float:
    """Return the mark price at which an isolated long is taken over (Bybit, since 2025-09-02).

    Equity of the position equals its maintenance margin; the closing fee stands on both sides and
    cancels: ``entry (1 - 1/leverage) / (1 - maintenance_rate)``, no extra margin, no deduction.
    """
    return entry * (1.0 - 1.0 / leverage) / (1.0 - maintenance_rate)


@kernel
def bankruptcy_price(entry: float, leverage: float) -> float:
    """Return the price at which the margin of an isolated long is gone: where it is settled."""
    return entry * (1.0 - 1.0 / leverage)


@kernel
def breakeven_price(entry: float, taker_fee: float, sweep: float) -> float:
    """Return the stop that gives back nothing once both fees and the exit's slippage are paid."""
    return entry * (1.0 + 2.0 * taker_fee + sweep)


@kernel
def next_stop(
    stop: float, breakeven: float, highest: float, batr: float, trail_batr: float
) -> float:
    """Return the stop after TP1 for the next bar: monotone, never below breakeven."""
    return max(stop, breakeven, highest - trail_batr * batr)


@kernel
def resolve_bar(
    fine_ts: np.ndarray,
    fine_high: np.ndarray,
    fine_low: np.ndarray,
    begin: int,
    end: int,
    fine_ms: int,
    limit: float,
    stop: float,
    target: float,
) -> int:
    """Say what came first inside one bar: 1 stop, 2 target, 3 neither after the entry, 0 unknown.

    Parameters
    ----------
    begin, end : int
        The coarse bar in ms; unknown unless finer bars cover all of it.
    limit : float
        A limit entry still to be touched; 0 when the position is already open.
    """
    if fine_ms <= 0 or len(fine_ts) == 0:
        return 0
    i = np.searchsorted(fine_ts, begin)
    count = (end - begin) // fine_ms
    if i + count > len(fine_ts) or fine_ts[i] != begin or fine_ts[i + count - 1] != end - fine_ms:
        return 0
    waiting = limit > 0.0
    for k in range(i, i + count):
        if waiting:
            if fine_low[k] > limit:
                continue
            waiting = False
            if fine_low[k] <= stop:
                return 0 if fine_high[k] >= target else 1
            if fine_high[k] >= target:
                return 0  # the entry and the target in one fine bar
            continue
        down, up = fine_low[k] <= stop, fine_high[k] >= target
        if down and up:
            return 0
        if down:
            return 1
        if up:
            return 2
    return 0 if waiting else 3


@kernel
def write_fill(
    fills: np.ndarray,
    at: int,
    ts: int,
    order: np.void,
    side: int,
    kind: int,
    liquidity: int,
    qty: float,
    price: float,
    fee: float,
    slippage: float,
) -> int:
    # Past the end nothing is written: a caller that wants trades alone passes no room for fills.
    if at < len(fills):
        row = fills[at]
        row["ts"] = ts
        row["trade_id"] = order["trade_id"]
        row["symbol_id"] = order["symbol_id"]
        row["side"] = side
        row["kind"] = kind
        row["liquidity"] = liquidity
        row["qty"] = qty
        row["price"] = price
        row["fee"] = fee
        row["slippage"] = slippage
    return at + 1


@kernel
def find_entry(
    ts: np.ndarray,
    open_: np.ndarray,
    low: np.ndarray,
    order: np.void,
    interval_ms: int,
    rules: PathRules,
) -> tuple[int, int, float, float, int]:
    """Find where an order fills.

    Returns
    -------
    status, bar, price, reference, inside : int, int, float, float, int
        `bar` is where it filled or left the book; `price` includes slippage, `reference` does not;
        `inside` is 1 when the limit was touched within the bar, 0 when filled at its open.
    """
    n = len(ts)
    first = order["bar"] + 1
    stop = order["stop"]
    if first >= n or ts[first] - ts[first - 1] != interval_ms:
        return NO_BAR, first - 1, 0.0, 0.0, 0
    o = open_[first]
    if o <= stop:
        return BELOW_STOP, first, 0.0, 0.0, 0
    if order["mode"] == NEXT_OPEN:
        if o > order["chase"]:
            return CHASED, first, 0.0, 0.0, 0
        price = o * (1.0 + order["sweep_in"])
        if price - stop < order["r_min"]:
            return R_TOO_SMALL, first, 0.0, 0.0, 0
        return OPENED, first, price, o, 0
    limit = order["limit"]
    if o <= limit:
        # marketable on arrival: taken at the market, never above the limit
        price = min(limit, o * (1.0 + order["sweep_in"]))
        if price - stop < order["r_min"]:
            return R_TOO_SMALL, first, 0.0, 0.0, 0
        return OPENED, first, price, o, 0
    for k in range(first, min(n, first + rules.valid_bars)):
        if k > first and ts[k] - ts[k - 1] != interval_ms:
            return EXPIRED, k - 1, 0.0, 0.0, 0
        if rules.exit_on_failed and order["failed_t"] > 0 and ts[k] >= order["failed_t"]:
            return EXPIRED, k - 1, 0.0, 0.0, 0
        if open_[k] <= limit:
            return (
                OPENED,
                k,
                limit,
                limit,
                0,
            )  # resting: filled at its price when the market jumps over it
        if low[k] <= limit:
            return OPENED, k, limit, limit, 1
    return EXPIRED, min(n, first + rules.valid_bars) - 1, 0.0, 0.0, 0


@kernel
def stop_path(
    ts: np.ndarray,
    high: np.ndarray,
    close: np.ndarray,
    trade: np.void,
    inside: int,
    interval_ms: int,
    batr: float,
    sweep: float,
    rules: PathRules,
    out: np.ndarray,
) -> None:
    """Write the stop in force on each bar from the entry bar to the exit bar, for pictures.

    Parameters
    ----------
    out : float64[bars_held + 1]
    """
    stop = trade["stop"]
    entry = trade["entry"]
    breakeven = breakeven_price(entry, rules.taker_fee, sweep)
    highest = entry
    for j in range(len(out)):
        out[j] = stop
        k = trade["entry_bar"] + j
        seen = high[k]
        if j == 0 and inside:
            seen = max(entry, close[k])
        highest = max(highest, seen)
        if trade["tp1_hit"] and trade["tp1_ts"] < ts[k] + interval_ms:
            stop = next_stop(stop, breakeven, highest, batr, rules.trail_batr)
