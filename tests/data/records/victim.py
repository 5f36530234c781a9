"""A process that is killed in the middle of a commit: `python -m tests.data.records.victim`.

It forks one child a point; each opens the store, and dies by SIGKILL when it gets there.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from sqlalchemy import event

from data.records.opening import open_inline, open_store
from data.records.rows import Committed
from live.clock import ManualClock
from tests.data.records import make
from tests.data.records.make import NOW

# The second commit dies before the statement that holds this text, or at COMMIT, or after it.
POINTS = (
    "SELECT engines",
    "INSERT INTO intents",
    "INSERT INTO executions",
    "INSERT INTO ledger",
    "INSERT INTO audit",
    "UPDATE engines",
    "COMMIT",
    "after",
)
KINDS = ("inline", "sqlite")


def second():
    return make.commit(
        1,
        intents=(make.intent("l2"),),
        records=(make.execution("e2"), make.trade("t2"), make.audit("two"), make.alert("a2")),
        traces=(make.trace(2),),
    )


async def die(path: Path, kind: str, point: str) -> None:
    """Commit once, then die within the second."""
    clock = ManualClock(NOW)
    if kind == "inline":
        store = open_inline(path, clock)
    else:
        store = await open_store(f"sqlite:///{path}", clock)
    await make.start(store)
    first = make.commit(
        intents=(make.intent("l1"),), records=(make.execution("e1"),), traces=(make.trace(1),)
    )
    assert isinstance(await store.commit(first), Committed)
    engine = getattr(store._engine, "sync_engine", store._engine)
    if point == "COMMIT":
        event.listen(engine, "commit", lambda _c: kill())
    else:
        first, last = point.split(" ")[0], point.split(" ")[-1]  # noqa: PLC0207

        def before(_c, _cursor, statement, *_rest):
            if statement.startswith(first) and last in statement:
                kill()

        event.listen(engine, "before_cursor_execute", before)
    await store.commit(second())
    kill()


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main(folder: Path) -> None:
    """Fork a victim for every kind and point; the files they leave are judged by the caller."""
    for kind in KINDS:
        for n, point in enumerate(POINTS):
            path = folder / f"{kind}-{n}.db"
            asyncio.run(open_inline(path, ManualClock(NOW)).close())
            child = os.fork()
            if not child:
                asyncio.run(die(path, kind, point))
                os._exit(1)
            _, status = os.waitpid(child, 0)
            assert os.WIFSIGNALED(status), (kind, point, status)
            assert os.WTERMSIG(status) == signal.SIGKILL


if __name__ == "__main__":
    main(Path(sys.argv[1]))
