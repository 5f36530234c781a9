"""One connection of a signed stream, without its socket: frames in, frames out when they are due.

The WebSocket server and the in-process port push frames in (`receive`), take frames out (`due`) and
obey `ending`. What the venue's faults do to a stream is done here, so both see the same.
"""

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from live.venues.bybit.faults import Fault
from live.venues.bybit.simauth import Caller, KeyRing
from live.venues.bybit.simdesk import Desk
from live.venues.bybit.simfaults import CONNECT, STREAM

FRAME_BYTES_MAX = 1 << 20
IDLE_MS = 600_000  # no frame of the client for so long: cut
_LOOK_MS = 30_000  # how often max_active_time is looked at
_WAITING_MAX = 20_000  # frames a reader may be behind before it is cut off
_LIFE_MIN_MS, _LIFE_MAX_MS = 30_000, 600_000
Ending = Literal["", "close", "abort"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a connection comes from."""

    number: int
    ip: str = "127.0.0.1"
    max_active: str = ""  # as asked for in the address, e.g. 30s or 1m


def read_life(text: str) -> int | None:
    """Read ``max_active_time``: 30s to 600s or 1m to 10m, in ms; None for anything else.

    >>> read_life("30s"), read_life("2m"), read_life("5s"), read_life("soon")
    (30000, 120000, None, None)
    """
    number, unit = text[:-1], text[-1:]
    if not (number.isascii() and number.isdigit()) or len(number) > 4:  # noqa: PLR2004 - seconds
        return None
    life = int(number) * {"s": 1_000, "m": 60_000}.get(unit, 0)
    return life if _LIFE_MIN_MS <= life <= _LIFE_MAX_MS else None


class Session:
    """What the private and the order-entry stream have in common.

    Parameters
    ----------
    desk : Desk
    origin : Origin
    wall_ms : int
        The server's clock when it came.
    """

    stream = ""

    def __init__(self, desk: Desk, origin: Origin, wall_ms: int) -> None:
        self.desk = desk
        self.origin = origin
        self.conn_id = f"sim-{self.stream}-{origin.number}"
        self.caller: Caller | None = None
        self.ending: Ending = ""
        self.stalled = False  # nothing but pongs
        self.muted = False  # nothing at all
        self.wall_ms = wall_ms
        self.wake: Callable[[], None] = lambda: None  # called when there is something to do
        self._heard_ms = self._known_ms = wall_ms
        self._turns = itertools.count()
        self._out: list[tuple[int, int, bytes]] = []
        self._held: list[tuple[int, int, Callable[[], None]]] = []  # what is looked at later
        life = read_life(origin.max_active) if origin.max_active else None
        self._cut_ms = None if life is None else wall_ms + -(-life // _LOOK_MS) * _LOOK_MS
        fault = self.draw(CONNECT - {"refuse_connect"})
        if fault is not None:
            self._cut_ms = wall_ms + fault.ms

    @property
    def keys(self) -> KeyRing:
        """The venue's keys."""
        return self.desk.keys

    @property
    def names(self) -> tuple[str, ...]:
        """Every name a fault may call the user by."""
        if self.caller is None:
            return ()
        return (self.caller.key.key, str(self.caller.key.uid))

    # ------------------------------------------------------------------ frames

    def receive(self, raw: str | bytes, wall_ms: int) -> None:
        """Take a frame of the client in; answers wait in `due`."""
        self.wall_ms = self._heard_ms = wall_ms
        if self.ending or self.muted:
            return
        if len(raw) > FRAME_BYTES_MAX:
            self.ending = "close"
            return
        self._guard(lambda: self.answer(raw))

    def _guard(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - the server never falls; a test reads the list
            self.desk.crashes.append(f"{self.stream} stream: {type(error).__name__}: {error}")
            self.ending = "close"

    def answer(self, raw: str | bytes) -> None:
        """Answer one frame."""
        raise NotImplementedError

    def send(self, frame: bytes, *, delay_ms: int = 0, pong: bool = False) -> None:
        """Queue a frame."""
        if self.muted or (self.stalled and not pong) or self.ending == "abort":
            return
        heapq.heappush(self._out, (self.wall_ms + delay_ms, next(self._turns), frame))
        if len(self._out) > _WAITING_MAX:
            self.ending = "abort"
            self._out.clear()
        self.wake()

    def hold(self, delay_ms: int, work: Callable[[], None]) -> None:
        """Do something when so much time has passed, even if the connection ends before."""
        heapq.heappush(self._held, (self.wall_ms + delay_ms, next(self._turns), work))
        self.wake()

    def due(self, wall_ms: int) -> list[bytes]:
        """Do what was held until now; return the frames to send now, in order."""
        self.wall_ms = wall_ms
        while self._held and self._held[0][0] <= wall_ms:
            self._guard(heapq.heappop(self._held)[2])
        out = []
        while self._out and self._out[0][0] <= wall_ms:
            out.append(heapq.heappop(self._out)[2])
        return out

    def next_ms(self) -> int | None:
        """Return when there is something to do or to send; None when nothing waits."""
        return min((queue[0][0] for queue in (self._out, self._held) if queue), default=None)

    def look(self, wall_ms: int) -> None:
        """Look whether the connection's time is over; once a second is enough."""
        self.wall_ms = wall_ms
        over = self._cut_ms is not None and wall_ms >= self._cut_ms
        silent = wall_ms - self._heard_ms >= IDLE_MS
        if self.caller is not None:
            now = self.caller.now_ms + wall_ms - self._known_ms
            over = over or not self.keys.still_good(self.caller.key.key, now)
        if over or silent:
            self.ending = self.ending or "close"

    def told(self) -> int:
        """Return the venue's time to tell the client, who may sign by it from now on."""
        self.keys.told(self.desk.now_ms, self.wall_ms)
        return self.desk.now_ms

    def admit(self, caller: Caller) -> None:
        """Remember whose connection this is."""
        self.caller = caller
        self._known_ms = self.wall_ms

    def leave(self) -> None:
        """Forget the connection; what it had asked for has arrived and is still done."""
        self.ending = self.ending or "abort"
        held, self._held = self._held, []
        for _, _, work in sorted(held, key=lambda each: each[:2]):
            self._guard(work)

    # ------------------------------------------------------------------ faults

    def draw(self, kinds: frozenset[str], *, endpoint: str = "", topic: str = "") -> Fault | None:
        """Return the fault that strikes here."""
        return self.desk.faults.draw(
            kinds,
            account=self.names,
            endpoint=endpoint,
            topic=topic,
            stream=self.stream,
            now_ms=self.desk.now_ms,
        )

    def hurt(self, topic: str = "") -> bool:
        """Let a fault strike the connection itself; True when nothing more goes out."""
        fault = self.draw(STREAM, topic=topic)
        if fault is not None:
            if fault.kind == "stream_close":
                self.ending = "close"
            elif fault.kind == "stream_abort":
                self.ending = "abort"
            elif fault.kind == "stream_mute":
                self.muted = self.stalled = True
            else:
                self.stalled = True
            self.wake()
        return bool(self.ending) or self.stalled
