"""The envelope of every REST reply, acknowledgements and batches inside it, both ways."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.venue.exchange.events import Accepted, Refused
from engine.venue.wire.fields import (
    WireError,
    as_list,
    as_row,
    encode_json,
    integer,
    read_json,
    text,
)


def envelope(result: Any, ts: int, *, code: int = 0, message: str = "OK", ext: Any = None) -> bytes:
    """Write a REST reply."""
    body = {
        "retCode": code,
        "retMsg": message,
        "result": result,
        "retExtInfo": {} if ext is None else ext,
        "time": ts,
    }
    return encode_json(body)


@dataclass(frozen=True, slots=True)
class RestReply:
    """A REST reply opened: test `code` only, the words of success differ from call to call."""

    code: int
    message: str
    result: Mapping[str, Any]
    ext: Mapping[str, Any] = field(default_factory=dict)
    time: int = 0  # venue ms; 0 = it did not say


def read_reply(raw: bytes | str) -> RestReply:
    """Open a REST reply.

    Raises
    ------
    WireError
        Not JSON (a proxy's HTML page), or not an envelope: whatever was asked is then Unknown.
    """
    return open_reply(read_json(raw))


def open_reply(body: Any) -> RestReply:
    """Open a REST reply that is already JSON; see `read_reply`."""
    row = as_row(body)
    if row.get("retCode") is None:
        raise WireError("a reply has no retCode")
    result, ext = row.get("result"), row.get("retExtInfo")
    return RestReply(
        code=integer(row, "retCode"),
        message=text(row, "retMsg"),
        result=result if isinstance(result, dict) else {},
        ext=ext if isinstance(ext, dict) else {},
        time=integer(row, "time"),
    )


# ---------------------------------------------------------------------------- acknowledgements


@dataclass(frozen=True, slots=True)
class Ack:
    """The ids of an order request that was taken in; of a batch also what became of each."""

    order_id: str = ""
    order_link_id: str = ""
    code: int = 0
    message: str = ""


NO_ACK = Ack()


def encode_ack(accepted: Accepted) -> dict[str, Any]:
    """Write the result of create, amend, cancel: accepted, no more."""
    return {"orderId": accepted.order_id, "orderLinkId": accepted.order_link_id}


def encode_cancel_all_result(accepted: Accepted) -> dict[str, Any]:
    """Write the result of cancel-all."""
    rows = [{"orderId": a, "orderLinkId": b} for a, b in accepted.cancelled]
    return {"list": rows, "success": "1"}


def encode_margin_mode_result(answer: Accepted | Refused) -> dict[str, Any]:
    """Write the result of set-margin-mode: the reasons of a refusal."""
    reasons = answer.reasons if isinstance(answer, Refused) else ()
    return {"reasons": [{"reasonCode": code, "reasonMsg": said} for code, said in reasons]}


def encode_batch_result(
    answers: Iterable[tuple[Mapping[str, Any], Accepted | Refused]], now_ms: int | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Write a batch's result and its retExtInfo; `now_ms` fills createAt (create-batch only)."""
    rows, codes = [], []
    for request, answer in answers:
        ok = isinstance(answer, Accepted)
        row = {
            "category": "linear",
            "symbol": _text(request, "symbol"),
            "orderId": answer.order_id if ok else _text(request, "orderId"),
            "orderLinkId": answer.order_link_id if ok else _text(request, "orderLinkId"),
        }
        if now_ms is not None:
            row["createAt"] = str(now_ms) if ok else ""
        rows.append(row)
        code, said = (0, "OK") if ok else (answer.code, answer.message)
        codes.append({"code": code, "msg": said})
    return {"list": rows}, {"list": codes}


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    return value if isinstance(value, str) else ""


def read_ack(result: Any) -> Ack:
    """Read the result of create, amend or cancel; ids may be missing."""
    row = as_row(result)
    return Ack(text(row, "orderId"), text(row, "orderLinkId"))


def read_batch_ack(result: Any, ext: Any) -> list[Ack]:
    """Read a batch: one answer a request, in its order; under retCode 0 each may have failed."""
    rows, codes = as_list(as_row(result).get("list")), as_list(as_row(ext).get("list"))
    if len(rows) != len(codes):
        raise WireError("a batch's answers do not match", why=f"{len(rows)} rows, {len(codes)}")
    return [
        Ack(
            text(as_row(row), "orderId"),
            text(as_row(row), "orderLinkId"),
            integer(as_row(code), "code"),
            text(as_row(code), "msg"),
        )
        for row, code in zip(rows, codes, strict=True)
    ]
