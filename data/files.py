"""Parquet files of the lake: one schema, atomic writes, checked reads straight to arrays.

Bars are written PLAIN, uncompressed, one row group, one page a column. The values of such a column
are the last 8 n bytes of its chunk, so reading them is one `pread` into an aligned array: as fast
as a raw dump of the same bytes, and the file stays ordinary Parquet for everybody else. Any other
Parquet encoding is read too, through pyarrow. (Measured against the plain files: lz4 takes two
thirds of the space and several times as long to read, zstd half the space and still longer.)
"""

import errno
import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from engine.bars import COLUMNS
from engine.errors import DataError

BAR_SCHEMA = pa.schema(
    [
        pa.field("ts", pa.int64(), nullable=False),
        *(pa.field(name, pa.float64(), nullable=False) for name in COLUMNS[1:-1]),
        pa.field("turnover", pa.float64(), nullable=True),
    ]
)
FUNDING_SCHEMA = pa.schema(
    [
        pa.field("ts", pa.int64(), nullable=False),
        pa.field("funding_rate", pa.float64(), nullable=False),
    ]
)

# A ts outside these years is in seconds or microseconds, not ms.
TS_MIN_MS = 1_000_000_000_000  # 2001
TS_MAX_MS = 10_000_000_000_000  # 2286

_ONE_PAGE = 2**31 - 1
_PAGE_HEADER_MAX_BYTES = 160  # with the statistics of a number
_BAD_FILE_HINT = "zion data check names every such file; delete it and download or import it again"
_WRITE_REASONS: Mapping[int, str] = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file would exceed the size this process may write",
    errno.EACCES: "no permission to write there",
    errno.EPERM: "no permission to write there",
    errno.EROFS: "the file system is read-only",
    errno.ENOTDIR: "a file stands where a folder is needed",
    errno.EEXIST: "a file stands where a folder is needed",
    errno.EIO: "the disk reports an error",
}


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What a footer says about one file of the lake.

    Attributes
    ----------
    rows : int
    first_ts, last_ts : int | None
        UTC ms, from the footer's statistics; None where it has none.
    seq : int
        Order of writing within the series; 0 for files of other writers.
    head : bool
        Holds everything of the series that was written before it.
    """

    path: Path
    rows: int
    first_ts: int | None
    last_ts: int | None
    seq: int
    head: bool
    size_bytes: int


class WriteError(DataError):
    """The disk refuses; where a broken file may be passed over, this may not."""


def write_refused(path: Path, error: OSError) -> WriteError:
    """Turn a failed write into the one line that a person can act on."""
    why = _WRITE_REASONS.get(error.errno or 0, error.strerror or str(error))
    return WriteError(
        f"cannot write {path}",
        why=f"{why}; what was there before is untouched",
        hint="free some space or choose another folder, then run the same command again",
    )


def make_folder(path: Path) -> None:
    """Create a folder and its parents, or say why not."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_refused(path, error) from error


def write_atomic(path: Path, content: Any, *, durable: bool = True) -> None:
    """Put bytes at `path` all at once: temporary file, fsync, rename, fsync of the folder.

    Parameters
    ----------
    path : Path
    content : bytes-like
    durable : bool
        Survive a power cut (fsync); without it only a crash of the process.

    Raises
    ------
    DataError
        Full disk, no permission and the like; the old file is then untouched and no scrap is left.
    """
    tmp = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    make_folder(path.parent)
    try:
        with tmp.open("wb") as sink:
            sink.write(content)
            sink.flush()
            if durable:
                os.fsync(sink.fileno())
        tmp.replace(path)
        if durable:
            _sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            tmp.unlink()
        raise write_refused(path, error) from error


def _sync_folder(path: Path) -> None:
    # Without it a power cut may forget the rename.
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def parquet_bytes(table: pa.Table, metadata: Mapping[str, str], codec: str = "none") -> pa.Buffer:
    """Serialise a table the lake's way (see above), with `zion.*` metadata in its schema."""
    tagged = table.replace_schema_metadata({f"zion.{k}": v for k, v in metadata.items()})
    sink = pa.BufferOutputStream()
    pq.write_table(
        tagged,
        sink,
        compression=codec,
        use_dictionary=False,
        row_group_size=max(len(table), 1),
        data_page_size=_ONE_PAGE,
        max_rows_per_page=_ONE_PAGE,
        data_page_version="1.0",
    )
    return sink.getvalue()


@contextmanager
def series_lock(folder: Path) -> Iterator[None]:
    """Hold the one writer's lock of a series; scraps of a killed writer are swept first."""
    make_folder(folder)
    try:
        fd = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise write_refused(folder, error) from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        for scrap in folder.glob(".*.tmp"):
            scrap.unlink(missing_ok=True)
        yield
    finally:
        os.close(fd)


def open_parquet(path: Path) -> pq.ParquetFile:
    """Open a file and read its footer, or name the file and say what is wrong with it."""
    try:
        return pq.ParquetFile(path)
    except FileNotFoundError:
        raise DataError(f"{path} is gone", hint="run the command again") from None
    except PermissionError:
        raise DataError(f"cannot read {path}", why="no permission to read it") from None
    except (pa.ArrowException, OSError) as error:
        raise bad_file(path, error) from error


def bad_file(path: Path, error: Exception) -> DataError:
    """Say that a file is truncated or not Parquet."""
    reason = str(error).split("\n", maxsplit=1)[0].rstrip(".")
    return DataError(
        f"cannot read {path}", why=f"truncated or not Parquet: {reason}", hint=_BAD_FILE_HINT
    )


def check_schema(path: Path, found: pa.Schema, wanted: pa.Schema) -> None:
    """Require the wanted columns with their types; more columns are welcome.

    A nullable column may also be of type null (all values unknown).
    """
    missing = [name for name in wanted.names if name not in found.names]
    if missing:
        raise DataError(
            f"{path} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}",
            why=f"it has {', '.join(found.names) or 'none'}",
            hint="zion data import PATH brings other shapes into the lake",
        )
    for field in wanted:
        have = found.field(field.name).type
        if have != field.type and not (field.nullable and pa.types.is_null(have)):
            raise DataError(
                f"{path}: column {field.name} is {have}, must be {field.type}",
                hint="zion data import PATH casts and checks other shapes",
            )


def check_labels(path: Path, found: pa.Schema, labels: Mapping[str, str]) -> None:
    """Refuse a file that says it belongs elsewhere (a copy under the wrong folder)."""
    metadata = found.metadata or {}
    for key, wanted in labels.items():
        have = metadata.get(f"zion.{key}".encode())
        if have is not None and have.decode() != wanted:
            raise DataError(
                f"{path} says it holds {key} {have.decode()}, its folder says {wanted}",
                hint="move it back to its own folder",
            )


def facts(path: Path, schema: pa.Schema, labels: Mapping[str, str]) -> FileFacts:
    """Read a footer, check schema and labels, and return what it says."""
    with open_parquet(path) as opened:
        return _facts(path, opened, schema, labels)


def _facts(
    path: Path, opened: pq.ParquetFile, schema: pa.Schema, labels: Mapping[str, str]
) -> FileFacts:
    found = opened.schema_arrow
    check_schema(path, found, schema)
    check_labels(path, found, labels)
    footer = opened.metadata
    stamps = [
        footer.row_group(i).column(found.names.index("ts")).statistics
        for i in range(footer.num_row_groups)
    ]
    known = bool(stamps) and all(s is not None and s.has_min_max for s in stamps)
    metadata = found.metadata or {}
    return FileFacts(
        path=path,
        rows=footer.num_rows,
        first_ts=min(s.min for s in stamps) if known else None,
        last_ts=max(s.max for s in stamps) if known else None,
        seq=int(metadata.get(b"zion.seq", b"0")),
        head=metadata.get(b"zion.head") == b"1",
        size_bytes=path.stat().st_size,
    )


def read_columns(path: Path, schema: pa.Schema, labels: Mapping[str, str]) -> np.ndarray:
    """Read a file's columns into one aligned block.

    Returns
    -------
    float64[columns, n]
        Rows in the order of `schema`; the ts row holds int64 bits (`.view(np.int64)`). A null is
        NaN.

    Raises
    ------
    DataError
        Missing or mistyped columns, a null or absurd ts, a truncated or unreadable file.
    """
    with open_parquet(path) as opened:
        check_schema(path, opened.schema_arrow, schema)
        check_labels(path, opened.schema_arrow, labels)
        try:
            block = _read_block(path, opened, schema)
        except (pa.ArrowException, OSError) as error:
            raise bad_file(path, error) from error
    ts = block[0].view(np.int64)
    if len(ts) and (ts.min() < TS_MIN_MS or ts.max() > TS_MAX_MS):
        raise DataError(
            f"{path}: ts runs from {ts.min()} to {ts.max()}",
            why="null values, or another unit than UTC milliseconds of the bar's open",
            hint="zion data import PATH understands seconds, ms and us",
        )
    return block


def _read_block(path: Path, opened: pq.ParquetFile, schema: pa.Schema) -> np.ndarray:
    footer, found = opened.metadata, opened.schema_arrow
    rows = footer.num_rows
    block = np.empty((len(schema), rows))
    group = footer.row_group(0) if footer.num_row_groups == 1 else None
    rest = []
    fd = os.open(path, os.O_RDONLY)
    try:
        for row, name in zip(block, schema.names, strict=True):
            index = found.get_field_index(name)
            nullable = found.field(index).nullable
            chunk = group.column(index) if group else None
            offset = _plain_offset(chunk, rows, nullable=nullable) if chunk else None
            if offset is None:
                rest.append((row, name))
            elif rows and os.preadv(fd, [row.data], offset) != row.nbytes:
                _fill(fd, row, offset)
    finally:
        os.close(fd)
    if rest:
        table = opened.read(columns=[name for _, name in rest], use_threads=False)
        for row, name in rest:
            _decode(row, name, table.column(name))
    return block


def _plain_offset(chunk: Any, rows: int, *, nullable: bool) -> int | None:
    """Return where a column's values lie as plain bytes, or None when pyarrow must decode it."""
    if (
        chunk.compression != "UNCOMPRESSED"
        or chunk.has_dictionary_page
        or not set(chunk.encodings) <= {"PLAIN", "RLE"}
    ):
        return None
    if nullable and (chunk.statistics is None or chunk.statistics.null_count != 0):
        return None
    head = chunk.total_compressed_size - 8 * rows
    # One page has one short header; more bytes than that mean several pages.
    return chunk.data_page_offset + head if 0 < head < _PAGE_HEADER_MAX_BYTES else None


def _fill(fd: int, row: np.ndarray, offset: int) -> None:
    # One call reads at most 2 GB, and signals may cut it short.
    rest = row.data.cast("B")
    while rest:
        got = os.preadv(fd, [rest], offset)
        if got == 0:
            raise OSError(errno.EIO, "the file ends before its columns do")
        rest, offset = rest[got:], offset + got


def _decode(row: np.ndarray, name: str, column: pa.ChunkedArray) -> None:
    if name == "ts":
        # A null becomes 0, which the check of the range then names.
        row.view(np.int64)[:] = column.fill_null(0).to_numpy()
    else:
        # A column that is null throughout is common (turnover) and need not be decoded.
        row[:] = np.nan if column.null_count == len(row) else column.to_numpy()
