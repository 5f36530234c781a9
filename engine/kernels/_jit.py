"""One compile policy for every kernel.

numba keys its on-disk cache on each file's own content: after an edit of a callee in another file,
a stale copy of the caller would run. So the cache folder carries the hash of every file that a
kernel may be built from: the engine but for the rooms that hold none and are imported by none.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
R = TypeVar("R")

_ENGINE = Path(__file__).resolve().parents[1]

# Rooms without a kernel, whose change compiles nothing anew (a test holds every kernel against it).
ROOMS_WITHOUT_KERNELS = frozenset({"account", "risk", "venue"})


def source_hash(*, without: frozenset[str] = frozenset()) -> str:
    """Return the hash of the engine's Python files (12 hex digits), but for the rooms named."""
    digest = hashlib.sha256()
    for file in sorted(_ENGINE.rglob("*.py")):
        path = file.relative_to(_ENGINE)
        if path.parts[0] in without:
            continue
        digest.update(path.as_posix().encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _cache_root() -> Path:
    checkout = _ENGINE.parent
    if (checkout / "pyproject.toml").is_file():
        return checkout / ".cache" / "numba"
    return Path.home() / ".cache" / "zion-core" / "numba"


# numba.config reads NUMBA_CACHE_DIR itself; where it is set, it wins.
_config: Any = numba.config
if not _config.CACHE_DIR:
    _config.CACHE_DIR = str(_cache_root() / source_hash(without=ROOMS_WITHOUT_KERNELS))


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function to machine code with the project's one policy.

    No ``fastmath`` (it changes bytes), no ``parallel`` (batch over symbols), no GIL, cached.
    """
    return cast("Callable[P, R]", numba.njit(cache=True, nogil=True, error_model="numpy")(function))
