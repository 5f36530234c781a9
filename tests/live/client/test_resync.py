"""The feed of an account: recipe, checks, polling, in virtual time over a small venue."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from engine.venue.reports import UNREADABLE, OrderReport, UnreadRow, WalletReport
from engine.venue.view import AccountView, News
from live.clock import ManualClock
from live.venues.port import Banned, Failed, Ok, Partial
from live.venues.resync import AccountFeed, NotResynced, Resynced, resync
from live.venues.trading import (
    Absent,
    Found,
    Priority,
    PrivateItem,
    StreamDown,
    StreamUp,
    Undecided,
)
from tests.engine.test_account_view import fill, order, position
from tests.live.client.fakes import START_MS, Running, settle

D = Decimal


class Account:
    """The lists of an account, and how often they were read."""

    def __init__(self) -> None:
        self.open: dict[str, OrderReport] = {}
        self.fills: list[Any] = []
        self.holding: list[Any] = []
        self.lookups: dict[str, Any] = {}
        self.asked: list[str] = []
        self.spans: list[int] = []
        self.ranks: list[Any] = []  # priorities of readings
        self.broken: dict[str, Any] = {}
        self.pause: asyncio.Event | None = None

    async def _give(self, what: str, value: Any) -> Any:
        self.asked.append(what)
        if self.pause is not None and what == "positions":
            await self.pause.wait()
        return self.broken.get(what, Ok(value, START_MS))

    async def wallet(self, *, priority: Any = None) -> Any:
        self.ranks.append(priority)
        return await self._give(
            "wallet", WalletReport(wallet_balance=D(1), equity=D(1), updated_time=START_MS)
        )

    async def executions(
        self, *, start_ms: int, end_ms: int | None = None, priority: Any = None
    ) -> Any:
        del end_ms, priority
        self.spans.append(start_ms)
        return await self._give("executions", [e for e in self.fills if e.exec_time >= start_ms])

    async def positions(self, *, priority: Any = None) -> Any:
        del priority
        return await self._give("positions", list(self.holding))

    async def orders(self, *, symbol: str = "", priority: Any = None) -> Any:
        del symbol, priority
        return await self._give("orders", list(self.open.values()))

    async def look_up(self, symbol: str, link: str, *, sent_ms: int, order_id: str = "") -> Any:
        del symbol, sent_ms
        name = order_id or link
        self.asked.append(f"look {name}")
        answers = self.lookups.get(name, [Undecided("not yet")])
        return answers.pop(0) if len(answers) > 1 else answers[0]


class Stream:
    """A private stream that says what the test wants."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[PrivateItem] = asyncio.Queue()

    async def start(self) -> None:
        pass

    async def batch(self) -> list[PrivateItem]:
        return [await self.queue.get()]

    async def close(self) -> None:
        pass

    def say(self, *items: PrivateItem) -> None:
        for item in items:
            self.queue.put_nowait(item)


class Feed:
    def __init__(self) -> None:
        self.clock = ManualClock(START_MS)
        self.account = Account()
        self.stream = Stream()
        self.news: list[News] = []
        self.downs: list[StreamDown] = []
        self.feed = AccountFeed(
            self.account,
            self.stream,
            self.clock,
            on_news=self.news.append,
            on_down=self.downs.append,
        )
        self.view = self.feed.view

    def fills(self) -> list[str]:
        return [e.exec_id for n in self.news for e in n.executions]


@contextlib.asynccontextmanager
async def running() -> AsyncIterator[Feed]:
    made = Feed()
    task = asyncio.create_task(made.feed.run())
    await settle()
    try:
        yield made
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_without_the_stream_the_lists_are_polled_and_the_view_stays_stale():
    async with running() as f:
        f.account.fills.append(fill(1, 1, START_MS))
        async with Running(f.clock, step_s=0.5):
            await f.clock.sleep(11.0)
        assert f.fills() == ["e1-1"]
        assert f.view.stale
        assert f.feed.resyncs == 3
        assert f.account.asked[:4] == ["wallet", "executions", "positions", "orders"]


async def test_the_stream_comes_up_and_the_view_is_true():
    async with running() as f:
        f.account.open["o1"] = order(1, "New", START_MS)
        f.account.holding.append(position("AUSDT", "1", START_MS))
        f.stream.say(StreamUp(1))
        await settle()
        assert not f.view.stale
        assert [o.order_id for o in f.view.open_orders()] == ["o1"]
        f.stream.say(order(1, "Filled", START_MS + 1, "4"), fill(1, 1, START_MS + 1))
        await settle()
        assert f.view.open_orders() == []
        assert f.fills() == ["e1-1"]


async def test_what_arrives_while_the_lists_are_read_is_merged_once():
    async with running() as f:
        f.account.pause = asyncio.Event()
        f.stream.say(StreamUp(1), fill(1, 1, START_MS), position("AUSDT", "3", START_MS + 5))
        await settle()
        assert f.view.executions() == []
        f.account.fills.append(fill(1, 1, START_MS))
        f.account.holding.append(position("AUSDT", "1", START_MS))
        f.account.pause.set()
        await settle()
        assert f.fills() == ["e1-1"]
        assert [p.size for p in f.view.positions()] == [D(3)]


async def test_a_stream_that_falls_and_comes_back_during_a_reading_is_read_again():
    async with running() as f:
        f.account.pause = asyncio.Event()
        f.stream.say(StreamUp(1))
        await settle()
        f.stream.say(StreamDown(1, "cut"), StreamUp(2))
        await settle()
        f.account.holding.append(position("AUSDT", "1", START_MS))
        before = f.feed.resyncs
        f.account.pause.set()
        await settle(100)
        assert f.feed.resyncs >= before + 2
        assert not f.view.stale
        assert [d.reason for d in f.downs] == ["cut"]


async def test_a_message_lost_without_a_sign_is_found_by_the_next_check():
    async with running() as f:
        f.stream.say(StreamUp(1), order(1, "New", START_MS))
        await settle()
        f.account.fills.append(fill(1, 1, START_MS + 1))  # told by nobody
        f.stream.say(fill(1, 2, START_MS + 900_000))  # a later one is
        f.account.fills.append(fill(1, 2, START_MS + 900_000))
        f.account.lookups["o1"] = [Found(order(1, "Filled", START_MS + 1, "4"))]
        async with Running(f.clock, step_s=1.0):
            await f.clock.sleep(61.0)
        assert sorted(f.fills()) == ["e1-1", "e1-2"]
        assert f.view.open_orders() == []
        assert f.view.order("o1").order_status == "Filled"


async def test_an_order_that_vanished_is_asked_for_until_the_venue_tells_its_end():
    async with running() as f:
        f.account.lookups["o1"] = [Undecided("x"), Undecided("y"), Absent(START_MS)]
        f.stream.say(StreamUp(1), order(1, "New", START_MS))
        await settle()
        f.stream.say(StreamUp(1))
        async with Running(f.clock, step_s=0.5):
            await f.clock.sleep(30.0)
        assert f.account.asked.count("look o1") == 3
        said = f.view.order("o1")
        assert (said.order_status, said.cum_exec_qty) == ("Cancelled", 0)


@pytest.mark.parametrize("what", ["wallet", "executions", "positions", "orders"])
async def test_a_list_that_fails_leaves_the_view_stale_and_loses_nothing(what):
    async with running() as f:
        f.account.broken[what] = Failed("no")
        f.stream.say(StreamUp(1), fill(1, 1, START_MS))
        async with Running(f.clock, step_s=0.25):
            await f.clock.sleep(20.0)
            assert f.view.stale
            assert f.fills() == ["e1-1"]
            assert 3 <= f.feed.failed_resyncs <= 8  # slower and slower
            f.account.broken.clear()
            await f.clock.sleep(40.0)
        assert not f.view.stale
        assert f.fills() == ["e1-1"]


async def test_a_locked_out_address_is_left_alone():
    async with running() as f:
        f.account.broken["wallet"] = Banned(600.0)
        f.stream.say(StreamUp(1))
        async with Running(f.clock, step_s=5.0):
            await f.clock.sleep(590.0)
        assert f.account.asked.count("wallet") == 2


async def test_a_fatal_end_is_told():
    async with running() as f:
        f.stream.say(StreamDown(1, "key", fatal=True))
        await settle()
        assert f.feed.fatal == "key"
        assert f.downs[0].fatal


async def test_executions_are_read_from_the_last_complete_reading_on():
    account, view = Account(), AccountView()
    assert isinstance(await resync(account, view, since_ms=77), Resynced)
    account.fills = [fill(1, 1, START_MS)]
    await resync(account, view, since_ms=77)
    view.apply(fill(1, 2, START_MS + 10**9))  # the stream is ahead: it may have missed some
    await resync(account, view)
    assert account.spans == [77, 77, START_MS - 60_000]


async def test_a_failed_reading_tells_what_the_stream_brought():
    account, view = Account(), AccountView()
    account.broken["orders"] = Failed("no")
    account.pause = asyncio.Event()
    task = asyncio.create_task(resync(account, view))
    await settle()
    view.apply(fill(1, 1, START_MS))
    account.pause.set()
    outcome = await task
    assert isinstance(outcome, NotResynced)
    assert [e.exec_id for e in outcome.news.executions] == ["e1-1"]


async def test_an_order_placed_meanwhile_is_not_taken_for_ended():
    account, view = Account(), AccountView()
    account.pause = asyncio.Event()
    account.lookups["o1"] = [Found(order(1, "New", START_MS))]
    task = asyncio.create_task(resync(account, view))
    await settle()
    view.apply(replace(order(1, "New", START_MS)))
    account.pause.set()
    outcome = await task
    assert isinstance(outcome, Resynced)
    assert [o.order_id for o in view.open_orders()] == ["o1"]


def holed(value: Any, what: str, **named: Any) -> Failed:
    """A list of which one row cannot be read."""
    row = UnreadRow(why="qty cannot be read", what=what, **named)
    return Failed("a row cannot be read", partial=Partial(value, START_MS, (row,)))


async def test_one_unreadable_row_hides_its_symbol_and_nothing_else():
    account, view = Account(), AccountView()
    account.open = {"o1": order(1, "New", START_MS), "o2": order(2, "New", START_MS)}
    account.holding = [position("AUSDT", "1", START_MS), position("BUSDT", "1", START_MS)]
    await resync(account, view)
    # at the next reading both rows of one symbol have a form that nobody knows
    symbol = account.open["o1"].symbol
    (other,) = {"AUSDT", "BUSDT"} - {symbol}
    account.broken["orders"] = holed([account.open["o2"]], "order", symbol=symbol, order_id="o1")
    kept = [p for p in account.holding if p.symbol != symbol]
    account.broken["positions"] = holed(kept, "position", symbol=symbol)
    outcome = await resync(account, view)
    assert isinstance(outcome, Resynced)
    assert not view.stale
    assert [row.what for row in outcome.news.unread] == ["position", "order"]
    assert len(view.hidden(symbol)) == 2
    assert view.hidden(other) == ()
    # neither ended, neither closed: what cannot be read is not absent
    assert {o.order_id for o in view.open_orders()} == {"o1", "o2"}
    assert {p.symbol for p in view.positions()} == {"AUSDT", "BUSDT"}
    assert not [each for each in account.asked if each.startswith("look")]
    again = await resync(account, view)
    assert again.news.unread == ()  # told once
    account.broken.clear()
    await resync(account, view)
    assert view.hidden(symbol) == ()


@pytest.mark.parametrize("what", ["orders", "positions"])
async def test_a_row_without_a_symbol_hides_all_of_them(what):
    account, view = Account(), AccountView()
    account.open = {"o1": order(1, "New", START_MS)}
    account.holding = [position("AUSDT", "1", START_MS)]
    await resync(account, view)
    account.broken[what] = holed([], what.removesuffix("s"))
    assert isinstance(await resync(account, view), Resynced)
    assert view.hidden("AUSDT")
    assert view.hidden("BUSDT")
    assert [o.order_id for o in view.open_orders()] == ["o1"]
    assert [p.symbol for p in view.positions()] == ["AUSDT"]


async def test_an_unreadable_execution_is_asked_for_until_it_can_be_read():
    account, view = Account(), AccountView()
    early, late = fill(1, 1, START_MS), fill(1, 2, START_MS + 10**7)
    bad_ms = START_MS + 1000
    account.broken["executions"] = holed(
        [early, late], "execution", symbol="AUSDT", exec_id="e1-3", ts=bad_ms
    )
    outcome = await resync(account, view, since_ms=77)
    assert len(outcome.news.executions) == 2
    await resync(account, view)
    assert account.spans[-1] <= bad_ms
    account.broken.clear()
    account.fills = [early, fill(1, 3, bad_ms), late]
    assert [e.exec_id for e in (await resync(account, view)).news.executions] == ["e1-3"]
    assert view.complete_ms == late.exec_time


async def test_an_unreadable_wallet_hides_every_symbol_and_no_position():
    account, view = Account(), AccountView()
    account.holding = [position("AUSDT", "1", START_MS)]
    account.broken["wallet"] = holed(None, "wallet")
    assert isinstance(await resync(account, view), Resynced)
    assert [p.symbol for p in view.positions()] == ["AUSDT"]
    assert view.hidden("AUSDT")
    assert view.wallet is None


async def test_an_order_that_barely_reads_is_not_put_into_the_view():
    account, view = Account(), AccountView()
    view.apply(order(1, "New", START_MS))
    barely = replace(order(1, UNREADABLE, 0), qty=D(0))
    account.lookups["o1"] = [Found(barely)]
    outcome = await resync(account, view)
    assert isinstance(outcome, Resynced)
    assert [o.order_id for o in outcome.unsettled] == ["o1"]
    assert view.order("o1").qty == 4


async def test_a_reading_that_is_cancelled_loses_no_news():
    account, view = Account(), AccountView()
    account.pause = asyncio.Event()
    task = asyncio.create_task(resync(account, view))
    await settle()
    assert not view.apply(fill(1, 1, START_MS))  # kept
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    account.pause.set()
    outcome = await resync(account, view)
    assert [e.exec_id for e in outcome.news.executions] == ["e1-1"]


async def test_fills_are_told_before_the_ends_of_orders_are_asked():
    async with running() as f:
        f.stream.say(StreamUp(1), order(1, "New", START_MS))
        await settle()
        f.account.fills.append(fill(1, 1, START_MS + 1))
        never = asyncio.Event()

        async def hangs(*_: Any, **__: Any) -> Any:
            await never.wait()

        f.account.look_up = hangs  # type: ignore[method-assign]
        f.stream.say(StreamUp(1))
        await settle()
        assert f.fills() == ["e1-1"]


async def test_who_is_exposed_and_cannot_see_goes_first_and_checks_last():
    async with running() as f:
        assert f.account.ranks == [Priority.RECONCILE]  # nothing is known yet
        async with Running(f.clock, step_s=0.5):
            await f.clock.sleep(6.0)
        assert f.account.ranks[1:] == [Priority.POLL]  # down, and nothing at stake
        f.account.holding.append(position("AUSDT", "1", START_MS))
        f.stream.say(StreamUp(1))
        await settle()
        f.account.ranks.clear()
        async with Running(f.clock, step_s=1.0):
            await f.clock.sleep(61.0)
        assert f.account.ranks == [Priority.POLL]  # a check of a stream that lives
        f.stream.say(StreamDown(1, "cut"))
        await settle()
        assert f.account.ranks[1:] == [Priority.RECONCILE]


async def test_an_order_that_began_and_ended_while_nobody_listened_is_asked_for():
    async with running() as f:
        f.stream.say(StreamUp(1))
        await settle()
        f.stream.say(StreamDown(1, "cut"))
        await settle()
        for n, link in enumerate(("l2", "l4", "l6")):
            f.feed.expect(link, "AUSDT", START_MS + n)
        f.account.lookups["l2"] = [Undecided("x"), Found(order(2, "Cancelled", START_MS + 5))]
        f.account.lookups["l4"] = [Undecided("x"), Undecided("y"), Absent(START_MS)]
        f.account.open["o6"] = order(6, "New", START_MS + 3)  # the third is in a list
        f.stream.say(StreamUp(2))
        async with Running(f.clock, step_s=0.5):
            await f.clock.sleep(30.0)
        ended = f.view.by_link("l2")
        assert ended is not None
        assert ended.order_status == "Cancelled"
        assert [n.absent for n in f.news if n.absent] == [("l4",)]
        assert [f.account.asked.count(f"look {link}") for link in ("l2", "l4", "l6")] == [2, 3, 0]
        f.feed.expect("l6", "AUSDT", START_MS)  # told of already
        async with Running(f.clock, step_s=1.0):
            await f.clock.sleep(70.0)
        assert f.account.asked.count("look l6") == 0
