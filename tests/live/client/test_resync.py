"""The feed of an account: recipe, checks, polling, in virtual time over a small venue."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from engine.venue.reports import OrderReport, WalletReport
from engine.venue.view import AccountView, News
from live.clock import ManualClock
from live.venues.port import Banned, Failed, Ok
from live.venues.resync import AccountFeed, NotResynced, Resynced, resync
from live.venues.trading import Absent, Found, PrivateItem, StreamDown, StreamUp, Undecided
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
        self.broken: dict[str, Any] = {}
        self.pause: asyncio.Event | None = None

    async def _give(self, what: str, value: Any) -> Any:
        self.asked.append(what)
        if self.pause is not None and what == "positions":
            await self.pause.wait()
        return self.broken.get(what, Ok(value, START_MS))

    async def wallet(self) -> Any:
        return await self._give(
            "wallet", WalletReport(wallet_balance=D(1), equity=D(1), updated_time=START_MS)
        )

    async def executions(self, *, start_ms: int, end_ms: int | None = None) -> Any:
        del end_ms
        self.spans.append(start_ms)
        return await self._give("executions", [e for e in self.fills if e.exec_time >= start_ms])

    async def positions(self) -> Any:
        return await self._give("positions", list(self.holding))

    async def orders(self, *, symbol: str = "") -> Any:
        del symbol
        return await self._give("orders", list(self.open.values()))

    async def look_up(self, symbol: str, link: str, *, sent_ms: int, order_id: str = "") -> Any:
        del symbol, link, sent_ms
        self.asked.append(f"look {order_id}")
        answers = self.lookups.get(order_id, [Undecided("not yet")])
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
