"""Leases, users, switches, outbox, contexts and retention: every store says the same."""

import msgspec
import pytest

from data.records.chain import verify_chain
from data.records.rows import ControlRow, Lease, LeaseHeld, Unavailable
from tests.data.records import make
from tests.data.records.make import ANN, BOB, NOW

# ---------------------------------------------------------------------------- leases


async def test_one_holder_at_a_time_and_every_taking_raises_the_epoch(store):
    first = await store.acquire(ANN, "p1", 60_000)
    assert (first.epoch, first.holder) == (1, "p1")
    held = await store.acquire(ANN, "p2", 60_000)
    assert held == LeaseHeld(user_id=ANN, holder="p1", expires_ms=first.expires_ms)
    mine = await store.acquire(ANN, "p1", 60_000)
    assert mine.epoch == 2
    await store.release([mine])
    other = await store.acquire(ANN, "p2", 60_000)
    assert (other.epoch, other.holder) == (3, "p2")


async def test_a_lease_that_is_over_is_anybodys(store):
    first = await store.acquire(ANN, "p1", 0)
    second = await store.acquire(ANN, "p2", 60_000)
    assert isinstance(second, Lease)
    assert second.epoch == 2
    (lost,) = await store.renew([first], 60_000)
    assert lost == LeaseHeld(user_id=ANN, holder="p2", expires_ms=second.expires_ms)
    await store.release([first])  # not ours any more: nothing happens
    assert isinstance(await store.acquire(ANN, "p3", 1000), LeaseHeld)


async def test_what_nobody_took_can_be_renewed_even_late(store):
    first = await store.acquire(ANN, "p1", 0)
    other = await store.acquire(BOB, "p1", 1)
    strange = msgspec.structs.replace(first, user_id="nobody")
    old = msgspec.structs.replace(first, epoch=0)
    answers = await store.renew([other, first, strange, old], 60_000)
    assert [type(a) for a in answers] == [Lease, Lease, LeaseHeld, LeaseHeld]
    assert [a.user_id for a in answers] == [BOB, ANN, "nobody", ANN]
    assert answers[1].epoch == 1
    assert answers[1].expires_ms > first.expires_ms
    assert isinstance(await store.acquire(ANN, "p2", 1000), LeaseHeld)
    assert await store.renew([], 1) == []


async def test_a_lease_given_back_is_not_renewed(store):
    lease = await store.acquire(ANN, "p1", 60_000)
    await store.release([lease])
    assert isinstance((await store.renew([lease], 60_000))[0], LeaseHeld)


async def test_a_supervisor_sees_every_lease(store):
    assert await store.leases() == []
    second = await store.acquire(BOB, "p1", 60_000)
    first = await store.acquire(ANN, "p1", 0)
    assert await store.leases() == [first, second]
    await store.release([second])
    assert await store.leases() == [
        first,
        msgspec.structs.replace(second, holder="", expires_ms=0),
    ]


# ---------------------------------------------------------------------------- users, settings


async def test_making_a_user_again_changes_nothing(store):
    assert await store.add_user(make.user(), make.settings()) is None
    assert await store.add_user(make.user(name="other"), make.settings(body=b"{}")) is None
    assert await store.users() == [make.user()]
    assert (await store.load(ANN)).settings == make.settings()
    await store.add_user(make.user(BOB, created_ms=NOW - 1, mode="demo"), make.settings(BOB))
    assert [row.user_id for row in await store.users()] == [BOB, ANN]


async def test_a_user_starts_with_its_own_first_version(store):
    for wrong in (
        (make.user(), make.settings(version=2)),
        (make.user(), make.settings(BOB)),
        (make.user(""), make.settings("")),
    ):
        assert (await store.add_user(*wrong)).kind == "corrupt"
    assert await store.users() == []


async def test_versions_of_settings_are_consecutive(store):
    await make.start(store)
    second = make.settings(version=2, body=b'{"profile":"two"}')
    assert await store.add_settings(second) is None
    assert await store.add_settings(second) is None  # the same call again
    for wrong in (2, 4, 1):
        refused = await store.add_settings(make.settings(version=wrong, body=b"{}"))
        assert isinstance(refused, Unavailable)
        assert refused.kind == "conflict"
    assert (await store.add_settings(make.settings(BOB, 2))).kind == "corrupt"
    assert (await store.load(ANN)).settings == second
    assert await store.settings(ANN, 1) == make.settings()
    assert await store.settings(ANN, 2) == second
    for user_id, version in ((ANN, 0), (ANN, 3), (BOB, 1)):
        assert await store.settings(user_id, version) is None
    assert [r.cause for r in await store.audit(ANN, 0, 10)] == ["user added", "settings"]


# ---------------------------------------------------------------------------- switches


@pytest.mark.parametrize("whose", [ANN, ""])
async def test_of_two_clicks_the_later_generation_holds_in_any_order(store, whose):
    await make.start(store)

    async def click(*, killed: bool, generation: int) -> tuple[bool, int]:
        row = await store.set_kill(
            whose, killed=killed, generation=generation, actor="user:x", at_ms=NOW
        )
        return row.killed, row.kill_generation

    assert await click(killed=True, generation=1) == (True, 1)
    assert await click(killed=False, generation=3) == (False, 3)
    assert await click(killed=True, generation=2) == (False, 3)
    assert await click(killed=True, generation=3) == (True, 3)  # of equals the kill holds
    assert await click(killed=False, generation=3) == (True, 3)
    chain = await store.audit(whose, 0, 10)
    assert [r.cause for r in chain][-3:] == ["kill", "unkill", "kill"]
    assert verify_chain(chain, user_id=whose) is None
    if whose:
        assert (await store.load(ANN)).user.killed
        assert await store.platform_kill() == (False, 0)
    else:
        assert await store.platform_kill() == (True, 3)
        assert not (await store.load(ANN)).user.killed
    assert [row.user_id for row in await store.users()] == [ANN]


async def test_a_strangers_switch_is_none(store):
    done = await store.set_kill(BOB, killed=True, generation=1, actor="x", at_ms=NOW)
    assert done.kind == "corrupt"
    assert await store.platform_kill() == (False, 0)


async def test_a_switch_and_a_commit_share_one_chain(store):
    await make.start(store)
    await store.commit(make.commit(records=(make.audit("a"),)))
    await store.set_kill(ANN, killed=True, generation=1, actor="user:x", at_ms=NOW)
    await store.add_settings(make.settings(version=2))
    await store.commit(make.commit(1, records=(make.audit("b"),)))
    chain = await store.audit(ANN, 0, 10)
    assert [r.cause for r in chain] == ["user added", "a", "kill", "settings", "b"]
    assert [(r.before_hash, r.after_hash) for r in chain[2:]] == [
        ("hash1", "hash1"),
        ("hash1", "hash1"),
        ("hash1", "hash2"),
    ]
    stored = await store.load(ANN)
    assert verify_chain(chain, head=(stored.audit_seq, stored.audit_hash)) is None
    assert [r.seq for r in await store.audit(ANN, 2, 2)] == [3, 4]
    assert await store.chain_head(ANN) == (chain[-1].seq, chain[-1].hash)
    assert await store.chain_head("nobody") == await store.chain_head("") == (0, "")


# ---------------------------------------------------------------------------- wishes


async def test_a_wish_waits_until_it_is_taken_once(store):
    await make.start(store)
    await make.start(store, BOB)

    def wish(name: str, user_id: str = ANN, **facts) -> ControlRow:
        given = {"action": "pause", "actor": "user:x", "at_ms": NOW, **facts}
        return ControlRow(user_id=user_id, control_id=name, **given)

    later, theirs = wish("a", at_ms=NOW + 1, symbol="SOLUSDT"), wish("b", BOB)
    for row in (later, theirs, wish("c"), wish("c", action="resume")):
        assert await store.add_control(row) is None
    assert (await store.add_control(wish("d", "nobody"))).kind == "corrupt"
    assert await store.controls(10) == [wish("c"), theirs, later]
    assert await store.controls(1) == [wish("c")]
    for answer in ("done", "again"):
        assert await store.control_done(ANN, "c", taken_ms=NOW + 5, answer=answer) is None
    assert await store.control_done(ANN, "b", taken_ms=NOW, answer="not Ann's") is None
    assert await store.controls(10) == [theirs, later]
    assert await store.control(ANN, "c") == wish("c", taken_ms=NOW + 5, answer="done")
    assert await store.control(ANN, "b") is None


# ---------------------------------------------------------------------------- outbox


async def test_an_alert_is_told_once_by_its_event_id(store):
    await make.start(store)
    await store.commit(make.commit(records=(make.alert("a1"), make.alert("a1", words="other"))))
    await store.commit(make.commit(1, records=(make.alert("a1"), make.alert("a0"))))
    rows = await store.outbox(10, NOW + 10)
    assert [(r.event_id, r.user_id, r.created_ms) for r in rows] == [
        ("a1", ANN, NOW),
        ("a0", ANN, NOW + 1),
    ]
    assert b"entered" in rows[0].body
    assert len(await store.outbox(1, NOW + 10)) == 1
    # due at once, also by the clock of another process that is behind the one that wrote it
    assert len(await store.outbox(10, NOW - 3_600_000)) == 2


async def test_a_delivery_a_delay_and_a_dead_letter(store):
    await make.start(store)
    await store.commit(make.commit(records=tuple(make.alert(n) for n in ("a", "b", "c", "d"))))
    await store.outbox_done(ANN, "a", delivered=True, attempts=1, next_ms=0)
    await store.outbox_done(ANN, "b", delivered=False, attempts=1, next_ms=NOW + 5000)
    await store.outbox_done(ANN, "c", delivered=False, attempts=9, next_ms=-1)
    await store.outbox_done(BOB, "d", delivered=True, attempts=1, next_ms=0)  # not Bob's
    assert [r.event_id for r in await store.outbox(10, NOW)] == ["d"]
    late = await store.outbox(10, NOW + 5000)
    assert [(r.event_id, r.attempts, r.state) for r in late] == [
        ("b", 1, "waiting"),
        ("d", 0, "waiting"),
    ]
    # nobody puts off for longer than a second: what waits longer was set by a clock ahead
    assert [r.event_id for r in await store.outbox(10, NOW, 1_000)] == ["b", "d"]
    assert [r.event_id for r in await store.outbox(10, NOW, 5_000)] == ["d"]
    # what is over stays over: a late failure does not wake it
    await store.outbox_done(ANN, "a", delivered=False, attempts=2, next_ms=NOW)
    assert len(await store.outbox(10, NOW + 5000)) == 2


# ---------------------------------------------------------------------------- retention


async def test_what_may_be_forgotten_goes_and_nothing_else(store):
    await make.start(store)
    traces = tuple(make.trace(n, at_ms=NOW + n) for n in (1, 2, 3))
    await store.commit(
        make.commit(traces=traces, records=(make.alert("a"), make.alert("b"), make.audit()))
    )
    await store.outbox_done(ANN, "a", delivered=True, attempts=1, next_ms=0)
    assert await store.prune_traces(NOW + 3) == 2
    assert await store.prune_outbox(NOW) == 0
    assert await store.prune_outbox(NOW + 1) == 1
    assert [r.seq for r in await store.trace(ANN, 0, 10)] == [3]
    assert [r.event_id for r in await store.outbox(10, NOW)] == ["b"]
    assert len(await store.audit(ANN, 0, 10)) == 2
    # a recording goes on where it was, and an event once told is not told again
    await store.commit(make.commit(1, traces=(make.trace(4),)))
    assert [r.seq for r in await store.trace(ANN, 0, 10)] == [3, 4]


# ---------------------------------------------------------------------------- contexts


async def test_contexts_are_replaced_byte_for_byte(store):
    rows = [make.context("SOLUSDT"), make.context("ETHUSDT"), make.context(profile="other")]
    assert await store.save_contexts(rows) is None
    newer = make.context("SOLUSDT", minute=NOW + 1, body=b"\x00", schema_hash=1)
    assert await store.save_contexts([newer]) is None
    assert await store.save_contexts([]) is None
    assert await store.contexts("default", "15m") == [make.context("ETHUSDT"), newer]
    assert await store.contexts("default", "1h") == []
