"""Real processes: one is killed and recovers, two overlap as in a deploy, the last one drains."""

import asyncio
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest

from app.cli.user import add_user, new_user
from data.records.port import Store
from data.records.rows import Unavailable
from data.synth import make_market
from engine.account.settings import STANDARD
from engine.venue.replay import Replay
from live.clock import SystemClock
from live.compose import open_store
from live.settings import load_settings
from live.venues.bybit.simserver import SimServer
from tests.app.test_serve import STEP_MS, _ask, _free_port, _serving


async def _progress(port: int, process: subprocess.Popen[bytes], **wanted: int) -> dict:
    """Wait until a process tells of itself what is wanted; what it said last."""
    while True:
        assert process.poll() is None, "it ended by itself"
        try:
            _, body = await asyncio.to_thread(_ask, f"http://127.0.0.1:{port}/ready")
        except OSError:
            body = {}
        progress = body.get("progress", {})
        if progress and all(progress[name] == value for name, value in wanted.items()):
            return body
        await asyncio.sleep(0.2)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


async def _epochs(store: Store) -> list[int]:
    leases = await store.leases()
    assert not isinstance(leases, Unavailable)
    return [lease.epoch for lease in leases]


async def _drained(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(process.wait, 120) == 0


@pytest.mark.slow
async def test_killed_recovered_overlapped_drained(tmp_path: Path) -> None:
    market = make_market(np.random.default_rng(3), symbols=2, days=12)
    replay = Replay(STEP_MS, market.bars["15m"])
    sim = SimServer(replay, "15m", SystemClock(), speed="hold", start_ms=replay.default_start())
    settings = load_settings({}, home=tmp_path).settings
    store = await open_store(settings)
    user = new_user("ann", "sim", "sim", at_ms=1)
    await add_user(store, user, STANDARD)
    running: list[subprocess.Popen[bytes]] = []

    def start() -> tuple[int, subprocess.Popen[bytes]]:
        port = _free_port()
        process = _serving(
            tmp_path, port, ZION_REST_URL=addresses["rest"], ZION_WS_URL=addresses["ws"]
        )
        running.append(process)
        return port, process

    async with sim.running() as addresses:
        try:
            port, first = start()
            await _progress(port, first, running=1, users=1)
            assert await _epochs(store) == [1]
            _end(first)
            port, second = start()
            body = await _progress(port, second, running=1)
            assert await _epochs(store) == [2], "what a dead process held is taken over"
            assert body["progress"]["unknown_orders"] == 0
            waiting_port, third = start()
            body = await _progress(waiting_port, third, standby=1)
            assert body["code"] == "not_ready"
            said = await asyncio.to_thread(_ask, f"http://127.0.0.1:{waiting_port}/health")
            assert said[0] == 200
            await _drained(second)
            await _progress(waiting_port, third, running=1)
            await _drained(third)
        finally:
            for process in running:
                _end(process)
    assert (tmp_path / "sim-keys.json").stat().st_mode & 0o777 == 0o600
    assert sim.venue.desk._accounts == 1, "a restart finds the account it had"
    await store.close()
