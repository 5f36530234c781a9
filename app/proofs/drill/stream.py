"""One process' private stream of one user, and every way in which it may fail."""

import asyncio
from collections.abc import Callable
from typing import Any

from app.proofs.drill.loop import OWNER, WORLD, Life
from app.proofs.drill.plan import Injection
from app.proofs.drill.venue import Office, Strike
from live.venues.trading import PrivateItem, StreamDown, StreamUp


class Stream:
    """One process' private stream of one user."""

    def __init__(self, office: Office, user: int, life: Life, strike: Strike) -> None:
        self.office = office
        self.user = user
        self.life = life
        self.uid = office.keys[user].uid
        self.up = False
        self.silent_until_s = 0.0
        self._strike = strike
        self._items: list[PrivateItem] = []
        self._woken = asyncio.Event()
        self._connection = 0
        self._due_s = 0.0
        self._closed = False
        self._dying: asyncio.Task[None] | None = None

    # ------------------------------------------------------------------ the port

    async def start(self) -> None:
        """Begin to connect."""
        if not self._connection:
            self._connection = 1
            self._later(0.05, self._connect)

    async def batch(self) -> list[PrivateItem]:
        """Return everything that has arrived, waiting for at least one item."""
        while not self._items:
            self._woken.clear()
            await self._woken.wait()
        items, self._items = self._items, []
        if self.life.dead:
            await asyncio.get_running_loop().create_future()
        return items

    async def close(self) -> None:
        """End the connection."""
        self._closed = True
        self._leave()

    # ------------------------------------------------------------------ connections

    def _later(self, delay_s: float, call: Callable[[], object]) -> asyncio.TimerHandle:
        loop = asyncio.get_running_loop()
        return loop.call_later(max(0.0, delay_s), call, context=WORLD)

    def _connect(self) -> None:
        if self._closed or self.life.dead or self.up:
            return
        office = self.office
        hit = office.plan.at(f"u{self.user}.connect")
        key = office.desk.keys.find(office.keys[self.user].key)
        now_ms = office.clock.now_ms()
        wrong = key is None or not office.desk.keys.still_good(key.key, now_ms)
        if hit is not None and hit.kind in ("refuse_auth", "refuse_topics"):
            office.plan.fire(hit)
            office.trouble(self.user)
            fatal = hit.kind == "refuse_auth"
            self._arrive([StreamDown(self._connection, hit.kind, fatal=fatal)])
            self._later(hit.amount / 1000.0, self._connect)
            return
        if wrong or office.clock.monotonic_s() < office.restarting_until_s:
            self._arrive([StreamDown(self._connection, "refused", fatal=wrong)])
            self._later(5.0, self._connect)
            return
        self.up = True
        office.desk.streams.setdefault(self.uid, []).append(self)
        self._arrive([StreamUp(self._connection)])

    def _leave(self) -> None:
        self.up = False
        streams = self.office.desk.streams.get(self.uid, [])
        if self in streams:
            streams.remove(self)

    def fall(self, back_s: float, reason: str) -> None:
        """Lose the connection; another one comes after a while."""
        if not self.up:
            return
        self._leave()
        self.office.trouble(self.user)
        self._arrive([StreamDown(self._connection, reason)])
        self._connection += 1
        self._later(back_s, self._connect)

    def wake_after(self, silent_s: float) -> None:
        """Let the client notice in the end that nothing comes."""
        self._later(silent_s, lambda: self.fall(0.5, "silent for too long"))

    # ------------------------------------------------------------------ pushes

    def push(self, topic: str, items: list[PrivateItem]) -> None:
        """Take what the venue tells at one moment of one topic."""
        if self.life.dead:
            self._leave()
            return
        office = self.office
        now_s = office.clock.monotonic_s()
        site = f"u{self.user}.push.{topic}"
        hit = office.plan.at(site)
        tp1 = topic == "execution" and any(
            getattr(i, "is_maker", False) and getattr(i, "side", "") == "Sell" for i in items
        )
        deadly = office.plan.at(f"u{self.user}.push.tp1") if tp1 else None
        delay_s = office.delay_s(self.user, site)
        if hit is not None:
            delay_s = self._hurt(hit, items, delay_s)
        if delay_s < 0.0 or now_s < self.silent_until_s:
            return
        for each in (hit, deadly):
            if each is not None and each.kind == "kill_before":
                self._later(delay_s, lambda e=each: self._die(e))
        if hit is None or hit.kind not in ("late", "swap"):
            self._due_s = max(self._due_s, now_s + delay_s)
            delay_s = self._due_s - now_s
        self._later(delay_s, lambda: self._arrive(items))

    def _die(self, hit: Injection) -> None:
        context = WORLD.copy()
        context.run(OWNER.set, None)
        loop = asyncio.get_running_loop()
        dying: Any = self._strike(hit, "kill_before")
        self._dying = loop.create_task(dying, context=context)

    def _hurt(self, hit: Injection, items: list[PrivateItem], delay_s: float) -> float:
        """Return after how long the items arrive all the same; below 0: never."""
        office, kind = self.office, hit.kind
        if kind == "kill_before":
            return delay_s
        office.plan.fire(hit)
        office.trouble(self.user, hit.amount / 1000.0)
        if kind == "close":
            self.fall(hit.amount / 1000.0, "closed")
            return -1.0
        if kind == "stall":
            silent_s = hit.amount / 1000.0
            self.silent_until_s = office.clock.monotonic_s() + silent_s
            self._later(silent_s, lambda: self.fall(0.5, "silent for too long"))
            return -1.0
        if kind == "malformed":
            # the client cannot read a frame: what it said is learnt anew from a fresh connection
            self._later(delay_s, lambda: self.fall(0.2, "a frame that is none"))
            return -1.0
        if kind == "double":
            self._later(delay_s + 0.05, lambda: self._arrive(items))
        if kind == "double_filled":
            filled = [i for i in items if getattr(i, "order_status", "") == "Filled"]
            self._later(delay_s + 0.05, lambda: self._arrive(filled))
        if kind in ("late", "swap"):
            return hit.amount / 1000.0
        return delay_s

    def _arrive(self, items: list[PrivateItem]) -> None:
        if items and not self._closed:
            self._items += items
            self._woken.set()
