"""What every driver shares: the world it is given, named checks, the simulator's clock.

Standard library only: a driver runs in its judge's own virtual environment and knows nothing of
this project but the addresses and the keys it is given on its command line.
"""

import asyncio
import json
import sys
import time
import traceback
import urllib.request

WHY_CHARS_MAX = 300


class World:
    """The venue as a driver sees it: addresses, keys, names."""

    def __init__(self, given):
        self.rest = given["rest"]
        self.ws = given["ws"]
        self.key = given["key"]
        self.secret = given["secret"]
        self.symbol = given["symbol"]  # the venue's name, as in BTCUSDT
        self.other = given["other"]
        self.interval = given["interval"]  # the venue's word, as in "1"
        self.folder = given["folder"]  # where this judge may write
        self.unified = f"{self.symbol.removesuffix('USDT')}/USDT:USDT"

    def control(self, path, body=None):
        """Ask the simulator's own face: its clock and what it knows."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.rest + path, data=data, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=300) as reply:
            return json.loads(reply.read())

    def step(self, bars=1):
        """Let so many candles pass."""
        return self.control("/sim/clock", {"step": bars})

    def new_account(self, equity="10000"):
        """Open one more account; returns its key and secret."""
        made = self.control("/sim/accounts", {"equity": equity})
        return made["apiKey"], made["apiSecret"]


def world():
    """Read the world from the command line."""
    return World(json.loads(sys.argv[1]))


def need(condition, text):
    """Fail the running check with words unless the condition holds."""
    if not condition:
        raise AssertionError(text)
    return condition


def report(name, ok, why=""):
    """Print the outcome of one named call."""
    print(json.dumps({"name": name, "ok": ok, "why": why[:WHY_CHARS_MAX]}), flush=True)


def _why(error):
    where = traceback.extract_tb(error.__traceback__)
    mine = [
        frame for frame in where if frame.filename.endswith(".py") and "drivers" in frame.filename
    ]
    line = f" (line {mine[-1].lineno})" if mine else ""
    return " ".join(f"{type(error).__name__}: {error}{line}".split())


def check(name, call):
    """Run one named call; returns what it returned, or None when it failed."""
    try:
        value = call()
    except Exception as error:
        report(name, False, _why(error))
        return None
    report(name, True)
    return value


async def acheck(name, coroutine, timeout_s=15.0):
    """Run one named asynchronous call with a limit."""
    try:
        value = await asyncio.wait_for(coroutine, timeout_s)
    except (Exception, asyncio.CancelledError) as error:
        report(
            name,
            False,
            _why(error) if str(error) else f"{type(error).__name__} after {timeout_s:g} s",
        )
        return None
    report(name, True)
    return value


def refused(call, *kinds):
    """Return the error that a call must raise; fail when it succeeds or raises another kind."""
    try:
        value = call()
    except kinds as error:
        return error
    raise AssertionError(f"accepted: {value}")


def until(condition, text, timeout_s=10.0, between=None, pause_s=0.05):
    """Wait until a condition holds; `between` runs before each look."""
    end = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout_s:g} s: {text}")
        if between is not None:
            between()
        time.sleep(pause_s)


async def auntil(condition, text, timeout_s=10.0, between=None):
    """Wait until a condition holds, letting the event loop run."""
    end = time.monotonic() + timeout_s
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout_s:g} s: {text}")
        if between is not None:
            await asyncio.to_thread(between)
        await asyncio.sleep(0.05)
    return value
