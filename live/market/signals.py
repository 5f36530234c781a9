"""Breakouts told once to all users, and the ends of their setups. What was told is remembered."""

from collections.abc import Callable, Mapping

import msgspec
import numpy as np

from engine.account.heard import ENDS, end_of, signal_of
from engine.account.signal import Quote, Signal, SignalEnd
from engine.messages import EventKind

_BREAKOUT = int(EventKind.BREAKOUT)
_KEPT = 512  # newest signals and ends kept for engines that start later


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """High-water marks by symbol: the newest breakout and the newest end that were told.

    `recent` and `over` are what was told, for engines that start after the next start.
    """

    signals: dict[str, int] = {}
    ends: dict[str, int] = {}
    recent: tuple[Signal, ...] = ()
    over: tuple[SignalEnd, ...] = ()


class Teller:
    """Decides of which events users hear.

    Parameters
    ----------
    profile, interval : str
    symbol_of : callable (int) -> str
        Names a row of the scanner.
    quote : callable (str) -> Quote or None
        Of now; it goes out, and into the journal, with the event.
    fresh_ms : int
        A breakout older than this is told to nobody.
    end_ms : int
        The end of a setup older than this concerns nobody.

    Notes
    -----
    Within one life a breakout is told once. A mark is written with the snapshot, after the telling:
    a process that dies in between tells again while the breakout is fresh, under the same
    `signal_id`, which every user's engine knows already. It is never lost by its own mark.
    """

    def __init__(
        self,
        profile: str,
        interval: str,
        symbol_of: Callable[[int], str],
        quote: Callable[[str], Quote | None],
        *,
        fresh_ms: int,
        end_ms: int,
    ) -> None:
        self.profile = profile
        self.interval = interval
        self._symbol_of = symbol_of
        self._quote = quote
        self._fresh_ms = fresh_ms
        self._end_ms = end_ms
        self._signals: dict[str, int] = {}
        self._ends: dict[str, int] = {}
        self._recent: dict[str, Signal] = {}
        self._over: dict[str, SignalEnd] = {}
        self.late = 0  # breakouts found too late to be told

    # ------------------------------------------------------------------ marks

    def marks(self) -> Told:
        """Return what a snapshot keeps."""
        return Told(
            signals=dict(self._signals),
            ends=dict(self._ends),
            recent=tuple(self._recent.values()),
            over=tuple(self._over.values()),
        )

    def load(self, told: Told) -> None:
        """Take the marks of an earlier life; a newer one of this life stays."""
        for mine, old in ((self._signals, told.signals), (self._ends, told.ends)):
            for symbol, t in old.items():
                mine[symbol] = max(mine.get(symbol, 0), t)
        self._recent = {s.symbol: s for s in told.recent} | self._recent
        self._over = {e.symbol: e for e in told.over} | self._over

    # ------------------------------------------------------------------ events

    def take(self, events: np.ndarray, now_ms: int) -> list[Signal | SignalEnd]:
        """Return what users must hear of these events, in their order, and mark it as told.

        Live and replayed events are judged alike: an event missed while down is told if it is
        fresh, with its true time; one told before is not told again.
        """
        out: list[Signal | SignalEnd] = []
        for record in events:
            kind, t = int(record["kind"]), int(record["t"])
            if kind == _BREAKOUT:
                out += self._breakout(record, t, now_ms)
            elif kind in ENDS:
                out += self._end(record, t, now_ms)
        return out

    def _breakout(self, record: np.ndarray, t: int, now_ms: int) -> list[Signal | SignalEnd]:
        symbol = self._symbol_of(int(record["symbol_id"]))
        if t <= self._signals.get(symbol, 0):
            return []
        if now_ms - t > self._fresh_ms:
            self.late += 1
            return []
        self._signals[symbol] = t
        signal = signal_of(record, symbol, self.profile, self.interval, self._quote(symbol))
        self._recent.pop(symbol, None)
        self._recent[symbol] = signal
        while len(self._recent) > _KEPT:
            del self._recent[next(iter(self._recent))]
        return [signal]

    def _end(self, record: np.ndarray, t: int, now_ms: int) -> list[Signal | SignalEnd]:
        symbol = self._symbol_of(int(record["symbol_id"]))
        if t <= self._ends.get(symbol, 0) or now_ms - t > self._end_ms:
            return []
        self._ends[symbol] = t
        end = end_of(record, symbol, self.profile)
        self._over.pop(symbol, None)
        self._over[symbol] = end
        while len(self._over) > _KEPT:
            del self._over[next(iter(self._over))]
        return [end]

    # ------------------------------------------------------------------ for late starters

    def fresh(self, now_ms: int) -> tuple[Signal, ...]:
        """Return the signals of this life that are still fresh and whose setup is not over."""
        return tuple(
            s
            for s in self._recent.values()
            if now_ms - s.t <= self._fresh_ms and self._ends.get(s.symbol, 0) <= s.t
        )

    def ends(self, since: Mapping[str, int] | None = None) -> tuple[SignalEnd, ...]:
        """Return the newest end of each coin, of those later than `since` (symbol to ms)."""
        known = since or {}
        return tuple(e for e in self._over.values() if e.t > known.get(e.symbol, 0))
