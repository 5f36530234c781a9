"""The circuit breaker: ACTIVE, REDUCING (half size), HALTED (no entries).

Pure: breaker in, event in, breaker out. Up: a run of losses reduces, then halts; venue errors,
slippage and a liquidation halt at once. Down: HALTED never becomes ACTIVE, it becomes REDUCING, by
its cool-down or by a person; REDUCING becomes ACTIVE by a winning trade, or, where errors or
slippage were the cause, by another cool-down without any. Half size is what "let us see" costs: a
pattern that has stopped working loses half as much while it shows it, and one that works pays to be
let back in. Management of open trades never asks the breaker.
"""

from decimal import Decimal

import msgspec

from engine.risk.figures import MINUTE_MS, instant
from engine.risk.limits import RiskLimits

ACTIVE = "ACTIVE"
REDUCING = "REDUCING"
HALTED = "HALTED"

LOSSES = "losses"
ERRORS = "errors"
SLIPPAGE = "slippage"
LIQUIDATION = "liquidation"

SLIPS_KEPT = 10  # trades
REDUCED_SHARE = Decimal("0.5")  # of the risk per trade while REDUCING
_COOLS = (ERRORS, SLIPPAGE)  # causes that time alone heals

CAUSE_WORDS = {
    LOSSES: "losses in a row",
    ERRORS: "errors of the venue",
    SLIPPAGE: "fills far from their price",
    LIQUIDATION: "a liquidation",
}


class Breaker(msgspec.Struct, frozen=True, kw_only=True):
    """The breaker of one user, stored with the engine's state."""

    state: str = ACTIVE
    cause: str = ""  # losses | errors | slippage | liquidation
    since_ms: int = 0
    until_ms: int = 0  # the cool-down's end; 0: HALTED needs a person, REDUCING a winning trade
    losses: int = 0  # in a row
    slips: tuple[bool, ...] = ()  # of the last ten trades: slipped further than the limit
    errors_ms: tuple[int, ...] = ()  # venue errors within the window


def on_time(breaker: Breaker, limits: RiskLimits, at_ms: int) -> Breaker:
    """Let time pass: at most one step down."""
    if breaker.state == ACTIVE or breaker.until_ms == 0 or at_ms < breaker.until_ms:
        return breaker
    if breaker.state == REDUCING:
        return msgspec.structs.replace(breaker, state=ACTIVE, cause="", since_ms=at_ms, until_ms=0)
    return _reduced(breaker, limits, at_ms)


def on_resume(breaker: Breaker, limits: RiskLimits, at_ms: int) -> Breaker:
    """Let a person end a halt: half size first, whatever the cause was."""
    return _reduced(breaker, limits, at_ms) if breaker.state == HALTED else breaker


def on_trade(
    breaker: Breaker,
    limits: RiskLimits,
    at_ms: int,
    *,
    result_usdt: Decimal,
    slippage_r: Decimal,
    day_ends_ms: int,
) -> Breaker:
    """Count a closed trade.

    Parameters
    ----------
    result_usdt : Decimal
        Fees and funding included. What is no number counts as a loss.
    slippage_r : Decimal
        How much worse than planned its fills were, in R: the worst of entry and exit.
    day_ends_ms : int
        A halt by losses lasts to the end of the user's day, and a cool-down at least.
    """
    now = on_time(breaker, limits, at_ms)
    now = _count_slip(now, limits, at_ms, slippage_r)
    if result_usdt.is_finite() and result_usdt >= 0:
        return _won(now, at_ms) if result_usdt > 0 else now
    losses = now.losses + 1
    now = msgspec.structs.replace(now, losses=losses)
    if losses >= limits.breaker_halt_losses:
        return _halted(now, LOSSES, at_ms, max(day_ends_ms, at_ms + _cool_ms(limits)))
    if losses >= limits.breaker_reduce_losses and now.state != HALTED:
        since = now.since_ms if now.state == REDUCING else at_ms
        return msgspec.structs.replace(
            now, state=REDUCING, cause=LOSSES, since_ms=since, until_ms=0
        )
    return now


def on_error(breaker: Breaker, limits: RiskLimits, at_ms: int) -> Breaker:
    """Count an error of the venue: an answer that is none, a refusal nobody foresaw."""
    now = on_time(breaker, limits, at_ms)
    window_ms = limits.breaker_errors_s * 1000
    # a clock set back leaves errors ahead of now: those of the window on either side count
    near = tuple(at for at in now.errors_ms if abs(at_ms - at) < window_ms)
    errors = (*near, at_ms)
    if len(errors) < limits.breaker_errors:
        return msgspec.structs.replace(now, errors_ms=errors)
    cleared = msgspec.structs.replace(now, errors_ms=())
    return _halted(cleared, ERRORS, at_ms, at_ms + _cool_ms(limits))


def on_liquidation(breaker: Breaker, at_ms: int) -> Breaker:
    """Halt until a person has looked: the stop was meant to come first."""
    return _halted(breaker, LIQUIDATION, at_ms, 0)


def breaker_words(breaker: Breaker) -> str:
    """Say where the breaker stands, why, and what ends it."""
    why = CAUSE_WORDS.get(breaker.cause, breaker.cause or "no cause")
    if breaker.state == HALTED:
        return f"Entries are halted: {why}; {halt_ends(breaker)}."
    if breaker.state == REDUCING:
        tail = f" or at {instant(breaker.until_ms)}" if breaker.until_ms else ""
        return f"Entries at half size: {why}; full size after a winning trade{tail}."
    return "Entries at full size."


def halt_ends(breaker: Breaker) -> str:
    """Say what ends a halt."""
    return f"until {instant(breaker.until_ms)}" if breaker.until_ms else "until you resume"


def _cool_ms(limits: RiskLimits) -> int:
    return limits.breaker_cool_min * MINUTE_MS


def _won(breaker: Breaker, at_ms: int) -> Breaker:
    won = msgspec.structs.replace(breaker, losses=0)
    if breaker.state != REDUCING:
        return won
    return msgspec.structs.replace(won, state=ACTIVE, cause="", since_ms=at_ms, until_ms=0)


def _count_slip(breaker: Breaker, limits: RiskLimits, at_ms: int, slippage_r: Decimal) -> Breaker:
    slipped = not (slippage_r.is_finite() and slippage_r <= limits.breaker_slippage_r)
    slips = (*breaker.slips, slipped)[-SLIPS_KEPT:]
    if sum(slips) < limits.breaker_slippage_times:
        return msgspec.structs.replace(breaker, slips=slips)
    cleared = msgspec.structs.replace(breaker, slips=())
    return _halted(cleared, SLIPPAGE, at_ms, at_ms + _cool_ms(limits))


def _halted(breaker: Breaker, cause: str, at_ms: int, until_ms: int) -> Breaker:
    """Halt; a halt that stands is never made shorter."""
    if breaker.state != HALTED:
        return msgspec.structs.replace(
            breaker, state=HALTED, cause=cause, since_ms=at_ms, until_ms=until_ms
        )
    if breaker.until_ms == 0 or (0 < until_ms <= breaker.until_ms):
        return breaker
    return msgspec.structs.replace(breaker, cause=cause, until_ms=until_ms)


def _reduced(breaker: Breaker, limits: RiskLimits, at_ms: int) -> Breaker:
    """Turn a halt into half size."""
    cause = LOSSES if breaker.losses >= limits.breaker_reduce_losses else breaker.cause
    until_ms = at_ms + _cool_ms(limits) if cause in _COOLS else 0
    return msgspec.structs.replace(
        breaker, state=REDUCING, cause=cause, since_ms=at_ms, until_ms=until_ms
    )
