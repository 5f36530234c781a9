"""`python -m app.api.serve` without any venue: alive, honest that it is not ready."""

import asyncio
import json
import socket
import urllib.error
import urllib.request
import warnings
from pathlib import Path

import pytest

from app.api.serve import serve
from live.settings import Settings


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
        task = asyncio.create_task(serve(settings))
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
