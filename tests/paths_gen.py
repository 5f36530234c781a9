"""Seeded price paths that visit every phase: dumps, bases, springs, breakouts, failures, Vs.

Everything follows from one numpy Generator; nothing here knows how the detector works.
"""

from itertools import pairwise

import numpy as np

from engine.bars import Bars

STEP_MS = 900_000
START_MS = 1_700_000_100_000 // STEP_MS * STEP_MS


def _walk(
    rng: np.random.Generator, x: float, n: int, sigma: float, drift: float = 0.0
) -> list[float]:
    return list(x + np.cumsum(rng.normal(drift, sigma, n)))


def _dump(rng: np.random.Generator, x: float) -> list[float]:
    n = int(rng.integers(3, 14))
    depth = rng.uniform(0.10, 0.30)
    steps = rng.dirichlet(np.full(n, 2.0)) * depth
    return list(x - np.cumsum(steps))


def _base(rng: np.random.Generator, x: float, n: int, height: float) -> list[float]:
    # a bounded range: reflected noise, so that both edges are touched again and again
    rally = x + height
    out = list(np.linspace(x, rally, int(rng.integers(2, 8))))
    sigma = height * rng.uniform(0.08, 0.30)
    y = height
    for step in rng.normal(0.0, sigma, n):
        y = abs(y + step)
        y = min(y, 2.0 * height - y) if y > height else y
        out.append(x + max(y, 0.0) + 0.2 * height)
    return out


def _base_and_end(
    rng: np.random.Generator, x: float, top: float, depth: float, sigma: float, scale: float
) -> list[float]:
    out: list[float] = [x]
    height = depth * rng.uniform(0.08, 0.35)
    length = int(rng.integers(40, 170) * scale)
    out += _base(rng, out[-1], length, height)
    floor = out[-1]
    end = rng.choice(["up", "fail", "spring", "shelf", "poke", "stay", "v"])
    if end == "spring":
        out += [floor - 1.6 * height, floor]
        out += _base(rng, out[-1], length // 2, height)
    if end in {"poke", "fail", "up"}:
        top_edge = floor + rng.uniform(0.8, 1.6) * height
        out += list(np.linspace(out[-1], top_edge, int(rng.integers(2, 4))))
        out += _walk(rng, out[-1] + 0.3 * height, int(rng.integers(1, 6)), 0.1 * height)
    if end == "fail":
        out += _walk(rng, out[-1] - height, int(rng.integers(5, 30)), 0.15 * height)
        out += _base(rng, out[-1], length // 2, height)
    if end == "up":
        out += _walk(rng, out[-1], int(rng.integers(5, 40)), sigma, sigma)
    if end == "shelf":
        out += list(np.linspace(out[-1], out[-1] - 2.0 * height, 4))
        out += _walk(rng, out[-1], int(rng.integers(5, 60)), sigma)
    if end == "v":
        out += list(np.linspace(out[-1], top, int(rng.integers(4, 12))))
    return out[1:]


def _one_cycle(rng: np.random.Generator, x: float, scale: float) -> list[float]:
    sigma = rng.uniform(0.001, 0.003)
    out = _walk(rng, x, int(rng.integers(20, 80) * scale), sigma)
    for _ in range(int(rng.integers(1, 3))):
        top = out[-1]
        out += _dump(rng, out[-1])
        depth = top - out[-1]
        kind = rng.choice(["base", "v", "bleed", "none"], p=[0.76, 0.08, 0.08, 0.08])
        if kind == "v":
            out += list(np.linspace(out[-1], top, int(rng.integers(3, 15))))
        elif kind == "bleed":
            out += _walk(rng, out[-1], int(rng.integers(10, 60) * scale), sigma, -sigma)
        elif kind == "base":
            out += _base_and_end(rng, out[-1], top, depth, sigma, scale)
    return out


def _volume(rng: np.random.Generator, move: np.ndarray) -> np.ndarray:
    size = np.abs(move) / (np.mean(np.abs(move)) + 1e-12)
    v = rng.lognormal(3.0, 0.5, len(move)) * (0.5 + size)
    v[rng.random(len(v)) < 0.01] = 0.0
    return v


def path(
    rng: np.random.Generator,
    n: int,
    *,
    scale: float = 1.0,
    ticks: bool | None = None,
    step_ms: int = STEP_MS,
    start: int = START_MS,
) -> Bars:
    """Return ``n`` sound, gapless bars.

    ``scale`` stretches walks and bases (1 suits the shrunk profiles); ``ticks`` puts prices on a
    price grid always, never, or (None) mostly.
    """
    logs: list[float] = [float(np.log(rng.uniform(0.02, 500.0)))]
    while len(logs) < n + 1:
        logs += _one_cycle(rng, logs[-1], scale)
    x = np.array(logs[: n + 1])
    wick = rng.uniform(0.0002, 0.0015)
    close = np.exp(x[1:])
    open_ = np.exp(x[:-1])
    up, down = rng.exponential(wick, (2, n))
    calm = rng.random(n) < 0.2
    up[calm] = down[calm] = 0.0
    high = np.maximum(open_, close) * (1.0 + up)
    low = np.minimum(open_, close) * (1.0 - down)
    volume = _volume(rng, np.diff(x))
    on_grid = rng.random() < 0.6
    if (
        on_grid if ticks is None else ticks
    ):  # a tick makes equal highs, equal lows and bars without range
        tick = 10.0 ** np.floor(np.log10(low.min() * 0.002))
        open_, high, low, close = (
            np.maximum(np.round(p / tick), 1.0) * tick for p in (open_, high, low, close)
        )
    if rng.random() < 0.3:
        at = int(rng.integers(0, n))
        flat = slice(at, at + int(rng.integers(1, 40)))
        price = close[max(at - 1, 0)]
        open_[flat] = high[flat] = low[flat] = close[flat] = price
        volume[flat] = 0.0
    ts = start + step_ms * np.arange(n, dtype=np.int64)
    return Bars.from_arrays(ts, open_, high, low, close, volume)


def columns(bars: Bars) -> list[np.ndarray]:
    """Return writeable copies: ts, open, high, low, close, volume."""
    names = ("ts", "open", "high", "low", "close", "volume")
    return [np.array(getattr(bars, name)) for name in names]


def with_holes(rng: np.random.Generator, bars: Bars, holes: int, longest: int = 15) -> Bars:
    """Take some stretches of bars out."""
    keep = np.ones(len(bars), bool)
    for at in rng.integers(1, len(bars), holes):
        keep[at : at + int(rng.integers(1, longest + 1))] = False
    return Bars.from_arrays(*(x[keep] for x in columns(bars)))


def _spoil(rng: np.random.Generator, bar: list[float]) -> None:
    # bar: open, high, low, close, volume
    which = int(rng.integers(0, 5))
    how = rng.choice(["nan", "inf", "-inf", "negative", "zero", "high", "low"])
    if how in {"nan", "inf", "-inf"}:
        bar[which] = float(how)
    elif how == "negative":
        bar[which] = -bar[which] - 1.0
    elif how == "zero":
        bar[which % 4] = 0.0
    elif how == "high":
        bar[1] = 0.5 * bar[3]
    else:
        bar[2] = 2.0 * bar[3]


def with_faults(rng: np.random.Generator, bars: Bars, faults: int) -> tuple[Bars, dict[str, int]]:
    """Plant duplicates, older bars, off-grid stamps and impossible bars.

    Returns the bars, in order of arrival, and how many of each kind were planted.
    """
    rows = [list(row) for row in zip(*columns(bars), strict=True)]
    counts = {"duplicate": 0, "older": 0, "unsound": 0, "off_grid": 0}
    for at in sorted(set(rng.integers(1, len(rows), faults).tolist()), reverse=True):
        kind = str(rng.choice(list(counts)))
        counts[kind] += 1
        if kind == "duplicate":
            rows.insert(at, [rows[at - 1][0], *(x * 1.5 for x in rows[at - 1][1:])])
        elif kind == "older":
            rows.insert(at, list(rows[max(0, at - int(rng.integers(2, 30)))]))
        elif kind == "unsound":
            bar = [float(x) for x in rows[at][1:]]
            _spoil(rng, bar)
            rows[at] = [rows[at][0], *bar]
        else:
            rows.insert(at, [rows[at - 1][0] + 7, *rows[at][1:]])
    return Bars.from_arrays(*(list(x) for x in zip(*rows, strict=True))), counts


def market(rng: np.random.Generator, symbols: int, n: int, *, holes: int = 2) -> dict[str, Bars]:
    """Return a small universe on one grid: own paths, shared crashes, holes, late listings."""
    crashes = rng.integers(n // 4, n, 2)
    shock = np.zeros(n)
    for at in crashes:
        shock[at:] -= rng.uniform(0.08, 0.2)
    out = {}
    for i in range(symbols):
        ts, *prices, volume = columns(path(rng, n))
        factor = np.exp(shock * rng.uniform(0.5, 1.2))
        bars = Bars.from_arrays(ts, *(p * factor for p in prices), volume)
        late = int(rng.integers(0, n // 3)) if rng.random() < 0.3 else 0
        out[f"C{i:02d}USDT"] = with_holes(rng, bars.slice(late, n), int(rng.integers(0, holes + 1)))
    return out


def chunks(rng: np.random.Generator, n: int, most: int = 12) -> list[tuple[int, int]]:
    """Cut range(n) into consecutive stretches at random places, empty ones included."""
    cuts = np.sort(rng.integers(0, n + 1, int(rng.integers(0, most + 1))))
    return list(pairwise([0, *(int(x) for x in cuts), n]))
