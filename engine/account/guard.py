"""The stop guard's judgement: no held position of ours stands without its stop.

Independent of `decide` and its inbox: it is told what the venue shows, and by trade where the
stop belongs as decided last. It sets a stop only where none works, at exactly that price, so it
can neither widen one nor contradict the brain. What it cannot cover in ten seconds it closes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from engine.venue.reports import OrderReport, PositionReport
from engine.venue.view import PositionKey, is_covered


@dataclass(frozen=True, slots=True)
class GuardLimits:
    """When it becomes serious."""

    alarm_ms: int = 5_000  # without a stop for so long: somebody must hear
    flatten_ms: int = 10_000  # and for so long while the venue could be reached: close it
    again_ms: int = 2_000  # between two attempts to close the same position


LIMITS = GuardLimits()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStop:
    """Where a held position's stop belongs, as decided last."""

    trade_id: str
    symbol: str
    side: str  # of the position
    stop_loss: Decimal
    position_idx: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Naked:
    """A position without a stop: one episode, from when it was seen until it is covered."""

    since_ms: int
    seen_ms: int  # the last look
    reached_ms: int = 0  # of its age, how long the venue could be reached
    alarmed: bool = False
    attempts: int = 0  # to close it
    attempt_ms: int = 0  # the last one


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverPosition:
    """Set the planned stop on a position that has none."""

    plan: PlannedStop


@dataclass(frozen=True, slots=True, kw_only=True)
class Flatten:
    """Close a position that cannot be covered: reduce-only, at the market."""

    plan: PlannedStop
    qty: Decimal
    attempt: int  # of the order's id: the same attempt is the same order
    reason: str  # price_through | uncovered


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundAlarm:
    """Tell a person; once an episode."""

    plan: PlannedStop
    age_ms: int


GuardAction = CoverPosition | Flatten | SoundAlarm


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardVerdict:
    """What to do now, and what to remember until the next look."""

    naked: dict[PositionKey, Naked]
    actions: tuple[GuardAction, ...] = ()


def guard(
    positions: Iterable[PositionReport],
    orders: Iterable[OrderReport],
    plans: Mapping[str, PlannedStop],
    naked: Mapping[PositionKey, Naked],
    now_ms: int,
    *,
    reachable: bool = True,
    limits: GuardLimits = LIMITS,
) -> GuardVerdict:
    """Judge every held position once.

    Parameters
    ----------
    positions, orders : iterables of reports
        As the venue shows them; stops stand in either.
    plans : mapping of symbol to PlannedStop
        A position of a symbol without a plan, or of the other side, is none of ours.
    naked : mapping
        What the look before returned.
    now_ms : int
        Any clock that never falls.
    reachable : bool
        Whether the venue answered this user in the last seconds: what cannot be reached is not
        given up for it.

    Returns
    -------
    GuardVerdict
    """
    listed = tuple(orders)
    left: dict[PositionKey, Naked] = {}
    actions: list[GuardAction] = []
    for position in sorted(positions, key=lambda p: (p.symbol, p.position_idx)):
        plan = plans.get(position.symbol)
        if plan is None or not _is_planned(position, plan) or is_covered(position, listed):
            continue
        key = (position.symbol, position.position_idx)
        left[key] = _judge(position, plan, naked.get(key), now_ms, reachable, limits, actions)
    return GuardVerdict(naked=left, actions=tuple(actions))


def _is_planned(position: PositionReport, plan: PlannedStop) -> bool:
    same = position.position_idx == plan.position_idx and position.side == plan.side
    return same and position.size > 0


def _judge(
    position: PositionReport,
    plan: PlannedStop,
    before: Naked | None,
    now_ms: int,
    reachable: bool,  # noqa: FBT001 - one of many facts
    limits: GuardLimits,
    actions: list[GuardAction],
) -> Naked:
    seen = before or Naked(since_ms=now_ms, seen_ms=now_ms)
    age_ms = now_ms - seen.since_ms
    reached_ms = seen.reached_ms + (now_ms - seen.seen_ms if reachable else 0)
    alarmed = seen.alarmed
    if age_ms >= limits.alarm_ms and not alarmed:
        alarmed = True
        actions.append(SoundAlarm(plan=plan, age_ms=age_ms))
    attempts, attempt_ms = seen.attempts, seen.attempt_ms
    through = is_through(position, plan)
    if through or reached_ms >= limits.flatten_ms:
        if not attempts or now_ms - attempt_ms >= limits.again_ms:
            attempts, attempt_ms = attempts + 1, now_ms
            reason = "price_through" if through else "uncovered"
            actions.append(Flatten(plan=plan, qty=position.size, attempt=attempts, reason=reason))
    else:
        actions.append(CoverPosition(plan=plan))
    return Naked(
        since_ms=seen.since_ms,
        seen_ms=now_ms,
        reached_ms=reached_ms,
        alarmed=alarmed,
        attempts=attempts,
        attempt_ms=attempt_ms,
    )


def is_through(position: PositionReport, plan: PlannedStop) -> bool:
    """Tell whether the price has passed the planned stop: the venue would refuse to set it."""
    mark = position.mark_price
    if mark is None or mark <= 0:
        return False
    return mark <= plan.stop_loss if plan.side == "Buy" else mark >= plan.stop_loss
