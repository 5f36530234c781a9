"""Turns contexts, rings and events into views. Reads only; nothing here decides."""

from collections import deque
from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any

import numpy as np

from engine.messages import EventKind, Gate, Phase
from engine.pipeline.p4_base import ANCHORED
from engine.pipeline.phase import EVENT, P_DUMP, P_MONITORING
from live.market.collate import Collator
from live.market.scanner import Scanner
from live.market.views import BoardRow, CoinView, EventView, MarketView, ZoneView

SPARK_BARS = 48
RAW_EVENTS = 2000  # go into the snapshot, so that the pages know the past after a restart
_DAY_MS = 86_400_000
_FIELDS = tuple(EVENT.names or ())


def real(value: Any) -> float | None:
    """Return a float, or None for NaN and infinity."""
    number = float(value)
    return number if isfinite(number) else None


def price(value: Any) -> float | None:
    """Return a price, or None where the record holds none (0)."""
    number = float(value)
    return number if isfinite(number) and number > 0.0 else None


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [real(x) for x in value]
    if isinstance(value, np.integer):
        return int(value)
    return real(value)


def event_view(record: np.ndarray, symbol: str, seq: int, *, replayed: bool) -> EventView:
    """Turn one record of the detector into a view."""
    return EventView(
        seq=seq,
        t=int(record["t"]),
        symbol=symbol,
        kind=EventKind(int(record["kind"])).name,
        phase_before=Phase(max(int(record["phase_before"]), 1)).name,
        phase_after=Phase(max(int(record["phase_after"]), 1)).name,
        close=float(record["close"]),
        level=price(record["level"]),
        zone_lo=price(record["zone_lo"]),
        floor=price(record["floor"]),
        batr=price(record["batr"]),
        drop=real(record["drop"]),
        level_score=real(record["level_score"]),
        reject=tuple(g.name or "" for g in Gate(int(record["reject_mask"]))),
        replayed=replayed,
        fields={name: _plain(record[name]) for name in _FIELDS},
    )


class EventLog:
    """The newest events, of all coins and of each.

    Parameters
    ----------
    total, per_symbol : int
        How many are kept.
    """

    def __init__(self, total: int = 5000, per_symbol: int = 200) -> None:
        self.seq = 0
        self._all: deque[EventView] = deque(maxlen=total)
        self._raw: deque[np.ndarray] = deque(maxlen=RAW_EVENTS)
        self._by_symbol: dict[str, deque[EventView]] = {}
        self._per_symbol = per_symbol

    def add(
        self, events: np.ndarray, symbols: Collator, *, replayed: bool
    ) -> tuple[EventView, ...]:
        """Give the records of a scan their numbers and keep them; return their views."""
        views = []
        for record in events:
            self.seq += 1
            symbol = symbols.symbol(int(record["symbol_id"]))
            view = event_view(record, symbol, self.seq, replayed=replayed)
            views.append(view)
            self._raw.append(record.copy())
            self._all.append(view)
            own = self._by_symbol.setdefault(symbol, deque(maxlen=self._per_symbol))
            own.append(view)
        return tuple(views)

    def raw(self) -> np.ndarray:
        """Return the newest records as they came, for the snapshot."""
        return np.array(list(self._raw), EVENT) if self._raw else np.zeros(0, EVENT)

    def since(self, since_ms: int = 0, limit: int = 2000) -> list[EventView]:
        """Return the newest events at or after a time, oldest first."""
        return [e for e in self._all if e.t >= since_ms][-limit:]

    def of(self, symbol: str) -> tuple[EventView, ...]:
        """Return a coin's newest events, oldest first."""
        return tuple(self._by_symbol.get(symbol, ()))

    def last(self, symbol: str) -> EventView | None:
        """Return a coin's newest event."""
        own = self._by_symbol.get(symbol)
        return own[-1] if own else None


class ReadModel:
    """Builds the views of a scanner.

    Parameters
    ----------
    scanner, collator, log
        What is read.
    """

    def __init__(self, scanner: Scanner, collator: Collator, log: EventLog) -> None:
        self._scanner = scanner
        self._collator = collator
        self._log = log

    def status(self, row: int, repairing: Iterable[int]) -> str:
        """Return live, repairing, dormant or warming."""
        if row in repairing:
            return "repairing"
        if self._collator.is_dormant(row):
            return "dormant"
        warm = int(self._scanner.contexts["n"][row]) >= self._scanner.profile.params.monitor.n_slow
        return "live" if warm else "warming"

    def market(self, ts: int) -> MarketView:
        """Return the market's facts for the bar opening at ``ts``."""
        facts = self._scanner.market(ts)
        return MarketView(
            ts=ts,
            breadth=real(facts.breadth),
            median_fall=real(facts.median_fall),
            present=facts.present,
            absent=facts.absent,
            universe_hash=self._scanner.universe_hash,
        )

    def board_row(
        self, row: int, repairing: Iterable[int] = (), ticks: Mapping[str, str] | None = None
    ) -> BoardRow:
        """Return one coin's row."""
        symbol = self._collator.symbol(row)
        s = self._scanner.contexts[row]
        frames = self._scanner.frames
        closes = frames.closes(row)
        close = float(closes[-1]) if len(closes) else None
        phase = self._scanner.phase(row)
        last = self._log.last(symbol)
        fresh = {
            "symbol": symbol,
            "phase": phase,
            "phase_name": Phase(phase).name,
            "since": int(self._scanner.since[row]),
            "status": self.status(row, repairing),
            "close": close,
            "change_24h": self._change(closes),
            "atr": price(s["atr"]),
            "tick": (ticks or {}).get(symbol, ""),
            "last_event": last.kind if last else None,
            "last_event_t": last.t if last else 0,
            "closes": tuple(closes[-SPARK_BARS:].tolist()),
        }
        return BoardRow(**fresh, **(_setup(s, close) if phase >= P_DUMP else {}))

    def _change(self, closes: np.ndarray) -> float | None:
        back = _DAY_MS // self._scanner.interval_ms
        if len(closes) <= back:
            return None
        return real(closes[-1] / closes[-1 - back] - 1.0)

    def zones(self, row: int) -> ZoneView:
        """Return the prices a chart draws."""
        s = self._scanner.contexts[row]
        if self._scanner.phase(row) == P_MONITORING:
            return ZoneView()

        def when(bar: Any) -> int:
            return int(s["last_t"]) - (int(s["n"]) - 1 - int(bar)) * self._scanner.interval_ms

        return ZoneView(
            zone_lo=price(s["zone_lo"]) if s["level"] > 0.0 else None,
            level=price(s["level"]),
            level_edge=price(s["level_edge"]) if s["level"] > 0.0 else None,
            floor=price(s["floor"]),
            hard_floor=price(s["trough"]),
            q95=price(s["q95"]),
            peak=price(s["peak"]),
            peak_t=when(s["peak_bar"]),
            trough_t=when(s["trough_bar"]),
            anchor_t=when(s["anchor_bar"]),
            brk_level=price(s["brk_level"]) if s["phase"] == int(Phase.BREAKOUT) else None,
        )

    def coin(self, symbol: str, row: BoardRow) -> CoinView:
        """Return one coin in full."""
        at = self._collator.row(symbol)
        bars = self._scanner.frames.bars(at)
        columns = (bars.open, bars.high, bars.low, bars.close, bars.volume)
        listed = zip(bars.ts.tolist(), *(c.tolist() for c in columns), strict=True)
        return CoinView(
            symbol=symbol,
            interval=self._scanner.profile.interval,
            profile=self._scanner.profile.name,
            row=row,
            bars=tuple(listed),
            zones=self.zones(at),
            events=self._log.of(symbol),
        )


def _setup(s: np.ndarray, close: float | None) -> dict[str, Any]:
    """Return the numbers of a coin that is inside a setup."""
    level, batr = float(s["level"]), float(s["batr"])
    distance = (level - close) / batr if close is not None and level > 0.0 and batr > 0.0 else None
    return {
        "drop": real(np.log(s["peak"] / s["trough"])) if s["trough"] > 0.0 else None,
        "peak": price(s["peak"]),
        "trough": price(s["trough"]),
        "floor": price(s["floor"]),
        "level": price(level),
        "zone_lo": price(s["zone_lo"]) if level > 0.0 else None,
        "q95": price(s["q95"]),
        "level_score": real(s["level_score"]) if level > 0.0 else None,
        "touches_r": int(s["touches_r"]),
        "touches_s": int(s["touches_s"]),
        "nb": int(s["nb"]),
        "batr": price(batr),
        "z": real(s["z"]),
        "drift": real(s["drift"]),
        "er": real(s["er"]),
        "anchored": int(s["anchor_state"]) == ANCHORED,
        "bars_since_low": int(s["n"]) - 1 - int(s["trough_bar"]),
        "distance_atr": distance,
    }
