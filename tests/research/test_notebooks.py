"""The notebooks run from top to bottom and show what they promise."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from research.notebooks.execute import sources

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", sorted(sources()))
def test_notebook_runs(name, tmp_path):
    # in a process of its own: a kernel's warnings are not ours
    command = [sys.executable, "-m", "research.notebooks.execute", name, "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)  # noqa: S603
    assert done.returncode == 0, done.stderr[-3000:]
    cells = json.loads((tmp_path / f"{name}.ipynb").read_text())["cells"]
    kinds = [kind for c in cells for o in c.get("outputs", []) for kind in o.get("data", {})]
    assert any("plotly" in kind for kind in kinds)
    assert any("html" in kind for kind in kinds)
