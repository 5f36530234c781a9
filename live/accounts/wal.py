"""What could not be journalled in the store, on a local file, until the store is back.

A line is one commit, as JSON with its checksum. The file is the user's own, mode 0600; `append`
returns when the disk has it. A torn last line (the process was killed in the middle) is no line.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from zlib import crc32

import msgspec

from data.records.rows import Commit

_MODE = 0o600
_decode = msgspec.json.Decoder(Commit).decode


def write_line(commit: Commit) -> bytes:
    """Return a commit as a line."""
    body = msgspec.json.encode(commit)
    return b"%08x %s\n" % (crc32(body), body)


def read_line(line: bytes) -> Commit | None:
    """Return the commit of a line; None: it is torn or broken."""
    mark, _, body = line.rstrip(b"\n").partition(b" ")
    if mark != b"%08x" % crc32(body):
        return None
    try:
        return _decode(body)
    except msgspec.DecodeError:
        return None


class FileWal:
    """A `Wal` on disk.

    Parameters
    ----------
    path : Path
        Made when the first line is written, and its folder with it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, line: bytes) -> None:
        """Write one line and wait until the disk has it."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, _MODE)
        try:
            os.fchmod(fd, _MODE)
            view = memoryview(line)
            while view:
                view = view[os.write(fd, view) :]
            os.fsync(fd)
        finally:
            os.close(fd)

    def read(self) -> Sequence[bytes]:
        """Return every whole line."""
        if not self.path.is_file():
            return ()
        return [part + b"\n" for part in self.path.read_bytes().split(b"\n")[:-1]]

    def clear(self) -> None:
        """Forget everything."""
        self.path.unlink(missing_ok=True)

    def set_aside(self) -> str:
        """Keep the file under a name that is free, and begin an empty one."""
        number = 1
        while (kept := self.path.with_name(f"{self.path.name}.{number}.aside")).exists():
            number += 1
        self.path.rename(kept)
        return kept.name


class FileWals:
    """The files of all users in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def of(self, user_id: str) -> FileWal:
        """Return a user's file. The id is one of ours: a name with anything else is refused."""
        if not user_id.replace("-", "").isalnum():
            raise ValueError("a user id is made of letters, digits and -")
        return FileWal(self._folder / f"{user_id}.wal")


class MemoryWal:
    """A `Wal` for simulations: it outlives the process because the test holds it."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.aside: list[list[bytes]] = []
        self.full = False  # planted: the disk takes nothing

    def append(self, line: bytes) -> None:
        """Keep one line."""
        if self.full:
            raise OSError(28, "no space left on device")
        self.lines.append(line)

    def read(self) -> Sequence[bytes]:
        """Return every line."""
        return list(self.lines)

    def clear(self) -> None:
        """Forget everything."""
        self.lines.clear()

    def set_aside(self) -> str:
        """Keep the lines elsewhere."""
        self.aside.append(list(self.lines))
        self.lines.clear()
        return f"{len(self.aside)}.aside"


class MemoryWals:
    """The same for all users."""

    def __init__(self) -> None:
        self.wals: dict[str, MemoryWal] = {}

    def of(self, user_id: str) -> MemoryWal:
        """Return a user's lines."""
        return self.wals.setdefault(user_id, MemoryWal())
