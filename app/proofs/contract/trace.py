"""A scripted session and what an account looks like after it: the same words on every face.

Ids and times are the venue's and the moment's own, and left out.
"""

from dataclasses import dataclass
from decimal import Decimal

from app.proofs.contract.bench import LATER, NOW, Bench
from engine.venue.reports import ExecutionReport, OrderReport, PositionReport, WalletReport
from live.venues.trading import OrderChange, TradingStop

D = Decimal
Row = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Trace:
    """What each topic told, in its order, and what the lists say at the end."""

    orders: list[Row]
    executions: list[Row]
    positions: list[Row]
    wallets: list[Decimal]
    listed_orders: list[Row]
    listed_executions: list[Row]
    listed_slots: list[Row]
    listed_wallet: tuple[Decimal, Decimal]


def order_row(o: OrderReport) -> Row:
    """Return an order without ids and times (its link id is the script's own)."""
    return (
        o.order_link_id, o.side, o.order_type, o.order_status, o.qty, o.price, o.cum_exec_qty,
        o.cum_exec_value, o.cum_exec_fee, o.stop_order_type, o.trigger_price, o.take_profit,
        o.stop_loss, o.cancel_type, o.reject_reason, o.create_type, o.reduce_only,
    )  # fmt: skip


def execution_row(e: ExecutionReport) -> Row:
    """Return an execution without ids and times."""
    return (
        e.order_link_id, e.exec_type, e.side, e.exec_price, e.exec_qty, e.exec_fee, e.exec_pnl,
        e.closed_size, e.is_maker, e.create_type,
    )  # fmt: skip


def position_row(p: PositionReport) -> Row:
    """Return a position without times; its mark moves with whoever looks."""
    return (
        p.position_idx, p.side, p.size, p.entry_price, p.leverage, p.liq_price, p.take_profit,
        p.stop_loss, p.trailing_stop, p.cur_realised_pnl, p.position_status,
    )  # fmt: skip


async def session(b: Bench) -> Trace:
    """Play the script: entries, fills, changes, stops, funding, a loss, a gain, an end."""
    b.begin()
    last = await b.last()

    def at(share: str) -> Decimal:
        return b.rules.floor_price(last * D(share))

    async def place(link: str, side: str, qty: str, price: Decimal | None = None, **more: object):
        order = b.order(side, D(qty), price, order_link_id=link, **more)
        await b.venue.place(order, priority=LATER)
        await b.until_order(link)

    await b.venue.set_leverage(b.symbol, D(5))
    await place("s1", "Buy", "2000", stop_loss=at("0.95"), take_profit=at("1.2"), tpsl_mode="Full")
    await place("s2", "Buy", "3", at("0.99"))
    await place("s3", "Sell", "2", at("1.03"), reduce_only=True)
    await place("s4", "Buy", "1", at("1.01"), time_in_force="PostOnly")
    change = OrderChange(symbol=b.symbol, order_link_id="s2", price=at("0.985"), qty=D(4))
    await b.venue.amend(change, priority=LATER)
    b.controls.prints(b.symbol, at("0.985"), D(1), "Sell")
    await b.until_order("s2", "PartiallyFilled")
    b.controls.fund(b.symbol, D("0.00037"))
    await b.move(at("1.04"))
    await b.until_order("s3", "Filled")
    stop = TradingStop(symbol=b.symbol, stop_loss=at("0.97"), trailing_stop=at("0.2"))
    await b.venue.set_trading_stop(stop, priority=NOW)
    await place("s5", "Sell", "600", reduce_only=True)
    await b.venue.cancel(b.symbol, order_link_id="s2", priority=NOW)
    await b.until_order("s2", "Cancelled")
    await b.move(at("0.969"))
    await b.until(lambda: not b.held(), "stopped out")
    await place("s6", "Sell", "700")
    await b.until(lambda: b.held() == D(700), "a short")
    await place("s7", "Buy", "1400")
    await b.until(lambda: _long(b), "turned over")
    await b.flatten()
    await b.until(lambda: not b.held(), "flat")
    return await _read(b)


def _long(b: Bench) -> bool:
    position = b.view.position(b.symbol)
    return position is not None and position.side == "Buy"


async def _read(b: Bench) -> Trace:
    wallet = await b.wallet()
    await b.until(
        lambda: (w := b.view.wallet) and w.wallet_balance == wallet.wallet_balance, "the wallet"
    )
    executions = await b.executions()
    listed = {e.exec_id for e in executions}
    await b.until(
        lambda: {e.exec_id for e in b.told(ExecutionReport)} >= listed, "every execution told"
    )
    return Trace(
        orders=[_own(order_row(o)) for o in b.told(OrderReport)],
        executions=[_own(execution_row(e)) for e in b.told(ExecutionReport)],
        positions=[position_row(p) for p in b.told(PositionReport)],
        wallets=[w.wallet_balance for w in b.told(WalletReport)],
        listed_orders=sorted(_own(order_row(o)) for o in await b.orders()),
        listed_executions=[_own(execution_row(e)) for e in executions],
        listed_slots=[position_row(p) for p in await b.slots()],
        listed_wallet=(wallet.wallet_balance, wallet.equity),
    )


def _own(row: Row) -> Row:
    """Leave out link ids that the bench made up: they hold the time."""
    return ("", *row[1:]) if str(row[0]).startswith("zc-") else row
