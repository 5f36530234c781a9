"""Does the base detector see anything that chance lacks? Real histories against surrogates.

The figure to drive up is S = armed on the real history over armed on surrogates: 1 means that the
detector finds as many bases in a market without direction. Everything is pooled over symbols; the
intervals resample calendar weeks, real and surrogate together, all symbols at once.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from engine.bars import Bars, interval_ms
from engine.errors import DataError
from engine.messages import EventKind
from engine.pipeline.phase import new_contexts
from engine.pipeline.profile import Profile
from engine.pipeline.scan import scan_history
from engine.stats.bootstrap import week_of
from research.cluster import Estimate, quantile_interval, week_draws
from research.surrogates import stretches, surrogate

BARS_MIN = 1500  # a shorter stretch has hardly left its warm-up
BASELINE = "v1"  # ratios between profiles are taken over this one where it is asked for
_MONTH_MS = 30.4375 * 86_400_000
_KINDS = max(EventKind) + 1
_MONTHS = 0  # row of the tally that no event kind uses: symbol-months


class Stretch(NamedTuple):
    """An unbroken piece of one symbol's history."""

    symbol: str
    bars: Bars


class Sample(NamedTuple):
    """What the measurement runs on, and what it left out."""

    interval: str
    stretches: tuple[Stretch, ...]
    symbols: int
    bars: int
    bars_short: int  # in stretches under BARS_MIN, not used
    first_ms: int
    last_ms: int
    split_ms: int  # halves the bars, unless it was named


class Specificity(NamedTuple):
    """One profile's figures, each with the interval over calendar weeks.

    Attributes
    ----------
    profile : str
        With its version.
    s, s_before, s_after : Estimate
        Armed real over armed surrogate: all, before and after the split.
    s_paired : Estimate
        S over the baseline profile's S, resampled together; 1 for the baseline itself.
    armed, armed_surrogate : Estimate
        ARMED events per symbol-month.
    breakouts : Estimate
        Breakouts real over surrogate.
    level_changes, level_changes_surrogate : Estimate
        LEVEL events per ARMED event.
    armed_given_stab : Estimate
        P(armed | stabilised) real over surrogate.
    funnel, funnel_surrogate : mapping
        Events of each kind; surrogate = mean over seeds.
    """

    profile: str
    s: Estimate
    s_before: Estimate
    s_after: Estimate
    s_paired: Estimate
    armed: Estimate
    armed_surrogate: Estimate
    breakouts: Estimate
    level_changes: Estimate
    level_changes_surrogate: Estimate
    armed_given_stab: Estimate
    funnel: Mapping[str, float]
    funnel_surrogate: Mapping[str, float]


def sample_of(
    histories: Iterable[tuple[str, Bars]],
    interval: str,
    *,
    bars_min: int = BARS_MIN,
    split_ms: int | None = None,
) -> Sample:
    """Cut histories at their gaps and keep the stretches that are long enough.

    Parameters
    ----------
    histories : iterable of (symbol, Bars)
    interval : str
        Such as ``15m``.
    bars_min : int
        Shorter stretches are dropped, and their bars counted.
    split_ms : int, optional
        Where before and after meet; by default the time that halves the bars.

    Raises
    ------
    DataError
        No stretch is long enough.
    """
    step = interval_ms(interval)
    kept: list[Stretch] = []
    short = 0
    for symbol, bars in histories:
        pieces = stretches(bars, step)
        kept += [Stretch(symbol, piece) for piece in pieces if len(piece) >= bars_min]
        short += sum(len(piece) for piece in pieces if len(piece) < bars_min)
    if not kept:
        raise DataError(
            f"no unbroken stretch of {bars_min:,} bars of {interval}",
            why=f"{short:,} bars stand in shorter ones",
            hint="more history, or another interval",
        )
    ts = np.concatenate([piece.bars.ts for piece in kept])
    split = int(np.median(ts)) if split_ms is None else split_ms
    symbols = len({piece.symbol for piece in kept})
    first, last = int(ts.min()), int(ts.max()) + step
    return Sample(interval, tuple(kept), symbols, len(ts), short, first, last, split)


def tally(
    events: np.ndarray, bars: Bars, origin: int, shape: tuple[int, int], split_ms: int, step_ms: int
) -> np.ndarray:
    """Count a stretch's events and its symbol-months by week, before and after the split.

    Returns
    -------
    float64[2, kinds, weeks]
        Row 0 of the kinds holds symbol-months.
    """
    out = np.zeros((2, *shape))
    opened = events["t"] - step_ms
    at = (opened >= split_ms).astype(np.int64)
    np.add.at(out, (at, events["kind"], week_of(opened) - origin), 1.0)
    half = (bars.ts >= split_ms).astype(np.int64)
    np.add.at(out[:, _MONTHS], (half, week_of(bars.ts) - origin), step_ms / _MONTH_MS)
    return out


def _count(
    sample: Sample,
    profiles: Sequence[Profile],
    seeds: Sequence[int | None],
    block: str,
    threads: int,
    advance: Callable[[], object],
) -> np.ndarray:
    """Return tallies, float64[2, profiles, 2, kinds, weeks]: real and mean surrogate, halves."""
    step = interval_ms(sample.interval)
    origin = int(week_of(np.array([sample.first_ms]))[0])
    weeks = int(week_of(np.array([sample.last_ms]))[0]) - origin + 1
    shape = (_KINDS, weeks)

    def work(task: tuple[int | None, Stretch]) -> tuple[int, np.ndarray]:
        seed, piece = task
        bars = piece.bars
        if seed is not None:
            bars = surrogate(bars, seed=seed, interval_ms=step, block=block)
        found = [
            scan_history(new_contexts(1), p.params, bars, symbol_id=0, interval_ms=step)
            for p in profiles
        ]
        tallies = [tally(e, bars, origin, shape, sample.split_ms, step) for e in found]
        return int(seed is not None), np.stack(tallies)

    # longest first, so that the threads end together
    order = sorted(sample.stretches, key=lambda piece: -len(piece.bars))
    tasks = [(seed, piece) for seed in seeds for piece in order]
    total = np.zeros((2, len(profiles), 2, *shape))
    with ThreadPoolExecutor(threads) as pool:
        for which, counts in pool.map(work, tasks):
            total[which] += counts
            advance()
    n_surrogates = sum(seed is not None for seed in seeds)
    total[1] /= max(n_surrogates, 1)
    return total


class _Weeks:
    """Ratios of sums over weeks, with their resamples."""

    def __init__(self, weeks: int, rng: np.random.Generator) -> None:
        self.draws = week_draws(weeks, rng)

    def ratio(self, above: np.ndarray, below: np.ndarray) -> tuple[float, np.ndarray]:
        with np.errstate(divide="ignore", invalid="ignore"):
            value = float(np.float64(above.sum()) / below.sum())
            return value, (self.draws @ above) / (self.draws @ below)

    def estimate(self, above: np.ndarray, below: np.ndarray) -> Estimate:
        value, draws = self.ratio(above, below)
        return quantile_interval(value, draws, round(above.sum()))

    def of_ratios(
        self, one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]
    ) -> Estimate:
        a, a_draws = self.ratio(*one)
        b, b_draws = self.ratio(*other)
        with np.errstate(divide="ignore", invalid="ignore"):
            value = float(np.float64(a) / b)
            return quantile_interval(value, a_draws / b_draws, round(one[0].sum()))


def _funnel(counts: np.ndarray) -> dict[str, float]:
    return {kind.name: float(counts[kind].sum()) for kind in EventKind}


def _specificity(
    profile: Profile, counts: np.ndarray, base: np.ndarray, weeks: _Weeks
) -> Specificity:
    """Turn one profile's tallies, float64[2 real/surrogate, 2, kinds, weeks], to figures."""
    armed, level, stab = EventKind.ARMED, EventKind.LEVEL, EventKind.STAB
    breakout = EventKind.BREAKOUT
    real, null = counts.sum(axis=1)
    base_real, base_null = base.sum(axis=1)
    before, after = counts[:, 0], counts[:, 1]
    return Specificity(
        profile=profile.id,
        s=weeks.estimate(real[armed], null[armed]),
        s_before=weeks.estimate(before[0, armed], before[1, armed]),
        s_after=weeks.estimate(after[0, armed], after[1, armed]),
        s_paired=weeks.of_ratios((real[armed], null[armed]), (base_real[armed], base_null[armed])),
        armed=weeks.estimate(real[armed], real[_MONTHS]),
        armed_surrogate=weeks.estimate(null[armed], null[_MONTHS]),
        breakouts=weeks.estimate(real[breakout], null[breakout]),
        level_changes=weeks.estimate(real[level], real[armed]),
        level_changes_surrogate=weeks.estimate(null[level], null[armed]),
        armed_given_stab=weeks.of_ratios((real[armed], real[stab]), (null[armed], null[stab])),
        funnel=_funnel(real),
        funnel_surrogate=_funnel(null),
    )


def baseline_of(profiles: Sequence[Profile]) -> int:
    """Return which profile the paired ratios are over: v1 where it is there, else the last."""
    names = [p.name for p in profiles]
    return names.index(BASELINE) if BASELINE in names else len(names) - 1


def specificity(
    sample: Sample,
    profiles: Sequence[Profile],
    *,
    surrogates: int = 20,
    block: str = "bar",
    seed: int = 0,
    threads: int = 2,
    advance: Callable[[], object] = lambda: None,
) -> list[Specificity]:
    """Measure every profile on the sample and on its surrogates.

    Parameters
    ----------
    sample : Sample
        Of `sample_of`.
    profiles : sequence of Profile
        Made for the sample's interval.
    surrogates : int
        Seeds; the surrogates' counts are means over them.
    block : {"bar", "1h", "4h", "24h"}
        How long a surrogate holds a sign.
    seed : int
        Of the surrogates and of the resampling.
    threads : int
        The kernels release the interpreter's lock.
    advance : callable
        Called after each of the ``(surrogates + 1) * len(sample.stretches)`` parts.
    """
    # far apart, so that seeds 0 and 1 of a user share no surrogate
    seeds = [None, *(seed * 1_000_003 + i for i in range(surrogates))]
    counts = _count(sample, profiles, seeds, block, threads, advance)
    weeks = _Weeks(counts.shape[-1], np.random.default_rng([seed, 1]))
    base = counts[:, baseline_of(profiles)]
    return [_specificity(p, counts[:, i], base, weeks) for i, p in enumerate(profiles)]
