"""Funding: at a symbol's instant every holder pays or receives, once."""

from engine.venue.exchange import margin, positions
from engine.venue.exchange.commands import Funding
from engine.venue.exchange.events import Executed, Logged
from engine.venue.exchange.ledger import book_row, q8
from engine.venue.exchange.records import ZERO, Account, Execution, Position
from engine.venue.exchange.state import Market, World
from engine.venue.words import ExecType, LogType, MarginMode, StopOrderType

MS_PER_S = 1_000
MINUTES_PER_HOUR = 60


def settle(world: World, market: Market, command: Funding) -> None:
    """Let everyone who holds the symbol pay `size * mark * rate`, or receive it."""
    if market.price is None:
        return
    number = list(world.markets).index(market.symbol)
    hours = market.instrument.funding_interval_min // MINUTES_PER_HOUR
    for account, position in list(market.holders.values()):
        order_id = "-".join(
            str(part)
            for part in (
                world.now_ms // MS_PER_S,
                hours,
                account.uid,
                number,
                position.position_idx,
            )
        )
        _pay(world, market, account, position, command, order_id)


def _pay(
    world: World,
    market: Market,
    account: Account,
    position: Position,
    command: Funding,
    order_id: str,
) -> None:
    side = position.side
    if side is None:
        return
    quote = market.quote
    value = position.size * quote.mark
    paid = q8(value * command.rate * side.sign)
    free = margin.available(world, account)
    world.seq += 1
    execution = Execution(
        world.new_id(),
        ExecType.FUNDING,
        position.symbol,
        side,
        order_id,
        "",
        None,
        StopOrderType.NONE,
        None,
        ZERO,
        ZERO,
        quote.mark,
        position.size,
        value,
        paid,
        command.rate,
        ZERO,
        ZERO,
        ZERO,
        is_maker=False,
        mark_price=quote.mark,
        index_price=quote.index,
        position_idx=position.position_idx,
        exec_time=world.now_ms,
        seq=world.seq,
    )
    account.executions.append(execution)
    world.out.append(Executed(account.uid, execution))
    row = book_row(
        account,
        world.new_row_id(account.uid, position.symbol),
        LogType.SETTLEMENT,
        world.now_ms,
        symbol=position.symbol,
        side=side,
        qty=position.size,
        size=position.size * side.sign,
        trade_price=quote.mark,
        funding=-paid,
        fee_rate=command.rate,
        order_id=order_id,
        trade_id=execution.exec_id,
    )
    world.out.append(Logged(account.uid, row))
    account.wallet.cum_realised_pnl -= paid
    position.cur_realised_pnl -= paid
    position.cum_realised_pnl -= paid
    position.seq = world.seq
    position.updated_time = world.now_ms
    short = paid - max(free, ZERO)
    if paid > 0 and short > 0 and account.margin_mode is MarginMode.ISOLATED:
        position.extra_margin -= short  # the balance is bound: the position's own margin pays
        positions.relock(market, account, position)
    world.touch(account, position)
    world.moved_wallets[account.uid] = account
