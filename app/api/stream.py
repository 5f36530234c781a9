"""One socket per browser tab: topics in, frames out. No viewer can slow the market layer.

A viewer pulls what changed since it last looked, at the rate of each topic: of prices the last
value wins, and a slow viewer costs nothing. Frames are numbered: a viewer that fell too far behind
sees a gap in ``seq`` and asks for a snapshot.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Any

import msgspec

from app.api import board, views
from app.api.queries import Queries
from live.bus import Overflow, SlowSubscriber

TICK_S = 0.25  # prices and events; bars every second tick, status every fourth
PING_TICKS = 40
MOVES_KEPT = 1000
BARS_KEPT = 64
TOPICS_MAX = 200
_ENCODE = msgspec.json.Encoder()


class Hub:
    """What every viewer sees: the newest price and candle of each coin, the last events."""

    def __init__(self, queries: Queries) -> None:
        self.queries = queries
        self.version = 0  # of board and coins: anything that a close or an event changed
        self.prices: dict[str, tuple[int, Any]] = {}  # symbol -> (version of the price, tick)
        self.closed: dict[str, deque[tuple[int, _Closed]]] = {}  # final candles
        self.moves: deque[views.Move] = deque(maxlen=MOVES_KEPT)
        self.moves_seen = 0
        self._price_version = 0
        self._rendered: dict[str, tuple[int, Mapping[str, str]]] = {}
        self._ticks: dict[str, str] = {}

    def on_price(self, tick: Any) -> None:
        """Take an open candle."""
        self._price_version += 1
        self.prices[tick.symbol] = (self._price_version, tick)

    def on_bars(self, closed: Any) -> None:
        """Take a closed minute: every coin's candle is final, the next one opens at its close."""
        self._price_version += 1
        for symbol, row in zip(closed.symbols, closed.rows, strict=True):
            bar = _Closed(closed.ts, *row)
            self.prices[symbol] = (self._price_version, bar)
            kept = self.closed.setdefault(symbol, deque(maxlen=BARS_KEPT))
            kept.append((self._price_version, bar))
        self.version += 1

    def on_phase(self, batch: Any) -> None:
        """Take the events of a close."""
        for event in batch.events:
            self.moves.append(board.move(event, self.tick(event.symbol)))
            self.moves_seen += 1
        self.version += 1

    def on_change(self, _: Any = None) -> None:
        """Take anything else that changes what pages show: the universe, the health."""
        self._ticks.clear()
        self.version += 1

    def tick(self, symbol: str) -> str:
        """Return a coin's tick size, "" when unknown."""
        if not self._ticks:
            rows = self.queries.source.board().rows
            self._ticks = {row.symbol: getattr(row, "tick", "") or "" for row in rows}
        return self._ticks.get(symbol, "")

    def face(self, topic: str) -> Mapping[str, str]:
        """Return a page's slots, rendered once a version for all viewers."""
        known = self._rendered.get(topic)
        if known is not None and known[0] == self.version:
            return known[1]
        _, name, *rest = topic.split(":")
        render = self.queries.pages.faces.get(name)
        view: Any = None
        if render is not None:
            view = self.queries.coin(rest[0]) if rest else self.queries.market()
        made = render(view) if render is not None and view is not None else {}
        slots = {name: str(markup) for name, markup in made.items()}
        if len(self._rendered) > TOPICS_MAX:
            self._rendered.clear()
        self._rendered[topic] = (self.version, slots)
        return slots

    def chart(self, symbol: str) -> Mapping[str, Any]:
        """Return what is drawn over a coin's candles."""
        view = self.queries.coin(symbol)
        return self.queries.pages.chart(view) if view is not None else {}

    async def run(self, bus: Any) -> None:
        """Follow the market layer's bus until cancelled."""

        async def follow(topic: str, take: Any, overflow: Any, size: int) -> None:
            while True:
                try:
                    async with bus.subscribe(topic, overflow=overflow, size=size) as values:
                        async for value in values:
                            take(value)
                except SlowSubscriber:
                    self.on_change()  # a snapshot of everything replaces what was missed
                else:
                    return

        self.queries.bind(asyncio.get_running_loop())
        async with asyncio.TaskGroup() as group:
            group.create_task(follow("price", self.on_price, Overflow.LATEST, 4096))
            group.create_task(follow("bars", self.on_bars, Overflow.LATEST, 256))
            group.create_task(follow("phase", self.on_phase, Overflow.DISCONNECT, 1024))
            group.create_task(follow("universe", self.on_change, Overflow.LATEST, 16))
            group.create_task(follow("health", self.on_change, Overflow.LATEST, 16))


class _Closed(msgspec.Struct, frozen=True):
    """A final candle."""

    ts: int
    open: float
    high: float
    low: float
    close: float
    volume: float


class Viewer:
    """One tab's subscriptions and what it has seen. Pure: the socket is the caller's."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.topics: set[str] = set()
        self.ticks = 0
        self._seq: dict[str, int] = {}
        self._seen: dict[str, Any] = {}
        self._moves_seen = hub.moves_seen

    def take(self, message: Mapping[str, Any]) -> str | None:
        """Take a viewer's message; return what is wrong with it, or None.

        ``{"op": "topics", "topics": [...]}`` names all that is wanted from now on;
        ``{"op": "snapshot", "topics": [...]}`` asks for them whole again.
        """
        op, wanted = message.get("op"), message.get("topics")
        if op not in {"topics", "snapshot"} or not isinstance(wanted, list):
            return "expected {op: topics|snapshot, topics: [...]}"
        names = {t for t in wanted if isinstance(t, str) and _is_topic(t)}
        if len(names) > TOPICS_MAX:
            return f"at most {TOPICS_MAX} topics"
        fresh = names - self.topics if op == "topics" else names & self.topics
        for topic in fresh:
            self._seen.pop(topic, None)
        if "phase" in fresh:
            self._moves_seen = self.hub.moves_seen
        if op == "topics":
            self.topics = names
        return None

    def _frame(self, topic: str, data: Any, *, snapshot: bool = False) -> bytes:
        seq = self._seq[topic] = self._seq.get(topic, 0) + 1
        frame = {"topic": topic, "seq": seq, "ts": self.hub.queries.source.now_ms(), "data": data}
        if snapshot:
            frame["snapshot"] = True
        return _ENCODE.encode(frame)

    def collect(self) -> list[bytes]:
        """Return the frames due at this tick: newest prices, every event and every closed bar."""
        self.ticks += 1
        frames: list[bytes] = []
        for topic in sorted(self.topics):
            kind, _, rest = topic.partition(":")
            if kind == "status" and (self.ticks % 4 == 1 or topic not in self._seen):
                self._seen[topic] = True
                status = self.hub.queries.status()
                text = self.hub.queries.pages.status(status)
                frames.append(self._frame(topic, {**msgspec.to_builtins(status), "text": text}))
            elif kind == "phase":
                frames += self._phase(topic)
            elif kind == "price":
                frames += self._price(topic, rest)
            elif kind == "bar" and (self.ticks % 2 == 0 or topic not in self._seen):
                frames += self._bar(topic, rest.rsplit(":", 1)[0])
            elif kind == "face":
                frames += self._face(topic)
            elif kind == "chart":
                frames += self._chart(topic, rest)
        if self.ticks % PING_TICKS == 0:
            frames.append(self._frame("ping", {}))
        return frames

    def _phase(self, topic: str) -> list[bytes]:
        missed = self.hub.moves_seen - self._moves_seen
        if missed == 0:
            return []
        self._moves_seen = self.hub.moves_seen
        if missed > len(self.hub.moves):
            self._seq[topic] = self._seq.get(topic, 0) + 1  # the viewer sees the gap
            missed = len(self.hub.moves)
        moves = [msgspec.to_builtins(m) for m in list(self.hub.moves)[-missed:]]
        return [self._frame(topic, {"moves": moves})]

    def _price(self, topic: str, symbol: str) -> list[bytes]:
        known = self.hub.prices.get(symbol)
        if known is None or self._seen.get(topic) == known[0]:
            return []
        self._seen[topic] = known[0]
        close = known[1].close
        text = {topic: self.hub.queries.pages.price(close, self.hub.tick(symbol))}
        return [self._frame(topic, {"price": close, "text": text})]

    def _bar(self, topic: str, symbol: str) -> list[bytes]:
        known = self.hub.prices.get(symbol)
        seen = self._seen.get(topic, 0)
        if known is None or seen == known[0]:
            return []
        self._seen[topic] = known[0]
        closed = self.hub.closed.get(symbol, ())
        missed = [bar for version, bar in closed if version > seen]
        if seen and len(missed) == BARS_KEPT:
            self._seq[topic] = (
                self._seq.get(topic, 0) + 1
            )  # candles were lost: the viewer reads them anew
        rows = [_row(bar) for bar in missed]
        if not rows or rows[-1][0] != known[1].ts:
            rows.append(_row(known[1]))
        return [self._frame(topic, {"bars": rows}, snapshot=not seen)]

    def _face(self, topic: str) -> list[bytes]:
        seen: tuple[int, dict[str, int]] = self._seen.get(topic, (-1, {}))
        if seen[0] == self.hub.version:
            return []
        slots = self.hub.face(topic)
        marks = {name: hash(html) for name, html in slots.items()}
        changed = {name: html for name, html in slots.items() if seen[1].get(name) != marks[name]}
        self._seen[topic] = (self.hub.version, marks)
        return [self._frame(topic, {"slots": changed}, snapshot=seen[0] < 0)] if changed else []

    def _chart(self, topic: str, symbol: str) -> list[bytes]:
        seen: tuple[int, bytes] = self._seen.get(topic, (-1, b""))
        if seen[0] == self.hub.version:
            return []
        drawn = self.hub.chart(symbol)
        body = _ENCODE.encode(drawn)
        self._seen[topic] = (self.hub.version, body)
        return (
            [self._frame(topic, drawn, snapshot=seen[0] < 0)] if drawn and body != seen[1] else []
        )


def _row(bar: Any) -> list[float]:
    return [bar.ts, bar.open, bar.high, bar.low, bar.close, bar.volume]


_KINDS = {"status": 1, "phase": 1, "price": 2, "bar": 3, "chart": 2}


def _is_topic(topic: str) -> bool:
    parts = topic.split(":")
    if parts[0] == "face":
        return len(parts) in {2, 3}
    return _KINDS.get(parts[0]) == len(parts)
