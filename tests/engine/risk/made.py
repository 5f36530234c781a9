"""Plain requests and books the tests bend, one thing at a time."""

from decimal import Decimal
from typing import Any

import msgspec

from engine.risk.book import EntryRequest, Exposure, RiskBook
from engine.risk.day import Day
from engine.risk.judge import judge
from engine.risk.limits import RiskLimits
from engine.risk.verdict import Approved, Refused, Verdict
from engine.venue.instrument import Instrument, RiskTier

D = Decimal
NOW_MS = 1_764_000_000_000
MINUTE_MS = 60_000
DAY = Day(day="2025-11-24", resets_ms=NOW_MS + 3_600_000, start_equity_usdt=D(10_000))
TIERS = (
    RiskTier(1, D(20_000), D("0.01"), D(0), D(50)),
    RiskTier(2, D(60_000), D("0.02"), D(200), D(25)),
    RiskTier(3, D(200_000), D("0.1"), D(5000), D(5)),
)


def contract(**changes: Any) -> Instrument:
    values: dict[str, Any] = {
        "symbol": "SOLUSDT",
        "tick_size": D("0.01"),
        "qty_step": D("0.1"),
        "min_order_qty": D("0.1"),
        "max_order_qty": D(5000),
        "max_mkt_order_qty": D(1000),
        "tiers": TIERS,
    }
    return Instrument(**(values | changes))


def request(**changes: Any) -> EntryRequest:
    values: dict[str, Any] = {
        "symbol": "SOLUSDT",
        "group": "alts",
        "contract": contract(),
        "entry": D(100),
        "stop": D(97),
        "taker_fee": D("0.00055"),
        "leverage": D(5),
        "bid": D("100.49"),
        "ask": D("100.51"),
        "mark": D("100.5"),
        "spread_bps": D(2),
        "sweep_bps": D(3),
        "quote_ms": NOW_MS - 500,
        "funding_rate": D("0.0001"),
        "next_funding_ms": NOW_MS + 60 * MINUTE_MS,
        "atr": D("1.2"),
        "batr": D(1),
        "signal_ms": NOW_MS - 1000,
        "interval_ms": 900_000,
    }
    return EntryRequest(**(values | changes))


def book(**changes: Any) -> RiskBook:
    values: dict[str, Any] = {"equity_usdt": D(10_000), "available_usdt": D(9_000), "day": DAY}
    return RiskBook(**(values | changes))


def held(symbol: str = "ADAUSDT", **changes: Any) -> Exposure:
    values: dict[str, Any] = {
        "symbol": symbol,
        "group": "alts",
        "kind": "position",
        "risk_usdt": D(50),
        "notional_usdt": D(1500),
        "margin_usdt": D(300),
    }
    return Exposure(**(values | changes))


def limits(**changes: Any) -> RiskLimits:
    return msgspec.structs.replace(RiskLimits(), **changes)


def asked(
    req: EntryRequest | None = None,
    on: RiskBook | None = None,
    lim: RiskLimits | None = None,
    now_ms: int = NOW_MS,
    **lists: Any,
) -> Verdict:
    return judge(req or request(), on or book(), lim or limits(), now_ms, **lists)


def approved(verdict: Verdict) -> Approved:
    assert isinstance(verdict, Approved), verdict
    return verdict


def refused(verdict: Verdict) -> Refused:
    assert isinstance(verdict, Refused), verdict
    return verdict
