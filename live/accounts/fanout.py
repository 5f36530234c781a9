"""Hands the market's news to users: each to whom it matters, and another one first each time."""

from engine.account import messages as m
from engine.account.signal import Signal, SignalEnd
from live.accounts.session import Parts, Session


class Fanout:
    """What the supervisor is to the market layer. Nothing here waits: an inbox takes or refuses."""

    def __init__(self, parts: Parts) -> None:
        self.draining = False
        self._parts = parts
        self._turn = 0

    def sessions(self) -> list[Session]:
        """Return the sessions that run here, in a fixed order."""
        raise NotImplementedError

    def signal(self, signal: Signal) -> int:
        """Hand a breakout to every user who wants it; another one is first each time."""
        if self.draining:
            return 0
        heard = self.heard(signal)
        if heard is None:
            self._parts.log.warning("a signal of a coin without rules", symbol=signal.symbol)
            return 0
        return sum(wants(s, signal) and s.put(heard) for s in self._rotated())

    def heard(self, signal: Signal) -> m.SignalHeard | None:
        """Return a breakout as an engine hears it now; None: the coin's rules are not known."""
        market = self._parts.market
        contract = market.contract(signal.symbol)
        if contract is None:
            return None
        return m.SignalHeard(
            at_ms=self._parts.clock.now_ms(),
            signal=signal,
            contract=contract,
            quote=market.quote(signal.symbol) or signal.quote,
        )

    def signal_ended(self, end: SignalEnd) -> None:
        """Tell every user with that coin at stake that a setup is over."""
        message = m.SignalEnded(at_ms=self._parts.clock.now_ms(), end=end)
        self._to_watchers(end.symbol, message)

    def market(self, symbol: str, message: m.Message) -> None:
        """Hand a bar, a quote or a contract to every user with that coin at stake."""
        self._to_watchers(symbol, message)

    def regime(self, message: m.RegimeSeen) -> None:
        """Hand the market's regime to every user."""
        for session in self._rotated():
            session.put(message)

    def _to_watchers(self, symbol: str, message: m.Message) -> None:
        for session in self._rotated():
            if session.engine is not None and symbol in session.engine.watched:
                session.put(message)

    def _rotated(self) -> list[Session]:
        sessions = self.sessions()
        self._turn += 1
        first = self._turn % len(sessions) if sessions else 0
        return sessions[first:] + sessions[:first]


def wants(session: Session, signal: Signal) -> bool:
    """Tell whether a user trades such breakouts, and is traded here."""
    params = session.engine.params if session.engine is not None else None
    return params is not None and (
        params.profile == signal.profile and signal.interval_ms in params.intervals_ms
    )
