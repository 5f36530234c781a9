"""Opens users' accounts at the venue: key, rights and modes looked at, then the two connections."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engine.venue import wire
from engine.venue.wire.keys import read_account_info, read_key_info
from live.clock import Clock
from live.venues.bybit.budgets import RequestBudget
from live.venues.bybit.clock_offset import VenueClock
from live.venues.bybit.frames import Connect, open_websocket
from live.venues.bybit.gate import Answer, Gate, Said
from live.venues.bybit.keycheck import Faults, faults_of_account, faults_of_key
from live.venues.bybit.private_stream import BybitPrivateStream
from live.venues.bybit.signer import Signer
from live.venues.bybit.trade_stream import TradeStream
from live.venues.bybit.trading import BybitTrading
from live.venues.bybit.transport import Transport
from live.venues.keys import Key

KEY_PATH, INFO_PATH = "/v5/user/query-api", "/v5/account/info"
# The venue's word that the key itself is bad; anything else may pass.
_KEY_CODES = frozenset({10003, 10004, 10005, 10007, 10010, 33004})


@dataclass(frozen=True, slots=True)
class Opened:
    """An account that may be traded."""

    venue: BybitTrading
    stream: BybitPrivateStream
    margin_mode: Callable[[], str]


@dataclass(frozen=True, slots=True)
class NotOpened:
    """An account that may not be traded now: (code, words) each."""

    faults: Faults
    retryable: bool


class BybitAccounts:
    """All accounts of one process at one address: one budget, one clock, one transport.

    Parameters
    ----------
    transport : Transport
        Closed together with this.
    ws_url : str
        Base address of the streams, no path.
    real_money : bool
        What a key must be, besides being able to trade: see `keycheck`.
    order_streams : bool
        Orders by stream, with HTTP as the way back; one more connection a user.
    """

    def __init__(
        self,
        transport: Transport,
        ws_url: str,
        clock: Clock,
        rng: np.random.Generator,
        *,
        real_money: bool = True,
        order_streams: bool = False,
        connect: Connect = open_websocket,
    ) -> None:
        self.budget = RequestBudget(clock)
        self.gate = Gate(transport, self.budget, VenueClock(clock), clock, rng)
        self._ws_url = ws_url
        self._clock = clock
        self._rng = rng
        self._real_money = real_money
        self._order_streams = order_streams
        self._connect = connect

    async def open(
        self, user_id: str, key: Key, exposed: Callable[[], bool] | None = None
    ) -> Opened | NotOpened:
        """Look at a key and open its account; the caller closes what is opened."""
        signer = Signer(key.api_key, key.secret)
        stream = BybitPrivateStream(
            self._ws_url,
            signer,
            self.gate.venue_clock,
            self._clock,
            self._rng,
            connections=self.budget.connections,
            connect=self._connect,
            sync_clock=self.gate.sync_clock,
            exposed=exposed,
        )
        orders = self._order_stream(signer) if self._order_streams else None
        venue = BybitTrading(
            self.gate, signer, user=user_id, stream=orders, on_accepted=stream.expect_data
        )
        modes = {"margin": ""}
        refused = await self._look(venue, modes)
        if refused is not None:
            await stream.close()
            await venue.close()
            return refused
        if orders is not None:
            await orders.start()
        return Opened(venue, stream, lambda: modes["margin"])

    def _order_stream(self, signer: Signer) -> TradeStream:
        return TradeStream(
            self._ws_url,
            signer,
            self.gate,
            self._clock,
            self._rng,
            connections=self.budget.connections,
            connect=self._connect,
        )

    async def check(self, user_id: str, key: Key) -> NotOpened | None:
        """Look at a key and its account; None: they may be traded."""
        venue = BybitTrading(self.gate, Signer(key.api_key, key.secret), user=user_id)
        try:
            return await self._look(venue, {})
        finally:
            await venue.close()

    async def _look(self, venue: BybitTrading, modes: dict[str, str]) -> NotOpened | None:
        if not self.gate.venue_clock.synced:
            await self.gate.sync_clock()
        try:
            said = await venue.readings.ask(KEY_PATH, {})
            if not isinstance(said, Said) or said.code:
                return _unanswered(said, "the key")
            now_ms = self.gate.venue_clock.now_ms()
            key = read_key_info(said.result)
            faults = faults_of_key(key, now_ms=now_ms, real_money=self._real_money)
            said = await venue.readings.ask(INFO_PATH, {})
            if not isinstance(said, Said) or said.code:
                return _unanswered(said, "the account")
            account = read_account_info(said.result)
        except wire.WireError as error:
            return NotOpened((("unreadable", f"{error.what}: {error.why}"),), retryable=True)
        modes["margin"] = account.margin_mode
        faults += faults_of_account(account)
        return NotOpened(faults, retryable=False) if faults else None

    async def close(self) -> None:
        """Release the transport."""
        await self.gate.close()


def _unanswered(answer: Answer, what: str) -> NotOpened:
    if isinstance(answer, Said):
        words = f"the venue refuses {what}: {answer.code} {answer.message}".strip()
        bad = answer.code in _KEY_CODES
        return NotOpened((("key_bad" if bad else "venue_error", words),), retryable=not bad)
    return NotOpened((("venue_silent", f"{what} cannot be read: {answer.reason}"),), retryable=True)
