"""Who the synthetic coins are, and what the market as a whole does: the plan behind `synth`."""

from dataclasses import dataclass

import numpy as np

from engine.bars import interval_ms

DAY_MS = 86_400_000
STEPS = 8  # points of the fine grid per bar
WARM_UP_BARS = 260  # episodes start after every detector is warm
# Names that a reader knows; prices and histories are invented.
_COINS = (
    "BTC ETH SOL XRP BNB DOGE ADA AVAX LINK DOT LTC BCH NEAR UNI APT ARB OP SUI INJ ATOM "
    "FIL AAVE TIA SEI RUNE IMX LDO FTM GRT ALGO MKR SNX CRV PEPE WIF BONK JUP PYTH ENA STRK "
    "WLD ORDI GALA SAND AXS CHZ DYDX ZEC"
)
_FIRST_PRICES = {"BTC": 91_400.0, "ETH": 3_120.0, "SOL": 158.0, "BNB": 702.0, "XRP": 2.1}


@dataclass(frozen=True, slots=True)
class Coin:
    """One coin: price, volatility, size, and its ways."""

    symbol: str
    price: float
    sigma: float  # of a main bar's log return
    rho: float  # correlation with the market factor
    turnover: float  # quote units per main bar
    decimals: int
    thin: bool
    gappy: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What is common to all coins."""

    bars: int
    steps: int
    step_ms: int
    start_ms: int
    noise: np.ndarray  # of the market factor, standard normal, one a fine step
    market: np.ndarray  # increments of the factor in units of a coin's sigma, one a fine step
    crashes: tuple[int, ...]  # bars at which a market-wide crash begins
    volatility: np.ndarray  # [coins, bars] factor on sigma
    activity: np.ndarray  # [coins, bars] log factor on volume


def make_coins(rng: np.random.Generator, count: int, bar_ms: int) -> list[Coin]:
    """Draw the coins, the most liquid first."""
    scale = np.sqrt(bar_ms / interval_ms("15m"))
    known = _COINS.split()
    coins = []
    for i in range(count):
        name = known[i] if i < len(known) else f"COIN{i + 1:04d}"
        price = _FIRST_PRICES.get(name, float(np.exp(rng.uniform(np.log(0.02), np.log(90)))))
        major = i < 5  # noqa: PLR2004 - the first five are liquid and calm
        sigma = (0.0024 + 0.0004 * i if major else rng.uniform(0.0038, 0.0068)) * scale
        daily = 3e9 / (1 + i) ** 1.2 * float(np.exp(rng.normal(0, 0.3)))
        coins.append(
            Coin(
                symbol=f"{name}USDT",
                price=price,
                sigma=float(sigma),
                rho=0.9 if i == 0 else float(rng.uniform(0.55, 0.8)),
                turnover=daily * bar_ms / DAY_MS,
                decimals=int(np.clip(4 - np.floor(np.log10(price)), 1, 8)),
                thin=i % 8 == 7,  # noqa: PLR2004 - one in eight trades thinly
                gappy=i % 6 == 4,  # noqa: PLR2004 - one in six has gaps
            )
        )
    return coins


def make_plan(
    rng: np.random.Generator,
    coins: list[Coin],
    *,
    bars: int,
    steps: int,
    bar_ms: int,
    start_ms: int,
) -> Plan:
    """Draw the market factor, its crashes, and the volatility and activity of every coin."""
    count = len(coins)
    common = ar1(rng, 1, bars, 0.992, 0.35)
    fast = ar1(rng, count, bars, 0.80, 0.32)
    slow = ar1(rng, count, bars, 0.994, 0.34)
    log_volatility = common + fast + slow
    day = 2 * np.pi * ((start_ms + bar_ms * np.arange(bars)) % DAY_MS) / DAY_MS
    rhythm = 0.16 * np.sin(day - 2.4)
    volatility = np.exp(log_volatility - 0.28 + rhythm)
    activity = 0.75 * log_volatility + 1.5 * rhythm + ar1(rng, count, bars, 0.93, 0.42)
    noise = rng.standard_normal((bars, steps))
    moves = noise * (np.exp(common[0] - 0.06 + rhythm) / np.sqrt(steps))[:, None]
    moves = with_jumps(rng, moves, 0.002, 1.0)
    # About one market-wide crash a month, at bars that leave room for what follows.
    spacing = max(int(30 * DAY_MS / bar_ms), 900)
    crashes = []
    for first in range(WARM_UP_BARS, bars - 500, spacing):
        last = min(first + spacing // 2, bars - 400)
        crashes.append(int(rng.integers(first, max(last, first + 1))))
        # The crash in the factor itself moves those who play no episode at the time.
        moves[crashes[-1] : crashes[-1] + 24] -= 9 / 24 / steps
        moves[crashes[-1] + 24 : crashes[-1] + 80] += 5 / 56 / steps
    return Plan(
        bars=bars,
        steps=steps,
        step_ms=bar_ms,
        start_ms=start_ms,
        noise=noise.ravel(),
        market=moves.ravel(),
        crashes=tuple(crashes),
        volatility=volatility,
        activity=activity,
    )


def ar1(rng: np.random.Generator, rows: int, length: int, memory: float, sd: float) -> np.ndarray:
    """Return stationary AR(1) series [rows, length] with the given standard deviation."""
    shocks = rng.standard_normal((length, rows)) * (sd * np.sqrt(1 - memory**2))
    shocks[0] /= np.sqrt(1 - memory**2)
    for i in range(1, length):
        shocks[i] += memory * shocks[i - 1]
    return np.ascontiguousarray(shocks.T)


def with_jumps(
    rng: np.random.Generator, moves: np.ndarray, rate: float, sigma: float
) -> np.ndarray:
    """Add rare jumps of several sigma at random steps of random bars; `moves` is [bars, steps]."""
    hit = np.flatnonzero(rng.random(len(moves)) < rate)
    step = rng.integers(0, moves.shape[1], len(hit))
    size = sigma * rng.choice((-1.0, 1.0), len(hit)) * (2.5 + rng.standard_exponential(len(hit)))
    moves[hit, step] += size
    return moves
