"""One user's engine: an actor that decides, writes down, and only then acts.

One task reads the inbox. A burst of messages is decided in a row and committed as one; what the
commit says decides what is carried out. Everything else (orders under way, looks at unknown ones,
the store's return) runs in the engine's own scope, whose errors end this engine and no other.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import msgspec

from data.records.rows import Fenced, IntentRow, Stored
from engine.account import messages as m
from engine.account.commands import (
    AlertRecord,
    AnyCommand,
    AnyRecord,
    AuditRecord,
    PlaceOrder,
    SetLeverage,
    VerdictRecord,
)
from engine.account.guard import PlannedStop
from engine.account.settings import UserSettings
from engine.errors import DataError, ZionError
from live.accounts.acts import ENTRY, Acts
from live.accounts.burst import Decided, commit_of, dead_letter, decide_one, worth_writing
from live.accounts.commit import Journal, Kept, Reload, Written
from live.accounts.gate import EntryGate
from live.accounts.inbox import Inbox, Rank, rank_of
from live.accounts.intents import Intents
from live.accounts.ports import Brain, Log, MarketFacts
from live.clock import Clock

TICK_S = 1.0
IDLE_TICKS = 4
SWEEP_S = 1.5
HEAL_S = 1.0
FRESH_MS = 30_000  # an entry written down before a restart is still sent within this time
RELOADS_MAX = 5

read_settings = msgspec.json.Decoder(UserSettings).decode


class EngineFenced(Exception):  # noqa: N818 - it names the event
    """A newer epoch writes for this user."""


class EngineFault(ZionError):  # noqa: N818 - it names the event
    """The engine cannot go on; the supervisor starts it anew from what is stored."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How an engine is doing: what says that it works, not that it exists."""

    last_turn_s: float
    lag_s: float
    unknown: int
    unknown_oldest_s: float
    owed: int
    version: int
    away: str


class UserEngine:
    """One user's actor.

    Parameters
    ----------
    brain : Brain
        Decides.
    journal : Journal
        Writes; its `epoch` is the lease's.
    inbox : Inbox
        Outlives the engine: what comes while it is down is read by the next one.
    acts : Acts
        Carries out; its outcomes go to `inbox`.
    """

    def __init__(
        self,
        user_id: str,
        *,
        brain: Brain,
        journal: Journal,
        inbox: Inbox,
        acts: Acts,
        gate: EntryGate,
        market: MarketFacts,
        clock: Clock,
        log: Log,
        begin: Callable[["UserEngine"], None] = lambda _: None,
    ) -> None:
        self.user_id = user_id
        self.state: Any = None
        self.params = UserSettings()
        self.plans: dict[str, PlannedStop] = {}
        self.watched: frozenset[str] = frozenset()
        self.last_turn_s = clock.monotonic_s()
        self.settings_told = 0  # the newest version handed over
        self.turns = 0
        self.dead_letters = 0
        self._brain = brain
        self._journal = journal
        self._inbox = inbox
        self._acts = acts
        self._gate = gate
        self._market = market
        self._clock = clock
        self._log = log
        self._begin = begin
        self._intents = Intents(user_id)
        self._volatile: list[m.Message] = []
        self._extra: list[AnyRecord] = []
        self._scope: asyncio.TaskGroup | None = None
        self._ticks = 0
        self._away = asyncio.Event()  # the store is; what is owed to it waits
        self._fenced = asyncio.Event()
        self._fenced_why = ""

    # ------------------------------------------------------------------ life

    async def run(self) -> NoReturn:
        """Recover, then run until cancelled, fenced or broken.

        Raises
        ------
        EngineFenced
            Another process writes for this user now.
        EngineFault
            It cannot start, or cannot go on.
        """
        stored = await self._journal.load(self._gate.epoch)
        if isinstance(stored, Fenced):
            raise EngineFenced(f"epoch {stored.epoch} writes for user {self.user_id}")
        if not isinstance(stored, Stored):
            why = "no such user" if stored is None else stored.reason
            raise EngineFault(f"engine of user {self.user_id} cannot start", why=why)
        self._adopt(stored)
        self._gate.open("journal")  # whoever ran before may have shut it: the store has answered
        self._recover(stored)
        async with asyncio.TaskGroup() as scope:
            self._scope = scope
            scope.create_task(self._turns())
            scope.create_task(self._every(TICK_S, self._tick))
            scope.create_task(self._every(SWEEP_S, self._sweep))
            scope.create_task(self._heal_when_away())
            scope.create_task(self._end_when_fenced())
        raise EngineFault(f"engine of user {self.user_id} ended")

    def _adopt(self, stored: Stored) -> None:
        """Take a stored state for ours."""
        self.params = read_settings(stored.settings.body)
        self.state = self._read_state(stored)
        self._intents = Intents(self.user_id, stored.intents)
        self._volatile.clear()
        self._publish()

    def _read_state(self, stored: Stored) -> Any:
        """Return the stored state; where it cannot be read, a fresh one, said aloud."""
        fresh = self._brain.fresh(self.user_id, stored.settings.version)
        if stored.state is None:
            return fresh
        try:
            return self._brain.decode(stored.state)
        except DataError as error:
            self._log.error("a stored state is corrupt", user=self.user_id, why=error.why)
            words = (
                "the stored state could not be read: the account is taken over as it is; "
                "no entries until you resume"
            )
            # A pause, a halt of the day or of the breaker stood in it, or not: nobody knows.
            pause = m.Control(
                at_ms=self._clock.now_ms(), action="pause", actor="platform", reason="state lost"
            )
            self.put(pause)
            self._extra += [
                AuditRecord(cause="state_corrupt", actor="engine", detail={"why": error.why}),
                AlertRecord(
                    event_id=f"corrupt-{stored.version}",
                    kind="error",
                    severity="critical",
                    words=words,
                ),
            ]
            return fresh

    def _recover(self, stored: Stored) -> None:
        """Tell the brain what it missed: the account itself is told by the feed's reading."""
        now_ms = self._clock.now_ms()
        self.put(m.ViewLost(at_ms=now_ms, reason="the engine starts"))
        if self._brain.settings_version(self.state) != stored.settings.version:
            self.settings_changed(stored.settings.version, self.params)
        regime = self._market.regime()
        if regime is not None:
            self.put(regime)
        self._say_whether_entries()
        self._begin(self)

    def put(self, message: m.Message) -> bool:
        """Leave a message for this user."""
        taken = self._inbox.put(message, self._clock.monotonic_s())
        if not taken and isinstance(message, m.SignalHeard):
            signal = message.signal
            self._extra.append(
                VerdictRecord(
                    signal_id=signal.signal_id,
                    symbol=signal.symbol,
                    approved=False,
                    reason="inbox_full",
                    words="too many signals at once: this one expired before it could be judged",
                )
            )
        return taken

    def bars_from(self) -> Mapping[str, tuple[int, int]]:
        """Return by held coin the interval, and where the next bar that was not seen begins, ms."""
        return self._brain.bars_from(self.state) if self.state is not None else {}

    def note(self, record: AnyRecord) -> None:
        """Have something written down with the next decision."""
        self._extra.append(record)

    def settings_changed(self, version: int, settings: UserSettings) -> None:
        """Hand over new settings."""
        self.settings_told = version
        now_ms = self._clock.now_ms()
        self.put(m.SettingsChanged(at_ms=now_ms, version=version, settings=settings))

    def block(self, cause: str, words: str) -> None:
        """Let no entry out for a cause of the platform's, and let the brain know."""
        self._gate.shut(cause, words)
        self._say_whether_entries()

    def unblock(self, cause: str) -> None:
        """Take a cause back."""
        self._gate.open(cause)
        self._say_whether_entries()

    def _say_whether_entries(self) -> None:
        why = self._gate.shut_words()
        self.put(m.EntriesAllowed(at_ms=self._clock.now_ms(), allowed=not why, reason=why))

    # ------------------------------------------------------------------ turns

    async def _turns(self) -> None:
        while True:
            batch = await self._inbox.take()
            await self._turn(batch)
            self.turns += 1
            self.last_turn_s = self._clock.monotonic_s()

    async def _turn(self, batch: list[m.Message]) -> None:
        for _ in range(RELOADS_MAX):
            intents = self._intents.copy()
            extra = len(self._extra)
            decided = self._decide(batch, intents)
            if not worth_writing(decided, self.state, len(self._volatile)):
                self.state = decided.state
                self._volatile += decided.told
                self._publish()
                return
            commit = commit_of(
                self.user_id, self._brain, decided, self._volatile, self._journal.next_version
            )
            said = await self._journal.write(commit)
            if isinstance(said, Fenced):
                raise EngineFenced(f"epoch {said.epoch} writes for user {self.user_id}")
            if isinstance(said, Reload):
                await self._reload()
                continue
            self.state, self.params, self._intents = decided.state, decided.params, intents
            self._volatile.clear()
            del self._extra[:extra]  # what came meanwhile goes with the next
            self._publish()
            self._carry_out(decided, said)
            return
        raise EngineFault(f"user {self.user_id}: the stored state changes under every commit")

    def _decide(self, batch: list[m.Message], intents: Intents) -> Decided:
        out = Decided(self.state, self.params, self._clock.now_ms(), records=list(self._extra))
        for waited in batch:
            message = self._priced(waited)
            error = decide_one(self._brain, out, message, intents)
            if error is not None:
                self.dead_letters += 1
                kind = type(message).__name__
                self._log.error(
                    "a message is poisoned", user=self.user_id, kind=kind, error=repr(error)
                )
                if rank_of(message) is Rank.ACCOUNT:  # a fact of the account is never put aside
                    raise EngineFault(
                        f"user {self.user_id}: {kind} cannot be decided", why=repr(error)
                    ) from error
                out.records += dead_letter(message, error, f"{out.at_ms}-{self.dead_letters}")
        return out

    def _priced(self, message: m.Message) -> m.Message:
        """Give a signal the newest price: it may have waited for an engine to start."""
        if not isinstance(message, m.SignalHeard):
            return message
        quote = self._market.quote(message.signal.symbol)
        return message if quote is None else msgspec.structs.replace(message, quote=quote)

    def _publish(self) -> None:
        """Show what others read: where stops belong, which coins matter."""
        self.plans = dict(self._brain.plans(self.state))
        watched = self._brain.watched(self.state)
        if watched != self.watched:
            self.watched = watched
            self._market.hold(self.user_id, sorted(watched))

    async def _reload(self) -> None:
        stored = await self._journal.reload()
        if not isinstance(stored, Stored):
            reason = "gone" if stored is None else stored.reason
            raise EngineFault(f"user {self.user_id}: the state cannot be read", why=reason)
        self._log.warning("another state is stored", user=self.user_id, version=stored.version)
        self._adopt(stored)

    # ------------------------------------------------------------------ acting

    def _carry_out(self, decided: Decided, said: Written | Kept) -> None:
        scope = self._scope
        if scope is None:
            raise EngineFault(f"user {self.user_id}: a decision before the start")
        commands = decided.commands
        if isinstance(said, Kept):
            self._away.set()
            commands = self._held_back(commands, said)
        self._acts.carry_out(commands, scope)

    def _held_back(self, commands: list[AnyCommand], kept: Kept) -> list[AnyCommand]:
        """Take out what takes on risk: it is not in the store. Exits go on."""
        if not self._gate.is_shut("journal"):
            where = "on the local file" if kept.on_disk else "in memory only"
            self._log.error("the store is away", user=self.user_id, why=kept.reason, kept=where)
            self.block("journal", f"decisions cannot be written down ({kept.reason})")
        allowed: list[AnyCommand] = []
        now_ms = self._clock.now_ms()
        text = "not sent: the store is away"
        for command in commands:
            if isinstance(command, PlaceOrder) and command.leg == ENTRY:
                self.put(m.NotPlaced(at_ms=now_ms, link_id=command.link_id, text=text))
            elif isinstance(command, SetLeverage):
                self.put(
                    m.LeverageAnswered(
                        at_ms=now_ms,
                        symbol=command.symbol,
                        leverage=command.leverage,
                        ok=False,
                        text=text,
                    )
                )
            else:
                allowed.append(command)
        return allowed

    # ------------------------------------------------------------------ beside the turns

    async def _every(self, delay_s: float, do: Callable[[], None]) -> None:
        while True:
            await self._clock.sleep(delay_s)
            do()

    def _tick(self) -> None:
        """Let time pass: every second where something is at stake, else seldom."""
        self._ticks += 1
        if self.watched or self._ticks % IDLE_TICKS == 0 or self._extra:
            self.put(m.Tick(at_ms=self._clock.now_ms()))

    def _sweep(self) -> None:
        """Find out what became of every order nobody is looking after."""
        if self._scope is None:
            return
        for row in self._intents.unsettled():
            if not self._acts.owns(row.link_id):
                self._acts.own(row.link_id)
                self._scope.create_task(self._settle(row))
        for row in self._intents.placed():
            self._acts.follow(row)

    async def _settle(self, row: IntentRow) -> None:
        order = self._intents.order(row)
        # Who wrote it down may have sent it until a moment ago: only from now on is it not sent.
        # By the venue's clock: ours may be wrong, and an age told by it would prove nothing.
        settled = await self._acts.look(order, self._acts.venue.venue_ms())
        now_ms = self._clock.now_ms()
        fresh = now_ms < min(row.expires_ms or now_ms, row.created_ms + FRESH_MS)
        absent = not self._acts.is_placed(settled)
        if absent and row.leg == ENTRY and fresh and self._intents_want(row):
            self._send_again(order)
            return
        self._acts.told(settled, row.symbol)

    def _send_again(self, order: PlaceOrder) -> None:
        """Send an entry that nobody sent: its leverage may not have been set either."""
        if self._scope is None:
            return
        commands: list[AnyCommand] = [order]
        if order.leverage is not None:
            commands.insert(0, SetLeverage(symbol=order.symbol, leverage=order.leverage))
        self._acts.carry_out(commands, self._scope)

    def _intents_want(self, row: IntentRow) -> bool:
        now = self._intents.get(row.link_id)
        return now is not None and now.state in ("new", "sent", "unknown")

    def fence(self, why: str) -> None:
        """End: somebody else has this user."""
        self._fenced_why = why
        self._fenced.set()

    async def _end_when_fenced(self) -> NoReturn:
        await self._fenced.wait()
        raise EngineFenced(self._fenced_why)

    async def _heal_when_away(self) -> None:
        while True:
            await self._away.wait()
            await self._clock.sleep(HEAL_S)
            said = await self._journal.heal()
            if isinstance(said, Fenced):
                raise EngineFenced(f"epoch {said.epoch} writes for user {self.user_id}")
            if isinstance(said, Reload):
                raise EngineFault(f"user {self.user_id}: another state was stored meanwhile")
            if isinstance(said, Written):
                self._away.clear()
                self._log.info("the store is back", user=self.user_id)
                self.unblock("journal")

    def progress(self) -> Progress:
        """Return how this engine is doing."""
        return Progress(
            last_turn_s=self.last_turn_s,
            lag_s=self._inbox.lag_s(self._clock.monotonic_s()),
            unknown=len(self._intents.unsettled()),
            unknown_oldest_s=self._acts.oldest_s(),
            owed=self._journal.owed,
            version=self._journal.version,
            away=self._journal.away,
        )
