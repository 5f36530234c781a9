"""The money: wallet balances and rows of the transaction log, both ways."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from engine.venue.exchange.records import LogRow, Wallet
from engine.venue.reports import LogReport, WalletReport
from engine.venue.wire.fields import (
    NotOurs,
    WireError,
    amount,
    as_list,
    as_row,
    decimal,
    integer,
    minus,
    name,
    plain,
    plus,
    price,
    required,
    text,
    word,
)
from engine.venue.words import LogType, MarginMode

# ---------------------------------------------------------------------------- wallet


def encode_wallet_row(
    wallet: Wallet, margin_mode: MarginMode = MarginMode.CROSS, *, stream: bool = False
) -> dict[str, Any]:
    """Write the account as ``account/wallet-balance`` (or the topic ``wallet``) shows it.

    The account-wide margin figures do not apply to isolated margin: they are "" there, and what
    may be used is worked out from the coin's row. USDT counts 1:1 as USD.
    """
    isolated = margin_mode is MarginMode.ISOLATED
    rates = (wallet.im_rate, wallet.mm_rate, _initial(wallet), wallet.total_position_mm)
    im_rate, mm_rate, initial, maintenance = (None if isolated else x for x in rates)
    coin = {
        "coin": "USDT",
        "equity": plain(wallet.equity),
        "usdValue": plain(wallet.equity),
        "walletBalance": plain(wallet.wallet_balance),
        "availableToWithdraw": "",
        "availableToBorrow": "",
        "free": "",
        "locked": "0",
        "spotHedgingQty": "0",
        "borrowAmount": "0",
        "spotBorrow": "0",
        "accruedInterest": "0",
        "totalOrderIM": plain(wallet.total_order_im),
        "totalPositionIM": plain(wallet.total_position_im),
        "totalPositionMM": plain(wallet.total_position_mm),
        "unrealisedPnl": plain(wallet.unrealised_pnl),
        "cumRealisedPnl": plain(wallet.cum_realised_pnl),
        "bonus": "0",
        "collateralSwitch": True,
        "marginCollateral": True,
        "colRes": "0",
    }
    if stream:
        del coin["free"]
    return {
        "accountType": "UNIFIED",
        "accountLTV": "0",
        "accountIMRate": plain(im_rate),
        "accountIMRateByMp": plain(im_rate),
        "accountMMRate": plain(mm_rate),
        "accountMMRateByMp": plain(mm_rate),
        "totalEquity": plain(wallet.equity),
        "totalWalletBalance": plain(wallet.wallet_balance),
        "totalMarginBalance": plain(None if isolated else wallet.equity),
        "totalAvailableBalance": plain(None if isolated else wallet.available_balance),
        "totalPerpUPL": plain(wallet.unrealised_pnl),
        "totalInitialMargin": plain(initial),
        "totalInitialMarginByMp": plain(initial),
        "totalMaintenanceMargin": plain(maintenance),
        "totalMaintenanceMarginByMp": plain(maintenance),
        "coin": [coin],
    }


def encode_wallet_push(
    wallet: Wallet, margin_mode: MarginMode = MarginMode.CROSS
) -> dict[str, Any]:
    """Write the account as the private topic ``wallet`` pushes it."""
    return encode_wallet_row(wallet, margin_mode, stream=True)


def _initial(wallet: Wallet) -> Decimal:
    return plus(wallet.total_position_im, wallet.total_order_im)


def read_wallet(row: Any) -> WalletReport:
    """Read the USDT of a unified account, from REST or from the stream.

    What may be used is ``totalAvailableBalance``; where that does not apply (isolated margin) the
    wallet balance less what positions, orders, spot and bonus hold.

    Raises
    ------
    NotOurs
        It tells of other coins only.
    WireError
        No coins, no balance, or an unreadable value.
    """
    row = as_row(row)
    coin = _usdt(row)
    balance = required(coin, "walletBalance")
    unrealised = amount(coin, "unrealisedPnl")
    equity = decimal(coin, "equity")
    available = decimal(row, "totalAvailableBalance")
    if available is None:
        available = balance
        for held in ("totalPositionIM", "totalOrderIM", "locked", "bonus"):
            available = minus(available, amount(coin, held))
    return WalletReport(
        wallet_balance=balance,
        equity=plus(balance, unrealised) if equity is None else equity,
        available_balance=available,
        unrealised_pnl=unrealised,
        total_initial_margin=decimal(row, "totalInitialMargin"),
        total_maintenance_margin=decimal(row, "totalMaintenanceMargin"),
        account_im_rate=decimal(row, "accountIMRate"),
        account_mm_rate=decimal(row, "accountMMRate"),
        cum_realised_pnl=amount(coin, "cumRealisedPnl"),
    )


def _usdt(row: Mapping[str, Any]) -> Mapping[str, Any]:
    coins = as_list(row.get("coin"))
    for coin in coins:
        if isinstance(coin, dict) and coin.get("coin") == "USDT":
            return coin
    if coins:
        raise NotOurs("the wallet row tells of other coins only")
    if "coin" not in row:
        raise WireError("a wallet row has no coins")
    return {"walletBalance": "0"}  # an account that never held any


# ---------------------------------------------------------------------------- transaction log


def encode_log_row(row: LogRow) -> dict[str, Any]:
    """Write a row as ``account/transaction-log`` shows it."""
    funding = row.funding or row.type is LogType.SETTLEMENT
    return {
        "id": row.id,
        "symbol": row.symbol,
        "category": "linear" if row.symbol else "",
        "side": row.side,
        "transactionTime": str(row.transaction_time),
        "type": row.type.value,
        "transSubType": "",
        "qty": plain(row.qty),
        "size": plain(row.size),
        "currency": "USDT",
        "tradePrice": plain(row.trade_price),
        "funding": plain(row.funding) if funding else "",
        "fee": plain(row.fee),
        "cashFlow": plain(row.cash_flow),
        "change": plain(row.change),
        "cashBalance": plain(row.cash_balance),
        "feeRate": plain(row.fee_rate),
        "bonusChange": "",
        "tradeId": row.trade_id,
        "orderId": row.order_id,
        "orderLinkId": row.order_link_id,
        "extraFees": "",
    }


def read_log(row: Any) -> LogReport:
    """Read a row of the transaction log.

    Raises
    ------
    WireError
        No id, type, change or balance, or an unreadable value.
    """
    row = as_row(row)
    return LogReport(
        id=name(row, "id"),
        type=name(row, "type"),
        symbol=text(row, "symbol"),
        side=word(row, "side"),
        transaction_time=integer(row, "transactionTime"),
        change=required(row, "change"),
        cash_flow=amount(row, "cashFlow"),
        fee=amount(row, "fee"),
        funding=amount(row, "funding"),
        cash_balance=required(row, "cashBalance"),
        order_id=text(row, "orderId"),
        order_link_id=text(row, "orderLinkId"),
        trade_id=text(row, "tradeId"),
        qty=amount(row, "qty"),
        trade_price=price(row, "tradePrice"),
    )
