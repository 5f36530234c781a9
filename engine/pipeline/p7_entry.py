"""Phase 7, entry: from a breakout to an order, or to a refusal a person can read.

Four separate pure questions: which level, what plan, is it worth its costs, how much. Each answers
with a value; a refusal is a value too.
"""

from math import isfinite
from typing import Any, NamedTuple

from engine.kernels.paths import NEXT_OPEN, RETEST
from engine.messages import LevelKind
from engine.venue.costs import BPS, CostEstimate, FeeParams, round_trip_share

ENTRY_MODES = {"next_open": NEXT_OPEN, "retest": RETEST}
EVENTS_LEVEL = -1  # the level the event itself was judged by


class EntryParams(NamedTuple):
    """How a breakout is bought."""

    entry_mode: int = RETEST  # better or equal on 15m and 1h in the study, never clearly worse
    retest_batr: float = 0.1  # limit above the level
    retest_bars: int = 24
    chase_max_batr: float = 2.5  # a market entry further above the level is skipped
    stop_floor_batr: float = 0.25  # stop under the base's floor
    stop_max_batr: float = 6.0  # and never further than this from the entry
    level_kind: int = EVENTS_LEVEL


class GateParams(NamedTuple):
    """What an entry may cost."""

    spread_max_bps: float = 8.0
    cost_r_max: float = 0.15  # round trip in R: the one gate with certain value


class SizingParams(NamedTuple):
    """How much one trade may lose."""

    risk_fraction: float = 0.005  # of equity, costs included
    leverage_max: float = 5.0  # one position's notional over equity


class EntryPlan(NamedTuple):
    """An entry before it has a size. Prices in quote units."""

    mode: int
    level: float
    entry: float  # expected: the limit, or the close for a market entry
    limit: float
    chase: float
    stop: float
    batr: float


class Passed(NamedTuple):
    """The gate let it through."""

    cost_r: float
    spread_bps: float
    r_min: float  # smallest entry - stop that would still pass, quote units


class Sized(NamedTuple):
    """How much to buy."""

    qty: float
    notional: float
    risk: float  # qty x (entry - stop), quote units
    leverage_bound: bool  # less than the risk allows, since leverage is bounded


class Rejected(NamedTuple):
    """A refusal: why, the value met, the limit that stands."""

    reason: str
    value: float
    limit: float


def select_level(event: Any, level_kind: int = EVENTS_LEVEL) -> float | Rejected:
    """Return the level an order leans on: the event's own, or one of its eight variants."""
    level = event["level"] if level_kind == EVENTS_LEVEL else event["levels"][LevelKind(level_kind)]
    level = float(level)
    if not isfinite(level) or level <= 0.0:
        return Rejected("no_level", level, 0.0)
    return level


def structural_stop(entry: float, floor: float, batr: float, params: EntryParams) -> float:
    """Return the stop under the base, no further away than `stop_max_batr`."""
    return max(floor - params.stop_floor_batr * batr, entry - params.stop_max_batr * batr)


def plan_entry(event: Any, params: EntryParams) -> EntryPlan | Rejected:
    """Turn a BREAKOUT event into an entry plan.

    Parameters
    ----------
    event : record of `EVENT`
        `level`, `levels`, `floor`, `batr`, `close` are read.
    params : EntryParams
    """
    level = select_level(event, params.level_kind)
    if isinstance(level, Rejected):
        return level
    batr = float(event["batr"])
    floor = float(event["floor"])
    if not (isfinite(batr) and batr > 0.0 and isfinite(floor) and floor > 0.0):
        return Rejected("no_base", batr, 0.0)
    limit = level + params.retest_batr * batr
    close = float(event["close"])
    entry = limit if params.entry_mode == RETEST else close
    stop = structural_stop(entry, floor, batr, params)
    if stop >= entry or stop <= 0.0:
        return Rejected("no_room_for_a_stop", stop, entry)
    chase = level + params.chase_max_batr * batr
    return EntryPlan(params.entry_mode, level, entry, limit, chase, stop, batr)


def cost_gate(
    plan: EntryPlan, estimate: CostEstimate, fees: FeeParams, params: GateParams
) -> Passed | Rejected:
    """Refuse an entry whose costs eat too much of its risk.

    The estimate is for the order's notional: live a sweep of the book, over history the model.
    """
    if not isfinite(estimate.spread_bps) or estimate.spread_bps > params.spread_max_bps:
        return Rejected("spread", estimate.spread_bps, params.spread_max_bps)
    cost = round_trip_share(fees, estimate) * plan.entry
    cost_r = cost / (plan.entry - plan.stop)
    if not cost_r <= params.cost_r_max:
        return Rejected("cost_in_r", cost_r, params.cost_r_max)
    return Passed(cost_r, estimate.spread_bps, cost / params.cost_r_max)


def size_position(
    plan: EntryPlan,
    equity: float,
    estimate: CostEstimate,
    fees: FeeParams,
    params: SizingParams,
) -> Sized | Rejected:
    """Size an entry so that a full stop loses `risk_fraction` of equity, costs included.

    Parameters
    ----------
    equity : float
        Realised equity, quote units.
    """
    if not equity > 0.0:
        return Rejected("no_equity", equity, 0.0)
    loss = plan.entry - plan.stop + round_trip_share(fees, estimate) * plan.entry
    qty = equity * params.risk_fraction / loss
    most = equity * params.leverage_max / plan.entry
    bound = qty > most
    qty = min(qty, most)
    return Sized(qty, qty * plan.entry, qty * (plan.entry - plan.stop), bound)


def expected_notional(plan: EntryPlan, equity: float, params: SizingParams) -> float:
    """Return the notional before costs are known: what the cost estimate is asked for."""
    qty = equity * params.risk_fraction / (plan.entry - plan.stop)
    return min(qty * plan.entry, equity * params.leverage_max)


def sweep_share(estimate: CostEstimate) -> float:
    """Return one way's slippage as a share of price."""
    return estimate.sweep_bps * BPS
