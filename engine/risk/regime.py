"""The whole market's regime: RISK_OFF in a fall, NORMAL again after six calm hours.

Pure: state in, facts out of one moment in, state out. A fact of the market, judged once for all
users by the market layer. A risk control, not a proven filter. Facts that are missing, or hours in
which nobody looked, are never calm: the six hours count only what was seen.
"""

from collections.abc import Iterable
from math import isfinite

import msgspec

NORMAL = "NORMAL"
RISK_OFF = "RISK_OFF"
UNKNOWN = "UNKNOWN"  # nothing heard yet, or too long ago: no entries where the filter is on

FALL_UNDER_HIGH = 0.10  # a coin has fallen: so far, or further, under its 24 h high
FALLEN_SHARE_MAX = 0.5  # RISK_OFF when more of the universe has fallen
BTC_FALL_24H = 0.06  # ... or BTC has lost so much, or more, in 24 h
CALM_MS = 6 * 3_600_000
GAP_MS = 10 * 60_000  # facts further apart than this leave a hole: calm starts anew
STALE_MS = 15 * 60_000  # facts older than this say nothing of now


class RegimeFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The market at one moment. None: not known."""

    at_ms: int
    fallen_share: float | None  # of the universe, under its 24 h high
    btc_change_24h: float | None  # -0.06 = lost 6 %


class Regime(msgspec.Struct, frozen=True, kw_only=True):
    """Where the market stands."""

    regime: str = UNKNOWN
    since_ms: int = 0
    calm_since_ms: int = 0  # begin of the calm that is going on; 0: none
    seen_ms: int = 0  # of the last facts that were whole
    cause: str = ""


def fallen_share(prices: Iterable[tuple[float, float]]) -> float | None:
    """Return the share of coins 10 % or more under their 24 h high, of (last, high) pairs.

    A pair that is no number is left out; None without any.
    """
    fallen = known = 0
    for last, high in prices:
        if isfinite(last) and isfinite(high) and last > 0 and high > 0:
            known += 1
            fallen += last <= high * (1 - FALL_UNDER_HIGH)
    return fallen / known if known else None


def step_regime(state: Regime, facts: RegimeFacts, *, gap_ms: int = GAP_MS) -> Regime:
    """Take in the market's facts; what is older than the last changes nothing.

    `gap_ms`: facts further apart leave a hole; history has one look a bar.
    """
    if facts.at_ms < state.seen_ms:
        return state
    share, btc = _known(facts.fallen_share), _known(facts.btc_change_24h)
    cause = _cause(share, btc)
    if cause:
        since = state.since_ms if state.regime == RISK_OFF else facts.at_ms
        return Regime(regime=RISK_OFF, since_ms=since, seen_ms=facts.at_ms, cause=cause)
    if share is None or btc is None:
        return state  # half of the facts say nothing good
    if state.regime != RISK_OFF:
        since = state.since_ms if state.regime == NORMAL else facts.at_ms
        return Regime(regime=NORMAL, since_ms=since, seen_ms=facts.at_ms)
    going_on = state.calm_since_ms > 0 and facts.at_ms - state.seen_ms <= gap_ms
    calm_since = state.calm_since_ms if going_on else facts.at_ms
    if facts.at_ms - calm_since >= CALM_MS:
        return Regime(regime=NORMAL, since_ms=facts.at_ms, seen_ms=facts.at_ms)
    return msgspec.structs.replace(state, calm_since_ms=calm_since, seen_ms=facts.at_ms)


def regime_at(state: Regime, now_ms: int) -> str:
    """Return the regime that holds now: NORMAL of facts too old is UNKNOWN, RISK_OFF stays."""
    if state.regime == NORMAL and now_ms - state.seen_ms > STALE_MS:
        return UNKNOWN
    return state.regime


def _known(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None


def _cause(share: float | None, btc: float | None) -> str:
    if share is not None and share > FALLEN_SHARE_MAX:
        return f"{share:.0%} of the coins stand {FALL_UNDER_HIGH:.0%} or more under their 24 h high"
    if btc is not None and btc <= -BTC_FALL_24H:
        return f"BTC lost {-btc:.1%} in 24 h"
    return ""
