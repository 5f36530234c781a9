"""A market layer in one process for tests: the real detector, an invented market, bar by bar."""

from collections import deque
from types import SimpleNamespace

import numpy as np

from data.profiles import load_profile
from data.synth import make_market
from engine.bars import INTERVAL_MS
from engine.messages import EventKind, Gate, Phase
from engine.pipeline.p4_base import ANCHORED
from engine.pipeline.phase import EVENT, EVENTS_PER_BAR, new_contexts
from engine.pipeline.scan import scan_newest

WINDOW = 600


def _number(value: float) -> float | None:
    value = float(value)
    return value if np.isfinite(value) else None


class Feed:
    """Answers like `live.service.MarketService`; time passes when `advance` is called."""

    mode = "SIM"
    scan_ms = 1.6

    def __init__(
        self, *, symbols: int = 12, days: float = 30, seed: int = 7, names: dict | None = None
    ) -> None:
        market = make_market(np.random.default_rng(seed), symbols=symbols, days=days)
        self.interval = "15m"
        self.step_ms = INTERVAL_MS[self.interval]
        self.profile = load_profile("default", self.interval)
        rename = names or {}
        self.bars = {rename.get(s, s): b for s, b in market.bars[self.interval].items()}
        self.ticks = {
            rename.get(s, s): np.format_float_positional(t, trim="-")
            for s, t in market.ticks.items()
        }
        self.truth = market.truth
        self.symbols = sorted(self.bars)
        self.scan_symbols = len(self.symbols)
        self.contexts = new_contexts(len(self.symbols))
        self.since = np.zeros(len(self.symbols), np.int64)
        self.log: deque[SimpleNamespace] = deque(maxlen=5000)
        self.first = min(int(b.ts[0]) for b in self.bars.values())
        self.last = max(int(b.ts[-1]) for b in self.bars.values())
        self.minute = self.first
        self.hub = None
        self.age_s = 0.4
        self.status = "live"
        self.excluded = {"OLDUSDT": "too thin", "THINUSDT": "too thin", "NEWUSDT": "too young"}

    # ------------------------------------------------------------------ time

    def advance(self, bars: int = 1) -> list[SimpleNamespace]:
        """Close so many bars of every coin; returns the events."""
        made: list[SimpleNamespace] = []
        for _ in range(bars):
            if self.minute > self.last:
                break
            made += self._close(self.minute)
            self.minute += self.step_ms
        return made

    def advance_to(self, ts: int) -> None:
        self.advance((ts - self.minute) // self.step_ms)

    def _close(self, ts: int) -> list[SimpleNamespace]:
        rows, columns = [], []
        for i, symbol in enumerate(self.symbols):
            b = self.bars[symbol]
            at = int(np.searchsorted(b.ts, ts))
            if at < len(b) and b.ts[at] == ts:
                rows.append(i)
                columns.append((b.open[at], b.high[at], b.low[at], b.close[at], b.volume[at]))
        out = np.zeros(EVENTS_PER_BAR * len(rows), EVENT)
        values = [np.ascontiguousarray(x) for x in np.array(columns, np.float64).reshape(-1, 5).T]
        before = self.contexts["phase"].copy()
        k = scan_newest(
            self.contexts,
            self.profile.params,
            np.array(rows, np.int64),
            np.full(len(rows), ts, np.int64),
            *values,
            (0.12, 0.02),
            interval_ms=self.step_ms,
            out=out,
        )
        changed = before != self.contexts["phase"]
        self.since[changed] = ts + self.step_ms
        made = [self._event(e) for e in out[:k]]
        self.log.extend(made)
        if self.hub is not None:
            if made:
                self.hub.on_phase(SimpleNamespace(events=made))
            symbols = [self.symbols[i] for i in rows]
            rows_of = [tuple(map(float, c)) for c in columns]
            self.hub.on_bars(SimpleNamespace(ts=ts, symbols=symbols, rows=rows_of))
        return made

    def tick(self, symbol: str, price: float) -> None:
        """Move an open candle."""
        i = self.symbols.index(symbol)
        before = float(self.contexts["prev_close"][i])
        self.hub.on_price(
            SimpleNamespace(
                symbol=symbol,
                interval=self.interval,
                ts=self.minute,
                open=before,
                high=max(before, price),
                low=min(before, price),
                close=price,
                volume=5.0,
                received=self.minute,
            )
        )

    def _event(self, e: np.void) -> SimpleNamespace:
        fields = {}
        for name in EVENT.names:
            value = e[name]
            fields[name] = (
                [_number(x) for x in value]
                if name == "levels"
                else (_number(value) if value.dtype.kind == "f" else int(value))
            )
        mask = int(e["reject_mask"])
        return SimpleNamespace(
            seq=len(self.log) + 1 + int(e["t"]) // 1000,
            t=int(e["t"]),
            symbol=self.symbols[int(e["symbol_id"])],
            kind=EventKind(int(e["kind"])).name,
            phase_before=Phase(max(1, int(e["phase_before"]))).name,
            phase_after=Phase(max(1, int(e["phase_after"]))).name,
            reject=tuple(g.name for g in Gate if mask & g),
            replayed=False,
            fields=fields,
        )

    # ------------------------------------------------------------------ reading

    def now_ms(self) -> int:
        return self.minute

    def events(self, since_ms: int = 0, limit: int = 2000) -> list[SimpleNamespace]:
        return [e for e in self.log if e.t > since_ms][-limit:]

    def _bars(self, i: int) -> tuple:
        b = self.bars[self.symbols[i]]
        end = int(np.searchsorted(b.ts, self.minute))
        return b.slice(max(0, end - WINDOW), end)

    def _row(self, i: int) -> SimpleNamespace:
        s = self.contexts[i]
        cut = self._bars(i)
        closes = cut.close
        day = DAY_BARS if len(closes) > DAY_BARS else len(closes) - 1
        phase = max(1, int(s["phase"]))
        setup, base = phase > 1, phase >= 4
        batr, level = float(s["batr"]), float(s["level"])
        close = float(closes[-1]) if len(closes) else None
        last = next((e for e in reversed(self.log) if e.symbol == self.symbols[i]), None)
        return SimpleNamespace(
            symbol=self.symbols[i],
            phase=phase,
            phase_name=Phase(phase).name,
            since=int(self.since[i]),
            status="live",
            close=close,
            change_24h=close / float(closes[-1 - day]) - 1 if day > 0 else None,
            drop=float(s["drop"]) if setup else None,
            z=float(s["z"]) if setup else None,
            peak=float(s["peak"]) if setup else None,
            trough=float(s["trough"]) if setup else None,
            floor=float(s["floor"]) if base else None,
            level=level if base and level else None,
            zone_lo=float(s["zone_lo"]) if base else None,
            q95=float(s["q95"]) if base else None,
            level_score=float(s["level_score"]) if base and level else None,
            touches_r=int(s["touches_r"]),
            touches_s=int(s["touches_s"]),
            nb=int(s["nb"]) if setup else 0,
            batr=batr if base else None,
            drift=float(s["drift"]) if base else None,
            er=float(s["er"]) if base else None,
            anchored=int(s["anchor_state"]) == ANCHORED,
            bars_since_low=int(s["n"] - s["trough_bar"]) if setup else None,
            distance_atr=(level - close) / batr if base and level and batr else None,
            tick=self.ticks[self.symbols[i]],
            last_event=last.kind if last else None,
            last_event_t=last.t if last else 0,
            closes=tuple(closes[-48:].tolist()),
        )

    def board(self) -> SimpleNamespace:
        rows = tuple(self._row(i) for i in range(len(self.symbols)))
        return SimpleNamespace(
            as_of=self.minute,
            interval=self.interval,
            interval_ms=self.step_ms,
            profile="default",
            minute=self.minute,
            counts={},
            market=SimpleNamespace(breadth=0.12),
            rows=rows,
            excluded=self.excluded,
        )

    def coin(self, symbol: str) -> SimpleNamespace | None:
        if symbol not in self.symbols:
            return None
        i = self.symbols.index(symbol)
        s, cut = self.contexts[i], self._bars(i)

        def at(bar: str) -> int:
            return self.minute - int(s["n"] - s[bar]) * self.step_ms

        setup = int(s["phase"]) > 1
        bars = zip(
            *(getattr(cut, c).tolist() for c in ("ts", "open", "high", "low", "close", "volume")),
            strict=True,
        )
        return SimpleNamespace(
            symbol=symbol,
            interval=self.interval,
            profile="default",
            row=self._row(i),
            bars=tuple(bars),
            zones=SimpleNamespace(
                anchor_t=at("anchor_bar") if setup else None,
                trough_t=at("trough_bar") if setup else None,
            ),
            events=tuple(e for e in self.log if e.symbol == symbol)[-200:],
        )

    def health(self) -> SimpleNamespace:
        return SimpleNamespace(
            status=self.status, last_message_age_s=self.age_s, symbols=len(self.symbols)
        )


DAY_BARS = 96
