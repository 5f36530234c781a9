"""The simulated public stream without its sockets: who listens, to what, and what is told.

The WebSocket server (`simhub`) and the in-process sessions are thin shells of this.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

from engine.venue import wire
from engine.venue.exchange.events import Liquidated
from engine.venue.replay import partial
from live.venues.bybit.faults import Fault
from live.venues.bybit.simtopics import Feed, LiquidationFeed, make_feed

if TYPE_CHECKING:
    from engine.venue.market_view import MarketView
    from live.venues.bybit.simdesk import Desk
    from live.venues.bybit.simfaults import FaultPlan

_CUTS = ("close", "abort")


class Listener(Protocol):
    """One client of the public stream, and what it wants."""

    topics: dict[str, str]  # topic -> symbol
    by_symbol: dict[str, str]
    feeds: dict[str, Feed]
    stalled: bool
    muted: bool

    @property
    def number(self) -> int:
        """Its name among the connections."""
        ...

    @property
    def listens(self) -> bool:
        """Tell whether anything more goes out to it."""
        ...

    def put(self, frame: bytes) -> None:
        """Queue a frame."""
        ...

    def end(self) -> None:
        """Send a close frame."""
        ...

    def abort(self) -> None:
        """Cut it off."""
        ...


class Floor:
    """All listeners, and the faults that wait for their bar.

    Parameters
    ----------
    desk : Desk
    plan : FaultPlan
    """

    def __init__(self, desk: "Desk", plan: "FaultPlan") -> None:
        self.desk = desk
        self.view: MarketView = desk.view
        self.replay = desk.view.replay
        self.interval = desk.view.interval
        self.code = wire.interval_code(desk.view.interval)
        self.plan = plan
        self.fired = plan.fired
        self.feeds: dict[str, Feed] = {}
        self.listeners: dict[int, Any] = {}
        self.faults: list[Fault] = []
        self.sent = 0
        self.opened = 0
        self.unheard_bars = 0  # bars still to pass before anyone may connect again
        self._numbers = itertools.count(1)
        self._late: dict[int, list[tuple[str, bytes]]] = defaultdict(list)
        self._refusals: dict[str, int] = defaultdict(int)
        self._turn_away = 0

    # ------------------------------------------------------------------ faults

    def add_faults(self, faults: list[Fault]) -> None:
        """Arm faults."""
        for fault in faults:
            if fault.kind == "refuse":
                self._refusals[fault.symbol] += fault.count
            elif fault.kind == "turn_away":
                self._turn_away += fault.count
            elif fault.at_a_bar:
                self.faults.append(fault)

    def _due(self, minute: int) -> list[Fault]:
        due = [f for f in self.faults if f.at in (0, minute)]
        if due:
            self.faults = [f for f in self.faults if f.at not in (0, minute)]
        return due

    def lets_in(self) -> bool:
        """Tell whether a new connection is accepted; it counts."""
        if self._turn_away or self.unheard_bars:
            if self._turn_away:
                self._turn_away -= 1
                self.fired["turn_away"] += 1
            return False
        self.opened += 1
        return True

    # ------------------------------------------------------------------ requests

    def answer(self, listener: Listener, raw: str | bytes) -> tuple[bytes, dict[str, Feed]]:
        """Answer a frame: the reply, and the feeds whose snapshots follow it (`begin`)."""
        conn_id = f"sim-{listener.number}"
        try:
            request = wire.decode_request(raw)
        except wire.WireError:
            said = "Request not authorized"
            return wire.encode_reply(
                "", success=False, ret_msg=said, req_id="", conn_id=conn_id
            ), {}
        success, text = True, ""
        wanted: dict[str, Feed] = {}
        if request.op == "ping":
            text = "pong"
        elif request.op == "subscribe":
            text = self._subscribe(listener, request.args, wanted)
            success = text == ""
        elif request.op == "unsubscribe":
            self._unsubscribe(listener, request.args)
        else:
            success, text = False, f"unknown op {request.op}"[:200]
        reply = wire.encode_reply(
            request.op, success=success, ret_msg=text, req_id=request.req_id, conn_id=conn_id
        )
        return reply, wanted if success else {}

    def begin(self, listener: Listener, topic: str, made: Feed) -> Feed:
        """Tell a topic's snapshot, and from that moment on its changes."""
        feed = listener.feeds[topic] = self.feeds.setdefault(topic, made)
        for frame in feed.first():
            listener.put(frame)
        return feed

    def _subscribe(self, listener: Listener, args: Any, feeds: dict[str, Feed]) -> str:
        """Add topics, all or none; returns the venue's complaint, or ""."""
        if not isinstance(args, list) or not args:
            return "Param validation for 'args' failed"
        if sum(len(str(a)) + 3 for a in [*args, *listener.topics]) > wire.SUBSCRIBE_CHARS_MAX:
            return "args size >21000"
        wanted: dict[str, str] = {}
        for topic in map(str, args):
            kind, _, rest = topic.partition(".")
            code, _, symbol = rest.partition(".")
            native = kind == "kline" and code == self.code and symbol in self.replay.bars
            feed = (
                None if native else self.feeds.get(topic) or make_feed(self.view, topic, self.plan)
            )
            if feed is None and not native:
                return f"error:handler not found,topic:{topic}"[:300]
            symbol = symbol if native or feed is None else feed.symbol
            if self._refusals.get(symbol, 0) > 0:
                self._refusals[symbol] -= 1
                self.fired["refuse"] += 1
                return f"error:handler not found,topic:{topic}"
            wanted[topic] = symbol
            if feed is not None:
                feeds[topic] = feed
        listener.topics.update(wanted)
        listener.by_symbol.update((s, t) for t, s in wanted.items() if t not in feeds)
        return ""

    def _unsubscribe(self, listener: Listener, args: Any) -> None:
        for topic in map(str, args) if isinstance(args, list) else ():
            symbol = listener.topics.pop(topic, None)
            if listener.feeds.pop(topic, None) is None and symbol is not None:
                listener.by_symbol.pop(symbol, None)
        self.forget_feeds()

    def leave(self, listener: Listener) -> None:
        """Forget a listener that is gone."""
        self.listeners.pop(listener.number, None)
        self.forget_feeds()

    def forget_feeds(self) -> None:
        """Let go of feeds that nobody reads."""
        if self.feeds:
            read = {t for c in self.listeners.values() for t in c.feeds}
            self.feeds = {t: feed for t, feed in self.feeds.items() if t in read}

    @property
    def listening(self) -> int:
        """Subscriptions of clients that still receive."""
        return sum(len(c.topics) for c in self.listeners.values() if c.listens)

    def hearing(self) -> list[Any]:
        """Return those to whom something can be told."""
        return [c for c in self.listeners.values() if not c.stalled]

    # ------------------------------------------------------------------ pushes

    def tell_open(self, minute: int, share: float, clock_ms: int) -> None:
        """Tell the open candles as far as they have gone."""
        frames = {}
        for symbol in self._wanted():
            index = self.replay.index(symbol, minute)
            if index is not None:
                values = partial(self.replay.values(symbol, index), share)
                frames[symbol] = self._frame(symbol, minute, values, confirm=False, ts=clock_ms)
        self._broadcast(frames)

    def tell_closed(self, minute: int, clock_ms: int) -> None:
        """Tell the confirmed candles of a minute, faults included."""
        faults = self._due(minute)
        self.unheard_bars = max(0, self.unheard_bars - 1)
        for fault in faults:
            if fault.kind in ("close", "abort", "stall", "mute"):
                self._hurt(fault)
        frames: dict[str, bytes] = {}
        for symbol in self._wanted():
            index = self.replay.index(symbol, minute)
            if index is not None:
                values = self.replay.values(symbol, index)
                frames[symbol] = self._frame(symbol, minute, values, confirm=True, ts=clock_ms)
        extra = self._late.pop(minute, [])
        for fault in faults:
            extra += self._spoil(fault, minute, frames)
        self._broadcast(frames)
        for symbol, frame in extra:
            self._broadcast({symbol: frame})

    def tell_feeds(self) -> Iterator[Feed]:
        """Tell what every other topic has to tell, feed by feed."""
        liquidations, self.desk.liquidations = self.desk.liquidations, []
        for event in liquidations:
            self._liquidated(event)
        for topic, feed in list(self.feeds.items()):
            frames = feed.tick()
            if frames:
                for listener in self.hearing():
                    if topic in listener.feeds:
                        for frame in frames:
                            listener.put(frame)
                            self.sent += 1
            yield feed

    def _liquidated(self, event: Liquidated) -> None:
        """Remember a liquidation for those who listen."""
        feed = self.feeds.get(f"allLiquidation.{event.symbol}")
        if isinstance(feed, LiquidationFeed):
            feed.add(event)

    def _spoil(
        self, fault: Fault, minute: int, frames: dict[str, bytes]
    ) -> list[tuple[str, bytes]]:
        frame = frames.get(fault.symbol)
        if frame is None:
            return []
        self.fired[fault.kind] += 1
        if fault.kind == "duplicate":
            return [(fault.symbol, frame)]
        if fault.kind == "malformed":
            return [(fault.symbol, b'{"topic":"kline.')]
        del frames[fault.symbol]
        if fault.kind == "late":
            due = minute + max(1, fault.bars) * self.replay.interval_ms
            self._late[due].append((fault.symbol, frame))
        return []

    def _hurt(self, fault: Fault) -> None:
        self.fired[fault.kind] += 1
        for listener in list(self.listeners.values()):
            if fault.kind == "close":
                listener.end()
            elif fault.kind == "abort":
                listener.abort()
            else:
                listener.stalled = True
                listener.muted = fault.kind == "mute"
        if fault.kind in _CUTS:
            self.unheard_bars = fault.bars
            self.cut()

    def cut(self) -> None:
        """Hear that every connection was ended."""

    def _wanted(self) -> list[str]:
        wanted: set[str] = set()
        for listener in self.listeners.values():
            wanted.update(listener.by_symbol)
        return sorted(wanted)

    def _frame(
        self, symbol: str, minute: int, values: tuple[float, ...], *, confirm: bool, ts: int
    ) -> bytes:
        topic = f"kline.{self.code}.{symbol}"
        length_ms = self.replay.interval_ms
        return wire.encode_kline(
            topic, self.code, minute, length_ms, values, confirm=confirm, ts=ts
        )

    def _broadcast(self, frames: dict[str, bytes]) -> None:
        for listener in self.hearing():
            for symbol in [s for s in frames if s in listener.by_symbol]:
                listener.put(frames[symbol])
                self.sent += 1
