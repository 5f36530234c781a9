"""The list of assumptions and the contract name each other."""

import re
from pathlib import Path

from app.proofs.contract import CASES

PAGE = Path(__file__).parents[2] / "docs" / "bybit-assumptions.md"


def test_rows_name_the_cases_that_check_them_and_the_reverse() -> None:
    by_case: dict[str, list[int]] = {}
    for case in CASES.values():
        for row in re.findall(r"\b([AWS]\d+)\b", case.clause):
            by_case.setdefault(row, []).append(case.number)
    named: dict[str, list[int]] = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        row = re.match(r"\| ([AWS]\d+) \|", line)
        cases = re.search(r"\(contract cases? ([0-9, ]+)\) \|$", line)
        if row and cases:
            named[row[1]] = [int(n) for n in cases[1].split(",")]
    assert named == {row: sorted(numbers) for row, numbers in by_case.items()}
    assert len(named) > 15
