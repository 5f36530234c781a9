"""Keeps an account's view true: stream, snapshots, and the merging of both.

On every `StreamUp` the recipe runs: keep what arrives, read wallet, executions since the last
reading, positions and orders, merge, then what was kept. Orders that vanished meanwhile are
asked for one by one. It also runs from time to time on a living stream (a message may be lost
without a sign), and instead of the stream while that is down.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from engine.venue.reports import UNREADABLE, OrderReport, UnreadRow
from engine.venue.view import AccountView, News, Snapshot
from live.clock import Clock
from live.venues.port import Banned, Failed, Ok, Outcome, Throttled
from live.venues.trading import (
    Absent,
    Found,
    Priority,
    PrivateStream,
    StreamDown,
    StreamUp,
    TradingVenue,
)

OVERLAP_MS = 60_000  # executions are read again from this long before the newest known one
FIRST_SPAN_MS = 7 * 86_400_000 - 1  # what is read of them when nothing is known
LOOK_GAP_S = 6.0


@dataclass(frozen=True, slots=True)
class Expected:
    """An order that the venue took in: the stream or a list must tell of it."""

    symbol: str
    sent_ms: int  # venue clock


@dataclass(frozen=True, slots=True)
class Resynced:
    """The view is true again. `unsettled`: orders whose end the venue has not told yet."""

    news: News
    unsettled: tuple[OrderReport, ...] = ()


@dataclass(frozen=True, slots=True)
class NotResynced:
    """A list could not be read; the view is stale, nothing that arrived is lost."""

    reason: str
    retry_after_s: float
    news: News = field(default_factory=News)


async def resync(
    venue: TradingVenue,
    view: AccountView,
    *,
    since_ms: int | None = None,
    priority: Priority = Priority.RECONCILE,
    tell: Callable[[News], None] | None = None,
    expected: dict[str, Expected] | None = None,
) -> Resynced | NotResynced:
    """Read the account and merge it; the stream's reports may be applied to the view meanwhile.

    Cancelled, or failed by an error, it leaves the view stale and keeping: the next one goes on.

    Parameters
    ----------
    since_ms : int, optional
        From when on executions are wanted where the view knows none; 7 days back without it.
    priority : Priority
        Of the lists; how orders that vanished have ended is always asked as reconciliation.
    tell : callable, optional
        Told what the lists changed before that is asked; the result then holds only the rest.
    expected : dict, optional
        Orders by link id that somebody must tell of: those of which nothing does are asked for. An
        order that began and ended while nobody listened is in no list of open ones, and without a
        fill in none of executions. What is settled is taken out.
    """
    view.begin_resync()
    taken = await _read(venue, view, since_ms, priority)
    if isinstance(taken, NotResynced):
        return replace(taken, news=view.end_resync(complete=False))
    from_snapshot = view.snapshot(taken)
    from_stream = view.end_resync()
    merged = joined(from_snapshot, from_stream)
    if tell is not None:
        if merged:
            tell(merged)
        merged = News()
    unsettled = [o for o in from_stream.vanished if _still_open(view, o)]
    settled: list[OrderReport] = []
    for order in unsettled:
        found = await _end_of(venue, order)
        if found is not None:
            view.apply(found)
            settled.append(found)
    left = tuple(o for o in unsettled if _still_open(view, o))
    found, absent = await _ask_for(venue, view, expected) if expected else ([], ())
    ids = [o.order_id for o in (*settled, *found)]
    news = replace(merged, orders=_unique(merged.orders, ids), absent=absent)
    return Resynced(news, left)


async def _ask_for(
    venue: TradingVenue, view: AccountView, expected: dict[str, Expected]
) -> tuple[list[OrderReport], tuple[str, ...]]:
    """Ask for the expected orders that nothing has told of; returns the found and the absent."""
    found: list[OrderReport] = []
    absent: list[str] = []
    for link, of in list(expected.items()):
        if view.by_link(link) is None:
            said = await venue.look_up(of.symbol, link, sent_ms=of.sent_ms)
            if isinstance(said, Absent):
                absent.append(link)
            elif isinstance(said, Found) and said.order.order_status != UNREADABLE:
                view.apply(said.order)
                found.append(said.order)
            else:
                continue
        expected.pop(link, None)
    return found, tuple(absent)


async def _read(
    venue: TradingVenue, view: AccountView, since_ms: int | None, priority: Priority
) -> Snapshot | NotResynced:
    unread: list[UnreadRow] = []
    # The wallet first: the other readings are younger than what its reply says the time is.
    wallet = _legible(await venue.wallet(priority=priority), unread)
    if not isinstance(wallet, Ok):
        return _failed("wallet", wallet)
    if view.complete_ms:
        start_ms = view.complete_ms - OVERLAP_MS
    else:
        start_ms = wallet.venue_ms - FIRST_SPAN_MS if since_ms is None else since_ms
    executions = _legible(await venue.executions(start_ms=start_ms, priority=priority), unread)
    if not isinstance(executions, Ok):
        return _failed("executions", executions)
    positions = _legible(await venue.positions(priority=priority), unread)
    if not isinstance(positions, Ok):
        return _failed("positions", positions)
    orders = _legible(await venue.orders(priority=priority), unread)
    if not isinstance(orders, Ok):
        return _failed("orders", orders)
    return Snapshot(
        tuple(orders.value),
        tuple(positions.value),
        tuple(executions.value),
        wallet.value,
        tuple(unread),
    )


def _legible(outcome: Outcome[Any], unread: list[UnreadRow]) -> Outcome[Any]:
    """Take what could be read; what could not is named, and hides its symbol in the view.

    One row of a kind nobody has seen must not leave the whole account unseen.
    """
    if isinstance(outcome, Failed) and outcome.partial is not None:
        unread += outcome.partial.unread
        return Ok(outcome.partial.value, outcome.partial.venue_ms)
    return outcome


def _failed(what: str, outcome: object) -> NotResynced:
    if isinstance(outcome, Throttled | Banned):
        return NotResynced(f"{what}: {type(outcome).__name__.lower()}", outcome.retry_after_s)
    return NotResynced(f"{what}: {getattr(outcome, 'reason', outcome)}", 1.0)


def _still_open(view: AccountView, order: OrderReport) -> bool:
    now = view.order(order.order_id)
    return now is not None and now.is_open


async def _end_of(venue: TradingVenue, order: OrderReport) -> OrderReport | None:
    """Ask how an order ended; None while the venue does not say."""
    found = await venue.look_up(
        order.symbol, order.order_link_id, order_id=order.order_id, sent_ms=order.updated_time
    )
    if isinstance(found, Found):
        return found.order if found.order.order_status != UNREADABLE else None
    if isinstance(found, Absent):
        # Given twice: the venue keeps an order cancelled without a fill for a day only.
        return replace(order, order_status="Cancelled", cancel_type="UNKNOWN")
    return None


def joined(a: News, b: News) -> News:
    """Return what two merges changed together."""
    return News(
        executions=(*a.executions, *b.executions),
        orders=_unique(a.orders, b.orders),
        positions=tuple(dict.fromkeys((*a.positions, *b.positions))),
        wallet=a.wallet or b.wallet,
        vanished=(*a.vanished, *b.vanished),
        unread=(*a.unread, *b.unread),
    )


def _unique(*parts: "tuple[str, ...] | list[str]") -> tuple[str, ...]:
    return tuple(dict.fromkeys(each for part in parts for each in part))


# ---------------------------------------------------------------------------- the driver


@dataclass(frozen=True, slots=True)
class FeedOptions:
    """Timings, seconds."""

    check_s: float = 60.0  # a snapshot on a living stream
    poll_s: float = 5.0  # a snapshot while the stream is down
    retry_first_s: float = 1.0
    retry_max_s: float = 30.0
    settle_s: float = LOOK_GAP_S  # until an order that vanished is asked for again


OnNews = Callable[[News], None]


class AccountFeed:
    """Runs one account's stream into its view.

    Parameters
    ----------
    on_news : callable
        Told what changed, at once; executions come to it exactly once.
    on_down : callable or None
        Told that the stream fell, and whether the key itself was refused.
    on_read : callable or None
        Told of every whole reading, after its news: the view is true now.
    """

    def __init__(
        self,
        venue: TradingVenue,
        stream: PrivateStream,
        clock: Clock,
        *,
        on_news: OnNews,
        on_down: Callable[[StreamDown], None] | None = None,
        on_read: Callable[[], None] | None = None,
        view: AccountView | None = None,
        since_ms: int | None = None,
        options: FeedOptions | None = None,
    ) -> None:
        self.view = view or AccountView()
        self.resyncs = 0
        self.reading = False  # the account is being read, or the ends of orders asked for
        self.failed_resyncs = 0
        self.up = False
        self.fatal = ""
        self._venue = venue
        self._stream = stream
        self._clock = clock
        self._on_news = on_news
        self._on_down = on_down
        self._on_read = on_read
        self._since_ms = since_ms
        self._options = options or FeedOptions()
        self._due = asyncio.Event()
        self._again = False
        self._read_once = False
        self._expected: dict[str, Expected] = {}
        self._rank = Priority.RECONCILE  # of the reading under way
        self._under_way: asyncio.Task[Resynced | NotResynced] | None = None
        self._only_checked = False

    def expect(self, order_link_id: str, symbol: str, sent_ms: int) -> None:
        """Name an order the venue accepted: if nothing tells of it, the next reading asks.

        What became of it comes as news like everything else: the order itself, or `News.absent`.
        """
        if self.view.by_link(order_link_id) is None:
            self._expected[order_link_id] = Expected(symbol, sent_ms)
            self._hurry()

    def expects(self, order_link_id: str) -> bool:
        """Tell whether an order has been named, and nothing has told of it yet."""
        return order_link_id in self._expected

    def ask(self) -> None:
        """Read the account anew, now: something does not fit."""
        self._due.set()

    @property
    def exposed(self) -> bool:
        """Tell whether the account has something at stake, for all that is known."""
        view = self.view
        known = self._read_once and not view.unread
        return not known or bool(view.positions() or view.open_orders() or self._expected)

    @property
    def has_read(self) -> bool:
        """Tell whether the account has been read in whole since the start."""
        return self._read_once

    @property
    def sees(self) -> bool:
        """Tell whether the view is true; a check of a living, silent stream leaves it so."""
        return not self.view.stale or (self._only_checked and self.up)

    async def run(self) -> None:
        """Run until cancelled; the stream is started, not closed."""
        await self._stream.start()
        tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._resync_when_due())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _read(self) -> None:
        while True:
            for item in await self._stream.batch():
                self._only_checked = False
                if isinstance(item, StreamUp):
                    self.up = True
                    self.fatal = ""
                    self.view.begin_resync()  # before the first request: nothing falls between
                    self._again = True
                    self._due.set()
                elif isinstance(item, StreamDown):
                    self.up = False
                    self.view.stale = True
                    self.fatal = item.reason if item.fatal else self.fatal
                    self._due.set()
                    if self._on_down is not None:
                        self._on_down(item)
                else:
                    self._tell(self.view.apply(item))
                    self._hurry()

    async def _resync_when_due(self) -> None:
        wait_s = 0.0
        retry_s = self._options.retry_first_s
        while True:
            self._due.clear()
            self._again = False
            self.reading = True
            outcome = await self._resync(self._priority())
            self.reading = False
            self.resyncs += 1
            self._tell(outcome.news)
            if isinstance(outcome, NotResynced):
                self.failed_resyncs += 1
                wait_s = max(retry_s, outcome.retry_after_s)
                retry_s = min(retry_s * 2.0, self._options.retry_max_s)
            else:
                retry_s = self._options.retry_first_s
                self._read_once = True
                wait_s = self._options.check_s if self.up else self._options.poll_s
                if outcome.unsettled or self._expected:
                    wait_s = min(wait_s, self._options.settle_s)
                if self._on_read is not None:
                    self._on_read()
                if not self.up or self._again:
                    self.view.stale = True  # true a moment ago, which is not now
            await self._rest(wait_s, urgent=isinstance(outcome, Resynced))

    async def _resync(self, priority: Priority) -> Resynced | NotResynced:
        """Read the account; one that hurries meanwhile begins anew at a higher rank."""
        self._only_checked = self.up and not self.view.stale
        while True:
            self._rank = priority
            self._under_way = asyncio.create_task(
                resync(
                    self._venue,
                    self.view,
                    since_ms=self._since_ms,
                    priority=priority,
                    tell=self._tell,
                    expected=self._expected,
                )
            )
            try:
                await asyncio.wait([self._under_way])
            except asyncio.CancelledError:
                self._under_way.cancel()
                await asyncio.gather(self._under_way, return_exceptions=True)
                raise
            if not self._under_way.cancelled():
                self._only_checked = False
                return self._under_way.result()
            priority = Priority.RECONCILE

    def _hurry(self) -> None:
        """Let a reading that can wait wait no longer: the account does something.

        What the stream tells is kept until its end, so fills would wait with it; the stop guard,
        which must not, would ask by itself every second, and hold the reading up with that.
        """
        if self._rank == Priority.POLL and self.view.stale and self._under_way is not None:
            self._under_way.cancel()

    def _priority(self) -> Priority:
        """Rank a reading: who may have something at stake and cannot see it goes first.

        A check of a stream that lives, or of an account that had nothing open, can wait: a thousand
        of these must hold up neither the reconciliation of who is exposed nor entries.
        """
        if self._read_once and self.up and not self.view.stale:
            return Priority.POLL
        return Priority.RECONCILE if self.exposed else Priority.POLL

    async def _rest(self, wait_s: float, *, urgent: bool) -> None:
        """Wait; a stream that came up or fell ends the wait, unless the venue asked for it."""
        sleep = asyncio.create_task(self._clock.sleep(wait_s))
        due = asyncio.create_task(self._due.wait())
        try:
            await asyncio.wait(
                [sleep, due] if urgent else [sleep], return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            sleep.cancel()
            due.cancel()

    def _tell(self, news: News) -> None:
        if news:
            self._on_news(news)
