"""What the market tells every user of a replayed history: signals, ends of setups, the regime.

The same values, made by the same functions, as the market layer makes of the live streams.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from engine.account.heard import ENDS, end_of, signal_of
from engine.account.messages import RegimeSeen
from engine.account.signal import Signal, SignalEnd
from engine.bars import Bars
from engine.messages import EventKind
from engine.pipeline.market import MarketSeries
from engine.risk.regime import GAP_MS, Regime, RegimeFacts, step_regime

BTC = "BTCUSDT"
_DAY_MS = 86_400_000


@dataclass(slots=True)
class Moment:
    """What becomes known at one closing of bars, in the order in which it is told."""

    regime: RegimeSeen | None = None  # only where it changes
    ends: list[SignalEnd] = field(default_factory=list)
    signals: list[Signal] = field(default_factory=list)


def moments(
    events: Sequence[np.ndarray],
    names: Mapping[int, str],
    regimes: Sequence[tuple[int, RegimeSeen]],
    *,
    profile: str,
    interval: str,
    start_ms: int,
) -> dict[int, Moment]:
    """Collect what is told from `start_ms` on, by the time of its telling."""
    found: dict[int, Moment] = {}
    for rows in events:
        for row in rows:
            t, kind = int(row["t"]), int(row["kind"])
            if t < start_ms:
                continue
            symbol = names[int(row["symbol_id"])]
            if kind == EventKind.BREAKOUT:
                signal = signal_of(row, symbol, profile, interval, None)
                found.setdefault(t, Moment()).signals.append(signal)
            elif kind in ENDS:
                found.setdefault(t, Moment()).ends.append(end_of(row, symbol, profile))
    for t, regime in regimes:
        # what was judged before the start stands at the start
        found.setdefault(max(t, start_ms), Moment()).regime = regime
    for moment in found.values():
        moment.signals.sort(key=lambda s: s.symbol)
        moment.ends.sort(key=lambda e: e.symbol)
    return found


def regimes(
    market: MarketSeries, universe: Mapping[str, Bars], interval_ms: int
) -> list[tuple[int, RegimeSeen]]:
    """Return the regime at the first bar and wherever it changes, by the time it is known."""
    btc = universe.get(BTC)
    out: list[tuple[int, RegimeSeen]] = []
    now = Regime()
    for ts, breadth, change in _facts(market, btc, interval_ms):
        facts = RegimeFacts(at_ms=ts, fallen_share=breadth, btc_change_24h=change)
        judged = step_regime(now, facts, gap_ms=max(GAP_MS, interval_ms))
        if not out or judged.regime != now.regime:
            seen = RegimeSeen(
                at_ms=ts,
                regime=judged.regime,
                breadth=breadth,
                btc_change_24h=change,
                since_ms=judged.since_ms,
            )
            out.append((ts, seen))
        now = judged
    return out


def _facts(
    market: MarketSeries, btc: Bars | None, interval_ms: int
) -> Iterator[tuple[int, float | None, float | None]]:
    """Yield (when a bar opens, breadth before it, change of BTC over the day before it)."""
    change = np.full(len(market.ts), np.nan)
    if btc is not None and len(btc):
        last = _close_at(btc, market.ts - interval_ms)
        change = last / _close_at(btc, market.ts - interval_ms - _DAY_MS) - 1.0
    for ts, breadth, moved in zip(
        market.ts.tolist(), market.breadth.tolist(), change.tolist(), strict=True
    ):
        # A lake without BTC, or of a single coin, can judge by what it has.
        yield ts, _known(breadth), _known(moved) if btc is not None else 0.0


def _close_at(bars: Bars, ts: np.ndarray) -> np.ndarray:
    at = np.searchsorted(bars.ts, ts)
    inside = np.minimum(at, len(bars) - 1)
    return np.where(bars.ts[inside] == ts, bars.close[inside], np.nan)


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None
