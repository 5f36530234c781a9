"""The simulated venue's account, key and asset endpoints: parameters in, results out."""

from datetime import UTC, datetime
from typing import Any

from engine.venue import wire
from engine.venue.instrument import plain
from live.venues.bybit.simanswer import (
    Answer,
    Params,
    Refusal,
    Refused,
    page,
    page_size,
    span,
    text,
)
from live.venues.bybit.simauth import ApiKey
from live.venues.bybit.simdesk import Desk
from live.venues.bybit.simmarket import category, instruments, symbol_of

_DAY_MS = 86_400_000
_UTA2 = 5  # unifiedMarginStatus of a unified account 2.0
_DCP_WINDOWS = range(3, 301)


def key_info(desk: Desk, key: ApiKey) -> Any:
    """GET /v5/user/query-api."""
    expires = key.expires_ms
    left_days = -2 if expires is None else max(0, (expires - desk.now_ms) // _DAY_MS)
    wallet = sorted(p for p in key.permissions if p in {"Withdraw", "AccountTransfer"})
    contract = sorted(p for p in key.permissions if p in {"Order", "Position"})
    return {
        "id": str(key.uid % 10_000_000),
        "note": "simulated",
        "apiKey": key.key,
        "readOnly": int(key.read_only),
        "secret": "",
        "permissions": {
            "ContractTrade": contract,
            "Spot": [],
            "Wallet": wallet,
            "Options": [],
            "Derivatives": ["DerivativesTrade"] if contract else [],
            "CopyTrading": [],
            "BlockTrade": [],
            "Exchange": [],
            "NFT": [],
            "Affiliate": [],
            "Earn": [],
        },
        "ips": list(key.ips) or ["*"],
        "type": 1,
        "deadlineDay": left_days,
        "expiredAt": _iso(expires or 0),
        "createdAt": _iso(key.created_ms),
        "unified": 0,
        "uta": 1,
        "userID": key.uid,
        "inviterID": 0,
        "vipLevel": "No VIP",
        "mktMakerLevel": "0",
        "affiliateID": 0,
        "rsaPublicKey": "",
        "isMaster": True,
        "parentUid": "0",
        "kycLevel": "LEVEL_DEFAULT",
        "kycRegion": "",
    }


def _iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def info(desk: Desk, uid: int, _params: Params, _lag_ms: int) -> Any:
    """GET /v5/account/info."""
    return {
        "marginMode": desk.exchange.account(uid).margin_mode.value,
        "updatedTime": str(desk.view.replay.first),
        "unifiedMarginStatus": _UTA2,
        "dcpStatus": "OFF",
        "timeWindow": 10,
        "smpGroup": 0,
        "isMasterTrader": False,
        "spotHedgingStatus": "OFF",
    }


def wallet(desk: Desk, uid: int, params: Params, _lag_ms: int) -> Any:
    """GET /v5/account/wallet-balance."""
    if text(params, "accountType", "UNIFIED") != "UNIFIED":
        raise Refused(10001, "params error: only support UNIFIED account type")
    account = desk.account(uid)
    row = wire.encode_wallet_row(account.wallet, account.margin_mode)
    wanted = [c for c in text(params, "coin").split(",") if c]
    if wanted:
        row["coin"] = [c for c in row["coin"] if c["coin"] in wanted]
    return {"list": [row]}


def fee_rate(desk: Desk, uid: int, params: Params, _lag_ms: int) -> Any:
    """GET /v5/account/fee-rate: of a symbol, or of all."""
    asked = category(params, default="linear")
    account = desk.exchange.account(uid)
    names = [symbol_of(desk.view, params)] if text(params, "symbol") else list(desk.listings)
    rows = [
        {
            "symbol": symbol,
            "takerFeeRate": plain(account.taker_fee_rate),
            "makerFeeRate": plain(account.maker_fee_rate),
        }
        for symbol in (names if asked == "linear" else ())
    ]
    return {"category": asked, "list": rows}


def transaction_log(desk: Desk, uid: int, params: Params, lag_ms: int) -> Any:
    """GET /v5/account/transaction-log, newest first; the last 24 hours by default."""
    limit = page_size(params, 20, 50)
    now = desk.now_ms
    start, end = span(params, now, default_days=1)
    kind, coin = text(params, "type"), text(params, "currency")
    base, asked = text(params, "baseCoin"), text(params, "category")
    numbered = list(enumerate(desk.exchange.account(uid).log, 1))
    rows = [
        (n, r)
        for n, r in reversed(numbered)
        if start <= r.transaction_time <= min(end, now - lag_ms)
        and kind in ("", r.type.value)
        and coin in ("", "USDT")
        and base in ("", r.symbol.removesuffix("USDT"))
        and asked in ("", "linear" if r.symbol else "")
    ]
    cut, cursor = page(rows, params, limit, lambda row: row[0])
    return {"list": [wire.encode_log_row(r) for _, r in cut], "nextPageCursor": cursor}


def settings(desk: Desk, uid: int, _params: Params, _lag_ms: int) -> Any:
    """GET /v5/account/user-setting-config."""
    return {
        "lpaSpot": False,
        "lpaPerp": desk.settings[uid].get("lpaPerp", False),
        "smsef": False,
        "fmsef": False,
    }


def set_price_action(desk: Desk, uid: int, params: Any) -> Answer | Refusal:
    """POST /v5/account/set-limit-px-action: reject beyond the band (true), or re-price (false)."""
    enable = params.get("modifyEnable")
    if text(params, "category") not in ("linear", "spot") or not isinstance(enable, bool):
        return Refusal(10001, "params error: category or modifyEnable invalid")
    if params["category"] == "linear":
        desk.settings[uid]["lpaPerp"] = enable
    return Answer({})


def dcp_info(_desk: Desk, _uid: int, _params: Params, _lag_ms: int) -> Any:
    """GET /v5/account/query-dcp-info: not for an ordinary user."""
    return {"dcpInfos": []}


def set_dcp(_desk: Desk, _uid: int, params: Any) -> Answer | Refusal:
    """POST /v5/order/disconnected-cancel-all: for institutional clients only."""
    window = params.get("timeWindow")
    if not isinstance(window, int) or window not in _DCP_WINDOWS:
        return Refusal(10001, "params error: timeWindow invalid")
    return Refusal(10005, "Permission denied, DCP is not enabled for this account.")


def smp_group(_desk: Desk, _uid: int, _params: Params, _lag_ms: int) -> Any:
    """GET /v5/account/smp-group."""
    return {"smpGroup": 0}


def collateral(_desk: Desk, _uid: int, _params: Params, _lag_ms: int) -> Any:
    """GET /v5/account/collateral-info."""
    row = {
        "currency": "USDT",
        "hourlyBorrowRate": "0",
        "maxBorrowingAmount": "0",
        "freeBorrowingLimit": "0",
        "freeBorrowAmount": "0",
        "freeBorrowingAmount": "",
        "borrowAmount": "0",
        "otherBorrowAmount": "0",
        "availableToBorrow": "0",
        "borrowable": False,
        "borrowUsageRate": "0",
        "marginCollateral": True,
        "collateralSwitch": True,
        "collateralRatio": "1",
    }
    return {"list": [row]}


def own_instruments(desk: Desk, _uid: int, params: Params, _lag_ms: int) -> Any:
    """GET /v5/account/instruments-info."""
    return instruments(desk.view, params)


def coins(_desk: Desk, _uid: int, params: Params, _lag_ms: int) -> Any:
    """GET /v5/asset/coin/query-info."""
    row = {
        "name": "USDT",
        "coin": "USDT",
        "remainAmount": "0",
        "chains": [],
    }
    return {"rows": [row] if text(params, "coin", "USDT") == "USDT" else []}


def balances(desk: Desk, uid: int, params: Params, _lag_ms: int) -> Any:
    """GET /v5/asset/transfer/query-account-coins-balance."""
    kind = text(params, "accountType", "UNIFIED")
    held = desk.account(uid).wallet.wallet_balance if kind == "UNIFIED" else 0
    row = {
        "coin": "USDT",
        "transferBalance": str(held),
        "walletBalance": str(held),
        "bonus": "",
    }
    return {"memberId": str(uid), "accountType": kind, "balance": [row]}


def withdrawals(_desk: Desk, _uid: int, _params: Params, _lag_ms: int) -> Any:
    """Answer the lists of transfers, deposits and withdrawals: none."""
    return {"rows": [], "list": [], "nextPageCursor": ""}
