"""What is wrong with a series: counted and named, never repaired.

A seam is the first bar after a gap; two sources often meet there, at different prices.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from data.catalog import Lake, Skips
from engine.bars import Bars, interval_ms
from engine.errors import DataError

# A seam whose open differs by more than this from the close before is named.
SEAM_JUMP_FRACTION_MIN = 0.02
# Elsewhere an open should continue the close; this many median ranges apart is named.
OPEN_JUMP_RANGES_MIN = 20.0


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch of missing bars: [from_ts, to_ts) in UTC ms of bar opens."""

    from_ts: int
    to_ts: int
    bars: int


@dataclass(frozen=True, slots=True)
class Jump:
    """An open far from the close before it; `seam`: right after a gap."""

    ts: int
    fraction: float
    seam: bool


@dataclass(frozen=True, slots=True)
class Quality:
    """What `zion data check` says of one series; counts are in bars.

    Attributes
    ----------
    misaligned : int
        ts that are no multiple of the interval.
    nans : int
        A price or volume that is NaN or infinite.
    impossible : int
        Prices <= 0, high or low that does not contain open and close, negative volume.
    zero_volume : int
        Real on quiet coins; a hint, not a fault.
    problem : str
        Why the series cannot be read at all, else "".
    """

    venue: str
    interval: str
    symbol: str
    bars: int
    first_ts: int | None
    last_ts: int | None
    missing: int
    duplicates: int
    disordered: int
    overlaps: int
    misaligned: int
    nans: int
    impossible: int
    zero_volume: int
    turnover_unknown: int
    gaps: tuple[Gap, ...]
    jumps: tuple[Jump, ...]
    problem: str = ""

    @property
    def clean(self) -> bool:
        """Nothing wrong; zero volume, overlaps and unknown turnover are no faults."""
        counted = (self.missing, self.duplicates, self.disordered, self.misaligned, self.nans)
        return not (any(counted) or self.impossible or self.jumps or self.problem)


def check_series(lake: Lake, venue: str, interval: str, symbol: str) -> Quality:
    """Check one series of a lake; a file that cannot be read becomes its `problem`."""
    try:
        bars = lake.read(venue, interval, symbol)
    except DataError as error:
        problem = f"{error.what}{': ' if error.why else ''}{error.why}"
        return _unreadable(venue, interval, symbol, problem)
    skips = lake.skips.get((venue, interval, symbol), Skips())
    return check_bars(bars, interval, venue=venue, symbol=symbol, skips=skips)


def check_bars(
    bars: Bars | pl.DataFrame,
    interval: str,
    *,
    venue: str = "",
    symbol: str = "",
    skips: Skips | None = None,
) -> Quality:
    """Check bars, in any order; duplicates and disorder are counted on top of `skips`."""
    frame = bars.frame() if isinstance(bars, Bars) else bars
    skips = skips or Skips()
    ts = frame["ts"].to_numpy()
    late = int((ts < np.maximum.accumulate(ts)).sum()) if len(ts) else 0
    in_order = len(ts) < 2 or bool((ts[1:] > ts[:-1]).all())  # noqa: PLR2004 - one bar is in order
    ordered = frame if in_order else frame.unique("ts", keep="last", maintain_order=True).sort("ts")
    step = interval_ms(interval)
    steps = _steps(ordered, step)
    gaps = _gaps(ordered, steps, step)
    counts = frame.select(_COUNTS).row(0, named=True)
    return Quality(
        venue=venue,
        interval=interval,
        symbol=symbol,
        bars=len(ordered),
        first_ts=int(ordered["ts"][0]) if len(ordered) else None,
        last_ts=int(ordered["ts"][-1]) if len(ordered) else None,
        missing=sum(g.bars for g in gaps),
        duplicates=len(frame) - len(ordered) + skips.duplicates,
        disordered=late + skips.disordered,
        overlaps=skips.overlaps,
        misaligned=int((ts % step != 0).sum()),
        gaps=gaps,
        jumps=_jumps(ordered, steps),
        **counts,
    )


@dataclass(frozen=True, slots=True)
class FundingQuality:
    """What `zion data check` says of one funding series.

    Attributes
    ----------
    doubled : int
        Rows that tell of a settlement a second time: readers charge it once.
    conflicting : int
        Of them, those with another rate: the later row counts.
    nans : int
        Settlements whose rate is no number: nothing is charged.
    """

    venue: str
    symbol: str
    settlements: int
    doubled: int = 0
    conflicting: int = 0
    nans: int = 0
    problem: str = ""

    @property
    def clean(self) -> bool:
        """Nothing wrong."""
        return not (self.doubled or self.conflicting or self.nans or self.problem)


def check_funding(lake: Lake, venue: str | None = None) -> list[FundingQuality]:
    """Check every funding series of a lake, or those of a venue."""
    found = []
    for folder in sorted(lake.path.glob("funding/venue=*/symbol=*")):
        names = [part.name.partition("=")[2] for part in (folder.parent, folder)]
        if venue is not None and names[0] != venue:
            continue
        try:
            series = lake.settlements(names[0], names[1])
        except DataError as error:
            why = f": {error.why}" if error.why else ""
            found.append(FundingQuality(names[0], names[1], 0, problem=f"{error.what}{why}"))
            continue
        if series is not None:
            nans = int((~np.isfinite(series.rate)).sum())
            counts = (len(series.ts), series.doubled, series.conflicting, nans)
            found.append(FundingQuality(names[0], names[1], *counts))
    return found


def check_lake(lake: Lake, venue: str | None = None, interval: str | None = None) -> list[Quality]:
    """Check every series of a lake, or those of a venue or interval."""
    return [check_series(lake, *name) for name in lake.series(venue, interval)]


_PRICES = ("open", "high", "low", "close")
_NUMBERS = pl.all_horizontal(pl.col(*_PRICES, "volume").is_finite())
_POSSIBLE = (
    (pl.min_horizontal(_PRICES) > 0)
    & (pl.col("high") >= pl.max_horizontal("open", "close"))
    & (pl.col("low") <= pl.min_horizontal("open", "close"))
    & (pl.col("volume") >= 0)
)
_COUNTS: tuple[Any, ...] = (
    (~_NUMBERS.fill_null(value=False)).sum().alias("nans"),
    (_NUMBERS & ~_POSSIBLE).sum().alias("impossible"),
    (pl.col("volume") == 0).sum().alias("zero_volume"),
    (pl.col("turnover").is_null() | pl.col("turnover").is_nan()).sum().alias("turnover_unknown"),
)


def possible_bars() -> Any:
    """Return the polars expression that is true for a bar that can be real."""
    return _NUMBERS.fill_null(value=False) & _POSSIBLE


def _steps(ordered: pl.DataFrame, step: int) -> np.ndarray:
    """Return how many intervals each bar stands after the one before it (first: 1)."""
    return np.diff(ordered["ts"].to_numpy(), prepend=0) // step if len(ordered) else np.empty(0)


def _gaps(ordered: pl.DataFrame, steps: np.ndarray, step: int) -> tuple[Gap, ...]:
    ts = ordered["ts"].to_numpy()
    at = np.flatnonzero(steps > 1)
    return tuple(Gap(int(ts[i - 1]) + step, int(ts[i]), int(steps[i]) - 1) for i in at if i > 0)


def _jumps(ordered: pl.DataFrame, steps: np.ndarray) -> tuple[Jump, ...]:
    if len(ordered) < 2:  # noqa: PLR2004 - a jump needs two bars
        return ()
    open_, close = ordered["open"].to_numpy(), ordered["close"].to_numpy()
    with np.errstate(all="ignore"):
        moved = open_[1:] / close[:-1] - 1
        spread = ordered["high"].to_numpy() / ordered["low"].to_numpy() - 1
    finite = spread[np.isfinite(spread) & (spread > 0)]
    usual = float(np.median(finite)) if len(finite) else np.inf
    seam = steps[1:] > 1
    far = np.abs(moved)
    named = (seam & (far > SEAM_JUMP_FRACTION_MIN)) | (
        far > max(OPEN_JUMP_RANGES_MIN * usual, SEAM_JUMP_FRACTION_MIN)
    )
    ts = ordered["ts"].to_numpy()[1:]
    return tuple(Jump(int(ts[i]), float(moved[i]), bool(seam[i])) for i in np.flatnonzero(named))


def _unreadable(venue: str, interval: str, symbol: str, problem: str) -> Quality:
    return Quality(
        venue=venue,
        interval=interval,
        symbol=symbol,
        bars=0,
        first_ts=None,
        last_ts=None,
        missing=0,
        duplicates=0,
        disordered=0,
        overlaps=0,
        misaligned=0,
        nans=0,
        impossible=0,
        zero_volume=0,
        turnover_unknown=0,
        gaps=(),
        jumps=(),
        problem=problem,
    )
