"""Start == recover: the snapshot if usable, missed bars from history, coins that join later."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import numpy as np

from engine.venue.wire import Kline
from live.market.catchup import Fetcher, as_arrays, replay
from live.market.collate import Collator
from live.market.keeper import ContextKeeper, Offload
from live.market.repair import settled_through
from live.market.scanner import Scanner
from live.market.snapshot import Kept, Snapshot, SnapshotUnusable


class Recovery:
    """Brings scanner and collator to the present.

    Parameters
    ----------
    scanner, collator
        What is brought up to date.
    replayed : async callable (array of `EVENT`)
        Told of the events found on the way, in the order of their making.
    told : (callable, callable)
        Gives the newest events for a snapshot; takes those of a snapshot.
    fetcher : Fetcher
        Where missed bars come from.
    note : callable (str)
        Told, in words, what a person should know.
    keeper : ContextKeeper
        Where the state lives between runs.
    offload : callable
        Runs long work: on a thread, or in place.
    warmup_bars : int
        Bars replayed by a detector that starts from nothing.
    settle_s : float
        From so long after a close, history surely holds the bar.
    """

    def __init__(
        self,
        scanner: Scanner,
        collator: Collator,
        replayed: Callable[[np.ndarray], Awaitable[None]],
        told: tuple[Callable[[], np.ndarray], Callable[[np.ndarray], None]],
        fetcher: Fetcher,
        note: Callable[[str], None],
        *,
        keeper: ContextKeeper,
        offload: Offload,
        warmup_bars: int,
        settle_s: float,
    ) -> None:
        self._scanner = scanner
        self._collator = collator
        self._replayed = replayed
        self._told = told
        self._fetcher = fetcher
        self._note = note
        self._keeper = keeper
        self._offload = offload
        self._warmup_bars = warmup_bars
        self._settle_s = settle_s

    async def start(
        self, symbols: Sequence[str], venue_ms: int, remember: Callable[[Kept], None]
    ) -> None:
        """Restore the snapshot, fetch and replay what was missed, open the next minute."""
        step_ms = self._collator.interval_ms
        oldest = (venue_ms // step_ms - self._warmup_bars) * step_ms
        old = await self._usable(oldest, venue_ms)
        if old is not None:
            remember(old.kept)
        starts, old_minute = self._restore(symbols, oldest, old)
        await self._catch_up(symbols, starts, old_minute, venue_ms)

    # ------------------------------------------------------------------ from the snapshot

    async def _usable(self, oldest: int, venue_ms: int) -> Snapshot | None:
        step_ms = self._collator.interval_ms
        params_hash = self._scanner.profile.params_hash
        try:
            old = await self._keeper.load(interval_ms=step_ms, params_hash=params_hash)
        except SnapshotUnusable as error:
            self._note(f"the detector starts from history: {error}")
            return None
        if not oldest <= old.minute <= venue_ms:
            self._note("the detector starts from history: the snapshot does not fit the time")
            return None
        for text in old.notes:
            self._note(text)
        return old

    def _restore(
        self, symbols: Sequence[str], oldest: int, old: Snapshot | None
    ) -> tuple[dict[str, int], int]:
        """Load the snapshot; returns where each history must begin, and the old open minute."""
        step_ms = self._collator.interval_ms
        starts = dict.fromkeys(symbols, oldest)
        if old is not None:
            self._load(old)
        for symbol in symbols:
            row = self._collator.row(symbol)
            if old is not None and row < len(old.symbols) and old.last[row] >= oldest:
                starts[symbol] = old.last[row] + step_ms
        self._scanner.grow(len(self._collator))
        return starts, 0 if old is None else old.minute

    def _load(self, old: Snapshot) -> None:
        for symbol in old.symbols:
            self._collator.row(symbol)
        n = len(old.symbols)
        self._scanner.grow(n)
        self._scanner.contexts[:n] = old.contexts
        self._scanner.since[:n] = old.since
        for row, (ts, values) in old.windows.items():
            self._scanner.frames.load(row, ts, values)
        self._scanner.load_market(old.market_ts, old.market)
        self._told[1](old.events)

    def snapshot(self, kept: Kept) -> Snapshot:
        """Copy all that decides. Between two minutes, and inside one, it is a true state."""
        n = len(self._collator)
        stamps, table = self._scanner.market_table()
        return Snapshot(
            interval_ms=self._collator.interval_ms,
            params_hash=self._scanner.profile.params_hash,
            minute=self._collator.minute,
            symbols=tuple(self._collator.symbol(r) for r in range(n)),
            active=tuple(self._collator.is_active(r) for r in range(n)),
            last=tuple(int(t) for t in self._scanner.contexts["last_t"][:n]),
            contexts=self._scanner.contexts[:n].copy(),
            since=self._scanner.since[:n].copy(),
            windows={r: self._scanner.frames.dump(r) for r in range(n)},
            market_ts=stamps,
            market=table,
            events=self._told[0](),
            kept=kept,
        )

    # ------------------------------------------------------------------ from history

    async def _catch_up(
        self, symbols: Sequence[str], starts: Mapping[str, int], old_minute: int, venue_ms: int
    ) -> None:
        """Fetch what was missed; replay new coins alone up to the old minute, then all together."""
        step_ms = self._collator.interval_ms
        end = settled_through(venue_ms, step_ms, self._settle_s)
        histories = await self._fetcher.fetch_all(starts, end)
        arrays: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        for symbol, history in histories.items():
            if history.failure:
                self._note(f"{symbol}: its history could not be read ({history.failure})")
            arrays[self._collator.row(symbol)] = as_arrays(history.bars)
        self._scanner.set_universe([self._collator.row(s) for s in symbols], symbols)
        for row, (ts, values) in arrays.items():
            before = ts < old_minute
            if before.any():
                events = self._scanner.replay(row, ts[before], values[before])
                await self._replayed(events)
                arrays[row] = (ts[~before], values[~before])
        # A snapshot may be of a minute that history does not surely hold yet.
        minute = max(end + step_ms, old_minute)
        # Best on a thread: seconds of work for a whole market; nobody else has the scanner yet.
        for _, scan in await self._offload(replay, self._scanner, arrays, minute):
            await self._replayed(scan.events)
        self._collator.begin(minute)
        for symbol in symbols:
            row = self._collator.row(symbol)
            self._collator.activate(symbol, int(self._scanner.contexts["last_t"][row]))

    # ------------------------------------------------------------------ coins that join later

    def tell_universe(self) -> None:
        """Make the market's facts of the coins that are watched now."""
        rows = self._collator.active()
        self._scanner.set_universe(rows, [self._collator.symbol(r) for r in rows])

    async def join(self, symbol: str, turn: asyncio.Lock) -> None:
        """Warm a coin up from history and let it take part from the open minute on."""
        step_ms = self._collator.interval_ms
        row = self._collator.row(symbol)
        self._scanner.grow(len(self._collator))
        oldest = self._collator.minute - self._warmup_bars * step_ms
        at = max(oldest, int(self._scanner.contexts["last_t"][row]) + step_ms)
        bars: list[Kline] = []
        while True:
            end = self._collator.minute - step_ms
            history = await self._fetcher.fetch(symbol, at, end)
            bars += history.bars
            if history.failure:
                self._note(f"{symbol}: its history could not be read ({history.failure})")
            at = max(at, end + step_ms)
            async with turn:
                if self._collator.minute > at and not history.failure:
                    continue  # minutes went by while we read: read those too
                ts, values = as_arrays(bars)
                events = self._scanner.replay(row, ts, values)
                await self._replayed(events)
                self._collator.activate(symbol, int(self._scanner.contexts["last_t"][row]))
                self.tell_universe()
            return
