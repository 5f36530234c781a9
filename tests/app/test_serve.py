"""`python -m app.api.serve` without any venue: alive, honest that it is not ready."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
import warnings
from pathlib import Path

import numpy as np
import pytest

from app.api.process import run
from data.synth import make_market
from engine.venue.replay import Replay
from live.clock import SystemClock
from live.settings import Settings
from live.venues.bybit.simserver import SimServer
from tests.conftest import REPOSITORY

STEP_MS = 900_000


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _ask(url: str) -> tuple[int, dict]:
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310 - our own address
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


async def test_it_is_alive_and_not_ready_while_the_venue_is_silent(tmp_path: Path) -> None:
    port, nobody = _free_port(), _free_port()
    settings = Settings.model_validate(
        {
            "home": tmp_path,
            "port": port,
            "rest_url": f"http://127.0.0.1:{nobody}",
            "ws_url": f"ws://127.0.0.1:{nobody}",
        }
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        task = asyncio.create_task(run(settings))
        address = f"http://127.0.0.1:{port}"
        while True:
            try:
                status, _ = await asyncio.to_thread(_ask, f"{address}/health")
                break
            except urllib.error.URLError:
                assert not task.done(), task.exception()
                await asyncio.sleep(0.05)
        assert status == 200
        status, body = await asyncio.to_thread(_ask, f"{address}/ready")
        assert (status, body["code"]) == (503, "not_ready")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


def _serving(tmp_path: Path, port: int, **env: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "app.api.serve"],
        env={**os.environ, "ZION_HOME": str(tmp_path), "PORT": str(port), **env},
        cwd=REPOSITORY,
    )


async def test_a_signal_saves_the_state_and_ends_without_error(tmp_path: Path) -> None:
    market = make_market(np.random.default_rng(3), symbols=2, days=12)
    replay = Replay(STEP_MS, market.bars["15m"])
    port, metrics_port = _free_port(), _free_port()
    sim = SimServer(replay, "15m", SystemClock(), speed="hold", start_ms=replay.default_start())
    async with sim.running() as addresses:
        process = _serving(
            tmp_path,
            port,
            ZION_REST_URL=addresses["rest"],
            ZION_WS_URL=addresses["ws"],
            ZION_METRICS_PORT=str(metrics_port),
        )
        try:
            await _until(process, f"http://127.0.0.1:{port}/ready")
            assert "zion_market_live 1.0" in await asyncio.to_thread(_text, metrics_port)
            process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(process.wait, 60) == 0
        finally:
            process.kill()
            process.wait()
    assert _snapshots(tmp_path)


def _text(metrics_port: int) -> str:
    address = f"http://127.0.0.1:{metrics_port}/metrics"
    with urllib.request.urlopen(address, timeout=20) as answer:
        return answer.read().decode()


def _snapshots(home: Path) -> list[Path]:
    return list(home.glob("market/*.snapshot"))


async def _until(process: subprocess.Popen[bytes], url: str) -> None:
    while True:
        assert process.poll() is None, "it ended by itself"
        try:
            status, _ = await asyncio.to_thread(_ask, url)
        except (urllib.error.URLError, OSError):
            status = 0
        if status == 200:
            return
        await asyncio.sleep(0.1)


def test_a_signal_while_it_still_imports_ends_it_too(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import os, signal, sys\n"
            "class Slow:\n"
            "    def find_spec(self, name, path=None, target=None):\n"
            "        if name == 'live.settings':\n"
            "            os.kill(os.getpid(), signal.SIGTERM)\n"
            "sys.meta_path.insert(0, Slow())\n"
            "from app.api.serve import main\n"
            "main()\n",
        ],
        env={**os.environ, "ZION_HOME": str(tmp_path)},
        cwd=REPOSITORY,
    )
    assert process.wait(60) == 0
