"""The range of every number a user may set, and what contradicts what. Problems come in words.

A range keeps out what cannot be meant (a risk of 50 % a trade, a breaker that never trips); what is
merely bold stays the user's choice.
"""

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from engine.risk.day import zone_known
from engine.risk.limits import RiskLimits

Range = tuple[Decimal, Decimal]


def _range(low: str, high: str) -> Range:
    return Decimal(low), Decimal(high)


# Smallest and largest value of every number of `RiskLimits`.
LIMIT_RANGES: Mapping[str, Range] = MappingProxyType(
    {
        "risk_per_trade": _range("0.0001", "0.05"),
        "trades_max": _range("1", "50"),
        "total_risk_max": _range("0.0001", "0.2"),
        "daily_loss_max": _range("0.001", "0.2"),
        "margin_use_max": _range("0.01", "0.9"),
        "leverage_max": _range("1", "25"),
        "funding_cost_r_max": _range("0", "1"),
        "funding_rate_max": _range("0", "0.04"),
        "breaker_reduce_losses": _range("1", "50"),
        "breaker_halt_losses": _range("2", "100"),
        "breaker_errors": _range("1", "100"),
        "breaker_errors_s": _range("1", "3600"),
        "breaker_slippage_r": _range("0.01", "5"),
        "breaker_slippage_times": _range("1", "10"),
        "breaker_volatility_x": _range("1", "50"),
        "breaker_cool_min": _range("1", "10080"),
        "symbol_risk_max": _range("0.0001", "0.2"),
        "group_risk_max": _range("0.0001", "0.2"),
        "spread_max_bps": _range("0.1", "100"),
        "cost_r_max": _range("0.01", "1"),
        "orders_per_min": _range("1", "120"),
        "loss_floor_usdt": _range("0", "1000000000"),
        "quote_age_max_ms": _range("500", "60000"),
        "signal_bars_max": _range("1", "100"),
        "price_gap_max": _range("0.001", "0.9"),
        "liquidation_gap_r": _range("0", "20"),
        "funding_close_r": _range("0", "5"),
        "funding_close_min": _range("0", "60"),
    }
)

# ... and of every number of a user's settings; those of the plan as `p8_management.RANGES`.
SETTINGS_RANGES: Mapping[str, Range] = MappingProxyType(
    {
        "level_kind": _range("-1", "7"),
        "retest_batr": _range("-2", "5"),
        "retest_bars": _range("1", "1000"),
        "chase_max_batr": _range("0", "50"),
        "stop_floor_batr": _range("-2", "10"),
        "stop_max_batr": _range("0.1", "50"),
        "tp1_r": _range("0.05", "20"),
        "tp1_share": _range("0", "1"),
        "trail_batr": _range("0.1", "50"),
        "time_stop_bars": _range("1", "20000"),
        "leverage": _range("1", "25"),
        "level_score_min": _range("-10", "10"),
        "residual_share_min": _range("-1", "1"),
        "taker_fee": _range("0", "0.01"),
        "maker_fee": _range("-0.001", "0.01"),
    }
)

ENTRY_MODES = ("retest", "next_open")
_INTERVAL_MS = (60_000, 86_400_000)  # one minute to one day

# (smaller, larger, why): the first must not exceed the second.
_ORDERED = (
    ("risk_per_trade", "total_risk_max", "not one trade would have its full size"),
    ("risk_per_trade", "symbol_risk_max", "not one trade would have its full size"),
    ("risk_per_trade", "group_risk_max", "not one trade would have its full size"),
    ("risk_per_trade", "daily_loss_max", "less than one loss would end the day"),
    ("funding_cost_r_max", "funding_close_r", "an entry would be allowed and closed at once"),
)


def check_limits(limits: RiskLimits) -> list[str]:
    """Return what is wrong with a user's limits, each in one sentence; none: they hold."""
    problems = _out_of_range(limits, LIMIT_RANGES, "risk.")
    if problems:
        return problems  # contradictions of numbers that are none say nothing
    for small, large, why in _ORDERED:
        low, high = getattr(limits, small), getattr(limits, large)
        if low > high:
            problems.append(f"risk.{small} = {low} exceeds risk.{large} = {high}: {why}")
    if limits.breaker_reduce_losses >= limits.breaker_halt_losses:
        problems.append(
            f"risk.breaker_reduce_losses = {limits.breaker_reduce_losses} must be below "
            f"risk.breaker_halt_losses = {limits.breaker_halt_losses}: half size comes first"
        )
    return problems


def check_settings(settings: Any) -> list[str]:
    """Return what is wrong with a user's settings, limits included, each in one sentence.

    Parameters
    ----------
    settings : UserSettings
        Of the room above, which this one does not import.
    """
    problems = _out_of_range(settings, SETTINGS_RANGES, "")
    problems += check_limits(settings.risk)
    problems += _wrong_names(settings)
    if not problems and settings.leverage > settings.risk.leverage_max:
        problems.append(
            f"leverage = {settings.leverage} exceeds risk.leverage_max = "
            f"{settings.risk.leverage_max}: every entry would be refused"
        )
    return problems


def _wrong_names(settings: Any) -> list[str]:
    problems = []
    if not settings.profile:
        problems.append("profile is empty")
    if not zone_known(settings.timezone):
        problems.append(f"timezone = {settings.timezone!r} is no time zone (like Europe/Berlin)")
    if settings.entry_mode not in ENTRY_MODES:
        known = " or ".join(ENTRY_MODES)
        problems.append(f"entry_mode = {settings.entry_mode!r} is unknown: {known}")
    low, high = _INTERVAL_MS
    if not settings.intervals_ms or not all(low <= each <= high for each in settings.intervals_ms):
        problems.append("intervals_ms needs one or more intervals of a minute to a day")
    both = sorted(set(settings.symbols_allow) & set(settings.symbols_deny))
    if both:
        problems.append(f"{', '.join(both)} is both allowed and denied")
    return problems


def _out_of_range(values: Any, ranges: Mapping[str, Range], prefix: str) -> list[str]:
    problems = []
    for name, (low, high) in ranges.items():
        value = getattr(values, name)
        number = Decimal(str(value))
        # a NaN has no order, so it is asked about first
        if not number.is_finite() or not low <= number <= high:
            problems.append(f"{prefix}{name} = {value} is out of range: {low} to {high}")
    return problems
