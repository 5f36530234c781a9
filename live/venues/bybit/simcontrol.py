"""The simulator's own requests (/sim/...): accounts, time, faults, the truth, somebody acting."""

from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from engine.errors import DataError
from engine.venue import wire
from engine.venue.words import MarginMode
from live.venues.bybit import simacts
from live.venues.bybit.simdesk import Desk

_KEY_OPTIONS = {
    "readOnly": "read_only",
    "permissions": "permissions",
    "ips": "ips",
    "expiresMs": "expires_ms",
}


def _object(raw: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(raw or b"{}", type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise DataError("the request is not a JSON object", why=str(error)) from None


def open_account(desk: Desk, raw: bytes) -> dict[str, Any]:
    """Open an account: ``{equity, marginMode?, readOnly?, permissions?, ips?, expiresMs?}``."""
    wish = _object(raw)
    try:
        equity = Decimal(str(wish.get("equity", "10000")))
        mode = MarginMode(wish.get("marginMode", MarginMode.ISOLATED.value))
    except (InvalidOperation, ValueError):
        raise DataError(
            "an account cannot be opened with this", hint='{"equity": "10000"}'
        ) from None
    if not equity.is_finite() or not 0 <= equity < Decimal("1e15"):
        raise DataError(f"equity {equity} cannot be had", hint="USDT, at least 0")
    options = {name: wish[key] for key, name in _KEY_OPTIONS.items() if key in wish}
    if "permissions" in options:
        options["permissions"] = frozenset(map(str, options["permissions"]))
    if "ips" in options:
        options["ips"] = tuple(map(str, options["ips"]))
    key = desk.open_account(equity, margin_mode=mode, **options)
    return {"apiKey": key.key, "apiSecret": key.secret, "uid": key.uid}


def truth(desk: Desk, api_key: str) -> dict[str, Any]:
    """Return everything of an account as it is, whatever its streams and lists have said."""
    key = desk.keys.find(api_key)
    if key is None:
        raise DataError(f"no account has the key {api_key!r}"[:200])
    account = desk.account(key.uid)
    return {
        "uid": key.uid,
        "marginMode": account.margin_mode.value,
        "positionMode": {s: m.value for s, m in account.position_mode.items()},
        "orders": [wire.encode_order_row(o) for o in account.orders.values()],
        "executions": [
            {**wire.encode_execution_row(e), "positionIdx": e.position_idx}
            for e in account.executions
        ],
        "positions": [wire.encode_position_row(p) for p in account.positions.values()],
        "wallet": wire.encode_wallet_row(account.wallet, account.margin_mode),
        "log": [wire.encode_log_row(r) for r in account.log],
        "closedPnl": [wire.encode_closed_pnl_row(c) for c in account.closed_pnl],
    }


def manual(desk: Desk, raw: bytes) -> dict[str, Any]:
    """Let somebody act: ``{apiKey, action, symbol?, value?}``."""
    wish = _object(raw)
    key = desk.keys.find(str(wish.get("apiKey", "")))
    if key is None:
        raise DataError("no account has this key")
    symbol = str(wish.get("symbol", ""))
    if symbol and symbol not in desk.listings:
        raise DataError(f"no such symbol: {symbol!r}"[:200])
    try:
        refused = simacts.human(
            desk,
            key.uid,
            str(wish.get("action", "")),
            symbol=symbol,
            value=str(wish.get("value", "")),
        )
    except ValueError as error:
        raise DataError(str(error)) from None
    return {"refused": refused}
