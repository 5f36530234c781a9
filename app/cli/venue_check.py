"""`zion venue check`: the numbered venue contract on the simulator, on demo or on testnet."""

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.out import Out, number

if TYPE_CHECKING:
    from app.proofs.contract.case import Case
    from app.proofs.contract.parts import Parts
    from app.proofs.contract.run import Verdict

HELP = (
    "Run the numbered venue contract on ZION_VENUE: sim (its own simulator), demo or testnet;"
    " never live. Opens and closes positions of about 10 USDT on demo and testnet. Exit 4 if a"
    " case failed."
)
EPILOG = "Example:  zion venue check --json"
KEY, SECRET = "ZION_BYBIT_KEY", "ZION_BYBIT_SECRET"


def check(
    *,
    symbol: Annotated[
        str, typer.Option(help="Where to trade, on demo and testnet; flat and without orders.")
    ] = "XRPUSDT",
    cases: Annotated[str, typer.Option(help="Numbers, such as 1-25,31; all by default.")] = "",
    money: Annotated[
        bool, typer.Option("--money/--no-money", help="Run the cases that open positions.")
    ] = True,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    ascii: Annotated[bool, typer.Option("--ascii", help="Plain signs only.")] = False,  # noqa: A002 - the flag's name
) -> None:
    """Run the contract and say what became of each case."""
    from app.proofs.contract.run import FAILED, NOT_RUN, PASSED

    out = Out(json=json, ascii=ascii)
    chosen = _chosen(cases)
    mode, face = _face(symbol)
    verdicts = asyncio.run(_run(out, chosen, face, money=money))
    count = {r: sum(v.result == r for v in verdicts) for r in (PASSED, FAILED, NOT_RUN)}
    out.document(
        {
            "venue": mode,
            "passed": count[PASSED],
            "failed": count[FAILED],
            "not_run": count[NOT_RUN],
            "cases": verdicts,
        }
    )
    rows = [[v.number, v.title, v.clause, _said(v)] for v in verdicts]
    out.table(["no", "case", "clause", "result"], rows, left=4)
    out.say()
    out.say(
        f"{mode}: {number(count[PASSED])} passed, {number(count[FAILED])} failed,"
        f" {number(count[NOT_RUN])} not run, of {number(len(verdicts))}."
    )
    if count[FAILED]:
        raise typer.Exit(4)


def _said(verdict: "Verdict") -> str:
    return f"{verdict.result}: {verdict.why}" if verdict.why else verdict.result


async def _run(
    out: Out,
    cases: "list[Case]",
    face: "AbstractAsyncContextManager[Parts]",
    *,
    money: bool,
) -> "list[Verdict]":
    from dataclasses import replace

    from app.proofs.contract.case import Need
    from app.proofs.contract.run import run_cases

    with out.progress("venue contract", len(cases)) as advance:
        async with face as given:
            offers = given.offers if money else given.offers - {Need.MONEY}
            parts = replace(given, offers=offers)
            return await run_cases(
                cases, parts, on_verdict=lambda v: advance(1, f"{v.number} {v.result}")
            )


def _face(symbol: str) -> "tuple[str, AbstractAsyncContextManager[Parts]]":
    """Return the venue's name and the face to run on."""
    from app.proofs.contract import faces
    from engine.errors import DataError, UsageError
    from live.settings import load_settings

    mode = load_settings().settings.venue
    if mode == "sim":
        return mode, faces.served()
    if mode not in ("demo", "testnet"):
        raise UsageError(
            f"the venue contract does not run on {mode!r}",
            why="its cases place and cancel orders of their own",
            hint="ZION_VENUE=sim, demo or testnet",
        )
    key, secret = _key()
    if not key or not secret:
        raise DataError(
            f"no key for {mode}", why=f"{KEY} and {SECRET} are not both set", hint=f"{KEY}=..."
        )
    return mode, faces.real(mode, key, secret, symbol)


def _key() -> tuple[str, str]:
    from live.settings import load_settings

    settings = load_settings().settings
    return settings.bybit_key, settings.bybit_secret.get_secret_value()


def _chosen(text: str) -> "list[Case]":
    from app.proofs.contract import CASES
    from engine.errors import UsageError

    numbers: set[int] = set()
    for part in filter(None, (p.strip() for p in text.split(","))):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise UsageError(f"--cases {text!r} cannot be read", hint="1-25,31")
        numbers |= set(range(int(first), int(last or first) + 1))
    unknown = sorted(numbers - set(CASES))
    if unknown:
        raise UsageError(
            f"there is no case {unknown[0]}", hint=f"1 to {max(CASES)}, such as 1-25,31"
        )
    return [CASES[n] for n in sorted(CASES) if not text.strip() or n in numbers]
