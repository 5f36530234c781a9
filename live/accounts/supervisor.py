"""Runs every user's session in this process: who is ours, who waits, who is stopped.

A user is traded by the process that holds the lease. Another one that wants the user too stands by:
an old and a new process at the same time is how deploys go. Each user has a task; what ends a
session ends that task's turn and is tried again later, and nobody else notices.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from data.records.rows import Lease, LeaseHeld, Unavailable, UserRow
from engine.account import messages as m
from engine.account.signal import Signal, SignalEnd
from engine.errors import ZionError
from live.accounts.engine import EngineFenced, Progress
from live.accounts.gate import EntryGate
from live.accounts.leases import LeaseKeeper, LeaseOptions
from live.accounts.session import DRAIN, Parts, Session, SessionRefused


@dataclass(frozen=True, slots=True)
class SupervisorOptions:
    """Timings, seconds."""

    poll_s: float = 1.0  # users and kill switches
    standby_s: float = 2.0  # between two tries for a lease that another process holds
    retry_first_s: float = 1.0
    retry_max_s: float = 60.0
    refused_s: float = 60.0  # until a refused key is looked at again
    key_check_s: float = 86_400.0
    drain_s: float = 8.0  # less than any deploy's limit
    lease: LeaseOptions = field(default_factory=LeaseOptions)


@dataclass(slots=True)
class Seat:
    """A user and what this process does about it."""

    user: UserRow
    gate: EntryGate
    task: asyncio.Task[None] | None = None
    session: Session | None = None
    standing: str = "waiting"  # waiting standby running refused broken stopped
    why: str = ""


class Supervisor:
    """All users of one process.

    Parameters
    ----------
    parts : Parts
        What sessions share.
    holder : str
        This process's name, of our own making.
    serves : callable, optional
        Which users this process may run; all by default.
    """

    def __init__(
        self,
        parts: Parts,
        holder: str,
        *,
        options: SupervisorOptions = SupervisorOptions(),
        serves: Callable[[UserRow], bool] = lambda _: True,
    ) -> None:
        self.seats: dict[str, Seat] = {}
        self.draining = False
        self.keeper = LeaseKeeper(
            parts.store,
            parts.clock,
            holder,
            on_lease=self._leased,
            on_lost=self._lost,
            options=options.lease,
        )
        self.polled_s = parts.clock.monotonic_s()
        self._parts = parts
        self._options = options
        self._serves = serves
        self._platform = (False, -1)
        self._owed_kills: dict[str, tuple[bool, int, str]] = {}
        self._turn = 0
        self._scope: asyncio.TaskGroup | None = None

    # ------------------------------------------------------------------ life

    async def run(self) -> None:
        """Run until cancelled."""
        async with asyncio.TaskGroup() as scope:
            self._scope = scope
            scope.create_task(self._parts.group.run())
            scope.create_task(self.keeper.run())
            scope.create_task(self._poll_for_ever())
            scope.create_task(self._check_keys())

    async def _poll_for_ever(self) -> None:
        while True:
            await self.poll()
            await self._parts.clock.sleep(self._options.poll_s)

    async def poll(self) -> None:
        """Look at users and kill switches as stored, once."""
        store = self._parts.store
        for user_id, (killed, generation, actor) in list(self._owed_kills.items()):
            await self._write_kill(user_id, killed=killed, generation=generation, actor=actor)
        platform = await store.platform_kill()
        if not isinstance(platform, Unavailable):
            self._take_platform(*platform)
        rows = await store.users()
        if isinstance(rows, Unavailable):
            return
        self.polled_s = self._parts.clock.monotonic_s()
        known = {row.user_id: row for row in rows if row.active and self._serves(row)}
        for user_id in [u for u in self.seats if u not in known]:
            await self.stop(user_id)
        for row in known.values():
            seat = self.seats.get(row.user_id)
            if seat is None:
                self._seat(row)
                continue
            seat.user = row if row.kill_generation >= seat.user.kill_generation else seat.user
            self._tell_kill(seat)

    def _seat(self, row: UserRow) -> None:
        scope = self._scope
        if scope is None or self.draining:
            return
        seat = Seat(row, EntryGate(self._parts.clock))
        self.seats[row.user_id] = seat
        self._tell_kill(seat)
        seat.task = scope.create_task(self._keep(seat), name=f"user-{row.user_id}")

    async def stop(self, user_id: str) -> None:
        """Stop a user's engine here and give the lease back; stops stay at the venue."""
        seat = self.seats.pop(user_id, None)
        if seat is None:
            return
        seat.standing = "stopped"
        if seat.task is not None:
            seat.task.cancel()
            await asyncio.gather(seat.task, return_exceptions=True)
        await self.keeper.release(user_id)

    async def restart(self, user_id: str) -> None:
        """Stop a user's engine and let the next poll start it anew."""
        await self.stop(user_id)

    # ------------------------------------------------------------------ one user

    async def _keep(self, seat: Seat) -> None:
        """Hold a user: get the lease, run the session, again and again. Never raises."""
        clock, options = self._parts.clock, self._options
        wait_s = options.retry_first_s
        while True:
            lease = await self._lease(seat)
            if not isinstance(lease, Lease):
                await clock.sleep(options.standby_s)
                continue
            begun_s = clock.monotonic_s()
            pause_s = await self._run_session(seat)
            if clock.monotonic_s() - begun_s > options.retry_max_s:
                wait_s = options.retry_first_s
            await clock.sleep(max(wait_s, pause_s))
            wait_s = min(wait_s * 2.0, options.retry_max_s)

    async def _lease(self, seat: Seat) -> Lease | LeaseHeld | Unavailable:
        held = self.keeper.held.get(seat.user.user_id)
        if held is not None and seat.gate.leased:
            return held.lease
        said = await self.keeper.acquire(seat.user.user_id)
        if isinstance(said, LeaseHeld):
            seat.standing, seat.why = "standby", f"held by {said.holder}"
        elif isinstance(said, Unavailable):
            seat.standing, seat.why = "waiting", said.reason
        return said

    async def _run_session(self, seat: Seat) -> float:
        """Run one session to its end; returns how long to wait at least before the next."""
        session = Session(seat.user, self._parts, seat.gate)
        seat.session, seat.standing, seat.why = session, "running", ""
        user_id = seat.user.user_id
        self._tell_kill(seat)
        try:
            await session.run()
        except EngineFenced as error:
            seat.standing, seat.why = "standby", str(error)
            self.keeper.held.pop(user_id, None)
            seat.gate.lose_lease()
            self._parts.log.warning("fenced", user=user_id, why=str(error))
        except SessionRefused as error:
            seat.standing, seat.why = "refused", error.why
            self._parts.log.warning("an account is refused", user=user_id, why=error.why)
            return self._options.refused_s if not error.refusal.retryable else 0.0
        except Exception as error:  # noqa: BLE001 - one user's failure is one user's
            why = error.why if isinstance(error, ZionError) else ""
            seat.standing, seat.why = "broken", why or repr(error)
            self._parts.log.error(  # noqa: TRY400 - a trace may be shown with its locals
                "a session broke", user=user_id, error=repr(error), why=why
            )
        finally:
            seat.session = None
        return 0.0

    # ------------------------------------------------------------------ leases

    def _leased(self, user_id: str, epoch: int, until_s: float) -> None:
        seat = self.seats.get(user_id)
        if seat is not None:
            seat.gate.lease(epoch, until_s)

    def _lost(self, user_id: str, why: str) -> None:
        seat = self.seats.get(user_id)
        if seat is None:
            return
        self._parts.log.warning("a lease is lost", user=user_id, why=why)
        seat.gate.lose_lease()
        if seat.session is not None:
            seat.session.fence(why)

    # ------------------------------------------------------------------ kill switches

    def _take_platform(self, killed: bool, generation: int) -> None:  # noqa: FBT001 - a value
        if generation <= self._platform[1]:
            return
        self._platform = (killed, generation)
        for seat in self.seats.values():
            self._tell_kill(seat)

    def _tell_kill(self, seat: Seat) -> None:
        killed, generation = self._platform
        if seat.session is not None:
            seat.session.user_kill(seat.user)
            if generation >= 0:
                seat.session.platform_kill(killed=killed, generation=generation)

    async def kill(self, user_id: str, *, killed: bool, actor: str) -> int:
        """Throw a kill switch ("" = the platform's): here at once, everywhere within 3 s.

        Returns its generation. Where the store is away the switch holds in this process and is
        written down when it is back.
        """
        generation = 1 + (
            self._platform[1] if not user_id else self.seats[user_id].user.kill_generation
        )
        generation = max(1, generation)
        if not user_id:
            self._take_platform(killed, generation)
        else:
            seat = self.seats[user_id]
            seat.user = _killed(seat.user, killed=killed, generation=generation)
            self._tell_kill(seat)
        await self._write_kill(user_id, killed=killed, generation=generation, actor=actor)
        return generation

    async def _write_kill(self, user_id: str, *, killed: bool, generation: int, actor: str) -> None:
        said = await self._parts.store.set_kill(
            user_id,
            killed=killed,
            generation=generation,
            actor=actor,
            at_ms=self._parts.clock.now_ms(),
        )
        if isinstance(said, Unavailable):
            self._owed_kills[user_id] = (killed, generation, actor)
            self._parts.log.error("a kill is not written down yet", user=user_id, why=said.reason)
        else:
            self._owed_kills.pop(user_id, None)

    # ------------------------------------------------------------------ the market

    def signal(self, signal: Signal) -> int:
        """Hand a breakout to every user who wants it; another one is first each time."""
        if self.draining:
            return 0
        market, now_ms = self._parts.market, self._parts.clock.now_ms()
        contract = market.contract(signal.symbol)
        if contract is None:
            self._parts.log.error("a signal of a coin without rules", symbol=signal.symbol)
            return 0
        heard = m.SignalHeard(
            at_ms=now_ms,
            signal=signal,
            contract=contract,
            quote=market.quote(signal.symbol) or signal.quote,
        )
        told = 0
        for session in self._rotated():
            params = session.engine.params if session.engine is not None else None
            wanted = params is not None and (
                params.profile == signal.profile and signal.interval_ms in params.intervals_ms
            )
            told += wanted and session.put(heard)
        return told

    def signal_ended(self, end: SignalEnd) -> None:
        """Tell every user with that coin at stake that a setup is over."""
        message = m.SignalEnded(at_ms=self._parts.clock.now_ms(), end=end)
        self._to_watchers(end.symbol, message)

    def market(self, symbol: str, message: m.Message) -> None:
        """Hand a bar, a quote or a contract to every user with that coin at stake."""
        self._to_watchers(symbol, message)

    def regime(self, message: m.RegimeSeen) -> None:
        """Hand the market's regime to every user."""
        for session in self._rotated():
            session.put(message)

    def _to_watchers(self, symbol: str, message: m.Message) -> None:
        for session in self._rotated():
            if session.engine is not None and symbol in session.engine.watched:
                session.put(message)

    def _rotated(self) -> list[Session]:
        sessions = [s.session for s in self.seats.values() if s.session is not None]
        self._turn += 1
        first = self._turn % len(sessions) if sessions else 0
        return sessions[first:] + sessions[:first]

    # ------------------------------------------------------------------ people

    def control(self, user_id: str, message: m.Control) -> bool:
        """Hand a person's wish to a user's engine; False: the user is not run here."""
        seat = self.seats.get(user_id)
        if seat is None or seat.session is None:
            return False
        return seat.session.put(message)

    async def settings_changed(self, user_id: str) -> bool:
        """Read a user's newest settings and hand them to the engine."""
        seat = self.seats.get(user_id)
        if seat is None or seat.session is None:
            return False
        return await seat.session.read_settings()

    async def _check_keys(self) -> None:
        """Look at every key once a day: rights, expiry and mode change behind our back."""
        while True:
            await self._parts.clock.sleep(self._options.key_check_s)
            for seat in list(self.seats.values()):
                if seat.session is None:
                    continue
                refusal = await self._parts.accounts.check(seat.user)
                if refusal is not None and seat.session is not None:
                    seat.session.key_refused(refusal)

    # ------------------------------------------------------------------ the end

    async def drain(self) -> int:
        """Take no signals, let what is under way be settled, give the leases back.

        Returns how many orders are left unknown: they stand in the store, and whoever comes next
        finds out what became of them.
        """
        self.draining = True
        clock = self._parts.clock
        end_s = clock.monotonic_s() + self._options.drain_s
        for seat in self.seats.values():
            if seat.session is not None:
                seat.session.block(DRAIN, "this process is stopping")
        while clock.monotonic_s() < end_s and self._under_way():
            await clock.sleep(0.1)
        left = self._under_way()
        for seat in self.seats.values():
            if seat.task is not None:
                seat.task.cancel()
        tasks = [seat.task for seat in self.seats.values() if seat.task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.keeper.release()
        return left

    def _under_way(self) -> int:
        sessions = [s.session for s in self.seats.values() if s.session is not None]
        return sum(s.under_way() for s in sessions)

    def progress(self) -> dict[str, Progress | None]:
        """Return how every engine is doing; None: it is not running here."""
        return {
            user_id: seat.session.progress() if seat.session is not None else None
            for user_id, seat in self.seats.items()
        }


def _killed(row: UserRow, *, killed: bool, generation: int) -> UserRow:

    return msgspec.structs.replace(row, killed=killed, kill_generation=generation)
