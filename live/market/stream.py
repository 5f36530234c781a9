"""The pump: bars from stream to collator, whole minutes to the scanner, news to the bus."""

import asyncio
from collections.abc import Awaitable, Callable

from engine.venue.wire import Kline
from live.clock import Clock
from live.market.collate import Batch, Collator
from live.market.repair import Repairer, RepairOptions, values_of
from live.market.scanner import Scan, Scanner
from live.venues.port import (
    ClosedBar,
    Joined,
    Lost,
    Ok,
    PublicRest,
    PublicStream,
    Quiet,
    StreamItem,
    TopicOutcome,
    TopicState,
)


class Pump:
    """Carries one interval's bars from venue to detector, in order, holes repaired first.

    Parameters
    ----------
    collator, scanner
        What is fed. Both are changed only under `turn`.
    stream, rest, clock
        Where bars come from.
    interval : str
    scanned : async callable (Batch, Scan)
        Told of every batch; it may wait, and then the pump waits too.
    note : callable (str)
        Told, in words, what a person should know.
    grace_s : float
        How long a closing bar may lag its peers before REST is asked and the others go on.
    """

    def __init__(
        self,
        collator: Collator,
        scanner: Scanner,
        *,
        stream: PublicStream,
        rest: PublicRest,
        clock: Clock,
        interval: str,
        scanned: Callable[[Batch, Scan], Awaitable[None]],
        note: Callable[[str], None],
        grace_s: float = 3.0,
        options: RepairOptions | None = None,
    ) -> None:
        self.turn = asyncio.Lock()
        self.collator = collator
        self.scanner = scanner
        self.refused: dict[str, str] = {}
        self.lost = 0
        self.scan_ms: float | None = None  # the newest scan: how long, of how many coins
        self.scan_symbols = 0
        self._stream = stream
        self._rest = rest
        self._clock = clock
        self._scanned = scanned
        self._note = note
        self._grace_s = grace_s
        self._options = options or RepairOptions()
        self._room = asyncio.Event()
        self._broken: asyncio.Future[None] | None = None
        # The open minute, and since when some of its bars are here.
        self._waits: tuple[int, float | None] = (0, None)
        # Rows whose stream was interrupted: until this time of the venue, bars may be missing.
        self._owed: dict[int, int] = {}
        self._checks: set[asyncio.Task[None]] = set()
        self.repairer = Repairer(
            collator,
            rest=rest,
            clock=clock,
            interval=interval,
            changed=self.drain,
            ended=self._repair_over,
            note=self._note,
            options=self._options,
        )

    async def run(self) -> None:
        """Carry bars until cancelled."""
        self._broken = asyncio.get_running_loop().create_future()
        tasks: list[asyncio.Future[None]] = [
            asyncio.create_task(self._consume(), name="pump-consume"),
            asyncio.create_task(self._watch_grace(), name="pump-grace"),
            self._broken,
        ]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in [*tasks, *self._checks]:
                task.cancel()
            await asyncio.gather(*tasks, *self._checks, return_exceptions=True)
            await self.repairer.close()

    # ------------------------------------------------------------------ in

    async def _consume(self) -> None:
        limit = max(self._options.ahead_max, 64 * len(self.collator))
        while True:
            for item in await self._stream.batch():
                if isinstance(item, ClosedBar):
                    self._bar(item)
                else:
                    self._news(item)
            await self.drain()
            while self.collator.ahead_total > limit:
                # Bars behind a hole wait in bounded memory: the stream waits with them.
                self._room.clear()
                await self._room.wait()

    def _bar(self, item: ClosedBar) -> None:
        row = self.collator.find(item.symbol)
        if row is not None:
            bar: Kline = item.bar
            self.collator.offer(row, bar.start, values_of(bar), item.shard)

    def _news(self, item: StreamItem) -> None:
        match item:
            case Joined(shard=shard, symbols=symbols):
                rows = [r for s in symbols if (r := self.collator.find(s)) is not None]
                self.collator.rejoined(rows, shard)
                self._check(rows)
            case Lost(reason=reason):
                self.lost += 1
                self._note(f"a connection ended: {reason}")
            case Quiet(symbol=symbol):
                row = self.collator.find(symbol)
                if row is not None:
                    self._check([row])
            case TopicOutcome(symbol=symbol, state=TopicState.REFUSED, reason=reason):
                self.refused[symbol] = reason
                self._note(f"{symbol}: the venue refuses its stream ({reason}); REST stands in")
                row = self.collator.find(symbol)
                if row is not None:
                    self._check([row])
            case TopicOutcome(symbol=symbol, state=TopicState.ACCEPTED):
                self.refused.pop(symbol, None)
            case _:
                pass

    def _check(self, rows: list[int]) -> None:
        task = asyncio.create_task(self._repair_if_closed(rows), name="pump-check")
        self._checks.add(task)
        task.add_done_callback(self._checks.discard)

    async def _repair_if_closed(self, rows: list[int]) -> None:
        """Ask for the open minute of these rows, if the venue has closed it already."""
        outcome = await self._rest.server_time()
        if isinstance(outcome, Ok):
            self._owed.update(dict.fromkeys(rows, outcome.value))
            self._ask()
        else:  # without the time: let each row ask, it will find out
            missing = set(self.collator.missing())
            self.repairer.request([r for r in rows if r in missing])

    # ------------------------------------------------------------------ through

    async def drain(self) -> None:
        """Hand on every minute that is whole, and ask for what will not come by itself."""
        async with self.turn:
            while (batch := self.collator.take()) is not None:
                await self._scan(batch)
        self._ask()
        self._mark()
        self._room.set()

    def _repair_over(self, error: BaseException | None) -> None:
        if error is None:
            self._ask()
        elif self._broken is not None and not self._broken.done():
            self._broken.set_exception(error)  # a bug, not a bad answer: the pump ends with it

    def _ask(self) -> None:
        """Request what the open minute lacks and what will not come by itself."""
        rows = self.collator.suspects()
        if self._owed:
            closed_ms = self.collator.minute + self.collator.interval_ms
            self._owed = {r: t for r, t in self._owed.items() if t >= closed_ms}
            rows += [r for r in self.collator.missing() if r in self._owed]
        if rows:
            self.repairer.request(rows)

    async def _scan(self, batch: Batch) -> None:
        began_s = self._clock.monotonic_s()
        scan = self.scanner.step(batch)
        if len(batch.rows):
            self.scan_ms = (self._clock.monotonic_s() - began_s) * 1000.0
            self.scan_symbols = len(batch.rows)
        await self._scanned(batch, scan)

    def _mark(self) -> None:
        minute, since_s = self._waits
        if minute != self.collator.minute:
            minute, since_s = self.collator.minute, None
        if since_s is None and self.collator.started():
            since_s = self._clock.monotonic_s()
        self._waits = (minute, since_s)

    async def _watch_grace(self) -> None:
        while True:
            await self._clock.sleep(self._grace_s / 2.0)
            minute, since_s = self._waits
            if since_s is None or minute != self.collator.minute:
                continue
            if self._clock.monotonic_s() - since_s < self._grace_s:
                continue
            async with self.turn:
                # Those that are here go on; the rest of this minute follows when it is repaired.
                while (batch := self.collator.take(overdue=True)) is not None:
                    await self._scan(batch)
                    if not batch.complete:
                        break
            self.repairer.request(self.collator.missing())
            self._mark()
            self._room.set()
