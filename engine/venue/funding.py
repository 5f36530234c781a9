"""Funding: what an open position pays, or receives, at its instants."""

from typing import NamedTuple

import numpy as np

EIGHT_HOURS_MS = 8 * 3_600_000
SENSITIVITY_RATE = 1e-4  # 1 bp per 8 h: what an unknown series is shown at, never silently 0


class FundingSeries(NamedTuple):
    """Rates of one symbol at their real instants (intervals differ and change).

    Attributes
    ----------
    ts : int64[n]
        UTC ms, ascending.
    rate : float64[n]
        Share of the position's value a long pays; negative: receives.
    """

    ts: np.ndarray
    rate: np.ndarray


def funding_series(ts: object, rate: object) -> FundingSeries:
    """Return a series in the layout kernels are compiled for: contiguous, read-only."""
    columns = np.array(ts, np.int64), np.array(rate, np.float64)
    for column in columns:
        column.flags.writeable = False
    return FundingSeries(*columns)


NO_FUNDING = funding_series([], [])


def covers(series: FundingSeries, begin: int, end: int) -> bool:
    """Tell whether a series is known over [begin, end] ms: an instant within 8 h of both edges."""
    if len(series.ts) == 0:
        return False
    known_from = int(series.ts[0]) - EIGHT_HOURS_MS
    known_to = int(series.ts[-1]) + EIGHT_HOURS_MS
    return known_from <= begin and end <= known_to


def instants(begin: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return how many 00/08/16 h UTC instants lie in each (begin, end] ms, int64[n]."""
    return end // EIGHT_HOURS_MS - begin // EIGHT_HOURS_MS


def sensitivity(notional: np.ndarray, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return what positions would have paid at 1 bp per 8 h, quote units, float64[n].

    Upper bound: the whole entry notional is charged until the exit, TP1 notwithstanding.
    """
    return notional * SENSITIVITY_RATE * instants(begin, end)
