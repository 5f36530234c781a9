"""A reader that does not read costs itself, and nobody else."""

import asyncio
import json
import socket
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from live.venues.bybit.simreader import UNREAD_BYTES_MAX
from tests.live.helpers import TIMEOUT_S
from tests.live.sim.face import SYMBOL, Venue, limit, replay_of, running


async def lazy(v: Venue, path: str) -> ClientConnection:
    """Connect somebody who will read no more than a few frames."""
    place = urlsplit(v.addresses["ws"])
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
    line.connect((place.hostname, place.port))
    line.settimeout(0.0)
    url = f"{v.addresses['ws']}{path}"
    return await connect(
        url, sock=line, max_queue=1, max_size=None, ping_interval=None, close_timeout=0.1
    )


async def test_the_market_goes_on_without_a_reader_that_stands_still() -> None:
    async with running(replay_of(20, 2000)) as v:
        v.sim.hub.patient = False  # as at a speed: the market waits for nobody
        user = await v.user()
        sleeper = await lazy(v, "/v5/public/linear")
        topics = [f"orderbook.1000.{name}" for name in v.sim.replay.bars]
        await sleeper.send(json.dumps({"op": "subscribe", "args": topics}))
        async with user.stream("public/linear") as reader:
            await reader.ask({"op": "subscribe", "args": [f"kline.15.{SYMBOL}"]})
            (slow,) = [c for c in v.sim.hub.connections.values() if len(c.topics) == len(topics)]
            most = bars = 0
            async with asyncio.timeout(TIMEOUT_S):
                while not slow.gone:
                    await v.sim.advance(1)
                    bars += 1
                    most = max(most, slow.waiting_bytes)
                    while not (await reader.hear())["data"][0]["confirm"]:
                        pass
            assert bars < 1500
            a_tick = 20 * 2 * 1000 * 30  # every level of every book
            assert most < UNREAD_BYTES_MAX + a_tick
            assert slow.waiting_bytes == 0
        sleeper.transport.abort()


async def test_a_book_is_told_from_its_snapshot_on_even_to_a_slow_reader() -> None:
    async with running(replay_of(20, 400), updates=3) as v:
        sleeper = await lazy(v, "/v5/public/linear")
        topics = [f"orderbook.1000.{name}" for name in v.sim.replay.bars]
        await sleeper.send(json.dumps({"op": "subscribe", "args": topics}))
        assert json.loads(await sleeper.recv())["success"]
        playing = asyncio.create_task(v.sim.advance(6))
        first: dict[str, str] = {}
        told = 0
        async with asyncio.timeout(TIMEOUT_S):
            while len(first) < len(topics) or not playing.done() or told < 3 * len(topics):
                message = json.loads(await sleeper.recv())
                if "topic" in message:
                    first.setdefault(message["topic"], message["type"])
                    told += 1
        assert set(first.values()) == {"snapshot"}
        await playing
        sleeper.transport.abort()


async def test_who_asks_and_never_listens_is_cut_off_and_forgotten() -> None:
    async with running() as v:
        for path in ("/v5/private", "/v5/trade", "/v5/public/linear"):
            v.sim.hub.patient = False
            sleeper = await lazy(v, path)
            ping = json.dumps({"op": "ping", "req_id": "x" * 30_000})
            if path == "/v5/public/linear":
                ping = json.dumps({"op": "nonsense", "args": []})
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    for _ in range(100_000):
                        await sleeper.send(ping)
            except (ConnectionClosed, TimeoutError):
                pass
            sessions = v.sim.venue.sessions.values()
            assert all(len(s._out) <= 20_000 for s in sessions)
            sleeper.transport.abort()
        user = await v.user()
        said = await user.post("/v5/order/create", limit("Buy", "1", "90"))
        assert said["retCode"] == 0


async def test_many_deep_books_at_once_let_other_requests_in_between() -> None:
    async with running(replay_of(60, 200)) as v:
        user = await v.user()
        topics = [f"orderbook.1000.{name}" for name in v.sim.replay.bars]
        async with user.stream("public/linear") as s:
            await s.say({"op": "subscribe", "args": topics})
            assert (await s.hear())["success"]
            first = await s.hear()
            before = v.sim.requests
            asked = asyncio.create_task(user.get("/v5/account/info"))
            books = {first["topic"]}
            while v.sim.requests == before:
                books.add((await s.hear())["topic"])
            assert len(books) < len(topics), "answered before the last book was made"
            assert (await asked)["retCode"] == 0
