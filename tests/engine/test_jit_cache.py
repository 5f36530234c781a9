"""An edited callee in another file is seen by plain Python, whatever the compiler has cached."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import engine
from engine.kernels._jit import ROOMS_WITHOUT_KERNELS

CALLER = """from engine.kernels._jit import kernel
from engine.kernels.probe_callee import factor

@kernel
def scaled(x: float) -> float:
    return factor() * x
"""
CALLEE = """from engine.kernels._jit import kernel

@kernel
def factor() -> float:
    return {factor}
"""
ASK = "from engine.kernels.probe_caller import scaled; print(scaled(3.0))"


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    source = Path(engine.__file__).parent
    root = tmp_path / "checkout"
    shutil.copytree(source, root / "engine", ignore=shutil.ignore_patterns("__pycache__"))
    kernels = root / "engine" / "kernels"
    (kernels / "probe_caller.py").write_text(CALLER, encoding="utf-8")
    (kernels / "probe_callee.py").write_text(CALLEE.format(factor="10.0"), encoding="utf-8")
    return root


def _ask(root: Path, home: Path, **more: str) -> float:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA", "PYTHON"))}
    env = kept | {"HOME": str(home), "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"} | more
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", ASK], cwd=home, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


def _edit(root: Path, factor: str) -> None:
    callee = root / "engine" / "kernels" / "probe_callee.py"
    callee.write_text(CALLEE.format(factor=factor), encoding="utf-8")


def test_an_edited_callee_gives_the_new_number(copied: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (copied / "pyproject.toml").touch()  # a checkout keeps its cache beside itself
    assert _ask(copied, home) == 30.0
    cache = copied / ".cache" / "numba"
    assert len(list(cache.iterdir())) == 1
    assert list(cache.rglob("*.nbc")), "nothing was cached: the test would prove nothing"
    _edit(copied, "20.0")
    assert _ask(copied, home) == 60.0
    assert len(list(cache.iterdir())) == 2
    assert not (home / ".cache").exists()


def test_an_installed_engine_caches_at_home(copied: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    assert _ask(copied, home) == 30.0
    assert list((home / ".cache" / "zion-core" / "numba").rglob("*.nbc"))
    assert not (copied / ".cache").exists()


@pytest.mark.slow
def test_a_named_cache_wins(copied: Path, tmp_path: Path) -> None:
    home, mine = tmp_path / "home", tmp_path / "mine"
    home.mkdir()
    assert _ask(copied, home, NUMBA_CACHE_DIR=str(mine)) == 30.0
    assert list(mine.rglob("*.nbc")), "NUMBA_CACHE_DIR wins where it is set"


def _imported(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
        elif isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
    return found


def test_no_kernel_is_built_from_a_room_that_the_cache_key_leaves_out() -> None:
    root = Path(engine.__file__).parent
    files = {
        f"engine.{'.'.join(f.relative_to(root).with_suffix('').parts)}": f
        for f in root.rglob("*.py")
    }
    imports = {name: _imported(file) for name, file in files.items()}
    left = [n for n, found in imports.items() if "engine.kernels._jit" in found]
    kernels = set(left)
    assert len(kernels) > 10
    seen: set[str] = set()
    while left:
        name = left.pop()
        if name in seen or name not in imports:
            continue
        seen.add(name)
        left += imports[name]
    rooms = {name.split(".")[1] for name in seen}
    assert not rooms & ROOMS_WITHOUT_KERNELS
    assert {"kernels", "pipeline"} <= rooms
