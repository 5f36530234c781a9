"""A world for user engines: the simulated venue, a store in memory, one or two processes, a market.

Everything runs on virtual time; a process is a supervisor with its own clients, and killing it is
cancelling it in the middle of whatever it does.
"""

import asyncio
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np

from app.proofs import simloop
from app.proofs.exactly_once_world import SYMBOLS, market
from app.proofs.simwire import DoorConnect, DoorTransport
from data.records.faulty import faulty
from data.records.memory import MemoryStore
from data.records.rows import SettingsRow, Unavailable, UserRow
from engine.account.messages import RegimeSeen
from engine.account.settings import UserSettings
from engine.account.signal import Quote, Signal
from engine.venue.exchange.commands import Price
from engine.venue.instrument import Instrument
from live.accounts.commit import Group
from live.accounts.ports import Account, NoAccount
from live.accounts.session import Parts, SessionOptions
from live.accounts.supervisor import Supervisor, SupervisorOptions
from live.accounts.wal import MemoryWals
from live.venues.bybit.budgets import RequestBudget
from live.venues.bybit.clock_offset import VenueClock
from live.venues.bybit.gate import Gate
from live.venues.bybit.private_stream import BybitPrivateStream
from live.venues.bybit.signer import Signer
from live.venues.bybit.simacts import human
from live.venues.bybit.simvenue import SimVenue
from live.venues.bybit.trading import BybitTrading
from tests.live.accounts.toy import Toy

SYMBOL = SYMBOLS[0]


class Lines:
    """A log that a test reads."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, Any]]] = []

    def _say(self, level: str, event: str, facts: dict[str, Any]) -> None:
        self.lines.append((level, event, facts))

    def info(self, event: str, **facts: Any) -> None:
        self._say("info", event, facts)

    def warning(self, event: str, **facts: Any) -> None:
        self._say("warning", event, facts)

    def error(self, event: str, **facts: Any) -> None:
        self._say("error", event, facts)

    def events(self) -> list[str]:
        return [event for _, event, _ in self.lines]


class Weather:
    """What befalls the store."""

    def __init__(self) -> None:
        self.down = False
        self.unknown: set[str] = set()  # methods done, and nobody told so
        self.calls: list[str] = []
        self.hook: Any = None

    def __call__(self, method: str, user_id: str) -> Unavailable | None:
        self.calls.append(method)
        if self.hook is not None:
            self.hook(method, user_id)
        if self.down:
            return Unavailable(reason="the database is away", kind="down")
        if method in self.unknown:
            self.unknown.discard(method)
            return Unavailable(
                reason="the connection was lost at COMMIT", kind="unknown_commit",
                maybe_committed=True,
            )  # fmt: skip
        return None


class Facts:
    """The market as the engines see it."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.held: dict[str, list[str]] = {}

    def quote(self, symbol: str) -> Quote | None:
        price = self._world.venue.desk.exchange.prices.get(symbol)
        if price is None:
            return None
        at = float(price.last)
        return Quote(
            ts=self._world.clock.now_ms(), bid=at, ask=at, mark=float(price.mark),
            spread_bps=1.0, sweep_bps=1.0, funding_rate=0.0,
        )  # fmt: skip

    def contract(self, symbol: str) -> Instrument | None:
        return self._world.venue.desk.exchange.instruments.get(symbol)

    def regime(self) -> RegimeSeen | None:
        return RegimeSeen(at_ms=0, regime="NORMAL", breadth=0.6)

    def hold(self, holder: str, symbols: Any) -> None:
        self.held[holder] = list(symbols)


class Process:
    """One `zion serve`: its own wire, its own supervisor, the same store and venue."""

    def __init__(self, world: "World", name: str) -> None:
        self.world = world
        self.name = name
        clock = world.clock
        self.transport = DoorTransport(world.venue, clock, world.rng)
        self.budget = RequestBudget(clock)
        self.gate = Gate(self.transport, self.budget, VenueClock(clock), clock, world.rng)
        self.log = Lines()
        self.facts = Facts(world)
        self.group = Group(world.store, clock)
        self.parts = Parts(
            store=world.store, group=self.group, wals=world.wals, accounts=self,
            brain=world.brain, market=self.facts, clock=clock, log=self.log,
            options=world.options,
        )  # fmt: skip
        self.supervisor = Supervisor(self.parts, name, options=world.supervising)
        self.task: asyncio.Task[None] | None = None

    async def open(self, user: UserRow) -> Account | NoAccount:
        world = self.world
        key = world.keys[user.user_id]
        signer = Signer(key.key, key.secret)
        stream = BybitPrivateStream(
            "ws://sim", signer, self.gate.venue_clock, world.clock, world.rng,
            sync_clock=self.gate.sync_clock, connections=self.budget.connections,
            connect=DoorConnect(world.venue, world.clock),
        )  # fmt: skip
        venue: Any = BybitTrading(
            self.gate, signer, user=user.user_id, on_accepted=stream.expect_data
        )
        return Account(world.wrap(venue, self), stream)

    async def check(self, user: UserRow) -> NoAccount | None:
        return self.world.refusals.get(user.user_id)

    def start(self) -> None:
        self.task = asyncio.get_running_loop().create_task(self.supervisor.run())

    async def kill(self) -> None:
        """End at once: nothing is finished, nothing is said."""
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
        await self.gate.close()

    def session(self, user_id: str) -> Any:
        return self.supervisor.seats[user_id].session

    def engine(self, user_id: str) -> Any:
        return self.session(user_id).engine


class World:
    """Venue, store, users."""

    def __init__(
        self,
        clock: simloop.SimClock,
        *,
        users: int = 1,
        seed: int = 1,
        brain: Any = None,
        equity: int = 10_000,
    ) -> None:
        self.clock = clock
        self.rng = np.random.default_rng([seed, 0xACC])
        self.venue = SimVenue(market(self.rng), "1m", seed=seed, start_ms=clock.now_ms())
        for symbol in SYMBOLS:
            self.venue.desk.touch(symbol)
        self.weather = Weather()
        self.memory = MemoryStore(clock)
        self.store = faulty(self.memory, self.weather)
        self.wals = MemoryWals()
        self.brain = brain if brain is not None else Toy()
        self.options = SessionOptions()
        self.supervising = SupervisorOptions()
        self.users = [f"00000000-0000-0000-0000-{n:012d}" for n in range(1, users + 1)]
        self.keys = {u: self.venue.desk.open_account(Decimal(equity)) for u in self.users}
        self.refusals: dict[str, NoAccount] = {}
        self.wrap: Any = lambda venue, _process: venue
        self.still = False
        self._tasks: list[asyncio.Task[None]] = []

    async def begin(self, settings: UserSettings | None = None) -> None:
        body = msgspec.json.encode(settings or UserSettings(intervals_ms=(60_000,)))
        for user in self.users:
            row = UserRow(user_id=user, name=user[-4:], mode="sim", created_ms=1)
            said = await self.memory.add_user(
                row, SettingsRow(user_id=user, version=1, body=body, created_ms=1)
            )
            assert said is None
        self._tasks.append(asyncio.get_running_loop().create_task(self._time()))

    async def _time(self) -> None:
        while True:
            await self.clock.sleep(0.5)
            if self.still:
                self.venue.desk.tape.now_ms = self.clock.now_ms()
                self.venue.desk.tick()
            else:
                self.venue.desk.advance(self.clock.now_ms())

    def process(self, name: str = "one") -> Process:
        made = Process(self, name)
        made.start()
        return made

    async def ready(self, process: Process) -> None:
        """Wait until every engine of a process has read its account."""
        for _ in range(600):
            await self.clock.sleep(0.1)
            seats = process.supervisor.seats.values()
            engines = [s.session.engine if s.session else None for s in seats]
            states = [e.state if e is not None else None for e in engines]
            if len(states) == len(self.users) and all(map(_has_read, states)):
                return
        raise AssertionError([(s.standing, s.why) for s in process.supervisor.seats.values()])

    # ------------------------------------------------------------------ the market

    def last(self, symbol: str = SYMBOL) -> Decimal:
        return self.venue.desk.exchange.prices[symbol].last

    def signal(self, symbol: str = SYMBOL, *, over_bps: int = 20, stop_bps: int = 500) -> Signal:
        """A breakout now; its level above the market fills at once, below it rests."""
        last = float(self.last(symbol))
        t = self.clock.now_ms()
        return Signal(
            signal_id=f"default-1m-{symbol}-{t}", symbol=symbol, profile="default",
            interval_ms=60_000, t=t, close=last, level=last * (1 + over_bps / 1e4),
            levels=(last,) * 8, floor=last * (1 - stop_bps / 1e4), batr=last * 0.01,
            atr=last * 0.01,
        )  # fmt: skip

    def calm(self) -> None:
        """Let the market stand still but for what a test says."""
        self.still = True
        exchange, played = self.venue.desk.exchange, self.venue.desk.tape.quote

        def quote(symbol: str) -> Decimal:
            price = exchange.prices.get(symbol)
            return price.mark if price is not None else played(symbol)

        self.venue.desk.tape.quote = quote

    def by_hand(self, user: str, action: str, symbol: str = SYMBOL) -> None:
        """A person at the venue's screen."""
        human(self.venue.desk, self.keys[user].uid, action, symbol=symbol, value="")

    def price(self, to: Decimal, symbol: str = SYMBOL) -> None:
        """Let the coin trade at a price now."""
        tick = self.venue.desk.exchange.instruments[symbol].tick_size
        at = (to / tick).to_integral_value() * tick
        self.venue.desk.step(Price(symbol=symbol, last=at, mark=at, index=at))

    # ------------------------------------------------------------------ the truth

    def account(self, user: str) -> Any:
        return self.venue.desk.exchange.account(self.keys[user].uid)

    def entries(self, user: str) -> list[Any]:
        orders = self.account(user).orders.values()
        return [o for o in orders if o.order_link_id.startswith("z") and not o.reduce_only]

    def position(self, user: str, symbol: str = SYMBOL) -> Any:
        return self.account(user).positions.get((symbol, 0))

    async def end(self, *processes: Process) -> None:
        for process in processes:
            await process.kill()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _has_read(state: Any) -> bool:
    return bool(getattr(state, "seen", False) or getattr(state, "read_ms", 0))


def run(main: Any, seed: int = 1) -> Any:
    """Run a test's coroutine in virtual time; a failure nobody looked at fails it."""

    async def watched(clock: simloop.SimClock) -> Any:
        loose: list[str] = []
        asyncio.get_running_loop().set_exception_handler(
            lambda _, said: loose.append(f"{said.get('message')}: {said.get('exception')!r}")
        )
        result = await main(clock)
        assert not loose, loose
        return result

    return simloop.run(watched, seed)
