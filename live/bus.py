"""Bounded fan-out of values: who publishes knows no reader, and no reader can stall in silence.

In one process by default. A broker adapter offers the same two methods (`publish`, `subscribe`):
topics are strings, values are immutable, and every subscriber names what happens when it is slow.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from enum import Enum
from types import TracebackType
from typing import Any, Protocol, Self


class Overflow(Enum):
    """What happens to a subscriber whose queue is full."""

    LATEST = "latest"  # the oldest value is lost and counted: prices, where only the newest matters
    WAIT = "wait"  # the publisher waits: nothing is lost, a stuck reader stops the publisher
    DISCONNECT = "disconnect"  # the subscription ends with SlowSubscriber: nothing is lost unseen


class SlowSubscriber(Exception):  # noqa: N818 - it names the event
    """A subscriber fell behind a topic that never loses values; it starts again from a snapshot."""


class Subscription:
    """One reader's queue; iterate over it, close it by leaving its ``async with`` block."""

    def __init__(self, owner: "LocalBus", topic: str, overflow: Overflow, size: int) -> None:
        self.topic = topic
        self.overflow = overflow
        self.size = size
        self.dropped = 0
        self._owner = owner
        self._values: deque[Any] = deque()
        self._readable = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._closed = False
        self._failure: SlowSubscriber | None = None

    def __len__(self) -> int:
        return len(self._values)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the subscription: readers stop after what is queued, a waiting publisher goes on."""
        self._closed = True
        self._readable.set()
        self._writable.set()
        self._owner.forget(self)

    def offer(self, value: Any) -> bool:
        """Queue a value; False when it is full and the policy is to wait."""
        if self._closed:
            return True
        if len(self._values) >= self.size:
            if self.overflow is Overflow.WAIT:
                self._writable.clear()
                return False
            if self.overflow is Overflow.DISCONNECT:
                self._failure = SlowSubscriber(
                    f"a reader of {self.topic!r} fell {self.size} values behind and was cut off"
                )
                self._owner.disconnected += 1
                self.close()
                return True
            self._values.popleft()
            self.dropped += 1
        self._values.append(value)
        self._readable.set()
        return True

    async def room(self) -> None:
        """Wait until the queue has room or the subscription has ended."""
        await self._writable.wait()

    async def get(self) -> Any:
        """Return the next value; `StopAsyncIteration` at the end, `SlowSubscriber` if cut off."""
        while not self._values:
            if self._failure is not None:
                raise self._failure
            if self._closed:
                raise StopAsyncIteration
            self._readable.clear()
            await self._readable.wait()
        value = self._values.popleft()
        self._writable.set()
        return value

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        return await self.get()


class Bus(Protocol):
    """What rooms use to meet: the in-process bus below, or an adapter to a broker."""

    async def publish(self, topic: str, value: Any) -> None:
        """Hand a value to every subscriber; waits only for subscribers that asked for it."""
        ...

    def subscribe(self, topic: str, *, overflow: Overflow, size: int) -> Subscription:
        """Begin to receive the values of a topic, from now on."""
        ...


class LocalBus:
    """The in-process bus."""

    def __init__(self) -> None:
        self._readers: dict[str, list[Subscription]] = {}
        self.disconnected = 0

    def subscribe(self, topic: str, *, overflow: Overflow, size: int = 1024) -> Subscription:
        """Begin to receive the values of a topic, from now on.

        Parameters
        ----------
        topic : str
            Exact name of the topic.
        overflow : Overflow
            What to do when this reader is slow. No default: a reader must decide.
        size : int
            Values that may wait.
        """
        if size < 1:
            raise ValueError("a subscription needs room for at least one value")
        reader = Subscription(self, topic, overflow, size)
        self._readers.setdefault(topic, []).append(reader)
        return reader

    def has_readers(self, topic: str) -> bool:
        """Tell whether building a value for this topic is worth it."""
        return bool(self._readers.get(topic))

    def forget(self, reader: Subscription) -> None:
        """Take a subscription off the bus."""
        readers = self._readers.get(reader.topic, [])
        if reader in readers:
            readers.remove(reader)

    def publish_nowait(self, topic: str, value: Any) -> list[Subscription]:
        """Hand a value to every reader; returns those that have no room and must be waited for."""
        return [r for r in tuple(self._readers.get(topic, ())) if not r.offer(value)]

    async def publish(self, topic: str, value: Any) -> None:
        """Hand a value to every subscriber; waits only for subscribers with `Overflow.WAIT`."""
        for reader in self.publish_nowait(topic, value):
            await reader.room()
            while not reader.offer(value):
                await reader.room()
