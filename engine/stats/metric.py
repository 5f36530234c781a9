"""One figure with all that makes it honest."""

from typing import NamedTuple

TRADES_MIN = 30  # below it a figure about trades is not shown as one


class Metric(NamedTuple):
    """A figure, its interval and its meaning."""

    name: str
    value: float  # NaN: not defined on this input, see `definition`
    unit: str
    definition: str  # with the NaN rule
    n: int
    low: float = float("nan")  # 95 % bootstrap interval; NaN: none is given
    high: float = float("nan")
