"""The slow, obvious twin of the path kernel: one position as an object, one bar at a time."""

import numpy as np

from engine.kernels import paths as fast


class Gone(Exception):  # noqa: N818 - the order left the book
    def __init__(self, status, bar, ts):
        self.status, self.bar, self.ts = status, bar, ts


def walk(bars, order, funding, fine, fine_ms, interval_ms, rules):
    """Return (trade, fills) of one order as a TRADE record and a list of fill tuples."""
    trade = np.zeros(1, fast.TRADE)[0]
    candles = [tuple(map(float, row)) for row in zip(*bars[1:], strict=True)]
    times = [int(t) for t in bars[0]]
    order = {name: order[name].item() for name in fast.ORDER.names}
    signal_ts = times[order["bar"]] + interval_ms
    trade["trade_id"], trade["symbol_id"] = order["trade_id"], order["symbol_id"]
    trade["signal_ts"], trade["stop"], trade["qty"] = signal_ts, order["stop"], order["qty"]
    try:
        k, entry, entry_ref, inside = enter(times, candles, order, interval_ms, rules)
    except Gone as gone:
        trade["status"], trade["exit_bar"] = gone.status, gone.bar
        trade["exit_ts"] = max(gone.ts, signal_ts)
        return trade, []
    position = Position(order, rules, entry, entry_ref, k, inside, times, interval_ms)
    pending = [(int(t), float(r)) for t, r in zip(*funding, strict=True) if t > position.entry_ts]
    fine_bars = [(int(t), float(h), float(lo)) for t, h, lo in zip(*fine, strict=True)]
    while position.exit is None:
        o = candles[k][0]
        if k > position.entry_bar:
            while pending and pending[0][0] <= times[k]:
                position.pay_funding(*pending.pop(0), o)
        position.at_open(k, candles[k])
        if position.exit is None:
            position.in_bar(k, candles[k], fine_bars, fine_ms)
        if position.exit is None:
            position.at_close(k, candles[k])
        k += 1
    position.leave(k - 1, trade)
    return trade, position.fills


def enter(times, candles, order, interval_ms, rules):  # noqa: C901 - one rule after the other
    first = order["bar"] + 1
    unbroken = first < len(times) and times[first] - times[first - 1] == interval_ms
    if not unbroken:
        raise Gone(fast.NO_BAR, first - 1, times[first - 1])
    o = candles[first][0]
    if o <= order["stop"]:
        raise Gone(fast.BELOW_STOP, first, times[first])
    market = order["mode"] == fast.NEXT_OPEN
    if market and o > order["chase"]:
        raise Gone(fast.CHASED, first, times[first])
    if market or o <= order["limit"]:
        price = o * (1.0 + order["sweep_in"])
        if not market:
            price = min(order["limit"], price)
        if price - order["stop"] < order["r_min"]:
            raise Gone(fast.R_TOO_SMALL, first, times[first])
        return first, price, o, False
    alive = first
    for k in range(first, first + rules.valid_bars):
        if k >= len(times):
            break
        if k > first and times[k] - times[k - 1] != interval_ms:
            break
        if rules.exit_on_failed and 0 < order["failed_t"] <= times[k]:
            alive = k - 1
            break
        alive = k
        o, _, lo, _ = candles[k]
        if o <= order["limit"]:
            return k, order["limit"], order["limit"], False
        if lo <= order["limit"]:
            return k, order["limit"], order["limit"], True
    raise Gone(fast.EXPIRED, alive, times[alive] + interval_ms - 1)


class Position:
    def __init__(self, order, rules, entry, entry_ref, bar, inside, times, interval_ms):
        self.order, self.rules, self.times, self.interval_ms = order, rules, times, interval_ms
        self.entry, self.entry_ref, self.entry_bar, self.inside = entry, entry_ref, bar, inside
        self.entry_ts = self.last_ms(bar) if inside else times[bar]
        self.stop, self.stop_kind = order["stop"], fast.STOP
        self.distance = entry - order["stop"]
        self.target = entry + rules.tp1_r * self.distance
        self.breakeven = entry * (1.0 + 2.0 * rules.taker_fee + order["sweep_out"])
        self.bankrupt = entry * (1.0 - 1.0 / rules.leverage)
        self.liquidation = self.bankrupt / (1.0 - rules.maintenance_rate)
        self.left = order["qty"]
        self.tp1_ts = 0
        self.tp1_done = False
        self.wish = None
        self.exit = None  # (kind, reference price, ts)
        self.seen = [entry]  # highs known to be after the entry
        self.lowest, self.best = entry, entry
        self.ambiguous = self.resolved = self.n_funding = 0
        self.fills = []
        self.gross = self.fees = self.slippage = self.funding = self.proceeds = 0.0
        resting = order["mode"] == fast.RETEST and entry_ref == entry
        qty = order["qty"]
        fee = qty * entry * (rules.maker_fee if resting else rules.taker_fee)
        slip = qty * (entry - entry_ref)
        self.fees += fee
        self.slippage += slip
        liquidity = fast.MAKER if resting else fast.TAKER
        self.fill(self.entry_ts, fast.BUY, fast.ENTRY, liquidity, qty, entry, fee, slip)

    def last_ms(self, k):
        return self.times[k] + self.interval_ms - 1

    def fill(self, ts, side, kind, liquidity, qty, price, fee, slip):
        ids = self.order["trade_id"], self.order["symbol_id"]
        self.fills.append((ts, *ids, side, kind, liquidity, qty, price, fee, slip))

    def sell(self, ts, kind, liquidity, qty, reference, price, rate):
        fee = qty * price * rate
        slip = qty * (reference - price)
        self.fees += fee
        if liquidity == fast.TAKER:
            self.slippage += slip
        self.gross += qty * (reference - self.entry_ref)
        self.proceeds += qty * price
        self.fill(ts, fast.SELL, kind, liquidity, qty, price, fee, slip)

    def pay_funding(self, ts, rate, price):
        payment = self.left * price * rate
        self.funding += payment
        self.n_funding += 1
        self.fill(ts, fast.SELL, fast.FUNDING, 0, self.left, price, payment, 0.0)

    def from_open(self, k):
        return k > self.entry_bar or not self.inside

    def at_open(self, k, candle):
        o, ts = candle[0], self.times[k]
        if self.from_open(k) and o <= self.liquidation:
            self.exit = (fast.LIQUIDATION, self.bankrupt, ts)
        elif self.from_open(k) and o <= self.stop:
            self.exit = (self.stop_kind, o, ts)
        elif self.wish is not None:
            self.exit = (self.wish, o, ts)

    def in_bar(self, k, candle, fine_bars, fine_ms):
        o, h, lo, c = candle
        floor = max(self.stop, self.liquidation)
        stop_touched = lo <= floor
        target_touched = h >= self.target and not self.tp1_done
        if target_touched and self.is_ambiguous(k, o, c, stop_touched):
            self.ambiguous += 1
            verdict = 0
            if self.rules.intrabar == fast.FINER:
                begin = self.times[k]
                inside = [b for b in fine_bars if begin <= b[0] < begin + self.interval_ms]
                wanted = range(begin, begin + self.interval_ms, fine_ms) if fine_ms > 0 else ()
                if wanted and [b[0] for b in inside] == list(wanted):
                    waiting = not self.from_open(k)
                    verdict = first_touch(inside, waiting, self.entry, floor, self.target)
            if verdict:
                self.resolved += 1
                target_touched = verdict == 2
            else:
                target_touched = self.rules.intrabar == fast.OPTIMISTIC
        if target_touched:
            self.tp1_ts = (
                self.times[k] if self.from_open(k) and o >= self.target else self.last_ms(k)
            )
            part = self.left * self.rules.tp1_share
            self.sell(self.tp1_ts, fast.TP1, fast.MAKER, part, self.target, self.target,
                      self.rules.maker_fee)  # fmt: skip
            self.left -= part
            self.tp1_done = True
            self.best = max(self.best, self.target)
        if self.left <= 0:
            self.exit = (fast.TP1, 0.0, self.tp1_ts)
        elif stop_touched:
            if self.liquidation >= self.stop:
                self.exit = (fast.LIQUIDATION, self.bankrupt, self.last_ms(k))
            else:
                self.exit = (self.stop_kind, self.stop, self.last_ms(k))

    def is_ambiguous(self, k, o, c, stop_touched):
        if self.from_open(k):
            return stop_touched and o < self.target
        return stop_touched or c < self.target

    def at_close(self, k, candle):
        _, h, lo, c = candle
        rules, close_ts = self.rules, self.times[k] + self.interval_ms
        self.seen.append(h if self.from_open(k) else max(self.entry, c))
        self.lowest = min(self.lowest, lo)
        self.best = max(self.best, self.seen[-1])
        if self.tp1_done:
            trail = max(self.seen) - rules.trail_batr * self.order["batr"]
            moved = max(self.breakeven, trail)
            if moved > self.stop:
                self.stop = moved
                self.stop_kind = fast.TRAIL if moved > self.breakeven else fast.BREAKEVEN
        if close_ts - self.times[self.entry_bar] >= rules.time_stop_bars * self.interval_ms:
            self.wish = fast.TIME
        if rules.exit_on_failed and 0 < self.order["failed_t"] <= close_ts:
            self.wish = fast.FAILED
        if k == len(self.times) - 1:
            self.exit = (fast.END, c, self.last_ms(k))
        elif self.times[k + 1] - self.times[k] != self.interval_ms:
            self.exit = (fast.GAP, c, self.last_ms(k))

    def leave(self, k, trade):
        kind, reference, ts = self.exit
        if self.left > 0:
            slips = kind != fast.LIQUIDATION
            price = reference * (1.0 - self.order["sweep_out"]) if slips else reference
            self.lowest = min(self.lowest, reference)
            self.best = max(self.best, reference)
            self.sell(ts, kind, fast.TAKER, self.left, reference, price, self.rules.taker_fee)
        qty = self.order["qty"]
        values = {
            "exit_kind": kind, "tp1_hit": int(self.tp1_done), "ambiguous": self.ambiguous,
            "resolved": self.resolved, "n_fills": len(self.fills), "n_funding": self.n_funding,
            "entry_ts": self.entry_ts, "tp1_ts": self.tp1_ts, "exit_ts": ts,
            "entry_bar": self.entry_bar, "exit_bar": k, "bars_held": k - self.entry_bar,
            "entry": self.entry, "tp1": self.target, "liquidation": self.liquidation,
            "exit": self.proceeds / qty, "last_stop": self.stop, "risk": qty * self.distance,
            "gross": self.gross, "slippage": self.slippage, "fees": self.fees,
            "funding": self.funding,
            "net": self.gross - self.slippage - self.fees - self.funding,
            "mae_r": (self.entry - self.lowest) / self.distance,
            "mfe_r": (self.best - self.entry) / self.distance,
        }  # fmt: skip
        for name, value in values.items():
            trade[name] = value
        trade["r"] = values["net"] / values["risk"]


def first_touch(fine_bars, waiting, limit, stop, target):
    """Say which of stop (1) and target (2) came first; 3 neither, 0 when the bars cannot tell."""
    for _, high, low in fine_bars:
        entered_here = waiting and low <= limit
        if waiting and not entered_here:
            continue
        waiting = False
        touched = (low <= stop, high >= target)
        if entered_here and touched[1]:
            return 0
        if touched == (True, True):
            return 0
        if any(touched):
            return 1 if touched[0] else 2
    return 0 if waiting else 3
