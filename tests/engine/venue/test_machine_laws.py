"""Laws of the machine, over everything a crowd may do."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.proofs import ledger_twin
from engine.venue.exchange.events import Accepted, Executed, OrderChanged, Refused
from engine.venue.exchange.records import Account
from engine.venue.words import LogType, MarginMode, PositionMode
from tests.engine.venue.crowd import Crowd
from tests.engine.venue.desk import D

pytestmark = pytest.mark.laws
SEEDS = st.integers(0, 2**32 - 1)
STEPS = 250


def open_money(account: Account) -> Decimal:
    kinds = (LogType.TRANSFER_IN, LogType.TRANSFER_OUT)
    return sum((row.change for row in account.log if row.type in kinds), D(0))


def snapshot(account: Account) -> str:
    """Everything that a refused command must leave alone."""
    orders = [repr(order) for order in account.orders.values()]
    positions = [
        repr(
            (
                key,
                p.side,
                p.size,
                p.entry_price,
                p.leverage,
                p.take_profit,
                p.stop_loss,
                p.trailing_stop,
                p.extra_margin,
                p.is_reduce_only,
                p.partial_order_ids,
            )
        )
        for key, p in account.positions.items()
        if p.side or p.leverage != 10
    ]
    return repr(
        (
            account.wallet.wallet_balance,
            account.margin_mode,
            len(account.log),
            orders,
            positions,
            account.order_im,
            account.locked,
            account.open_orders.keys(),
        )
    )


def check_orders(account: Account) -> None:
    for order in account.orders.values():
        is_open = order.order_id in account.open_orders
        assert is_open == order.order_status.is_open, order
        assert D(0) <= order.cum_exec_qty <= order.qty, order
        assert is_open == (order.order_id in account.open_of(order.symbol))
        if order.reduce_only and is_open and not order.is_conditional:
            position = account.positions[order.symbol, order.position_idx]
            assert position.side is order.side.other
            assert order.leaves_qty <= position.size


def check_protection(account: Account) -> None:
    """A position with a Full SL (TP, trail) has exactly one live order for it, of its size."""
    for (symbol, idx), position in account.positions.items():
        mine = [
            o
            for o in account.open_of(symbol).values()
            if o.position_idx == idx and o.is_conditional
        ]
        wants = {
            "StopLoss": position.stop_loss,
            "TakeProfit": position.take_profit,
            "TrailingStop": position.active_price if position.trailing_stop else None,
        }
        for kind, trigger in wants.items():
            live = [o for o in mine if o.stop_order_type == kind]
            assert len(live) == (trigger is not None), (kind, trigger, live)
            for order in live:
                assert order.qty == position.size
                assert order.side is position.side.other
                assert order.trigger_price == trigger
        partial = [o.order_id for o in mine if o.stop_order_type.startswith("Partial")]
        assert sorted(partial) == sorted(position.partial_order_ids)
        if position.side is None:
            assert not [o for o in mine if o.stop_order_type != "Stop"]
            assert position.size == 0


def check_margin(crowd: Crowd, account: Account) -> None:
    crowd.exchange.refresh(account.uid)
    if account.margin_mode is MarginMode.CROSS and any(p.side for p in account.positions.values()):
        assert account.wallet.equity > account.wallet.total_position_mm  # else it is taken over
    if account.margin_mode is MarginMode.ISOLATED:
        for position in account.positions.values():
            if position.side is None or position.liq_price is None:
                continue
            # nobody stands beyond the liquidation price after a step
            mark = crowd.exchange.prices[position.symbol].mark
            assert (mark - position.liq_price) * position.side.sign > 0, position


class Watcher:
    """Checks events as they come."""

    def __init__(self) -> None:
        self.filled: dict[str, Decimal] = {}
        self.ended: set[str] = set()
        self.executions: set[str] = set()

    def see(self, events: list) -> None:
        for number, event in enumerate(events):
            assert not isinstance(event, (Accepted, Refused)) or number == 0
            if isinstance(event, OrderChanged):
                order = event.order
                assert order.order_id not in self.ended, "terminal is final"
                assert order.cum_exec_qty >= self.filled.get(order.order_id, D(0))
                self.filled[order.order_id] = order.cum_exec_qty
                if not order.order_status.is_open and order.order_status != "Triggered":
                    self.ended.add(order.order_id)
            if isinstance(event, Executed):
                assert event.execution.exec_id not in self.executions
                self.executions.add(event.execution.exec_id)


def check_fills(crowd: Crowd, events: list) -> None:
    """Reduce-only never opens: what it trades, it closes."""
    for event in events:
        if isinstance(event, Executed) and event.execution.exec_type != "Funding":
            order = crowd.exchange.account(event.uid).orders[event.execution.order_id]
            if order.reduce_only:
                assert event.execution.closed_size == event.execution.exec_qty


def live_through(seed: int, *, thin: bool, steps: int = STEPS) -> None:
    """Let a crowd act; every law is asked after every step."""
    crowd = Crowd(seed, thin=thin)
    watcher = Watcher()
    commands = crowd.opening()
    for number in range(steps):
        command = commands[number] if number < len(commands) else crowd.command()
        known = (
            command.uid
            if hasattr(command, "uid") and command.uid in crowd.exchange.accounts
            else None
        )
        before = None if known is None else snapshot(crowd.exchange.account(known))
        events = crowd.step(command)
        watcher.see(events)
        if events and isinstance(events[0], Refused):
            assert len(events) == 1
            assert before == snapshot(crowd.exchange.account(known)), command
        check_fills(crowd, events)
        for account in crowd.accounts():
            check_orders(account)
            check_protection(account)
            check_margin(crowd, account)


def audit(seed: int, *, thin: bool, steps: int = 2 * STEPS) -> None:
    """Let a crowd act, then recompute its money from the executions."""
    crowd = Crowd(seed, thin=thin)
    for command in crowd.opening():
        crowd.step(command)
    for _ in range(steps):
        crowd.step(crowd.command())
    for account in crowd.accounts():
        twin = ledger_twin.Twin()
        twin.transfer(open_money(account))
        wrong = [
            fault
            for each in account.executions
            for fault in ledger_twin.check_execution(twin, each)
        ]
        wrong += ledger_twin.check_log(account.log)
        wrong += ledger_twin.check_account(twin, account)
        assert not wrong
        rows = sum(row.closed_size for row in account.closed_pnl)
        waiting = {o.order_id for o in account.open_orders.values()}
        by_fill = sum(e.closed_size for e in account.executions if e.order_id not in waiting)
        assert rows == by_fill


@given(seed=SEEDS, thin=st.booleans())
def test_laws_hold_after_every_step(*, seed: int, thin: bool) -> None:
    live_through(seed, thin=thin)


@given(seed=SEEDS, thin=st.booleans())
def test_money_is_what_the_executions_say_to_the_last_digit(*, seed: int, thin: bool) -> None:
    audit(seed, thin=thin)


@given(seed=SEEDS)
def test_same_seed_and_commands_same_bytes(seed: int) -> None:
    told = []
    for _ in range(2):
        crowd = Crowd(seed)
        lines = [repr(crowd.step(command)) for command in crowd.opening()]
        lines += [repr(crowd.step(crowd.command())) for _ in range(80)]
        told.append("\n".join(lines))
    assert told[0] == told[1]


@given(seed=SEEDS)
def test_hedge_slots_keep_their_side(seed: int) -> None:
    crowd = Crowd(seed)
    for command in crowd.opening():
        crowd.step(command)
    for _ in range(STEPS):
        crowd.step(crowd.command())
        for account in crowd.accounts():
            for (symbol, idx), position in account.positions.items():
                if position.side is None:
                    continue
                hedge = account.mode_of(symbol) is PositionMode.HEDGE
                assert (idx == 0) is not hedge
                if hedge:
                    assert position.side == ("Buy" if idx == 1 else "Sell")


def test_liquidations_leave_no_debt() -> None:
    """Not even over gaps: what a gap leaves is the insurance fund's."""
    met = {"ISOLATED_MARGIN": 0, "REGULAR_MARGIN": 0}
    for seed in range(40):
        crowd = Crowd(seed)
        for command in crowd.opening():
            crowd.step(command)
        for _ in range(400):
            events = crowd.step(crowd.command())
            bust = [
                e
                for e in events
                if isinstance(e, Executed) and e.execution.exec_type == "BustTrade"
            ]
            for event in bust:
                account = crowd.exchange.account(event.uid)
                before = next(
                    row.cash_balance - row.change
                    for row in account.log
                    if row.trade_id == event.execution.exec_id
                )
                met[account.margin_mode] += 1
                assert account.wallet.wallet_balance > min(before, D(0)) - D("0.01")
    assert all(met.values()), met
