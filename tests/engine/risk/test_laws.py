"""Laws of judging: nothing approved breaks a limit, tighter is never looser, no input raises."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.risk.book import EntryRequest, Exposure, RiskBook
from engine.risk.breaker import Breaker
from engine.risk.judge import judge
from engine.risk.limits import RiskLimits
from engine.risk.reasons import Reason
from engine.risk.verdict import Approved, Refused
from engine.venue.exchange.margin import order_cost
from engine.venue.instrument import RiskTier
from engine.venue.words import Side
from tests.engine.risk.made import (
    DAY,
    NOW_MS,
    TIERS,
    D,
    approved,
    asked,
    book,
    contract,
    held,
    limits,
    request,
)
from tests.naive import risk as naive

pytestmark = pytest.mark.laws

REDUCING = Breaker(state="REDUCING", cause="losses", losses=4)
SIZING = {
    Reason.TOO_SMALL, Reason.TOTAL_RISK, Reason.SYMBOL_RISK, Reason.GROUP_RISK, Reason.MARGIN_USE,
    Reason.AVAILABLE, Reason.NOTIONAL, Reason.RISK_TIER, Reason.MAX_QTY,
}  # fmt: skip


def money(low: str, high: str, places: int = 2) -> st.SearchStrategy[Decimal]:
    return st.decimals(D(low), D(high), places=places, allow_nan=False, allow_infinity=False)


@st.composite
def requests(draw: st.DrawFn, symbol: str = "SOLUSDT") -> EntryRequest:
    entry = draw(money("90", "110", 3))
    rules = contract(
        symbol=symbol,
        qty_step=draw(st.sampled_from([D("0.001"), D("0.1"), D(1)])),
        min_order_qty=draw(st.sampled_from([D("0.1"), D(1)])),
        max_order_qty=draw(st.sampled_from([D(5000), D("12.5")])),
        tiers=draw(st.sampled_from([TIERS, TIERS[:1], (RiskTier(1, D(777), D(0), D(0), D(50)),)])),
    )
    return request(
        symbol=symbol,
        group=draw(st.sampled_from(["alts", "majors"])),
        contract=rules,
        entry=entry,
        stop=entry - draw(money("0.5", "12", 3)),
        bid=entry + D("0.2"),
        ask=entry + D("0.3"),
        mark=entry + D("0.25"),
        leverage=draw(st.sampled_from([D(1), D(2), D(3), D(5)])),
        taker_fee=draw(st.sampled_from([D(0), D("0.00055"), D("0.001")])),
        sweep_bps=draw(money("0", "8", 5)),
        market=draw(st.booleans()),
    )


@st.composite
def exposures(draw: st.DrawFn) -> Exposure:
    return held(
        draw(st.sampled_from(["ADAUSDT", "XRPUSDT", "BTCUSDT"])),
        group=draw(st.sampled_from(["alts", "majors"])),
        kind=draw(st.sampled_from(["position", "resting", "in_flight", "foreign"])),
        risk_usdt=draw(money("0", "40", 4)),
        margin_usdt=draw(money("0", "300", 4)),
    )


@st.composite
def books(draw: st.DrawFn) -> RiskBook:
    return book(
        equity_usdt=draw(money("1000", "30000", 4)),
        available_usdt=draw(money("400", "20000", 4)),
        pending_margin_usdt=draw(money("0", "500", 4)),
        exposures=tuple(draw(st.lists(exposures(), max_size=3))),
        breaker=draw(st.sampled_from([Breaker(), REDUCING])),
        day=msgspec.structs.replace(DAY, realised_usdt=draw(money("-30", "50", 2))),
    )


WIDE = limits(cost_r_max=D(1), leverage_max=D(5), funding_cost_r_max=D(1))


@st.composite
def some_limits(draw: st.DrawFn) -> RiskLimits:
    return limits(
        risk_per_trade=draw(money("0.0001", "0.05", 5)),
        trades_max=draw(st.integers(2, 8)),
        total_risk_max=draw(money("0.002", "0.1", 5)),
        daily_loss_max=draw(money("0.002", "0.05", 4)),
        margin_use_max=draw(money("0.01", "0.9", 4)),
        leverage_max=draw(st.sampled_from([D(2), D(3), D(5), D("5.5"), D(25)])),
        symbol_risk_max=draw(money("0.001", "0.05", 5)),
        group_risk_max=draw(money("0.002", "0.1", 5)),
        cost_r_max=draw(money("0.1", "1", 3)),
        liquidation_gap_r=draw(money("0", "0.5", 2)),
    )


@given(requests(), books(), some_limits())
def test_sizing_is_the_largest_that_fits(req: EntryRequest, on: RiskBook, lim: RiskLimits) -> None:
    verdict = judge(req, on, lim, NOW_MS)
    if isinstance(verdict, Refused) and verdict.reason not in SIZING:
        return
    want = naive.largest(req, on, lim, halved=on.breaker == REDUCING)
    got = verdict.qty if isinstance(verdict, Approved) else 0
    assert Fraction(got) == want


@given(requests(), books(), some_limits())
def test_what_is_approved_is_what_it_says(req: EntryRequest, on: RiskBook, lim: RiskLimits) -> None:
    verdict = judge(req, on, lim, NOW_MS)
    if isinstance(verdict, Refused):
        return
    order = verdict
    rules = req.contract
    assert rules.on_tick(order.entry)
    assert rules.on_tick(order.stop)
    assert rules.on_step(order.qty)
    assert req.stop <= order.stop < order.entry <= req.entry
    assert order.notional_usdt == order.qty * order.entry >= rules.min_notional
    assert order.r_usdt == order.qty * (order.entry - order.stop)
    exact = naive.loss_of(req, Fraction(order.qty))
    assert 0 <= Fraction(order.risk_usdt) - exact <= Fraction(order.qty) / 10**16
    locked = order_cost(order.qty, order.entry, order.leverage, Side.BUY, req.taker_fee)
    assert abs(order.margin_usdt - locked) <= D("2e-8")
    assert order.liquidation_price <= order.stop
    assert order.halved == (on.breaker == REDUCING)
    share = Fraction(order.cost_r) - (exact - Fraction(order.r_usdt)) / Fraction(order.r_usdt)
    assert 0 <= share <= Fraction(1, 10**6)


@given(st.lists(requests(), min_size=1, max_size=12), books(), some_limits(), st.data())
def test_however_many_in_a_row_no_limit_is_broken(
    wishes: list[EntryRequest], start: RiskBook, lim: RiskLimits, data: st.DataObject
) -> None:
    """Each approval enters the book in flight at once; the sums of all must stay within."""
    now = msgspec.structs.replace(start, exposures=(), breaker=Breaker())
    for n, wish in enumerate(wishes):
        symbol = f"C{n if data.draw(st.booleans()) else 0}USDT"
        rules = contract(symbol=symbol)
        verdict = judge(
            msgspec.structs.replace(wish, symbol=symbol, contract=rules), now, lim, NOW_MS
        )
        if isinstance(verdict, Refused):
            continue
        mine = Exposure(
            symbol=symbol,
            group=wish.group,
            kind=data.draw(st.sampled_from(["in_flight", "resting", "position"])),
            risk_usdt=verdict.risk_usdt,
            notional_usdt=verdict.notional_usdt,
            margin_usdt=verdict.margin_usdt,
        )
        now = msgspec.structs.replace(
            now,
            exposures=(*now.exposures, mine),
            pending_margin_usdt=now.pending_margin_usdt + verdict.margin_usdt,
        )
        _holds(now, lim)


def _holds(now: RiskBook, lim: RiskLimits) -> None:
    equity = Fraction(now.equity_usdt)

    def total(exposures: list[Exposure], figure: str) -> Fraction:
        return sum((Fraction(getattr(each, figure)) for each in exposures), Fraction(0))

    everything = list(now.exposures)
    assert len(everything) <= lim.trades_max
    assert len({each.symbol for each in everything}) == len(everything)
    assert total(everything, "risk_usdt") <= equity * Fraction(lim.total_risk_max)
    assert total(everything, "margin_usdt") <= equity * Fraction(lim.margin_use_max)
    assert now.pending_margin_usdt <= now.available_usdt or not everything
    for group in {each.group for each in everything}:
        same = [each for each in everything if each.group == group]
        assert total(same, "risk_usdt") <= equity * Fraction(lim.group_risk_max)
    for each in everything:
        assert Fraction(each.risk_usdt) <= equity * Fraction(lim.risk_per_trade)
        assert Fraction(each.risk_usdt) <= equity * Fraction(lim.symbol_risk_max)
        assert Fraction(each.notional_usdt) <= equity * Fraction(lim.leverage_max)


# Which way is tighter, of every limit that is a number.
LOWER = (
    "risk_per_trade", "trades_max", "total_risk_max", "daily_loss_max", "margin_use_max",
    "leverage_max", "funding_cost_r_max", "funding_rate_max", "breaker_volatility_x",
    "symbol_risk_max", "group_risk_max", "spread_max_bps", "cost_r_max", "orders_per_min",
    "quote_age_max_ms", "signal_bars_max", "price_gap_max",
)  # fmt: skip
HIGHER = ("loss_floor_usdt", "liquidation_gap_r")
OF_TRADES = {
    "breaker_reduce_losses", "breaker_halt_losses", "breaker_errors", "breaker_errors_s",
    "breaker_slippage_r", "breaker_slippage_times", "breaker_cool_min", "funding_close_r",
    "funding_close_min",
}  # fmt: skip


def test_every_limit_has_a_tighter_side() -> None:
    known = {*LOWER, *HIGHER, *OF_TRADES, "regime_filter"}
    assert known == set(RiskLimits.__struct_fields__)


@given(requests(), books(), some_limits(), st.sampled_from([*LOWER, *HIGHER]), st.data())
def test_tightening_never_turns_a_refusal_into_an_approval(
    req: EntryRequest, on: RiskBook, lim: RiskLimits, name: str, data: st.DataObject
) -> None:
    now = getattr(lim, name)
    if name in HIGHER:
        tight = now + data.draw(money("0", "50", 3))
    elif isinstance(now, int):
        tight = data.draw(st.integers(0, now))
    else:
        tight = now * data.draw(money("0", "1", 3))
    narrow = msgspec.structs.replace(lim, **{name: tight})
    before, after = judge(req, on, lim, NOW_MS), judge(req, on, narrow, NOW_MS)
    if isinstance(after, Approved):
        assert approved(before).qty >= after.qty
    filtered = msgspec.structs.replace(on, regime="RISK_OFF")
    free = msgspec.structs.replace(lim, regime_filter=False)
    assert isinstance(judge(req, filtered, lim, NOW_MS), Refused)
    assert type(judge(req, filtered, free, NOW_MS)) is type(before)


@given(requests(), books(), money("1", "3", 2))
def test_sizing_is_monotone(req: EntryRequest, on: RiskBook, x: Decimal) -> None:
    """More equity and free balance never buy less; a worse cost or a further stop never more."""

    def qty(asked_for: EntryRequest, of: RiskBook) -> Decimal:
        verdict = judge(asked_for, of, WIDE, NOW_MS)
        return verdict.qty if isinstance(verdict, Approved) else D(0)

    one = qty(req, on)
    richer = msgspec.structs.replace(
        on, equity_usdt=on.equity_usdt * x, available_usdt=on.available_usdt * x
    )
    assert qty(req, richer) >= one
    dearer = msgspec.structs.replace(req, sweep_bps=(req.sweep_bps or D(0)) + x)
    assert qty(dearer, on) <= one
    further = msgspec.structs.replace(req, stop=req.stop - x)
    assert qty(further, on) <= one or one == 0  # a near stop may fail on costs alone
    reduced = msgspec.structs.replace(on, breaker=REDUCING)
    assert qty(req, reduced) <= one


ODD_NUMBER = st.one_of(
    st.sampled_from(
        [D("NaN"), D("sNaN"), D("inf"), D("-inf"), D(0), D("-0"), D(-1), D("1e30"), D("1e-30"),
         D("1E+999999"), D("1E-999999"), D("1e15"), D("1e-15"), D(1), D(100)]
    ),
    st.decimals(),
)  # fmt: skip
ODD = st.one_of(st.none(), ODD_NUMBER)
ODD_MS = st.sampled_from([0, -1, 1, NOW_MS, 10**30, -(10**30), 2**63])
NUMBERS = ("entry", "stop", "taker_fee")
MAYBE = (
    "leverage", "bid", "ask", "mark", "spread_bps", "sweep_bps", "funding_rate", "atr", "batr",
)  # fmt: skip
RULES = (
    "tick_size", "qty_step", "min_order_qty", "max_order_qty", "max_mkt_order_qty", "min_notional",
    "min_price", "max_price", "leverage_max", "leverage_min",
)  # fmt: skip


@given(st.data())
def test_judging_is_total(data: st.DataObject) -> None:
    """Whatever it is told, it answers, and approves only sane orders."""
    draw = data.draw
    bent: dict[str, Any] = {}
    for name in draw(st.sets(st.sampled_from([*NUMBERS, *MAYBE]), max_size=4)):
        bent[name] = draw(ODD_NUMBER if name in NUMBERS else ODD)
    rules = {name: draw(ODD_NUMBER) for name in draw(st.sets(st.sampled_from(RULES), max_size=2))}
    if draw(st.booleans()):
        rules["tiers"] = (RiskTier(1, *(draw(ODD_NUMBER) for _ in range(4))),)
    for name in draw(st.sets(st.sampled_from(["quote_ms", "signal_ms", "interval_ms"]))):
        bent[name] = draw(ODD_MS)
    account: dict[str, Any] = {
        name: draw(ODD_NUMBER)
        for name in draw(
            st.sets(st.sampled_from(["equity_usdt", "available_usdt", "unrealised_usdt"]))
        )
    }
    if draw(st.booleans()):
        account["exposures"] = (held(risk_usdt=draw(ODD_NUMBER), margin_usdt=draw(ODD_NUMBER)),)
    if draw(st.booleans()):
        account["day"] = msgspec.structs.replace(DAY, start_equity_usdt=draw(ODD_NUMBER))
    lim = limits()
    if draw(st.booleans()):
        lim = limits(**{draw(st.sampled_from(["cost_r_max", "price_gap_max"])): draw(ODD_NUMBER)})
    now_ms = draw(st.one_of(st.just(NOW_MS), ODD_MS))
    verdict = judge(request(contract=contract(**rules), **bent), book(**account), lim, now_ms)
    assert verdict.checks
    if isinstance(verdict, Approved):
        for figure in ("qty", "entry", "stop", "notional_usdt", "risk_usdt", "margin_usdt"):
            assert getattr(verdict, figure).is_finite()
            assert getattr(verdict, figure) > 0
        assert verdict.stop < verdict.entry
    else:
        assert verdict.words.startswith("SOLUSDT")


def test_a_verdict_survives_the_store() -> None:
    for verdict in (asked(), asked(on=book(blocked="paused"))):
        body = msgspec.json.encode(verdict)
        assert msgspec.json.decode(body, type=type(verdict)) == verdict
