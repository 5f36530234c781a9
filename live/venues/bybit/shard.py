"""One connection of the public stream: subscribe, read, watch its pulse, begin again."""

import asyncio
from collections.abc import Coroutine
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np

from engine.venue import wire
from engine.venue.wire import Reply
from live.clock import Clock, Late, within
from live.venues.bybit.budget import WindowBudget
from live.venues.bybit.frames import Connect, FrameSocket, SocketClosed
from live.venues.port import TopicState


@dataclass(frozen=True, slots=True)
class ShardOptions:
    """Timings of one connection, seconds."""

    ping_s: float = 20.0  # the venue asks for a ping each 20 s
    pong_s: float = 10.0  # no pong for this long after a ping: the connection is dead
    silence_s: float = 90.0  # of one topic: candles are pushed each 1-60 s
    stall_s: float = 0.0  # of all topics together; 0: no such limit
    answer_s: float = 10.0  # for the acknowledgement of a subscription
    open_s: float = 10.0
    backoff_first_s: float = 0.5
    backoff_max_s: float = 30.0
    topics_per_request: int = 100


@dataclass(slots=True)
class ShardCounters:
    """What happened on a connection."""

    messages: int = 0
    malformed: int = 0
    reconnects: int = 0
    failed_connects: int = 0
    silent_topics: int = 0
    refused: int = 0

    def as_dict(self) -> dict[str, int]:
        """Return the counters by name."""
        return asdict(self)


class Sink(Protocol):
    """What reads a connection's messages and hears what becomes of its topics."""

    def decode(self, raw: bytes) -> Any:
        """Read a frame: a `Reply`, or a push that names its ``topic``; `WireError` else."""
        ...

    async def push(self, shard: int, message: Any) -> None:
        """Take a push of a topic that is wanted; may wait for room."""
        ...

    async def joined(self, shard: int, topics: tuple[str, ...]) -> None:
        """Hear that topics receive data from now on."""
        ...

    async def lost(self, shard: int, topics: tuple[str, ...], reason: str) -> None:
        """Hear that a connection ended."""
        ...

    async def quiet(self, shard: int, topic: str) -> None:
        """Hear that a topic said nothing for too long."""
        ...

    async def outcome(self, topic: str, state: TopicState, reason: str = "") -> None:
        """Hear the venue's verdict on a subscription."""
        ...


class _Dead(Exception):  # noqa: N818 - it names the event
    """The connection is of no more use; the message says why."""


@dataclass(slots=True)
class _Session:
    """What belongs to one life of the connection."""

    socket: FrameSocket
    joined: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    answers: dict[str, asyncio.Future[Reply]] = field(default_factory=dict)
    heard: dict[str, float] = field(default_factory=dict)  # last message of a topic
    heard_s: float = 0.0  # last message of any topic
    pong_s: float = 0.0
    ping_open: bool = False
    blocked: bool = False  # the reader waits for room: what looks silent is only unread


class Shard:
    """One connection and the topics placed on it.

    Parameters
    ----------
    number : int
    url : str
    sink : Sink
        Reads what comes.
    connect : Connect
        Opens it: a real socket, or one inside the process.
    """

    def __init__(
        self,
        number: int,
        *,
        url: str,
        sink: Sink,
        connect: Connect,
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
        self._sink = sink
        self._connect = connect
        self._clock = clock
        self._rng = rng
        self._budget = budget
        self._options = options
        self._changed = asyncio.Event()
        self._retry_refused = False
        self._renew: set[str] = set()
        self._requests = 0
        self._attempt = 0

    # ------------------------------------------------------------------ topics

    def add(self, topic: str) -> None:
        """Want a topic."""
        self.wanted.add(topic)
        self.chars += len(topic) + 3
        self._changed.set()

    def remove(self, topic: str) -> None:
        """Want a topic no more."""
        self.wanted.discard(topic)
        self.chars -= len(topic) + 3
        self._changed.set()

    def renew(self, topic: str) -> None:
        """Leave a topic and ask for it anew: it begins with a snapshot again."""
        self._renew.add(topic)
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
                socket = await within(self._clock, self._connect(self._url), self._options.open_s)
            except (SocketClosed, Late):
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
                socket.abort()  # a half-open socket would hold a polite close for long
            self.counters.reconnects += 1
            if self._clock.monotonic_s() - began_s > self._options.backoff_max_s:
                self._attempt = 0  # it stood long enough: no reason to be slow
            await self._sink.lost(self.number, tuple(sorted(session.joined)), reason)
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
            if isinstance(error, _Dead | SocketClosed):
                return str(error) or type(error).__name__
            if error is not None:
                raise error
        return "closed"

    # ------------------------------------------------------------------ reading

    async def _read(self, session: _Session) -> None:
        recv = session.socket.recv
        while True:
            raw = await recv()
            self.counters.messages += 1
            now_s = self._clock.monotonic_s()
            self.last_message_s = now_s
            try:
                message = self._sink.decode(raw)
            except wire.WireError:
                self.counters.malformed += 1  # one frame is lost, the connection goes on
                continue
            if isinstance(message, Reply):
                self._reply(session, message, now_s)
            elif message.topic in self.wanted:  # else still on its way when it was given up
                session.heard[message.topic] = session.heard_s = now_s
                self._attempt = 0  # data flows: the next failure starts with a short delay again
                session.blocked = True
                await self._sink.push(self.number, message)
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
            again, self._renew = self._renew, set()
            gone = sorted(session.joined - self.wanted | session.joined & again)
            if gone:
                await self._ask(session, "unsubscribe", gone)
                session.joined.difference_update(gone)
            new = sorted(self.wanted - session.joined - session.refused)
            before = set(session.joined)
            session.heard_s = self._clock.monotonic_s()
            size = self._options.topics_per_request
            for at in range(0, len(new), size):
                await self._subscribe(session, new[at : at + size])
            fresh = tuple(sorted(session.joined - before))
            if fresh:
                await self._sink.joined(self.number, fresh)
            await self._changed.wait()

    async def _subscribe(self, session: _Session, topics: list[str]) -> None:
        """Subscribe, halving a refused list until each bad topic stands alone."""
        reply = await self._ask(session, "subscribe", topics)
        if reply.success or "already subscribed" in reply.ret_msg.lower():
            now_s = self._clock.monotonic_s()
            for topic in topics:
                session.joined.add(topic)
                session.heard[topic] = now_s
                await self._sink.outcome(topic, TopicState.ACCEPTED)
        elif len(topics) == 1:
            session.refused.add(topics[0])
            self.counters.refused += 1
            await self._sink.outcome(topics[0], TopicState.REFUSED, reply.ret_msg)
        else:
            middle = len(topics) // 2
            await self._subscribe(session, topics[:middle])
            await self._subscribe(session, topics[middle:])

    async def _ask(self, session: _Session, op: str, topics: list[str]) -> Reply:
        self._requests += 1
        key = f"{self.number}-{self._requests}"
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        session.answers[key] = answer
        try:
            await session.socket.send(wire.encode_subscribe(op, topics, key))
            return await within(self._clock, answer, self._options.answer_s)
        except Late:
            for topic in topics:
                await self._sink.outcome(topic, TopicState.UNANSWERED)
            raise _Dead(f"no answer to {op} within {self._options.answer_s:g} s") from None
        finally:
            session.answers.pop(key, None)

    # ------------------------------------------------------------------ pulse

    async def _keep_alive(self, session: _Session) -> None:
        while True:
            self._requests += 1
            session.ping_open = True
            ping = wire.encode_ping(f"{self.number}-{self._requests}")
            await session.socket.send(ping)
            await self._clock.sleep(self._options.pong_s)
            if session.ping_open and not session.blocked:
                raise _Dead(f"no pong within {self._options.pong_s:g} s")
            await self._clock.sleep(max(0.0, self._options.ping_s - self._options.pong_s))

    async def _watch_silence(self, session: _Session) -> None:
        limit_s, stall_s = self._options.silence_s, self._options.stall_s
        while True:
            await self._clock.sleep(min(limit_s, stall_s or limit_s) / 4.0)
            now_s = self._clock.monotonic_s()
            if session.blocked or not session.joined:
                continue
            if stall_s and now_s - session.heard_s > stall_s:
                raise _Dead(f"no data for {stall_s:g} s although the connection lives")
            heard = session.heard
            silent = sorted(s for s in session.joined if now_s - heard.get(s, now_s) > limit_s)
            if not silent:
                continue
            if len(silent) == len(session.joined):
                raise _Dead(f"no data for {limit_s:g} s although the connection lives")
            # Only some are silent: ask for those anew, and let the sink know what they missed.
            self.counters.silent_topics += len(silent)
            await self._ask(session, "unsubscribe", silent)
            session.joined.difference_update(silent)
            for topic in silent:
                await self._sink.quiet(self.number, topic)
            self._changed.set()
