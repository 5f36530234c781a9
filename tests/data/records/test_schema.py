"""Migrations, what refuses to run on which schema, and rows that nobody can change."""

import asyncio
import sqlite3
import subprocess
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import exc, inspect, text

from data.records import migrate, schema
from data.records.migrate import script_config, upgrade_in
from data.records.opening import (
    database_state,
    open_inline,
    open_store,
    parse,
    shown,
    upgrade_database,
)
from data.records.postgres import postgres_engine
from data.records.rows import Committed
from data.records.schema import create_all, schema_state
from data.records.sqlite import inline_engine
from data.records.tables import APPEND_ONLY, REVISIONS, metadata
from engine.errors import DataError
from tests.data.records import make


def _differences(connection) -> list:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return [d for d in compare_metadata(context, metadata) if "alembic_version" not in str(d)]


def _triggers(connection) -> list[tuple[str, str]]:
    query = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY name"
    return [tuple(row) for row in connection.execute(text(query))]


def test_the_migrations_make_exactly_the_tables_of_the_code():
    made, migrated = inline_engine(None), inline_engine(None)
    with made.begin() as one, migrated.begin() as two:
        create_all(one)
        before, after = upgrade_in(two)
        assert (before.standing, after.standing) == ("empty", "current")
        assert _differences(one) == _differences(two) == []
        assert _triggers(one) == _triggers(two)
        assert len(_triggers(one)) == 2 * len(APPEND_ONLY)
        assert [s.standing for s in upgrade_in(two)] == ["current", "current"]
    made.dispose()
    migrated.dispose()


async def test_the_migrations_make_the_same_in_postgresql(pg_url):
    engine = postgres_engine(parse(pg_url))
    async with engine.connect() as connection:
        assert await connection.run_sync(_differences) == []
    await engine.dispose()


def test_the_code_knows_every_migration():
    scripts = ScriptDirectory.from_config(script_config())
    assert tuple(s.revision for s in reversed(list(scripts.walk_revisions()))) == REVISIONS


@pytest.mark.parametrize("what", ["missing", "empty", "older", "newer", "strange"])
async def test_only_its_own_schema_is_opened(tmp_path, clock, monkeypatch, what):
    path = tmp_path / "zion.db"
    url = f"sqlite:///{path}"
    if what in {"older", "newer"}:
        await open_inline(path, clock).close()
        with sqlite3.connect(path) as c:
            c.execute("UPDATE alembic_version SET version_num = ?", (f"{what}-one",))
        c.close()
        monkeypatch.setattr(schema, "REVISIONS", ("older-one", *REVISIONS))
    elif what == "strange":
        with sqlite3.connect(path) as c:
            c.execute("CREATE TABLE trades (id)")
        c.close()
    elif what == "empty":
        path.touch()
    with pytest.raises(DataError) as caught:
        await open_store(url, clock)
    expected = {"newer": "newer version", "strange": "no revision"}.get(what, "wanted is")
    assert expected in caught.value.what
    assert path.exists() == (what != "missing")
    if what == "newer":
        with pytest.raises(DataError, match="newer version"):
            await upgrade_database(url)
        with pytest.raises(DataError, match="newer version"):
            open_inline(path, clock)
    if what in {"missing", "empty"}:
        store = await open_store(url, clock, upgrade=True)
        await make.start(store)
        await store.close()
        assert (await database_state(url)).standing == "current"


def test_two_processes_that_upgrade_at_once_do_no_harm(tmp_path):
    path = tmp_path / "deep" / "zion.db"
    program = (
        "import asyncio, sys\n"
        "from data.records.opening import upgrade_database\n"
        "print(asyncio.run(upgrade_database(sys.argv[1]))[1].standing)\n"
    )
    command = [sys.executable, "-c", program, f"sqlite:///{path}"]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603
        for _ in range(2)
    ]
    said = [process.communicate(timeout=120)[0].strip() for process in both]
    assert said == ["current", "current"]
    assert [process.returncode for process in both] == [0, 0]


async def test_upgrades_of_postgresql_wait_for_each_other(pg_url):
    engine = postgres_engine(parse(pg_url), timeouts=False)
    async with engine.begin() as connection:
        await connection.execute(text("DROP SCHEMA public CASCADE"))
        await connection.execute(text("CREATE SCHEMA public"))
    await engine.dispose()
    states = await asyncio.gather(*(upgrade_database(pg_url) for _ in range(3)))
    assert sorted(before.standing for before, _ in states) == ["current", "current", "empty"]
    assert {after.standing for _, after in states} == {"current"}


@pytest.mark.parametrize("table", APPEND_ONLY)
@pytest.mark.parametrize("statement", ["UPDATE {} SET user_id = user_id", "DELETE FROM {}"])
async def test_what_only_grows_refuses_a_change(tmp_path, clock, pg_url, table, statement):
    path = tmp_path / "zion.db"
    for url in (f"sqlite:///{path}", pg_url):
        if url != pg_url:
            await open_inline(path, clock).close()
        store = await open_store(url, clock)
        await make.start(store)
        done = await store.commit(make.commit(records=(make.execution(), make.audit())))
        assert isinstance(done, Committed)
        async with store._engine.connect() as connection:
            with pytest.raises(exc.DBAPIError, match="append-only"):
                await connection.execute(text(statement.format(table)))
        await store.close()


async def test_postgresql_does_not_even_truncate(pg_url):
    engine = postgres_engine(parse(pg_url))
    async with engine.connect() as connection:
        with pytest.raises(exc.DBAPIError, match="append-only"):
            await connection.execute(text("TRUNCATE audit"))
    await engine.dispose()


def test_no_column_holds_a_secret():
    words = ("secret", "password", "api_key", "token", "private")
    for table in metadata.tables.values():
        assert not [c.name for c in table.columns if any(w in c.name for w in words)]


@pytest.mark.parametrize(
    "url",
    [
        "hunter2",
        "mysql://u:hunter2@h/d",
        "sqlite://",
        "postgresql://u:hunter2@h:port/d",
        "postgresql://u:hunter2@/d?host=/nowhere",
    ],
)
async def test_an_address_that_cannot_be_used_is_told_without_its_password(clock, url):
    with pytest.raises(DataError) as caught:
        await open_store(url, clock)
    told = f"{caught.value.what} {caught.value.why} {caught.value.hint} {caught.value!r}"
    assert "hunter2" not in told
    assert caught.value.hint or caught.value.why
    assert caught.value.__cause__ is None


def test_an_address_is_shown_without_its_password():
    assert shown("postgres://u:hunter2@h:5/d") == "postgres://u:***@h:5/d"
    assert shown("memory:") == "memory:"


async def test_half_an_upgrade_is_none(tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path / 'zion.db'}"
    monkeypatch.setattr(migrate, "schema_state", _fails_the_second_time())
    with pytest.raises(RuntimeError, match="power"):
        await upgrade_database(url)
    monkeypatch.undo()
    engine = inline_engine(tmp_path / "zion.db")
    with engine.connect() as connection:
        assert inspect(connection).get_table_names() == []
    engine.dispose()


def _fails_the_second_time():
    calls = []

    def state(connection):
        calls.append(1)
        if len(calls) > 1:
            raise RuntimeError("power")
        return schema_state(connection)

    return state
