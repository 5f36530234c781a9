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
    from app.api.serve import serve as serve_all
    from live.settings import load_settings

    loaded = load_settings(port=port, host=host, interval=interval, profile=profile)
    serve_all(loaded.settings)
