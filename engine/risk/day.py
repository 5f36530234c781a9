"""The user's day: what it has earned or lost, and when it ends, as a UTC instant.

The end is worked out once, when the day opens, and stored: neither a clock change, nor a new time
zone in the settings, nor a restart moves it, so a halt cannot be shortened. Local midnight that a
clock change skips is the change itself; where midnight happens twice, the day ends, is back, and
ends again.
"""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import msgspec

from engine.risk.figures import percent, sane, usdt
from engine.risk.limits import RiskLimits

ZERO = Decimal(0)
DAY_MS = 86_400_000
_LATEST_MS = 250_000_000_000_000  # year 9892: beyond it no calendar is asked
_ASK_DAYS = 3  # a zone may skip a whole day, never two


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """One day's risk books. Halted once is halted until `resets_ms`, whatever comes after."""

    day: str  # ISO date in the user's time zone
    resets_ms: int  # UTC instant at which it ends; stored, never worked out again
    start_equity_usdt: Decimal
    start_unrealised_usdt: Decimal = ZERO
    realised_usdt: Decimal = ZERO  # results of exits before fees and funding
    fees_usdt: Decimal = ZERO  # + paid
    funding_usdt: Decimal = ZERO  # + received
    halted: bool = False
    reason: str = ""


def zone_known(timezone: str) -> bool:
    """Tell whether a time zone's name is one."""
    return bool(timezone) and _zone(timezone) is not None


def day_bounds(at_ms: int, timezone: str) -> tuple[str, int]:
    """Return the local date of an instant and the UTC instant at which that day ends.

    An unknown zone counts as UTC; an instant no calendar holds gets a day of 24 h.
    """
    zone = _zone(timezone)
    if not 0 <= at_ms <= _LATEST_MS:
        start = at_ms - at_ms % DAY_MS
        return "unknown", start + DAY_MS
    local = datetime.fromtimestamp(at_ms / 1000, zone or UTC)
    today = local.date()
    for ahead in range(1, _ASK_DAYS + 1):
        for fold in (0, 1):  # a midnight may happen twice
            ends_ms = _midnight_ms(today + timedelta(days=ahead), zone, fold)
            if ends_ms > at_ms:
                return today.isoformat(), ends_ms
    return today.isoformat(), at_ms - at_ms % DAY_MS + DAY_MS


def open_day(
    at_ms: int, timezone: str, *, equity_usdt: Decimal, unrealised_usdt: Decimal = ZERO
) -> Day:
    """Open the books of a day; only with an equity that was read."""
    name, resets_ms = day_bounds(at_ms, timezone)
    return Day(
        day=name,
        resets_ms=resets_ms,
        start_equity_usdt=equity_usdt,
        start_unrealised_usdt=unrealised_usdt,
    )


def roll_day(
    day: Day | None,
    at_ms: int,
    timezone: str,
    *,
    equity_usdt: Decimal,
    unrealised_usdt: Decimal = ZERO,
) -> Day:
    """Return the day that holds `at_ms`: the same until its stored end, then a new one."""
    if day is not None and at_ms < day.resets_ms:
        return day
    return open_day(at_ms, timezone, equity_usdt=equity_usdt, unrealised_usdt=unrealised_usdt)


def book_day(
    day: Day,
    *,
    realised_usdt: Decimal = ZERO,
    fees_usdt: Decimal = ZERO,
    funding_usdt: Decimal = ZERO,
) -> Day:
    """Add what an execution brought: its result before fees, the fee paid, funding received."""
    return msgspec.structs.replace(
        day,
        realised_usdt=day.realised_usdt + realised_usdt,
        fees_usdt=day.fees_usdt + fees_usdt,
        funding_usdt=day.funding_usdt + funding_usdt,
    )


def day_result(day: Day, unrealised_usdt: Decimal) -> Decimal:
    """Return what the day has brought: realised, unrealised, fees and funding; no deposits."""
    swing = unrealised_usdt - day.start_unrealised_usdt
    return day.realised_usdt - day.fees_usdt + day.funding_usdt + swing


def day_limit(day: Day, limits: RiskLimits) -> Decimal:
    """Return the loss at which the day halts, USDT."""
    return max(day.start_equity_usdt, ZERO) * limits.daily_loss_max


def breaches(day: Day, unrealised_usdt: Decimal, limits: RiskLimits) -> bool:
    """Tell whether the day's loss has reached its limit."""
    loss = -day_result(day, unrealised_usdt)
    return loss > 0 and loss >= day_limit(day, limits)


def judge_day(day: Day, unrealised_usdt: Decimal, limits: RiskLimits) -> Day:
    """Halt the day if its loss has reached the limit; a halt stays. Ask after every execution."""
    figures = (day_result(day, unrealised_usdt), day.start_equity_usdt, limits.daily_loss_max)
    if day.halted or not all(sane(figure) for figure in figures):
        return day  # what cannot be read halts nothing for good: the judge refuses meanwhile
    if not breaches(day, unrealised_usdt, limits):
        return day
    loss, limit = -day_result(day, unrealised_usdt), day_limit(day, limits)
    reason = f"loss of {usdt(loss)}, limit {usdt(limit)} ({percent(limits.daily_loss_max)})"
    return msgspec.structs.replace(day, halted=True, reason=reason)


def _zone(timezone: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(timezone)
    except (ValueError, KeyError, OSError):
        return None


def _midnight_ms(day: date, zone: ZoneInfo | None, fold: int) -> int:
    """Return the first instant of a local day. A skipped midnight resolves to the change."""
    local = datetime(day.year, day.month, day.day, tzinfo=zone or UTC, fold=fold)
    return int(local.timestamp() * 1000)
