"""A contract's funding interval changes under an open trade: the ticker tells it first."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from engine.venue.instrument import Instrument
from live.market.contracts import Contracts
from live.venues.port import Ok

MADE: dict[str, Any] = {
    name: Decimal(1) for name in ("tick_size", "qty_step", "min_order_qty", "max_order_qty")
}


class Rest:
    """Reads one coin's rules."""

    def __init__(self, minutes: int) -> None:
        self.minutes = minutes

    async def contracts(self) -> Any:
        """Return the coin."""
        made = Instrument(
            symbol="AUSDT", max_mkt_order_qty=MADE["qty_step"], funding_interval_min=self.minutes,
            **MADE,
        )  # fmt: skip
        return Ok([made], 1)


def read(minutes: int) -> Contracts:
    rest: Any = Rest(minutes)
    contracts = Contracts(rest)
    assert len(asyncio.run(contracts.refresh())) == 1
    return contracts


def test_a_change_that_the_ticker_tells_is_news_once() -> None:
    contracts = read(480)
    assert contracts.funding_interval("AUSDT", 480) == []
    (told,) = contracts.funding_interval("AUSDT", 60)
    assert told.funding_interval_min == 60
    assert contracts.by_symbol["AUSDT"] == told
    assert contracts.funding_interval("AUSDT", 60) == []
    (back,) = asyncio.run(contracts.refresh())  # the list says otherwise: it is read and told
    assert back.funding_interval_min == 480


@pytest.mark.parametrize("minutes", [0, -60, 90, 59])
def test_what_is_no_whole_hour_is_no_word_of_the_ticker(minutes: int) -> None:
    contracts = read(480)
    assert contracts.funding_interval("AUSDT", minutes) == []
    assert contracts.by_symbol["AUSDT"].funding_interval_min == 480


def test_an_interval_that_the_ticker_cannot_write_is_left_as_the_list_has_it() -> None:
    contracts = read(90)
    assert contracts.funding_interval("AUSDT", 60) == []
    assert contracts.by_symbol["AUSDT"].funding_interval_min == 90


def test_a_coin_whose_rules_are_unknown_gets_none_of_the_ticker() -> None:
    contracts = read(480)
    assert contracts.funding_interval("BUSDT", 60) == []
    assert "BUSDT" not in contracts.by_symbol
