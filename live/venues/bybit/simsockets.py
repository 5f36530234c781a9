"""The signed streams' sockets: each connection has a reader and a writer of its own.

A slow reader holds up its own writer and nobody else; a frame nobody can read costs its sender.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal

from starlette.websockets import WebSocket, WebSocketDisconnect

from live.clock import Clock
from live.venues.bybit.simreader import Connection
from live.venues.bybit.simsession import Session
from live.venues.bybit.simvenue import SimVenue

_LOOK_S = 1.0


def serve_stream(
    venue: SimVenue,
    stream: Literal["private", "trade"],
    clock: Clock,
    catch_up: Callable[[], None],
) -> Callable[[WebSocket], Awaitable[None]]:
    """Return the endpoint of a signed stream."""

    async def serve(socket: WebSocket) -> None:
        ip = socket.client.host if socket.client else "127.0.0.1"
        life = socket.query_params.get("max_active_time", "")
        session = venue.connect(stream, clock.now_ms(), ip=ip, max_active=life)
        if session is None:
            await socket.close()  # before accept: the handshake is answered with HTTP 403
            return
        await socket.accept()
        connection = Connection(session.origin.number, socket)
        wake = asyncio.Event()

        def nudge() -> None:
            wake.set()
            if session.ending == "abort":
                connection.abort()  # the writer itself may be waiting for a reader that never reads

        session.wake = nudge
        writer = asyncio.create_task(_write(session, connection, clock, wake, catch_up))
        try:
            while not session.ending:
                message = await socket.receive()
                if message["type"] == "websocket.disconnect":
                    break
                catch_up()
                session.receive(message.get("text") or message.get("bytes") or b"", clock.now_ms())
                wake.set()
        except (WebSocketDisconnect, RuntimeError):
            connection.gone = True
        finally:
            venue.disconnect(session)
            wake.set()
            await writer

    return serve


async def _write(
    session: Session,
    connection: Connection,
    clock: Clock,
    wake: asyncio.Event,
    catch_up: Callable[[], None],
) -> None:
    while not connection.gone:
        wake.clear()
        now = clock.now_ms()
        catch_up()
        for frame in session.due(now):
            await connection.send(frame)
        session.look(now)
        if session.ending:
            if session.ending == "close":
                await connection.close()
            else:
                connection.abort()
            return
        due = session.next_ms()
        wait_s = _LOOK_S if due is None else min(_LOOK_S, max(0.0, (due - now) / 1000.0))
        try:
            async with asyncio.timeout(wait_s):
                await wake.wait()
        except TimeoutError:
            continue
