"""The one door from frames to arrays: contiguous, float64, read-only."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import polars as pl

from engine.errors import DataError

_MINUTE_MS = 60_000
INTERVAL_MS: Mapping[str, int] = {
    "1m": _MINUTE_MS,
    "3m": 3 * _MINUTE_MS,
    "5m": 5 * _MINUTE_MS,
    "15m": 15 * _MINUTE_MS,
    "30m": 30 * _MINUTE_MS,
    "1h": 60 * _MINUTE_MS,
    "2h": 120 * _MINUTE_MS,
    "4h": 240 * _MINUTE_MS,
    "6h": 360 * _MINUTE_MS,
    "12h": 720 * _MINUTE_MS,
    "1d": 1440 * _MINUTE_MS,
}

COLUMNS = ("ts", "open", "high", "low", "close", "volume", "turnover")


def interval_ms(interval: str) -> int:
    """Return the length of an interval in ms; `DataError` names the known ones."""
    try:
        return INTERVAL_MS[interval]
    except KeyError:
        raise DataError(
            f"unknown interval {interval!r}", hint=f"one of {', '.join(INTERVAL_MS)}"
        ) from None


def _door(values: object, dtype: type) -> np.ndarray:
    # numba compiles again for each layout and writeability: everything leaves here alike.
    array = np.ascontiguousarray(values, dtype=dtype)
    view = array.view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True, slots=True)
class Bars:
    """Candles of one symbol, ascending in time; every array has the same length n.

    Attributes
    ----------
    ts : int64[n]
        UTC ms of each bar's open.
    open, high, low, close : float64[n]
        Prices in quote units.
    volume : float64[n]
        In base units.
    turnover : float64[n]
        In quote units; NaN where unknown.
    """

    ts: np.ndarray
    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    volume: np.ndarray
    turnover: np.ndarray

    def __len__(self) -> int:
        return len(self.ts)

    @classmethod
    def from_arrays(
        cls,
        ts: object,
        open_: object,
        high: object,
        low: object,
        close: object,
        volume: object,
        turnover: object = None,
    ) -> Self:
        """Build bars from anything array-like; a missing turnover becomes NaN."""
        stamps = _door(ts, np.int64)
        if turnover is None:
            turnover = np.full(len(stamps), np.nan)
        rest = [_door(x, np.float64) for x in (open_, high, low, close, volume, turnover)]
        if any(len(x) != len(stamps) for x in rest):
            raise DataError("bars need columns of equal length")
        return cls(stamps, *rest)

    @classmethod
    def from_frame(cls, frame: pl.DataFrame) -> Self:
        """Build bars from a polars frame with the lake's columns (`turnover` may be absent)."""
        missing = [c for c in COLUMNS[:-1] if c not in frame.columns]
        if missing:
            raise DataError(f"bars lack the columns {', '.join(missing)}")
        turnover = None
        if "turnover" in frame.columns:
            turnover = frame["turnover"].cast(pl.Float64).fill_null(np.nan).to_numpy()
        ts, o, h, lo, c, v = (frame[name].to_numpy() for name in COLUMNS[:-1])
        return cls.from_arrays(ts, o, h, lo, c, v, turnover)

    def frame(self) -> pl.DataFrame:
        """Return a polars frame over the same memory."""
        return pl.DataFrame({name: getattr(self, name) for name in COLUMNS})

    def slice(self, start: int, stop: int) -> Self:
        """Return the bars [start, stop) over the same memory."""
        return type(self)(*(getattr(self, name)[start:stop] for name in COLUMNS))
