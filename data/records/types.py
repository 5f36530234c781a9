"""Column types that come back exactly as they went in, on both databases."""

from decimal import Decimal
from typing import Any

from sqlalchemy import Dialect, LargeBinary, Numeric, Text
from sqlalchemy.types import TypeDecorator, TypeEngine

from data.records.money import plain

Blob = LargeBinary


class Exact(TypeDecorator[Decimal]):
    """A Decimal to its last digit: NUMERIC in PostgreSQL, plain text in SQLite.

    SQLite has no exact number. Text sorts by its signs, so SQL never orders or sums by it.
    """

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Pick the database's own type."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(Numeric(asdecimal=True))
        return dialect.type_descriptor(Text())

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        """Write the plain form."""
        if value is None:
            return None
        exact = plain(value)
        return exact if dialect.name == "postgresql" else format(exact, "f")

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:  # noqa: ARG002
        """Read the same digits."""
        return None if value is None else plain(Decimal(value))


class BigNumber(TypeDecorator[int]):
    """An integer of any size as text: hashes of 64 bits do not fit a signed BIGINT."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Write the digits."""
        return None if value is None else str(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:  # noqa: ARG002
        """Read the digits."""
        return None if value is None else int(value)
