"""Money once more, by other means: every figure of an account from its executions alone.

Independent of the machine on purpose: integers and fractions instead of Decimal, signed sizes
instead of sides, and not one function of the machine's. Only the rule is shared, and it stands in
`engine.venue.exchange.ledger`. The storm of `ledger` and the laws of the tests both use it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

from engine.venue.exchange.records import Account, ClosedPnl, Execution, LogRow

_AMOUNT, _PRICE = 10**8, 10**10


def half_even(value: Fraction, unit: int) -> Fraction:
    """Round to a multiple of 1/unit, half to even (what `round` does to a fraction)."""
    return Fraction(round(value * unit), unit)


def fraction(value: Decimal) -> Fraction:
    """Return a Decimal as the fraction it is."""
    return Fraction(*value.as_integer_ratio())


@dataclass(slots=True)
class Slot:
    """One position: size is signed, fees of openings wait for their closing."""

    size: Fraction = Fraction(0)
    entry: Fraction = Fraction(0)
    open_fee: Fraction = Fraction(0)
    realised: Fraction = Fraction(0)  # since ever, fees and funding included


@dataclass(slots=True)
class Closing:
    """What one order closed so far."""

    size: Fraction = Fraction(0)
    pnl: Fraction = Fraction(0)
    open_fee: Fraction = Fraction(0)
    close_fee: Fraction = Fraction(0)
    entry_value: Fraction = Fraction(0)
    exit_value: Fraction = Fraction(0)
    fills: int = 0


class Booked(NamedTuple):
    """What one execution comes to."""

    pnl: Fraction  # before fees
    fee: Fraction
    closed: Fraction
    value: Fraction


@dataclass(slots=True)
class Twin:
    """An account recomputed; feed it executions in the order they happened."""

    cash: Fraction = Fraction(0)
    slots: dict[tuple[str, int], Slot] = field(default_factory=dict)
    closings: dict[str, Closing] = field(default_factory=dict)

    def transfer(self, amount: Decimal) -> None:
        """Book money in or out."""
        self.cash += fraction(amount)

    def book(self, execution: Execution) -> Booked:
        """Book one execution, whatever it says of its own value, fee, profit and closed part."""
        slot = self.slots.setdefault((execution.symbol, execution.position_idx), Slot())
        if execution.exec_type.value == "Funding":
            mark, rate = fraction(execution.mark_price), fraction(execution.fee_rate)
            fee = half_even(slot.size * mark * rate, _AMOUNT)
            booked = Booked(Fraction(0), fee, Fraction(0), abs(slot.size) * mark)
        else:
            booked = self._trade(slot, execution)
        self.cash += booked.pnl - booked.fee
        slot.realised += booked.pnl - booked.fee
        return booked

    def _trade(self, slot: Slot, execution: Execution) -> Booked:
        price = fraction(execution.exec_price)
        signed = fraction(execution.exec_qty) * (1 if execution.side.value == "Buy" else -1)
        fee = half_even(abs(signed) * price * fraction(execution.fee_rate), _AMOUNT)
        closed = Fraction(0)
        if slot.size * signed < 0:
            closed = min(abs(signed), abs(slot.size))
        opened = abs(signed) - closed
        open_part = half_even(fee * opened / abs(signed), _AMOUNT) if closed else fee
        pnl = Fraction(0)
        if closed:
            direction = 1 if slot.size > 0 else -1
            pnl = half_even((price - slot.entry) * closed * direction, _AMOUNT)
            whole = closed == abs(slot.size)
            given = (
                slot.open_fee
                if whole
                else half_even(slot.open_fee * closed / abs(slot.size), _AMOUNT)
            )
            closing = self.closings.setdefault(execution.order_id, Closing())
            closing.size += closed
            closing.pnl += pnl
            closing.open_fee += given
            closing.close_fee += fee - open_part
            closing.entry_value += closed * slot.entry
            closing.exit_value += closed * price
            closing.fills += 1
            slot.open_fee -= given
            slot.size -= direction * closed
        if opened:
            if slot.size == 0:
                slot.entry = half_even(price, _PRICE)
            else:
                total = abs(slot.size) + opened
                slot.entry = half_even(
                    (slot.entry * abs(slot.size) + price * opened) / total, _PRICE
                )
            slot.size += opened if signed > 0 else -opened
            slot.open_fee += open_part
        if slot.size == 0:
            slot.entry = Fraction(0)
        return Booked(pnl, fee, closed, abs(signed) * price)


def check_execution(twin: Twin, execution: Execution) -> list[str]:
    """Book an execution on both sides' terms; returns what does not agree."""
    booked = twin.book(execution)
    pairs = (
        ("exec_pnl", booked.pnl, execution.exec_pnl),
        ("exec_fee", booked.fee, execution.exec_fee),
        ("closed_size", booked.closed, execution.closed_size),
        ("exec_value", booked.value, execution.exec_value),
    )
    return [
        f"{execution.exec_id} {name}: {theirs} booked, {ours} recomputed"
        for name, ours, theirs in pairs
        if ours != fraction(theirs)
    ]


def check_log(rows: Iterable[LogRow]) -> list[str]:
    """Check that every row's change is its parts, and every balance the sum of the changes."""
    faults = []
    cash = Fraction(0)
    for row in rows:
        change = fraction(row.cash_flow) + fraction(row.funding) - fraction(row.fee)
        cash += change
        if change != fraction(row.change) or cash != fraction(row.cash_balance):
            faults.append(f"row {row.id}: change {row.change}, balance {row.cash_balance}")
    return faults


def check_account(twin: Twin, account: Account) -> list[str]:
    """Compare an account's wallet, positions and closed results with the recomputed ones."""
    faults: list[str] = []

    def same(name: str, theirs: Decimal, ours: Fraction) -> None:
        if fraction(theirs) != ours:
            faults.append(f"account {account.uid} {name}: {theirs} kept, {ours} recomputed")

    same("wallet_balance", account.wallet.wallet_balance, twin.cash)
    for key, position in account.positions.items():
        slot = twin.slots.get(key, Slot())
        sign = 0 if position.side is None else position.side.sign
        same(f"{key} size", position.size * sign, slot.size)
        same(f"{key} entry_price", position.entry_price, slot.entry)
        same(f"{key} open_fee", position.open_fee, slot.open_fee)
        same(f"{key} cum_realised_pnl", position.cum_realised_pnl, slot.realised)
    for row in account.closed_pnl:
        faults += _closed(row, twin.closings.get(row.order_id, Closing()))
    return faults


def _closed(row: ClosedPnl, closing: Closing) -> list[str]:
    pairs: list[tuple[str, Any, Any]] = [
        ("closed_size", fraction(row.closed_size), closing.size),
        ("cum_entry_value", fraction(row.cum_entry_value), closing.entry_value),
        ("cum_exit_value", fraction(row.cum_exit_value), closing.exit_value),
        ("open_fee", fraction(row.open_fee), closing.open_fee),
        ("close_fee", fraction(row.close_fee), closing.close_fee),
        (
            "closed_pnl",
            fraction(row.closed_pnl),
            closing.pnl - closing.open_fee - closing.close_fee,
        ),
        ("fill_count", row.fill_count, closing.fills),
    ]
    return [
        f"closed result of {row.order_id} {name}: {theirs} kept, {ours} recomputed"
        for name, theirs, ours in pairs
        if theirs != ours
    ]
