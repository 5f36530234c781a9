"""Controls that ask the account: one function each, none knows of another."""

from decimal import Decimal

import msgspec

from engine.risk.asked import Asked, Found
from engine.risk.book import FOREIGN, Exposure, RiskBook
from engine.risk.breaker import HALTED, halt_ends, on_time
from engine.risk.day import breaches, day_limit, day_result
from engine.risk.figures import MINUTE_MS, number, percent, sane, times, usdt
from engine.risk.limits import RiskLimits
from engine.risk.reasons import Reason

NORMAL = "NORMAL"
RISK_OFF = "RISK_OFF"


def limits_readable(asked: Asked) -> Found:
    """Refuse while a limit is no number; ranges are checked where settings are made."""
    for name in RiskLimits.__struct_fields__:
        limit = getattr(asked.limits, name)
        if isinstance(limit, Decimal) and not (sane(limit) and limit >= 0):
            return Found("settings", f"your limit {name} is {limit}", "a number", Reason.BLOCKED)
    return Found("settings", "readable", "a number each")


def book_readable(asked: Asked) -> Found:
    """Refuse while a figure of the account is no number."""
    wrong = _unreadable(asked.book)
    return Found(
        "account", wrong or "readable", "a number each", Reason.BAD_BOOK if wrong else None
    )


def _unreadable(book: RiskBook) -> str:
    for name in ("equity_usdt", "available_usdt", "unrealised_usdt", "pending_margin_usdt"):
        if not sane(getattr(book, name)):
            return f"{name} {getattr(book, name)}"
    for held in book.exposures:
        if not _exposure_readable(held):
            return f"{held.symbol or 'a coin'} {held.risk_usdt} {held.margin_usdt}"
    day = book.day
    if day is None:
        return ""
    figures = [each for each in msgspec.structs.astuple(day) if isinstance(each, Decimal)]
    return "" if all(sane(each) for each in figures) else "the day's result"


def _exposure_readable(held: Exposure) -> bool:
    figures = (held.risk_usdt, held.notional_usdt, held.margin_usdt)
    return all(sane(figure) and figure >= 0 for figure in figures)


def entries_on(asked: Asked) -> Found:
    """Refuse while somebody, or something, has switched entries off."""
    off = asked.book.blocked
    return Found("entries", off or "on", "on", Reason.BLOCKED if off else None)


def symbol_listed(asked: Asked) -> Found:
    """Refuse coins the user denies, or does not allow."""
    symbol = asked.request.symbol
    if symbol in asked.deny:
        return Found("symbols", symbol, "not denied", Reason.SYMBOL_DENIED)
    if asked.allow and symbol not in asked.allow:
        return Found("symbols", symbol, f"{len(asked.allow)} coins", Reason.SYMBOL_NOT_ALLOWED)
    return Found("symbols", symbol, "allowed")


def regime(asked: Asked) -> Found:
    """Refuse in RISK_OFF, and while the regime is unknown. Control 7."""
    met = asked.book.regime
    if not asked.limits.regime_filter:
        return Found("regime", met, "off")
    if met == NORMAL:
        return Found("regime", met, NORMAL)
    reason = Reason.RISK_OFF if met == RISK_OFF else Reason.REGIME_UNKNOWN
    return Found("regime", met or "unknown", NORMAL, reason)


def breaker(asked: Asked) -> Found:
    """Refuse while the circuit breaker is HALTED; REDUCING halves in `sizing`. Control 9."""
    now = on_time(asked.book.breaker, asked.limits, asked.now_ms)
    if now.state == HALTED:
        return Found("breaker", now.cause or HALTED, halt_ends(now), Reason.BREAKER_HALTED)
    return Found("breaker", now.state, "not HALTED")


def daily_loss(asked: Asked) -> Found:
    """Refuse once the day has lost its limit, or while its books are not open. Control 4."""
    day = asked.book.day
    if day is None:
        return Found("daily loss", "none yet", "open", Reason.DAY_UNKNOWN)
    if asked.now_ms >= day.resets_ms:
        return Found("daily loss", f"those of {day.day} are over", "open", Reason.DAY_UNKNOWN)
    loss = max(-day_result(day, asked.book.unrealised_usdt), Decimal(0))
    limit = f"{usdt(day_limit(day, asked.limits))} ({percent(asked.limits.daily_loss_max)})"
    halted = day.halted or breaches(day, asked.book.unrealised_usdt, asked.limits)
    return Found("daily loss", usdt(loss), limit, Reason.DAILY_LOSS if halted else None)


def equity_floor(asked: Asked) -> Found:
    """Refuse below the least equity that can be traded with sense."""
    equity, floor = asked.book.equity_usdt, asked.limits.loss_floor_usdt
    low = equity < floor or equity <= 0
    return Found("equity", usdt(equity), usdt(floor), Reason.EQUITY_FLOOR if low else None)


def order_rate(asked: Asked) -> Found:
    """Refuse beyond so many orders a minute. Orders ahead of a clock set back count too."""
    since = asked.now_ms - MINUTE_MS
    sent = sum(at > since for at in asked.book.order_times_ms)
    limit = asked.limits.orders_per_min
    return Found(
        "order rate", str(sent), f"{limit} a minute", Reason.ORDER_RATE if sent >= limit else None
    )


def trades_max(asked: Asked) -> Found:
    """Refuse beyond so many trades: open, resting and in flight alike. Control 2."""
    held = sum(each.kind != FOREIGN for each in asked.book.exposures)
    most = asked.limits.trades_max
    return Found("trades", str(held), str(most), Reason.TRADES_MAX if held >= most else None)


def symbol_free(asked: Asked) -> Found:
    """Refuse a second trade in a coin: one-way mode would melt the two, stops and all."""
    for held in asked.book.exposures:
        if held.symbol == asked.request.symbol:
            what = "a position of somebody else's" if held.kind == FOREIGN else "a trade"
            return Found("one a coin", what, "1", Reason.SYMBOL_BUSY)
    return Found("one a coin", "0", "1")


def leverage(asked: Asked) -> Found:
    """Refuse at more leverage than the user, or the venue, allows. Control 6."""
    met, own = asked.request.leverage, asked.limits.leverage_max
    if met is None:
        return Found("leverage", "unknown", times(own), Reason.LEVERAGE_UNKNOWN)
    contract = asked.request.contract
    if not contract.leverage_min <= met <= contract.leverage_max:
        bounds = f"{number(contract.leverage_min)} to {times(contract.leverage_max)}"
        return Found("leverage", times(met), bounds, Reason.LEVERAGE_CONTRACT)
    if met > own:
        return Found("leverage", times(met), times(own), Reason.LEVERAGE_LIMIT)
    return Found("leverage", times(met), times(own))
