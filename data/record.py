"""Closed live bars into the lake: buffered, flushed atomically to the monthly tail.

One recorder serves all symbols of a venue and interval. Bars are kept until a flush; a crash loses
at most what is in the buffer, and that is what the REST backfill fetches again.
"""

from typing import NamedTuple

import numpy as np

from data.catalog import Lake
from data.layout import check_name
from engine.bars import COLUMNS, Bars, interval_ms
from engine.errors import DataError


class ClosedBar(NamedTuple):
    """One confirmed bar; `ts` is UTC ms of its open, turnover NaN where unknown."""

    ts: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    turnover: float = float("nan")


class BarRecorder:
    """Appends closed bars to a lake.

    Parameters
    ----------
    lake : Lake
    venue, interval : str
    flush_bars : int
        A symbol is flushed when it holds this many bars.
    flush_ms : int
        And when its newest bar is this much younger than its oldest one: an hour by default.
    """

    def __init__(
        self,
        lake: Lake,
        venue: str,
        interval: str,
        *,
        flush_bars: int = 60,
        flush_ms: int = 3_600_000,
    ) -> None:
        if flush_bars < 1:
            raise DataError(f"flush_bars must be at least 1, not {flush_bars}")
        check_name("venue", venue)
        self._lake, self._venue, self._interval = lake, venue, interval
        self._step_ms = interval_ms(interval)
        self._flush_bars, self._flush_ms = flush_bars, flush_ms
        self._held: dict[str, dict[int, ClosedBar]] = {}
        self.written = 0
        self.late = 0

    @property
    def held(self) -> int:
        """Bars in the buffer."""
        return sum(len(bars) for bars in self._held.values())

    def add(self, symbol: str, bar: ClosedBar) -> bool:
        """Take one closed bar; return whether it led to a flush of its symbol.

        A bar of the same ts replaces the one held; late bars are counted and take their place.

        Raises
        ------
        DataError
            A ts that is no multiple of the interval, or the disk refuses; the bars stay held then.
        """
        if bar.ts % self._step_ms:
            raise DataError(f"{symbol}: a bar at {bar.ts} is no {self._interval} bar")
        check_name("symbol", symbol)
        bars = self._held.setdefault(symbol, {})
        if bars and bar.ts < max(bars):
            self.late += 1
        bars[bar.ts] = bar
        if len(bars) >= self._flush_bars or max(bars) - min(bars) >= self._flush_ms:
            self._write(symbol)
            return True
        return False

    def flush(self) -> int:
        """Write everything held; return the number of bars written. What fails stays held."""
        before = self.written
        for symbol in sorted(self._held):
            self._write(symbol)
        return self.written - before

    def _write(self, symbol: str) -> None:
        bars = self._held[symbol]
        rows = [bars[ts] for ts in sorted(bars)]
        columns = [np.array([getattr(row, name) for row in rows]) for name in COLUMNS]
        self.written += self._lake.append(
            self._venue, self._interval, symbol, Bars.from_arrays(*columns)
        )
        # Only a write that came through lets go of the bars.
        del self._held[symbol]
