"""The user's day: what it has earned or lost, and when it ends, as a UTC instant."""

from decimal import Decimal

import msgspec

ZERO = Decimal(0)


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """One day's risk books. Halted once is halted until `resets_ms`, whatever comes after."""

    day: str  # ISO date in the user's time zone
    resets_ms: int  # UTC instant at which it ends; stored, never worked out again
    start_equity_usdt: Decimal
    start_unrealised_usdt: Decimal = ZERO
    realised_usdt: Decimal = ZERO  # results of exits before fees and funding
    fees_usdt: Decimal = ZERO  # + paid
    funding_usdt: Decimal = ZERO  # + received
    halted: bool = False
    reason: str = ""
