"""The market layer: starts (start == recover), keeps itself whole, answers."""

import asyncio
from collections import deque
from pathlib import Path

import numpy as np

from engine.bars import INTERVAL_MS
from engine.pipeline.profile import Profile
from live.bus import LocalBus, Overflow, Subscription
from live.clock import Clock
from live.market.answers import Answers
from live.market.catchup import Fetcher
from live.market.collate import Batch, Collator
from live.market.desk import Desk
from live.market.keeper import ContextKeeper, Contexts, FileKeeper, Keepers, Offload, StoreKeeper
from live.market.readmodel import EventLog, ReadModel
from live.market.recovery import Recovery
from live.market.repair import RepairOptions
from live.market.scanner import Scan, Scanner, warm_scanner
from live.market.signals import Teller
from live.market.snapshot import Kept
from live.market.stream import Pump
from live.market.universe import Rules, Universe, select
from live.market.views import BarsClosed, PhaseEvents, PriceTick, UniverseChanged
from live.settings import Settings
from live.venues.port import MarketStream, Ok, PublicRest, PublicStream

_NOTES = 50
_ENDS_BARS = 200  # the end of a setup older than this concerns nobody


class MarketService(Answers):
    """The shared market layer: one interval, one profile, all eligible coins.

    Parameters
    ----------
    settings : Settings
    profile : Profile
        Its interval is the one watched.
    clock, rest, stream
        The outside world.
    market : MarketStream, optional
        Tickers and books; without it every quote is unknown.
    offload : callable
        Runs long work: on a thread, or in place (`live.market.keeper.inline`) in a simulation.
    store : Contexts, optional
        Keeps the coins' contexts beside the file.
    bus : LocalBus, optional
        Where news goes; an own one by default.

    Notes
    -----
    Nothing opens before `start`. Everything runs on the event loop that called it.
    """

    def __init__(
        self,
        settings: Settings,
        profile: Profile,
        *,
        clock: Clock,
        rest: PublicRest,
        stream: PublicStream,
        market: MarketStream | None = None,
        bus: LocalBus | None = None,
        offload: Offload = asyncio.to_thread,
        store: Contexts | None = None,
    ) -> None:
        self.settings = settings
        self.profile = profile
        self.interval = profile.interval
        self.mode = settings.venue.upper()
        self.bus = bus or LocalBus()
        self.universe = Universe()
        self.status = "stopped"
        self.log = EventLog()
        interval_ms = INTERVAL_MS[self.interval]
        self.collator = Collator(interval_ms)
        self.scanner = Scanner(
            profile,
            interval_ms,
            window_bars=settings.window_bars,
            market_rows=max(4096, settings.warmup_bars),
        )
        self.pump = Pump(
            self.collator,
            self.scanner,
            stream=stream,
            rest=rest,
            clock=clock,
            interval=self.interval,
            scanned=self._scanned,
            note=self.note,
            grace_s=settings.grace_s,
            options=RepairOptions(settle_s=settings.settle_s),
        )
        self._clock = clock
        self._rest = rest
        self._stream = stream
        self._offload = offload
        self._keeper = self._keepers(store)
        self.desk = Desk(
            bus=self.bus,
            clock=clock,
            stream=market,
            rest=rest,
            teller=Teller(
                profile.name,
                self.interval,
                self.collator.symbol,
                self.quote,
                fresh_ms=int(settings.signal_fresh_s * 1000.0),
                end_ms=_ENDS_BARS * interval_ms,
            ),
            venue_ms=self.venue_ms,
            note=self.note,
        )
        self._recovery = Recovery(
            self.scanner,
            self.collator,
            self._replayed,
            (self.log.raw, self._remember),
            Fetcher(rest, clock, self.interval, interval_ms),
            self.note,
            keeper=self._keeper,
            offload=offload,
            warmup_bars=settings.warmup_bars,
            settle_s=settings.settle_s,
        )
        self._read = ReadModel(self.scanner, self.collator, self.log)
        self._ticks: dict[str, str] = {}
        self._rules = Rules(
            settings.turnover_min_usdt, settings.listed_min_days, settings.blacklist
        )
        self._notes: deque[str] = deque(maxlen=_NOTES)
        self._tasks: list[asyncio.Task[None]] = []
        self._since = 0
        self._venue_ms = 0
        self._venue_at_s = 0.0
        self._saved_minute = 0
        self._failed: asyncio.Future[None] | None = None

    # ------------------------------------------------------------------ life

    @property
    def scan_ms(self) -> float | None:
        """How long the newest scan took, ms."""
        return self.pump.scan_ms

    @property
    def scan_symbols(self) -> int:
        """Of how many coins the newest scan was."""
        return self.pump.scan_symbols

    @property
    def snapshot_path(self) -> Path:
        """Where the detector's state is kept between runs."""
        return self.settings.home / "market" / f"{self.profile.id}.snapshot"

    async def start(self) -> None:
        """Recover what was known, replay what was missed, follow the stream; returns when live."""
        await self._set_status("starting")
        await self._offload(warm_scanner)  # health answers meanwhile
        self._failed = asyncio.get_running_loop().create_future()
        venue_ms = await self._first_universe()
        await self._recovery.start(self.universe.symbols, venue_ms, self._remember_told)
        self._stream.watch(self.universe.symbols)
        await self._stream.start()
        self.desk.watch(self.universe.symbols)
        self.desk.arm(self.armed())
        await self.desk.start()
        for job, name in (
            (self.pump.run(), "market-pump"),
            (self._publish_ticks(), "market-ticks"),
            (self._refresh_universe(), "market-universe"),
            (self._save_now_and_then(), "market-snapshot"),
            (self.desk.keep_quotes(), "market-quotes"),
            (self.desk.keep_regime(), "market-regime"),
            (self.desk.keep_contracts(), "market-contracts"),
        ):
            task = asyncio.create_task(job, name=name)
            task.add_done_callback(self._task_ended)
            self._tasks.append(task)
        await self._set_status("live")

    async def stop(self) -> None:
        """Stop following, save the state, release the venue."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        await self._stream.close()
        await self.desk.close()
        if self.collator.minute:
            await self._save_or_note()
        await self._rest.close()
        await self._set_status("stopped")

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or task.exception() is None:
            return
        error = task.exception()
        # A part of the service died: say so, loudly, instead of going on half blind.
        self.note(f"{task.get_name()} ended: {error!r}")
        self.status = "degraded"
        if self._failed is not None and not self._failed.done():
            self._failed.set_exception(RuntimeError(f"{task.get_name()} ended: {error!r}"))

    async def failure(self) -> None:
        """Wait until a part of the service dies, and raise why."""
        if self._failed is not None:
            await asyncio.shield(self._failed)

    def note(self, text: str) -> None:
        """Keep something a person should know."""
        self._notes.append(text)

    async def _set_status(self, status: str) -> None:
        self.status = status
        self._since = self._clock.now_ms()
        await self.bus.publish("health", self.health())

    # ------------------------------------------------------------------ universe

    async def _ask_universe(self) -> tuple[Universe, int] | str:
        instruments = await self._rest.instruments()
        if not isinstance(instruments, Ok):
            return f"instruments: {instruments}"
        tickers = await self._rest.tickers()
        if not isinstance(tickers, Ok):
            return f"tickers: {tickers}"
        self._saw_venue(tickers.venue_ms)
        self._ticks = {i.symbol: i.price_filter.tick_size for i in instruments.value}
        chosen = select(instruments.value, tickers.value, self._rules, tickers.venue_ms)
        return chosen, tickers.venue_ms

    async def _first_universe(self) -> int:
        wait_s = 1.0
        while True:
            found = await self._ask_universe()
            if not isinstance(found, str):
                self.universe, venue_ms = found
                return venue_ms
            self.note(f"the list of coins cannot be read yet ({found})")
            await self._clock.sleep(wait_s)
            wait_s = min(60.0, wait_s * 2.0)

    async def _refresh_universe(self) -> None:
        while True:
            await self._clock.sleep(self.settings.universe_refresh_s)
            await self.refresh_universe()

    async def refresh_universe(self) -> None:
        """Look at the venue's list again; coins come and go without a restart."""
        found = await self._ask_universe()
        if isinstance(found, str):
            self.note(f"the list of coins could not be refreshed ({found}); the old one stays")
            return
        newer, _ = found
        added, removed = self.universe.diff(newer)
        self.universe = newer
        if not added and not removed:
            return
        async with self.pump.turn:
            for symbol in removed:
                self.collator.deactivate(symbol)
            self._recovery.tell_universe()
        self._stream.watch(newer.symbols)
        self.desk.watch(newer.symbols)
        await self.pump.drain()
        for symbol in added:
            await self._recovery.join(symbol, self.pump.turn)
            await self.pump.drain()
        await self.bus.publish("universe", UniverseChanged(added, removed))

    # ------------------------------------------------------------------ persistence

    async def _save_now_and_then(self) -> None:
        while True:
            await self._clock.sleep(self.settings.snapshot_every_s)
            if self.collator.minute != self._saved_minute:
                await self._save_or_note()

    async def _save_or_note(self) -> None:
        try:
            await self.save()
        except OSError as error:
            self.note(f"the detector's state could not be saved: {error}")

    def _keepers(self, store: Contexts | None) -> ContextKeeper:
        file = FileKeeper(self.snapshot_path, self._offload)
        if store is None:
            return file
        profile = self.profile
        needed = max(profile.market.breadth_bars, profile.market.fall_bars)
        rows = StoreKeeper(store, profile.name, self.interval, needed, self._offload)
        return Keepers((file, rows))

    def _remember_told(self, kept: Kept) -> None:
        self.desk.teller.load(kept.told)
        self.desk.judged = kept.regime

    async def save(self) -> int:
        """Write the detector's state; returns its bytes."""
        async with self.pump.turn:
            kept = Kept(told=self.desk.teller.marks(), regime=self.desk.judged)
            snapshot = self._recovery.snapshot(kept)
        size = await self._keeper.save(snapshot)
        self._saved_minute = snapshot.minute
        return size

    # ------------------------------------------------------------------ news

    async def _tell(self, events: np.ndarray, ts: int, *, replayed: bool) -> None:
        if not len(events):
            return
        news = PhaseEvents(
            profile=self.profile.name,
            interval=self.interval,
            ts=ts,
            replayed=replayed,
            events=self.log.add(events, self.collator, replayed=replayed),
            raw=events,
        )
        # a topic of its own: thousands at a start, and nobody may act on them
        await self.bus.publish("replayed" if replayed else "phase", news)

    def _remember(self, events: np.ndarray) -> None:
        self.log.add(events, self.collator, replayed=True)

    async def _replayed(self, events: np.ndarray) -> None:
        last = int(events["t"][-1]) - self.collator.interval_ms if len(events) else 0
        await self._tell(events, last, replayed=True)
        await self.desk.tell(events, self.venue_ms())  # what was missed while down, if it is fresh

    async def _scanned(self, batch: Batch, scan: Scan) -> None:
        self._saw_venue(batch.ts + self.collator.interval_ms)
        if len(scan.events):
            self.desk.arm(self.armed())
            await self.desk.tell(scan.events, self.venue_ms())
        await self._tell(scan.events, batch.ts, replayed=False)
        if self.bus.has_readers("bars") and len(batch.rows):
            symbols = tuple(self.collator.symbol(int(r)) for r in batch.rows)
            rows = tuple(map(tuple, batch.bars[:, :5].tolist()))
            await self.bus.publish("bars", BarsClosed(self.interval, batch.ts, symbols, rows))

    async def _publish_ticks(self) -> None:
        async for ticks in self._stream.ticks():
            received = self._clock.now_ms()
            self._saw_venue(max((b.timestamp for b in ticks.values()), default=0))
            if not self.bus.has_readers("price"):
                continue
            for symbol, b in ticks.items():
                tick = PriceTick(
                    symbol,
                    self.interval,
                    b.start,
                    b.open,
                    b.high,
                    b.low,
                    b.close,
                    b.volume,
                    received,
                )
                await self.bus.publish("price", tick)

    def _saw_venue(self, venue_ms: int) -> None:
        if venue_ms > self._venue_ms:
            self._venue_ms = venue_ms
            self._venue_at_s = self._clock.monotonic_s()

    # ------------------------------------------------------------------ answers

    def now_ms(self) -> int:
        """Return the venue's clock as last heard, ms (the replay's clock under the simulator)."""
        return self._venue_ms

    def subscribe(self, topic: str, *, overflow: Overflow, size: int = 1024) -> Subscription:
        """Subscribe to a topic of the bus."""
        return self.bus.subscribe(topic, overflow=overflow, size=size)

    def venue_ms(self) -> int:
        """Return what the venue's clock must read now: as last heard, and the time since."""
        now_s = self._clock.monotonic_s()
        heard = (
            (self._venue_ms, self._venue_at_s),
            (self.desk.quotes.heard_ms, self.desk.quotes.heard_s),
        )
        return max(ms + int((now_s - at_s) * 1000.0) if ms else 0 for ms, at_s in heard)
