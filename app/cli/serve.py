"""`zion serve`: the shared market layer and its API as one service."""

from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.command(
    help="Follow the venue's stream, run the detector over every eligible coin, serve it all.",
    epilog="Example:  zion serve --port 8000 --interval 15m --profile default",
)
def serve(
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Default PORT, else 8000.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    interval: Annotated[str | None, typer.Option(help="Candles to watch.")] = None,
    profile: Annotated[str | None, typer.Option(help="Detector profile.")] = None,
) -> None:
    """Run the market layer and the API until interrupted."""
    import asyncio

    from live.settings import load_settings

    loaded = load_settings(port=port, host=host, interval=interval, profile=profile)
    asyncio.run(_serve(loaded.settings))


async def _serve(settings) -> None:
    import asyncio
    import contextlib

    import uvicorn

    from app.api.main import create_app
    from live.service import build_market_service

    service = build_market_service(settings)
    config = uvicorn.Config(
        create_app(service),
        host=settings.host,
        port=settings.port,
        ws="websockets-sansio",
        timeout_graceful_shutdown=5,
    )
    server = uvicorn.Server(config)
    # The API answers at once; /ready says 503 until the market layer has caught up.
    market = asyncio.create_task(_market(service), name="market")
    http = asyncio.create_task(server.serve(), name="http")
    done, _ = await asyncio.wait({market, http}, return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    await asyncio.gather(http, return_exceptions=True)
    market.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(market, return_exceptions=True)
    await service.stop()
    for task in done:
        task.result()


async def _market(service) -> None:
    await service.start()
    await service.failure()
