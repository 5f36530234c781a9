"""All of one user in this process: account, feed, guard, and the engine, started when it must.

The guard and the feed outlive an engine that breaks; the inbox does too. What breaks here ends this
user's session and nothing else.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn

import msgspec

from data.records.port import Store
from data.records.rows import SettingsRow, Stored, Unavailable, UserRow
from engine.account import messages as m
from engine.account.commands import AlertRecord, AnyRecord
from engine.account.guard import PlannedStop
from engine.errors import DataError, ZionError
from engine.venue.view import AccountView
from live.accounts.acts import Acts
from live.accounts.commit import Group, Journal
from live.accounts.engine import EngineFault, EngineFenced, Progress, UserEngine, read_settings
from live.accounts.gate import EntryGate
from live.accounts.guard import GuardOptions, StopGuard
from live.accounts.inbox import Inbox
from live.accounts.news import NewsDesk
from live.accounts.ports import (
    Account,
    Accounts,
    Brain,
    Log,
    MarketFacts,
    NoAccount,
    Wals,
)
from live.clock import Clock, Late, within
from live.venues.resync import FIRST_SPAN_MS, OVERLAP_MS, AccountFeed, FeedOptions
from live.venues.settle import Patience

LOAD_S = 5.0
KILL, PLATFORM_KILL = "kill", "platform kill"
CRASH_LOOP, DRAIN = "crash loop", "drain"


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """Timings, seconds, and how often."""

    backoff_first_s: float = 0.5
    backoff_max_s: float = 30.0
    crashes_max: int = 5  # within the window: management only
    crashes_window_s: float = 600.0
    guard: GuardOptions = field(default_factory=GuardOptions)
    feed: FeedOptions = field(default_factory=FeedOptions)
    patience: Patience = field(default_factory=Patience)


@dataclass(frozen=True, slots=True)
class Parts:
    """What all sessions share."""

    store: Store
    group: Group
    wals: Wals
    accounts: Accounts
    brain: Brain
    market: MarketFacts
    clock: Clock
    log: Log
    options: SessionOptions = field(default_factory=SessionOptions)


class SessionRefused(ZionError):  # noqa: N818 - it names the event
    """The account cannot be traded as it is: the key, its rights, the account's mode."""

    def __init__(self, refusal: NoAccount) -> None:
        super().__init__("the account cannot be used", why=refusal.words)
        self.refusal = refusal


class Session:
    """One user.

    Parameters
    ----------
    user : UserRow
    gate : EntryGate
        Holds the lease; the supervisor's keeper feeds it.
    """

    def __init__(self, user: UserRow, parts: Parts, gate: EntryGate) -> None:
        self.user = user
        self.gate = gate
        self.inbox = Inbox()
        self.engine: UserEngine | None = None
        self.guard: StopGuard | None = None
        self.feed: AccountFeed | None = None
        self.acts: Acts | None = None
        self.crashes = 0
        self._generations = {"user": 0, "platform": 0}
        self._parts = parts
        self._crashed_s: deque[float] = deque()
        self._notes: list[AnyRecord] = []

    # ------------------------------------------------------------------ life

    async def run(self) -> NoReturn:
        """Open the account and trade it until cancelled, fenced or refused.

        Raises
        ------
        SessionRefused
            The account cannot be used.
        EngineFenced
            Another process has this user.
        """
        parts = self._parts
        try:
            stored = await within(parts.clock, parts.store.load(self.user.user_id), LOAD_S)
        except Late:
            stored = Unavailable(reason="the store does not answer", kind="down")
        if not isinstance(stored, Stored):
            why = stored.reason if isinstance(stored, Unavailable) else "no such user"
            raise EngineFault(f"session of user {self.user.user_id} cannot start", why=why)
        opened = await parts.accounts.open(self.user)
        if isinstance(opened, NoAccount):
            raise SessionRefused(opened)
        try:
            self._wire(opened, since_ms=self._since_ms(stored))
            for row in stored.intents:
                if row.state == "placed":  # it may have ended while nobody listened
                    self._feed().expect(row.link_id, row.symbol, row.created_ms)
            async with asyncio.TaskGroup() as scope:
                scope.create_task(self._feed().run())
                scope.create_task(self._guard().run())
                scope.create_task(self._engines(opened))
        except ExceptionGroup as group:
            raise _first_of(group) from group
        finally:
            await opened.stream.close()
            await opened.venue.close()
        raise EngineFault(f"session of user {self.user.user_id} ended")

    def _since_ms(self, stored: Stored) -> int:
        """Return from when on the account's executions are wanted."""
        now_ms = self._parts.clock.now_ms()
        if stored.state is None:
            return now_ms - OVERLAP_MS
        try:
            newest_ms = self._parts.brain.newest_ms(self._parts.brain.decode(stored.state))
        except DataError:
            return now_ms - FIRST_SPAN_MS  # nothing is known: all that the venue still tells
        asked = [row.created_ms for row in stored.intents]
        known = [ms for ms in (newest_ms, *asked) if ms > 0]
        return min(known, default=now_ms) - OVERLAP_MS

    def _wire(self, account: Account, since_ms: int) -> None:
        parts, options = self._parts, self._parts.options
        user_id, clock = self.user.user_id, parts.clock
        view = AccountView()
        desk = NewsDesk(view, clock, self.put, account.margin_mode)
        feed = AccountFeed(
            account.venue,
            account.stream,
            clock,
            on_news=desk.on_news,
            on_down=desk.on_down,
            on_read=desk.on_read,
            view=view,
            since_ms=since_ms,
            options=options.feed,
        )
        desk.up = lambda: feed.up
        self.feed, self._desk = feed, desk
        self.acts = Acts(account.venue, feed, self.gate, clock, self.put, patience=options.patience)
        self.guard = StopGuard(
            user_id,
            account.venue,
            feed,
            self.plans,
            clock,
            alarm=self.note,
            log=parts.log,
            options=options.guard,
        )

    def _feed(self) -> AccountFeed:
        assert self.feed is not None  # noqa: S101 - wired before anything runs
        return self.feed

    def _guard(self) -> StopGuard:
        assert self.guard is not None  # noqa: S101 - wired before anything runs
        return self.guard

    def plans(self) -> Mapping[str, PlannedStop]:
        """Return where stops belong, as the engine, this one or the last, decided."""
        return self.engine.plans if self.engine is not None else {}

    # ------------------------------------------------------------------ engines

    async def _engines(self, account: Account) -> NoReturn:
        """Run engine after engine: one that breaks starts again from what is stored."""
        options, clock = self._parts.options, self._parts.clock
        wait_s = options.backoff_first_s
        while True:
            begun_s = clock.monotonic_s()
            plans = self.plans()
            engine = self._new_engine(account, plans)
            self.engine = engine
            error = await _outcome(engine)
            self.crashes += 1
            self._parts.log.error("an engine broke", user=self.user.user_id, error=_told(error))
            self._count_crash(clock.monotonic_s())
            calm = clock.monotonic_s() - begun_s > options.crashes_window_s
            wait_s = options.backoff_first_s if calm else wait_s
            await clock.sleep(wait_s)
            wait_s = min(wait_s * 2.0, options.backoff_max_s)

    def _new_engine(self, account: Account, plans: Mapping[str, PlannedStop]) -> UserEngine:
        parts, user_id = self._parts, self.user.user_id
        if self.crashes:  # what the old one had under way is found out anew, from its intents
            self.acts = Acts(
                account.venue, self._feed(), self.gate, parts.clock, self.put,
                patience=parts.options.patience,
            )  # fmt: skip
        assert self.acts is not None  # noqa: S101 - wired before anything runs
        engine = UserEngine(
            user_id,
            brain=parts.brain,
            journal=Journal(user_id, parts.store, parts.group, parts.wals.of(user_id), parts.clock),
            inbox=self.inbox,
            acts=self.acts,
            gate=self.gate,
            market=parts.market,
            clock=parts.clock,
            log=parts.log,
            begin=self._begun,
        )
        engine.plans = dict(plans)  # until it has read its own, the guard keeps to these
        return engine

    def _begun(self, engine: UserEngine) -> None:
        """Tell an engine that has just read its state what this process knows already."""
        self._desk.again(self._parts.brain.newest_ms(engine.state))
        for record in self._notes:
            engine.note(record)
        self._notes.clear()
        self._say_kill()

    def _count_crash(self, now_s: float) -> None:
        options = self._parts.options
        self._crashed_s.append(now_s)
        while now_s - self._crashed_s[0] > options.crashes_window_s:
            self._crashed_s.popleft()
        if len(self._crashed_s) < options.crashes_max or self.gate.is_shut(CRASH_LOOP):
            return
        words = f"the engine broke {len(self._crashed_s)} times: no entries, trades are managed"
        self.gate.shut(CRASH_LOOP, words)
        self._parts.log.error("crash loop", user=self.user.user_id, words=words)
        event_id = f"crash-loop-{self._parts.clock.now_ms()}"
        self.note(AlertRecord(event_id=event_id, kind="error", severity="critical", words=words))

    # ------------------------------------------------------------------ from outside

    def put(self, message: m.Message) -> bool:
        """Leave a message for this user."""
        if self.engine is not None:
            return self.engine.put(message)
        return self.inbox.put(message, self._parts.clock.monotonic_s())

    def note(self, record: AnyRecord) -> None:
        """Have something written down with the next decision."""
        if self.engine is not None and self.engine.state is not None:
            self.engine.note(record)
        else:
            self._notes.append(record)

    def block(self, cause: str, words: str) -> None:
        """Let no entry out for a cause."""
        if self.engine is not None:
            self.engine.block(cause, words)
        else:
            self.gate.shut(cause, words)

    def unblock(self, cause: str) -> None:
        """Take a cause back."""
        if self.engine is not None:
            self.engine.unblock(cause)
        else:
            self.gate.open(cause)

    def user_kill(self, row: UserRow) -> None:
        """Take the user's own kill switch as it stands; the newest generation holds."""
        if self._is_news("user", KILL, killed=row.killed, generation=row.kill_generation):
            self.user = row
            self._kill("user", KILL, killed=row.killed, generation=row.kill_generation)

    def platform_kill(self, *, killed: bool, generation: int) -> None:
        """Take the platform's kill switch as it stands."""
        if self._is_news("platform", PLATFORM_KILL, killed=killed, generation=generation):
            self._kill("platform", PLATFORM_KILL, killed=killed, generation=generation)

    def _is_news(self, whose: str, cause: str, *, killed: bool, generation: int) -> bool:
        """Tell whether a word on a switch is newer; of two clicks that raced the kill holds."""
        known = self._generations[whose]
        raced = generation == known and killed and not self.gate.is_shut(cause)
        return generation > known or raced

    def _kill(self, whose: str, cause: str, *, killed: bool, generation: int) -> None:
        self._generations[whose] = generation
        if killed:
            self.gate.shut(cause, f"the {whose}'s kill switch is on")
        else:
            self.gate.open(cause)
        self._say_kill(f"user:{self.user.user_id}" if whose == "user" else whose)

    def _say_kill(self, actor: str = "platform") -> None:
        """Tell the brain of both switches as one: on while either is.

        Each has its own generation and none ever falls, so their sum orders the clicks on both.
        """
        generation = sum(self._generations.values())
        if generation <= 0:
            return  # never touched
        killed = self.gate.is_shut(KILL) or self.gate.is_shut(PLATFORM_KILL)
        self.put(
            m.Control(
                at_ms=self._parts.clock.now_ms(),
                action="kill" if killed else "unkill",
                actor=actor,
                generation=generation,
            )
        )

    def fence(self, why: str) -> None:
        """Know that another process has this user: end at the next step."""
        if self.engine is not None:
            self.engine.fence(why)

    def key_refused(self, refusal: NoAccount) -> None:
        """Pause this user: the key may no longer be used. Loud."""
        at_ms = self._parts.clock.now_ms()
        self._parts.log.error("a key is refused", user=self.user.user_id, why=refusal.words)
        self.put(m.ViewLost(at_ms=at_ms, reason=refusal.words, key_refused=True))

    async def look_for_settings(self) -> bool:
        """Hand over versions of the settings that the engine has not heard of."""
        engine, parts = self.engine, self._parts
        if engine is None or engine.state is None:
            return False
        version = max(parts.brain.settings_version(engine.state), engine.settings_told)
        row = None
        while True:
            asked = parts.store.settings(self.user.user_id, version + 1)
            try:
                said = await within(parts.clock, asked, LOAD_S)
            except Late:
                break
            if not isinstance(said, SettingsRow):
                break
            row, version = said, said.version
        if row is None:
            return False
        try:
            settings = read_settings(row.body)
        except msgspec.MsgspecError as error:
            engine.settings_told = row.version  # said once; the ones before hold
            parts.log.error(  # noqa: TRY400 - one line says it
                "settings cannot be read", user=self.user.user_id, why=str(error)
            )
            return False
        engine.settings_changed(row.version, settings)
        return True

    def under_way(self) -> int:
        """Return how many commands have not come to their end, with what waits to be decided."""
        return (self.acts.busy if self.acts is not None else 0) + self.inbox.waiting_facts()

    def progress(self) -> Progress | None:
        """Return how the engine is doing; None: it has not begun."""
        return self.engine.progress() if self.engine is not None else None


def _first_of(group: ExceptionGroup) -> Exception:
    """Return the error that matters: being fenced before anything else."""
    fenced = group.subgroup(EngineFenced)
    chosen: BaseException = fenced if fenced is not None else group
    while isinstance(chosen, BaseExceptionGroup):
        chosen = chosen.exceptions[0]
    return chosen if isinstance(chosen, Exception) else group


async def _outcome(engine: UserEngine) -> Exception:
    """Run an engine to its end; being fenced is not an error of its own."""
    try:
        await engine.run()
    except ExceptionGroup as group:
        first = _first_of(group)
        if isinstance(first, EngineFenced):
            raise first from group
        return first
    except EngineFault as error:
        return error


def _told(error: Exception) -> str:
    why = getattr(error, "why", "")
    return f"{error} ({why})" if why else repr(error)
