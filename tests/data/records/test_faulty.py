"""A store that fails on demand: before the work, or after it without telling."""

from data.records.faulty import faulty
from data.records.memory import MemoryStore
from data.records.rows import Committed, Conflict, Unavailable
from live.clock import ManualClock
from tests.data.records import make
from tests.data.records.make import ANN, NOW

DOWN = Unavailable(reason="drawn", kind="down")
UNKNOWN = Unavailable(reason="drawn", kind="unknown_commit", maybe_committed=True)


async def test_faults_come_from_outside():
    drawn: dict[tuple[str, str], Unavailable] = {}
    store = faulty(MemoryStore(ManualClock(NOW)), lambda name, user: drawn.get((name, user)))
    await make.start(store)

    drawn["commit", ANN] = DOWN
    assert await store.commit(make.commit()) is DOWN
    assert await store.version_of(ANN) == (0, "")

    drawn["commit", ANN] = UNKNOWN
    assert await store.commit(make.commit()) is UNKNOWN
    assert await store.version_of(ANN) == (1, "hash1")
    drawn.clear()
    assert await store.commit(make.commit()) == Conflict(version=1, state_hash="hash1")

    drawn["commit_many", ""] = DOWN
    assert await store.commit_many([make.commit(1), make.commit(2)]) == [DOWN, DOWN]
    drawn["outbox_done", ANN] = DOWN
    await store.outbox_done(ANN, "a", delivered=True, attempts=1, next_ms=0)
    drawn.clear()
    assert isinstance(await store.commit(make.commit(1)), Committed)
