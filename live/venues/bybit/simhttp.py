"""The simulator's HTTP: the venue's requests go to its door, the simulator's own (/sim) end here.

The simulator's own requests are answered on loopback only, and only to those who ask for loopback
by name: a web page elsewhere that resolves to this machine is turned away.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import msgspec
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from engine.errors import DataError
from engine.venue.replay import Replay
from live.clock import Clock
from live.venues.bybit import simcontrol
from live.venues.bybit.faults import Fault, read_faults
from live.venues.bybit.simdoor import BODY_BYTES_MAX, HttpRequest
from live.venues.bybit.simhub import Hub
from live.venues.bybit.simreader import TRANSPORT
from live.venues.bybit.simsockets import serve_stream
from live.venues.bybit.simvenue import SimVenue

_METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"]  # wrong ones: HTTP 400
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1", "testserver"})


class StreamProtocol(WebSocketsSansIOProtocol):
    """Lets a fault reach the TCP transport of a stream."""

    def handle_connect(self, event: Any) -> None:
        """Note the transport in the scope."""
        super().handle_connect(event)
        if getattr(self, "scope", None) is not None:
            self.scope["extensions"][TRANSPORT] = self.transport  # pyrefly: ignore[unsupported-operation]


class RequestProtocol(HttpToolsProtocol):
    """Lets a fault reach the TCP transport of a request."""

    def on_message_begin(self) -> None:
        """Note the transport in the scope."""
        super().on_message_begin()
        self.scope["extensions"] = {TRANSPORT: self.transport}  # pyrefly: ignore[bad-assignment]


class Sim(Protocol):
    """What the requests need of the running simulator."""

    venue: SimVenue
    hub: Hub
    replay: Replay
    minute: int
    speed: Any

    @property
    def clock_ms(self) -> int:
        """The venue's time."""
        ...

    def catch_up(self) -> None:
        """Move the venue's time to now."""
        ...

    def change_speed(self, text: Any) -> None:
        """Read a speed and go at it."""
        ...

    def add_faults(self, faults: list[Fault]) -> None:
        """Arm faults."""
        ...

    def state(self) -> dict[str, Any]:
        """Return the simulator's own figures."""
        ...

    async def advance(self, bars: int = 1) -> None:
        """Close so many bars."""
        ...


Handler = Callable[[Request], Awaitable[Response]]


def _control(path: str, handler: Handler, *methods: str) -> Route:
    """Return a route that answers loopback alone."""

    async def guarded(request: Request) -> Response:
        host = request.client.host if request.client else ""
        if not host.startswith("127.") or request.url.hostname not in _LOOPBACK:
            return Response(b"loopback only", 403)
        return await handler(request)

    return Route(path, guarded, methods=list(methods))


class Pages:
    """All requests of a simulator.

    Parameters
    ----------
    sim : Sim
    clock : Clock
    """

    def __init__(self, sim: Sim, clock: Clock) -> None:
        self._sim = sim
        self._clock = clock

    def app(self) -> Starlette:
        """Build the ASGI application."""
        private = serve_stream(self._sim.venue, "private", self._clock, self._sim.catch_up)
        trade = serve_stream(self._sim.venue, "trade", self._clock, self._sim.catch_up)
        return Starlette(
            routes=[
                _control("/sim/accounts", self._sim_accounts, "POST"),
                _control("/sim/clock", self._sim_clock, "POST"),
                _control("/sim/faults", self._sim_faults, "POST", "DELETE"),
                _control("/sim/state", self._sim_state, "GET"),
                _control("/sim/manual", self._sim_manual, "POST"),
                WebSocketRoute("/v5/public/linear", self._public),
                WebSocketRoute("/v5/private", private),
                WebSocketRoute("/v5/trade", trade),
                Route("/{path:path}", self._v5, methods=_METHODS),
            ]
        )

    async def _public(self, socket: WebSocket) -> None:
        ip = socket.client.host if socket.client else ""
        room = self._sim.hub.amount(ip) < self._sim.venue.limits.rules.streams
        if self._sim.venue.lets_in("public", ip, self._clock.now_ms()) and room:
            await self._sim.hub.serve(socket)
        else:
            await socket.close()

    async def _v5(self, request: Request) -> Response:
        body = await _body(request)
        if body is None:
            return Response(b"413 Request Entity Too Large", 413)
        asked = HttpRequest(
            request.method,
            request.url.path,
            request.scope["query_string"].decode("latin-1"),
            {name.decode("latin-1"): v.decode("latin-1") for name, v in request.headers.raw},
            body,
            request.client.host if request.client else "127.0.0.1",
        )
        self._sim.catch_up()
        fault = self._sim.venue.fate(asked)
        if fault is not None and fault.kind == "slow":
            await self._clock.sleep(fault.ms / 1000.0)
            self._sim.catch_up()
        reply = self._sim.venue.request(asked, self._clock.now_ms(), fault)
        if reply.wait_ms:
            await self._clock.sleep(reply.wait_ms / 1000.0)
        if reply.dropped:
            _drop(request)
        return Response(reply.body, reply.status, dict(reply.headers))

    async def _sim_accounts(self, request: Request) -> Response:
        try:
            return _json(simcontrol.open_account(self._sim.venue.desk, await request.body()))
        except DataError as error:
            return _json({"error": error.what, "hint": error.hint}, 400)

    async def _sim_manual(self, request: Request) -> Response:
        self._sim.catch_up()
        try:
            return _json(simcontrol.manual(self._sim.venue.desk, await request.body()))
        except DataError as error:
            return _json({"error": error.what, "hint": error.hint}, 400)

    async def _sim_clock(self, request: Request) -> Response:
        try:
            wish = msgspec.json.decode(await request.body(), type=dict[str, Any])
            if "speed" in wish:
                self._sim.change_speed(wish["speed"])
            if "to" in wish:
                bars = (int(wish["to"]) - self._sim.minute) // self._sim.replay.interval_ms
                await self._sim.advance(max(0, bars))
                if self._sim.speed == "hold" and int(wish["to"]) > self._sim.clock_ms:
                    self._sim.venue.desk.advance(int(wish["to"]))
                    await self._sim.hub.push_feeds()
            if "step" in wish:
                await self._sim.advance(int(wish["step"]))
        except (ValueError, TypeError, ArithmeticError, RecursionError, DataError) as error:
            return _json(
                {"error": str(error), "hint": "{to: ms} | {step: bars} | {speed: N|max|hold}"}, 400
            )
        return _json(self._sim.state())

    async def _sim_faults(self, request: Request) -> Response:
        if request.method == "DELETE":
            self._sim.venue.plan.clear()
            self._sim.hub.faults.clear()
            return _json(self._sim.state())
        try:
            self._sim.add_faults(read_faults(await request.body()))
        except DataError as error:
            return _json({"error": error.what, "why": error.why}, 400)
        return _json(self._sim.state())

    async def _sim_state(self, request: Request) -> Response:
        self._sim.catch_up()
        key = request.query_params.get("apiKey")
        if key is None:
            return _json(self._sim.state())
        try:
            return _json(simcontrol.truth(self._sim.venue.desk, key))
        except DataError as error:
            return _json({"error": error.what}, 404)


async def _body(request: Request) -> bytes | None:
    """Return a body; None where it is longer than the venue takes."""
    out = bytearray()
    try:
        async for chunk in request.stream():
            out += chunk
            if len(out) > BODY_BYTES_MAX:
                return None
    except ClientDisconnect:  # gone in the middle of it: what is answered reaches nobody
        return None
    return bytes(out)


def _drop(request: Request) -> None:
    """End the TCP connection without a word."""
    transport = request.scope.get("extensions", {}).get(TRANSPORT)
    if transport is not None:
        transport.abort()


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")
