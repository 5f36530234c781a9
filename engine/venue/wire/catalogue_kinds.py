"""The kinds of row the venue sends: how each is told, who reads it, which of its names we know.

The names come from what our own writers emit, so a field we write is one we know; names of other
products, which the same calls may carry, are listed beside.
"""

from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeVar

from engine.venue.exchange.records import ClosedPnl, Execution, LogRow, Order, Position, Wallet
from engine.venue.instrument import Instrument, RiskTier
from engine.venue.wire import account, books, instruments, keys, orders, positions, tickers, topics
from engine.venue.words import InstrumentStatus, MarginMode

T = TypeVar("T")
_ONE = Decimal(1)
FREE_MAPS = frozenset({"cumFeeDetail", "permissions", "availableWithdrawalMap"})


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of row: it has all of `needs` and none of `lacks`."""

    name: str
    needs: frozenset[str]
    known: frozenset[str]
    read: Callable[[Any], Any] | None = None
    lacks: frozenset[str] = frozenset()


def _names(*rows: Any, more: str = "") -> frozenset[str]:
    found: set[str] = set(more.split())
    stack = list(rows)
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            found |= item.keys()
            stack += [inner for key, inner in item.items() if key not in FREE_MAPS]
        elif isinstance(item, list):
            stack += item
    return frozenset(found)


def sample(kind: type[T], **given: Any) -> T:
    """Return a record with something in each field, to see what a writer makes of it."""
    for f in fields(kind):  # pyrefly: ignore[bad-argument-type] - a record
        if f.name not in given and f.default is MISSING and f.default_factory is MISSING:
            plain: dict[Any, Any] = {Decimal: _ONE, int: 1, str: "1", bool: False}
            given[f.name] = plain[f.type] if f.type in plain else next(iter(_words(f.type)), None)
    return kind(**given)


def _words(kind: Any) -> list[Any]:
    return list(kind) if isinstance(kind, type) and issubclass(kind, StrEnum) else []


ORDER = sample(Order, price=_ONE)
EXECUTION = sample(Execution)
POSITION = sample(Position)
WALLET = Wallet()
LOG_ROW = sample(LogRow)
CLOSED_PNL = sample(ClosedPnl)
INSTRUMENT = Instrument(
    symbol="AUSDT",
    tick_size=_ONE,
    qty_step=_ONE,
    min_order_qty=_ONE,
    max_order_qty=_ONE,
    max_mkt_order_qty=_ONE,
    tiers=(RiskTier(1, _ONE, _ONE, _ONE, _ONE),),
    status=InstrumentStatus.PRE_LAUNCH,
)
TICKER = tickers.Ticker(symbol="A")
BOOK = books.Book(symbol="A", bids=(), asks=(), update_id=1)
TRADE = books.PublicTrade(id="1", symbol="A", side="Buy", price=_ONE, qty=_ONE, time=1)
KEY = keys.KeyInfo(api_key="", read_only=True, permissions={})
LIMIT = tickers.PriceLimit("A", _ONE, _ONE)
ALERT = sample(topics.AdlAlert)
POOL = topics.Insurance("USDT", "A", _ONE)

_ORDER_NAMES = _names(
    orders.encode_order_row(ORDER),
    orders.encode_order_push(ORDER),
    more="basePrice orderFilter createAt",
)
_EXECUTION_NAMES = _names(
    orders.encode_execution_row(EXECUTION),
    orders.encode_execution_push(EXECUTION),
    more="feeCoin feeType subFeeType fee",  # of extraFees
)
_POSITION_NAMES = _names(
    positions.encode_position_row(POSITION), positions.encode_position_push(POSITION)
) | {"category"}
_WALLET_NAMES = _names(account.encode_wallet_row(WALLET))
_TICKER_NAMES = _names(
    tickers.encode_ticker_row(TICKER),
    more="tickDirection usdIndexPrice bid1Iv ask1Iv bidIv askIv bidPrice bidSize askPrice askSize "
    "markIv markPriceIv underlyingPrice totalVolume totalTurnover delta gamma vega theta change24h",
)


def _kind(
    name: str, needs: str, known: Any, read: Callable[[Any], Any] | None = None, lacks: str = ""
) -> Kind:
    names = known if isinstance(known, frozenset) else _names(known)
    return Kind(name, frozenset(needs.split()), names, read, frozenset(lacks.split()))


KINDS: tuple[Kind, ...] = (
    _kind("order", "orderId orderStatus", _ORDER_NAMES, orders.read_order),
    _kind("execution", "execId execPrice", _EXECUTION_NAMES, orders.read_execution),
    _kind("public trade", "execId price size", books.encode_trade_row(TRADE), books.read_trade),
    _kind(
        "closed profit",
        "closedPnl avgEntryPrice",
        positions.encode_closed_pnl_row(CLOSED_PNL),
        positions.read_closed_pnl,
    ),
    _kind("position", "positionIdx size", _POSITION_NAMES, positions.read_position),
    _kind(
        "transaction log",
        "transactionTime cashFlow",
        account.encode_log_row(LOG_ROW),
        account.read_log,
    ),
    _kind("wallet", "accountType totalEquity", _WALLET_NAMES, account.read_wallet),
    _kind(
        "instrument",
        "symbol status priceFilter",
        _names(instruments.encode_instrument_row(INSTRUMENT, account=True)),
        instruments.read_instrument,
    ),
    _kind("ticker", "symbol lastPrice volume24h", _TICKER_NAMES, tickers.read_ticker),
    _kind(
        "funding rate",
        "fundingRate fundingRateTimestamp",
        tickers.encode_funding_row(tickers.FundingRate("A", _ONE, 1)),
        tickers.read_funding,
    ),
    _kind(
        "open interest",
        "openInterest timestamp",
        tickers.encode_open_interest_row(tickers.OpenInterest(_ONE, 1)),
        tickers.read_open_interest,
    ),
    _kind(
        "risk tier",
        "riskLimitValue maintenanceMargin",
        instruments.encode_risk_rows(INSTRUMENT)[0],
        instruments.read_risk_tier,
    ),
    _kind(
        "fee rate",
        "takerFeeRate makerFeeRate symbol",
        keys.encode_fee_rate_row(keys.FeeRate("A", _ONE, _ONE)),
        keys.read_fee_rate,
    ),
    _kind("order book", "s b a u", books.encode_book_result(BOOK), books.read_book),
    _kind(
        "price limit",
        "buyLmt sellLmt",
        tickers.encode_price_limit_result(LIMIT),
        tickers.read_price_limit,
    ),
    _kind(
        "account",
        "marginMode unifiedMarginStatus",
        keys.encode_account_info_result(MarginMode.CROSS, updated_time=1),
        keys.read_account_info,
    ),
    _kind("key", "permissions apiKey userID", keys.encode_key_result(KEY), keys.read_key_info),
    _kind("server time", "timeSecond", keys.encode_time_result(1), keys.read_time),
    _kind(
        "ADL alert",
        "adlTriggerThreshold",
        topics.encode_adl_alert_row(ALERT),
        topics.read_adl_alert,
    ),
    _kind(
        "insurance pool", "coin symbols", topics.encode_insurance_row(POOL), topics.read_insurance
    ),
    _kind("settings", "lpaPerp", keys.encode_settings_result()),
    _kind("disconnect protection", "dcpInfos", keys.encode_dcp_result()),
    _kind("pre-check", "preImrE4", keys.encode_pre_check_result("", "", (_ONE, _ONE, _ONE, _ONE))),
    _kind(
        "symbol settings",
        "symbol leverage positionIdx",
        keys.encode_symbol_info_row("", _ONE, "", 0),
    ),
    _kind("collateral", "collateralRatio", keys.encode_collateral_row("USDT")),
    _kind("withdrawable", "availableWithdrawal", keys.encode_withdrawal_result(["USDT"], _ONE)),
    _kind("coin balance", "memberId balance", keys.encode_coin_balance_result("USDT", _ONE, 1)),
    _kind("request limit", "uids bizType rate", keys.encode_limit_rows(1, 1)),
    _kind(
        "system status",
        "serviceTypes maintainType",
        keys.encode_status_row(status_id="", title="", state="", begin_ms=0, end_ms=0),
    ),
    _kind(
        "announcement",
        "dateTimestamp title",
        keys.encode_announcement_row(title="", description="", time_ms=0),
    ),
    _kind("margin mode refusal", "reasons", _names(more="reasons reasonCode reasonMsg")),
    _kind(
        "acknowledgement",
        "orderId orderLinkId",
        _names(more="orderId orderLinkId"),
        lacks="orderStatus execId",
    ),
)

_PUSH = "topic type ts data id creationTime cts cs"
_KLINE = "start end interval open close high low volume turnover confirm timestamp"
PUSH_KINDS: dict[str, frozenset[str]] = {
    "order": _ORDER_NAMES | _names(more=_PUSH),
    "execution": _EXECUTION_NAMES | _names(more=_PUSH),
    "execution.fast": _EXECUTION_NAMES | _names(more=_PUSH),
    "position": _POSITION_NAMES | _names(more=_PUSH),
    "wallet": _WALLET_NAMES | _names(more=_PUSH),
    "kline": _names(more=f"{_PUSH} {_KLINE}"),
    "tickers": _TICKER_NAMES | _names(more=_PUSH),
    "orderbook": _names(books.encode_book_result(BOOK), more=_PUSH),
    "publicTrade": _names(more=f"{_PUSH} T s S v p L i BT RPI seq mP iP mIv iv"),
    "allLiquidation": _names(more=f"{_PUSH} T s S v p"),
    "priceLimit": _names(tickers.encode_price_limit_result(LIMIT), more=_PUSH),
    "adlAlert": _names(topics.encode_adl_alert_row(ALERT, stream=True), more=_PUSH),
    "insurance": _names(topics.encode_insurance_row(POOL, stream=True), more=_PUSH),
    "system": _names(
        keys.encode_status_row(status_id="", title="", state="", begin_ms=0, end_ms=0), more=_PUSH
    ),
    "greeks": _names(more=f"{_PUSH} baseCoin totalDelta totalGamma totalVega totalTheta"),
    "trade": _names(
        more="reqId retCode retMsg op data retExtInfo header connId list category symbol orderId "
        "orderLinkId createAt code msg X-Bapi-Limit X-Bapi-Limit-Status "
        "X-Bapi-Limit-Reset-Timestamp Traceid TraceId Timenow"
    ),
}
