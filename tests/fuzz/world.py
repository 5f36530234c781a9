"""A small venue in the process: a seeded market, accounts, and what it tells a client."""

import msgspec
import numpy as np

from data.synth import make_market
from engine.venue.replay import Replay
from live.venues.bybit.simauth import ApiKey, sign, sign_headers
from live.venues.bybit.simcontrol import open_account
from live.venues.bybit.simdoor import HttpReply, HttpRequest
from live.venues.bybit.simvenue import SimVenue
from tests.fuzz.corpus import ORDER, QUERIES, S

WALL_MS = 1_700_000_000_000
PACE_MS = 250  # of the server's clock between two requests: allowances never run dry


def small_replay(symbols: int = 3) -> Replay:
    """Make a day of one-minute candles."""
    market = make_market(np.random.default_rng(11), symbols=symbols, days=1, interval="1m")
    return Replay(60_000, market.bars["1m"])


class World:
    """A venue, its server's clock, and accounts."""

    def __init__(self, replay: Replay | None = None) -> None:
        replay = replay or small_replay()
        self.venue = SimVenue(replay, "1m", start_ms=replay.default_start())
        self.desk = self.venue.desk
        self.wall_ms = WALL_MS

    def account(self) -> ApiKey:
        """Open an account."""
        made = open_account(self.desk, b'{"equity":"100000"}')
        return self.desk.keys.find(made["apiKey"])

    def headers(self, key: ApiKey, payload: str) -> dict[str, str]:
        """Sign a payload."""
        return sign_headers(key, payload, self.wall_ms)

    def get(self, key: ApiKey, path: str, query: str = "") -> HttpReply:
        """Send a signed GET."""
        self.wall_ms += PACE_MS
        request = HttpRequest("GET", path, query, self.headers(key, query))
        return self.venue.request(request, self.wall_ms)

    def post(self, key: ApiKey, path: str, body: bytes) -> HttpReply:
        """Send a signed POST."""
        self.wall_ms += PACE_MS
        payload = body.decode("utf-8", "surrogateescape")
        request = HttpRequest("POST", path, "", self.headers(key, payload), body)
        return self.venue.request(request, self.wall_ms)

    def advance(self, minutes: int = 1) -> None:
        """Let the market move."""
        self.desk.advance(self.desk.now_ms + minutes * 60_000)

    def stream(self, name: str, key: ApiKey | None = None, topics: list[str] | None = None):
        """Open a signed stream, authenticated when a key is given."""
        self.wall_ms += PACE_MS * 4
        session = self.venue.connect(name, self.wall_ms)  # pyrefly: ignore[bad-argument-type]
        assert session is not None
        if key is not None:
            expires = self.wall_ms + 5_000
            args = [key.key, expires, sign(key.secret, f"GET/realtime{expires}")]
            session.receive(msgspec.json.encode({"op": "auth", "args": args}), self.wall_ms)
        if topics:
            wish = {"op": "subscribe", "args": topics}
            session.receive(msgspec.json.encode(wish), self.wall_ms)
        return session

    def last(self, symbol: str = "BTCUSDT") -> float:
        """Return the last price."""
        return self.desk.replay.last_price(symbol, self.desk.now_ms)


def told() -> list[bytes]:
    """Return what a venue tells a client that trades: replies and pushes of every kind."""
    world = World()
    key = world.account()
    private = world.stream(
        "private", key, ["order", "execution", "execution.fast", "position", "wallet"]
    )
    near = round(world.last())
    rest = [
        {
            **S,
            "side": "Buy",
            "orderType": "Market",
            "qty": "0.02",
            "stopLoss": str(round(near * 0.97)),
        },
        {**ORDER, "price": str(round(near * 0.995))},
        {**S, "side": "Sell", "orderType": "Market", "qty": "0.01", "reduceOnly": True},
    ]
    out = [world.post(key, "/v5/order/create", msgspec.json.encode(body)).body for body in rest]
    world.advance(500)
    for path, queries in QUERIES.items():
        out += [world.get(key, path, query).body for query in queries]
    out += private.due(world.wall_ms + 60_000)
    assert not world.desk.crashes, world.desk.crashes
    return sorted(set(out), key=lambda raw: (len(raw), raw))
