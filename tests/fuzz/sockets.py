"""Fuzz of the running simulator over real sockets: requests, headers, broken HTTP, frames."""

import contextlib
import http.client
import json
import socket
from typing import Any
from urllib.parse import urlsplit

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from live.clock import SystemClock
from live.venues.bybit.simauth import ApiKey, sign, sign_headers
from tests.fuzz.corpus import BODIES, FRAMES, QUERIES, S, written
from tests.fuzz.mutate import TEXTS, Dice, mutate
from tests.fuzz.score import Score

CLOCK = SystemClock()
TIMEOUT_S = 20.0
STREAMS = {"public": "/v5/public/linear", "private": "/v5/private", "trade": "/v5/trade"}
_KINDS = ("post",) * 8 + ("get",) * 4 + ("frame",) * 10 + ("header",) * 2 + ("raw",) + ("sim",)
_RAW = (
    b"\x00\xff\x16\x03\x01" * 40,
    b"GET\r\n\r\n",
    b"GET /v5/market/time HTTP/9.9\r\n\r\n",
    b"POST /v5/order/create HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n{",
    b"POST /v5/order/create HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
    b"POST /v5/order/create HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET /v5/market/kline?" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /v5/private HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    b"GET /%ff%fe/../../v5 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\r\n" * 200,
)


class Attacker:
    """One attacker, one bystander, one running simulator."""

    def __init__(self, dice: Dice, rest: str, ws: str) -> None:
        self.dice = dice
        self.rest = rest
        self.ws = ws
        self.score = Score()
        self.http: http.client.HTTPConnection | None = None
        self.sockets: dict[str, ClientConnection] = {}
        self.idle: list[ClientConnection] = []  # readers that never read
        self.stack = contextlib.ExitStack()
        self.key = self.account()
        self.bystander = self.account()
        self.bodies = {path: written(rows) for path, rows in BODIES.items()}
        self.frames = {name: written(rows) for name, rows in FRAMES.items()}
        far = {**S, "side": "Buy", "orderType": "Limit", "qty": "0.01", "price": "100"}
        self.said = self.signed(
            self.bystander, "POST", "/v5/order/create", json.dumps(far).encode()
        )
        self.before = self.seen()

    # ------------------------------------------------------------------ plain requests

    def account(self) -> ApiKey:
        """Open an account."""
        made = json.loads(self.send("POST", "/sim/accounts", b'{"equity":"100000"}')[1])
        return ApiKey(made["apiKey"], made["apiSecret"], int(made["uid"]))

    def send(
        self, method: str, target: str, body: bytes = b"", headers: dict[str, Any] | None = None
    ) -> tuple[int, bytes]:
        """Send one request over a connection that is kept."""
        if self.http is None:
            self.http = http.client.HTTPConnection(urlsplit(self.rest).netloc, timeout=TIMEOUT_S)
        try:
            self.http.putrequest(method, target, skip_accept_encoding=True)
            for name, value in (headers or {}).items():
                self.http.putheader(name, value)
            if method == "POST":
                self.http.putheader("Content-Length", str(len(body)))
            self.http.endheaders(body or None)
            reply = self.http.getresponse()
            out = reply.status, reply.read()
        except (http.client.HTTPException, OSError, ValueError, UnicodeError):
            self.http.close()
            self.http = None
            raise
        return out

    def signed(self, key: ApiKey, method: str, path: str, payload: bytes) -> dict[str, Any]:
        """Send a rightly signed request; returns the reply's body."""
        headers = sign_headers(key, payload.decode("utf-8", "surrogateescape"), CLOCK.now_ms())
        target = path if method == "POST" else f"{path}?{payload.decode()}"
        body = self.send(method, target, payload if method == "POST" else b"", headers)[1]
        return json.loads(body)

    def state(self, api_key: str = "") -> dict[str, Any]:
        """Return the simulator's truth."""
        query = f"?apiKey={api_key}" if api_key else ""
        return json.loads(self.send("GET", f"/sim/state{query}")[1])

    def seen(self) -> tuple[Any, ...]:
        """Return what the bystander has."""
        rows = self.signed(
            self.bystander, "GET", "/v5/order/realtime", b"category=linear&symbol=BTCUSDT"
        )
        wallet = self.signed(
            self.bystander, "GET", "/v5/account/wallet-balance", b"accountType=UNIFIED"
        )
        coin = wallet["result"]["list"][0]["coin"][0]["walletBalance"]
        return len(rows["result"]["list"]), coin

    # ------------------------------------------------------------------ attacks

    def post(self) -> None:
        path = self.dice.of(list(self.bodies))
        body = mutate(self.dice, self.bodies[path])
        headers = sign_headers(self.key, body.decode("utf-8", "surrogateescape"), CLOCK.now_ms())
        status, said = self.send("POST", path, body, headers)
        self.count("http body", status, said)

    def get(self) -> None:
        path = self.dice.of(list(QUERIES))
        raw = mutate(self.dice, [q.encode() for q in QUERIES[path]])[:4_000]
        query = "".join(chr(c) if 33 <= c < 127 and c != 35 else f"%{c:02X}" for c in raw)
        headers = sign_headers(self.key, query, CLOCK.now_ms())
        status, said = self.send("GET", f"{path}?{query}", b"", headers)
        self.count("http query", status, said)

    def header(self) -> None:
        headers: dict[str, Any] = dict(sign_headers(self.key, "{}", CLOCK.now_ms()))
        text = self.dice.of(TEXTS).replace("\n", " ").replace("\r", " ")
        name = self.dice.of([*headers, "content-type", "content-encoding", "x-bapi-extra"])
        headers[name] = text.encode("utf-8", "surrogatepass")
        if self.dice.below(10) == 0:
            headers["x-large"] = "x" * (1 << (10 + self.dice.below(7)))
        status, said = self.send("POST", "/v5/order/create", b"{}", headers)
        self.count("http headers", status, said)

    def sim(self) -> None:
        path = self.dice.of(["/sim/accounts", "/sim/manual", "/sim/faults", "/sim/clock"])
        body = mutate(self.dice, [b'{"equity":"100"}', b'{"apiKey":"x","action":"close"}', b"[]"])
        if path in ("/sim/faults", "/sim/clock"):
            body = body[:1] + b"!" + body[1:]  # never one that would be right
        self.count("http control", *self.send("POST", path, body))

    def raw(self) -> None:
        host, _, port = urlsplit(self.rest).netloc.partition(":")
        with socket.create_connection((host, int(port)), TIMEOUT_S) as line:
            line.sendall(self.dice.of(_RAW))
            line.settimeout(0.05)
            with contextlib.suppress(OSError):
                line.recv(4096)
        self.score.refused("broken HTTP")

    def frame(self) -> None:
        name = self.dice.of(list(STREAMS))
        socket_ = self.sockets.get(name)
        try:
            if socket_ is None:
                socket_ = self.sockets[name] = self.open(name)
            raw = mutate(self.dice, self.frames[name])
            kind = self.dice.below(12)
            if kind < 8:
                socket_.send(raw.decode("utf-8", "replace"))
            elif kind < 10:
                socket_.send(raw)
            elif kind == 10:
                cut = self.dice.below(len(raw) + 1)
                socket_.send(iter([raw[:cut], raw[cut:]]))
            else:
                socket_.ping(raw[:100])
            with contextlib.suppress(TimeoutError):
                while socket_.recv(timeout=0):
                    pass
        except (ConnectionClosed, InvalidStatus, OSError):
            gone = self.sockets.pop(name, None)
            if gone is not None:
                gone.close()
            self.score.refused(f"frame {name}")
        else:
            self.score.taken(f"frame {name}")

    def connect(self, name: str, **options: Any) -> ClientConnection:
        """Open a socket that is closed at the end."""
        wish = connect(
            self.ws + STREAMS[name],
            open_timeout=TIMEOUT_S,
            close_timeout=1,
            ping_interval=None,
            **options,
        )
        return self.stack.enter_context(wish)

    def open(self, name: str) -> ClientConnection:
        """Open a stream, mostly authenticated; now and then leave one that never reads."""
        made = self.connect(name, max_size=None)
        if name != "public" and self.dice.below(4):
            expires = CLOCK.now_ms() + 9_000
            args = [self.key.key, expires, sign(self.key.secret, f"GET/realtime{expires}")]
            made.send(json.dumps({"op": "auth", "args": args}))
        if name == "public" and len(self.idle) < 3:
            lazy = self.connect(name, max_queue=1)
            lazy.send(json.dumps({"op": "subscribe", "args": ["orderbook.1000.BTCUSDT"]}))
            self.idle.append(lazy)
        return made

    def count(self, target: str, status: int, said: bytes) -> None:
        """Score a reply: words of the venue, never a failure of the server."""
        if status >= 500:
            self.score.broke(target, f"HTTP {status}: {said[:200]!r}")
        elif status == 200 and json.loads(said).get("retCode", 0) == 0:
            self.score.taken(target)
        else:
            self.score.refused(target)

    # ------------------------------------------------------------------ the run

    def run(self, cases: int) -> Score:
        """Attack so often, then look at the server and at the bystander."""
        for _ in range(cases):
            kind = self.dice.of(_KINDS)
            try:
                getattr(self, kind)()
            except (http.client.HTTPException, OSError, ValueError, UnicodeError) as error:
                # The client could not even send it, or the server hung up: both are answers.
                self.score.refused(f"{kind}: {type(error).__name__}")
        with contextlib.suppress(OSError, ConnectionClosed):
            self.stack.close()
        self.look()
        if self.http is not None:
            self.http.close()
        return self.score

    def look(self) -> None:
        """Score whether the server lives and whether the bystander noticed."""
        crashes = self.state()["crashes"]
        for words in crashes:
            self.score.broke("server", words)
        now = self.seen()
        if now != self.before:
            self.score.broke("bystander", f"{now} instead of {self.before}")
        order = {**S, "side": "Buy", "orderType": "Market", "qty": "0.01"}
        body = json.dumps(order).encode()
        said = self.signed(self.bystander, "POST", "/v5/order/create", body)
        if said["retCode"]:
            self.score.broke("bystander", f"cannot trade: {said}")
        else:
            self.score.taken("bystander")
