"""Orders placed, changed and cancelled exactly once, whatever the wire does: seeded runs.

One run: a simulated venue whose prices jump, two users (one by HTTP, one by the order stream), a
handful of orders each, and a minute of drawn faults; then quiet. Afterwards the venue's own books
are compared with what the client believes. The client is Zion's own, unchanged, on virtual time.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np

from app.proofs import simloop
from app.proofs.exactly_once_world import BY_HAND, SYMBOLS, draw_menu, market
from app.proofs.simwire import DoorConnect, DoorTransport
from engine.venue.exchange.records import Account
from engine.venue.reports import ExecutionReport
from engine.venue.view import AccountView, News
from engine.venue.words import CreateType
from live.venues.bybit.budgets import RequestBudget
from live.venues.bybit.clock_offset import VenueClock
from live.venues.bybit.gate import Gate
from live.venues.bybit.private_stream import BybitPrivateStream
from live.venues.bybit.signer import Signer
from live.venues.bybit.simvenue import SimVenue
from live.venues.bybit.trade_stream import TradeStream
from live.venues.bybit.trading import BybitTrading
from live.venues.resync import AccountFeed, FeedOptions
from live.venues.settle import (
    NotPlaced,
    Placed,
    Settled,
    amend_surely,
    cancel_surely,
    place_surely,
)
from live.venues.trading import (
    Accepted,
    NewOrder,
    OrderChange,
    PlaceOutcome,
    Refused,
    StreamDown,
    Unknown,
)

FAULTY_S = 40.0
QUIET_S = 700.0  # at most; a refused key is tried again after five minutes
JOBS = 4
_LOOK_S = 1.0
_YEAR_MS = 31_536_000_000
_TICK_S = 0.75  # the market moves so often
_FRESH_S = (3, 6, 20)  # an order older than this is not sent (again)


@dataclass(slots=True)
class Job:
    """One order that a user wants, and what the client says became of it."""

    link: str
    symbol: str
    settled: Settled | None = None
    change: OrderChange | None = None
    changed: PlaceOutcome | None = None
    cancelled: PlaceOutcome | None = None
    cancel_asked: bool = False
    done: bool = False


@dataclass(slots=True)
class SeedResult:
    """What one run came to; `faults` names the kinds that fired and how often."""

    seed: int
    violations: list[tuple[str, str]] = field(default_factory=list)
    fired: Counter[str] = field(default_factory=Counter)
    orders: int = 0
    executions: int = 0
    unknowns: int = 0  # outcomes that had to be settled
    virtual_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Parts:
    """What a planted bug replaces; the sound client by default."""

    place: Callable[..., Any] = place_surely
    venue: Callable[[BybitTrading], Any] = lambda venue: venue
    transport: Callable[[Any], Any] = lambda transport: transport
    view: Callable[[], AccountView] = AccountView
    feed: type[AccountFeed] = AccountFeed


SOUND = Parts()


class User:
    """One user: account, client, jobs."""

    def __init__(self, run: "Run", number: int, *, by_stream: bool) -> None:
        self.run = run
        clock = run.clock
        key = run.venue.desk.open_account(Decimal(50_000))
        self.uid = key.uid
        signer = Signer(key.key, key.secret)
        connect = DoorConnect(run.venue, clock)
        common: dict[str, Any] = {"connections": run.budget.connections, "connect": connect}
        self.orders_by = (
            TradeStream("ws://sim", signer, run.gate, clock, run.rng, **common)
            if by_stream
            else None
        )
        self.stream = BybitPrivateStream(
            "ws://sim",
            signer,
            run.gate.venue_clock,
            clock,
            run.rng,
            sync_clock=run.gate.sync_clock,
            **common,
        )
        trading = BybitTrading(
            run.gate, signer, user=str(self.uid), stream=self.orders_by,
            on_accepted=self.stream.expect_data,
        )  # fmt: skip
        self.venue = run.parts.venue(trading)
        self.heard: list[ExecutionReport] = []
        self.feed = run.parts.feed(
            self.venue,
            self.stream,
            clock,
            on_news=self._news,
            on_down=self._down,
            view=run.parts.view(),
            since_ms=clock.now_ms(),
            options=FeedOptions(check_s=20.0),
        )
        self.jobs = [Job(f"z{number}-{i}", SYMBOLS[int(run.rng.integers(2))]) for i in range(JOBS)]

    def _news(self, news: News) -> None:
        self.heard += news.executions

    def _down(self, down: StreamDown) -> None:
        if down.fatal and not self.run.venue.plan.fired["expire_key"]:
            self.run.result.violations.append(("key", f"given up: {down.reason}"))

    # ------------------------------------------------------------------ a job's life

    async def work(self, job: Job) -> None:
        """Place an order, perhaps change it, perhaps cancel it."""
        run, rng = self.run, self.run.rng
        await run.clock.sleep(float(rng.uniform(0.5, 25.0)))
        order = self._order(job)
        job.settled = await run.parts.place(
            self.venue,
            order,
            run.clock,
            expires_ms=run.clock.now_ms() + 1000 * int(rng.choice(_FRESH_S)),
            heard=self.feed.view.by_link,
        )
        if isinstance(job.settled, Placed) and order.price is not None:
            await run.clock.sleep(float(rng.uniform(0.0, 5.0)))
            if rng.random() < 0.6:
                await self._change(job, order.price)
            if rng.random() < 0.5:
                job.cancel_asked = True
                job.cancelled = await cancel_surely(
                    self.venue, job.symbol, job.link, run.clock,
                    expires_ms=run.clock.now_ms() + 600_000,
                )  # fmt: skip
        job.done = True

    async def _change(self, job: Job, price: Decimal) -> None:
        tick = self.run.rules(job.symbol).tick_size
        job.change = OrderChange(symbol=job.symbol, order_link_id=job.link, price=price - 3 * tick)
        job.changed = await amend_surely(
            self.venue, job.change, self.run.clock,
            expires_ms=self.run.clock.now_ms() + 600_000,
        )  # fmt: skip

    def _order(self, job: Job) -> NewOrder:
        rng, rules = self.run.rng, self.run.rules(job.symbol)
        last = self.run.venue.desk.exchange.prices[job.symbol].last
        qty = rules.floor_qty(Decimal(int(rng.integers(50, 2_000))) / last)
        stop = rules.floor_price(last * Decimal("0.95"))
        if rng.random() < 0.4:
            return NewOrder(
                order_link_id=job.link, symbol=job.symbol, side="Buy", order_type="Market",
                qty=qty, stop_loss=stop, tpsl_mode="Full",
            )  # fmt: skip
        offset = Decimal(int(rng.integers(-60, 10))) / 10_000
        return NewOrder(
            order_link_id=job.link, symbol=job.symbol, side="Buy", order_type="Limit",
            qty=qty, price=rules.floor_price(last * (1 + offset)), stop_loss=stop,
            tpsl_mode="Full",
        )  # fmt: skip

    @property
    def settled(self) -> bool:
        """Tell whether every job has ended and the view is whole, the ends of orders included."""
        whole = not self.feed.view.stale and not self.feed.reading
        return all(job.done for job in self.jobs) and whole


class Run:
    """One seed."""

    def __init__(self, clock: simloop.SimClock, seed: int, parts: Parts) -> None:
        self.clock = clock
        self.parts = parts
        self.rng = np.random.default_rng([seed, 0x0E0E])
        self.result = SeedResult(seed)
        replay = market(self.rng)
        self.venue = SimVenue(
            replay, "1m", seed=seed, start_ms=clock.now_ms(), faults=draw_menu(self.rng)
        )
        for symbol in SYMBOLS:
            self.venue.desk.touch(symbol)
        self.transport = DoorTransport(self.venue, clock, self.rng, unreachable=0.03)
        self.budget = RequestBudget(clock)
        self.gate = Gate(
            parts.transport(self.transport), self.budget, VenueClock(clock), clock, self.rng
        )
        self.users = [User(self, n, by_stream=n == 1) for n in range(2)]

    def rules(self, symbol: str) -> Any:
        """Return a contract's rules."""
        return self.venue.desk.exchange.instruments[symbol]

    async def _time(self) -> None:
        while True:
            await self.clock.sleep(_TICK_S)
            self.venue.desk.advance(self.clock.now_ms())

    async def run(self) -> SeedResult:
        """Run the seed and look at the books."""
        asyncio.get_running_loop().set_exception_handler(self._loose)
        tasks = [asyncio.create_task(self._time())]
        for user in self.users:
            tasks.append(asyncio.create_task(user.feed.run()))
            if user.orders_by is not None:
                await user.orders_by.start()
            tasks += [asyncio.create_task(user.work(job)) for job in user.jobs]
        await self.clock.sleep(FAULTY_S)
        self.venue.plan.clear()
        self.transport.unreachable = 0.0
        self._renew_keys()
        await self._quiet()
        self.result.fired.update(self.venue.plan.fired)
        self.result.virtual_s = self.clock.monotonic_s()
        for user in self.users:
            self._judge(user)
        if self.venue.desk.crashes:
            self.result.violations.append(("venue", self.venue.desk.crashes[0]))
        for task in tasks:
            if task.done() and not task.cancelled() and task.exception() is not None:
                self.result.violations.append(("client", repr(task.exception())))
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for user in self.users:
            await user.stream.close()
            await user.venue.close()
        await self.gate.close()
        return self.result

    def _loose(self, _loop: asyncio.AbstractEventLoop, said: dict[str, Any]) -> None:
        """Note a failure that nobody looked at."""
        self.result.violations.append(("client", f"{said.get('message')}: {said.get('exception')}"))

    def _renew_keys(self) -> None:
        """Give back every key that ended: what was left open has to be settled then."""
        keys = self.venue.desk.keys
        for user in self.users:
            for key in keys.of(user.uid):
                keys.change(key.key, expires_ms=self.clock.now_ms() + _YEAR_MS)

    async def _quiet(self) -> None:
        """Wait until all is settled, then until every feed has read its account once more."""
        # after a lock-out the client keeps silent for as long as the venue asks: ten minutes
        banned_s = self.budget.ban_left_s if self.budget.bans else 0.0
        end_s = self.clock.monotonic_s() + QUIET_S + banned_s
        while self.clock.monotonic_s() < end_s and not all(u.settled for u in self.users):
            await self.clock.sleep(_LOOK_S)
        reads = [u.feed.resyncs + 1 for u in self.users]
        while self.clock.monotonic_s() < end_s + 60.0:
            again = all(u.feed.resyncs > n for u, n in zip(self.users, reads, strict=True))
            if again and all(u.settled for u in self.users):
                return
            await self.clock.sleep(_LOOK_S)

    # ------------------------------------------------------------------ the judgement

    def _judge(self, user: User) -> None:
        account = self.venue.desk.exchange.account(user.uid)
        found = self.result.violations
        own = [o for o in account.orders.values() if o.create_type is CreateType.USER]
        by_hand = sum(self.venue.plan.fired[f"human:{act}"] for act in BY_HAND)
        if by_hand:  # a person's orders carry no id of ours; an act touches each position
            foreign = [o for o in own if not o.order_link_id][: by_hand * len(SYMBOLS)]
            own = [o for o in own if o not in foreign]
        placed = [j for j in user.jobs if isinstance(j.settled, Placed)]
        self.result.orders += len(own)
        self.result.executions += len(account.executions)
        for job in user.jobs:
            mine = [o for o in own if o.order_link_id.startswith(job.link)]
            if len(mine) > 1:
                found.append(("duplicate", f"{job.link}: {len(mine)} orders"))
            if job.settled is None or not job.done:
                found.append(("unknown", f"{job.link}: not settled"))
            elif isinstance(job.settled, Placed) and not mine:
                found.append(("lost", f"{job.link}: believed placed, the venue has none"))
            elif isinstance(job.settled, NotPlaced) and mine:
                found.append(("lost", f"{job.link}: believed absent, the venue has it"))
            self.result.unknowns += getattr(job.settled, "looks", 0) > 0
            if mine:
                found += _judge_changes(job, mine[0])
        if len(own) > len(placed):
            found.append(("duplicate", f"{len(own)} orders at the venue, {len(placed)} wanted"))
        found += _judge_view(user, account)


def _judge_changes(job: Job, order: Any) -> list[tuple[str, str]]:
    found = []
    if job.change is not None:
        stands = order.price == job.change.price
        ended = not order.order_status.is_open
        if isinstance(job.changed, Unknown):
            found.append(("unknown", f"{job.link}: change left unknown"))
        elif isinstance(job.changed, Accepted) and not stands and not ended:
            found.append(("lost", f"{job.link}: change believed, price is {order.price}"))
        elif isinstance(job.changed, Refused) and stands and not ended:
            found.append(("lost", f"{job.link}: change believed refused, it stands"))
    if job.cancel_asked:
        if isinstance(job.cancelled, Unknown) or job.cancelled is None:
            found.append(("unknown", f"{job.link}: cancel left unknown"))
        elif isinstance(job.cancelled, Accepted) and order.order_status.is_open:
            found.append(("lost", f"{job.link}: cancel believed, the order works"))
    return found


def _judge_view(user: User, account: Account) -> list[tuple[str, str]]:
    """Compare what the client sees with the venue's books."""
    view = user.feed.view
    found: list[tuple[str, str]] = []
    truth = {e.exec_id: (e.exec_qty, e.exec_price, e.exec_fee) for e in account.executions}
    heard = Counter(e.exec_id for e in user.heard)
    twice = [e for e, n in heard.items() if n > 1]
    if twice:
        found.append(("execution twice", f"{len(twice)} of {len(truth)}"))
    if set(heard) != set(truth):
        missing, foreign = len(set(truth) - set(heard)), len(set(heard) - set(truth))
        found.append(("execution lost", f"{missing} never heard, {foreign} not the venue's"))
    seen = {e.exec_id: (e.exec_qty, e.exec_price, e.exec_fee) for e in view.executions()}
    if seen != truth and set(seen) == set(truth):
        found.append(("execution wrong", "an amount differs"))
    here = {o.order_id: o.cum_exec_qty for o in view.open_orders()}
    there = {o.order_id: o.cum_exec_qty for o in account.open_orders.values()}
    if here != there:
        found.append(("orders", f"open here {len(here)}, there {len(there)}"))
    sizes = {(p.symbol, p.position_idx): (p.side, p.size) for p in view.positions()}
    real = {
        key: (p.side.value, p.size) for key, p in account.positions.items() if p.side is not None
    }
    if sizes != real:
        found.append(("position", f"{sizes} here, {real} there"))
    balance = view.wallet.wallet_balance if view.wallet is not None else None
    if balance != account.wallet.wallet_balance:
        found.append(("wallet", f"{balance} here, {account.wallet.wallet_balance} there"))
    return found


def run_seed(seed: int, parts: Parts = SOUND) -> SeedResult:
    """Run one seed to its end in virtual time."""

    async def main(clock: simloop.SimClock) -> SeedResult:
        return await Run(clock, seed, parts).run()

    return simloop.run(main, seed)
