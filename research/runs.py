"""A run at rest: its files, and the log of everything ever tried on the same data."""

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from engine.bars import Bars
from engine.errors import DataError
from research.settings import digest

LOG_NAME = "runs.jsonl"
FRAMES = ("events", "trades", "fills", "equity")


def data_hash(series: dict[str, Bars]) -> str:
    """Return a hash of every candle read, in order of the symbols."""
    parts = []
    for symbol in sorted(series):
        bars = series[symbol]
        parts.append(symbol)
        parts += [
            digest(bytes(np.ascontiguousarray(c).data)) for c in (bars.ts, bars.open, bars.high)
        ]
        parts += [
            digest(bytes(np.ascontiguousarray(c).data)) for c in (bars.low, bars.close, bars.volume)
        ]
    return digest(*parts)


def plain(value: Any) -> Any:
    """Return a value of plain JSON types; what is not finite becomes None."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


class Span(NamedTuple):
    """Which history a run saw: any other that overlaps it counts as a trial on the same data."""

    venue: str
    interval: str
    first_ts: int
    last_ts: int

    def shares(self, row: dict[str, Any]) -> bool:
        """Tell whether a line of the log is about some of the same history."""
        if (row.get("venue"), row.get("interval")) != (self.venue, self.interval):
            return False
        first, last = row.get("first_ts"), row.get("last_ts")
        if not (isinstance(first, int) and isinstance(last, int)):
            return False
        return first < self.last_ts and self.first_ts < last


def trials_before(runs: Path | None, span: Span, params: str) -> int:
    """Return how many configurations were tried on overlapping history, this one included."""
    seen = {params}
    if runs is not None and (runs / LOG_NAME).is_file():
        for line in (runs / LOG_NAME).read_text(encoding="utf-8").splitlines():
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                continue  # a line cut off by a crash counts for nothing
            if isinstance(row, dict) and span.shares(row):
                seen.add(str(row.get("params_hash")))
    return len(seen)


def make_folder(runs: Path, name: str) -> Path:
    """Make the folder of a run; `DataError` when the place cannot be written."""
    folder = runs / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise DataError(
            f"cannot write to {folder}",
            why=error.strerror or str(error),
            hint="name another with --out",
        ) from error
    return folder


def write_frames(folder: Path, frames: dict[str, pl.DataFrame]) -> dict[str, str]:
    """Write each frame as Parquet; a file appears whole or not at all. Return its paths."""
    out = {}
    for name, frame in frames.items():
        path = folder / f"{name}.parquet"
        part = folder / f".{name}.parquet.part"
        try:
            frame.write_parquet(part, compression="zstd")
            part.replace(path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise _refused(path, error) from error
        out[name] = str(path)
    return out


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise _refused(path, error) from error


def log_run(runs: Path, row: dict[str, Any]) -> None:
    """Append one line to the log of everything tried."""
    try:
        with (runs / LOG_NAME).open("a", encoding="utf-8") as log:
            log.write(json.dumps(plain(row)) + "\n")
    except OSError as error:
        raise _refused(runs / LOG_NAME, error) from error


def _refused(path: Path, error: OSError) -> DataError:
    return DataError(
        f"cannot write {path}",
        why=error.strerror or str(error),
        hint="free some space, or name another folder with --out",
    )
