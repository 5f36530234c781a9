"""`zion venue`: looking at what the venue says."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from app.cli.out import Out, number

app = typer.Typer(
    no_args_is_help=True,
    help="The venue's own words: decode recorded payloads.",
    epilog="Example:  zion venue decode recorded/ --json",
)


@app.callback()
def venue() -> None:
    """Group the commands: one alone would take the group's place."""


@app.command(
    help="Decode recorded V5 payloads: REST requests and replies, stream messages; one JSON"
    " document a file, folders are searched. Says which field names are new. Exit 1 when a"
    " file cannot be read.",
    epilog="Example:  zion venue decode recorded/ --json",
)
def decode(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH", help="Files or folders.")],
    *,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    ascii: Annotated[bool, typer.Option("--ascii", help="Plain signs only.")] = False,  # noqa: A002 - the flag's name
) -> None:
    """Read every payload with the reader that production uses."""
    from engine.venue.wire import WireError, read_json
    from engine.venue.wire.catalogue import examine

    out = Out(json=json, ascii=ascii)
    kinds: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    failed: list[dict[str, str]] = []
    files = 0
    for path in _payloads(paths):
        try:
            raw = path.read_bytes()
            if path.name == "index.json" and _is_index(read_json(raw)):
                continue  # a list of payloads, not one
            found = examine(raw)
            kinds[found.kind] += 1
            unknown.update(found.unknown)
        except (WireError, OSError) as error:
            what = error.what if isinstance(error, WireError) else str(error.strerror or error)
            why = error.why if isinstance(error, WireError) else ""
            failed.append({"file": str(path), "error": f"{what}: {why}" if why else what})
        files += 1
    out.document(
        {
            "files": files,
            "ok": files - len(failed),
            "failed": failed,
            "unknown_fields": dict(unknown.most_common()),
            "kinds": dict(kinds.most_common()),
        }
    )
    out.table(["kind", "files"], [[kind, number(n)] for kind, n in kinds.most_common()])
    for name, n in unknown.most_common():
        out.look(f"unknown field {name!r} in {number(n)}")
    for bad in failed:
        out.broken(f"{bad['file']}: {bad['error']}")
    out.say(f"{number(files - len(failed))} of {number(files)} payloads decoded.")
    if failed:
        raise typer.Exit(1)


def _payloads(paths: list[Path]) -> list[Path]:
    from engine.errors import DataError

    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(p for p in path.rglob("*.json") if p.is_file())
        elif path.is_file():
            found.append(path)
        else:
            raise DataError(f"no payload at {path}", hint="a JSON file, or a folder of them")
    if not found:
        raise DataError(
            f"no JSON file in {', '.join(map(str, paths))}", hint="a folder that holds some"
        )
    return found


def _is_index(body: object) -> bool:
    return isinstance(body, dict) and isinstance(body.get("payloads"), list)
