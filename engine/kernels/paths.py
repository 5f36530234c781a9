"""A trade's path over closed bars: entry, stop, TP1, trailing, time, funding, liquidation.

One walk serves the backtest, its null and the account: an order comes in, fills and one trade row
come out. Long only: Pattern 1 buys a breakout.

What a bar can tell, and what it cannot. Inside a bar only open, high, low, close are known. A stop
and a target in one bar, or a target in the bar of a limit entry, are ambiguous: `intrabar` decides
(pessimistic: against us), or finer bars do where there are any; both are counted in the trade row.
"""

from typing import NamedTuple

import numpy as np

from engine.kernels._jit import kernel

# How an order enters.
NEXT_OPEN = 0
RETEST = 1

# Intrabar policy.
PESSIMISTIC = 0
OPTIMISTIC = 1
FINER = 2

# What became of an order. Values are stored on disk: never renumber.
OPENED = 0
EXPIRED = 1
CHASED = 2
BELOW_STOP = 3
NO_BAR = 4
R_TOO_SMALL = 5

# Kinds of fill, and the reason of an exit. Values are stored on disk: never renumber.
ENTRY = 1
TP1 = 2
STOP = 3
BREAKEVEN = 4
TRAIL = 5
TIME = 6
FAILED = 7
LIQUIDATION = 8
FUNDING = 9
END = 10
GAP = 11

MAKER = 1
TAKER = 2
BUY = 1
SELL = -1

_f, _i, _i4 = np.float64, np.int64, np.int32

ORDER = np.dtype(
    [
        ("bar", _i),  # index of the signal's bar in the arrays
        ("trade_id", _i),
        ("failed_t", _i),  # close time of the FAILED event that follows, ms; 0 = none
        ("symbol_id", _i4),
        ("mode", _i4),  # NEXT_OPEN | RETEST
        ("limit", _f),  # price of the retest limit
        ("chase", _f),  # a market entry above this is skipped
        ("stop", _f),
        ("batr", _f),  # base ATR, price units: the unit of the trail
        ("qty", _f),  # base units
        ("r_min", _f),  # smallest entry - stop that pays its costs, price units
        ("sweep_in", _f),  # slippage of a market entry, share of price
        ("sweep_out", _f),  # slippage of a market exit, share of price
    ],
    align=True,
)

FILL = np.dtype(
    [
        ("ts", _i),
        ("trade_id", _i),
        ("symbol_id", _i4),
        ("side", _i4),  # BUY | SELL
        ("kind", _i4),
        ("liquidity", _i4),  # MAKER | TAKER; 0 for funding
        ("qty", _f),  # of a funding row: the position it was charged on (nothing is traded)
        ("price", _f),
        ("fee", _f),  # quote units, paid > 0; of a funding row: the payment
        ("slippage", _f),  # quote units lost against the reference price
    ],
    align=True,
)

TRADE = np.dtype(
    [
        ("trade_id", _i),
        ("symbol_id", _i4),
        ("status", _i4),
        ("exit_kind", _i4),
        ("tp1_hit", _i4),
        ("ambiguous", _i4),  # bars whose order of events the bar itself does not tell
        ("resolved", _i4),  # of these, decided by finer bars
        ("n_fills", _i4),
        ("n_funding", _i4),
        ("signal_ts", _i),  # close time of the signal's bar
        ("entry_ts", _i),
        ("tp1_ts", _i),
        ("exit_ts", _i),  # of an order that never filled: when it left the book
        ("entry_bar", _i),
        ("exit_bar", _i),
        ("bars_held", _i),
        ("qty", _f),
        ("entry", _f),
        ("stop", _f),  # at the entry
        ("tp1", _f),
        ("liquidation", _f),
        ("exit", _f),  # mean price of all exits
        ("last_stop", _f),
        ("risk", _f),  # qty x (entry - stop), quote units
        ("gross", _f),  # at reference prices: before slippage, fees, funding
        ("slippage", _f),
        ("fees", _f),
        ("funding", _f),  # paid > 0
        ("net", _f),
        ("r", _f),  # net / risk
        ("mae_r", _f),  # worst price while open, in R below the entry, >= 0
        ("mfe_r", _f),  # best price while open, in R above the entry, >= 0
    ],
    align=True,
)


class PathRules(NamedTuple):
    """What the walk needs to know, all numbers: `engine.pipeline.p8_management.path_rules` builds it."""

    valid_bars: int
    tp1_r: float
    tp1_share: float
    trail_batr: float
    time_stop_bars: int
    exit_on_failed: int
    intrabar: int
    taker_fee: float  # share of notional
    maker_fee: float  # what a resting limit pays
    leverage: float
    maintenance_rate: float


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
    return max(stop, max(breakeven, highest - trail_batr * batr))


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
def _write_fill(
    fills: np.ndarray,
    at: int,
    ts: int,
    order: np.ndarray,
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
    order: np.ndarray,
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
def walk_trade(
    ts: np.ndarray,
    open_: np.ndarray,
    high: np.ndarray,
    low: np.ndarray,
    close: np.ndarray,
    order: np.ndarray,
    funding_ts: np.ndarray,
    funding_rate: np.ndarray,
    fine_ts: np.ndarray,
    fine_high: np.ndarray,
    fine_low: np.ndarray,
    fine_ms: int,
    interval_ms: int,
    rules: PathRules,
    trade: np.ndarray,
    fills: np.ndarray,
    at: int,
) -> int:
    """Walk one order to its end; write its trade row, append its fills; return the next free row.

    Prices in quote units, ``ts`` int64 ms of bar opens ascending, no NaN (the lake's reader refuses
    them). Fills at an open carry the bar's open time, fills inside a bar its last millisecond: the
    latest they can have happened. O(bars held).
    """
    n = len(ts)
    trade["trade_id"] = order["trade_id"]
    trade["symbol_id"] = order["symbol_id"]
    trade["signal_ts"] = ts[order["bar"]] + interval_ms
    trade["stop"] = order["stop"]
    trade["qty"] = order["qty"]
    status, k, entry, entry_ref, inside = find_entry(ts, open_, low, order, interval_ms, rules)
    trade["status"] = status
    if status != OPENED:
        trade["exit_bar"] = k
        trade["exit_ts"] = ts[k] if status != EXPIRED else ts[k] + interval_ms - 1
        trade["exit_ts"] = max(trade["exit_ts"], trade["signal_ts"])
        return at

    qty = order["qty"]
    stop = order["stop"]
    batr = order["batr"]
    sweep = order["sweep_out"]
    distance = entry - stop
    target = entry + rules.tp1_r * distance
    breakeven = breakeven_price(entry, rules.taker_fee, sweep)
    liquidation = liquidation_price(entry, rules.leverage, rules.maintenance_rate)
    entry_bar = k
    entry_ts = ts[k] + interval_ms - 1 if inside else ts[k]
    liquidity = MAKER if order["mode"] == RETEST and entry_ref == entry else TAKER
    fee = qty * entry * (rules.maker_fee if liquidity == MAKER else rules.taker_fee)
    slip = qty * (entry - entry_ref)
    first_fill = at
    at = _write_fill(fills, at, entry_ts, order, BUY, ENTRY, liquidity, qty, entry, fee, slip)

    left = qty
    fees = fee
    slippage = slip
    gross = 0.0
    funding = 0.0
    n_funding = 0
    proceeds = 0.0
    stop_kind = STOP
    tp1_done = False
    tp1_ts = 0
    ambiguous = 0
    resolved = 0
    highest = entry
    best = entry
    worst = entry
    wish = 0  # an exit decided at a close, done at the next open
    kind = 0
    exit_ts = 0
    fi = np.searchsorted(funding_ts, entry_ts, side="right")

    while True:
        o, h, lo, c = open_[k], high[k], low[k], close[k]
        from_open = k > entry_bar or inside == 0
        reference = 0.0
        if k > entry_bar:
            while fi < len(funding_ts) and funding_ts[fi] <= ts[k]:
                payment = left * o * funding_rate[fi]
                funding += payment
                n_funding += 1
                at = _write_fill(
                    fills, at, funding_ts[fi], order, SELL, FUNDING, 0, left, o, payment, 0.0
                )
                fi += 1
        # 1. what the open decides
        if from_open and o <= liquidation:
            kind, exit_ts = LIQUIDATION, ts[k]
        elif from_open and o <= stop:
            kind, reference, exit_ts = stop_kind, o, ts[k]
        elif wish != 0:
            kind, reference, exit_ts = wish, o, ts[k]
        if kind == 0:
            # 2. what happens inside the bar
            floor = max(stop, liquidation)
            down = lo <= floor
            up = not tp1_done and h >= target
            if up:
                sure_up = False
                if from_open:
                    sure_up = o >= target or not down
                elif not down:
                    sure_up = c >= target
                if not sure_up:
                    ambiguous += 1
                    verdict = 0
                    if rules.intrabar == FINER:
                        verdict = resolve_bar(
                            fine_ts, fine_high, fine_low, ts[k], ts[k] + interval_ms, fine_ms,
                            0.0 if from_open else entry, floor, target,
                        )  # fmt: skip
                    if verdict != 0:
                        resolved += 1
                        up = verdict == 2
                    else:
                        up = rules.intrabar == OPTIMISTIC
            if up:
                part = left * rules.tp1_share
                tp1_ts = ts[k] + interval_ms - 1
                if from_open and o >= target:
                    tp1_ts = ts[k]
                fee = part * target * rules.maker_fee
                fees += fee
                gross += part * (target - entry_ref)
                proceeds += part * target
                at = _write_fill(fills, at, tp1_ts, order, SELL, TP1, MAKER, part, target, fee, 0.0)
                left -= part
                tp1_done = True
                best = max(best, target)
            if left <= 0.0:
                kind, exit_ts = TP1, tp1_ts
            elif down:
                exit_ts = ts[k] + interval_ms - 1
                if liquidation >= stop:
                    kind = LIQUIDATION
                else:
                    kind, reference = stop_kind, stop
        if kind == 0:
            # 3. the close: what is known now acts from the next bar on
            worst = min(worst, lo)
            seen = h if from_open else max(entry, c)
            best = max(best, seen)
            highest = max(highest, seen)
            if tp1_done:
                moved = next_stop(stop, breakeven, highest, batr, rules.trail_batr)
                if moved > stop:
                    stop = moved
                    stop_kind = TRAIL if stop > breakeven else BREAKEVEN
            if ts[k] + interval_ms - ts[entry_bar] >= rules.time_stop_bars * interval_ms:
                wish = TIME
            if rules.exit_on_failed and 0 < order["failed_t"] <= ts[k] + interval_ms:
                wish = FAILED
            if k + 1 >= n:
                kind, reference, exit_ts = END, c, ts[k] + interval_ms - 1
            elif ts[k + 1] - ts[k] != interval_ms:
                # what happened in a hole is not known: out at the last known price
                kind, reference, exit_ts = GAP, c, ts[k] + interval_ms - 1
        if kind != 0:
            break
        k += 1

    if kind == LIQUIDATION:
        reference = bankruptcy_price(entry, rules.leverage)
        price = reference
    else:
        price = reference * (1.0 - sweep)
    if left > 0.0:
        worst = min(worst, reference)
        best = max(best, reference)
        fee = left * price * rules.taker_fee
        slip = left * (reference - price)
        fees += fee
        slippage += slip
        gross += left * (reference - entry_ref)
        proceeds += left * price
        at = _write_fill(fills, at, exit_ts, order, SELL, kind, TAKER, left, price, fee, slip)

    risk = qty * distance
    net = gross - slippage - fees - funding
    trade["exit_kind"] = kind
    trade["tp1_hit"] = 1 if tp1_done else 0
    trade["ambiguous"] = ambiguous
    trade["resolved"] = resolved
    trade["n_fills"] = at - first_fill
    trade["n_funding"] = n_funding
    trade["entry_ts"] = entry_ts
    trade["tp1_ts"] = tp1_ts
    trade["exit_ts"] = exit_ts
    trade["entry_bar"] = entry_bar
    trade["exit_bar"] = k
    trade["bars_held"] = k - entry_bar
    trade["entry"] = entry
    trade["tp1"] = target
    trade["liquidation"] = liquidation
    trade["exit"] = proceeds / qty
    trade["last_stop"] = stop
    trade["risk"] = risk
    trade["gross"] = gross
    trade["slippage"] = slippage
    trade["fees"] = fees
    trade["funding"] = funding
    trade["net"] = net
    trade["r"] = net / risk
    trade["mae_r"] = (entry - worst) / distance
    trade["mfe_r"] = (best - entry) / distance
    return at


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
    """Walk every order of one symbol; return the number of fills (rows past ``len(fills)`` are lost).

    Each order is walked on its own: whether two may be open at once is the account's question.
    """
    at = 0
    for i in range(len(orders)):
        at = walk_trade(
            ts, open_, high, low, close, orders[i], funding_ts, funding_rate,
            fine_ts, fine_high, fine_low, fine_ms, interval_ms, rules, trades[i], fills, at,
        )  # fmt: skip
    return at


@kernel
def stop_path(
    ts: np.ndarray,
    high: np.ndarray,
    close: np.ndarray,
    trade: np.ndarray,
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
