"""Which coins take part, and their history read from the lake; what cannot be used is told."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from data.catalog import Lake
from data.readable import Skip
from engine.bars import Bars
from engine.errors import DataError, UsageError
from engine.pipeline.profile import Profile
from research.history import History, read_fine, read_history


def choose_symbols(lake: Lake, venue: str, interval: str, wanted: str | Sequence[str]) -> list[str]:
    """Return the symbols meant by ``all``, ``top:N``, ``A,B`` or a list.

    `top:N` ranks by turnover (close x volume where it is not known) over the whole history: it
    knows the future of each coin's popularity, and the report says so.

    Raises
    ------
    DataError, UsageError
        Unknown symbols, or a top that is not a positive number.
    """
    there = lake.symbols(venue, interval)
    if not isinstance(wanted, str):
        names = list(wanted)
    elif wanted == "all":
        names = there
    elif wanted.startswith("top:"):
        names = _top(lake, venue, interval, wanted, there)
    else:
        names = [name.strip().upper() for name in wanted.split(",") if name.strip()]
        if not names:
            raise UsageError(f"--symbols {wanted!r} names no symbol", hint="all, top:20 or A,B")
    if not names:
        raise DataError(
            f"no symbols at {venue} {interval}", hint="zion data list shows what there is"
        )
    for name in names:
        if name not in there:
            lake.files(venue, interval, name)  # raises the reader's own error, with near matches
    return sorted(set(names))


def _top(lake: Lake, venue: str, interval: str, wanted: str, there: list[str]) -> list[str]:
    count = wanted.removeprefix("top:")
    if not count.isdecimal() or int(count) < 1:
        raise UsageError(f"--symbols {wanted} is not a number of symbols", hint="as in top:50")
    turnover = {}
    for symbol in there:
        try:
            bars = lake.read(venue, interval, symbol)
        except DataError:
            continue
        own = np.where(np.isnan(bars.turnover), bars.close * bars.volume, bars.turnover)
        turnover[symbol] = float(np.nansum(own))
    return sorted(turnover, key=lambda s: (-turnover[s], s))[: int(count)]


@dataclass(slots=True)
class Loaded:
    """What was read: candles as they lie for the detector, sound ones for the simulation."""

    raw: dict[str, Bars]
    universe: dict[str, Bars]  # the profile's whole universe: what the market series is made of
    histories: dict[int, History]
    skips: list[Skip]


def load(
    lake: Lake,
    venue: str,
    interval: str,
    symbols: list[str],
    profile: Profile,
    end_ms: int | None,
    *,
    alone: bool = False,
) -> Loaded:
    """Read every coin of the venue; only those in ``symbols`` take part, all make the market.

    `alone`: those in ``symbols`` are the whole market.

    Raises
    ------
    DataError
        Not one coin is left to test.
    """
    out = Loaded({}, {}, {}, [])
    for symbol_id, symbol in enumerate(lake.symbols(venue, interval)):
        wanted = symbol in symbols
        if alone and not wanted:
            continue
        try:
            raw, history = read_history(lake, venue, interval, symbol, symbol_id, end_ms=end_ms)
        except DataError as error:
            if wanted:
                out.skips.append(Skip.of(symbol, error))
            continue
        out.universe[symbol] = history.bars
        if not wanted:
            continue
        least = profile.params.monitor.n_slow + 2
        if len(raw) < least:
            out.skips.append(
                Skip(symbol, f"{len(raw)} bars, the detector needs {least} to warm up")
            )
            continue
        out.raw[symbol] = raw
        out.histories[symbol_id] = history
    if not out.histories:
        why = "; ".join(f"{s.symbol}: {s.reason}" for s in out.skips[:3])
        raise DataError(
            f"nothing to test at {venue} {interval}", why=why, hint="zion data check says more"
        )
    return out


def add_fine(loaded: Loaded, lake: Lake, venue: str, interval: str) -> None:
    """Add finer candles to each history, in place; what cannot be read is told among the skips."""
    for symbol_id, history in loaded.histories.items():
        try:
            fine = read_fine(lake, venue, interval, history.symbol)
        except DataError as error:
            loaded.skips.append(Skip(f"{history.symbol} (finer bars)", error.what))
            continue
        loaded.histories[symbol_id] = replace(history, fine=fine)
