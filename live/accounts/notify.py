"""The outbox pump: what is to be told leaves the store for the notifier, at least once.

It runs beside trading and never in its way: a notifier that hangs is given up after its deadline,
what fails comes again later and later, and after so many times it is put aside as dead, said aloud.
"""

import asyncio
from dataclasses import dataclass
from typing import NoReturn

from data.records.port import Store
from data.records.rows import OutboxRow, Unavailable
from live.accounts.ports import Log, Notifier
from live.clock import Clock, Late, within


@dataclass(frozen=True, slots=True)
class PumpOptions:
    """Timings, seconds, and how often."""

    poll_s: float = 0.5
    deadline_s: float = 10.0
    retry_first_s: float = 2.0
    retry_max_s: float = 300.0
    attempts_max: int = 12  # about half an hour
    batch: int = 100
    at_once: int = 8  # one slow reader must not hold up the others
    told_max: int = 10_000


class OutboxPump:
    """Tells what waits.

    Notes
    -----
    Delivered and then killed before it was written down, a notification is told again: its
    `event_id` is how the reader knows. Within one process it is told once.
    """

    def __init__(
        self,
        store: Store,
        notifier: Notifier,
        clock: Clock,
        log: Log,
        options: PumpOptions = PumpOptions(),
    ) -> None:
        self.delivered = 0
        self.failed = 0
        self.dead = 0
        self.oldest_ms = 0  # of what waits; 0: nothing does
        self._store = store
        self._notifier = notifier
        self._clock = clock
        self._log = log
        self._options = options
        self._told: dict[tuple[str, str], None] = {}

    async def run(self) -> NoReturn:
        """Pump until cancelled."""
        while True:
            try:
                told = await self.pump()
            except Exception as error:  # noqa: BLE001 - whatever a store does, trading goes on
                name = type(error).__name__
                self._log.error("the outbox cannot be read", error=name)
                told = 0
            if not told:
                await self._clock.sleep(self._options.poll_s)

    async def pump(self) -> int:
        """Tell one batch; returns how many were tried."""
        rows = await self._store.outbox(
            self._options.batch, self._clock.now_ms(), int(self._options.retry_max_s * 1000)
        )
        if isinstance(rows, Unavailable):
            return 0
        self.oldest_ms = min((row.created_ms for row in rows), default=0)
        size = self._options.at_once
        for start in range(0, len(rows), size):
            async with asyncio.TaskGroup() as group:
                for row in rows[start : start + size]:
                    group.create_task(self._tell(row))
        return len(rows)

    async def _tell(self, row: OutboxRow) -> None:
        key = (row.user_id, row.event_id)
        why = "" if key in self._told else await self._try(row)
        if not why:
            self._told[key] = None
            if len(self._told) > self._options.told_max:
                self._told.pop(next(iter(self._told)))
            self.delivered += 1
            await self._write(row, delivered=True, next_ms=0)
            return
        self.failed += 1
        attempts = row.attempts + 1
        if attempts >= self._options.attempts_max:
            self.dead += 1
            self._log.error("a notification is dead", user=row.user_id, kind=row.kind, why=why)
            await self._write(row, delivered=False, next_ms=-1)
            return
        wait_s = min(self._options.retry_first_s * 2.0 ** (attempts - 1), self._options.retry_max_s)
        next_ms = self._clock.now_ms() + int(wait_s * 1000)
        await self._write(row, delivered=False, next_ms=next_ms)

    async def _try(self, row: OutboxRow) -> str:
        try:
            return await within(self._clock, self._notifier.tell(row), self._options.deadline_s)
        except Late:
            return f"no answer within {self._options.deadline_s:g} s"
        except Exception as error:  # noqa: BLE001 - whatever a notifier does, trading goes on
            return f"{type(error).__name__}"

    async def _write(self, row: OutboxRow, *, delivered: bool, next_ms: int) -> None:
        await self._store.outbox_done(
            row.user_id,
            row.event_id,
            delivered=delivered,
            attempts=row.attempts + 1,
            next_ms=next_ms,
        )


class ConsoleNotifier:
    """Tells the operator's log: what stands in where no other way is set up."""

    def __init__(self, log: Log) -> None:
        self._log = log

    async def tell(self, row: OutboxRow) -> str:
        """Write one line."""
        say = {"critical": self._log.error, "warning": self._log.warning}
        say.get(row.severity, self._log.info)(
            row.kind, user=row.user_id, event_id=row.event_id, body=row.body.decode()
        )
        return ""
