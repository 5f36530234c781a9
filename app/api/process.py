"""The service as one process: uvicorn in front, the market layer behind, one orderly end."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator

import uvicorn

from app.api.main import create_app
from app.api.metrics import MetricsServer, market_figures, serve_metrics
from engine.errors import DataError
from live.compose import build_market_service
from live.service import MarketService
from live.settings import Settings

DRAIN_S = 5


async def _market(service: MarketService) -> None:
    await service.start()
    await service.failure()


def _metrics(service: MarketService, settings: Settings) -> MetricsServer | None:
    if settings.metrics_port is None:
        return None
    return serve_metrics(
        lambda: market_figures(service.health()),
        host=settings.metrics_host,
        port=settings.metrics_port,
    )


class _Server(uvicorn.Server):
    """Uvicorn's, but it neither leaves the process nor takes its signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone: raised again after the drain, they would end us unsaved."""
        yield

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


async def run(settings: Settings) -> None:
    """Serve until a signal comes, or the market layer dies; then save and stop, in order."""
    service = build_market_service(settings)
    config = uvicorn.Config(
        create_app(service),
        host=settings.host,
        port=settings.port,
        ws="websockets-sansio",
        timeout_graceful_shutdown=DRAIN_S,
    )
    server = _Server(config)
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        # NotImplementedError: no such handlers on this platform; RuntimeError: not the main thread
        with contextlib.suppress(NotImplementedError, RuntimeError):
            loop.add_signal_handler(number, over.set)
    market = asyncio.create_task(_market(service), name="market")
    metrics = _metrics(service, settings)
    http = asyncio.create_task(server.serve(), name="http")
    signalled = asyncio.create_task(over.wait(), name="signal")
    try:
        done, _ = await asyncio.wait({market, http, signalled}, return_when=asyncio.FIRST_COMPLETED)
    finally:  # also when we are cancelled ourselves
        server.should_exit = True
        signalled.cancel()
        await asyncio.gather(http, signalled, return_exceptions=True)
        market.cancel()
        await asyncio.gather(market, return_exceptions=True)
        await service.stop()
        if metrics is not None:
            await asyncio.to_thread(metrics.close)
    for task in done - {signalled}:
        task.result()
