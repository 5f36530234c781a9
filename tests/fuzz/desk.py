"""Fuzz of the venue in the process: mutated requests and stream frames.

Most requests carry a right signature over their mutated payload, so that they reach the machine;
some carry mutated headers. At the end another account must be as it was and still be able to trade.
"""

from typing import Any

import msgspec

from live.venues.bybit.simauth import ApiKey
from live.venues.bybit.simdoor import HttpRequest
from tests.fuzz.corpus import BODIES, FRAMES, QUERIES, S, written
from tests.fuzz.mutate import TEXTS, Dice, mutate
from tests.fuzz.score import Score
from tests.fuzz.world import World

STEP_EVERY = 400  # cases between two candles
_HEADERS = ("x-bapi-api-key", "x-bapi-timestamp", "x-bapi-recv-window", "x-bapi-sign")


class Bystander:
    """An account that nobody touches: it must not notice."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.key = world.account()
        body = {**S, "side": "Buy", "orderType": "Limit", "qty": "0.01", "price": "1000"}
        reply = msgspec.json.decode(world.post(self.key, "/v5/order/create", _json(body)).body)
        # A far price is put to the band's edge: the order rests all the same.
        assert reply["retCode"] in {0, 110003}, reply
        self.uid = self.key.uid
        self.before = self.seen()

    def seen(self) -> tuple[Any, ...]:
        """Return what the account has; the price may fill its order, nothing else may happen."""
        account = self.world.desk.account(self.uid)
        orders = len(account.open_of("BTCUSDT"))
        return orders, account.wallet.wallet_balance if not account.executions else None

    def check(self, score: Score) -> None:
        """Score whether it noticed, and whether it can still trade."""
        account = self.world.desk.account(self.uid)
        if not account.executions and self.seen() != self.before:
            score.broke("bystander", f"{self.seen()} instead of {self.before}")
        body = {**S, "side": "Sell", "orderType": "Market", "qty": "0.01"}
        reply = msgspec.json.decode(self.world.post(self.key, "/v5/order/create", _json(body)).body)
        if reply["retCode"] == 0:
            score.taken("bystander")
        else:
            score.broke("bystander", f"cannot trade: {reply}")


def _json(value: Any) -> bytes:
    return msgspec.json.encode(value)


def _query(dice: Dice, samples: list[str]) -> str:
    raw = dice.of(samples)
    parts = raw.split("&")
    at = dice.below(len(parts))
    kind = dice.below(5)
    text = dice.of(TEXTS)[:300]
    if kind == 0:
        parts[at] = parts[at].partition("=")[0] + "=" + text
    elif kind == 1:
        parts.append(f"{text}={dice.below(10**6)}")
    elif kind == 2:
        parts += [parts[at]] * dice.below(250)
    elif kind == 3:
        cut = dice.below(len(raw) + 1)
        return raw[:cut] + text + raw[cut:]
    else:
        del parts[at]
    return "&".join(parts)


class Attack:
    """Mutated requests and frames at one venue."""

    def __init__(self, dice: Dice) -> None:
        self.dice = dice
        self.score = Score()
        self.world = World()
        self.crashes = self.world.desk.crashes
        self.keys = [self.world.account() for _ in range(3)]
        self.bodies = {path: written(rows) for path, rows in BODIES.items()}
        self.live = self._live_bodies()
        self.frames = {name: written(rows) for name, rows in FRAMES.items()}
        self.sessions: dict[str, Any] = {}
        self.bystander = Bystander(self.world)

    def _live_bodies(self) -> list[bytes]:
        """Orders that the market of now would take."""
        near = self.world.last()
        return written([
            {**S, "side": side, "orderType": "Limit", "qty": "0.01", "price": f"{near * by:.1f}"}
            for side, by in (("Buy", 0.99), ("Sell", 1.01), ("Buy", 1.01))
        ])  # fmt: skip

    def _ids(self) -> list[bytes]:
        """Changes of an order that is there."""
        orders = self.world.desk.account(self.dice.of(self.keys).uid).open_of("BTCUSDT")
        if not orders:
            return []
        return written([{**S, "orderId": self.dice.of(list(orders)), "qty": "0.011"}])

    def run(self, cases: int) -> Score:
        """Run so many cases."""
        for i in range(cases):
            if i % STEP_EVERY == STEP_EVERY - 1 and not self._at_end():
                self.world.advance()
                self.live = self._live_bodies()
            kind = self.dice.below(8)
            if kind < 4:
                self.post()
            elif kind < 6:
                self.get()
            else:
                self.frame("private" if kind == 6 else "trade")
        self.bystander.check(self.score)
        return self.score

    def _at_end(self) -> bool:
        return self.world.desk.now_ms + 120_000 > self.world.desk.replay.last

    def post(self) -> None:
        """Send a mutated body, mostly rightly signed."""
        path = self.dice.of(list(self.bodies))
        samples = self.bodies[path]
        if path == "/v5/order/create":
            samples = [*samples, *self.live, *self.live]
        elif path in ("/v5/order/amend", "/v5/order/cancel"):
            samples = [*samples, *self._ids(), *self._ids()]
        body = mutate(self.dice, samples) if self.dice.below(8) else self.dice.of(samples)
        self._send(f"POST {path}", "POST", path, "", body)

    def get(self) -> None:
        """Send a mutated query."""
        path = self.dice.of(list(QUERIES))
        self._send(f"GET {path}", "GET", path, _query(self.dice, QUERIES[path]), b"")

    def _send(self, target: str, method: str, path: str, query: str, body: bytes) -> None:
        world, dice = self.world, self.dice
        world.wall_ms += 250
        key: ApiKey = dice.of(self.keys)
        payload = query if method == "GET" else body.decode("utf-8", "surrogateescape")
        headers = world.headers(key, payload)
        if dice.below(12) == 0:
            headers[dice.of(_HEADERS)] = dice.of(TEXTS)
            target = "headers"
        request = HttpRequest(method, path, query, headers, body)
        try:
            reply = world.venue.request(request, world.wall_ms)
            said = msgspec.json.decode(reply.body) if reply.body.startswith(b"{") else {}
        except Exception as error:
            self.score.uncaught(target, body or query.encode("utf-8", "surrogatepass"), error)
            return
        if self._fell(target, body or query.encode("utf-8", "replace")):
            return
        if said.get("retCode") == 0:
            self.score.taken(target)
        else:
            self.score.refused(target)

    def _fell(self, target: str, raw: bytes) -> bool:
        """Score what the venue caught of its own faults."""
        for words in self.crashes:
            self.score.broke(target, f"{raw[:300]!r}: {words}")
        fell = bool(self.crashes)
        self.crashes.clear()
        return fell

    def frame(self, name: str) -> None:
        """Send a mutated frame on a signed stream that was authenticated, or not."""
        world, dice = self.world, self.dice
        session = self.sessions.get(name)
        if session is None or session.ending:
            key = dice.of([*self.keys, None])
            topics = ["order", "execution", "position", "wallet"] if name == "private" else None
            session = self.sessions[name] = world.stream(name, key, topics if key else None)
        raw = mutate(dice, self.frames[name])
        if dice.below(40) == 0:
            world.venue.disconnect(session)
            del self.sessions[name]
            self.score.refused(f"frame {name}")
            return
        world.wall_ms += 250
        try:
            session.receive(_text_or_bytes(dice, raw), world.wall_ms)
            for frame in session.due(world.wall_ms):
                msgspec.json.decode(frame)
        except Exception as error:
            self.score.uncaught(f"frame {name}", raw, error)
            self.sessions.pop(name, None)
        else:
            if not self._fell(f"frame {name}", raw):
                self.score.taken(f"frame {name}")


def _text_or_bytes(dice: Dice, raw: bytes) -> str | bytes:
    if dice.below(4) == 0:
        return raw
    return raw.decode("utf-8", "replace")


def fuzz(dice: Dice, cases: int) -> Score:
    """Run so many cases at a fresh venue."""
    return Attack(dice).run(cases)
