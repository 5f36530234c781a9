"""A service process, and the named points at which it kills itself.

It is `app.api.serve` as it stands; the end is hung on the methods of this one process, so what runs
elsewhere knows nothing of it. SIGKILL asks nobody: no handler, no `finally`, no flush.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

POINTS = (
    "commit.before",  # an order is decided, nothing is written
    "commit.after",  # it is written, nothing is sent
    "place.before",  # about to be sent
    "place.sent",  # on the wire, not answered
    "place.after",  # answered, the answer not written
    "stop.before",
    "stop.after",
    "cancel.before",
    "cancel.after",
)
_SENT_S = 0.003  # enough to write a request, too short for most answers


def _end() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _any(_first: Any) -> bool:
    return True


def hang_on(
    cls: type,
    name: str,
    moment: str,
    visit: int,
    *,
    counts: Callable[[Any], bool] = _any,
    end: Callable[[], None] = _end,
) -> None:
    """Let a method of a class end this process before, during or after its `visit`-th call.

    Parameters
    ----------
    cls : type
    name : str
    moment : str
        ``before``, ``sent`` (the call is under way), ``after`` (it has answered).
    visit : int
    counts : callable, optional
        Which calls count, by their first argument.
    end : callable, optional
        SIGKILL by default.
    """
    real = getattr(cls, name)
    left = [visit]

    def passed() -> None:
        left[0] -= 1
        if left[0] == 0:
            end()

    async def hung(self: Any, first: Any, *args: Any, **named: Any) -> Any:
        if not counts(first):
            return await real(self, first, *args, **named)
        if moment == "before":
            passed()
        asked = asyncio.ensure_future(real(self, first, *args, **named))
        if moment == "sent":
            await asyncio.wait({asked}, timeout=_SENT_S)
            passed()
        answer = await asked
        if moment == "after":
            passed()
        return answer

    setattr(cls, name, hung)


def _places(commits: Any) -> bool:
    """Tell whether a transaction writes down an order that is to be sent."""
    return any(row.state == "new" for commit in commits for row in commit.intents)


def hang(point: str, visit: int) -> None:
    """Prepare the end of this process."""
    from data.records.postgres import PostgresStore
    from data.records.sqlite import SqliteStore
    from live.venues.bybit.trading import BybitTrading

    where, moment = point.split(".")
    if where == "commit":
        for store in (SqliteStore, PostgresStore):
            hang_on(store, "commit_many", moment, visit, counts=_places)
        return
    method = {"place": "place", "stop": "set_trading_stop", "cancel": "cancel"}[where]
    hang_on(BybitTrading, method, moment, visit)


def main(environment: Mapping[str, str], log: str, point: str, visit: int) -> None:
    """Serve; with a point, die there."""
    with Path(log).open("ab") as told:
        os.dup2(told.fileno(), 1)
        os.dup2(told.fileno(), 2)
    for name in [n for n in os.environ if n.startswith("ZION_")]:
        del os.environ[name]
    os.environ.update(environment)
    if point:
        hang(point, visit)
    from app.api.serve import main as serve

    serve()
