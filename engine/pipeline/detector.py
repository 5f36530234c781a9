"""The detector's step: one closed bar of one coin, through whichever phase it stands in."""

from functools import lru_cache
from math import log
from typing import NamedTuple

import numpy as np

from engine.kernels._jit import kernel
from engine.kernels.candles import true_range
from engine.pipeline import emit as em
from engine.pipeline.emit import emit, tag
from engine.pipeline.p1_monitoring import (
    MonitorParams,
    clear_peaks,
    indicators,
    push_peak,
    swings,
)
from engine.pipeline.p2_dump import DumpParams, is_dump, new_trough
from engine.pipeline.p3_stabilization import (
    EXPIRED,
    RECOVERED,
    SETTLED,
    StabilizationParams,
    stabilization,
)
from engine.pipeline.p4_base import (
    ANCHORED,
    AWAIT_RALLY,
    BaseParams,
    base_add,
    base_anchor,
    clear_level,
    envelope,
    hard_floor_broken,
    is_valid,
    reanchor,
)
from engine.pipeline.p5_armed import ArmedParams, may_arm, must_disarm, select_level
from engine.pipeline.p6_breakout import (
    CONFIRMED,
    FAILED_AGAIN,
    FAILED_FOR_GOOD,
    OVER,
    REJECTED,
    BreakoutParams,
    after_breakout,
    trigger,
)
from engine.pipeline.phase import (
    P_ARMED,
    P_BASE,
    P_BREAKOUT,
    P_DUMP,
    P_MONITORING,
    P_STABILIZATION,
)


class MetaParams(NamedTuple):
    """Which parameter set this is: stands in every event."""

    version: int = 0
    params_hash: int = 0


class DetectorParams(NamedTuple):
    """The detector's parameters, a group a phase; goes into the kernels as it is."""

    monitor: MonitorParams = MonitorParams()
    dump: DumpParams = DumpParams()
    stabilization: StabilizationParams = StabilizationParams()
    base: BaseParams = BaseParams()
    armed: ArmedParams = ArmedParams()
    breakout: BreakoutParams = BreakoutParams()
    meta: MetaParams = MetaParams()


def _layout(group: NamedTuple) -> np.dtype:
    fields = group._asdict().items()
    kinds = [(name, np.int64 if isinstance(value, int) else np.float64) for name, value in fields]
    return np.dtype((np.record, np.dtype(kinds)))


def _field(group: str) -> str:
    # numpy scalars have attributes `base` and `dump` of their own
    return f"{group}_" if group in {"base", "dump"} else group


_GROUPS = np.dtype([(_field(k), _layout(v)) for k, v in DetectorParams()._asdict().items()])
PARAMS = np.dtype((np.record, _GROUPS))


@lru_cache(maxsize=256)
def params_record(params: DetectorParams) -> np.ndarray:
    """Return the parameters as a one-element record array, which is how kernels take them.

    By value, seventy scalars would be copied at every call between kernels (measured: three times
    the cost of an idle bar); a record is one pointer.
    """
    record = np.zeros(1, PARAMS)
    for group, values in params._asdict().items():
        record[_field(group)] = tuple(values)
    return record


class Feed(NamedTuple):
    """One closed bar with what belongs to it. Prices in quote units, times in ms."""

    symbol_id: int
    step_ms: int
    t: int
    o: float
    h: float
    lo: float
    c: float
    v: float
    breadth: float
    median_fall: float


@kernel
def _leave(s, p, feed, out, k: int, kind: int) -> int:
    """Give the setup up: back to monitoring, the dump consumed."""
    before = s.phase
    s.phase = P_MONITORING
    k = emit(s, p, feed, out, k, tag(kind, before, 0))
    clear_level(s)
    clear_peaks(s)
    return k


@kernel
def _fall_again(s, p, feed, tr: float, r: float) -> None:
    """Take a lower low, or a broken shelf: the base starts over from here."""
    new_trough(s, feed.lo, feed.median_fall)
    base_anchor(s, s.n)
    base_add(s, p.base_, feed.h, feed.lo, feed.c, feed.v, tr, r)


@kernel
def _monitoring(s, p, feed, out, k: int, tr: float, r: float) -> int:
    s.phase = P_MONITORING
    if s.n < p.monitor.n_slow or not is_dump(s, p.dump_, feed.c):
        return k
    s.dump_bar = s.n
    s.atr_max = s.atr
    s.attempts = 0
    s.springs = 0
    s.nflip = 0
    _fall_again(s, p, feed, tr, r)
    return emit(s, p, feed, out, k, tag(em.E_DUMP, P_MONITORING, 0))


@kernel
def _falling(s, p, feed, out, k: int, tr: float, r: float) -> int:
    s.atr_max = max(s.atr_max, s.atr)
    if feed.lo < s.trough:
        _fall_again(s, p, feed, tr, r)
        return k
    base_add(s, p.base_, feed.h, feed.lo, feed.c, feed.v, tr, r)
    verdict = stabilization(s, p.stabilization, p.base_.base_max, feed.c)
    if verdict == SETTLED:
        before = s.phase
        s.phase = P_BASE
        s.anchor_state = AWAIT_RALLY if p.base_.reanchor == 1 else ANCHORED
        if s.anchor_state == ANCHORED:
            envelope(s, p.base_)
            select_level(s, p.armed)
        return emit(s, p, feed, out, k, tag(em.E_STAB, before, 0))
    if verdict == RECOVERED:
        return _leave(s, p, feed, out, k, em.E_VREC)
    if verdict == EXPIRED:
        return _leave(s, p, feed, out, k, em.E_TIMEOUT)
    return k


@kernel
def _broken(s, p, feed, out, k: int, tr: float, r: float) -> int:
    before = s.phase
    s.phase = P_DUMP
    k = emit(s, p, feed, out, k, tag(em.E_INVAL, before, 0))
    _fall_again(s, p, feed, tr, r)
    s.atr_max = s.atr  # read as a new fall, with a maximum of its own: docs/adr/0003
    return k


@kernel
def _base(s, p, feed, out, k: int, confirmed: int) -> int:
    if s.anchor_state != ANCHORED:
        return k
    if confirmed != 0:
        envelope(s, p.base_)
        select_level(s, p.armed)
    if s.nb < p.base_.base_min or s.level <= 0.0 or feed.c > s.level:
        return k
    envelope(s, p.base_)
    if not is_valid(s, p.base_, feed.c) or not may_arm(s, p.armed):
        return k
    s.phase = P_ARMED
    return emit(s, p, feed, out, k, tag(em.E_ARMED, P_BASE, 0))


@kernel
def _armed(s, p, feed, out, k: int, confirmed: int, tr: float, r: float) -> int:
    envelope(s, p.base_)
    shelf = s.floor - p.base_.shelf_break * s.batr
    if p.base_.floor_quantile == 1 and feed.c < shelf:
        return _broken(s, p, feed, out, k, tr, r)
    if must_disarm(s, p.armed, p.base_, feed.c):
        s.phase = P_BASE
        return emit(s, p, feed, out, k, tag(em.E_DISARM, P_ARMED, 0))
    # after judging: the level of the next bar
    if confirmed != 0 and select_level(s, p.armed):
        s.nflip += 1
        return emit(s, p, feed, out, k, tag(em.E_LEVEL, P_ARMED, 0))
    return k


@kernel
def _cooling(s, p, feed, out, k: int) -> int:
    verdict = after_breakout(s, p.breakout, feed.c)
    if verdict == FAILED_AGAIN:
        s.phase = P_BASE
        k = emit(s, p, feed, out, k, tag(em.E_FAILED, P_BREAKOUT, 0))
        clear_level(s)  # a new one must earn its place; closes above the old one weigh on it
        return k
    if verdict == FAILED_FOR_GOOD:
        return _leave(s, p, feed, out, k, em.E_FAILED)
    if verdict == OVER:
        return _leave(s, p, feed, out, k, em.E_COOLED)
    return k


@kernel
def _in_base(s, p, feed, out, k: int, confirmed: int, tr: float, r: float) -> int:
    s.atr_max = max(s.atr_max, s.atr)
    if s.phase == P_ARMED:
        # judged before this bar joins the base
        outcome, mask = trigger(s, p.breakout, feed.o, feed.h, feed.lo, feed.c, feed.v)
        if outcome == CONFIRMED:
            s.phase = P_BREAKOUT
            s.brk_bar = s.n
            s.brk_level = s.level
            s.attempts += 1
            k = emit(s, p, feed, out, k, tag(em.E_BREAKOUT, P_ARMED, 0))
        elif outcome == REJECTED:
            k = emit(s, p, feed, out, k, tag(em.E_REJECTED, P_ARMED, mask))
    elif s.phase == P_BASE and p.base_.reanchor == 1:
        reanchor(s, confirmed)
    base_add(s, p.base_, feed.h, feed.lo, feed.c, feed.v, tr, r)
    if s.phase == P_BREAKOUT:
        return _cooling(s, p, feed, out, k)
    if hard_floor_broken(s, p.base_, feed.lo, feed.c):
        return _broken(s, p, feed, out, k, tr, r)
    if feed.c > s.trough + p.base_.recovery * (s.peak - s.trough):
        return _leave(s, p, feed, out, k, em.E_VREC)
    if s.nb > p.base_.base_max:
        return _leave(s, p, feed, out, k, em.E_TIMEOUT)
    if s.phase == P_ARMED:
        return _armed(s, p, feed, out, k, confirmed, tr, r)
    return _base(s, p, feed, out, k, confirmed)


@kernel
def step(s, p, feed, out) -> int:
    """Advance one context by one sound, closed, next bar; return how many events it wrote.

    Parameters
    ----------
    s : record of `engine.pipeline.phase.CONTEXT`
        Changed in place; everything that decides lives in it.
    p : record of `PARAMS`
    feed : Feed
    out : pair of records of `engine.pipeline.phase.EVENT`
        Where the bar's events are written. Records, not the array: numba counts references of
        arrays atomically at every call (measured: three quarters of an idle bar's time).

    Returns
    -------
    int
        How many were written, at most `EVENTS_PER_STEP`.
    """
    k = int(np.int64(0))  # not a literal: numba would compile the callees once more
    previous = s.prev_close
    tr = true_range(feed.h, feed.lo, previous)
    r = log(feed.c / previous) if previous > 0.0 else 0.0
    relvol = indicators(s, p.monitor, tr, r, feed.v)
    push_peak(s, p.monitor, feed.h)
    confirmed = swings(s, p.monitor, feed.h, feed.lo, relvol)
    if s.phase <= P_MONITORING:
        k = _monitoring(s, p, feed, out, k, tr, r)
    elif s.phase <= P_STABILIZATION:
        k = _falling(s, p, feed, out, k, tr, r)
    else:
        k = _in_base(s, p, feed, out, k, confirmed, tr, r)
    s.prev_close = feed.c
    s.n += 1
    return k
