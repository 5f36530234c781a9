"""Money at rest: exact, written one way only."""

from decimal import Context, Decimal, Inexact

import msgspec

from engine.errors import DataError

# The interpreter's 28 digits would round a long sum; a rounded balance is an error, not a balance.
_EXACT = Context(prec=200, traps=[Inexact])


def add(first: Decimal, second: Decimal) -> Decimal:
    """Return the exact sum."""
    return plain(_EXACT.add(first, second))


def plain(value: Decimal) -> Decimal:
    """Return the same number without an exponent, as both databases give it back.

    Raises
    ------
    DataError
        NaN and infinities are no money.
    """
    if not value.is_finite():
        raise DataError(f"{value} is no amount", why="only finite numbers are stored")
    if not value:
        value = value.copy_abs()  # -0 is 0
    return value if "E" not in str(value) else Decimal(format(value, "f"))


def plain_money(record: msgspec.Struct) -> msgspec.Struct:
    """Return the struct with every Decimal field in its plain form."""
    changed = {}
    for name in record.__struct_fields__:
        value = getattr(record, name)
        if isinstance(value, Decimal):
            same = plain(value)
            if same is not value:
                changed[name] = same
    return msgspec.structs.replace(record, **changed) if changed else record
