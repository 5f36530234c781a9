"""What happens by the hour: to processes, store, bus, market, and what people do."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from app.proofs.drill.loop import spawn
from app.proofs.drill.market import BAR_MS, SYMBOLS
from app.proofs.drill.plan import Injection
from data.records.rows import SettingsRow
from engine.account import messages as m
from engine.account.signal import Signal
from engine.venue.exchange.commands import SetTradingStop
from engine.venue.words import TpslMode
from live.venues.bybit import simacts
from live.venues.bybit.faults import Fault

Process = Any  # it stands above this file
World = Any  # it stands above this file


Act = Callable[[World, Injection], bool | None]  # False: there was no occasion


def strike(world: World, hit: Injection) -> bool:
    """Let one thing happen; False: nothing was there for it to happen to."""
    name, _, action = hit.kind.partition(":")
    if name == "human":
        return _human(world, hit, action)
    if name == "control":
        return _control(world, hit, action)
    return _ACTS[hit.kind](world, hit) is not False


def _symbol(hit: Injection) -> str:
    return SYMBOLS[(hit.visit // 7) % len(SYMBOLS)]


def _newest(world: World) -> Any:
    alive = world.alive
    return alive[-1] if alive else None


# ---------------------------------------------------------------------------- processes


def _kill(world: World, hit: Injection) -> bool:
    alive = world.alive
    for process in alive:
        process.die("kill -9")
    world.start_after(hit.amount)
    return bool(alive)


def _crash_loop(world: World, hit: Injection) -> None:
    _kill(world, hit)
    for turn in range(1, 5):
        world.later(turn * 3.0, lambda: _kill(world, hit))


def _sigterm(world: World, hit: Injection) -> bool:
    process = _newest(world)
    if process is None:
        return False
    process.sigterm()
    world.start_after(hit.amount)
    world.start_after(13_000)
    return True


def _overlap(world: World, hit: Injection) -> bool:
    old = world.alive
    if not old:
        return False
    world.start()

    def ask() -> None:
        for process in old:
            process.sigterm()
        world.start_after(13_000)

    world.later(hit.amount / 1000.0, ask)
    return True


def _freeze(world: World, hit: Injection) -> bool:
    process = _newest(world)
    if process is not None:
        process.freeze(hit.amount)
    return process is not None


def _backup(world: World, hit: Injection) -> None:
    """Restore the store as it was some seconds ago; nobody runs meanwhile."""
    world.keep_backup()
    kept = world.backup

    def restore() -> None:
        for process in world.alive:
            process.die("the database is restored from a backup")
        world.store.__dict__.update(kept)
        world.wals.wals.clear()
        world.judge.restored()
        world.tell("the store is as it was before")
        world.start()

    world.later(hit.amount / 1000.0, restore)


# ---------------------------------------------------------------------------- store and clocks


def _until(name: str) -> Act:
    def act(world: World, hit: Injection) -> None:
        setattr(world, name, world.now_s + hit.amount / 1000.0)

    return act


def _jump(world: World, hit: Injection) -> None:
    """Let a machine's wall clock jump; the monotonic one goes on."""
    for process in world.alive:
        process.clock.skew_ms += hit.amount
    world.skew_ms += hit.amount

    def back() -> None:  # a time server sets it right
        for process in world.alive:
            process.clock.skew_ms = 0
        world.skew_ms = 0

    world.later(8.0, back)


def _edit_row(world: World, hit: Injection) -> bool:
    return world.judge.edit_row(hit.user)


# ---------------------------------------------------------------------------- wires


def _all_down(world: World, hit: Injection) -> None:
    for process in world.alive:
        for n, stream in enumerate(process.streams):
            stream.fall(hit.amount / 1000.0 + n, "reset")


def _venue_restart(world: World, hit: Injection) -> None:
    world.office.restarting_until_s = world.now_s + hit.amount / 1000.0
    for n in range(len(world.users)):
        world.desk.closed_from[world.office.keys[n].uid] = world.desk.now_ms + 1
    _all_down(world, hit)


def _deaf(world: World, hit: Injection) -> None:
    """Let a stream be open and say nothing, and nobody notice for long."""
    for process in world.alive:
        for stream in process.streams:
            if stream.user == hit.user and stream.up:
                stream.silent_until_s = world.now_s + hit.amount / 1000.0
                stream.wake_after(hit.amount / 1000.0)


# ---------------------------------------------------------------------------- bus


def _redeliver(world: World, hit: Injection) -> bool:
    for _ in range(hit.amount):
        for wanted in world.wanted[-3:]:
            world.deliver(wanted)
    return bool(world.wanted)


def _disorder(world: World, hit: Injection) -> bool:
    """Tell old bars again, newest first, and a signal whose time is over."""
    replay = world.desk.replay
    now = world.desk.now_ms
    end = now - now % BAR_MS
    symbol = _symbol(hit)
    for back in range(1, hit.amount + 2):
        index = replay.index(symbol, end - back * BAR_MS)
        if index is not None:
            world.bar(symbol, end - back * BAR_MS, replay.values(symbol, index))
    for wanted in world.wanted:
        if now - wanted.signal.t > 40_000:  # noqa: PLR2004 - long over
            world.deliver(wanted)
    return True


def _open_bar(world: World, hit: Injection) -> None:
    """Tell a bar that is not over as if it were."""
    now = world.desk.now_ms
    start = now - now % BAR_MS
    symbol = _symbol(hit)
    bar = world.desk.replay.open_bar(symbol, now)
    if bar is not None:
        world.bar(symbol, start, bar.values)


def _poison(world: World, hit: Injection) -> bool:
    symbol = _symbol(hit)
    signal = world.market.signal(symbol, world.desk.now_ms)
    nan = float("nan")
    bad: Signal = msgspec.structs.replace(
        signal, signal_id=f"poison-{hit.visit}", batr=nan, level=nan, levels=(), floor=-1.0
    )
    for process in world.alive:
        world.inside(process, process.supervisor.signal, bad)
    return bool(world.alive)


def _flood(world: World, hit: Injection) -> None:
    for _ in range(hit.amount):
        world._quotes()  # noqa: SLF001 - one machine


def _maintenance(world: World, hit: Injection) -> bool:
    process = _newest(world)
    if process is None:
        return False
    seats = [s for s in process.supervisor.seats.values() if s.session is not None]
    for seat in seats:
        spawn(process.life, _blocked(seat.session, hit.amount / 1000.0))
    return bool(seats)


async def _blocked(session: Any, for_s: float) -> None:
    session.block("maintenance", "the venue announces maintenance")
    await asyncio.sleep(for_s)
    session.unblock("maintenance")


# ---------------------------------------------------------------------------- market


def _dead(world: World, hit: Injection) -> None:
    world.market.dead_until_s[_symbol(hit)] = world.now_s + hit.amount / 1000.0


def _stale_book(world: World, hit: Injection) -> None:
    world.market.stale_until_s[_symbol(hit)] = world.now_s + hit.amount / 1000.0


def _odd(world: World, hit: Injection) -> None:
    world.market.odd[_symbol(hit)] = (world.now_s + 3.0, hit.amount)


def _venue_act(kind: str) -> Act:
    def act(world: World, hit: Injection) -> bool:
        uid = world.office.keys[hit.user].uid
        fault: Any = Fault(kind=kind, value=str(hit.amount) if kind == "funding" else "")  # pyrefly: ignore
        if kind not in simacts.possible(world.desk, uid):
            return False
        world.judge.befell(hit.user, kind)
        simacts.strike(world.desk, uid, world.office.keys[hit.user].key, fault)
        return True

    return act


def _stop_gone(world: World, hit: Injection) -> bool:
    """Let the venue lose a stop: triggered, and refused by its own risk check."""
    uid = world.office.keys[hit.user].uid
    for position in list(world.desk.exchange.account(uid).positions.values()):
        if position.stop_loss:
            world.desk.order(
                SetTradingStop(
                    uid=uid,
                    symbol=position.symbol,
                    position_idx=position.position_idx,
                    tpsl_mode=TpslMode.FULL,
                    stop_loss=Decimal(0),
                )
            )
            return True
    return False


def _new_rules(world: World, hit: Injection) -> None:
    symbol = _symbol(hit)
    world.market.new_rules(symbol, hit.amount)
    contract = world.market.contract(symbol)
    if contract is None:
        return
    for process in world.alive:
        message = m.ContractSeen(at_ms=process.clock.now_ms(), contract=contract)
        world.inside(process, process.supervisor.market, symbol, message)


def _mark_apart(world: World, hit: Injection) -> None:
    symbol = _symbol(hit)
    last = world.desk.tape.quote(symbol)
    share = Decimal(hit.amount) / 1_000
    tick = world.desk.listings[symbol].instrument.tick_size
    world.desk.tape.shock(symbol, ((last * (1 - share)) // tick) * tick)


# ---------------------------------------------------------------------------- people


def _human(world: World, hit: Injection, action: str) -> bool:
    uid = world.office.keys[hit.user].uid
    held = any(p.size for p in world.desk.exchange.account(uid).positions.values())
    if action in ("close", "resize", "move_stop", "remove_stop") and not held:
        return False
    world.judge.befell(hit.user, action)
    symbol = _symbol(hit) if action == "open" else ""
    simacts.human(world.desk, uid, action, symbol=symbol)
    return True


def _control(world: World, hit: Injection, action: str) -> bool:
    process = _newest(world)
    user = world.users[hit.user]
    if process is None or not process.life.runs:
        return False

    def say(what: str) -> None:
        runs = _newest(world)
        if runs is None:
            return
        message = m.Control(at_ms=runs.clock.now_ms(), action=what, actor=f"user:{user}")
        world.inside(runs, runs.supervisor.control, user, message)

    world.judge.befell(hit.user, f"control:{action}")
    say({"close": "close_all"}.get(action, action))
    if action == "pause":
        world.later(hit.amount / 1000.0, lambda: say("resume"))
    return True


def _new_settings(world: World, hit: Injection) -> bool:
    user = world.users[hit.user]
    process = _newest(world)
    if process is None or not process.life.runs or world.now_s < world.store_down_until_s:
        return False
    old = world.settings[user]
    risk = old.risk
    changes: tuple[dict[str, Any], ...] = (
        {"risk": msgspec.structs.replace(risk, trades_max=1)},
        {"symbols_deny": (_symbol(hit),)},
        {"risk": msgspec.structs.replace(risk, risk_per_trade=risk.risk_per_trade / 2)},
        {"trail_batr": Decimal(1), "leverage": Decimal(4)},
    )
    new = msgspec.structs.replace(old, **changes[hit.amount])
    world.settings[user] = new
    world.all_settings[user].append(new)
    world.versions[user] += 1
    row = SettingsRow(
        user_id=user,
        version=world.versions[user],
        body=msgspec.json.encode(new),
        created_ms=world.clock.now_ms(),
        actor=f"user:{user}",
    )

    async def change() -> None:
        await world.store.add_settings(row)
        if process.life.runs:
            spawn(process.life, process.supervisor.settings_changed(user))

    spawn(None, change())
    return True


def _kill_race(world: World, hit: Injection) -> bool:
    """Two people click: one stops everything, another lets it go on."""
    process = _newest(world)
    user = world.users[hit.user] if hit.amount else ""
    if process is None or not process.life.runs:
        return False
    if user and user not in process.supervisor.seats:
        return False

    async def click(*, killed: bool, wait_s: float) -> None:
        await asyncio.sleep(wait_s)
        runs = _newest(world)
        if runs is not None and runs.life.runs and (not user or user in runs.supervisor.seats):
            await runs.supervisor.kill(user, killed=killed, actor="user:x")

    spawn(process.life, click(killed=True, wait_s=0.0))
    if hit.amount % 2:
        spawn(process.life, click(killed=False, wait_s=0.0 if hit.amount == 1 else 9.0))
    return True


def _key_ends(world: World, hit: Injection) -> None:
    key = world.office.keys[hit.user]
    world.desk.keys.change(key.key, expires_ms=world.clock.now_ms() - 1)
    for process in world.alive:
        for stream in process.streams:
            if stream.user == hit.user:
                stream.fall(2.0, "the key has expired")
    world.later(hit.amount / 1000.0, lambda: world.renew_key(hit.user))


_ACTS: dict[str, Act] = {
    "kill": _kill,
    "crash_loop": _crash_loop,
    "sigterm": _sigterm,
    "overlap": _overlap,
    "freeze": _freeze,
    "backup": _backup,
    "store_down": _until("store_down_until_s"),
    "store_slow": _until("store_slow_until_s"),
    "disk_full": _until("disk_full_until_s"),
    "bus_down": _until("bus_down_until_s"),
    "bars_lost": _until("bars_lost_until_s"),
    "deaf_notifier": _until("notifier_deaf_until_s"),
    "jump": _jump,
    "skew": _jump,
    "edit_row": _edit_row,
    "all_down": _all_down,
    "venue_restart": _venue_restart,
    "deaf": _deaf,
    "redeliver": _redeliver,
    "disorder": _disorder,
    "open_bar": _open_bar,
    "poison": _poison,
    "flood": _flood,
    "maintenance": _maintenance,
    "risk_off": lambda world, hit: world.market.risk_off(hit.amount),
    "shard_dead": _dead,
    "stale_book": _stale_book,
    "odd_price": _odd,
    "no_trades": lambda world, hit: world.market.no_trades(_symbol(hit), hit.amount),
    "delist": _venue_act("delist"),
    "funding": _venue_act("funding"),
    "liquidate": _venue_act("liquidate"),
    "deleverage": _venue_act("deleverage"),
    "reduce_only": _venue_act("reduce_only"),
    "partial_cancel": _venue_act("partial_cancel"),
    "stop_gone": _stop_gone,
    "new_rules": _new_rules,
    "mark_apart": _mark_apart,
    "gap": lambda world, hit: world.market.gap(_symbol(hit), hit.amount),
    "new_settings": _new_settings,
    "kill_race": _kill_race,
    "key_ends": _key_ends,
}
