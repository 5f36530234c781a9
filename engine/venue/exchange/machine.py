"""The exchange: one step takes a command or a fact and tells everything that happened.

Pure and deterministic: no clock, no randomness; ids follow from the seed and a counter, so the same
seed and commands give the same events. Money is rounded by the one rule of `ledger`. The first
event answers the command (Accepted or Refused; market facts have no answer); a refused command has
changed nothing. Positions and wallets are shown once, at the end of the step that touched them.
"""

from collections.abc import Callable
from dataclasses import fields
from decimal import Decimal, localcontext
from typing import Any, get_args

from engine.venue.exchange import (
    amend,
    checks,
    commands,
    funding,
    liquidation,
    listing,
    margin,
    matching,
    orders,
    settings,
    trading_stop,
    triggers,
)
from engine.venue.exchange.book import BookModel, Level
from engine.venue.exchange.events import Event, PositionChanged, Refused, WalletChanged
from engine.venue.exchange.ledger import MONEY
from engine.venue.exchange.records import Account
from engine.venue.exchange.state import Market, World
from engine.venue.instrument import Instrument
from engine.venue.words import Side

DIGITS_MAX = 16  # before or behind the point
Handler = Callable[[Any], None]


class Exchange:
    """Bybit, linear USDT perpetuals.

    Parameters
    ----------
    seed : int
        Ids and the depth of the book follow from it.
    book : BookModel, optional
        What stands around the last price; by default a liquid one of the same seed.
    one_child_per_fill : bool
        Attached Partial TP/SL: a child pair for every fill, instead of one pair that grows (the
        documents do not say which).
    """

    def __init__(
        self, seed: int, *, book: BookModel | None = None, one_child_per_fill: bool = False
    ) -> None:
        book = book if book is not None else BookModel(seed)
        self._world = World(seed, book, one_child_per_fill=one_child_per_fill)
        self._handlers = self._routes()

    def step(self, command: commands.Command, now_ms: int) -> list[Event]:
        """Let one thing happen at `now_ms` (ms, never falling); return what came of it."""
        world = self._world
        world.now_ms = max(world.now_ms, now_ms)
        world.out = []
        with localcontext(MONEY):
            self._handlers[type(command)](command)
            self._finish()
        return world.out

    @property
    def accounts(self) -> dict[int, Account]:
        """Every account, by uid; for reading."""
        return self._world.accounts

    @property
    def instruments(self) -> dict[str, Instrument]:
        """Every contract's present rules."""
        return {symbol: market.instrument for symbol, market in self._world.markets.items()}

    @property
    def prices(self) -> dict[str, commands.Price]:
        """The last price of every symbol that has one."""
        found = ((symbol, market.price) for symbol, market in self._world.markets.items())
        return {symbol: price for symbol, price in found if price is not None}

    @property
    def seq(self) -> int:
        """The present sequence number."""
        return self._world.seq

    def account(self, uid: int) -> Account:
        """Return an account; for reading. `refresh` it first where marks matter."""
        return self._world.accounts[uid]

    def needs_price(self, symbol: str) -> bool:
        """Tell whether a price of the symbol could change anything."""
        market = self._world.markets.get(symbol)
        return market is not None and market.waits()

    def awaited(self, symbol: str, low: Decimal, high: Decimal) -> list[Decimal]:
        """Return the prices of [low, high] at which an order is filled or triggered."""
        market = self._world.markets.get(symbol)
        return market.awaited(low, high) if market is not None else []

    def refresh(self, uid: int) -> Account:
        """Work out what an account shows at the present marks; return it."""
        world = self._world
        account = world.accounts[uid]
        with localcontext(MONEY):
            margin.refresh_orders(world)
            for position in account.positions.values():
                margin.show_position(world, account, position)
            margin.show_wallet(world, account)
        return account

    def levels(self, symbol: str, depth: int) -> tuple[list[Level], list[Level]]:
        """Return (bids, asks), best first, as they stand now: (price, quantity) each."""
        market = self._world.markets[symbol]
        with localcontext(MONEY):
            return self._side(market, Side.SELL, depth), self._side(market, Side.BUY, depth)

    def price_limits(self, symbol: str) -> tuple[Decimal, Decimal]:
        """Return (highest price to buy at, lowest to sell at), on the tick."""
        market = self._world.markets[symbol]
        with localcontext(MONEY):
            return (
                matching.edge_of(market, Side.BUY),
                matching.edge_of(market, Side.SELL),
            )

    def _side(self, market: Market, taker: Side, depth: int) -> list[Level]:
        levels: list[Level] = []
        if market.price is None:
            return levels
        for level in self._world.levels(market, taker):
            if len(levels) == depth:
                break
            levels.append(level)
        return levels

    def _routes(self) -> dict[type, Handler]:
        traded = {
            commands.CreateOrder: orders.create,
            commands.AmendOrder: amend.amend,
            commands.CancelOrder: orders.cancel,
            commands.SetTradingStop: trading_stop.set_trading_stop,
            commands.SetLeverage: settings.set_leverage,
            commands.AddMargin: settings.add_margin,
            commands.Deleverage: listing.deleverage,
        }
        named = {
            commands.CancelAll: orders.cancel_all,
            commands.SwitchMode: settings.switch_mode,
            commands.SetMarginMode: settings.set_margin_mode,
            commands.SetAutoAddMargin: settings.set_auto_add_margin,
            commands.ConfirmPendingMmr: settings.confirm_pending_mmr,
            commands.SetReduceOnly: settings.set_reduce_only,
            commands.Transfer: settings.transfer,
        }
        routes: dict[type, Handler] = {
            commands.Price: self._price,
            commands.Prints: self._prints,
            commands.Funding: self._funding,
            commands.Clock: lambda _: None,
            commands.OpenAccount: lambda command: settings.open_account(self._world, command),
            commands.ListInstrument: lambda command: listing.list_instrument(self._world, command),
        }
        routes |= {kind: self._of_account(act) for kind, act in named.items()}
        routes |= {kind: self._of_market(act) for kind, act in traded.items()}
        return routes

    def _of_account(self, act: Callable[..., None]) -> Handler:
        """Return a handler that finds the account (and knows the symbol, where one is named)."""

        def handle(command: Any) -> None:
            world = self._world
            account = world.accounts.get(command.uid)
            symbol = getattr(command, "symbol", "")
            if account is None:
                world.out.append(Refused(command.uid, 10003, "API key is invalid."))
            elif _absurd(command):
                world.out.append(Refused(command.uid, checks.PARAMS, "params error: a number"))
            elif symbol and symbol not in world.markets:
                world.out.append(_unknown_symbol(command))
            else:
                act(world, account, command)

        return handle

    def _of_market(self, act: Callable[..., None]) -> Handler:
        """Return a handler that finds account and market, and fires what the act let loose."""

        def handle(command: Any) -> None:
            world = self._world
            account = world.accounts.get(command.uid)
            market = world.markets.get(command.symbol)
            if account is None:
                world.out.append(Refused(command.uid, 10003, "API key is invalid."))
            elif _absurd(command):
                world.out.append(Refused(command.uid, checks.PARAMS, "params error: a number"))
            elif market is None:
                world.out.append(_unknown_symbol(command))
            else:
                act(world, market, account, command)
                if market.price is not None:
                    triggers.check(world, market)
                    if world.touched:
                        liquidation.check_account(world, market, account)

        return handle

    def _price(self, command: commands.Price) -> None:
        world = self._world
        market = world.markets.get(command.symbol)
        if market is None:
            world.out.append(_unknown_symbol(command))
            return
        market.move(command)
        if market.waits():
            matching.fill_passed(world, market, command.last)
            triggers.check(world, market)
            liquidation.check(world, market)

    def _prints(self, command: commands.Prints) -> None:
        world = self._world
        market = world.markets.get(command.symbol)
        if market is None or market.price is None:
            world.out.append(_unknown_symbol(command))
            return
        matching.fill_from_prints(world, market, command)
        triggers.check(world, market)
        if world.touched:
            liquidation.check(world, market)

    def _funding(self, command: commands.Funding) -> None:
        world = self._world
        market = world.markets.get(command.symbol)
        if market is None:
            world.out.append(_unknown_symbol(command))
            return
        funding.settle(world, market, command)
        if market.price is not None:
            liquidation.check(world, market)

    def _finish(self) -> None:
        """Show each position and wallet that was touched, once."""
        world = self._world
        margin.refresh_orders(world)
        for (uid, _, _), position in world.touched.items():
            margin.show_position(world, world.accounts[uid], position)
            world.out.append(PositionChanged(uid, position.copy()))
        world.touched.clear()
        for uid, account in world.moved_wallets.items():
            margin.show_wallet(world, account)
            world.out.append(WalletChanged(uid, account.wallet.copy()))
        world.moved_wallets.clear()


def _decimals(kind: type) -> tuple[str, ...]:
    hints = {each.name: str(each.type) for each in fields(kind)}
    return tuple(name for name, hint in hints.items() if "Decimal" in hint)


_NUMBERS = {kind: _decimals(kind) for kind in get_args(commands.UserCommand | commands.VenueAct)}


def _absurd(command: Any) -> bool:
    """Tell whether a number is none (NaN, infinite) or beyond all sense."""
    for name in _NUMBERS[type(command)]:
        value = getattr(command, name)
        if value is not None and not (
            value.is_finite() and -DIGITS_MAX < value.adjusted() < DIGITS_MAX
        ):
            return True
    return False


def _unknown_symbol(command: Any) -> Refused:
    uid = getattr(command, "uid", 0)
    return Refused(uid, checks.PARAMS, f"params error: symbol invalid {command.symbol}")
