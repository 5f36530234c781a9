"""Every statement touches one user's rows, unless its method is on a list of names."""

import pytest
from sqlalchemy import event
from sqlalchemy.sql import visitors
from sqlalchemy.sql.dml import Insert

from data.records.opening import open_inline
from data.records.port import Store
from data.records.rows import ControlRow
from data.records.tables import metadata
from tests.data.records import make
from tests.data.records.make import ANN, BOB, NOW

# Supervisors, the notifier, retention and the market layer see more than one user.
OF_ALL = {
    "users",
    "leases",
    "controls",
    "outbox",
    "prune_traces",
    "prune_outbox",
    "save_contexts",
    "contexts",
}
CALLS = {
    "acquire": lambda s: s.acquire(ANN, "p1", 1000),
    "renew": lambda s: s.renew(LEASE, 1000),
    "release": lambda s: s.release(LEASE),
    "load": lambda s: s.load(ANN),
    "commit": lambda s: s.commit(WHOLE),
    "commit_many": lambda s: s.commit_many([WHOLE]),
    "version_of": lambda s: s.version_of(ANN),
    "add_user": lambda s: s.add_user(make.user("new"), make.settings("new")),
    "add_settings": lambda s: s.add_settings(make.settings(version=2)),
    "settings": lambda s: s.settings(ANN, 1),
    "set_kill": lambda s: s.set_kill(ANN, killed=True, generation=1, actor="x", at_ms=NOW),
    "platform_kill": lambda s: s.platform_kill(),
    "add_control": lambda s: s.add_control(WISH),
    "control": lambda s: s.control(ANN, "c"),
    "control_done": lambda s: s.control_done(ANN, "c", taken_ms=NOW, answer=""),
    "outbox_done": lambda s: s.outbox_done(ANN, "a1", delivered=True, attempts=1, next_ms=0),
    "audit": lambda s: s.audit(ANN, 0, 9),
    "chain_head": lambda s: s.chain_head(ANN),
    "trace": lambda s: s.trace(ANN, 0, 9),
    "ledger": lambda s: s.ledger(ANN, 0, 9),
    "executions": lambda s: s.executions(ANN, 0, 9),
    "intents": lambda s: s.intents(ANN, "t1"),
    "trades": lambda s: s.trades(ANN, 9),
    "verdicts": lambda s: s.verdicts(ANN, 9),
    "days": lambda s: s.days(ANN, 9),
}
WISH = ControlRow(user_id=ANN, control_id="c", action="pause", actor="x", at_ms=NOW)
RECORDS = (
    make.execution(),
    make.trade(),
    make.verdict(),
    make.day(),
    make.alert(),
    make.audit(),
)
WHOLE = make.commit(intents=(make.intent(),), records=RECORDS, traces=(make.trace(),))
LEASE: list = []  # Ann's, as the fixture took it


def _unscoped(statement) -> str:
    """Return what is wrong with a statement, "" for nothing."""
    if isinstance(statement, Insert):
        return "" if "user_id" in statement.table.c else f"insert into {statement.table.name}"
    where = getattr(statement, "whereclause", None)
    named = (
        {
            element.table.name
            for element in visitors.iterate(where)
            if getattr(element, "name", "") == "user_id" and hasattr(element, "table")
        }
        if where is not None
        else set()
    )
    touched = {
        element.name
        for element in visitors.iterate(statement)
        if getattr(element, "name", None) in metadata.tables and hasattr(element, "columns")
    }
    return "" if touched and touched <= named else f"{statement}"


@pytest.fixture
async def seen(clock):
    store = open_inline(None, clock)
    LEASE[:] = [await make.start(store)]
    await make.start(store, BOB)
    statements: list = []
    event.listen(store._engine, "before_execute", lambda _c, s, *_rest: statements.append(s))
    yield store, statements
    await store.close()


def test_every_method_is_looked_at():
    methods = {n for n in vars(Store) if not n.startswith("_")} - {"close"}
    assert set(CALLS) | OF_ALL == methods
    assert not set(CALLS) & OF_ALL


@pytest.mark.parametrize("name", CALLS)
async def test_a_method_of_one_user_names_the_user_in_every_statement(seen, name):
    store, statements = seen
    statements.clear()
    await CALLS[name](store)
    assert statements
    assert [wrong for s in statements if (wrong := _unscoped(s))] == []


async def test_the_lint_itself_finds_a_statement_without_a_user(seen):
    store, statements = seen
    await store.outbox(9, NOW)
    await store.prune_traces(NOW)
    assert len([s for s in statements if _unscoped(s)]) == 2
