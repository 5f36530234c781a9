"""Tells engines the closed bars they missed: an engine that starts, or whose inbox was full.

A trade's highest price and its trailing stop are made of every bar since the entry. The market
layer has them all again once it has recovered, whoever was down meanwhile.
"""

from collections.abc import Callable, Iterable, Sequence

from engine.account import messages as m
from engine.account.signal import Quote
from live.accounts.engine import UserEngine
from live.accounts.session import Session
from live.clock import Clock

GRACE_MS = 5_000  # a bar is missed when it closed so long ago; before that it may be on its way

ClosedBar = tuple[int, float, float, float, float]  # open time, open, high, low, close


class MissedBars:
    """Looks at what engines have seen of the coins they hold.

    Parameters
    ----------
    bars : callable (str, int, int)
        A coin's closed bars of an interval in ms from a moment on, oldest first; none while the
        market layer has not recovered.
    quote : callable (str)
    sessions : callable
        Those that run here.
    """

    def __init__(
        self,
        bars: Callable[[str, int, int], Sequence[ClosedBar]],
        quote: Callable[[str], Quote | None],
        sessions: Callable[[], Iterable[Session]],
        clock: Clock,
    ) -> None:
        self._bars = bars
        self._quote = quote
        self._sessions = sessions
        self._clock = clock
        self._told: dict[tuple[str, str], tuple[UserEngine, int]] = {}

    def look(self) -> None:
        """Tell every engine that has read its account what it should have heard long ago."""
        now_ms = self._clock.now_ms()
        told, self._told = self._told, {}
        for session in self._sessions():
            engine, feed = session.engine, session.feed
            if engine is None or feed is None or not feed.has_read:
                continue
            if session.inbox.waiting_facts():
                continue  # what was filled meanwhile counts first
            for symbol, (interval_ms, from_ms) in engine.bars_from().items():
                key = (session.user.user_id, symbol)
                who, until_ms = told.get(key, (engine, 0))
                until_ms = until_ms if who is engine else 0
                end_ms = now_ms - GRACE_MS - interval_ms
                last_ms = self._tell(session, symbol, interval_ms, max(from_ms, until_ms), end_ms)
                self._told[key] = (engine, max(last_ms + 1, until_ms))

    def before(self, symbol: str, interval_ms: int, ts: int) -> None:
        """Tell what is missing before a bar that is about to be told: afterwards is too late."""
        for session in self._sessions():
            engine = session.engine
            if engine is None or symbol not in engine.watched:
                continue
            known_ms, from_ms = engine.bars_from().get(symbol, (interval_ms, ts))
            if known_ms == interval_ms and from_ms < ts:
                self._tell(session, symbol, interval_ms, from_ms, ts - 1)

    def _tell(
        self, session: Session, symbol: str, interval_ms: int, from_ms: int, end_ms: int
    ) -> int:
        """Tell the bars that begin in a span; returns where the last began, or -1."""
        last_ms = -1
        if from_ms > end_ms:
            return last_ms
        at_ms, quote = self._clock.now_ms(), self._quote(symbol)
        for ts, o, h, low, c in self._bars(symbol, interval_ms, from_ms):
            if ts > end_ms:
                break
            session.put(
                m.BarClosed(
                    at_ms=at_ms, symbol=symbol, interval_ms=interval_ms, ts=ts,
                    open=o, high=h, low=low, close=c, quote=quote,
                )
            )  # fmt: skip
            last_ms = ts
        return last_ms
