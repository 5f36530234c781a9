"""What databases do wrong becomes a value that says what to do; races have one winner."""

import asyncio
import shutil
import sqlite3

import pytest
from sqlalchemy import event, text

from data.records import sqlite as sqlite_store
from data.records.opening import open_inline, open_store
from data.records.rows import Committed, Conflict, Fenced, Lease, LeaseHeld, Unavailable
from tests.data.records import make
from tests.data.records.make import ANN, BOB, NOW


@pytest.fixture
async def path(tmp_path, clock):
    path = tmp_path / "zion.db"
    store = open_inline(path, clock, durable=False)
    await make.start(store)
    await store.close()
    return path


@pytest.fixture(params=["inline", "sqlite"])
async def on_file(request, path, clock, monkeypatch):
    monkeypatch.setattr(sqlite_store, "BUSY_TIMEOUT_MS", 1)
    if request.param == "inline":
        store = open_inline(path, clock)
    else:
        store = await open_store(f"sqlite:///{path}", clock)
    yield store
    await store.close()


def _sync(store):
    return getattr(store._engine, "sync_engine", store._engine)


async def test_a_lock_that_stays_is_locked_and_one_that_goes_is_waited_out(on_file, path):
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    done = await on_file.commit(make.commit())
    assert isinstance(done, Unavailable)
    assert (done.kind, done.maybe_committed) == ("locked", False)
    assert (await on_file.load(ANN)).version == 0  # reading goes on beside a writer

    tries = []

    def begun(_connection, _cursor, statement, *_rest):
        tries.append(statement)
        if tries.count("BEGIN IMMEDIATE") == 3:  # within the bounded number of whole new ones
            other.rollback()

    event.listen(_sync(on_file), "before_cursor_execute", begun)
    assert isinstance(await on_file.commit(make.commit()), Committed)
    assert tries.count("BEGIN IMMEDIATE") == 3
    other.close()


async def test_a_full_disk_is_full_and_what_was_written_stays(on_file):
    def smallest(connection, *_):
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

    event.listen(_sync(on_file), "begin", smallest)
    state = bytes(range(256)) * 4096
    done = await on_file.commit(make.commit(state=state, records=(make.audit(),)))
    assert isinstance(done, Unavailable)
    assert (done.kind, done.maybe_committed) == ("full", False)
    event.remove(_sync(on_file), "begin", smallest)
    assert (await on_file.load(ANN)).version == 0
    assert len(await on_file.audit(ANN, 0, 9)) == 1


async def test_a_connection_lost_at_commit_is_unknown_and_settled_by_the_version(on_file):
    def lost(_connection):
        raise ConnectionResetError("gone")

    event.listen(_sync(on_file), "commit", lost)
    done = await on_file.commit(make.commit(records=(make.audit(),)))
    assert isinstance(done, Unavailable)
    assert (done.kind, done.maybe_committed) == ("unknown_commit", True)
    event.remove(_sync(on_file), "commit", lost)
    assert await on_file.version_of(ANN) == (0, "")  # here it did not happen
    assert isinstance(await on_file.commit(make.commit()), Committed)


async def test_a_file_that_was_scribbled_over_is_corrupt(path, clock):
    store = await open_store(f"sqlite:///{path}", clock)
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(bytes(n * 7 % 251 for n in range(size - 4096)))
    found = [await store.load(ANN), await store.commit(make.commit())]
    assert all(isinstance(x, Unavailable) and x.kind == "corrupt" for x in found), found
    await store.close()


async def test_a_state_edited_by_hand_is_not_started_from(on_file):
    await on_file.commit(make.commit(state=b'{"qty":"1"}'))
    edit = text("UPDATE engines SET state = :state WHERE user_id = :user")
    with sqlite3.connect(_sync(on_file).url.database) as c:
        c.execute(
            str(edit.compile()).replace(":state", "?").replace(":user", "?"), (b'{"qty":"9"}', ANN)
        )
    c.close()
    found = await on_file.load(ANN)
    assert isinstance(found, Unavailable)
    assert found.kind == "corrupt"
    assert "changed from outside" in found.reason


@pytest.mark.parametrize("poison", [make.audit("\ud800"), make.execution(exec_time=2**70)])
async def test_one_users_poison_is_nobody_elses(on_file, poison):
    await make.start(on_file, BOB)
    done = await on_file.commit_many(
        [make.commit(records=(poison,)), make.commit(user_id=BOB, records=(make.audit(),))]
    )
    assert isinstance(done[0], Unavailable)
    assert done[0].kind == "corrupt"
    assert isinstance(done[1], Committed)
    assert await on_file.version_of(ANN) == (0, "")


async def test_what_is_stored_never_shows_in_words(on_file):
    done = await on_file.commit(make.commit(records=(make.execution("hunter2", exec_time=2**70),)))
    assert "hunter2" not in repr(done)


# ---------------------------------------------------------------------------- races


@pytest.fixture(params=["sqlite", "postgres"])
async def two(request, tmp_path, clock):
    """Two processes' stores on one database."""
    if request.param == "postgres":
        from tests.data.records.conftest import _emptied

        url = await _emptied(request.getfixturevalue("pg_server"))
    else:
        await open_inline(tmp_path / "zion.db", clock, durable=False).close()
        url = f"sqlite:///{tmp_path / 'zion.db'}"
    stores = [await open_store(url, clock) for _ in range(2)]
    yield stores
    for store in stores:
        await store.close()


async def test_of_many_who_take_a_lease_one_has_it(two):
    taken = await asyncio.gather(*(two[n % 2].acquire(ANN, f"p{n}", 60_000) for n in range(8)))
    (lease,) = [x for x in taken if isinstance(x, Lease)]
    assert all(isinstance(x, LeaseHeld) and x.holder == lease.holder for x in taken if x != lease)


async def test_of_many_commits_of_one_version_one_is_written(two):
    await make.start(two[0])
    done = await asyncio.gather(
        *(two[n % 2].commit(make.commit(records=(make.execution(),))) for n in range(8))
    )
    assert len([x for x in done if isinstance(x, Committed)]) == 1
    assert len([x for x in done if isinstance(x, Conflict)]) == 7
    assert len(await two[1].ledger(ANN, 0, 9)) == 1


async def test_who_lost_the_lease_while_paused_is_fenced(two):
    """F64, F65: the old holder wakes up and writes; whatever the order, one epoch writes."""
    old = await make.start(two[0])
    await two[0].release([old])
    new = await two[1].acquire(ANN, "p2", 60_000)
    late, fresh = await asyncio.gather(
        two[0].commit(make.commit(epoch=old.epoch, intents=(make.intent("old"),))),
        two[1].commit(make.commit(epoch=new.epoch, intents=(make.intent("new"),))),
    )
    assert late == Fenced(epoch=new.epoch)
    assert isinstance(fresh, Committed)
    assert [row.link_id for row in (await two[0].load(ANN)).intents] == ["new"]


async def test_groups_that_name_the_same_users_in_other_orders_do_not_stand_still(two):
    users = [f"user-{n}" for n in range(12)]
    for user in users:
        await make.start(two[0], user)

    async def write(store, names):
        return await store.commit_many([make.commit(user_id=name) for name in names])

    done = await asyncio.gather(
        *(write(two[n % 2], users if n % 3 else users[::-1]) for n in range(4)),
        two[0].renew(await two[0].leases(), 60_000),
        two[1].renew(list(await two[1].leases())[::-1], 60_000),
    )
    outcomes = [x for group in done[:4] for x in group]
    assert len([x for x in outcomes if isinstance(x, Committed)]) == 12
    assert len([x for x in outcomes if isinstance(x, Conflict)]) == 36


# ---------------------------------------------------------------------------- PostgreSQL


async def test_a_server_that_is_killed_loses_nothing_that_was_confirmed(pg_server, pg_url, clock):
    store = await open_store(pg_url, clock)
    await make.start(store)
    assert isinstance(await store.commit(make.commit(records=(make.execution(),))), Committed)

    def kill(_connection):
        pg_server.kill()

    event.listen(_sync(store), "commit", kill)
    done = await store.commit(make.commit(1, records=(make.execution("e2"),)))
    assert isinstance(done, Unavailable)
    assert (done.kind, done.maybe_committed) == ("unknown_commit", True)
    event.remove(_sync(store), "commit", kill)

    gone = await store.commit(make.commit(1))
    assert isinstance(gone, Unavailable)
    assert (gone.kind, gone.maybe_committed) == ("down", False)
    reading = await store.trades(ANN, 9)
    assert isinstance(reading, Unavailable)
    await store.outbox_done(ANN, "a", delivered=True, attempts=1, next_ms=0)  # best effort

    await asyncio.to_thread(pg_server.start)
    version, _ = await store.version_of(ANN)
    assert version in {1, 2}
    rows = await store.executions(ANN, 0, 9)
    assert len(rows) == version
    assert isinstance(await store.commit(make.commit(version)), Committed)
    await store.close()


async def test_the_servers_clock_decides_about_leases(pg_url, clock):
    store = await open_store(pg_url, clock)
    lease = await store.acquire(ANN, "p1", 60_000)
    assert lease.expires_ms != NOW + 60_000  # the caller's clock stands in the past
    clock.advance(3600.0)  # and now in the future: it changes nothing
    assert isinstance(await store.acquire(ANN, "p2", 1), LeaseHeld)
    await store.close()


async def test_text_that_postgresql_cannot_hold_is_corrupt_and_nobody_elses(pg_url, clock):
    store = await open_store(pg_url, clock)
    for user in (ANN, BOB):
        await make.start(store, user)
    done = await store.commit_many(
        [make.commit(records=(make.audit("a\x00b"),)), make.commit(user_id=BOB)]
    )
    assert [type(x) for x in done] == [Unavailable, Committed]
    assert done[0].kind == "corrupt"
    await store.close()


async def test_a_folder_that_went_away_is_no_crash(path, clock):
    store = open_inline(path, clock)
    await store.close()  # the next connection is a new one
    shutil.rmtree(path.parent)
    found = await store.commit(make.commit())
    assert isinstance(found, Unavailable)
    assert found.kind == "down"
    await store.close()
