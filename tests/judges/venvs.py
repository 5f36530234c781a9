"""One virtual environment a client, made on first use from pinned requirements."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
HOME = Path("var/judges")
PYTHON_MIN = {"nautilus": (3, 12)}
BUILD_TIMEOUT_S = 900


class NotRun(Exception):  # noqa: N818 - an outcome
    """A judge cannot be asked; the words say why."""


def version(client: str, package: str) -> str:
    """Return the pinned version of a package in a client's environment."""
    for line in (HERE / f"requirements-{client}.txt").read_text().splitlines():
        name, _, pinned = line.partition("==")
        if name == package:
            return pinned
    raise LookupError(f"{package} is not pinned for {client}")


def interpreter(client: str) -> str:
    """Return the Python a client needs.

    Raises
    ------
    NotRun
        No interpreter of the version it needs is known.
    """
    least = PYTHON_MIN.get(client)
    if least is None or sys.version_info[:2] >= least:
        return sys.executable
    named = os.environ.get("JUDGE_PYTHON")
    wanted = ".".join(map(str, least))
    for candidate in [named] if named else [f"python{wanted}", "python3.13", "python3.14"]:
        path = shutil.which(candidate)
        found = path and subprocess.run(  # noqa: S603 - an interpreter that the developer names
            [path, "-c", "import sys; print(*sys.version_info[:2])"],
            capture_output=True,
            text=True,
            check=False,
        )
        if found and found.returncode == 0 and tuple(map(int, found.stdout.split())) >= least:
            return str(path)
    where = f"JUDGE_PYTHON={named} is not it" if named else "JUDGE_PYTHON=path names one"
    raise NotRun(f"needs Python {wanted} or newer; {where}")


def python_of(client: str) -> Path:
    """Return the Python of a client's environment, making the environment when it is not there."""
    pinned = HERE / f"requirements-{client}.txt"
    folder = HOME / client
    python = folder / "bin" / "python"
    mark = folder / ".made-from"
    if mark.is_file() and mark.read_text() == pinned.read_text():
        return python.absolute()
    uv = str(Path(sys.executable).with_name("uv"))
    _run([uv, "venv", "-q", "--clear", "--python", interpreter(client), str(folder)], client)
    _run([uv, "pip", "install", "-q", "--python", str(python), "-r", str(pinned)], client)
    mark.write_text(pinned.read_text())
    return python.absolute()


def _run(command: list[str], client: str) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - our own words
            command, capture_output=True, text=True, check=False, timeout=BUILD_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotRun(f"the environment of {client} could not be made: {error}") from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no words"])[-1]
        raise NotRun(f"the environment of {client} could not be made: {last}")
