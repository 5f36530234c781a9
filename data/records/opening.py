"""From `DATABASE_URL` to a store."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sqlalchemy import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine

from data.records.errors import unavailable
from data.records.memory import MemoryStore
from data.records.port import Store, StoreClock
from data.records.postgres import PostgresStore, postgres_engine
from data.records.schema import SchemaState, create_all, demand_current, schema_state
from data.records.sqlite import InlineSqliteStore, SqliteStore, inline_engine, sqlite_engine
from engine.errors import DataError

T = TypeVar("T")
MEMORY = "memory:"  # forgets everything: tests and trials
_HINT = "sqlite:///path/to/zion.db, or postgresql://user:password@host/name"


async def open_store(url: str, clock: StoreClock, *, upgrade: bool = False) -> Store:
    """Open the store that an address names.

    Parameters
    ----------
    url : str
        `sqlite:///FILE`, `postgresql://...`, or `memory:`.
    clock : StoreClock
        Decides about leases, but for PostgreSQL, whose own does.
    upgrade : bool
        Bring the schema up to date first, instead of refusing an older one.

    Raises
    ------
    DataError
        The address cannot be used, nobody answers there, or the schema is another one.
        Never carries the address's password.
    """
    if url == MEMORY:
        return MemoryStore(clock)
    parsed = parse(url)
    state = await database_state(url)
    if upgrade and state.standing in {"empty", "older"}:
        _, state = await upgrade_database(url)
    demand_current(state)
    engine = _engine(parsed, timeouts=True)
    if is_sqlite(parsed):
        return SqliteStore(engine, clock)
    return PostgresStore(engine, clock)


def open_inline(path: Path | None, clock: StoreClock, *, durable: bool = True) -> Store:
    """Open SQLite without a driver's thread, for simulations; None: in memory.

    Parameters
    ----------
    path : Path, optional
        The file; made with this code's schema when it is not there.
    clock : StoreClock
        Decides about leases.
    durable : bool
        False: the machine's own fall may lose commits, the process's own cannot.
    """
    engine = inline_engine(path, durable=durable)
    with engine.begin() as connection:
        state = schema_state(connection)
        if state.standing == "empty":
            create_all(connection)
        else:
            demand_current(state)
    return InlineSqliteStore(engine, clock)


async def database_state(url: str) -> SchemaState:
    """Return which schema a database has; a missing SQLite file is empty, and stays missing."""
    parsed = parse(url)
    if _is_missing(parsed):
        return SchemaState(found="")
    return await _in(parsed, schema_state)


async def upgrade_database(url: str) -> tuple[SchemaState, SchemaState]:
    """Bring a database to this code's schema; return what was found and what is now."""
    from data.records.migrate import upgrade_in  # alembic takes a second to import

    parsed = parse(url)
    _make_folder(parsed)
    return await _in(parsed, upgrade_in)


def parse(url: str) -> URL:
    """Read an address.

    Raises
    ------
    DataError
        It is none, or of a database we do not know; the text itself is not repeated.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise DataError("DATABASE_URL is no database's address", hint=_HINT) from None
    name = parsed.drivername.split("+")[0]
    if name not in {"sqlite", "postgresql", "postgres"}:
        raise DataError(f"DATABASE_URL: no store for {name!r}", hint=_HINT)
    if name == "sqlite" and parsed.database in {None, "", ":memory:"}:
        raise DataError("DATABASE_URL: SQLite needs a file", hint=_HINT)
    return parsed


def shown(url: str) -> str:
    """Return an address as it may be shown: without its password."""
    return url if url == MEMORY else parse(url).render_as_string(hide_password=True)


def is_sqlite(url: URL) -> bool:
    """Return whether an address is a file's."""
    return url.drivername.startswith("sqlite")


def _is_missing(url: URL) -> bool:
    return is_sqlite(url) and not Path(str(url.database)).exists()


def _make_folder(url: URL) -> None:
    if is_sqlite(url):
        Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)


def _engine(url: URL, *, timeouts: bool) -> AsyncEngine:
    if is_sqlite(url):
        return sqlite_engine(Path(str(url.database)))
    return postgres_engine(url, timeouts=timeouts)


async def _in(url: URL, work: Callable[[Connection], T]) -> T:
    engine = _engine(url, timeouts=False)
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(work)
    except DataError:
        raise
    except Exception as error:
        trouble = unavailable(error)
        if trouble is None:
            raise
        where = url.render_as_string(hide_password=True)
        raise DataError(f"the database {where} cannot be used", why=trouble.reason) from None
    finally:
        await engine.dispose()
