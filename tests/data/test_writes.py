"""A lake is never left half-written: full disk, no folder, killed in mid-write."""

import errno
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from data.catalog import Lake
from data.files import write_refused
from engine.errors import DataError
from tests.conftest import REPOSITORY
from tests.data.worlds import run_of, same

NAME = ("v", "15m", "AUSDT")

FULL = """
import resource, sys
from data.catalog import Lake
from engine.errors import DataError
from tests.data.worlds import run_of
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
lake = Lake(sys.argv[1])
for write in (lake.write_bars, lake.append):
    try:
        write("v", "15m", "AUSDT", run_of(20_000, close=9.0))
    except DataError as error:
        print(error.exit_code, error.what, "|", error.why, "|", error.hint)
"""

WRITER = """
import sys
from data.catalog import Lake
from tests.data.worlds import run_of
lake = Lake(sys.argv[1])
whole = {n: run_of(60_000, close=float(n)) for n in (1, 2)}
for turn in range(10**6):
    print(turn, flush=True)
    lake.write_bars("v", "15m", "AUSDT", whole[1 + turn % 2])
    lake.append("v", "15m", "BUSDT", run_of(9_000, close=float(1 + turn % 2)))
    lake.compact("v", "15m", "BUSDT")
"""


def _files(root: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in root.rglob("*") if p.is_file() and p.name != ".lock"}


def test_a_full_disk_leaves_the_old_series_and_says_so(tmp_path):
    lake = Lake(tmp_path)
    lake.write_bars(*NAME, run_of(1_000))
    before = _files(tmp_path)
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", FULL, str(tmp_path)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    for line in lines:
        assert line.startswith("3 cannot write")
        assert "what was there before is untouched" in line
    assert _files(tmp_path) == before
    assert same(lake.read(*NAME), run_of(1_000))


@pytest.mark.parametrize(
    ("number", "words"), [(errno.ENOSPC, "disk is full"), (errno.EROFS, "read-only")]
)
def test_the_reason_of_a_refused_write_is_told(number, words):
    error = write_refused(Path("x/data.parquet"), OSError(number, "raw words"))
    assert "x/data.parquet" in error.what
    assert words in error.why
    assert error.hint


def test_an_unwritable_place_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write") as caught:
        Lake(tmp_path / "file").write_bars(*NAME, run_of(3))
    assert "a file stands where a folder is needed" in caught.value.why


def test_a_writer_killed_at_any_moment_leaves_a_whole_lake(tmp_path):
    rng = np.random.default_rng(5)
    lake = Lake(tmp_path)
    for _ in range(6):
        with subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", WRITER, str(tmp_path)],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            text=True,
        ) as writer:
            assert writer.stdout is not None
            # It speaks before each turn: after the last word read it is in the midst of writing.
            for _ in range(int(rng.integers(3, 10))):
                assert writer.stdout.readline()
            writer.send_signal(signal.SIGKILL)
            writer.wait()
        whole = lake.read(*NAME)
        assert len(whole) == 60_000
        assert len(set(whole.close.tolist())) == 1
        tail = lake.read("v", "15m", "BUSDT")
        assert len(tail) == 9_000
    lake.write_bars(*NAME, run_of(3))
    assert not list(tmp_path.rglob("symbol=AUSDT/.*.tmp"))
    assert same(lake.read(*NAME), run_of(3))
