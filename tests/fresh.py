"""`make fresh`: clone, empty caches; seconds to the demo page and to passing tests.

Not a test of pytest's: it takes minutes and the network's registries.
"""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from tempfile import TemporaryDirectory

PAGE_WITHIN_S = 600.0


def _environment(home: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("UV_", "ZION_", "NUMBA_"))}
    caches = {"HOME": home, "UV_CACHE_DIR": home / "uv", "PIP_CACHE_DIR": home / "pip"}
    # pyenv's shims look for their versions under the old home
    root = os.environ.get("PYENV_ROOT", str(Path.home() / ".pyenv"))
    return {**kept, **{k: str(v) for k, v in caches.items()}, "PYENV_ROOT": root, "MAKEFLAGS": ""}


def _page(make: list[str], clone: Path, env: dict[str, str], started: float) -> float:
    run = subprocess.Popen(  # noqa: S603
        [*make, "run", "ARGS=--no-browser --port 0"],
        cwd=clone,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        for line in run.stdout or ():
            sys.stdout.write(f"    {line}")
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
            if found and "Open" in line:
                with urllib.request.urlopen(found.group(), timeout=60) as reply:  # noqa: S310
                    if reply.status == 200:
                        return time.monotonic() - started
            if time.monotonic() - started > PAGE_WITHIN_S:
                break
        raise SystemExit("no page")
    finally:
        os.killpg(run.pid, signal.SIGINT)
        run.wait(60)


def main() -> None:
    """Clone, run, test; print the seconds."""
    source = Path(__file__).resolve().parents[1]
    with TemporaryDirectory() as folder:
        clone, home = Path(folder) / "zion", Path(folder) / "home"
        home.mkdir()
        subprocess.run(["git", "clone", "-q", str(source), str(clone)], check=True)  # noqa: S603, S607
        shared = source.parent / "shared"
        if shared.is_dir():
            (clone.parent / "shared").symlink_to(shared)
        env = _environment(home)
        make = ["make", f"PYTHON={sys.executable}"]
        started = time.monotonic()
        page_s = _page(make, clone, env, started)
        print(f"make run: page after {page_s:.0f} s")  # noqa: T201
        started = time.monotonic()
        subprocess.run([*make, "test"], cwd=clone, env=env, check=True)  # noqa: S603
        print(f"make test: passed after {time.monotonic() - started:.0f} s")  # noqa: T201


if __name__ == "__main__":
    main()
