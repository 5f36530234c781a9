"""Funding: what the next payment costs in R, before an entry and in a trade. Control 8."""

from decimal import Decimal, localcontext
from typing import NamedTuple

from engine.risk.figures import MINUTE_MS, exact_context, in_r, percent, positive, sane
from engine.risk.limits import RiskLimits

UNKNOWN_RATE = Decimal("0.0001")  # 1 bp: what an unknown rate counts as, never silently 0

KEEP = "keep"
WARN = "warn"
CLOSE = "close"


class FundingView(NamedTuple):
    """What a position's next payment asks for: keep, warn (tell the user), or close."""

    action: str
    words: str
    value: str
    limit: str


def rate_counted(rate: Decimal | None) -> Decimal:
    """Return the rate that is judged; an unknown one counts as 1 bp."""
    return UNKNOWN_RATE if rate is None or not sane(rate) else rate


def funding_cost_r(rate: Decimal, price: Decimal, distance: Decimal) -> Decimal:
    """Return what a long pays at the next instant in R; it receives below zero."""
    return rate * price / distance


def judge_held(
    limits: RiskLimits,
    *,
    symbol: str,
    notional_usdt: Decimal,
    r_usdt: Decimal,
    rate: Decimal | None,
    next_funding_ms: int,
    now_ms: int,
) -> FundingView:
    """Judge the next payment of an open long.

    Parameters
    ----------
    notional_usdt : Decimal
        At mark, now.
    r_usdt : Decimal
        What 1 R was at entry: quantity of then x (entry - stop of then).
    next_funding_ms : int
        0: unknown, so nothing is closed for it.

    Notes
    -----
    The rate moves until its instant, so a dear one is told at once and acted on only within
    `funding_close_min` minutes before.
    """
    with localcontext(exact_context()):
        counted = rate_counted(rate)
        if not (positive(r_usdt) and positive(notional_usdt)):
            return FundingView(KEEP, f"{symbol}: nothing to pay funding for.", "", "")
        cost = counted * notional_usdt / r_usdt
        value = f"{in_r(cost)} at {percent(counted)}"
        wait_ms = next_funding_ms - now_ms
        near = 0 < wait_ms <= limits.funding_close_min * MINUTE_MS
        if near and cost > limits.funding_close_r:
            limit = in_r(limits.funding_close_r)
            words = f"{symbol}: the next funding payment takes {value}, the limit is {limit}: out."
            return FundingView(CLOSE, words, value, limit)
        limit = f"{in_r(limits.funding_cost_r_max)}, {percent(limits.funding_rate_max)}"
        if cost > limits.funding_cost_r_max or counted > limits.funding_rate_max:
            words = f"{symbol}: the next funding payment takes {value} (limits {limit})."
            return FundingView(WARN, words, value, limit)
        return FundingView(KEEP, f"{symbol}: funding of {value}.", value, limit)
