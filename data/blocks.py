"""Blocks: all columns of a series in one aligned array, and the ways in and out.

A block is float64[columns, n]; its first row holds the bits of int64 ts (`.view(np.int64)`).
"""

import numpy as np
import polars as pl
import pyarrow as pa

from data.files import BAR_SCHEMA
from engine.bars import COLUMNS, Bars
from engine.errors import DataError


def bar_table(bars: pl.DataFrame | Bars) -> pa.Table:
    """Return the lake's table of these bars; `DataError` on wrong columns or order of ts."""
    given = bars if isinstance(bars, Bars) else Bars.from_frame(bars)
    ts = given.ts
    if len(ts) > 1 and not (ts[1:] > ts[:-1]).all():
        at = int(np.argmin(ts[1:] > ts[:-1])) + 1
        raise DataError(
            f"bars are not strictly ascending in ts: row {at} holds {ts[at]} after {ts[at - 1]}",
            hint="sort them and remove duplicates before writing",
        )
    return table_of(
        np.stack([given.ts.view(np.float64), *(getattr(given, c) for c in COLUMNS[1:])])
    )


def table_of(block: np.ndarray) -> pa.Table:
    """Return the lake's table over a block; an unknown turnover becomes null."""
    columns = [pa.array(block[0].view(np.int64)), *(pa.array(row) for row in block[1:-1])]
    # NaN is the arrays' unknown, null the file's.
    columns.append(pa.array(block[-1], mask=np.isnan(block[-1])))
    return pa.Table.from_arrays(columns, schema=BAR_SCHEMA)


def block_of(table: pa.Table) -> np.ndarray:
    """Return the block of a table in the lake's schema; a null turnover becomes NaN."""
    block = np.empty((len(COLUMNS), len(table)))
    block[0].view(np.int64)[:] = table["ts"].to_numpy()
    for row, name in zip(block[1:], COLUMNS[1:], strict=True):
        row[:] = table[name].to_numpy()
    return block


def bars_of(block: np.ndarray) -> Bars:
    """Return bars over a block's memory, which becomes read-only."""
    block.flags.writeable = False
    return Bars(block[0].view(np.int64), *block[1:])


def merge(blocks: list[np.ndarray]) -> tuple[np.ndarray, tuple[int, ...]]:
    """Join blocks, oldest writing first, into one that is strictly ascending in ts.

    Returns the block and (duplicates, disordered, overlaps): see `catalog.Skips`.
    """
    duplicates = disordered = 0
    clean = []
    for block in blocks:
        tidy, twice, late = _tidy(block)
        clean.append(tidy)
        duplicates, disordered = duplicates + twice, disordered + late
    if len(clean) == 1:
        return clean[0], (duplicates, disordered, 0)
    joined, overlaps, _ = _tidy(np.concatenate(clean, axis=1))
    return joined, (duplicates, disordered, overlaps)


def _tidy(block: np.ndarray) -> tuple[np.ndarray, int, int]:
    """Return (block strictly ascending in ts, replaced rows, rows that stood too late)."""
    ts = block[0].view(np.int64)
    if len(ts) < 2 or (ts[1:] > ts[:-1]).all():  # noqa: PLR2004 - one row is in order
        return block, 0, 0
    late = int((ts < np.maximum.accumulate(ts)).sum())
    order = np.argsort(ts, kind="stable")
    stamps = ts[order]
    # Of equal stamps the stable sort leaves the one written last at the end: that one stays.
    last = np.append(stamps[1:] != stamps[:-1], True)
    return np.ascontiguousarray(block[:, order[last]]), int((~last).sum()), late
