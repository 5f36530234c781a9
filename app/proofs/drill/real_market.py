"""A market for real processes: stories of an invented one, a bar a minute, one after another.

The paths are those of `data.synth`; only their clock runs faster: what was a bar of 15 minutes is
one of a minute, so that a trade lives minutes. Each coin is moved in time until its breakout falls
on a minute of the schedule. Detector, profile and replay are the product's own.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.catalog import Lake
from data.profiles import load_profile, shipped_profiles
from data.synth import START_MS, VENUE, make_market
from engine.bars import Bars
from engine.errors import DataError
from engine.messages import EventKind
from engine.pipeline.phase import new_contexts
from engine.pipeline.profile import Profile
from engine.pipeline.scan import scan_history

STEP_MS = 60_000
INTERVAL = "1m"
PAST_BARS = 1_400  # before the breakout: from the calm before its dump on
REST_BARS = 240  # after it
FIRST_BARS = 2  # from the beginning to the first breakout
WARMUP_BARS = PAST_BARS + REST_BARS
_SOURCE = "15m"
_SYMBOLS, _DAYS = 6, 60
_STORIES = 16  # more coins tell them again


@dataclass(frozen=True, slots=True)
class RealMarket:
    """What `zion sim` replays, and when something happens in it."""

    lake: Path
    profile: Path
    start_ms: int
    breakouts: tuple[tuple[int, str], ...]  # (close of the deciding bar, symbol)


def _profile(folder: Path) -> Path:
    """Write the shipped profile anew for bars of a minute: the same counts of bars."""
    text = shipped_profiles()[f"{_SOURCE}-default"].read_text(encoding="utf-8")
    told = f'interval = "{_SOURCE}"'
    if told not in text:
        raise DataError("the shipped profile names its interval otherwise", why=f"no {told}")
    path = folder / "default.toml"
    path.write_text(text.replace(told, f'interval = "{INTERVAL}"'), encoding="utf-8")
    return path


def _moved(bars: Bars, first: int, last: int, begin_ms: int) -> Bars:
    """Return the bars [first, last) as minutes from `begin_ms` on."""
    ts = begin_ms + STEP_MS * np.arange(last - first, dtype=np.int64)
    columns = (bars.open, bars.high, bars.low, bars.close, bars.volume, bars.turnover)
    return Bars.from_arrays(ts, *(column[first:last] for column in columns))


def _breakouts(bars: Bars, profile: Profile) -> list[int]:
    events = scan_history(new_contexts(1), profile.params, bars, symbol_id=0, interval_ms=STEP_MS)
    return [int(e["t"]) for e in events if e["kind"] == EventKind.BREAKOUT]


def _stories(seed: int, profile: Profile, most: int) -> list[tuple[Bars, int]]:
    """Return (bars, place of the breakout's bar) of stories that are told alike when cut out."""
    market = make_market(
        np.random.default_rng(seed), symbols=_SYMBOLS, days=_DAYS, interval=_SOURCE
    )
    found: list[tuple[Bars, int]] = []
    for _, bars in sorted(market.bars[_SOURCE].items()):
        whole = _moved(bars, 0, len(bars), START_MS)
        for t in _breakouts(whole, profile):
            at = (t - START_MS) // STEP_MS - 1
            first, last = at - PAST_BARS, at + REST_BARS
            if first < 0 or last > len(bars):
                continue
            part = _moved(bars, first, last, START_MS)
            if t - first * STEP_MS in _breakouts(part, profile):
                found.append((part, at - first))
            if len(found) == most:
                return found
    return found


def make_real_market(folder: Path, seed: int, *, coins: int, gap_bars: int = 1) -> RealMarket:
    """Write a lake whose coins break out in turn, one every `gap_bars` minutes.

    Parameters
    ----------
    folder : Path
    seed : int
        Of the invented market that the stories are taken from.
    coins : int
    gap_bars : int
        0: all of them in the same minute.
    """
    path = _profile(folder)
    profile = load_profile(str(path), INTERVAL)
    stories = _stories(seed, profile, min(coins, _STORIES))
    if not stories:
        raise DataError(f"no story in the invented market of seed {seed}", hint="another seed")
    lake = Lake(folder / "lake")
    start_ms = START_MS + 2 * PAST_BARS * STEP_MS
    told = []
    for i in range(coins):
        bars, at = stories[i % len(stories)]
        close_ms = start_ms + (FIRST_BARS + i * gap_bars) * STEP_MS
        symbol = f"R{i:03d}USDT"
        part = _moved(bars, 0, len(bars), close_ms - (at + 1) * STEP_MS)
        lake.write_bars(VENUE, INTERVAL, symbol, part)
        told.append((close_ms, symbol))
    return RealMarket(lake.path, path, start_ms, tuple(told))
