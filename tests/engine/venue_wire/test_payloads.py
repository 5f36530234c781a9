"""The documents' own examples: every one decodes; what is ours to write loses no field."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine.venue import wire
from engine.venue.exchange.events import Accepted, Refused
from engine.venue.wire import catalogue_kinds as k
from engine.venue.wire.catalogue import FREE_MAPS, examine
from engine.venue.words import MarginMode

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def payloads(shared: Path) -> Path:
    path = shared / "bybit" / "payloads"
    if not path.is_dir():
        pytest.skip(f"no example payloads at {path}")
    return path


def test_every_payload_decodes_and_no_field_is_unknown(payloads: Path) -> None:
    files = sorted(payloads.glob("*/*.json"))
    assert len(files) > 200
    for file in files:
        found = examine(file.read_bytes())
        assert not found.unknown, (file.name, found)


UNREAD = {  # other products, or calls that neither our client nor an independent one makes
    "abandon", "smp-group", "trade-info-for-analysis", "fee-group-info", "index-components",
    "long-short-ratio", "move-position", "modify-master-apikey", "modify-sub-apikey",
    "subuid-list", "full-ob__request", "rpi-orderbook__request", "adl-alert__request",
}  # fmt: skip


def test_what_is_not_read_is_only_what_we_said(payloads: Path) -> None:
    for file in payloads.glob("*/*.json"):
        if "not read by us" in examine(file.read_bytes()).kind:
            assert any(part in file.name for part in UNREAD), file.name


# ---------------------------------------------------------------------------- re-encoding

ACCEPTED = Accepted(1, "o", "l", (("o", "l"),))
BATCH = wire.encode_batch_result([({}, ACCEPTED)], 5)
ALLOWANCE = wire.Allowance(10, 9, 1)


def body(raw: bytes) -> Any:
    return wire.read_json(raw)


def push(topic: str, row: dict[str, Any]) -> Any:
    return body(wire.encode_private_push(topic, [row], message_id="1", creation_time=1))


def reply(result: Any, ext: Any = None) -> Any:
    return body(wire.envelope(result, 1, ext=ext))


def listed(*rows: Any, **more: Any) -> Any:
    return reply({"list": list(rows), "nextPageCursor": "", "category": "linear", **more})


def trade(op: str, data: Any, ext: Any = None) -> Any:
    return body(
        wire.encode_trade_reply(op, conn_id="c", now_ms=1, data=data, ext=ext, req_id="r",
                                allowance=ALLOWANCE)
    )  # fmt: skip


_status = wire.encode_status_row(status_id="", title="", state="", begin_ms=0, end_ms=0)
_pools = wire.encode_insurance_row(k.POOL, stream=True)
OURS: dict[str, Any] = {
    "rest/market__time__response": reply(wire.encode_time_result(1)),
    "rest/market__instrument__response__linear": listed(wire.encode_instrument_row(k.INSTRUMENT)),
    "rest/market__instrument__response__linear_2": listed(wire.encode_instrument_row(k.INSTRUMENT)),
    "rest/account__instrument__response__linear": listed(
        wire.encode_instrument_row(k.INSTRUMENT, account=True)
    ),
    "rest/market__tickers__response__inverse": listed(wire.encode_ticker_row(k.TICKER)),
    "rest/market__orderbook__response": reply(wire.encode_book_result(k.BOOK)),
    "rest/market__recent-trade__response": listed(wire.encode_trade_row(k.TRADE)),
    "rest/market__history-fund-rate__response": listed(
        wire.encode_funding_row(wire.FundingRate("A", Decimal(1), 1))
    ),
    "rest/market__open-interest__response": listed(
        wire.encode_open_interest_row(wire.OpenInterest(Decimal(1), 1)), symbol="A"
    ),
    "rest/market__risk-limit__response": listed(*wire.encode_risk_rows(k.INSTRUMENT)),
    "rest/market__order-price-limit__response": reply(wire.encode_price_limit_result(k.LIMIT)),
    "rest/market__insurance__response": listed(wire.encode_insurance_row(k.POOL), updatedTime="1"),
    "rest/market__adl-alert__response": listed(wire.encode_adl_alert_row(k.ALERT), updatedTime="1"),
    "rest/order__create-order__response": reply(wire.encode_ack(ACCEPTED)),
    "rest/order__amend-order__response": reply(wire.encode_ack(ACCEPTED)),
    "rest/order__cancel-order__response": reply(wire.encode_ack(ACCEPTED)),
    "rest/order__cancel-all__response": reply(wire.encode_cancel_all_result(ACCEPTED)),
    "rest/order__batch-place__response": reply(*BATCH),
    "rest/order__batch-amend__response": reply(*wire.encode_batch_result([({}, ACCEPTED)])),
    "rest/order__batch-cancel__response": reply(*wire.encode_batch_result([({}, ACCEPTED)])),
    "rest/order__open-order__response": listed(wire.encode_order_row(k.ORDER)),
    "rest/order__order-list__response": listed(wire.encode_order_row(k.ORDER)),
    "rest/order__execution__response": listed(wire.encode_execution_row(k.EXECUTION)),
    "rest/order__pre-check-order__response": reply(
        wire.encode_pre_check_result("", "", (Decimal("0.003"),) * 4)
    ),
    "rest/order__dcp__response": reply({}),
    "rest/position__position__response": listed(wire.encode_position_row(k.POSITION)),
    "rest/position__manual-add-margin__response": reply(
        wire.encode_position_row(k.POSITION) | {"category": "linear"}
    ),
    "rest/position__close-pnl__response": listed(wire.encode_closed_pnl_row(k.CLOSED_PNL)),
    "rest/position__batch-lvg__response": listed(
        wire.encode_symbol_info_row("A", Decimal(1), "Buy", 0)
    ),
    **{
        f"rest/position__{name}__response": reply({})
        for name in ("leverage", "position-mode", "trading-stop", "auto-add-margin", "confirm-mmr")
    },
    "rest/account__wallet-balance__response": listed(wire.encode_wallet_row(k.WALLET)),
    "rest/account__account-info__response": reply(
        wire.encode_account_info_result(MarginMode.CROSS, updated_time=1)
    ),
    "rest/account__fee-rate__response": listed(
        wire.encode_fee_rate_row(wire.FeeRate("A", Decimal(1), Decimal(1)))
    ),
    "rest/account__set-margin-mode__response": reply(
        wire.encode_margin_mode_result(Refused(1, 3400045, "no", (("1", "why"),)))
    ),
    "rest/account__transaction-log__response": listed(wire.encode_log_row(k.LOG_ROW)),
    "rest/account__get-user-setting-config__response": reply(wire.encode_settings_result()),
    "rest/account__set-price-limit__response": reply({}),
    "rest/account__dcp-info__response": reply(wire.encode_dcp_result()),
    "rest/account__collateral-info__response": listed(wire.encode_collateral_row("USDT")),
    "rest/account__unified-trans-amnt__response": reply(
        wire.encode_withdrawal_result(["USDT"], Decimal(1))
    ),
    "rest/asset__balance__all-balance__response": reply(
        wire.encode_coin_balance_result("USDT", Decimal(1), 1)
    ),
    "rest/user__apikey-info__response": reply(wire.encode_key_result(k.KEY)),
    "rest/rate-limit__rules-for-pros__apilimit-query__response": reply(
        wire.encode_limit_rows(1, 1)
    ),
    "rest/system-status__response": listed(_status),
    "rest/announcement__response": listed(
        wire.encode_announcement_row(title="", description="", time_ms=1), total=1
    ),
    "ws/wss-authentication__response": body(
        wire.encode_private_reply("auth", success=True, conn_id="c")
    ),
    "ws/wss-authentication__response__private": body(
        wire.encode_private_reply("subscribe", success=True, conn_id="c")
    ),
    "ws/wss-authentication__response__public-future": body(
        wire.encode_reply("subscribe", success=True, ret_msg="", req_id=None, conn_id="c")
    ),
    "ws/wss-authentication__response__future": body(
        wire.encode_reply("ping", success=True, ret_msg="pong", req_id=None, conn_id="c")
    ),
    "ws/wss-authentication__response_2": body(
        wire.encode_private_pong(1, req_id="test", conn_id="c")
    ),
    "ws/trade__guideline__response": body(wire.encode_trade_auth(conn_id="c")),
    "ws/trade__guideline__response_2": trade("order.create", wire.encode_ack(ACCEPTED)),
    "ws/trade__guideline__response_3": trade("order.create-batch", *BATCH),
    "ws/trade__guideline__response_4": body(wire.encode_trade_pong(1, conn_id="c")),
    "ws/private__order__stream": push("order", wire.encode_order_push(k.ORDER)),
    "ws/private__execution__stream": push("execution", wire.encode_execution_push(k.EXECUTION)),
    "ws/private__fast-execution__stream": push(
        "execution.fast", wire.encode_fast_execution_push(k.EXECUTION)
    ),
    "ws/private__position__stream": push("position", wire.encode_position_push(k.POSITION)),
    "ws/private__wallet__stream": push("wallet", wire.encode_wallet_push(k.WALLET)),
    "ws/public__kline__stream": body(
        wire.encode_kline("kline.5.A", "5", 0, 1, (1.0,) * 6, confirm=True, ts=1)
    ),
    "ws/public__ticker__stream__linear": body(
        wire.encode_ticker_push(k.TICKER, None, ts=1, cs=1) or b""
    ),
    "ws/public__trade__stream": body(wire.encode_trades_push("A", [k.TRADE], ts=1)),
    "ws/public__orderbook__stream__snapshot": body(wire.encode_book_push(k.BOOK)),
    "ws/public__orderbook__stream__delta": body(wire.encode_book_push(k.BOOK)),
    "ws/public__all-liquidation__stream": body(
        wire.encode_liquidations_push(
            "A", [wire.Liquidation("A", "Buy", Decimal(1), Decimal(1), 1)], ts=1
        )
    ),
    "ws/public__order-price-limit__stream": body(wire.encode_price_limit_push(k.LIMIT)),
    "ws/public__adl-alert__stream": body(
        wire.encode_rows_push(
            "adlAlert.USDT", [wire.encode_adl_alert_row(k.ALERT, stream=True)], ts=1
        )
    ),
    "ws/public__insurance-pool__stream": body(
        wire.encode_rows_push("insurance.USDT", [_pools], ts=1, delta=True)
    ),
    "ws/system__system-status__response": body(
        wire.encode_rows_push("system.status", [_status], ts=1)
    ),
    "ws/wss-authentication__other": body(
        wire.encode_auth(wire.Auth("k", 1, "s"), "10001")
    ),
    "ws/trade__guideline__request": body(
        wire.encode_auth(wire.Auth("k", 1, "s"), trade=True)
    ),
    "ws/wss-authentication__subscribe": body(wire.encode_subscribe("subscribe", ["a"], "test")),
    "ws/trade__guideline__request_4": body(wire.encode_trade_ping()),
}  # fmt: skip


def paths(value: Any, at: str = "") -> set[str]:
    """Every field of a document by its place; the rows of a list are one place."""
    found: set[str] = set()
    if isinstance(value, dict):
        for key, inner in value.items():
            found.add(f"{at}.{key}")
            if key not in FREE_MAPS and key != "extraFees":
                found |= paths(inner, f"{at}.{key}")
    elif isinstance(value, list):
        for inner in value:
            found |= paths(inner, f"{at}[]")
    return found


@pytest.mark.parametrize("name", OURS)
def test_what_we_write_has_every_documented_field(payloads: Path, name: str) -> None:
    documented = paths(wire.read_json((payloads / f"{name}.json").read_bytes()))
    missing = documented - paths(OURS[name])
    assert not missing, sorted(missing)


def same(a: Any, b: Any) -> bool:
    """Equal, or the same number, or both no value."""
    if a == b or (a in ("", None, "0.00", "0") and b in ("", None, "0")):
        return True
    try:
        return Decimal(str(a)) == Decimal(str(b))
    except ArithmeticError:
        return False


def differing(documented: Any, ours: Any, at: str = "") -> list[str]:
    if isinstance(documented, dict) and isinstance(ours, dict):
        return [
            line
            for key, value in documented.items()
            for line in differing(value, ours.get(key), f"{at}.{key}")
        ]
    if isinstance(documented, list) and isinstance(ours, list) and len(documented) == len(ours):
        pairs = zip(documented, ours, strict=True)
        return [line for i, (a, b) in enumerate(pairs) for line in differing(a, b, f"{at}[{i}]")]
    return [] if same(documented, ours) else [f"{at}: {documented!r} became {ours!r}"]


def _result_row(document: Any) -> Any:
    return document["result"]["list"][0]


_REWRITES: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any], set[str]]] = {
    "rest/market__instrument__response__linear": (
        _result_row,
        lambda row: wire.encode_instrument_row(
            wire.read_instrument(row), symbol_id=5, funding_rate_max=Decimal("0.00375")
        ),
        set(),
    ),
    "rest/market__tickers__response__inverse": (
        _result_row,
        lambda row: wire.encode_ticker_row(wire.read_ticker(row)),
        set(),
    ),
    "rest/market__orderbook__response": (
        lambda d: d["result"],
        lambda row: wire.encode_book_result(wire.read_book(row)),
        set(),
    ),
    "rest/market__recent-trade__response": (
        _result_row,
        lambda row: wire.encode_trade_row(wire.read_trade(row)),
        set(),
    ),
    "rest/market__history-fund-rate__response": (
        _result_row,
        lambda row: wire.encode_funding_row(wire.read_funding(row)),
        set(),
    ),
    "rest/market__open-interest__response": (
        _result_row,
        lambda row: wire.encode_open_interest_row(wire.read_open_interest(row)),
        {"singleOpenInterest"},  # theirs is rounded, ours half of both sides
    ),
    "rest/market__order-price-limit__response": (
        lambda d: d["result"],
        lambda row: wire.encode_price_limit_result(wire.read_price_limit(row)),
        set(),
    ),
    "rest/account__fee-rate__response": (
        _result_row,
        lambda row: wire.encode_fee_rate_row(wire.read_fee_rate(row)),
        set(),
    ),
    "rest/market__insurance__response": (
        _result_row,
        lambda row: wire.encode_insurance_row(wire.read_insurance(row)),
        {"value"},
    ),
    "rest/market__adl-alert__response": (
        _result_row,
        lambda row: wire.encode_adl_alert_row(wire.read_adl_alert(row)),
        set(),
    ),
    "rest/user__apikey-info__response": (
        lambda d: d["result"],
        lambda row: wire.encode_key_result(wire.read_key_info(row), created_at=row["createdAt"]),
        {"id", "note", "inviterID", "kycRegion", "userIDInt64"},
    ),
    "ws/public__orderbook__stream__delta": (
        lambda d: d,
        lambda row: body(wire.encode_book_push(wire.decode_public(wire.encode_json(row)))),
        set(),
    ),
    "ws/public__ticker__stream__linear": (
        lambda d: d["data"],
        lambda row: (
            wire.encode_ticker_row(t := wire.read_ticker(row)) | {"tickDirection": t.tick_direction}
        ),
        set(),
    ),
    "ws/public__order-price-limit__stream": (
        lambda d: d,
        lambda row: body(wire.encode_price_limit_push(wire.decode_public(wire.encode_json(row)))),
        set(),
    ),
}


@pytest.mark.parametrize("name", _REWRITES)
def test_what_is_read_and_written_again_is_the_same_document(payloads: Path, name: str) -> None:
    pick, rewrite, lost = _REWRITES[name]
    row = pick(wire.read_json((payloads / f"{name}.json").read_bytes()))
    ours = rewrite(row)
    assert [x for x in differing(row, ours) if not any(f".{key}:" in x for key in lost)] == []


def test_batches_and_pages_of_the_documents_read(payloads: Path) -> None:
    rows = {
        "rest/order__open-order__response": (wire.read_order, 1),
        "rest/order__execution__response": (wire.read_execution, 1),
        "rest/position__position__response": (wire.read_position, 1),
        "rest/account__transaction-log__response": (wire.read_log, 3),
        "rest/position__close-pnl__response": (wire.read_closed_pnl, 1),
    }
    for name, (reader, count) in rows.items():
        page = wire.read_page(
            wire.read_reply((payloads / f"{name}.json").read_bytes()).result, reader
        )
        assert (len(page.items), page.bad) == (count, 0), name
    execution = wire.read_reply((payloads / "rest/order__execution__response.json").read_bytes())
    cursor = wire.read_page(execution.result, wire.read_execution).cursor
    assert cursor == "132766%3A2%2C132766%3A2"  # verbatim: it is passed back as it came
