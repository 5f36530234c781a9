"""The day's loss and the circuit breaker, as they follow from money and trouble."""

from decimal import Decimal

from engine.account.commands import DayRecord
from engine.account.draft import Draft
from engine.account.entry import withdraw_all
from engine.account.exposure import equity, unrealised
from engine.account.state import Trade
from engine.risk import breaker as breakers
from engine.risk.breaker import HALTED, Breaker
from engine.risk.day import Day, book_day, judge_day, open_day


def roll(draft: Draft) -> None:
    """Open the day's books once the account is known, and anew when their stored end has come.

    The first ones wait for a whole reading: a wallet alone does not tell what positions had brought
    before, and that would count as the day's as soon as they are known.
    """
    state = draft.state
    if state.day is None and not state.read_ms:
        return
    if state.day is not None and draft.at_ms < state.day.resets_ms:
        return
    worth = equity(state)
    if worth is None:
        return
    zone = draft.params.timezone
    day = open_day(draft.at_ms, zone, equity_usdt=worth, unrealised_usdt=unrealised(state))
    draft.set(day=day, day_zone=zone)
    draft.audit("day_opened", day=day.day, resets_ms=day.resets_ms, equity_usdt=worth)
    record(draft)


def book(draft: Draft, pnl: Decimal, fee: Decimal, funding: Decimal) -> None:
    """Add what an execution brought."""
    day = draft.state.day
    if day is None:
        return
    draft.set(day=book_day(day, realised_usdt=pnl, fees_usdt=fee, funding_usdt=funding))
    record(draft)


def judge(draft: Draft) -> None:
    """Halt the day if its loss has reached the limit; resting entries go with it."""
    day = draft.state.day
    if day is None or day.halted:
        return
    after = judge_day(day, unrealised(draft.state), draft.params.risk)
    if not after.halted:
        return
    draft.set(day=after)
    draft.audit("day_halted", day=after.day, reason=after.reason, resets_ms=after.resets_ms)
    draft.alert(
        "halt",
        f"halt:{after.day}:{after.resets_ms}",
        f"Daily loss limit: {after.reason}. No entries until your day ends.",
        severity="critical",
        resets_ms=after.resets_ms,
    )
    record(draft)
    withdraw_all(draft, "daily_loss")


def record(draft: Draft) -> None:
    """Write the day down as it stands; the last word of a decision counts."""
    day = draft.state.day
    if day is None:
        return
    draft.records[:] = [r for r in draft.records if not isinstance(r, DayRecord)]
    draft.record(day_record(day))


def day_record(day: Day) -> DayRecord:
    """Return a day as the books show it."""
    return DayRecord(
        day=day.day,
        resets_ms=day.resets_ms,
        start_equity_usdt=day.start_equity_usdt,
        realised_usdt=day.realised_usdt,
        fees_usdt=day.fees_usdt,
        funding_usdt=day.funding_usdt,
        halted=day.halted,
        reason=day.reason,
    )


# ---------------------------------------------------------------------------- circuit breaker


def pass_time(draft: Draft) -> None:
    """Let a halt cool down."""
    _take(draft, breakers.on_time(draft.state.breaker, draft.params.risk, draft.at_ms))


def count_trade(draft: Draft, trade: Trade) -> None:
    """Count a closed trade."""
    day = draft.state.day
    after = breakers.on_trade(
        draft.state.breaker,
        draft.params.risk,
        draft.at_ms,
        result_usdt=trade.net_usdt,
        slippage_r=trade.slippage_r,
        day_ends_ms=day.resets_ms if day is not None else 0,
    )
    _take(draft, after)


def count_error(draft: Draft) -> None:
    """Count an error of the venue."""
    _take(draft, breakers.on_error(draft.state.breaker, draft.params.risk, draft.at_ms))


def count_liquidation(draft: Draft) -> None:
    """Halt until a person has looked."""
    _take(draft, breakers.on_liquidation(draft.state.breaker, draft.at_ms))


def resume(draft: Draft) -> None:
    """Let a person end a halt of the breaker."""
    _take(draft, breakers.on_resume(draft.state.breaker, draft.params.risk, draft.at_ms))


def _take(draft: Draft, after: Breaker) -> None:
    before = draft.state.breaker
    if after == before:
        return
    draft.set(breaker=after)
    if after.state == before.state and after.until_ms == before.until_ms:
        return
    halted = after.state == HALTED
    draft.audit("breaker", before=before.state, after=after.state, why=after.cause)
    draft.alert(
        "breaker",
        f"breaker:{after.state}:{after.cause}:{draft.at_ms}",
        breakers.breaker_words(after),
        severity="critical" if halted else "warning",
        state=after.state,
        cause=after.cause,
        until_ms=after.until_ms,
    )
    if halted and before.state != HALTED:
        withdraw_all(draft, "breaker")
