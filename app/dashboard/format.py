"""Numbers as a person reads them: signs written, unknown a dash, no false zero."""

from datetime import UTC, datetime
from decimal import Decimal

MINUS = "\u2212"
TIMES = "\u00d7"
DASH = "\u2014"
NARROW = "\u202f"  # the no-break space before %
_MINUTE_MS, _HOUR_MS, _DAY_MS = 60_000, 3_600_000, 86_400_000
_SIGNIFICANT = 5  # digits of a price whose tick is unknown
_NOTHING_AFTER_POINT = 100_000


def _exact(value: float | str | Decimal | None) -> Decimal | None:
    if value is None:
        return None
    number = value if isinstance(value, Decimal) else Decimal(str(value))
    return number if number.is_finite() else None


def number(value: float | str | Decimal | None, digits: int = 2, *, sign: bool = False) -> str:
    """Return a number with ``digits`` decimals, thousands by comma, minus as U+2212.

    Parameters
    ----------
    value : float, str, Decimal or None
        None and NaN are unknown: a dash, never 0.
    digits : int
        Decimals.
    sign : bool
        Write ``+`` too: for results, so that colour is never the only carrier.

    Returns
    -------
    str
        ``<0.01`` for something that would round to zero and is not.
    """
    exact = _exact(value)
    if exact is None:
        return DASH
    front = MINUS if exact < 0 else "+" if sign and exact > 0 else ""
    text = f"{abs(exact):,.{digits}f}"  # rounds half to even
    if exact != 0 and not text.strip("0.,"):
        return f"{front}<{Decimal(1).scaleb(-digits):f}"
    return front + text


def usdt(value: float | str | Decimal | None) -> str:
    """Return an amount of money: two decimals, none from 100,000 on."""
    exact = _exact(value)
    digits = 0 if exact is not None and abs(exact) >= _NOTHING_AFTER_POINT else 2
    return number(value, digits, sign=True) + " USDT"


def percent(fraction: float | None, digits: int = 1, *, sign: bool = False) -> str:
    """Return a fraction as percent with a narrow no-break space."""
    exact = _exact(fraction)
    if exact is None:
        return DASH
    return f"{number(exact * 100, digits, sign=sign)}{NARROW}%"


def tick_digits(tick: str) -> int | None:
    """Return the decimals of a venue's tick size; None where it is unknown."""
    exact = _exact(tick or None)
    if exact is None or exact <= 0:
        return None
    exponent = exact.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else None


def price_digits(value: float | None, tick: str = "") -> int:
    """Return the decimals a price is written with: the tick's, else five significant digits."""
    known = tick_digits(tick)
    if known is not None:
        return known
    exact = _exact(value)
    if exact is None or exact <= 0:
        return 2
    return max(0, min(10, _SIGNIFICANT - 1 - exact.adjusted()))


def price(value: float | None, tick: str = "") -> str:
    """Return a price with the decimals of its tick, always."""
    return number(value, price_digits(value, tick))


def atr(value: float | None, *, sign: bool = False) -> str:
    """Return a distance in ATR: one decimal, two below one."""
    exact = _exact(value)
    digits = 1 if exact is not None and abs(exact) >= 1 else 2
    return f"{number(value, digits, sign=sign)} ATR"


def times(value: float | None) -> str:
    """Return a multiple: ``2.4×``."""
    return number(value, 1) + TIMES


def age(ms: int | None) -> str:
    """Return how long something lasts, in one unit: ``now``, ``35 m``, ``19 h``, ``3 d``."""
    if ms is None:
        return DASH
    if ms < _MINUTE_MS:
        return "now"
    if ms < 2 * _HOUR_MS:
        return f"{ms // _MINUTE_MS} m"
    if ms < 2 * _DAY_MS:
        return f"{ms // _HOUR_MS} h"
    return f"{ms // _DAY_MS} d"


def countdown(ms: int) -> str:
    """Return what is left as minutes and seconds: ``3:53``."""
    seconds = max(0, ms) // 1000
    return f"{seconds // 60}:{seconds % 60:02d}"


def moment(ms: int) -> datetime:
    """Return a UTC instant."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def clock(ms: int) -> str:
    """Return the time of day, UTC: ``12:41``."""
    return f"{moment(ms):%H:%M}"


def clock_s(ms: int) -> str:
    """Return the time of day to the second, UTC."""
    return f"{moment(ms):%H:%M:%S}"


def day(ms: int) -> str:
    """Return the day, UTC: ``21 Nov``."""
    return f"{moment(ms):%-d %b}"


def day_clock(ms: int) -> str:
    """Return day and time, UTC: ``21 Nov 17:15``."""
    return f"{moment(ms):%-d %b %H:%M}"


_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def count(n: int, one: str, many: str = "") -> str:
    """Return ``four touches``: small numbers as words."""
    noun = one if n == 1 else many or one + "s"
    return f"{_WORDS[n] if 0 <= n < len(_WORDS) else f'{n:,}'} {noun}"
