"""`zion drill`: the live accounts layer in seeded worlds, under faults, judged all the time."""

from typing import TYPE_CHECKING, Annotated

import typer

from engine.errors import PromiseBroken

if TYPE_CHECKING:
    from app.cli.out import Out

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
    real: Annotated[
        int,
        typer.Option(
            min=0,
            max=10_000,
            help="Instead: so many kill -9 of real processes, a quarter as many SIGSTOP and"
            " overlapping deploys each.",
        ),
    ] = 0,
    store: Annotated[str, typer.Option(help="Of --real: sqlite, postgresql.")] = "sqlite",
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Run the worlds; exit code 4 when one of them broke a promise."""
    from app.cli.out import Out, emit_json, number
    from app.proofs.drill.run import Task, drill
    from app.proofs.drill.story import tell_story

    out = Out(json=json)
    if real:
        _real(out, real, start, store)
        return
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


def _real(out: "Out", kills: int, seed: int, store: str) -> None:
    """Strike real processes; exit code 4 when a promise was broken."""
    from app.cli.out import emit_json
    from app.proofs.drill.real import RealTask, drill_real
    from app.proofs.drill.real_store import STORES
    from engine.errors import UsageError

    if store not in STORES:
        raise UsageError(f"no store {store!r}", hint=", ".join(STORES))
    task = RealTask(kills, max(1, kills // 4), max(1, kills // 4), seed, store)
    out.title(
        f"zion drill · {task.kills} kill -9, {task.stops} SIGSTOP, {task.overlaps} overlaps"
        f" over {store}"
    )
    found = drill_real(task, out)
    if out.json:
        emit_json(found.document())
    for line in found.lines():
        out.say(line)
    if found.wrong:
        raise PromiseBroken(
            f"{len(found.wrong)} promises broken",
            why=found.wrong[0],
            hint="--json names all of them",
        )
