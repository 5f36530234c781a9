"""Phase 5, armed: which price is the ceiling, how good it is, and when it is replaced.

Score of an upper edge x, over the swing highs of the base within [x - w, x + w/4] (w = 2 half
widths): ``w_touch (1 - exp(-sum touch / tau)) + w_edge edge + w_polarity polarity + w_round round
- w_over over``.
The weights are priors, not fitted.
"""

from math import exp
from typing import NamedTuple

from engine.kernels._jit import kernel
from engine.kernels.swings import HIGH, LOW, PIVOTS
from engine.kernels.zones import (
    edge_contrast,
    is_round,
    mixed_unit,
    overhang,
    value_area_high,
)
from engine.pipeline.p4_base import drift_of

UPPER_EDGE, MIDPOINT, SECOND_HIGHEST = 0, 1, 2


class ArmedParams(NamedTuple):
    """How a level is chosen, kept and given up."""

    zone_half_width: float = 0.5  # base ATR
    level_mode: int = 1  # 0 upper edge, 1 midpoint of the two highest members, 2 second highest
    members_min: int = 2
    score_min: float = 0.6
    hysteresis: float = 0.25  # score a better level must be ahead
    hysteresis_down: float = 4.0  # times as much for a lower one
    top_share: float = 0.667  # a level must lie above floor + this share of H; 0 = anywhere
    touches_min: int = 2  # alternating, on each side; 0 = not asked
    touch_batr: float = 1.0  # a touch lies within the larger of this many base ATR ...
    touch_height: float = 0.25  # ... and this share of H
    change_gap_bars: int = 6  # at most one change of level in so many bars
    tau: float = 2.0
    w_touch: float = 1.0
    w_edge: float = 0.3
    w_polarity: float = 0.2
    w_round: float = 0.05
    w_over: float = 1.5
    disarm_height: float = 1.25  # times the limits of phase 4
    disarm_drift: float = 1.5
    disarm_above_batr: float = 3.0  # closed this far above without a confirmed breakout


@kernel
def _weigh_touches(s) -> int:
    """Weigh the base's swing highs once for all candidates; return the first pivot of the base."""
    first = s.piv_n
    while first > max(0, s.piv_n - PIVOTS) and s.piv_bar[(first - 1) % PIVOTS] >= s.anchor_bar:
        first -= 1
        j = first % PIVOTS
        age = 0.5 + 0.5 * exp(-(s.n - s.piv_bar[j]) / (0.5 * s.nb))
        rejection = 0.4 + 0.3 * min(s.piv_rej[j] / s.batr, 4.0)
        s.piv_weight[j] = age * rejection * (0.7 + 0.2 * min(s.piv_relvol[j], 3.0))
    return first


@kernel
def _polarity(s, first: int, middle: float, w: float) -> float:
    for k in range(max(0, s.piv_n - PIVOTS), first):
        if abs(s.piv_price[k % PIVOTS] - middle) <= w:
            return 1.0
    return 0.0


@kernel
def _members(s, p, first: int, x: float, w: float):
    """Return (summed touch weights, members, lowest member, level price) of an upper edge."""
    total, members = 0.0, 0
    lowest = highest = second = 0.0
    for k in range(first, s.piv_n):
        j = k % PIVOTS
        price = s.piv_price[j]
        if s.piv_kind[j] != HIGH or price < x - w or price > x + 0.25 * w:
            continue
        members += 1
        total += s.piv_weight[j]
        lowest = price if members == 1 else min(lowest, price)
        if price > highest:
            highest, second = price, highest
        elif price > second:
            second = price
    level = x
    if p.level_mode == MIDPOINT and members > 1:
        level = 0.5 * (highest + second)
    elif p.level_mode == SECOND_HIGHEST and members > 1:
        level = second
    return total, members, lowest, level


@kernel
def _rate(s, p, first: int, x: float, total: float, lowest: float, w: float):
    """Return (score, touch, edge, polarity, round, over) of an upper edge."""
    touch = 1.0 - exp(-total / p.tau)
    edge = edge_contrast(s, x, 1.5 * s.batr)
    polarity = _polarity(s, first, 0.5 * (lowest + x), w)
    rounded = 1.0 if is_round(x, 0.25 * s.batr) else 0.0
    over = overhang(s, x + 0.1 * s.batr)
    score = p.w_touch * touch + p.w_edge * edge + p.w_polarity * polarity
    score += p.w_round * rounded - p.w_over * over
    return score, touch, edge, polarity, rounded, over


@kernel
def _best_edge(s, p, first: int, w: float):
    """Return (upper edge, score) of the best candidate; the edge is 0 when none qualifies."""
    best, best_score = 0.0, -1e300
    rest = p.w_edge + p.w_polarity + p.w_round  # the most that the other parts can add
    for k in range(first, s.piv_n):
        j = k % PIVOTS
        if s.piv_kind[j] != HIGH:
            continue
        x = s.piv_price[j]
        total, members, lowest, level = _members(s, p, first, x, w)
        if members < p.members_min:
            continue
        if p.top_share > 0.0 and level < s.floor + p.top_share * s.height:
            continue
        bound = p.w_touch * (1.0 - exp(-total / p.tau)) + rest
        if bound < p.score_min or bound <= best_score:
            continue
        score = _rate(s, p, first, x, total, lowest, w)[0]
        if score >= p.score_min and score > best_score:
            best, best_score = x, score
    return best, best_score


@kernel
def _keep(s, p, first: int, x: float, w: float) -> float:
    """Write zone, score and parts of an upper edge into the record; return its level price."""
    total, members, lowest, level = _members(s, p, first, x, w)
    if members == 0:
        lowest = s.zone_lo  # its swings have left the ring: the zone stands as it was
    score, touch, edge, polarity, rounded, over = _rate(s, p, first, x, total, lowest, w)
    s.level_edge = x
    s.level_score = score
    s.level_touches = members
    s.zone_lo = lowest
    s.parts[0] = touch
    s.parts[1] = edge
    s.parts[2] = polarity
    s.parts[3] = rounded
    s.parts[4] = over
    return level


@kernel
def select_level(s, p) -> bool:
    """Choose the level anew after a pivot was confirmed; tell whether its price changed.

    The current level is rescored and kept unless another one is ahead by the hysteresis, which is
    `hysteresis_down` times as wide for a lower one. Cost O(pivots^2) at most, on pivots only.
    """
    first = _weigh_touches(s)
    w = 2.0 * p.zone_half_width * s.batr
    best, best_score = _best_edge(s, p, first, w)
    if s.level > 0.0:
        _keep(s, p, first, s.level_edge, w)
        if best in (0.0, s.level_edge) or s.n - s.level_bar < p.change_gap_bars:
            return False
        level = _members(s, p, first, best, w)[3]
        ahead = p.hysteresis if level >= s.level else p.hysteresis * p.hysteresis_down
        if best_score <= s.level_score + ahead:
            return False
    elif best == 0.0:
        return False
    before = s.level
    s.level = _keep(s, p, first, best, w)
    s.level_bar = s.n
    return s.level != before


@kernel
def count_touches(s, p) -> None:
    """Count alternating touches of ceiling and floor since the anchor, in the order of time."""
    band = max(p.touch_batr * s.batr, p.touch_height * s.height)
    r = t = 0
    side = 0
    for k in range(max(0, s.piv_n - PIVOTS), s.piv_n):
        j = k % PIVOTS
        if s.piv_bar[j] < s.anchor_bar:
            continue
        if s.piv_kind[j] == HIGH and s.piv_price[j] >= s.level - band:
            r += side != 1
            side = 1
        elif s.piv_kind[j] == LOW and s.piv_price[j] <= s.floor + band:
            t += side != -1
            side = -1
    s.touches_r = r
    s.touches_s = t


@kernel
def may_arm(s, p) -> bool:
    """Tell whether the level is good enough to arm; `envelope` must be up to date."""
    if s.level_score < p.score_min:
        return False
    if p.top_share > 0.0 and s.level < s.floor + p.top_share * s.height:
        return False
    count_touches(s, p)
    return s.touches_r >= p.touches_min and s.touches_s >= p.touches_min


@kernel
def must_disarm(s, p, base, c: float) -> bool:
    """Tell whether an armed range has lost its shape; `envelope` must be up to date."""
    if s.height > p.disarm_height * base.height_share_max * (s.peak - s.trough):
        return True
    if c > s.level + p.disarm_above_batr * s.batr:
        return True
    s.drift = drift_of(s)
    return s.drift > p.disarm_drift * base.drift_max


@kernel
def level_variants(s, p, peak_t: int, trough_t: int) -> None:
    """Write all eight level variants into the record, in the order of `LevelKind`."""
    w = 2.0 * p.zone_half_width * s.batr
    last = most_mean = shelf = 0.0
    most = 0
    middle = 0.5 * (s.floor + s.q95)
    for k in range(max(0, s.piv_n - PIVOTS), s.piv_n):
        j = k % PIVOTS
        x = s.piv_price[j]
        if s.piv_kind[j] == LOW:
            if s.piv_bar[j] < s.peak_bar and x > middle and (shelf == 0.0 or x < shelf):
                shelf = x
            continue
        if s.piv_bar[j] < s.anchor_bar:
            continue
        last = x
        count, mean = 0, 0.0
        for k2 in range(max(0, s.piv_n - PIVOTS), s.piv_n):
            j2 = k2 % PIVOTS
            y = s.piv_price[j2]
            inside = s.piv_kind[j2] == HIGH and s.piv_bar[j2] >= s.anchor_bar
            if inside and x - w <= y <= x + 0.25 * w:
                count += 1
                mean += y
        if count > most:
            most, most_mean = count, mean / count
    s.levels[0] = s.level
    s.levels[1] = s.don
    s.levels[2] = last
    s.levels[3] = most_mean
    s.levels[4] = value_area_high(s) if s.nb > 0 else 0.0
    s.levels[5] = s.q95
    s.levels[6] = shelf
    s.levels[7] = s.floor + mixed_unit(peak_t, trough_t) * (s.don - s.floor)
