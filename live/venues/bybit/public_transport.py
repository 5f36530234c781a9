"""Bybit's public market data over any `Transport`: the same answers without threads."""

import json
from collections.abc import Mapping
from typing import Any

from engine.venue import wire
from live.clock import Clock
from live.venues.bybit.public_rest import BAN_S, BybitPublicRest, judged
from live.venues.bybit.transport import NoReply, Transport
from live.venues.port import Banned, Failed, Ok, Outcome, Throttled

_HTTP_OK, _HTTP_BANNED, _HTTP_BUSY = 200, 403, 429


class TransportPublicRest(BybitPublicRest):
    """A `PublicRest` that sends by a transport: on virtual time, or where threads are unwanted.

    Parameters
    ----------
    transport : Transport
        Closed by its owner.
    clock : Clock
    """

    def __init__(self, transport: Transport, clock: Clock, **options: Any) -> None:
        super().__init__("", clock, **options)
        self._transport = transport

    async def _carry(self, method: str, query: Mapping[str, Any]) -> Outcome[dict[str, Any]]:
        reply = await self._transport.send("GET", PATHS[method], query)
        if isinstance(reply, NoReply):
            return Failed(reply.reason)
        if reply.status == _HTTP_BANNED:
            return Banned(BAN_S)
        if reply.status == _HTTP_BUSY:
            return Throttled(2.0)
        if reply.status != _HTTP_OK:
            return Failed(f"HTTP {reply.status}")
        try:
            opened = wire.read_reply(reply.body)
        except (wire.WireError, json.JSONDecodeError) as error:
            return Failed(f"an answer that is no reply of the venue: {error}")
        if opened.code != 0:
            return judged(opened.code, opened.message)
        if not opened.time:
            return Failed("an answer without result or time")
        return Ok(dict(opened.result), opened.time)


PATHS: Mapping[str, str] = {
    "get_kline": "/v5/market/kline",
    "get_instruments_info": "/v5/market/instruments-info",
    "get_tickers": "/v5/market/tickers",
    "get_server_time": "/v5/market/time",
    "get_risk_limit": "/v5/market/risk-limit",
}
