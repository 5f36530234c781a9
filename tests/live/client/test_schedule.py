"""The scheduler's laws: never over a limit, urgent first, fair, nothing stuck."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from live.venues.bybit.schedule import FRAMES_PER_S, SHARE, Scheduler, Ticket, Window
from live.venues.trading import Priority

pytestmark = pytest.mark.laws

ENDPOINTS = ("/v5/order/create", "/v5/order/realtime", "/v5/account/fee-rate")

tickets = st.tuples(
    st.integers(0, 3).map(lambda n: f"u{n}"),
    st.sampled_from(ENDPOINTS),
    st.sampled_from(list(Priority)),
    st.booleans(),
)
steps = st.lists(
    st.tuples(st.lists(tickets, max_size=12), st.floats(0.0, 1.5), st.integers(0, 6)), max_size=25
)


def within(moments: list[float], length_s: float) -> int:
    """The most of these moments that fall into any half-open window."""
    worst = 0
    for i, first in enumerate(moments):
        worst = max(worst, sum(1 for m in moments[i:] if m < first + length_s - 1e-9))
    return worst


class Run:
    """A scheduler, its clock, and all that it granted."""

    def __init__(self) -> None:
        self.scheduler = Scheduler(ip_requests=20, ip_window_s=5.0, in_flight_max=6)
        self.now_s = 0.0
        self.submitted = 0
        self.rng = np.random.default_rng(5)
        self.arrived: list[tuple[Ticket, float]] = []
        self.granted: list[Ticket] = []
        self.flying: list[Ticket] = []

    def submit(self, wanted: list[tuple]) -> None:
        for user, endpoint, priority, by_http in wanted:
            self.scheduler.submit(Ticket(user, endpoint, priority, by_http))
            self.submitted += 1

    def pump(self) -> None:
        new = self.scheduler.grant(self.now_s)
        assert all(ticket.granted_s == self.now_s for ticket in new)
        self.granted += new
        self.flying += new
        assert sum(t.by_http for t in self.flying) <= 6
        assert not self.scheduler.grant(self.now_s)  # all that may go has gone

    def release(self, count: int) -> None:
        for ticket in self.flying[:count]:
            self.scheduler.release(ticket, self.now_s)
            # the venue saw it at any moment between grant and answer
            self.arrived.append((ticket, self.rng.uniform(ticket.granted_s, self.now_s)))
        del self.flying[:count]

    def finish(self) -> None:
        for _ in range(10_000):
            if not self.scheduler.waiting:
                return
            self.release(len(self.flying))
            self.pump()
            self.now_s += float(self.rng.choice([0.0, 0.01, 0.6]))
            wake_s = self.scheduler.wake_s(self.now_s)
            if wake_s is not None:
                self.now_s = max(wake_s, self.now_s + 1e-6)
        raise AssertionError("some wait for ever")


@given(steps)
def test_no_window_is_ever_overrun_and_everything_is_served(script):
    run = Run()
    for wanted, pause_s, releases in script:
        run.submit(wanted)
        run.pump()
        run.release(releases)
        run.now_s += pause_s
    run.finish()
    run.release(len(run.flying))
    granted = run.granted
    assert len(granted) == len({id(t) for t in granted}) == run.submitted
    assert within(sorted(at for t, at in run.arrived if t.by_http), 5.0) <= 20
    for user in {t.user for t in granted}:
        for endpoint in ENDPOINTS:
            mine = [at for t, at in run.arrived if (t.user, t.endpoint) == (user, endpoint)]
            assert within(sorted(mine), 1.0) <= run.scheduler.window(user, endpoint).limit


def test_urgent_ones_go_first_and_find_room_that_others_leave():
    scheduler = Scheduler(ip_requests=10, in_flight_max=100)
    for n in range(20):
        scheduler.submit(Ticket(f"u{n}", "/v5/order/realtime", Priority.POLL))
    polls = scheduler.grant(0.0)
    assert len(polls) == int(10 * SHARE[Priority.POLL])
    for priority in (Priority.ENTRY, Priority.PROTECT, Priority.RECONCILE):
        for n in range(20):
            scheduler.submit(Ticket(f"u{n}", "/v5/order/create", priority))
    then = scheduler.grant(0.0)
    assert [t.priority for t in then] == [Priority.PROTECT] * (10 - len(polls))


def test_users_take_turns():
    scheduler = Scheduler(ip_requests=400, in_flight_max=40)
    for n in range(30):
        scheduler.submit(Ticket("greedy", f"/v5/e{n % 6}", Priority.ENTRY))
    for user in ("b", "c", "d"):
        for n in range(4):
            scheduler.submit(Ticket(user, f"/v5/e{n}", Priority.ENTRY))
    order = [t.user for t in scheduler.grant(0.0)]
    assert order[:16] == ["greedy", "b", "c", "d"] * 4


def test_one_busy_endpoint_does_not_hold_back_the_users_others():
    scheduler = Scheduler()
    scheduler.block("u", "/v5/order/create", 5.0)
    scheduler.submit(Ticket("u", "/v5/order/create", Priority.PROTECT))
    assert scheduler.grant(0.0) == []
    scheduler.submit(Ticket("u", "/v5/order/cancel", Priority.PROTECT))
    assert [t.endpoint for t in scheduler.grant(0.0)] == ["/v5/order/cancel"]
    assert scheduler.wake_s(0.0) == 5.0
    assert [t.endpoint for t in scheduler.grant(5.0)] == ["/v5/order/create"]


def test_order_frames_pass_a_full_address():
    scheduler = Scheduler(ip_requests=1)
    scheduler.submit(Ticket("a", "/v5/order/create", Priority.PROTECT))
    scheduler.submit(Ticket("b", "/v5/order/create", Priority.PROTECT))
    assert len(scheduler.grant(0.0)) == 1
    scheduler.submit(Ticket("c", "/v5/order/create", Priority.ENTRY, by_http=False))
    assert [t.user for t in scheduler.grant(0.0)] == ["c"]


def test_a_cancelled_ticket_is_never_granted_and_gives_its_place_back():
    scheduler = Scheduler(in_flight_max=1)
    first, second, third = (Ticket(u, "/v5/order/realtime", Priority.PROTECT) for u in "abc")
    for ticket in (first, second, third):
        scheduler.submit(ticket)
    assert scheduler.grant(0.0) == [first]
    scheduler.cancel(second, 0.0)
    scheduler.cancel(first, 0.0)
    assert scheduler.in_flight == 0
    assert scheduler.grant(0.0) == [third]
    assert scheduler.waiting == 0


def test_a_ban_empties_the_queue_of_http_only():
    scheduler = Scheduler(in_flight_max=1)
    http = [Ticket(u, "/v5/order/realtime", Priority.POLL) for u in "abc"]
    for ticket in http:
        scheduler.submit(ticket)
    frame = Ticket("a", "/v5/order/create", Priority.ENTRY, by_http=False)
    scheduler.block("a", "/v5/order/create", 1.0)
    scheduler.submit(frame)
    assert scheduler.grant(0.0) == [http[0]]
    assert scheduler.drain() == http[1:]
    assert scheduler.waiting == 1
    assert scheduler.grant(1.0) == [frame]


def test_a_header_teaches_the_limit():
    scheduler = Scheduler()
    scheduler.learn("vip", "/v5/order/create", 60)
    assert scheduler.window("vip", "/v5/order/create").limit == 48
    assert scheduler.window("other", "/v5/order/create").limit == 8


def test_a_window_frees_at_the_very_moment_it_names():
    window = Window(1, 0.1)
    window.take()
    assert window.free_at_s(0.2) == math.inf
    window.answered(0.2)
    free_s = window.free_at_s(0.2)
    assert window.free_at_s(free_s) == free_s


def test_a_flood_of_entry_frames_leaves_room_for_a_stop():
    scheduler = Scheduler()
    for n in range(3000):
        scheduler.submit(Ticket(f"u{n}", "/v5/order/create", Priority.ENTRY, by_http=False))
    entries = scheduler.grant(0.0)
    assert len(entries) == int(FRAMES_PER_S * SHARE[Priority.ENTRY])
    scheduler.submit(Ticket("s", "/v5/order/create", Priority.PROTECT, by_http=False))
    assert [t.user for t in scheduler.grant(0.0)] == ["s"]


@pytest.mark.parametrize("by_http", [True, False])
def test_a_users_entries_leave_room_for_the_users_own_close(by_http):
    scheduler = Scheduler()
    for _ in range(20):
        scheduler.submit(Ticket("u", "/v5/order/create", Priority.ENTRY, by_http))
    limit = scheduler.window("u", "/v5/order/create").limit
    assert len(scheduler.grant(0.0)) < limit
    scheduler.submit(Ticket("u", "/v5/order/create", Priority.PROTECT, by_http))
    assert [t.priority for t in scheduler.grant(0.0)] == [Priority.PROTECT]
