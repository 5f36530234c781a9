"""`zion demo`: the whole platform on a replayed market, in the browser."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.command(
    help="Replay a market over a simulated exchange, follow it with the real market layer, show it"
    " in the browser.",
    epilog="Example:  zion demo        then open the printed address",
)
def demo(
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Default 8000; taken: the next free one.")
    ] = None,
    speed: Annotated[
        float | None,
        typer.Option(
            min=1,
            max=20_000,
            help="Market seconds per second; by default the story takes two minutes.",
        ),
    ] = None,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Do not open a browser, do not wait for one.")
    ] = False,
    lake: Annotated[
        Path | None,
        typer.Option(help="Real history; default ZION_LAKE, else $ZION_HOME/lake, else invented."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the invented market.")] = 7,
) -> None:
    """Show the demo until interrupted."""
    from app.cli.out import Out
    from live.settings import load_settings

    out = Out()
    out.title("zion demo · SIM · no keys, no network, nothing leaves this machine\n")
    from app.proofs import demo as proof

    loaded = load_settings(port=port)
    settings = loaded.settings
    history = lake or settings.lake_path

    def opened(address: str, symbol: str | None, pace: float) -> None:
        _announce(out, address, settings.port, symbol=symbol, pace=pace, wait=not no_browser)
        if not no_browser:
            _browse(address)

    proof.run(
        settings, out, lake=history, port=settings.port, speed=speed, seed=seed,
        wait=not no_browser, opened=opened,
    )  # fmt: skip
    out.log("\nStopped cleanly. The next start takes up the story where it was, or begins it anew.")


def _announce(out, address: str, port: int, *, symbol: str | None, pace: float, wait: bool) -> None:
    if port and not address.endswith(f":{port}"):
        out.look(f"port {port} is taken, this is the next free one")
    out.say()
    out.say(f"  Open   {address}")
    if symbol is not None:
        out.say(f"  Watch  {address}/coin?symbol={symbol}")
    if wait:
        out.say(
            f"  The replay waits until the page is open (60 s at most), then runs {pace:,.0f}×."
        )
    else:
        out.say(f"  The replay runs {pace:,.0f}×.")
    out.say(
        "  Below: what this coin does, and every coin that arms or breaks out. Ctrl-C stops it."
    )
    out.say()


def _browse(address: str) -> None:
    """Open a browser where there is one with a window; a text browser would take the terminal."""
    import contextlib
    import sys
    import webbrowser

    if not sys.stdout.isatty():
        return
    with contextlib.suppress(webbrowser.Error):
        browser = webbrowser.get()
        if type(browser).__name__ != "GenericBrowser":
            browser.open(address)
