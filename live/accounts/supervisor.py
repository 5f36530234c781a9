"""Runs every user's session in this process: who is ours, who waits, who is stopped.

A user is traded by the process that holds the lease. Another one that wants the user too stands by:
an old and a new process at the same time is how deploys go. Each user has a task; what ends a
session ends that task's turn and is tried again later, and nobody else notices.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from data.records.rows import Lease, LeaseHeld, Unavailable, UserRow
from engine.account import messages as m
from engine.errors import ZionError
from live.accounts.engine import EngineFenced, Progress
from live.accounts.fanout import Fanout
from live.accounts.gate import EntryGate
from live.accounts.leases import LeaseKeeper, LeaseOptions
from live.accounts.ports import NoAccount
from live.accounts.session import DRAIN, Parts, Session, SessionRefused
from live.clock import Late, within

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SupervisorOptions:
    """Timings, seconds."""

    poll_s: float = 1.0  # users and kill switches
    store_s: float = 3.0  # a store that has not answered by then is away
    standby_s: float = 1.0  # after a try for a lease that another process holds
    blind_s: float = 20.0  # a lease is tried again by then, whatever was read of it
    retry_first_s: float = 1.0
    retry_max_s: float = 60.0
    refused_s: float = 60.0  # until a refused key is looked at again
    settings_s: float = 15.0  # between two looks for settings that another process wrote
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
    held_until_ms: int = 0  # by another process, as the store said last


class Supervisor(Fanout):
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
        super().__init__(parts)
        self.seats: dict[str, Seat] = {}
        self.keeper = LeaseKeeper(
            parts.store,
            parts.clock,
            holder,
            on_lease=self._leased,
            on_lost=self._lost,
            options=options.lease,
        )
        self.polled_s = parts.clock.monotonic_s()
        self._options = options
        self._serves = serves
        self._platform = (False, -1)
        self._owed_kills: dict[str, tuple[bool, int, str]] = {}
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
            scope.create_task(self._look_for_settings())

    async def _poll_for_ever(self) -> None:
        while True:
            try:
                await self.poll()
            except Exception as error:  # noqa: BLE001 - trades are managed whatever a store does
                self._parts.log.error(  # noqa: TRY400 - a trace may be shown with its locals
                    "users and kill switches could not be read", error=repr(error)
                )
            await self._parts.clock.sleep(self._options.poll_s)

    async def poll(self) -> None:
        """Look at users and kill switches as stored, once."""
        store = self._parts.store
        for user_id, (killed, generation, actor) in list(self._owed_kills.items()):
            await self._write_kill(user_id, killed=killed, generation=generation, actor=actor)
        platform = await self._asked(store.platform_kill())
        if not isinstance(platform, Unavailable):
            self._take_platform(*platform)
        if self._platform[1] < 0:
            return  # nobody is run before it is known whether anybody may enter
        await self._look_at_leases()
        rows = await self._asked(store.users())
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

    async def _asked(self, asked: Awaitable[T]) -> T | Unavailable:
        """Ask the store, not for ever."""
        try:
            return await within(self._parts.clock, asked, self._options.store_s)
        except Late:
            return Unavailable(reason="the store does not answer", kind="down")

    async def _look_at_leases(self) -> None:
        """Read once for all who stand by when their leases end, instead of trying each."""
        if all(seat.standing != "standby" for seat in self.seats.values()):
            return
        leases = await self._asked(self._parts.store.leases())
        if isinstance(leases, Unavailable):
            return
        ends = {lease.user_id: lease.expires_ms for lease in leases}
        for user_id, seat in self.seats.items():
            seat.held_until_ms = ends.get(user_id, 0)

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
                await self._stand_by(seat)
                continue
            begun_s = clock.monotonic_s()
            pause_s = await self._run_session(seat)
            if clock.monotonic_s() - begun_s > options.retry_max_s:
                wait_s = options.retry_first_s
            await clock.sleep(max(wait_s, pause_s))
            wait_s = min(wait_s * 2.0, options.retry_max_s)

    async def _stand_by(self, seat: Seat) -> None:
        """Wait until the lease looks free, or the one look at all of them has failed too long."""
        clock, options = self._parts.clock, self._options
        await clock.sleep(options.standby_s)
        end_s = clock.monotonic_s() + options.blind_s
        while clock.now_ms() < seat.held_until_ms and clock.monotonic_s() < end_s:
            await clock.sleep(options.poll_s)

    async def _lease(self, seat: Seat) -> Lease | LeaseHeld | Unavailable:
        held = self.keeper.held.get(seat.user.user_id)
        if held is not None and seat.gate.leased:
            return held.lease
        said = await self.keeper.acquire(seat.user.user_id)
        if isinstance(said, LeaseHeld):
            seat.standing, seat.why = "standby", f"held by {said.holder}"
            seat.held_until_ms = said.expires_ms
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
        if (generation, killed) <= (self._platform[1], self._platform[0]):
            return  # of two clicks that raced the kill holds
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
        self._take_kill(user_id, killed=killed, generation=generation)
        return await self._write_kill(user_id, killed=killed, generation=generation, actor=actor)

    def _take_kill(self, user_id: str, *, killed: bool, generation: int) -> None:
        if not user_id:
            self._take_platform(killed, generation)
        elif user_id in self.seats:
            seat = self.seats[user_id]
            seat.user = _killed(seat.user, killed=killed, generation=generation)
            self._tell_kill(seat)

    async def _write_kill(self, user_id: str, *, killed: bool, generation: int, actor: str) -> int:
        """Write a click down; a kill that was clicked upon an old picture is clicked again."""
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
            return generation
        self._owed_kills.pop(user_id, None)
        if not killed or said.killed:
            return generation
        newer = said.kill_generation + 1
        self._take_kill(user_id, killed=True, generation=newer)
        return await self._write_kill(user_id, killed=True, generation=newer, actor=actor)

    # ------------------------------------------------------------------ people

    def sessions(self) -> list[Session]:
        """Return the sessions that run here."""
        return [seat.session for seat in self.seats.values() if seat.session is not None]

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
        return await seat.session.look_for_settings()

    async def _look_for_settings(self) -> None:
        """Find settings that another process wrote."""
        while True:
            await self._parts.clock.sleep(self._options.settings_s)
            for session in self.sessions():
                await session.look_for_settings()

    async def _check_keys(self) -> None:
        """Look at every key once a day: rights, expiry and mode change behind our back."""
        while True:
            await self._parts.clock.sleep(self._options.key_check_s)
            for seat in list(self.seats.values()):
                if seat.session is None:
                    continue
                refusal = await self._checked(seat.user)
                if refusal is not None and seat.session is not None:
                    seat.session.key_refused(refusal)

    async def _checked(self, user: UserRow) -> NoAccount | None:
        try:
            return await self._parts.accounts.check(user)
        except Exception as error:  # noqa: BLE001 - one user's keys are one user's
            words = error.what if isinstance(error, ZionError) else type(error).__name__
            return NoAccount((("key_unreadable", words),))

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
        return sum(session.under_way() for session in self.sessions())

    def progress(self) -> dict[str, Progress | None]:
        """Return how every engine is doing; None: it is not running here."""
        return {
            user_id: seat.session.progress() if seat.session is not None else None
            for user_id, seat in self.seats.items()
        }


def _killed(row: UserRow, *, killed: bool, generation: int) -> UserRow:

    return msgspec.structs.replace(row, killed=killed, kill_generation=generation)
