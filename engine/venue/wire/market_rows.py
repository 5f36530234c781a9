"""REST rows of public market data: candles, instruments, tickers; read leniently, one by one."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np

from engine.venue.wire.fields import WireError, as_list
from engine.venue.wire.public import Kline, number

KLINE_LIMIT_MAX = 1000
INSTRUMENTS_LIMIT_MAX = 1000


class LotSizeFilter(msgspec.Struct, frozen=True, rename="camel"):
    """Quantity limits, as text (Decimal at the venue's door)."""

    min_order_qty: str = ""
    max_order_qty: str = ""
    max_mkt_order_qty: str = ""
    qty_step: str = ""
    min_notional_value: str = ""
    post_only_max_order_qty: str = ""


class PriceFilter(msgspec.Struct, frozen=True, rename="camel"):
    """Price grid, as text."""

    min_price: str = ""
    max_price: str = ""
    tick_size: str = ""


class LeverageFilter(msgspec.Struct, frozen=True, rename="camel"):
    """Leverage limits, as text."""

    min_leverage: str = ""
    max_leverage: str = ""
    leverage_step: str = ""


class InstrumentInfo(msgspec.Struct, frozen=True, rename="camel"):
    """One row of instruments-info; what the venue leaves out has a harmless default."""

    symbol: str
    contract_type: str = ""
    status: str = ""
    base_coin: str = ""
    quote_coin: str = ""
    settle_coin: str = ""
    symbol_type: str = ""
    launch_time: str = "0"
    delivery_time: str = "0"
    price_scale: str = ""
    funding_interval: int = 0
    is_pre_listing: bool = False
    pre_listing_info: Any = None
    leverage_filter: LeverageFilter = LeverageFilter()
    price_filter: PriceFilter = PriceFilter()
    lot_size_filter: LotSizeFilter = LotSizeFilter()
    upper_funding_rate: str = ""
    lower_funding_rate: str = ""


class TickerInfo(msgspec.Struct, frozen=True):
    """One row of tickers; numbers stay text until asked for ("" = no value)."""

    symbol: str
    last_price: str = msgspec.field(default="", name="lastPrice")
    mark_price: str = msgspec.field(default="", name="markPrice")
    index_price: str = msgspec.field(default="", name="indexPrice")
    price_24h_pcnt: str = msgspec.field(default="", name="price24hPcnt")
    high_price_24h: str = msgspec.field(default="", name="highPrice24h")
    low_price_24h: str = msgspec.field(default="", name="lowPrice24h")
    turnover_24h: str = msgspec.field(default="", name="turnover24h")
    volume_24h: str = msgspec.field(default="", name="volume24h")
    funding_rate: str = msgspec.field(default="", name="fundingRate")
    next_funding_time: str = msgspec.field(default="", name="nextFundingTime")
    bid1_price: str = msgspec.field(default="", name="bid1Price")
    ask1_price: str = msgspec.field(default="", name="ask1Price")
    open_interest_value: str = msgspec.field(default="", name="openInterestValue")


def as_float(text: str) -> float:
    """Read a number of the venue; "" and anything unreadable is NaN."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


def as_int(text: str) -> int:
    """Read an integer of the venue; "" and anything unreadable is 0."""
    try:
        return int(text)
    except ValueError:
        return 0


def klines_from_rows(rows: Iterable[Sequence[Any]], ts: int, length_ms: int) -> list[Kline]:
    """Turn REST rows (newest first) into candles, oldest first; no open one.

    The reply has no flag for the open candle: what ends after the venue's own time is open.
    """
    out: list[Kline] = []
    for row in as_list(rows):
        try:
            start = int(row[0])
            o, h, lo, c, v = (float(x) for x in row[1:6])
            turnover = float(row[6]) if len(row) > 6 and row[6] != "" else float("nan")  # noqa: PLR2004
        except (ValueError, LookupError, TypeError, OverflowError) as error:
            raise WireError("a candle row cannot be read", why=str(error)[:200]) from error
        if start + length_ms <= ts:
            out.append(Kline(start, o, h, lo, c, v, turnover, True))  # noqa: FBT003 - confirm
    out.reverse()
    if any(a.start >= b.start for a, b in pairwise(out)):
        out = [k for _, k in sorted({k.start: k for k in out}.items())]
    return out


def instruments_from_rows(rows: Iterable[Any]) -> tuple[list[InstrumentInfo], int]:
    """Read instruments one by one; returns them and how many rows were unreadable (quarantined)."""
    return _rows_as(rows, InstrumentInfo)


def tickers_from_rows(rows: Iterable[Any]) -> tuple[list[TickerInfo], int]:
    """Read tickers one by one; returns them and how many rows were unreadable (quarantined)."""
    return _rows_as(rows, TickerInfo)


def _rows_as(rows: Iterable[Any], kind: type[Any]) -> tuple[list[Any], int]:
    good: list[Any] = []
    bad = 0
    for row in as_list(rows):
        try:
            good.append(msgspec.convert(row, kind, strict=False))
        except (msgspec.ValidationError, RecursionError, TypeError, ValueError):
            bad += 1
    return good, bad


def kline_rows(
    ts: np.ndarray, columns: Sequence[np.ndarray], start: int, stop: int
) -> list[list[str]]:
    """Write candles [start, stop) as REST rows, newest first; a NaN turnover is "0"."""
    rows = []
    for i in range(stop - 1, start - 1, -1):
        values = [float(column[i]) for column in columns]
        rows.append([str(int(ts[i])), *("0" if x != x else number(x) for x in values)])  # noqa: PLR0124
    return rows
