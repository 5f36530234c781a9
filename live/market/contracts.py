"""Every contract's rules as last read, and what changed: tick, lot, status, funding, risk tiers."""

from collections.abc import Iterable
from dataclasses import replace

from engine.venue.instrument import Instrument
from engine.venue.words import InstrumentStatus
from live.venues.port import Ok, PublicRest


class Contracts:
    """The rules, kept.

    Parameters
    ----------
    rest : PublicRest
        Where they are read.
    """

    def __init__(self, rest: PublicRest) -> None:
        self._rest = rest
        self.by_symbol: dict[str, Instrument] = {}
        self.failure = ""  # why the newest reading came to nothing; "" = it did not

    async def refresh(self) -> list[Instrument]:
        """Read all rules again; returns those that changed, those read first among them.

        A contract that is listed no more counts as Closed: nothing new is opened there.
        """
        outcome = await self._rest.contracts()
        if not isinstance(outcome, Ok):
            self.failure = f"{outcome}"
            return []
        self.failure = ""
        found = {c.symbol: c for c in outcome.value}
        if not found:
            return []  # an empty list says that something is wrong there, not that all is closed
        changed = []
        for symbol, contract in found.items():
            before = self.by_symbol.get(symbol)
            tiers = contract.tiers or (before.tiers if before is not None else ())
            changed += self._take(replace(contract, tiers=tiers))
        for symbol, before in list(self.by_symbol.items()):
            if symbol not in found:
                changed += self._take(replace(before, status=InstrumentStatus.CLOSED))
        return changed

    async def read_tiers(self, symbols: Iterable[str]) -> list[Instrument]:
        """Read the risk tiers of some contracts; returns those that changed."""
        changed = []
        for symbol in symbols:
            before = self.by_symbol.get(symbol)
            if before is None:
                continue
            outcome = await self._rest.tiers(symbol)
            if not isinstance(outcome, Ok):
                self.failure = f"risk tiers of {symbol}: {outcome}"
            elif outcome.value:
                before = self.by_symbol.get(symbol, before)  # it may have changed meanwhile
                changed += self._take(replace(before, tiers=tuple(outcome.value)))
        return changed

    def funding_interval(self, symbol: str, minutes: int) -> list[Instrument]:
        """Take the interval the ticker tells; returns the contract if that is news."""
        before = self.by_symbol.get(symbol)
        whole_hours = minutes > 0 and minutes % 60 == 0
        if before is None or not whole_hours or before.funding_interval_min % 60:
            return []  # the ticker knows hours only
        return self._take(replace(before, funding_interval_min=minutes))

    def _take(self, contract: Instrument) -> list[Instrument]:
        if self.by_symbol.get(contract.symbol) == contract:
            return []
        self.by_symbol[contract.symbol] = contract
        return [contract]
