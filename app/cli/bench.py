"""`zion bench`: speed figures, each beside its reference."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import JsonOption
from engine.errors import UsageError

app = typer.Typer()
ACCOUNTS_MAX = 5_000
SUBJECTS = ("detect", "lake", "live", "market", "orders", "recovery", "users")
_N = "100,1000"


@app.command(
    help="Speed figures, each beside its reference from the same run.",
    epilog="Example:  zion bench detect",
)
def bench(
    subject: Annotated[str, typer.Argument(help="detect lake live market orders recovery users.")],
    lake: Annotated[Path | None, typer.Option(help="detect: real history instead of made.")] = None,
    venue: Annotated[str | None, typer.Option(help="detect: venue of the lake.")] = None,
    interval: Annotated[str, typer.Option(help="detect: bar length.")] = "15m",
    symbols: Annotated[int, typer.Option(min=1, help="live: coins closing at once.")] = 700,
    n: Annotated[str, typer.Option("--n", help="orders, recovery, users: how many.")] = _N,
    json: JsonOption = False,
) -> None:
    """Measure one subject."""
    from app.cli.out import Out, emit_json
    from app.proofs import bench as measured

    if subject not in SUBJECTS:
        raise UsageError(f"nothing to measure called {subject!r}", hint=", ".join(SUBJECTS))
    out = Out(json=json)
    out.title(f"zion bench {subject}")
    if subject == "detect":
        figures = list(measured.detect(lake, venue, interval))
    elif subject == "orders":
        from app.proofs.bench_orders import orders

        figures = list(orders(_accounts(n)))
    elif subject == "users":
        from app.proofs.bench_users import users

        figures = list(users(_accounts(n)))
    elif subject == "recovery":
        from app.proofs.bench_recovery import recovery

        figures = list(recovery(_accounts(n)[-1]))
    elif subject == "market":
        from app.proofs.bench_market import market

        figures = list(market())
    else:
        figures = list(measured.lake() if subject == "lake" else measured.live(symbols))
    if json:
        emit_json(figures)
        return
    rows = [
        (
            f.name,
            f"{f.value:,.2f} {f.unit}",
            "" if f.ratio is None else f"{f.ratio:,.2f} {f.reference}",
            f.target,
        )
        for f in figures
    ]
    out.table(("figure", "value", "beside its reference", "target"), rows, left=4)


def _accounts(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and 0 < int(part) <= ACCOUNTS_MAX for part in parts):
        raise UsageError(f"--n {text!r} cannot be used", hint=f"1 to {ACCOUNTS_MAX}: 100,1000")
    return [int(part) for part in parts]
