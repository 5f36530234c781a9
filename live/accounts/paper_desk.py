"""All paper accounts of a process: opened from their journals, moved by the market's quotes."""

from collections.abc import Callable
from decimal import Decimal
from typing import cast

from data.records.rows import UserRow
from engine.account.signal import Quote
from engine.venue.instrument import Instrument
from engine.venue.words import MarginMode
from live.accounts.paper import PaperAccount
from live.accounts.ports import Account, Accounts, MarketFacts, NoAccount, Wals
from live.clock import Clock
from live.venues.trading import TradingVenue

PAPER = "paper"


class PaperDesk:
    """Opens paper accounts, and lets the market move all that are open.

    Parameters
    ----------
    journals : Wals
        One file a user, apart from those of the engines.
    """

    def __init__(
        self,
        clock: Clock,
        market: MarketFacts,
        journals: Wals,
        *,
        equity_usdt: Decimal = Decimal(10_000),
        seed: int = 0,
    ) -> None:
        self._clock = clock
        self._market = market
        self._journals = journals
        self._equity_usdt = equity_usdt
        self._seed = seed
        self._open: dict[str, PaperAccount] = {}

    async def open(self, user: UserRow) -> Account | NoAccount:
        """Open a user's account as its journal has it."""
        account = PaperAccount(
            self._clock,
            self._journals.of(user.user_id),
            contract=self._market.contract,
            quote=self._market.quote,
            equity_usdt=self._equity_usdt,
            seed=self._seed,
        )
        self._open[user.user_id] = account
        # one object is both: the account's requests, and what it tells
        return Account(cast("TradingVenue", account), account, lambda: MarginMode.ISOLATED.value)

    async def check(self, user: UserRow) -> NoAccount | None:  # noqa: ARG002
        """Return None: a paper account has no key that could go bad."""
        return None

    def see(self, symbol: str, quote: Quote) -> None:
        """Let a coin's market move for everybody."""
        self._each(lambda account: account.see(symbol, quote))

    def rules(self, contract: Instrument) -> None:
        """Let a contract's rules change for everybody who trades it."""
        self._each(lambda account: account.rules(contract))

    def _each(self, do: Callable[[PaperAccount], None]) -> None:
        """Let something happen to every account; one that cannot take it ends alone."""
        for user_id, account in list(self._open.items()):
            try:
                do(account)
            except Exception as error:  # noqa: BLE001 - one user's account is one user's
                account.fail(error)
                del self._open[user_id]


class ByMode:
    """Opens a user's account where the user's mode says."""

    def __init__(self, paper: Accounts | None, real: Accounts | None) -> None:
        self._paper = paper
        self._real = real

    async def open(self, user: UserRow) -> Account | NoAccount:
        """Open a user's account."""
        of = self._of(user)
        return _no_way(user) if of is None else await of.open(user)

    async def check(self, user: UserRow) -> NoAccount | None:
        """Check a user's key again."""
        of = self._of(user)
        return _no_way(user) if of is None else await of.check(user)

    def _of(self, user: UserRow) -> Accounts | None:
        return self._paper if user.mode == PAPER else self._real


def _no_way(user: UserRow) -> NoAccount:
    words = f"this deployment has no accounts of mode {user.mode}"
    return NoAccount((("mode_not_allowed", words),))
