"""Distance: a relay on loopback that delays every byte a little, as a network does."""

import asyncio
import threading
from urllib.parse import urlsplit


async def _carry(source, sink, delay_s):
    """Carry bytes, each piece so much later, in order."""
    loop = asyncio.get_running_loop()
    try:
        while data := await source.read(65_536):
            loop.call_later(delay_s, sink.write, data)
    except OSError:
        pass
    loop.call_later(delay_s, sink.close)


async def _serve(host, port, delay_s, ready):
    async def one(reader, writer):
        try:
            far_reader, far_writer = await asyncio.open_connection(host, port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(
            _carry(reader, far_writer, delay_s), _carry(far_reader, writer, delay_s)
        )

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    ready.append(server.sockets[0].getsockname()[1])
    await server.serve_forever()


def relay(address, delay_s):
    """Start a relay to an address in the background; returns the address to use instead."""
    parts = urlsplit(address)
    ready = []
    work = _serve(parts.hostname, parts.port, delay_s, ready)
    threading.Thread(target=lambda: asyncio.run(work), daemon=True).start()
    while not ready:
        threading.Event().wait(0.01)
    return f"{parts.scheme}://127.0.0.1:{ready[0]}"
