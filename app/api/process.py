"""The service as one process: uvicorn in front, the platform behind, one orderly end.

Roles: `all` trades and shows; `market` follows and shows and trades nobody.
"""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import uvicorn

from app.api.logs import make_log
from app.api.main import create_app
from app.api.metrics import Figures, market_figures, platform_figures, serve_metrics
from app.ids import new_id
from engine.errors import DataError
from live.compose import build_market_service, build_platform, open_store
from live.platform import Readiness
from live.service import MarketService
from live.settings import Settings

DRAIN_S = 5
ROLES = ("all", "market")


async def _nothing() -> None:
    pass


@dataclass(slots=True)
class _Serving:
    """What stands behind the doors."""

    market: MarketService
    run: Callable[[], Awaitable[Any]]
    stop: Callable[[], Awaitable[None]]
    figures: Figures
    ready: Callable[[], Readiness] | None = None
    drain: Callable[[], Awaitable[Any]] = _nothing


def _market_alone(settings: Settings) -> _Serving:
    service = build_market_service(settings)

    async def run() -> None:
        await service.start()
        await service.failure()

    return _Serving(service, run, service.stop, lambda: market_figures(service.health()))


async def _everything(settings: Settings) -> _Serving:
    store = await open_store(settings)
    try:
        platform = build_platform(settings, store, holder=new_id(), log=make_log(settings))
    except BaseException:
        await store.close()
        raise
    return _Serving(
        platform.market,
        platform.run,
        platform.stop,
        lambda: platform_figures(platform),
        platform.readiness,
        platform.drain,
    )


class Server(uvicorn.Server):
    """Uvicorn's, but it neither leaves the process nor takes its signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone: raised again after the drain, they would end us unsaved."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen; a taken port is an error to be told."""
        try:
            await super().startup(sockets)
        except SystemExit:
            where = f"{self.config.host}:{self.config.port}"
            raise DataError(
                f"cannot listen on {where}",
                why="the port is taken or the address is not of this machine",
                hint="another --port, or --host 127.0.0.1",
            ) from None


def _signalled() -> asyncio.Event:
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        # NotImplementedError: no such handlers on this platform; RuntimeError: not the main thread
        with contextlib.suppress(NotImplementedError, RuntimeError):
            loop.add_signal_handler(number, over.set)
    return over


async def run(settings: Settings, role: str = "all") -> None:
    """Serve until a signal comes, or a part of the platform dies; then drain, save, stop."""
    over = _signalled()
    serving = _market_alone(settings) if role == "market" else await _everything(settings)
    config = uvicorn.Config(
        create_app(serving.market, ready=serving.ready),
        host=settings.host,
        port=settings.port,
        ws="websockets-sansio",
        timeout_graceful_shutdown=DRAIN_S,
    )
    server = Server(config)
    async with contextlib.AsyncExitStack() as ends:
        ends.push_async_callback(serving.stop)
        if settings.metrics_port is not None:
            metrics = serve_metrics(
                serving.figures, host=settings.metrics_host, port=settings.metrics_port
            )
            ends.push_async_callback(asyncio.to_thread, metrics.close)
        behind = asyncio.ensure_future(serving.run())
        http = asyncio.create_task(server.serve(), name="http")
        signalled = asyncio.create_task(over.wait(), name="signal")
        tasks = {behind, http, signalled}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if not behind.done():
                await serving.drain()  # /health answers meanwhile
        finally:  # also when we are cancelled ourselves
            server.should_exit = True
            signalled.cancel()
            await asyncio.gather(http, signalled, return_exceptions=True)
            behind.cancel()
            await asyncio.gather(behind, return_exceptions=True)
    for task in done - {signalled}:
        task.result()
