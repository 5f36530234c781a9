"""The detector's slow, obvious twin, written from the specification.

Plain classes and lists; nothing is carried along that can be computed anew from the bars. It shares
with the engine only the enums and the parameter values.

Readings, where the specification leaves room (the engine reads it the same way):

* Equal highs: the latest one is the peak. The volatility stored with a peak includes its own bar.
* The swing threshold uses the phase the coin had before the bar.
* DUMP: recovery is judged first, then the timeouts, then stabilisation. "No stabilisation in
  stab_max bars" counts from the trough.
* In a base: trigger, re-anchor, the bar joins the base, hard floor, recovery, timeout, then the
  phase's own rule. An armed coin that disarms may still have been rejected on the same bar.
* A detector without re-anchor looks for its first level on the STAB bar; afterwards on pivots only.
* The level's price stays as chosen; score, zone and touches of its edge are rescored on pivots.
* BREAKOUT and REJECTED show the base as it was before their bar.
* The zone shown reaches down to the level where the rescored zone no longer holds it.
* The time of an impossible bar is trusted only where a bar was due.
* The weight of an EW mean multiplies the difference (not: the difference is divided).
* "Max ATR since the dump" is taken over all bars since, those of a base included; a broken base
  (INVAL) is a new fall and starts it anew.
* The quantile floor never lies under the trough.
* Springs are dips under the trough (the hard floor) that close back above it.
* Touch counts are those of the last time arming was considered.
* The pre-dump shelf is sought above the middle of floor and q95.
"""

from dataclasses import dataclass
from math import isfinite, log, nan, sqrt

from engine.messages import EventKind, Gate, Phase
from tests.naive.base import Base, Pivot, Rating, Row

REMEMBERED = 32  # swings


@dataclass
class Peak:
    bar: int
    high: float
    sigma2: float
    atr_slow: float


@dataclass
class Dump:
    peak: Peak
    bar: int
    drop: float
    z: float
    atr_max: float
    trough: float = 0.0
    trough_bar: int = 0
    breadth: float = nan
    market_fall: float = nan
    attempts: int = 0
    springs: int = 0
    nflip: int = 0

    @property
    def depth(self) -> float:
        return log(self.peak.high / self.trough)


@dataclass
class Bar:
    t: int
    o: float
    h: float
    lo: float
    c: float
    v: float
    breadth: float = nan
    market_fall: float = nan


class Twin:
    """One coin. ``feed(bar)`` returns the bar's events as dictionaries."""

    def __init__(self, params, *, symbol_id: int = 0, step_ms: int = 900_000) -> None:
        self.p = params
        self.symbol_id, self.step_ms = symbol_id, step_ms
        self.last_t = 0
        self.resets = self.dropped = self.unsound = self.gaps = 0
        self.forget()

    def forget(self) -> None:
        self.n = 0
        self.phase = Phase.MONITORING
        self.prev_close = 0.0
        self.atr = self.atr_slow = self.var = self.vol_slow = 0.0
        self.peaks: list[Peak] = []
        self.pivots: list[Pivot] = []
        self.direction = 0
        self.extreme: Pivot | None = None
        self.dump: Dump | None = None
        self.base: Base | None = None
        self.anchoring = "anchored"
        self.break_bar, self.break_level = 0, 0.0

    # --- the feed -------------------------------------------------------------------------------

    def feed(self, bar: Bar) -> list[dict]:
        self.out: list[dict] = []
        if self.last_t != 0 and bar.t <= self.last_t:
            self.dropped += 1
            return []
        on_grid = bar.t % self.step_ms == 0
        values = (bar.o, bar.h, bar.lo, bar.c, bar.v)
        sound = (
            all(isfinite(x) for x in values)
            and min(values[:4]) > 0.0
            and bar.v >= 0.0
            and bar.h >= max(bar.o, bar.c)
            and bar.lo <= min(bar.o, bar.c)
        )
        if not (on_grid and sound):
            self.unsound += 1
            self.reset(bar)
            if bar.t == self.last_t + self.step_ms:
                self.last_t = bar.t
            return self.out
        missing = (bar.t - self.last_t) // self.step_ms - 1 if self.last_t else 0
        if missing:
            self.gaps += 1
            if missing <= self.p.monitor.gap_max:
                self.n += missing
            else:
                self.reset(bar)
        self.last_t = bar.t
        self.step(bar)
        return self.out

    def reset(self, bar: Bar) -> None:
        before, lost = self.phase, self.n > 0
        self.forget()
        self.resets += 1
        if lost:
            self.emit(EventKind.RESET, bar, before)

    # --- one sound bar --------------------------------------------------------------------------

    def step(self, bar: Bar) -> None:
        p, n = self.p, self.n
        pc = self.prev_close
        tr = max(bar.h - bar.lo, abs(bar.h - pc), abs(bar.lo - pc)) if pc else bar.h - bar.lo
        r = log(bar.c / pc) if pc else 0.0
        relvol = bar.v / self.vol_slow if self.vol_slow > 0.0 else 0.0

        def weigh(mean: float, x: float, window: int) -> float:
            return mean + 1.0 / min(window, n + 1) * (x - mean)

        self.atr = weigh(self.atr, tr, p.monitor.n_atr)
        self.atr_slow = weigh(self.atr_slow, tr, p.monitor.n_slow)
        self.var = weigh(self.var, r * r, 3 * p.monitor.n_slow)
        self.vol_slow = weigh(self.vol_slow, bar.v, p.monitor.n_slow)
        self.peaks.append(Peak(n, bar.h, self.var, self.atr_slow))
        self.peaks = [x for x in self.peaks if x.bar > n - p.monitor.window]
        confirmed = self.swing(bar, relvol)
        if self.phase == Phase.MONITORING:
            self.monitoring(bar, tr, r)
        elif self.phase in {Phase.DUMP, Phase.STABILIZATION}:
            self.falling(bar, tr, r)
        else:
            self.in_base(bar, tr, r, confirmed)
        self.prev_close = bar.c
        self.n += 1

    def swing(self, bar: Bar, relvol: float) -> int:
        k = self.p.monitor.k_zz
        calm = self.phase in {Phase.BASE, Phase.ARMED}
        theta = k * self.atr if calm else k * 0.5 * (self.atr + self.atr_slow)
        if self.direction == 0:
            self.direction = 1
            self.extreme = Pivot(1, bar.h, self.n, relvol)
            return 0
        up = self.direction > 0
        here, there = (bar.h, bar.lo) if up else (bar.lo, bar.h)
        if (here >= self.extreme.price) if up else (here <= self.extreme.price):
            self.extreme = Pivot(self.direction, here, self.n, relvol)
        elif abs(self.extreme.price - there) >= theta and (there < self.extreme.price) == up:
            self.pivots.append(self.extreme)
            self.direction = -self.direction
            self.extreme = Pivot(self.direction, there, self.n, relvol)
            self.pivots[-1].rejection = abs(self.pivots[-1].price - there)
            return -self.direction
        else:
            return 0
        if self.pivots:
            self.pivots[-1].rejection = abs(self.pivots[-1].price - here)
        return 0

    def remembered(self) -> list[Pivot]:
        return self.pivots[-REMEMBERED:]

    # --- phases ---------------------------------------------------------------------------------

    def monitoring(self, bar: Bar, tr: float, r: float) -> None:
        p = self.p.dump
        if self.n < self.p.monitor.n_slow:
            return
        top = max(x.high for x in self.peaks)
        peak = [x for x in self.peaks if x.high == top][-1]
        fall = log(peak.high / bar.c)
        sigma, bars = sqrt(peak.sigma2), max(1, self.n - peak.bar)
        if fall < p.d_min or peak.high - bar.c < p.k_atr * peak.atr_slow:
            return
        if fall < p.z_min * sigma * sqrt(bars):
            return
        z = fall / (sigma * sqrt(bars)) if sigma > 0.0 else 0.0
        self.dump = Dump(peak, self.n, fall, z, self.atr)
        self.fall_again(bar, tr, r)
        self.emit(EventKind.DUMP, bar, Phase.MONITORING)

    def fall_again(self, bar: Bar, tr: float, r: float) -> None:
        d = self.dump
        d.trough, d.trough_bar = bar.lo, self.n
        d.breadth, d.market_fall = bar.breadth, bar.market_fall
        self.phase = Phase.DUMP
        self.base = Base(d.trough, d.depth, self.n)
        self.base.rows.append(Row(bar.h, bar.lo, bar.c, bar.v, tr, r))

    def falling(self, bar: Bar, tr: float, r: float) -> None:
        p, d = self.p.stabilization, self.dump
        d.atr_max = max(d.atr_max, self.atr)
        if bar.lo < d.trough:
            self.fall_again(bar, tr, r)
            return
        self.base.rows.append(Row(bar.h, bar.lo, bar.c, bar.v, tr, r))
        quiet = self.n - d.trough_bar
        before = self.phase
        if bar.c > d.trough + p.recovery * (d.peak.high - d.trough):
            self.leave(EventKind.VREC, bar)
        elif quiet > p.stab_max or self.n - d.bar > p.stab_max + self.p.base.base_max:
            self.leave(EventKind.TIMEOUT, bar)
        elif quiet >= p.n_stab and self.atr <= p.atr_contraction * d.atr_max:
            self.phase = Phase.BASE
            self.anchoring = "rally"
            if self.p.base.reanchor == 0:
                self.anchoring = "anchored"
                self.base.select(self.remembered(), self.n, self.p.armed, self.p.base)
            self.emit(EventKind.STAB, bar, before)
        elif quiet >= p.calm_bars:
            self.phase = Phase.STABILIZATION

    def leave(self, kind: EventKind, bar: Bar) -> None:
        before, self.phase = self.phase, Phase.MONITORING
        self.emit(kind, bar, before)
        self.peaks = []

    def in_base(self, bar: Bar, tr: float, r: float, confirmed: int) -> None:
        p, d = self.p.base, self.dump
        d.atr_max = max(d.atr_max, self.atr)
        if self.phase == Phase.ARMED:
            self.judge(bar)
        elif self.phase == Phase.BASE and p.reanchor == 1:
            self.reanchor(confirmed)
        self.base.rows.append(Row(bar.h, bar.lo, bar.c, bar.v, tr, r))
        if self.phase == Phase.BREAKOUT:
            self.cooling(bar)
            return
        give = p.spring * self.atr
        if bar.c < d.trough - give or bar.lo < d.trough - 2.0 * give:
            self.broken(bar, tr, r)
            return
        if bar.lo < d.trough <= bar.c:
            d.springs += 1
        if bar.c > d.trough + p.recovery * (d.peak.high - d.trough):
            self.leave(EventKind.VREC, bar)
        elif self.base.nb > p.base_max:
            self.leave(EventKind.TIMEOUT, bar)
        elif self.phase == Phase.ARMED:
            self.armed(bar, tr, r, confirmed)
        elif self.anchoring == "anchored":
            self.waiting(bar, confirmed)

    def reanchor(self, confirmed: int) -> None:
        d = self.dump
        if self.anchoring == "rally" and confirmed == 1 and self.pivots[-1].bar > d.trough_bar:
            rally = self.pivots[-1]
            self.base = Base(d.trough, d.depth, rally.bar, don_start=rally.price)
            self.anchoring = "test"
        elif self.anchoring == "test" and confirmed == -1:
            self.anchoring = "anchored"

    def broken(self, bar: Bar, tr: float, r: float) -> None:
        before, self.phase = self.phase, Phase.DUMP
        self.emit(EventKind.INVAL, bar, before)
        self.fall_again(bar, tr, r)
        self.dump.atr_max = self.atr

    def waiting(self, bar: Bar, confirmed: int) -> None:
        p, pa, b = self.p.base, self.p.armed, self.base
        if confirmed:
            b.select(self.remembered(), self.n, pa, p)
        if b.nb < p.base_min or b.level <= 0.0 or bar.c > b.level:
            return
        fl, q95, batr = b.floor(p), b.q95(), b.batr(p)
        height, fall = q95 - fl, self.dump.peak.high - self.dump.trough
        valid = (
            p.height_min * batr <= height <= p.height_share_max * fall
            and bar.c <= q95 + batr
            and b.er() <= p.er_max
            and b.drift(p) <= p.drift_max
            and (p.kappa_max >= 99.0 or b.kappa(p) <= p.kappa_max)
        )
        if not valid or b.rating.score < pa.score_min:
            return
        if pa.top_share > 0.0 and b.level < fl + pa.top_share * height:
            return
        if min(b.count_touches(self.remembered(), pa, p)) < pa.touches_min:
            return
        self.phase = Phase.ARMED
        self.emit(EventKind.ARMED, bar, Phase.BASE)

    def judge(self, bar: Bar) -> None:
        p, b = self.p.breakout, self.base
        batr, bvol = b.batr(self.p.base), b.bvol(self.p.base)
        line = b.level + p.buffer_batr * batr
        if not (bar.c > line >= self.prev_close):
            return
        span = bar.h - bar.lo
        body = (bar.c - bar.o) / span if span > 0.0 else 0.0
        clv = (bar.c - bar.lo) / span if span > 0.0 else 0.0
        relvol = bar.v / bvol if bvol > 0.0 else 0.0
        mask = Gate(0)
        mask |= Gate.BODY if body < p.body_min else Gate(0)
        mask |= Gate.CLOSE_LOCATION if clv < p.clv_min else Gate(0)
        mask |= Gate.VOLUME if relvol < p.relvol_min else Gate(0)
        mask |= Gate.CHASE if bar.c - b.level > p.chase_max_batr * batr else Gate(0)
        if mask:
            self.emit(EventKind.REJECTED, bar, Phase.ARMED, int(mask))
            return
        self.phase = Phase.BREAKOUT
        self.break_bar, self.break_level = self.n, b.level
        self.dump.attempts += 1
        self.emit(EventKind.BREAKOUT, bar, Phase.ARMED)

    def armed(self, bar: Bar, tr: float, r: float, confirmed: int) -> None:
        p, pa, b = self.p.base, self.p.armed, self.base
        fl, batr = b.floor(p), b.batr(p)
        height, fall = b.q95() - fl, self.dump.peak.high - self.dump.trough
        if p.floor_quantile == 1 and bar.c < fl - p.shelf_break * batr:
            self.broken(bar, tr, r)
        elif (
            height > pa.disarm_height * p.height_share_max * fall
            or bar.c > b.level + pa.disarm_above_batr * batr
            or b.drift(p) > pa.disarm_drift * p.drift_max
        ):
            self.phase = Phase.BASE
            self.emit(EventKind.DISARM, bar, Phase.ARMED)
        elif confirmed and b.select(self.remembered(), self.n, pa, p):
            self.dump.nflip += 1
            self.emit(EventKind.LEVEL, bar, Phase.ARMED)

    def cooling(self, bar: Bar) -> None:
        p, d = self.p.breakout, self.dump
        age = self.n - self.break_bar
        if age <= p.fail_bars and bar.c < self.break_level - self.base.batr(self.p.base):
            if d.attempts < p.attempts_max and bar.c > d.trough:
                self.phase = Phase.BASE
                self.emit(EventKind.FAILED, bar, Phase.BREAKOUT)
                self.base.clear_level()
            else:
                self.leave(EventKind.FAILED, bar)
        elif age >= p.cool_bars:
            self.leave(EventKind.COOLED, bar)

    # --- events ---------------------------------------------------------------------------------

    def emit(self, kind: EventKind, bar: Bar, before: Phase, mask: int = 0) -> None:
        """Everything recomputed at this bar; fields without a meaning are left out."""
        p = self.p
        span = bar.h - bar.lo

        def opened(at: int) -> int:
            return bar.t - (self.n - at) * self.step_ms

        e = {
            "t": bar.t + self.step_ms,
            "bar_index": self.n,
            "symbol_id": self.symbol_id,
            "tf_s": self.step_ms // 1000,
            "kind": int(kind),
            "phase_before": int(before),
            "phase_after": int(self.phase),
            "level_kind": 0,
            "reject_mask": mask,
            "profile_version": p.meta.version,
            "params_hash": p.meta.params_hash,
            "close": bar.c,
            "atr": self.atr,
            "body": (bar.c - bar.o) / span if span > 0.0 else 0.0,
            "clv": (bar.c - bar.lo) / span if span > 0.0 else 0.0,
            "breadth": bar.breadth,
            "market_fall": bar.market_fall,
        }
        self.out.append(e)
        if kind == EventKind.RESET:
            return
        d, b = self.dump, self.base
        e |= {
            "peak": d.peak.high,
            "peak_t": opened(d.peak.bar),
            "trough_t": opened(d.trough_bar),
            "anchor_t": opened(b.anchor),
            "hard_floor": d.trough,
            "drop": d.drop,
            "z": d.z,
            "dump_atr": d.peak.atr_slow,
            "sigma": sqrt(d.peak.sigma2),
            "contraction": self.atr / d.atr_max if d.atr_max > 0.0 else 0.0,
            "residual_share": 1.0 - d.market_fall / d.depth,
            "attempts": d.attempts,
            "springs": d.springs,
            "nflip": d.nflip,
        }
        batr, fl = b.batr(p.base), b.floor(p.base)
        hard = d.trough - p.base.spring * self.atr
        soft = fl - p.base.shelf_break * batr if p.base.floor_quantile and b.level else hard
        bvol = b.bvol(p.base)
        e |= {
            "nb": b.nb,
            "relvol": bar.v / bvol if bvol > 0.0 else 0.0,
            "batr": batr,
            "floor": fl,
            "q95": b.q95(),
            "h_atr": (b.q95() - fl) / batr if batr > 0.0 else 0.0,
            "drift": b.drift(p.base),
            "er": b.er(),
            "kappa": b.kappa(p.base),
            "invalidation": max(hard, soft),
            "level": b.level,
            "touches_r": b.touches_r,
            "touches_s": b.touches_s,
            "chase_atr": (bar.c - b.level) / batr if b.level and batr > 0.0 else 0.0,
            "levels": b.variants(
                self.remembered(), d.peak.bar, (e["peak_t"], e["trough_t"]), p.armed, p.base
            ),
        }
        r = b.rating or Rating(0.0, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        e |= {
            "level_edge": b.edge_price,
            "level_score": r.score,
            "touches": r.members,
            "zone_lo": min(r.zone_lo, b.level),
            "score_touch": r.touch,
            "score_edge": r.edge,
            "score_polarity": r.polarity,
            "score_round": r.rounded,
            "overhang": r.over,
        }


def run(params, bars, *, symbol_id: int = 0, step_ms: int = 900_000, breadth=None, fall=None):
    """Feed a whole series; return the events and the twin as it stands at the end."""
    twin = Twin(params, symbol_id=symbol_id, step_ms=step_ms)
    columns = (bars.ts, bars.open, bars.high, bars.low, bars.close, bars.volume)
    events = []
    for j, row in enumerate(zip(*(x.tolist() for x in columns), strict=True)):
        facts = () if breadth is None else (float(breadth[j]), float(fall[j]))
        events += twin.feed(Bar(*row, *facts))
    return events, twin
