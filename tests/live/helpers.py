"""What the tests of the live wing share."""

import asyncio
from collections.abc import Callable
from functools import cache

import numpy as np

from engine.bars import Bars
from engine.venue.wire import Kline
from live.venues.port import Failed, Ok

STEP = 900_000
T0 = 1_700_000_100_000 // STEP * STEP
TIMEOUT_S = 60.0


def walk(n: int, seed: int = 0, start: int = T0) -> Bars:
    """A random walk of n bars."""
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0, 0.004, n)))
    open_ = np.concatenate([[100.0], close[:-1]])
    high = np.maximum(open_, close) * (1.0 + rng.uniform(0, 0.002, n))
    low = np.minimum(open_, close) * (1.0 - rng.uniform(0, 0.002, n))
    ts = start + STEP * np.arange(n, dtype=np.int64)
    volume = rng.uniform(1e4, 1e5, n)
    return Bars.from_arrays(ts, open_, high, low, close, volume, volume * close)


def only(bars: Bars, keep: np.ndarray) -> Bars:
    """The bars at these positions."""
    columns = (bars.ts, bars.open, bars.high, bars.low, bars.close, bars.volume, bars.turnover)
    return Bars.from_arrays(*(c[keep] for c in columns))


@cache
def synthetic(symbols: int, bars: int, seed: int = 7) -> dict[str, Bars]:
    """A seeded market with real episodes; computed once a process."""
    from data.synth import make_market

    market = make_market(np.random.default_rng(seed), symbols=symbols, days=bars / 96)
    return dict(market.bars["15m"])


def kline(bars: Bars, i: int) -> Kline:
    """One bar as the venue's candle."""
    columns = (bars.open, bars.high, bars.low, bars.close, bars.volume, bars.turnover)
    return Kline(int(bars.ts[i]), *(float(c[i]) for c in columns), confirm=True)


def values(bars: Bars, i: int) -> tuple[float, float, float, float, float, float]:
    """One bar as the collator's tuple."""
    columns = (bars.open, bars.high, bars.low, bars.close, bars.volume, bars.turnover)
    o, h, lo, c, v, t = (float(x[i]) for x in columns)
    return (o, h, lo, c, v, t)


async def until(condition: Callable[[], bool], what: str, timeout_s: float = TIMEOUT_S) -> None:
    """Wait for a condition that other tasks bring about; fails by name, never by luck."""
    try:
        async with asyncio.timeout(timeout_s):
            while not condition():  # noqa: ASYNC110 - the tasks under test own no event
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"never happened: {what}") from None


class OracleRest:
    """A venue's history held in memory, with a clock that is set and failures that are scripted."""

    def __init__(self, bars: dict[str, Bars], now_ms: int) -> None:
        self.bars = bars
        self.now_ms = now_ms
        self.script: list[object] = []
        self.asked: list[tuple[str, int]] = []

    async def klines(
        self,
        symbol: str,
        interval: str,
        *,
        start_ms: int | None = None,
        end_ms: int | None = None,
        limit: int = 1000,
    ) -> object:
        assert interval == "15m"
        self.asked.append((symbol, start_ms or 0))
        if self.script:
            return self.script.pop(0)
        if symbol not in self.bars:
            return Failed("10001: Not supported symbols", retryable=False)
        series = self.bars[symbol]
        closed = series.ts + STEP <= self.now_ms
        inside = (series.ts >= (start_ms or 0)) & (series.ts <= (end_ms or self.now_ms)) & closed
        found = [kline(series, int(i)) for i in np.flatnonzero(inside)]
        return Ok(found[-limit:], self.now_ms)

    async def server_time(self) -> object:
        return Ok(self.now_ms, self.now_ms)

    async def instruments(self) -> object:
        return Ok([], self.now_ms)

    async def tickers(self) -> object:
        return Ok([], self.now_ms)

    async def contracts(self) -> object:
        return Ok([], self.now_ms)

    async def tiers(self, symbol: str) -> object:  # noqa: ARG002
        return Ok((), self.now_ms)

    async def close(self) -> None:
        """Nothing to release."""
