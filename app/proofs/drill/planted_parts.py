"""Planted bugs of the parts around the brain: store, venue, guard, pump, supervisor."""

import asyncio
import dataclasses
from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec

from app.proofs.drill.loop import spawn
from app.proofs.drill.planted_brain import Twisted
from app.proofs.drill.system import Build
from app.proofs.drill.venue import Wire
from data.records.memory import MemoryStore
from data.records.rows import Commit, CommitOutcome, Committed, OutboxRow
from engine.account.commands import MoveStop
from live.accounts.guard import GuardOptions
from live.accounts.notify import OutboxPump
from live.accounts.supervisor import Supervisor
from live.venues.port import Ok
from live.venues.resync import FeedOptions
from live.venues.trading import (
    Absent,
    Accepted,
    LookupOutcome,
    NewOrder,
    PlaceOutcome,
    Priority,
    Refused,
    Undecided,
    Unknown,
)


class _Venue:
    """A sound venue behind a mistake."""

    def __init__(self, inner: Any, process: Any) -> None:
        self._inner = inner
        self._process = process

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class FreshIdPerRetry(_Venue):
    """Sends again under a new id whenever an answer is missing."""

    async def place(self, order: NewOrder, *, priority: Priority) -> PlaceOutcome:
        """Place, wrongly."""
        outcome = await self._inner.place(order, priority=priority)
        for attempt in range(3):
            if not isinstance(outcome, Unknown):
                break
            again = replace(order, order_link_id=f"{order.order_link_id}r{attempt}")
            outcome = await self._inner.place(again, priority=priority)
        return outcome


class TimeoutIsReject(_Venue):
    """Takes a missing answer for a refusal."""

    async def place(self, order: NewOrder, *, priority: Priority) -> PlaceOutcome:
        """Place, wrongly."""
        outcome = await self._inner.place(order, priority=priority)
        return Refused(0, "no answer") if isinstance(outcome, Unknown) else outcome


class OneLookIsAbsent(_Venue):
    """Takes the first look that finds nothing for proof."""

    async def look_up(
        self, symbol: str, order_link_id: str, *, sent_ms: int, order_id: str = ""
    ) -> LookupOutcome:
        """Look, wrongly."""
        found = await self._inner.look_up(symbol, order_link_id, sent_ms=sent_ms, order_id=order_id)
        hasty = isinstance(found, Undecided) and "not found" in found.reason
        return Absent(sent_ms) if hasty else found


class NoLookUps(_Venue):
    """Never finds out what became of an order."""

    async def look_up(self, symbol: str, order_link_id: str, **_: Any) -> LookupOutcome:
        """Look, wrongly."""
        return Undecided(f"nobody asked for {symbol} {order_link_id}")


class NoHistory(_Venue):
    """Believes its stream, and never reads executions."""

    async def executions(self, **_: Any) -> Any:
        """Return executions, wrongly."""
        return Ok([], self._process.clock.now_ms())


class AnswerIsFate(_Venue):
    """Takes "accepted" for the stop being there, and a refusal of a stop for the same."""

    async def set_trading_stop(self, stop: Any, *, priority: Priority) -> PlaceOutcome:
        """Set a stop, wrongly."""
        await asyncio.sleep(0)
        return Accepted(already=priority is None or stop is None)


class WidensStops(_Venue):
    """Sets stops where they would be by a wider trail."""

    async def set_trading_stop(self, stop: Any, *, priority: Priority) -> PlaceOutcome:
        """Set a stop, wrongly."""
        if stop.stop_loss:
            rules = self._process.world.desk.exchange.instruments[stop.symbol]
            lower = rules.floor_price(stop.stop_loss * Decimal("0.97"))
            stop = replace(stop, stop_loss=lower)
        return await self._inner.set_trading_stop(stop, priority=priority)


class OffTheStep(_Venue):
    """Sends quantities that nobody rounded."""

    async def place(self, order: NewOrder, *, priority: Priority) -> PlaceOutcome:
        """Place, wrongly."""
        odd = replace(order, qty=order.qty * Decimal("1.000123"))
        return await self._inner.place(odd, priority=priority)


class EntersTwice(_Venue):
    """Sends every entry again, under an id of its own, when it was slow to be answered."""

    async def place(self, order: NewOrder, *, priority: Priority) -> PlaceOutcome:
        """Place, wrongly."""
        begun_s = self._process.clock.monotonic_s()
        outcome = await self._inner.place(order, priority=priority)
        if self._process.clock.monotonic_s() - begun_s > _SLOW_S and not order.reduce_only:
            again = replace(order, order_link_id=f"{order.order_link_id}b")
            await self._inner.place(again, priority=priority)
        return outcome


_SLOW_S = 0.05


def _mixed_up(venue: Any, process: Any) -> Any:
    """Let the second user trade with the first one's key."""
    wire = getattr(venue, "_gate")  # noqa: B009 - a twin of the client's inside
    if wire.user == 1:
        other: Any = Wire(process.world.office, 0, process.life, process.strike)
        venue._gate = venue.readings._gate = other  # noqa: SLF001 - a twin
    return venue


# ---------------------------------------------------------------------------- stores


class _Store(MemoryStore):
    """A sound store's rows under other rules."""

    @classmethod
    def of(cls, sound: MemoryStore) -> "MemoryStore":
        made = cls.__new__(cls)
        made.__dict__ = sound.__dict__
        return made


class NoFence(_Store):
    """Takes a commit of any epoch, upon any version."""

    def _commit(self, commit: Commit) -> CommitOutcome:
        lease = self._leases.get(commit.user_id)
        version = self._books[commit.user_id].head.version
        forced = msgspec.structs.replace(
            commit, epoch=lease.epoch if lease else 0, version=version, traces=()
        )
        return super()._commit(forced)


class WriteBehind(_Store):
    """Says yes at once, and writes later: what is sent may stand nowhere."""

    async def commit(self, commit: Commit) -> CommitOutcome:
        """Write, wrongly."""
        head = self._books[commit.user_id].head

        async def write() -> None:
            await asyncio.sleep(1.5)
            self._commit(commit)

        spawn(None, write())
        return Committed(
            version=commit.version + 1, audit_seq=head.audit_seq, audit_hash=head.audit_hash
        )

    async def commit_many(self, commits: Any) -> Any:
        """Write many, wrongly."""
        return [await self.commit(commit) for commit in commits]


class LosesOutbox(_Store):
    """Loses every third notification."""

    def _write(self, books: Any, writes: Any) -> None:
        kept = [k for i, k in enumerate(sorted(writes.outbox)) if (len(k) + i) % 3]
        writes.outbox = {k: writes.outbox[k] for k in kept}
        super()._write(books, writes)


class BreaksChain(_Store):
    """Writes links that do not name the one before."""

    def _write(self, books: Any, writes: Any) -> None:
        writes.audit = [msgspec.structs.replace(row, prev_hash="") for row in writes.audit]
        super()._write(books, writes)


class BooksTwice(_Store):
    """Keys executions by the moment they are written, not by their id."""

    def _write(self, books: Any, writes: Any) -> None:
        super()._write(books, writes)
        for row in writes.executions:
            books.executions[row.exec_id + "'"] = row


# ---------------------------------------------------------------------------- processes


class TellsTwice(OutboxPump):
    """Forgets what it told."""

    async def _write(self, row: OutboxRow, *, delivered: bool, next_ms: int) -> None:
        self._told.clear()
        if not delivered or row.attempts:
            await super()._write(row, delivered=delivered, next_ms=next_ms)
        else:
            await super()._write(row, delivered=False, next_ms=0)


class TellsOnce(OutboxPump):
    """Gives up what could not be told at the first try."""

    async def _try(self, row: OutboxRow) -> str:
        await super()._try(row)
        return ""


class DeafToKills(Supervisor):
    """Never looks at the kill switches."""

    def _tell_kill(self, seat: Any) -> None:
        pass


def _no_restoring(command: Any, _state: Any) -> list[Any]:
    restores = isinstance(command, MoveStop) and command.reason in ("protect", "restore")
    return [] if restores else [command]


def _guard(**options: float) -> Any:
    return lambda o: dataclasses.replace(o, guard=GuardOptions(**options))


PARTS: dict[str, Build] = {
    "fresh id per retry": Build(venue=FreshIdPerRetry),
    "timeout = reject": Build(venue=TimeoutIsReject),
    "one look = absent": Build(venue=OneLookIsAbsent),
    "no look-ups": Build(venue=NoLookUps),
    "executions by stream only": Build(venue=NoHistory),
    "stops never sent": Build(venue=AnswerIsFate),
    "stops widened": Build(venue=WidensStops),
    "quantity off the step": Build(venue=OffTheStep),
    "slow = lost": Build(venue=EntersTwice),
    "nobody restores a stop": Build(
        brain=lambda inner: Twisted(inner, want=_no_restoring), options=_guard(every_s=1e6)
    ),
    "users mixed up": Build(venue=_mixed_up),
    "no re-reading": Build(
        options=lambda o: dataclasses.replace(o, feed=FeedOptions(check_s=1e6, poll_s=1e6))
    ),
    "no fence": Build(store=NoFence.of),
    "written after it is sent": Build(store=WriteBehind.of),
    "outbox lost": Build(store=LosesOutbox.of),
    "outbox told twice": Build(pump=TellsTwice),
    "outbox given up": Build(pump=TellsOnce),
    "chain broken": Build(store=BreaksChain.of),
    "executions booked twice": Build(store=BooksTwice.of),
    "kill switch not read": Build(supervisor=DeafToKills),
}
