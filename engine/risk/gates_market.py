"""Controls that ask the contract, the quote and the market: one function each."""

from decimal import Decimal

from engine.risk.asked import Asked, Found
from engine.risk.book import EntryRequest
from engine.risk.figures import bps, in_r, number, percent, positive, sane, span, times
from engine.risk.funding import funding_cost_r, rate_counted
from engine.risk.reasons import Reason
from engine.risk.unit import round_trip_share, rounded_prices
from engine.venue.words import InstrumentStatus

FEE_MOST = Decimal("0.01")  # a fee of more than 1 % is a misread one

_POSITIVE = ("entry", "stop", "leverage", "bid", "ask", "mark", "atr", "batr")
_NOT_NEGATIVE = ("taker_fee", "spread_bps", "sweep_bps")
_CONTRACT = (
    "tick_size", "qty_step", "min_order_qty", "max_order_qty", "max_mkt_order_qty",
    "leverage_min", "leverage_max",
)  # fmt: skip
_NEEDED = ("bid", "ask", "mark", "spread_bps", "sweep_bps")


def request_readable(asked: Asked) -> Found:
    """Refuse a request whose numbers are none: NaN, zero, negative, of another world."""
    wrong = _wrong_number(asked.request) or _wrong_contract(asked.request)
    return Found(
        "numbers", wrong or "readable", "a number each", Reason.BAD_NUMBERS if wrong else None
    )


def _wrong_number(request: EntryRequest) -> str:
    for name in _POSITIVE:
        value = getattr(request, name)
        if value is not None and not positive(value):
            return f"{name} {value}"
    for name in _NOT_NEGATIVE:
        value = getattr(request, name)
        if value is not None and not (sane(value) and value >= 0):
            return f"{name} {value}"
    if request.taker_fee > FEE_MOST:
        return f"taker_fee {request.taker_fee}"
    rate = request.funding_rate
    return f"funding_rate {rate}" if rate is not None and not sane(rate) else ""


def _wrong_contract(request: EntryRequest) -> str:
    contract = request.contract
    if contract.symbol != request.symbol:
        return f"the rules of {contract.symbol}"
    for name in _CONTRACT:
        if not positive(getattr(contract, name)):
            return f"{name} {getattr(contract, name)}"
    if not (sane(contract.min_notional) and contract.min_notional >= 0):
        return f"min_notional {contract.min_notional}"
    for tier in contract.tiers:
        rate = tier.maintenance_rate
        if not (positive(tier.limit) and sane(rate) and 0 <= rate < 1 and sane(tier.leverage_max)):
            return f"risk tier {tier.id}"
    return ""


def contract_open(asked: Asked) -> Found:
    """Refuse coins not yet, or no longer, or only one way, traded."""
    contract = asked.request.contract
    if contract.delivery_time > 0:
        left = span(contract.delivery_time - asked.now_ms)
        return Found("contract", left, "no delisting", Reason.DELISTING)
    if contract.status != InstrumentStatus.TRADING:
        return Found("contract", str(contract.status), "Trading", Reason.NOT_TRADING)
    if asked.request.reduce_only:
        return Found("contract", "reduce only", "Trading", Reason.REDUCE_ONLY)
    return Found("contract", str(contract.status), "Trading")


def signal_fresh(asked: Asked) -> Found:
    """Refuse a signal of some bars ago; one that names no time is not asked (I13)."""
    request = asked.request
    if request.signal_ms <= 0 or request.interval_ms <= 0:
        return Found("signal", "no age", "not asked")
    age_ms = asked.now_ms - request.signal_ms
    most_ms = asked.limits.signal_bars_max * request.interval_ms
    # a signal of a bar that has yet to close is as wrong as one long past
    reason = None if -request.interval_ms < age_ms <= most_ms else Reason.SIGNAL_OLD
    return Found("signal", span(age_ms), span(most_ms), reason)


def quote_fresh(asked: Asked) -> Found:
    """Refuse without a whole quote of now: older than 5 s, or of a book that broke (I13)."""
    request, most_ms = asked.request, asked.limits.quote_age_max_ms
    if request.quote_ms <= 0:
        return Found("quote", "all of it", span(most_ms), Reason.NO_QUOTE)
    missing = [name for name in _NEEDED if getattr(request, name) is None]
    if missing:
        return Found("quote", missing[0], span(most_ms), Reason.NO_QUOTE)
    age_ms = asked.now_ms - request.quote_ms
    if request.quote_stale:
        return Found("quote", "its book lost a message", span(most_ms), Reason.STALE_BOOK)
    # a quote far ahead of our clock is as wrong as one far behind
    if abs(age_ms) > most_ms:
        return Found("quote", f"{span(age_ms)} old", span(most_ms), Reason.STALE_BOOK)
    return Found("quote", span(age_ms), span(most_ms))


def prices_fit(asked: Asked) -> Found:
    """Refuse a crossed book, and an entry, book or mark far from one another (I13)."""
    request, most = asked.request, asked.limits.price_gap_max
    bid, ask, mark = request.bid, request.ask, request.mark
    if bid is None or ask is None or mark is None:
        return Found("prices", "no quote", percent(most), Reason.NO_QUOTE)
    if bid > ask:
        return Found("prices", f"bid {number(bid)} over ask {number(ask)}", "bid under ask",
                     Reason.PRICE_INSANE)  # fmt: skip
    if not request.contract.min_price <= request.entry <= request.contract.max_price:
        return Found("prices", f"entry {number(request.entry)} beyond the contract's range",
                     number(request.contract.max_price), Reason.PRICE_INSANE)  # fmt: skip
    gap = max(abs(price / mark - 1) for price in (request.entry, bid, ask))
    reason = Reason.PRICE_INSANE if gap > most else None
    return Found("prices", f"{percent(gap)} apart", percent(most), reason)


def stop_fits(asked: Asked) -> Found:
    """Refuse a stop that is not below the entry, on the tick, or not below the price of now."""
    entry, stop = rounded_prices(asked.request)
    if not 0 < stop < entry:
        return Found("stop", number(stop), number(entry), Reason.NO_ROOM_FOR_STOP)
    lowest = min(
        (price for price in (asked.request.bid, asked.request.mark) if price is not None),
        default=entry,
    )
    if lowest <= stop:
        return Found("stop", number(lowest), number(stop), Reason.THROUGH_STOP)
    return Found("stop", number(stop), number(entry))


def volatility(asked: Asked) -> Found:
    """Refuse while the coin moves several times its base's range. Part of control 9."""
    atr, batr, most = asked.request.atr, asked.request.batr, asked.limits.breaker_volatility_x
    if atr is None or batr is None:
        return Found("volatility", "no atr or batr", times(most), Reason.BAD_NUMBERS)
    ratio = atr / batr
    return Found(
        "volatility", times(ratio), times(most), Reason.VOLATILITY if ratio > most else None
    )


def spread(asked: Asked) -> Found:
    """Refuse a wide book."""
    met, most = asked.request.spread_bps, asked.limits.spread_max_bps
    if met is None:
        return Found("spread", "the spread", bps(most), Reason.NO_QUOTE)
    return Found("spread", bps(met), bps(most), Reason.SPREAD if met > most else None)


def cost_in_r(asked: Asked) -> Found:
    """Refuse a trade whose fees and slippage eat too much of what it risks."""
    entry, stop = rounded_prices(asked.request)
    most = asked.limits.cost_r_max
    cost = round_trip_share(asked.request) * entry / (entry - stop)
    return Found("cost", in_r(cost), in_r(most), Reason.COST_R if cost > most else None)


def funding(asked: Asked) -> Found:
    """Refuse where the next funding payment is dear. Control 8; in trade see `funding`."""
    rate, most = rate_counted(asked.request.funding_rate), asked.limits.funding_rate_max
    if rate > most:
        return Found("funding", percent(rate), percent(most), Reason.FUNDING_RATE)
    entry, stop = rounded_prices(asked.request)
    cost, most_r = funding_cost_r(rate, entry, entry - stop), asked.limits.funding_cost_r_max
    reason = Reason.FUNDING_COST if cost > most_r else None
    return Found("funding", in_r(cost), in_r(most_r), reason)
