"""Topics spread over connections: placed once, moved never, inside the venue's limits."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from engine.venue import wire
from live.clock import Clock
from live.venues.bybit.budget import WindowBudget
from live.venues.bybit.frames import Connect, open_websocket
from live.venues.bybit.shard import Shard, ShardOptions, Sink
from live.venues.port import StreamFigures

CONNECTIONS_PER_5_MIN = 400  # of the 500 the venue allows an address
PATH = "/v5/public/linear"


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """How many topics share a connection, and how much may wait for the reader."""

    shard: ShardOptions = field(default_factory=ShardOptions)
    symbols_per_connection: int = 250
    chars_per_connection: int = wire.SUBSCRIBE_CHARS_MAX
    items_waiting_max: int = 20_000


class ShardSet:
    """The connections of one sink; they come and go with the topics that are wanted.

    Parameters
    ----------
    base_url : str
        Scheme and host of the streams, no path.
    sink : Sink
    clock : Clock
    rng : numpy.random.Generator
        Draws the jitter.
    options : StreamOptions
    budget : WindowBudget, optional
        Of new connections, best one for the whole process.
    connect : Connect, optional
        WebSockets by default.
    name : str
        Of the tasks.
    """

    def __init__(
        self,
        base_url: str,
        sink: Sink,
        clock: Clock,
        rng: np.random.Generator,
        *,
        options: StreamOptions,
        budget: WindowBudget | None = None,
        connect: Connect | None = None,
        name: str = "stream",
    ) -> None:
        self.started = False
        self._url = base_url.rstrip("/") + PATH
        self._sink = sink
        self._clock = clock
        self._rng = rng
        self._options = options
        self._budget = budget or WindowBudget(clock, CONNECTIONS_PER_5_MIN, 300.0)
        self._connect: Connect = connect or open_websocket
        self._name = name
        self._shards: dict[int, Shard] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._place: dict[str, int] = {}
        self._next_shard = 0
        self._ended_reconnects = 0

    async def start(self) -> None:
        """Begin to connect; returns at once."""
        self.started = True
        for number, shard in self._shards.items():
            self._run(number, shard)

    def watch(self, topics: Iterable[str]) -> list[str]:
        """Say which topics are wanted from now on; returns those given up."""
        wanted = set(topics)
        gone = sorted(set(self._place) - wanted)
        for topic in gone:
            number = self._place.pop(topic)
            self._shards[number].remove(topic)
            if not self._shards[number].wanted:
                self._end(number)
        for topic in sorted(wanted - set(self._place)):
            self._put(topic)
        for shard in self._shards.values():
            shard.refresh()
        return gone

    def renew(self, topic: str) -> None:
        """Ask for a topic anew."""
        number = self._place.get(topic)
        if number is not None:
            self._shards[number].renew(topic)

    async def close(self) -> None:
        """End every connection."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()
        self._shards.clear()
        self._place.clear()

    def figures(self, repeated: int = 0) -> StreamFigures:
        """Return how the connections are doing."""
        shards = list(self._shards.values())
        return StreamFigures(
            connections=sum(s.connected for s in shards),
            reconnects=self._ended_reconnects + sum(s.counters.reconnects for s in shards),
            repeated=repeated,
            malformed=sum(s.counters.malformed for s in shards),
            last_message_s=max((s.last_message_s for s in shards), default=0.0),
        )

    def counters(self) -> dict[str, int]:
        """Sum the counters of all connections."""
        total: dict[str, int] = {}
        for shard in self._shards.values():
            for name, value in shard.counters.as_dict().items():
                total[name] = total.get(name, 0) + value
        return total

    def _put(self, topic: str) -> None:
        chars = len(topic) + 3
        for number, shard in self._shards.items():  # noqa: B007 - used after the loop
            fits = shard.chars + chars + 2 <= self._options.chars_per_connection
            if fits and len(shard.wanted) < self._options.symbols_per_connection:
                break
        else:
            number = self._next_shard
            self._next_shard += 1
            shard = Shard(
                number,
                url=self._url,
                sink=self._sink,
                connect=self._connect,
                clock=self._clock,
                rng=self._rng,
                budget=self._budget,
                options=self._options.shard,
            )
            self._shards[number] = shard
            if self.started:
                self._run(number, shard)
        self._place[topic] = number
        self._shards[number].add(topic)

    def _run(self, number: int, shard: Shard) -> None:
        if number not in self._tasks:
            self._tasks[number] = asyncio.create_task(shard.run(), name=f"{self._name}-{number}")

    def _end(self, number: int) -> None:
        shard = self._shards.pop(number)
        self._ended_reconnects += shard.counters.reconnects
        task = self._tasks.pop(number, None)
        if task is not None:
            task.cancel()
