"""A driver's failure as the one thing a caller can act on; words carry no values or addresses."""

import sqlite3
from typing import Any

from sqlalchemy import exc

from data.records.rows import Unavailable
from engine.errors import DataError


class CorruptRow(Exception):  # noqa: N818 - it names what was found
    """What was read cannot have been written by us."""


_IOERR = 10
# SQLite's primary result codes (sqlite.org/rescode.html).
_SQLITE = {
    5: "locked",  # BUSY
    6: "locked",  # LOCKED
    8: "down",  # READONLY
    _IOERR: "down",
    11: "corrupt",  # CORRUPT
    13: "full",  # FULL
    14: "down",  # CANTOPEN
    19: "corrupt",  # CONSTRAINT: the commit contradicts what is stored
    23: "down",  # AUTH
    26: "corrupt",  # NOTADB
}
# PostgreSQL's SQLSTATE, whole or by class (appendix A of its manual).
_STATES = {
    "40001": "locked",  # serialization_failure
    "40P01": "locked",  # deadlock_detected
    "55P03": "locked",  # lock_not_available
    "57014": "locked",  # query_canceled: our own statement timeout
    "0A000": "locked",  # a cached plan that a migration outdated: prepared anew at the next try
    "53100": "full",  # disk_full
    "XX001": "corrupt",
    "XX002": "corrupt",
}
_CLASSES = {
    "08": "down",  # connection exceptions
    "22": "corrupt",  # data exceptions: a value the type cannot hold
    "23": "corrupt",  # integrity constraints
    "25": "down",  # a read-only or broken transaction
    "28": "down",  # credentials
    "3D": "down",  # no such database
    "42": "down",  # no such table or right: the schema is not ours
    "53": "down",  # out of memory, too many connections
    "57": "down",  # shutdown
    "58": "down",  # system errors
    "P0": "corrupt",  # raised by a trigger: append-only
    "XX": "down",
}


def unavailable(error: BaseException, *, committing: bool = False) -> Unavailable | None:
    """Return what a failure means, None for one that is no weather (a bug: let it be seen).

    Parameters
    ----------
    error : BaseException
        What the driver, the pool or the reading of a row raised.
    committing : bool
        It came from COMMIT itself: without the database's own no, nobody knows.
    """
    kind, said = _kind(error)
    if kind is None:
        return None
    name = type(getattr(error, "orig", None) or error).__name__
    if committing and not said:
        return Unavailable(
            reason=f"the connection was lost at COMMIT ({name})",
            kind="unknown_commit",
            maybe_committed=True,
        )
    words = str(error) if isinstance(error, CorruptRow) else f"{_WORDS[kind]} ({name})"
    return Unavailable(reason=words, kind=kind)


_WORDS = {
    "down": "the database cannot be reached",
    "locked": "the database is busy",
    "full": "the database's disk is full",
    "corrupt": "the database refused or broke a row",
}


def _kind(error: BaseException) -> tuple[str | None, bool]:
    """Return (kind, whether the database itself said so)."""
    if isinstance(error, CorruptRow | DataError):
        return "corrupt", True
    if isinstance(error, exc.TimeoutError):  # every connection of the pool is in use
        return "locked", True
    original: Any = getattr(error, "orig", None) or error
    if isinstance(original, sqlite3.Error) or hasattr(original, "sqlite_errorcode"):
        return _of_sqlite(original)
    state = getattr(original, "sqlstate", None)
    if isinstance(state, str) and state:
        kind = _STATES.get(state) or _CLASSES.get(state[:2], "down")
        return kind, state[:2] not in {"08", "57", "58"}
    if isinstance(original, OSError | TimeoutError | ConnectionError | EOFError):
        return "down", False
    if isinstance(error, exc.DBAPIError):  # a closed connection, a driver's own trouble
        corrupt = not error.connection_invalidated and isinstance(error, exc.DataError)
        return ("corrupt" if corrupt else "down"), corrupt
    # A value that the driver cannot write: too large, not text.
    unwritable = isinstance(error, exc.StatementError | OverflowError | UnicodeError)
    return ("corrupt" if unwritable else None), True


def _of_sqlite(error: Any) -> tuple[str, bool]:
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:  # the driver's own: a closed connection
        return "down", False
    # An I/O error may come after the write: only a code that names a refusal is an answer.
    return _SQLITE.get(code & 0xFF, "down"), code & 0xFF != _IOERR
