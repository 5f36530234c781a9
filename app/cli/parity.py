"""`zion parity`: prove that the live path sees what the backtest saw, to the last bit."""

import json as json_module
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.options import JsonOption, LakeOption, OneVenueOption
from engine.errors import PromiseBroken, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from app.cli.out import Out

app = typer.Typer()


@app.command(
    help="Prove that the live path sees what the backtest saw, to the last bit.",
    epilog="Example:  zion parity --lake var/lake --venue bybit --interval 15m --feed step",
)
def parity(
    lake: LakeOption = None,
    interval: Annotated[str, typer.Option(help="Bar length: 5m, 15m, 1h ...")] = "15m",
    venue: OneVenueOption = None,
    symbols: Annotated[str, typer.Option(help="all, top:N, or names A,B.")] = "all",
    profile: Annotated[str, typer.Option(help="Profile name or file.")] = "default",
    feed: Annotated[
        str, typer.Option(help="step: bar by bar; ws: real stream; live: whole service, money too.")
    ] = "step",
    restarts: Annotated[int, typer.Option(min=0, help="Restarts at random bars.")] = 200,
    reconnects: Annotated[int, typer.Option(min=0, help="ws: connections cut.")] = 50,
    late: Annotated[int, typer.Option(min=0, help="ws: closes held back or swallowed.")] = 20,
    bars: Annotated[int, typer.Option(min=0, help="Newest bars a symbol; 0 = all.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Where the restarts and faults fall.")] = 7,
    users: Annotated[int, typer.Option(min=1, help="live: users, each of other settings.")] = 3,
    start: Annotated[str | None, typer.Option(help="live: signals from here on.")] = None,
    end: Annotated[str | None, typer.Option(help="live: bars up to here.")] = None,
    json: JsonOption = False,
) -> None:
    """Run both paths and compare every byte."""
    from app.cli.lake import lake_folder
    from app.cli.out import Out, emit_json, number
    from app.proofs.comparison import ParityTask
    from app.proofs.parity import run_parity
    from data.profiles import load_profile

    if feed not in {"step", "ws", "live"}:
        raise UsageError(f"unknown feed {feed!r}", hint="step, ws or live")
    out = Out(json=json)
    if feed == "live":
        asked = {"venue": venue, "interval": interval, "symbols": symbols, "users": users}
        _live(out, lake_folder(lake), start=start, end=end, seed=seed, **asked)
        return
    out.title(f"zion parity · {interval} · feed {feed} · {restarts} restarts · seed {seed}")
    task = ParityTask(
        lake=lake_folder(lake),
        venue=venue,
        interval=interval,
        symbols=symbols,
        profile=load_profile(profile, interval),
        feed=feed,
        restarts=restarts,
        reconnects=reconnects,
        late=late,
        bars=bars,
        seed=seed,
    )
    found = run_parity(task, out)
    if json:
        emit_json(found.document())
    for line in found.lines(number):
        out.say(line)
    if found.mismatches:
        raise PromiseBroken(
            f"{found.mismatches} mismatches",
            why=json_module.dumps(found.first_mismatch),
            hint=f"again: {task.again()}",
        )


def _live(out: "Out", lake: "Path", *, start: str | None, end: str | None, **asked: Any) -> None:
    """Compare the portfolio backtest with the whole live service; exit 4 where they differ."""
    from app.cli.options import instant_ms
    from app.proofs.parity_live import LiveTask, run_live_parity

    out.title(f"zion parity · {asked['interval']} · feed live · {asked['users']} users")
    times = {
        "start_ms": None if start is None else instant_ms(start, "--start"),
        "end_ms": None if end is None else instant_ms(end, "--end"),
    }
    found = run_live_parity(LiveTask(lake=lake, **times, **asked), out)
    out.document(found.document())
    for line in found.lines():
        out.say(line)
    if found.differences:
        raise PromiseBroken(
            f"{len(found.differences)} differences", why=json_module.dumps(found.causes)
        )
