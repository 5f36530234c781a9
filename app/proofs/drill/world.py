"""One seeded world: market, venue, store, processes, people, faults, and the judge over all."""

import asyncio
import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np

from app.proofs.drill import acts, catalogue
from app.proofs.drill.dice import Dice
from app.proofs.drill.judge import Judge
from app.proofs.drill.loop import WORLD, DrillLoop, WorldClock, spawn
from app.proofs.drill.market import BAR_MS, PROFILE, SYMBOLS, Market
from app.proofs.drill.market import replay as draw_market
from app.proofs.drill.plan import Injection, Plan
from app.proofs.drill.process import Process
from app.proofs.drill.system import SOUND, Build, sound_brain
from app.proofs.drill.venue import FastDesk, Office
from app.proofs.simloop import START_MS
from data.records.memory import MemoryStore
from data.records.rows import SettingsRow, UserRow
from engine.account import messages as m
from engine.account.settings import UserSettings
from engine.account.signal import Signal, SignalEnd
from engine.risk.limits import RiskLimits
from live.accounts.notify import PumpOptions
from live.accounts.session import SessionOptions
from live.accounts.supervisor import SupervisorOptions
from live.accounts.wal import MemoryWals
from live.venues.resync import FeedOptions

FAULTY_S = 100.0
END_S = 160.0
_REDELIVER_S = 3.0
_GIVE_UP_MS = 30_000  # a signal older than this is not told again
_EQUITY = Decimal(10_000)
_YEAR_MS = 31_536_000_000
_CALM_S = 10.0


@dataclass(slots=True)
class Wanted:
    """A signal on the bus: told again until every user's verdict is written."""

    signal: Signal
    told: int = 0
    known: set[str] = field(default_factory=set)  # users whose verdict stands


class World:
    """One seed."""

    def __init__(  # noqa: PLR0915 - all that a world is made of
        self, loop: DrillLoop, seed: int, injections: list[Injection], users: int, build: Build
    ) -> None:
        self.loop = loop
        self.seed = seed
        self.build = build
        self.clock = WorldClock(loop)
        self.plan = Plan(injections)
        self.rng = Dice(seed ^ 0xD411)
        self.story: list[tuple[int, str]] = []
        self.said_lines: list[str] = []
        self.desk = FastDesk(
            draw_market(np.random.default_rng([seed, 0xD411])), "1m", seed=seed, start_ms=START_MS
        )
        self.desk.streams = {}
        self.office = Office(self.desk, self.plan, self.clock, seed)
        for symbol in SYMBOLS:
            self.desk.touch(symbol)
        self.market = Market(self, seed)
        self.store: Any = build.store(MemoryStore(self.clock))
        self.wals = MemoryWals()
        self.brain = build.brain(sound_brain())
        self.options = SessionOptions(feed=FeedOptions(check_s=20.0))
        self.supervising = SupervisorOptions(retry_max_s=8.0, refused_s=4.0)
        self.pumping = PumpOptions(retry_max_s=8.0)
        self.users = [f"00000000-0000-0000-0000-{n:012d}" for n in range(1, users + 1)]
        self.number_of = {user: n for n, user in enumerate(self.users)}
        self.settings: dict[str, UserSettings] = {}
        self.versions = dict.fromkeys(self.users, 1)
        self.processes: list[Process] = []
        self.wanted: list[Wanted] = []
        self.skew_ms = 0
        self.store_down_until_s = self.store_slow_until_s = self.disk_full_until_s = 0.0
        self.bus_down_until_s = self.bars_lost_until_s = self.notifier_deaf_until_s = 0.0
        self.backup: Any = None
        self.equity = _EQUITY
        self.first_settings: dict[str, UserSettings] = {}
        self.all_settings: dict[str, list[UserSettings]] = {u: [] for u in self.users}
        self.deliveries: list[tuple[float, Process, str, str]] = []
        self.last_words = ""
        self.broken: Exception | None = None  # an error of the drill's own
        self.replays = True
        self.telling = False  # of every step; for a person
        for n in range(users):
            self.office.keys[n] = self.desk.open_account(_EQUITY)
        self.troubles: list[list[float]] = [[] for _ in self.users]
        self.office.noticed = lambda n, at_s: self.troubles[n].append(at_s)
        self.office.heed = self.heed
        self.judge = Judge(self)
        self.desk.watch = lambda events: self.heed(self.judge.on_events, events)

    # ------------------------------------------------------------------ time and words

    @property
    def now_s(self) -> float:
        """Seconds since the beginning."""
        return self.loop.elapsed_s

    def tell(self, words: str) -> None:
        """Add a line to the story."""
        self.story.append((int(self.loop.elapsed_s * 1000), words))

    def said(self, life: Any, level: str, event: str, facts: dict[str, Any]) -> None:
        """Take a line of a process' log."""
        if level != "info":
            self.tell(f"{life.name} {level}: {event} {facts}")
        self.said_lines.append(f"{event} {facts}")

    def later(self, delay_s: float, call: Callable[[], object]) -> None:
        """Do something in a while."""
        self.loop.call_later(delay_s, call, context=WORLD)

    def heed(self, judge: Callable[..., object], *args: Any) -> None:
        """Let the judge look; its own errors are the drill's, not the system's."""
        try:
            judge(*args)
        except Exception as error:  # noqa: BLE001 - raised again where nobody can swallow it
            self.broken = self.broken or error

    def troubled(self, for_s: float = 0.0) -> None:
        """Know that everybody is in trouble, now and for so long."""
        for n in range(len(self.users)):
            self.office.trouble(n, for_s)

    @property
    def skewed(self) -> bool:
        """Tell whether any clock was ever wrong."""
        return any(i.kind in ("jump", "skew") for i in self.plan.struck)

    # ------------------------------------------------------------------ processes

    @property
    def alive(self) -> list[Process]:
        """Processes that are not dead."""
        return [p for p in self.processes if not p.life.dead]

    def start(self) -> Process:
        """Start another process."""
        made = Process(self, len(self.processes) + 1)
        self.processes.append(made)
        self.troubled()
        made.start()
        return made

    def start_after(self, ms: int) -> None:
        """Start a process in a while, unless one runs then."""
        self.later(ms / 1000.0, lambda: None if self.alive else self.start())

    # ------------------------------------------------------------------ the run

    async def run(self) -> None:
        """Live from the beginning to the end, then let the judge look at everything."""
        await self._people()
        self.start()
        for injection in self.plan.by_clock:
            self.later(injection.visit / 1000.0, lambda i=injection: self._strike(i))
        tasks = [
            spawn(None, self._time()),
            spawn(None, self._bars()),
            spawn(None, self._bus()),
            spawn(None, self._watch()),
        ]
        self._plan_signals()
        await asyncio.sleep(FAULTY_S)
        self._calm()
        await asyncio.sleep(END_S - FAULTY_S)
        await self._quiet()
        if self.broken is not None:
            raise self.broken
        self.judge.at_the_end()
        for task in tasks:
            wrong = task.exception() if task.done() and not task.cancelled() else None
            if wrong is not None:
                raise wrong  # the drill itself is wrong

    async def _people(self) -> None:
        for user in self.users:
            settings = self._draw_settings()
            self.settings[user] = self.first_settings[user] = settings
            self.all_settings[user].append(settings)
            row = UserRow(user_id=user, name=user[-4:], mode="sim", created_ms=1)
            body = msgspec.json.encode(settings)
            await self.store.add_user(
                row, SettingsRow(user_id=user, version=1, body=body, created_ms=1)
            )

    def _draw_settings(self) -> UserSettings:
        rng = self.rng
        risk = RiskLimits(
            risk_per_trade=Decimal(rng.choice(["0.0025", "0.005", "0.01"])),
            trades_max=rng.choice([1, 2, 3, 6]),
            total_risk_max=Decimal(rng.choice(["0.01", "0.02"])),
            daily_loss_max=Decimal(rng.choice(["0.005", "0.01", "0.02"])),
            margin_use_max=Decimal(rng.choice(["0.3", "0.6"])),
            cost_r_max=Decimal("0.5"),
            breaker_errors=rng.choice([3, 50]),
        )
        return UserSettings(
            profile=PROFILE,
            intervals_ms=(BAR_MS,),
            timezone=rng.choice(["UTC", "Asia/Tokyo", "America/New_York", "Europe/Warsaw"]),
            entry_mode=rng.choice(["retest", "retest", "next_open"]),
            retest_bars=rng.choice([4, 8, 12]),
            tp1_r=Decimal(rng.choice(["0.5", "0.75", "1"])),
            tp1_share=Decimal(rng.choice(["0.3", "0.5"])),
            trail_batr=Decimal(rng.choice(["1", "2", "3"])),
            time_stop_bars=rng.choice([6, 10, 20]),
            exit_on_failed=rng.random() < 0.5,  # noqa: PLR2004 - a coin
            cancel_on_end=rng.random() < 0.5,  # noqa: PLR2004 - a coin
            leverage=Decimal(rng.choice([3, 5])),
            risk=risk,
        )

    # ------------------------------------------------------------------ what goes by itself

    async def _time(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            self.desk.advance(self.clock.now_ms())
            if self.office.crashes:
                raise RuntimeError(self.office.crashes[0])
            if self.broken is not None:
                raise self.broken

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            self.judge.look()

    async def _bars(self) -> None:
        replay = self.desk.replay
        while True:
            now = self.clock.now_ms()
            end = now - now % BAR_MS + BAR_MS
            while self.clock.now_ms() < end:
                await asyncio.sleep(min(1.0, (end - self.clock.now_ms()) / 1000.0 + 0.001))
                self._quotes()
            await asyncio.sleep(0.05)
            if self.now_s < self.bars_lost_until_s or self.now_s < self.bus_down_until_s:
                continue
            for symbol in SYMBOLS:
                index = replay.index(symbol, end - BAR_MS)
                if index is not None:
                    self.bar(symbol, end - BAR_MS, replay.values(symbol, index))

    def bar(self, symbol: str, ts: int, values: Any) -> None:
        """Tell everybody of a closed bar."""
        o, h, lo, c = values[:4]
        for process in self.alive:
            message = m.BarClosed(
                at_ms=process.clock.now_ms(),
                symbol=symbol,
                interval_ms=BAR_MS,
                ts=ts,
                open=o,
                high=h,
                low=lo,
                close=c,
                quote=self.market.quote(symbol),
            )
            self.inside(process, process.supervisor.market, symbol, message)

    def _quotes(self) -> None:
        if self.now_s < self.bus_down_until_s:
            return
        for symbol in SYMBOLS:
            quote = self.market.quote(symbol)
            if quote is None:
                continue
            for process in self.alive:
                message = m.QuoteSeen(at_ms=process.clock.now_ms(), symbol=symbol, quote=quote)
                self.inside(process, process.supervisor.market, symbol, message)

    def inside(self, process: Process, call: Callable[..., object], *args: Any) -> None:
        """Call something of a process; a frozen or dead one does not notice."""
        if process.life.runs:
            call(*args)

    # ------------------------------------------------------------------ signals

    def _plan_signals(self) -> None:
        rng = self.rng
        for _ in range(rng.choice([2, 3, 4])):
            bar = rng.between(1, 17)
            burst = rng.choice([1, 1, 2, 3])
            for symbol in rng.sample(SYMBOLS, burst):
                self.later(bar * BAR_MS / 1000.0 + 0.08, lambda s=symbol: self._breakout(s))

    def _breakout(self, symbol: str) -> None:
        now = self.clock.now_ms()
        signal = self.market.signal(symbol, now - now % BAR_MS)
        if any(w.signal.signal_id == signal.signal_id for w in self.wanted):
            return
        wanted = Wanted(signal)
        self.wanted.append(wanted)
        self.tell(f"signal {signal.signal_id} at {signal.close:g}")
        self.deliver(wanted)
        if self.rng.random() < 0.3:  # noqa: PLR2004 - a share
            ends_s = self.rng.uniform(4.0, 40.0)
            kind = self.rng.choice(["FAILED", "COOLED", "INVAL"])
            self.later(ends_s, lambda: self._ended(signal, kind))

    def _ended(self, signal: Signal, kind: str) -> None:
        end = SignalEnd(
            symbol=signal.symbol,
            profile=signal.profile,
            interval_ms=signal.interval_ms,
            t=self.clock.now_ms(),
            kind=kind,
        )
        self.tell(f"{signal.symbol} {kind}")
        for process in self.alive:
            self.inside(process, process.supervisor.signal_ended, end)

    def deliver(self, wanted: Wanted) -> None:
        """Put a signal on the bus."""
        if self.now_s < self.bus_down_until_s:
            return
        for process in self.alive:
            if not process.life.runs:
                continue
            wanted.told += process.supervisor.signal(wanted.signal)
            for seat in process.supervisor.seats.values():
                if seat.session is not None and seat.session.engine is not None:
                    heard = (self.now_s, process, seat.user.user_id, wanted.signal.signal_id)
                    self.deliveries.append(heard)

    async def _bus(self) -> None:
        """Tell a signal again until every user has a verdict on it, or it is old."""
        while True:
            await asyncio.sleep(_REDELIVER_S)
            now = self.clock.now_ms()
            for wanted in self.wanted:
                owed = [u for u in self.users if u not in wanted.known]
                if owed and now - wanted.signal.t < _GIVE_UP_MS:
                    self.deliver(wanted)

    # ------------------------------------------------------------------ faults by the hour

    def _strike(self, hit: Injection) -> None:
        if self.plan.over:
            return
        self.tell(f"fault {hit}")
        if acts.strike(self, hit):
            self.plan.fire(hit)
            lasting = hit.kind not in ("jump", "skew", "gap", "flood")
            self.troubled(hit.amount / 1000.0 if lasting else 0.0)

    def limits_of(self, user_id: str) -> list[RiskLimits]:
        """Return the limits of every version of a user's settings so far."""
        return [settings.risk for settings in self.all_settings[user_id]]

    def heard_well(self, wanted: Wanted, user_id: str) -> bool:
        """Tell whether a signal reached a user's engine that could go on undisturbed."""
        number = self.number_of[user_id]
        for at_s, process, user, signal_id in self.deliveries:
            if (user, signal_id) != (user_id, wanted.signal.signal_id):
                continue
            ended = process.life.dead_s is not None and process.life.dead_s < at_s + _CALM_S
            troubled = any(at_s - 1.0 < s < at_s + _CALM_S for s in self.troubles[number])
            if not ended and not troubled:
                return True
        return False

    def keep_backup(self) -> None:
        """Copy the store as it is."""
        rows = {k: v for k, v in self.store.__dict__.items() if k != "_clock"}
        self.backup = copy.deepcopy(rows)

    def _calm(self) -> None:
        """Let no more faults happen; give back what was taken."""
        self.tell("quiet")
        self.plan.over = True
        self.store_down_until_s = self.store_slow_until_s = self.disk_full_until_s = 0.0
        self.bus_down_until_s = self.notifier_deaf_until_s = 0.0
        self.office.banned_until_s = self.office.restarting_until_s = 0.0
        for n in range(len(self.users)):
            self.renew_key(n)
        for process in self.processes:
            process.life.frozen = False
        if not self.alive:
            self.start()

    def renew_key(self, user: int) -> None:
        """Give a key that ended back."""
        key = self.office.keys[user]
        self.desk.keys.change(key.key, expires_ms=self.clock.now_ms() + _YEAR_MS)

    async def _quiet(self) -> None:
        for _ in range(30):
            if self.judge.settled():
                return
            await asyncio.sleep(2.0)


def run_seed(
    seed: int,
    *,
    users: int = 2,
    build: Build = SOUND,
    injections: list[Injection] | None = None,
    amount: int = 20,
    telling: bool = False,
) -> World:
    """Run one seed to its end; the world tells what happened."""
    from app.proofs.drill.loop import run

    if injections is None:
        injections = catalogue.draw(Dice(seed), users, amount)
    made: list[World] = []

    async def main(loop: DrillLoop) -> None:
        world = World(loop, seed, injections, users, build)
        world.telling = telling
        made.append(world)
        await world.run()
        for process in world.processes:
            process.life.dead = True

    run(main, seed)
    return made[0]
