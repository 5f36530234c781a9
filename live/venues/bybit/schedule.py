"""Which request goes next: the pure core of the budgets. Time is an argument.

The venue counts twice: requests of an address in 5 s (a breach bans the address for ten minutes,
all its users with it), and requests of a user to an endpoint in 1 s. Requests wait here, not there.
"""

import heapq
import itertools
import math
from collections import deque
from dataclasses import dataclass, field

from live.venues.trading import Priority

IP_REQUESTS = 480  # of the 600 in 5 s that the venue allows
IP_WINDOW_S = 5.0
USER_WINDOW_S = 1.0
USER_SHARE = 0.8  # of what the venue allows a user and endpoint in a second
IN_FLIGHT_MAX = 32
FRAMES_PER_S = 2400  # of the 3,000 order frames a second that the venue allows an address
# How much of a window (the address's, of requests and of order frames; a user's at an endpoint) and
# of the slots in flight a priority may fill: whatever the others do, stops and closes find room.
SHARE = {
    Priority.PROTECT: 1.0,
    Priority.RECONCILE: 0.9,
    Priority.ENTRY: 0.8,
    Priority.POLL: 0.6,
}
# Requests a user may send to an endpoint in a second (venue's default tier).
_READ, _ORDER, _SLOW = 50, 10, 5
ENDPOINT_PER_S = {
    "/v5/order/realtime": _READ,
    "/v5/order/history": _READ,
    "/v5/execution/list": _READ,
    "/v5/position/list": _READ,
    "/v5/position/closed-pnl": _READ,
    "/v5/account/wallet-balance": _READ,
    "/v5/account/info": _READ,
    "/v5/account/transaction-log": 25,
    "/v5/account/set-margin-mode": _SLOW,
    "/v5/account/fee-rate": _SLOW,
}
DEFAULT_PER_S = _ORDER


class Window:
    """At most `limit` requests in any `length_s` seconds, by the venue's count.

    The venue counts a request when it arrives, at some moment between its grant and its answer: it
    takes room from the one until `length_s` after the other, whatever the latency.
    """

    __slots__ = ("blocked_until_s", "flying", "length_s", "limit", "taken")

    def __init__(self, limit: int, length_s: float) -> None:
        self.limit = limit
        self.length_s = length_s
        self.flying = 0  # granted, not answered yet
        self.taken: deque[float] = deque()  # when answered
        self.blocked_until_s = 0.0

    def free_at_s(self, now_s: float, limit: int | None = None) -> float:
        """Return the moment from which one more fits; inf: not before something is answered."""
        while self.taken and self.taken[0] + self.length_s <= now_s:
            self.taken.popleft()
        room = self.limit if limit is None else limit
        surplus = self.flying + len(self.taken) - room  # so many must go, and one more
        free_s = now_s
        if surplus >= len(self.taken):
            free_s = math.inf
        elif surplus >= 0:
            free_s = self.taken[surplus] + self.length_s
        return max(free_s, self.blocked_until_s)

    def take(self) -> None:
        """Count a grant."""
        self.flying += 1

    def answered(self, now_s: float) -> None:
        """Count the answer of a grant."""
        self.flying -= 1
        self.taken.append(now_s)


@dataclass(slots=True, eq=False)
class Ticket:
    """A request that waits for its turn."""

    user: str
    endpoint: str
    priority: Priority
    by_http: bool = True  # frames of the order stream do not count for the address
    number: int = 0
    granted_s: float | None = None
    gone: bool = False  # its owner no longer waits


@dataclass(slots=True, eq=False)
class _Lane:
    """What one user waits for at one priority: a queue an endpoint, in order of arrival."""

    key: "_LaneKey"
    queues: dict[str, deque[Ticket]] = field(default_factory=dict)
    waking: int = 0  # which entry of the sleepers' heap is this lane's; 0 = it is not asleep


_LaneKey = tuple[Priority, bool, str]  # priority, by_http, user


class Scheduler:
    """Grants tickets: the more urgent first, users of one urgency by turns.

    Parameters
    ----------
    ip_requests : int
        Ceiling in any `ip_window_s` over all users.
    in_flight_max : int
        Granted over HTTP and not yet released.
    """

    def __init__(
        self,
        *,
        ip_requests: int = IP_REQUESTS,
        ip_window_s: float = IP_WINDOW_S,
        in_flight_max: int = IN_FLIGHT_MAX,
    ) -> None:
        self.ip = Window(ip_requests, ip_window_s)
        self.frames = Window(FRAMES_PER_S, 1.0)
        self.in_flight = 0
        self.waiting = 0
        self._in_flight_max = in_flight_max
        self._windows: dict[tuple[str, str], Window] = {}
        self._lanes: dict[_LaneKey, _Lane] = {}
        self._turns: dict[tuple[Priority, bool], deque[_Lane]] = {
            (priority, by_http): deque() for priority in Priority for by_http in (False, True)
        }
        self._asleep: list[tuple[float, int, _Lane]] = []
        self._numbers = itertools.count(1)

    # ------------------------------------------------------------------ what the venue taught

    def window(self, user: str, endpoint: str) -> Window:
        """Return the window of a user at an endpoint."""
        found = self._windows.get((user, endpoint))
        if found is None:
            allowed = ENDPOINT_PER_S.get(endpoint, DEFAULT_PER_S)
            # Requests that nobody signs count for the address alone.
            found = Window(_share_of(allowed) if user else self.ip.limit, USER_WINDOW_S)
            self._windows[user, endpoint] = found
        return found

    def learn(self, user: str, endpoint: str, allowed_per_s: int) -> None:
        """Take over the limit that a reply's header names."""
        if allowed_per_s > 0:
            self.window(user, endpoint).limit = _share_of(allowed_per_s)

    def block(self, user: str, endpoint: str, until_s: float) -> None:
        """Grant nothing to a user at an endpoint until then: the venue said "too many visits"."""
        window = self.window(user, endpoint)
        window.blocked_until_s = max(window.blocked_until_s, until_s)

    # ------------------------------------------------------------------ tickets

    def submit(self, ticket: Ticket) -> None:
        """Queue a ticket."""
        ticket.number = next(self._numbers)
        key = (ticket.priority, ticket.by_http, ticket.user)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = _Lane(key)
            self._turns[key[:2]].append(lane)
        elif lane.waking:  # perhaps this endpoint is free although the others are not
            lane.waking = 0
            self._turns[key[:2]].append(lane)
        lane.queues.setdefault(ticket.endpoint, deque()).append(ticket)
        self.waiting += 1

    def cancel(self, ticket: Ticket, now_s: float) -> None:
        """Forget a ticket; its slot is given back if it had been granted."""
        if ticket.granted_s is not None:
            self.release(ticket, now_s)
        elif not ticket.gone:
            ticket.gone = True
            self.waiting -= 1

    def release(self, ticket: Ticket, now_s: float) -> None:
        """Say that a granted request is over; its room in the windows opens a window later."""
        if ticket.granted_s is None or ticket.gone:
            return
        ticket.gone = True
        self.window(ticket.user, ticket.endpoint).answered(now_s)
        if not ticket.by_http:
            self.frames.answered(now_s)
        else:
            self.in_flight -= 1
            self.ip.answered(now_s)
        # Who slept until something of this user's is answered may know its moment now.
        for priority in Priority:
            for by_http in (False, True):
                lane = self._lanes.get((priority, by_http, ticket.user))
                if lane is not None and lane.waking:
                    lane.waking = 0
                    self._turns[lane.key[:2]].append(lane)

    def drain(self) -> list[Ticket]:
        """Remove and return every ticket that waits for HTTP (the address is banned)."""
        left: list[Ticket] = []
        for key in [key for key in self._lanes if key[1]]:
            lane = self._lanes.pop(key)
            lane.waking = 0  # what lies in the heap of sleepers is nobody's now
            left += [t for queue in lane.queues.values() for t in queue if not t.gone]
        for (_, by_http), turns in self._turns.items():
            if by_http:
                turns.clear()
        self.waiting -= len(left)
        for ticket in left:
            ticket.gone = True
        return sorted(left, key=lambda t: t.number)

    def grant(self, now_s: float) -> list[Ticket]:
        """Grant all that may go now, in order."""
        while self._asleep and self._asleep[0][0] <= now_s:
            _, number, lane = heapq.heappop(self._asleep)
            if lane.waking == number:
                lane.waking = 0
                self._turns[lane.key[:2]].append(lane)
        granted: list[Ticket] = []
        for (priority, by_http), turns in self._turns.items():
            # Each round either grants a ticket or takes a lane out of the turns: the loop ends.
            while turns and self._address_free(priority, now_s, by_http=by_http):
                lane = turns.popleft()
                ticket = self._first(lane, now_s)
                if ticket is not None:
                    self._take(lane, ticket, now_s)
                    granted.append(ticket)
                    turns.append(lane)
                elif lane.queues:
                    self._rest(lane, now_s)
                else:
                    del self._lanes[lane.key]
        return granted

    def wake_s(self, now_s: float) -> float | None:
        """Return when `grant` is worth calling again; None: not before a release or a ticket."""
        while self._asleep and self._asleep[0][2].waking != self._asleep[0][1]:
            heapq.heappop(self._asleep)  # woken since by a ticket for another endpoint
        soonest = self._asleep[0][0] if self._asleep else None
        for (priority, by_http), turns in self._turns.items():
            if turns and not (by_http and self._slots_full(priority)):
                window = self.ip if by_http else self.frames
                moment = window.free_at_s(now_s, _room(window, priority))
                soonest = moment if soonest is None else min(soonest, moment)
        return soonest if soonest != math.inf else None

    # ------------------------------------------------------------------ inside

    def _user_free_s(self, lane: _Lane, endpoint: str, now_s: float) -> float:
        window = self.window(lane.key[2], endpoint)
        return window.free_at_s(now_s, _room(window, lane.key[0]))

    def _slots_full(self, priority: Priority) -> bool:
        return self.in_flight >= max(1, int(self._in_flight_max * SHARE[priority]))

    def _address_free(self, priority: Priority, now_s: float, *, by_http: bool) -> bool:
        if by_http and self._slots_full(priority):
            return False
        window = self.ip if by_http else self.frames
        return window.free_at_s(now_s, _room(window, priority)) <= now_s

    def _first(self, lane: _Lane, now_s: float) -> Ticket | None:
        """Return the oldest ticket of a lane whose endpoint has room."""
        best: Ticket | None = None
        for endpoint in list(lane.queues):
            queue = lane.queues[endpoint]
            while queue and queue[0].gone:
                queue.popleft()
            if not queue:
                del lane.queues[endpoint]
            elif self._user_free_s(lane, endpoint, now_s) <= now_s and (
                best is None or queue[0].number < best.number
            ):
                best = queue[0]
        return best

    def _take(self, lane: _Lane, ticket: Ticket, now_s: float) -> None:
        lane.queues[ticket.endpoint].popleft()
        ticket.granted_s = now_s
        self.waiting -= 1
        self.window(ticket.user, ticket.endpoint).take()
        if not ticket.by_http:
            self.frames.take()
        else:
            self.ip.take()
            self.in_flight += 1

    def _rest(self, lane: _Lane, now_s: float) -> None:
        """Let a lane sleep until one of its endpoints has room."""
        free_s = min(self._user_free_s(lane, e, now_s) for e in lane.queues)
        lane.waking = next(self._numbers)
        if free_s < math.inf:  # else an answer wakes it
            heapq.heappush(self._asleep, (free_s, lane.waking, lane))


def _room(window: Window, priority: Priority) -> int:
    return max(1, int(window.limit * SHARE[priority]))


def _share_of(allowed: int) -> int:
    return max(1, int(allowed * USER_SHARE))
