"""F1 to F9, for the store: a process killed anywhere in a commit leaves all of it, or nothing."""

import subprocess
import sys

from data.records.chain import verify_chain
from data.records.opening import open_inline
from data.records.rows import Committed
from tests.data.records import make
from tests.data.records.make import ANN, NOW
from tests.data.records.victim import KINDS, POINTS, second


async def test_a_process_killed_within_a_commit_leaves_all_or_nothing(tmp_path, clock):
    command = [sys.executable, "-m", "tests.data.records.victim", str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=240)  # noqa: ASYNC221, S603
    assert done.returncode == 0, done.stderr
    for kind in KINDS:
        for n, point in enumerate(POINTS):
            store = open_inline(tmp_path / f"{kind}-{n}.db", clock)
            stored = await store.load(ANN)
            assert stored.version == (2 if point == "after" else 1), point
            whole = stored.version
            assert len(stored.intents) == whole
            for rows in (
                await store.executions(ANN, 0, 9),
                await store.ledger(ANN, 0, 9),
                await store.trace(ANN, 0, 9),
            ):
                assert len(rows) == whole, point
            assert (
                len(await store.trades(ANN, 9)) == len(await store.outbox(9, NOW + 9)) == whole - 1
            )
            chain = await store.audit(ANN, 0, 9)
            assert verify_chain(chain, head=(stored.audit_seq, stored.audit_hash)) is None
            if whole == 1:  # what was not written can be written again, with the same keys
                lease = await store.acquire(ANN, "p1", 1000)
                again = second()
                again = make.commit(
                    1,
                    lease.epoch,
                    intents=again.intents,
                    records=again.records,
                    traces=again.traces,
                )
                assert isinstance(await store.commit(again), Committed)
            await store.close()
