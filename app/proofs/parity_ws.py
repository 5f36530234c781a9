"""The live path over the real stream: simulator, WebSocket, gap repair, scanner; with faults."""

import asyncio
import math
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from app.proofs.comparison import ParityTask, Seen, Telling
from engine.bars import Bars, interval_ms
from engine.errors import DataError
from engine.pipeline.phase import EVENT
from engine.venue.replay import Replay
from live.bus import LocalBus, Overflow, Subscription
from live.clock import SystemClock
from live.compose import build_market_service
from live.service import MarketService
from live.settings import Settings, load_settings
from live.venues.bybit.faults import Fault, plan_faults
from live.venues.bybit.simserver import SimServer

_HEALTH = ("reconnects", "repaired_bars", "late_bars", "duplicates")
_STALL_S = 120.0  # without a closed minute for so long the run has failed, and says so


def _plan(task: ParityTask, replay: Replay, rng: np.random.Generator) -> list[Fault]:
    minutes = range(replay.first, replay.last + 1, replay.interval_ms)
    # more than asked for: some fall on a coin without that bar, or into a connection already lost
    cuts, closes = math.ceil(1.2 * task.reconnects), task.late
    return plan_faults(
        rng,
        list(replay.bars),
        minutes,
        disconnects=cuts,
        drops=closes,
        lates=closes,
        duplicates=closes,
    )


class _Follower:
    """Runs the service over the whole replay and keeps every raw event it publishes."""

    def __init__(self, settings: Settings, task: ParityTask, replay: Replay) -> None:
        self.settings = settings
        self.task = task
        self.replay = replay
        self.found: list[np.ndarray] = []
        self.contexts: dict[str, np.ndarray] = {}
        self.counts = dict.fromkeys(_HEALTH, 0)
        self.notes: list[str] = []

    async def until(self, stop_ms: int) -> None:
        """Start the service (recovering what was saved), follow to a minute, stop and save."""
        bus = LocalBus()
        service = build_market_service(self.settings, profile=self.task.profile, bus=bus)
        topics = [
            bus.subscribe(topic, overflow=Overflow.WAIT, size=256)
            for topic in ("replayed", "phase")
        ]
        readers = [asyncio.create_task(self._keep(topic)) for topic in topics]
        await service.start()
        try:
            await self._follow(service, stop_ms)
        finally:
            self._read(service)
            await service.stop()
            for topic in topics:
                topic.close()
            await asyncio.gather(*readers)

    async def _keep(self, topic: Subscription) -> None:
        async for news in topic:
            self.found.append(news.raw.copy())

    async def _follow(self, service: MarketService, stop_ms: int) -> None:
        failure = asyncio.create_task(service.failure(), name="parity-failure")
        clock = SystemClock()
        last, since = -1, clock.monotonic_s()
        try:
            while service.collator.minute < stop_ms:
                if failure.done():
                    failure.result()
                if service.collator.minute != last:
                    last, since = service.collator.minute, clock.monotonic_s()
                elif clock.monotonic_s() - since > _STALL_S:
                    raise DataError(
                        f"the stream stood still for {_STALL_S:.0f} s at {last}",
                        why="; ".join(service.health().notes[-3:]),
                    )
                await clock.sleep(0.02)
        finally:
            failure.cancel()

    def _read(self, service: MarketService) -> None:
        for symbol in self.replay.bars:
            row = service.collator.find(symbol)
            if row is not None:
                self.contexts[symbol] = service.scanner.contexts[row : row + 1].copy()
        health = service.health()
        for name in _HEALTH:
            self.counts[name] += int(getattr(health, name))
        self.notes += health.notes


async def _stream(task: ParityTask, universe: Mapping[str, Bars], home: Path) -> _Follower:
    rng = np.random.default_rng(task.seed)
    step_ms = interval_ms(task.interval)
    replay = Replay(step_ms, universe)
    clock = SystemClock()
    sim = SimServer(replay, task.interval, clock, speed="max", start_ms=replay.first)
    sim.add_faults(_plan(task, replay, rng))
    addresses = await sim.start(port=0)
    settings = load_settings(
        {},
        home=home,
        rest_url=addresses["rest"],
        ws_url=addresses["ws"],
        interval=task.interval,
        profile=task.profile.name,
        turnover_min_usdt=0,
        listed_min_days=0,
        window_bars=max(task.profile.market.fall_bars, task.profile.market.breadth_bars),
        warmup_bars=100_000,
        grace_s=0.2,
        settle_s=0.0,
    ).settings
    follower = _Follower(settings, task, replay)
    minutes = range(replay.first + step_ms, replay.last, step_ms)
    restarts = min(task.restarts, len(minutes))
    stops = sorted(int(minutes[int(i)]) for i in rng.choice(len(minutes), restarts, replace=False))
    try:
        for stop_ms in [*stops, replay.last + step_ms]:
            await follower.until(stop_ms)
    finally:
        await sim.stop()
    follower.counts["late_or_missing_closes"] = sim.hub.fired["drop"] + sim.hub.fired["late"]
    return follower


def stream_run(
    task: ParityTask, universe: Mapping[str, Bars], out: Telling
) -> tuple[Seen, dict[str, int], list[str]]:
    """Send the universe over the real stream path, with cut connections, late and lost closes."""
    with out.stage("live path, over the stream") as stage, TemporaryDirectory() as folder:
        follower = asyncio.run(_stream(task, universe, Path(folder)))
        stage.note = ", ".join(f"{v:,} {k.replace('_', ' ')}" for k, v in follower.counts.items())
    events = np.concatenate(follower.found) if follower.found else np.zeros(0, EVENT)
    # two topics were read side by side; events of one bar came together and stay together
    events = events[np.argsort(events["t"], kind="stable")]
    # the simulator lists symbols by name: the service's rows follow that order
    rows = {symbol: row for row, symbol in enumerate(follower.replay.bars)}
    seen = Seen(
        {s: events[events["symbol_id"] == row] for s, row in rows.items()}, follower.contexts
    )
    warnings = []
    if follower.counts["late_or_missing_closes"] < task.late:
        warnings.append(
            f"only {follower.counts['late_or_missing_closes']} closes came late or never"
        )
    if follower.counts["reconnects"] < task.reconnects:
        warnings.append(
            f"only {follower.counts['reconnects']} of {task.reconnects} reconnects happened"
        )
    return seen, {"restarts": task.restarts, **follower.counts}, warnings
