"""Options that several commands share, and how their words are read."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from app.cli.lake import HELP as LAKE_HELP
from engine.errors import UsageError

LakeOption = Annotated[Path | None, typer.Option("--lake", help=LAKE_HELP)]
OneVenueOption = Annotated[
    str | None, typer.Option("--venue", help="Venue; may be left out when there is one.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
AsciiOption = Annotated[bool, typer.Option("--ascii", help="Plain signs only.")]


def instant_ms(text: str, option: str) -> int:
    """Read a day or a time as UTC ms; a time without a zone is UTC.

    Raises
    ------
    UsageError
        Neither of them; ``option`` names whose value it was.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{option} {text!r} is no time", hint="a day as 2025-01-31, or 2025-01-31T12:00 (UTC)"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1000)
