"""What the market layer answers when asked: views of the scanner, and how the service is."""

from collections import deque
from collections.abc import Iterable, Mapping

import polars as pl

from engine.account.messages import RegimeSeen
from engine.account.signal import Quote, Signal, SignalEnd
from engine.messages import Phase
from engine.pipeline.profile import Profile
from engine.venue.instrument import Instrument
from live.bus import LocalBus
from live.clock import Clock
from live.market.collate import Collator
from live.market.desk import Desk
from live.market.funding import Funding
from live.market.readmodel import EventLog, ReadModel
from live.market.scanner import Scanner
from live.market.stream import Pump
from live.market.universe import Universe
from live.market.views import BoardRow, BoardView, CoinView, EventView, HealthView
from live.venues.port import PublicStream


class Answers:
    """The reading half of the market service; it changes nothing."""

    bus: LocalBus
    collator: Collator
    interval: str
    log: EventLog
    profile: Profile
    pump: Pump
    scanner: Scanner
    status: str
    universe: Universe
    _clock: Clock
    _notes: deque[str]
    _read: ReadModel
    _since: int
    _stream: PublicStream
    _ticks: dict[str, str]
    desk: Desk

    def now_ms(self) -> int:
        """Return the venue's clock as last heard, ms."""
        raise NotImplementedError

    def events(self, since_ms: int = 0, limit: int = 2000) -> list[EventView]:
        """Return the newest events of all coins, replayed ones too, oldest first."""
        return self.log.since(since_ms, limit)

    def frame(self, symbol: str) -> pl.DataFrame | None:
        """Return a zero-copy frame of a coin's rolling bars; None when it has none."""
        row = self.collator.find(symbol)
        return None if row is None else self.scanner.frames.frame(row)

    def closed_bars(
        self, symbol: str, interval_ms: int, from_ms: int
    ) -> list[tuple[int, float, float, float, float]]:
        """Return a coin's closed bars from a moment on: open time, open, high, low, close.

        None while the service recovers: what it has then is not whole.
        """
        row = self.collator.find(symbol)
        frames = self.scanner.frames
        if self.status == "starting" or interval_ms != self.collator.interval_ms:
            return []
        if row is None or row >= len(frames):
            return []
        stamps = frames.ts(row)
        count = len(stamps) - int(stamps.searchsorted(from_ms))
        ts, values = frames.dump(row)
        tail = values[:4, len(ts) - count :].T.tolist()
        return [(int(t), *bar) for t, bar in zip(ts[len(ts) - count :], tail, strict=True)]

    def board(self) -> BoardView:
        """Return every watched coin by symbol."""
        rows = tuple(self._row(r) for r in self.collator.active())
        counts = dict.fromkeys((p.name for p in Phase if p <= Phase.BREAKOUT), 0)
        for row in rows:
            counts[row.phase_name] += 1
        return BoardView(
            as_of=self.now_ms(),
            interval=self.interval,
            interval_ms=self.collator.interval_ms,
            profile=self.profile.name,
            minute=self.collator.minute,
            counts=counts,
            market=self._read.market(self.collator.minute),
            rows=tuple(sorted(rows, key=lambda r: r.symbol)),
            excluded={s: r.value for s, r in self.universe.excluded.items()},
        )

    def _row(self, row: int) -> BoardRow:
        return self._read.board_row(row, self.pump.repairer.running, self._ticks)

    def coin(self, symbol: str) -> CoinView | None:
        """Return one coin in full, None when it is unknown."""
        row = self.collator.find(symbol)
        if row is None or row >= len(self.scanner.contexts):
            return None
        return self._read.coin(symbol, self._row(row))

    def armed(self) -> Iterable[str]:
        """Return the coins that may break out, or have: phases armed and breakout."""
        return [
            self.collator.symbol(r)
            for r in self.collator.active()
            if self.scanner.phase(r) >= Phase.ARMED
        ]

    def health(self) -> HealthView:
        """Return how the service is."""
        seen, repaired = self.collator.counters, self.pump.repairer.counters
        figures = self._stream.figures()
        last_s = figures.last_message_s
        return HealthView(
            status=self.status,
            since=self._since,
            symbols=len(self.collator.active()),
            connections=figures.connections,
            reconnects=figures.reconnects,
            repaired_bars=repaired.bars,
            late_bars=seen.late,
            duplicates=seen.duplicates + figures.repeated,
            conflicts=seen.conflicts,
            gaps=seen.holes,
            given_up=repaired.given_up,
            refused=len(self.pump.refused),
            malformed=figures.malformed,
            slow_readers=self.bus.disconnected,
            last_message_age_s=self._clock.monotonic_s() - last_s if last_s else None,
            notes=tuple(self._notes),
        )

    # ------------------------------------------------------------------ what users ask

    def hold(self, holder: str, symbols: Iterable[str]) -> None:
        """Say which coins a holder has at stake from now on: their books are followed."""
        self.desk.hold(holder, symbols)

    def release(self, holder: str) -> None:
        """Let a holder have nothing at stake."""
        self.desk.release(holder)

    def quote(self, symbol: str, notional_usdt: float = 0.0) -> Quote | None:
        """Return the market of a coin; None = unknown. A stale one may be used by nobody."""
        return self.desk.quote(symbol, notional_usdt)

    def contract(self, symbol: str) -> Instrument | None:
        """Return a coin's rules as last read; None = not known."""
        return self.desk.contract(symbol)

    def regime(self) -> RegimeSeen:
        """Return the market's regime as it holds now; UNKNOWN while too little is heard."""
        return self.desk.regime()

    def funding(self, symbol: str) -> Funding | None:
        """Return a coin's funding calendar; None = unknown."""
        return self.desk.funding(symbol)

    def fresh_signals(self) -> tuple[Signal, ...]:
        """Return the signals that an engine which starts now may still act on."""
        return self.desk.fresh_signals()

    def ends(self, since: Mapping[str, int] | None = None) -> tuple[SignalEnd, ...]:
        """Return the newest end of each coin's setup, of those later than `since`."""
        return self.desk.teller.ends(since)
