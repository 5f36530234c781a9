"""The faults F1 to F91 of the drill: what each does, where, how often it is drawn.

Left out are F11 (key rotation: there is no vault yet) and F57 (a lagging replica: there is one
store). F60 to F63 strike the bus inside the process.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from app.proofs.drill.dice import Dice
from app.proofs.drill.plan import CLOCK, Injection
from engine.venue.codes import CODES, Action, Proof

MS = 1_000


@dataclass(frozen=True, slots=True)
class Spec:
    """A way in which a fault shows.

    `sites` with "u*" are of one user, drawn; `visits` bounds the visit (of the clock: ms);
    `amount` bounds the amount. `deadly` ones are drawn at most once or twice a run.
    """

    fault: str
    kind: str
    sites: tuple[str, ...]
    visits: tuple[int, int] = (1, 6)
    amount: tuple[int, int] = (0, 0)
    weight: float = 1.0


_TIME = (3 * MS, 95 * MS)
_ORDERS = ("u*.create.entry", "u*.create.tp1", "u*.create.close", "u*.cancel", "u*.trading-stop")
_ENTRY = ("u*.create.entry",)
_ANY = (*_ORDERS, "u*.set-leverage", "u*.orders", "u*.positions", "u*.executions", "u*.wallet")
_LISTS = ("u*.orders", "u*.positions", "u*.executions")
_PUSH = ("u*.push.order", "u*.push.execution", "u*.push.position", "u*.push.wallet")
_FAST = (1, 3)


def _at(fault: str, kind: str, *sites: str, **options: object) -> Spec:
    return Spec(fault, kind, sites, **options)  # pyrefly: ignore[bad-argument-type]


def _by(fault: str, kind: str, amount: tuple[int, int] = (0, 0), weight: float = 1.0) -> Spec:
    return Spec(fault, kind, (CLOCK,), _TIME, amount, weight)


_DOWN = (300, 9_000)  # until the process is started anew, ms
DEADLY: tuple[Spec, ...] = (
    _at("F1", "kill_before", "store.commit", visits=(1, 25), amount=_DOWN),
    _at("F2", "kill_after", "store.commit", visits=(1, 25), amount=_DOWN),
    _at("F3", "kill_during", *_ENTRY, visits=_FAST, amount=_DOWN),
    _at("F4", "kill_after", *_ENTRY, visits=_FAST, amount=_DOWN),
    _at("F5", "kill_before", "store.commit.placed", visits=(1, 4), amount=_DOWN),
    _at("F6", "kill_before", "u*.push.execution", visits=(1, 2), amount=_DOWN),
    _at("F7", "kill_before", "u*.push.tp1", visits=(1, 1), amount=_DOWN),
    _at("F8", "kill_during", "u*.trading-stop", visits=(1, 5), amount=_DOWN),
    _at("F9", "kill_during", "u*.create.close", visits=(1, 2), amount=_DOWN),
    _at("F10", "kill_after", *_LISTS, visits=(1, 4), amount=_DOWN),
    _at("F12", "kill_before", "store.load", visits=(1, 4), amount=_DOWN),
    _by("F13", "sigterm", (300, 6_000)),
    _by("F14", "kill", _DOWN),
    _by("F15", "crash_loop", (300, 1_500), 0.4),
    _at("F16", "kill_after", "notify", visits=(1, 6), amount=_DOWN),
    _by("F64", "overlap", (2_000, 20_000), 1.5),
    _by("F65", "freeze", (5_000, 40_000)),
    _at("F65", "freeze", *_ENTRY, visits=_FAST, amount=(5_000, 40_000)),
    _by("F58", "backup", (2_000, 8_000), 0.5),
)

COMMON: tuple[Spec, ...] = (
    _at("F17", "lost_request", *_ANY),
    _at("F18", "lost_reply", *_ORDERS, visits=_FAST, weight=2.0),
    _at("F19", "http", *_ANY),
    _at("F20", "http_after", *_ORDERS, visits=_FAST, weight=1.5),
    _at("F21", "throttle", *_ANY, amount=(100, 2_000)),
    _at("F22", "ban", *_ORDERS, amount=(8_000, 25_000), weight=0.3),
    _at("F23", "clock", *_ORDERS, visits=_FAST),
    _at("F24", "no_such_code", *_ORDERS, visits=_FAST, amount=(0, 1)),
    _at("F25", "html", *_ANY, amount=(0, 1)),
    _at("F26", "unread", *_LISTS, visits=(1, 8)),
    _at("F27", "stale", *_LISTS, "u*.look", visits=(1, 8), amount=(2_000, 14_000)),
    _at("F28", "double_row", *_LISTS, visits=(1, 8)),
    _at("F29", "short_history", "u*.executions", visits=(1, 6)),
    _at("F30", "late_reply", *_ORDERS, visits=_FAST, amount=(5_500, 30_000)),
    _at("F30", "slow", *_ORDERS, visits=_FAST, amount=(1_000, 4_800)),
    _at("F31", "unreachable", *_ANY),
    _at("F32", "doubtful_after", *_ENTRY, visits=_FAST),
    _at("F33", "margin", *_ENTRY, visits=_FAST, amount=(0, 99)),
    _at("F34", "leverage", "u*.set-leverage", *_ENTRY, visits=_FAST, amount=(0, 99)),
    _at("F35", "price", *_ENTRY, "u*.create.close", visits=_FAST, amount=(0, 99)),
    _by("F36", "partial_cancel"),
    _at("F74", "auction", *_ENTRY, "u*.create.tp1", visits=_FAST, amount=(0, 99)),
    _at("F24", "code", *_ANY, visits=_FAST, amount=(0, 9_999), weight=6.0),
    _at("F37", "close", *_PUSH, visits=(1, 20), amount=(200, 6_000)),
    _at("F38", "stall", *_PUSH, visits=(1, 20), amount=(5_000, 20_000)),
    _at("F39", "double", *_PUSH, visits=(1, 20)),
    _at("F40", "swap", *_PUSH, visits=(1, 20), amount=(50, 900)),
    _at("F41", "late", *_PUSH, visits=(1, 20), amount=(2_000, 30_000)),
    _by("F42", "bars_lost", (4_000, 16_000)),
    _at("F43", "refuse_auth", "u*.connect", visits=(1, 3), amount=(1_000, 9_000)),
    _at("F44", "refuse_topics", "u*.connect", visits=(1, 3), amount=(1_000, 9_000)),
    _by("F45", "shard_dead", (6_000, 25_000)),
    _by("F46", "all_down", (1_000, 12_000)),
    _by("F47", "flood", (50, 400)),
    _at("F48", "malformed", *_PUSH, visits=(1, 20)),
    _by("F49", "stale_book", (2_000, 12_000)),
    _at("F50", "double_filled", "u*.push.order", visits=(1, 20)),
    _by("F51", "open_bar", (1, 3)),
    _by("F52", "venue_restart", (1_000, 9_000)),
    _by("F53", "store_down", (5_000, 35_000)),
    _at("F54", "locked", "store.commit", "store.load", visits=(1, 40)),
    _at("F55", "unknown_commit", "store.commit", visits=(1, 40), amount=(0, 1), weight=2.0),
    _by("F56", "disk_full", (4_000, 20_000)),
    _by("F59", "store_slow", (3_000, 12_000)),
    _by("F60", "bus_down", (3_000, 20_000)),
    _by("F61", "redeliver", (1, 3)),
    _by("F62", "poison"),
    _by("F63", "disorder", (1, 4)),
    _by("F66", "jump", (-3_600_000, 3_600_000)),
    _by("F67", "skew", (-3_000, 3_000)),
    _by("F68", "deaf", (10_000, 25_000)),
    _by("F69", "edit_row", weight=0.3),
    _by("F70", "odd_price", (0, 3)),
    _by("F71", "no_trades", (4_000, 12_000)),
    _by("F72", "delist", weight=0.4),
    _by("F73", "new_rules", (0, 1)),
    _by("F75", "funding", (1, 8)),
    _by("F76", "liquidate", weight=0.4),
    _by("F77", "deleverage", weight=0.6),
    _by("F78", "stop_gone"),
    _by("F79", "maintenance", (3_000, 12_000)),
    _by("F80", "mark_apart", (1, 40)),
    _by("F81", "reduce_only", weight=0.5),
    _by("F82", "gap", (100, 900), 1.5),
    _by("F83", "human:close"),
    _by("F84", "human:resize"),
    _by("F85", "human:move_stop"),
    _by("F85", "human:remove_stop"),
    _by("F86", "human:switch_mode", weight=0.4),
    _by("F87", "human:withdraw", weight=0.5),
    _by("F88", "key_ends", (5_000, 30_000), 0.4),
    _by("F89", "new_settings", (0, 3), 1.5),
    _by("F90", "kill_race", (0, 3), 1.0),
    _by("F91", "deaf_notifier", (3_000, 25_000)),
    _by("P1", "control:pause", (3_000, 20_000)),
    _by("P2", "control:close", weight=1.5),
    _by("P3", "human:open"),
    _by("P4", "risk_off", (10_000, 30_000), 1.5),
)

ALL = (*DEADLY, *COMMON)
NAMES = tuple(sorted({s.fault for s in ALL if s.fault[0] == "F"}, key=lambda f: int(f[1:])))
LEFT_OUT = ("F11", "F57")

# Faults that are worst together.
SCENES: tuple[tuple[Spec, ...], ...] = (
    (  # swizzle: each wire stops in turn and comes back in another order
        *(
            _at("F38", "stall", f"u*.push.{topic}", visits=(1, 12), amount=(4_000, 18_000))
            for topic in ("order", "execution", "position")
        ),
        _by("F46", "all_down", (2_000, 8_000)),
        _by("F52", "venue_restart", (1_000, 6_000)),
    ),
    (_by("F65", "freeze", (8_000, 30_000)), _by("F66", "jump", (-3_600_000, 3_600_000))),
    (
        _at("F18", "lost_reply", *_ENTRY, visits=_FAST),
        _at("F18", "lost_reply", *_ENTRY, visits=_FAST),
        _at("F27", "stale", "u*.look", visits=(1, 3), amount=(9_000, 14_000)),
        _at("F41", "late", "u*.push.order", visits=_FAST, amount=(8_000, 14_000)),
        _at("F3", "kill_during", *_ENTRY, visits=_FAST, amount=(500, 3_000)),
    ),
    (
        _by("F64", "overlap", (6_000, 20_000)),
        _by("F61", "redeliver", (1, 3)),
        _by("F54", "store_slow", (4_000, 12_000)),
    ),
)

_BY_ACTION: dict[str, tuple[int, ...]] = {
    "margin": tuple(sorted(c.code for c in CODES.values() if c.action is Action.SHRINK)),
    "leverage": tuple(
        sorted(
            c.code for c in CODES.values() if c.action in (Action.LOWER_LEVERAGE, Action.ADAPT_MODE)
        )
    ),
    "price": tuple(sorted(c.code for c in CODES.values() if c.action is Action.REPRICE)),
    "auction": (110095, 110098, 110099, 110103),
}
_EVERY = tuple(sorted(code for code in CODES if code))


def code_of(injection: Injection) -> int:
    """Return the retCode that an injection answers with; 0: it answers with none."""
    if injection.kind == "code":
        return _EVERY[injection.amount % len(_EVERY)]
    chosen = _BY_ACTION.get(injection.kind)
    if chosen is not None:
        return chosen[injection.amount % len(chosen)]
    return {
        "no_such_code": 987_654,
        "throttle": 10006,
        "clock": 10002,
        "doubtful_after": 10429,
    }.get(injection.kind, 0)


def proves(code: int) -> Proof:
    """Return what a code proves; of one that is in no table nothing."""
    found = CODES.get(code)
    return Proof.UNKNOWN if found is None else found.proof


def draw(rng: Dice, users: int, amount: int = 20) -> list[Injection]:
    """Draw a run's faults: one or two deadly ones, sometimes a scene, the rest one by one."""
    chosen: list[Spec] = [_pick(rng, DEADLY)]
    if rng.random() < 0.35:  # noqa: PLR2004 - a share
        chosen.append(_pick(rng, DEADLY))
    if rng.random() < 0.2:  # noqa: PLR2004 - a share
        chosen += rng.choice(SCENES)
    while len(chosen) < amount:
        chosen.append(_pick(rng, COMMON))
    found: dict[tuple[str, int], Injection] = {}
    for spec in chosen:
        made = _make(rng, spec, users)
        found[made.site, made.visit] = made
    return sorted(found.values())


def _pick(rng: Dice, specs: Sequence[Spec]) -> Spec:
    return rng.weighted(specs, [s.weight for s in specs])


def _make(rng: Dice, spec: Spec, users: int) -> Injection:
    user = rng.below(users)
    low, high = spec.visits
    if spec.sites == (CLOCK,):
        visit = rng.between(low, high)
    else:  # early visits are the likely ones: late ones may never come
        visit = min(high, low + int(rng.exponential(max(1, high - low) / 2.0)))
    return Injection(
        site=rng.choice(spec.sites).replace("u*", f"u{user}"),
        visit=visit,
        kind=spec.kind,
        fault=spec.fault,
        amount=rng.between(*spec.amount),
        user=user,
    )
