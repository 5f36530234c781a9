"""A user's inbox: bounded, in order of importance, and nothing that is money is ever dropped.

People first, then what the account and our own requests say, then signals, then the market. Within
a rank the order of arrival holds. What only tells the newest state of a thing (a quote, a regime,
an order as described last) replaces the older word that nobody has read yet.
"""

from asyncio import Event
from collections.abc import Hashable
from enum import IntEnum
from typing import Any

from engine.account import messages as m


class Rank(IntEnum):
    """Who is read first."""

    PEOPLE = 0
    ACCOUNT = 1
    SIGNAL = 2
    MARKET = 3


SIGNALS_MAX = 64  # more at once than any user may trade; what is beyond would be stale when read
MARKET_MAX = 2_000  # bars of held coins; a reader that far behind has other troubles
BURST_MAX = 256  # messages decided under one commit

_PEOPLE = (m.Control, m.EntriesAllowed, m.SettingsChanged)
_MARKET = (m.BarClosed, m.QuoteSeen, m.RegimeSeen, m.ContractSeen, m.Tick)


def rank_of(message: m.Message) -> Rank:
    """Return how urgent a message is."""
    if isinstance(message, _PEOPLE):
        return Rank.PEOPLE
    if isinstance(message, m.SignalHeard | m.SignalEnded):
        return Rank.SIGNAL
    return Rank.MARKET if isinstance(message, _MARKET) else Rank.ACCOUNT


def newest_of(message: m.Message) -> Hashable | None:
    """Return of which thing a message tells the newest state; None: every one counts."""
    match message:
        case m.QuoteSeen(symbol=symbol):
            return ("quote", symbol)
        case m.ContractSeen(contract=contract):
            return ("contract", contract.symbol)
        case m.OrderSeen(order=order):
            return ("order", order.order_id)
        case m.PositionSeen(position=position):
            return ("position", position.symbol, position.position_idx)
        case m.WalletSeen() | m.RegimeSeen() | m.Tick() | m.AccountRead():
            return type(message).__name__
        case _:
            return None


class Inbox:
    """One reader, many writers, all on one event loop.

    Parameters
    ----------
    signals_max, market_max : int
        What may wait of each; beyond it `put` refuses. Other ranks take everything: an execution
        is never lost for want of room, and a person is never kept from stopping.
    """

    def __init__(self, *, signals_max: int = SIGNALS_MAX, market_max: int = MARKET_MAX) -> None:
        self.refused = 0
        self._room = {Rank.SIGNAL: signals_max, Rank.MARKET: market_max}
        self._waiting: dict[Rank, dict[Hashable, tuple[float, Any]]] = {r: {} for r in Rank}
        self._count = 0
        self._woken = Event()

    def __len__(self) -> int:
        return sum(len(queue) for queue in self._waiting.values())

    def put(self, message: m.Message, now_s: float = 0.0) -> bool:
        """Leave a message; False: there is no room for its kind."""
        rank = rank_of(message)
        queue = self._waiting[rank]
        key = newest_of(message)
        older = queue.pop(key, None) if key is not None else None
        if older is None and len(queue) >= self._room.get(rank, len(queue) + 1):
            self.refused += 1
            return False
        if key is None:
            self._count += 1
            key = self._count
        queue[key] = (older[0] if older is not None else now_s, message)
        self._woken.set()
        return True

    async def take(self, most: int = BURST_MAX) -> list[m.Message]:
        """Return what waits, most urgent first, waiting for at least one message."""
        while not len(self):
            self._woken.clear()
            await self._woken.wait()
        taken: list[m.Message] = []
        for queue in self._waiting.values():
            keys = list(queue)[: most - len(taken)]
            taken += [queue.pop(key)[1] for key in keys]
            if len(taken) >= most:
                break
        return taken

    def waiting_facts(self) -> int:
        """Return how much of people and of the account has not been read."""
        return len(self._waiting[Rank.PEOPLE]) + len(self._waiting[Rank.ACCOUNT])

    def lag_s(self, now_s: float) -> float:
        """Return how long the oldest message has waited."""
        oldest = [put_s for queue in self._waiting.values() for put_s, _ in queue.values()]
        return max(0.0, now_s - min(oldest)) if oldest else 0.0
