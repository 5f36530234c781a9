"""Steering engines through the store: what a command writes, what an engine takes, what is told."""

import asyncio
from decimal import Decimal

import msgspec
import pytest

from app.cli.steer import kill, newest_trades, overview, wish
from app.cli.user import add_user, new_user, read_settings
from data.records.memory import MemoryStore
from data.records.port import Store
from data.records.rows import Committed, UserRow
from engine.account.settings import CAREFUL, STANDARD
from engine.errors import DataError, UsageError
from live.clock import ManualClock
from tests.data.records import make


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(make.NOW)


@pytest.fixture
async def store(clock: ManualClock) -> Store:
    made = MemoryStore(clock)
    for user_id, name in ((make.ANN, "ann"), (make.BOB, "bob")):
        row = make.user(user_id, name=name, mode="sim")
        assert await made.add_user(row, make.settings(user_id)) is None
    lease = await made.acquire(make.ANN, "p1", 10_000)
    done = await made.commit(
        make.commit(
            epoch=lease.epoch,
            intents=(make.intent("l1", "unknown"), make.intent("l2", "placed")),
            records=(
                make.trade("t1", status="open"),
                make.trade("t2", status="resting", risk_usdt=Decimal(7)),
                make.trade("t3", status="closed"),
            ),
        )
    )
    assert isinstance(done, Committed), done
    return made


async def test_overview_counts_what_is_held_rests_and_is_unsettled(store, clock):
    found = await overview(store, "", clock)
    ann, bob = sorted(found.users, key=lambda u: u.name)
    assert (ann.engine, ann.open, ann.resting, ann.unsettled) == ("runs", 1, 1, 1)
    assert ann.risk_usdt == 57
    assert (bob.engine, bob.open, bob.risk_usdt) == ("none", 0, 0)
    clock.advance(11)
    (ann,) = (await overview(store, "ann", clock)).users
    assert ann.engine == "none", "its lease is over"


async def test_a_wish_waits_in_the_store_and_says_so(store, clock):
    (told,) = await wish(store, "pause", "ann", reason="holiday", clock=clock)
    assert not told.done
    (row,) = await store.controls(10)
    assert (row.user_id, row.action, row.reason, row.actor) == (
        make.ANN, "pause", "holiday", "admin:cli",
    )  # fmt: skip


async def test_a_taken_wish_is_told_with_its_answer(store, clock):
    asked = asyncio.create_task(wish(store, "reconcile", "", wait_s=10, clock=clock))
    await asyncio.sleep(0)  # a store in memory needs one turn
    rows = await store.controls(10)
    assert len(rows) == 2
    await store.control_done(rows[0].user_id, rows[0].control_id, taken_ms=1, answer="in order")
    while not asked.done():
        await asyncio.sleep(0)
        clock.advance(0.5)
    told = {one.name: one for one in await asked}
    assert {one.done for one in told.values()} == {True, False}
    assert any(one.words == "in order" for one in told.values())


async def test_kill_needs_no_engine_and_resume_needs_a_reason(store, clock):
    (told,) = await kill(store, "ann", clock=clock)
    assert told.done
    (ann,) = (await overview(store, "ann", clock)).users
    assert ann.engine == "killed, runs"
    with pytest.raises(UsageError, match="for a reason"):
        await wish(store, "resume", "ann", clock=clock)
    await wish(store, "resume", "ann", reason="checked", clock=clock)
    (ann,) = (await overview(store, "ann", clock)).users
    assert ann.engine == "runs"


async def test_the_platforms_kill_is_lifted_for_all_only(store, clock):
    await kill(store, "", clock=clock)
    assert await store.platform_kill() == (True, 1)
    with pytest.raises(UsageError, match="whole platform"):
        await wish(store, "resume", "ann", reason="checked", clock=clock)
    await wish(store, "resume", "", reason="checked", clock=clock)
    assert await store.platform_kill() == (False, 2)


async def test_closing_wants_the_count_of_now(store, clock):
    with pytest.raises(UsageError, match="1 trades are open, not 2"):
        await kill(store, "ann", close=2, clock=clock)
    assert await store.controls(10) == []
    (ann,) = (await overview(store, "ann", clock)).users
    assert ann.engine.startswith("killed"), "the switch is thrown all the same"
    _, closing = await kill(store, "ann", close=1, clock=clock)
    assert (closing.action, closing.done) == ("close_all", False)


async def test_trades_newest_first_with_their_user(store):
    assert [(n, t.trade_id) for n, t in await newest_trades(store, "", 2)] == [
        ("ann", "t3"), ("ann", "t2"),
    ]  # fmt: skip


def test_no_user_trades_above_the_deployment():
    assert new_user("ada", "sim", "paper", at_ms=1).mode == "sim"
    with pytest.raises(UsageError, match="above this deployment"):
        new_user("ada", "live", "paper", at_ms=1)
    for name in ("", " ", "a\n", "x" * 65):
        with pytest.raises(UsageError, match="no name"):
            new_user(name, "sim", "sim", at_ms=1)


async def test_a_name_is_given_once_and_settings_stand_as_version_one(store):
    made = new_user("ada", "sim", "sim", at_ms=5)
    await add_user(store, made, CAREFUL)
    stored = await store.load(made.user_id)
    assert msgspec.json.decode(stored.settings.body, type=type(CAREFUL)) == CAREFUL
    with pytest.raises(UsageError, match="already"):
        await add_user(store, UserRow(user_id="x", name="ada"), STANDARD)


def test_settings_are_a_preset_or_a_file(tmp_path):
    file = tmp_path / "mine.json"
    file.write_text('{"tp1_share": "0.4"}')
    assert read_settings("careful") == CAREFUL
    assert read_settings(str(file)).tp1_share == Decimal("0.4")
    with pytest.raises(DataError, match="cannot be read"):
        read_settings("absent.json")
    file.write_text('{"tp1_share": "much"}')
    with pytest.raises(DataError, match="holds no settings"):
        read_settings(str(file))
