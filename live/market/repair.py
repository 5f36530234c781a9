"""Asks history for bars the stream did not bring, until each is here or known not to be."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from engine.venue.wire import KLINE_LIMIT_MAX, Kline
from live.clock import Clock
from live.market.collate import Collator, Values
from live.venues.port import Banned, Failed, Ok, PublicRest, Throttled


@dataclass(frozen=True, slots=True)
class RepairOptions:
    """How patient a repair is."""

    settle_s: float = (
        10.0  # after a close: from then on, a bar that REST does not know does not exist
    )
    retry_s: float = 1.0
    retry_max_s: float = 15.0
    deadline_s: float = 120.0  # then the minute goes on without the bar, counted
    parallel: int = 8
    ahead_max: int = 20_000  # bars that may wait behind a hole


@dataclass(slots=True)
class RepairCounters:
    """What repairs have done."""

    requests: int = 0
    bars: int = 0  # bars that came by REST
    absent: int = 0  # minutes the venue has no bar for
    failures: int = 0  # requests without a usable answer
    given_up: int = 0  # minutes declared lost because the venue would not answer


def values_of(bar: Kline) -> Values:
    """Return a candle as the collator's tuple."""
    return (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.turnover)


def settled_through(venue_ms: int, interval_ms: int, settle_s: float) -> int:
    """Return the open time of the newest bar that history is sure to hold, if it exists at all."""
    known_ms = venue_ms - int(settle_s * 1000.0)
    return known_ms // interval_ms * interval_ms - interval_ms


class Repairer:
    """Fills holes of a collator from a venue's REST interface.

    Parameters
    ----------
    collator : Collator
    rest : PublicRest
    clock : Clock
    interval : str
    changed : async callable
        Called after every answer that may let the open minute go on.
    ended : callable
        Called when a repair is over, with what broke it if something did: the row may miss the
        next minute too.
    note : callable
        Told, in words, what a person should know.
    """

    def __init__(
        self,
        collator: Collator,
        *,
        rest: PublicRest,
        clock: Clock,
        interval: str,
        changed: Callable[[], Awaitable[None]],
        ended: Callable[[BaseException | None], None],
        note: Callable[[str], None],
        options: RepairOptions,
    ) -> None:
        self.counters = RepairCounters()
        self._collator = collator
        self._rest = rest
        self._clock = clock
        self._interval = interval
        self._changed = changed
        self._over = ended
        self._note = note
        self._options = options
        self._running: dict[int, asyncio.Task[None]] = {}
        self._gate = asyncio.Semaphore(options.parallel)

    @property
    def running(self) -> frozenset[int]:
        """Rows that are being repaired."""
        return frozenset(self._running)

    def request(self, rows: Iterable[int]) -> None:
        """Begin to repair rows that miss the open minute; those under repair already go on."""
        for row in rows:
            if row not in self._running:
                task = asyncio.create_task(self._repair(row), name=f"repair-{row}")
                self._running[row] = task
                task.add_done_callback(lambda done, row=row: self._ended(row, done))

    def _ended(self, row: int, task: asyncio.Task[None]) -> None:
        self._running.pop(row, None)
        if not task.cancelled():
            self._over(task.exception())

    async def close(self) -> None:
        """Give up all repairs."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _repair(self, row: int) -> None:
        async with self._gate:
            began_s = self._clock.monotonic_s()
            minute = self._collator.minute
            wait_s = self._options.retry_s
            while self._collator.minute == minute and row in self._collator.missing():
                self.counters.requests += 1
                pause_s = await self._once(row, minute)
                if pause_s is None:
                    return
                pause_s = max(wait_s, pause_s)
                if self._clock.monotonic_s() - began_s + pause_s > self._options.deadline_s:
                    await self._give_up(row, minute)
                    return
                await self._clock.sleep(pause_s)
                wait_s = min(self._options.retry_max_s, wait_s * 2.0)

    async def _once(self, row: int, minute: int) -> float | None:
        """Ask once; None when this row needs nothing more, else seconds to wait at least."""
        length_ms = self._collator.interval_ms
        end = minute + (KLINE_LIMIT_MAX - 1) * length_ms
        symbol = self._collator.symbol(row)
        outcome = await self._rest.klines(
            symbol, self._interval, start_ms=minute, end_ms=end, limit=KLINE_LIMIT_MAX
        )
        match outcome:
            case Ok(value=bars, venue_ms=venue_ms):
                return await self._answered(row, minute, bars, venue_ms)
            case Throttled(retry_after_s=wait_s) | Banned(retry_after_s=wait_s):
                self.counters.failures += 1
                return wait_s
            case Failed(retryable=False, reason=reason):
                self.counters.failures += 1
                self._note(f"{symbol}: the venue will not tell its history ({reason})")
                await self._give_up(row, minute)
                return None
            case _:
                self.counters.failures += 1
                return 0.0

    async def _answered(
        self, row: int, minute: int, bars: list[Kline], venue_ms: int
    ) -> float | None:
        if venue_ms < minute + self._collator.interval_ms:
            # Still open: the stream will bring it, unless it has gone past it already.
            return 0.0 if row in self._collator.suspects() else None
        end = minute + (KLINE_LIMIT_MAX - 1) * self._collator.interval_ms
        through = settled_through(venue_ms, self._collator.interval_ms, self._options.settle_s)
        here = False
        for bar in bars:
            self._collator.offer(row, bar.start, values_of(bar))
            here = here or bar.start == minute
        self.counters.bars += len(bars)
        self._collator.known(row, min(through, end))
        if through >= minute and not here:
            self.counters.absent += 1
        await self._changed()
        return None if here or through >= minute else 0.0

    async def _give_up(self, row: int, minute: int) -> None:
        self.counters.given_up += 1
        self._note(
            f"{self._collator.symbol(row)}: a bar could not be repaired; its detector resets"
        )
        self._collator.known(row, minute)
        await self._changed()
