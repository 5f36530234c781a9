"""How well a detector sees what was planted: recall, false alarms, delay, floor and level error."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from engine.bars import interval_ms
from engine.messages import EventKind
from engine.pipeline.phase import P_ARMED, new_contexts
from engine.pipeline.profile import Profile
from engine.pipeline.scan import scan_history
from research.cluster import Estimate, bootstrap, bootstrap_ratio
from research.planted import CEILINGS, LENGTHS, NOISES, WALKS, Path, make_path

CLOSE_ATR = 0.5  # an error up to this counts as right
_BASE_MAX = 768.0  # longest base, in bars, of the profile the generator's counts are given for

# What one profile makes of one path; NaN where it has no value.
CASE = np.dtype(
    [
        ("armed", np.float64),  # between the end of the fall and the end
        ("delay_bars", np.float64),  # end of the fall to the first ARMED event
        ("floor_atr", np.float64),  # floor there minus the planted one, in base ATR
        ("level_atr", np.float64),  # level in force before the breakout minus the ceiling
        ("changes", np.float64),
        ("arms", np.float64),
    ]
)


class Cell(NamedTuple):
    """The level in force before the planted breakout, for one ceiling and noise."""

    ceiling: str
    noise: str
    close: Estimate  # share within CLOSE_ATR, of those armed there
    bias: Estimate  # median error in base ATR; positive = too high


class PlantedFigures(NamedTuple):
    """One profile's figures on planted truth, each with a bootstrap interval over paths.

    Attributes
    ----------
    profile : str
    recall_short, recall_long : Estimate
        Share of planted bases armed before they end.
    walks_calming, walks_wild : Estimate
        Share of walks after a fall armed within 600 bars: false alarms.
    delay_bars : Estimate
        Median, end of the fall to the first arming.
    floor_error : Estimate
        Median floor error at the first arming, in base ATR.
    floor_close : Estimate
        Share of those within 0.5.
    in_force : Estimate
        Share of bases armed in the bar before they break out.
    level_close, level_bias : Estimate
        Of the level in force there, over all ceilings and noises.
    level_changes : Estimate
        LEVEL events per ARMED event, before the breakout.
    cells : tuple of Cell
    """

    profile: str
    recall_short: Estimate
    recall_long: Estimate
    walks_calming: Estimate
    walks_wild: Estimate
    delay_bars: Estimate
    floor_error: Estimate
    floor_close: Estimate
    in_force: Estimate
    level_close: Estimate
    level_bias: Estimate
    level_changes: Estimate
    cells: tuple[Cell, ...]


class _Spec(NamedTuple):
    kind: str
    ceiling: str
    noise: str
    length: str
    count: int


def specs(planted: int) -> list[_Spec]:
    """Return the cells of the experiment.

    Per noise: ``planted`` bases, shared out over ceilings and lengths, and as many walks of each
    kind.
    """
    bases = [
        _Spec("base", ceiling, noise, length, -(-planted // (len(CEILINGS) * len(LENGTHS))))
        for noise in NOISES
        for ceiling in CEILINGS
        for length in LENGTHS
    ]
    walks = [_Spec("walk", walk, noise, "", planted) for noise in NOISES for walk in WALKS]
    return bases + walks


def judge(profile: Profile, path: Path, step_ms: int) -> tuple[float, ...]:
    """Run one profile over one path; return the fields of `CASE`."""
    nan = float("nan")
    truth = path.truth
    context = new_contexts(1)
    head = path.bars.slice(0, truth.end)
    events = scan_history(context, profile.params, head, symbol_id=0, interval_ms=step_ms)
    events = events[events["bar_index"] >= truth.start]
    armed = events[events["kind"] == EventKind.ARMED]
    changes = float((events["kind"] == EventKind.LEVEL).sum())
    if len(armed) == 0:
        return (0.0, nan, nan, nan, changes, 0.0)
    first, state = armed[0], context[0]
    in_force = state["phase"] == P_ARMED
    return (
        1.0,
        float(first["bar_index"] - truth.start),
        float((first["floor"] - truth.floor) / first["batr"]),
        float((state["level"] - truth.ceiling) / state["batr"]) if in_force else nan,
        changes,
        float(len(armed)),
    )


def _cases(profiles: Sequence[Profile], spec: _Spec, index: int, seed: int) -> np.ndarray:
    """Return `CASE` rows of one cell, shape (profiles, count)."""
    step_ms = interval_ms(profiles[0].interval)
    scale = profiles[0].params.base.base_max / _BASE_MAX
    out = np.zeros((len(profiles), spec.count), CASE)
    for i in range(spec.count):
        rng = np.random.default_rng([seed, 2, index, i])
        path = make_path(*spec[:4], step_ms=step_ms, scale=scale, rng=rng)
        for j, profile in enumerate(profiles):
            out[j, i] = judge(profile, path, step_ms)
    return out


def _within(errors: np.ndarray) -> np.ndarray:
    close = (np.abs(errors) <= CLOSE_ATR).astype(np.float64)
    return np.where(np.isnan(errors), np.nan, close)


def _figures(
    profile: Profile, groups: Sequence[tuple[_Spec, np.ndarray]], seed: int
) -> PlantedFigures:
    rng = np.random.default_rng([seed, 3])

    def where(field: str, **wanted: str) -> np.ndarray:
        parts = [
            cases[field]
            for spec, cases in groups
            if all(getattr(spec, key) == value for key, value in wanted.items())
        ]
        return np.concatenate(parts)

    def mean(values: np.ndarray) -> Estimate:
        return bootstrap(values, "mean", rng)

    def median(values: np.ndarray) -> Estimate:
        return bootstrap(values, "median", rng)

    level = where("level_atr", kind="base")
    cells = []
    for ceiling in CEILINGS:
        for noise in NOISES:
            errors = where("level_atr", kind="base", ceiling=ceiling, noise=noise)
            cells.append(Cell(ceiling, noise, mean(_within(errors)), median(errors)))
    floor = where("floor_atr", kind="base")
    return PlantedFigures(
        profile=profile.id,
        recall_short=mean(where("armed", kind="base", length="short")),
        recall_long=mean(where("armed", kind="base", length="long")),
        walks_calming=mean(where("armed", kind="walk", ceiling="calming")),
        walks_wild=mean(where("armed", kind="walk", ceiling="wild")),
        delay_bars=median(where("delay_bars", kind="base")),
        floor_error=median(floor),
        floor_close=mean(_within(floor)),
        in_force=mean(np.isfinite(level).astype(np.float64)),
        level_close=mean(_within(level)),
        level_bias=median(level),
        level_changes=bootstrap_ratio(
            where("changes", kind="base"), where("arms", kind="base"), rng
        ),
        cells=tuple(cells),
    )


def planted_truth(
    profiles: Sequence[Profile],
    *,
    planted: int = 250,
    seed: int = 0,
    threads: int = 2,
    advance: Callable[[], object] = lambda: None,
) -> list[PlantedFigures]:
    """Measure every profile on the same planted bases and walks.

    Parameters
    ----------
    profiles : sequence of Profile
        All of one interval.
    planted : int
        Bases a noise, and walks a noise and kind (`specs`).
    seed : int
    threads : int
        Walks and scans release the interpreter's lock.
    advance : callable
        Called after each of `specs`.
    """
    todo = specs(planted)
    groups: list[np.ndarray] = []
    with ThreadPoolExecutor(threads) as pool:
        for cases in pool.map(lambda at: _cases(profiles, todo[at], at, seed), range(len(todo))):
            groups.append(cases)
            advance()
    return [
        _figures(p, [(spec, g[i]) for spec, g in zip(todo, groups, strict=True)], seed)
        for i, p in enumerate(profiles)
    ]
