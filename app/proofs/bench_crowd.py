"""Many user engines in this process over a venue that answers at once: what an engine costs.

Everything between the signal and the transport is the real thing (supervisor, decisions, store,
budgets, signatures, private streams); the venue is a few canned bytes, and the market is quoted by
the market layer's own desk.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np

from data.records.port import Store
from data.records.rows import SettingsRow, UserRow
from engine.account.settings import UserSettings
from engine.account.signal import Signal
from engine.risk.limits import RiskLimits
from engine.venue import wire
from engine.venue.instrument import Instrument
from live.accounts.brain import AccountBrain
from live.accounts.commit import Group
from live.accounts.ports import Account, NoAccount
from live.accounts.session import Parts
from live.accounts.supervisor import Supervisor
from live.accounts.wal import MemoryWals
from live.bus import LocalBus
from live.clock import SystemClock
from live.market.desk import Desk
from live.market.signals import Teller
from live.venues.bybit.budget import WindowBudget
from live.venues.bybit.budgets import RequestBudget
from live.venues.bybit.clock_offset import VenueClock
from live.venues.bybit.gate import Gate
from live.venues.bybit.private_stream import BybitPrivateStream
from live.venues.bybit.signer import Signer
from live.venues.bybit.trading import BybitTrading
from live.venues.bybit.transport import Auth, NoReply, Params, Reply, payload

PLENTY = 1_000_000
PRICE = 100.0
STEP_MS = 900_000
# A busy machine takes seconds for what should take half of one: nobody is refused for that here.
SETTINGS = UserSettings(risk=RiskLimits(quote_age_max_ms=60_000))
CREATE, LEVERAGE = "/v5/order/create", "/v5/position/set-leverage"
_CLOCK = SystemClock()
_WALLET = {
    "list": [
        {
            "accountType": "UNIFIED",
            "totalAvailableBalance": "100000",
            "coin": [{"coin": "USDT", "walletBalance": "100000", "equity": "100000"}],
        }
    ]
}
_EMPTY: dict[str, Any] = {"list": [], "nextPageCursor": "", "category": "linear"}


class Quiet:
    """A log that keeps what went wrong."""

    def __init__(self) -> None:
        self.wrong: list[str] = []

    def info(self, event: str, **facts: Any) -> None:
        """Say nothing."""

    def warning(self, event: str, **facts: Any) -> None:
        """Keep it."""
        self.wrong.append(f"{event} {facts}")

    error = warning


class CannedSocket:
    """A private stream that says yes, and afterwards what the venue pushes."""

    def __init__(self) -> None:
        self._frames: asyncio.Queue[bytes] = asyncio.Queue()

    async def send(self, frame: bytes) -> None:
        """Answer at once."""
        asked = msgspec.json.decode(frame)
        reply = {"success": True, "ret_msg": "", "op": asked["op"], "conn_id": "c"}
        if asked["op"] == "ping":
            reply |= {"op": "pong", "args": [str(_CLOCK.now_ms())]}
        self._frames.put_nowait(msgspec.json.encode(reply))

    async def recv(self) -> bytes:
        """Return the next frame; there may never be one."""
        return await self._frames.get()

    def push(self, frame: bytes) -> None:
        """Let the venue tell something."""
        self._frames.put_nowait(frame)

    def abort(self) -> None:
        """Nothing is held."""


@dataclass(slots=True)
class CannedVenue:
    """A `Transport` that notes when an order is handed to it, and accepts everything.

    What it does itself while orders are under way is kept small: bytes put together.
    """

    sockets: dict[str, CannedSocket] = field(default_factory=dict)
    wall_ns: list[int] = field(default_factory=list)
    cpu_ns: list[int] = field(default_factory=list)
    requests: int = 0

    async def send(
        self, method: str, path: str, params: Params, *, auth: Auth | None = None
    ) -> Reply | NoReply:
        """Sign as any transport does, note an order, answer on the loop's next turn."""
        sent_s = _CLOCK.monotonic_s()
        self.requests += 1
        text = payload(method, params)
        if auth is not None:
            auth.headers(method, path, text)
        if path == CREATE:
            self.wall_ns.append(time.perf_counter_ns())
            self.cpu_ns.append(time.process_time_ns())
        await asyncio.sleep(0)
        body = b'{"retCode":0,"retMsg":"OK","result":%b,"retExtInfo":{},"time":%d}' % (
            self._result(path, params, auth),
            _CLOCK.now_ms(),
        )
        return Reply(200, body, {}, sent_s, _CLOCK.monotonic_s())

    def _result(self, path: str, params: Params, auth: Auth | None) -> bytes:
        if path == CREATE:
            link = str(params["orderLinkId"])
            if auth is not None:
                self.sockets[auth.api_key].push(_order_news(params, link))
            return msgspec.json.encode({"orderId": f"o-{link}", "orderLinkId": link})
        if path == LEVERAGE:
            return b"{}"
        wallet = path.endswith("wallet-balance")
        return msgspec.json.encode(_WALLET if wallet else _EMPTY)

    async def close(self) -> None:
        """Nothing is held."""


def _order_news(params: Params, link: str) -> bytes:
    now = _CLOCK.now_ms()
    row = {
        "category": "linear",
        "orderId": f"o-{link}",
        "orderLinkId": link,
        "symbol": params["symbol"],
        "side": params["side"],
        "orderType": params["orderType"],
        "orderStatus": "New",
        "qty": params["qty"],
        "price": params.get("price", ""),
        "stopLoss": params.get("stopLoss", ""),
        "tpslMode": params.get("tpslMode", ""),
        "timeInForce": "GTC",
        "createdTime": str(now),
        "updatedTime": str(now),
    }
    return msgspec.json.encode({"topic": "order", "id": link, "creationTime": now, "data": [row]})


class Crowd:
    """So many users' engines, in one process.

    Parameters
    ----------
    store : Store
    users : int
    symbols : iterable of str
        The coins that are quoted.
    """

    def __init__(self, store: Store, users: int, symbols: Iterable[str]) -> None:
        clock, rng = _CLOCK, np.random.default_rng(7)
        self.store = store
        self.users = [f"00000000-0000-4000-8000-{n:012d}" for n in range(users)]
        self.venue = CannedVenue()
        self.budget = RequestBudget(clock, ip_requests=PLENTY, in_flight_max=PLENTY)
        self.gate = Gate(self.venue, self.budget, VenueClock(clock), clock, rng)
        self.log = Quiet()
        self.group = Group(store, clock)
        self.desk = desk_of(symbols)
        parts = Parts(
            store=store,
            group=self.group,
            wals=MemoryWals(),
            accounts=self,
            brain=AccountBrain(),
            market=self.desk,
            clock=clock,
            log=self.log,
        )
        self.supervisor = Supervisor(parts, "bench")
        self._rng = rng
        self._connections = WindowBudget(clock, PLENTY, 300.0)
        self._task: asyncio.Task[None] | None = None

    # ------------------------------------------------------------------ the port `Accounts`

    async def open(self, user: UserRow) -> Account | NoAccount:
        """Open one user's account; no key is looked at."""
        key = user.user_id
        signer = Signer(key, "secret")
        socket = self.venue.sockets[key] = CannedSocket()

        async def connect(url: str) -> CannedSocket:  # noqa: ARG001 - the port's name
            return socket

        stream = BybitPrivateStream(
            "ws://canned",
            signer,
            self.gate.venue_clock,
            _CLOCK,
            self._rng,
            connections=self._connections,
            connect=connect,
        )
        self.budget.learn(key, CREATE, PLENTY)
        venue = BybitTrading(self.gate, signer, user=key, on_accepted=stream.expect_data)
        return Account(venue, stream, lambda: "ISOLATED_MARGIN")

    async def check(self, user: UserRow) -> NoAccount | None:
        """Find nothing wrong."""

    # ------------------------------------------------------------------ life

    async def start(self) -> None:
        """Make the users, start their engines, and wait until each has read its account."""
        body = msgspec.json.encode(SETTINGS)
        for user_id in self.users:
            row = UserRow(user_id=user_id, name=user_id[-4:], mode="sim", created_ms=1)
            settings = SettingsRow(user_id=user_id, version=1, body=body, created_ms=1)
            wrong = await self.store.add_user(row, settings)
            if wrong is not None:
                raise RuntimeError(wrong.reason)
        await self.gate.sync_clock()
        await self.desk.judge_regime()
        self._task = asyncio.create_task(self.supervisor.run())
        await self.until(lambda: sum(map(_has_read, self.engines())) == len(self.users))

    def engines(self) -> list[Any]:
        """Return the engines that run."""
        return [s.engine for s in self.supervisor.sessions() if s.engine is not None]

    async def until(self, holds: Callable[[], bool], wait_s: float = 120.0) -> None:
        """Wait until something holds.

        Raises
        ------
        RuntimeError
            It does not, or something went wrong meanwhile.
        """
        end_s = _CLOCK.monotonic_s() + wait_s
        while not holds():
            if _CLOCK.monotonic_s() > end_s or (self._task is not None and self._task.done()):
                raise RuntimeError(f"the engines do not get there: {self.log.wrong[:3]}")
            await _CLOCK.sleep(0.02)

    async def signal(self, symbol: str) -> tuple[int, int, list[int], list[int]]:
        """Hand one breakout to all; returns wall and CPU ns of the start, and of each order."""
        self.venue.wall_ns.clear()
        self.venue.cpu_ns.clear()
        signal = signal_of(symbol)
        self.quote(symbol)
        wall, cpu = time.perf_counter_ns(), time.process_time_ns()
        told = self.supervisor.signal(signal)
        await self.until(lambda: len(self.venue.wall_ns) >= told)
        return wall, cpu, list(self.venue.wall_ns), list(self.venue.cpu_ns)

    def quote(self, symbol: str) -> None:
        """Let the market quote a coin now."""
        feed(self.desk, symbol)

    async def settled(self) -> None:
        """Wait until every order's news is decided on."""
        await self.until(lambda: not any(s.under_way() for s in self.supervisor.sessions()))

    async def close(self) -> None:
        """End everything."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.gate.close()
        await self.store.close()


def _has_read(engine: Any) -> bool:
    return engine.state is not None and engine.state.read_ms > 0 and not engine.state.lost_reason


# ---------------------------------------------------------------------------- the market


def contract_of(symbol: str) -> Instrument:
    """Return the rules of a made coin."""
    return Instrument(
        symbol=symbol,
        tick_size=Decimal("0.01"),
        qty_step=Decimal("0.01"),
        min_order_qty=Decimal("0.01"),
        max_order_qty=Decimal(100_000),
        max_mkt_order_qty=Decimal(50_000),
    )


def desk_of(symbols: Iterable[str]) -> Desk:
    """Return the market layer's desk over made coins; nobody is asked for anything."""
    unused: Any = None
    teller = Teller("default", "15m", str, lambda _: None, fresh_ms=STEP_MS, end_ms=STEP_MS)
    desk = Desk(
        bus=LocalBus(),
        clock=_CLOCK,
        stream=None,
        rest=unused,
        teller=teller,
        venue_ms=_CLOCK.now_ms,
        note=lambda _: None,
    )
    names = list(symbols)
    desk.contracts.by_symbol.update((name, contract_of(name)) for name in names)
    desk.watch(names)
    for name in names:
        feed(desk, name)
    return desk


_ROW = {
    "lastPrice": f"{PRICE}",
    "markPrice": f"{PRICE}",
    "price24hPcnt": "0.01",
    "highPrice24h": f"{PRICE * 1.02}",
    "turnover24h": "99887766.55",
    "fundingRate": "0.0001",
    "fundingIntervalHour": "8",
    "bid1Price": f"{PRICE}",
    "ask1Price": f"{PRICE + 0.01}",
}


def feed(desk: Desk, symbol: str) -> None:
    """Give the desk a ticker of now."""
    now = _CLOCK.now_ms()
    data = {"symbol": symbol, **_ROW, "nextFundingTime": str(now + 3_600_000)}
    raw = {
        "topic": wire.ticker_topic(symbol), "type": "snapshot", "data": data, "cs": now, "ts": now,
    }  # fmt: skip
    message: Any = wire.decode_market(msgspec.json.encode(raw))
    desk.quotes.ticker(message)


def signal_of(symbol: str) -> Signal:
    """Return a breakout of now."""
    t = _CLOCK.now_ms()
    return Signal(
        signal_id=f"default-15m-{symbol}-{t}",
        symbol=symbol,
        profile="default",
        interval_ms=STEP_MS,
        t=t,
        close=PRICE,
        level=PRICE * 0.99,
        levels=(PRICE * 0.99,) * 8,
        floor=PRICE * 0.96,
        batr=PRICE * 0.01,
        atr=PRICE * 0.01,
    )
