"""The fast face of the simulated venue: the real client, no HTTP, no JSON, no signature.

`Wire` stands where the gate stands: `BybitTrading`, its readings and lookups run above it unchanged
and meet every fault of the catalogue; `Stream` hands on the venue's records as reports. What a
request does happens in the world, not in the process that sent it: it arrives though that died.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from app.proofs.drill import catalogue
from app.proofs.drill.loop import WORLD, Life
from app.proofs.drill.plan import Injection, Plan, drawn
from app.proofs.drill.reports import (
    execution_report,
    order_report,
    position_report,
    wallet_report,
)
from engine.venue.exchange.commands import Command
from engine.venue.exchange.events import (
    Event,
    Executed,
    OrderChanged,
    PositionChanged,
    WalletChanged,
)
from live.clock import Clock
from live.venues.bybit import simroutes
from live.venues.bybit.gate import Answer, Held, Lost, Said
from live.venues.bybit.simauth import ApiKey
from live.venues.bybit.simdesk import Desk
from live.venues.bybit.transport import Auth
from live.venues.trading import Priority, PrivateItem

TIMEOUT_S = 5.0
RECV_WINDOW_MS = 5_000
REACH_S = 5.0  # an account is in reach so long after an answer
_SITES = {
    "/v5/order/create": "create",
    "/v5/order/amend": "amend",
    "/v5/order/cancel": "cancel",
    "/v5/order/cancel-all": "cancel-all",
    "/v5/position/trading-stop": "trading-stop",
    "/v5/position/set-leverage": "set-leverage",
    "/v5/position/list": "positions",
    "/v5/execution/list": "executions",
    "/v5/account/wallet-balance": "wallet",
    "/v5/order/history": "look",
}
_WORDS = {
    "OrderChanged": "order",
    "Executed": "execution",
    "PositionChanged": "position",
    "WalletChanged": "wallet",
}
Strike = Callable[..., Awaitable[None]]
Watch = Callable[[list[Event]], None]


class FastDesk(Desk):
    """A desk that tells its events as they are; whoever judges hears them first."""

    watch: Watch = staticmethod(lambda _: None)
    streams: dict[int, list[Any]]

    def step(self, command: Command) -> list[Event]:
        """Give the machine one command and tell what came of it."""
        events = self.exchange.step(command, self.now_ms)
        if events:
            self.watch(events)
            self._tell(events)
        return events

    def _tell(self, events: list[Event]) -> None:
        by_user: dict[int, dict[str, list[PrivateItem]]] = {}
        for event in events:
            topic = _WORDS.get(type(event).__name__)
            if topic is None or not self.streams.get(event.uid):  # pyrefly: ignore
                continue
            uid = event.uid  # pyrefly: ignore[missing-attribute]
            by_user.setdefault(uid, {}).setdefault(topic, []).append(self._report(event))
        for uid, topics in by_user.items():
            names = list(topics)
            if len(names) > 1:  # topics are not ordered among each other
                names = [names[i] for i in self.shuffled(len(names))]
            for stream in list(self.streams[uid]):
                for name in names:
                    stream.push(name, topics[name])

    def _report(self, event: Event) -> PrivateItem:
        if isinstance(event, OrderChanged):
            return order_report(event.order)
        if isinstance(event, Executed):
            return execution_report(event.execution)
        if isinstance(event, PositionChanged):
            return position_report(event.position)
        assert isinstance(event, WalletChanged)  # noqa: S101 - the table above
        mode = self.exchange.account(event.uid).margin_mode
        return wallet_report(event.wallet, mode, self.now_ms)


class Office:
    """What all wires of a world share: the desk, the faults, who was answered when."""

    def __init__(self, desk: FastDesk, plan: Plan, clock: Clock, seed: int) -> None:
        self.desk = desk
        self.plan = plan
        self.clock = clock
        self.seed = seed
        self.keys: dict[int, ApiKey] = {}  # by user number
        self.banned_until_s = 0.0
        self.restarting_until_s = 0.0
        self.answered_s: dict[int, float] = {}  # when a user was last answered
        self.reached_s: dict[int, float] = {}  # since when it has been answered again and again
        self.troubled_s: dict[int, float] = {}  # when a fault last met a user
        self.sent: Callable[[Life, int, str, Mapping[str, Any]], None] = lambda *_: None
        self.arrived: Callable[[int, str, Mapping[str, Any], Any], None] = lambda *_: None
        self.arriving: Callable[[int, str, Mapping[str, Any]], None] = lambda *_: None
        self.known_executions: Callable[[int], set[str]] = lambda _: set()
        self.noticed: Callable[[int, float], None] = lambda *_: None
        self.heed: Callable[..., None] = lambda judge, *args: judge(*args)
        self.crashes: list[str] = []
        self._turns: dict[tuple[int, str], int] = {}

    def trouble(self, user: int, for_s: float = 0.0) -> None:
        """Know that a fault meets a user, now and for so long."""
        end_s = self.clock.monotonic_s() + for_s
        self.troubled_s[user] = max(end_s, self.troubled_s.get(user, 0.0))
        self.noticed(user, self.clock.monotonic_s())
        if for_s:
            self.noticed(user, end_s)

    def answered(self, user: int) -> None:
        """Know that the venue answered a user just now."""
        now_s = self.clock.monotonic_s()
        if now_s - self.answered_s.get(user, -1e9) > REACH_S:
            self.reached_s[user] = now_s
        self.answered_s[user] = now_s

    def delay_s(self, user: int, site: str) -> float:
        """Return a way's length; it hangs on nothing but whose and which turn it is."""
        key = (user, site)
        turn = self._turns[key] = self._turns.get(key, 0) + 1
        share = drawn(self.seed, user, turn, *site.encode())
        return 0.002 + 0.06 * share * share


class _VenueClock:
    """The venue's clock, as the client has measured it: exactly."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self.width_ms = 10.0

    def now_ms(self) -> int:
        return self._office.clock.now_ms()

    signing_ms = now_ms


class Wire:
    """One process' way to the venue for one user: in the place of the gate."""

    def __init__(self, office: Office, user: int, life: Life, strike: Strike) -> None:
        self.office = office
        self.user = user
        self.life = life
        self.clock = office.clock
        self.venue_clock = _VenueClock(office)
        self._strike = strike

    async def ask(self, send: Callable[[], Awaitable[Answer]], path: str, **_: Any) -> Answer:
        """Stand in for the order stream, which this face does not have."""
        raise NotImplementedError(f"{path}: {send}")

    async def sync_clock(self, priority: Priority = Priority.RECONCILE) -> bool:
        """Do nothing: the clock is never off by itself here."""
        return priority is not None

    async def call(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any],
        *,
        user: str = "",  # noqa: ARG002 - of the gate's signature
        auth: Auth | None = None,  # noqa: ARG002
        priority: Priority = Priority.RECONCILE,  # noqa: ARG002
    ) -> Answer:
        """Send one request: it leaves, arrives, is answered, or not."""
        if self.life.dead:
            await asyncio.get_running_loop().create_future()
        office = self.office
        site = self._site(method, path, params)
        hit = office.plan.at(site)
        now_s = office.clock.monotonic_s()
        if hit is not None and hit.kind == "ban":
            office.plan.fire(hit)
            office.banned_until_s = now_s + hit.amount / 1000.0
        if now_s < office.banned_until_s:
            office.trouble(self.user)
            left_s = office.banned_until_s - now_s
            return Held("the address is locked out", 403, left_s, banned=True)
        sent_ms = office.clock.now_ms()  # signed now, and good for so long
        if hit is not None:
            await self._strike(hit, "kill_before", "freeze")
        if self.life.dead:
            await asyncio.get_running_loop().create_future()
        office.sent(self.life, self.user, site, params)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        request = _Request(self, site, method, path, params, hit, answer, sent_ms)
        self._later(office.delay_s(self.user, site) + request.slow_s, request.arrive)
        overdue = Lost("timed out", sent_ms)
        alarm = self._later(TIMEOUT_S, lambda: answer.done() or answer.set_result(overdue))
        try:
            if hit is not None:
                await self._strike(hit, "kill_during")
            said = await answer
        finally:
            alarm.cancel()
        if hit is not None:
            await self._strike(hit, "kill_after")
        return said

    def _later(self, delay_s: float, call: Callable[[], object]) -> asyncio.TimerHandle:
        loop = asyncio.get_running_loop()
        return loop.call_later(delay_s, call, context=WORLD)

    def _site(self, method: str, path: str, params: Mapping[str, Any]) -> str:
        name = _SITES.get(path, path)
        if path == "/v5/order/realtime":
            by_name = params.get("orderLinkId") or params.get("orderId")
            name = "look" if by_name else "orders"
        if name == "create":
            link = str(params.get("orderLinkId", ""))
            legs = {True: "close", False: "entry"}
            name = f"create.{legs[bool(params.get('reduceOnly'))]}"
            if params.get("reduceOnly") and params.get("orderType") == "Limit":
                name = "create.tp1"
            name = "create.guard" if link.startswith("zg") else name
        return f"u{self.user}.{name}" if method else path

    async def close(self) -> None:
        """Nothing is held."""


class _Request:
    """One request on its way."""

    def __init__(
        self,
        wire: Wire,
        site: str,
        method: str,
        path: str,
        params: Mapping[str, Any],
        hit: Injection | None,
        answer: "asyncio.Future[Answer]",
        sent_ms: int,
    ) -> None:
        self.wire = wire
        self.office = wire.office
        self.site = site
        self.path = path
        self.write = method != "GET"
        self.params = params
        self.hit = hit
        self.answer = answer
        self.sent_ms = sent_ms
        kind = "" if hit is None else hit.kind
        self.kind = kind
        self.slow_s = hit.amount / 1000.0 if hit is not None and kind == "slow" else 0.0

    # ------------------------------------------------------------------ there

    def arrive(self) -> None:
        """Be looked at by the venue."""
        office, hit = self.office, self.hit
        if hit is not None and not self.kind.startswith(("kill", "freeze", "ban")):
            office.plan.fire(hit)
            late_s = hit.amount / 1000.0 if self.kind in ("late_reply", "stale", "slow") else 0.0
            office.trouble(self.wire.user, late_s)
        if office.clock.monotonic_s() < office.restarting_until_s:
            office.trouble(self.wire.user)
            self._say(Said(10016, "Internal server error", {}, office.clock.now_ms(), self.sent_ms))
            return
        early = self._before()
        if early is not None:
            self._say(early)
            return
        if office.clock.now_ms() > self.sent_ms + RECV_WINDOW_MS:
            self._say(Said(10002, "invalid request", {}, office.clock.now_ms(), self.sent_ms))
            return
        said = self._act()
        if isinstance(said, Said) and said.code:
            office.plan.codes[said.code] += 1
        after = self._after(said)
        if after is not None:
            self._say(after)

    def _before(self) -> Answer | None:
        office, hit = self.office, self.hit
        if hit is None:
            return None
        if self.kind == "lost_request":
            return Lost("connection reset", self.sent_ms)
        if self.kind == "unreachable":
            return Held("the name cannot be resolved", 0, 1.0)
        if self.kind in ("http", "html") and not hit.amount:
            return Lost("HTTP 502", self.sent_ms)
        code = catalogue.code_of(hit)
        if not code or self._takes_first(code):
            return None
        office.plan.codes[code] += 1
        wait_s = hit.amount / 1000.0 if self.kind == "throttle" else None
        now_ms = office.clock.now_ms()
        return Said(code, "refused", {}, now_ms, self.sent_ms, retry_after_s=wait_s)

    def _takes_first(self, code: int) -> bool:
        """Tell whether a coded fault answers after the deed: a yes, or who knows."""
        proof = catalogue.proves(code)
        if self.kind == "doubtful_after" or proof is catalogue.Proof.TAKEN:
            return True
        return proof is catalogue.Proof.UNKNOWN and bool(self.hit and self.hit.amount % 2)

    def _act(self) -> Said:
        office = self.office
        key = office.keys[self.wire.user]
        now_ms = office.clock.now_ms()
        known = office.desk.keys.find(key.key)
        if known is None:
            return Said(10003, "API key is invalid.", {}, now_ms, self.sent_ms)
        if not office.desk.keys.still_good(key.key, now_ms):
            return Said(33004, "Your api key has expired.", {}, now_ms, self.sent_ms)
        lag_ms = self.hit.amount if self.hit is not None and self.kind == "stale" else 0
        if self.write:
            office.heed(office.arriving, self.wire.user, self.path, self.params)
        try:
            found = simroutes.answer(office.desk, key, self.path, dict(self.params), lag_ms=lag_ms)
        except Exception as error:  # noqa: BLE001 - a fault of the venue's own is the proof's end
            office.crashes.append(f"{self.path}: {type(error).__name__}: {error}")
            return Said(10016, "Internal server error", {}, now_ms, self.sent_ms)
        if self.write:
            office.heed(office.arrived, self.wire.user, self.path, self.params, found)
        result = found.result if isinstance(found.result, Mapping) else {}
        return Said(found.code, found.message, self._read(result), now_ms, self.sent_ms)

    def _read(self, result: Mapping[str, Any]) -> Mapping[str, Any]:
        """Let a list be told worse than it is."""
        rows = result.get("list")
        if self.hit is None or not rows:
            return result
        if self.kind == "unread":
            broken = {k: v for k, v in rows[0].items() if k not in ("size", "qty", "execQty")}
            return {**result, "list": [broken, *rows[1:]]}
        if self.kind == "double_row":
            return {**result, "list": [rows[0], *rows]}
        if self.kind == "short_history":
            known = self.office.known_executions(self.wire.user)
            return {**result, "list": [r for r in rows if r.get("execId") not in known]}
        return result

    def _after(self, said: Said) -> Answer | None:
        office, hit = self.office, self.hit
        if hit is None:
            return said
        if self.kind == "lost_reply":
            return Lost("connection reset", self.sent_ms)
        if self.kind == "http_after" or (self.kind == "html" and hit.amount):
            return Lost("HTTP 502", self.sent_ms)
        if self.kind == "late_reply":
            delay_s = hit.amount / 1000.0
            self.wire._later(delay_s, lambda: self._say(said))  # noqa: SLF001 - one machine
            return None
        code = catalogue.code_of(hit)
        if code and self._takes_first(code) and not said.code:
            office.plan.codes[code] += 1
            return Said(code, "so it says", {}, said.venue_ms, self.sent_ms)
        return said

    # ------------------------------------------------------------------ and back

    def _say(self, answer: Answer) -> None:
        office = self.office
        delay_s = office.delay_s(self.wire.user, self.site + "<")
        self.wire._later(delay_s, lambda: self._give(answer))  # noqa: SLF001 - one machine

    def _give(self, answer: Answer) -> None:
        if not self.answer.done():
            if isinstance(answer, Said) and self.wire.life.runs:
                self.office.answered(self.wire.user)
            self.answer.set_result(answer)
