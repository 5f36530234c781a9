"""Every case of the venue contract, on the simulator in process and over sockets."""

import asyncio
from dataclasses import replace

import pytest

from app.proofs import simloop
from app.proofs.contract import CASES
from app.proofs.contract.case import Case
from app.proofs.contract.faces import inside, served
from app.proofs.contract.parts import Parts
from app.proofs.contract.run import FAILED, NOT_RUN, PASSED, Verdict, run_cases

ALL = [pytest.param(CASES[n], id=f"{n}") for n in sorted(CASES)]


def on_virtual_time(cases: list[Case], seed: int) -> list[Verdict]:
    async def main(clock: simloop.SimClock) -> list[Verdict]:
        async with inside(clock, seed) as parts:
            return await run_cases(cases, parts)

    return simloop.run(main, seed)


@pytest.mark.parametrize("case", ALL)
def test_in_process(case: Case) -> None:
    [verdict] = on_virtual_time([case], seed=case.number)
    assert (verdict.result, verdict.why) == (PASSED, "")


@pytest.mark.parametrize("seed", [1, 2])
def test_one_account_serves_all_cases_whatever_the_order_of_tasks(seed: int) -> None:
    cases = [CASES[n] for n in sorted(CASES)]
    verdicts = on_virtual_time(cases if seed % 2 else cases[::-1], seed)
    assert [v for v in verdicts if v.result != PASSED] == []


@pytest.fixture(scope="module")
def over_sockets() -> dict[int, Verdict]:
    """All cases on one account of one server, as `zion venue check` runs them."""

    async def main() -> list[Verdict]:
        async with served(seed=1) as parts:
            return await run_cases([CASES[n] for n in sorted(CASES)], parts)

    return {v.number: v for v in asyncio.run(main())}


@pytest.mark.xdist_group("venue-contract-sockets")
@pytest.mark.parametrize("case", ALL)
def test_over_sockets(case: Case, over_sockets: dict[int, Verdict]) -> None:
    verdict = over_sockets[case.number]
    assert (verdict.result, verdict.why) == (PASSED, "")


# ------------------------------------------------------------------ the cases themselves


def test_the_numbers_have_no_hole_and_every_case_says_what_it_checks() -> None:
    assert sorted(CASES) == list(range(1, len(CASES) + 1))
    for case in CASES.values():
        assert case.title
        assert case.clause
    titles = [c.title for c in CASES.values()]
    assert len(titles) == len(set(titles))


def test_what_a_face_does_not_offer_is_not_run_and_never_passed() -> None:
    async def main(clock: simloop.SimClock) -> list[Verdict]:
        async with inside(clock) as parts:
            return await run_cases([CASES[n] for n in sorted(CASES)], _without(parts))

    verdicts = simloop.run(main, 0)
    for verdict in verdicts:
        needs = CASES[verdict.number].needs
        if needs:
            assert verdict.result == NOT_RUN
            assert all(need in verdict.why for need in needs)
        else:
            assert (verdict.result, verdict.why) == (PASSED, "")
    assert sum(v.result == PASSED for v in verdicts) > 20


def _without(parts: Parts) -> Parts:
    return replace(parts, offers=frozenset(), controls=None)


def test_a_case_that_breaks_is_failed_and_the_account_is_left_clean() -> None:
    async def careless(bench) -> None:  # type: ignore[no-untyped-def]
        await bench.open(stop_loss=await bench.far("Buy"), tpsl_mode="Full")
        await bench.rest()
        raise KeyError("a bug of the case itself")

    bad = Case(900, "careless", "-", frozenset(), careless)
    first, second = on_virtual_time([bad, CASES[1]], seed=0)
    assert first.result == FAILED
    assert "a bug of the case itself" in first.why
    assert second.result == PASSED
