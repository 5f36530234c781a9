"""What the market says must be numbers: a recording of anything else could not be read again. Pure.

JSON has no NaN. A quote that is none is left out of its message; a bar or a breakout that is none
is an error, and its message is put aside.
"""

from math import isfinite
from typing import Any

import msgspec

from engine.account import messages as m
from engine.account.signal import Quote


def is_finite(value: Any) -> bool:
    """Tell whether every float of a value, of its parts and lists too, is a number."""
    if isinstance(value, float):
        return isfinite(value)
    if isinstance(value, tuple):
        return all(is_finite(part) for part in value)
    if isinstance(value, msgspec.Struct):
        return all(is_finite(getattr(value, name)) for name in value.__struct_fields__)
    return True


def sound(message: m.Message) -> m.Message | None:
    """Return a message without what is no number; None: nothing is left of it.

    Raises
    ------
    ValueError
        The bar, or the breakout itself, is not made of numbers.
    """
    match message:
        case m.QuoteSeen():
            return message if is_finite(message.quote) else None
        case m.BarClosed():
            kept: m.Message = msgspec.structs.replace(message, quote=_kept(message.quote))
        case m.SignalHeard(signal=signal):
            signal = msgspec.structs.replace(signal, quote=_kept(signal.quote))
            kept = msgspec.structs.replace(message, signal=signal, quote=_kept(message.quote))
        case m.RegimeSeen():
            kept = message
        case _:
            return message
    if not is_finite(kept):
        raise ValueError(f"{type(message).__name__}: not every number is one")
    return kept


def _kept(quote: Quote | None) -> Quote | None:
    return quote if is_finite(quote) else None
