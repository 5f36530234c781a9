"""The simulated venue without sockets: the same requests and frames, handed over as values."""

import json
from typing import Any

from engine.venue.replay import Replay
from live.venues.bybit.faults import Fault
from live.venues.bybit.simauth import ApiKey, sign, sign_headers
from live.venues.bybit.simdoor import HttpReply, HttpRequest
from live.venues.bybit.simsession import Session
from live.venues.bybit.simvenue import SimVenue
from tests.live.helpers import STEP, T0
from tests.live.sim.face import replay_of

BEGIN = T0 + 100 * STEP


class Inside:
    """A venue and one user of it, on a time of their own."""

    def __init__(
        self,
        faults: list[Fault] | None = None,
        replay: Replay | None = None,
        equity: str = "10000",
        **options: Any,
    ) -> None:
        from decimal import Decimal

        self.venue = SimVenue(
            replay or replay_of(), "15m", start_ms=BEGIN, faults=faults, **options
        )
        self.desk = self.venue.desk
        self.fired = self.venue.plan.fired
        self.wall_ms = BEGIN
        self.key: ApiKey = self.desk.open_account(Decimal(equity))

    def pass_ms(self, ms: int) -> None:
        self.wall_ms += ms
        self.desk.advance(self.wall_ms)

    def raw(self, method: str, path: str, payload: str = "", *, key: ApiKey | None = None):
        headers = sign_headers(key or self.key, payload, self.wall_ms)
        get = method == "GET"
        request = HttpRequest(
            method, path, payload if get else "", headers, b"" if get else payload.encode()
        )
        fault = self.venue.fate(request)
        if fault is not None and fault.kind == "slow":
            self.pass_ms(fault.ms)
        reply = self.venue.request(request, self.wall_ms, fault)
        self.pass_ms(reply.wait_ms)
        return reply

    def get(self, path: str, query: str = "", **options: Any) -> dict[str, Any]:
        return read(self.raw("GET", path, query, **options))

    def post(self, path: str, body: object, **options: Any) -> dict[str, Any]:
        return read(self.raw("POST", path, json.dumps(body), **options))

    def stream(self, name: str = "private", *topics: str, key: ApiKey | None = None) -> Session:
        session = self.venue.connect(name, self.wall_ms)
        assert session is not None
        key = key or self.key
        expires = self.wall_ms + 10_000
        signature = sign(key.secret, f"GET/realtime{expires}")
        self.say(session, {"op": "auth", "args": [key.key, expires, signature]})
        if topics:
            self.say(session, {"op": "subscribe", "args": list(topics)})
        self.heard(session)
        return session

    def say(self, session: Session, message: object) -> None:
        session.receive(json.dumps(message), self.wall_ms)

    def heard(self, session: Session) -> list[dict[str, Any]]:
        return [json.loads(frame) for frame in session.due(self.wall_ms)]

    def rows(self, session: Session, topic: str) -> list[dict[str, Any]]:
        return [r for m in self.heard(session) if m.get("topic") == topic for r in m["data"]]


def read(reply: HttpReply) -> dict[str, Any]:
    assert reply.status == 200, reply
    assert not reply.dropped
    return json.loads(reply.body)
