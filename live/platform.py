"""One process of the platform: the shared market layer, the store, every user's engine.

Start is recovery: the engines begin with what the store and the venue say, whether the market layer
is up yet or not, since an open trade does not wait for a detector. A standby process runs the same
code and trades nobody until a lease is free. The end drains: see `Supervisor.drain`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import msgspec

from data.records.port import Store
from data.records.rows import ControlRow, Unavailable
from engine.account import messages as m
from engine.account.signal import Signal
from engine.bars import INTERVAL_MS
from live.accounts.commit import Group
from live.accounts.engine import UserEngine
from live.accounts.fanout import wants
from live.accounts.missed import MissedBars
from live.accounts.notify import OutboxPump
from live.accounts.paper_desk import PaperDesk
from live.accounts.ports import Log
from live.accounts.session import Session
from live.accounts.supervisor import Supervisor
from live.bus import Overflow
from live.clock import Clock
from live.market import topics
from live.market.views import BarsClosed
from live.service import MarketService

RECONCILE = "reconcile"
TO_ENGINES = frozenset({"pause", "resume", "close", "close_all"})
WISHES_AT_ONCE = 200
_QUEUE = 4096


@dataclass(frozen=True, slots=True)
class PlatformOptions:
    """Timings, seconds."""

    wishes_s: float = 0.5  # between two looks at what other processes wish
    late_s: float = 0.5  # between two looks for engines that missed a breakout
    missed_s: float = 2.0  # between two looks for bars that engines missed
    store_late_s: float = 10.0  # without a good look at the store: not ready
    engine_late_s: float = 10.0  # without a turn of an engine, which ticks each second: not ready


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """What makes progress, in numbers. `why` is empty where everything does."""

    ready: bool
    why: tuple[str, ...]
    market: str
    market_message_age_s: float | None
    store_age_s: float
    users: int
    running: int
    standby: int
    refused: int
    broken: int
    oldest_turn_s: float  # of the engines that run here
    unknown_orders: int
    unknown_oldest_s: float
    unwritten: int  # decisions that wait for the store
    outbox_oldest_s: float


@dataclass(slots=True)
class _Wish:
    """A wish that an engine was handed, until it has surely decided on it."""

    row: ControlRow
    session: Session
    engine: UserEngine | None  # one that breaks may take the wish with it
    turns: int


@dataclass(slots=True)
class _Late:
    """An engine, and the breakouts it was handed though they were told before it could hear."""

    engine: UserEngine
    handed: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Platform:
    """Everything of one process but its doors.

    Parameters
    ----------
    market : MarketService
    store : Store
    supervisor : Supervisor
        Over the same store and market.
    pump : OutboxPump
    group : Group
        Writes the engines' decisions.
    paper : PaperDesk
        Its accounts live on the market's quotes.
    close : callable
        Releases what the engines spoke to the venue by; the store is closed after it.
    """

    market: MarketService
    store: Store
    supervisor: Supervisor
    pump: OutboxPump
    group: Group
    paper: PaperDesk
    clock: Clock
    log: Log
    close: Callable[[], Awaitable[None]]
    options: PlatformOptions = field(default_factory=PlatformOptions)
    _wishes: dict[tuple[str, str], _Wish] = field(default_factory=dict)
    _late: dict[str, _Late] = field(default_factory=dict)
    _left: int | None = None
    _missed: MissedBars = field(init=False)

    def __post_init__(self) -> None:
        """Look after what engines miss of this market."""
        market = self.market
        self._missed = MissedBars(
            market.closed_bars, market.desk.quote, self.supervisor.sessions, self.clock
        )

    # ------------------------------------------------------------------ life

    async def run(self) -> NoReturn:
        """Run until cancelled, or until a shared part dies; `stop` afterwards, always."""
        supervisor, forward = self.supervisor, self._forward
        async with asyncio.TaskGroup() as scope:
            for job, name in (
                (supervisor.run(), "supervisor"),
                (self._market(), "market"),
                (self.pump.run(), "outbox"),
                (self._take_wishes(), "wishes"),
                (self._look_for_missed(), "missed-bars"),
                (self._hand_late(), "latecomers"),
                (forward(topics.SIGNAL, self._signal), "signals"),
                (forward(topics.SIGNAL_END, supervisor.signal_ended), "signal-ends"),
                (forward(topics.REGIME, supervisor.regime), "regimes"),
                (forward(topics.QUOTE, self._quote, Overflow.LATEST), "quotes"),
                (forward(topics.CONTRACT, self._contract), "contracts"),
                (forward(topics.BARS, self._bars), "bars"),
            ):
                scope.create_task(job, name=name)
        raise RuntimeError("the platform ended by itself")

    async def _market(self) -> None:
        await self.market.start()
        await self.market.failure()

    async def drain(self) -> int:
        """Let no entry out, settle what is under way, give the leases back; orders left unknown.

        Call it while `run` still runs: what is under way needs its parts.
        """
        if self._left is None:
            self._left = await self.supervisor.drain()
            if self._left:
                self.log.warning("orders are left to the next process", orders=self._left)
        return self._left

    async def stop(self) -> None:
        """Save the market's state and release everything; nothing is left half done by it."""
        await self.market.stop()
        await self.close()
        await self.store.close()

    # ------------------------------------------------------------------ the market's news

    async def _forward(
        self, topic: str, take: Callable[[Any], object], overflow: Overflow = Overflow.WAIT
    ) -> None:
        async with self.market.bus.subscribe(topic, overflow=overflow, size=_QUEUE) as news:
            async for value in news:
                take(value)

    def _signal(self, signal: Signal) -> None:
        told = self.supervisor.signal(signal)
        self.log.info("a signal", signal=signal.signal_id, users=told)

    def _quote(self, seen: m.QuoteSeen) -> None:
        self.paper.see(seen.symbol, seen.quote)
        self.supervisor.market(seen.symbol, seen)

    def _contract(self, seen: m.ContractSeen) -> None:
        self.paper.rules(seen.contract)
        self.supervisor.market(seen.contract.symbol, seen)

    def _bars(self, closed: BarsClosed) -> None:
        for symbol, message in self._closed(closed):
            self._missed.before(symbol, message.interval_ms, message.ts)
            self.supervisor.market(symbol, message)

    async def _look_for_missed(self) -> None:
        while True:
            await self.clock.sleep(self.options.missed_s)
            self._missed.look()

    def _closed(self, closed: BarsClosed) -> Iterator[tuple[str, m.BarClosed]]:
        """Yield the bars of coins somebody has at stake: the others would be news to nobody."""
        at_ms, interval_ms = self.clock.now_ms(), INTERVAL_MS[closed.interval]
        for symbol, row in zip(closed.symbols, closed.rows, strict=True):
            if symbol not in self.market.desk.interest:
                continue
            o, h, low, c = row[:4]
            yield (
                symbol,
                m.BarClosed(
                    at_ms=at_ms,
                    symbol=symbol,
                    interval_ms=interval_ms,
                    ts=closed.ts,
                    open=o,
                    high=h,
                    low=low,
                    close=c,
                    quote=self.market.desk.quote(symbol),
                ),
            )

    # ------------------------------------------------------------------ for who was late

    async def _hand_late(self) -> None:
        while True:
            self.hand_late()
            await self.clock.sleep(self.options.late_s)

    def hand_late(self) -> None:
        """Hand each engine what was told before it ran, or before the coin's rules were known.

        An engine judges a signal once, and an end older than its trade ends nothing: whether one
        was heard already need not be known here.
        """
        if self.market.status != "live" or self.supervisor.draining:
            return
        desk, now_ms = self.market.desk, self.clock.now_ms()
        usable = [
            s for s in desk.fresh_signals() if (quote := desk.quote(s.symbol)) and not quote.stale
        ]
        for session in self.supervisor.sessions():
            engine, user_id = session.engine, session.user.user_id
            if engine is None:
                continue
            late = self._late.get(user_id)
            if late is None or late.engine is not engine:
                late = self._late[user_id] = _Late(engine)
                for end in desk.teller.ends():
                    if end.symbol in engine.watched:
                        session.put(m.SignalEnded(at_ms=now_ms, end=end))
            self._hand_signals(session, late, usable)

    def _hand_signals(self, session: Session, late: _Late, signals: Iterable[Signal]) -> None:
        for signal in signals:
            heard = self.supervisor.heard(signal)
            if signal.signal_id in late.handed or not wants(session, signal) or heard is None:
                continue
            if session.put(heard):
                late.handed.add(signal.signal_id)

    # ------------------------------------------------------------------ wishes of other processes

    async def _take_wishes(self) -> None:
        while True:
            await self.take_wishes()
            await self.clock.sleep(self.options.wishes_s)

    async def take_wishes(self) -> None:
        """Hand what waits in the store to the engines of this process; once done, say so there."""
        rows = await self.store.controls(WISHES_AT_ONCE)
        if isinstance(rows, Unavailable):
            return
        waiting = {(row.user_id, row.control_id) for row in rows}
        self._wishes = {key: wish for key, wish in self._wishes.items() if key in waiting}
        for row in rows:
            seat = self.supervisor.seats.get(row.user_id)
            session = seat.session if seat is not None else None
            if session is None or session.engine is None:
                continue  # another process's, or one that does not run yet
            key = (row.user_id, row.control_id)
            wish = self._wishes.get(key)
            told = wish is not None and (wish.session, wish.engine) == (session, session.engine)
            if wish is None or not told:
                self._wishes[key] = self._hand_wish(row, session)
            elif session.engine.turns >= wish.turns + 2:
                await self._done(row)

    def _hand_wish(self, row: ControlRow, session: Session) -> _Wish:
        turns = session.engine.turns if session.engine is not None else 0
        if row.action == RECONCILE:
            if session.feed is not None:
                session.feed.ask()
        elif row.action in TO_ENGINES:
            session.put(
                m.Control(
                    at_ms=self.clock.now_ms(),
                    action=row.action,
                    actor=row.actor,
                    symbol=row.symbol,
                    trade_id=row.trade_id,
                    reason=row.reason,
                )
            )
        return _Wish(row, session, session.engine, turns)

    async def _done(self, row: ControlRow) -> None:
        known = row.action == RECONCILE or row.action in TO_ENGINES
        answer = f"{row.action} taken" if known else f"{row.action} is unknown: nothing was done"
        self.log.info("a wish", user=row.user_id, action=row.action, actor=row.actor)
        await self.store.control_done(
            row.user_id, row.control_id, taken_ms=max(1, self.clock.now_ms()), answer=answer
        )

    # ------------------------------------------------------------------ how it goes

    def readiness(self) -> Readiness:
        """Return what makes progress and what does not."""
        now_s, options = self.clock.monotonic_s(), self.options
        seats = self.supervisor.seats.values()
        count = {
            standing: sum(seat.standing == standing for seat in seats)
            for standing in ("running", "standby", "refused", "broken")
        }
        engines = [p for p in self.supervisor.progress().values() if p is not None]
        oldest_turn_s = max((now_s - p.last_turn_s for p in engines), default=0.0)
        store_age_s = now_s - self.supervisor.polled_s
        health = self.market.health()
        why = []
        if health.status in {"starting", "stopped"}:
            why.append(f"the market layer is {health.status}")
        if store_age_s > options.store_late_s:
            why.append(f"the store has not answered for {store_age_s:.0f} s")
        if oldest_turn_s > options.engine_late_s:
            why.append(f"an engine has stood still for {oldest_turn_s:.0f} s")
        if self.supervisor.draining:
            why.append("this process is stopping")
        if count["standby"] and not count["running"]:
            why.append("standby: another process holds the leases")
        oldest_ms = self.pump.oldest_ms
        return Readiness(
            ready=not why,
            why=tuple(why),
            market=health.status,
            market_message_age_s=health.last_message_age_s,
            store_age_s=store_age_s,
            users=len(self.supervisor.seats),
            oldest_turn_s=oldest_turn_s,
            unknown_orders=sum(p.unknown for p in engines),
            unknown_oldest_s=max((p.unknown_oldest_s for p in engines), default=0.0),
            unwritten=sum(p.owed for p in engines),
            outbox_oldest_s=(self.clock.now_ms() - oldest_ms) / 1000.0 if oldest_ms else 0.0,
            **count,
        )
