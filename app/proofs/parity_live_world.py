"""The whole live service in virtual time, at a venue that waits for it (docs/adr/0018).

One public venue tells the market; every user trades at a venue of the same history and the same
seed, so that nobody eats another's book. The venues stand still at each closing of bars, and at
each instant at which an account is told something, until the engines have nothing left to do.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from app.proofs.heldtime import HeldTime, KnownClock, WireTime
from app.proofs.simloop import SimClock
from app.proofs.simwire import DoorConnect, DoorTransport
from data.records.memory import MemoryStore
from data.records.rows import OutboxRow, SettingsRow, UserRow
from engine.account.messages import RegimeSeen
from engine.account.settings import UserSettings
from engine.errors import PromiseBroken
from engine.pipeline.profile import Profile
from engine.venue.replay import Replay
from live.accounts.brain import AccountBrain
from live.accounts.commit import Group
from live.accounts.notify import OutboxPump
from live.accounts.paper_desk import PaperDesk
from live.accounts.ports import Account, NoAccount
from live.accounts.session import Parts
from live.accounts.supervisor import Supervisor
from live.accounts.wal import MemoryWals
from live.bus import LocalBus
from live.market import topics
from live.market.keeper import inline
from live.platform import Platform
from live.service import MarketService
from live.settings import load_settings
from live.venues.bybit.budgets import RequestBudget
from live.venues.bybit.gate import Gate
from live.venues.bybit.market_stream import BybitMarketStream
from live.venues.bybit.private_stream import BybitPrivateStream
from live.venues.bybit.public_stream import BybitPublicStream, ShardOptions, StreamOptions
from live.venues.bybit.public_transport import TransportPublicRest
from live.venues.bybit.signer import Signer
from live.venues.bybit.simlimits import NO_LIMITS
from live.venues.bybit.simvenue import SimVenue
from live.venues.bybit.trading import BybitTrading

_NEVER_S = 1e9
_LOOK_S = 0.001
_LOOKS_MAX = 60_000  # a minute of the service's own time in one instant
_TICK_S = 1.1  # the engines' own tick, and the desk's telling of quotes, come within it
_HOLE_S, _HOLE_LOOK_S = 60.0, 0.25
_AT_ONCE = (0.0, 0.0)


class Quiet:
    """A log nobody reads but for its warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def info(self, event: str, **facts: Any) -> None:
        """Say nothing."""

    def warning(self, event: str, **facts: Any) -> None:
        """Keep it."""
        self.warnings.append(f"{event} {facts}")

    error = warning


class _Nobody:
    async def tell(self, row: OutboxRow) -> str:  # noqa: ARG002
        return ""


class Seat:
    """One user: a venue of their own, the key to it, and whether it has told something."""

    def __init__(self, user_id: str, venue: SimVenue, capital: Decimal) -> None:
        self.user_id = user_id
        self.venue = venue
        self.key = venue.desk.open_account(capital)
        self.told = 0
        venue.desk.listen(self.key.uid, self)

    def deliver(self, messages: list[Any]) -> None:
        """Hear what the account is told."""
        self.told += len(messages)

    def next_ms(self, end_ms: int) -> int:
        """Return when something may happen to this account next."""
        tape = self.venue.desk.tape
        return min(end_ms, tape.next_ms()) if self.venue.desk.busy else end_ms

    def wait(self, at_ms: int) -> None:
        """Let time pass in which nothing happens here."""
        desk = self.venue.desk
        desk.tape.now_ms = desk.view.clock_ms = at_ms

    @property
    def account(self) -> Any:
        """The account as the venue has it."""
        return self.venue.desk.account(self.key.uid)


@dataclass(frozen=True, slots=True)
class Played:
    """What is played: the market and who trades it."""

    replay: Replay
    profile: Profile
    users: Mapping[str, UserSettings]
    capital: Decimal
    regimes: Sequence[tuple[int, RegimeSeen]]
    start_ms: int
    seed: int
    home: Path


class LiveWorld:
    """Venues, market layer, store and engines of one run.

    Parameters
    ----------
    played : Played
    clock : SimClock
        Of the loop that runs it.
    """

    def __init__(self, played: Played, clock: SimClock) -> None:
        self.played = played
        self.log = Quiet()
        self.holds = 0
        start = played.start_ms
        self._real = clock
        self._wire, self._held = WireTime(clock, start), HeldTime(clock, start)
        self._line = WireTime(clock, start)  # never leaps: no connection falls asleep
        self._rng = np.random.default_rng([played.seed, 0x11FE])
        self.public = self._venue()
        self.seats = {u: Seat(u, self._venue(), played.capital) for u in played.users}
        self.store = MemoryStore(clock)
        self.service = self._service()
        self._gates: list[Gate] = []
        group = Group(self.store, self._held)
        parts = Parts(
            store=self.store,
            group=group,
            wals=MemoryWals(),
            accounts=self,
            brain=AccountBrain(),
            market=self.service.desk,
            clock=self._held,
            log=self.log,
        )
        self.supervisor = Supervisor(parts, "parity")
        self.platform = Platform(
            market=self.service,
            store=self.store,
            paper=PaperDesk(self._held, self.service.desk, MemoryWals()),
            supervisor=self.supervisor,
            pump=OutboxPump(self.store, _Nobody(), self._held, self.log),
            group=group,
            clock=self._held,
            log=self.log,
            close=self._close,
        )

    def _venue(self) -> SimVenue:
        played = self.played
        return SimVenue(
            played.replay,
            played.profile.interval,
            seed=played.seed,
            start_ms=played.start_ms,
            rules=NO_LIMITS,
        )

    def _service(self) -> MarketService:
        profile = self.played.profile
        market = profile.market
        settings = load_settings(
            {},
            file=self.played.home / "none.toml",
            home=self.played.home,
            interval=profile.interval,
            turnover_min_usdt=0.0,
            listed_min_days=0.0,
            window_bars=max(market.fall_bars, market.breadth_bars),
            warmup_bars=100_000,
            settle_s=0.0,
            universe_refresh_s=_NEVER_S,
            snapshot_every_s=_NEVER_S,
        ).settings
        connect = DoorConnect(self.public, self._line)
        options = StreamOptions(shard=ShardOptions(silence_s=_NEVER_S))
        door = DoorTransport(self.public, self._wire, self._rng, delay_ms=_AT_ONCE)
        stream = BybitPublicStream(
            "ws://sim", profile.interval, self._wire, self._rng, options=options, connect=connect
        )
        tickers = BybitMarketStream("ws://sim", self._wire, self._rng, connect=connect)
        service = MarketService(
            settings,
            profile,
            clock=self._wire,
            rest=TransportPublicRest(door, self._wire),
            stream=stream,
            market=tickers,
            bus=LocalBus(),
            offload=inline,
        )
        # what the portfolio is told is told here: the two judge the regime by other facts
        service.desk.options = service.desk.options._replace(regime_s=_NEVER_S)
        return service

    # ------------------------------------------------------------------ accounts

    async def open(self, user: UserRow) -> Account | NoAccount:
        """Open a user's account at the user's venue."""
        seat, wire = self.seats[user.user_id], self._wire
        budget = RequestBudget(wire)
        transport = DoorTransport(seat.venue, wire, self._rng, delay_ms=_AT_ONCE)
        gate = Gate(transport, budget, KnownClock(wire), wire, self._rng)
        self._gates.append(gate)
        signer = Signer(seat.key.key, seat.key.secret)
        stream = BybitPrivateStream(
            "ws://sim",
            signer,
            gate.venue_clock,
            wire,
            self._rng,
            sync_clock=gate.sync_clock,
            connections=budget.connections,
            connect=DoorConnect(seat.venue, self._line),
        )
        trading = BybitTrading(gate, signer, user=user.user_id, on_accepted=stream.expect_data)
        return Account(trading, stream)

    async def check(self, user: UserRow) -> NoAccount | None:  # noqa: ARG002
        """Say that the key is good."""
        return None

    async def _close(self) -> None:
        for gate in self._gates:
            await gate.close()

    # ------------------------------------------------------------------ life

    async def play(self, on_closing: Any = lambda: None) -> None:
        """Play the history to its end."""
        played = self.played
        for number, (user_id, settings) in enumerate(played.users.items()):
            row = UserRow(user_id=user_id, name=f"user {number}", mode="sim", created_ms=1)
            body = msgspec.json.encode(settings)
            said = await self.store.add_user(
                row, SettingsRow(user_id=user_id, version=1, body=body, created_ms=1)
            )
            if said is not None:
                raise PromiseBroken("a user could not be stored", why=str(said))
        running = asyncio.get_running_loop().create_task(self.platform.run())
        try:
            await self._ready(running)
            step = played.replay.interval_ms
            regimes = dict(played.regimes)
            first = [t for t in regimes if t <= played.start_ms]
            if first:
                await self.service.bus.publish(topics.REGIME, regimes[max(first)])
            for now in range(played.start_ms + step, played.replay.last + step + 1, step):
                await self._between(now)
                await self._closing(now, regimes.get(now))
                on_closing()
                if running.done():
                    running.result()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await self.platform.stop()

    async def _ready(self, running: asyncio.Task[Any]) -> None:
        for _ in range(1_000):
            await self._real.sleep(0.05)
            sessions = self.supervisor.sessions()
            read = [s for s in sessions if s.feed is not None and s.feed.resyncs and s.feed.up]
            if running.done():
                running.result()
            heard = self.public.floor.listening >= 2 * len(self.played.replay.bars)
            if heard and self.service.status == "live" and len(read) == len(self.seats):
                await self._real.sleep(_TICK_S)
                await self._quiet()
                return
        raise PromiseBroken("the service does not come up", why=str(self.log.warnings[-5:]))

    async def _between(self, end_ms: int) -> None:
        """Play every account up to a closing, holding where one is told something."""
        while self._held.at_ms < end_ms:
            due = {seat: seat.next_ms(end_ms) for seat in self.seats.values()}
            at = min(due.values(), default=end_ms)
            told = sum(seat.told for seat in due)
            for seat, its in due.items():
                if its == at:
                    seat.venue.desk.advance(at)
                else:
                    seat.wait(at)
            self._held.at_ms = at
            self._wire.leap(at)
            if told != sum(seat.told for seat in due):
                await self._quiet()

    async def _closing(self, now_ms: int, regime: RegimeSeen | None) -> None:
        """Tell what a closing tells, each thing before the next: regime, market, candles, time."""
        public = self.public
        public.desk.advance(now_ms)
        if regime is not None:
            await self.service.bus.publish(topics.REGIME, regime)
            await self._quiet()
        for _ in public.floor.tell_feeds():
            pass
        await self._quiet()
        minute = now_ms - self.played.replay.interval_ms
        public.floor.tell_closed(minute, now_ms)
        await self._quiet()
        await self._scanned(minute)
        if any(seat.venue.desk.busy for seat in self.seats.values()):
            await self._real.sleep(_TICK_S)
            await self._quiet()

    async def _scanned(self, minute: int) -> None:
        """Wait until the market layer has the minute; a hole takes it a while to believe."""
        end_s = self._real.monotonic_s() + _HOLE_S
        while self.service.collator.minute <= minute:
            if self._real.monotonic_s() > end_s:
                raise PromiseBroken(
                    f"the market layer stands at {self.service.collator.minute}, not past {minute}",
                    why="; ".join(self.service.health().notes[-3:]),
                )
            await self._real.sleep(_HOLE_LOOK_S)
            await self._quiet()

    async def _quiet(self) -> None:
        """Wait until nobody has anything left to do."""
        self.holds += 1
        for _ in range(_LOOKS_MAX):
            await self._real.sleep(_LOOK_S)  # all that is ready runs before time moves
            if not any(s.under_way() or _reads(s) for s in self.supervisor.sessions()):
                return
        raise PromiseBroken("the engines never come to rest", why=str(self.log.warnings[-5:]))


def _reads(session: Any) -> bool:
    return len(session.inbox) > 0 or (session.feed is not None and session.feed.reading)
