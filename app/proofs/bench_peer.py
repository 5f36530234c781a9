"""The other end of the order benchmarks, in a process of its own: its work is not the client's.

``canned`` answers every order with the same yes, as cheaply as possible; ``sim`` is the simulated
venue. Lines of JSON: the addresses first, then an answer to every line that is asked.
"""

import argparse
import asyncio
import json
import re
import subprocess
import sys
import time
from dataclasses import replace
from decimal import Decimal
from typing import Any, Self

import numpy as np
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from engine.bars import Bars
from engine.venue import wire
from engine.venue.exchange.commands import CreateOrder
from engine.venue.replay import Replay
from engine.venue.words import OrderType, Side
from live.clock import SystemClock
from live.venues.bybit.simlimits import NO_LIMITS, LimitRules
from live.venues.bybit.simserver import SimServer
from live.venues.bybit.simvenue import SimVenue

MINUTE_MS = 60_000
EQUITY = Decimal(10_000_000)
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_LINK = re.compile(rb'"orderLinkId": ?"([^"]*)"')
_PLENTY = 1_000_000  # what a reply says a user may send a second
_CLOCK = SystemClock()
_ORDER_ID = "1f5b6a1e-0000-4000-8000-000000000001"


def names(symbols: int) -> list[str]:
    """Return the coins of a bench market."""
    return [f"B{i:03d}USDT" for i in range(symbols)]


def market(symbols: int, minutes: int, now_ms: int) -> Replay:
    """Make a market of random walks that begins in the minute of now."""
    rng = np.random.default_rng(7)
    ts = now_ms - now_ms % MINUTE_MS + MINUTE_MS * np.arange(minutes)
    bars = {}
    for symbol in names(symbols):
        path = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.0005, minutes + 1)))
        o, c = np.round(path[:-1], 3), np.round(path[1:], 3)
        h, lo = np.round(np.maximum(o, c) * 1.0003, 3), np.round(np.minimum(o, c) * 0.9997, 3)
        volume = np.round(rng.uniform(1e3, 1e4, minutes), 3)
        bars[symbol] = Bars.from_arrays(ts, o, h, lo, c, volume, volume * c)
    return Replay(MINUTE_MS, bars)


def fill_with_orders(venue: SimVenue) -> None:
    """Give every coin somebody who holds it and two orders that rest far away."""
    desk = venue.desk
    uid = desk.open_account(EQUITY * 100).uid
    for symbol in desk.listings:
        price = desk.exchange.prices.get(symbol)
        if price is None:
            desk.touch(symbol)
            price = desk.exchange.prices[symbol]
        tick = desk.listings[symbol].instrument.tick_size
        common: dict[str, Any] = {"uid": uid, "symbol": symbol, "qty": Decimal(1)}
        desk.order(CreateOrder(side=Side.BUY, order_type=OrderType.MARKET, **common))
        for side, share in ((Side.BUY, Decimal("0.8")), (Side.SELL, Decimal("1.2"))):
            far = price.last * share // tick * tick
            desk.order(CreateOrder(side=side, order_type=OrderType.LIMIT, price=far, **common))


# ---------------------------------------------------------------------------- the cheap venue


class _Canned(asyncio.Protocol):
    """HTTP with one answer."""

    def __init__(self) -> None:
        self._transport: Any = None
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every whole request."""
        self._rest += data
        while True:
            end = self._rest.find(b"\r\n\r\n")
            if end < 0:
                return
            length = _LENGTH.search(self._rest, 0, end)
            stop = end + 4 + (int(length[1]) if length else 0)
            if len(self._rest) < stop:
                return
            request, self._rest = self._rest[:stop], self._rest[stop:]
            self._transport.write(_canned_reply(request))


def _canned_reply(request: bytes) -> bytes:
    link = _LINK.search(request)
    body = (
        b'{"retCode":0,"retMsg":"OK","result":{"orderId":"%b","orderLinkId":"%b"},'
        b'"retExtInfo":{},"time":%d}'
    ) % (_ORDER_ID.encode(), link[1] if link else b"", _CLOCK.now_ms())
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n"
        b"X-Bapi-Limit: %d\r\nX-Bapi-Limit-Status: %d\r\nX-Bapi-Limit-Reset-Timestamp: %d\r\n"
        b"Content-Length: %d\r\n\r\n%b"
    ) % (_PLENTY, _PLENTY, _CLOCK.now_ms(), len(body), body)


async def _canned_stream(socket: ServerConnection) -> None:
    try:
        async for raw in socket:
            request = wire.decode_trade_request(raw)
            if isinstance(request, wire.BadRequest):
                continue
            now_ms = _CLOCK.now_ms()
            if request.op == "auth":
                frame = wire.encode_trade_auth(conn_id="c", req_id=request.req_id)
            elif request.op == "ping":
                frame = wire.encode_trade_pong(now_ms, conn_id="c", req_id=request.req_id)
            else:
                link = request.body.get("orderLinkId", "")
                data = {"orderId": _ORDER_ID, "orderLinkId": link}
                frame = wire.encode_trade_reply(
                    request.op, conn_id="c", now_ms=now_ms, data=data, req_id=request.req_id
                )
            await socket.send(frame, text=True)
    except ConnectionClosed:
        return


async def _run_canned() -> None:
    loop = asyncio.get_running_loop()
    http = await loop.create_server(_Canned, "127.0.0.1", 0, backlog=1024)
    rest = http.sockets[0].getsockname()[1]
    async with serve(
        _canned_stream, "127.0.0.1", 0, compression=None, ping_interval=None, backlog=1024
    ) as streams:
        ws = next(iter(streams.sockets)).getsockname()[1]
        _say({"rest": f"http://127.0.0.1:{rest}", "ws": f"ws://127.0.0.1:{ws}", "keys": []})
        await _answer(dict)
    http.close()


# ---------------------------------------------------------------------------- the simulated venue


async def _run_sim(args: argparse.Namespace) -> None:
    clock = SystemClock()
    rules = replace(LimitRules(), connects=1 << 60) if args.limits else NO_LIMITS
    server = SimServer(
        market(args.symbols, args.minutes, clock.now_ms()),
        "1m",
        clock,
        speed=args.speed,
        updates=args.updates,
        rules=rules,
    )
    desk = server.venue.desk
    keys = [desk.open_account(EQUITY) for _ in range(args.accounts)]
    desk.touch(names(1)[0])
    if args.orders:
        fill_with_orders(server.venue)
    async with server.running() as addresses:
        _say({**addresses, "keys": [[k.key, k.secret] for k in keys]})
        await _answer(
            lambda: {"crashes": desk.crashes, "refused": dict(server.venue.limits.refused)}
        )


def _say(value: Any) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


async def _answer(more: Any) -> None:
    """Say what this process has used whenever a line comes in; return when none will."""
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while await lines.readline():
        _say({"cpu_ns": time.process_time_ns(), **more()})


# ---------------------------------------------------------------------------- the handle of it


class Peer:
    """A peer process, for the length of a block.

    Parameters
    ----------
    kind : str
        ``canned`` or ``sim``.
    options : int, str or bool
        Command-line options of the peer, by name.
    """

    def __init__(self, kind: str, **options: int | str | bool) -> None:
        self._command = [sys.executable, "-m", "app.proofs.bench_peer", kind]
        for name, value in options.items():
            if value is True:
                self._command.append(f"--{name}")
            elif value is not False:
                self._command += [f"--{name}", str(value)]
        self._process: subprocess.Popen[str] | None = None
        self.rest = self.ws = ""
        self.keys: list[list[str]] = []

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        hello = self._read()
        self.rest, self.ws, self.keys = hello["rest"], hello["ws"], hello["keys"]
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.communicate()  # closes its stdin: it ends

    def ask(self) -> dict[str, Any]:
        """Return what the process has used (``cpu_ns``) and, of a venue, its faults."""
        if self._process is None or self._process.stdin is None:
            raise RuntimeError("the peer is not running")
        self._process.stdin.write("?\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        if self._process is None or self._process.stdout is None:
            raise RuntimeError("the peer is not running")
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the peer ended: {self._process.wait()}")
        return dict(json.loads(line))


def main() -> None:
    """Run one peer until its stdin ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=("canned", "sim"))
    for name, default in (("symbols", 1), ("minutes", 60), ("accounts", 0), ("updates", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--speed", default="hold")
    parser.add_argument("--orders", action="store_true")
    parser.add_argument("--limits", action="store_true")
    args = parser.parse_args()
    asyncio.run(_run_canned() if args.kind == "canned" else _run_sim(args))


if __name__ == "__main__":
    main()
