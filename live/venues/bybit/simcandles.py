"""Candles of any of the venue's intervals, put together from the replayed ones. Pure."""

from dataclasses import dataclass

import numpy as np

from engine.bars import interval_ms
from engine.venue import wire
from engine.venue.replay import Replay, partial

_DAY_MS = 86_400_000
_MONDAY_MS = 4 * _DAY_MS  # the first Monday after the epoch
_WEEK_MS = 7 * _DAY_MS
Values = tuple[float, float, float, float, float, float]


@dataclass(frozen=True, slots=True)
class Candle:
    """One candle of a wider interval, as far as it has gone."""

    start: int
    end: int  # of its time, exclusive
    values: Values


def served(code: str, base_ms: int) -> bool:
    """Tell whether an interval can be put together from candles of `base_ms`."""
    if code in ("W", "M"):
        return _DAY_MS % base_ms == 0
    name = wire.INTERVAL_NAMES.get(code)
    return name is not None and interval_ms(name) % base_ms == 0


def bounds(at_ms: int, code: str) -> tuple[int, int]:
    """Return [start, end) of the candle an instant falls in."""
    if code == "M":
        month = np.datetime64(at_ms, "ms").astype("datetime64[M]")
        first, last = (m.astype("datetime64[ms]").astype(np.int64) for m in (month, month + 1))
        return int(first), int(last)
    length = _WEEK_MS if code == "W" else interval_ms(wire.INTERVAL_NAMES[code])
    offset = _MONDAY_MS if code == "W" else 0
    start = at_ms - (at_ms - offset) % length
    return start, start + length


def _starts(stamps: np.ndarray, code: str) -> np.ndarray:
    if code == "M":
        months = stamps.astype("datetime64[ms]").astype("datetime64[M]")
        return months.astype("datetime64[ms]").astype(np.int64)
    length = _WEEK_MS if code == "W" else interval_ms(wire.INTERVAL_NAMES[code])
    offset = _MONDAY_MS if code == "W" else 0
    return stamps - (stamps - offset) % length


def open_candle(replay: Replay, symbol: str, code: str, clock_ms: int) -> Candle | None:
    """Return the candle that is open at a moment; None when it has no trade yet."""
    return candle_at(replay, symbol, code, clock_ms, clock_ms)


def candle_at(replay: Replay, symbol: str, code: str, at_ms: int, clock_ms: int) -> Candle | None:
    """Return the candle an instant falls in, as far as it is known at `clock_ms`."""
    start, end = bounds(at_ms, code)
    found = candles(replay, symbol, code, start, end - 1, 1, clock_ms)
    return found[-1] if found else None


def candles(
    replay: Replay, symbol: str, code: str, start: int, end: int, limit: int, clock_ms: int
) -> list[Candle]:
    """Return the newest `limit` candles that open in [start, end], oldest first, open one too."""
    end = min(end, clock_ms)
    if end < start:
        return []
    stamps, columns = replay.columns(symbol)
    first_ms = start if bounds(start, code)[0] == start else bounds(start, code)[1]
    last_start, last_end = bounds(end, code)
    longest = 31 * _DAY_MS if code == "M" else last_end - last_start
    first_ms = max(first_ms, last_end - limit * longest)
    lo = int(np.searchsorted(stamps, first_ms))
    hi = min(replay.closed(symbol, clock_ms), int(np.searchsorted(stamps, last_end)))
    parts = [np.asarray(stamps[lo:hi]), *(np.asarray(c[lo:hi], float) for c in columns)]
    now = replay.open_bar(symbol, clock_ms)
    if now is not None and first_ms <= now.start < last_end:
        parts = [np.append(p, v) for p, v in zip(parts, (now.start, *now.values), strict=True)]
    if not len(parts[0]):
        return []
    return _group(parts, code)[-limit:]


def _group(parts: list[np.ndarray], code: str) -> list[Candle]:
    ts, o, h, low, c, v, t = parts
    starts = _starts(ts.astype(np.int64), code)
    first = np.flatnonzero(np.concatenate([[True], starts[1:] != starts[:-1]]))
    last = np.append(first[1:], len(ts)) - 1
    turnover = np.where(np.isnan(t), 0.0, t)
    columns = (
        o[first],
        np.maximum.reduceat(h, first),
        np.minimum.reduceat(low, first),
        c[last],
        np.add.reduceat(v, first),
        np.add.reduceat(turnover, first),
    )
    return [
        Candle(int(s), bounds(int(s), code)[1], tuple(float(x[i]) for x in columns))  # pyrefly: ignore[bad-argument-type]
        for i, s in enumerate(starts[first])
    ]


def native(replay: Replay, symbol: str, start: int, share: float) -> Values | None:
    """Return a replayed candle after a share of its time."""
    index = replay.index(symbol, start)
    return None if index is None else partial(replay.values(symbol, index), share)
