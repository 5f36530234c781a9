"""A contract's life: it is listed, its rules change, it is delisted; and the venue's ADL."""

from engine.venue.exchange import life, liquidation, positions
from engine.venue.exchange.checks import PARAMS
from engine.venue.exchange.commands import Deleverage, ListInstrument
from engine.venue.exchange.events import Accepted, Refused
from engine.venue.exchange.records import ZERO, Account
from engine.venue.exchange.state import Market, World
from engine.venue.instrument import Instrument
from engine.venue.words import CancelType, CreateType, ExecType, InstrumentStatus, PositionStatus


def list_instrument(world: World, command: ListInstrument) -> None:
    """Take in a contract, or its new rules."""
    instrument = command.instrument
    market = world.markets.get(instrument.symbol)
    if market is None:
        world.markets[instrument.symbol] = Market(instrument)
        return
    before = market.instrument
    market.change(instrument)
    if before.tiers != instrument.tiers or before.tick_size != instrument.tick_size:
        _review_holders(world, market, before)
    if instrument.status is InstrumentStatus.DELIVERING:
        _cancel_openers(world, market)
    elif instrument.status is InstrumentStatus.CLOSED and market.price is not None:
        _deliver(world, market)
    if market.price is not None:
        liquidation.check(world, market)  # harder tiers ruin at once, not at the next price


def _review_holders(world: World, market: Market, before: Instrument) -> None:
    for account, position in list(market.holders.values()):
        positions.relock(market, account, position)
        if before.tiers != market.instrument.tiers:
            position.mmr_sys_updated_time = world.now_ms
            world.touch(account, position)


def _open_everywhere(world: World, symbol: str) -> list[Account]:
    return [account for account in world.accounts.values() if account.open_of(symbol)]


def _cancel_openers(world: World, market: Market) -> None:
    """Delisting begins: what would open is cancelled, what closes stays."""
    for account in _open_everywhere(world, market.symbol):
        for order in list(account.open_of(market.symbol).values()):
            if not order.reduce_only:
                life.cancel(world, market, account, order, CancelType.DELISTING)


def _deliver(world: World, market: Market) -> None:
    """Close everything at the index price, free of fees."""
    for account in _open_everywhere(world, market.symbol):
        for order in list(account.open_of(market.symbol).values()):
            life.cancel(world, market, account, order, CancelType.DELISTING)
    for account, position in list(market.holders.values()):
        world.seq += 1
        liquidation.close_by_venue(
            world,
            market,
            account,
            position,
            position.size,
            market.quote.index,
            create_type=CreateType.CLOSING,
            exec_type=ExecType.DELIVERY,
            fee_rate=ZERO,
        )


def deleverage(world: World, market: Market, account: Account, command: Deleverage) -> None:
    """Close part of a position at the price given; its active orders are cancelled first."""
    position = account.positions.get((command.symbol, command.position_idx))
    if position is None or position.side is None or not 0 < command.qty <= position.size:
        world.out.append(Refused(account.uid, PARAMS, "nothing to deleverage"))
        return
    world.seq += 1
    world.out.append(Accepted(account.uid))
    for order in list(account.open_of(command.symbol).values()):
        if not order.is_conditional:
            life.cancel(world, market, account, order, CancelType.PREPARE_ADL)
    liquidation.announce(world, account, position, PositionStatus.ADL)
    liquidation.close_by_venue(
        world,
        market,
        account,
        position,
        command.qty,
        command.price,
        create_type=CreateType.ADL,
        exec_type=ExecType.ADL,
        fee_rate=ZERO,
    )
    position.position_status = PositionStatus.NORMAL
