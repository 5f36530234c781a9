"""One socket of a simulated stream, and what a slow reader of it may cost: itself, nobody else."""

import asyncio
from collections import deque
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

TRANSPORT = "zion.transport"  # scope extension: the TCP transport, for faults that need it
UNREAD_BYTES_MAX = 4 << 20  # a reader this far behind is cut off, unless the market waits for it
_UNREAD_S_MAX = 300.0  # a reader that takes nothing for so long is cut off in any case
_ROOM_BYTES = 256 << 10  # its own answers wait until no more than this is before them


class Connection:
    """A socket to write to.

    Parameters
    ----------
    number : int
    socket : WebSocket
    """

    def __init__(self, number: int, socket: WebSocket) -> None:
        self.number = number
        self.socket = socket
        self.gone = False

    @property
    def transport(self) -> Any:
        """The TCP transport; None where the server does not show it."""
        return self.socket.scope.get("extensions", {}).get(TRANSPORT)

    async def send(self, message: bytes) -> None:
        """Send one text frame, waiting a while if the client does not read."""
        transport = self.transport
        self.gone = self.gone or (transport is not None and transport.is_closing())
        if self.gone:
            return
        frame = {"type": "websocket.send", "text": message.decode()}
        try:
            if transport is None or transport.get_write_buffer_size():
                async with asyncio.timeout(_UNREAD_S_MAX):
                    await self.socket.send(frame)
            else:
                await self.socket.send(frame)
        except TimeoutError:
            self.abort()
        except (RuntimeError, WebSocketDisconnect, OSError):
            self.gone = True

    def abort(self) -> None:
        """Reset the TCP connection."""
        self.gone = True
        transport = self.transport
        if transport is not None:
            transport.abort()

    async def close(self) -> None:
        """Send a close frame."""
        if not self.gone:
            self.gone = True
            try:
                await self.socket.close(1001, "going away")
            except (RuntimeError, OSError):
                self.gone = True


class Reader(Connection):
    """A reader of the public stream: frames wait here for a writer of its own.

    Whoever has something to tell puts it in and goes on; only who wants to wait waits (`flushed`).
    """

    def __init__(self, number: int, socket: WebSocket) -> None:
        super().__init__(number, socket)
        self.patient = True  # the market waits for this reader
        self.waiting_bytes = 0
        self.told = 0  # frames put in
        self._out: deque[bytes | None] = deque()  # None: close
        self._work = asyncio.Event()
        self._fewer = asyncio.Event()  # set whenever something has gone out
        self._ending = False

    @property
    def listens(self) -> bool:
        """Tell whether anything more goes out to it."""
        return not (self.gone or self._ending)

    def put(self, frame: bytes) -> None:
        """Queue a frame; a reader that is too far behind is cut off."""
        if not self.listens:
            return
        if not self.patient and self.waiting_bytes > UNREAD_BYTES_MAX:
            self.abort()
            return
        self._out.append(frame)
        self.told += 1
        self.waiting_bytes += len(frame)
        self._work.set()

    def end(self) -> None:
        """Send a close frame after what waits; one that does not read is cut off instead."""
        transport = self.transport
        if transport is not None and transport.get_write_buffer_size():
            self.abort()
        self._ending = True
        self._out.append(None)
        self._work.set()

    def abort(self) -> None:
        """Reset the TCP connection and drop what waits."""
        super().abort()
        self.drop()

    def drop(self) -> None:
        """Forget what waits: it is over."""
        self.gone = True
        self._out.clear()
        self.waiting_bytes = 0
        self._work.set()
        self._fewer.set()

    async def write(self) -> None:
        """Send what is put in, until it is over; runs as a task beside the reading."""
        while not self.gone:
            self._work.clear()
            while self._out:
                frame = self._out.popleft()
                if frame is None:
                    await self.close()
                else:
                    await self.send(frame)
                    self.waiting_bytes = max(0, self.waiting_bytes - len(frame))
            self._fewer.set()
            if not self.gone:
                await self._work.wait()
        self.drop()

    async def flushed(self, most_bytes: int = 0) -> None:
        """Wait until no more than so much waits; one that takes nothing for long is cut off."""
        while not self.gone and (self.waiting_bytes > most_bytes or (self._out and not most_bytes)):
            self._fewer.clear()
            try:
                async with asyncio.timeout(_UNREAD_S_MAX):
                    await self._fewer.wait()
            except TimeoutError:
                self.abort()

    async def room(self) -> None:
        """Wait until an answer may be put behind what waits."""
        if self.waiting_bytes > _ROOM_BYTES:
            await self.flushed(_ROOM_BYTES)
