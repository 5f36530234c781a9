"""Surrogate histories: the same bars without their direction.

A detector of bases must find more of them in a real history than in one whose direction was tossed
away. The null here flips the signs of arithmetic bar relatives (open, high, low, close over the
previous close). Ranges, volatility clustering, volumes and gaps stay; so does the co-movement of
coins, because all of them share the sign of an instant. Log returns are not flipped: the mean of
exp(+-r) exceeds 1, and a surrogate with a drift of its own earns money from nothing.
"""

from collections.abc import Mapping
from itertools import pairwise
from types import MappingProxyType

import numpy as np

from engine.bars import Bars
from engine.errors import UsageError
from engine.kernels._jit import kernel

_HOUR_MS = 3_600_000
# Signs held over a whole block leave what lives within one, such as the bounce between two bars.
BLOCK_MS: Mapping[str, int] = MappingProxyType(
    {"bar": 0, "1h": _HOUR_MS, "4h": 4 * _HOUR_MS, "24h": 24 * _HOUR_MS}
)


@kernel
def sign_at(seed: int, block: int) -> float:
    """Return +1 or -1 for a seed and a block of time: a hash, so that no generator is shared.

    Two rounds of splitmix64's finaliser over the pair; the same for every symbol, whatever its
    first bar.
    """
    z = np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0xD1B54A32D192ED03)
    for _ in range(2):
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = (z ^ (z >> np.uint64(31))) + np.uint64(block) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return 1.0 if (z >> np.uint64(63)) == np.uint64(0) else -1.0


@kernel
def _flip(ts, o, h, lo, c, step_ms: int, block_ms: int, seed: int, out) -> int:
    """Write open, high, low, close of a surrogate into ``out``, shape (4, n).

    Returns how many bars had a minus but could not be flipped.
    """
    kept = 0
    for i in range(len(ts)):
        if i == 0 or ts[i] - ts[i - 1] != step_ms:
            # a stretch starts at its real price: what the gap hid is not known
            out[0, i], out[1, i], out[2, i], out[3, i] = o[i], h[i], lo[i], c[i]
            continue
        sign = sign_at(seed, ts[i] // block_ms)
        before = c[i - 1]
        now = out[3, i - 1]
        # a high that doubled the price would flip to a low of zero
        if sign < 0.0 and h[i] < 2.0 * before:
            out[0, i] = now * (2.0 - o[i] / before)
            out[1, i] = now * (2.0 - lo[i] / before)
            out[2, i] = now * (2.0 - h[i] / before)
            out[3, i] = now * (2.0 - c[i] / before)
        else:
            kept += sign < 0.0
            out[0, i] = now * (o[i] / before)
            out[1, i] = now * (h[i] / before)
            out[2, i] = now * (lo[i] / before)
            out[3, i] = now * (c[i] / before)
        # rounding must not push a high under its own close
        out[1, i] = max(out[1, i], out[0, i], out[3, i])
        out[2, i] = min(out[2, i], out[0, i], out[3, i])
    return kept


def surrogate(bars: Bars, *, seed: int, interval_ms: int, block: str = "bar") -> Bars:
    """Return the bars with the signs of their relatives flipped at random times.

    Parameters
    ----------
    bars : Bars
        Any number of unbroken stretches; each starts at its real price.
    seed : int
        Not negative. One seed gives one sign an instant, shared by all symbols.
    interval_ms : int
        Length of a bar: a larger step between two bars is a gap.
    block : {"bar", "1h", "4h", "24h"}
        How long a sign is held, in blocks of UTC time.

    Returns
    -------
    Bars
        Same times, volumes and turnover. A bar whose high at least doubled the price is never
        flipped.

    Raises
    ------
    UsageError
        Unknown block.
    """
    if block not in BLOCK_MS:
        raise UsageError(f"unknown block {block!r}", hint=f"one of {', '.join(BLOCK_MS)}")
    out = np.empty((4, len(bars)))
    width = BLOCK_MS[block] or interval_ms
    _flip(bars.ts, bars.open, bars.high, bars.low, bars.close, interval_ms, width, seed, out)
    o, h, lo, c = out
    return Bars.from_arrays(bars.ts, o, h, lo, c, bars.volume, bars.turnover)


def stretches(bars: Bars, interval_ms: int, *, bars_min: int = 1) -> list[Bars]:
    """Cut a history at every gap; keep the unbroken stretches of at least ``bars_min`` bars.

    Bars that cannot be (NaN, not positive, high or low that does not enclose) are taken out first,
    which leaves a gap: the same cuts at which the detector starts over.
    """
    columns = np.stack([bars.open, bars.high, bars.low, bars.close])
    with np.errstate(invalid="ignore"):
        sound = np.isfinite(columns).all(axis=0) & (columns > 0.0).all(axis=0)
        sound &= (bars.high == columns.max(axis=0)) & (bars.low == columns.min(axis=0))
        sound &= np.isfinite(bars.volume) & (bars.volume >= 0.0)
    sound[1:] &= np.diff(bars.ts) > 0
    if not sound.all():
        rows = np.flatnonzero(sound)
        names = ("ts", "open", "high", "low", "close", "volume", "turnover")
        bars = Bars.from_arrays(*(getattr(bars, name)[rows] for name in names))
    cuts = [0, *(np.flatnonzero(np.diff(bars.ts) != interval_ms) + 1).tolist(), len(bars)]
    return [bars.slice(a, b) for a, b in pairwise(cuts) if b - a >= bars_min]
