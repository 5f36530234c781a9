"""One simulated process: the real supervisor and sessions on ports that may fail and die."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from app.proofs.drill.loop import WORLD, Life, ProcessClock, spawn
from app.proofs.drill.plan import Injection, drawn
from app.proofs.drill.stream import Stream
from app.proofs.drill.venue import Wire
from data.records.rows import Commit, Committed, OutboxRow, Unavailable, UserRow
from engine.account.messages import RegimeSeen
from engine.account.signal import Quote
from engine.venue.instrument import Instrument
from live.accounts.notify import OutboxPump
from live.accounts.ports import Account, NoAccount
from live.accounts.session import Parts
from live.accounts.supervisor import Supervisor
from live.venues.bybit.signer import Signer
from live.venues.bybit.trading import BybitTrading

World = Any  # it stands above this file


_SILENT = frozenset({"release", "outbox_done", "close"})
_DRAIN_S = 12.0  # after SIGTERM comes SIGKILL


class Process:
    """One `zion serve`.

    Parameters
    ----------
    world : World
    number : int
        Counts processes of this world.
    """

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.life = Life(f"p{number}")
        self.clock = ProcessClock(world.loop, skew_ms=world.skew_ms)
        self.log = Lines(world, self.life)
        self.store = _connect(self)
        self.streams: list[Stream] = []
        make = world.build
        self.group = make.group(self.store, self.clock)
        self.facts = make.market(Facts(self), self)
        self.parts = Parts(
            store=self.store,
            group=self.group,
            wals=ProcessWals(self),
            accounts=self,
            brain=world.brain,
            market=self.facts,
            clock=self.clock,
            log=self.log,
            options=make.options(world.options),
        )
        self.supervisor: Supervisor = make.supervisor(
            self.parts, self.life.name, options=world.supervising
        )
        self.pump: OutboxPump = make.pump(self.store, self, self.clock, self.log, world.pumping)
        self.draining = False

    # ------------------------------------------------------------------ life

    def start(self) -> None:
        """Begin."""
        self.world.tell(f"{self.life.name} starts")
        spawn(self.life, self._run(self.supervisor.run()))
        spawn(self.life, self._run(self.pump.run()))

    async def _run(self, main: Any) -> None:
        try:
            await main
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - a process that falls is a violation
            if not self.life.dead:
                self.world.judge.found("crash", f"{self.life.name}: {_words(error)}")
                self.die("fell")

    def die(self, why: str) -> None:
        """End here and now: kill -9."""
        if self.life.dead:
            return
        self.life.dead, self.life.why = True, why
        self.life.dead_s = self.world.now_s
        self.world.tell(f"{self.life.name} dies ({why})")
        for stream in self.streams:
            stream.push("", [])  # it leaves

    def freeze(self, ms: int) -> None:
        """Stop here and now: SIGSTOP, SIGCONT after a while."""
        if self.life.frozen or self.life.dead:
            return
        self.life.frozen = True
        self.world.tell(f"{self.life.name} freezes for {ms} ms")
        self.world.troubled()

        def thaw() -> None:
            self.life.frozen = False
            self.world.troubled()

        self.world.loop.call_later(ms / 1000.0, thaw, context=WORLD)

    async def strike(self, hit: Injection, *kinds: str) -> None:
        """Let a deadly fault happen if it is one of these."""
        if hit.kind not in kinds or not self.life.runs:
            return
        self.world.plan.fire(hit)
        if hit.kind == "freeze":
            self.freeze(hit.amount)
            await asyncio.sleep(0)
            return
        self.die(str(hit))
        self.world.start_after(hit.amount)
        await asyncio.get_running_loop().create_future()

    def sigterm(self) -> None:
        """Ask to stop; after a while nobody asks any more."""
        if self.draining or self.life.dead:
            return
        self.draining = True
        self.world.tell(f"{self.life.name} is asked to stop")

        async def drain() -> None:
            await self.supervisor.drain()
            self.die("drained")

        spawn(self.life, drain())
        self.world.loop.call_later(_DRAIN_S, lambda: self.die("SIGKILL"), context=WORLD)

    # ------------------------------------------------------------------ accounts

    async def open(self, user: UserRow) -> Account | NoAccount:
        """Open a user's account."""
        number = self.world.number_of[user.user_id]
        key = self.world.office.keys[number]
        known = self.world.desk.keys.find(key.key)
        if known is None or not self.world.desk.keys.still_good(key.key, self.clock.now_ms()):
            return NoAccount((("key", "the key is refused"),), retryable=True)
        wire: Any = Wire(self.world.office, number, self.life, self.strike)
        stream = Stream(self.world.office, number, self.life, self.strike)
        self.streams.append(stream)
        venue: Any = BybitTrading(wire, Signer(key.key, key.secret), user=user.user_id)
        account = self.world.desk.exchange.account(key.uid)
        venue = self.world.build.venue(venue, self)
        return Account(venue, stream, lambda: account.margin_mode.value)

    async def check(self, user: UserRow) -> NoAccount | None:
        """Look at the key again."""
        return None if user.user_id in self.world.number_of else NoAccount((("key", "unknown"),))

    # ------------------------------------------------------------------ notifier

    async def tell(self, row: OutboxRow) -> str:
        """Tell a person something."""
        world = self.world
        hit = world.plan.at("notify")
        if hit is not None:
            await self.strike(hit, "kill_before", "freeze")
        await asyncio.sleep(0.02)
        if world.now_s < world.notifier_deaf_until_s:
            return "429 too many requests"
        world.heed(world.judge.told, row, self.life)
        if hit is not None:
            await self.strike(hit, "kill_after")
        return ""


def _words(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error} {getattr(error, 'why', '')}"


class Lines:
    """The operator's log: kept for the story and for whoever looks for secrets."""

    def __init__(self, world: World, life: Life) -> None:
        self._world = world
        self._life = life

    def _say(self, level: str, event: str, facts: dict[str, Any]) -> None:
        if not self._life.dead:
            self._world.said(self._life, level, event, facts)

    def info(self, event: str, **facts: Any) -> None:
        """Say what happened."""
        self._say("info", event, facts)

    def warning(self, event: str, **facts: Any) -> None:
        """Say what should be looked at."""
        self._say("warning", event, facts)

    def error(self, event: str, **facts: Any) -> None:
        """Say what went wrong."""
        self._say("error", event, facts)


class Facts:
    """The market as one process knows it."""

    def __init__(self, process: Process) -> None:
        self._world = process.world
        self._process = process

    def quote(self, symbol: str) -> Quote | None:
        """Return the newest quote."""
        return self._world.market.quote(symbol)

    def contract(self, symbol: str) -> Instrument | None:
        """Return a coin's rules."""
        return self._world.market.contract(symbol)

    def regime(self) -> RegimeSeen | None:
        """Return the market's regime."""
        return self._world.market.regime

    def hold(self, holder: str, symbols: Iterable[str]) -> None:
        """Nothing is followed that is not followed anyway."""


class ProcessWals:
    """The local files: they outlive the process, but nobody writes to them who is dead."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def of(self, user_id: str) -> "ProcessWal":
        """Return a user's file."""
        return ProcessWal(self._process, self._process.world.wals.of(user_id))


class ProcessWal:
    """One file."""

    def __init__(self, process: Process, inner: Any) -> None:
        self._process = process
        self._inner = inner

    def append(self, line: bytes) -> None:
        """Write a line, if there is anybody to write it and room."""
        if self._process.life.dead:
            raise OSError(5, "dead")
        if self._process.world.now_s < self._process.world.disk_full_until_s:
            raise OSError(28, "no space left on device")
        self._inner.append(line)

    def read(self) -> Sequence[bytes]:
        """Return every whole line."""
        return self._inner.read()

    def clear(self) -> None:
        """Forget everything."""
        if not self._process.life.dead:
            self._inner.clear()

    def set_aside(self) -> str:
        """Keep the file under another name."""
        return "" if self._process.life.dead else self._inner.set_aside()


class ProcessStore:
    """One process' connection to the store, with all that may befall it."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._world = process.world
        self._inner = process.world.store

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if name.startswith("_"):
            raise AttributeError(name)

        async def call(*args: Any, **named: Any) -> Any:
            return await self._call(name, method, args, named)

        self.__dict__[name] = call
        return call

    async def _call(  # noqa: C901 - the life of a call, step by step
        self, name: str, method: Callable[..., Any], args: tuple[Any, ...], named: dict[str, Any]
    ) -> Any:
        process, world = self._process, self._world
        site = "commit" if name == "commit_many" else name
        commits: Sequence[Commit] = ()
        if site == "commit":
            commits = args[0] if name == "commit_many" else (args[0],)
        hits = [h for h in self._hits(site, commits) if h is not None]
        for hit in hits:
            await process.strike(hit, "kill_before", "freeze")
        if process.life.dead:
            await asyncio.get_running_loop().create_future()
        if site == "commit":
            turn = drawn(world.seed, world.plan.visits["store.commit"])
            slow = world.now_s < world.store_slow_until_s
            await asyncio.sleep(4.0 * turn if slow else 0.001 + 0.01 * turn)
        away = self._weather(name, hits)
        if away is not None and not away.maybe_committed:
            return self._away(name, unsure(away) if away.kind == "unknown_commit" else away, args)
        if process.life.dead:
            await asyncio.get_running_loop().create_future()
        result = method(*args, **named)
        if asyncio.iscoroutine(result):
            result = await result
        if commits:
            outcomes = result if name == "commit_many" else [result]
            for commit, outcome in zip(commits, outcomes, strict=True):
                if isinstance(outcome, Committed):
                    world.heed(world.judge.committed, commit, outcome, process.life)
        if away is not None:
            return self._away(name, away, args)
        for hit in hits:
            await process.strike(hit, "kill_after")
        return result

    def _hits(self, site: str, commits: Sequence[Commit]) -> Iterable[Injection | None]:
        plan = self._world.plan
        yield plan.at(f"store.{site}")
        if any(row.state == "placed" for commit in commits for row in commit.intents):
            yield plan.at("store.commit.placed")

    def _weather(self, name: str, hits: list[Injection]) -> Unavailable | None:
        world = self._world
        if world.now_s < world.store_down_until_s:
            return Unavailable(reason="the database is away", kind="down")
        if world.now_s < world.disk_full_until_s and name.startswith(("commit", "add", "set")):
            return Unavailable(reason="no space left on device", kind="full")
        for hit in hits:
            if hit.kind == "locked":
                world.plan.fire(hit)
                return Unavailable(reason="database is locked", kind="locked")
            if hit.kind == "unknown_commit":
                world.plan.fire(hit)
                return Unavailable(
                    reason="the connection was lost at COMMIT",
                    kind="unknown_commit",
                    maybe_committed=bool(hit.amount),
                )
        return None

    @staticmethod
    def _away(name: str, away: Unavailable, args: tuple[Any, ...]) -> Any:
        if name in _SILENT:
            return None
        if name == "commit_many":
            # nobody knows: a store that answers so says it with `maybe_committed`
            return [away] * len(args[0])
        return away


def _connect(process: Process) -> Any:
    """Return a process' way to the store: it has every method of a `Store`."""
    return ProcessStore(process)


def unsure(away: Unavailable) -> Unavailable:
    """Return what a client hears of a commit whose connection was lost, done or not."""
    return Unavailable(reason=away.reason, kind=away.kind, maybe_committed=True)
