"""What the judge keeps of an order, and how it asks a store that stands in the process."""

from collections.abc import Awaitable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from data.records.rows import IntentRow
from engine.account.commands import PlaceOrder


@dataclass(slots=True)
class Intent:
    """An order that was written down before it was sent."""

    user: int
    row: IntentRow
    order: PlaceOrder
    at_ms: int  # true time of the commit
    last: Decimal  # the price then


def now(asked: Awaitable[Any]) -> Any:
    """Return what a store in the process answers, which it does at once."""
    coroutine: Any = asked
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise RuntimeError("the store waits")
