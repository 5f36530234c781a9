"""Scripted Pattern-1 episodes of the synthetic market: log-price paths with known levels.

An episode is built of legs (Brownian bridges between two levels) on a fine grid of `steps` points a
bar. Distances are in units of the coin's own volatility, so that every coin tells the same story at
its own scale. Each outcome has one small function that appends its legs.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

# Mean true range of a bar in units of its standard deviation (15m bars of real coins: 1.6 to 1.8).
ATR_PER_SIGMA = 1.7

KINDS: Mapping[str, float] = {
    "breakout": 0.30,
    "failed_breakout": 0.19,
    "spring": 0.12,
    "breakdown": 0.13,
    "v_recovery": 0.12,
    "random_walk": 0.14,
}


@dataclass(slots=True)
class Episode:
    """One scripted episode; times are bars from its start, levels log-price from its peak.

    Attributes
    ----------
    increments : float64[bars * steps]
        Log-price changes on the fine grid.
    boost : float64[bars]
        Factor on the volume of each bar.
    trough_bar, base_start_bar, base_end_bar : int
        base_* are -1 where there is no base.
    trough, floor, ceiling : float
        NaN where there is no base (floor, ceiling).
    """

    kind: str
    increments: np.ndarray = field(default_factory=lambda: np.empty(0))
    boost: np.ndarray = field(default_factory=lambda: np.empty(0))
    trough_bar: int = 0
    base_start_bar: int = -1
    base_end_bar: int = -1
    trough: float = 0.0
    floor: float = np.nan
    ceiling: float = np.nan
    floor_touches: int = 0
    ceiling_touches: int = 0

    @property
    def bars(self) -> int:
        """Length in bars."""
        return len(self.boost)


class _Script:
    """Appends legs; knows where the path stands."""

    def __init__(
        self, rng: np.random.Generator, sigma: float, steps: int, shared: np.ndarray, rho: float
    ) -> None:
        self.rng, self.sigma, self.steps = rng, sigma, steps
        self._shared, self._rho, self._own = shared, rho, np.sqrt(1 - rho**2)
        self.level, self.bar = 0.0, 0
        self._increments: list[np.ndarray] = []
        self._boost: list[np.ndarray] = []

    def between(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def bars(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def leg(
        self,
        to: float | None,
        bars: int,
        calm: float,
        volume: float = 1.0,
        inside: tuple[float, float] | None = None,
    ) -> None:
        """Go to a level (None: wander) in so many bars at `calm` times the coin's volatility."""
        points = bars * self.steps
        # Volatility differs from bar to bar, so that even scripted bars have fat tails.
        spread = calm * self.sigma * np.exp(self.rng.normal(-0.08, 0.4, bars)) / np.sqrt(self.steps)
        noise = self.rng.standard_normal(points)
        # The market's own moves are in the noise, so that coins stay together inside their scripts.
        first = self.bar * self.steps
        shared = self._shared[first : first + points]
        if len(shared) == points:
            noise = self._own * noise + self._rho * shared
        walk = np.cumsum((noise.reshape(bars, self.steps) * spread[:, None]).ravel())
        share = np.arange(1, points + 1) / points
        path = self.level + walk
        if to is not None:
            path += share * (to - self.level - walk[-1])
        if inside is not None:
            path = _reflect(path, *inside)
        moves = np.empty(points)
        moves[0] = path[0] - self.level
        np.subtract(path[1:], path[:-1], out=moves[1:])
        self._increments.append(moves)
        self._boost.append(np.full(bars, volume))
        self.level = float(path[-1])
        self.bar += bars

    def finish(self, episode: Episode) -> Episode:
        episode.increments = np.concatenate(self._increments)
        episode.boost = np.concatenate(self._boost)
        return episode


def _reflect(path: np.ndarray, low: float, high: float) -> np.ndarray:
    width = high - low
    folded = np.abs(np.mod(path - low, 2 * width))
    return low + np.where(folded > width, 2 * width - folded, folded)


def script(
    rng: np.random.Generator,
    kind: str,
    *,
    sigma: float,
    steps: int,
    shared: np.ndarray,
    rho: float,
) -> Episode:
    """Script one episode.

    Parameters
    ----------
    rng : numpy Generator
    kind : str
        A key of `KINDS`.
    sigma : float
        Standard deviation of a bar's log return in ordinary times.
    steps : int
        Points of the fine grid per bar.
    shared : float64[>= 0]
        The market's noise from the episode's start on, standard normal on the fine grid.
    rho : float
        Share of the market in the coin's noise (a correlation).
    """
    play = _Script(rng, sigma, steps, shared, rho)
    drop = max(play.between(17, 34) * sigma, 0.075)
    episode = Episode(kind, trough=-drop)
    _dump(play, drop)
    episode.trough_bar = play.bar - 1
    _OUTCOMES[kind](play, episode, drop)
    return play.finish(episode)


def _dump(play: _Script, drop: float) -> None:
    early = play.between(0.25, 0.5) * drop
    play.leg(-early, play.bars(5, 20), 1.5, 1.6)
    play.leg(-early * 0.85, play.bars(2, 6), 1.4, 1.2)
    play.leg(-drop * 0.93, play.bars(3, 12), 2.4, 3.0)
    play.leg(-drop, play.bars(1, 3), 3.0, 5.0)


def _base(play: _Script, episode: Episode, drop: float) -> None:
    """Rally, then swing between a floor and a ceiling, growing quieter."""
    atr = ATR_PER_SIGMA * 0.6 * play.sigma
    width = min(play.between(5.0, 8.5) * atr, 0.42 * drop)
    floor = -drop + play.between(0.6, 1.6) * atr
    ceiling = floor + width
    episode.floor, episode.ceiling = floor, ceiling
    play.leg(ceiling - 0.1 * atr, play.bars(6, 18), 1.3, 1.5)  # the automatic rally
    episode.base_start_bar = play.bar - 1
    legs = play.bars(7, 17)
    for number in range(legs):
        calm = 0.72 - 0.24 * number / legs
        low_turn = number % 2 == 0
        edge, inward = (floor, 1.0) if low_turn else (ceiling, -1.0)
        touch = play.rng.random() < 0.75  # noqa: PLR2004 - the other turns stop short of the edge
        miss = play.between(0.0, 0.25) if touch else play.between(0.8, 1.8)
        play.leg(edge + inward * miss * atr, play.bars(9, 34), calm, 0.75, (floor, ceiling))
        episode.floor_touches += low_turn and touch
        episode.ceiling_touches += touch and not low_turn
    episode.base_end_bar = play.bar - 1


def _breakout(play: _Script, episode: Episode, drop: float) -> None:
    _base(play, episode, drop)
    _break_up(play, episode)


def _break_up(play: _Script, episode: Episode) -> None:
    atr = ATR_PER_SIGMA * 0.6 * play.sigma
    ceiling, width = episode.ceiling, episode.ceiling - episode.floor
    play.leg(ceiling - 0.5 * atr, play.bars(5, 14), 0.6, 0.9, (episode.floor, ceiling))
    episode.base_end_bar = play.bar - 1
    play.leg(ceiling + play.between(0.7, 1.4) * atr, 1, 0.5, 4.0)
    play.leg(ceiling + play.between(1.0, 2.0) * atr, play.bars(1, 3), 0.8, 2.5)
    play.leg(ceiling + play.between(-0.1, 0.25) * atr, play.bars(4, 12), 0.7, 1.1)  # the retest
    play.leg(ceiling + play.between(0.8, 2.8) * width, play.bars(40, 160), 1.1, 1.5)


def _failed(play: _Script, episode: Episode, drop: float) -> None:
    _base(play, episode, drop)
    atr = ATR_PER_SIGMA * 0.6 * play.sigma
    ceiling = episode.ceiling
    play.leg(ceiling - 0.4 * atr, play.bars(5, 14), 0.6, 0.9, (episode.floor, ceiling))
    episode.base_end_bar = play.bar - 1
    play.leg(ceiling + play.between(0.5, 1.2) * atr, 1, 0.5, 2.6)
    play.leg(ceiling - play.between(1.2, 2.2) * atr, play.bars(3, 10), 0.9, 1.4)
    play.leg(episode.floor - play.between(1.0, 5.0) * atr, play.bars(20, 60), 1.0, 1.2)


def _spring(play: _Script, episode: Episode, drop: float) -> None:
    _base(play, episode, drop)
    atr = ATR_PER_SIGMA * 0.6 * play.sigma
    middle = (episode.floor + episode.ceiling) / 2
    inside = (episode.floor, episode.ceiling)
    play.leg(episode.floor + 0.3 * atr, play.bars(6, 14), 0.6, 0.8, inside)
    play.leg(episode.floor - play.between(0.5, 0.9) * atr, play.bars(1, 2), 0.8, 2.2)
    play.leg(middle, play.bars(5, 12), 0.8, 1.6)
    _break_up(play, episode)


def _breakdown(play: _Script, episode: Episode, drop: float) -> None:
    _base(play, episode, drop)
    atr = ATR_PER_SIGMA * 0.6 * play.sigma
    inside = (episode.floor, episode.ceiling)
    play.leg(episode.floor + 0.4 * atr, play.bars(6, 14), 0.7, 0.9, inside)
    episode.base_end_bar = play.bar - 1
    play.leg(episode.floor - play.between(2.5, 6.0) * atr, play.bars(2, 10), 1.3, 3.0)
    play.leg(episode.floor - play.between(2.0, 8.0) * atr, play.bars(20, 60), 1.1, 1.3)


def _v_recovery(play: _Script, _episode: Episode, drop: float) -> None:
    play.leg(-drop * play.between(0.35, 0.6), play.bars(5, 16), 1.8, 2.2)
    play.leg(-drop * play.between(-0.1, 0.15), play.bars(10, 40), 1.4, 1.5)


def _random_walk(play: _Script, episode: Episode, _drop: float) -> None:
    play.leg(None, play.bars(20, 40), 1.3, 1.2)
    play.leg(None, play.bars(260, 520), 0.75, 0.9)
    del episode


_OUTCOMES: Mapping[str, Callable[[_Script, Episode, float], None]] = {
    "breakout": _breakout,
    "failed_breakout": _failed,
    "spring": _spring,
    "breakdown": _breakdown,
    "v_recovery": _v_recovery,
    "random_walk": _random_walk,
}
