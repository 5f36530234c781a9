"""The one door: every entry of every mode passes here, or does not.

Cheapest controls first; the first that refuses ends it. Then sizing: what refuses and what shrinks.

refuse    settings, account, entries, symbols, contract, numbers, signal, quote, prices, stop,
          regime, breaker HALTED, day, equity, order rate, trades, coin, leverage, volatility,
          spread, cost, funding, liquidation of the first tier
shrink    risk per trade (halved while REDUCING), total, coin and group risk, margin use, free
          balance, value over equity, risk tiers, order size; to less than the venue's minimum:
          refused
"""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext

from engine.risk import gates_account, gates_market, sizing
from engine.risk.asked import Asked, Control, Found
from engine.risk.book import EntryRequest, RiskBook
from engine.risk.figures import exact_context, number
from engine.risk.limits import RiskLimits
from engine.risk.reasons import WORDS, Reason
from engine.risk.unit import round_trip_share, rounded_prices, unit_loss, unit_margin
from engine.risk.verdict import Approved, Check, Refused, Verdict

_R_STEP = Decimal("0.000001")


def liquidation(asked: Asked) -> Found:
    """Refuse a leverage at which even the smallest position dies before its stop. Control 6."""
    first = sizing.tiers_of(asked.request.contract)[0]
    price = sizing.liquidation_at(asked, first.maintenance_rate)
    limit = sizing.liquidation_limit(asked)
    reason = Reason.LIQUIDATION if price > limit else None
    return Found("liquidation", number(price), number(limit), reason)


CONTROLS: tuple[Control, ...] = (
    gates_account.limits_readable,
    gates_account.entries_on,
    gates_account.symbol_listed,
    gates_account.regime,
    gates_account.book_readable,
    gates_account.breaker,
    gates_account.daily_loss,
    gates_account.equity_floor,
    gates_account.order_rate,
    gates_account.trades_max,
    gates_account.symbol_free,
    gates_market.request_readable,
    gates_market.contract_open,
    gates_market.signal_fresh,
    gates_market.quote_fresh,
    gates_market.prices_fit,
    gates_market.stop_fits,
    gates_account.leverage,
    gates_market.volatility,
    gates_market.spread,
    gates_market.cost_in_r,
    gates_market.funding,
    liquidation,
)


def judge(
    request: EntryRequest,
    book: RiskBook,
    limits: RiskLimits,
    now_ms: int,
    *,
    allow: tuple[str, ...] = (),
    deny: tuple[str, ...] = (),
) -> Verdict:
    """Judge one entry: the sized order, or why there is none. Never raises for what it is told.

    Parameters
    ----------
    allow, deny : tuple of str
        The user's symbols; an empty `allow` is every coin.
    """
    asked = Asked(request, book, limits, now_ms, allow, deny)
    checks: list[Check] = []
    with localcontext(exact_context()):
        for control in CONTROLS:
            found = control(asked)
            checks.append((found.control, found.value, found.limit))
            if found.reason is not None:
                return _refused(request.symbol, found, checks)
        return _sized(asked, checks)


def _refused(symbol: str, found: Found, checks: list[Check]) -> Refused:
    reason = Reason.BAD_NUMBERS if found.reason is None else found.reason
    words = WORDS[reason].format(symbol=symbol, value=found.value, limit=found.limit)
    return Refused(
        reason=reason, words=words, value=found.value, limit=found.limit, checks=tuple(checks)
    )


def _finite_qty(cap: sizing.Cap) -> Decimal:
    return cap.qty if cap.qty.is_finite() else Decimal(-1)  # no number buys nothing


def _sized(asked: Asked, checks: list[Check]) -> Verdict:
    caps = [cap(asked) for cap in sizing.CAPS]
    checks.extend((cap.control, cap.value, cap.limit) for cap in caps)
    request, contract = asked.request, asked.request.contract
    entry, stop = rounded_prices(request)
    tightest = min(caps, key=_finite_qty)
    steps = (_finite_qty(tightest) / contract.qty_step).to_integral_value(ROUND_FLOOR)
    qty = steps * contract.qty_step
    if qty <= 0 or qty < sizing.smallest_qty(contract, entry):
        found = Found(tightest.control, tightest.value, tightest.limit, tightest.reason)
        return _refused(request.symbol, found, checks)
    leverage = sizing.leverage_of(asked)
    tiers = sizing.tiers_of(contract)
    tier = next((each for each in tiers if qty * entry <= each.limit), tiers[-1])
    cost_r = round_trip_share(request) * entry / (entry - stop)
    return Approved(
        qty=qty,
        entry=entry,
        stop=stop,
        notional_usdt=qty * entry,
        risk_usdt=qty * unit_loss(request),
        r_usdt=qty * (entry - stop),
        margin_usdt=qty * unit_margin(request, leverage),
        cost_r=cost_r.quantize(_R_STEP, ROUND_CEILING),
        leverage=leverage,
        liquidation_price=contract.ceil_price(sizing.liquidation_at(asked, tier.maintenance_rate)),
        halved=sizing.reducing(asked),
        shrunk_by="" if tightest.reason is Reason.TOO_SMALL else tightest.reason.value,
        checks=tuple(checks),
    )
