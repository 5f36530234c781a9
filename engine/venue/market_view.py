"""The trades, books, limits and funding of a replayed market at a moment. Pure: one view, asked."""

from dataclasses import dataclass
from decimal import Decimal
from hashlib import blake2b
from itertools import islice

import numpy as np

from engine.venue.exchange.book import BookModel
from engine.venue.instrument import Instrument
from engine.venue.listings import Listings, knot_ms, knots
from engine.venue.replay import Replay
from engine.venue.words import Side

_HOUR_MS = 3_600_000
_FUNDING_MIN = 480
FIRST_UPDATE = 2  # of an order book; 1 means that the service has restarted


@dataclass(frozen=True, slots=True)
class Trade:
    """One public trade."""

    id: str
    price: Decimal
    qty: Decimal
    side: str
    time: int
    seq: int


class MarketView:
    """What anybody may see of the market now.

    `clock_ms` is set by whoever owns the venue's time.
    """

    def __init__(
        self, replay: Replay, interval: str, listings: Listings, book: BookModel, clock_ms: int
    ) -> None:
        self.replay = replay
        self.interval = interval
        self.listings = listings
        self.book = book
        self.clock_ms = clock_ms
        self.updates: dict[str, int] = {}  # symbol -> `u` of its deepest stream

    def instrument(self, symbol: str) -> Instrument:
        """Return a contract's rules."""
        return self.listings[symbol].instrument

    def last(self, symbol: str) -> Decimal:
        """Return the last price, on the contract's grid."""
        value = self.replay.last_price(symbol, self.clock_ms)
        return self.listings[symbol].price(value)

    # ------------------------------------------------------------------ book

    def best(self, symbol: str) -> tuple[tuple[Decimal, Decimal], tuple[Decimal, Decimal]]:
        """Return best bid and ask as (price, quantity)."""
        bids, asks = self.levels(symbol, 1)
        nothing = (Decimal(0), Decimal(0))
        return bids[0] if bids else nothing, asks[0] if asks else nothing

    def levels(
        self, symbol: str, depth: int
    ) -> tuple[list[tuple[Decimal, Decimal]], list[tuple[Decimal, Decimal]]]:
        """Return the book: bids and asks, best first."""
        instrument, last = self.instrument(symbol), self.last(symbol)
        bids = list(islice(self.book.side(instrument, last, Side.SELL), depth))
        asks = list(islice(self.book.side(instrument, last, Side.BUY), depth))
        return bids, asks

    # ------------------------------------------------------------------ trades

    def trades(self, symbol: str, limit: int) -> list[Trade]:
        """Return the newest trades, newest first."""
        stamps, _ = self.replay.columns(symbol)
        stop = int(np.searchsorted(stamps, self.clock_ms, side="right"))
        out: list[Trade] = []
        for index in range(stop - 1, -1, -1):
            out += reversed(self.bar_trades(symbol, index, -1, self.clock_ms))
            if len(out) >= limit:
                break
        return out[:limit]

    def between(self, symbol: str, after_ms: int, to_ms: int) -> list[Trade]:
        """Return the trades in (after, to], oldest first."""
        stamps, _ = self.replay.columns(symbol)
        length = self.replay.interval_ms
        first = int(np.searchsorted(stamps, after_ms - length, side="right"))
        stop = int(np.searchsorted(stamps, to_ms, side="right"))
        return [
            trade
            for index in range(first, stop)
            for trade in self.bar_trades(symbol, index, after_ms, to_ms)
        ]

    def bar_trades(self, symbol: str, index: int, after_ms: int, to_ms: int) -> list[Trade]:
        """Return a bar's trades in (after, to], oldest first."""
        listing = self.listings[symbol]
        start = int(self.replay.columns(symbol)[0][index])
        least = listing.instrument.qty_step
        out = []
        for turn, knot in enumerate(knots(self.replay.values(symbol, index))):
            at = knot_ms(start, knot.share, self.replay.interval_ms)
            if after_ms < at <= to_ms:
                seq = 4 * index + turn + 1
                qty = max(listing.qty(knot.volume), least)
                side = "Buy" if knot.buyer else "Sell"
                out.append(Trade(_id(symbol, seq), listing.price(knot.price), qty, side, at, seq))
        return out

    # ------------------------------------------------------------------ funding and limits

    def funding_interval_min(self, symbol: str) -> int:
        """Return the minutes between the next two funding instants, or the last two there are."""
        series = self.replay.funding.get(symbol)
        if series is None or len(series[0]) < 2:  # noqa: PLR2004 - a distance needs two
            return _FUNDING_MIN
        at = int(np.searchsorted(series[0], self.clock_ms, side="right"))
        at = min(at + 1, len(series[0]) - 1)
        return max(1, round(int(series[0][at] - series[0][at - 1]) / 60_000))

    def next_funding_ms(self, symbol: str) -> int:
        """Return the next funding instant."""
        series = self.replay.funding.get(symbol)
        if series is not None:
            at = int(np.searchsorted(series[0], self.clock_ms, side="right"))
            if at < len(series[0]):
                return int(series[0][at])
        length = self.funding_interval_min(symbol) * 60_000
        return self.clock_ms - self.clock_ms % length + length

    def funding_rate(self, symbol: str) -> float:
        """Return the newest known rate; 0 without a series."""
        series = self.replay.funding.get(symbol)
        if series is None:
            return 0.0
        at = int(np.searchsorted(series[0], self.clock_ms, side="right")) - 1
        return float(series[1][at]) if at >= 0 else 0.0

    def band(self, symbol: str) -> tuple[Decimal, Decimal]:
        """Return the highest price to buy at and the lowest to sell at."""
        rules, last = self.instrument(symbol), self.last(symbol)
        most = min(last * (1 + rules.price_limit_y), last * (1 + rules.price_limit_x))
        least = max(last * (1 - rules.price_limit_y), last * (1 - rules.price_limit_x))
        return rules.floor_price(most), rules.ceil_price(least)

    def open_interest(self, symbol: str, at_ms: int) -> float:
        """Return a plausible open interest: a fifth of the last day's volume."""
        return round(self.replay.day(symbol, at_ms).get("volume", 0.0) / 5.0, 3)

    def hour_ago(self, symbol: str) -> Decimal:
        """Return the price an hour ago."""
        value = self.replay.last_price(symbol, self.clock_ms - _HOUR_MS)
        return self.listings[symbol].price(value)


def _id(symbol: str, seq: int) -> str:
    text = blake2b(f"{symbol}:{seq}".encode(), digest_size=16).hexdigest()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
