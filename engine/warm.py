"""Calls every kernel once, so that a running service never compiles."""

from collections.abc import Iterator

import numpy as np

from engine.bars import Bars
from engine.pipeline.detector import DetectorParams
from engine.pipeline.market import MarketParams, market_history
from engine.pipeline.phase import EVENT, EVENTS_PER_BAR, new_contexts
from engine.pipeline.scan import scan_history, scan_newest

_STEP_MS = 60_000


def _bars(n: int) -> Bars:
    wave = 100.0 + np.sin(np.arange(n) / 5.0)
    ts = _STEP_MS * np.arange(1, n + 1, dtype=np.int64)
    return Bars.from_arrays(ts, wave, wave + 0.5, wave - 0.5, wave, np.ones(n))


def _detector() -> None:
    bars = _bars(64)
    params = DetectorParams()
    market = market_history({"A": bars}, MarketParams(breadth_bars=4, fall_bars=8), _STEP_MS)
    scan_history(new_contexts(1), params, bars, symbol_id=0, interval_ms=_STEP_MS)
    scan_history(new_contexts(1), params, bars, symbol_id=0, interval_ms=_STEP_MS, market=market)
    columns = (bars.open, bars.high, bars.low, bars.close, bars.volume)
    o, h, lo, c, v = (column[:1].copy() for column in columns)
    scan_newest(
        new_contexts(1),
        params,
        np.zeros(1, np.int64),
        bars.ts[:1].copy(),
        o,
        h,
        lo,
        c,
        v,
        (0.0, 0.0),
        interval_ms=_STEP_MS,
        out=np.zeros(EVENTS_PER_BAR, EVENT),
    )


def warm() -> Iterator[str]:
    """Compile, or load from the cache, all kernels; yield each group's name when ready."""
    _detector()
    yield "detector"


if __name__ == "__main__":
    for _ in warm():
        pass
