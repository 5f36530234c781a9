"""The demo: a market replayed over the simulated venue, the real platform, and its pages.

Nothing is faked on the way: the venue speaks Bybit's protocol over real sockets on loopback, the
platform is the one that would trade at Bybit. Only time runs faster: in small steps, and it stands
still between them, so that nobody decides on quotes of another hour. Prices may be invented.
"""

import asyncio
import contextlib
import hashlib
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from fastapi import FastAPI

from app.api import board
from app.api.main import create_app
from app.dashboard import format as f
from app.dashboard import words
from app.ids import new_id
from app.proofs.demo_users import Quiet, Teller, TellingNotifier, add_demo_users, forget_accounts
from app.proofs.episode import LEAD_BARS, TAIL_BARS, Episode, all_stories, pick
from data.catalog import Lake
from data.profiles import load_profile
from data.replay import read_replay
from data.synth import VENUE, make_market, write_market
from engine.bars import interval_ms
from engine.errors import DataError
from engine.pipeline.profile import Profile
from engine.venue.replay import Replay
from engine.warm import warm
from live.bus import Overflow
from live.clock import SystemClock
from live.compose import build_platform, open_store
from live.service import MarketService
from live.settings import Settings
from live.venues.bybit.simserver import SimServer

SYMBOLS, DAYS = 48, 60  # of the market made on the spot
SHOW_S = 75.0  # from dump to breakout, when no speed was asked for
SPEED_MIN, SPEED_MAX = 60, 6000
WAIT_FOR_BROWSER_S = 60.0
UPDATES = 4  # pushes of an open candle
PORTS_TRIED = 50
_LISTED_DAYS = 31  # a past of so many days before the replay begins


Opened = Callable[[str, str | None, float], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is replayed, from when, how fast."""

    replay: Replay
    profile: Profile
    episode: Episode | None
    start_ms: int
    speed: float


def make_lake(home: Path, seed: int, interval: str) -> Lake:
    """Return the invented market of a seed, made when it is not there yet."""
    path = home / "demo" / f"lake-{interval}-{SYMBOLS}x{DAYS}-seed{seed}"
    done = path / "complete"
    if not done.is_file():
        market = make_market(
            np.random.default_rng(seed), symbols=SYMBOLS, days=DAYS, interval=interval
        )
        write_market(Lake(path), market)
        done.write_text("", encoding="utf-8")  # a market half made is made anew
    return Lake(path)


def choose_venue(lake: Lake, interval: str) -> str:
    """Return the lake's venue with the most series of the interval."""
    have = {
        v: len(lake.symbols(v, interval)) for v in lake.venues() if interval in lake.intervals(v)
    }
    if not have:
        raise DataError(
            f"{lake.path} holds no series of {interval}",
            why=f"venues: {', '.join(lake.venues()) or 'none'}",
            hint="zion demo without a lake makes a market of its own: unset ZION_LAKE",
        )
    return max(have, key=lambda venue: (have[venue], venue))


def make_plan(replay: Replay, profile: Profile, speed: float | None) -> Plan:
    """Pick the story to show and begin shortly before it."""
    step = replay.interval_ms
    first = min(
        replay.first + _LISTED_DAYS * board.DAY_MS, replay.first + replay.minutes // 2 * step
    )
    found = all_stories(replay.bars, profile.params, step)
    episode = pick(found, interval_ms=step, first_ms=first, last_ms=replay.last)
    if episode is None:
        return Plan(replay, profile, None, replay.default_start(), speed or SPEED_MAX / 2)
    start = episode.dump_t - LEAD_BARS * step
    pace = episode.bars(step) * step / 1000 / SHOW_S
    return Plan(replay, profile, episode, start, speed or min(SPEED_MAX, max(SPEED_MIN, pace)))


def resumed(plan: Plan, minute: int | None) -> Plan:
    """Go on where the last run was stopped inside its story; else begin at the story's start."""
    if plan.episode is None or minute is None:
        return plan
    end = plan.episode.breakout_t + TAIL_BARS * plan.replay.interval_ms
    return replace(plan, start_ms=minute) if plan.start_ms < minute < end else plan


def free_socket(host: str, port: int) -> socket.socket:
    """Return a bound socket: the port, or the next free one."""
    for candidate in range(port, port + PORTS_TRIED):
        server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((host, candidate if port else 0))
        except OSError:
            server.close()
            continue
        return server
    raise DataError(
        f"ports {port} to {port + PORTS_TRIED - 1} of {host} are all taken",
        hint="zion demo --port N",
    )


def event_line(event: Any, tick: str) -> str:
    """Return an event as the terminal shows it."""
    m = board.move(event, tick)
    number = str(m.after) if m.before != m.after else "-"
    name = words.short(m.symbol)
    return f"{f.day_clock(m.t):>12}  {name:<8}{number} {words.title(m):<16} {words.why(m)}"


async def _until(true: Callable[[], bool], behind: asyncio.Task[Any]) -> None:
    """Wait for something of the platform; its failure is raised here."""
    while not true():
        if behind.done():
            behind.result()
        await asyncio.sleep(0.05)


async def _started(server: uvicorn.Server, http: asyncio.Task[None]) -> None:
    while not server.started and not http.done():  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.05)


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the demo: it stops the market first."""
        yield


class Demo:
    """One run: venue, market layer, pages."""

    def __init__(self, settings: Settings, plan: Plan, tell: Teller, *, wait: bool) -> None:
        self.plan = plan
        self.tell = tell
        self.wait = wait
        self.clock = SystemClock()
        self.sim = SimServer(
            plan.replay, plan.profile.interval, self.clock,
            speed="hold", start_ms=plan.start_ms, updates=UPDATES,
        )  # fmt: skip
        self.settings = settings
        self.viewer = asyncio.Event()
        self.over = asyncio.Event()
        self.playing = False

    def note(self) -> str:
        """Say in the strip how time runs."""
        if self.sim.finished:
            return "Replay ended"
        if not self.playing:
            return "Replay waits"
        return f"Replay {f.TIMES}{self.plan.speed:,.0f}"

    async def run(self, server_socket: socket.socket, opened: Callable[[str], None]) -> None:
        """Start everything, show it until interrupted, stop it cleanly."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError):
                loop.add_signal_handler(number, self.over.set)
        with self.tell.stage("exchange simulator") as stage:
            addresses = await self.sim.start()
            stage.note = f"Bybit V5 on loopback, {len(self.plan.replay.bars)} coins"
        settings = self.settings.model_copy(
            update={"rest_url": addresses["rest"], "ws_url": addresses["ws"]}
        )
        forget_accounts(settings.home)  # the simulator's are new with every start, so are ours
        store = await open_store(settings)
        notifier = TellingNotifier(self.tell, store)
        platform = build_platform(
            settings, store, holder=new_id(), log=Quiet(self.tell), profile=self.plan.profile,
            venue_ms=lambda: self.sim.clock_ms, notifier=notifier,
        )  # fmt: skip
        with self.tell.stage(
            "dashboard and API"
        ):  # loading it holds the loop: before anything runs
            app = create_app(
                platform.market, note=self.note, on_viewer=self.viewer.set, ready=platform.readiness
            )
        behind = asyncio.create_task(platform.run(), name="platform")
        try:
            with self.tell.stage("market layer") as stage:
                await _until(lambda: platform.market.status == "live", behind)
                stage.note = self._recovered(platform.market)
            with self.tell.stage("two accounts") as stage:
                stage.note = ", ".join(await add_demo_users(store, self.clock.now_ms()))
                await _until(lambda: platform.readiness().running > 1, behind)
            await self._serve(app, platform.market, behind, server_socket, opened)
        finally:
            if not behind.done():
                await platform.drain()
            behind.cancel()
            await asyncio.gather(behind, return_exceptions=True)
            await platform.stop()
            await self.sim.stop()

    def _recovered(self, service: MarketService) -> str:
        board = service.board()
        left_out = f", {len(board.excluded)} left out" if board.excluded else ""
        return f"{len(board.rows)} coins followed{left_out}, as of {f.day_clock(board.as_of)} UTC"

    async def _serve(
        self,
        app: FastAPI,
        market: MarketService,
        behind: asyncio.Task[Any],
        server_socket: socket.socket,
        opened: Callable[[str], None],
    ) -> None:
        _silence_logs()
        config = uvicorn.Config(
            app,
            ws="websockets-sansio",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=2,
        )
        server = _Server(config)
        http = asyncio.create_task(server.serve(sockets=[server_socket]), name="http")
        await _started(server, http)
        host, port = server_socket.getsockname()[:2]
        opened(f"http://{host}:{port}")
        jobs = [
            asyncio.create_task(self._play(), name="play"),
            asyncio.create_task(self._print(market), name="print"),
            asyncio.create_task(self.over.wait(), name="over"),
            http,
        ]
        ends = [*jobs[2:], behind]
        done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        self.playing = False
        server.should_exit = True
        for job in jobs[:3]:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
        for job in done:
            error = None if job.cancelled() else job.exception()
            if error is not None:
                raise error

    async def _play(self) -> None:
        if self.wait:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.viewer.wait(), WAIT_FOR_BROWSER_S)
        self.playing = True
        gap_s = self.plan.replay.interval_ms / 1000.0 / self.plan.speed / (UPDATES + 1)
        while not self.sim.finished:
            await self.sim.advance(gap_s=gap_s)
        self.playing = False

    async def _print(self, service: MarketService) -> None:
        ticks = {row.symbol: row.tick for row in service.board().rows}
        featured = self.plan.episode.symbol if self.plan.episode else None
        async with service.bus.subscribe("phase", overflow=Overflow.LATEST, size=1000) as news:
            async for batch in news:
                for event in batch.events:
                    loud = event.kind in {"ARMED", "BREAKOUT", "FAILED"}
                    if event.symbol == featured or loud:
                        self.tell.say(event_line(event, ticks.get(event.symbol, "")))


def _silence_logs() -> None:
    # The terminal belongs to the story. Streamlit gives these their own level.
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi", "websockets"):
        logging.getLogger(name).setLevel(logging.WARNING)


def last_minute(settings: Settings, profile: Profile) -> int | None:
    """Return where the last run was stopped, None when nothing usable is left of it."""
    from live.market.snapshot import SnapshotUnusable, read_snapshot

    path = settings.home / "market" / f"{profile.id}.snapshot"
    try:
        step = interval_ms(profile.interval)
        return read_snapshot(path, interval_ms=step, params_hash=profile.params_hash).minute
    except SnapshotUnusable:
        return None


def run(
    settings: Settings,
    tell: Teller,
    *,
    lake: Path | None,
    port: int,
    speed: float | None,
    seed: int,
    wait: bool,
    opened: Opened,
) -> None:
    """Show the demo until interrupted.

    Parameters
    ----------
    settings : live.settings.Settings
        ``home``, ``interval``, ``profile`` are used; addresses and limits are the demo's.
    tell : Teller
    lake : Path or None
        Real history; None makes an invented market of ``seed``.
    port : int
        The next free one is taken when it is not.
    speed : float or None
        Market seconds per second; None lets the story take about two minutes.
    wait : bool
        Hold the replay until a browser is in, 60 s at most.
    opened : callable
        Called with address, the story's coin (or None) and speed when the page can be opened.
    """
    with tell.stage("kernels warm"):
        for _ in warm():
            pass
    profile = load_profile(settings.profile, settings.interval)
    with tell.stage("market") as stage:
        if lake is None:
            made = make_lake(settings.home, seed, profile.interval)
            replay = read_replay(made, profile.interval, venue=VENUE)
            told = (
                f"{len(replay.bars)} coins, {profile.interval}, {DAYS} days, seed {seed}: invented"
            )
        else:
            made = Lake(lake)
            venue = choose_venue(made, profile.interval)
            replay = read_replay(made, profile.interval, venue=venue)
            told = f"{len(replay.bars)} coins of {venue}, {profile.interval}, {lake}"
            if replay.skips:
                told += f"; {len(replay.skips)} cannot be read (zion data check)"
        stage.note = told
    with tell.stage("story") as stage:
        # a run belongs to its market: another lake must not take up this one's state
        digest = hashlib.blake2b(
            f"{made.path.resolve()} {profile.interval} {sorted(replay.bars)}".encode(),
            digest_size=4,
        ).hexdigest()
        own = settings.model_copy(
            update={
                "home": settings.home / "demo" / f"run-{digest}", "venue": "sim",
                "interval": profile.interval, "silence_s": 3600.0,
            }
        )  # fmt: skip
        plan = make_plan(replay, profile, speed)
        plan = resumed(plan, last_minute(own, profile))
        stage.note = _story_note(plan)
    demo_socket = free_socket(settings.host, port)
    asyncio.run(_show(own, plan, tell, wait=wait, at=demo_socket, opened=opened))


def _story_note(plan: Plan) -> str:
    if plan.episode is None:
        return "no coin goes all the way; the replay begins in the middle"
    e, step = plan.episode, plan.replay.interval_ms
    name = words.short(e.symbol)
    if plan.start_ms != e.dump_t - LEAD_BARS * step:
        return f"{name}, taken up at {f.day_clock(plan.start_ms)} where the last run stopped"
    return f"{name} from {f.day_clock(e.dump_t)}: dump to breakout in {e.bars(step)} bars"


async def _show(
    settings: Settings, plan: Plan, tell: Teller, *, wait: bool, at: socket.socket, opened: Opened
) -> None:
    symbol = plan.episode.symbol if plan.episode else None
    demo = Demo(settings, plan, tell, wait=wait)
    await demo.run(at, lambda address: opened(address, symbol, plan.speed))
