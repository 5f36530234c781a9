"""The drill's machinery: processes that die, faults that stand still, reports without a wire."""

import asyncio
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.proofs.drill import catalogue
from app.proofs.drill.dice import Dice
from app.proofs.drill.loop import DrillLoop, Life, run, spawn
from app.proofs.drill.market import SYMBOLS
from app.proofs.drill.market import replay as draw_market
from app.proofs.drill.plan import Injection, Plan, drawn
from app.proofs.drill.reports import (
    execution_report,
    order_report,
    position_report,
    wallet_report,
)
from app.proofs.drill.shrink import ddmin
from app.proofs.drill.venue import FastDesk
from app.proofs.simloop import START_MS
from engine.venue import wire
from engine.venue.exchange.commands import CreateOrder
from engine.venue.exchange.events import (
    Event,
    Executed,
    OrderChanged,
    PositionChanged,
    WalletChanged,
)
from engine.venue.words import MarginMode, OrderType, Side, TpslMode


def test_a_process_freezes_wakes_and_dies() -> None:
    said: list[tuple[str, float]] = []

    async def work(name: str, loop: DrillLoop) -> None:
        try:
            while True:
                await asyncio.sleep(1.0)
                said.append((name, loop.time()))
        finally:
            said.append((name, -1.0))

    async def main(loop: DrillLoop) -> list[tuple[str, float]]:
        one, two = Life("one"), Life("two")
        spawn(one, work("one", loop))
        spawn(two, work("two", loop))
        await asyncio.sleep(2.5)
        one.frozen = True
        await asyncio.sleep(3.0)
        one.frozen, two.dead = False, True
        await asyncio.sleep(2.2)
        return list(said)

    heard = run(main, 1)
    assert [at for name, at in heard if name == "one"] == [1.0, 2.0, 5.5, 6.5, 7.5]
    assert [at for name, at in heard if name == "two"] == [1.0, 2.0, 3.0, 4.0, 5.0]


def test_nothing_of_the_dead_runs() -> None:
    ran: list[str] = []

    async def work(life: Life) -> None:
        try:
            life.dead = True
            await asyncio.sleep(0)
        finally:
            ran.append("cleaned up")

    async def main(_loop: DrillLoop) -> list[str]:
        spawn(life := Life("one"), work(life))
        await asyncio.sleep(1.0)
        return list(ran)

    assert run(main, 1) == []


def test_a_fault_stays_where_it_is() -> None:
    first = Injection(site="u0.cancel", visit=1, kind="http", fault="F19")
    second = Injection(site="u0.cancel", visit=3, kind="html", fault="F25")
    both, one = Plan([first, second]), Plan([second])
    assert [both.at("u0.cancel") for _ in range(4)] == [first, None, second, None]
    assert [one.at("u0.cancel") for _ in range(4)] == [None, None, second, None]


def test_the_catalogue_holds_every_fault() -> None:
    wanted = {f"F{n}" for n in range(1, 92)} - set(catalogue.LEFT_OUT)
    assert set(catalogue.NAMES) == wanted


@given(st.integers(0, 10_000), st.integers(2, 5))
def test_a_draw_is_the_seed_s(seed: int, users: int) -> None:
    faults = catalogue.draw(Dice(seed), users)
    assert faults == catalogue.draw(Dice(seed), users)
    assert len({(f.site, f.visit) for f in faults}) == len(faults) > 10
    assert 0.0 <= drawn(seed, users) < 1.0


@given(st.sets(st.integers(0, 19), min_size=1, max_size=3))
def test_shrinking_keeps_what_breaks(culprits: set[int]) -> None:
    faults = [Injection(site="s", visit=n, kind="k", fault="F1") for n in range(20)]
    few = ddmin(faults, lambda some: culprits <= {i.visit for i in some})
    assert {i.visit for i in few} == culprits


def _events(seed: int) -> list[Event]:
    desk = FastDesk(draw_market(np.random.default_rng(seed)), "1m", seed=seed, start_ms=START_MS)
    desk.streams = {}
    seen: list[Event] = []
    desk.watch = seen.extend
    key = desk.open_account(Decimal(50_000))
    for symbol in SYMBOLS:
        desk.touch(symbol)
        rules = desk.exchange.instruments[symbol]
        last = desk.tape.quote(symbol)
        desk.order(
            CreateOrder(
                uid=key.uid, symbol=symbol, side=Side.BUY, order_type=OrderType.LIMIT,
                qty=rules.floor_qty(Decimal(900) / last), price=last, order_link_id=symbol,
                stop_loss=rules.floor_price(last * Decimal("0.99")), tpsl_mode=TpslMode.FULL,
            )
        )  # fmt: skip
    for second in range(200):
        desk.advance(START_MS + second * 1_000)
    return seen


@pytest.mark.parametrize("seed", [3, 4])
def test_reports_without_a_wire_are_those_of_the_wire(seed: int) -> None:
    kinds = set()
    for event in _events(seed):
        kinds.add(type(event))
        if isinstance(event, OrderChanged):
            row = wire.encode_order_push(event.order)
            assert wire.read_order(row) == order_report(event.order)
        elif isinstance(event, Executed):
            row = wire.encode_execution_push(event.execution)
            assert wire.read_execution(row) == execution_report(event.execution)
        elif isinstance(event, PositionChanged):
            row = wire.encode_position_push(event.position)
            assert wire.read_position(row) == position_report(event.position)
        elif isinstance(event, WalletChanged):
            row = wire.encode_wallet_push(event.wallet, MarginMode.ISOLATED)
            assert wire.read_wallet(row) == wallet_report(event.wallet, MarginMode.ISOLATED)
    assert {OrderChanged, Executed, PositionChanged, WalletChanged} <= kinds
