"""The websockets side of the frame socket, against a server on loopback."""

import logging

from websockets.asyncio.server import ServerConnection, serve

from live.venues.bybit.frames import open_websocket


async def test_no_level_of_logging_shows_what_was_said(caplog):
    heard: list[str | bytes] = []

    async def handle(connection: ServerConnection) -> None:
        async for message in connection:
            heard.append(message)
            await connection.send("answer-of-the-venue")

    caplog.set_level(logging.DEBUG)
    quiet = logging.getLogger("test.server")
    quiet.setLevel(logging.CRITICAL)
    async with serve(handle, "127.0.0.1", 0, logger=quiet) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        socket = await open_websocket(f"ws://127.0.0.1:{port}")
        await socket.send(b'{"op":"auth","args":["KEY",1,"SIGNATURE"]}')
        assert await socket.recv() == b"answer-of-the-venue"
        socket.abort()
    assert heard
    shown = caplog.text
    assert "SIGNATURE" not in shown
    assert "answer-of-the-venue" not in shown
