"""Facts about the whole market, as an explicit input series of `step`.

For bar k they are computed only from bars that closed before bar k opens: the bar before it, of the
profile's whole universe. A symbol without that bar, or without an unbroken window behind it, is
absent and counted. Nothing is accumulated, so live and history agree from any start.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import log
from typing import NamedTuple

import numpy as np

from engine.bars import Bars
from engine.kernels.rolling import falls, reduce_falls


class MarketParams(NamedTuple):
    """How market-wide falls are measured."""

    breadth_bars: int = 96  # 24 h: a coin's fall for the breadth
    fall_bars: int = 192  # the detector's own window: the market's part in a dump
    breadth_fall: float = 0.10  # under the high of `breadth_bars`: counted as fallen


class MarketRow(NamedTuple):
    """The market before one bar."""

    breadth: float  # share of present coins that have fallen; NaN without any
    median_fall: float  # median ln(high of the window / close); NaN without any
    present: int
    absent: int


def market_row(fall_short: np.ndarray, fall_long: np.ndarray, params: MarketParams) -> MarketRow:
    """Reduce one instant's falls, one entry a coin of the universe, NaN = absent.

    The result does not depend on the order of the coins; it is the kernel of `market_history`.
    """
    short = np.ascontiguousarray(fall_short, np.float64).reshape(1, -1)
    long = np.ascontiguousarray(fall_long, np.float64).reshape(1, -1)
    breadth, median, present = _reduce(short, long, params)
    count = int(present[0])
    return MarketRow(float(breadth[0]), float(median[0]), count, long.shape[1] - count)


def _reduce(
    short: np.ndarray, long: np.ndarray, params: MarketParams
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    breadth, median = np.empty(len(long)), np.empty(len(long))
    present = reduce_falls(short, long, -log(1.0 - params.breadth_fall), breadth, median)
    return breadth, median, present


@dataclass(frozen=True, slots=True)
class MarketSeries:
    """`MarketRow` for every bar of a stretch of time.

    Attributes
    ----------
    ts : int64[n]
        Open time of the bar the row is for, ascending, on the grid.
    breadth, median_fall : float64[n]
    present, absent : int64[n]
    universe_hash : str
        Which coins were asked.
    """

    ts: np.ndarray
    breadth: np.ndarray
    median_fall: np.ndarray
    present: np.ndarray
    absent: np.ndarray
    universe_hash: str

    def aligned(self, ts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return breadth and median fall for each of ``ts``; NaN where there is no row."""
        at = np.searchsorted(self.ts, ts)
        found = at < len(self.ts)
        found[found] = self.ts[at[found]] == ts[found]
        out = []
        for column in (self.breadth, self.median_fall):
            values = np.full(len(ts), np.nan)
            values[found] = column[at[found]]
            values.flags.writeable = False
            out.append(values)
        return out[0], out[1]


def universe_hash(symbols: Iterable[str]) -> str:
    """Return a short hash of a set of symbols, whatever their order."""
    text = "\n".join(sorted(symbols)).encode()
    return hashlib.blake2b(text, digest_size=8).hexdigest()


def usable(bars: Bars, interval_ms: int) -> Bars:
    """Return the bars that may speak for the market: possible, on the grid, later than all before.

    A bar left out is a hole: its coin is absent until an unbroken window stands again.
    """
    prices = (bars.open, bars.high, bars.low, bars.close)
    good = (bars.ts % interval_ms == 0) & np.isfinite(bars.volume) & (bars.volume >= 0)
    for x in prices:
        good &= np.isfinite(x) & (x > 0)
    good &= (bars.high >= np.maximum(bars.open, bars.close)) & (
        bars.low <= np.minimum(bars.open, bars.close)
    )
    if len(bars) > 1:
        latest = np.maximum.accumulate(np.where(good, bars.ts, np.iinfo(np.int64).min))
        good[1:] &= bars.ts[1:] > latest[:-1]
    if good.all():
        return bars
    o, h, lo, c = (x[good] for x in prices)
    return Bars.from_arrays(bars.ts[good], o, h, lo, c, bars.volume[good])


def symbol_falls(
    bars: Bars, params: MarketParams, interval_ms: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return a coin's fall from its short and long window's high at every close, float64[n]."""
    short, long = np.empty(len(bars)), np.empty(len(bars))
    falls(bars.ts, bars.high, bars.close, interval_ms, params.breadth_bars, short)
    falls(bars.ts, bars.high, bars.close, interval_ms, params.fall_bars, long)
    return short, long


def market_history(
    universe: Mapping[str, Bars], params: MarketParams, interval_ms: int
) -> MarketSeries:
    """Compute the market's series over the whole history of a universe.

    Cost: two rolling maxima a bar, then one sort an instant: about 0.1 us a bar.
    """
    clean = [usable(bars, interval_ms) for bars in universe.values()]
    ticks = [b.ts for b in clean if len(b)]
    digest = universe_hash(universe)
    if not ticks:
        empty, none = np.empty(0), np.empty(0, np.int64)
        return MarketSeries(none, empty, empty, none, none, digest)
    first = min(int(t[0]) for t in ticks)
    size = (max(int(t[-1]) for t in ticks) - first) // interval_ms + 1
    falls_short = np.full((size, len(clean)), np.nan)
    falls_long = np.full((size, len(clean)), np.nan)
    for column, bars in enumerate(clean):
        if len(bars):
            at = (bars.ts - first) // interval_ms
            falls_short[at, column], falls_long[at, column] = symbol_falls(
                bars, params, interval_ms
            )
    breadth, median, present = _reduce(falls_short, falls_long, params)
    # the row made at bar i's close is for bar i + 1
    stamps = first + interval_ms * np.arange(1, size + 1, dtype=np.int64)
    return MarketSeries(stamps, breadth, median, present, len(clean) - present, digest)
