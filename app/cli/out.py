"""What the commands say: results to stdout, progress and logs to stderr; three signs, one style.

`Out` is made once per command call::

    out = Out(json=json, ascii=ascii)
    out.title("zion data synth · 48 coins · 15m")
    with out.stage("write") as stage:
        stage.note = "414,720 bars"
    out.say("next: zion backtest ...")

Colour repeats and never carries; it is off when not a TTY, under `NO_COLOR` and with `--json`.
"""

import json as json_module
import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, is_dataclass
from time import perf_counter
from typing import Any, NoReturn

from engine.errors import ZionError

_NAME_WIDTH = 28
_PLAIN = str.maketrans({"−": "-", "·": "-", "→": ">", "—": "-", "…": "...", "✓": "[ok]", "✗": "x"})


@dataclass(slots=True)
class Stage:
    """One step of a command; `note` is what it found, shown when it is done."""

    name: str
    note: str = ""
    duration_s: float = math.nan


class Out:
    """Where one call of a command speaks.

    Parameters
    ----------
    json : bool
        stdout then holds one JSON document and nothing else; `say` is silent.
    ascii : bool
        Plain signs; chosen by itself when the stream cannot encode them.
    """

    def __init__(self, *, json: bool = False, ascii: bool = False) -> None:  # noqa: A002 - the flag's name
        self.json = json
        self.stages: list[Stage] = []
        self._ascii = ascii

    def plain(self, text: str, stream: Any = None) -> str:
        """Return the text as the stream can show it."""
        if self._ascii or not _encodes(stream or sys.stdout):
            return text.translate(_PLAIN).encode("ascii", "replace").decode()
        return text

    def say(self, text: str = "") -> None:
        """Write one line of the result to stdout (nothing under --json)."""
        if not self.json:
            sys.stdout.write(self.plain(text) + "\n")

    def log(self, text: str) -> None:
        """Write one line to stderr."""
        sys.stderr.write(self.plain(text, sys.stderr) + "\n")
        sys.stderr.flush()

    title = log

    def ok(self, text: str) -> None:
        """Write a finished line to stderr."""
        self.log(f"  {self._sign('✓', '32')} {text}")

    def look(self, text: str) -> None:
        """Write a line that wants to be looked at to stderr."""
        self.log(f"  {self._sign('!', '33')} {text}")

    def skipped(self, skips: Iterable[Any]) -> None:
        """Write a line for each series left out (`data.readable.Skip`) to stderr."""
        for skip in skips:
            self.look(f"skipped {skip.symbol}: {skip.reason}")

    def broken(self, text: str) -> None:
        """Write a broken line to stderr."""
        self.log(f"  {self._sign('✗', '31')} {text}")

    @contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        """Time a step; a line with its duration and note appears when it is done."""
        stage = Stage(name)
        start = perf_counter()
        yield stage
        stage.duration_s = perf_counter() - start
        self.stages.append(stage)
        self.ok(f"{name:<{_NAME_WIDTH}} {stage.duration_s:>7.1f} s   {stage.note}".rstrip())

    @contextmanager
    def progress(self, name: str, total: int) -> Iterator[Any]:
        """Yield `advance(n=1, note="")`; one live line on a TTY, nothing else anywhere."""
        if self.json or not sys.stderr.isatty():
            yield lambda _count=1, _note="": None
            return
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        columns = (
            TextColumn("  {task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(name, total=total, note="")
            yield lambda count=1, note="": bar.update(task, advance=count, note=note)

    def document(self, value: Any) -> None:
        """Write the one JSON document to stdout when --json was given."""
        if self.json:
            emit_json(value)

    def table(self, head: Iterable[str], rows: Iterable[Iterable[Any]], *, left: int = 1) -> None:
        """Write an aligned table; the first `left` columns lean left, the rest right."""
        cells = [[str(x) for x in row] for row in [list(head), *rows]]
        widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
        for row in cells:
            parts = [
                x.ljust(w) if i < left else x.rjust(w)
                for i, (x, w) in enumerate(zip(row, widths, strict=True))
            ]
            self.say("  " + "  ".join(parts).rstrip())

    def _sign(self, sign: str, colour: str) -> str:
        sign = self.plain(sign, sys.stderr)
        return f"\033[{colour}m{sign}\033[0m" if self._colour() else sign

    def _colour(self) -> bool:
        if self.json or not sys.stderr.isatty():
            return False
        from rich.console import Console  # rich reads NO_COLOR and TERM for us

        console = Console(stderr=True)
        return console.color_system is not None and not console.no_color


def _encodes(stream: Any) -> bool:
    try:
        "✓−·".encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def stage(name: str) -> Any:
    """Time a step outside any `Out`: the same line on stderr."""
    return Out().stage(name)


def fail(what: str, *, why: str = "", hint: str = "") -> NoReturn:
    """Stop the command with one clear error (exit code 1)."""
    raise ZionError(what, why=why, hint=hint)


def emit_json(value: Any) -> None:
    """Write one JSON document to stdout; NaN and infinities become null, numpy becomes plain."""
    json_module.dump(jsonable(value), sys.stdout, indent=2, allow_nan=False)
    sys.stdout.write("\n")
    sys.stdout.flush()


def jsonable(value: Any) -> Any:
    """Return the value made of plain JSON types only."""
    if hasattr(value, "tolist"):  # numpy arrays and scalars
        value = value.tolist()
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    elif hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        return {str(k): jsonable(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [jsonable(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def number(value: float, digits: int = 0) -> str:
    """Format with thousands separators and a real minus: −1,234.5; a NaN is a dash."""
    if not math.isfinite(value):
        return "—"
    text = f"{abs(value):,.{digits}f}"
    # A rounded zero carries no sign.
    return f"−{text}" if value < 0 and any(c in "123456789" for c in text) else text


def signed(value: float, digits: int = 2) -> str:
    """Format with a sign, as R and money are shown: +1.31, −0.04."""
    text = number(value, digits)
    return f"+{text}" if text[0] not in "−—" and any(c in "123456789" for c in text) else text


def percent(fraction: float, digits: int = 1) -> str:
    """Format a fraction as a percentage: 0.411 -> 41.1 %."""
    return f"{number(100 * fraction, digits)} %"


def utc(ts: int) -> str:
    """Format UTC ms as `2026-11-22 12:41` (UTC)."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(ts / 1000, UTC).strftime("%Y-%m-%d %H:%M")
