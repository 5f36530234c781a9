"""`zion serve`: market layer, users' engines, API and pages as one service."""

from typing import Annotated

import typer

from engine.errors import UsageError

app = typer.Typer(add_completion=False)


@app.command(
    help="Follow the venue, run the detector over every eligible coin, trade every user's account,"
    " serve it all. The start is the recovery; SIGTERM drains.",
    epilog="Example:  zion serve --port 8000 --interval 15m --profile default",
)
def serve(
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Default PORT, else 8000.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    interval: Annotated[str | None, typer.Option(help="Candles to watch.")] = None,
    profile: Annotated[str | None, typer.Option(help="Detector profile.")] = None,
    role: Annotated[str, typer.Option(help="all; market: follow and show, trade nobody.")] = "all",
) -> None:
    """Run the service until interrupted."""
    from app.api.process import ROLES
    from app.api.serve import serve as serve_all
    from live.settings import load_settings
    from live.tuning import settle_garbage

    loaded = load_settings(port=port, host=host, interval=interval, profile=profile)
    if role not in ROLES:
        raise UsageError(f"no role {role!r}", hint=", ".join(ROLES))
    settle_garbage()
    serve_all(loaded.settings, role)
