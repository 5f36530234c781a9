"""How the simulated venue answers a request: a result, a refusal, a page of a list. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote

_DAY_MS = 86_400_000
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Refusal:
    """The venue's error: its code and its words."""

    code: int
    message: str
    result: Any = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A result with its extra part (batches tell each item's fate there)."""

    result: Any
    ext: Mapping[str, Any] = field(default_factory=dict)
    message: str = "OK"
    code: int = 0


class Refused(Exception):  # noqa: N818 - a refusal is no error of ours
    """Raised inside a handler to end it with a refusal; never leaves the desk."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.refusal = Refusal(code, message)


Params = Mapping[str, Any]


def text(params: Params, name: str, default: str = "") -> str:
    """Return a parameter as text."""
    value = params.get(name)
    return default if value is None or value == "" else str(value)


def whole(params: Params, name: str, default: int) -> int:
    """Return a whole number; `Refused` for anything else."""
    value = text(params, name)
    if value == "":
        return default
    digits = value.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 19):  # noqa: PLR2004 - int64
        raise Refused(10001, f"params error: {name} invalid")
    return int(value)


def page_size(params: Params, default: int, most: int) -> int:
    """Return the wanted length of a page; more than the venue gives is cut to it."""
    limit = whole(params, "limit", default)
    if limit < 1:
        raise Refused(10001, f"params error: limit invalid, 1 to {most}")
    return min(limit, most)


def span(params: Params, now_ms: int, *, days: int = 7, default_days: int = 7) -> tuple[int, int]:
    """Return [start, end] of a history request by the venue's rules.

    Neither: the last `default_days`. One: the other follows, `days` away. Both: at most `days`.
    """
    length = days * _DAY_MS
    start, end = whole(params, "startTime", -1), whole(params, "endTime", -1)
    if start < 0 and end < 0:
        return now_ms - default_days * _DAY_MS, now_ms
    if end < 0:
        return start, start + length
    if start < 0:
        return end - length, end
    if end < start:
        raise Refused(10001, "params error: startTime later than endTime")
    if end - start > length:
        raise Refused(10001, f"params error: startTime and endTime more than {days} days apart")
    return start, end


def page(
    rows: Sequence[T],
    params: Params,
    limit: int,
    rank: Callable[[T], int],
) -> tuple[Sequence[T], str]:
    """Cut one page from rows that are ordered newest first; returns it and the next cursor.

    The cursor names the rank of the last row given, so rows that come meanwhile shift nothing. It
    is handed out percent-encoded and wanted back verbatim.
    """
    cursor = text(params, "cursor")
    if cursor:
        below = _cursor_rank(cursor)
        rows = [row for row in rows if rank(row) < below]
    cut = rows[:limit]
    if len(rows) <= limit or not cut:
        return cut, ""
    return cut, quote(f"{rank(cut[-1])}:{limit},{rank(cut[-1])}:{limit}", safe="")


def _cursor_rank(cursor: str) -> int:
    first, _, second = cursor.partition(",")
    rank = first.partition(":")[0]
    if first != second or not (rank.isascii() and rank.isdigit()):
        raise Refused(10001, "params error: cursor invalid")
    return int(rank)
