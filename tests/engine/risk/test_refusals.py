"""Every reason is reached, by one bend of a request that passes, and says its numbers in words."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from engine.risk import gates_market
from engine.risk.asked import Asked
from engine.risk.breaker import Breaker
from engine.risk.reasons import WORDS, Reason
from engine.risk.sizing import leverage_of
from engine.risk.verdict import Approved
from engine.venue.instrument import RiskTier
from engine.venue.words import InstrumentStatus
from tests.engine.risk.made import (
    DAY,
    NOW_MS,
    D,
    approved,
    asked,
    book,
    contract,
    held,
    limits,
    refused,
    request,
)

R = Reason
NAN = D("NaN")
HALT = Breaker(state="HALTED", cause="errors", until_ms=NOW_MS + 1)
FOREVER = Breaker(state="HALTED", cause="liquidation")
FIVE = tuple(held(f"C{i}USDT", risk_usdt=D(0), margin_usdt=D(0)) for i in range(6))
MINUTE = tuple(NOW_MS - 59_999 + i for i in range(20))
OPEN = InstrumentStatus.TRADING


def case(
    reason: Reason, value: str, limit: str, *, req: Any = None, on: Any = None, **rest: Any
) -> Any:
    name = f"{reason.value}-{value}"[:60]
    return pytest.param(reason, value, limit, req or {}, on or {}, rest, id=name)


CASES = [
    case(R.BLOCKED, "your limit cost_r_max is NaN", "a number", lim={"cost_r_max": NAN}),
    case(R.BLOCKED, "your limit cost_r_max is -1", "a number", lim={"cost_r_max": D(-1)}),
    case(R.BLOCKED, "paused by you", "on", on={"blocked": "paused by you"}),
    case(R.SYMBOL_DENIED, "SOLUSDT", "not denied", deny=("SOLUSDT",), allow=("SOLUSDT",)),
    case(R.SYMBOL_NOT_ALLOWED, "SOLUSDT", "2 coins", allow=("BTCUSDT", "ETHUSDT")),
    case(R.RISK_OFF, "RISK_OFF", "NORMAL", on={"regime": "RISK_OFF"}),
    case(R.REGIME_UNKNOWN, "unknown", "NORMAL", on={"regime": ""}),
    case(R.REGIME_UNKNOWN, "UNKNOWN", "NORMAL", on={"regime": "UNKNOWN"}),
    case(R.BAD_BOOK, "equity_usdt NaN", "a number each", on={"equity_usdt": NAN}),
    case(R.BAD_BOOK, "available_usdt Infinity", "a number each", on={"available_usdt": D("inf")}),
    case(R.BAD_BOOK, "unrealised_usdt 1E+16", "a number each", on={"unrealised_usdt": D("1e16")}),
    case(R.BAD_BOOK, "pending_margin_usdt NaN", "a number each", on={"pending_margin_usdt": NAN}),
    case(R.BAD_BOOK, "ADAUSDT -1 300", "a number each", on={"exposures": (held(risk_usdt=D(-1)),)}),
    case(R.BAD_BOOK, "a coin 50 NaN", "a number each",
         on={"exposures": (held("", margin_usdt=NAN),)}),
    case(R.BAD_BOOK, "the day's result", "a number each",
         on={"day": msgspec.structs.replace(DAY, fees_usdt=NAN)}),
    case(R.BREAKER_HALTED, "errors", "until 2025-11-24 16:00 UTC", on={"breaker": HALT}),
    case(R.BREAKER_HALTED, "liquidation", "until you resume", on={"breaker": FOREVER}),
    case(R.DAY_UNKNOWN, "none yet", "open", on={"day": None}),
    case(R.DAY_UNKNOWN, "those of 2025-11-24 are over", "open", now_ms=DAY.resets_ms),
    case(R.DAILY_LOSS, "200.00 USDT", "200.00 USDT (2 %)",
         on={"day": msgspec.structs.replace(DAY, realised_usdt=D(-200))}),
    case(R.DAILY_LOSS, "0.00 USDT", "200.00 USDT (2 %)",
         on={"day": msgspec.structs.replace(DAY, halted=True, realised_usdt=D(50))}),
    case(R.EQUITY_FLOOR, "9.99 USDT", "10.00 USDT", on={"equity_usdt": D("9.99")}),
    case(R.EQUITY_FLOOR, "0.00 USDT", "0.00 USDT", on={"equity_usdt": D(0)},
         lim={"loss_floor_usdt": D(0)}),
    case(R.ORDER_RATE, "20", "20 a minute", on={"order_times_ms": MINUTE}),
    case(R.TRADES_MAX, "6", "6", on={"exposures": FIVE}),
    case(R.SYMBOL_BUSY, "a trade", "1", on={"exposures": (held("SOLUSDT"),)}),
    case(R.SYMBOL_BUSY, "a position of somebody else's", "1",
         on={"exposures": (held("SOLUSDT", kind="foreign"),)}),
    case(R.BAD_NUMBERS, "entry NaN", "a number each", req={"entry": NAN}),
    case(R.BAD_NUMBERS, "stop 0", "a number each", req={"stop": D(0)}),
    case(R.BAD_NUMBERS, "leverage -5", "a number each", req={"leverage": D(-5)}),
    case(R.BAD_NUMBERS, "mark 1E+30", "a number each", req={"mark": D("1e30")}),
    case(R.BAD_NUMBERS, "atr Infinity", "a number each", req={"atr": D("inf")}),
    case(R.BAD_NUMBERS, "batr 0", "a number each", req={"batr": D(0)}),
    case(R.BAD_NUMBERS, "taker_fee -0.1", "a number each", req={"taker_fee": D("-0.1")}),
    case(R.BAD_NUMBERS, "taker_fee 0.011", "a number each", req={"taker_fee": D("0.011")}),
    case(R.BAD_NUMBERS, "sweep_bps NaN", "a number each", req={"sweep_bps": NAN}),
    case(R.BAD_NUMBERS, "funding_rate NaN", "a number each", req={"funding_rate": NAN}),
    case(R.BAD_NUMBERS, "the rules of SOLUSDT", "a number each", req={"symbol": "ADAUSDT"}),
    case(R.BAD_NUMBERS, "tick_size 0", "a number each",
         req={"contract": contract(tick_size=D(0))}),
    case(R.BAD_NUMBERS, "min_notional -1", "a number each",
         req={"contract": contract(min_notional=D(-1))}),
    case(R.BAD_NUMBERS, "risk tier 7", "a number each",
         req={"contract": contract(tiers=(RiskTier(7, D(10), D(1), D(0), D(5)),))}),
    case(R.BAD_NUMBERS, "risk tier 8", "a number each",
         req={"contract": contract(tiers=(RiskTier(8, D(0), D("0.1"), D(0), D(5)),))}),
    case(R.BAD_NUMBERS, "risk tier 9", "a number each",
         req={"contract": contract(tiers=(RiskTier(9, D(9), D("0.1"), D(0), NAN),))}),
    case(R.BAD_NUMBERS, "risk tier 9", "a number each",
         req={"contract": contract(tiers=(RiskTier(9, D(9), D("-0.1"), D(0), D(5)),))}),
    case(R.BAD_NUMBERS, "no atr or batr", "4x", req={"atr": None}),
    case(R.DELISTING, "24 h", "no delisting",
         req={"contract": contract(delivery_time=NOW_MS + 86_400_000)}),
    case(R.NOT_TRADING, "PreLaunch", "Trading",
         req={"contract": contract(status=InstrumentStatus.PRE_LAUNCH)}),
    case(R.REDUCE_ONLY, "reduce only", "Trading", req={"reduce_only": True}),
    case(R.SIGNAL_OLD, "30 min", "30 min", req={"signal_ms": NOW_MS - 1_800_001}),
    case(R.SIGNAL_OLD, "-15 min", "30 min", req={"signal_ms": NOW_MS + 900_000}),
    case(R.NO_QUOTE, "all of it", "5 s", req={"quote_ms": 0}),
    case(R.NO_QUOTE, "sweep_bps", "5 s", req={"sweep_bps": None}),
    case(R.NO_QUOTE, "bid", "5 s", req={"bid": None, "mark": None}),
    case(R.STALE_BOOK, "5.001 s old", "5 s", req={"quote_ms": NOW_MS - 5001}),
    case(R.STALE_BOOK, "-5.001 s old", "5 s", req={"quote_ms": NOW_MS + 5001}),
    case(R.STALE_BOOK, "its book lost a message", "5 s", req={"quote_stale": True}),
    case(R.PRICE_INSANE, "bid 100.6 over ask 100.51", "bid under ask", req={"bid": D("100.6")}),
    case(R.PRICE_INSANE, "20.02 % apart", "20 %", req={"ask": D("120.62")}),
    case(R.PRICE_INSANE, "entry 100 beyond the contract's range", "99",
         req={"contract": contract(max_price=D(99))}),
    case(R.PRICE_INSANE, "entry 100 beyond the contract's range", "10000000",
         req={"contract": contract(min_price=D(101))}),
    case(R.NO_ROOM_FOR_STOP, "100", "100", req={"stop": D("99.999"), "entry": D("100.005")}),
    case(R.NO_ROOM_FOR_STOP, "0.01", "0", req={
        "entry": D("0.009"), "stop": D("0.001"), "bid": D("0.009"), "ask": D("0.009"),
        "mark": D("0.009")}),
    case(R.THROUGH_STOP, "97", "97", req={"bid": D(97)}),
    case(R.THROUGH_STOP, "96.9", "97", req={"mark": D("96.9")}),
    case(R.LEVERAGE_UNKNOWN, "unknown", "5x", req={"leverage": None}),
    case(R.LEVERAGE_LIMIT, "5.01x", "5x", req={"leverage": D("5.01")}),
    case(R.LEVERAGE_CONTRACT, "5x", "1 to 4x",
         req={"contract": contract(leverage_max=D(4))}),
    case(R.LEVERAGE_CONTRACT, "0.5x", "1 to 50x", req={"leverage": D("0.5")}),
    case(R.VOLATILITY, "4.01x", "4x", req={"atr": D("4.01")}),
    case(R.SPREAD, "8.1 bps", "8 bps", req={"spread_bps": D("8.1")}),
    case(R.COST_R, "0.157 R", "0.15 R", req={"sweep_bps": D(18)}),
    case(R.FUNDING_RATE, "0.11 %", "0.1 %", req={"funding_rate": D("0.0011")}),
    case(R.FUNDING_COST, "0.101 R", "0.1 R", req={"stop": D("99.01"), "funding_rate": D("0.001")},
         lim={"cost_r_max": D(1)}),
    case(R.LIQUIDATION, "80.8081", "61", req={"stop": D(69)},
         lim={"liquidation_gap_r": D("0.2580645161")}),
    case(R.TOO_SMALL, "0.0315457 at 0.5 %", "0.1 (10.00 USDT)", on={"equity_usdt": D(20)}),
    case(R.TOTAL_RISK, "200.00 USDT", "200.00 USDT (2 %)",
         on={"exposures": (held(group="majors", risk_usdt=D(200)),)}),
    case(R.SYMBOL_RISK, "0.00 USDT", "0.10 USDT (0.001 %)", lim={"symbol_risk_max": D("0.00001")}),
    case(R.GROUP_RISK, "100.00 USDT", "100.00 USDT (1 %)",
         on={"exposures": (held(risk_usdt=D(100)),)}, lim={"group_risk_max": D("0.01")}),
    case(R.MARGIN_USE, "3000.00 USDT", "3000.00 USDT (30 %)",
         on={"exposures": (held(kind="foreign", margin_usdt=D(3000), risk_usdt=D(0)),)}),
    case(R.AVAILABLE, "1.00 USDT", "2.01 USDT",
         on={"available_usdt": D(5), "pending_margin_usdt": D(4)}),
    case(R.NOTIONAL, "9.50 USDT", "0.95x",
         on={"equity_usdt": D(10)},
         req={"leverage": D("0.95"), "contract": contract(leverage_min=D("0.5"))},
         lim={"leverage_max": D("0.95"), "risk_per_trade": D(1), "total_risk_max": D(1),
              "symbol_risk_max": D(1), "group_risk_max": D(1), "margin_use_max": D(2)}),
    case(R.RISK_TIER, "9.00 USDT", "5.00 USDT", req={"contract": contract(
        tiers=(RiskTier(1, D(9), D("0.01"), D(0), D(50)), RiskTier(2, D(99), D("0.02"), D(0), D(4)))
    )}),
    case(R.MAX_QTY, "0.05", "0.1", req={"contract": contract(max_order_qty=D("0.05"))}),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "value", "limit", "req", "on", "rest"), CASES)
def test_one_bend_is_refused_with_its_numbers(
    reason: Reason, value: str, limit: str, req: Any, on: Any, rest: Any
) -> None:
    rest = dict(rest)
    lim = limits(**rest.pop("lim", {}))
    verdict = refused(asked(request(**req), book(**on), lim, **rest))
    assert (verdict.reason, verdict.value, verdict.limit) == (reason, value, limit)
    assert (value, limit) in {check[1:] for check in verdict.checks}
    symbol = req.get("symbol", "SOLUSDT")
    assert verdict.words == WORDS[reason].format(symbol=symbol, value=value, limit=limit)


def test_the_plain_request_passes_every_control() -> None:
    verdict = approved(asked())
    assert verdict.qty == Decimal("15.7")  # 50 USDT / (3 + 0.17), floored
    assert len(verdict.checks) == 32


def test_every_reason_is_reached_and_has_words() -> None:
    assert {each.values[0] for each in CASES} == set(Reason)
    assert set(WORDS) == set(Reason)
    for reason, words in WORDS.items():
        told = words.format(symbol="SOLUSDT", value="V", limit="L")
        assert told.startswith("SOLUSDT"), reason
        assert told.endswith("."), reason
        assert "{" not in told


def test_without_tiers_half_the_margin_at_the_most_leverage_is_kept() -> None:
    """MMR 1 % at 50x: what a contract whose tiers were not read is judged by."""
    bare = request(contract=contract(tiers=()))
    assert approved(asked(bare)).liquidation_price == approved(asked()).liquidation_price
    assert approved(asked(bare)).liquidation_price == D("80.81")  # 80 / 0.99, up to the tick


def test_gates_alone_refuse_what_the_quote_lacks() -> None:
    lacking = Asked(request(bid=None, spread_bps=None), book(), limits(), NOW_MS)
    assert gates_market.prices_fit(lacking).reason is Reason.NO_QUOTE
    assert gates_market.spread(lacking).reason is Reason.NO_QUOTE
    assert leverage_of(lacking._replace(request=request(leverage=None))) == 1


def test_checks_tell_every_control_that_was_asked_in_order() -> None:
    verdict = asked(on=book(regime="RISK_OFF"))
    assert verdict.checks == (
        ("settings", "readable", "a number each"),
        ("entries", "on", "on"),
        ("symbols", "SOLUSDT", "allowed"),
        ("regime", "RISK_OFF", "NORMAL"),
    )
    assert asked().checks[4:] == (
        ("account", "readable", "a number each"),
        ("breaker", "ACTIVE", "not HALTED"),
        ("daily loss", "0.00 USDT", "200.00 USDT (2 %)"),
        ("equity", "10000.00 USDT", "10.00 USDT"),
        ("order rate", "0", "20 a minute"),
        ("trades", "0", "6"),
        ("one a coin", "0", "1"),
        ("numbers", "readable", "a number each"),
        ("contract", "Trading", "Trading"),
        ("signal", "1 s", "30 min"),
        ("quote", "0.5 s", "5 s"),
        ("prices", "0.4975 % apart", "20 %"),
        ("stop", "97", "100"),
        ("leverage", "5x", "5x"),
        ("volatility", "1.2x", "4x"),
        ("spread", "2 bps", "8 bps"),
        ("cost", "0.0567 R", "0.15 R"),
        ("funding", "0.00333 R", "0.1 R"),
        ("liquidation", "80.8081", "96.25"),
        ("risk per trade", "15.7729 at 0.5 %", "0.1 (10.00 USDT)"),
        ("total risk", "0.00 USDT", "200.00 USDT (2 %)"),
        ("coin risk", "0.00 USDT", "100.00 USDT (1 %)"),
        ("group risk", "0.00 USDT", "200.00 USDT (2 %)"),
        ("margin use", "0.00 USDT", "3000.00 USDT (30 %)"),
        ("free balance", "9000.00 USDT", "2.01 USDT"),
        ("value", "50000.00 USDT", "5x"),
        ("risk tier", "200000.00 USDT", "5.00 USDT"),
        ("order size", "5000", "0.1"),
    )


def test_what_is_not_asked_says_so() -> None:
    aged = asked(request(signal_ms=0)).checks
    assert ("signal", "no age", "not asked") in aged
    assert ("signal", "no age", "not asked") in asked(request(interval_ms=0)).checks
    off = asked(on=book(regime="RISK_OFF"), lim=limits(regime_filter=False)).checks
    assert ("regime", "RISK_OFF", "off") in off


def test_at_a_limit_is_within_it() -> None:
    """Each case would be refused one step further: see CASES."""
    for req in (
        {"leverage": D(5)}, {"atr": D(4)}, {"spread_bps": D(8)}, {"quote_ms": NOW_MS - 5000},
        {"quote_ms": NOW_MS + 5000}, {"signal_ms": NOW_MS - 1_800_000},
        {"signal_ms": NOW_MS + 899_999}, {"funding_rate": D("0.001")}, {"ask": D("120.6")},
        {"taker_fee": D("0.01"), "stop": D(86)}, {"bid": D("100.51")}, {"mark": D("97.5")},
        {"contract": contract(min_price=D(100), max_price=D(100))},
        {"contract": contract(leverage_max=D(5), leverage_min=D(5))},
        {"sweep_bps": D("17")}, {"funding_rate": None}, {"funding_rate": D("-0.02")},
        {"spread_bps": D(0), "sweep_bps": D(0), "taker_fee": D(0)},
        {"contract": contract(min_notional=D(0))},
    ):  # fmt: skip
        assert isinstance(asked(request(**req), lim=limits(cost_r_max=D("0.2"))), Approved), req
    for on in (
        {"order_times_ms": (NOW_MS - 60_000, *MINUTE[1:])}, {"equity_usdt": D(300)},
        {"exposures": FIVE[1:]}, {"exposures": (*FIVE[1:], held("X", kind="foreign"))},
        {"day": msgspec.structs.replace(DAY, realised_usdt=D("-199.99"))},
    ):  # fmt: skip
        floor = limits(loss_floor_usdt=D(300))
        assert isinstance(asked(on=book(**on), lim=floor), Approved), on
    assert isinstance(asked(now_ms=NOW_MS + 999, on=book(day=msgspec.structs.replace(
        DAY, resets_ms=NOW_MS + 1000))), Approved)  # fmt: skip
    edge = RiskTier(1, D("1E-15"), D(0), D(0), D(50))
    wide = (edge, RiskTier(2, D(1000), D("0.99"), D(0), D(50)))
    assert refused(asked(request(contract=contract(tiers=wide)))).reason is Reason.RISK_TIER


def test_an_order_of_just_the_venues_minimum_passes() -> None:
    one_step = limits(risk_per_trade=D("0.0000317"), cost_r_max=D(1))
    least = approved(asked(lim=one_step))
    assert (least.qty, least.risk_usdt, least.shrunk_by) == (D("0.1"), D("0.317"), "")
    dear = request(contract=contract(min_notional=D(10)))
    assert approved(asked(dear, lim=one_step)).qty == D("0.1")
    dearer = request(contract=contract(min_notional=D("10.01")))
    assert refused(asked(dearer, lim=one_step)).reason is Reason.TOO_SMALL


def test_what_shrinks_is_named() -> None:
    room = book(exposures=(held(group="majors", risk_usdt=D(190), margin_usdt=D(0)),))
    assert approved(asked(on=room)).shrunk_by == "total_risk"
    assert approved(asked()).shrunk_by == ""
    small = request(market=True, contract=contract(max_mkt_order_qty=D("0.2")))
    assert (approved(asked(small)).qty, approved(asked(small)).shrunk_by) == (D("0.2"), "max_qty")
