"""`zion replay`: a recorded live trace through the same decide(), row by row."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import JsonOption
from engine.errors import DataError, PromiseBroken, UsageError

app = typer.Typer(add_completion=False)


@app.command(
    help="Play what a user's engine was told through the same decide(), row by row: same verdicts,"
    " same states. Exit 4 on a difference.",
    epilog="Example:  zion replay --user ada --out ada.trace && zion replay ada.trace",
)
def replay(
    trace: Annotated[
        Path | None, typer.Argument(help="A recording; without one the store's, of --user.")
    ] = None,
    user: Annotated[str, typer.Option(help="Name or id of the user whose recording it is.")] = "",
    out: Annotated[
        Path | None, typer.Option(help="Write the store's recording there; do not play it.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Play a recording again, or write one."""
    import asyncio

    from app.cli.out import Out, number
    from app.proofs import replay as proof

    if (trace is None) == (not user) or (out is not None and not user):
        raise UsageError(
            "either a recording or a user", hint="zion replay FILE, or zion replay --user NAME"
        )
    say = Out(json=json)
    lines = asyncio.run(_recorded(user)) if trace is None else _lines(trace)
    if out is not None:
        out.write_bytes(b"\n".join(lines) + b"\n")
        say.document({"rows": len(lines) - 2, "file": str(out)})
        say.say(f"{number(len(lines) - 2)} rows written to {out}")
        return
    name = str(trace or user)
    recording = proof.read(lines, name)
    say.title(f"zion replay · {name} · {number(len(recording.rows))} messages")
    with say.stage("decide again") as stage:
        found = proof.replay(recording, proof.own_brain())
        stage.note = f"{number(found.rows)} rows, {number(found.verdicts)} verdicts"
    say.document(found.document())
    if found.difference:
        where = f"row {found.seq}: " if found.seq else ""
        raise PromiseBroken(f"{where}{found.difference}", why="the recording was decided otherwise")
    say.say("identical: every state and every verdict")


def _lines(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().splitlines()
    except OSError as error:
        raise DataError(f"{path} cannot be read", why=error.strerror or "") from error


async def _recorded(user: str) -> list[bytes]:
    import msgspec

    from app.cli.records import ROWS_MAX, chosen_users, had, opened, pages
    from app.proofs.replay import SEQ_PER_VERSION, began_under, own_brain, write
    from engine.account.settings import UserSettings

    async with opened() as store:
        (row,) = await chosen_users(store, user)
        trace = [r async for r in pages(store, row.user_id)]
        if not trace:
            raise DataError(f"nothing is recorded of {user!r}", why="its engine never ran")
        versions: list[tuple[int, UserSettings]] = []
        while kept := had(await store.settings(row.user_id, len(versions) + 1)):
            body = msgspec.json.decode(kept.body, type=UserSettings)
            versions.append((kept.version, body))
        burst = [r for r in trace if r.seq // SEQ_PER_VERSION == trace[0].seq // SEQ_PER_VERSION]
        version, settings = began_under(row.user_id, versions, burst, own_brain())
        verdicts = had(await store.verdicts(row.user_id, ROWS_MAX))
        return list(write(row.user_id, version, settings, trace, verdicts))
