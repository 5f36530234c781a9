"""Who the account is: its modes, key, rights, fees, settings; and the venue's small calls."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from engine.venue.wire.fields import (
    as_list,
    as_row,
    flag,
    integer,
    name,
    plain,
    required,
    text,
)
from engine.venue.wire.params import (
    Params,
    door,
    invalid,
    read_category,
    read_choice,
    read_flag,
    read_text,
)
from engine.venue.words import MarginMode

UNIFIED_2 = 5  # unifiedMarginStatus: 1 classic, 3 and 4 UTA 1, 5 and 6 UTA 2

# ---------------------------------------------------------------------------- account


@dataclass(frozen=True, slots=True)
class AccountInfo:
    """The account's kind and margin mode."""

    margin_mode: str
    unified_status: int
    updated_time: int = 0

    @property
    def is_unified_2(self) -> bool:
        """Tell whether this is a unified account of the second kind, the only one we trade."""
        return self.unified_status >= UNIFIED_2


def encode_account_info_result(margin_mode: MarginMode, *, updated_time: int) -> dict[str, Any]:
    """Write the result of ``account/info``."""
    return {
        "marginMode": margin_mode.value,
        "updatedTime": str(updated_time),
        "unifiedMarginStatus": UNIFIED_2,
        "dcpStatus": "OFF",
        "timeWindow": 10,
        "smpGroup": 0,
        "isMasterTrader": False,
        "spotHedgingStatus": "OFF",
    }


def read_account_info(result: Any) -> AccountInfo:
    """Read ``account/info``; `WireError` without a margin mode."""
    row = as_row(result)
    return AccountInfo(
        name(row, "marginMode"), integer(row, "unifiedMarginStatus"), integer(row, "updatedTime")
    )


@dataclass(frozen=True, slots=True)
class FeeRate:
    """What a user pays on a symbol, as fractions."""

    symbol: str
    taker: Decimal
    maker: Decimal


def encode_fee_rate_row(fee: FeeRate) -> dict[str, Any]:
    """Write a row of ``account/fee-rate``."""
    return {
        "symbol": fee.symbol,
        "baseCoin": "",
        "takerFeeRate": plain(fee.taker),
        "makerFeeRate": plain(fee.maker),
    }


def read_fee_rate(row: Any) -> FeeRate:
    """Read a row of ``account/fee-rate``."""
    row = as_row(row)
    return FeeRate(
        text(row, "symbol"), required(row, "takerFeeRate"), required(row, "makerFeeRate")
    )


def encode_settings_result(*, reject_beyond_band: bool = False) -> dict[str, Any]:
    """Write ``account/user-setting-config``: lpaPerp false = prices past the band are moved."""
    return {"lpaSpot": False, "lpaPerp": reject_beyond_band, "smsef": False, "fmsef": False}


def encode_dcp_result(*, on: bool = False, window_s: int = 10) -> dict[str, Any]:
    """Write ``account/query-dcp-info``."""
    status = "ON" if on else "OFF"
    return {
        "dcpInfos": [
            {"product": product, "dcpStatus": status, "timeWindow": str(window_s)}
            for product in ("SPOT", "DERIVATIVES", "OPTIONS")
        ]
    }


@dataclass(frozen=True, slots=True)
class SetDcp:
    """``order/disconnected-cancel-all``: a dead man's switch of 3 to 300 s."""

    window_s: int
    product: str = "OPTIONS"


@door
def read_set_dcp(params: Params) -> SetDcp:
    """Read ``order/disconnected-cancel-all``."""
    product = read_text(params, "product") or "OPTIONS"
    if product not in ("OPTIONS", "DERIVATIVES", "SPOT"):
        raise invalid("product")
    return SetDcp(read_choice(params, "timeWindow", range(3, 301)), product)


@dataclass(frozen=True, slots=True)
class SetPriceLimitAction:
    """``account/set-limit-px-action``: reject beyond the band, instead of moving the price."""

    category: str
    reject: bool


@door
def read_set_price_limit_action(params: Params) -> SetPriceLimitAction:
    """Read ``account/set-limit-px-action``."""
    if not isinstance(params.get("modifyEnable"), bool | str):
        raise invalid("modifyEnable")
    category = read_category(params, only_linear=False)
    return SetPriceLimitAction(category, read_flag(params, "modifyEnable"))


@door
def read_account_type(params: Params) -> str:
    """Read ``accountType`` of wallet-balance: only unified accounts are there."""
    kind = read_text(params, "accountType")
    if kind != "UNIFIED":
        raise invalid("accountType")
    return kind


# ---------------------------------------------------------------------------- the key


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyInfo:
    """What a key may do."""

    api_key: str
    read_only: bool
    permissions: Mapping[str, tuple[str, ...]]
    ips: tuple[str, ...] = ()
    deadline_day: int = 0
    expired_at: str = ""  # ISO 8601
    unified: bool = True
    user_id: int = 0
    is_master: bool = True
    vip_level: str = ""

    @property
    def may_trade(self) -> bool:
        """Tell whether it may place orders and change positions of contracts."""
        rights = self.permissions.get("ContractTrade", ())
        return not self.read_only and "Order" in rights and "Position" in rights

    @property
    def may_withdraw(self) -> bool:
        """Tell whether money may leave by it: such a key is refused."""
        return any("withdraw" in right.lower() for right in self.permissions.get("Wallet", ()))


_RIGHTS = (
    "ContractTrade",
    "Spot",
    "Wallet",
    "Options",
    "Derivatives",
    "CopyTrading",
    "BlockTrade",
    "Exchange",
    "NFT",
    "Affiliate",
    "Earn",
    "FiatP2P",
    "FiatConvertBroker",
    "FiatGlobalPay",
    "FiatBitPay",
    "BitCard",
    "ByXPost",
)


def encode_key_result(key: KeyInfo, *, created_at: str = "2024-01-01T00:00:00Z") -> dict[str, Any]:
    """Write the result of ``user/query-api``."""
    return {
        "id": str(key.user_id),
        "note": "",
        "apiKey": key.api_key,
        "readOnly": int(key.read_only),
        "secret": "",
        "permissions": {right: list(key.permissions.get(right, ())) for right in _RIGHTS},
        "ips": list(key.ips) or ["*"],
        "type": 1,
        "deadlineDay": key.deadline_day,
        "expiredAt": key.expired_at,
        "createdAt": created_at,
        "unified": 0,
        "uta": int(key.unified),
        "userID": key.user_id,
        "inviterID": 0,
        "vipLevel": key.vip_level or "No VIP",
        "mktMakerLevel": "0",
        "affiliateID": 0,
        "rsaPublicKey": "",
        "isMaster": key.is_master,
        "parentUid": "0",
        "kycLevel": "LEVEL_1",
        "kycRegion": "",
        "userIDInt64": str(key.user_id),
        "inviterIDInt64": "0",
        "affiliateIDInt64": "0",
    }


def read_key_info(result: Any) -> KeyInfo:
    """Read ``user/query-api``.

    Raises
    ------
    WireError
        No permissions, or an unreadable value: then nothing is known of the key.
    """
    row = as_row(result)
    rights = as_row(row.get("permissions"))
    ips = _texts(row.get("ips"))
    return KeyInfo(
        api_key=text(row, "apiKey"),
        read_only=flag(row, "readOnly"),
        permissions={key: _texts(value) for key, value in rights.items()},
        ips=() if ips == ("*",) else ips,
        deadline_day=integer(row, "deadlineDay"),
        expired_at=text(row, "expiredAt"),
        unified=flag(row, "uta"),
        user_id=integer(row, "userID"),
        is_master=flag(row, "isMaster"),
        vip_level=text(row, "vipLevel"),
    )


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(x for x in as_list(value) if isinstance(x, str))


# ---------------------------------------------------------------------------- small calls


def encode_time_result(now_ms: int) -> dict[str, Any]:
    """Write the result of ``market/time``."""
    return {"timeSecond": str(now_ms // 1000), "timeNano": str(now_ms * 1_000_000)}


def read_time(result: Any) -> int:
    """Read ``market/time`` as ms; the envelope's own time serves as well."""
    row = as_row(result)
    nano = integer(row, "timeNano")
    return nano // 1_000_000 if nano else integer(row, "timeSecond") * 1000


def encode_coin_rows(coins: Iterable[str]) -> dict[str, Any]:
    """Write the result of ``asset/coin/query-info``: one chain each, nothing moves over it."""
    chain = {
        "chain": "SIM",
        "chainType": "SIM",
        "confirmation": "1",
        "withdrawFee": "",
        "depositMin": "0",
        "withdrawMin": "0",
        "minAccuracy": "8",
        "chainDeposit": "0",
        "chainWithdraw": "0",
        "withdrawPercentageFee": "0",
        "contractAddress": "",
        "safeConfirmNumber": "1",
        "withdrawMax": "-1",
    }
    rows = [
        {"name": coin, "coin": coin, "remainAmount": "0", "chains": [dict(chain)]} for coin in coins
    ]
    return {"rows": rows}


def encode_symbol_info_row(
    symbol: str, leverage: Decimal, side: str, position_idx: int
) -> dict[str, Any]:
    """Write a row of ``position/symbol-info``."""
    return {
        "symbol": symbol,
        "leverage": plain(leverage),
        "side": side,
        "positionIdx": position_idx,
    }


def encode_pre_check_result(
    order_id: str, order_link_id: str, rates: tuple[Decimal, Decimal, Decimal, Decimal]
) -> dict[str, Any]:
    """Write ``order/pre-check``; rates are IM and MM before and after, as fractions."""
    keys = ("preImrE4", "preMmrE4", "postImrE4", "postMmrE4")
    scaled = {key: int(rate.scaleb(4)) for key, rate in zip(keys, rates, strict=True)}
    return {"orderId": order_id, "orderLinkId": order_link_id} | scaled


def encode_coin_balance_result(coin: str, balance: Decimal, uid: int) -> dict[str, Any]:
    """Write ``asset/transfer/query-account-coins-balance``."""
    amount = plain(balance)
    row = {"coin": coin, "transferBalance": amount, "walletBalance": amount, "bonus": ""}
    return {"memberId": str(uid), "accountType": "UNIFIED", "balance": [row]}


def encode_withdrawal_result(coins: Iterable[str], available: Decimal) -> dict[str, Any]:
    """Write ``account/withdrawal``: what could be moved out."""
    amounts = dict.fromkeys(coins, plain(available))
    return {"availableWithdrawal": plain(available), "availableWithdrawalMap": amounts}


def encode_collateral_row(coin: str) -> dict[str, Any]:
    """Write a row of ``account/collateral-info``: full value, nothing borrowed."""
    zero = dict.fromkeys(
        (
            "availableToBorrow",
            "freeBorrowAmount",
            "freeBorrowingLimit",
            "maxBorrowingAmount",
            "hourlyBorrowRate",
            "borrowUsageRate",
            "borrowAmount",
            "otherBorrowAmount",
        ),
        "0",
    )
    return zero | {
        "currency": coin,
        "freeBorrowingAmount": "",
        "collateralSwitch": True,
        "borrowable": False,
        "marginCollateral": True,
        "collateralRatio": "1",
    }


def encode_limit_rows(uid: int, rate: int) -> dict[str, Any]:
    """Write ``apilimit/query``."""
    kinds = ("SPOT", "DERIVATIVES")
    return {"list": [{"uids": str(uid), "bizType": kind, "rate": rate} for kind in kinds]}


def encode_status_row(
    *,
    status_id: str,
    title: str,
    state: str,
    begin_ms: int,
    end_ms: int,
) -> dict[str, Any]:
    """Write a row of ``system/status`` (and of the topic ``system.status``): a maintenance."""
    return {
        "id": status_id,
        "title": title,
        "state": state,
        "begin": str(begin_ms),
        "end": str(end_ms),
        "href": "",
        "serviceTypes": [1, 2, 3, 4, 5],
        "product": [1, 2, 3, 4],
        "uidSuffix": [],
        "maintainType": 1,
        "env": 1,
    }


def encode_announcement_row(*, title: str, description: str, time_ms: int) -> dict[str, Any]:
    """Write a row of ``announcements/index``."""
    return {
        "title": title,
        "description": description,
        "type": {"title": "Delistings", "key": "delistings"},
        "tags": ["Derivatives"],
        "url": "",
        "dateTimestamp": time_ms,
        "startDateTimestamp": time_ms,
        "endDateTimestamp": time_ms,
    }
