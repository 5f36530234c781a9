"""Execute the notebooks: text in, `<out>/*.ipynb` with their results out.

python -m research.notebooks.execute [NAME ...] [--out var/notebooks]
"""

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).parent
OUT = Path("var/notebooks")


def sources() -> dict[str, Path]:
    """Return the notebooks by name."""
    own = {"__init__", "execute"}
    return {p.stem: p for p in sorted(HERE.glob("*.py")) if p.stem not in own}


def execute(name: str, out: Path, *, timeout_s: int = 300) -> Path:
    """Run one notebook from top to bottom; return the file written. A cell's error is raised."""
    import jupytext
    from nbclient import NotebookClient

    notebook = jupytext.read(sources()[name], fmt="py:percent")
    client = NotebookClient(
        notebook, timeout=timeout_s, kernel_name="python3",
        resources={"metadata": {"path": str(HERE.parents[1])}},
    )  # fmt: skip
    client.execute()
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{name}.ipynb"
    jupytext.write(notebook, path, fmt="ipynb")
    return path


def main(arguments: list[str] | None = None) -> int:
    """Execute all notebooks, or those named."""
    parser = argparse.ArgumentParser(description="Execute the notebooks.")
    parser.add_argument("names", nargs="*", choices=[[], *sources()])
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args(arguments)
    for name in options.names or sources():
        sys.stdout.write(f"{execute(name, options.out)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
