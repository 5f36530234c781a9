"""Speed, each figure beside its reference from the same run: ratios travel, seconds do not.

Times are CPU time of this process, the least of several interleaved rounds.
"""

import json as json_module
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter_ns, process_time_ns

import numpy as np
import polars as pl

from data.catalog import Lake
from data.profiles import load_profile
from data.synth import make_market
from engine.bars import COLUMNS, Bars, interval_ms
from engine.kernels._jit import kernel
from engine.pipeline.phase import EVENT, EVENTS_PER_BAR, new_contexts
from engine.pipeline.profile import Profile
from engine.pipeline.scan import scan_history, scan_newest
from engine.venue import wire
from live.market.collate import Collator
from live.market.scanner import Scanner

STEP_MS = 900_000
_ROUNDS = 7


@dataclass(frozen=True, slots=True)
class Figure:
    """One measurement beside what it is measured against."""

    name: str
    value: float
    unit: str
    reference: str = ""
    ratio: float | None = None
    target: str = ""


@kernel
def _read_streams(
    o: np.ndarray, h: np.ndarray, lo: np.ndarray, c: np.ndarray, v: np.ndarray
) -> float:
    total = 0.0
    for i in range(len(o)):
        total += o[i] + h[i] + lo[i] + c[i] + v[i]
    return total


def least(
    jobs: Mapping[str, Callable[[], object]], *, rounds: int = _ROUNDS, wall: bool = False
) -> dict[str, float]:
    """Return each job's least time in ns over interleaved rounds."""
    clock = perf_counter_ns if wall else process_time_ns
    best = dict.fromkeys(jobs, float("inf"))
    for _ in range(rounds):
        for name, job in jobs.items():
            start = clock()
            job()
            best[name] = min(best[name], clock() - start)
    return best


def _market(symbols: int, days: int) -> dict[str, Bars]:
    made = make_market(np.random.default_rng(7), symbols=symbols, days=days, interval="15m")
    return dict(made.bars["15m"])


def _even(universe: Mapping[str, Bars], coins: int) -> dict[str, Bars]:
    """Cut the universe into so many coins of one length: as many as close together in live."""
    length = sum(map(len, universe.values())) // coins
    pieces = {
        f"{symbol}{start}": bars.slice(start, start + length)
        for symbol, bars in universe.items()
        for start in range(0, len(bars) - length + 1, length)
    }
    return dict(list(pieces.items())[:coins])


def _history(universe: Mapping[str, Bars], profile: Profile) -> int:
    step_ms = interval_ms(profile.interval)
    found = 0
    for bars in universe.values():
        context = new_contexts(1)
        found += len(scan_history(context, profile.params, bars, symbol_id=0, interval_ms=step_ms))
    return found


def _stepped(universe: Mapping[str, Bars], profile: Profile) -> int:
    """Step all coins together, one closed bar each a call, as live does; return the events."""
    series = list(universe.values())
    length = min(map(len, series))
    table = [
        np.ascontiguousarray(np.array([getattr(b, name)[:length] for b in series]).T)
        for name in COLUMNS[:6]
    ]
    rows = np.arange(len(series))
    contexts = new_contexts(len(series))
    out = np.zeros(EVENTS_PER_BAR * len(series), EVENT)
    found = 0
    for k in range(length):
        columns = [column[k] for column in table]
        found += scan_newest(
            contexts,
            profile.params,
            rows,
            *columns,  # pyrefly: ignore[bad-argument-type]
            market_row=(np.nan, np.nan),
            interval_ms=interval_ms(profile.interval),
            out=out,
        )
    return found


def detect(lake: Path | None, venue: str | None, interval: str) -> Iterator[Figure]:
    """Yield the detector's cost over history, and bar by bar."""
    if lake is None:
        universe = _market(20, 365)
    else:
        source = Lake(lake)
        place = source.resolve_venue(venue)
        names = source.symbols(place, interval)[:20]
        universe = {s: source.read(place, interval, s) for s in names}
    profile = load_profile("default", interval)
    step_ms = interval_ms(interval)
    bars = sum(map(len, universe.values()))
    even = _even(universe, 350)
    streams = [(b.open, b.high, b.low, b.close, b.volume) for b in universe.values()]
    shared = min(map(len, even.values())) * len(even)
    idle = profile.params._replace(dump=profile.params.dump._replace(d_min=0.5))
    _stepped({s: b.slice(0, 10) for s, b in even.items()}, profile)
    jobs = {
        "floor": lambda: [_read_streams(*s) for s in streams],
        "history": lambda: _history(universe, profile),
        "idle": lambda: [
            scan_history(new_contexts(1), idle, b, symbol_id=0, interval_ms=step_ms)
            for b in universe.values()
        ],
        "even": lambda: _history(even, profile),
        "step": lambda: _stepped(even, profile),
    }
    for job in jobs.values():
        job()
    best = least(jobs)
    floor = best["floor"] / bars
    yield Figure("stream read (floor)", floor, "ns/bar", f"{bars:,} bars")
    each = best["history"] / bars
    yield Figure(f"history, {profile.id}", each, "ns/bar", "x floor", each / floor, "12")
    calm = best["idle"] / bars
    yield Figure("  of it, no coin in a setup", calm, "ns/bar", "x floor", calm / floor)
    one, many = best["step"] / shared, best["even"] / shared
    reference = f"x history, {len(even)} coins a call"
    yield Figure("bar by bar", one, "ns/bar", reference, one / many, "2")
    yield from _cold()


def _cold() -> Iterator[Figure]:
    script = (
        "import time; start = time.process_time();"
        "from engine.warm import warm; list(warm()); print(time.process_time() - start)"
    )
    took = min(
        float(
            subprocess.run(  # noqa: S603 - our own interpreter and script
                [sys.executable, "-c", script], check=True, capture_output=True, text=True
            ).stdout
        )
        for _ in range(3)
    )
    yield Figure("cold start, kernels cached", took, "s CPU", "import and first run")


def lake() -> Iterator[Figure]:
    """Yield the lake's reading speed beside a plain read of the same bytes."""
    with TemporaryDirectory() as folder:
        place = Path(folder)
        universe = _market(8, 1042)  # 100,000 bars a series
        store = Lake(place / "lake")
        for symbol, bars in universe.items():
            store.write_bars("synth", "15m", symbol, bars)
        plain = place / "plain.bin"
        np.concatenate(
            [getattr(b, c).view(np.int64) for b in universe.values() for c in COLUMNS]
        ).tofile(plain)
        cached = Lake(place / "lake", cache=place / "cache")
        names = list(universe)

        def read(source: Lake) -> list[Bars]:
            return [source.read("synth", "15m", name) for name in names]

        jobs = {
            "plain": lambda: np.fromfile(plain),
            "cold": lambda: read(store),
            "warm": lambda: read(cached),
        }
        for job in jobs.values():
            job()
        best = least(jobs, rounds=15, wall=True)
        total = sum(map(len, universe.values()))
        yield Figure("np.fromfile of the same bytes", best["plain"] / total, "ns/bar")
        for name, target in (("cold", "3"), ("warm", "0.05")):
            label = "lake to arrays" if name == "cold" else "lake to arrays, mapped columns"
            ratio = best[name] / best["plain"]
            yield Figure(label, best[name] / total, "ns/bar", "x np.fromfile", ratio, target)


class Minute:
    """A market layer's hot path without sockets: frame in, events out."""

    def __init__(self, names: list[str], start: int) -> None:
        self.collator = Collator(STEP_MS)
        self.scanner = Scanner(load_profile("default", "15m"), STEP_MS)
        self.scanner.grow(len(names))
        for name in names:
            self.collator.row(name)
        self.scanner.set_universe(range(len(names)), names)
        self.collator.begin(start)
        for name in names:
            self.collator.activate(name, start - STEP_MS)

    def close(self, messages: list[bytes]) -> None:
        """Decode a minute's messages, collect the bars, step every coin."""
        for raw in messages:
            push = wire.decode_stream(raw)
            if not isinstance(push, wire.KlinePush):
                raise TypeError("not a candle")
            row = self.collator.row(push.topic.rsplit(".", 1)[1])
            for bar in push.data:
                values = (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.turnover)
                self.collator.offer(row, bar.start, values)
        batch = self.collator.take()
        if batch is None:
            raise RuntimeError("the minute did not close")
        self.scanner.step(batch)


class _Simple:
    """What one would write first: json, and a polars frame a coin with the newest row put on."""

    keys = ("start", "open", "high", "low", "close", "volume", "turnover")

    def __init__(self, names: list[str], history: int) -> None:
        self.history = history
        self.frames = {
            name: pl.DataFrame({c: np.zeros(history) for c in COLUMNS}) for name in names
        }

    def close(self, messages: list[bytes]) -> None:
        """Append each coin's row and compute two rolling columns: where a detector would begin."""
        for raw in messages:
            push = json_module.loads(raw)
            bar, name = push["data"][0], push["topic"].rsplit(".", 1)[1]
            row = pl.DataFrame(
                {c: [float(bar[k])] for c, k in zip(COLUMNS, self.keys, strict=True)}
            )
            frame = pl.concat([self.frames[name], row]).tail(self.history)
            self.frames[name] = frame
            frame.select(pl.col("close").rolling_mean(192), pl.col("high").rolling_max(192))


def _walled(
    job: Callable[[list[bytes]], None], frames: Callable[[int], list[bytes]], at: range
) -> list[int]:
    took = []
    for k in at:
        messages = frames(k)
        begin = perf_counter_ns()
        job(messages)
        took.append(perf_counter_ns() - begin)
    return took


def live(symbols: int = 700) -> Iterator[Figure]:
    """Yield the cost of so many coins closing in one minute, beside json and a frame a coin."""
    names = [f"C{i:04d}USDT" for i in range(symbols)]
    start, history = 1_700_000_000_000 // STEP_MS * STEP_MS, 1000
    steps = np.random.default_rng(7).normal(0, 0.003, (history + 40, symbols))
    frames = minute_frames(names, 100 * np.exp(np.cumsum(steps, axis=0)), start)
    ours, simple = Minute(names, start), _Simple(names, history)
    _walled(ours.close, frames, range(history))
    mine = _walled(ours.close, frames, range(history, history + 30))
    other = statistics.median(_walled(simple.close, frames, range(history, history + 5)))
    usual = statistics.median(mine)
    name = f"{symbols} closes, first message to events"
    yield Figure(name, usual / 1e6, "ms", "the worst of 30, x median", max(mine) / usual)
    yield Figure(
        "json and a polars frame a coin", other / 1e6, "ms", "x ours", other / usual, "100"
    )
    yield Figure("a message of ours", usual / symbols / 1e3, "us")


def minute_frames(names: list[str], walks: np.ndarray, start: int) -> Callable[[int], list[bytes]]:
    """Return what makes the frames of a minute's closes."""

    def frames(k: int) -> list[bytes]:
        ts = start + k * STEP_MS
        out = []
        for i, name in enumerate(names):
            close, open_ = float(walks[k, i]), float(walks[max(0, k - 1), i])
            high, low = max(open_, close) * 1.001, min(open_, close) * 0.999
            values = (open_, high, low, close, 1000.0, 1000.0 * close)
            topic = wire.kline_topic("15m", name)
            out.append(
                wire.encode_kline(topic, "15", ts, STEP_MS, values, confirm=True, ts=ts + STEP_MS)
            )
        return out

    return frames
