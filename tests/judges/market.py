"""The venue that the judges trade on: a synthetic lake around the present, `zion sim`, accounts."""

import contextlib
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from data.catalog import Lake
from data.synth import make_market, write_market

DAY_MS = 86_400_000
MINUTE_MS = 60_000
INTERVAL = "1m"
DAYS_BEFORE, DAYS_AFTER = 2, 3
SEED = 7


def make_lake(folder: Path, now_ms: int) -> None:
    """Write a market of 1m candles whose history ends now and whose replay goes on.

    Clients stamp, sign and ask for candles by the machine's clock: the replay must begin at it.
    """
    start_ms = now_ms - now_ms % DAY_MS - DAYS_BEFORE * DAY_MS
    market = make_market(
        np.random.default_rng(SEED),
        symbols=4,
        days=DAYS_BEFORE + 1 + DAYS_AFTER,
        interval=INTERVAL,
        start_ms=start_ms,
    )
    write_market(Lake(folder, durable=False), market, "synthetic")


@contextlib.contextmanager
def venue(
    lake: Path, now_ms: int, log: Path, *, options: tuple[str, ...] = ()
) -> Iterator[dict[str, str]]:
    """Run `zion sim` on the lake from the present minute; yields its addresses."""
    begin = datetime.fromtimestamp((now_ms - now_ms % MINUTE_MS) / 1000, UTC).replace(tzinfo=None)
    command = [
        str(Path(sys.executable).with_name("zion")),
        *("sim", "--lake", str(lake), "--interval", INTERVAL, "--speed", "hold"),
        *("--start", begin.isoformat(), "--updates", "4"),
        *options,
    ]
    with log.open("w") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)  # noqa: S603
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line.startswith("{"):
                raise RuntimeError(f"zion sim did not start; see {log}")
            yield json.loads(line)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


def open_account(rest: str, equity: str = "10000") -> tuple[str, str]:
    """Open an account at the simulator; returns its key and secret, empty where it has none."""
    request = urllib.request.Request(  # noqa: S310 - loopback
        f"{rest}/sim/accounts",
        data=json.dumps({"equity": equity}).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:  # noqa: S310
            made = json.loads(reply.read())
    except OSError:
        return "none", "none"
    return made["apiKey"], made["apiSecret"]


def state(rest: str) -> dict[str, Any]:
    """Return what the simulator says of itself."""
    with urllib.request.urlopen(f"{rest}/sim/state", timeout=30) as reply:  # noqa: S310
        return json.loads(reply.read())
