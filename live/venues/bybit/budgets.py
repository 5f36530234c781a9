"""What one process may ask of the venue: one budget of an address, shared by all its users.

`schedule` decides; this is its thin shell over a clock. A user, an endpoint, a priority go in; a
turn comes out, or the reason why there is none. After HTTP 403 nothing is granted for ten minutes:
streams go on, stops stand at the venue.
"""

import asyncio
from dataclasses import dataclass

from live.clock import Clock, Late, within
from live.venues.bybit.budget import WindowBudget
from live.venues.bybit.schedule import IN_FLIGHT_MAX, IP_REQUESTS, Scheduler, Ticket
from live.venues.trading import Priority

BAN_S = 600.0  # the venue wants at least ten minutes of silence after HTTP 403
CONNECTIONS = 400  # of the 500 in five minutes that the venue allows an address
CONNECTIONS_WINDOW_S = 300.0
PUBLIC = ""  # the user of requests that nobody signs
# How long a request may wait for its turn before it is no longer worth sending.
PATIENCE_S = {
    Priority.PROTECT: 10.0,
    Priority.RECONCILE: 60.0,
    Priority.ENTRY: 15.0,  # one signal of 1,000 users by HTTP takes three windows of the address
    Priority.POLL: 60.0,
}


@dataclass(frozen=True, slots=True)
class NoTurn:
    """Not granted, nothing was sent. `banned`: the address itself is locked out."""

    reason: str
    retry_after_s: float
    banned: bool = False


Turn = Ticket


class RequestBudget:
    """Turns for requests, over all users of this process.

    Parameters
    ----------
    clock : Clock
    ip_requests : int
        In any 5 s; stay below the venue's number, other programs may share the address.
    in_flight_max : int
        Requests over HTTP at the same time; the transport should have as many threads.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        ip_requests: int = IP_REQUESTS,
        in_flight_max: int = IN_FLIGHT_MAX,
    ) -> None:
        self.scheduler = Scheduler(ip_requests=ip_requests, in_flight_max=in_flight_max)
        self.connections = WindowBudget(clock, CONNECTIONS, CONNECTIONS_WINDOW_S)
        self.bans = 0
        self._clock = clock
        self._banned_until_s = 0.0
        self._waiting: dict[Ticket, asyncio.Future[NoTurn | None]] = {}
        self._pump_due = False
        self._timer: asyncio.Task[None] | None = None
        self._timer_due_s = 0.0

    # ------------------------------------------------------------------ asking

    async def turn(
        self, user: str, endpoint: str, priority: Priority, *, by_http: bool = True
    ) -> Turn | NoTurn:
        """Wait for a turn; hand it to `done` when the request is over, however it ended."""
        if by_http and self.ban_left_s > 0.0:
            return self._banned()
        ticket = Ticket(user, endpoint, priority, by_http)
        if not self.scheduler.waiting:  # nobody to be unfair to: no wait, no timer
            self.scheduler.submit(ticket)
            if ticket in self.scheduler.grant(self._clock.monotonic_s()):
                return ticket
        else:
            self.scheduler.submit(ticket)
        return await self._wait(ticket)

    async def _wait(self, ticket: Ticket) -> Turn | NoTurn:
        answer: asyncio.Future[NoTurn | None] = asyncio.get_running_loop().create_future()
        self._waiting[ticket] = answer
        self._pump_soon()
        patience_s = PATIENCE_S[ticket.priority]
        try:
            verdict = await within(self._clock, answer, patience_s)
        except Late:
            self.scheduler.cancel(ticket, self._clock.monotonic_s())
            return NoTurn(f"no turn within {patience_s:g} s", 1.0)
        except asyncio.CancelledError:
            self.scheduler.cancel(ticket, self._clock.monotonic_s())
            self._pump_soon()
            raise
        finally:
            self._waiting.pop(ticket, None)
        return ticket if verdict is None else verdict

    def done(self, turn: Turn) -> None:
        """Give a turn's place in flight back."""
        self.scheduler.release(turn, self._clock.monotonic_s())
        if self.scheduler.waiting:
            self._pump_soon()

    # ------------------------------------------------------------------ what replies teach

    @property
    def ban_left_s(self) -> float:
        """How long nothing may be sent by HTTP."""
        return max(0.0, self._banned_until_s - self._clock.monotonic_s())

    def ban(self, duration_s: float = BAN_S) -> None:
        """Stop everything over HTTP: the venue locked the address out."""
        self.bans += 1
        until_s = self._clock.monotonic_s() + duration_s
        self._banned_until_s = max(self._banned_until_s, until_s)
        for ticket in self.scheduler.drain():
            answer = self._waiting.get(ticket)
            if answer is not None and not answer.done():
                answer.set_result(self._banned())

    def learn(self, user: str, endpoint: str, allowed_per_s: int) -> None:
        """Take over a limit that a reply's header named."""
        self.scheduler.learn(user, endpoint, allowed_per_s)

    def block(self, user: str, endpoint: str, duration_s: float) -> None:
        """Hold a user back at an endpoint: "too many visits"."""
        self.scheduler.block(user, endpoint, self._clock.monotonic_s() + duration_s)

    async def close(self) -> None:
        """End the timer; who still waits is told so."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
            await asyncio.gather(timer, return_exceptions=True)
        for answer in list(self._waiting.values()):
            if not answer.done():
                answer.set_result(NoTurn("the client is closing", 0.0))

    # ------------------------------------------------------------------ pump

    def _banned(self) -> NoTurn:
        left_s = self.ban_left_s
        return NoTurn(f"the venue locked this address out for {left_s:.0f} s", left_s, banned=True)

    def _pump_soon(self) -> None:
        # Once a turn of the loop: a burst of requests is ordered as a whole, and only once.
        if not self._pump_due:
            self._pump_due = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        self._pump_due = False
        now_s = self._clock.monotonic_s()
        for ticket in self.scheduler.grant(now_s):
            answer = self._waiting.get(ticket)
            if answer is None or answer.done():
                self.scheduler.release(ticket, now_s)  # its owner left in this very moment
                self._pump_soon()
            else:
                answer.set_result(None)
        wake_s = self.scheduler.wake_s(now_s)
        if wake_s is None:
            return
        if self._timer is not None and not self._timer.done():
            if self._timer_due_s <= wake_s:
                return
            self._timer.cancel()
        self._timer_due_s = wake_s
        self._timer = asyncio.get_running_loop().create_task(self._wake(wake_s - now_s))

    async def _wake(self, delay_s: float) -> None:
        await self._clock.sleep(max(delay_s, 0.001))
        self._timer = None
        self._pump_soon()
