"""What every control is asked with, and what it answers."""

from collections.abc import Callable
from typing import NamedTuple

from engine.risk.book import EntryRequest, RiskBook
from engine.risk.limits import RiskLimits
from engine.risk.reasons import Reason


class Asked(NamedTuple):
    """One question to all controls."""

    request: EntryRequest
    book: RiskBook
    limits: RiskLimits
    now_ms: int
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()


class Found(NamedTuple):
    """A control's answer: what it met, what stands, and the reason to refuse (None: passed)."""

    control: str
    value: str
    limit: str
    reason: Reason | None = None


Control = Callable[[Asked], Found]
