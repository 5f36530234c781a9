"""Tickers, funding, open interest, price limits, liquidations: rows and messages, both ways."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from engine.venue.wire.fields import (
    amount,
    as_row,
    decimal,
    encode_json,
    integer,
    name,
    plain,
    product,
    required,
    text,
)

# ---------------------------------------------------------------------------- tickers

_TICKER_KEYS = {
    "last_price": "lastPrice",
    "mark_price": "markPrice",
    "index_price": "indexPrice",
    "prev_price_24h": "prevPrice24h",
    "prev_price_1h": "prevPrice1h",
    "price_24h_pcnt": "price24hPcnt",
    "high_price_24h": "highPrice24h",
    "low_price_24h": "lowPrice24h",
    "open_interest": "openInterest",
    "open_interest_value": "openInterestValue",
    "turnover_24h": "turnover24h",
    "volume_24h": "volume24h",
    "funding_rate": "fundingRate",
    "funding_cap": "fundingCap",
    "bid1_price": "bid1Price",
    "bid1_size": "bid1Size",
    "ask1_price": "ask1Price",
    "ask1_size": "ask1Size",
}
_TICKER_SINGLE = {
    "open_interest": "singleOpenInterest",
    "open_interest_value": "singleOpenInterestValue",
}
_NEVER_OF_PERPETUALS = (
    "predictedDeliveryPrice",
    "basisRate",
    "basisRateYear",
    "basis",
    "deliveryFeeRate",
    "preOpenPrice",
    "preQty",
    "curPreListingPhase",
)
_HALF = Decimal("0.5")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticker:
    """Where a symbol stands; None = no value. `price_24h_pcnt` is a fraction."""

    symbol: str
    last_price: Decimal | None = None
    mark_price: Decimal | None = None
    index_price: Decimal | None = None
    prev_price_24h: Decimal | None = None
    prev_price_1h: Decimal | None = None
    price_24h_pcnt: Decimal | None = None
    high_price_24h: Decimal | None = None
    low_price_24h: Decimal | None = None
    open_interest: Decimal | None = None
    open_interest_value: Decimal | None = None
    turnover_24h: Decimal | None = None
    volume_24h: Decimal | None = None
    funding_rate: Decimal | None = None
    funding_cap: Decimal | None = None
    bid1_price: Decimal | None = None
    bid1_size: Decimal | None = None
    ask1_price: Decimal | None = None
    ask1_size: Decimal | None = None
    next_funding_time: int = 0
    funding_interval_hour: int = 0
    tick_direction: str = ""


def encode_ticker_row(ticker: Ticker) -> dict[str, Any]:
    """Write a ticker as ``market/tickers`` shows it."""
    row: dict[str, Any] = {"symbol": ticker.symbol}
    for attribute, key in _TICKER_KEYS.items():
        row[key] = plain(getattr(ticker, attribute))
    for attribute, key in _TICKER_SINGLE.items():  # one side's: half of both sides'
        both = getattr(ticker, attribute)
        row[key] = "" if both is None else plain(product(both, _HALF))
    row["nextFundingTime"] = str(ticker.next_funding_time) if ticker.next_funding_time else ""
    hours = ticker.funding_interval_hour
    row["fundingIntervalHour"] = str(hours) if hours else ""
    row |= dict.fromkeys(_NEVER_OF_PERPETUALS, "")
    row["deliveryTime"] = "0"
    return row


def encode_ticker_push(
    ticker: Ticker, previous: Ticker | None, *, ts: int, cs: int
) -> bytes | None:
    """Write a snapshot, or what changed since `previous`; None when nothing did."""
    row = encode_ticker_row(ticker) | {"tickDirection": ticker.tick_direction}
    if previous is not None:
        before = encode_ticker_row(previous) | {"tickDirection": previous.tick_direction}
        row = {key: value for key, value in row.items() if before[key] != value}
        if not row:
            return None
        row = {"symbol": ticker.symbol} | row
    kind = "snapshot" if previous is None else "delta"
    topic = f"tickers.{ticker.symbol}"
    return encode_json({"topic": topic, "type": kind, "data": row, "cs": cs, "ts": ts})


def read_ticker(row: Any) -> Ticker:
    """Read a ticker row, or the merged fields of the stream.

    Raises
    ------
    WireError
        No symbol, or an unreadable value.
    """
    row = as_row(row)
    prices = {attribute: decimal(row, key) for attribute, key in _TICKER_KEYS.items()}
    return Ticker(
        symbol=name(row, "symbol"),
        next_funding_time=integer(row, "nextFundingTime"),
        funding_interval_hour=integer(row, "fundingIntervalHour"),
        tick_direction=text(row, "tickDirection"),
        **prices,
    )


@dataclass(frozen=True, slots=True)
class TickerPush:
    """A message of ``tickers.*``: all fields, or the changed ones, as they came."""

    symbol: str
    snapshot: bool
    row: Mapping[str, Any]
    ts: int = 0
    cs: int = 0

    def onto(self, before: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return the fields after this message; a delta without a snapshot stands alone."""
        return dict(self.row) if self.snapshot or before is None else {**before, **self.row}


def read_ticker_push(body: Mapping[str, Any]) -> TickerPush:
    """Read a message of ``tickers.*``."""
    row = as_row(body.get("data"))
    kind = text(body, "type")
    return TickerPush(
        name(row, "symbol"), kind != "delta", row, integer(body, "ts"), integer(body, "cs")
    )


# ---------------------------------------------------------------------------- single rows


@dataclass(frozen=True, slots=True)
class FundingRate:
    """One settled funding rate."""

    symbol: str
    rate: Decimal
    time: int


def encode_funding_row(funding: FundingRate) -> dict[str, Any]:
    """Write a rate as ``funding/history`` shows it."""
    return {
        "symbol": funding.symbol,
        "fundingRate": plain(funding.rate),
        "fundingRateTimestamp": str(funding.time),
    }


def read_funding(row: Any) -> FundingRate:
    """Read a rate; `WireError` without symbol, rate or time."""
    row = as_row(row)
    required(row, "fundingRateTimestamp")
    return FundingRate(
        name(row, "symbol"), required(row, "fundingRate"), integer(row, "fundingRateTimestamp")
    )


@dataclass(frozen=True, slots=True)
class OpenInterest:
    """Open interest of both sides at a time."""

    value: Decimal
    time: int


def encode_open_interest_row(interest: OpenInterest) -> dict[str, Any]:
    """Write a row of ``open-interest``."""
    return {
        "openInterest": plain(interest.value),
        "singleOpenInterest": plain(product(interest.value, _HALF)),
        "timestamp": str(interest.time),
    }


def read_open_interest(row: Any) -> OpenInterest:
    """Read a row of ``open-interest``; `WireError` without a value."""
    row = as_row(row)
    return OpenInterest(required(row, "openInterest"), integer(row, "timestamp"))


@dataclass(frozen=True, slots=True)
class PriceLimit:
    """The band in which limit prices are taken as they are."""

    symbol: str
    buy_max: Decimal
    sell_min: Decimal
    ts: int = 0


def encode_price_limit_result(limit: PriceLimit) -> dict[str, Any]:
    """Write the result of ``market/price-limit``."""
    return _limit(limit) | {"ts": str(limit.ts)}


def encode_price_limit_push(limit: PriceLimit) -> bytes:
    """Write a message of ``priceLimit.*``."""
    topic = f"priceLimit.{limit.symbol}"
    return encode_json({"topic": topic, "data": _limit(limit), "ts": limit.ts})


def _limit(limit: PriceLimit) -> dict[str, Any]:
    return {
        "symbol": limit.symbol,
        "buyLmt": plain(limit.buy_max),
        "sellLmt": plain(limit.sell_min),
    }


def read_price_limit(row: Any, ts: int = 0) -> PriceLimit:
    """Read the band, of REST or of the stream (whose `ts` stands outside)."""
    row = as_row(row)
    return PriceLimit(
        name(row, "symbol"),
        required(row, "buyLmt"),
        required(row, "sellLmt"),
        integer(row, "ts", ts),
    )


@dataclass(frozen=True, slots=True)
class Liquidation:
    """A position that was taken over; `side` is the position's: Buy = a long was liquidated."""

    symbol: str
    side: str
    qty: Decimal
    price: Decimal  # bankruptcy price
    time: int


def encode_liquidations_push(symbol: str, rows: Iterable[Any], *, ts: int) -> bytes:
    """Write a message of ``allLiquidation.*`` (from these values or the machine's events)."""
    data = [
        {"T": x.time, "s": x.symbol, "S": str(x.side), "v": plain(x.qty), "p": plain(x.price)}
        for x in rows
    ]
    return encode_json(
        {"topic": f"allLiquidation.{symbol}", "type": "snapshot", "ts": ts, "data": data}
    )


def read_liquidation(row: Any) -> Liquidation:
    """Read a row of ``allLiquidation.*``."""
    row = as_row(row)
    return Liquidation(
        name(row, "s"), text(row, "S"), required(row, "v"), amount(row, "p"), integer(row, "T")
    )
