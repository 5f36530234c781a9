"""Rules against their limits, names of a ceiling, parts of a score: pure, from event facts."""

from collections.abc import Mapping, Sequence
from typing import Any, SupportsInt

from app.api.views import Check, Score, Variant
from engine.messages import Gate, LevelKind, Phase
from engine.pipeline.detector import DetectorParams

_RAIL_ABOVE = 0.35  # of the range, shown over the level


def phase_of(value: str | SupportsInt) -> int:
    """Read a phase given by number or by name."""
    return int(Phase[value]) if isinstance(value, str) else max(1, int(value))


def finite(value: object) -> float | None:
    """Read a number; None for anything that is none, NaN and infinities included."""
    if not isinstance(value, int | float):
        return None
    number = float(value)
    return number if number == number and abs(number) != float("inf") else None  # noqa: PLR0124


def positive(value: object) -> float | None:
    """Read a price; None for 0 and below, which stand for "none" in the detector's records."""
    number = finite(value)
    return number if number is not None and number > 0 else None


def breakout_checks(
    facts: Mapping[str, Any], reject: Sequence[str], params: DetectorParams
) -> tuple[Check, ...]:
    """Return the five checks of a bar that closed over the level, from its event."""
    b = params.breakout
    failed = set(reject)

    def check(
        name: str, field: str, limit: float, gate: Gate | None, *, at_least: bool = True
    ) -> Check:
        passed = gate is None or gate.name not in failed
        return Check(
            name=name,
            value=finite(facts.get(field)),
            limit=limit,
            at_least=at_least,
            passed=passed,
        )

    return (
        check("close", "chase_atr", b.buffer_batr, None),
        check("body", "body", b.body_min, Gate.BODY),
        check("clv", "clv", b.clv_min, Gate.CLOSE_LOCATION),
        check("volume", "relvol", b.relvol_min, Gate.VOLUME),
        check("chase", "chase_atr", b.chase_max_batr, Gate.CHASE, at_least=False),
    )


def waiting_checks(distance_atr: float | None, params: DetectorParams) -> tuple[Check, ...]:
    """Return the same checks for a coin that waits: limits, and the distance to the level."""
    blank = breakout_checks({}, (), params)
    close = None if distance_atr is None else -distance_atr
    return tuple(
        Check(
            name=c.name, value=close if c.name == "close" else None, limit=c.limit,
            at_least=c.at_least, passed=None,
        )
        for c in blank
    )  # fmt: skip


def base_checks(row: Any, params: DetectorParams) -> tuple[Check, ...]:
    """Return the rules a range must meet to arm, with what it has now."""
    b, a = params.base, params.armed
    batr, floor, q95 = positive(row.batr), positive(row.floor), positive(row.q95)
    peak, trough = positive(row.peak), positive(row.trough)
    height = q95 - floor if q95 is not None and floor is not None else None
    in_atr = height / batr if height is not None and batr is not None else None
    fall = peak - trough if peak is not None and trough is not None else None
    of_dump = height / fall if height is not None and fall else None
    rules: list[tuple[str, float | None, float, bool]] = [
        ("length", row.nb, b.base_min, True),
        ("height", in_atr, b.height_min, True),
        ("share", of_dump, b.height_share_max, False),
        ("drift", finite(getattr(row, "drift", None)), b.drift_max, False),
        ("efficiency", finite(getattr(row, "er", None)), b.er_max, False),
        ("score", finite(row.level_score) if positive(row.level) else None, a.score_min, True),
        ("touches_r", row.touches_r, a.touches_min, True),
        ("touches_s", row.touches_s, a.touches_min, True),
    ]
    return tuple(
        Check(
            name=name, value=value, limit=limit, at_least=at_least,
            passed=None if value is None else (value >= limit if at_least else value <= limit),
        )
        for name, value, limit, at_least in rules
    )  # fmt: skip


def variants(facts: Mapping[str, Any]) -> tuple[Variant, ...]:
    """Return the eight ways to name the ceiling, on one rail from the floor to above the level."""
    prices = [positive(x) for x in facts.get("levels") or ()]
    level, batr, floor = (positive(facts.get(k)) for k in ("level", "batr", "floor"))
    known = [x for x in prices if x is not None]
    if level is None or not known:
        return ()
    lo = floor if floor is not None and floor < level else min(known)
    hi = level + _RAIL_ABOVE * (level - lo)  # what lies beyond stands at the rail's end
    chosen = int(facts.get("level_kind") or 0)

    def place(x: float) -> float:
        return min(1.0, max(0.0, (x - lo) / (hi - lo))) if hi > lo else 1.0

    return tuple(
        Variant(
            kind=LevelKind(i).name, price=x, place=place(x),
            distance_atr=(x - level) / batr if batr else None, chosen=i == chosen,
        )
        for i, x in enumerate(prices) if x is not None
    )  # fmt: skip


def score(facts: Mapping[str, Any], params: DetectorParams) -> Score | None:
    """Return what a level's score is made of, each part with its weight and sign."""
    total = finite(facts.get("level_score"))
    if total is None or positive(facts.get("level")) is None:
        return None
    a = params.armed

    def part(field: str) -> float:
        return finite(facts.get(field)) or 0.0

    return Score(
        total=total, touch=a.w_touch * part("score_touch"), edge=a.w_edge * part("score_edge"),
        polarity=a.w_polarity * part("score_polarity"), round=a.w_round * part("score_round"),
        over=-a.w_over * part("overhang"), rival_up=a.hysteresis,
        rival_down=a.hysteresis * a.hysteresis_down,
    )  # fmt: skip
