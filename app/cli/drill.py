"""`zion drill`: the live accounts layer in seeded worlds, under faults, judged all the time."""

from typing import Annotated

import typer

from engine.errors import PromiseBroken

app = typer.Typer(help="The user engines in seeded worlds under faults: nothing may break.")


@app.callback(
    invoke_without_command=True,
    epilog="Example:  zion drill --seeds 200 --planted",
)
def drill(
    seeds: Annotated[int, typer.Option(min=1, help="How many worlds.")] = 100,
    start: Annotated[int, typer.Option("--from", min=0, help="The first seed.")] = 0,
    users: Annotated[int, typer.Option(min=2, max=50, help="Users of a world.")] = 2,
    planted: Annotated[
        bool, typer.Option("--planted", help="Also show that every planted bug is found.")
    ] = False,
    planted_seeds: Annotated[
        int, typer.Option(min=1, help="Worlds at most until a planted bug must be found.")
    ] = 200,
    processes: Annotated[int, typer.Option(min=1, max=64, help="Processes to share the work.")] = 2,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Run the worlds; exit code 4 when one of them broke a promise."""
    from app.cli.out import Out, emit_json, number
    from app.proofs.drill.run import Task, drill
    from app.proofs.drill.story import tell_story

    out = Out(json=json)
    out.title(f"zion drill · {seeds} worlds of {users} users from seed {start}")
    task = Task(start, seeds, users, planted_seeds if planted else 0, processes)
    found = drill(task, out)
    if json:
        emit_json(found.document())
    for line in found.lines(number):
        out.say(line)
    if found.broken:
        for line in tell_story(found.first_seed, users):
            out.say(line)
        raise PromiseBroken(
            f"{found.broken} of {seeds} worlds broke a promise",
            why=found.first,
            hint=f"zion drill --seeds 1 --from {found.first_seed} --users {users}",
        )
    if found.missed:
        raise PromiseBroken(
            "planted bugs were not found: " + ", ".join(found.missed), hint="more --planted-seeds"
        )
