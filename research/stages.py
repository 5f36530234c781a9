"""Stages that every run over a lake shares: warming, detecting, timing, telling."""

from collections.abc import Callable
from time import perf_counter
from typing import Any, TypeVar

import numpy as np

from engine.pipeline.market import MarketSeries
from engine.pipeline.phase import new_contexts
from engine.pipeline.profile import Profile
from engine.pipeline.scan import scan_history
from engine.warm import BACKTEST, warm
from research.universe import Loaded

T = TypeVar("T")
Progress = Callable[[str, float, str], None]


def warm_up() -> None:
    """Compile, or load from the cache, before anything is timed."""
    for _ in warm(BACKTEST):
        pass


def detect(loaded: Loaded, profile: Profile, market: MarketSeries, step: int) -> list[np.ndarray]:
    """Return each coin's events over its whole history."""
    found = []
    for symbol_id, history in loaded.histories.items():
        raw = loaded.raw[history.symbol]
        found.append(
            scan_history(
                new_contexts(1),
                profile.params,
                raw,
                symbol_id=symbol_id,
                interval_ms=step,
                market=market,
            )
        )
    return found


class Watch:
    """Times the stages into fields `<name>_s` of a value, and tells about each."""

    def __init__(self, timing: Any, progress: Progress | None) -> None:
        self.timing = timing
        self._progress = progress or (lambda _name, _seconds, _note: None)

    def stage(self, name: str, work: Callable[[], T], note: Callable[[T], str] | None = None) -> T:
        """Do a stage's work; a note tells of it, none keeps silent."""
        begin = perf_counter()
        out = work()
        setattr(self.timing, f"{name}_s", perf_counter() - begin)
        if note is not None:
            self.tell(name, note(out))
        return out

    def tell(self, name: str, note: str) -> None:
        """Report a stage that was timed."""
        self._progress(name, getattr(self.timing, f"{name}_s"), note)
