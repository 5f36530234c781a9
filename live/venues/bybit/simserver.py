"""A Bybit V5 (linear) on loopback, replayed from history: REST and streams on one port.

Stands in for the exchange in the demo, the tests and the proofs: the real clients talk to it over
real sockets. `hold` steps on command, `max` runs as fast as its readers read, a number is a speed.
The venue itself is `simvenue`; here are its sockets and its pace.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any, Literal

import uvicorn

from engine.errors import DataError
from engine.venue.replay import Replay
from live.clock import Clock
from live.venues.bybit.faults import Fault
from live.venues.bybit.simfaults import PLANNED
from live.venues.bybit.simhttp import Pages, RequestProtocol, StreamProtocol
from live.venues.bybit.simhub import Hub
from live.venues.bybit.simlimits import LimitRules
from live.venues.bybit.simsession import FRAME_BYTES_MAX
from live.venues.bybit.simvenue import SimVenue

_HEARD_S = 0.1  # enough for prices on one connection to be read before a candle on another
_BEAT_S = 0.25  # how often the market moves between two candle pushes, at a numeric speed
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
        Where the clock begins, maybe within a bar; all bars closed by then are history. Default:
        the first bar.
    updates : int
        Pushes of an open candle per bar.
    paused : bool
        Stand still until `resume`.
    seed : int
        Of ids, keys, books, faults.
    rules : LimitRules, optional
        What users and addresses may do; the venue's own numbers by default.
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
        seed: int = 0,
        rules: LimitRules | None = None,
    ) -> None:
        start = replay.first if start_ms is None else start_ms
        self.replay = replay
        self.interval = interval
        self.speed: Speed = "hold" if paused else speed
        self._resumed: Speed = speed
        self.minute = start - start % replay.interval_ms  # the candle that is open
        self.updates = updates
        self.venue = SimVenue(replay, interval, seed=seed, start_ms=start, rules=rules)
        self.venue.floor = self.hub = Hub(self.venue)
        self._clock = clock
        self._turn = asyncio.Lock()  # one advance at a time
        self._speed_changed = asyncio.Event()
        self._uvicorn: _Server | None = None
        self._socket: socket.socket | None = None
        self._tasks: list[asyncio.Task[Any]] = []
        self._anchor: tuple[float, int] | None = None  # when (s) the venue's time was what (ms)
        self._most_ms: int | None = None  # time may run this far by itself

    @property
    def clock_ms(self) -> int:
        """The venue's time."""
        return self.venue.desk.now_ms

    @clock_ms.setter
    def clock_ms(self, to_ms: int) -> None:
        self.venue.desk.advance(to_ms)

    @property
    def requests(self) -> int:
        """How many requests have come in."""
        return self.venue.door.requests

    # ------------------------------------------------------------------ time

    @property
    def finished(self) -> bool:
        """Tell whether the last bar is closed."""
        return self.minute > self.replay.last

    async def advance(self, bars: int = 1, *, gap_s: float = 0.0) -> None:
        """Close so many bars, pushing each; returns when clients have taken them.

        Between two pushes the venue's time stands still for `gap_s`, and prices of a close are out
        before its candle: who decides then finds quotes of that moment, however fast the days pass.
        """
        for _ in range(bars):
            async with self._turn:
                if self.finished:
                    return
                await self._one_bar(pace=False, gap_s=gap_s)

    async def _one_bar(self, *, pace: bool, gap_s: float = 0.0) -> None:
        length_ms = self.replay.interval_ms
        for i in range(1, self.updates + 1):
            share = i / (self.updates + 1)
            at = self.minute + int(share * length_ms)
            if at < self.clock_ms:
                continue  # time was set to within the bar
            if pace and not await self._wait(at):
                return
            self.venue.desk.advance(at)
            await self.hub.push_open(self.minute, share, self.clock_ms)
            if gap_s:
                await self._clock.sleep(gap_s)
        if pace and not await self._wait(self.minute + length_ms):
            return
        # The venue's history knows the candle before its stream says so.
        minute, self.minute = self.minute, self.minute + length_ms
        self.venue.desk.advance(self.minute)
        if gap_s:
            await self.hub.push_feeds()
            await self._clock.sleep(min(gap_s, _HEARD_S))
        await self.hub.push_closed(minute, self.clock_ms)
        if gap_s:
            await self._clock.sleep(gap_s)

    async def _wait(self, at_ms: int) -> bool:
        """Let time run to a moment at the speed of now; False when it was changed meanwhile."""
        if not isinstance(self.speed, float | int):
            return True
        if self._anchor is None:
            self._anchor = (self._clock.monotonic_s(), self.clock_ms)
        since_s, begin = self._anchor
        deadline_s = since_s + (at_ms - begin) / 1000.0 / self.speed
        self._most_ms = at_ms - 1
        try:
            while (left_s := deadline_s - self._clock.monotonic_s()) > 0.0:
                if not await self._beat(min(left_s, _BEAT_S)):
                    return False
                self.catch_up()
                await self.hub.push_feeds()
            return True
        finally:
            self._most_ms = None

    async def _beat(self, beat_s: float) -> bool:
        sleep = asyncio.ensure_future(self._clock.sleep(beat_s))
        changed = asyncio.ensure_future(self._speed_changed.wait())
        done, waiting = await asyncio.wait({sleep, changed}, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        return sleep in done

    def catch_up(self) -> None:
        """Move the venue's time to where the speed of now has brought it."""
        if self._anchor is None or self._most_ms is None:
            return
        since_s, begin = self._anchor
        speed = self.speed if isinstance(self.speed, float | int) else 0.0
        passed_ms = (self._clock.monotonic_s() - since_s) * 1000.0 * speed
        self.venue.desk.advance(min(self._most_ms, begin + int(passed_ms)))

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
            self.hub.patient = self.speed == "max"
            async with self._turn:
                await self._one_bar(pace=self.speed != "max")
            await asyncio.sleep(0)

    def set_speed(self, speed: Speed) -> None:
        """Change the speed at once."""
        self.speed = speed
        self._anchor = None
        self._speed_changed.set()

    def change_speed(self, text: str | float) -> None:
        """Read a speed and go at it at once; `DataError` for what is none."""
        self.set_speed(parse_speed(text))

    def pause(self) -> None:
        """Stand still until `resume`."""
        if self.speed != "hold":
            self._resumed = self.speed
        self.set_speed("hold")

    def resume(self) -> None:
        """Go on at the speed before the pause."""
        self.set_speed(self._resumed)

    def add_faults(self, faults: list[Fault]) -> None:
        """Arm faults of streams, requests and the venue."""
        self.venue.plan.add(faults)
        self.hub.add_faults([fault for fault in faults if fault.kind not in PLANNED])

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
            "faults_waiting": len(self.hub.faults) + self.venue.plan.waiting,
            "sessions": len(self.venue.sessions),
            "refused": dict(self.venue.limits.refused),
            "crashes": self.venue.desk.crashes,
        }

    # ------------------------------------------------------------------ life

    async def start(self, port: int = 0) -> dict[str, str]:
        """Listen on loopback and begin to play; returns the two addresses."""
        # With its protocol named, asyncio sends small replies at once (TCP_NODELAY).
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
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
            Pages(self, self._clock).app(),
            http=RequestProtocol,
            ws=StreamProtocol,
            ws_ping_interval=None,
            ws_max_size=FRAME_BYTES_MAX + 1,
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
        for session in list(self.venue.sessions.values()):
            session.ending = "abort"
            session.wake()
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
