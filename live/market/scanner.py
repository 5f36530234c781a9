"""Steps the detector of every coin whose bar closes, in one compiled call, and tells what it saw.

The scanner holds all that decides: contexts, the market's facts and the rolling bars they are made
from. It does no I/O; the pump feeds it batches in order of time.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.pipeline.market import MarketRow, market_row, universe_hash
from engine.pipeline.phase import CONTEXT, EVENT, EVENTS_PER_BAR, P_MONITORING, new_contexts
from engine.pipeline.profile import Profile
from engine.pipeline.scan import scan_newest
from engine.warm import LIVE, warm
from live.market.collate import Batch
from live.market.frames import Frames
from live.market.ring import warm_ring

_NOTHING = MarketRow(float("nan"), float("nan"), 0, 0)


def warm_scanner() -> None:
    """Compile, or load from the cache, every kernel a scanner calls; no batch waits for it."""
    for _ in warm(LIVE):
        pass
    warm_ring()


@dataclass(frozen=True, slots=True)
class Scan:
    """What one batch led to: the events, sorted by symbol row, as bytes of the detector."""

    ts: int
    events: np.ndarray


class Scanner:
    """The detector of one profile over all coins.

    Parameters
    ----------
    profile : Profile
        Whose parameters decide.
    interval_ms : int
        Length of a bar.
    window_bars : int
        Bars kept for charts; made longer when the market's facts need more.
    market_rows : int
        Rows of market facts kept, for coins that join later.
    """

    def __init__(
        self,
        profile: Profile,
        interval_ms: int,
        *,
        window_bars: int = 1000,
        market_rows: int = 4096,
    ) -> None:
        self.profile = profile
        self.interval_ms = interval_ms
        needed = max(profile.market.breadth_bars, profile.market.fall_bars)
        self.frames = Frames(max(window_bars, needed))
        self.contexts = new_contexts(0)
        self.since = np.zeros(0, np.int64)  # when each coin's phase began, ms
        self.steps = 0
        self.universe: tuple[int, ...] = ()
        self.universe_hash = universe_hash(())
        self._universe_rows = np.zeros(0, np.int64)
        self._market: dict[int, MarketRow] = {}
        self._market_kept = market_rows
        self._out = np.zeros(0, EVENT)

    # ------------------------------------------------------------------ symbols

    def grow(self, rows: int) -> None:
        """Make room for at least ``rows`` coins."""
        if rows > len(self.contexts):
            more = rows - len(self.contexts)
            self.contexts = np.concatenate([self.contexts, np.zeros(more, CONTEXT)])
            self.since = np.append(self.since, np.zeros(more, np.int64))
            self.frames.grow(rows)

    def set_universe(self, rows: Sequence[int], symbols: Sequence[str]) -> None:
        """Say of which coins the market's facts are made from the next minute on."""
        self.universe = tuple(rows)
        self._universe_rows = np.array(sorted(rows), np.int64)
        self.universe_hash = universe_hash(symbols)

    def forget(self, row: int) -> None:
        """Empty a coin's detector and its bars."""
        self.contexts[row] = np.zeros((), CONTEXT)
        self.since[row] = 0
        self.frames.clear(row)

    def phase(self, row: int) -> int:
        """Return a coin's phase."""
        return max(int(self.contexts["phase"][row]), P_MONITORING)

    # ------------------------------------------------------------------ steps

    def market(self, ts: int) -> MarketRow:
        """Return the facts that the bar opening at ``ts`` may see; NaN where none are kept."""
        return self._market.get(ts, _NOTHING)

    def step(self, batch: Batch) -> Scan:
        """Step all coins of a batch; a complete batch also makes the facts for the next bar."""
        events = self._scan(batch.ts, batch.rows, batch.bars)
        if batch.complete:
            self._close(batch.ts)
        return Scan(batch.ts, events)

    def replay(self, row: int, ts: np.ndarray, bars: np.ndarray) -> np.ndarray:
        """Step one coin through bars whose minutes are closed already: its warm-up on joining.

        It sees the market's facts as they were told to the others then.
        """
        found = []
        one = np.array([row], np.int64)
        for k in range(len(ts)):
            events = self._scan(int(ts[k]), one, bars[k : k + 1])
            if len(events):
                found.append(events)
        return np.concatenate(found) if found else np.zeros(0, EVENT)

    def _scan(self, ts: int, rows: np.ndarray, bars: np.ndarray) -> np.ndarray:
        size = len(rows)
        if size == 0:
            return np.zeros(0, EVENT)
        room = EVENTS_PER_BAR * size
        if len(self._out) < room:
            self._out = np.zeros(room, EVENT)
        stamps = np.full(size, ts, np.int64)
        o, h, lo, c, v = (np.ascontiguousarray(bars[:, j]) for j in range(5))
        facts = self.market(ts)
        count = scan_newest(
            self.contexts,
            self.profile.params,
            rows,
            stamps,
            o,
            h,
            lo,
            c,
            v,
            (facts.breadth, facts.median_fall),
            interval_ms=self.interval_ms,
            out=self._out,
        )
        self.frames.append(rows, stamps, bars)
        self.steps += size
        events = self._out[:count].copy()
        if count:
            self._out[:count] = np.zeros((), EVENT)
            for row, after, t, before in zip(
                events["symbol_id"],
                events["phase_after"],
                events["t"],
                events["phase_before"],
                strict=True,
            ):
                if before != after:
                    self.since[row] = t
        return events

    def _close(self, ts: int) -> None:
        params = self.profile.market
        rows = self._universe_rows
        short = self.frames.falls(rows, ts, self.interval_ms, params.breadth_bars)
        long = self.frames.falls(rows, ts, self.interval_ms, params.fall_bars)
        self._market[ts + self.interval_ms] = market_row(short, long, params)
        if len(self._market) > self._market_kept:
            del self._market[next(iter(self._market))]

    # ------------------------------------------------------------------ persistence

    def market_table(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the kept facts: int64[m] open times, float64[m, 4] rows."""
        stamps = np.array(list(self._market), np.int64)
        return stamps, np.array([tuple(r) for r in self._market.values()], np.float64).reshape(
            -1, 4
        )

    def load_market(self, stamps: np.ndarray, table: np.ndarray) -> None:
        """Take facts from a snapshot."""
        self._market = {
            int(t): MarketRow(float(r[0]), float(r[1]), int(r[2]), int(r[3]))
            for t, r in zip(stamps, table, strict=True)
        }
