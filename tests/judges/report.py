"""The judges' table, and which failures are known, each with its reason."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

EXPECTED = Path(__file__).with_name("expected.toml")


@dataclass
class Verdict:
    """What one judge found."""

    judge: str
    client: str
    calls: list[dict[str, Any]] = field(default_factory=list)
    not_run: str = ""
    broke: str = ""  # the driver itself ended before its time
    seconds: float = 0.0

    @property
    def failed(self) -> list[dict[str, Any]]:
        """Calls that failed."""
        return [c for c in self.calls if not c["ok"]]

    @property
    def passed(self) -> int:
        """How many passed."""
        return sum(bool(c["ok"]) for c in self.calls)


def known() -> dict[str, dict[str, str]]:
    """Read the expectations: judge -> call -> why it fails."""
    return tomllib.loads(EXPECTED.read_text())


def unexpected(verdicts: list[Verdict]) -> list[str]:
    """Name every failure that no expectation explains, and every expectation that fails no more."""
    expected = known()
    found = []
    for verdict in verdicts:
        reasons = expected.get(verdict.judge, {})
        if verdict.broke:
            found.append(f"{verdict.judge}: {verdict.broke}")
        found += [
            f"{verdict.judge}: {c['name']}: {c['why']}"
            for c in verdict.failed
            if c["name"] not in reasons
        ]
        passed = {c["name"] for c in verdict.calls if c["ok"]}
        found += [
            f"{verdict.judge}: {name} passes now: take it from {EXPECTED.name}"
            for name in reasons
            if name in passed
        ]
    return found


def table(verdicts: list[Verdict]) -> str:
    """Write the table: client, calls tried, passed, failed, not run."""
    expected = known()
    rows = [("judge", "client", "tried", "passed", "failed", "not run")]
    notes = []
    for v in verdicts:
        rows.append(
            (
                v.judge,
                v.client,
                str(len(v.calls)),
                str(v.passed),
                str(len(v.failed)),
                v.not_run or "-",
            )
        )
        for call in v.failed:
            reason = expected.get(v.judge, {}).get(call["name"])
            notes.append(f"  {v.judge} · {call['name']}: {call['why']}")
            if reason:
                notes.append(f"      expected: {reason}")
        if v.broke:
            notes.append(f"  {v.judge} · {v.broke}")
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    return "\n".join([*lines, *(["", "Failed:"] if notes else []), *notes])
