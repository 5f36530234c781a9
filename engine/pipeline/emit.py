"""Writing an event: a copy of everything the record knows at one bar."""

from math import nan

import numpy as np

from engine.kernels._jit import kernel
from engine.kernels.candles import body_share, close_location
from engine.messages import EventKind
from engine.pipeline.p4_base import drift_of, envelope, er_of, kappa_of
from engine.pipeline.p5_armed import level_variants
from engine.pipeline.phase import N_LEVELS, STATE_SCHEMA

E_DUMP = int(EventKind.DUMP)
E_STAB = int(EventKind.STAB)
E_ARMED = int(EventKind.ARMED)
E_LEVEL = int(EventKind.LEVEL)
E_DISARM = int(EventKind.DISARM)
E_BREAKOUT = int(EventKind.BREAKOUT)
E_REJECTED = int(EventKind.REJECTED)
E_INVAL = int(EventKind.INVAL)
E_VREC = int(EventKind.VREC)
E_TIMEOUT = int(EventKind.TIMEOUT)
E_FAILED = int(EventKind.FAILED)
E_RESET = int(EventKind.RESET)
E_COOLED = int(EventKind.COOLED)

_SCHEMA = STATE_SCHEMA


@kernel
def _header(e, s, p, feed, kind: int, before: int, mask: int) -> None:
    e.t = feed.t + feed.step_ms
    e.bar_index = s.n
    e.symbol_id = feed.symbol_id
    e.tf_s = feed.step_ms // 1000
    e.kind = kind
    e.phase_before = before
    e.phase_after = s.phase
    e.level_kind = 0
    e.reject_mask = mask
    e.profile_version = p.meta.version
    e.params_hash = p.meta.params_hash
    e.state_schema = _SCHEMA
    e.close = feed.c
    e.atr = s.atr
    e.body = body_share(feed.o, feed.h, feed.lo, feed.c)
    e.clv = close_location(feed.h, feed.lo, feed.c)
    e.relvol = feed.v / s.bvol if s.bvol > 0.0 else 0.0
    e.breadth = feed.breadth
    e.market_fall = feed.median_fall


@kernel
def _dump_facts(e, s, feed) -> None:
    e.peak = s.peak
    e.peak_t = feed.t - (s.n - s.peak_bar) * feed.step_ms
    e.trough_t = feed.t - (s.n - s.trough_bar) * feed.step_ms
    e.anchor_t = feed.t - (s.n - s.anchor_bar) * feed.step_ms
    e.hard_floor = s.trough
    e.drop = s.drop
    e.z = s.z
    e.dump_atr = s.peak_atr
    e.sigma = s.peak_sigma
    e.contraction = s.atr / s.atr_max if s.atr_max > 0.0 else 0.0
    e.residual_share = 1.0 - s.fall_tr / s.depth if s.depth > 0.0 else nan
    e.attempts = s.attempts
    e.springs = s.springs


@kernel
def _base_facts(e, s, p) -> None:
    e.nb = s.nb
    e.batr = s.batr
    e.floor = s.floor
    e.q95 = s.q95
    e.h_atr = s.height / s.batr if s.batr > 0.0 else 0.0
    e.drift = drift_of(s)
    e.er = er_of(s)
    e.kappa = kappa_of(s)
    hard = s.trough - p.base_.spring * s.atr
    e.invalidation = hard
    if p.base_.floor_quantile == 1 and s.level > 0.0:
        e.invalidation = max(hard, s.floor - p.base_.shelf_break * s.batr)


@kernel
def _level_facts(e, s, feed) -> None:
    e.level = s.level
    e.level_edge = s.level_edge
    # a level is kept while its zone moves on with the base's ATR: the zone shown holds both
    e.zone_lo = min(s.zone_lo, s.level)
    e.level_score = s.level_score
    e.score_touch = s.parts[0]
    e.score_edge = s.parts[1]
    e.score_polarity = s.parts[2]
    e.score_round = s.parts[3]
    e.overhang = s.parts[4]
    e.touches = s.level_touches
    e.touches_r = s.touches_r
    e.touches_s = s.touches_s
    e.nflip = s.nflip
    e.chase_atr = (feed.c - s.level) / s.batr if s.level > 0.0 and s.batr > 0.0 else 0.0
    for i in range(N_LEVELS):
        e.levels[i] = s.levels[i]


@kernel
def tag(kind: int, phase_before: int, reject_mask: int) -> int:
    """Pack what an event is about into one integer.

    numba compiles a callee anew for every literal it is called with; this one is tiny.
    """
    return int(np.int64(kind | phase_before << 8 | reject_mask << 16))


@kernel
def emit(s, p, feed, out, k: int, tagged: int) -> int:
    """Write the bar's k-th event into the pair of records ``out``; return k + 1."""
    e = out[0] if k == 0 else out[1]
    _header(e, s, p, feed, tagged & 255, (tagged >> 8) & 255, tagged >> 16)
    if s.peak > 0.0:
        _dump_facts(e, s, feed)
        if s.nb > 0:
            envelope(s, p.base_)
            level_variants(s, p.armed, e.peak_t, e.trough_t)
            _base_facts(e, s, p)
            _level_facts(e, s, feed)
    return k + 1
