"""A paper account: filled by quotes, stopped by quotes, and the same after every restart."""

import asyncio
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.account.signal import Quote
from engine.venue.instrument import Instrument
from live.accounts.paper import PaperAccount
from live.accounts.wal import FileWal, MemoryWal
from live.clock import ManualClock
from live.venues.port import Ok
from live.venues.trading import Absent, Accepted, Found, NewOrder, Priority, Refused, TradingStop

COIN = "SOLUSDT"
RULES = Instrument(
    symbol=COIN, tick_size=Decimal("0.01"), qty_step=Decimal("0.1"), min_order_qty=Decimal("0.1"),
    max_order_qty=Decimal(10_000), max_mkt_order_qty=Decimal(5_000),
)  # fmt: skip


class Market:
    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.at = 100.0

    def quote(self, symbol: str) -> Quote | None:
        return Quote(
            ts=self.clock.now_ms(), bid=self.at - 0.01, ask=self.at + 0.01, mark=self.at,
            spread_bps=2.0, sweep_bps=1.0,
        ) if symbol == COIN else None  # fmt: skip

    def contract(self, symbol: str) -> Instrument | None:
        return RULES if symbol == COIN else None


def opened(clock, journal, market):
    return PaperAccount(clock, journal, contract=market.contract, quote=market.quote)


def entry(link="z1", price="99.50", qty="2"):
    return NewOrder(
        order_link_id=link, symbol=COIN, side="Buy", order_type="Limit", qty=Decimal(qty),
        price=Decimal(price), stop_loss=Decimal("95.00"), tpsl_mode="Full",
    )  # fmt: skip


async def books(account):
    """Everything that must survive, by value."""
    out = []
    for asked in (account.orders(), account.positions(), account.executions(start_ms=0)):
        said = await asked
        assert isinstance(said, Ok)
        out.append(said.value)
    wallet = await account.wallet()
    assert isinstance(wallet, Ok)
    return (*out, wallet.value.wallet_balance, wallet.value.equity)


async def test_a_retest_is_filled_by_a_quote_and_its_stop_by_another():
    clock = ManualClock(1_700_000_000_000)
    market, journal = Market(clock), MemoryWal()
    account = opened(clock, journal, market)
    await account.start()
    said = await account.place(entry(), priority=Priority.ENTRY)
    assert isinstance(said, Accepted)
    assert not (await books(account))[1]
    market.at = 99.4
    account.see(COIN, market.quote(COIN))
    (position,) = (await books(account))[1]
    assert position.size == 2
    assert position.stop_loss == Decimal("95.00")
    market.at = 94.0
    account.see(COIN, market.quote(COIN))
    assert not (await books(account))[1]
    kinds = {type(item).__name__ for item in await account.batch()}
    assert kinds == {
        "StreamUp", "OrderReport", "ExecutionReport", "PositionReport", "WalletReport",
    }  # fmt: skip


async def test_an_id_is_placed_once_and_what_is_absent_is_absent():
    clock = ManualClock(1)
    market = Market(clock)
    account = opened(clock, MemoryWal(), market)
    assert isinstance(await account.look_up(COIN, "z1", sent_ms=0), Absent)
    first = await account.place(entry(), priority=Priority.ENTRY)
    again = await account.place(entry(), priority=Priority.ENTRY)
    assert isinstance(again, Accepted)
    assert again.already
    assert again.order_id == first.order_id
    assert isinstance(await account.look_up(COIN, "z1", sent_ms=0), Found)
    assert len((await books(account))[0]) == 1
    nowhere = NewOrder(
        order_link_id="z2", symbol="NOUSDT", side="Buy", order_type="Market", qty=Decimal(1)
    )
    assert isinstance(await account.place(nowhere, priority=Priority.ENTRY), Refused)


async def test_a_restart_brings_back_positions_stops_and_ids(tmp_path):
    clock = ManualClock(1_700_000_000_000)
    market, journal = Market(clock), FileWal(tmp_path / "paper" / "u.wal")
    account = opened(clock, journal, market)
    await account.place(entry(price="100.50"), priority=Priority.ENTRY)
    await account.set_trading_stop(
        TradingStop(symbol=COIN, stop_loss=Decimal("97.00")), priority=Priority.PROTECT
    )
    before = await books(account)
    assert before[1][0].stop_loss == Decimal("97.00")
    again = opened(clock, journal, market)
    assert await books(again) == before
    market.at = 96.0
    again.see(COIN, market.quote(COIN))
    assert not (await books(again))[1]


_moves = st.lists(
    st.one_of(
        st.tuples(st.just("quote"), st.floats(90.0, 110.0)),
        st.tuples(st.just("buy"), st.floats(95.0, 105.0)),
        st.tuples(st.just("market"), st.sampled_from(["Buy", "Sell"])),
        st.tuples(st.just("stop"), st.floats(80.0, 99.0)),
        st.tuples(st.just("cancel"), st.integers(0, 5)),
        st.tuples(st.just("funding"), st.floats(-0.001, 0.001)),
        st.tuples(st.just("restart"), st.none()),
    ),
    max_size=25,
)


@pytest.mark.laws
@given(_moves)
@settings(deadline=None)
def test_however_often_it_restarts_the_account_is_the_same(moves):
    async def live(*, restarts: bool):
        clock = ManualClock(1_700_000_000_000)
        market, journal = Market(clock), MemoryWal()
        account = opened(clock, journal, market)
        made = 0
        for what, value in moves:
            clock.advance(1.0)
            if what == "quote":
                market.at = round(value, 2)
                account.see(COIN, market.quote(COIN))
            elif what == "buy":
                made += 1
                await account.place(entry(f"z{made}", f"{value:.2f}"), priority=Priority.ENTRY)
            elif what == "market":
                made += 1
                order = NewOrder(
                    order_link_id=f"z{made}", symbol=COIN, side=value, order_type="Market",
                    qty=Decimal(1),
                )  # fmt: skip
                await account.place(order, priority=Priority.ENTRY)
            elif what == "stop":
                stop = TradingStop(symbol=COIN, stop_loss=Decimal(f"{value:.2f}"))
                await account.set_trading_stop(stop, priority=Priority.PROTECT)
            elif what == "cancel":
                await account.cancel(COIN, order_link_id=f"z{value}", priority=Priority.PROTECT)
            elif what == "funding":
                quote = market.quote(COIN)
                soon = msgspec.structs.replace(
                    quote, funding_rate=value, next_funding_ms=quote.ts + 500
                )
                account.see(COIN, soon)
            else:
                account = opened(clock, journal, market) if restarts else account
                account.see(COIN, market.quote(COIN))
        return await books(account)

    assert asyncio.run(live(restarts=True)) == asyncio.run(live(restarts=False))
