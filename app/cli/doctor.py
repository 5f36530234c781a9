"""`zion doctor`: whether everything is there that this deployment needs."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from app.cli.options import AsciiOption, JsonOption

if TYPE_CHECKING:
    from app.cli.out import Out

app = typer.Typer(add_completion=False)
_EXIT_BROKEN = 3


@app.command(
    help="Look at settings, database, keys file, lake, exchange, disk, ports; say what to do."
    " Exit 3 when something needed is broken.",
    epilog="Example:  zion doctor --json",
)
def doctor(json: JsonOption = False, ascii: AsciiOption = False) -> None:  # noqa: A002 - the flag's name
    """Check the deployment."""
    from dataclasses import asdict
    from importlib.metadata import version
    from platform import python_version

    from app.cli.checkup import collect
    from app.cli.out import Out
    from live.clock import SystemClock
    from live.settings import load_settings

    out = Out(json=json, ascii=ascii)
    loaded = load_settings()
    mode, own = loaded.settings.venue.upper(), version("zion-core")
    out.title(f"zion doctor · {mode} · version {own} · python {python_version()}\n")
    found = collect(loaded.settings, loaded.sources, SystemClock())
    told = {"ok": out.ok, "look": out.look, "broken": out.broken, "skipped": _skipped(out)}
    for check in found:
        told[check.sign](f"{check.name:<12}{check.words}")
        if check.hint and check.sign != "ok":
            out.log(f"    {'':<12}try: {check.hint}")
    broken = sum(check.sign == "broken" for check in found)
    look = sum(check.sign == "look" for check in found)
    out.document({"mode": mode, "broken": broken, "checks": [asdict(c) for c in found]})
    out.say(f"\n{broken} broken, {look} to look at." if broken or look else "\nAll is well.")
    if broken:
        raise typer.Exit(_EXIT_BROKEN)


def _skipped(out: "Out") -> Callable[[str], None]:
    return lambda text: out.log(f"  - {text}")
