"""A Bybit V5 public market on loopback, replayed from history: REST and streams on one port.

Stands in for the exchange in the demo, the tests and the proofs: the real clients talk to it over
real sockets. `hold` steps on command, `max` runs as fast as its readers read, a number is a speed.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any, Literal

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from engine.errors import DataError
from engine.venue import wire
from live.clock import Clock
from live.venues.bybit import simmarket
from live.venues.bybit.faults import Fault, read_faults
from live.venues.bybit.replay import Replay
from live.venues.bybit.simhub import TRANSPORT, Hub

Speed = float | Literal["max", "hold"]


def parse_speed(text: str | float) -> Speed:
    """Read a speed: a positive number, ``max`` or ``hold``."""
    if text in ("max", "hold"):
        return text  # pyrefly: ignore[bad-return]
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < float("inf"):
        raise DataError(f"speed {text!r} cannot be used", hint="a positive number, max or hold")
    return value


class _Protocol(WebSocketsSansIOProtocol):
    """Lets a fault reach the TCP transport of a stream."""

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        if getattr(self, "scope", None) is not None:
            self.scope["extensions"][TRANSPORT] = self.transport  # pyrefly: ignore[unsupported-operation]


class _Server(uvicorn.Server):
    """A server that leaves the process's signal handlers alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class SimServer:
    """The simulated venue.

    Parameters
    ----------
    replay : Replay
        What happened.
    interval : str
        The replay's interval.
    clock : Clock
        Paces a numeric speed.
    speed : float or "max" or "hold"
        Replay seconds per second; "max" = back-pressured; "hold" = on command.
    start_ms : int, optional
        Where the clock begins; all bars closed by then are history. Default: the first bar.
    updates : int
        Pushes of an open candle per bar.
    paused : bool
        Stand still until `resume`.
    """

    def __init__(
        self,
        replay: Replay,
        interval: str,
        clock: Clock,
        *,
        speed: Speed = "hold",
        start_ms: int | None = None,
        updates: int = 1,
        paused: bool = False,
    ) -> None:
        start = replay.first if start_ms is None else start_ms
        self.replay = replay
        self.interval = interval
        self.speed: Speed = "hold" if paused else speed
        self._resumed: Speed = speed
        self.minute = start - start % replay.interval_ms  # the candle that is open
        self.clock_ms = self.minute
        self.updates = updates
        self.hub = Hub(replay, interval)
        self.rest_faults: list[Fault] = []
        self.requests = 0
        self._clock = clock
        self._turn = asyncio.Lock()  # one advance at a time
        self._speed_changed = asyncio.Event()
        self._uvicorn: _Server | None = None
        self._socket: socket.socket | None = None
        self._tasks: list[asyncio.Task[Any]] = []

    # ------------------------------------------------------------------ time

    @property
    def finished(self) -> bool:
        """Tell whether the last bar is closed."""
        return self.minute > self.replay.last

    async def advance(self, bars: int = 1) -> None:
        """Close so many bars, pushing each; returns when clients have taken them."""
        for _ in range(bars):
            async with self._turn:
                if self.finished:
                    return
                await self._one_bar(pace=False)

    async def _one_bar(self, *, pace: bool) -> None:
        length_ms = self.replay.interval_ms
        for i in range(1, self.updates + 1):
            share = i / (self.updates + 1)
            if pace and not await self._wait(length_ms / (self.updates + 1)):
                return
            self.clock_ms = self.minute + int(share * length_ms)
            await self.hub.push_open(self.minute, share, self.clock_ms)
        if pace and not await self._wait(length_ms / (self.updates + 1)):
            return
        # The venue's history knows the candle before its stream says so.
        minute, self.minute = self.minute, self.minute + length_ms
        self.clock_ms = self.minute
        await self.hub.push_closed(minute, self.clock_ms)

    async def _wait(self, replay_ms: float) -> bool:
        """Let replay time pass at the speed of now; False when the speed was changed meanwhile."""
        if not isinstance(self.speed, float | int):
            return True
        sleep = asyncio.ensure_future(self._clock.sleep(replay_ms / 1000.0 / self.speed))
        changed = asyncio.ensure_future(self._speed_changed.wait())
        done, waiting = await asyncio.wait({sleep, changed}, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        return sleep in done

    async def _run(self) -> None:
        while True:
            self._speed_changed.clear()
            if self.speed == "hold" or self.finished:
                await self._speed_changed.wait()
                continue
            if self.speed == "max" and not self.hub.listening and not self.hub.unheard_bars:
                # As fast as the readers read: without a reader, not at all.
                self.hub.subscribed.clear()
                await self.hub.subscribed.wait()
            async with self._turn:
                await self._one_bar(pace=self.speed != "max")
            await asyncio.sleep(0)

    def set_speed(self, speed: Speed) -> None:
        """Change the speed at once."""
        self.speed = speed
        self._speed_changed.set()

    def pause(self) -> None:
        """Stand still until `resume`."""
        if self.speed != "hold":
            self._resumed = self.speed
        self.set_speed("hold")

    def resume(self) -> None:
        """Go on at the speed before the pause."""
        self.set_speed(self._resumed)

    def add_faults(self, faults: list[Fault]) -> None:
        """Arm faults of stream and requests."""
        self.rest_faults += [f for f in faults if f.kind == "rest" for _ in range(f.count)]
        self.hub.add_faults(faults)

    def state(self) -> dict[str, Any]:
        """Return the truth, for checkers."""
        return {
            "clock": self.clock_ms,
            "minute": self.minute,
            "interval": self.interval,
            "speed": self.speed,
            "finished": self.finished,
            "symbols": len(self.replay.bars),
            "connections": len(self.hub.connections),
            "subscriptions": self.hub.listening,
            "opened": self.hub.opened,
            "sent": self.hub.sent,
            "requests": self.requests,
            "faults_fired": dict(self.hub.fired),
            "faults_waiting": len(self.hub.faults) + len(self.rest_faults),
        }

    # ------------------------------------------------------------------ HTTP

    def app(self) -> Starlette:
        """Build the ASGI application."""
        routes = [
            Route(f"/v5/market/{name}", self._market(name), methods=["GET"])
            for name in simmarket.ENDPOINTS
        ]
        routes += [
            Route("/sim/clock", self._sim_clock, methods=["POST"]),
            Route("/sim/faults", self._sim_faults, methods=["POST"]),
            Route("/sim/state", self._sim_state, methods=["GET"]),
        ]
        stream = WebSocketRoute("/v5/public/linear", self.hub.serve)
        return Starlette(routes=[*routes, stream])

    def _market(self, name: str) -> Any:
        async def answer(request: Request) -> Response:
            self.requests += 1
            if self.rest_faults:
                fault = self.rest_faults.pop(0)
                self.hub.fired["rest"] += 1
                if fault.status:
                    return Response("access too frequent", fault.status)
                body = wire.envelope({}, self.clock_ms, code=fault.code, message="Too many visits!")
                return Response(body, media_type="application/json")
            query = dict(request.query_params)
            if b"%25" in request.scope["query_string"]:
                result: Any = simmarket.Refusal(10001, "params error: cursor is not verbatim")
            else:
                result = simmarket.ENDPOINTS[name](self.replay, self.interval, query, self.clock_ms)
            if isinstance(result, simmarket.Refusal):
                body = wire.envelope({}, self.clock_ms, code=result.code, message=result.message)
            else:
                body = wire.envelope(result, self.clock_ms)
            return Response(body, media_type="application/json")

        return answer

    async def _sim_clock(self, request: Request) -> Response:
        try:
            wish = msgspec.json.decode(await request.body(), type=dict[str, Any])
            if "speed" in wish:
                self.set_speed(parse_speed(wish["speed"]))
            if "to" in wish:
                bars = (int(wish["to"]) - self.minute) // self.replay.interval_ms
                await self.advance(max(0, bars))
            if "step" in wish:
                await self.advance(int(wish["step"]))
        except (msgspec.DecodeError, ValueError, TypeError, DataError) as error:
            return _json(
                {"error": str(error), "hint": "{to: ms} | {step: bars} | {speed: N|max|hold}"}, 400
            )
        return _json(self.state())

    async def _sim_faults(self, request: Request) -> Response:
        try:
            self.add_faults(read_faults(await request.body()))
        except DataError as error:
            return _json({"error": error.what, "why": error.why}, 400)
        return _json(self.state())

    async def _sim_state(self, _request: Request) -> Response:
        return _json(self.state())

    # ------------------------------------------------------------------ life

    async def start(self, port: int = 0) -> dict[str, str]:
        """Listen on loopback and begin to play; returns the two addresses."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind(("127.0.0.1", port))
            self._socket.listen(128)
        except OSError as error:
            self._socket.close()
            raise DataError(
                f"port {port} cannot be used",
                why=error.strerror or "",
                hint="--port 0 takes a free one",
            ) from error
        config = uvicorn.Config(
            self.app(),
            ws=_Protocol,
            ws_ping_interval=None,
            ws_per_message_deflate=False,
            log_config=None,
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
        self._uvicorn = _Server(config)
        self._tasks = [
            asyncio.create_task(self._uvicorn.serve(sockets=[self._socket]), name="sim-http"),
            asyncio.create_task(self._run(), name="sim-clock"),
        ]
        bound = self._socket.getsockname()[1]
        return {"rest": f"http://127.0.0.1:{bound}", "ws": f"ws://127.0.0.1:{bound}"}

    async def stop(self) -> None:
        """End every connection and stop listening."""
        if self._uvicorn is None:
            return
        http, clock = self._tasks
        clock.cancel()
        for connection in list(self.hub.connections.values()):
            connection.abort()
        self._uvicorn.should_exit = True
        await asyncio.gather(http, clock, return_exceptions=True)
        self._uvicorn = None

    @contextlib.asynccontextmanager
    async def running(self, port: int = 0) -> AsyncIterator[dict[str, str]]:
        """Run for the length of a block."""
        addresses = await self.start(port)
        try:
            yield addresses
        finally:
            await self.stop()

    async def wait(self) -> None:
        """Serve until the server ends."""
        await asyncio.gather(*self._tasks)


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")
