"""The drill's market: three coins, bars of four seconds, and what the market layer says of it."""

import math
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np

from app.proofs.drill.dice import Dice
from app.proofs.simloop import START_MS
from engine.account.messages import RegimeSeen
from engine.account.signal import Quote, Signal
from engine.bars import Bars
from engine.venue.instrument import Instrument
from engine.venue.replay import Replay

BAR_MS = 4_000
BARS = 56
COINS = (("AAAUSDT", 100.0, 2), ("BBBUSDT", 2.5, 4), ("CCCUSDT", 0.04, 6))
SYMBOLS = tuple(symbol for symbol, _, _ in COINS)
PROFILE = "default"
_RISE, _NOISE = 0.0035, 0.003


def replay(rng: np.random.Generator) -> Replay:
    """Draw the market: stretches of rise, fall and rest, long enough for a trade's whole life."""
    bars, funding = {}, {}
    ts = START_MS + BAR_MS * np.arange(BARS)
    for symbol, start, digits in COINS:
        drift = np.concatenate(
            [
                np.full(int(rng.integers(4, 14)), _RISE * rng.choice([1, 1, 0, -1]))
                for _ in range(16)
            ]
        )[:BARS]
        path = start * np.exp(np.concatenate([[0], np.cumsum(drift + rng.normal(0, _NOISE, BARS))]))
        o, c = np.round(path[:-1], digits), np.round(path[1:], digits)
        far = 1 + np.abs(rng.normal(0.0, _NOISE / 2, (2, BARS)))
        h = np.round(np.maximum(o, c) * far[0], digits)
        lo = np.round(np.minimum(o, c) / far[1], digits)
        volume = rng.uniform(1e5, 1e6, BARS) / start
        bars[symbol] = Bars.from_arrays(ts, o, h, lo, c, volume, volume * c)
        at = START_MS + BAR_MS * np.arange(5, BARS, 11) + 1_000
        funding[symbol] = (at.astype(np.int64), rng.normal(0.0001, 0.0003, len(at)))
    return Replay(BAR_MS, bars, funding)


class Market:
    """What the market layer tells of it, and what befalls that."""

    def __init__(self, world: Any, seed: int) -> None:
        self._world = world
        self._rng = Dice(seed ^ 0x3A7)
        self.regime = RegimeSeen(at_ms=START_MS, regime="NORMAL", since_ms=START_MS)
        self.dead_until_s: dict[str, float] = {}  # whose quotes do not come any more
        self.odd: dict[str, tuple[float, int]] = {}  # until when, and how
        self.stale_until_s: dict[str, float] = {}
        self.changed_s: dict[str, float] = {}  # when a contract's rules changed last
        self._off_s = 0.0
        self._last: dict[str, Quote] = {}

    # ------------------------------------------------------------------ facts

    def quote(self, symbol: str) -> Quote | None:
        """Return the newest quote of a coin as the market layer has it."""
        now_s = self._world.now_s
        if now_s < self.dead_until_s.get(symbol, 0.0):
            return self._last.get(symbol)
        last = mark = float(self._world.desk.tape.quote(symbol))
        until_s, how = self.odd.get(symbol, (0.0, 0))
        if now_s < until_s:
            last = (math.nan, 0.0, -last, last * 1000.0)[how]
        made = Quote(
            ts=self._world.clock.now_ms(),
            bid=last * 0.9999,
            ask=last * 1.0001,
            mark=mark,
            spread_bps=2.0,
            sweep_bps=2.0,
            notional_usdt=5_000.0,
            source="book",
            stale=now_s < self.stale_until_s.get(symbol, 0.0),
            funding_rate=0.0001,
            next_funding_ms=START_MS + 3_600_000,
            funding_interval_min=480,
            turnover_24h=5e7,
        )
        self._last[symbol] = made
        return made

    def contract(self, symbol: str) -> Instrument | None:
        """Return a coin's rules."""
        return self._world.desk.exchange.instruments.get(symbol)

    def risk_off(self, ms: int) -> None:
        """Let the whole market look bad for a while."""
        self._off_s = self._world.now_s
        self._regime("RISK_OFF")
        self._world.later(ms / 1000.0, lambda: self._regime("NORMAL"))

    def risk_off_s(self) -> float:
        """Return for how long it has looked bad."""
        return self._world.now_s - self._off_s if self.regime.regime == "RISK_OFF" else 0.0

    def _regime(self, regime: str) -> None:
        now_ms = self._world.clock.now_ms()
        self.regime = RegimeSeen(at_ms=now_ms, regime=regime, since_ms=now_ms)
        self._world.tell(f"the market is {regime}")
        for process in self._world.alive:
            self._world.inside(process, process.supervisor.regime, self.regime)

    def signal(self, symbol: str, t: int) -> Signal:
        """Return a breakout of a coin at the close of a bar."""
        last = float(self._world.desk.tape.quote(symbol))
        rng = self._rng
        batr = last * rng.uniform(0.004, 0.008)
        level = last * (1.0 - rng.choice([0.0005, 0.001, 0.003]))
        return Signal(
            signal_id=f"{PROFILE}-4s-{symbol}-{t}",
            symbol=symbol,
            profile=PROFILE,
            interval_ms=BAR_MS,
            t=t,
            close=last,
            level=level,
            levels=(level,) * 8,
            floor=level * (1.0 - rng.uniform(0.006, 0.02)),
            batr=batr,
            atr=batr,
            drop=0.3,
            level_score=0.8,
            touches=3,
            breadth=0.5,
            market_fall=0.0,
            residual_share=0.5,
            quote=self.quote(symbol),
        )

    # ------------------------------------------------------------------ what befalls it

    def gap(self, symbol: str, bps: int) -> None:
        """Let the price fall by so much between two trades, and stay there."""
        market = self._world.desk.replay
        stamps, columns = market.columns(symbol)
        at = int(np.searchsorted(stamps, self._world.desk.now_ms, side="right"))
        digits = next(d for s, _, d in COINS if s == symbol)
        for column in columns[:4]:
            column[at:] = np.round(column[at:] * (1.0 - bps / 1e4), digits)

    def no_trades(self, symbol: str, ms: int) -> None:
        """Let nobody trade a coin for a while: its bars have no volume."""
        stamps, columns = self._world.desk.replay.columns(symbol)
        now = self._world.desk.now_ms
        quiet = (stamps > now) & (stamps < now + ms)
        for column in columns[4:]:
            column[quiet] = 0.0

    def new_rules(self, symbol: str, how: int) -> None:
        """Let a contract's grid become coarser."""
        rules = self._world.desk.listings[symbol].instrument
        ten = Decimal(10)
        new = (
            replace(rules, tick_size=rules.tick_size * ten)
            if how == 0
            else replace(rules, qty_step=rules.qty_step * ten, min_order_qty=rules.qty_step * ten)
        )
        self._world.desk.change_instrument(new)
        self.changed_s[symbol] = self._world.now_s

    def changed_lately(self, symbol: str) -> bool:
        """Tell whether a contract has new rules: what was rounded before stays as it was."""
        return symbol in self.changed_s

    def dark_s(self, symbol: str) -> float:
        """Return for how long the coin's quotes have been of no use."""
        now_ms = self._world.clock.now_ms()
        last = self._last.get(symbol)
        dead = self._world.now_s < self.dead_until_s.get(symbol, 0.0)
        return (now_ms - last.ts) / 1000.0 if dead and last is not None else 0.0
