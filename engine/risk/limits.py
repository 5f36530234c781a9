"""The limits of one user: nine controls and what goes with them, on by default."""

from decimal import Decimal

import msgspec


class RiskLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The nine controls and what goes with them; all on by default (Standard)."""

    risk_per_trade: Decimal = Decimal("0.005")  # of equity, fees and slippage included
    trades_max: int = 6  # open, resting and in flight
    total_risk_max: Decimal = Decimal("0.02")  # of equity: open risk + intents in flight
    daily_loss_max: Decimal = Decimal("0.02")  # of the day's first equity
    margin_use_max: Decimal = Decimal("0.30")  # initial margin over equity
    leverage_max: Decimal = Decimal(5)
    regime_filter: bool = True  # no entries in RISK_OFF
    funding_cost_r_max: Decimal = Decimal("0.10")  # next payment in R
    funding_rate_max: Decimal = Decimal("0.001")
    breaker_reduce_losses: int = 4  # in a row: REDUCING
    breaker_halt_losses: int = 6  # in a row: HALTED
    breaker_errors: int = 3  # venue errors ...
    breaker_errors_s: int = 60  # ... within so many seconds: HALTED
    breaker_slippage_r: Decimal = Decimal("0.3")
    breaker_slippage_times: int = 2  # ... in the last ten trades: HALTED
    breaker_volatility_x: Decimal = Decimal(4)  # atr now over batr: no entry
    breaker_cool_min: int = 240  # HALTED by errors or slippage becomes REDUCING after
    symbol_risk_max: Decimal = Decimal("0.01")  # of equity, one coin
    group_risk_max: Decimal = Decimal("0.02")  # of equity, one correlation group
    spread_max_bps: Decimal = Decimal(8)
    cost_r_max: Decimal = Decimal("0.15")  # round trip in R
    orders_per_min: int = 20
    loss_floor_usdt: Decimal = Decimal(10)  # equity below it: no entries
    quote_age_max_ms: int = 5_000  # older quotes decide nothing
    signal_bars_max: int = 2  # so many bars after its own a signal is too old
    price_gap_max: Decimal = Decimal("0.20")  # between entry, book and mark, as a share
    liquidation_gap_r: Decimal = Decimal("0.25")  # the least way from stop to liquidation, in R
    funding_close_r: Decimal = Decimal("0.30")  # a payment that takes this much: out before it
    funding_close_min: int = 5  # ... so many minutes before, when the rate is all but settled
