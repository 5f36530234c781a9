"""One decision is written whole, once, by the one who may; every store says the same."""

from decimal import Decimal

import msgspec
import pytest

from data.records.chain import verify_chain
from data.records.rows import (
    INTENT_MOVES,
    TERMINAL,
    Committed,
    Conflict,
    Fenced,
    Lease,
    Stored,
    Unavailable,
)
from tests.data.records import make
from tests.data.records.make import ANN, BOB, NOW


async def test_a_user_who_never_ran_starts_empty(store):
    assert await store.load(ANN) is None
    await make.start(store)
    stored = await store.load(ANN)
    assert isinstance(stored, Stored)
    assert (stored.user, stored.settings) == (make.user(), make.settings())
    assert (stored.state, stored.version, stored.state_hash) == (None, 0, "")
    assert await store.version_of(ANN) == (0, "")


async def test_what_was_committed_is_what_an_engine_starts_from(store):
    await make.start(store)
    done = await store.commit(
        make.commit(
            intents=(make.intent("l2", "sent"), make.intent("l1"), make.intent("l0", "refused")),
            records=(
                make.verdict(),
                make.alert(),
                make.audit(risk=Decimal("1.50")),
                make.execution(),
                make.trade(),
                make.day(),
            ),
            traces=(make.trace(1), make.trace(2)),
        )
    )
    assert isinstance(done, Committed)
    stored = await store.load(ANN)
    assert (stored.state, stored.version, stored.state_hash) == (b'{"v":1}', 1, "hash1")
    assert stored.intents == (make.intent("l1"), make.intent("l2", "sent"))
    assert (stored.audit_seq, stored.audit_hash) == (done.audit_seq, done.audit_hash)
    assert await store.version_of(ANN) == (1, "hash1")
    assert await store.verdicts(ANN, 10) == [make.verdict()]
    assert await store.trades(ANN, 10) == [make.trade()]
    assert await store.days(ANN, 10) == [make.day()]
    assert await store.trace(ANN, 0, 10) == [make.trace(1), make.trace(2)]
    (row,) = await store.executions(ANN, 0, 10)
    facts = {name: getattr(make.execution(), name) for name in make.execution().__struct_fields__}
    assert {n: getattr(row, n) for n in facts} == facts
    assert row.user_id == ANN
    chain = await store.audit(ANN, 0, 10)
    assert [r.cause for r in chain] == ["user added", "signal"]
    assert (chain[1].before_hash, chain[1].after_hash, chain[1].epoch) == ("", "hash1", 1)
    assert verify_chain(chain, user_id=ANN, head=(done.audit_seq, done.audit_hash)) is None


@pytest.mark.parametrize(
    "text",
    ["0.000000000000000001", "123456789012345678901234567890.123456789", "-0.10", "100", "0"],
)
async def test_money_comes_back_to_the_last_digit_and_zero(store, text):
    await make.start(store)
    await store.commit(make.commit(records=(make.trade(realised_usdt=Decimal(text)),)))
    (row,) = await store.trades(ANN, 1)
    assert format(row.realised_usdt, "f") == text


@pytest.mark.parametrize(("given", "kept"), [("1E+3", "1000"), ("-0", "0"), ("1E-30", None)])
async def test_money_has_one_way_to_be_written(store, given, kept):
    await make.start(store)
    await store.commit(make.commit(records=(make.trade(realised_usdt=Decimal(given)),)))
    (row,) = await store.trades(ANN, 1)
    assert format(row.realised_usdt, "f") == (kept or format(Decimal(given), "f"))


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
async def test_what_is_no_amount_is_not_written(store, text):
    await make.start(store)
    done = await store.commit(make.commit(records=(make.trade(fees_usdt=Decimal(text)),)))
    assert isinstance(done, Unavailable)
    assert done.kind == "corrupt"
    assert await store.version_of(ANN) == (0, "")


async def test_the_version_must_be_the_one_it_replaces(store):
    await make.start(store)
    assert isinstance(await store.commit(make.commit(0)), Committed)
    again = await store.commit(make.commit(0, records=(make.audit(),), traces=(make.trace(),)))
    assert again == Conflict(version=1, state_hash="hash1")
    assert await store.commit(make.commit(5)) == Conflict(version=1, state_hash="hash1")
    assert await store.trace(ANN, 0, 10) == []
    assert len(await store.audit(ANN, 0, 10)) == 1


@pytest.mark.parametrize("epoch", [0, 1, 3])
async def test_only_the_newest_epoch_writes(store, epoch):
    await make.start(store)
    await store.acquire(ANN, "p1", 10_000)  # epoch 2
    assert await store.commit(make.commit(epoch=epoch)) == Fenced(epoch=2)
    assert isinstance(await store.commit(make.commit(epoch=2)), Committed)


async def test_without_a_lease_nobody_writes(store):
    await store.add_user(make.user(), make.settings())
    assert await store.commit(make.commit(epoch=1)) == Fenced(epoch=0)


async def test_a_stranger_writes_nothing(store):
    assert isinstance(await store.acquire(BOB, "p1", 1000), Lease)
    done = await store.commit(make.commit(user_id=BOB))
    assert isinstance(done, Unavailable)
    assert done.kind == "corrupt"


@pytest.mark.parametrize("old", INTENT_MOVES)
async def test_an_intent_never_goes_back(store, old):
    await make.start(store)
    version = 0
    for new in INTENT_MOVES:
        link = f"{old}-{new}"
        first = await store.commit(make.commit(version, intents=(make.intent(link, old),)))
        assert isinstance(first, Committed)
        version += 1
        done = await store.commit(
            make.commit(version, intents=(make.intent(link, new, order_id="o", sent_ms=7),))
        )
        if new == old or new in INTENT_MOVES[old]:
            assert isinstance(done, Committed)
            version += 1
        else:
            assert isinstance(done, Unavailable)
            assert done.kind == "corrupt"
            assert not done.maybe_committed
            assert await store.version_of(ANN) == (version, f"hash{version}")


async def test_a_burst_may_move_an_intent_twice_but_not_back(store):
    await make.start(store)
    moves = (make.intent(state="new"), make.intent(state="sent"), make.intent(state="placed"))
    assert isinstance(await store.commit(make.commit(intents=moves)), Committed)
    assert (await store.load(ANN)).intents == (make.intent(state="placed"),)
    back = await store.commit(make.commit(1, intents=(make.intent(state="sent"),)))
    assert isinstance(back, Unavailable)


async def test_terminal_intents_are_not_loaded(store):
    await make.start(store)
    rows = tuple(make.intent(state, state) for state in INTENT_MOVES)
    await store.commit(make.commit(intents=rows))
    later = make.intent("0", trade_id="t1", created_ms=NOW + 1)
    await store.commit(make.commit(1, intents=(later, make.intent("z", trade_id="t2"))))
    found = await store.intents(ANN, "t1")
    assert [r.link_id for r in found] == [*sorted(INTENT_MOVES), "0"]
    assert list(await store.intents(BOB, "t1")) == []
    loaded = {row.state for row in (await store.load(ANN)).intents}
    assert loaded == set(INTENT_MOVES) - TERMINAL


async def test_what_names_another_user_fails_the_commit(store):
    await make.start(store)
    await make.start(store, BOB)
    for wrong in (
        make.commit(intents=(make.intent(user_id=BOB),)),
        make.commit(traces=(make.trace(user_id=BOB),)),
        make.commit(intents=(make.intent(state="dreaming"),)),
    ):
        done = await store.commit(wrong)
        assert isinstance(done, Unavailable)
        assert done.kind == "corrupt"
    assert await store.version_of(ANN) == (0, "")


async def test_traces_follow_each_other(store):
    await make.start(store)
    await store.commit(make.commit(traces=(make.trace(3),)))
    for wrong in ((make.trace(3),), (make.trace(5), make.trace(4))):
        done = await store.commit(make.commit(1, traces=wrong))
        assert isinstance(done, Unavailable)
        assert done.kind == "corrupt"
    assert isinstance(await store.commit(make.commit(1, traces=(make.trace(4),))), Committed)
    assert [row.seq for row in await store.trace(ANN, 3, 10)] == [4]


async def test_an_execution_is_booked_once_whatever_comes_again(store):
    await make.start(store)
    first = make.execution("e1", fee=Decimal("0.1"), pnl=Decimal("2.50"))
    later = make.execution("e0", fee=Decimal("-0.02"), exec_time=NOW + 1)
    await store.commit(make.commit(records=(first, first)))
    await store.commit(
        make.commit(1, records=(msgspec.structs.replace(first, fee=Decimal(9)), later))
    )
    rows = await store.executions(ANN, 0, 10)
    assert [(r.exec_id, r.fee) for r in rows] == [("e1", Decimal("0.1")), ("e0", Decimal("-0.02"))]
    assert [r.exec_id for r in await store.executions(ANN, NOW + 1, 10)] == ["e0"]
    books = await store.ledger(ANN, 0, 10)
    assert [(r.seq, r.exec_id, str(r.change_usdt), str(r.balance_usdt)) for r in books] == [
        (1, "e1", "2.40", "2.40"),
        (2, "e0", "0.02", "2.42"),
    ]
    assert await store.ledger(ANN, 1, 10) == books[1:]


async def test_books_add_up_beyond_the_usual_digits(store):
    await make.start(store)
    huge, tiny = Decimal("1" + "0" * 25), Decimal("1E-18")
    records = (
        make.execution("a", pnl=huge, fee=Decimal(0)),
        make.execution("b", pnl=tiny, fee=Decimal(0)),
    )
    await store.commit(make.commit(records=records))
    assert str((await store.ledger(ANN, 1, 1))[0].balance_usdt) == f"1{'0' * 25}.{'0' * 17}1"


async def test_trades_and_days_are_replaced_and_keep_their_place(store):
    await make.start(store)
    await store.commit(
        make.commit(records=(make.trade("t1"), make.trade("t2"), make.day("2026-10-09")))
    )
    closed = make.trade("t1", status="closed", r=Decimal("1.25"), stop_loss=Decimal(9))
    halted = make.day("2026-10-09", halted=True, reason="daily loss")
    await store.commit(make.commit(1, records=(closed, make.day("2026-10-10"), halted)))
    assert await store.trades(ANN, 10) == [make.trade("t2"), closed]
    assert await store.trades(ANN, 1) == [make.trade("t2")]
    assert await store.days(ANN, 10) == [make.day("2026-10-10"), halted]


async def test_every_verdict_stays_newest_first(store):
    await make.start(store)
    again = make.verdict(approved=False, reason="duplicate", words="known")
    await store.commit(make.commit(records=(make.verdict(), again)))
    await store.commit(make.commit(1, records=(make.verdict("s2"),)))
    assert await store.verdicts(ANN, 10) == [make.verdict("s2"), again, make.verdict()]
    assert await store.verdicts(ANN, 1) == [make.verdict("s2")]


async def test_users_have_nothing_in_common(store):
    await make.start(store)
    await make.start(store, BOB)
    records = (make.execution(), make.trade(), make.verdict(), make.day(), make.alert())
    whole = {
        "intents": (make.intent(),),
        "records": (*records, make.audit()),
        "traces": (make.trace(),),
    }
    assert isinstance(await store.commit(make.commit(**whole)), Committed)
    for read in (store.audit, store.trace, store.executions, store.ledger):
        assert len(await read(BOB, 0, 10)) == (1 if read == store.audit else 0)
    for read in (store.trades, store.verdicts, store.days):
        assert list(await read(BOB, 10)) == []
    mine = make.commit(
        user_id=BOB,
        intents=(make.intent(user_id=BOB, state="sent"),),
        records=(*records, make.audit()),
        traces=(make.trace(user_id=BOB),),
    )
    assert isinstance(await store.commit(mine), Committed)
    assert (await store.load(ANN)).intents == (make.intent(),)
    assert len(await store.outbox(10, NOW + 10)) == 2


# ---------------------------------------------------------------------------- group commit


async def test_a_group_is_judged_one_by_one(store):
    for user_id in (ANN, BOB):
        await make.start(store, user_id)
    done = await store.commit_many(
        [
            make.commit(0, intents=(make.intent(),), records=(make.audit("a"), make.execution())),
            make.commit(7),  # a stranger's version
            make.commit(0, user_id=BOB, epoch=9),  # an epoch nobody gave
            make.commit(1, intents=(make.intent(state="done"),), records=(make.audit("b"),)),
            make.commit(2, intents=(make.intent(state="sent"),)),  # back: refused
            make.commit(0, user_id=BOB, records=(make.execution(),)),
            make.commit(2, records=(make.execution(), make.execution("e2"))),
            make.commit(0, user_id="nobody"),
        ]
    )
    kinds = [type(outcome) for outcome in done]
    assert kinds == [
        Committed,
        Conflict,
        Fenced,
        Committed,
        Unavailable,
        Committed,
        Committed,
        Unavailable,
    ]
    assert done[1] == Conflict(version=1, state_hash="hash1")
    assert await store.version_of(ANN) == (3, "hash3")
    assert await store.version_of(BOB) == (1, "hash1")
    assert [r.exec_id for r in await store.executions(ANN, 0, 10)] == ["e1", "e2"]
    chain = await store.audit(ANN, 0, 10)
    assert [(r.cause, r.before_hash, r.after_hash) for r in chain[1:]] == [
        ("a", "", "hash1"),
        ("b", "hash1", "hash2"),
    ]
    stored = await store.load(ANN)
    head = (stored.audit_seq, stored.audit_hash)
    assert verify_chain(chain, user_id=ANN, head=head) is None
    assert await store.commit_many([]) == []
