"""``python -m app.api.serve``: the market layer, the API and the pages on ``$PORT``.

The API answers at once; ``/ready`` says 503 until the market layer has caught up with its venue.
"""

import asyncio
import contextlib
import socket

import uvicorn

from app.api.main import create_app
from engine.errors import DataError
from live.service import MarketService, build_market_service
from live.settings import Settings, load_settings

DRAIN_S = 5


async def _market(service: MarketService) -> None:
    await service.start()
    await service.failure()


class _Server(uvicorn.Server):
    """Uvicorn's, which leaves the process when it cannot listen: here that is an error to tell."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        except SystemExit:
            where = f"{self.config.host}:{self.config.port}"
            raise DataError(
                f"cannot listen on {where}",
                why="the port is taken or the address is not of this machine",
                hint="another --port, or --host 127.0.0.1",
            ) from None


async def serve(settings: Settings) -> None:
    """Serve until interrupted, or until the market layer dies; then stop it cleanly.

    Parameters
    ----------
    settings : live.settings.Settings
        Names host, port, venue, profile.
    """
    service = build_market_service(settings)
    config = uvicorn.Config(
        create_app(service),
        host=settings.host,
        port=settings.port,
        ws="websockets-sansio",
        timeout_graceful_shutdown=DRAIN_S,
    )
    server = _Server(config)
    market = asyncio.create_task(_market(service), name="market")
    http = asyncio.create_task(server.serve(), name="http")
    try:
        done, _ = await asyncio.wait({market, http}, return_when=asyncio.FIRST_COMPLETED)
    finally:  # also when we are cancelled ourselves
        server.should_exit = True
        await asyncio.gather(http, return_exceptions=True)
        market.cancel()
        await asyncio.gather(market, return_exceptions=True)
        await service.stop()
    for task in done:
        task.result()


def main() -> None:
    """Read the settings and serve."""
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(load_settings().settings))


if __name__ == "__main__":
    main()
