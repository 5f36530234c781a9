"""Runs cases on a face, one after the other on one account, and says what became of each."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from app.proofs.contract.bench import Bench, bench_on
from app.proofs.contract.case import Broken, Case, NotHere
from app.proofs.contract.parts import Parts

PASSED, FAILED, NOT_RUN = "passed", "failed", "not run"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a case; `why` where it did not pass."""

    number: int
    title: str
    clause: str
    result: str
    why: str = ""


def _verdict(case: Case, result: str, why: str = "") -> Verdict:
    return Verdict(case.number, case.title, case.clause, result, " ".join(why.split())[:500])


async def run_case(case: Case, bench: Bench) -> Verdict:
    """Run one case and leave the account clean, whatever it came to."""
    missing = case.missing(bench.parts.offers)
    if missing:
        return _verdict(case, NOT_RUN, f"needs {', '.join(missing)}")
    bench.begin()
    result, why = PASSED, ""
    try:
        await case.run(bench)
    except NotHere as error:
        result, why = NOT_RUN, str(error)
    except asyncio.CancelledError:
        raise
    except Broken as error:
        result, why = FAILED, str(error)
    except Exception as error:  # noqa: BLE001 - a case that fails must not end the others
        result, why = FAILED, f"{type(error).__name__}: {error}"
    try:
        await bench.tidy()
    except Broken as error:
        why = f"{why}; {error}" if why else str(error)
        result = FAILED
    return _verdict(case, result, why)


async def run_cases(
    cases: Iterable[Case], parts: Parts, *, on_verdict: Callable[[Verdict], None] = lambda _: None
) -> list[Verdict]:
    """Run cases in order; after one that left the account unclean the others are not run."""
    verdicts: list[Verdict] = []
    unclean = ""
    async with bench_on(parts) as bench:
        for case in cases:
            verdict = (
                _verdict(case, NOT_RUN, f"the account was left unclean by case {unclean}")
                if unclean
                else await run_case(case, bench)
            )
            if "could not be left flat" in verdict.why:
                unclean = str(case.number)
            verdicts.append(verdict)
            on_verdict(verdict)
    return verdicts
