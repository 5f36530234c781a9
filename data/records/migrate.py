"""Bringing a database to this code's schema. Two processes at once are harmless."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from data.records.schema import SchemaState, newer, schema_state

_SCRIPTS = Path(__file__).parent / "migrations"
_LOCK = 0x5A10  # of PostgreSQL's advisory locks; SQLite's write transaction is one itself


def script_config(connection: Connection | None = None) -> Config:
    """Return alembic's settings: our scripts, the caller's connection."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    return config


def upgrade_in(c: Connection) -> tuple[SchemaState, SchemaState]:
    """Upgrade within the caller's transaction; return what was found and what is now.

    Raises
    ------
    DataError
        The schema is newer than this code.
    """
    if c.dialect.name == "postgresql":
        c.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    before = schema_state(c)
    if before.standing == "newer":
        raise newer(before)
    if before.standing != "current":
        command.upgrade(script_config(c), "head")
    return before, schema_state(c)
