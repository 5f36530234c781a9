"""Columns of a series as one mapped file: the second read costs a stat, not a read.

A cache file is a 64-byte header (magic, rows, skipped counts) and seven columns of 8-byte values.
Its name holds the series and the identity (path, inode, size, mtime_ns) of every file behind it, so
a changed lake never meets a stale copy. The folder is the caller's, never the lake itself.
"""

import hashlib
import mmap
import os
from contextlib import suppress
from pathlib import Path

import numpy as np

from data.files import write_atomic
from engine.bars import COLUMNS
from engine.errors import DataError

_MAGIC = b"ZIONCOL1"
_HEADER_BYTES = 64


def identity(folder: str) -> tuple[tuple[str, int, int, int], ...]:
    """Return what tells the Parquet files of a folder from any other content; () without one."""
    # Plain strings and one scandir: this is the whole price of a warm read.
    try:
        with os.scandir(folder) as entries:
            found = [
                (entry.name, s.st_ino, s.st_size, s.st_mtime_ns)
                for entry in entries
                if entry.name.endswith(".parquet") and entry.name[0] != "."
                for s in (entry.stat(),)
            ]
    except OSError:
        return ()
    return tuple(sorted(found))


class ColumnCache:
    """A folder of mapped columns.

    Attributes
    ----------
    write_error : str
        Why the last write failed, else "": a cache that cannot be written is slow, not wrong.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write_error = ""

    def load(self, series: str, key: object) -> tuple[np.ndarray, tuple[int, ...]] | None:
        """Return (float64[7, n] mapped read-only, counts) or None when there is no valid copy."""
        path = self._path(series, key)
        try:
            fd = os.open(path, os.O_RDONLY)
        except OSError:
            return None
        try:
            mapped = mmap.mmap(fd, 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError):
            return None
        finally:
            os.close(fd)
        header = (
            np.frombuffer(mapped, np.int64, _HEADER_BYTES // 8)
            if len(mapped) >= _HEADER_BYTES
            else None
        )
        if header is None or mapped[:8] != _MAGIC:
            return None
        rows = int(header[1])
        if len(mapped) != _HEADER_BYTES + 8 * len(COLUMNS) * rows:
            return None
        flat = np.frombuffer(mapped, np.float64, offset=_HEADER_BYTES)
        return flat.reshape(len(COLUMNS), rows), tuple(int(x) for x in header[2:5])

    def store(self, series: str, key: object, block: np.ndarray, counts: tuple[int, ...]) -> None:
        """Keep a copy and drop the stale ones of the same series."""
        header = np.zeros(_HEADER_BYTES // 8, np.int64)
        header[0] = np.frombuffer(_MAGIC, np.int64)[0]
        header[1] = block.shape[1]
        header[2:5] = counts
        path = self._path(series, key)
        try:
            write_atomic(path, header.tobytes() + block.tobytes())
        except DataError as error:
            self.write_error = error.why
            return
        self.write_error = ""
        for old in path.parent.glob(f"{path.name.split('-')[0]}-*.cols"):
            if old != path:
                with suppress(OSError):
                    old.unlink()

    def _path(self, series: str, key: object) -> Path:
        return self.folder / f"{_digest(series)}-{_digest(key)}.cols"


def _digest(value: object) -> str:
    return hashlib.blake2b(repr(value).encode(), digest_size=10).hexdigest()
