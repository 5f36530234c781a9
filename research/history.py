"""One coin's history as the simulation wants it, read from a lake; what cannot be used is told."""

from dataclasses import dataclass

import numpy as np

from data.catalog import Lake, Skips
from data.layout import parquet_files
from engine.bars import INTERVAL_MS, Bars
from engine.errors import DataError
from engine.venue.funding import NO_FUNDING, FundingSeries, funding_series

DAY_MS = 86_400_000
TYPICAL_BARS = 96  # window of the volatility and turnover a cost estimate is made from
_DECIMALS_MAX = 10


@dataclass(frozen=True, slots=True)
class FineBars:
    """Finer candles of the same coin, to decide ambiguous bars; `interval_ms` 0: there are none."""

    ts: np.ndarray
    high: np.ndarray
    low: np.ndarray
    interval_ms: int = 0


_NO_BARS = Bars.from_arrays(*[[]] * 6)
NO_FINE = FineBars(_NO_BARS.ts, _NO_BARS.high, _NO_BARS.low)


@dataclass(frozen=True, slots=True)
class History:
    """A coin's sound bars with what trading them needs.

    Attributes
    ----------
    bars : Bars
        Only possible candles, on the grid; what was taken out leaves a hole.
    tick : float
        Of the newest prices, for showing them: lakes carry no instrument facts. Costs take the
        tick of their own time from `Facts`: exchanges make ticks finer once a price has fallen.
    unsound : int
        Rows taken out.
    repeated, disordered : int
        Rows replaced by a later one of the same ts; rows put in their right place.
    """

    symbol: str
    symbol_id: int
    interval_ms: int
    bars: Bars
    funding: FundingSeries
    fine: FineBars
    tick: float
    unsound: int
    repeated: int = 0
    disordered: int = 0


class Facts:
    """What was known about a coin's market at one bar's close."""

    __slots__ = ("atr", "sigma", "tick", "turnover_24h", "turnover_bar", "turnover_estimated")

    def __init__(self, history: History, bar: int) -> None:
        bars = history.bars
        day = max(1, DAY_MS // history.interval_ms)
        begin = max(0, bar + 1 - max(day, TYPICAL_BARS))
        turnover = bars.turnover[begin : bar + 1]
        self.turnover_estimated = bool(np.isnan(turnover).any())
        if self.turnover_estimated:
            own = bars.close[begin : bar + 1] * bars.volume[begin : bar + 1]
            turnover = np.where(np.isnan(turnover), own, turnover)
        self.turnover_24h = float(turnover[-day:].sum())
        self.turnover_bar = float(turnover[-TYPICAL_BARS:].mean())
        close = bars.close[max(0, bar - TYPICAL_BARS) : bar + 1]
        self.sigma = float(np.diff(np.log(close)).std()) if len(close) > 2 else 0.0  # noqa: PLR2004
        self.tick = infer_tick(bars.close[: bar + 1])
        span = slice(max(0, bar - 13), bar + 1)
        self.atr = float((bars.high[span] - bars.low[span]).mean())


def sound_bars(bars: Bars, interval_ms: int) -> Bars:
    """Return the possible candles of a series: what the detector's door lets through."""
    o, h, lo, c, v = bars.open, bars.high, bars.low, bars.close, bars.volume
    finite = np.isfinite(o) & np.isfinite(h) & np.isfinite(lo) & np.isfinite(c) & np.isfinite(v)
    with np.errstate(invalid="ignore"):
        good = (
            finite
            & (lo > 0.0)
            & (v >= 0.0)
            & (h >= np.maximum(o, c))
            & (lo <= np.minimum(o, c))
            & (bars.ts % interval_ms == 0)
        )
    if good.all():
        return bars
    return Bars.from_arrays(
        bars.ts[good], o[good], h[good], lo[good], c[good], v[good], bars.turnover[good]
    )


def infer_tick(close: np.ndarray) -> float:
    """Estimate the tick: one unit of the last decimal that the newest thousand closes use."""
    sample = close[-1000:]
    for decimals in range(_DECIMALS_MAX):
        if np.allclose(sample, np.round(sample, decimals), rtol=0, atol=10.0 ** -(decimals + 4)):
            return 10.0**-decimals
    return 10.0**-_DECIMALS_MAX


def read_funding(lake: Lake, venue: str, symbol: str) -> FundingSeries:
    """Read a coin's funding; an absent series is `NO_FUNDING`."""
    frame = lake.funding(venue, symbol)
    if frame is None or frame.is_empty():
        return NO_FUNDING
    rate = frame["funding_rate"].to_numpy()
    good = np.isfinite(rate)
    return funding_series(frame["ts"].to_numpy()[good], rate[good])


def read_fine(lake: Lake, venue: str, interval: str, symbol: str) -> FineBars:
    """Read the finest candles below ``interval`` that the lake has of a coin."""
    limit = INTERVAL_MS[interval]
    for finer in lake.intervals(venue):
        step = INTERVAL_MS.get(finer, limit)
        if step >= limit or limit % step or not parquet_files(lake.folder(venue, finer, symbol)):
            continue
        bars = sound_bars(lake.read(venue, finer, symbol), step)
        return FineBars(bars.ts, bars.high, bars.low, step)
    return NO_FINE


def read_history(
    lake: Lake, venue: str, interval: str, symbol: str, symbol_id: int, *, end_ms: int | None
) -> tuple[Bars, History]:
    """Read one coin; return its bars as the detector gets them, and as the simulation does.

    Raises
    ------
    DataError
        The series cannot be read, or holds no usable bar.
    """
    step = INTERVAL_MS[interval]
    raw = lake.read(venue, interval, symbol, None, end_ms)
    bars = sound_bars(raw, step)
    if len(bars) == 0:
        raise DataError(f"{venue} {interval} {symbol} has no usable bar")
    skips = lake.skips.get((venue, interval, symbol), Skips())
    history = History(
        symbol,
        symbol_id,
        step,
        bars,
        read_funding(lake, venue, symbol),
        NO_FINE,
        infer_tick(bars.close),
        len(raw) - len(bars),
        skips.duplicates + skips.overlaps,
        skips.disordered,
    )
    return raw, history
