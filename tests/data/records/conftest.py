"""The stores that must all keep the one contract."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from data.records.memory import MemoryStore
from data.records.opening import open_inline, open_store, parse, upgrade_database
from data.records.port import Store
from data.records.postgres import postgres_engine
from data.records.tables import guards, metadata
from live.clock import ManualClock
from tests.data.records.make import NOW
from tests.data.records.pgserver import PgServer, running_server

KINDS = ("memory", "inline", "sqlite", "postgres")


@pytest.fixture(scope="session")
def pg_server() -> Iterator[PgServer]:
    """One server a test process."""
    with running_server() as server:
        yield server


@pytest.fixture
async def pg_url(pg_server: PgServer) -> str:
    """Return the address of an empty, upgraded database."""
    return await _emptied(pg_server)


async def _emptied(server: PgServer) -> str:
    url = server.url()
    if not server.prepared:
        await _prepare(url)
        server.prepared = True
    engine = postgres_engine(parse(url))
    async with engine.begin() as connection:
        await connection.run_sync(_empty)
    await engine.dispose()
    return url


async def _prepare(url: str) -> None:
    # The tests fell processes, never the machine: what fsync guards against cannot happen.
    engine = postgres_engine(parse(url)).execution_options(isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text("ALTER SYSTEM SET fsync = off"))
        await connection.execute(text("SELECT pg_reload_conf()"))
    await engine.dispose()
    await upgrade_database(url)


def _empty(c: Connection) -> None:
    c.execute(text("SET LOCAL session_replication_role = replica"))  # the triggers look away
    c.execute(text(f"TRUNCATE {', '.join(metadata.tables)}"))
    for statement in guards("postgresql"):
        if statement.startswith("INSERT"):
            c.execute(text(statement))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture(params=KINDS)
async def store(
    request: pytest.FixtureRequest, clock: ManualClock, tmp_path: Path
) -> AsyncIterator[Store]:
    made = await _made(request, clock, tmp_path)
    yield made
    await made.close()


async def _made(request: pytest.FixtureRequest, clock: ManualClock, folder: Path) -> Store:
    if request.param == "memory":
        return MemoryStore(clock)
    if request.param == "inline":
        return open_inline(None, clock)
    if request.param == "sqlite":
        path = folder / "zion.db"
        await open_inline(path, clock, durable=False).close()  # the tables, without alembic
        return await open_store(f"sqlite:///{path}", clock)
    return await open_store(await _emptied(request.getfixturevalue("pg_server")), clock)
