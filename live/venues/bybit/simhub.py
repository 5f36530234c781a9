"""The simulated public stream over WebSockets: its clients, and how long the market waits."""

import asyncio

from starlette.websockets import WebSocket, WebSocketDisconnect

from live.venues.bybit.simfloor import Floor
from live.venues.bybit.simreader import Reader
from live.venues.bybit.simtopics import Feed
from live.venues.bybit.simvenue import SimVenue

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


class Hub(Floor):
    """The floor, with sockets."""

    def __init__(self, venue: SimVenue) -> None:
        super().__init__(venue.desk, venue.plan)
        self.venue = venue
        self.patient = True  # wait for slow readers: the market goes as fast as they read
        self.idle_s = IDLE_S
        self.connections: dict[int, Subscriber] = self.listeners
        self.subscribed = asyncio.Event()

    # ------------------------------------------------------------------ clients

    async def serve(self, socket: WebSocket) -> None:
        """Talk to one client until it leaves."""
        if not self.lets_in():
            await socket.close()  # before accept: the handshake is answered with HTTP 403
            return
        await socket.accept()
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
                await self._talk(connection, raw)
        except (WebSocketDisconnect, RuntimeError):
            connection.gone = True
        finally:
            self.leave(connection)
            if connection.listens:
                connection.drop()
            await writer

    async def _talk(self, connection: Subscriber, raw: str | bytes) -> None:
        if connection.muted:
            return
        reply, wanted = self.answer(connection, raw)
        connection.put(reply)
        await connection.room()
        for topic, made in wanted.items():
            if connection.gone:
                return
            feed = self.begin(connection, topic, made)
            await connection.room()
            if feed.heavy:
                await asyncio.sleep(0)  # others have their turn
        if connection.topics:
            self.subscribed.set()

    def amount(self, ip: str) -> int:
        """Return how many connections an address has."""
        found = (c.socket.client for c in self.connections.values())
        return sum(client is not None and client.host == ip for client in found)

    # ------------------------------------------------------------------ pushes

    async def push_open(self, minute: int, share: float, clock_ms: int) -> None:
        """Push the open candles as far as they have gone."""
        self.tell_open(minute, share, clock_ms)
        await self.push_feeds()

    async def push_closed(self, minute: int, clock_ms: int) -> None:
        """Push the confirmed candles of a minute, faults included."""
        self.tell_closed(minute, clock_ms)
        await self.push_feeds()

    async def push_feeds(self) -> None:
        """Push what every other topic has to tell."""
        await self._taken()
        for feed in self.tell_feeds():
            if feed.heavy:
                await asyncio.sleep(0)  # requests are answered in between
        await self._taken()

    def hearing(self) -> list[Subscriber]:
        """Return those to whom something can be told."""
        hearing = super().hearing()
        for connection in hearing:
            connection.patient = self.patient
        return hearing

    async def _taken(self) -> None:
        """Wait until all have taken what was told, if the market waits for them at all."""
        if self.patient:
            for connection in list(self.connections.values()):
                await connection.flushed()

    def cut(self) -> None:
        """Nobody listens any more."""
        self.subscribed.clear()
