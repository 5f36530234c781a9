"""What the public stream tells beside the replayed candles: one feed a topic, for all its readers.

A feed gives a newcomer its snapshot and everybody the change since the last tick; it works only
while somebody listens.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from engine.venue import wire
from engine.venue.exchange.events import Liquidated
from engine.venue.instrument import plain
from engine.venue.market_view import FIRST_UPDATE, MarketView
from live.venues.bybit import simcandles
from live.venues.bybit.simfaults import BOOK, TICKER, FaultPlan
from live.venues.bybit.simmarket import ticker_row

_encode = msgspec.json.Encoder().encode
_BEACON_MS = 3_000  # depth 1 is told again after so long without a change
# A real market's mark price and best sizes never stand still for so long: its tickers and books
# tell something, if only what was known. The replayed one does, between two trades.
_PULSE_MS = 1_000
_TRADES_A_MESSAGE = 1024
BOOK_DEPTHS = (1, 50, 200, 1000)
_LIGHT_DEPTH = 50


class Feed:
    """One topic; this one exists and has nothing to tell."""

    symbol = ""
    heavy = False  # long at work: whoever asks many of them lets others have their turn

    def first(self) -> list[bytes]:
        """Return what a new reader gets at once."""
        return []

    def tick(self) -> list[bytes]:
        """Return what all readers get now."""
        return []


def _push(topic: str, kind: str, data: Any, ts: int, **more: Any) -> bytes:
    return _encode({"topic": topic, "type": kind, "data": data, "ts": ts, **more})


class TickerFeed(Feed):
    """``tickers.{symbol}``: snapshot, then what changed."""

    def __init__(self, view: MarketView, topic: str, symbol: str, plan: FaultPlan) -> None:
        self.symbol = symbol
        self._view = view
        self._topic = topic
        self._plan = plan
        self._silent_ms = 0  # says nothing before
        self._told_ms = view.clock_ms
        self._known = self._row()

    def _row(self) -> dict[str, str]:
        row = ticker_row(self._view, self.symbol)
        row["tickDirection"] = "ZeroPlusTick"
        return row

    def first(self) -> list[bytes]:
        """Return the snapshot."""
        now = self._view.clock_ms
        return [_push(self._topic, "snapshot", self._known, now, cs=now)]

    def tick(self) -> list[bytes]:
        """Return what happened since the last tick."""
        now = self._view.clock_ms
        struck = self._plan.draw(TICKER, topic=self._topic, now_ms=now)
        if struck is not None:
            self._silent_ms = now + struck.ms
        if now < self._silent_ms:
            return []
        row = self._row()
        before = float(self._known["lastPrice"])
        after = float(row["lastPrice"])
        if after != before:
            row["tickDirection"] = "PlusTick" if after > before else "MinusTick"
        changed = {k: v for k, v in row.items() if self._known.get(k) != v}
        self._known = row
        if not changed:
            if now - self._told_ms < _PULSE_MS:
                return []
            changed = {"markPrice": row["markPrice"]}
        self._told_ms = now
        return [_push(self._topic, "delta", {"symbol": self.symbol, **changed}, now, cs=now)]


class TradeFeed(Feed):
    """``publicTrade.{symbol}``."""

    def __init__(self, view: MarketView, topic: str, symbol: str) -> None:
        self.symbol = symbol
        self._view = view
        self._topic = topic
        self._told_ms = view.clock_ms
        self._price = view.last(symbol)

    def tick(self) -> list[bytes]:
        """Return what happened since the last tick."""
        now = self._view.clock_ms
        rows = []
        for trade in self._view.between(self.symbol, self._told_ms, now):
            rows.append(
                {
                    "T": trade.time,
                    "s": self.symbol,
                    "S": trade.side,
                    "v": plain(trade.qty),
                    "p": plain(trade.price),
                    "L": _direction(self._price, trade.price),
                    "i": trade.id,
                    "BT": False,
                    "RPI": False,
                    "seq": trade.seq,
                }
            )
            self._price = trade.price
        self._told_ms = now
        return [
            _push(self._topic, "snapshot", rows[i : i + _TRADES_A_MESSAGE], now)
            for i in range(0, len(rows), _TRADES_A_MESSAGE)
        ]


def _direction(before: Decimal, after: Decimal) -> str:
    if after == before:
        return "ZeroPlusTick"
    return "PlusTick" if after > before else "MinusTick"


class BookFeed(Feed):
    """``orderbook.{depth}.{symbol}``: snapshot, then deltas; depth 1 is snapshots only."""

    def __init__(
        self, view: MarketView, topic: str, symbol: str, depth: int, plan: FaultPlan
    ) -> None:
        self.symbol = symbol
        self._view = view
        self._topic = topic
        self._depth = depth
        self._plan = plan
        self._deepest = topic.startswith(f"orderbook.{BOOK_DEPTHS[-1]}.")
        self._u = view.updates.get(symbol, FIRST_UPDATE) if self._deepest else FIRST_UPDATE
        self._last: Decimal | None = None
        self._bids: dict[Decimal, Decimal] = {}
        self._asks: dict[Decimal, Decimal] = {}
        self._told_ms = view.clock_ms
        self._begun = False
        self.heavy = depth > _LIGHT_DEPTH

    def _refresh(self) -> bool:
        last = self._view.last(self.symbol)
        if last == self._last:
            return False
        self._last = last
        bids, asks = self._view.levels(self.symbol, self._depth)
        self._bids, self._asks = dict(bids), dict(asks)
        return True

    def _message(self, kind: str, bids: Any, asks: Any) -> bytes:
        now = self._view.clock_ms
        self._told_ms = now
        if self._deepest:
            self._view.updates[self.symbol] = self._u
        data = {"s": self.symbol, "b": bids, "a": asks, "u": self._u, "seq": now}
        return _push(self._topic, kind, data, now, cts=now)

    def first(self) -> list[bytes]:
        """Return the snapshot."""
        if not self._begun:
            self._begun = self._refresh()
        return [self._message("snapshot", _levels(self._bids), _levels(self._asks))]

    def tick(self) -> list[bytes]:
        """Return what happened since the last tick."""
        if not self._begun:  # nobody has its snapshot yet
            return []
        struck = self._plan.draw(BOOK, topic=self._topic, now_ms=self._view.clock_ms)
        bids, asks = self._bids, self._asks
        changed = self._refresh()
        if struck is not None and struck.kind == "resnapshot":
            self._u = 1
            return self.first()
        if struck is not None and struck.kind == "repeat_snapshot":
            self._bids, self._asks, self._last = bids, asks, None  # the change comes with the next
            return self.first()
        if not changed:
            return self._pulse(self._view.clock_ms - self._told_ms)
        self._u += 1
        if struck is not None and struck.kind == "cross_book":
            return [self._crossed(bids, asks)]
        if struck is not None:  # skip_u: an update is lost on its way
            return []
        if self._depth == 1:
            return self.first()
        return [self._message("delta", _changes(bids, self._bids), _changes(asks, self._asks))]

    def _pulse(self, idle_ms: int) -> list[bytes]:
        """Tell that nothing changed: depth 1 its snapshot, the others their best bid once more."""
        if self._depth == 1:
            return self.first() if idle_ms >= _BEACON_MS else []
        if idle_ms < _PULSE_MS or not self._bids:
            return []
        self._u += 1
        best = max(self._bids)
        return [self._message("delta", _levels({best: self._bids[best]}), [])]

    def _crossed(self, bids: Mapping[Decimal, Decimal], asks: Mapping[Decimal, Decimal]) -> bytes:
        """Write the change with a bid above every ask; the next change takes it away."""
        told = _changes(bids, self._bids)
        if self._asks:
            wrong = max(self._asks)
            self._bids = {**self._bids, wrong: Decimal(1)}
            told.append([plain(wrong), "1"])
            self._last = None  # the next tick is a change
        return self._message("delta", told, _changes(asks, self._asks))


class RpiFeed(BookFeed):
    """``orderbook.rpi.{symbol}``: each level with what is there for retail alone: none."""

    def _message(self, kind: str, bids: Any, asks: Any) -> bytes:
        return super()._message(kind, *([[*row, "0"] for row in side] for side in (bids, asks)))


def _levels(side: Mapping[Decimal, Decimal]) -> list[list[str]]:
    return [[plain(p), plain(q)] for p, q in side.items()]


def _changes(
    before: Mapping[Decimal, Decimal], after: Mapping[Decimal, Decimal]
) -> list[list[str]]:
    gone = [[plain(p), "0"] for p in before if p not in after]
    return gone + [[plain(p), plain(q)] for p, q in after.items() if before.get(p) != q]


class CandleFeed(Feed):
    """``kline.{interval}.{symbol}`` of an interval wider than the replayed one."""

    def __init__(self, view: MarketView, topic: str, symbol: str, code: str) -> None:
        self.symbol = symbol
        self._view = view
        self._topic = topic
        self._code = code
        self._start = simcandles.bounds(view.clock_ms, code)[0]

    def tick(self) -> list[bytes]:
        """Return what happened since the last tick."""
        now = self._view.clock_ms
        start, end = simcandles.bounds(now, self._code)
        out: list[bytes] = []
        at = self._start
        while at < start:
            ended = simcandles.bounds(at, self._code)[1]
            out += self._frame(at, ended, confirm=True)
            at = ended
        self._start = start
        return out + self._frame(start, end, confirm=False)

    def _frame(self, start: int, end: int, *, confirm: bool) -> list[bytes]:
        view = self._view
        candle = simcandles.candle_at(view.replay, self.symbol, self._code, start, view.clock_ms)
        if candle is None:
            return []
        return [
            wire.encode_kline(
                self._topic,
                self._code,
                start,
                end - start,
                candle.values,
                confirm=confirm,
                ts=view.clock_ms,
            )
        ]


class LimitFeed(Feed):
    """``priceLimit.{symbol}``."""

    def __init__(self, view: MarketView, topic: str, symbol: str) -> None:
        self.symbol = symbol
        self._view = view
        self._topic = topic
        self._known: tuple[Decimal, Decimal] | None = None

    def first(self) -> list[bytes]:
        """Return the snapshot."""
        most, least = self._known = self._view.band(self.symbol)
        data = {"symbol": self.symbol, "buyLmt": plain(most), "sellLmt": plain(least)}
        return [_encode({"topic": self._topic, "data": data, "ts": self._view.clock_ms})]

    def tick(self) -> list[bytes]:
        """Return what happened since the last tick."""
        return [] if self._view.band(self.symbol) == self._known else self.first()


class LiquidationFeed(Feed):
    """``allLiquidation.{symbol}``: what the machine liquidated since the last tick."""

    def __init__(self, view: MarketView, topic: str, symbol: str) -> None:
        self.symbol = symbol
        self._view = view
        self._topic = topic
        self._waiting: list[dict[str, Any]] = []

    def add(self, event: Liquidated) -> None:
        """Take one in."""
        self._waiting.append(
            {
                "T": event.time,
                "s": event.symbol,
                "S": event.side,
                "v": plain(event.qty),
                "p": plain(event.price),
            }
        )

    def tick(self) -> list[bytes]:
        """Return what happened since the last tick."""
        rows, self._waiting = self._waiting, []
        return [_push(self._topic, "snapshot", rows, self._view.clock_ms)] if rows else []


QUIET_TOPICS = frozenset({"adlAlert.USDT", "insurance.USDT", "insurance.USDC", "system.status"})
_BOOKS = {str(depth): depth for depth in BOOK_DEPTHS} | {"rpi": 50, "full": 1000}
_SIMPLE: Mapping[str, Callable[[MarketView, str, str], Feed]] = {
    "publicTrade": TradeFeed,
    "allLiquidation": LiquidationFeed,
    "priceLimit": LimitFeed,
}


def make_feed(view: MarketView, topic: str, plan: FaultPlan) -> Feed | None:
    """Return the feed of a topic; None where the venue has no such topic."""
    if topic in QUIET_TOPICS:
        return Feed()
    kind, _, rest = topic.partition(".")
    middle, _, symbol = rest.partition(".")
    if kind == "tickers":
        return TickerFeed(view, topic, rest, plan) if rest in view.listings else None
    if kind in _SIMPLE:
        return _SIMPLE[kind](view, topic, rest) if rest in view.listings else None
    if symbol not in view.listings:
        return None
    if kind == "orderbook" and middle in _BOOKS:
        feed = RpiFeed if middle == "rpi" else BookFeed
        return feed(view, topic, symbol, _BOOKS[middle], plan)
    if kind == "kline" and simcandles.served(middle, view.replay.interval_ms):
        return CandleFeed(view, topic, symbol, middle)
    return None
