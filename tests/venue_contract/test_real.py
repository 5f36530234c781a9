"""The contract on Bybit's demo or testnet: never part of a test run, `pytest -m testnet` alone.

ZION_VENUE=demo|testnet, ZION_BYBIT_KEY and ZION_BYBIT_SECRET name the account.
"""

import asyncio

import pytest

from app.proofs.contract import CASES
from app.proofs.contract.faces import real
from app.proofs.contract.run import FAILED, Verdict, run_cases
from live.settings import load_settings

ALL = [pytest.param(CASES[n], id=f"{n}") for n in sorted(CASES)]


@pytest.fixture(scope="module")
def verdicts() -> dict[int, Verdict]:
    settings = load_settings().settings
    if settings.venue not in ("demo", "testnet") or not settings.bybit_key:
        pytest.skip("ZION_VENUE, ZION_BYBIT_KEY and ZION_BYBIT_SECRET name no account")
    face = real(
        settings.venue, settings.bybit_key, settings.bybit_secret.get_secret_value(), "XRPUSDT"
    )

    async def main() -> list[Verdict]:
        async with face as parts:
            return await run_cases([CASES[n] for n in sorted(CASES)], parts)

    return {v.number: v for v in asyncio.run(main())}


@pytest.mark.testnet
@pytest.mark.parametrize("case", ALL)
def test_real(case, verdicts):
    verdict = verdicts[case.number]
    if verdict.result != FAILED and verdict.why:
        pytest.skip(f"not run: {verdict.why}")
    assert verdict.result != FAILED, verdict.why
