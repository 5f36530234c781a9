"""The replayed market, as the machine lives it: prices, prints and funding in the order of time.

A bar is a path of four trades (`listings.knots`); between them the price is where
`replay.partial` draws it: it walks straight, and the tape stops where it reaches what waits for
it, so that stops are pulled, and orders passed, at their prices and not at the bar's turning
points. Only symbols that somebody holds or has orders in are played; any other gets its price when
it is asked for.
"""

from collections.abc import Callable, Iterable
from decimal import Decimal
from heapq import heapify, heappop, heappush
from itertools import count
from math import ceil

import numpy as np

from engine.venue.exchange.commands import Command, Funding, Price, Prints
from engine.venue.instrument import exact
from engine.venue.listings import Listing, Listings, knot_ms, knots
from engine.venue.replay import Replay
from engine.venue.words import Side

_SHARES = (0.0, 1 / 3, 2 / 3, 1.0)


class Tape:
    """Plays a replay to a machine.

    Parameters
    ----------
    replay : Replay
    listings : Listings
    step : callable
        Takes a command and its time (ms).
    active : callable
        Symbols that must be played now.
    start_ms : int
        Where the venue's time begins.
    levels : callable
        Prices of a symbol, between a lowest and a highest, at which something happens.
    """

    def __init__(
        self,
        replay: Replay,
        listings: Listings,
        step: Callable[[Command, int], object],
        active: Callable[[], Iterable[str]],
        start_ms: int,
        levels: Callable[[str, Decimal, Decimal], Iterable[Decimal]],
    ) -> None:
        self.replay = replay
        self.now_ms = start_ms
        self._listings = listings
        self._step = step
        self._active = active
        self._levels = levels
        self._set: dict[str, float] = {}  # symbol -> the price the machine knows
        # symbol -> its rules when it was last asked for, the price in the replay, on the grid
        self._quoted: dict[str, tuple[Listing, float, Decimal]] = {}
        self._bars: dict[str, tuple[int, tuple[tuple[float, Decimal, Prints | None], ...]]] = {}

    # ------------------------------------------------------------------ time

    def advance(self, to_ms: int) -> None:
        """Let time pass, playing every trade and funding instant on the way."""
        begin = self.now_ms
        if to_ms <= begin:
            return
        length = self.replay.interval_ms
        if any(True for _ in self._active()):
            for start in count(begin - begin % length, length):
                if start > to_ms:
                    break
                self._bar(start, begin, to_ms)
            self._walk(to_ms)
            self._fund(self.now_ms, to_ms)
            self.now_ms = to_ms
            for symbol in sorted(self._active()):
                self.quote(symbol)
        self.now_ms = to_ms

    def next_ms(self) -> int:
        """Return the next moment at which a bar trades, or a price reaches what waits for it."""
        length = self.replay.interval_ms
        start = self.now_ms - self.now_ms % length
        marks = (knot_ms(start, share, length) for share in _SHARES)
        at = next((mark for mark in marks if mark > self.now_ms), start + length)
        found = (self._reached_ms(symbol, at) for symbol in self._active())
        return min((ms for ms in found if ms is not None), default=at)

    def _walk(self, until: int) -> None:
        """Play what prices reach before a moment of the leg they are in, in the order of time."""
        queue = [
            (at, symbol)
            for symbol in self._active()
            if (at := self._reached_ms(symbol, until)) is not None
        ]
        heapify(queue)
        while queue:
            at, symbol = heappop(queue)
            self._fund(self.now_ms, at)
            self.now_ms = at
            self.quote(symbol)
            again = self._reached_ms(symbol, until)
            if again is not None:
                heappush(queue, (again, symbol))

    def _reached_ms(self, symbol: str, until: int) -> int | None:
        """Return when a price first reaches a level in (now, until); both within one leg.

        It follows from the leg alone, not from where one stopped on the way.
        """
        length, now = self.replay.interval_ms, self.now_ms
        start = now - now % length
        path = self._knots(symbol, start)
        leg = sum(knot_ms(start, share, length) <= now for share in _SHARES[1:])
        if not path or leg == len(path) - 1:
            return None  # the next price is the next bar's: a jump
        (here, first, _), (there, last, _) = path[leg], path[leg + 1]
        found = None
        for level in self._levels(symbol, min(first, last), max(first, last)):
            value = float(level)
            if here == there or level == first:
                continue
            part = (leg + (value - here) / (there - here)) / (len(path) - 1)
            at = start + ceil(part * length)
            if now < at < (until if found is None else found):
                found = at
        return found

    def _bar(self, start: int, begin: int, to_ms: int) -> None:
        for turn, share in enumerate(_SHARES):
            at = knot_ms(start, share, self.replay.interval_ms)
            if not begin < at <= to_ms:
                continue
            self._walk(at)
            self._fund(self.now_ms, at)
            self.now_ms = at
            for symbol in sorted(self._active()):
                self._knot(symbol, start, turn)

    def _knot(self, symbol: str, start: int, turn: int) -> None:
        path = self._knots(symbol, start)
        if not path:
            return
        value, price, prints = path[turn]
        self._price(symbol, price)
        self._set[symbol] = value
        if prints is not None:
            self._step(prints, self.now_ms)

    def _knots(self, symbol: str, start: int) -> tuple[tuple[float, Decimal, Prints | None], ...]:
        known = self._bars.get(symbol)
        if known is None or known[0] != start:
            known = self._bars[symbol] = (start, self._path(symbol, start))
        return known[1]

    def _path(self, symbol: str, start: int) -> tuple[tuple[float, Decimal, Prints | None], ...]:
        """Return a bar's knots: price, the same on the grid, and what trades there."""
        index = self.replay.index(symbol, start)
        if index is None:
            return ()
        listing = self._listings[symbol]
        values = self.replay.values(symbol, index)
        qty = listing.qty(values[4] / len(_SHARES))
        out = []
        for knot in knots(values):
            price = listing.price(knot.price)
            side = Side.BUY if knot.buyer else Side.SELL
            prints = Prints(symbol=symbol, price=price, qty=qty, taker_side=side)
            out.append((knot.price, price, prints if qty > 0 else None))
        return tuple(out)

    def _fund(self, after: int, to_ms: int) -> None:
        """Settle every funding instant in (after, to]."""
        due: list[tuple[int, str, float]] = []
        for symbol in self._active():
            series = self.replay.funding.get(symbol)
            if series is None:
                continue
            first, last = np.searchsorted(series[0], (after, to_ms), side="right")
            due += [(int(series[0][i]), symbol, float(series[1][i])) for i in range(first, last)]
        for at, symbol, rate in sorted(due):
            self.now_ms = max(self.now_ms, at)
            self._step(Funding(symbol=symbol, rate=exact(rate)), self.now_ms)

    # ------------------------------------------------------------------ prices

    def quote(self, symbol: str) -> Decimal:
        """Make sure the machine knows a symbol's price of now, and return it."""
        listing = self._listings[symbol]
        quoted = self._quoted.get(symbol)
        value = self.replay.last_price(symbol, self.now_ms)
        if quoted is None or quoted[0] is not listing or quoted[1] != value:
            quoted = self._quoted[symbol] = (listing, value, listing.price(value))
        price = quoted[2]
        if self._set.get(symbol) != value:
            self._set[symbol] = value
            self._price(symbol, price)
        return price

    def renew(self, symbol: str) -> None:
        """Tell the machine its price again: what takers ate is there again."""
        self._price(symbol, self.quote(symbol))

    def shock(self, symbol: str, mark: Decimal) -> None:
        """Let the mark price touch a value for an instant; the last price stays."""
        last = self.quote(symbol)
        command = Price(symbol=symbol, last=last, mark=mark, index=last)
        self._step(command, self.now_ms)
        self._price(symbol, last)

    def _price(self, symbol: str, price: Decimal) -> None:
        self._step(Price(symbol=symbol, last=price, mark=price, index=price), self.now_ms)
