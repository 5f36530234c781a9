"""What the golden files are made of: the events of a small made-up market, digests of real ones."""

import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from data.profiles import load_profile
from engine.bars import Bars, interval_ms
from engine.messages import EventKind
from engine.pipeline.market import market_history
from engine.pipeline.phase import EVENT, new_contexts
from engine.pipeline.scan import scan_history
from tests.paths_gen import STEP_MS, path

HERE = Path(__file__).parent
PROFILES = ("default", "v1")
SEEDS = (20, 21, 22)
BARS = 2000
REAL = (
    ("binanceusdm", "15m", "SOLUSDT"),
    ("bybit", "15m", "AVAXUSDT"),
    ("bybit", "1h", "ETHUSDT"),
)
# A record's layout is no behaviour.
LEFT_OUT = frozenset({"state_schema"})


def made_up_market() -> dict[str, Bars]:
    """Return three coins on a price grid, so that no platform's rounding of exp moves a price."""
    return {
        f"GOLD{i}USDT": path(np.random.default_rng(seed), BARS, scale=4.0, ticks=True)
        for i, seed in enumerate(SEEDS)
    }


def flat(events: np.ndarray) -> pl.DataFrame:
    """Return events as a frame with a column a number."""
    columns: dict[str, np.ndarray] = {}
    for name in EVENT.names or ():
        if name in LEFT_OUT:
            continue
        if EVENT[name].shape:
            columns |= {f"{name}_{i}": events[name][:, i] for i in range(EVENT[name].shape[0])}
        else:
            columns[name] = events[name]
    return pl.DataFrame({name: np.ascontiguousarray(x) for name, x in columns.items()})


def made_up_events(profile: str) -> pl.DataFrame:
    """Return all events of the made-up market."""
    universe = made_up_market()
    p = load_profile(profile, "15m")
    facts = market_history(universe, p.market, STEP_MS)
    parts = [
        scan_history(new_contexts(1), p.params, b, symbol_id=i, interval_ms=STEP_MS, market=facts)
        for i, b in enumerate(universe.values())
    ]
    return flat(np.concatenate(parts))


def real_bars(lake: Path, venue: str, interval: str, symbol: str) -> Bars:
    """Read one series of the lake, or skip where this lake has none."""
    folder = lake / f"venue={venue}" / f"interval={interval}" / f"symbol={symbol}"
    files = sorted(folder.glob("**/*.parquet"))
    if not files:
        pytest.skip(f"the lake has no {venue} {interval} {symbol}")
    frames = [pl.read_parquet(file, hive_partitioning=False) for file in files]
    return Bars.from_frame(pl.concat(frames, how="diagonal").sort("ts"))


def digest(frame: pl.DataFrame) -> str:
    """Return the SHA-256 of the rows: whole numbers as they are, the others to six digits.

    Six, since the last bits of exp and log are the platform's; parity compares those elsewhere.
    """
    lines = [
        ",".join(f"{x + 0.0:.6g}" if isinstance(x, float) else str(x) for x in row)
        for row in frame.iter_rows()
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def real_summary(lake: Path, venue: str, interval: str, symbol: str, profile: str) -> dict:
    """Return counts and the digest of one real series' events: no price in it."""
    bars = real_bars(lake, venue, interval, symbol)
    p = load_profile(profile, interval)
    events = scan_history(
        new_contexts(1), p.params, bars, symbol_id=0, interval_ms=interval_ms(interval)
    )
    kinds = Counter(EventKind(int(k)).name for k in events["kind"])
    return {
        "bars": len(bars),
        "events": dict(sorted(kinds.items())),
        "sha256": digest(flat(events)),
    }


def key(venue: str, interval: str, symbol: str, profile: str) -> str:
    """Return the name of one series and profile in the golden file."""
    return f"{venue} {interval} {symbol} {profile}"
