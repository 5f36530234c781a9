"""What a user costs: memory, processor time a signal, and the time from signal to transport.

Each number of users runs in a process of its own, so that memory is theirs alone. Processor time
is this process's, threads of the database included; times by the wall clock depend on what else
the machine does.
"""

import asyncio
import gc
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np

from app.proofs.bench import STEP_MS, Figure, Minute, least, minute_frames
from app.proofs.bench_crowd import SETTINGS, Crowd, contract_of, signal_of
from data.records.opening import open_store
from engine.account import messages as m
from engine.account.decide import decide
from live.clock import SystemClock
from live.tuning import settle_garbage

COINS = 200  # that close together while the users are there
SIGNALS = 4  # a Standard user's limit of total risk; the first warms up
ROUNDS = 9
KIB_MAX, SIGNAL_MS_MAX, HANDED_MS_MAX = 100, 1.0, 500
STORES = ("memory", "sqlite")
_STATM = Path("/proc/self/statm")
_PAGE = 4096


class Measured(msgspec.Struct, kw_only=True):
    """What one process measured."""

    users: int
    kib: float = 0.0  # resident, a user
    idle_us: float = 0.0  # CPU a user and second, nothing at stake
    decide_us: float = 0.0  # CPU of the bare decision on the signal
    signal_us: float = 0.0  # CPU a user: from the signal to its order's news decided and stored
    cpu_ms: tuple[float, float] = (0.0, 0.0)  # to the transport: p50 and p99 of the users
    wall_ms: tuple[float, float] = (0.0, 0.0)
    transactions: float = 0.0  # a signal
    commits: float = 0.0
    detection: list[float] = []  # CPU of a minute's close with these users over that without, each


# ---------------------------------------------------------------------------- one process


def _resident_kib() -> float:
    gc.collect()
    return int(_STATM.read_text().split()[1]) * _PAGE / 1024.0 if _STATM.exists() else 0.0


class _Detection:
    """The market layer's minute: frames in, bars collected, every coin stepped."""

    def __init__(self) -> None:
        names = [f"D{i:03d}USDT" for i in range(COINS)]
        start = 1_700_000_000_000 // STEP_MS * STEP_MS
        walks = np.exp(np.cumsum(np.random.default_rng(7).normal(0, 0.003, (400, COINS)), axis=0))
        self._frames = minute_frames(names, 100 * walks, start)
        self._minute = Minute(names, start)
        self._next = 0
        self.closes(200)

    def closes(self, rounds: int) -> list[int]:
        """Close so many minutes; returns the CPU ns of each."""
        took = []
        for _ in range(rounds):
            messages = self._frames(self._next)
            self._next += 1
            begin = time.process_time_ns()
            self._minute.close(messages)
            took.append(time.process_time_ns() - begin)
        return took


def _bare_decide_us(crowd: Crowd, symbol: str) -> float:
    """Return what the decision alone costs: a state that has read its account, a signal taken."""
    crowd.quote(symbol)
    signal = signal_of(symbol)
    quote = crowd.desk.quote(symbol)
    heard = m.SignalHeard(at_ms=signal.t, signal=signal, contract=contract_of(symbol), quote=quote)
    state = crowd.engines()[0].state
    if not decide(state, heard, SETTINGS).commands:
        raise RuntimeError("the signal is refused")

    def job() -> object:
        return [decide(state, heard, SETTINGS) for _ in range(50)]

    return least({"decide": job})["decide"] / 50 / 1e3


async def measure(users: int, store: str, folder: Path) -> Measured:
    """Run so many users and a few signals."""
    out = Measured(users=users)
    detection = _Detection()
    without = detection.closes(ROUNDS)
    symbols = [f"C{i:02d}USDT" for i in range(SIGNALS)]
    address = "memory:" if store == "memory" else f"sqlite:///{folder / 'bench.db'}"
    crowd = Crowd(await open_store(address, SystemClock(), upgrade=True), users, symbols)
    before = _resident_kib()
    await crowd.start()
    settle_garbage()
    out.kib = (_resident_kib() - before) / users
    cpu = time.process_time_ns()
    await asyncio.sleep(2.0)
    out.idle_us = (time.process_time_ns() - cpu) / 2e3 / users
    beside = detection.closes(ROUNDS)
    out.decide_us = _bare_decide_us(crowd, symbols[0])
    signals = [await _signal(crowd, symbol) for symbol in symbols][1:]
    await crowd.close()
    without += detection.closes(ROUNDS)  # before and after: a machine's pace drifts
    out.detection = [took / float(np.median(without)) for took in beside]
    out.signal_us = min(found[0] for found in signals)
    out.cpu_ms, out.wall_ms = min(f[1] for f in signals), min(f[2] for f in signals)
    out.transactions = float(np.mean([found[3] for found in signals]))
    out.commits = float(np.mean([found[4] for found in signals]))
    return out


Found = tuple[float, tuple[float, float], tuple[float, float], int, int]


async def _signal(crowd: Crowd, symbol: str) -> Found:
    transactions, commits = crowd.group.transactions, crowd.group.commits
    wall, cpu, walls, cpus = await crowd.signal(symbol)
    await crowd.settled()
    took_us = (time.process_time_ns() - cpu) / 1e3 / len(crowd.users)
    return (
        took_us,
        _shares(cpus, cpu),
        _shares(walls, wall),
        crowd.group.transactions - transactions,
        crowd.group.commits - commits,
    )


def _shares(times_ns: Sequence[int], start_ns: int) -> tuple[float, float]:
    p50, p99 = np.percentile((np.array(times_ns) - start_ns) / 1e6, [50, 99])
    return float(p99), float(p50)  # the least of several is the one of the least p99


# ---------------------------------------------------------------------------- all of them


def users(amounts: Sequence[int], stores: Sequence[str] = STORES) -> Iterator[Figure]:
    """Yield every figure.

    Parameters
    ----------
    amounts : sequence of int
        How many users, each in a process of its own.
    stores : sequence of str
        Where decisions are written: `memory` (no database at all) or `sqlite` (a file, synced).
    """
    for store in stores:
        found = [_child(amount, store) for amount in amounts]
        for one in found:
            yield from _figures(one, found[0], store)
        if len(found) > 1:
            slope, wide = slope_of(found)
            name = f"{store}: detection CPU, exponent in the number of users"
            yield Figure(name, slope, f"+- {wide:.2f}", target="0.00 +- 0.02")


def _child(amount: int, store: str) -> Measured:
    done = subprocess.run(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-m", "app.proofs.bench_users", str(amount), store],
        check=False,
        capture_output=True,
    )
    if done.returncode:
        raise RuntimeError(done.stderr.decode()[-500:])
    return msgspec.json.decode(done.stdout, type=Measured)


def _figures(one: Measured, least_users: Measured, store: str) -> Iterator[Figure]:
    name = f"{store}, {one.users:,} users"
    detection = float(np.median(one.detection))
    yield Figure(f"{name}: detection", detection, "x without them", "x without", detection, "1")
    target = f"{KIB_MAX}" if one.users >= 100 else ""  # noqa: PLR2004 - a few share the fixed part
    yield Figure("  resident a user", one.kib, "KiB", "of the target", one.kib / KIB_MAX, target)
    yield Figure(
        "  CPU of a user at rest",
        one.idle_us,
        "us a second",
        f"x {least_users.users} user(s)",
        one.idle_us / least_users.idle_us,
    )
    yield Figure(
        "  CPU of a user and signal, news included",
        one.signal_us / 1e3,
        "ms",
        "x the bare decision",
        one.signal_us / one.decide_us,
        f"{SIGNAL_MS_MAX:g}",
    )
    (cpu99, cpu50), (wall99, wall50) = one.cpu_ms, one.wall_ms
    alone_ms = one.decide_us * one.users / 1e3
    yield Figure(
        "  signal to transport, p99",
        cpu99,
        "ms CPU",
        "x the bare decisions of all",
        cpu99 / alone_ms,
        f"{HANDED_MS_MAX}",
    )
    yield Figure("  p50", cpu50, "ms CPU", "x p99", cpu50 / cpu99)
    yield Figure("  p99 by the wall clock", wall99, "ms", "p50 x p99", wall50 / wall99)
    yield Figure(
        "  transactions a signal",
        one.transactions,
        "",
        "commits each",
        one.commits / max(1.0, one.transactions),
    )


def slope_of(found: Sequence[Measured]) -> tuple[float, float]:
    """Return the exponent of detection's CPU in the number of users, and twice its error."""
    x = np.array([np.log(one.users) for one in found for _ in one.detection])
    y = np.array([np.log(ratio) for one in found for ratio in one.detection])
    off = x - x.mean()
    spread = float(off @ off)
    slope = float(off @ y) / spread
    left = y - y.mean() - slope * off
    error = np.sqrt(float(left @ left) / max(1, len(x) - 2) / spread)
    return slope, 2.0 * float(error)


def main(arguments: Sequence[str]) -> None:
    """Measure one number of users and print it."""
    with TemporaryDirectory() as folder:
        out = asyncio.run(measure(int(arguments[0]), arguments[1], Path(folder)))
    sys.stdout.write(msgspec.json.encode(out).decode())


if __name__ == "__main__":
    main(sys.argv[1:])
