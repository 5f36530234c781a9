"""The whole market's regime: RISK_OFF in a broad fall, NORMAL again once it has been calm. Pure."""

from collections.abc import Iterable
from math import isfinite
from typing import NamedTuple

import msgspec

NORMAL, RISK_OFF = "NORMAL", "RISK_OFF"
_HOUR_MS = 3_600_000


class RegimeParams(NamedTuple):
    """When the market counts as falling, and for how long it must not."""

    fall: float = 0.10  # under its 24 h high: a coin counts as fallen
    breadth_max: float = 0.5  # more of the universe fallen than this: RISK_OFF
    btc_fall: float = 0.06  # BTC lost so much in 24 h: RISK_OFF
    calm_ms: int = 6 * _HOUR_MS  # below both for so long: NORMAL
    known_min: float = 0.5  # of the universe must be known, else its breadth says nothing


class Regime(msgspec.Struct, frozen=True, kw_only=True):
    """The judgement and what it needs to go on; kept over a restart."""

    regime: str = NORMAL
    since_ms: int = 0
    judged_ms: int = 0  # of the newest judgement; 0: none
    bad_ms: int = 0  # when a condition was last met
    breadth: float | None = None
    btc_change_24h: float | None = None


def breadth_of(
    pairs: Iterable[tuple[float, float]], universe: int, params: RegimeParams
) -> float | None:
    """Return the share of coins, as (last, high of 24 h), that stand `fall` or more under the high.

    None where too few of the universe are known.
    """
    known = fallen = 0
    for last, high in pairs:
        if isfinite(last) and isfinite(high) and high > 0.0:
            known += 1
            fallen += last <= high * (1.0 - params.fall)
    if not known or known < params.known_min * universe:
        return None
    return fallen / known


def judge(
    before: Regime,
    now_ms: int,
    breadth: float | None,
    btc_change_24h: float | None,
    params: RegimeParams = RegimeParams(),  # noqa: B008 - immutable
) -> Regime:
    """Return the regime now. What is unknown (None) neither ends nor begins a RISK_OFF."""
    bad = (breadth is not None and breadth > params.breadth_max) or (
        btc_change_24h is not None and btc_change_24h <= -params.btc_fall
    )
    known = breadth is not None and btc_change_24h is not None
    bad_ms = now_ms if bad else before.bad_ms
    regime, since = before.regime, before.since_ms or now_ms
    if bad and regime != RISK_OFF:
        regime, since = RISK_OFF, now_ms
    elif not bad and regime == RISK_OFF and known and now_ms - bad_ms >= params.calm_ms:
        regime, since = NORMAL, now_ms
    return Regime(
        regime=regime,
        since_ms=since,
        judged_ms=now_ms,
        bad_ms=bad_ms,
        breadth=breadth,
        btc_change_24h=btc_change_24h,
    )
