"""Dice of our own: the same numbers for the same seed in every version of the interpreter."""

from collections.abc import Sequence
from math import log
from typing import Any, TypeVar

T = TypeVar("T")
_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15


class Dice:
    """A generator (SplitMix64) with the few draws that the drill needs.

    Parameters
    ----------
    seed : int
    """

    __slots__ = ("_state",)

    def __init__(self, seed: int) -> None:
        self._state = seed & _MASK
        self.random()  # seeds that lie close give nothing alike

    def _bits(self) -> int:
        self._state = x = (self._state + _GOLDEN) & _MASK
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB & _MASK
        return x ^ (x >> 31)

    def random(self) -> float:
        """Return a number in [0, 1)."""
        return (self._bits() >> 11) / (1 << 53)

    def below(self, end: int) -> int:
        """Return a whole number in [0, end)."""
        return self._bits() % end

    def between(self, low: int, high: int) -> int:
        """Return a whole number in [low, high]."""
        return low + self.below(high - low + 1)

    def uniform(self, low: float, high: float) -> float:
        """Return a number in [low, high)."""
        return low + (high - low) * self.random()

    def exponential(self, mean: float) -> float:
        """Return a waiting time."""
        return -mean * log(1.0 - self.random())

    def choice(self, things: Sequence[T]) -> T:
        """Return one of them."""
        return things[self.below(len(things))]

    def weighted(self, things: Sequence[T], weights: Sequence[float]) -> T:
        """Return one of them, the heavier the likelier."""
        at = self.random() * sum(weights)
        for thing, weight in zip(things, weights, strict=True):
            at -= weight
            if at < 0.0:
                return thing
        return things[-1]

    def sample(self, things: Sequence[T], amount: int) -> list[T]:
        """Return so many of them, each once."""
        left = list(things)
        self.shuffle(left)
        return left[:amount]

    def shuffle(self, things: list[Any]) -> None:
        """Bring them into another order."""
        for last in range(len(things) - 1, 0, -1):
            other = self.below(last + 1)
            things[last], things[other] = things[other], things[last]
