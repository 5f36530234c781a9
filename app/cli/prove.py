"""`zion prove`: promises about orders and money, tested on thousands of seeded runs."""

from typing import Annotated

import typer

from engine.errors import PromiseBroken

app = typer.Typer(
    no_args_is_help=True,
    help="Promises about orders and money, tested on thousands of seeded runs.",
    epilog="Example:  zion prove exactly-once --seeds 200",
)

_JSON = typer.Option("--json", help="One JSON document on stdout.")
_PROCESSES = typer.Option(min=1, max=64, help="Processes to share the work.")


@app.command(
    "exactly-once",
    help="Orders placed, changed and cancelled exactly once, whatever the wire does.",
    epilog="Example:  zion prove exactly-once --seeds 2000 --planted",
)
def exactly_once(
    seeds: Annotated[int, typer.Option(min=1, help="How many runs.")] = 200,
    start: Annotated[int, typer.Option("--from", min=0, help="The first seed.")] = 0,
    planted: Annotated[
        bool, typer.Option(help="Also show that each planted client bug is found.")
    ] = True,
    planted_seeds: Annotated[
        int, typer.Option(min=0, help="Runs a planted bug; 0 = one in 40 of the seeds.")
    ] = 0,
    processes: Annotated[int, _PROCESSES] = 2,
    json: Annotated[bool, _JSON] = False,
) -> None:
    """Run the seeds; exit code 4 when one of them broke the promise."""
    from app.cli.out import Out, emit_json, number
    from app.proofs.exactly_once_run import Task, prove

    out = Out(json=json)
    out.title(f"zion prove exactly-once · {seeds} seeds from {start}")
    task = Task(start, seeds, planted_seeds or max(20, seeds // 40) if planted else 0, processes)
    found = prove(task, out)
    if json:
        emit_json(found.document())
    for line in found.lines(number):
        out.say(line)
    if found.broken:
        raise PromiseBroken(
            f"{found.broken} of {seeds} seeds broke the promise",
            why=found.first,
            hint=f"zion prove exactly-once --seeds 1 --from {found.first_seed} --no-planted",
        )
    if found.missed:
        raise PromiseBroken(
            "planted bugs were not found: " + ", ".join(found.missed), hint="more --planted-seeds"
        )


@app.command(
    help="Wallet and profit equal an independent recomputation, over a storm of executions.",
    epilog="Example:  zion prove ledger --fills 1000000",
)
def ledger(
    fills: Annotated[int, typer.Option(min=1, help="Executions to book twice.")] = 100_000,
    seed: Annotated[int, typer.Option(min=0, help="Of the first world.")] = 1,
    processes: Annotated[int, _PROCESSES] = 2,
    json: Annotated[bool, _JSON] = False,
) -> None:
    """Trade at random and compare; exit code 4 on a difference."""
    from app.cli.out import Out, emit_json, number
    from app.proofs.ledger import prove

    out = Out(json=json)
    out.title(f"zion prove ledger · {number(fills)} executions · seed {seed}")
    with out.stage("trade and recompute") as stage, out.progress("executions", fills) as told:
        found = prove(fills, seed, processes=processes, told=told)
        stage.note = f"{number(found.executions)} executions of {found.accounts} accounts"
    document = found.document()
    if json:
        emit_json(document)
    kinds = " · ".join(f"{name} {number(n)}" for name, n in sorted(found.kinds.items()))
    out.say(f"  executions  {kinds}")
    out.say(f"  compared    {number(found.values)} values, {len(found.faults)} differences")
    if found.faults:
        raise PromiseBroken(f"{len(found.faults)} differences", why=found.faults[0])
