"""Which schema a database has, and whether this code may work on it."""

import msgspec
from sqlalchemy import Connection, inspect, text

from data.records.tables import REVISIONS, metadata
from engine.errors import DataError


class SchemaState(msgspec.Struct, frozen=True, kw_only=True):
    """What a database was found to be."""

    found: str  # its revision; "" without one
    wanted: str = REVISIONS[-1]

    @property
    def standing(self) -> str:
        """`current`, `empty`, `older` or `newer`."""
        if self.found == self.wanted:
            return "current"
        if not self.found:
            return "empty"
        return "older" if self.found in REVISIONS else "newer"


def schema_state(c: Connection) -> SchemaState:
    """Read a database's revision.

    Raises
    ------
    DataError
        It has tables of our names and no revision: somebody else's, or half of a copy.
    """
    names = set(inspect(c).get_table_names())
    if "alembic_version" not in names:
        strange = sorted(names & set(metadata.tables))
        if strange:
            raise DataError(
                f"the database has a table {strange[0]!r} and no revision",
                why="it was not made by zion db upgrade",
                hint="DATABASE_URL must name a database of its own",
            )
        return SchemaState(found="")
    found = c.execute(text("SELECT version_num FROM alembic_version")).scalars().all()
    return SchemaState(found=found[0] if found else "")


def demand_current(state: SchemaState) -> None:
    """Refuse any schema but this code's own.

    Raises
    ------
    DataError
        Older, newer or empty; says what to do.
    """
    if state.standing == "newer":
        raise newer(state)
    if state.standing != "current":
        raise DataError(
            f"the database's schema is {state.found or 'empty'}, wanted is {state.wanted}",
            hint="zion db upgrade",
        )


def newer(state: SchemaState) -> DataError:
    """Return the refusal of old code on a new schema."""
    return DataError(
        f"the database was made by a newer version (schema {state.found})",
        why=f"this code knows schemas up to {state.wanted}; it would break what it does not know",
        hint="install the version that made it, or name another database",
    )


def create_all(c: Connection) -> None:
    """Make everything at once, as the migrations would: for simulations and tests."""
    metadata.create_all(c)
    c.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
    c.execute(text("INSERT INTO alembic_version VALUES (:found)"), {"found": REVISIONS[-1]})
