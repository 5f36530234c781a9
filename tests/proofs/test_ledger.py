"""The ledger proof: it agrees with the machine, and it would notice if it did not."""

import ast
import inspect
from dataclasses import replace
from decimal import Decimal

import pytest

from app.proofs import ledger_twin
from app.proofs.ledger import Storm, prove
from engine.venue.exchange.records import Execution

CENT = Decimal("0.00000001")


def test_a_storm_is_recomputed_to_the_last_digit() -> None:
    found = prove(3_000, seed=5)
    assert found.faults == []
    assert found.executions >= 3_000
    assert {"Trade", "Funding", "BustTrade", "AdlTrade"} <= set(found.kinds)


@pytest.mark.parametrize("field", ["exec_pnl", "exec_fee", "closed_size", "exec_value"])
def test_an_amount_off_by_the_last_digit_is_noticed(
    field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = ledger_twin.check_execution

    def spoilt(twin: ledger_twin.Twin, execution: Execution) -> list[str]:
        wrong = replace(execution, **{field: getattr(execution, field) + CENT})
        return sound(twin, wrong)

    monkeypatch.setattr(ledger_twin, "check_execution", spoilt)
    assert Storm(5).run(200).faults


def test_a_wallet_off_by_the_last_digit_is_noticed() -> None:
    storm = Storm(5)
    storm.run(200)
    uid, twin = next(iter(storm.twins.items()))
    account = storm.exchange.account(uid)
    assert ledger_twin.check_account(twin, account) == []
    account.wallet.wallet_balance += CENT
    assert ledger_twin.check_account(twin, account)
    account.log[-1] = replace(account.log[-1], change=account.log[-1].change + CENT)
    assert ledger_twin.check_log(account.log)


def test_the_twin_shares_no_arithmetic_with_the_machine() -> None:
    """It may know what the records are called, and nothing else."""
    tree = ast.parse(inspect.getsource(ledger_twin))
    borrowed = {
        node.module: {name.name for name in node.names}
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("engine")
    }
    assert borrowed == {
        "engine.venue.exchange.records": {"Account", "ClosedPnl", "Execution", "LogRow"}
    }
