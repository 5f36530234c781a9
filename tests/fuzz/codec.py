"""Fuzz of the codec: every reader gets mutated bytes; none raises anything but `WireError`."""

from collections.abc import Callable
from typing import Any

from engine.venue import wire
from tests.fuzz.corpus import BODIES, FRAMES, REPLIES, written
from tests.fuzz.mutate import Dice, mutate
from tests.fuzz.score import Score

_ROW_READERS = {
    "order rows": wire.read_order,
    "execution rows": wire.read_execution,
    "position rows": wire.read_position,
    "wallet rows": wire.read_wallet,
    "log rows": wire.read_log,
    "closed pnl rows": wire.read_closed_pnl,
}


def _body(reader: Callable[..., Any]) -> Callable[[bytes], Any]:
    return lambda raw: reader(wire.read_json(raw), 1)


def _batch(reader: Callable[..., Any]) -> Callable[[bytes], Any]:
    return lambda raw: wire.read_batch(wire.read_json(raw), 1, reader)


def _rows(raw: bytes, reader: Callable[[Any], Any]) -> None:
    result = wire.read_reply(raw).result
    wire.read_page(result, reader)
    for row in result.get("list") or () if isinstance(result, dict) else ():
        reader(row)


def _stream_request(raw: bytes) -> None:
    request = wire.decode_request(raw)
    wire.read_auth(request)
    topics = wire.read_topics(request)
    if isinstance(topics, list):
        wire.check_private_topics(topics)


def _trade_request(raw: bytes) -> None:
    request = wire.decode_trade_request(raw)
    if isinstance(request, wire.BadRequest) or not request.body:
        return
    reader = wire.TRADE_READERS.get(request.op)
    many = wire.TRADE_BATCH_READERS.get(request.op)
    if reader is not None:
        reader(request.body, 1)
    if many is not None:
        wire.read_batch(request.body, 1, many)


def _acks(raw: bytes) -> None:
    reply = wire.read_reply(raw)
    wire.read_batch_ack(reply.result, reply.ext)
    wire.read_ack(reply.result)


def _market_rows(raw: bytes) -> None:
    result = wire.read_reply(raw).result
    rows = result.get("list") if isinstance(result, dict) else None
    if isinstance(rows, list):
        wire.instruments_from_rows(rows)
        wire.tickers_from_rows(rows)
        wire.klines_from_rows(rows, 1_800_000_000_000, 60_000)


def _holds(messages: list[bytes], word: bytes) -> list[bytes]:
    return [m for m in messages if word in m[:400]]


def targets(told: list[bytes]) -> dict[str, tuple[Callable[[bytes], Any], list[bytes]]]:
    """Return every reader by name, with the messages to start from."""
    replies = [m for m in told if m.startswith(b'{"retCode"') and len(m) < 6_000]
    pushes = [m for m in told if b'"topic"' in m[:200] and len(m) < 6_000]
    out: dict[str, tuple[Callable[[bytes], Any], list[bytes]]] = {}
    for path, reader in wire.POST_READERS.items():
        out[f"body {path}"] = (_body(reader), written(BODIES[path]))
    for path, reader in wire.BATCH_READERS.items():
        out[f"body {path}"] = (_batch(reader), written(BODIES[path]))
    streams = written([*FRAMES["public"], *FRAMES["private"]])
    out["stream request"] = (_stream_request, streams)
    out["trade request"] = (_trade_request, written(FRAMES["trade"]))
    out["public stream"] = (wire.decode_stream, [*written(REPLIES), *pushes])
    out["private stream"] = (wire.decode_private, [*pushes, *written(REPLIES)])
    out["trade reply"] = (wire.decode_trade_reply, written(REPLIES))
    out["REST envelope, acks"] = (_acks, [*written(REPLIES), *replies])
    out["market rows"] = (_market_rows, _holds(replies, b'"linear"') or replies)
    for name, reader in _ROW_READERS.items():
        out[name] = (lambda raw, reader=reader: _rows(raw, reader), replies)
    return out


def fuzz(dice: Dice, cases: int, told: list[bytes]) -> Score:
    """Run so many cases, the targets in turn."""
    score = Score()
    every = list(targets(told).items())
    for i in range(cases):
        name, (call, samples) = every[i % len(every)]
        raw = mutate(dice, samples)
        try:
            answer = call(raw)
        except wire.WireError:
            score.refused(name)
        except Exception as error:
            score.uncaught(name, raw, error)
        else:
            if isinstance(answer, wire.BadRequest):
                score.refused(name)
            else:
                score.taken(name)
    return score
