"""PostgreSQL over asyncpg."""

from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from data.records.base import options
from data.records.port import StoreClock
from data.records.running import AsyncStore

POOL_SIZE = 8  # connections of one process
POOL_WAIT_S = 5.0  # for one of them
ANSWER_S = 10.0  # a server that says nothing for so long is gone

# A process that was paused in the middle of a transaction must not hold its users' rows for ever.
_SERVER = {
    "application_name": "zion",
    "statement_timeout": "5s",
    "lock_timeout": "3s",
    "idle_in_transaction_session_timeout": "5s",
}

# Reading sees one moment of everything; writing locks what it decides on (see sql/engines.py).
READING = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
WRITING = {"isolation_level": "READ COMMITTED", "postgresql_readonly": False}


def postgres_engine(url: URL, *, timeouts: bool = True) -> AsyncEngine:
    """Return an engine; nothing is opened yet.

    Parameters
    ----------
    url : URL
        Of any spelling of the driver's name.
    timeouts : bool
        False for migrations, which may take their time.
    """
    limits = {"command_timeout": ANSWER_S, "server_settings": _SERVER} if timeouts else {}
    return create_async_engine(
        url.set(drivername="postgresql+asyncpg"),
        **options(
            pool_size=POOL_SIZE,
            max_overflow=0,
            pool_timeout=POOL_WAIT_S,
            pool_pre_ping=False,  # a dead connection is found by its first statement, and told
            connect_args={"timeout": POOL_WAIT_S, **limits},
        ),
    )


class PostgresStore(AsyncStore):
    """The store in PostgreSQL; its server's clock decides about leases."""

    def __init__(self, engine: AsyncEngine, clock: StoreClock) -> None:
        super().__init__(engine, clock, reading=READING, writing=WRITING)
