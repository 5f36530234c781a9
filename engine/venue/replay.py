"""A market's history as a venue tells it at a moment: what is closed, what is open. Pure."""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.bars import Bars
from engine.errors import DataError

_DAY_MS = 86_400_000
_LISTED_BEFORE_MS = 400 * _DAY_MS  # instruments seem listed this long before their first bar


@dataclass(frozen=True, slots=True)
class OpenBar:
    """A candle as far as it has gone."""

    start: int
    values: tuple[float, float, float, float, float, float]


class Replay:
    """Bars of many symbols behind one clock.

    Parameters
    ----------
    interval_ms : int
        Length of a bar.
    bars : mapping of symbol to Bars
        Ascending; holes are played as holes.
    funding : mapping of symbol to (int64[m] ts, float64[m] rate), optional
    skips : sequence, optional
        What its reader left out, for whoever tells of it.
    """

    def __init__(
        self,
        interval_ms: int,
        bars: Mapping[str, Bars],
        funding: Mapping[str, tuple[np.ndarray, np.ndarray]] | None = None,
        skips: Sequence[Any] = (),
    ) -> None:
        self.skips = tuple(skips)
        self.interval_ms = interval_ms
        self.bars = {s: bars[s] for s in sorted(bars) if len(bars[s])}
        self.funding = dict(funding or {})
        if not self.bars:
            raise DataError("there is nothing to replay", hint="a lake with at least one series")
        for symbol, series in self.bars.items():
            if np.any(np.diff(series.ts) <= 0):
                raise DataError(f"{symbol}: bars are not in order", hint="zion data check")
        self.first = min(int(b.ts[0]) for b in self.bars.values())
        self.last = max(int(b.ts[-1]) for b in self.bars.values())
        self._arrays = {
            s: (b.ts, (b.open, b.high, b.low, b.close, b.volume, b.turnover))
            for s, b in self.bars.items()
        }
        self._at = dict.fromkeys(self.bars, 0)
        self._minute = 0

    def copy(self) -> "Replay":
        """Return the same market, whose funding may be changed without this one's."""
        other = copy(self)
        other.funding = dict(self.funding)
        return other

    @property
    def minutes(self) -> int:
        """How many bars long the replay is, holes included."""
        return (self.last - self.first) // self.interval_ms + 1

    def default_start(self) -> int:
        """Return a moment with a past and a future: 1,500 bars in, or half way if sooner."""
        return self.first + min(1500, self.minutes // 2) * self.interval_ms

    def values(self, symbol: str, index: int) -> tuple[float, float, float, float, float, float]:
        """Return a bar's open, high, low, close, volume, turnover."""
        o, h, lo, c, v, t = self._arrays[symbol][1]
        return (
            float(o[index]),
            float(h[index]),
            float(lo[index]),
            float(c[index]),
            float(v[index]),
            float(t[index]),
        )

    def columns(self, symbol: str) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        """Return a symbol's open times and its six columns."""
        return self._arrays[symbol]

    def index(self, symbol: str, ts: int) -> int | None:
        """Return where the bar opening at ``ts`` stands, or None when there is none.

        Minutes asked in ascending order cost one comparison a symbol.
        """
        stamps = self._arrays[symbol][0]
        at = self._at[symbol]
        if at >= len(stamps) or stamps[at] > ts or (at + 1 < len(stamps) and stamps[at + 1] <= ts):
            at = int(np.searchsorted(stamps, ts))
            self._at[symbol] = min(at, len(stamps) - 1)
        elif stamps[at] < ts and at + 1 < len(stamps):
            at += 1
        return at if at < len(stamps) and stamps[at] == ts else None

    def closed(self, symbol: str, clock_ms: int) -> int:
        """Return how many of a symbol's bars are closed at a moment."""
        stamps = self._arrays[symbol][0]
        return int(np.searchsorted(stamps, clock_ms - self.interval_ms, side="right"))

    def open_bar(self, symbol: str, clock_ms: int) -> OpenBar | None:
        """Return the candle that is open at a moment, as far as it has gone."""
        start = clock_ms - clock_ms % self.interval_ms
        at = int(np.searchsorted(self._arrays[symbol][0], start))
        stamps = self._arrays[symbol][0]
        if at >= len(stamps) or stamps[at] != start:
            return None
        return OpenBar(
            start, partial(self.values(symbol, at), (clock_ms - start) / self.interval_ms)
        )

    def launch_ms(self, symbol: str) -> int:
        """Return when the symbol claims to have been listed."""
        return int(self._arrays[symbol][0][0]) - _LISTED_BEFORE_MS

    def last_price(self, symbol: str, clock_ms: int) -> float:
        """Return the price of the last trade; before the first bar, the price it will open at."""
        now = self.open_bar(symbol, clock_ms)
        if now is not None:
            return now.values[3]
        n = self.closed(symbol, clock_ms)
        columns = self._arrays[symbol][1]
        return float(columns[3][n - 1]) if n else float(columns[0][0])

    def day(self, symbol: str, clock_ms: int) -> dict[str, float]:
        """Return the figures of the last 24 hours' closed bars; empty without any."""
        stamps, (o, h, lo, c, v, t) = self._arrays[symbol]
        stop = self.closed(symbol, clock_ms)
        start = int(np.searchsorted(stamps, clock_ms - _DAY_MS))
        if start >= stop:
            return {}
        part = slice(start, stop)
        turnover = np.where(np.isnan(t[part]), c[part] * v[part], t[part])
        return {
            "open": float(o[start]),
            "high": float(h[part].max()),
            "low": float(lo[part].min()),
            "volume": float(v[part].sum()),
            "turnover": float(turnover.sum()),
        }


def partial(
    values: tuple[float, float, float, float, float, float], share: float
) -> tuple[float, float, float, float, float, float]:
    """Return a candle after a share of its time: the price walks open, far end, near end, close.

    The far end is the low of a rising candle and the high of a falling one. Deterministic; the
    high and the low so far enclose the price so far.
    """
    o, h, lo, c, v, t = values
    if share <= 0.0:
        return (o, o, o, o, 0.0, 0.0)
    if share >= 1.0:
        return values
    path = (o, lo, h, c) if c >= o else (o, h, lo, c)
    leg = min(int(share * 3.0), 2)
    at = share * 3.0 - leg
    price = path[leg] + (path[leg + 1] - path[leg]) * at
    price = min(h, max(lo, float(f"{price:.8g}")))
    seen = (*path[: leg + 1], price)
    return (o, max(seen), min(seen), price, float(f"{v * share:.8g}"), float(f"{t * share:.8g}"))
