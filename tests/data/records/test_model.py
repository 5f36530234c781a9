"""Any sequence of calls gives the same answers from memory and from SQL."""

import asyncio
from decimal import Decimal

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from data.records.memory import MemoryStore
from data.records.opening import open_inline
from data.records.rows import INTENT_MOVES, Commit, ControlRow, Lease
from live.clock import ManualClock
from tests.data.records import make
from tests.data.records.make import ANN, BOB, NOW

USERS = st.sampled_from([ANN, BOB])
SMALL = st.integers(0, 3)
MONEY = st.decimals(-1000, 1000, places=4)

RECORDS = st.one_of(
    st.builds(make.execution, st.sampled_from("abcd"), fee=MONEY, pnl=MONEY, exec_time=SMALL),
    st.builds(make.trade, st.sampled_from("tuv"), realised_usdt=MONEY, r=st.none() | MONEY),
    st.builds(make.verdict, st.sampled_from("st"), approved=st.booleans()),
    st.builds(make.alert, st.sampled_from("xyz")),
    st.builds(make.day, st.sampled_from(["2026-10-09", "2026-10-10"]), fees_usdt=MONEY),
    st.builds(make.audit, st.sampled_from(["c1", "c2"]), n=SMALL),
    st.just(make.trade(fees_usdt=Decimal("NaN"))),
)


@st.composite
def commits(draw: st.DrawFn) -> Commit:
    """Most name the version that is stored: -1 until it is known."""
    user = draw(USERS)
    links = st.lists(
        st.tuples(st.sampled_from("lmn"), st.sampled_from(list(INTENT_MOVES))), max_size=2
    )
    return make.commit(
        draw(st.sampled_from([-1, -1, -1, 0, 2])),
        draw(st.sampled_from([-1, -1, -1, 1, 3])),
        user,
        intents=tuple(make.intent(link, state, user) for link, state in draw(links)),
        records=tuple(draw(st.lists(RECORDS, max_size=3))),
        traces=tuple(
            make.trace(seq, user, NOW + seq)
            for seq in sorted(draw(st.sets(st.integers(1, 9), max_size=2)))
        ),
    )


KILL = st.tuples(
    st.just("set_kill"),
    st.tuples(st.sampled_from([ANN, BOB, ""])),
    st.fixed_dictionaries(
        {"killed": st.booleans(), "generation": SMALL, "actor": st.just("x"), "at_ms": st.just(NOW)}
    ),
)
DONE = st.tuples(
    st.just("outbox_done"),
    st.tuples(USERS, st.sampled_from("xyz")),
    st.fixed_dictionaries(
        {
            "delivered": st.booleans(),
            "attempts": SMALL,
            "next_ms": st.sampled_from([-1, 0, NOW + 2]),
        }
    ),
)


def _call(name, *arguments):
    return st.tuples(st.just(name), st.tuples(*arguments), st.just({}))


STEPS = st.one_of(
    _call("advance", st.sampled_from([0.001, 1.0, 30.0])),
    _call("acquire", USERS, st.sampled_from(["p1", "p2"]), st.sampled_from([0, 1000, 10_000])),
    _call("renew", st.just("held"), st.just(2000)),
    _call("release", st.just("held")),
    _call("commit", commits()),
    _call("commit", commits()),
    _call("commit_many", st.lists(commits(), max_size=4)),
    _call("add_settings", st.builds(make.settings, USERS, st.integers(1, 4))),
    _call(
        "add_control",
        st.builds(
            lambda user, name: ControlRow(
                user_id=user, control_id=name, action="pause", actor="a", at_ms=NOW
            ),
            USERS,
            st.sampled_from("pq"),
        ),
    ),
    KILL,
    DONE,
    _call("prune_traces", st.integers(NOW, NOW + 9)),
    _call("prune_outbox", st.integers(NOW, NOW + 4)),
)
LOOKS = (
    [
        ("users", ()),
        ("leases", ()),
        ("controls", (9,)),
        ("outbox", (99, NOW + 99)),
        ("platform_kill", ()),
        ("audit", ("", 0, 99)),
    ]
    + [
        (name, (u, 0, 99))
        for u in (ANN, BOB)
        for name in ("audit", "trace", "ledger", "executions")
    ]
    + [(name, (u, 99)) for u in (ANN, BOB) for name in ("trades", "verdicts", "days")]
    + [(name, (u,)) for u in (ANN, BOB) for name in ("load", "version_of")]
    + [("intents", (u, "t1")) for u in (ANN, BOB)]
)


@given(st.lists(STEPS, max_size=25))
def test_memory_and_sql_answer_alike(steps):
    asyncio.run(_compare(steps))


async def _now(argument, store, held):
    """Return an argument as the moment of its call makes it."""
    if argument == "held":
        return list(held.values())
    if isinstance(argument, list):
        return [await _now(one, store, held) for one in argument]
    if not isinstance(argument, Commit):
        return argument
    version, epoch = argument.version, argument.epoch
    if version < 0:
        version = (await store.version_of(argument.user_id))[0]
    if epoch < 0:
        epoch = next(x.epoch for x in await store.leases() if x.user_id == argument.user_id)
    return msgspec.structs.replace(
        argument, version=version, epoch=epoch, state_hash=f"hash{version + 1}"
    )


async def _compare(steps):
    clock = ManualClock(NOW)
    stores = (MemoryStore(clock), open_inline(None, clock))
    held: dict[str, Lease] = {}
    for store in stores:
        for user in (ANN, BOB):
            await make.start(store, user)
    for name, arguments, named in steps:
        if name == "advance":
            clock.advance(*arguments)
            continue
        given_ = [await _now(x, stores[0], held) for x in arguments]
        one, two = [await getattr(store, name)(*given_, **named) for store in stores]
        assert one == two, name
        if name == "acquire" and isinstance(one, Lease):
            held[one.user_id] = one
    for name, arguments in LOOKS:
        one, two = [await getattr(store, name)(*arguments) for store in stores]
        assert one == two, name
    for store in stores:
        await store.close()
