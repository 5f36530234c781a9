"""What the pages and the API show of the market: pure functions from the market layer's views.

Inputs are read by attribute, as ``live.service`` gives them (`BoardView`, `CoinView`, `EventView`), and
a profile's `DetectorParams`. Nothing here reads a clock or a socket; every number that is unknown is None.
Market data are float64 facts of the detector, not money: they stand as JSON numbers. Times are int ms, UTC.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from engine.messages import Gate, LevelKind, Phase
from engine.pipeline.detector import DetectorParams

DAY_MS = 86_400_000
CARDS_PER_PHASE = 6
MOVES = 8
SPARK = 48
_RAIL_ABOVE = 0.35  # of the range, shown over the level
MARKET_PHASES = tuple(Phase(n) for n in range(1, 7))


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """One coin on the board."""

    symbol: str
    phase: int
    since: int  # when the phase began, ms; 0 = unknown
    close: float | None
    change_24h: float | None
    tick: str
    status: str
    drop: float | None  # ln(peak/close) at the dump
    z: float | None
    quiet_bars: int | None  # without a new low
    quiet_min: int
    nb: int | None
    base_min: int
    level: float | None
    level_score: float | None
    distance_atr: float | None
    last_event: str | None
    missing: str | None  # phase 4: the first rule not met
    reject: tuple[str, ...]
    spark: tuple[float, ...]


class FunnelStep(msgspec.Struct, frozen=True, kw_only=True):
    """One phase of the funnel."""

    phase: int
    now: int
    arrived: int | None  # in 24 h; None for phase 1
    share: float | None  # of the phase before, 0..1; None where it says nothing


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """One event of the detector, with everything a sentence needs."""

    seq: int
    t: int
    symbol: str
    kind: str
    before: int
    after: int
    tick: str
    reject: tuple[str, ...]
    replayed: bool
    facts: dict[str, Any]


class Market(msgspec.Struct, frozen=True, kw_only=True):
    """The board."""

    as_of: int
    interval: str
    interval_ms: int
    profile: str
    next_close: int  # ms; 0 = unknown
    eligible: int
    excluded: tuple[tuple[str, int], ...]  # reason, coins; most first
    scan_ms: float | None
    scan_symbols: int | None
    breadth: float | None
    funnel: tuple[FunnelStep, ...]
    columns: dict[int, tuple[Card, ...]]  # phases 2..6, the first of each
    order: dict[int, tuple[str, ...]]  # every coin of phases 2..6, nearest to the next phase first
    moves: tuple[Move, ...]


class Segment(msgspec.Struct, frozen=True):
    """A stretch of one phase on the time axis, [start, end) ms."""

    start: int
    end: int
    phase: int


class Zone(msgspec.Struct, frozen=True, kw_only=True):
    """A band of prices over a stretch of time."""

    kind: str  # support, resistance
    start: int
    end: int
    lo: float
    hi: float
    score: float | None
    touches: int | None
    newest: bool


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A price over a stretch of time."""

    kind: str  # level, invalidation
    start: int
    end: int
    price: float
    newest: bool


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """An event on its bar."""

    kind: str  # BREAKOUT, REJECTED, FAILED
    t: int  # open of the bar


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One rule: the value against its limit."""

    name: str
    value: float | None
    limit: float
    at_least: bool
    passed: bool | None  # None = not judged yet


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """One of the eight ways to name the ceiling."""

    kind: str
    price: float
    place: float  # within the range shown, 0..1
    distance_atr: float | None  # from the chosen level
    chosen: bool


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a level's score, weighted, so that they add up."""

    total: float
    touch: float
    edge: float
    polarity: float
    round: float
    over: float
    rival_up: float  # what a higher rival must be ahead
    rival_down: float  # a lower one


class Coin(msgspec.Struct, frozen=True, kw_only=True):
    """One coin's page."""

    symbol: str
    tick: str
    as_of: int
    interval: str
    interval_ms: int
    profile: str
    card: Card
    bars: tuple[tuple[float, ...], ...]  # (ts, o, h, l, c, v)
    ribbon: tuple[Segment, ...]
    zones: tuple[Zone, ...]
    lines: tuple[Line, ...]
    marks: tuple[Mark, ...]
    story: tuple[Move, ...]  # newest first
    checks_of: str  # breakout, base, waiting, none
    checks_t: int | None
    checks: tuple[Check, ...]
    variants: tuple[Variant, ...]
    variants_t: int | None
    score: Score | None


# ---------------------------------------------------------------- shared pieces


def _phase_of(value: object) -> int:
    """Read a phase given by number or by name."""
    return int(Phase[value]) if isinstance(value, str) else max(1, int(value))  # type: ignore[call-overload]


def _finite(value: object) -> float | None:
    if not isinstance(value, int | float):
        return None
    number = float(value)
    return number if number == number and abs(number) != float("inf") else None  # noqa: PLR0124


def _positive(value: object) -> float | None:
    number = _finite(value)
    return number if number is not None and number > 0 else None


def card(row: Any, params: DetectorParams, last: Move | None = None) -> Card:
    """Return a board row as a card; ``last`` is the coin's newest event."""
    quiet = getattr(row, "bars_since_low", None)
    phase = _phase_of(row.phase)
    rules = base_checks(row, params) if phase == Phase.BASE else ()
    return Card(
        symbol=row.symbol,
        phase=phase,
        since=row.since,
        close=_finite(row.close),
        change_24h=_finite(row.change_24h),
        tick=getattr(row, "tick", "") or "",
        status=row.status,
        drop=_finite(row.drop),
        z=_finite(getattr(row, "z", None)),
        quiet_bars=None if quiet is None else int(quiet),
        quiet_min=params.stabilization.n_stab,
        nb=row.nb,
        base_min=params.base.base_min,
        level=_positive(row.level),
        level_score=_finite(row.level_score),
        distance_atr=_finite(row.distance_atr),
        last_event=row.last_event,
        missing=next((c.name for c in rules if c.passed is False), None),
        reject=last.reject if last is not None and last.kind == "REJECTED" else (),
        spark=tuple(row.closes[-SPARK:]),
    )


def move(event: Any, tick: str = "") -> Move:
    """Return an event of the market layer as a move."""
    return Move(
        seq=event.seq,
        t=event.t,
        symbol=event.symbol,
        kind=event.kind,
        before=_phase_of(event.phase_before),
        after=_phase_of(event.phase_after),
        tick=tick,
        reject=tuple(event.reject),
        replayed=event.replayed,
        facts=dict(event.fields),
    )


# ---------------------------------------------------------------- the market page


def nearness(card: Card) -> tuple[float, float]:
    """Return a sort key: the coin nearest to its next phase first."""
    far = float("inf")
    if card.phase in {Phase.DUMP, Phase.STABILIZATION}:
        return (-(card.quiet_bars or 0), -card.since)
    if card.phase == Phase.BASE:
        score = card.level_score if card.level is not None else None
        return (far if score is None else -score, -(card.nb or 0))
    if card.phase == Phase.ARMED:
        return (far if card.distance_atr is None else abs(card.distance_atr), -card.since)
    return (-card.since, 0.0)


def arrivals(moves: Iterable[Move], since_ms: int, now: Mapping[int, int]) -> dict[int, int]:
    """Count the coins that came into each of the phases 2 to 6 after ``since_ms``.

    Phase 3 begins without an event of its own: its arrivals are the coins that left it since, and
    those that are in it now.
    """
    came: Counter[int] = Counter()
    left_three = 0
    for m in moves:
        if m.t <= since_ms or m.before == m.after:
            continue
        came[m.after] += 1
        left_three += m.before == Phase.STABILIZATION
    came[int(Phase.STABILIZATION)] = left_three + now.get(int(Phase.STABILIZATION), 0)
    return {int(p): came[int(p)] for p in MARKET_PHASES[1:]}


def funnel(now: Mapping[int, int], arrived: Mapping[int, int]) -> tuple[FunnelStep, ...]:
    """Return the six steps: now, arrived in 24 h, share of the phase before."""
    eligible = sum(now.values())
    steps = [FunnelStep(phase=1, now=now.get(1, 0), arrived=None, share=1.0 if eligible else None)]
    for phase in range(2, 7):
        before = eligible if phase == Phase.DUMP else arrived[phase - 1]
        share = arrived[phase] / before if before else None
        if share is not None and share > 1.0:
            share = None  # several bases of one fall: a share would mislead
        steps.append(
            FunnelStep(phase=phase, now=now.get(phase, 0), arrived=arrived[phase], share=share)
        )
    return tuple(steps)


def market(
    board: Any,
    events: Sequence[Any],
    params: DetectorParams,
    *,
    scan_ms: float | None = None,
    scan_symbols: int | None = None,
) -> Market:
    """Return the board.

    Parameters
    ----------
    board : live.service.BoardView
    events : sequence of live.service.EventView
        Of all symbols, oldest first, at least 24 h of them.
    params : DetectorParams
        The profile that judged.
    scan_ms, scan_symbols
        How long the last close took, for how many coins.
    """
    ticks = {row.symbol: getattr(row, "tick", "") or "" for row in board.rows}
    moves = [move(e, ticks.get(e.symbol, "")) for e in events]
    newest: dict[str, Move] = {m.symbol: m for m in moves}
    cards = [card(row, params, newest.get(row.symbol)) for row in board.rows]
    now = Counter(c.phase for c in cards)
    ranked = {
        p: sorted((c for c in cards if c.phase == p), key=lambda c: (nearness(c), c.symbol))
        for p in range(2, 7)
    }
    steps = [m for m in moves if m.before != m.after]
    market = getattr(board, "market", None)
    return Market(
        as_of=board.as_of,
        interval=board.interval,
        interval_ms=board.interval_ms,
        profile=board.profile,
        next_close=board.minute + board.interval_ms if board.minute else 0,
        eligible=len(cards),
        excluded=tuple(Counter(str(r) for r in board.excluded.values()).most_common()),
        scan_ms=scan_ms,
        scan_symbols=scan_symbols,
        breadth=None if market is None else _finite(market.breadth),
        funnel=funnel(now, arrivals(moves, board.as_of - DAY_MS, now)),
        columns={p: tuple(ranked[p][:CARDS_PER_PHASE]) for p in ranked},
        order={p: tuple(c.symbol for c in ranked[p]) for p in ranked},
        moves=tuple(reversed(steps[-MOVES:])),
    )


# ---------------------------------------------------------------- the coin page


def ribbon(
    moves: Sequence[Move], first_ms: int, end_ms: int, phase: int, *, calm_ms: int, trough_t: int | None
) -> tuple[Segment, ...]:
    """Return the phases over [first, end) as stretches without holes.

    Parameters
    ----------
    moves : sequence of Move
        Of one coin, oldest first.
    first_ms, end_ms : int
        The stretch shown.
    phase : int
        The phase now.
    calm_ms : int
        After so long without a new low a falling coin is shown as stabilising.
    trough_t : int or None
        The newest low, for a coin that is stabilising now.
    """
    cuts: list[tuple[int, int]] = []  # (start, phase)
    at, here = first_ms, moves[0].before if moves else phase
    for m in moves:
        if m.before == m.after:
            continue
        if m.before == Phase.STABILIZATION:
            low = m.facts.get("trough_t")
            cuts += [(at, int(Phase.DUMP)), (max(at, int(low or at) + calm_ms), m.before)]
        else:
            cuts.append((at, m.before))
        at, here = m.t, m.after
    cuts.append((at, here))
    if phase == Phase.STABILIZATION and here != phase:
        cuts.append((max(at, (trough_t or at) + calm_ms), phase))
    out = []
    for (start, p), (end, _) in zip(cuts, [*cuts[1:], (end_ms, 0)], strict=True):
        lo, hi = max(start, first_ms), min(end, end_ms)
        if hi > lo:
            out.append(Segment(lo, hi, p))
    return tuple(out)


def _runs(moves: Sequence[Move], end_ms: int) -> list[tuple[Move, int, bool]]:
    """Return each stretch of one armed level: its event, when it ended, whether it still stands."""
    runs: list[tuple[Move, int, bool]] = []
    open_: Move | None = None
    for m in moves:
        if m.kind == "REJECTED":
            continue
        if open_ is not None:
            runs.append((open_, m.t, False))
        open_ = m if m.kind in {"ARMED", "LEVEL"} else None
    if open_ is not None:
        runs.append((open_, end_ms, True))
    return runs


def drawings(
    moves: Sequence[Move], zone: Any, row: Any, *, first_ms: int, end_ms: int
) -> tuple[tuple[Zone, ...], tuple[Line, ...]]:
    """Return the bands and lines of every armed level in the stretch, and of the base that forms now."""
    zones: list[Zone] = []
    lines: list[Line] = []
    runs = [run for run in _runs(moves, end_ms) if run[1] > first_ms]
    for i, (m, end, _) in enumerate(runs):
        f, newest = m.facts, i == len(runs) - 1
        start = max(first_ms, int(f.get("anchor_t") or m.t))
        batr, level, floor = (_positive(f.get(k)) for k in ("batr", "level", "floor"))
        follows = i + 1 < len(runs) and runs[i + 1][0].facts.get("anchor_t") == f.get("anchor_t")
        if level is None or batr is None:
            continue
        lines.append(Line(kind="level", start=m.t, end=end, price=level, newest=newest))
        if follows:  # the same base under a newer level: one band is enough
            continue
        zones.append(
            Zone(
                kind="resistance", start=start, end=end, newest=newest,
                lo=_positive(f.get("zone_lo")) or level, hi=level,
                score=_finite(f.get("level_score")), touches=f.get("touches_r"),
            )
        )  # fmt: skip
        if floor is not None:
            zones.append(_support(start, end, floor, batr, f.get("touches_s"), newest=newest))
        invalid = _positive(f.get("invalidation"))
        if invalid is not None:
            lines.append(Line(kind="invalidation", start=m.t, end=end, price=invalid, newest=newest))
    if _phase_of(row.phase) == Phase.BASE:
        zones += _forming(zone, row, first_ms, end_ms)
    return tuple(zones), tuple(lines)


def _support(
    start: int, end: int, floor: float, batr: float, touches: int | None, *, newest: bool
) -> Zone:
    # a quarter of the base's ATR on each side: where a stop would not stand
    return Zone(
        kind="support", start=start, end=end, lo=floor - 0.25 * batr, hi=floor + 0.25 * batr,
        score=None, touches=touches, newest=newest,
    )  # fmt: skip


def _forming(zone: Any, row: Any, first_ms: int, end_ms: int) -> list[Zone]:
    batr, floor = _positive(row.batr), _positive(row.floor)
    start = max(first_ms, int(zone.anchor_t or zone.trough_t or first_ms))
    out = []
    if batr is not None and floor is not None:
        out.append(_support(start, end_ms, floor, batr, row.touches_s, newest=True))
    level = _positive(row.level)
    if level is not None:
        out.append(
            Zone(
                kind="resistance", start=start, end=end_ms, newest=True,
                lo=_positive(row.zone_lo) or level, hi=level,
                score=_finite(row.level_score), touches=row.touches_r,
            )
        )  # fmt: skip
    return out


def breakout_checks(facts: Mapping[str, Any], reject: Sequence[str], params: DetectorParams) -> tuple[Check, ...]:
    """Return the five checks of a bar that closed over the level, from its event."""
    b = params.breakout
    failed = set(reject)

    def check(name: str, field: str, limit: float, gate: Gate | None, *, at_least: bool = True) -> Check:
        passed = gate is None or gate.name not in failed
        return Check(
            name=name, value=_finite(facts.get(field)), limit=limit, at_least=at_least, passed=passed
        )

    return (
        check("close", "chase_atr", b.buffer_batr, None),
        check("body", "body", b.body_min, Gate.BODY),
        check("clv", "clv", b.clv_min, Gate.CLOSE_LOCATION),
        check("volume", "relvol", b.relvol_min, Gate.VOLUME),
        check("chase", "chase_atr", b.chase_max_batr, Gate.CHASE, at_least=False),
    )


def waiting_checks(distance_atr: float | None, params: DetectorParams) -> tuple[Check, ...]:
    """Return the same checks for a coin that waits: limits, and how far the close is below the level."""
    blank = breakout_checks({}, (), params)
    close = None if distance_atr is None else -distance_atr
    return tuple(
        Check(
            name=c.name, value=close if c.name == "close" else None, limit=c.limit,
            at_least=c.at_least, passed=None,
        )
        for c in blank
    )  # fmt: skip


def base_checks(row: Any, params: DetectorParams) -> tuple[Check, ...]:
    """Return the rules a range must meet to arm, with what it has now."""
    b, a = params.base, params.armed
    batr, floor, q95 = _positive(row.batr), _positive(row.floor), _positive(row.q95)
    peak, trough = _positive(row.peak), _positive(row.trough)
    height = q95 - floor if q95 is not None and floor is not None else None
    in_atr = height / batr if height is not None and batr is not None else None
    fall = peak - trough if peak is not None and trough is not None else None
    of_dump = height / fall if height is not None and fall else None
    rules: list[tuple[str, float | None, float, bool]] = [
        ("length", row.nb, b.base_min, True),
        ("height", in_atr, b.height_min, True),
        ("share", of_dump, b.height_share_max, False),
        ("drift", _finite(getattr(row, "drift", None)), b.drift_max, False),
        ("efficiency", _finite(getattr(row, "er", None)), b.er_max, False),
        ("score", _finite(row.level_score) if _positive(row.level) else None, a.score_min, True),
        ("touches_r", row.touches_r, a.touches_min, True),
        ("touches_s", row.touches_s, a.touches_min, True),
    ]
    return tuple(
        Check(
            name=name, value=value, limit=limit, at_least=at_least,
            passed=None if value is None else (value >= limit if at_least else value <= limit),
        )
        for name, value, limit, at_least in rules
    )  # fmt: skip


def variants(facts: Mapping[str, Any]) -> tuple[Variant, ...]:
    """Return the eight ways to name the ceiling, on one rail from the floor to the highest of them."""
    prices = [_positive(x) for x in facts.get("levels") or ()]
    level, batr, floor = (_positive(facts.get(k)) for k in ("level", "batr", "floor"))
    known = [x for x in prices if x is not None]
    if level is None or not known:
        return ()
    lo = floor if floor is not None and floor < level else min(known)
    hi = level + _RAIL_ABOVE * (level - lo)  # what lies beyond stands at the rail's end
    chosen = int(facts.get("level_kind") or 0)
    return tuple(
        Variant(
            kind=LevelKind(i).name, price=x, place=min(1.0, max(0.0, (x - lo) / (hi - lo))) if hi > lo else 1.0,
            distance_atr=(x - level) / batr if batr else None, chosen=i == chosen,
        )
        for i, x in enumerate(prices) if x is not None
    )  # fmt: skip


def score(facts: Mapping[str, Any], params: DetectorParams) -> Score | None:
    """Return what a level's score is made of, each part with its weight and sign."""
    total = _finite(facts.get("level_score"))
    if total is None or _positive(facts.get("level")) is None:
        return None
    a = params.armed

    def part(field: str) -> float:
        return _finite(facts.get(field)) or 0.0

    return Score(
        total=total, touch=a.w_touch * part("score_touch"), edge=a.w_edge * part("score_edge"),
        polarity=a.w_polarity * part("score_polarity"), round=a.w_round * part("score_round"),
        over=-a.w_over * part("overhang"), rival_up=a.hysteresis,
        rival_down=a.hysteresis * a.hysteresis_down,
    )  # fmt: skip


def _newest(moves: Sequence[Move], test: Callable[[Move], bool]) -> Move | None:
    return next((m for m in reversed(moves) if test(m)), None)


def _setup(moves: Sequence[Move]) -> Sequence[Move]:
    """Return the events of the newest setup: from its dump on."""
    starts = [i for i, m in enumerate(moves) if m.kind in {"DUMP", "RESET"}]
    return moves[starts[-1] :] if starts else moves


def ascending(bars: Iterable[Sequence[float]]) -> tuple[tuple[float, ...], ...]:
    """Return candles in ascending order, the newer of two with the same time: what a chart can draw."""
    return tuple(tuple(bar) for _, bar in sorted({int(bar[0]): bar for bar in bars}.items()))


def coin(view: Any, params: DetectorParams, *, as_of: int, interval_ms: int) -> Coin:
    """Return a coin's page.

    Parameters
    ----------
    view : live.service.CoinView
    params : DetectorParams
    as_of : int
        The venue's clock, ms.
    interval_ms : int
    """
    row, zone = view.row, view.zones
    tick = getattr(row, "tick", "") or ""
    moves = [move(e, tick) for e in view.events]
    bars = ascending(view.bars)
    first = int(bars[0][0]) if bars else as_of
    end = int(bars[-1][0]) + interval_ms if bars else as_of
    zones, lines = drawings(moves, zone, row, first_ms=first, end_ms=end)
    setup = _setup(moves)
    judged = _newest(setup, lambda m: m.kind in {"BREAKOUT", "REJECTED"})
    levelled = _newest(setup, lambda m: m.kind in {"ARMED", "LEVEL", "BREAKOUT"})
    phase = _phase_of(row.phase)
    if phase == Phase.BASE:
        of, at, checks = "base", None, base_checks(row, params)
    elif judged is not None and phase != Phase.ARMED:
        of, at, checks = "breakout", judged.t, breakout_checks(judged.facts, judged.reject, params)
    elif phase == Phase.ARMED and judged is not None and judged is setup[-1]:
        of, at, checks = "breakout", judged.t, breakout_checks(judged.facts, judged.reject, params)
    elif phase == Phase.ARMED:
        of, at, checks = "waiting", None, waiting_checks(_finite(row.distance_atr), params)
    else:
        of, at, checks = "none", None, ()
    return Coin(
        symbol=view.symbol,
        tick=tick,
        as_of=as_of,
        interval=view.interval,
        interval_ms=interval_ms,
        profile=view.profile,
        card=card(row, params, moves[-1] if moves else None),
        bars=bars,
        ribbon=ribbon(
            moves, first, end, phase,
            calm_ms=params.stabilization.calm_bars * interval_ms, trough_t=zone.trough_t,
        ),
        zones=zones,
        lines=lines,
        marks=tuple(
            Mark(kind=m.kind, t=m.t - interval_ms)
            for m in moves
            if m.kind in {"BREAKOUT", "REJECTED", "FAILED"} and m.t - interval_ms >= first
        ),
        story=tuple(reversed(moves[-30:])),
        checks_of=of,
        checks_t=at,
        checks=checks,
        variants=variants(levelled.facts) if levelled else (),
        variants_t=levelled.t if levelled else None,
        score=score(levelled.facts, params) if levelled else None,
    )  # fmt: skip
