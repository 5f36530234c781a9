"""The coin context: one fixed-size record per (symbol, timeframe, profile), and the event it emits.

``np.zeros(n_symbols, CONTEXT)`` is the whole detector. ``record.tobytes()`` with the schema hash
and the profile's hash is the snapshot for a restart: nothing that decides lives outside the record.
"""

import hashlib

import numpy as np

from engine.messages import Phase

PEAK_CAPACITY = 640  # ring of candidate peaks; bounds `window_bars`
PIVOT_CAPACITY = 32  # ring of swings a level can be built from
BINS = 64  # log-price histogram of a base
N_LEVELS = 8  # level variants in every event

# Phases as plain ints: what the kernels compare.
P_MONITORING = int(Phase.MONITORING)
P_DUMP = int(Phase.DUMP)
P_STABILIZATION = int(Phase.STABILIZATION)
P_BASE = int(Phase.BASE)
P_ARMED = int(Phase.ARMED)
P_BREAKOUT = int(Phase.BREAKOUT)

# Every legal change of phase inside the shared market; anything else is a broken invariant.
TRANSITIONS: dict[Phase, frozenset[Phase]] = {
    Phase.MONITORING: frozenset({Phase.DUMP}),
    Phase.DUMP: frozenset({Phase.STABILIZATION, Phase.MONITORING}),
    Phase.STABILIZATION: frozenset({Phase.DUMP, Phase.BASE, Phase.MONITORING}),
    Phase.BASE: frozenset({Phase.ARMED, Phase.DUMP, Phase.MONITORING}),
    Phase.ARMED: frozenset({Phase.BASE, Phase.BREAKOUT, Phase.DUMP, Phase.MONITORING}),
    Phase.BREAKOUT: frozenset({Phase.BASE, Phase.MONITORING}),
}

_f, _i, _i4, _i1 = np.float64, np.int64, np.int32, np.int8

# Fields touched on every bar stand first, so that an idle coin costs few cache lines.
_CONTEXT_FIELDS = np.dtype(
    [
        # the feed
        ("last_t", _i),  # open time of the last bar seen, ms; 0 = none yet
        ("n", _i),  # bars since the last reset
        ("phase", _i),  # 0 in a fresh record, read as MONITORING
        ("prev_close", _f),
        # monitoring, volatility and volume
        ("atr", _f),
        ("atr_slow", _f),
        ("variance", _f),  # EW mean of squared log returns
        ("vol_slow", _f),  # EW volume
        # monitoring, swings by directional change
        ("zz_dir", _i),
        ("zz_price", _f),
        ("zz_bar", _i),
        ("zz_relvol", _f),
        ("piv_n", _i4),  # pivots ever confirmed
        ("dq_head", _i4),
        ("dq_len", _i4),
        ("attempts", _i4),
        # p2: the dump
        ("peak", _f),
        ("peak_bar", _i),
        ("peak_sigma", _f),
        ("peak_atr", _f),
        ("trough", _f),
        ("trough_bar", _i),
        ("dump_bar", _i),
        ("drop", _f),  # at the DUMP event
        ("z", _f),
        ("atr_max", _f),  # since the dump
        ("depth", _f),  # ln(peak/trough)
        ("bin_scale", _f),  # histogram bins per unit of log price
        ("fall_tr", _f),  # the market's median fall at the trough
        # p4: the base
        ("anchor_bar", _i),
        ("nb", _i),
        ("anchor_state", _i),  # 0 rally awaited, 1 secondary test awaited, 2 anchored
        ("c0", _f),  # first and last close of the base
        ("c_last", _f),
        ("sy", _f),
        ("sxy", _f),
        ("path", _f),
        ("qv", _f),
        ("don", _f),
        ("bvol", _f),
        ("batr", _f),
        ("springs", _i4),
        ("nflip", _i4),
        ("q_bin", _i4, (2,)),  # pointers of the floor and the ceiling quantile
        ("q_below", _i4, (2,)),  # closes under the pointer's bin
        ("touches_r", _i4),
        ("touches_s", _i4),
        ("floor", _f),
        ("q95", _f),
        ("height", _f),  # H = q95 - floor, price units
        ("drift", _f),
        ("er", _f),
        # p5: the level
        ("level", _f),  # 0 = none
        ("level_edge", _f),
        ("zone_lo", _f),
        ("level_score", _f),
        ("level_touches", _i),
        ("level_bar", _i),  # bar of the last change
        ("parts", _f, (5,)),  # touch, edge, polarity, round, over
        ("levels", _f, (N_LEVELS,)),
        # p6: the breakout
        ("brk_bar", _i),
        ("brk_level", _f),
        # counters that survive a reset
        ("n_resets", _i),
        ("n_dropped", _i),
        ("n_unsound", _i),
        ("n_gaps", _i),
        # rings
        ("ht", _i4, (BINS,)),
        ("hv", _f, (BINS,)),
        ("piv_price", _f, (PIVOT_CAPACITY,)),
        ("piv_bar", _i, (PIVOT_CAPACITY,)),
        ("piv_kind", _i1, (PIVOT_CAPACITY,)),  # +1 swing high, -1 swing low
        ("piv_relvol", _f, (PIVOT_CAPACITY,)),
        ("piv_rej", _f, (PIVOT_CAPACITY,)),
        ("piv_weight", _f, (PIVOT_CAPACITY,)),  # as touches, when the level was last chosen
        ("dq_high", _f, (PEAK_CAPACITY,)),
        ("dq_bar", _i, (PEAK_CAPACITY,)),
        ("dq_sigma", _f, (PEAK_CAPACITY,)),
        ("dq_atr", _f, (PEAK_CAPACITY,)),
    ],
    align=True,
)

# One record for all kinds of event: everything a reader, a selector or a trade plan needs.
_EVENT_FIELDS = np.dtype(
    [
        ("t", _i),  # close time of the deciding bar, ms
        ("bar_index", _i),  # bars since the last reset
        ("symbol_id", _i4),
        ("tf_s", _i4),
        ("kind", _i4),
        ("phase_before", _i4),
        ("phase_after", _i4),
        ("level_kind", _i4),
        ("close", _f),
        ("atr", _f),
        ("batr", _f),
        ("floor", _f),
        ("q95", _f),
        ("zone_lo", _f),
        ("level", _f),
        ("level_edge", _f),
        ("level_score", _f),
        ("score_touch", _f),
        ("score_edge", _f),
        ("score_polarity", _f),
        ("score_round", _f),
        ("overhang", _f),
        ("hard_floor", _f),
        ("invalidation", _f),
        ("peak", _f),
        ("peak_t", _i),
        ("trough_t", _i),
        ("anchor_t", _i),
        ("nb", _i),
        ("drop", _f),
        ("z", _f),
        ("dump_atr", _f),
        ("sigma", _f),
        ("h_atr", _f),
        ("drift", _f),
        ("er", _f),
        ("kappa", _f),
        ("contraction", _f),
        ("body", _f),
        ("clv", _f),
        ("relvol", _f),
        ("chase_atr", _f),
        ("breadth", _f),
        ("market_fall", _f),
        ("residual_share", _f),
        ("touches", _i4),
        ("touches_r", _i4),
        ("touches_s", _i4),
        ("nflip", _i4),
        ("attempts", _i4),
        ("springs", _i4),
        ("reject_mask", _i4),
        ("profile_version", _i4),
        ("levels", _f, (N_LEVELS,)),
        ("params_hash", _i),
        ("state_schema", _i),
    ],
    align=True,
)


# np.record rows have their fields as attributes in plain Python too: kernels run uncompiled.
CONTEXT = np.dtype((np.record, _CONTEXT_FIELDS))
EVENT = np.dtype((np.record, _EVENT_FIELDS))


def schema_hash(dtype: np.dtype) -> int:
    """Return a signed 64-bit hash of a record layout: names, types, offsets."""
    text = repr([(name, *map(str, field[:2])) for name, field in (dtype.fields or {}).items()])
    return int.from_bytes(
        hashlib.blake2b(text.encode(), digest_size=8).digest(), "big", signed=True
    )


STATE_SCHEMA = schema_hash(CONTEXT)

# A step writes at most this many events (a rejected trigger and what becomes of the range) ...
EVENTS_PER_STEP = 2
# ... and a reset may precede them.
EVENTS_PER_BAR = 1 + EVENTS_PER_STEP


def new_contexts(n: int) -> np.ndarray:
    """Return ``n`` fresh contexts (about 24 KB each)."""
    return np.zeros(n, CONTEXT)
