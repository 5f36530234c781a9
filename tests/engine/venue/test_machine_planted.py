"""Bugs planted in the machine: the laws must see each of them."""

from decimal import ROUND_DOWN, Decimal
from typing import Any

import pytest

from engine.venue.exchange import (
    funding,
    ledger,
    liquidation,
    matching,
    positions,
    protect,
    state,
)
from tests.engine.venue.test_machine_laws import audit, live_through

pytestmark = [pytest.mark.laws, pytest.mark.slow]
SEEN = (LookupError, ValueError, AssertionError)


def nothing(*_: Any, **__: Any) -> None:
    return None


def opens_too(_: Any, order: Any) -> Decimal:
    return order.qty


def floor8(value: Decimal) -> Decimal:
    return value.quantize(ledger.AMOUNT, rounding=ROUND_DOWN)


BUGS = {
    "reduce-only is not cut to the position": (
        positions,
        "room_to_reduce",
        opens_too,
    ),
    "stops do not follow the position": (protect, "sync", nothing),
    "resting reduce-only orders do not shrink": (positions, "_clamp", nothing),
    "nobody is taken over": (liquidation, "check", nothing),
    "fees and profits are rounded down": (positions, "q8", floor8),
    "entry prices keep 8 decimals": (positions, "q10", ledger.q8),
    "funding goes the wrong way": (funding, "q8", lambda value: ledger.q8(-value)),
    "prints fill what is not theirs": (matching, "min", max),
    "every id is the same": (state, "make_id", lambda *_: "id"),
}


@pytest.mark.parametrize("name", list(BUGS))
def test_a_planted_bug_is_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, attribute, wrong = BUGS[name]
    monkeypatch.setattr(module, attribute, wrong, raising=False)
    for seed in range(12):
        try:
            live_through(seed, thin=bool(seed % 2))
            audit(seed, thin=bool(seed % 2))
        except SEEN:
            return
    pytest.fail(f"nobody saw that {name}")
