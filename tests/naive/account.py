"""The ledger once more, in fractions and the plainest words: what executions say a user has."""

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from engine.account.commands import ExecutionRecord


class Books(NamedTuple):
    """What a list of executions comes to."""

    cash: Fraction
    sizes: dict[str, Fraction]
    entries: dict[str, Fraction]  # prices, by symbol
    pnl: dict[str, Fraction]  # by trade
    fees: dict[str, Fraction]
    funding: dict[str, Fraction]  # + received


def rounded(value: Fraction, digits: int) -> Fraction:
    """Round half to even."""
    scale = 10**digits
    return Fraction(round(value * scale), scale)


def books(executions: Iterable[ExecutionRecord]) -> Books:
    """Book executions in their order, results worked out anew and never read."""
    cash = Fraction(0)
    sizes: dict[str, Fraction] = {}
    entries: dict[str, Fraction] = {}
    pnl: dict[str, Fraction] = {}
    fees: dict[str, Fraction] = {}
    funding: dict[str, Fraction] = {}
    for done in executions:
        trade, symbol, fee = done.trade_id, done.symbol, Fraction(done.fee)
        if done.exec_type == "Funding":
            cash -= fee
            funding[trade] = funding.get(trade, Fraction(0)) - fee
            continue
        qty, price = Fraction(done.qty), Fraction(done.price)
        size, entry = sizes.get(symbol, Fraction(0)), entries.get(symbol, Fraction(0))
        signed = qty if done.side == "Buy" else -qty
        earned = Fraction(0)
        if size * signed < 0:
            closed = min(qty, abs(size))
            side = 1 if size > 0 else -1
            earned = rounded((price - entry) * closed * side, 8)
            if qty > closed:
                entry = rounded(price, 10)
        elif size == 0:
            entry = rounded(price, 10)
        else:
            entry = rounded((entry * abs(size) + price * qty) / (abs(size) + qty), 10)
        sizes[symbol], entries[symbol] = size + signed, entry
        cash += earned - fee
        pnl[trade] = pnl.get(trade, Fraction(0)) + earned
        fees[trade] = fees.get(trade, Fraction(0)) + fee
    return Books(cash, sizes, entries, pnl, fees, funding)


def exact(value: Decimal) -> Fraction:
    """Return a Decimal as a fraction."""
    return Fraction(value)
