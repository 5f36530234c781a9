"""Funding rows become settlements: what a source tells twice is charged once.

Public archives often hold an instant two times, at the hour and again some milliseconds later. No
venue settles twice within a minute, so rows closer than that are one settlement: it happened when
the first of them says (what was held then is charged), at the rate of the last that is a number (a
source that writes an instant again corrects itself, as with bars).
"""

from typing import NamedTuple

import numpy as np

ONE_SETTLEMENT_MS = 60_000  # the shortest funding interval of any venue is an hour


class Settlements(NamedTuple):
    """A series of one row a settlement.

    Attributes
    ----------
    ts, rate : int64[n], float64[n]
    doubled : int
        Rows that told of a settlement again.
    conflicting : int
        Of them, those with another rate than the row before.
    """

    ts: np.ndarray
    rate: np.ndarray
    doubled: int
    conflicting: int


def settlements(ts: np.ndarray, rate: np.ndarray) -> Settlements:
    """Join the rows of each settlement; `ts` strictly ascending, ms."""
    if len(ts) < 2 or (np.diff(ts) >= ONE_SETTLEMENT_MS).all():  # noqa: PLR2004 - one row is one
        return Settlements(ts, rate, 0, 0)
    kept: list[int] = []
    rates: list[float] = []
    conflicting = 0
    for at, now in zip(ts.tolist(), rate.tolist(), strict=True):
        if not kept or at - kept[-1] >= ONE_SETTLEMENT_MS:
            kept.append(at)
            rates.append(now)
            continue
        conflicting += now != rates[-1]
        if np.isfinite(now):
            rates[-1] = now
    return Settlements(
        np.array(kept, np.int64), np.array(rates), len(ts) - len(kept), int(conflicting)
    )
