"""A contract's rules and its risk tiers, both ways, exactly (Decimal)."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from engine.venue.instrument import Instrument, RiskTier
from engine.venue.wire.fields import (
    WireError,
    amount,
    as_row,
    decimal,
    integer,
    mean,
    name,
    plain,
    product,
    required,
    text,
)
from engine.venue.words import InstrumentStatus

_PERCENT_FROM = Decimal(10)  # initialMargin x maxLeverage is 1 as a fraction, 100 in percent
_PRE_PHASE = "ContinuousTrading"


def encode_instrument_row(
    instrument: Instrument,
    *,
    symbol_id: int = 0,
    funding_rate_max: Decimal = Decimal("0.00375"),
    account: bool = False,
) -> dict[str, Any]:
    """Write a contract as ``instruments-info`` shows it (`account`: as the account's twin does)."""
    pre = instrument.status is InstrumentStatus.PRE_LAUNCH
    exponent = instrument.tick_size.as_tuple().exponent
    most = plain(instrument.max_order_qty)
    row: dict[str, Any] = {
        "symbol": instrument.symbol,
        "symbolId": symbol_id,
        "contractType": "LinearPerpetual",
        "status": instrument.status.value,
        "baseCoin": instrument.base_coin,
        "quoteCoin": "USDT",
        "settleCoin": "USDT",
        "symbolType": "",
        "displayName": "",
        "launchTime": str(instrument.launch_time),
        "deliveryTime": str(instrument.delivery_time),
        "deliveryFeeRate": "",
        "priceScale": str(max(0, -exponent)) if isinstance(exponent, int) else "0",
        "leverageFilter": {
            "minLeverage": plain(instrument.leverage_min),
            "maxLeverage": plain(instrument.leverage_max),
            "leverageStep": plain(instrument.leverage_step),
        },
        "priceFilter": {
            "minPrice": plain(instrument.min_price),
            "maxPrice": plain(instrument.max_price),
            "tickSize": plain(instrument.tick_size),
        },
        "lotSizeFilter": {
            "maxOrderQty": most,
            "minOrderQty": plain(instrument.min_order_qty),
            "qtyStep": plain(instrument.qty_step),
            "postOnlyMaxOrderQty": most,
            "maxMktOrderQty": plain(instrument.max_mkt_order_qty),
            "minNotionalValue": plain(instrument.min_notional),
        },
        "unifiedMarginTrade": True,
        "fundingInterval": instrument.funding_interval_min,
        "copyTrading": "both",
        "upperFundingRate": plain(funding_rate_max),
        "lowerFundingRate": plain(funding_rate_max.copy_negate()),
        "isPreListing": pre,
        "preListingInfo": _pre_listing(instrument) if pre else None,
        "riskParameters": {
            "priceLimitRatioX": plain(instrument.price_limit_x),
            "priceLimitRatioY": plain(instrument.price_limit_y),
        },
        "isPublicRpi": False,
    }
    return row | {"myRpiPermission": False} if account else row


def _pre_listing(instrument: Instrument) -> dict[str, Any]:
    phase = {"phase": _PRE_PHASE, "startTime": str(instrument.launch_time), "endTime": ""}
    fees = {"auctionFeeRate": "0", "takerFeeRate": "0.001", "makerFeeRate": "0.0004"}
    return {"curAuctionPhase": "NotStarted", "phases": [phase], "auctionFeeInfo": fees}


def read_instrument(row: Any, tiers: tuple[RiskTier, ...] = ()) -> Instrument:
    """Read a USDT perpetual's rules.

    A status unknown to us counts as Closed: nothing new is opened there.

    Raises
    ------
    WireError
        Not a USDT perpetual, no tick, step or smallest quantity, or an unreadable value.
    """
    row = as_row(row)
    if text(row, "settleCoin") not in ("USDT", "") or text(row, "contractType") not in (
        "LinearPerpetual",
        "",
    ):
        raise WireError("not a USDT perpetual", why=text(row, "symbol")[:80])
    lot, prices, lever = (
        _part(row, key) for key in ("lotSizeFilter", "priceFilter", "leverageFilter")
    )
    risk = _part(row, "riskParameters")
    most = required(lot, "maxOrderQty")
    default = Instrument.__dataclass_fields__
    return Instrument(
        symbol=name(row, "symbol"),
        tick_size=_above_zero(prices, "tickSize"),
        qty_step=_above_zero(lot, "qtyStep"),
        min_order_qty=required(lot, "minOrderQty"),
        max_order_qty=most,
        max_mkt_order_qty=_or(decimal(lot, "maxMktOrderQty"), most),
        min_notional=_or(decimal(lot, "minNotionalValue"), default["min_notional"].default),
        min_price=amount(prices, "minPrice"),
        max_price=_or(decimal(prices, "maxPrice"), default["max_price"].default),
        leverage_max=_or(decimal(lever, "maxLeverage"), default["leverage_max"].default),
        leverage_min=_or(decimal(lever, "minLeverage"), default["leverage_min"].default),
        leverage_step=_or(decimal(lever, "leverageStep"), default["leverage_step"].default),
        funding_interval_min=integer(row, "fundingInterval", 480),
        price_limit_x=_or(decimal(risk, "priceLimitRatioX"), default["price_limit_x"].default),
        price_limit_y=_or(decimal(risk, "priceLimitRatioY"), default["price_limit_y"].default),
        tiers=tiers,
        status=_status(text(row, "status")),
        launch_time=integer(row, "launchTime"),
        delivery_time=integer(row, "deliveryTime"),
    )


def _part(row: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = row.get(key)
    return {} if value is None else as_row(value)


def _or(value: Decimal | None, default: Decimal) -> Decimal:
    return default if value is None else value


def _above_zero(row: Mapping[str, Any], key: str) -> Decimal:
    value = required(row, key)
    if value <= 0:
        raise WireError(f"{key} is not above 0")
    return value


def _status(word: str) -> InstrumentStatus:
    try:
        return InstrumentStatus(word)
    except ValueError:
        return InstrumentStatus.CLOSED


# ---------------------------------------------------------------------------- risk tiers


def encode_risk_rows(instrument: Instrument) -> list[dict[str, Any]]:
    """Write a contract's tiers as ``risk-limit`` shows them, the lowest first."""
    return [
        {
            "id": tier.id,
            "symbol": instrument.symbol,
            "riskLimitValue": plain(tier.limit),
            "maintenanceMargin": plain(tier.maintenance_rate),
            "initialMargin": plain(mean(Decimal(1), tier.leverage_max)),
            "isLowestRisk": int(i == 0),
            "maxLeverage": plain(tier.leverage_max),
            "mmDeduction": plain(tier.deduction) if tier.deduction else "",
        }
        for i, tier in enumerate(instrument.tiers)
    ]


def read_risk_tier(row: Any) -> tuple[str, RiskTier]:
    """Read one tier: its symbol and itself.

    The documents' example writes the margins in percent, others as fractions: initialMargin times
    maxLeverage tells which.

    Raises
    ------
    WireError
        No symbol, limit, margin or leverage, or an unreadable value.
    """
    row = as_row(row)
    rate, leverage = required(row, "maintenanceMargin"), _above_zero(row, "maxLeverage")
    initial = decimal(row, "initialMargin")
    if initial is not None and product(initial, leverage) > _PERCENT_FROM:
        rate = rate.scaleb(-2)
    tier = RiskTier(
        id=integer(row, "id"),
        limit=required(row, "riskLimitValue"),
        maintenance_rate=rate,
        deduction=amount(row, "mmDeduction"),
        leverage_max=leverage,
    )
    return name(row, "symbol"), tier
