"""One connection of the public stream: subscribe, read, watch its pulse, begin again."""

import asyncio
from collections.abc import Coroutine
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from engine.venue import wire
from engine.venue.wire import Kline, KlinePush, Reply
from live.clock import Clock
from live.venues.bybit.budget import WindowBudget
from live.venues.port import ClosedBar, Joined, Lost, Quiet, StreamItem, TopicOutcome, TopicState


@dataclass(frozen=True, slots=True)
class ShardOptions:
    """Timings of one connection, seconds."""

    ping_s: float = 20.0  # the venue asks for a ping each 20 s
    pong_s: float = 10.0  # no pong for this long after a ping: the connection is dead
    silence_s: float = 90.0  # candles are pushed each 1-60 s
    answer_s: float = 10.0  # for the acknowledgement of a subscription
    open_s: float = 10.0
    backoff_first_s: float = 0.5
    backoff_max_s: float = 30.0
    topics_per_request: int = 100


@dataclass(slots=True)
class ShardCounters:
    """What happened on a connection."""

    messages: int = 0
    confirmed: int = 0
    repeated: int = 0
    malformed: int = 0
    reconnects: int = 0
    failed_connects: int = 0
    silent_topics: int = 0
    refused: int = 0

    def as_dict(self) -> dict[str, int]:
        """Return the counters by name."""
        return asdict(self)


class Sink(Protocol):
    """Where a connection puts what it reads."""

    async def put(self, item: StreamItem) -> None:
        """Queue an item, waiting for room."""
        ...

    def tick(self, symbol: str, bar: Kline) -> None:
        """Replace a symbol's open candle."""
        ...


class _Dead(Exception):  # noqa: N818 - it names the event
    """The connection is of no more use; the message says why."""


@dataclass(slots=True)
class _Session:
    """What belongs to one life of the connection."""

    socket: ClientConnection
    joined: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    answers: dict[str, asyncio.Future[Reply]] = field(default_factory=dict)
    heard: dict[str, float] = field(default_factory=dict)  # last message of a symbol
    pong_s: float = 0.0
    ping_open: bool = False
    blocked: bool = False  # the reader waits for room: what looks silent is only unread


class Shard:
    """One connection and the symbols placed on it."""

    def __init__(
        self,
        number: int,
        *,
        url: str,
        interval: str,
        sink: Sink,
        clock: Clock,
        rng: np.random.Generator,
        budget: WindowBudget,
        options: ShardOptions,
    ) -> None:
        self.number = number
        self.wanted: set[str] = set()
        self.chars = 0
        self.counters = ShardCounters()
        self.connected = False
        self.last_message_s = 0.0
        self._url = url
        self._interval = interval
        self._prefix = len(wire.kline_topic(interval, ""))
        self._sink = sink
        self._clock = clock
        self._rng = rng
        self._budget = budget
        self._options = options
        self._changed = asyncio.Event()
        self._retry_refused = False
        self._confirmed: dict[str, int] = {}
        self._requests = 0
        self._attempt = 0

    # ------------------------------------------------------------------ symbols

    def add(self, symbol: str) -> None:
        """Want a symbol."""
        self.wanted.add(symbol)
        self.chars += len(wire.kline_topic(self._interval, symbol)) + 3
        self._changed.set()

    def remove(self, symbol: str) -> None:
        """Want a symbol no more."""
        self.wanted.discard(symbol)
        self.chars -= len(wire.kline_topic(self._interval, symbol)) + 3
        self._confirmed.pop(symbol, None)
        self._changed.set()

    def refresh(self) -> None:
        """Ask again for what was refused."""
        self._retry_refused = True
        self._changed.set()

    # ------------------------------------------------------------------ life

    async def run(self) -> None:
        """Keep the connection up until cancelled."""
        while True:
            await self._budget.take()
            try:
                socket = await connect(
                    self._url,
                    ping_interval=None,  # the venue counts its own, text-frame pings
                    compression=None,
                    open_timeout=self._options.open_s,
                    close_timeout=1.0,
                    max_size=2**20,
                )
            except (OSError, TimeoutError, InvalidHandshake, ConnectionClosed, EOFError):
                self.counters.failed_connects += 1
                await self._back_off()
                continue
            began_s = self._clock.monotonic_s()
            session = _Session(socket, pong_s=began_s)
            reason = "cancelled"
            try:
                reason = await self._live(session)
            finally:
                self.connected = False
                socket.transport.abort()  # a half-open socket would hold a polite close for long
            self.counters.reconnects += 1
            if self._clock.monotonic_s() - began_s > self._options.backoff_max_s:
                self._attempt = 0  # it stood long enough: no reason to be slow
            await self._sink.put(Lost(self.number, tuple(sorted(session.joined)), reason))
            await self._back_off()

    async def _back_off(self) -> None:
        grown_s = self._options.backoff_first_s * 2.0**self._attempt
        limit_s = min(self._options.backoff_max_s, grown_s)
        self._attempt = min(self._attempt + 1, 16)
        await self._clock.sleep(limit_s * (0.5 + 0.5 * float(self._rng.random())))

    async def _live(self, session: _Session) -> str:
        self.connected = True
        self._changed.set()
        jobs: list[Coroutine[Any, Any, None]] = [
            self._read(session),
            self._keep_subscribed(session),
            self._keep_alive(session),
            self._watch_silence(session),
        ]
        tasks = [asyncio.create_task(job) for job in jobs]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            error = task.exception()
            if isinstance(error, _Dead | ConnectionClosed | OSError):
                return str(error) or type(error).__name__
            if error is not None:
                raise error
        return "closed"

    # ------------------------------------------------------------------ reading

    async def _read(self, session: _Session) -> None:
        recv = session.socket.recv
        while True:
            raw = await recv(decode=False)
            self.counters.messages += 1
            now_s = self._clock.monotonic_s()
            self.last_message_s = now_s
            try:
                message = wire.decode_stream(raw)
            except wire.WireError:
                self.counters.malformed += 1  # one frame is lost, the connection goes on
                continue
            if isinstance(message, KlinePush):
                await self._kline(session, message, now_s)
            elif isinstance(message, Reply):
                self._reply(session, message, now_s)

    async def _kline(self, session: _Session, push: KlinePush, now_s: float) -> None:
        symbol = push.topic[self._prefix :]
        if symbol not in self.wanted:
            return  # still on its way when the topic was given up
        session.heard[symbol] = now_s
        self._attempt = 0  # data flows: the next failure starts with a short delay again
        for bar in push.data:
            if not bar.confirm:
                self._sink.tick(symbol, bar)
            elif self._confirmed.get(symbol) == bar.start:
                self.counters.repeated += 1
            else:
                self._confirmed[symbol] = bar.start
                self.counters.confirmed += 1
                session.blocked = True
                await self._sink.put(ClosedBar(symbol, self.number, bar))
                session.blocked = False

    def _reply(self, session: _Session, reply: Reply, now_s: float) -> None:
        if reply.is_pong:
            session.pong_s = now_s
            session.ping_open = False
            return
        waiting = session.answers.pop(str(reply.req_id or ""), None)
        if waiting is not None and not waiting.done():
            waiting.set_result(reply)

    # ------------------------------------------------------------------ subscriptions

    async def _keep_subscribed(self, session: _Session) -> None:
        while True:
            self._changed.clear()
            if self._retry_refused:
                self._retry_refused = False
                session.refused.clear()
            gone = sorted(session.joined - self.wanted)
            if gone:
                await self._ask(session, "unsubscribe", gone)
                session.joined.difference_update(gone)
            new = sorted(self.wanted - session.joined - session.refused)
            before = set(session.joined)
            size = self._options.topics_per_request
            for at in range(0, len(new), size):
                await self._subscribe(session, new[at : at + size])
            fresh = tuple(sorted(session.joined - before))
            if fresh:
                await self._sink.put(Joined(self.number, fresh))
            await self._changed.wait()

    async def _subscribe(self, session: _Session, symbols: list[str]) -> None:
        """Subscribe, halving a refused list until each bad topic stands alone."""
        reply = await self._ask(session, "subscribe", symbols)
        if reply.success or "already subscribed" in reply.ret_msg.lower():
            now_s = self._clock.monotonic_s()
            for symbol in symbols:
                session.joined.add(symbol)
                session.heard[symbol] = now_s
                await self._sink.put(TopicOutcome(symbol, TopicState.ACCEPTED))
        elif len(symbols) == 1:
            session.refused.add(symbols[0])
            self.counters.refused += 1
            await self._sink.put(TopicOutcome(symbols[0], TopicState.REFUSED, reply.ret_msg))
        else:
            middle = len(symbols) // 2
            await self._subscribe(session, symbols[:middle])
            await self._subscribe(session, symbols[middle:])

    async def _ask(self, session: _Session, op: str, symbols: list[str]) -> Reply:
        self._requests += 1
        key = f"{self.number}-{self._requests}"
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        session.answers[key] = answer
        topics = [wire.kline_topic(self._interval, s) for s in symbols]
        await session.socket.send(wire.encode_subscribe(op, topics, key), text=True)
        late = asyncio.create_task(self._clock.sleep(self._options.answer_s))
        try:
            await asyncio.wait({answer, late}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            late.cancel()
            session.answers.pop(key, None)
        if answer.done():
            return answer.result()
        for symbol in symbols:
            await self._sink.put(TopicOutcome(symbol, TopicState.UNANSWERED))
        raise _Dead(f"no answer to {op} within {self._options.answer_s:g} s")

    # ------------------------------------------------------------------ pulse

    async def _keep_alive(self, session: _Session) -> None:
        while True:
            self._requests += 1
            session.ping_open = True
            ping = wire.encode_ping(f"{self.number}-{self._requests}")
            await session.socket.send(ping, text=True)
            await self._clock.sleep(self._options.pong_s)
            if session.ping_open and not session.blocked:
                raise _Dead(f"no pong within {self._options.pong_s:g} s")
            await self._clock.sleep(max(0.0, self._options.ping_s - self._options.pong_s))

    async def _watch_silence(self, session: _Session) -> None:
        limit_s = self._options.silence_s
        while True:
            await self._clock.sleep(limit_s / 4.0)
            now_s = self._clock.monotonic_s()
            heard = session.heard
            silent = sorted(s for s in session.joined if now_s - heard.get(s, now_s) > limit_s)
            if not silent or session.blocked:
                continue
            if len(silent) == len(session.joined):
                raise _Dead(f"no data for {limit_s:g} s although the connection lives")
            # Only some are silent: ask for those anew, and let REST be asked for what they missed.
            self.counters.silent_topics += len(silent)
            await self._ask(session, "unsubscribe", silent)
            session.joined.difference_update(silent)
            for symbol in silent:
                await self._sink.put(Quiet(symbol, self.number))
            self._changed.set()
