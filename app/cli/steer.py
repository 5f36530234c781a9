"""What `zion live` reads from and writes into the store."""

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from app.cli.records import ROWS_MAX, chosen_users, had
from app.ids import new_id
from data.records.port import Store
from data.records.rows import ControlRow, Lease, UserRow
from engine.account.commands import TradeRecord
from engine.errors import UsageError
from live.clock import Clock, SystemClock

ACTOR = "admin:cli"
HOLDS = frozenset({"open", "closing"})  # trades with something in the account
RESTS = frozenset({"pending", "resting"})
_UNSETTLED = frozenset({"sent", "unknown"})
_POLL_S = 0.2


class UserOverview(msgspec.Struct, frozen=True, kw_only=True):
    """One user's engine as the store knows it."""

    user_id: str
    name: str
    mode: str
    engine: str  # runs | none | killed | off
    open: int
    resting: int
    risk_usdt: Decimal  # planned, of what is open or rests
    unsettled: int  # orders sent whose fate is not known yet


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """Every user."""

    killed: bool
    users: tuple[UserOverview, ...]


class Steering(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a wish at one user."""

    name: str
    action: str
    done: bool
    words: str


async def overview(store: Store, wanted: str, clock: Clock | None = None) -> Overview:
    """Return how every engine is, as the store knows it."""
    clock = clock or SystemClock()
    killed, _ = had(await store.platform_kill())
    leases = {lease.user_id: lease for lease in had(await store.leases())}
    rows = [
        await _one(store, user, leases.get(user.user_id), clock.now_ms())
        for user in await chosen_users(store, wanted)
    ]
    return Overview(killed=killed, users=tuple(rows))


async def _one(store: Store, user: UserRow, lease: Lease | None, now_ms: int) -> UserOverview:
    stored = had(await store.load(user.user_id))
    trades = had(await store.trades(user.user_id, ROWS_MAX))
    held = [t for t in trades if t.status in HOLDS]
    resting = [t for t in trades if t.status in RESTS]
    runs = lease is not None and bool(lease.holder) and lease.expires_ms > now_ms
    engine = "runs" if runs else "none"
    if not user.active:
        engine = "off"
    if user.killed:
        engine = f"killed, {engine}"
    return UserOverview(
        user_id=user.user_id,
        name=user.name,
        mode=user.mode,
        engine=engine,
        open=len(held),
        resting=len(resting),
        risk_usdt=sum((t.risk_usdt for t in [*held, *resting]), Decimal(0)),
        unsettled=sum(i.state in _UNSETTLED for i in stored.intents) if stored else 0,
    )


async def newest_trades(store: Store, wanted: str, limit: int) -> list[tuple[str, TradeRecord]]:
    """Return (user's name, trade), newest first of each."""
    return [
        (user.name, trade)
        for user in await chosen_users(store, wanted)
        for trade in had(await store.trades(user.user_id, limit))
    ]


async def open_count(store: Store, users: Sequence[UserRow]) -> int:
    """Return how many trades of these users hold something now."""
    trades = [had(await store.trades(user.user_id, ROWS_MAX)) for user in users]
    return sum(t.status in HOLDS for some in trades for t in some)


async def wish(
    store: Store,
    action: str,
    wanted: str,
    *,
    reason: str = "",
    wait_s: float = 0.0,
    clock: Clock | None = None,
) -> list[Steering]:
    """Leave a wish for the engines of one user or of all, and wait for them to take it.

    `resume` first lifts the kill switch where it is thrown; that needs a reason.
    """
    clock = clock or SystemClock()
    users = await chosen_users(store, wanted)
    if action == "resume":
        await _lift(store, users, wanted, reason, clock)
    asked = [(user, await _ask(store, user, action, reason, clock)) for user in users]
    deadline_s = clock.monotonic_s() + wait_s
    found = []
    for user, control_id in asked:
        answer = await _taken(store, user, control_id, deadline_s, clock)
        words = f"{action} waits: no engine has taken it" if answer is None else answer
        found.append(Steering(name=user.name, action=action, done=answer is not None, words=words))
    return found


async def kill(
    store: Store,
    wanted: str,
    *,
    reason: str = "",
    close: int | None = None,
    wait_s: float = 0.0,
    clock: Clock | None = None,
) -> list[Steering]:
    """Throw the kill switch of a user, or of the whole platform for ""; close trades if wanted.

    Raises
    ------
    UsageError
        `close` is not the number of open trades: the caller looks at something else. Nothing is
        closed then, but the switch is thrown.
    """
    clock = clock or SystemClock()
    users = await chosen_users(store, wanted)
    if wanted:
        for user in users:
            await _switch(store, user.user_id, user.kill_generation, killed=True, clock=clock)
        found = [_thrown(user.name) for user in users]
    else:
        _, generation = had(await store.platform_kill())
        await _switch(store, "", generation, killed=True, clock=clock)
        found = [_thrown("the whole platform")]
    if close is None:
        return found
    counted = await open_count(store, users)
    if counted != close:
        raise UsageError(
            f"{counted} trades are open, not {close}",
            why="the switch is thrown, nothing was closed",
            hint=f"--yes-close {counted} closes them",
        )
    return found + await wish(store, "close_all", wanted, reason=reason, wait_s=wait_s, clock=clock)


def _thrown(name: str) -> Steering:
    return Steering(
        name=name, action="kill", done=True, words="killed: no entry leaves; stops stay"
    )


async def _lift(
    store: Store, users: Sequence[UserRow], wanted: str, reason: str, clock: Clock
) -> None:
    killed, generation = had(await store.platform_kill())
    thrown = [u for u in users if u.killed]
    if (thrown or (killed and not wanted)) and not reason:
        raise UsageError("a kill is lifted for a reason only", hint="--reason WORDS")
    if killed and wanted:
        raise UsageError(
            "the whole platform is killed", hint="zion live resume --reason WORDS, without --user"
        )
    if killed:
        await _switch(store, "", generation, killed=False, clock=clock)
    for user in thrown:
        await _switch(store, user.user_id, user.kill_generation, killed=False, clock=clock)


async def _switch(
    store: Store, user_id: str, generation: int, *, killed: bool, clock: Clock
) -> None:
    had(
        await store.set_kill(
            user_id,
            killed=killed,
            generation=generation + 1,
            actor=ACTOR,
            at_ms=clock.now_ms(),
        )
    )


async def _ask(store: Store, user: UserRow, action: str, reason: str, clock: Clock) -> str:
    control_id = new_id()
    row = ControlRow(
        user_id=user.user_id,
        control_id=control_id,
        action=action,
        actor=ACTOR,
        at_ms=clock.now_ms(),
        reason=reason,
    )
    had(await store.add_control(row))
    return control_id


async def _taken(
    store: Store, user: UserRow, control_id: str, deadline_s: float, clock: Clock
) -> str | None:
    while True:
        row = had(await store.control(user.user_id, control_id))
        if row is not None and row.taken_ms:
            return row.answer or f"{row.action} taken"
        if clock.monotonic_s() >= deadline_s:
            return None
        await clock.sleep(_POLL_S)
