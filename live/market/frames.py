"""Rolling bars of every symbol in memory, seen as zero-copy polars frames and as `Bars`."""

import numpy as np
import polars as pl

from engine.bars import COLUMNS, Bars
from live.market.ring import ring_append, ring_falls

# A view stays true for this many further bars of its symbol: the ring is that much longer
# than the window, so the oldest row of a view is not overwritten at once.
SLACK_BARS = 64
_GROW_ROWS = 64


class Frames:
    """Ring buffers of one interval.

    Parameters
    ----------
    window_bars : int
        The most bars a view holds.
    symbols : int
        Rows to make room for at once; more come as symbols are added.
    """

    def __init__(self, window_bars: int, symbols: int = 0) -> None:
        self.window_bars = window_bars
        self._n = window_bars + SLACK_BARS
        self._stamps = np.zeros((symbols, 2 * self._n), np.int64)
        self._values = np.full((symbols, 6, 2 * self._n), np.nan)
        self._count = np.zeros(symbols, np.int64)

    def __len__(self) -> int:
        return len(self._count)

    def grow(self, rows: int) -> None:
        """Make room for at least ``rows`` symbols. Views handed out before keep the old memory."""
        have = len(self._count)
        if rows <= have:
            return
        more = max(rows - have, _GROW_ROWS)
        self._stamps = np.vstack([self._stamps, np.zeros((more, 2 * self._n), np.int64)])
        self._values = np.concatenate([self._values, np.full((more, 6, 2 * self._n), np.nan)])
        self._count = np.append(self._count, np.zeros(more, np.int64))

    def append(self, rows: np.ndarray, ts: np.ndarray, bars: np.ndarray) -> None:
        """Append one bar to each of ``rows``: int64[k], int64[k], float64[k, 6]."""
        ring_append(self._stamps, self._values, self._count, rows, ts, bars)

    def count(self, row: int) -> int:
        """Return how many bars a view of this symbol holds."""
        return min(int(self._count[row]), self.window_bars)

    def clear(self, row: int) -> None:
        """Forget a symbol's bars."""
        self._count[row] = 0

    def _span(self, row: int, last: int | None) -> tuple[int, int]:
        size = self.count(row) if last is None else min(last, self.count(row))
        stop = int(self._count[row] - 1) % self._n + self._n + 1 if self._count[row] else self._n
        return stop - size, stop

    def ts(self, row: int, last: int | None = None) -> np.ndarray:
        """View the open times: int64[m], ms, oldest first."""
        start, stop = self._span(row, last)
        return self._stamps[row, start:stop]

    def closes(self, row: int, last: int | None = None) -> np.ndarray:
        """View the closes: float64[m], oldest first."""
        start, stop = self._span(row, last)
        return self._values[row, 3, start:stop]

    def frame(self, row: int, last: int | None = None) -> pl.DataFrame:
        """View a symbol as a polars frame over the ring's own memory.

        Nothing is copied. The frame stays true for `SLACK_BARS` further bars of its symbol; who
        keeps it longer must copy it (`frame.rechunk()` does not, `pl.concat` of a slice does).
        """
        start, stop = self._span(row, last)
        data: dict[str, np.ndarray] = {"ts": self._stamps[row, start:stop]}
        for j, name in enumerate(COLUMNS[1:]):
            data[name] = self._values[row, j, start:stop]
        return pl.DataFrame(data)

    def bars(self, row: int, last: int | None = None) -> Bars:
        """View a symbol as `Bars` over the same memory; same lifetime as `frame`."""
        start, stop = self._span(row, last)
        return Bars.from_arrays(
            self._stamps[row, start:stop], *(self._values[row, j, start:stop] for j in range(6))
        )

    def falls(self, rows: np.ndarray, at: int, step_ms: int, window: int) -> np.ndarray:
        """Return each row's fall from its high of ``window`` bars at bar ``at``; NaN = absent."""
        out = np.empty(len(rows))
        ring_falls(self._stamps, self._values, self._count, rows, at, step_ms, window, out)
        return out

    def dump(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        """Copy a symbol's window: int64[m], float64[6, m]."""
        start, stop = self._span(row, None)
        return self._stamps[row, start:stop].copy(), self._values[row, :, start:stop].copy()

    def load(self, row: int, ts: np.ndarray, values: np.ndarray) -> None:
        """Replace a symbol's window with copies of these bars (the newest that fit)."""
        self.clear(row)
        size = min(len(ts), self.window_bars)
        if size == 0:
            return
        ring_append(
            self._stamps,
            self._values,
            self._count,
            np.full(size, row, np.int64),
            np.ascontiguousarray(ts[-size:], np.int64),
            np.ascontiguousarray(values[:, -size:].T, np.float64),
        )
