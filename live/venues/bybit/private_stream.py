"""A user's private stream: orders, executions, positions, wallet, and how the connection fares.

`StreamUp` is given when the venue has acknowledged the subscription, and again whenever something
may have been missed on a living connection (a frame that could not be read): a snapshot is due.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from engine.venue import wire
from engine.venue.reports import OrderReport, PositionReport, WalletReport
from engine.venue.view import supersedes
from live.clock import Clock
from live.venues.bybit.budget import Rank, WindowBudget
from live.venues.bybit.clock_offset import VenueClock
from live.venues.bybit.frames import Connect, open_websocket
from live.venues.bybit.keeper import Dead, Keeper, KeeperOptions, KeyRefused, Link
from live.venues.bybit.signer import Signer
from live.venues.trading import PrivateItem, StreamDown, StreamUp

TOPICS = ("order", "execution", "position", "wallet")
PATH = "/v5/private"
AUTH_MARGIN_MS = 10_000  # a slow handshake must not outlive the signature
AUTH_TRIES = 3  # refusals in a row before the key counts as bad: the words differ, clocks err
ITEMS_WAITING_MAX = 5_000
RESNAP_GAP_S = 5.0
DATA_WAIT_S = 15.0


@dataclass(slots=True)
class PrivateCounters:
    """What happened on the stream."""

    pushes: int = 0
    items: int = 0
    conflated: int = 0  # older words on an order, position or wallet, replaced while unread
    malformed: int = 0  # frames that were no message
    bad_rows: int = 0
    unknown_topics: int = 0
    refused: int = 0  # subscriptions and authentications
    stalls: int = 0  # data that had to come did not

    def as_dict(self) -> dict[str, int]:
        """Return the counters by name."""
        return asdict(self)


class BybitPrivateStream:
    """The `PrivateStream` of Bybit.

    Parameters
    ----------
    base_url : str
        Scheme and host of the streams, no path.
    signer : Signer
    venue_clock : VenueClock
        Dates the signature of `auth`.
    clock : Clock
    rng : numpy.random.Generator
        Draws the jitter of reconnections.
    connections : WindowBudget
        Shared by all streams of this address.
    topics : sequence of str
    connect : Connect
        Opens connections; another one in simulations.
    sync_clock : callable or None
        Reads the venue's clock anew after a refused `auth`: its signature is dated.
    exposed : callable or None
        Tells whether the user has something at stake (`AccountFeed.exposed`): such users'
        connections are opened first. None counts as yes.
    """

    def __init__(
        self,
        base_url: str,
        signer: Signer,
        venue_clock: VenueClock,
        clock: Clock,
        rng: np.random.Generator,
        *,
        connections: WindowBudget,
        topics: Sequence[str] = TOPICS,
        connect: Connect = open_websocket,
        options: KeeperOptions | None = None,
        items_waiting_max: int = ITEMS_WAITING_MAX,
        sync_clock: Callable[[], Awaitable[bool]] | None = None,
        exposed: Callable[[], bool] | None = None,
    ) -> None:
        self.counters = PrivateCounters()
        self.keeper = Keeper(
            base_url.rstrip("/") + PATH,
            self,
            connect=connect,
            clock=clock,
            rng=rng,
            connections=connections,
            options=options,
            rank=lambda: Rank.EXPOSED if exposed is None or exposed() else Rank.PRIVATE,
        )
        self._signer = signer
        self._venue_clock = venue_clock
        self._clock = clock
        self._topics = list(topics)
        self._max = items_waiting_max
        self._sync_clock = sync_clock
        self._task: asyncio.Task[None] | None = None
        self._items: dict[
            Any, PrivateItem
        ] = {}  # in order; a key that may be replaced, or a number
        self._serial = 0
        self._readable = asyncio.Event()
        self._writable = asyncio.Event()
        self._refusals = 0
        self._data_s = float("-inf")
        self._expected_s: float | None = None
        self._resnap_s = float("-inf")

    # ------------------------------------------------------------------ the port

    async def start(self) -> None:
        """Begin to connect; returns at once."""
        if self._task is None:
            self._task = asyncio.create_task(self.keeper.run(), name="private-stream")

    async def batch(self) -> list[PrivateItem]:
        """Return everything that has arrived, waiting for at least one item."""
        while not self._items:
            self._readable.clear()
            await self._readable.wait()
        out = list(self._items.values())
        self._items.clear()
        self._writable.set()
        return out

    async def close(self) -> None:
        """End the connection."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @property
    def up(self) -> bool:
        """Tell whether events arrive."""
        return self.keeper.ready

    def expect_data(self, sent_s: float) -> None:
        """Say that a request sent then was accepted: the venue pushes something for each.

        A connection that answers pings but brings nothing is found out by this.
        """
        if self._data_s < sent_s and self._expected_s is None and self.keeper.ready:
            self._expected_s = self._clock.monotonic_s() + DATA_WAIT_S
            self.keeper.nudge()

    # ------------------------------------------------------------------ the duty of its keeper

    async def opened(self, link: Link) -> None:
        """Authenticate, subscribe, each acknowledged; then say so."""
        self._expected_s = None
        expires_ms = self._venue_clock.now_ms() + AUTH_MARGIN_MS
        key, expires, signature = self._signer.stream_auth(expires_ms)
        auth = wire.encode_auth(wire.Auth(str(key), int(expires), str(signature)))
        reply = await self.keeper.ask(link, "auth", auth)
        if not reply.success:
            self.counters.refused += 1
            self._refusals += 1
            if self._refusals >= AUTH_TRIES:
                raise KeyRefused(f"the private stream refuses the key: {reply.ret_msg}"[:200])
            if self._sync_clock is not None:
                await self._sync_clock()
            raise Dead(f"authentication refused: {reply.ret_msg}"[:200])
        self._refusals = 0
        asked = wire.encode_subscribe("subscribe", self._topics, f"s{link.number}")
        reply = await self.keeper.ask(link, "subscribe", asked)
        if not reply.success:
            self.counters.refused += 1
            raise Dead(f"subscription refused: {reply.ret_msg}"[:200])
        await self._put(StreamUp(link.number))

    async def frame(self, link: Link, raw: bytes) -> None:
        """Read one frame; what cannot be read costs itself and asks for a snapshot."""
        try:
            message = wire.decode_private(raw)
        except wire.WireError:
            self.counters.malformed += 1
            await self._missed(link)
            return
        if isinstance(message, wire.Reply):
            if message.op in ("auth", "subscribe"):
                link.answer(message.op, message)
            elif not message.op and message.success is False:
                for waited in list(link.answers):  # a refusal that does not say of what
                    link.answer(waited, message)
        elif isinstance(message, wire.PrivatePush):
            self.counters.pushes += 1
            self._data_s = self._clock.monotonic_s()
            self._expected_s = None
            for item in message.items:
                if isinstance(item, WalletReport):
                    item = replace(item, updated_time=message.creation_time)  # noqa: PLW2901
                await self._put(item)
            if message.bad:
                self.counters.bad_rows += message.bad
                await self._missed(link)
        else:
            self.counters.unknown_topics += 1

    async def too_long(self, link: Link, length: int) -> None:  # noqa: ARG002 - the duty's signature
        """Ask for a snapshot: the frame may have held anything."""
        self.counters.malformed += 1
        await self._missed(link)

    def ping(self, number: int) -> bytes:
        """Return the ping."""
        return wire.encode_ping(f"p{number}")

    def deadline_s(self) -> float | None:
        """Return by when the data that was promised must have come."""
        return self._expected_s

    async def ended(self, link: Link, reason: str, *, fatal: bool) -> None:
        """Say that nothing arrives any more."""
        if self._expected_s is not None and self._clock.monotonic_s() >= self._expected_s:
            self.counters.stalls += 1
        self._expected_s = None
        await self._put(StreamDown(link.number, reason, fatal=fatal))

    # ------------------------------------------------------------------ the queue

    async def _missed(self, link: Link) -> None:
        """Ask for a snapshot, not more often than one can be read."""
        now_s = self._clock.monotonic_s()
        if link.ready and now_s - self._resnap_s >= RESNAP_GAP_S:
            self._resnap_s = now_s
            await self._put(StreamUp(link.number))

    async def _put(self, item: PrivateItem) -> None:
        """Queue an item. Executions wait for room; of all else the newest words replace older."""
        key = _key(item)
        if key is not None and len(self._items) >= self._max // 2:
            # The reader is slow: conflate. The view merges by time, so the place does not matter.
            waiting = self._items.get(key)
            if waiting is not None and _supersedes(item, waiting):
                self._items[key] = item
                self.counters.conflated += 1
                return
            if waiting is not None and _supersedes(waiting, item):
                self.counters.conflated += 1
                return
        while len(self._items) >= self._max:
            self._writable.clear()
            await self._writable.wait()
        if key is None or key in self._items:
            self._serial += 1
            key = self._serial
        self._items[key] = item
        self.counters.items += 1
        self._readable.set()


def _key(item: PrivateItem) -> tuple[str, ...] | None:
    """Return what an item is about, where its newest words are all that counts."""
    if isinstance(item, OrderReport):
        return ("order", item.order_id)
    if isinstance(item, PositionReport):
        return ("position", item.symbol, str(item.position_idx))
    if isinstance(item, WalletReport):
        return ("wallet",)
    return None


def _supersedes(new: PrivateItem, old: PrivateItem) -> bool:
    if isinstance(new, StreamUp | StreamDown) or isinstance(old, StreamUp | StreamDown):
        return False
    return supersedes(new, old)
