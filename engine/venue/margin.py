"""Isolated margin of a long by Bybit's rules since 2025-09-02."""

from typing import NamedTuple

from engine.kernels.paths import bankruptcy_price, liquidation_price

__all__ = ["MarginParams", "bankruptcy_price", "initial_margin", "liquidation_price"]


class MarginParams(NamedTuple):
    """How much may be borrowed, and when the venue steps in."""

    leverage: float = 5.0  # the Standard settings' upper bound
    maintenance_rate: float = 0.01  # lowest tier of most alts (0.5 % for majors): the careful one


def initial_margin(qty: float, entry: float, leverage: float, taker_fee: float) -> float:
    """Return the margin an entry locks, quote units: value / leverage + the fee to close."""
    closing_fee = qty * bankruptcy_price(entry, leverage) * taker_fee
    return qty * entry / leverage + closing_fee
