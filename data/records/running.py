"""A function in a transaction: asynchronously over a driver, or inline for simulations."""

from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.ext.asyncio import AsyncEngine

from data.records.base import SqlStore, retried
from data.records.errors import unavailable
from data.records.port import StoreClock
from data.records.rows import Unavailable

T = TypeVar("T")


def _undo(connection: Connection) -> None:
    """Leave no transaction, and no lock of it, on a connection that goes back to the pool.

    A COMMIT that failed counts as an end to the pool; to the database it need not be one.
    """
    try:
        if not connection.closed and not connection.invalidated:
            connection.connection.rollback()
    except Exception:  # noqa: BLE001 - whatever it is, this connection is not used again
        connection.invalidate()


class AsyncStore(SqlStore):
    """Over an asynchronous engine.

    Parameters
    ----------
    engine : AsyncEngine
        Owned by the store from now on.
    clock : StoreClock
        See `SqlStore`.
    reading, writing : dict
        Execution options of the two kinds of transaction.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        clock: StoreClock,
        *,
        reading: dict[str, Any],
        writing: dict[str, Any],
    ) -> None:
        super().__init__(clock)
        self._engine = engine
        self._options = {False: reading, True: writing}

    async def _run(self, work: Callable[[Connection], T], *, writes: bool) -> T | Unavailable:
        attempt = 0
        while True:
            done = await self._once(work, self._options[writes])
            if not isinstance(done, Unavailable) or not retried(done, attempt):
                return done
            attempt += 1

    async def _once(
        self, work: Callable[[Connection], T], options: dict[str, Any]
    ) -> T | Unavailable:
        committing = False
        try:
            async with self._engine.connect() as connection:
                await connection.execution_options(**options)
                try:
                    answer = await connection.run_sync(work)
                    if isinstance(answer, Unavailable):
                        return answer
                    committing = True
                    await connection.commit()
                except BaseException:
                    await connection.run_sync(_undo)
                    raise
        except Exception as error:
            trouble = unavailable(error, committing=committing)
            if trouble is None:
                raise
            return trouble
        return answer

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()


class InlineStore(SqlStore):
    """Over a synchronous engine: the coroutines never wait, so a simulation owns all of time.

    Parameters
    ----------
    engine : Engine
        Owned by the store from now on.
    clock : StoreClock
        See `SqlStore`.
    reading, writing : dict
        Execution options of the two kinds of transaction.
    """

    def __init__(
        self,
        engine: Engine,
        clock: StoreClock,
        *,
        reading: dict[str, Any],
        writing: dict[str, Any],
    ) -> None:
        super().__init__(clock)
        self._engine = engine
        self._options = {False: reading, True: writing}

    async def _run(self, work: Callable[[Connection], T], *, writes: bool) -> T | Unavailable:
        attempt = 0
        while True:
            done = self._once(work, self._options[writes])
            if not isinstance(done, Unavailable) or not retried(done, attempt):
                return done
            attempt += 1

    def _once(self, work: Callable[[Connection], T], options: dict[str, Any]) -> T | Unavailable:
        committing = False
        try:
            with self._engine.connect().execution_options(**options) as connection:
                try:
                    answer = work(connection)
                    if isinstance(answer, Unavailable):
                        return answer
                    committing = True
                    connection.commit()
                except BaseException:
                    _undo(connection)
                    raise
        except Exception as error:
            trouble = unavailable(error, committing=committing)
            if trouble is None:
                raise
            return trouble
        return answer

    async def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()
