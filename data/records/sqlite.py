"""SQLite: one file, written through (WAL, synchronous=FULL), foreign keys on."""

from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, StaticPool, create_engine, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from data.records.base import options
from data.records.port import StoreClock
from data.records.running import AsyncStore, InlineStore

BUSY_TIMEOUT_MS = 5000  # how long a writer waits for another process's transaction
_CONNECTIONS = 4  # one writes, the others read beside it

# A transaction that will write takes the write lock at once: one that read first and then cannot
# have it would fail whatever it waited.
READING = {"sqlite_begin": "BEGIN"}
WRITING = {"sqlite_begin": "BEGIN IMMEDIATE"}


def _prepare(engine: Engine, *, durable: bool) -> None:
    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions are begun below, not by the driver
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            "journal_mode=WAL",
            f"synchronous={'FULL' if durable else 'OFF'}",
            "foreign_keys=ON",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        given = connection.get_execution_options()
        connection.exec_driver_sql(given.get("sqlite_begin", "BEGIN IMMEDIATE"))


def sqlite_engine(path: Path) -> AsyncEngine:
    """Return an engine on a file; it is made when it is not there."""
    url = URL.create("sqlite+aiosqlite", database=str(path))
    engine = create_async_engine(url, **options(pool_size=_CONNECTIONS, max_overflow=0))
    _prepare(engine.sync_engine, durable=True)
    return engine


def inline_engine(path: Path | None, *, durable: bool = True) -> Engine:
    """Return a synchronous engine on a file, or in memory."""
    more: dict[str, Any] = {"connect_args": {"check_same_thread": False}}
    if path is None:
        more["poolclass"] = StaticPool  # in memory there is one database a connection
    url = URL.create("sqlite", database=str(path) if path else ":memory:")
    engine = create_engine(url, **options(**more))
    _prepare(engine, durable=durable)
    return engine


class SqliteStore(AsyncStore):
    """The store on a file."""

    def __init__(self, engine: AsyncEngine, clock: StoreClock) -> None:
        super().__init__(engine, clock, reading=READING, writing=WRITING)


class InlineSqliteStore(InlineStore):
    """The same tables and statements without a driver's thread: for simulations."""

    def __init__(self, engine: Engine, clock: StoreClock) -> None:
        super().__init__(engine, clock, reading=READING, writing=WRITING)
