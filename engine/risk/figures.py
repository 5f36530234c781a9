"""The arithmetic of risk, which figures are numbers at all, and how they are written."""

from datetime import UTC, datetime
from decimal import MAX_EMAX, MIN_EMIN, ROUND_HALF_EVEN, Context, Decimal
from functools import cache

ZERO = Decimal(0)
BPS = Decimal("0.0001")
BIGGEST = Decimal("1E15")  # larger figures are not of this world
SMALLEST = Decimal("1E-15")
MINUTE_MS = 60_000


def exact_context() -> Context:
    """Return the arithmetic of risk: sixty digits, and NaN instead of an exception."""
    return Context(prec=60, rounding=ROUND_HALF_EVEN, Emin=MIN_EMIN, Emax=MAX_EMAX, traps=[])


def sane(value: Decimal) -> bool:
    """Tell whether a figure is a number of this world; its sign is another question."""
    return value.is_finite() and -BIGGEST <= value <= BIGGEST


def positive(value: Decimal) -> bool:
    """Tell whether a figure is a sane number above zero."""
    return value.is_finite() and SMALLEST <= value <= BIGGEST


def number(value: Decimal, digits: int = 6) -> str:
    """Write a figure plainly, at most `digits` significant ones, no trailing zeros.

    >>> number(Decimal("0.00012345678")), number(Decimal("1E+3")), number(Decimal("NaN"))
    ('0.000123457', '1000', 'NaN')
    """
    if not value.is_finite() or abs(value) > BIGGEST or 0 < abs(value) < SMALLEST:
        return str(value)
    context, many = _shortener(digits)
    short = context.plus(value)
    whole = value.to_integral_value()
    if abs(whole) >= many:
        short = whole
    text = format(short, "f")
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


@cache
def _shortener(digits: int) -> tuple[Context, Decimal]:
    """Return what rounds to so many digits: made once, thirty figures a verdict are written."""
    return Context(prec=digits), Decimal(10) ** digits


def usdt(value: Decimal) -> str:
    """Write an amount of money."""
    cents = value.quantize(Decimal("0.01")) if sane(value) else value
    return f"{cents} USDT"


def percent(share: Decimal) -> str:
    """Write a share as a percentage."""
    return f"{number(share * 100, 4)} %" if sane(share) else f"{share} of 1"


def in_r(value: Decimal) -> str:
    """Write a multiple of the trade's risk."""
    return f"{number(value, 3)} R"


def bps(value: Decimal) -> str:
    """Write basis points."""
    return f"{number(value, 4)} bps"


def times(value: Decimal) -> str:
    """Write a factor."""
    return f"{number(value, 4)}x"


def span(ms: int) -> str:
    """Write a stretch of time."""
    if abs(ms) < MINUTE_MS:
        return f"{number(Decimal(ms) / 1000)} s"
    minutes = ms // MINUTE_MS
    return f"{minutes} min" if abs(minutes) < 120 else f"{minutes // 60} h"  # noqa: PLR2004


def instant(ms: int) -> str:
    """Write a UTC instant; what no calendar holds stays a number."""
    try:
        return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        return f"{ms} ms"
