"""The small change of the codec: one way to read a number, a time, a flag or a word.

"No value" is spelt "", "0", "0.00", "UNKNOWN", null or by leaving it out; numbers come as text or
as JSON numbers. Nothing here ever goes through a float, and nothing here raises but `WireError`.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal, DecimalException
from functools import lru_cache
from typing import Any, Generic, TypeVar

import msgspec

from engine.errors import DataError
from engine.venue.reports import UnreadRow

REQUEST_BYTES_MAX = 1 << 20  # of one request or frame of a client
JSON_BYTES_MAX = 32 << 20  # of one reply of the venue
NUMBER_CHARS_MAX = 80
EXPONENT_MAX = 60  # beyond it a plain spelling is a bomb, not a number
TIME_MAX = 1 << 63

T = TypeVar("T")
ZERO = Decimal(0)

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_DIGITS = re.compile(r"-?[0-9]{1,18}")
_WIDE = Context(prec=2 * NUMBER_CHARS_MAX)
_SHOWN = Context(prec=16)
_FLAGS = {"true": True, "false": False, "1": True, "0": False, "": False}
NO_WORD = frozenset({"", "UNKNOWN"})


class WireError(DataError):
    """A message of the venue cannot be read."""


class NotOurs(WireError):  # noqa: N818 - no error: a row for somebody else
    """A row that reads well and tells nothing of what we hold: another product, another coin."""


@dataclass(frozen=True, slots=True)
class BadRequest:
    """What the door answers to a request it cannot read: the venue's code and words."""

    code: int
    message: str


# ---------------------------------------------------------------------------- JSON


def _float(text: str) -> Decimal | str:
    try:
        return Decimal(text)
    except DecimalException:
        return text  # an absurd exponent: the field that needs it will say so


_any = msgspec.json.Decoder(float_hook=_float)
_encoder = msgspec.json.Encoder()
encode_json: Callable[[Any], bytes] = _encoder.encode


def read_json(raw: bytes | str, *, limit_bytes: int = JSON_BYTES_MAX) -> Any:
    """Read any JSON; fractions arrive as Decimal, digit for digit.

    Raises
    ------
    WireError
        Not JSON, not UTF-8, nested too deep or longer than `limit_bytes`.
    """
    if len(raw) > limit_bytes:
        raise WireError("a message is too long", why=f"{len(raw)} > {limit_bytes}")
    try:
        return _any.decode(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError, TypeError) as error:
        raise WireError("a message cannot be read", why=str(error)) from error


def as_row(value: Any) -> Mapping[str, Any]:
    """Return a JSON object as it is; anything else is a `WireError`."""
    if isinstance(value, dict):
        return value
    raise WireError("a row is not an object", why=type(value).__name__)


def as_list(value: Any) -> list[Any]:
    """Return a JSON list; null and nothing are an empty one."""
    if isinstance(value, list):
        return value
    if value is None:
        return []
    raise WireError("a list was expected", why=type(value).__name__)


# ---------------------------------------------------------------------------- reading


def decimal(row: Mapping[str, Any], key: str) -> Decimal | None:
    """Read a number exactly; "" and missing are None."""
    return as_decimal(row.get(key), key)


def as_decimal(value: Any, name: str = "number") -> Decimal | None:
    """Read one value as a number, exactly; "" and None are None.

    >>> as_decimal("1e-05"), as_decimal(""), as_decimal(7)
    (Decimal('0.00001'), None, Decimal('7'))
    """
    if value is None:
        return None
    kind = type(value)
    if kind is str:
        text = value.strip()
        if not text:
            return None
    elif kind is Decimal or kind is int:
        text = str(value) if kind is Decimal or value.bit_length() < 4 * NUMBER_CHARS_MAX else "?"
    elif kind is float:
        text = repr(value)
    else:
        raise _unreadable(name, value)
    # the length first: what is cached is kept
    number = _number(text) if len(text) <= NUMBER_CHARS_MAX else None
    if number is None:
        raise _unreadable(name, value)
    return number


@lru_cache(maxsize=4096)  # the same few prices and quantities come again and again
def _number(text: str) -> Decimal | None:
    if not _NUMBER.fullmatch(text):
        return None
    number = Decimal(text)
    if "e" in text or "E" in text:
        # plain spelling first: an exponent must not come back as one
        if abs(number.as_tuple().exponent) > EXPONENT_MAX:  # pyrefly: ignore[bad-argument-type]
            return None
        number = Decimal(format(number, "f"))
    return number


def amount(row: Mapping[str, Any], key: str) -> Decimal:
    """Read a number where no value means 0."""
    value = as_decimal(row.get(key), key)
    return ZERO if value is None else value


def required(row: Mapping[str, Any], key: str) -> Decimal:
    """Read a number that must be there."""
    value = as_decimal(row.get(key), key)
    if value is None:
        raise WireError(f"{key} is missing")
    return value


def price(row: Mapping[str, Any], key: str) -> Decimal | None:
    """Read a price; "", "0" and "0.00" are None."""
    value = as_decimal(row.get(key), key)
    return value or None


def integer(row: Mapping[str, Any], key: str, default: int = 0) -> int:
    """Read a whole number (times in ms, indexes); no value is `default`."""
    value = row.get(key)
    if type(value) is int and -TIME_MAX < value < TIME_MAX:
        return value
    if type(value) is str and _DIGITS.fullmatch(value):
        return int(value)
    number = as_decimal(value, key)
    if number is None:
        return default
    if number != number.to_integral_value(context=_WIDE) or abs(number) >= TIME_MAX:
        raise _unreadable(key, value)
    return int(number)


def flag(row: Mapping[str, Any], key: str) -> bool:
    """Read a truth value; missing is False."""
    value = row.get(key)
    if value is None or isinstance(value, bool):
        return bool(value)
    said = _FLAGS.get(str(value).lower()) if isinstance(value, str | int) else None
    if said is None:
        raise _unreadable(key, value)
    return said


def text(row: Mapping[str, Any], key: str) -> str:
    """Read a text; missing is "", a number is its spelling."""
    value = row.get(key)
    if type(value) is str:
        return value
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if value.bit_length() < 4 * NUMBER_CHARS_MAX else "?"
    raise _unreadable(key, value)


def word(row: Mapping[str, Any], key: str) -> str:
    """Read a word of the venue's; "UNKNOWN" and missing are ""."""
    value = text(row, key)
    return "" if value in NO_WORD else value


def name(row: Mapping[str, Any], key: str) -> str:
    """Read a text that must be there."""
    value = text(row, key)
    if not value:
        raise WireError(f"{key} is missing")
    return value


def _unreadable(key: str, value: Any) -> WireError:
    shown = f"{value!r:.80}" if isinstance(value, str | int | float | Decimal) else type(value)
    return WireError(f"{key} cannot be read", why=str(shown)[:200])


# ---------------------------------------------------------------------------- pages


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list: what could be read, how many rows could not, where the next begins.

    `cursor` is passed back verbatim (it comes percent-encoded); "" = this was the last page.
    """

    items: list[T]
    bad: int
    cursor: str = ""
    unread: tuple[UnreadRow, ...] = ()  # the bad ones, named as far as they can be


def read_rows(rows: Any, reader: Callable[[Any], T]) -> Page[T]:
    """Read rows one by one; an unreadable row costs only itself and is counted."""
    items: list[T] = []
    unread: list[UnreadRow] = []
    for row in as_list(rows):
        try:
            items.append(reader(row))
        except WireError as error:
            unread.append(_unread(row, error))
    return Page(items, len(unread), "", tuple(unread))


def _unread(row: Any, error: WireError) -> UnreadRow:
    """Name a row that cannot be read by what of it can."""
    got = row if isinstance(row, dict) else {}

    def said(key: str) -> str:
        value = got.get(key)
        return value if isinstance(value, str) and len(value) <= NUMBER_CHARS_MAX else ""

    time = said("execTime")
    return UnreadRow(
        why=f"{error.what}{f': {error.why}' if error.why else ''}"[:200],
        symbol=said("symbol"),
        order_id=said("orderId"),
        order_link_id=said("orderLinkId"),
        exec_id=said("execId"),
        ts=int(time) if _DIGITS.fullmatch(time) else 0,
    )


def read_page(result: Any, reader: Callable[[Any], T]) -> Page[T]:
    """Read the `result` of a list endpoint: its rows and its cursor."""
    body = as_row(result)
    page = read_rows(body.get("list"), reader)
    return Page(page.items, page.bad, text(body, "nextPageCursor"), page.unread)


# ---------------------------------------------------------------------------- writing


def plain(value: Decimal | None, none: str = "") -> str:
    """Write a number without exponent and without losing a digit; no value is `none`.

    >>> plain(Decimal("1E-7")), plain(Decimal("-0.00")), plain(None)
    ('0.0000001', '0', '')
    """
    if value is None:
        return none
    return format(value, "f") if value else "0"


def product(a: Decimal, b: Decimal) -> Decimal:
    """Multiply exactly, whatever the caller's decimal context."""
    return _WIDE.multiply(a, b)


def plus(a: Decimal, b: Decimal) -> Decimal:
    """Add exactly, whatever the caller's decimal context."""
    return _WIDE.add(a, b)


def minus(a: Decimal, b: Decimal) -> Decimal:
    """Subtract exactly, whatever the caller's decimal context."""
    return _WIDE.subtract(a, b)


def mean(total: Decimal, count: Decimal) -> Decimal:
    """Divide as the venue shows it: 16 significant digits, no trailing zeros."""
    return Decimal(format(_SHOWN.divide(total, count).normalize(_SHOWN), "f"))


def known(rows: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """Return every field name used by any of the rows."""
    return frozenset(key for row in rows for key in row)
