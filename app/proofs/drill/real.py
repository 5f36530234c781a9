"""Real processes over a real store, struck by kill -9, SIGSTOP and overlapping deploys."""

import asyncio
import signal
import statistics
import tempfile
from collections import Counter
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np

from app.ids import new_id
from app.proofs.drill.real_child import POINTS
from app.proofs.drill.real_judge import Books, compare
from app.proofs.drill.real_market import STEP_MS, RealMarket, make_real_market
from app.proofs.drill.real_store import address_of
from app.proofs.drill.real_world import RealWorld, Service, now_s
from data.records.opening import open_store
from data.records.rows import SettingsRow, UserRow
from engine.account.settings import UserSettings
from engine.risk.limits import RiskLimits
from live.clock import SystemClock
from live.venues.bybit.simkeys import SimKeys

_POINT_S = 60.0  # a process that has not come by its point is killed where it is
_DRAIN_S = 40.0
_SETTLE_S = 20.0
_STANDBY_S = (20.0, 60.0)  # longer than a lease: the other process takes over
_FROZEN_S = (5.0, 15.0)


@dataclass(frozen=True, slots=True)
class RealTask:
    """How often each is done."""

    kills: int
    stops: int
    overlaps: int
    seed: int = 0
    store: str = "sqlite"
    coins: int = 40


@dataclass(frozen=True, slots=True)
class Strike:
    """One thing that happens to the process that trades."""

    kind: str  # kill stop overlap
    after_s: float
    point: str = ""  # of a kill: where it ends itself
    visit: int = 1
    seconds: float = 0.0  # of a stop
    standby: bool = False  # of a stop: another process waits for the leases
    rough: bool = False  # of an overlap: the old one is killed, not asked to go


def strikes(task: RealTask) -> list[Strike]:
    """Draw what happens, in order."""
    rng = np.random.default_rng(task.seed)
    kinds = ["kill"] * task.kills + ["stop"] * task.stops + ["overlap"] * task.overlaps
    rng.shuffle(kinds)
    return [_strike(kind, rng) for kind in kinds]


def _strike(kind: str, rng: np.random.Generator) -> Strike:
    strike = Strike(kind, rng.uniform(0.0, 5.0))
    half = rng.random() < 0.5  # noqa: PLR2004 - a coin
    if kind == "kill" and half:
        return replace(strike, point=str(rng.choice(POINTS)), visit=int(rng.integers(1, 4)))
    if kind == "stop":
        return replace(
            strike, standby=half, seconds=rng.uniform(*(_STANDBY_S if half else _FROZEN_S))
        )
    return replace(strike, rough=half)


@dataclass(slots=True)
class RealFound:
    """What a run showed."""

    store: str
    done: Counter[str] = field(default_factory=Counter)
    points: Counter[str] = field(default_factory=Counter)
    recovery_s: dict[str, list[float]] = field(default_factory=dict)
    books: Books = field(default_factory=Books)
    worst_naked_s: float = 0.0
    naked: int = 0
    took_s: float = 0.0
    broken: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> list[str]:
        """Everything that must not be."""
        b = self.books
        lost = [f"execution {e} is lost" for e in b.lost]
        return [*self.broken, *b.duplicates, *lost, *b.wrong]

    def document(self) -> dict[str, Any]:
        """Return it as one document."""
        return {
            "store": self.store,
            **{kind: self.done[kind] for kind in ("kill", "stop", "overlap")},
            "points": dict(self.points),
            "entries": self.books.entries,
            "entries_filled": self.books.filled,
            "executions": self.books.executions,
            "verdicts": dict(self.books.reasons),
            "duplicates": len(self.books.duplicates),
            "lost_executions": len(self.books.lost),
            "worst_naked_s": round(self.worst_naked_s, 2),
            "naked": self.naked,
            "recovery_s": {
                kind: {
                    "median": round(statistics.median(times), 2),
                    "worst": round(max(times), 2),
                }
                for kind, times in self.recovery_s.items()
            },
            "took_s": round(self.took_s, 1),
            "wrong": self.wrong,
        }

    def lines(self) -> list[str]:
        """Return it as lines for people."""
        b = self.books
        out = [
            f"kill -9 {self.done['kill']}, SIGSTOP {self.done['stop']}, overlaps"
            f" {self.done['overlap']} in {self.took_s:,.0f} s over {self.store}",
            "kills at: " + ", ".join(f"{p} {n}" for p, n in sorted(self.points.items())),
            f"{b.entries} entries at the venue, {b.filled} filled, {b.executions} executions",
            f"duplicates {len(b.duplicates)}, lost executions {len(b.lost)},"
            f" worst naked {self.worst_naked_s:.2f} s",
        ]
        for kind, times in self.recovery_s.items():
            out.append(
                f"until all users trade again after {kind}: median"
                f" {statistics.median(times):.1f} s, worst {max(times):.1f} s"
            )
        return [*out, *(f"! {words}" for words in self.wrong)]


class Teller(Protocol):
    """Where a run speaks."""

    def say(self, text: str = "") -> None: ...  # noqa: D102


def settings_of_users() -> list[UserSettings]:
    """Return the users' settings: a resting entry, a market entry, and one in a hurry."""
    risk = RiskLimits(
        risk_per_trade=Decimal("0.002"), trades_max=30, total_risk_max=Decimal("0.2"),
        daily_loss_max=Decimal("0.2"), margin_use_max=Decimal("0.9"), regime_filter=False,
        breaker_reduce_losses=49, breaker_halt_losses=99, breaker_errors=100,
        breaker_slippage_r=Decimal(5), breaker_volatility_x=Decimal(50),
        symbol_risk_max=Decimal("0.2"), group_risk_max=Decimal("0.2"),
        spread_max_bps=Decimal(100), cost_r_max=Decimal(1), orders_per_min=120,
        price_gap_max=Decimal("0.9"),
    )  # fmt: skip
    calm = UserSettings(
        intervals_ms=(STEP_MS,), retest_bars=5, time_stop_bars=8, tp1_r=Decimal("0.5"), risk=risk
    )
    change = msgspec.structs.replace
    return [
        calm,
        change(calm, entry_mode="next_open"),
        change(calm, entry_mode="next_open", time_stop_bars=3, tp1_r=Decimal("0.2")),
    ]


class _Run:
    def __init__(self, task: RealTask, world: RealWorld, found: RealFound, out: Teller) -> None:
        self.task, self.world, self.found, self.out = task, world, found, out
        self.users = len(world.keys)

    def serve(self, ahead: Strike | None) -> Service:
        """Start a process; one that is to die at a point is told so."""
        if ahead is not None and ahead.point:
            return self.world.serve(ahead.point, ahead.visit)
        return self.world.serve()

    def ready(self, service: Service, kind: str, began_s: float) -> None:
        """Wait until a process trades all users; note how long it took."""
        took = self.world.until(lambda: service.gone or service.ready(self.users))
        if took is None:
            self.found.broken.append(f"after {kind}: not ready in time")
        elif not service.gone:
            self.found.recovery_s.setdefault(kind, []).append(now_s() - began_s)
        elif not service.point:
            self.found.broken.append(
                f"after {kind}: it ended by itself, {service.process.exitcode}"
            )

    def all(self, plan: list[Strike]) -> None:
        """Do it all, and let it settle."""
        service = self.serve(plan[0] if plan else None)
        self.ready(service, "start", now_s())
        for i, strike in enumerate(plan):
            ahead = plan[i + 1] if i + 1 < len(plan) else None
            service = getattr(self, f"_{strike.kind}")(service, strike, ahead)
            self.found.done[strike.kind] += 1
            self.out.say(f"{i + 1:4d}  {strike.kind:<8} {strike.point}")
        self.world.rest_for(_SETTLE_S)
        service.tell(signal.SIGTERM)
        if self.world.until(lambda: service.gone, _DRAIN_S) is None:
            self.found.broken.append("the last process did not drain in time")

    def _kill(self, service: Service, strike: Strike, ahead: Strike | None) -> Service:
        if service.point:
            self.world.until(lambda: service.gone, _POINT_S)
            self.found.points[service.point if service.gone else "not reached"] += 1
        else:
            self.world.rest_for(strike.after_s)
            self.found.points["by the hour"] += 1
        began_s = now_s()
        service.tell(signal.SIGKILL)
        service.process.join()
        fresh = self.serve(ahead)
        self.ready(fresh, "kill", began_s)
        return fresh

    def _stop(self, service: Service, strike: Strike, ahead: Strike | None) -> Service:
        self.world.rest_for(strike.after_s)
        other = self.serve(ahead) if strike.standby else None
        if other is not None:
            self.world.until(other.healthy)
        service.tell(signal.SIGSTOP)
        self.world.rest_for(strike.seconds)
        began_s = now_s()
        service.tell(signal.SIGCONT)
        if other is None:
            self.ready(service, "stop", began_s)
            return self._for_point(service, ahead)
        self.world.rest_for(3.0)  # the old one wakes beside the new one
        self._leave(service)
        self.ready(other, "stop with standby", began_s)
        return other

    def _for_point(self, service: Service, ahead: Strike | None) -> Service:
        """Give way to a process that will die at a point, if that comes next."""
        if ahead is None or not ahead.point:
            return service
        fresh = self.serve(ahead)
        self.world.until(fresh.healthy)
        began_s = now_s()
        self._leave(service)
        self.ready(fresh, "deploy", began_s)
        return fresh

    def _overlap(self, service: Service, strike: Strike, ahead: Strike | None) -> Service:
        fresh = self.serve(ahead)
        self.world.until(fresh.healthy)
        self.world.rest_for(strike.after_s)
        began_s = now_s()
        if strike.rough:
            service.tell(signal.SIGKILL)
            service.process.join()
        else:
            self._leave(service)
        self.ready(fresh, "overlap killed" if strike.rough else "overlap drained", began_s)
        return fresh

    def _leave(self, service: Service) -> None:
        service.tell(signal.SIGTERM)
        if self.world.until(lambda: service.gone, _DRAIN_S) is None:
            self.found.broken.append("a process did not drain in time")
            service.tell(signal.SIGKILL)


def drill_real(task: RealTask, out: Teller, folder: Path | None = None) -> RealFound:
    """Run it all in a folder of its own."""
    found = RealFound(task.store)
    with tempfile.TemporaryDirectory(prefix="zion-drill-") as own:
        home = folder or Path(own)
        market = make_real_market(home, task.seed, coins=task.coins, gap_bars=1)
        with address_of(task.store, home) as address:
            began_s = now_s()
            _in(home, market, address, task, found, out)
            found.took_s = now_s() - began_s
    return found


def _in(
    home: Path, market: RealMarket, address: str, task: RealTask, found: RealFound, out: Teller
) -> None:
    world = RealWorld(home, market, address)
    try:
        names = asyncio.run(_users(world, address))
        _Run(task, world, found, out).all(strikes(task))
        found.worst_naked_s, found.naked = world.naked.worst_s, world.naked.times
        asyncio.run(_judge(world, address, names, found.books))
    finally:
        world.end()


async def _users(world: RealWorld, address: str) -> list[str]:
    """Make users and their accounts."""
    store = await open_store(address, SystemClock(), upgrade=True)
    keys = SimKeys(world.rest, world.folder / "sim-keys.json", equity_usdt=100_000)
    names = []
    for number, settings in enumerate(settings_of_users()):
        user = UserRow(user_id=new_id(), name=f"u{number}", mode="sim", created_ms=1)
        body = msgspec.json.encode(settings)
        row = SettingsRow(user_id=user.user_id, version=1, body=body, created_ms=1)
        wrong = await store.add_user(user, row)
        if wrong is not None:
            raise RuntimeError(f"a user cannot be made: {wrong.reason}")
        world.keys.append(await keys.make(user.user_id))
        names.append(user.user_id)
    await store.close()
    return names


async def _judge(world: RealWorld, address: str, names: list[str], books: Books) -> None:
    store = await open_store(address, SystemClock())
    try:
        for number, user_id in enumerate(names):
            await compare(store, user_id, world.truth(number), books)
    finally:
        await store.close()
