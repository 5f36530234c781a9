"""What judging an entry gives: sized order numbers, or a refusal a user understands."""

from decimal import Decimal

import msgspec

from engine.risk.reasons import Reason

ZERO = Decimal(0)

# (control, value met, limit that stands) of one control that was asked, in words with units.
Check = tuple[str, str, str]


class Approved(msgspec.Struct, frozen=True, kw_only=True):
    """The order that may be sent. Prices are on the tick, the quantity on the step."""

    qty: Decimal
    entry: Decimal
    stop: Decimal
    notional_usdt: Decimal  # qty x entry
    risk_usdt: Decimal  # what a full stop loses: distance, two fees, two sweeps
    r_usdt: Decimal  # qty x (entry - stop): what "1 R" is in this trade
    margin_usdt: Decimal  # what the order locks, both fees included
    cost_r: Decimal  # round trip of fees and sweeps, in R
    leverage: Decimal
    liquidation_price: Decimal  # worked out, on the careful side; 0: never
    halved: bool = False  # the circuit breaker is REDUCING
    shrunk_by: str = ""  # the reason code of the limit that made it smaller; "": none did
    checks: tuple[Check, ...] = ()


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """No order: why, in words; the value met and the limit that stands, each with its unit."""

    reason: Reason
    words: str
    value: str
    limit: str
    checks: tuple[Check, ...] = ()


Verdict = Approved | Refused
