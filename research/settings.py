"""What a backtest assumes, in one value: it is hashed, printed and logged with every run."""

import hashlib
from typing import NamedTuple

from engine.pipeline.p7_entry import GateParams, SizingParams
from engine.venue.costs import CostModel, FeeParams
from engine.venue.margin import MarginParams


class BacktestSettings(NamedTuple):
    """Everything besides the profile that decides a result."""

    capital: float = 10_000.0  # USDT
    fees: FeeParams = FeeParams()
    costs: CostModel = CostModel()
    gate: GateParams = GateParams()
    sizing: SizingParams = SizingParams()
    margin: MarginParams = MarginParams()
    positions_max: int = 6  # open at once over all coins, resting orders included
    turnover_min_usdt: float = 5_000_000.0  # of the 24 h before a signal; 0 in quality studies
    null_runs: int = 200
    draws: int = 2000
    seed: int = 7


def digest(*parts: object) -> str:
    """Return a short hash of values with a stable repr (12 hex digits)."""
    return hashlib.blake2b(repr(parts).encode(), digest_size=6).hexdigest()
