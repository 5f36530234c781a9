"""The whole simulated venue without a socket: desk, door, allowances, faults, signed streams.

Two shells stand on it and add nothing of their own: the HTTP and WebSocket server, and whoever runs
a client in the same process and on the same virtual time.
"""

import itertools
from typing import Literal

from engine.venue.replay import Replay
from live.venues.bybit.faults import Fault
from live.venues.bybit.simdesk import Desk
from live.venues.bybit.simdoor import Door, HttpReply, HttpRequest
from live.venues.bybit.simfaults import FaultPlan
from live.venues.bybit.simfloor import Floor
from live.venues.bybit.simlimits import LimitRules, Limits
from live.venues.bybit.simprivate import PrivateSession
from live.venues.bybit.simpublicsession import PublicSession
from live.venues.bybit.simsession import Origin, Session
from live.venues.bybit.simtrade import TradeSession

StreamName = Literal["private", "trade", "public"]


class SimVenue:
    """One simulated Bybit.

    Parameters
    ----------
    replay, interval, seed, start_ms
        As of `Desk`.
    rules : LimitRules, optional
        The venue's own allowances by default.
    faults : list of Fault, optional
        Armed from the beginning.
    """

    def __init__(
        self,
        replay: Replay,
        interval: str,
        *,
        seed: int = 0,
        start_ms: int | None = None,
        rules: LimitRules | None = None,
        faults: list[Fault] | None = None,
    ) -> None:
        self.plan = FaultPlan(seed, faults or ())
        self.desk = Desk(replay, interval, seed=seed, start_ms=start_ms, faults=self.plan)
        self.limits = Limits(rules)
        self.door = Door(self.desk, self.limits)
        self.sessions: dict[int, Session] = {}
        self.floor = Floor(self.desk, self.plan)  # the public stream; the server puts its own here
        self._minute = self.desk.now_ms - self.desk.now_ms % replay.interval_ms
        self._numbers = itertools.count(1)
        self._refused_until: dict[str, int] = {}

    # ------------------------------------------------------------------ requests

    def fate(self, request: HttpRequest) -> Fault | None:
        """Return the fault that meets a request; the shell waits out a `slow` one, then asks."""
        return self.door.fate(request)

    def request(self, request: HttpRequest, wall_ms: int, fault: Fault | None = None) -> HttpReply:
        """Answer one request."""
        return self.door.handle(request, wall_ms, fault)

    # ------------------------------------------------------------------ streams

    def lets_in(self, stream: StreamName, ip: str, wall_ms: int) -> bool:
        """Tell whether a new connection is accepted; it counts against the address."""
        if wall_ms < self._refused_until.get(stream, 0):
            return False
        fault = self.plan.draw({"refuse_connect"}, stream=stream, now_ms=self.desk.now_ms)
        if fault is not None:
            self._refused_until[stream] = wall_ms + fault.ms
            return False
        return self.limits.connect(ip, wall_ms)

    def connect(
        self,
        stream: StreamName,
        wall_ms: int,
        *,
        ip: str = "127.0.0.1",
        max_active: str = "",
    ) -> Session | None:
        """Open a stream; None = refused."""
        if not self.lets_in(stream, ip, wall_ms):
            return None
        if stream == "public" and not self.floor.lets_in():
            return None
        origin = Origin(next(self._numbers), ip, max_active)
        session: Session
        if stream == "trade":
            session = TradeSession(self.door, origin, wall_ms)
        elif stream == "public":
            session = PublicSession(self.floor, origin, wall_ms)
        else:
            session = PrivateSession(self.desk, origin, wall_ms)
        self.sessions[origin.number] = session
        return session

    def disconnect(self, session: Session) -> None:
        """Forget a connection that is gone."""
        session.leave()
        self.sessions.pop(session.origin.number, None)

    # ------------------------------------------------------------------ the market's pace

    def play(self, to_ms: int) -> None:
        """Let the market move to a time, and the public stream tell what happened on the way.

        For whoever runs the venue inside a process; the server has a pace of its own.
        """
        length_ms = self.desk.view.replay.interval_ms
        last = self.desk.view.replay.last
        while self._minute <= last and self._minute + length_ms <= to_ms:
            minute, self._minute = self._minute, self._minute + length_ms
            self.desk.advance(self._minute)
            self.floor.tell_closed(minute, self.desk.now_ms)
        self.desk.advance(to_ms)
        share = (to_ms - self._minute) / length_ms
        if 0.0 < share < 1.0:
            self.floor.tell_open(self._minute, share, to_ms)
        for _ in self.floor.tell_feeds():
            pass
