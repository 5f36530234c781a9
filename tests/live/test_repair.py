"""Holes: filled, declared, given up; the pump over a scripted stream and a manual clock."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.profiles import load_profile
from live.clock import ManualClock
from live.market.collate import Collator
from live.market.repair import RepairOptions, settled_through
from live.market.scanner import Scanner
from live.market.stream import Pump
from live.venues.port import (
    Banned,
    ClosedBar,
    Failed,
    Joined,
    Quiet,
    StreamFigures,
    StreamItem,
    Throttled,
    TopicOutcome,
    TopicState,
)
from tests.live.helpers import STEP, T0, OracleRest, kline, only, until, walk

PROFILE = load_profile("default", "15m")
N = 12


class ScriptedStream:
    """A stream whose items the test puts."""

    def __init__(self) -> None:
        self.items: asyncio.Queue[StreamItem] = asyncio.Queue()

    async def start(self) -> None:
        """Nothing to connect."""

    def watch(self, symbols: object) -> None:
        """Everything is watched."""

    async def batch(self) -> list[StreamItem]:
        out = [await self.items.get()]
        while not self.items.empty():
            out.append(self.items.get_nowait())
        return out

    async def ticks(self) -> AsyncIterator[dict]:
        await asyncio.Event().wait()
        yield {}

    def figures(self) -> StreamFigures:
        return StreamFigures()

    async def close(self) -> None:
        """Nothing to close."""


class Rig:
    """A pump between a scripted stream and an oracle."""

    def __init__(self, bars: dict, options: RepairOptions | None = None) -> None:
        self.bars = bars
        self.symbols = sorted(bars)
        self.clock = ManualClock(T0)
        self.rest = OracleRest(bars, T0)
        self.stream = ScriptedStream()
        self.notes: list[str] = []
        self.handed: list[tuple[int, int]] = []
        self.collator = Collator(STEP)
        scanner = Scanner(PROFILE, STEP, window_bars=200)
        for s in self.symbols:
            self.collator.row(s)
        scanner.grow(len(self.symbols))
        scanner.set_universe(range(len(self.symbols)), self.symbols)
        self.collator.begin(T0)
        for s in self.symbols:
            self.collator.activate(s, T0 - STEP)
        self.scanner = scanner
        self.pump = Pump(
            self.collator,
            scanner,
            stream=self.stream,
            rest=self.rest,
            clock=self.clock,
            interval="15m",
            scanned=self.scanned,
            note=self.notes.append,
            grace_s=3.0,
            options=options or RepairOptions(),
        )

    async def scanned(self, batch, _scan) -> None:
        self.handed += [(batch.ts, int(r)) for r in batch.rows]

    def send(self, symbol: str, index: int, shard: int = 0) -> None:
        self.stream.items.put_nowait(ClosedBar(symbol, shard, kline(self.bars[symbol], index)))

    def say(self, item: StreamItem) -> None:
        self.stream.items.put_nowait(item)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.pump.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def tick(self, seconds: float, condition, what: str) -> None:
        """Let time pass in small steps until a condition holds."""
        for _ in range(int(seconds / 0.5)):
            for _ in range(30):
                await asyncio.sleep(0)
            if condition():
                return
            self.clock.advance(0.5)
        raise AssertionError(f"never happened: {what}")


def two() -> dict:
    return {"A": walk(N, 1), "B": walk(N, 2)}


def joined(rig: Rig) -> None:
    rig.say(Joined(0, tuple(rig.symbols)))


async def test_a_dropped_confirm_is_fetched_before_any_later_bar_is_decided() -> None:
    rig = Rig(two())
    async with rig.running():
        joined(rig)
        rig.send("A", 0)
        rig.rest.now_ms = T0 + 2 * STEP
        rig.send("A", 1)
        rig.send("B", 1)
        await until(lambda: len(rig.handed) == 4, "both minutes of both symbols")
    assert rig.handed == [(T0, 0), (T0, 1), (T0 + STEP, 0), (T0 + STEP, 1)]
    assert ("B", T0) in rig.rest.asked
    assert rig.pump.repairer.counters.bars >= 1


async def test_the_grace_passes_and_the_others_go_on() -> None:
    rig = Rig(two())
    rig.rest.script = [Throttled(5.0)] * 2
    async with rig.running():
        rig.send("A", 0)
        await until(rig.collator.started, "the first bar is here")
        rig.rest.now_ms = T0 + STEP + 60_000
        await rig.tick(10, lambda: rig.handed == [(T0, 0)], "A alone is decided")
        assert rig.collator.minute == T0
        await rig.tick(60, lambda: rig.handed == [(T0, 0), (T0, 1)], "B is repaired")
    assert rig.collator.minute == T0 + STEP
    assert rig.pump.repairer.counters.failures == 2


async def test_a_bar_that_history_lacks_is_a_hole_only_once_history_is_settled() -> None:
    bars = two()
    bars["B"] = only(bars["B"], np.arange(N) != 0)
    rig = Rig(bars)
    async with rig.running():
        rig.send("A", 0)
        rig.rest.now_ms = T0 + STEP + 3_000  # closed, not settled: it may only be slow
        await rig.tick(10, lambda: len(rig.rest.asked) >= 2, "asked again")
        assert rig.collator.minute == T0
        rig.rest.now_ms = T0 + STEP + 11_000
        await rig.tick(60, lambda: rig.collator.minute == T0 + STEP, "the hole is declared")
    assert rig.collator.counters.holes == 1
    assert rig.pump.repairer.counters.absent == 1
    assert rig.handed == [(T0, 0)]


@pytest.mark.parametrize("failure", [Failed("HTTP 502"), Throttled(1.0), Banned(600.0)])
async def test_a_venue_that_never_answers_does_not_stop_the_market(failure: object) -> None:
    rig = Rig(two(), RepairOptions(deadline_s=20.0))
    rig.rest.script = [failure] * 1000
    async with rig.running():
        rig.send("A", 0)
        rig.send("A", 1)
        await until(rig.collator.started, "bars are here")
        await rig.tick(200, lambda: rig.collator.minute == T0 + STEP, "B is given up")
    assert rig.pump.repairer.counters.given_up == 1
    assert any("B" in note for note in rig.notes)


async def test_an_unknown_symbol_is_given_up_at_once() -> None:
    rig = Rig(two())
    del rig.rest.bars["B"]
    async with rig.running():
        joined(rig)
        rig.send("A", 0)
        rig.rest.now_ms = T0 + 2 * STEP
        rig.send("A", 1)
        await until(lambda: rig.collator.minute >= T0 + STEP, "the minute goes on")
    assert rig.pump.repairer.counters.given_up >= 1


async def test_a_reconnect_asks_for_what_closed_meanwhile() -> None:
    rig = Rig(two())
    rig.rest.now_ms = T0 + 4 * STEP
    async with rig.running():
        joined(rig)
        await until(lambda: len(rig.handed) == 8, "four minutes by REST alone")
    assert rig.collator.minute == T0 + 4 * STEP


async def test_a_reconnect_inside_a_bar_asks_for_nothing() -> None:
    rig = Rig(two())
    rig.rest.now_ms = T0 + STEP - 1
    async with rig.running():
        joined(rig)
        for _ in range(200):
            await asyncio.sleep(0)
    assert rig.rest.asked == []


async def test_quiet_and_refused_topics_live_by_rest() -> None:
    rig = Rig(two())
    rig.rest.now_ms = T0 + STEP + 20_000
    async with rig.running():
        rig.send("A", 0)
        rig.say(Quiet("B", 0))
        await until(lambda: len(rig.handed) == 2, "B comes by REST")
        rig.rest.now_ms = T0 + 2 * STEP + 20_000
        rig.send("A", 1)
        rig.say(TopicOutcome("B", TopicState.REFUSED, "handler not found"))
        await until(lambda: len(rig.handed) == 4, "B comes by REST again")
        assert rig.pump.refused == {"B": "handler not found"}
        rig.say(TopicOutcome("B", TopicState.ACCEPTED))
        await until(lambda: not rig.pump.refused, "the refusal is over")


async def test_the_stream_waits_while_too_much_waits_behind_a_hole() -> None:
    bars = {"A": walk(3000, 1), "B": walk(3000, 2)}
    rig = Rig(bars, RepairOptions(ahead_max=100))
    rig.rest.script = [Failed("down")] * 2
    async with rig.running():
        for i in range(2, 1500):
            rig.send("A", i)
        await until(lambda: rig.collator.ahead_total > 128, "bars wait")
        for i in range(1500, 2500):
            rig.send("A", i)
        for _ in range(200):
            await asyncio.sleep(0)
        assert rig.stream.items.qsize() > 0, "the pump must stop reading"
        rig.rest.now_ms = T0 + 2500 * STEP
        joined_rows = [0, 1]
        rig.collator.rejoined(joined_rows, 0)
        await rig.tick(60, lambda: rig.collator.minute > T0 + 2000 * STEP, "repaired and read on")
    rows = [r for _, r in rig.handed]
    assert rows.count(0) == rows.count(1)


@settings(deadline=None, max_examples=15)
@given(
    seed=st.integers(0, 10_000),
    late=st.sets(st.tuples(st.integers(0, 1), st.integers(0, N - 1)), max_size=6),
    lost=st.sets(st.tuples(st.integers(0, 1), st.integers(0, N - 1)), max_size=6),
)
def test_drops_lates_and_duplicates_in_any_mix_end_in_the_same_contexts(
    seed: int, late: set[tuple[int, int]], lost: set[tuple[int, int]]
) -> None:
    async def play(*, disturbed: bool) -> bytes:
        rig = Rig(two())
        rng = np.random.default_rng(seed)
        rig.rest.now_ms = T0 + (N + 1) * STEP
        async with rig.running():
            postponed: list[tuple[int, int]] = []
            for i in range(N):
                for s in rng.permutation(2):
                    item = (int(s), i)
                    if disturbed and item in late:
                        postponed.append(item)
                    elif not (disturbed and item in lost):
                        rig.send("AB"[s], i)
                    if disturbed and rng.random() < 0.3:
                        rig.send("AB"[s], i)
            for s, i in postponed:
                rig.send("AB"[s], i)
            joined(rig)
            await until(lambda: len(rig.handed) == 2 * N, "all bars of both")
        return rig.scanner.contexts.tobytes()

    assert asyncio.run(play(disturbed=True)) == asyncio.run(play(disturbed=False))


def test_what_history_surely_holds() -> None:
    assert settled_through(10 * STEP + 9_999, STEP, 10.0) == 8 * STEP
    assert settled_through(10 * STEP + 10_000, STEP, 10.0) == 9 * STEP
