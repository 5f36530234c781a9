"""The circuit breaker: ACTIVE, REDUCING (half size), HALTED (no entries)."""

import msgspec

ACTIVE = "ACTIVE"
REDUCING = "REDUCING"
HALTED = "HALTED"


class Breaker(msgspec.Struct, frozen=True, kw_only=True):
    """The breaker of one user, stored with the engine's state."""

    state: str = ACTIVE
    cause: str = ""  # losses | errors | slippage | liquidation | person
    since_ms: int = 0
    until_ms: int = 0  # HALTED cools to REDUCING then; 0: only a person ends it
    losses: int = 0  # in a row
    slips: tuple[bool, ...] = ()  # of the last ten trades: slipped further than the limit
    errors_ms: tuple[int, ...] = ()  # venue errors within the window
