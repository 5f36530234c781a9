"""The ledger recomputed in Fractions from the executions alone, by the rule `ledger` states."""

from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from engine.venue.exchange.records import Account


def rounded(value: Fraction, digits: int) -> Fraction:
    """Half to even, as Python's round does for Fractions."""
    return Fraction(round(value, digits))


def frac(value: Decimal) -> Fraction:
    return Fraction(value)


@dataclass
class Slot:
    """A position in exact numbers; size is signed."""

    size: Fraction = Fraction(0)
    entry: Fraction = Fraction(0)
    open_fee: Fraction = Fraction(0)
    realised: Fraction = Fraction(0)


@dataclass
class Told:
    """What one account's executions amount to."""

    wallet: Fraction
    slots: dict = field(default_factory=dict)
    pnl: dict = field(default_factory=dict)  # execution id -> realised profit before fees
    closed: dict = field(default_factory=dict)  # order id -> closed pnl
    cash: list = field(default_factory=list)  # wallet after each execution


def recompute(account: Account, transfers: Decimal) -> Told:
    told = Told(frac(transfers))
    for each in account.executions:
        slot = told.slots.setdefault((each.symbol, each.position_idx), Slot())
        if each.exec_type == "Funding":
            sign = 1 if slot.size > 0 else -1
            paid = rounded(sign * abs(slot.size) * frac(each.mark_price) * frac(each.fee_rate), 8)
            assert paid == frac(each.exec_fee)
            assert frac(each.exec_value) == abs(slot.size) * frac(each.mark_price)
            told.wallet -= paid
            slot.realised -= paid
            told.cash.append(told.wallet)
            continue
        sign = 1 if each.side == "Buy" else -1
        qty, price = frac(each.exec_qty), frac(each.exec_price)
        fee = rounded(qty * price * frac(each.fee_rate), 8)
        assert fee == frac(each.exec_fee)
        closes = min(qty, abs(slot.size)) if slot.size * sign < 0 else Fraction(0)
        opens = qty - closes
        opening_fee = rounded(fee * opens / qty, 8) if closes else fee
        pnl = Fraction(0)
        if closes:
            pnl = rounded((price - slot.entry) * closes * -sign, 8)
            whole = closes == abs(slot.size)
            back = slot.open_fee if whole else rounded(slot.open_fee * closes / abs(slot.size), 8)
            slot.open_fee -= back
            slot.size += sign * closes
            had = told.closed.get(each.order_id, Fraction(0))
            told.closed[each.order_id] = had + pnl - back - (fee - opening_fee)
        if opens:
            held = abs(slot.size)
            value = slot.entry * held + price * opens if held else price * opens
            slot.entry = rounded(value / (held + opens), 10)
            slot.size += sign * opens
            slot.open_fee += opening_fee
        told.wallet += pnl - fee
        slot.realised += pnl - fee
        told.pnl[each.exec_id] = pnl
        told.cash.append(told.wallet)
        assert closes == frac(each.closed_size)
    return told
