"""Phase 8, management: what happens to an open position, and the whole plan's parameters."""

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import NamedTuple

from engine.errors import DataError
from engine.kernels import paths
from engine.kernels.paths import PathRules, breakeven_price, next_stop
from engine.pipeline.p7_entry import ENTRY_MODES, EntryParams
from engine.venue.costs import FeeParams
from engine.venue.margin import MarginParams

__all__ = [
    "FillKind", "Intrabar", "ManageParams", "OrderStatus", "PlanParams", "breakeven_price",
    "next_stop", "path_rules", "plan_params",
]  # fmt: skip


class FillKind(IntEnum):
    """Why a fill happened; the last one of a trade is its exit reason. Never renumber."""

    ENTRY = paths.ENTRY
    TP1 = paths.TP1
    STOP = paths.STOP
    BREAKEVEN = paths.BREAKEVEN
    TRAIL = paths.TRAIL
    TIME = paths.TIME
    FAILED = paths.FAILED
    LIQUIDATION = paths.LIQUIDATION
    FUNDING = paths.FUNDING
    END = paths.END  # the data ends: left open
    GAP = paths.GAP  # the data has a hole: out at the last known close


class OrderStatus(IntEnum):
    """What became of an order. Never renumber."""

    OPENED = paths.OPENED
    EXPIRED = paths.EXPIRED
    CHASED = paths.CHASED
    BELOW_STOP = paths.BELOW_STOP
    NO_BAR = paths.NO_BAR
    R_TOO_SMALL = paths.R_TOO_SMALL


class Intrabar(IntEnum):
    """Who is right when one bar holds both the stop and the target."""

    PESSIMISTIC = paths.PESSIMISTIC
    OPTIMISTIC = paths.OPTIMISTIC
    FINER = paths.FINER


class ManageParams(NamedTuple):
    """How an open position is led. No exit mattered in the study: the plain ladder stays."""

    tp1_r: float = 1.0
    tp1_share: float = 0.5
    trail_batr: float = 3.0  # under the highest high, after TP1
    time_stop_bars: int = 480  # five days of 15m
    exit_on_failed: int = 0  # leave at the open after a FAILED event
    intrabar: int = paths.PESSIMISTIC


class PlanParams(NamedTuple):
    """The whole trade plan of a profile."""

    entry: EntryParams
    manage: ManageParams


# Smallest and largest value of every number of a plan.
RANGES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "retest_batr": (-2, 5),
        "retest_bars": (1, 1000),
        "chase_max_batr": (0, 50),
        "stop_floor_batr": (-2, 10),
        "stop_max_batr": (0.1, 50),
        "level_kind": (-1, 7),
        "tp1_r": (0.05, 20),
        "tp1_share": (0, 1),
        "trail_batr": (0.1, 50),
        "time_stop_bars": (1, 20_000),
        "exit_on_failed": (0, 1),
    }
)
_CHOICES: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {"entry_mode": ENTRY_MODES, "intrabar": {x.name.lower(): int(x) for x in Intrabar}}
)


def plan_params(values: Mapping[str, float | int | str], source: str = "profile") -> PlanParams:
    """Read a profile's `[plan]`; what it does not name keeps its default.

    Raises
    ------
    DataError
        Unknown name, wrong type, out of range.
    """
    known = {**EntryParams._field_defaults, **ManageParams._field_defaults}
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise DataError(
            f"{source}: unknown parameter plan.{unknown[0]}",
            hint=f"known in [plan]: {', '.join(known)}",
        )
    read = {
        name: _value(name, values.get(name, known[name]), known[name], source) for name in known
    }
    return PlanParams(
        EntryParams(**{k: read[k] for k in EntryParams._fields}),
        ManageParams(**{k: read[k] for k in ManageParams._fields}),
    )


def _value(name: str, value: object, default: float, source: str) -> float | int:
    if name in _CHOICES:
        choices = _CHOICES[name]
        if isinstance(value, int) and not isinstance(value, bool) and value in choices.values():
            return value
        if value not in choices:
            raise DataError(
                f"{source}: plan.{name} = {value!r} is unknown", hint=f"one of {', '.join(choices)}"
            )
        return choices[str(value)]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DataError(f"{source}: plan.{name} must be a number, is {value!r}")
    low, high = RANGES[name]
    if not low <= value <= high:
        raise DataError(
            f"{source}: plan.{name} = {value} is out of range", hint=f"from {low:g} to {high:g}"
        )
    return int(value) if isinstance(default, int) else float(value)


def path_rules(plan: PlanParams, fees: FeeParams, margin: MarginParams) -> PathRules:
    """Return what the path kernel needs, every number of the type it was compiled for."""
    return PathRules(
        valid_bars=int(plan.entry.retest_bars),
        tp1_r=float(plan.manage.tp1_r),
        tp1_share=float(plan.manage.tp1_share),
        trail_batr=float(plan.manage.trail_batr),
        time_stop_bars=int(plan.manage.time_stop_bars),
        exit_on_failed=int(plan.manage.exit_on_failed),
        intrabar=int(plan.manage.intrabar),
        taker_fee=fees.taker,
        maker_fee=fees.limit,
        leverage=float(margin.leverage),
        maintenance_rate=float(margin.maintenance_rate),
    )
