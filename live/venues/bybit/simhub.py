"""The simulated stream: who is connected, what they want, and what is pushed."""

import asyncio
import itertools
from collections import defaultdict
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from engine.venue import wire
from engine.venue.exchange.events import Liquidated
from engine.venue.replay import partial
from live.venues.bybit.faults import Fault
from live.venues.bybit.simreader import Reader
from live.venues.bybit.simtopics import Feed, LiquidationFeed, make_feed
from live.venues.bybit.simvenue import SimVenue

_OK_STATES = ("close", "abort")
IDLE_S = 600.0  # silence on both sides for so long: cut


class Subscriber(Reader):
    """One client of the public stream, and what it wants."""

    def __init__(self, number: int, socket: WebSocket) -> None:
        super().__init__(number, socket)
        self.topics: dict[str, str] = {}  # topic -> symbol
        self.by_symbol: dict[str, str] = {}
        self.feeds: dict[str, Feed] = {}
        self.stalled = False
        self.muted = False


class Hub:
    """All connections, and the faults that wait for their bar."""

    def __init__(self, venue: SimVenue) -> None:
        view, plan = venue.desk.view, venue.plan
        self.venue = venue
        self.view = view
        self.replay = view.replay
        self.interval = view.interval
        self.code = wire.interval_code(view.interval)
        self.plan = plan
        self.feeds: dict[str, Feed] = {}
        self.patient = True  # wait for slow readers: the market goes as fast as they read
        self.idle_s = IDLE_S
        self.connections: dict[int, Subscriber] = {}
        self.faults: list[Fault] = []
        self.fired = plan.fired
        self.sent = 0
        self.opened = 0
        self.unheard_bars = 0  # bars still to pass before anyone may connect again
        self.subscribed = asyncio.Event()
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

    # ------------------------------------------------------------------ clients

    async def serve(self, socket: WebSocket) -> None:
        """Talk to one client until it leaves."""
        if self._turn_away or self.unheard_bars:
            if self._turn_away:
                self._turn_away -= 1
                self.fired["turn_away"] += 1
            await socket.close()  # before accept: the handshake is answered with HTTP 403
            return
        await socket.accept()
        self.opened += 1
        connection = Subscriber(next(self._numbers), socket)
        connection.patient = self.patient
        self.connections[connection.number] = connection
        writer = asyncio.create_task(connection.write())
        try:
            while not connection.gone:
                told = connection.told
                try:
                    async with asyncio.timeout(self.idle_s):
                        message = await socket.receive()
                except TimeoutError:
                    if connection.told == told:  # silence on both sides
                        connection.end()
                        break
                    continue
                if message["type"] == "websocket.disconnect":
                    break
                raw = message.get("text") or message.get("bytes") or b""
                await self._answer(connection, raw)
        except (WebSocketDisconnect, RuntimeError):
            connection.gone = True
        finally:
            self.connections.pop(connection.number, None)
            self._forget_feeds()
            if connection.listens:
                connection.drop()
            await writer

    async def _answer(self, connection: Subscriber, raw: str | bytes) -> None:
        if connection.muted:
            return
        conn_id = f"sim-{connection.number}"
        try:
            request = wire.decode_request(raw)
        except wire.WireError:
            connection.put(
                wire.encode_reply(
                    "", success=False, ret_msg="Request not authorized", req_id="", conn_id=conn_id
                )
            )
            await connection.room()
            return
        success, text = True, ""
        wanted: dict[str, Feed] = {}
        if request.op == "ping":
            text = "pong"
        elif request.op == "subscribe":
            text = self._subscribe(connection, request.args, wanted)
            success = text == ""
        elif request.op == "unsubscribe":
            self._unsubscribe(connection, request.args)
        else:
            success, text = False, f"unknown op {request.op}"[:200]
        connection.put(
            wire.encode_reply(
                request.op, success=success, ret_msg=text, req_id=request.req_id, conn_id=conn_id
            )
        )
        await connection.room()
        if success and request.op == "subscribe":
            await self._begin(connection, wanted)
            self.subscribed.set()

    async def _begin(self, connection: Subscriber, wanted: dict[str, Feed]) -> None:
        """Tell each topic's snapshot, and from that moment on its changes."""
        for topic, made in wanted.items():
            if connection.gone:
                return
            feed = connection.feeds[topic] = self.feeds.setdefault(topic, made)
            for frame in feed.first():
                connection.put(frame)
            await connection.room()
            if feed.heavy:
                await asyncio.sleep(0)  # others have their turn

    def _subscribe(self, connection: Subscriber, args: Any, feeds: dict[str, Feed]) -> str:
        """Add topics, all or none; returns the venue's complaint, or ""."""
        if not isinstance(args, list) or not args:
            return "Param validation for 'args' failed"
        if sum(len(str(a)) + 3 for a in [*args, *connection.topics]) > wire.SUBSCRIBE_CHARS_MAX:
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
        connection.topics.update(wanted)
        connection.by_symbol.update((s, t) for t, s in wanted.items() if t not in feeds)
        return ""

    def _unsubscribe(self, connection: Subscriber, args: Any) -> None:
        for topic in map(str, args) if isinstance(args, list) else ():
            symbol = connection.topics.pop(topic, None)
            if connection.feeds.pop(topic, None) is None and symbol is not None:
                connection.by_symbol.pop(symbol, None)
        self._forget_feeds()

    def _forget_feeds(self) -> None:
        """Let go of feeds that nobody reads."""
        if self.feeds:
            read = {t for c in self.connections.values() for t in c.feeds}
            self.feeds = {t: feed for t, feed in self.feeds.items() if t in read}

    def amount(self, ip: str) -> int:
        """Return how many connections an address has."""
        found = (c.socket.client for c in self.connections.values())
        return sum(client is not None and client.host == ip for client in found)

    @property
    def listening(self) -> int:
        """Subscriptions of clients that still receive."""
        return sum(len(c.topics) for c in self.connections.values() if c.listens)

    # ------------------------------------------------------------------ pushes

    async def push_open(self, minute: int, share: float, clock_ms: int) -> None:
        """Push the open candles as far as they have gone."""
        frames = {}
        for symbol in self._wanted():
            index = self.replay.index(symbol, minute)
            if index is not None:
                values = partial(self.replay.values(symbol, index), share)
                frames[symbol] = self._frame(symbol, minute, values, confirm=False, ts=clock_ms)
        await self._broadcast(frames)
        await self.push_feeds()

    async def push_feeds(self) -> None:
        """Push what every other topic has to tell."""
        liquidations, self.venue.desk.liquidations = self.venue.desk.liquidations, []
        if not self.feeds:
            return
        for event in liquidations:
            self._liquidated(event)
        hearing = self._hearing()
        for topic, feed in list(self.feeds.items()):
            for frame in feed.tick():
                for connection in hearing:
                    if topic in connection.feeds:
                        connection.put(frame)
                        self.sent += 1
            if feed.heavy:
                await asyncio.sleep(0)  # requests are answered in between
                hearing = self._hearing()
        await self._taken()

    def _hearing(self) -> list[Subscriber]:
        """Return those to whom something can be told."""
        hearing = [c for c in self.connections.values() if not c.stalled]
        for connection in hearing:
            connection.patient = self.patient
        return hearing

    async def _taken(self) -> None:
        """Wait until all have taken what was told, if the market waits for them at all."""
        if self.patient:
            for connection in list(self.connections.values()):
                await connection.flushed()

    def _liquidated(self, event: Liquidated) -> None:
        """Remember a liquidation for those who listen."""
        feed = self.feeds.get(f"allLiquidation.{event.symbol}")
        if isinstance(feed, LiquidationFeed):
            feed.add(event)

    async def push_closed(self, minute: int, clock_ms: int) -> None:
        """Push the confirmed candles of a minute, faults included."""
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
        await self._broadcast(frames)
        for symbol, frame in extra:
            await self._broadcast({symbol: frame})
        await self.push_feeds()

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
        for connection in list(self.connections.values()):
            if fault.kind == "close":
                connection.end()
            elif fault.kind == "abort":
                connection.abort()
            else:
                connection.stalled = True
                connection.muted = fault.kind == "mute"
        if fault.kind in _OK_STATES:
            self.subscribed.clear()
            self.unheard_bars = fault.bars

    def _wanted(self) -> list[str]:
        wanted: set[str] = set()
        for connection in self.connections.values():
            wanted.update(connection.by_symbol)
        return sorted(wanted)

    def _frame(
        self, symbol: str, minute: int, values: tuple[float, ...], *, confirm: bool, ts: int
    ) -> bytes:
        topic = f"kline.{self.code}.{symbol}"
        length_ms = self.replay.interval_ms
        return wire.encode_kline(
            topic, self.code, minute, length_ms, values, confirm=confirm, ts=ts
        )

    async def _broadcast(self, frames: dict[str, bytes]) -> None:
        for connection in self._hearing():
            for symbol in [s for s in frames if s in connection.by_symbol]:
                connection.put(frames[symbol])
                self.sent += 1
        await self._taken()
