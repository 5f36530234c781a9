"""Orders: what the client costs, how fast one signal reaches every user, what the simulator bears.

The venue is another process, so the CPU time of this one is the client's. Counted least of several
interleaved rounds; the same canned venue answers us and plain pybit.
"""

import asyncio
import itertools
import json
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect

from app.proofs.bench import Figure, least
from app.proofs.bench_peer import Peer, names
from live.clock import SystemClock
from live.venues.bybit.budget import WindowBudget
from live.venues.bybit.budgets import RequestBudget
from live.venues.bybit.clock_offset import VenueClock
from live.venues.bybit.frames import FrameSocket, open_websocket
from live.venues.bybit.gate import Gate
from live.venues.bybit.pybit_transport import PybitTransport
from live.venues.bybit.signer import Signer
from live.venues.bybit.trade_stream import TradeStream
from live.venues.bybit.trading import BybitTrading
from live.venues.bybit.transport import Auth, NoReply, Params, Reply
from live.venues.trading import Accepted, NewOrder, PlaceOutcome, Priority

SYMBOL = names(1)[0]
ROUNDS = 5
IN_FLIGHT = 16
PLENTY = 1_000_000
_CREATE = "/v5/order/create"
_TARGET_MS = "500"  # a signal to 1,000 users' orders handed over, CPU side, p99
_LAST_S = "5.5"


@dataclass(slots=True)
class Handed:
    """When each order was handed over: wall and CPU time of this process."""

    wall_ns: list[int] = field(default_factory=list)
    cpu_ns: list[int] = field(default_factory=list)

    def note(self) -> None:
        """Note that one was handed over now."""
        self.wall_ns.append(time.perf_counter_ns())
        self.cpu_ns.append(time.process_time_ns())


class _NotedTransport(PybitTransport):
    """Pybit's, which says when a request goes to the pool."""

    handed: Handed | None = None

    async def send(
        self, method: str, path: str, params: Params, *, auth: Auth | None = None
    ) -> Reply | NoReply:
        if self.handed is not None:
            self.handed.note()
        return await super().send(method, path, params, auth=auth)


class _NotedSocket:
    """A socket that says when a frame has gone to it."""

    def __init__(self, socket: FrameSocket, client: "Client") -> None:
        self._socket = socket
        self._client = client
        self.recv = socket.recv
        self.abort = socket.abort

    async def send(self, frame: bytes) -> None:
        """Send one frame."""
        await self._socket.send(frame)
        if self._client.handed is not None:
            self._client.handed.note()


class Client:
    """Zion's client of one process: a gate, and so many users.

    Parameters
    ----------
    peer : Peer
        Users are those of its keys; of a canned venue as many as wanted.
    users : int
    streams : bool
        Order entry by stream.
    budget : RequestBudget or None
        None: enabled, but so wide that nothing waits.
    """

    def __init__(
        self, peer: Peer, users: int, *, streams: bool, budget: RequestBudget | None = None
    ) -> None:
        clock = SystemClock()
        self.handed: Handed | None = None
        self.transport = _NotedTransport(peer.rest, clock)
        wide = budget is None
        self.budget = budget or RequestBudget(clock, ip_requests=PLENTY, in_flight_max=PLENTY)
        rng = np.random.default_rng(7)
        self.gate = Gate(self.transport, self.budget, VenueClock(clock), clock, rng)
        connections = WindowBudget(clock, PLENTY, 300.0)
        self.users: list[BybitTrading] = []
        self.streams: list[TradeStream] = []
        keys = peer.keys or [[f"KEY{i:05d}", "secret"] for i in range(users)]
        for key, secret in keys[:users]:
            signer = Signer(key, secret, orders_per_s=PLENTY)
            stream = None
            if streams:
                stream = TradeStream(
                    peer.ws,
                    signer,
                    self.gate,
                    clock,
                    rng,
                    connections=connections,
                    connect=self._connect,
                )
                self.streams.append(stream)
            if wide:
                self.budget.learn(key, _CREATE, PLENTY)
            self.users.append(BybitTrading(self.gate, signer, user=key, stream=stream))

    async def _connect(self, url: str) -> FrameSocket:
        return _NotedSocket(await open_websocket(url), self)

    async def start(self) -> None:
        """Open the streams, some at a time, and read the venue's clock."""
        for first in range(0, len(self.streams), 50):
            some = self.streams[first : first + 50]
            for stream in some:
                await stream.start()
            while not all(stream.ready for stream in some):  # noqa: ASYNC110 - no event tells it
                await asyncio.sleep(0.01)
        await self.gate.sync_clock()

    async def place(self, user: int, link: str) -> PlaceOutcome:
        """Place one user's order."""
        order = NewOrder(
            order_link_id=link, symbol=SYMBOL, side="Buy", order_type="Market", qty=Decimal(1)
        )
        return await self.users[user].place(order, priority=Priority.ENTRY)

    async def burst(self, links: Sequence[str], in_flight: int) -> None:
        """Place orders of all users in turn, so many at the same time; all must be accepted."""
        turns = iter(enumerate(links))

        async def worker() -> None:
            for number, link in turns:
                outcome = await self.place(number % len(self.users), link)
                _must(isinstance(outcome, Accepted), outcome)

        await asyncio.gather(*(worker() for _ in range(in_flight)))

    async def fan_out(self, links: Sequence[str]) -> tuple[Handed, int, int, list[PlaceOutcome]]:
        """One signal, every user's order; return what was noted, wall and CPU ns at its start."""
        self.handed = self.transport.handed = handed = Handed()
        wall, cpu = time.perf_counter_ns(), time.process_time_ns()
        outcomes = await asyncio.gather(*(self.place(i, link) for i, link in enumerate(links)))
        self.handed = self.transport.handed = None
        return handed, wall, cpu, outcomes

    async def close(self) -> None:
        """End everything."""
        await asyncio.gather(*(user.close() for user in self.users))
        await self.gate.close()


def _must(accepted: bool, what: object) -> None:  # noqa: FBT001 - reads as a sentence
    if not accepted:
        raise RuntimeError(f"an order was not accepted: {what}")


class Links:
    """Fresh link ids."""

    def __init__(self) -> None:
        self._number = itertools.count()

    def take(self, amount: int) -> list[str]:
        """Return so many."""
        return [f"b-{n:08d}" for n in itertools.islice(self._number, amount)]


def _plain_pybit(peer: Peer) -> Any:
    from pybit.unified_trading import HTTP

    session: Any = HTTP(api_key="KEY00000", api_secret="secret", logging_level=logging.CRITICAL)  # noqa: S106 - no secret
    session.endpoint = peer.rest
    return session


def _by_pybit(session: Any, links: Sequence[str]) -> None:
    for link in links:
        session.place_order(
            category="linear",
            symbol=SYMBOL,
            side="Buy",
            orderType="Market",
            qty="1",
            orderLinkId=link,
        )


async def _plain_stream(peer: Peer) -> ClientConnection:
    address = f"{peer.ws}/v5/trade"
    return await connect(address, compression=None, ping_interval=None, proxy=None)


async def _by_plain_stream(socket: ClientConnection, links: Sequence[str]) -> None:
    header = {"X-BAPI-TIMESTAMP": "1700000000000", "X-BAPI-RECV-WINDOW": "5000"}
    body: dict[str, Any] = {"category": "linear", "symbol": SYMBOL, "side": "Buy"}
    body |= {"orderType": "Market", "qty": "1"}
    for link in links:
        args = [{**body, "orderLinkId": link}]
        frame = {"reqId": link, "header": header, "op": "order.create", "args": args}
        await socket.send(json.dumps(frame))
        json.loads(await socket.recv())


def cost(peer: Peer, orders: int) -> Iterator[Figure]:
    """Yield the client's CPU per order by every way, beside plain pybit."""
    links = Links()
    with asyncio.Runner() as runner:
        rest = Client(peer, 1, streams=False)
        stream = Client(peer, 1, streams=True)
        many = Client(peer, IN_FLIGHT, streams=True)
        for client in (rest, stream, many):
            runner.run(client.start())
        session, socket = _plain_pybit(peer), runner.run(_plain_stream(peer))
        jobs = {
            "pybit": lambda: _by_pybit(session, links.take(orders)),
            "frames": lambda: runner.run(_by_plain_stream(socket, links.take(orders))),
            "rest": lambda: runner.run(rest.burst(links.take(orders), 1)),
            "rest16": lambda: runner.run(rest.burst(links.take(orders), IN_FLIGHT)),
            "ws": lambda: runner.run(stream.burst(links.take(orders), 1)),
            "ws16": lambda: runner.run(many.burst(links.take(orders), IN_FLIGHT)),
        }
        for job in jobs.values():
            job()
        best = {name: ns / orders / 1e3 for name, ns in least(jobs, rounds=ROUNDS).items()}
        runner.run(socket.close())
        for client in (rest, stream, many):
            runner.run(client.close())
    plain = best["pybit"]
    yield Figure("plain pybit, one order after another", plain, "us CPU/order", f"{orders} a round")
    for key, name in (
        ("rest", "our client by REST, one after another"),
        ("rest16", f"our client by REST, {IN_FLIGHT} in flight"),
        ("ws", "our client by order stream, one after another"),
        ("ws16", f"our client by order stream, {IN_FLIGHT} users"),
        ("frames", "  a frame and its answer by plain websockets"),
    ):
        yield Figure(name, best[key], "us CPU/order", "x plain pybit", best[key] / plain)


def _shares(times_ns: Sequence[int], start_ns: int) -> tuple[float, float]:
    p50, p99 = np.percentile((np.array(times_ns) - start_ns) / 1e6, [50, 99])
    return float(p50), float(p99)


def fan_out(peer: Peer, users: int, plain_us: float) -> Iterator[Figure]:
    """Yield when one signal's orders were with the transport, nothing but this CPU in the way."""
    alone_ms = plain_us * users / 1e3
    for streams, way in ((False, "REST"), (True, "order stream")):
        found = []
        with asyncio.Runner() as runner:
            client, links = Client(peer, users, streams=streams), Links()
            runner.run(client.start())
            for _ in range(ROUNDS):
                handed, wall, cpu, outcomes = runner.run(client.fan_out(links.take(users)))
                taken = sum(isinstance(o, Accepted) for o in outcomes)
                if taken != users or len(handed.wall_ns) != users:
                    raise RuntimeError(f"{taken} of {users} orders accepted by {way}")
                found.append((_shares(handed.cpu_ns, cpu), _shares(handed.wall_ns, wall)))
            runner.run(client.close())
        (cpu50, cpu99), (wall50, wall99) = (min(f[i] for f in found) for i in (0, 1))
        name = f"{users:,} users by {way}, handed over"
        ratio = cpu99 / alone_ms
        yield Figure(f"{name}, p99", cpu99, "ms CPU", "x pybit sending them", ratio, _TARGET_MS)
        yield Figure("  p50", cpu50, "ms CPU", "x p99", cpu50 / cpu99)
        yield Figure("  p99 by the wall clock", wall99, "ms", "p50 x p99", wall50 / wall99)


def limited(users: int) -> Iterator[Figure]:
    """Yield the same with the venue's true limits, kept by the client, checked by the venue."""
    clock = SystemClock()
    # As the client is set up, and with all that the address may send left to these orders.
    ways: list[tuple[str, bool, dict[str, int]]] = [
        ("REST, as set up", False, {}),
        ("REST, all the address may send", False, {"ip_requests": 740}),
        ("order stream", True, {}),
    ]
    for way, streams, options in ways:
        with Peer("sim", accounts=users, limits=True) as peer, asyncio.Runner() as runner:
            client = Client(peer, users, streams=streams, budget=RequestBudget(clock, **options))
            runner.run(client.start())
            handed, wall, _, outcomes = runner.run(client.fan_out(Links().take(users)))
            runner.run(client.close())
            refused, crashes = peer.ask()["refused"], peer.ask()["crashes"]
        if crashes or refused or client.budget.bans:
            raise RuntimeError(f"the venue refused or fell: {refused} {crashes[:1]}")
        last_s = (max(handed.wall_ns) - wall) / 1e9
        taken = sum(isinstance(o, Accepted) for o in outcomes)
        name = f"{users:,} users by {way}: last handed over"
        target = _LAST_S if taken == users else f"{_LAST_S}; {users - taken} held back"
        yield Figure(name, last_s, "s", "of all accepted", taken / users, target)


def orders(users: Sequence[int], *, rounds_of: int = 200) -> Iterator[Figure]:
    """Yield every figure.

    Parameters
    ----------
    users : sequence of int
        How many accounts one signal goes to; the last also under true limits.
    rounds_of : int
        Orders of a round; the simulator's rounds are scaled alike.
    """
    from app.proofs import bench_venue

    with Peer("canned") as peer:
        plain = 0.0
        for figure in cost(peer, rounds_of):
            plain = plain or figure.value
            yield figure
        for amount in users:
            yield from fan_out(peer, amount, plain)
    yield from limited(users[-1])
    yield from bench_venue.simulator(rounds_of)
