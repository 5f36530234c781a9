"""What the simulated venue bears: orders a second by each of its doors, minutes of market replayed.

Every door is the one before it and a little more; each figure stands beside the machine's own.
"""

import asyncio
import itertools
import json
import time
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal

from websockets.asyncio.client import connect

from app.proofs.bench import Figure, least
from app.proofs.bench_peer import EQUITY, MINUTE_MS, Peer, fill_with_orders, market, names
from engine.venue.exchange.commands import CreateOrder
from engine.venue.exchange.events import Accepted
from engine.venue.words import OrderType, Side
from live.clock import SystemClock
from live.venues.bybit.simauth import ApiKey, sign_headers
from live.venues.bybit.simdesk import Desk
from live.venues.bybit.simdoor import HttpRequest
from live.venues.bybit.simlimits import NO_LIMITS
from live.venues.bybit.simvenue import SimVenue

SYMBOL = names(1)[0]
ROUNDS = 5
USERS = 50
COINS = 200
START_MS = 1_700_000_000_000
_PATH = "/v5/order/create"
_CONNECTIONS = 8
_WINDOW_MS = 600_000  # requests are signed before they are counted
_TARGET = ">= 1,000"


class _House:
    """A venue in this process, with users; prices move on every so many orders."""

    def __init__(self) -> None:
        self.venue = SimVenue(market(1, 1000, START_MS), "1m", start_ms=START_MS, rules=NO_LIMITS)
        self.desk = self.venue.desk
        self.keys = [self.desk.open_account(EQUITY) for _ in range(USERS)]
        self.desk.touch(SYMBOL)
        self.turns = itertools.count()

    def commands(self, amount: int, *, resting: bool) -> list[CreateOrder]:
        """Return orders of all users in turn: market ones, opening and closing, or far limits."""
        last = self.desk.exchange.prices[SYMBOL].last
        tick = self.desk.listings[SYMBOL].instrument.tick_size
        out = []
        for turn in itertools.islice(self.turns, amount):
            side = Side.BUY if resting or (turn // USERS) % 2 == 0 else Side.SELL
            out.append(
                CreateOrder(
                    uid=self.keys[turn % USERS].uid,
                    symbol=SYMBOL,
                    side=side,
                    order_type=OrderType.LIMIT if resting else OrderType.MARKET,
                    qty=Decimal(1),
                    price=last * Decimal("0.9") // tick * tick if resting else None,
                    order_link_id=f"v-{turn}",
                )
            )
        return out


def _texts(keys: Sequence[ApiKey], turns: Iterator[int], amount: int) -> list[tuple[ApiKey, str]]:
    """Return the bodies of market orders, of all users in turn."""
    out = []
    for turn in itertools.islice(turns, amount):
        side = "Buy" if (turn // len(keys)) % 2 == 0 else "Sell"
        body = {
            "category": "linear",
            "symbol": SYMBOL,
            "side": side,
            "orderType": "Market",
            "qty": "1",
            "orderLinkId": f"d-{turn}",
        }
        out.append((keys[turn % len(keys)], json.dumps(body)))
    return out


def _signed(keys: Sequence[ApiKey], turns: Iterator[int], amount: int) -> list[HttpRequest]:
    return [
        HttpRequest("POST", _PATH, "", sign_headers(key, text, START_MS, _WINDOW_MS), text.encode())
        for key, text in _texts(keys, turns, amount)
    ]


def _must(ok: bool, what: object) -> None:  # noqa: FBT001 - reads as a sentence
    if not ok:
        raise RuntimeError(f"the simulated venue refused an order of the bench: {what}")


def _step(desk: Desk, commands: Sequence[CreateOrder]) -> None:
    said = [desk.exchange.step(command, START_MS)[0] for command in commands]
    _must(all(isinstance(answer, Accepted) for answer in said), said[-1])


def _knock(venue: SimVenue, requests: Sequence[HttpRequest]) -> None:
    said = [venue.request(request, START_MS).body for request in requests]
    _must(all(body.startswith(b'{"retCode":0') for body in said), said[-1])


def doors(orders: int) -> Iterator[Figure]:
    """Yield the CPU of an order at the machine and at the in-process door."""
    rounds = 2 * ROUNDS
    best = {"market": float("inf"), "resting": float("inf"), "door": float("inf")}
    for _ in range(rounds):  # a new house each time: a book of old orders is no part of it
        house = _House()
        ready = {
            "market": house.commands(orders, resting=False),
            "resting": house.commands(orders, resting=True),
        }
        signed = _signed(house.keys, itertools.count(), orders)
        jobs: dict[str, Callable[[], object]] = {
            "market": lambda h=house, c=ready["market"]: _step(h.desk, c),
            "door": lambda h=house, s=signed: _knock(h.venue, s),
            "resting": lambda h=house, c=ready["resting"]: _step(h.desk, c),
        }
        for name, ns in least(jobs, rounds=1).items():
            best[name] = min(best[name], ns / orders)
    rate = {name: 1e9 / ns for name, ns in best.items()}
    yield Figure("Exchange.step, market orders that fill", rate["market"], "orders/s of CPU")
    for key, name in (("resting", "Exchange.step, orders that rest"), ("door", "in-process door")):
        ratio = best[key] / best["market"]
        yield Figure(name, rate[key], "orders/s of CPU", "x CPU of a filled one", ratio)


# ---------------------------------------------------------------------------- over sockets


async def _speak(host: str, port: int, requests: Sequence[bytes]) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    for request in requests:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        body = await reader.readexactly(length)
        _must(body.startswith(b'{"retCode":0'), body)
    writer.close()
    await writer.wait_closed()


def _raw(key: ApiKey, text: str) -> bytes:
    signed = sign_headers(key, text, SystemClock().now_ms(), _WINDOW_MS)
    head = "".join(f"{name}: {value}\r\n" for name, value in signed.items())
    return (
        f"POST {_PATH} HTTP/1.1\r\nhost: sim\r\ncontent-type: application/json\r\n"
        f"{head}content-length: {len(text)}\r\n\r\n{text}"
    ).encode()


def served(orders: int, filled_ns: float) -> Iterator[Figure]:
    """Yield what the HTTP server takes; `filled_ns` is the CPU of an order in the machine."""
    wall, cpu = float("inf"), float("inf")
    with Peer("sim", accounts=USERS, minutes=600) as peer:
        keys = [ApiKey(key, secret, 0) for key, secret in peer.keys]
        turns = itertools.count()
        host, _, port = peer.rest.removeprefix("http://").partition(":")
        for _ in range(ROUNDS):
            raw = [_raw(key, text) for key, text in _texts(keys, turns, orders)]
            shares = [raw[i::_CONNECTIONS] for i in range(_CONNECTIONS)]

            async def blast(shares: list[list[bytes]] = shares) -> None:
                await asyncio.gather(*(_speak(host, int(port), share) for share in shares))

            before, begin = peer.ask()["cpu_ns"], time.perf_counter_ns()
            asyncio.run(blast())
            wall = min(wall, (time.perf_counter_ns() - begin) / orders)
            cpu = min(cpu, (peer.ask()["cpu_ns"] - before) / orders)
        _must(not peer.ask()["crashes"], "crashes")
    name = f"HTTP server, {_CONNECTIONS} connections"
    yield Figure(name, 1e9 / cpu, "orders/s of CPU", "x CPU of a filled one", cpu / filled_ns)
    yield Figure("  by the wall clock, this client beside it", 1e9 / wall, "orders/s")


async def _follow(address: str, coins: int, minutes: int) -> tuple[int, int]:
    """Read every candle; return the time it took (ns), and the candles closed."""
    topics = [f"kline.1.{symbol}" for symbol in names(coins)]
    closed, begin = 0, 0
    async with connect(
        f"{address}/v5/public/linear", compression=None, ping_interval=None, max_size=None
    ) as socket:
        await socket.send(json.dumps({"op": "subscribe", "args": topics}))
        await socket.recv(decode=False)
        begin = time.perf_counter_ns()
        while closed < coins * minutes:
            raw = await socket.recv(decode=False)
            closed += b'"confirm":true' in raw
    return time.perf_counter_ns() - begin, closed


def _advance(minutes: int, coins: int, *, orders: bool) -> float:
    venue = SimVenue(market(coins, minutes, START_MS), "1m", start_ms=START_MS, rules=NO_LIMITS)
    if orders:
        fill_with_orders(venue)
    begin = time.process_time_ns()
    for minute in range(1, minutes):
        venue.desk.advance(START_MS + minute * MINUTE_MS)
    return time.process_time_ns() - begin


def replayed(minutes: int, coins: int) -> Iterator[Figure]:
    """Yield symbol-minutes a second of a market played as fast as its reader reads."""
    rates = []
    for orders in (False, True):
        wall = cpu = float("inf")
        for _ in range(3):
            with Peer(
                "sim", symbols=coins, minutes=minutes, speed="max", updates=0, orders=orders
            ) as peer:
                before = peer.ask()["cpu_ns"]
                took, closed = asyncio.run(_follow(peer.ws, coins, minutes))
                cpu = min(cpu, (peer.ask()["cpu_ns"] - before) / closed)
                wall = min(wall, took / closed)
        rates.append(1e9 / wall)
        with_what = "a position and two orders in each" if orders else "no orders"
        yield Figure(
            f"replay at --speed max, {coins} coins, {with_what}",
            rates[-1],
            "symbol-minutes/s",
            "x without orders" if orders else "x its CPU",
            rates[-1] / rates[0] if orders else wall / cpu,
            _TARGET,
        )
    alone = min(_advance(minutes, coins, orders=True) for _ in range(3)) / (minutes * coins)
    yield Figure(
        "  of it, the machine and its prices alone", 1e9 / alone, "symbol-minutes/s of CPU"
    )


def simulator(orders: int) -> Iterator[Figure]:
    """Yield every figure of the simulator, rounds scaled by `orders`."""
    filled_ns = 0.0
    for figure in doors(orders * 5):
        filled_ns = filled_ns or 1e9 / figure.value
        yield figure
    yield from served(orders * 5, filled_ns)
    yield from replayed(max(2, orders // 5), COINS)
