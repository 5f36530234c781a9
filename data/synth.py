"""A seeded synthetic market: real-looking coins with planted Pattern-1 episodes of known truth.

One market factor and a share of it per coin, log-volatility that clusters (two AR(1) components and
a common one), jumps, volume that follows |return| and volatility, a daily rhythm, funding, prices
on a tick. Between ordinary stretches every coin plays scripted episodes (`synth_episodes`): some
start together in a market-wide crash, some are its own. Some series have gaps or zero-volume bars.

Prices are invented. The same seed gives the same bytes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from data.catalog import Lake
from data.files import parquet_bytes, write_atomic
from data.synth_episodes import KINDS, Episode, script
from data.synth_plan import (
    DAY_MS,
    STEPS,
    WARM_UP_BARS,
    Coin,
    Plan,
    make_coins,
    make_plan,
    with_jumps,
)
from engine.bars import Bars, interval_ms
from engine.errors import UsageError

# 2026-01-01T00:00Z: a round beginning, so that runs of any day agree.
START_MS = 1_767_225_600_000
VENUE = "synthetic"


@dataclass(frozen=True, slots=True)
class Market:
    """A synthetic market.

    Attributes
    ----------
    bars : dict[interval, dict[symbol, Bars]]
        Coarser intervals are aggregated from the finest; a bar with a missing part is missing.
    funding : dict[symbol, DataFrame]
        `ts`, `funding_rate`; a few coins have no series, as in real lakes.
    truth : DataFrame
        One row per planted episode: symbol, kind, market_wide, start_ts, trough_ts, base_start_ts,
        base_end_ts, end_ts (UTC ms of bar opens, null where there is none), peak, trough, floor,
        ceiling (prices), drop_fraction, floor_touches, ceiling_touches.
    gaps : DataFrame
        symbol, from_ts, to_ts, bars of the main interval left out.
    ticks : dict[symbol, float]
        Price tick.
    """

    interval: str
    bars: Mapping[str, Mapping[str, Bars]]
    funding: Mapping[str, pl.DataFrame]
    truth: pl.DataFrame
    gaps: pl.DataFrame
    ticks: Mapping[str, float]


def make_market(
    rng: np.random.Generator,
    *,
    symbols: int = 48,
    days: float = 90,
    interval: str = "15m",
    also: Iterable[str] = (),
    start_ms: int = START_MS,
) -> Market:
    """Make a market.

    Parameters
    ----------
    rng : numpy Generator
        All randomness comes from it; the same state gives the same market.
    symbols : int
        Number of coins, BTCUSDT first.
    days : float
        Length of history.
    interval : str
        The main interval: episodes have their natural length in its bars.
    also : iterable of str
        More intervals, finer or coarser, consistent with the main one.
    start_ms : int
        UTC ms of the first bar's open, a multiple of every interval.

    Raises
    ------
    UsageError
        Numbers out of range, intervals that do not divide each other.
    """
    wanted = sorted({interval, *also}, key=interval_ms)
    main_ms, fine_ms = interval_ms(interval), interval_ms(wanted[0])
    bars = int(days * DAY_MS // main_ms)
    _check(symbols, bars, wanted, fine_ms, start_ms)
    ratio = main_ms // fine_ms
    steps = max(STEPS, 4 * ratio)
    steps -= steps % ratio
    coins = make_coins(rng, symbols, main_ms)
    plan = make_plan(rng, coins, bars=bars, steps=steps, bar_ms=main_ms, start_ms=start_ms)
    series: dict[str, dict[str, Bars]] = {name: {} for name in wanted}
    truth: list[dict[str, Any]] = []
    gaps: list[dict[str, Any]] = []
    funding: dict[str, pl.DataFrame] = {}
    # A generator for each coin: what one coin draws never moves another.
    for row, (coin, own) in enumerate(zip(coins, rng.spawn(symbols), strict=True)):
        path, boost, planted = _path(own, coin, plan, row)
        frame = _bars(own, coin, plan, row, path=path, boost=boost, ratio=ratio)
        truth += [_truth_row(coin, plan, path, item) for item in planted]
        holes = _holes(own, coin, plan)
        gaps += [_gap_row(coin, plan, *hole) for hole in holes]
        for name in wanted:
            series[name][coin.symbol] = _aggregate(frame, fine_ms, interval_ms(name), holes, plan)
        if row % 16 != 11:  # noqa: PLR2004 - a few coins without funding, as in real lakes
            funding[coin.symbol] = _funding(own, plan, path)
    return Market(
        interval=interval,
        bars=series,
        funding=funding,
        truth=pl.DataFrame(truth, schema=_TRUTH).sort("start_ts", "symbol"),
        gaps=pl.DataFrame(gaps, schema=_GAPS),
        ticks={coin.symbol: 10.0**-coin.decimals for coin in coins},
    )


def _check(symbols: int, bars: int, wanted: list[str], fine_ms: int, start_ms: int) -> None:
    if not 1 <= symbols <= 2_000:  # noqa: PLR2004 - some limit on everything
        raise UsageError(f"symbols must be 1 to 2000, not {symbols}")
    if not 10 <= bars <= 2_000_000:  # noqa: PLR2004
        raise UsageError(f"that is {bars} bars a coin; choose days that give 10 to 2,000,000")
    lengths = [interval_ms(name) for name in wanted]
    if any(b % fine_ms for b in lengths) or any(start_ms % b for b in lengths):
        raise UsageError(f"{', '.join(wanted)} do not divide each other, or the start")


def _path(
    rng: np.random.Generator, coin: Coin, plan: Plan, row: int
) -> tuple[np.ndarray, np.ndarray, list[tuple[int, Episode, bool]]]:
    """Return log prices on the fine grid, the volume factor per bar, and what was planted where."""
    scale = coin.sigma * np.sqrt(1 - coin.rho**2) * plan.volatility[row] / np.sqrt(plan.steps)
    moves = rng.standard_normal((plan.bars, plan.steps)) * scale[:, None]
    moves = with_jumps(rng, moves, 0.0025, coin.sigma).ravel()
    moves += coin.rho * coin.sigma * plan.market
    boost = np.ones(plan.bars)
    planted: list[tuple[int, Episode, bool]] = []
    level, at = 0.0, 0
    while True:
        start, wide = _next_start(rng, plan, at)
        episode = script(
            rng,
            _pick(rng),
            sigma=coin.sigma,
            steps=plan.steps,
            shared=plan.noise[start * plan.steps :],
            rho=coin.rho,
        )
        fits = start + episode.bars < plan.bars
        stop = start if fits else plan.bars
        stretch = slice(at * plan.steps, stop * plan.steps)
        if stop > at:
            # Ordinary stretches lean back to where the coin began, so that dumps do not add up.
            lean = -0.8 * level - float(moves[stretch].sum()) * 0.5
            moves[stretch] += lean / (stretch.stop - stretch.start)
            level += float(moves[stretch].sum())
        if not fits:
            break
        at = start + episode.bars
        moves[start * plan.steps : at * plan.steps] = episode.increments
        boost[start:at] = episode.boost
        level += float(episode.increments.sum())
        planted.append((start, episode, wide))
    return np.log(coin.price) + np.cumsum(moves), boost, planted


def _next_start(rng: np.random.Generator, plan: Plan, at: int) -> tuple[int, bool]:
    """Choose where the next episode begins; most coins wait for a crash that is near."""
    start = (at if at else WARM_UP_BARS) + int(rng.integers(40, 520))
    for crash in plan.crashes:
        if max(at, 1) <= crash < start + 420 and rng.random() < 0.8:  # noqa: PLR2004
            return crash + int(rng.integers(0, 4)), True
    return start, False


def _pick(rng: np.random.Generator) -> str:
    return str(rng.choice(list(KINDS), p=list(KINDS.values())))


def _bars(
    rng: np.random.Generator,
    coin: Coin,
    plan: Plan,
    row: int,
    *,
    path: np.ndarray,
    boost: np.ndarray,
    ratio: int,
) -> dict[str, np.ndarray]:
    """Cut the fine path into bars of the finest interval: prices on the tick, volume that fits."""
    count = plan.bars * ratio
    prices = np.round(np.exp(path), coin.decimals).reshape(count, plan.steps // ratio)
    np.maximum(prices, 10.0**-coin.decimals, out=prices)
    close = prices[:, -1].copy()
    silent = np.zeros(count, bool)
    if coin.thin:
        # Whole main bars, so that every interval has some.
        silent = np.repeat(rng.random(plan.bars) < 0.012, ratio)  # noqa: PLR2004
        silent[:ratio] = False
        close = close[np.maximum.accumulate(np.where(silent, 0, np.arange(count)))]
    open_ = np.concatenate(([prices[0, 0]], close[:-1]))
    high = np.maximum(np.maximum(prices.max(axis=1), open_), close)
    low = np.minimum(np.minimum(prices.min(axis=1), open_), close)
    # A few points a bar miss its extremes: wicks in proportion to its range.
    wicks = 0.17 * np.log(high / low) * rng.standard_exponential((2, count))
    high = np.maximum(np.round(high * np.exp(wicks[0]), coin.decimals), high)
    low = np.minimum(np.round(low * np.exp(-wicks[1]), coin.decimals), low)
    np.maximum(low, 10.0**-coin.decimals, out=low)
    high[silent] = low[silent] = open_[silent] = close[silent]
    size = np.abs(np.log(close / open_)) / (coin.sigma / np.sqrt(ratio))
    spread = np.log(high / low) / (coin.sigma / np.sqrt(ratio))
    logs = np.repeat(plan.activity[row] + np.log(boost), ratio)
    logs += (
        0.35 * np.log(0.25 + size) + 0.45 * np.log(0.35 + spread) + rng.normal(-0.5, 0.22, count)
    )
    volume = coin.turnover / ratio * np.exp(logs) / close
    volume = np.round(volume, int(np.clip(np.log10(coin.price), 0, 3)))
    volume[silent] = 0.0
    # The mean price of a bar weighs its ends and extremes alike.
    turnover = np.round(volume * (open_ + high + low + close) / 4, 4)
    return {
        "open": open_,
        "high": high,
        "low": low,
        "close": close,
        "volume": volume,
        "turnover": turnover,
    }


def _holes(rng: np.random.Generator, coin: Coin, plan: Plan) -> list[tuple[int, int]]:
    """Return (first bar, bars) of the stretches left out of a coin's series."""
    if not coin.gappy or plan.bars < 4 * WARM_UP_BARS:
        return []
    starts = rng.integers(WARM_UP_BARS, plan.bars - 60, 2)
    return [(int(s), int(rng.integers(1, 40))) for s in starts]


def _aggregate(
    frame: Mapping[str, np.ndarray],
    fine_ms: int,
    to_ms: int,
    holes: list[tuple[int, int]],
    plan: Plan,
) -> Bars:
    """Sum fine bars into coarser ones and leave out those that touch a hole."""
    each = to_ms // fine_ms
    whole = len(frame["open"]) // each

    def parts(name: str) -> np.ndarray:
        return frame[name][: whole * each].reshape(whole, each)

    ts = plan.start_ms + to_ms * np.arange(whole, dtype=np.int64)
    keep = np.ones(whole, bool)
    for first, bars in holes:
        from_ms = plan.start_ms + first * plan.step_ms
        keep &= (ts + to_ms <= from_ms) | (ts >= from_ms + bars * plan.step_ms)
    columns = (
        parts("open")[:, 0],
        parts("high").max(axis=1),
        parts("low").min(axis=1),
        parts("close")[:, -1],
        parts("volume").sum(axis=1),
        parts("turnover").sum(axis=1),
    )
    return Bars.from_arrays(ts[keep], *(c[keep] for c in columns))


def _funding(rng: np.random.Generator, plan: Plan, path: np.ndarray) -> pl.DataFrame:
    """Return rates every 8 hours: near 1 bp, higher after rises, negative after falls."""
    period_ms = 8 * 3_600_000
    first = -(-plan.start_ms // period_ms) * period_ms
    ts = np.arange(first, plan.start_ms + plan.bars * plan.step_ms, period_ms, dtype=np.int64)
    at = (ts - plan.start_ms) * plan.steps // plan.step_ms
    day = max(DAY_MS // plan.step_ms, 1) * plan.steps
    change = path[at] - path[np.maximum(at - day, 0)]
    rate = 1e-4 + 1.2e-3 * change + rng.normal(0, 3e-5, len(ts))
    return pl.DataFrame({"ts": ts, "funding_rate": np.round(np.clip(rate, -5e-3, 5e-3), 8)})


_TRUTH: Mapping[str, Any] = {
    "symbol": pl.String,
    "kind": pl.String,
    "market_wide": pl.Boolean,
    **dict.fromkeys(("start_ts", "trough_ts", "base_start_ts", "base_end_ts", "end_ts"), pl.Int64),
    **dict.fromkeys(("peak", "trough", "floor", "ceiling", "drop_fraction"), pl.Float64),
    "floor_touches": pl.Int64,
    "ceiling_touches": pl.Int64,
}
_GAPS: Mapping[str, Any] = {
    "symbol": pl.String,
    "from_ts": pl.Int64,
    "to_ts": pl.Int64,
    "bars": pl.Int64,
}


def _truth_row(
    coin: Coin, plan: Plan, path: np.ndarray, planted: tuple[int, Episode, bool]
) -> dict[str, Any]:
    start, episode, wide = planted
    peak = float(path[start * plan.steps - 1])

    def ts(bar: int) -> int | None:
        return None if bar < 0 else plan.start_ms + (start + bar) * plan.step_ms

    def price(level: float) -> float:
        return float(np.round(np.exp(peak + level), coin.decimals))

    based = episode.base_start_bar >= 0
    return {
        "symbol": coin.symbol,
        "kind": episode.kind,
        "market_wide": wide,
        "start_ts": ts(0),
        "trough_ts": ts(episode.trough_bar),
        "base_start_ts": ts(episode.base_start_bar),
        "base_end_ts": ts(episode.base_end_bar),
        "end_ts": ts(episode.bars - 1),
        "peak": price(0.0),
        "trough": price(episode.trough),
        "floor": price(episode.floor) if based else None,
        "ceiling": price(episode.ceiling) if based else None,
        "drop_fraction": 1 - float(np.exp(episode.trough)),
        "floor_touches": episode.floor_touches,
        "ceiling_touches": episode.ceiling_touches,
    }


def _gap_row(coin: Coin, plan: Plan, first: int, bars: int) -> dict[str, Any]:
    from_ts = plan.start_ms + first * plan.step_ms
    return {
        "symbol": coin.symbol,
        "from_ts": from_ts,
        "to_ts": from_ts + bars * plan.step_ms,
        "bars": bars,
    }


def write_market(lake: Lake, market: Market, venue: str = VENUE) -> int:
    """Write a market into a lake: bars, funding and, beside them, the truth; return the bars.

    The truth goes to `<lake>/truth/venue=<venue>/episodes.parquet` and `gaps.parquet`.
    """
    written = 0
    for interval, series in market.bars.items():
        for symbol, bars in series.items():
            written += lake.write_bars(venue, interval, symbol, bars)
    for symbol, frame in market.funding.items():
        lake.write_funding(venue, symbol, frame)
    folder = lake.path / "truth" / f"venue={venue}"
    labels = {"venue": venue, "interval": market.interval, "schema": "1"}
    for name, frame in (("episodes", market.truth), ("gaps", market.gaps)):
        content = parquet_bytes(frame.to_arrow(), labels, "lz4")
        write_atomic(folder / f"{name}.parquet", content, durable=lake.durable)
    return written
