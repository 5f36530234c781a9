"""Numbers and sentences of the report: signed, with an interval, a loss called a loss."""

from collections.abc import Callable
from datetime import UTC, datetime
from math import isfinite
from typing import NamedTuple

from engine.pipeline.profile import Known
from engine.stats.metric import TRADES_MIN, Metric

DASH = "—"
MINUS = "−"


def number(value: float, digits: int = 2) -> str:
    """Return 1,234.56 with a real minus; a dash for what is not defined."""
    if not isfinite(value):
        return DASH
    text = f"{abs(value):,.{digits}f}"
    return MINUS + text if value < 0 and text.strip("0.,") else text


def signed(value: float, digits: int = 2) -> str:
    """Return a number that always carries its sign."""
    text = number(value, digits)
    return text if text == DASH or text.startswith(MINUS) or not text.strip("0.,") else f"+{text}"


def share(value: float, digits: int = 1) -> str:
    """Return a fraction as a percentage, with a narrow space."""
    return DASH if not isfinite(value) else f"{number(100 * value, digits)}\u202f%"


def when(ts: int) -> str:
    """Return UTC ms as `2026-11-22 12:41`."""
    return datetime.fromtimestamp(ts / 1000, UTC).strftime("%Y-%m-%d %H:%M") if ts else DASH


def day(ts: int) -> str:
    """Return UTC ms as `2026-11-22`."""
    return datetime.fromtimestamp(ts / 1000, UTC).strftime("%Y-%m-%d") if ts else DASH


def duration(ms: float) -> str:
    """Return a span with two units at most."""
    minutes = int(ms // 60_000)
    days, rest = divmod(minutes, 1440)
    hours, left = divmod(rest, 60)
    if days:
        return f"{days} d {hours} h" if hours else f"{days} d"
    return f"{hours} h {left} m" if hours and left else f"{hours} h" if hours else f"{left} m"


def price(value: float, tick: float) -> str:
    """Return a price with the tick's decimals."""
    decimals = max(0, len(f"{tick:.10f}".rstrip("0").split(".")[1])) if tick < 1 else 0
    return number(value, decimals)


def span(metric: Metric, show: Callable[[float, int], str] = signed, digits: int = 2) -> str:
    """Return `[low, high]`, or why there is none."""
    if not (isfinite(metric.low) and isfinite(metric.high)):
        return "no interval: too few weeks"
    return f"[{show(metric.low, digits)}, {show(metric.high, digits)}]"


class Verdict(NamedTuple):
    """The answer in a sentence, and how it leans: up, down, none, few."""

    text: str
    lean: str
    note: str = ""


def known_note(known: Known | None) -> str:
    """Say that a profile was settled on history that this one shares; nothing when it was not."""
    if known is None:
        return ""
    return (
        f"This profile was put together on data of {day(known.start_ms)} to "
        f"{day(known.end_ms - 1)}, which overlap this history, after {known.trials:,} trials. "
        "A good result here is no evidence: judge it on later data."
    )


def verdict(metrics: dict[str, Metric], n: int, known: Known | None = None) -> Verdict:
    """Say what the trades show, measured against 0 and against random entries.

    Where the profile was settled on some of this history (`known`), nothing shown is an edge.
    """
    said = _shown(metrics, n)
    if known is not None and said.lean == "up":
        text = (
            "Above 0 and above random entries, but in history this profile was put together on: "
            "no edge is shown."
        )
        said = Verdict(text, "none")
    return said._replace(note=known_note(known))


def _shown(metrics: dict[str, Metric], n: int) -> Verdict:
    if n < TRADES_MIN:
        return Verdict(f"Too few trades to say ({n} of {TRADES_MIN}).", "few")
    edge, excess = metrics["expectancy_r"], metrics["excess_r"]
    if not (isfinite(edge.low) and isfinite(excess.low)):
        return Verdict("Too few weeks to say: the trades stand in fewer than four.", "few")
    if edge.high < 0.0:
        return Verdict("A loss is shown: the whole interval lies below 0.", "down")
    if edge.low > 0.0 and excess.low > 0.0:
        return Verdict(
            "Above 0 and above random entries in this history. One sample, not a promise.", "up"
        )
    if edge.low > 0.0:
        return Verdict(
            "Above 0, but random entries in the same coins did not do clearly worse: no edge "
            "of the "
            "pattern is shown.",
            "none",
        )
    if excess.low > 0.0:
        return Verdict(
            "Better than random entries, but the interval of the result covers 0: no profit is "
            "shown.",
            "none",
        )
    return Verdict(
        "No edge shown: the interval covers 0, and so does the difference to random entries.",
        "none",
    )


REASONS = {
    "no_level": "no level of the chosen kind",
    "no_base": "no base to put a stop under",
    "no_room_for_a_stop": "the stop would not lie below the entry",
    "turnover": "24 h turnover too small",
    "spread": "modelled spread too wide",
    "cost_in_r": "round trip costs too much of one R",
    "coin_already_open": "the coin was already open or ordered",
    "positions": "all positions taken",
    "no_equity": "no equity left",
    "expired": "the limit was not reached in time",
    "chased": "the open stood too far above the level",
    "below_stop": "the open stood below the stop",
    "no_bar": "no bar follows: end or hole of the data",
    "r_too_small": "the fill left too little R for its costs",
}

EXITS = {
    "stop": "stop",
    "breakeven": "breakeven stop",
    "trail": "trailing stop",
    "time": "time stop",
    "failed": "breakout failed",
    "liquidation": "liquidated",
    "tp1": "TP1, all of it",
    "end": "left open: the data ends",
    "gap": "hole in the data: last known price",
}

PHASES = {
    "dump": "2 Dump",
    "base": "4 Base",
    "armed": "5 Armed",
    "breakout": "6 Breakout",
    "ordered": "7 Ordered",
    "entered": "7 Entered",
    "tp1": "8 TP1 reached",
}
