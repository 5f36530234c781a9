"""Small words of the statements: upserts in both dialects, rows to values and back."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast

import msgspec
from sqlalchemy import Connection, Table
from sqlalchemy.dialects.postgresql import insert as insert_postgres
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlalchemy.sql.dml import Insert

T = TypeVar("T")
CHUNK = 2000  # keys in one statement: both databases allow about 32,000 parameters

Dialects = Mapping[str, Insert]


def upsert(table: Table, keep: Sequence[str] = ()) -> Dialects:
    """Return inserts that replace the row of the same key, but for its key and `keep`."""
    key = [column.name for column in table.primary_key]
    changed = [c.name for c in table.columns if c.name not in key and c.name not in keep]
    return _both(
        lambda insert: insert.on_conflict_do_update(
            index_elements=key, set_={name: insert.excluded[name] for name in changed}
        ),
        table,
    )


def insert_once(table: Table) -> Dialects:
    """Return inserts that leave the row of the same key as it is."""
    key = [column.name for column in table.primary_key]
    return _both(lambda insert: insert.on_conflict_do_nothing(index_elements=key), table)


def _both(make: Callable[[Any], Insert], table: Table) -> Dialects:
    return {
        "sqlite": make(insert_sqlite(table)),
        "postgresql": make(insert_postgres(table)),
    }


def run_many(c: Connection, statement: Dialects | Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """Execute once for every row; nothing for none."""
    if rows:
        chosen = statement[c.dialect.name] if isinstance(statement, Mapping) else statement
        c.execute(chosen, rows)


def facts(row: msgspec.Struct) -> dict[str, Any]:
    """Return a value's fields by name."""
    return {name: getattr(row, name) for name in row.__struct_fields__}


def many(kind: type[T], c: Connection, query: Any) -> list[T]:
    """Return rows as values: their columns are the value's fields."""
    return [kind(**cast(dict[str, Any], row)) for row in c.execute(query).mappings()]


def one(kind: type[T], c: Connection, query: Any) -> T | None:
    """Return the one row as a value, None when there is none."""
    found = many(kind, c, query)
    return found[0] if found else None


def chunks(keys: Iterable[T]) -> Iterator[list[T]]:
    """Yield sorted keys in pieces that fit one statement: one order of locks for everybody."""
    ordered = sorted(set(keys))  # type: ignore[type-var]
    for start in range(0, len(ordered), CHUNK):
        yield ordered[start : start + CHUNK]
