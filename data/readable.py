"""Reading many series where some files may be broken: these are left out, each with its reason."""

from collections.abc import Iterable
from dataclasses import dataclass

from data.catalog import Lake
from engine.bars import Bars
from engine.errors import DataError

_REASONS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Skip:
    """A symbol that took no part, and why."""

    symbol: str
    reason: str

    @classmethod
    def of(cls, symbol: str, error: DataError) -> "Skip":
        """Tell why a series could not be read."""
        return cls(symbol, f"{error.what}{': ' if error.why else ''}{error.why}")


def read_series(
    lake: Lake, venue: str, interval: str, symbols: Iterable[str]
) -> tuple[dict[str, Bars], list[Skip]]:
    """Read the bars of several symbols, in their order; return also those left out.

    Raises
    ------
    DataError
        Not one of them can be read.
    """
    bars: dict[str, Bars] = {}
    skips: list[Skip] = []
    for symbol in symbols:
        try:
            bars[symbol] = lake.read(venue, interval, symbol)
        except DataError as error:
            skips.append(Skip.of(symbol, error))
    if not bars:
        raise nothing_readable(f"at {venue} {interval}", skips)
    return bars, skips


def nothing_readable(where: str, skips: list[Skip]) -> DataError:
    """Return the error for a lake of which not one series could be read."""
    why = "; ".join(f"{s.symbol}: {s.reason}" for s in skips[:_REASONS_SHOWN])
    more = f"; and {len(skips) - _REASONS_SHOWN} more" if len(skips) > _REASONS_SHOWN else ""
    return DataError(
        f"not one series {where} can be read", why=why + more, hint="zion data check says more"
    )
