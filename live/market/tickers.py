"""Where every coin stands, merged from snapshot and deltas of its ticker."""

from dataclasses import dataclass, fields
from math import isfinite, nan

import msgspec

from engine.venue.wire import TickerMessage
from engine.venue.wire.marketdata import Loose

_HOUR_MIN = 60


@dataclass(slots=True)
class Ticker:
    """One coin's newest known values; NaN = the venue says there is none."""

    last: float = nan
    mark: float = nan
    index: float = nan
    bid: float = nan
    ask: float = nan
    high_24h: float = nan
    change_24h: float = nan
    turnover_24h: float = nan
    funding_rate: float = nan
    next_funding_ms: float = nan
    funding_interval_h: float = nan
    ts: int = 0
    cs: int = 0
    whole: bool = False  # a snapshot has come on the connection that lives

    @property
    def funding_interval_min(self) -> int:
        """Minutes between two payments; 0 = unknown."""
        hours = self.funding_interval_h
        return round(hours * _HOUR_MIN) if isfinite(hours) else 0


# attribute here -> field of the message
NAMES = {
    "last": "last_price",
    "mark": "mark_price",
    "index": "index_price",
    "bid": "bid1_price",
    "ask": "ask1_price",
    "high_24h": "high_price24h",
    "change_24h": "price24h_pcnt",
    "turnover_24h": "turnover24h",
    "funding_rate": "funding_rate",
    "next_funding_ms": "next_funding_time",
    "funding_interval_h": "funding_interval_hour",
}
_PAIRS = tuple(NAMES.items())
_MONEY = frozenset(f.name for f in fields(Ticker)) & {"last", "mark", "index", "bid", "ask"}


def number(value: Loose) -> float:
    """Return a value as a float, NaN for none or for what is no finite number."""
    if value is None or value == "" or isinstance(value, msgspec.UnsetType):
        return nan
    try:
        out = float(value)
    except ValueError:
        return nan
    return out if isfinite(out) else nan


class Tickers:
    """All tickers. O(fields told) a message."""

    def __init__(self) -> None:
        self.by_symbol: dict[str, Ticker] = {}
        self.orphans = 0  # deltas without a snapshot
        self.old = 0  # messages older than what is known
        self.odd = 0  # prices at or below zero: taken for none

    def apply(self, message: TickerMessage) -> bool:
        """Merge a message; False where it could not be: the topic should be asked for anew."""
        data = message.data
        ticker = self.by_symbol.get(data.symbol)
        if message.type != "delta":
            ticker = self.by_symbol[data.symbol] = Ticker(whole=True)
        elif ticker is None or not ticker.whole:
            self.orphans += 1
            return False
        elif message.cs and message.cs < ticker.cs:
            self.old += 1  # it was overtaken: what is known is newer
            return True
        for name, field in _PAIRS:
            value = getattr(data, field)
            if value is not msgspec.UNSET:
                read = number(value)
                if name in _MONEY and read <= 0.0:
                    self.odd += 1
                    read = nan
                setattr(ticker, name, read)
        ticker.cs = message.cs
        ticker.ts = message.ts
        return True

    def lose(self, symbol: str) -> None:
        """Hear that a coin's topic fell silent or its connection ended."""
        ticker = self.by_symbol.get(symbol)
        if ticker is not None:
            ticker.whole = False

    def forget(self, symbol: str) -> None:
        """Let go of a coin."""
        self.by_symbol.pop(symbol, None)
