"""How the door reads one parameter: typed, or refused with the venue's code and words."""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import StrEnum
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from engine.venue.wire.fields import BadRequest, WireError, as_decimal

PARAMETER_ERROR = 10001
LINK_ID_MAX = 36
TEXT_MAX = 256
CATEGORIES = frozenset({"linear", "inverse", "spot", "option"})

_LINK_ID = re.compile(r"[A-Za-z0-9_-]+")
_SYMBOL = re.compile(r"[A-Z0-9-]{1,40}")
_WORDS = {
    "category": "Illegal category",
    "symbol": "params error: symbol invalid",
    "qty": "Qty invalid",
    "price": "Price invalid",
    "side": "Side invalid",
    "orderType": "OrderType invalid",
    "timeInForce": "TimeInForce invalid",
    "triggerDirection": "TriggerDirection invalid",
    "positionIdx": "position idx not match position mode",
}

E = TypeVar("E", bound=StrEnum)
R = TypeVar("R")
P = ParamSpec("P")
Params = Mapping[str, Any]


class _Refusal(Exception):  # noqa: N818 - never leaves this package: `door` turns it into a value
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.bad = BadRequest(code, message)


def door(
    read: Callable[Concatenate[Params, P], R],
) -> Callable[Concatenate[Any, P], R | BadRequest]:
    """Make a reader answer every unreadable request with a `BadRequest`, and never raise."""

    @wraps(read)
    def guarded(params: Any, /, *args: P.args, **kwargs: P.kwargs) -> R | BadRequest:
        if params is None:
            params = {}
        if not isinstance(params, Mapping):
            return BadRequest(PARAMETER_ERROR, "Request parameter error")
        try:
            return read(params, *args, **kwargs)
        except _Refusal as refusal:
            return refusal.bad

    return guarded


def refuse(message: str, code: int = PARAMETER_ERROR) -> Exception:
    """Return what to raise for a request that means nothing."""
    return _Refusal(code, message)


def invalid(name: str) -> Exception:
    """Return what to raise for a parameter that cannot be read."""
    return _Refusal(PARAMETER_ERROR, _WORDS.get(name, f"params error: {name} invalid"))


def read_text(params: Params, name: str, default: str = "") -> str:
    """Read a text; missing and null are `default`."""
    value = params.get(name)
    if value is None:
        return default
    if not isinstance(value, str) or len(value) > TEXT_MAX:
        raise invalid(name)
    return value


def read_symbol(params: Params, name: str = "symbol", *, needed: bool = True) -> str:
    """Read a symbol (upper case only); "" where it may be left out."""
    value = read_text(params, name)
    if not value and not needed:
        return ""
    if not _SYMBOL.fullmatch(value):
        raise invalid(name)
    return value


def read_link_id(params: Params, name: str = "orderLinkId") -> str:
    """Read a link id: at most 36 of letters, digits, dash, underscore."""
    value = read_text(params, name)
    if len(value) > LINK_ID_MAX:
        raise refuse(f"order link id is longer than {LINK_ID_MAX}")
    if value and not _LINK_ID.fullmatch(value):
        raise invalid(name)
    return value


def read_category(params: Params, *, only_linear: bool = True) -> str:
    """Read the category; where something is done, only linear is."""
    value = read_text(params, "category")
    if value not in CATEGORIES or (only_linear and value != "linear"):
        raise invalid("category")
    return value


def read_word(params: Params, name: str, words: type[E], default: E | None = None) -> E:
    """Read one of the venue's words; missing or "" is `default`, where there is one."""
    found = read_word_or_none(params, name, words)
    if found is not None:
        return found
    if default is None:
        raise invalid(name)
    return default


def read_word_or_none(params: Params, name: str, words: type[E]) -> E | None:
    """Read one of the venue's words; missing or "" is None."""
    value = read_text(params, name)
    if not value:
        return None
    try:
        return words(value)
    except ValueError:
        raise invalid(name) from None


def read_number(params: Params, name: str) -> Decimal | None:
    """Read a number, given as text or as a JSON number; missing or "" is None."""
    try:
        return as_decimal(params.get(name), name)
    except WireError:
        raise invalid(name) from None


def read_at_least_zero(params: Params, name: str) -> Decimal | None:
    """Read a number that may not be negative; missing or "" is None."""
    value = read_number(params, name)
    if value is not None and value < 0:
        raise invalid(name)
    return value


def read_positive(params: Params, name: str) -> Decimal | None:
    """Read a price: "", "0" and missing are None, negative is refused."""
    return read_at_least_zero(params, name) or None


def needed_number(params: Params, name: str) -> Decimal:
    """Read a number that must be there and not be negative."""
    value = read_at_least_zero(params, name)
    if value is None:
        raise invalid(name)
    return value


def read_whole(params: Params, name: str, default: int | None = None) -> int:
    """Read a whole number; missing is `default`, where there is one."""
    value = read_number(params, name)
    if value is None:
        if default is None:
            raise invalid(name)
        return default
    if value.as_tuple().exponent != 0 or abs(value) >= 1 << 63:
        raise invalid(name)
    return int(value)


def read_choice(params: Params, name: str, choices: range, default: int | None = None) -> int:
    """Read a whole number out of a few."""
    value = read_whole(params, name, default)
    if value not in choices:
        raise invalid(name)
    return value


def read_flag(params: Params, name: str) -> bool:
    """Read a truth value, as JSON or as a word; missing is False."""
    value = params.get(name)
    if value is None or value == "":
        return False
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise invalid(name)
