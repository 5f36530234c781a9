"""What the tests of the simulated venue share: a venue with users, over sockets or in process."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect

from engine.venue.replay import Replay
from live.clock import Clock, SystemClock
from live.venues.bybit.simauth import ApiKey, sign, sign_headers
from live.venues.bybit.simserver import SimServer
from tests.live.helpers import STEP, T0, TIMEOUT_S, walk

SYMBOL = "S000USDT"


def replay_of(symbols: int = 3, bars: int = 300) -> Replay:
    return Replay(STEP, {f"S{i:03d}USDT": walk(bars, i) for i in range(symbols)})


def limit(side: str, qty: str, price: str, **more: Any) -> dict[str, Any]:
    body = {"category": "linear", "symbol": SYMBOL, "side": side, "orderType": "Limit"}
    return body | {"qty": qty, "price": price} | more


def market(side: str, qty: str, **more: Any) -> dict[str, Any]:
    body = {"category": "linear", "symbol": SYMBOL, "side": side, "orderType": "Market"}
    return body | {"qty": qty} | more


class Stream:
    """A client of a signed stream that says exactly what it is told to."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def say(self, message: object) -> None:
        await self.socket.send(message if isinstance(message, str) else json.dumps(message))

    async def hear(self) -> dict[str, Any]:
        async with asyncio.timeout(TIMEOUT_S):
            return json.loads(await self.socket.recv())

    async def ask(self, message: object) -> dict[str, Any]:
        await self.say(message)
        return await self.hear()

    async def auth(self, key: ApiKey, *, ahead_ms: int = 10_000, **over: Any) -> dict[str, Any]:
        expires = over.get("expires", SystemClock().now_ms() + ahead_ms)
        signature = over.get("signature", sign(key.secret, f"GET/realtime{expires}"))
        return await self.ask({"op": "auth", "args": [key.key, expires, signature]})

    async def hear_topics(self, *topics: str) -> dict[str, list[dict[str, Any]]]:
        """Hear until every topic has spoken; returns all rows by topic."""
        rows: dict[str, list[dict[str, Any]]] = {}
        while not set(topics) <= set(rows):
            message = await self.hear()
            rows.setdefault(message.get("topic", ""), []).extend(message.get("data", []))
        return rows


class User:
    """Somebody with an account, over HTTP."""

    def __init__(self, http: httpx.AsyncClient, key: ApiKey, addresses: dict[str, str]) -> None:
        self.http = http
        self.key = key
        self.addresses = addresses

    async def raw(self, method: str, path: str, payload: str = "", **over: Any) -> httpx.Response:
        stamp = over.get("stamp", SystemClock().now_ms() + over.get("skew_ms", 0))
        headers = sign_headers(self.key, over.get("signed", payload), stamp)
        headers |= over.get("headers", {})
        if method == "GET":
            url = f"{self.addresses['rest']}{path}{'?' + payload if payload else ''}"
            return await self.http.get(url, headers=headers)
        headers["content-type"] = "application/json"
        url = f"{self.addresses['rest']}{path}"
        return await self.http.post(url, content=payload.encode(), headers=headers)

    async def get(self, path: str, query: str = "") -> dict[str, Any]:
        return (await self.raw("GET", path, query)).json()

    async def post(self, path: str, body: object) -> dict[str, Any]:
        return (await self.raw("POST", path, json.dumps(body))).json()

    @contextlib.asynccontextmanager
    async def stream(self, name: str, query: str = "") -> AsyncIterator[Stream]:
        url = f"{self.addresses['ws']}/v5/{name}{query}"
        async with connect(url, max_size=1 << 24) as socket:
            yield Stream(socket)

    @contextlib.asynccontextmanager
    async def private(self, *topics: str) -> AsyncIterator[Stream]:
        async with self.stream("private") as stream:
            assert (await stream.auth(self.key))["success"]
            assert (await stream.ask({"op": "subscribe", "args": list(topics)}))["success"]
            yield stream

    @contextlib.asynccontextmanager
    async def trade(self) -> AsyncIterator[Stream]:
        async with self.stream("trade") as stream:
            assert (await stream.auth(self.key))["retCode"] == 0
            yield stream


class Venue:
    """A running simulator."""

    def __init__(self, sim: SimServer, addresses: dict[str, str], http: httpx.AsyncClient) -> None:
        self.sim = sim
        self.addresses = addresses
        self.http = http

    async def control(self, path: str, body: object) -> Any:
        return (await self.http.post(f"{self.addresses['rest']}/sim/{path}", json=body)).json()

    async def state(self, key: ApiKey | None = None) -> Any:
        query = "" if key is None else f"?apiKey={key.key}"
        return (await self.http.get(f"{self.addresses['rest']}/sim/state{query}")).json()

    async def user(self, equity: str = "10000", **options: Any) -> User:
        made = await self.control("accounts", {"equity": equity, **options})
        key = self.sim.venue.desk.keys.find(made["apiKey"])
        assert key is not None
        assert key.secret == made["apiSecret"]
        return User(self.http, key, self.addresses)


@contextlib.asynccontextmanager
async def running(
    replay: Replay | None = None, clock: Clock | None = None, **options: Any
) -> AsyncIterator[Venue]:
    options = {"start_ms": T0 + 100 * STEP, **options}
    sim = SimServer(replay or replay_of(), "15m", clock or SystemClock(), **options)
    async with sim.running() as addresses, httpx.AsyncClient(timeout=TIMEOUT_S) as http:
        yield Venue(sim, addresses, http)
    assert sim.venue.desk.crashes == []
