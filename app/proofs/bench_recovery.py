"""How long a start takes after kill -9, with a thousand users and hundreds of positions.

The time of the venue's limits is virtual (they take minutes), the venue is the simulated one with
its true limits, and the client keeps its own 80 % of them. Reading the store is real time.
"""

import asyncio
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import numpy as np

from app.proofs import simloop
from app.proofs.bench import Figure
from app.proofs.bench_crowd import Quiet
from app.proofs.bench_peer import market, names
from app.proofs.simwire import DoorConnect, DoorTransport
from data.records.opening import open_inline
from data.records.port import Store
from data.records.rows import SettingsRow, Stored, UserRow
from engine.account.messages import RegimeSeen
from engine.account.settings import UserSettings
from engine.account.signal import Quote, Signal
from engine.account.state import AccountState
from engine.risk.limits import RiskLimits
from engine.venue.instrument import Instrument
from live.accounts.brain import AccountBrain
from live.accounts.commit import Group
from live.accounts.ports import Account, NoAccount
from live.accounts.session import Parts
from live.accounts.supervisor import Supervisor
from live.accounts.wal import MemoryWals
from live.venues.bybit.accounts import BybitAccounts, NotOpened, Opened
from live.venues.bybit.simlimits import NO_LIMITS, Limits
from live.venues.bybit.simvenue import SimVenue
from live.venues.keys import Key

USERS, EXPOSED_SHARE, COINS = 1_000, 0.4, 6
MINUTE_MS = 60_000
EQUITY = Decimal(100_000)
SETTINGS = UserSettings(
    intervals_ms=(MINUTE_MS,),
    cancel_on_end=False,
    retest_bars=100,
    risk=RiskLimits(
        risk_per_trade=Decimal("0.003"), symbol_risk_max=Decimal("0.02"), quote_age_max_ms=60_000
    ),
)
MEMORY_S, EXPOSED_S, ALL_S, SOCKETS_S = 2.0, 30.0, 60.0, 310.0
LEFT_OUT_S = 400.0  # what is not there by then is not counted on


class _Market:
    """The market as the engines see it: the simulated venue's own prices."""

    def __init__(self, venue: SimVenue, clock: simloop.SimClock) -> None:
        self._venue = venue
        self._clock = clock

    def quote(self, symbol: str) -> Quote | None:
        """Return the last price as a quote of now."""
        at = float(self._venue.desk.exchange.prices[symbol].last)
        return Quote(
            ts=self._clock.now_ms(), bid=at, ask=at, mark=at, spread_bps=1.0, sweep_bps=1.0,
            funding_rate=0.0,
        )  # fmt: skip

    def contract(self, symbol: str) -> Instrument | None:
        """Return a coin's rules."""
        return self._venue.desk.exchange.instruments.get(symbol)

    def regime(self) -> RegimeSeen | None:
        """Return a calm market."""
        return RegimeSeen(at_ms=0, regime="NORMAL", breadth=0.6)

    def hold(self, holder: str, symbols: Any) -> None:
        """Nobody follows books here."""


class Recovery:
    """The venue and the store that outlive a process.

    Parameters
    ----------
    users : int
    folder : Path
        Of the database.
    """

    def __init__(self, clock: simloop.SimClock, users: int, folder: Path) -> None:
        self.clock = clock
        self.rng = np.random.default_rng(7)
        self.coins = names(COINS)
        self.venue = SimVenue(
            market(COINS, 30, clock.now_ms()), "1m", start_ms=clock.now_ms(), rules=NO_LIMITS
        )
        for symbol in self.coins:
            self.venue.desk.touch(symbol)
        self.store: Store = open_inline(folder / "bench.db", clock, durable=False)
        self.users = [f"00000000-0000-4000-8000-{n:012d}" for n in range(users)]
        # Spread over all: nobody is first because of where they stand in the list.
        self.exposed = {u for n, u in enumerate(self.users) if n % 5 < 5 * EXPOSED_SHARE}
        made = {user: self.venue.desk.open_account(EQUITY) for user in self.users}
        self.keys = {user: Key(key.key, key.secret) for user, key in made.items()}
        self.uids = [key.uid for key in made.values()]

    async def begin(self) -> None:
        """Make the users."""
        body = msgspec.json.encode(SETTINGS)
        for user_id in self.users:
            row = UserRow(user_id=user_id, name=user_id[-4:], mode="sim", created_ms=1)
            settings = SettingsRow(user_id=user_id, version=1, body=body, created_ms=1)
            await self.store.add_user(row, settings)

    async def time(self) -> None:
        """Let the venue's clock go on; its prices stand."""
        while True:
            await self.clock.sleep(0.5)
            self.venue.desk.tape.now_ms = self.clock.now_ms()
            self.venue.desk.tick()

    def signal(self, symbol: str, over: float) -> Signal:
        """Return a breakout of now whose level is so far over the market."""
        last = float(self.venue.desk.exchange.prices[symbol].last)
        t = self.clock.now_ms()
        return Signal(
            signal_id=f"default-1m-{symbol}-{t}", symbol=symbol, profile="default",
            interval_ms=MINUTE_MS, t=t, close=last, level=last * (1 + over), levels=(last,) * 8,
            floor=last * 0.95, batr=last * 0.01, atr=last * 0.01,
        )  # fmt: skip


class Process:
    """One `zion serve` of this world: everything in it goes with a kill."""

    def __init__(self, world: Recovery, name: str, *, only: set[str] | None = None) -> None:
        clock = world.clock
        self.world = world
        self.transport = DoorTransport(world.venue, clock, world.rng)
        self.accounts = BybitAccounts(
            self.transport, "ws://sim", clock, world.rng, real_money=False,
            connect=DoorConnect(world.venue, clock),
        )  # fmt: skip
        self.log = Quiet()
        self.opened: dict[str, Opened] = {}
        parts = Parts(
            store=world.store, group=Group(world.store, clock), wals=MemoryWals(), accounts=self,
            brain=AccountBrain(), market=_Market(world.venue, clock), clock=clock, log=self.log,
        )  # fmt: skip
        serves = (lambda _: True) if only is None else (lambda row: row.user_id in only)
        self.supervisor = Supervisor(parts, name, serves=serves)
        self.task: asyncio.Task[None] | None = None

    async def open(self, user: UserRow) -> Account | NoAccount:
        """Open an account as `zion serve` does."""
        found = await self.accounts.open(user.user_id, self.world.keys[user.user_id])
        if isinstance(found, NotOpened):
            return NoAccount(found.faults, retryable=found.retryable)
        self.opened[user.user_id] = found
        return Account(found.venue, found.stream, found.margin_mode)

    async def check(self, user: UserRow) -> NoAccount | None:
        """Find nothing wrong."""

    def states(self) -> dict[str, AccountState]:
        """Return the state of every engine that runs."""
        seats = self.supervisor.seats.items()
        return {
            user: seat.session.engine.state
            for user, seat in seats
            if seat.session is not None and seat.session.engine is not None
        }

    def read(self) -> set[str]:
        """Return who has read and reconciled the account since the start."""
        return {u for u, s in self.states().items() if s is not None and _is_whole(s)}

    def streams(self) -> int:
        """Return how many private streams tell."""
        return sum(opened.stream.up for opened in self.opened.values())

    def start(self) -> None:
        """Begin."""
        self.task = asyncio.get_running_loop().create_task(self.supervisor.run())

    async def kill(self) -> None:
        """End at once: nothing is finished, nothing is said."""
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
        await self.accounts.close()


def _is_whole(state: AccountState) -> bool:
    return state.read_ms > 0 and not state.differences


async def _until(world: Recovery, holds: Any, wait_s: float) -> float:
    """Wait until something holds; returns for how long, `inf`: it does not."""
    begun_s = world.clock.monotonic_s()
    while not holds():
        if world.clock.monotonic_s() - begun_s > wait_s:
            return float("inf")
        await world.clock.sleep(0.25)
    return world.clock.monotonic_s() - begun_s


async def trade(world: Recovery) -> tuple[int, int]:
    """Let the exposed users trade; returns their positions and open intents as stored."""
    process = Process(world, "first", only=world.exposed)
    process.start()
    exposed = len(world.exposed)
    reached = await _until(world, lambda: len(process.read()) == exposed, 600.0)
    if reached == float("inf"):
        raise RuntimeError(f"the engines do not start: {process.log.wrong[:3]}")
    for number, symbol in enumerate(world.coins):
        process.supervisor.signal(world.signal(symbol, 0.002 if number == 0 else -0.02))
        await world.clock.sleep(20.0)
    await process.kill()
    intents = 0
    for user in world.exposed:
        stored = await world.store.load(user)
        intents += len(stored.intents) if isinstance(stored, Stored) else 0
    exchange = world.venue.desk.exchange
    held = sum(
        bool(position.size)
        for uid in world.uids
        for position in exchange.account(uid).positions.values()
    )
    return held, intents


async def load_s(world: Recovery) -> float:
    """Return how long reading every user's state takes, CPU and disk."""
    brain = AccountBrain()
    begin = time.perf_counter()
    for user in world.users:
        stored = await world.store.load(user)
        if isinstance(stored, Stored) and stored.state is not None:
            brain.decode(stored.state)
    return time.perf_counter() - begin


async def _run(clock: simloop.SimClock, users: int, folder: Path) -> list[Figure]:
    world = Recovery(clock, users, folder)
    await world.begin()
    beat = asyncio.create_task(world.time())
    held, intents = await trade(world)
    await clock.sleep(30.0)  # the leases of the dead end
    memory_s = await load_s(world)
    limits = world.venue.limits = world.venue.door.limits = Limits()
    process = Process(world, "second")
    process.start()
    exposed, everybody = world.exposed, len(world.users)
    exposed_s = await _until(world, lambda: exposed <= process.read(), LEFT_OUT_S)
    all_s = exposed_s + await _until(world, lambda: len(process.read()) == everybody, LEFT_OUT_S)
    rest_s = await _until(world, lambda: process.streams() == everybody, LEFT_OUT_S)
    refused = sum(limits.refused.values()) + process.accounts.gate.throttled
    refused += process.accounts.budget.bans
    sends = process.transport.sends
    await process.kill()
    beat.cancel()
    await asyncio.gather(beat, return_exceptions=True)
    await world.store.close()
    name = f"{users:,} users, {held:,} positions, {intents:,} open intents"
    ratio = "of the target"
    sockets_s = all_s + rest_s
    return [
        Figure(f"{name}: states read", memory_s, "s", ratio, memory_s / MEMORY_S, f"{MEMORY_S:g}"),
        Figure("  exposed users reconciled", exposed_s, "s, virtual", ratio, exposed_s / EXPOSED_S,
               f"{EXPOSED_S:g}"),
        Figure("  all users reconciled", all_s, "s, virtual", ratio, all_s / ALL_S, f"{ALL_S:g}"),
        Figure("  all private streams up", sockets_s, "s, virtual", ratio, sockets_s / SOCKETS_S,
               f"{SOCKETS_S:g}"),
        Figure("  requests meanwhile", float(sends), "", "a user", sends / users),
        Figure("  of them refused (403, 10006)", float(refused), "", "", None, "0"),
    ]  # fmt: skip


def recovery(users: int = USERS) -> Iterator[Figure]:
    """Yield every figure."""
    with TemporaryDirectory() as folder:
        yield from simloop.run(lambda clock: _run(clock, users, Path(folder)), 7)
