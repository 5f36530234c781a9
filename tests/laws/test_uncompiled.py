"""The same source without the compiler gives the same bytes; a reassociated sum does not.

This is what `fastmath` does to a kernel, so the law would see it in the compile policy too.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import engine
from engine.pipeline.phase import EVENT, new_contexts
from tests.laws import checks
from tests.paths_gen import path
from tests.small_profiles import small

pytestmark = pytest.mark.laws

BARS, SEEDS, NAMES = 220, (0,), ("default", "v1")
SCRIPT = """
import sys
import numpy as np
import engine
from tests.laws.test_uncompiled import events
assert engine.__file__.startswith(sys.argv[1]), engine.__file__
with open(sys.argv[2], "wb") as file:
    file.write(events().tobytes())
"""


def events() -> np.ndarray:
    """Scan some short paths with two profiles."""
    return np.concatenate([
        checks.scan(new_contexts(1), small(name), path(np.random.default_rng(seed), BARS))
        for seed in SEEDS
        for name in NAMES
    ])  # fmt: skip


def _elsewhere(tmp_path: Path, file: str = "", old: str = "", new: str = "") -> np.ndarray:
    """Run `events` uncompiled on a copy of the engine, one piece of its source replaced."""
    source = Path(engine.__file__).parent
    shutil.copytree(source, tmp_path / "engine", ignore=shutil.ignore_patterns("__pycache__"))
    if file:
        target = tmp_path / "engine" / file
        text = target.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{file} reads otherwise now: write this mutant anew"
        target.write_text(text.replace(old, new), encoding="utf-8")
    out = tmp_path / "events.bin"
    env = os.environ | {
        "NUMBA_DISABLE_JIT": "1",
        "NUMBA_CACHE_DIR": str(tmp_path / "cache"),
        "PYTHONPATH": os.pathsep.join([str(tmp_path), str(source.parent)]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [
        sys.executable,
        "-W",
        "ignore::RuntimeWarning",
        "-c",
        SCRIPT,
        str(tmp_path),
        str(out),
    ]
    done = subprocess.run(  # noqa: S603 - our own interpreter
        command, env=env, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return np.frombuffer(out.read_bytes(), EVENT)


def test_compiled_and_uncompiled_agree_on_every_byte(tmp_path: Path) -> None:
    compiled = events()
    assert len(compiled) > 8
    checks.same(compiled, _elsewhere(tmp_path), "compiled against plain Python")


def test_a_reassociated_mean_is_caught(tmp_path: Path) -> None:
    wrong = _elsewhere(
        tmp_path,
        "kernels/rolling.py",
        "return mean + weight * (x - mean)",
        "return (1.0 - weight) * mean + weight * x",
    )
    with pytest.raises(AssertionError):
        checks.same(events(), wrong, "reassociated")
