"""Where the contract runs: the simulator in process, the simulator over sockets, the real venue.

Both simulators replay a market that stands still until a case moves it.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import numpy as np

from app.proofs.contract.case import Need
from app.proofs.contract.parts import Parts
from app.proofs.simloop import SimClock
from app.proofs.simwire import DoorConnect, DoorTransport
from engine.bars import Bars
from engine.errors import UsageError
from engine.venue.exchange.commands import Funding, Prints
from engine.venue.replay import Replay
from engine.venue.words import Side
from live.clock import Alarm, Clock, SystemClock
from live.venues.bybit import simacts, simcontrol
from live.venues.bybit.faults import Fault
from live.venues.bybit.frames import open_websocket
from live.venues.bybit.simdoor import HttpReply, HttpRequest
from live.venues.bybit.simvenue import SimVenue

SYMBOL, OTHER = "AAAUSDT", "BBBUSDT"
_DAY_MS = 86_400_000
_DAYS = 20
_EQUITY = Decimal(100_000)
_TICK_S = 0.05
_PRICES = {SYMBOL: 100.0, OTHER: 2.5}
_EVERYTHING = frozenset(Need)
_REAL = {
    "demo": ("https://api-demo.bybit.com", "wss://stream-demo.bybit.com"),
    "testnet": ("https://api-testnet.bybit.com", "wss://stream-testnet.bybit.com"),
}


class Steered(Replay):
    """A market that trades where it is told to, and otherwise stands still."""

    def __init__(self, now_ms: int) -> None:
        first = now_ms - now_ms % _DAY_MS - _DAYS // 2 * _DAY_MS
        ts = first + _DAY_MS * np.arange(_DAYS, dtype=np.int64)
        bars = {}
        for symbol, price in _PRICES.items():
            flat = np.full(_DAYS, price)
            high = flat + price / 10_000  # gives the contract its grid
            volume = np.full(_DAYS, 1e4)
            bars[symbol] = Bars.from_arrays(ts, flat, high, flat, flat, volume, volume * price)
        super().__init__(_DAY_MS, bars)
        self.prices = dict(_PRICES)

    def last_price(self, symbol: str, clock_ms: int) -> float:  # noqa: ARG002 - as the market's
        """Return the price it was sent to."""
        return self.prices[symbol]

    def index(self, symbol: str, ts: int) -> int | None:  # noqa: ARG002
        """Return None: no bar is played, nothing trades unasked."""
        return None


class _Timely(SimVenue):
    """A venue whose time has come to now whenever it is asked, as the server's has."""

    def request(self, request: HttpRequest, wall_ms: int, fault: Fault | None = None) -> HttpReply:
        """Answer one request."""
        self.desk.advance(wall_ms)
        return super().request(request, wall_ms, fault)


class SimControls:
    """The controls of a simulated venue, on whichever side of a socket its client is."""

    def __init__(self, venue: SimVenue, api_key: str, uid: int) -> None:
        self._venue = venue
        self._key = api_key
        self._uid = uid

    def price(self, symbol: str, value: Decimal) -> None:
        """Let the market trade at a price from now on."""
        replay = self._venue.desk.replay
        if isinstance(replay, Steered):
            replay.prices[symbol] = float(value)
        self._venue.desk.tape.quote(symbol)

    def prints(self, symbol: str, price: Decimal, qty: Decimal, taker: str) -> None:
        """Let a quantity trade at a price, beyond what stands in front of the user's orders."""
        desk = self._venue.desk
        account = desk.exchange.account(self._uid)
        ahead = [
            o.queue_ahead
            for o in account.open_of(symbol).values()
            if o.price == price and not o.is_conditional
        ]
        most = max(ahead, default=Decimal(0))
        desk.step(Prints(symbol=symbol, price=price, qty=most + qty, taker_side=Side(taker)))

    def fund(self, symbol: str, rate: Decimal) -> None:
        """Settle a funding instant now."""
        self._venue.desk.step(Funding(symbol=symbol, rate=rate))

    def arm(self, kind: str, **more: Any) -> None:
        """Arm a fault."""
        self._venue.plan.add([Fault(kind=kind, **more)])  # pyrefly: ignore[bad-argument-type]

    def calm(self) -> None:
        """Disarm what has not fired."""
        self._venue.plan.clear()

    def expired_key(self) -> tuple[str, str]:
        """Return a key of this account that has expired."""
        made = self._venue.desk.keys.issue(self._uid, expires_ms=1)
        return made.key, made.secret

    def human(self, action: str, symbol: str) -> None:
        """Let the account's owner act at the venue's own screen."""
        simacts.human(self._venue.desk, self._uid, action, symbol=symbol)

    def truth(self) -> dict[str, Any]:
        """Return everything of the account as it is."""
        return simcontrol.truth(self._venue.desk, self._key)


@contextlib.asynccontextmanager
async def inside(clock: SimClock, seed: int = 0) -> AsyncIterator[Parts]:
    """Run the simulator without sockets, on virtual time."""
    venue = _Timely(Steered(clock.now_ms()), "1d", seed=seed, start_ms=clock.now_ms())
    key = venue.desk.open_account(_EQUITY)
    rng = np.random.default_rng([seed, 0xFACE])

    async def time() -> None:
        while True:
            await clock.sleep(_TICK_S)
            venue.desk.advance(clock.now_ms())

    ticking = asyncio.create_task(time())
    try:
        yield Parts(
            name="in process",
            symbol=SYMBOL,
            api_key=key.key,
            secret=key.secret,
            clock=clock,
            transport=lambda: DoorTransport(venue, clock, rng, delay_ms=(1.0, 5.0)),
            connect=DoorConnect(venue, clock),
            ws_url="ws://sim",
            offers=_EVERYTHING,
            wait=clock.sleep,
            seed=seed,
            controls=SimControls(venue, key.key, key.uid),
        )
    finally:
        ticking.cancel()
        await asyncio.gather(ticking, return_exceptions=True)
    _look_for_crashes(venue)


class _Ahead:
    """The machine's clock, and what it was moved ahead."""

    def __init__(self) -> None:
        self._clock = SystemClock()
        self._ahead_ms = 0

    def now_ms(self) -> int:
        """Return the wall clock, UTC ms."""
        return self._clock.now_ms() + self._ahead_ms

    def monotonic_s(self) -> float:
        """Return seconds that never jump back."""
        return self._clock.monotonic_s() + self._ahead_ms / 1000.0

    async def sleep(self, delay_s: float) -> None:
        """Sleep on the event loop; a jump ahead does not shorten it."""
        await self._clock.sleep(delay_s)

    def call_later(self, delay_s: float, call: Callable[[], None]) -> Alarm:
        """Call from the event loop; a jump ahead does not hasten it."""
        return self._clock.call_later(delay_s, call)

    async def jump(self, delay_s: float) -> None:
        """Move ahead, for everyone who uses this clock."""
        self._ahead_ms += round(delay_s * 1000.0)
        await self._clock.sleep(0.0)


@contextlib.asynccontextmanager
async def served(seed: int = 0) -> AsyncIterator[Parts]:
    """Run the simulator over real sockets, reached through pybit and websockets."""
    from live.venues.bybit.pybit_transport import PybitTransport
    from live.venues.bybit.simserver import SimServer

    clock = _Ahead()
    now_ms = clock.now_ms()
    sim = SimServer(Steered(now_ms), "1d", clock, speed=1.0, start_ms=now_ms, seed=seed, updates=0)
    key = sim.venue.desk.open_account(_EQUITY)
    async with sim.running() as addresses:
        yield Parts(
            name="over sockets",
            symbol=SYMBOL,
            api_key=key.key,
            secret=key.secret,
            clock=clock,
            transport=lambda: PybitTransport(addresses["rest"], clock, workers=8),
            connect=open_websocket,
            ws_url=addresses["ws"],
            offers=_EVERYTHING,
            wait=clock.jump,
            seed=seed,
            controls=SimControls(sim.venue, key.key, key.uid),
        )
    _look_for_crashes(sim.venue)


def _look_for_crashes(venue: SimVenue) -> None:
    if venue.desk.crashes:
        raise RuntimeError(f"the simulator failed: {venue.desk.crashes[0]}")


@contextlib.asynccontextmanager
async def real(mode: str, api_key: str, secret: str, symbol: str) -> AsyncIterator[Parts]:
    """Name Bybit's demo or testnet, with a key of the user's; never the live venue."""
    from live.venues.bybit.pybit_transport import PybitTransport

    if mode not in _REAL:
        raise UsageError(f"the venue contract does not run on {mode!r}", hint="sim, demo, testnet")
    rest, ws = _REAL[mode]
    clock: Clock = SystemClock()
    offers = {Need.MONEY, Need.HEDGE, Need.MANY}
    if mode == "testnet":  # demo trading has no order entry by stream
        offers.add(Need.ORDER_STREAM)
    yield Parts(
        name=mode,
        symbol=symbol,
        api_key=api_key,
        secret=secret,
        clock=clock,
        transport=lambda: PybitTransport(rest, clock, workers=8),
        connect=open_websocket,
        ws_url=ws,
        offers=frozenset(offers),
        wait=clock.sleep,
    )
