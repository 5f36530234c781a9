"""Which stretch of a market to show: a coin's way from dump to a breakout that held. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from engine.bars import Bars
from engine.messages import EventKind
from engine.pipeline.detector import DetectorParams
from engine.pipeline.phase import new_contexts
from engine.pipeline.scan import scan_history

LEAD_BARS = 20  # shown before the dump, so that the calm is seen
TAIL_BARS = 60  # shown after the breakout
_LONG_BARS = 700  # longer stories are not shown when there is a shorter one
_STORY = (EventKind.DUMP, EventKind.STAB, EventKind.ARMED, EventKind.BREAKOUT, EventKind.COOLED)


@dataclass(frozen=True, slots=True)
class Episode:
    """One coin's story. Times are closes of the deciding bars, UTC ms."""

    symbol: str
    dump_t: int
    stab_t: int
    armed_t: int
    breakout_t: int
    drop: float  # ln(peak/close) at the dump

    def bars(self, interval_ms: int) -> int:
        """Return how many bars lie between dump and breakout."""
        return (self.breakout_t - self.dump_t) // interval_ms


def stories(symbol: str, events: np.ndarray) -> Iterable[Episode]:
    """Yield each setup of a coin that went straight from a dump to a breakout that held.

    Parameters
    ----------
    symbol : str
    events : array of `engine.pipeline.phase.EVENT`
        Of one coin, in order. Refused attempts and moved levels do not break a story.
    """
    told = [e for e in events if e["kind"] not in {EventKind.REJECTED, EventKind.LEVEL}]
    for i in range(len(told) - len(_STORY) + 1):
        part = told[i : i + len(_STORY)]
        if all(e["kind"] == kind for e, kind in zip(part, _STORY, strict=True)):
            dump, stab, armed, breakout = (int(e["t"]) for e in part[:4])
            yield Episode(symbol, dump, stab, armed, breakout, float(part[0]["drop"]))


def all_stories(
    bars: Mapping[str, Bars], params: DetectorParams, interval_ms: int
) -> list[Episode]:
    """Run the detector over a market and return every story in it."""
    found: list[Episode] = []
    for row, (symbol, series) in enumerate(sorted(bars.items())):
        events = scan_history(
            new_contexts(1), params, series, symbol_id=row, interval_ms=interval_ms
        )
        found += stories(symbol, events)
    return found


def pick(
    found: Sequence[Episode], *, interval_ms: int, first_ms: int, last_ms: int
) -> Episode | None:
    """Return the story to show: early enough to finish, late enough to have a past, not too long.

    Parameters
    ----------
    found : sequence of Episode
    interval_ms : int
    first_ms, last_ms : int
        The replay may begin at the first and ends at the last.
    """
    tail = TAIL_BARS * interval_ms
    fit = [
        e
        for e in found
        if e.dump_t - LEAD_BARS * interval_ms >= first_ms and e.breakout_t + tail <= last_ms
    ]
    # The deeper the fall and the shorter the wait, the better it shows.
    return min(
        fit,
        key=lambda e: (
            e.bars(interval_ms) > _LONG_BARS,
            e.bars(interval_ms) - 800 * e.drop,
            e.symbol,
        ),
        default=None,
    )
