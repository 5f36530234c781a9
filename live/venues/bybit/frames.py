"""A frame socket: the seam below the client's streams, over websockets or inside one process."""

import logging
from typing import Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.protocol import State

FRAME_BYTES_MAX = 2**20  # a longer one is not read but counted; the snapshot heals what it held
SOCKET_BYTES_MAX = 16 * 2**20  # beyond, the connection ends


# The library writes every frame to its logger at DEBUG, `auth` with its key and signature among
# them: it gets one of its own, whose level no setting of the root logger lowers.
_LOG = logging.getLogger("zion.websockets")
_LOG.setLevel(logging.WARNING)


class SocketClosed(Exception):  # noqa: N818 - it names the event
    """The connection ended, or never began; the message says why."""


class NothingSent(SocketClosed):
    """The connection ended before a frame was given to it."""


class FrameSocket(Protocol):
    """One connection. All but `abort` raise `SocketClosed` when it has ended."""

    async def send(self, frame: bytes) -> None:
        """Send one text frame; `NothingSent` where no byte of it can have left."""
        ...

    async def recv(self) -> bytes:
        """Return the next frame, text or binary, as bytes."""
        ...

    def abort(self) -> None:
        """End at once, without the closing handshake."""
        ...


class Connect(Protocol):
    """Opens connections."""

    async def __call__(self, url: str) -> FrameSocket:
        """Connect; `SocketClosed` says why not."""
        ...


class WebSocket:
    """A `FrameSocket` over websockets."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, frame: bytes) -> None:
        """Send one text frame."""
        if self._connection.state is not State.OPEN:
            raise NothingSent("the connection is closed")
        try:
            await self._connection.send(frame, text=True)
        except (ConnectionClosed, OSError) as error:
            raise SocketClosed(_why(error)) from None

    async def recv(self) -> bytes:
        """Return the next frame."""
        try:
            return await self._connection.recv(decode=False)
        except (ConnectionClosed, OSError) as error:
            raise SocketClosed(_why(error)) from None

    def abort(self) -> None:
        """End at once: a half-open socket would hold a polite close for long."""
        self._connection.transport.abort()


async def open_websocket(url: str) -> FrameSocket:
    """Connect by websockets; pings are ours, the venue counts text frames."""
    try:
        connection = await connect(
            url,
            ping_interval=None,
            compression=None,
            open_timeout=None,  # the caller's clock measures
            close_timeout=1.0,
            max_size=SOCKET_BYTES_MAX,
            proxy=None,
            logger=_LOG,
        )
    except (OSError, TimeoutError, InvalidHandshake, ConnectionClosed, EOFError) as error:
        raise SocketClosed(_why(error)) from None
    return WebSocket(connection)


def _why(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:200]
