"""Planted truth: bases with known floor, ceiling and end, and falls after which nothing follows.

The generator, in bars and in units of ``atr``, the true range of the calm before the fall:

1. Calm: a driftless walk of 320 bars (longer than the detector's warm-up).
2. Fall: 12 to 40 bars down, three times as volatile, overshooting the later floor by 1.5 to 4.5
   atr: the crash wick that a floor must not be taken from. It is 2 to 3.3 times as deep as the
   base above its low will be high.
3. Either a planted base or a walk; both calm down alike, volatility decaying with a half life of 8
   to 20 bars from the fall's to the calm's.
   *Base*: price snaps back above the floor within 8 bars, then swings between floor and ceiling,
   3.5 to 7 atr apart, one side to the other in 8 to 30 bars, as a walk pulled towards its next
   turning point. Bases are short (110 to 400 bars) or long (350 to 800), then break out: 12 bars up
   through the ceiling, on three times the volume.
   *Walk*: driftless, 600 bars. `calming` walks calm down as bases do, `wild` ones stay as volatile
   as the fall: a detector that asks for quiet rejects those for nothing, so they are told apart.
4. Three ceilings. `hard`: no turning point above it, price is reflected. `noisy`: every turning
   point, at the floor too, misses by a normal error. `sloped`: hard, and tilted by 0.5 to 1.5 atr
   over the base, up or down; its truth is its height where the base ends.
5. Noise (`low` 0.15, `medium` 0.45, `high` 0.8 atr): wicks beyond the body on a fifth of the bars,
   half-normal of that size, and the error of the noisy ceiling's turning points.

Every bar is made of 8 normal steps, so that open, high, low and close belong together; volume is
log-normal and grows with the bar's range. All bar counts scale with the profile's base length.
"""

from collections.abc import Mapping
from math import log, sqrt
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from engine.bars import Bars
from engine.kernels._jit import kernel

CEILINGS = ("hard", "noisy", "sloped")
NOISES: Mapping[str, float] = MappingProxyType({"low": 0.15, "medium": 0.45, "high": 0.8})
LENGTHS: Mapping[str, tuple[int, int]] = MappingProxyType({"short": (110, 400), "long": (350, 800)})
WALKS = ("calming", "wild")
WALK_BARS = 600  # within which a walk counts as armed

_STEPS = 8  # a bar's normal steps
_WICKED = 0.1  # share of bars with a wick added above, and below
_CALM_BARS, _BREAK_BARS, _AFTER_BARS = 320, 12, 40
_FALL_VOLATILITY = 3.0
# range of a bar of 8 normal steps over the deviation of its close, so that atr is what it says
_RANGE = 1.39
_SIGMA = 0.0035  # of a calm bar's log return; only the ratio to the fall matters to the detector


class Truth(NamedTuple):
    """What was planted. Bars count from 0, prices are in quote units.

    ``ceiling`` and ``floor`` are NaN for a walk; ``end`` is the first bar of the breakout, or of
    what follows the walk's counted bars.
    """

    kind: str  # base or walk
    ceiling_kind: str
    noise: str
    length: str
    start: int  # first bar after the fall
    end: int
    floor: float
    ceiling: float


class Path(NamedTuple):
    """A made history with its truth."""

    bars: Bars
    truth: Truth


@kernel
def _walk(z, start: float, sigma, drift, low, high, seeking, goals, out) -> None:
    """Walk in log price; write open, high, low, close into ``out`` (4, n).

    ``sigma`` and ``drift`` are per bar. Where ``seeking`` holds the bars left to a turning point
    (> 0), drift points at ``goals``; ``low`` and ``high`` reflect (infinite where nothing does).
    """
    x = start
    for i in range(len(sigma)):
        o = top = bottom = x
        for k in range(z.shape[1]):
            pull = drift[i]
            if seeking[i] > 0.0:
                pull = (goals[i] - x) / max(seeking[i] - k / z.shape[1], 0.5)
            x += pull / z.shape[1] + sigma[i] * z[i, k] / sqrt(z.shape[1])
            if x > high[i]:
                x = max(2.0 * high[i] - x, low[i])
            if x < low[i]:
                x = min(2.0 * low[i] - x, high[i])
            top = max(top, x)
            bottom = min(bottom, x)
        out[0, i] = o
        out[1, i] = top
        out[2, i] = bottom
        out[3, i] = x


class _Swings(NamedTuple):
    """Per bar: bars left to the next turning point, its log price, and the walls around."""

    left: np.ndarray
    goal: np.ndarray
    ground: np.ndarray
    ceiling: np.ndarray


def _swings(
    low: np.ndarray, high: np.ndarray, missed: float, scale: float, rng: np.random.Generator
) -> _Swings:
    """Swing between two walls, float64[n] each in log price; turning points err by ``missed``.

    First comes the snap back from the crash wick, in 3 to 8 bars to a third of the height. The
    walls move with the turning points, so that no swing passes the one it is meant to make.
    """
    n = len(low)
    out = _Swings(*(np.empty(n) for _ in range(4)))
    errors = [0.0, 0.0]  # of the last low and the last high turning point
    at, side = 0, 1
    while at < n:
        width = max(3, round(scale * (rng.integers(8, 31) if at else rng.integers(3, 9))))
        stop, turn = min(at + width, n), min(at + width, n - 1)
        out.left[at:stop] = np.arange(width, width - (stop - at), -1)
        if at == 0:
            out.goal[:stop] = low[turn] + (high[turn] - low[turn]) / 3.0
        else:
            errors[side] = missed * rng.standard_normal()
            out.goal[at:stop] = (low, high)[side][turn] + errors[side]
            side = 1 - side
        # nothing holds below until price is back above the floor
        out.ground[at:stop] = low[at:stop] + errors[0] if at else -np.inf
        out.ceiling[at:stop] = high[at:stop] + errors[1]
        at = stop
    return out


class _Plan(NamedTuple):
    """Per-bar arrays of one path, float64[n]."""

    sigma: np.ndarray
    drift: np.ndarray
    low: np.ndarray
    high: np.ndarray
    left: np.ndarray
    goal: np.ndarray


def _plain(n: int, sigma: np.ndarray | float, drift: float = 0.0) -> _Plan:
    wall = np.full(n, np.inf)
    none = np.zeros(n)
    return _Plan(
        np.full(n, sigma) if np.isscalar(sigma) else np.asarray(sigma),
        np.full(n, drift),
        -wall,
        wall,
        none,
        none,
    )


def _decay(n: int, scale: float, rng: np.random.Generator) -> np.ndarray:
    half = scale * rng.uniform(8.0, 20.0)
    return _SIGMA * (1.0 + (_FALL_VOLATILITY - 1.0) * 0.5 ** (np.arange(n) / half))


def _base_plan(
    n: int,
    floor: float,
    height: float,
    ceiling_kind: str,
    noise: float,
    scale: float,
    rng: np.random.Generator,
) -> tuple[_Plan, float]:
    """Return the plan of a base of n bars and its ceiling's log price where the base ends."""
    atr = _SIGMA * _RANGE
    high = np.full(n, floor + height)
    if ceiling_kind == "sloped":
        tilt = rng.choice([-1.0, 1.0]) * rng.uniform(0.5, 1.5) * atr
        high = high + tilt * np.linspace(-1.0, 0.0, n)
    low = np.full(n, floor)
    missed = noise * atr if ceiling_kind == "noisy" else 0.0
    way = _swings(low, high, missed, scale, rng)
    sigma = _decay(n, scale, rng)
    plan = _Plan(sigma, np.zeros(n), way.ground, way.ceiling, way.left, way.goal)
    return plan, float(high[-1])


def make_path(
    kind: str,
    ceiling_kind: str,
    noise: str,
    length: str,
    *,
    step_ms: int,
    scale: float,
    rng: np.random.Generator,
) -> Path:
    """Make one history (module docstring).

    Parameters
    ----------
    kind : {"base", "walk"}
    ceiling_kind : {"hard", "noisy", "sloped"}, of a base; {"calming", "wild"}, of a walk
    noise : {"low", "medium", "high"}
    length : {"short", "long"}
        Of a base; a walk has `WALK_BARS`.
    step_ms : int
        Length of a bar.
    scale : float
        Factor on all bar counts.
    rng : numpy Generator
    """
    atr = _SIGMA * _RANGE
    height = rng.uniform(3.5, 7.0) * atr
    overshoot = rng.uniform(1.5, 4.5) * atr
    depth = (height + overshoot) / rng.uniform(0.3, 0.5)
    n_calm, n_fall = round(scale * _CALM_BARS), max(6, round(scale * rng.integers(12, 41)))
    n_break, n_after = max(4, round(scale * _BREAK_BARS)), round(scale * _AFTER_BARS)
    trough = log(100.0) - depth
    fall = _plain(n_fall, _SIGMA * _FALL_VOLATILITY)._replace(
        left=np.arange(n_fall, 0, -1.0), goal=np.full(n_fall, trough)
    )
    start = n_calm + n_fall
    floor = ceiling = float("nan")
    if kind == "base":
        first, last = LENGTHS[length]
        n = round(scale * rng.integers(first, last + 1))
        floor = trough + overshoot
        body, ceiling = _base_plan(n, floor, height, ceiling_kind, NOISES[noise], scale, rng)
        leg = _plain(n_break, _SIGMA)._replace(
            left=np.arange(n_break, 0, -1.0), goal=np.full(n_break, ceiling + 4.0 * atr)
        )
        plans = [_plain(n_calm, _SIGMA), fall, body, leg, _plain(n_after, _SIGMA)]
    else:
        n = round(scale * WALK_BARS)
        sigma = _decay(n, scale, rng) if ceiling_kind == "calming" else _SIGMA * _FALL_VOLATILITY
        plans = [_plain(n_calm, _SIGMA), fall, _plain(n, sigma)]
    plan = _Plan(*(np.concatenate(part) for part in zip(*plans, strict=True)))
    bars = _print(plan, n_calm, start, n, NOISES[noise] * atr, step_ms, rng)
    truth = Truth(
        kind,
        ceiling_kind,
        noise,
        length,
        start,
        start + n,
        float(np.exp(floor)),
        float(np.exp(ceiling)),
    )
    return Path(bars, truth)


def _print(
    plan: _Plan,
    n_calm: int,
    start: int,
    n: int,
    noise: float,
    step_ms: int,
    rng: np.random.Generator,
) -> Bars:
    """Walk the plan and write it down as candles with wicks and volume."""
    size = len(plan.sigma)
    z = rng.standard_normal((size, _STEPS))
    out = np.empty((4, size))
    _walk(z, log(100.0), plan.sigma, plan.drift, plan.low, plan.high, plan.left, plan.goal, out)
    wicked = rng.random((2, size)) < _WICKED
    wicks = noise * np.abs(rng.standard_normal((2, size))) * wicked
    out[1] += wicks[0]
    out[2] -= wicks[1]
    volume = np.exp(0.5 * rng.standard_normal(size)) * (0.5 + (out[1] - out[2]) / (_SIGMA * _RANGE))
    volume[n_calm:start] *= 2.0
    volume[start + n :] *= 3.0
    ts = step_ms * np.arange(1, size + 1, dtype=np.int64)
    o, h, lo, c = np.exp(out)
    return Bars.from_arrays(ts, o, h, lo, c, volume)
