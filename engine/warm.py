"""Calls every kernel of the engine once, so that a running service or a backtest never compiles.

A kernel is compiled for the types it is called with: what is called here has the types, and the
read-only or writable arrays, of the real calls. Kernels outside of the engine are warmed by their
own room (`live.market.ring.warm_ring`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType

import numpy as np

from engine.bars import Bars
from engine.kernels import paths
from engine.pipeline.detector import DetectorParams
from engine.pipeline.market import MarketParams, market_history, market_row
from engine.pipeline.p7_entry import EntryParams
from engine.pipeline.p8_management import ManageParams, PlanParams, path_rules
from engine.pipeline.phase import EVENT, EVENTS_PER_BAR, new_contexts
from engine.pipeline.scan import scan_history, scan_newest
from engine.venue.costs import FeeParams
from engine.venue.funding import NO_FUNDING
from engine.venue.margin import MarginParams

_STEP_MS = 60_000


def _bars(n: int) -> Bars:
    wave = 100.0 + np.sin(np.arange(n) / 5.0)
    ts = _STEP_MS * np.arange(1, n + 1, dtype=np.int64)
    return Bars.from_arrays(ts, wave, wave + 0.5, wave - 0.5, wave, np.ones(n))


def _history() -> None:
    scan_history(new_contexts(1), DetectorParams(), _bars(4), symbol_id=0, interval_ms=_STEP_MS)


def _newest() -> None:
    bars = _bars(1)
    scan_newest(
        new_contexts(1),
        DetectorParams(),
        np.zeros(1, np.int64),
        bars.ts.copy(),
        bars.open.copy(),
        bars.high.copy(),
        bars.low.copy(),
        bars.close.copy(),
        bars.volume.copy(),
        (0.0, 0.0),
        interval_ms=_STEP_MS,
        out=np.zeros(EVENTS_PER_BAR, EVENT),
    )


def _market() -> None:
    params = MarketParams(breadth_bars=4, fall_bars=8)
    market_history({"A": _bars(64)}, params, _STEP_MS)
    market_row(np.zeros(1), np.zeros(1), params)


def _paths() -> None:
    bars = _bars(4)
    rules = path_rules(PlanParams(EntryParams(), ManageParams()), FeeParams(), MarginParams())
    trades = np.zeros(1, paths.TRADE)
    paths.walk_trades(
        bars.ts,
        bars.open,
        bars.high,
        bars.low,
        bars.close,
        np.zeros(1, paths.ORDER),
        NO_FUNDING.ts,
        NO_FUNDING.rate,
        bars.ts,
        bars.high,
        bars.low,
        _STEP_MS,
        _STEP_MS,
        rules,
        trades,
        np.zeros(8, paths.FILL),
    )
    stop = np.empty(1)
    paths.stop_path(bars.ts, bars.high, bars.close, trades[0], 0, _STEP_MS, 1.0, 0.0, rules, stop)


_GROUPS: Mapping[str, Callable[[], None]] = MappingProxyType(
    {"history": _history, "newest": _newest, "market": _market, "paths": _paths}
)
# What a backtest calls, and what a service that follows the live stream calls.
BACKTEST = ("history", "market", "paths")
LIVE = ("newest", "market")


def warm(groups: Iterable[str] = tuple(_GROUPS)) -> Iterator[str]:
    """Compile, or load from the cache, the kernels; yield each group's name when ready.

    Parameters
    ----------
    groups : names, optional
        `BACKTEST`, `LIVE`, or all.
    """
    for name in groups:
        _GROUPS[name]()
        yield name


if __name__ == "__main__":
    for _ in warm():
        pass
