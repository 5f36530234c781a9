"""A lake becomes a replayed market: which series, from when, with their funding."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from data.catalog import Lake
from data.readable import Skip, nothing_readable
from engine.bars import Bars, interval_ms
from engine.errors import DataError
from engine.venue.replay import Replay

_DAY_MS = 86_400_000


def read_replay(
    lake: Lake | Path,
    interval: str,
    *,
    venue: str | None = None,
    symbols: Sequence[str] | None = None,
    start_ms: int | None = None,
    end_ms: int | None = None,
) -> Replay:
    """Read series of a lake as a market to replay.

    Parameters
    ----------
    lake : Lake or Path
    interval : str
    venue : str, optional
        The lake's only one by default.
    symbols : sequence of str, optional
        All of the venue and interval by default.
    start_ms, end_ms : int, optional
        Only bars that open in [start, end).

    Raises
    ------
    UsageError, DataError
        No such lake, venue, interval or symbol; several venues and none named; nothing to replay,
        or not one series that can be read (one that cannot is left out: `Replay.skips`).
    """
    lake = lake if isinstance(lake, Lake) else Lake(lake)
    step_ms = interval_ms(interval)
    venue = lake.resolve_venue(venue)
    names = sorted(symbols) if symbols else lake.symbols(venue, interval)
    bars: dict[str, Bars] = {}
    funding: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    skips: list[Skip] = []
    for symbol in names:
        lake.files(venue, interval, symbol)  # no such symbol is an error, a broken file is not
        try:
            series = lake.read(venue, interval, symbol, start_ms, end_ms)
            paid = lake.funding(venue, symbol)
        except DataError as error:
            skips.append(Skip.of(symbol, error))
            continue
        series = on_grid(series, step_ms)
        if len(series):
            bars[symbol] = series
        if paid is not None:
            paid = paid.filter(pl.col("funding_rate").is_finite())
            funding[symbol] = (paid["ts"].to_numpy(), paid["funding_rate"].to_numpy())
    if not bars and skips:
        raise nothing_readable(f"at {venue} {interval}", skips)
    if not bars:
        raise DataError(
            f"{lake.path}: venue {venue}, interval {interval} holds no bars to replay",
            hint="zion data list",
        )
    return Replay(step_ms, bars, funding, skips)


def on_grid(bars: Bars, step_ms: int) -> Bars:
    """Return the bars that open on the grid: off it there is no candle a venue could send."""
    kept = bars.ts % step_ms == 0
    if kept.all():
        return bars
    columns = (bars.open, bars.high, bars.low, bars.close, bars.volume, bars.turnover)
    return Bars.from_arrays(bars.ts[kept], *(c[kept] for c in columns))


def shifted(replay: Replay, begin_ms: int, now_ms: int) -> tuple[Replay, int]:
    """Move a market in time so that it stands at `now_ms` where it would have begun.

    By whole days: the hour of day stays true (and with it funding and wider candles). The market
    then begins at the same hour as now, at most a day away from `begin_ms`.

    Returns
    -------
    Replay, int
        The moved market, and where it begins: now.
    """
    step = replay.interval_ms
    begin = begin_ms - begin_ms % _DAY_MS + now_ms % _DAY_MS
    if begin > replay.last + step:
        begin -= _DAY_MS
    if begin < replay.first:
        begin += _DAY_MS
    delta = now_ms - begin
    bars = {
        symbol: Bars.from_arrays(b.ts + delta, b.open, b.high, b.low, b.close, b.volume, b.turnover)
        for symbol, b in replay.bars.items()
    }
    funding = {s: (ts + delta, rates) for s, (ts, rates) in replay.funding.items()}
    return Replay(step, bars, funding, replay.skips), now_ms
