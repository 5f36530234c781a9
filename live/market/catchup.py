"""From nothing, or from a snapshot, to now: missed bars by REST, replayed minute by minute."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from engine.venue.wire import KLINE_LIMIT_MAX, Kline
from live.clock import Clock
from live.market.collate import Batch
from live.market.scanner import Scan, Scanner
from live.venues.port import Banned, Failed, Ok, PublicRest, Throttled

_TRIES = 5


@dataclass(slots=True)
class History:
    """What the venue told of one symbol: candles ascending, and the failure if it stopped early."""

    bars: list[Kline] = field(default_factory=list)
    failure: str = ""


class Fetcher:
    """Reads history of one interval from a venue.

    Parameters
    ----------
    rest : PublicRest
    clock : Clock
    interval : str
    step_ms : int
        Length of a bar.
    parallel : int
        Symbols read at a time.
    """

    def __init__(
        self, rest: PublicRest, clock: Clock, interval: str, step_ms: int, *, parallel: int = 8
    ) -> None:
        self._rest = rest
        self._clock = clock
        self._interval = interval
        self._step_ms = step_ms
        self._gate = asyncio.Semaphore(parallel)

    async def fetch(self, symbol: str, start_ms: int, end_ms: int) -> History:
        """Return the closed candles that open in [start_ms, end_ms], read page by page."""
        out = History()
        at = start_ms
        while at <= end_ms:
            stop = min(end_ms, at + (KLINE_LIMIT_MAX - 1) * self._step_ms)
            page = await self._page(symbol, at, stop)
            if isinstance(page, str):
                out.failure = page
                return out
            out.bars += [bar for bar in page if at <= bar.start <= stop]
            at = stop + self._step_ms
        return out

    async def fetch_all(self, starts: Mapping[str, int], end_ms: int) -> dict[str, History]:
        """Fetch many symbols, each from its own start."""

        async def one(symbol: str, start_ms: int) -> tuple[str, History]:
            async with self._gate:
                return symbol, await self.fetch(symbol, start_ms, end_ms)

        return dict(await asyncio.gather(*(one(s, t) for s, t in starts.items())))

    async def _page(self, symbol: str, start_ms: int, end_ms: int) -> list[Kline] | str:
        reason = ""
        for attempt in range(_TRIES):
            outcome = await self._rest.klines(
                symbol, self._interval, start_ms=start_ms, end_ms=end_ms, limit=KLINE_LIMIT_MAX
            )
            match outcome:
                case Ok(value=bars):
                    return bars
                case Failed(retryable=False, reason=reason):
                    return reason
                case Failed(reason=reason):
                    await self._clock.sleep(0.5 * 2.0**attempt)
                case Throttled(retry_after_s=wait_s) | Banned(retry_after_s=wait_s):
                    reason = f"the venue asks to wait {wait_s:.0f} s"
                    await self._clock.sleep(wait_s)
        return reason or "no answer"


def as_arrays(bars: Sequence[Kline]) -> tuple[np.ndarray, np.ndarray]:
    """Return candles as int64[n] open times and float64[n, 6] values."""
    ts = np.array([b.start for b in bars], np.int64)
    values = [(b.open, b.high, b.low, b.close, b.volume, b.turnover) for b in bars]
    return ts, np.array(values, np.float64).reshape(len(bars), 6)


def replay(
    scanner: Scanner, history: Mapping[int, tuple[np.ndarray, np.ndarray]], end_minute: int
) -> list[tuple[Batch, Scan]]:
    """Step all rows through their bars together, minute by minute, as the live path would.

    Parameters
    ----------
    scanner : Scanner
        Its universe must be set.
    history : mapping from row to (int64[n], float64[n, 6])
    end_minute : int
        Open time of the first minute not replayed.

    Returns
    -------
    list of (Batch, Scan)
        Only those that led to events.
    """
    found: list[tuple[Batch, Scan]] = []
    sizes = [len(ts) for ts, _ in history.values()]
    if not sum(sizes):
        return found
    rows = np.repeat(np.array(list(history), np.int64), sizes)
    ts = np.concatenate([t for t, _ in history.values()])
    bars = np.concatenate([b for _, b in history.values()])
    order = np.lexsort((rows, ts))
    rows, ts, bars = rows[order], ts[order], bars[order]
    starts = np.searchsorted(ts, np.unique(ts[ts < end_minute]))
    stops = np.append(starts[1:], np.searchsorted(ts, end_minute))
    for start, stop in zip(starts, stops, strict=True):
        part = slice(int(start), int(stop))
        batch = Batch(int(ts[start]), rows[part], bars[part], complete=True)
        scan = scanner.step(batch)
        if len(scan.events):
            found.append((batch, scan))
    return found
