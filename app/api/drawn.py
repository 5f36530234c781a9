"""A coin's page: the ribbon of its phases, bands and lines of its levels, its story. Pure."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from app.api.board import card, move
from app.api.checks import (
    base_checks,
    breakout_checks,
    finite,
    phase_of,
    positive,
    score,
    variants,
    waiting_checks,
)
from app.api.views import Check, Coin, Line, Mark, Move, Segment, Zone
from engine.messages import Phase
from engine.pipeline.detector import DetectorParams


def ribbon(
    moves: Sequence[Move],
    first_ms: int,
    end_ms: int,
    phase: int,
    *,
    calm_ms: int,
    trough_t: int | None,
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
    """Return bands and lines of every armed level shown, and of the base that forms now."""
    zones: list[Zone] = []
    lines: list[Line] = []
    runs = [run for run in _runs(moves, end_ms) if run[1] > first_ms]
    for i, (m, end, _) in enumerate(runs):
        f, newest = m.facts, i == len(runs) - 1
        start = max(first_ms, int(f.get("anchor_t") or m.t))
        batr, level, floor = (positive(f.get(k)) for k in ("batr", "level", "floor"))
        follows = i + 1 < len(runs) and runs[i + 1][0].facts.get("anchor_t") == f.get("anchor_t")
        if level is None or batr is None:
            continue
        lines.append(Line(kind="level", start=m.t, end=end, price=level, newest=newest))
        if follows:  # the same base under a newer level: one band is enough
            continue
        zones.append(
            Zone(
                kind="resistance", start=start, end=end, newest=newest,
                lo=positive(f.get("zone_lo")) or level, hi=level,
                score=finite(f.get("level_score")), touches=f.get("touches_r"),
            )
        )  # fmt: skip
        if floor is not None:
            zones.append(_support(start, end, floor, batr, f.get("touches_s"), newest=newest))
        invalid = positive(f.get("invalidation"))
        if invalid is not None:
            lines.append(
                Line(kind="invalidation", start=m.t, end=end, price=invalid, newest=newest)
            )
    if phase_of(row.phase) == Phase.BASE:
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
    batr, floor = positive(row.batr), positive(row.floor)
    start = max(first_ms, int(zone.anchor_t or zone.trough_t or first_ms))
    out = []
    if batr is not None and floor is not None:
        out.append(_support(start, end_ms, floor, batr, row.touches_s, newest=True))
    level = positive(row.level)
    if level is not None:
        out.append(
            Zone(
                kind="resistance", start=start, end=end_ms, newest=True,
                lo=positive(row.zone_lo) or level, hi=level,
                score=finite(row.level_score), touches=row.touches_r,
            )
        )  # fmt: skip
    return out


def _newest(moves: Sequence[Move], test: Callable[[Move], bool]) -> Move | None:
    return next((m for m in reversed(moves) if test(m)), None)


def _setup(moves: Sequence[Move]) -> Sequence[Move]:
    """Return the events of the newest setup: from its dump on."""
    starts = [i for i, m in enumerate(moves) if m.kind in {"DUMP", "RESET"}]
    return moves[starts[-1] :] if starts else moves


def _judged(
    row: Any, setup: Sequence[Move], params: DetectorParams
) -> tuple[str, int | None, tuple[Check, ...]]:
    """Return which checks matter in a coin's phase, when they were judged, and how they went."""
    phase = phase_of(row.phase)
    if phase == Phase.BASE:
        return "base", None, base_checks(row, params)
    tried = _newest(setup, lambda m: m.kind in {"BREAKOUT", "REJECTED"})
    if tried is not None and (phase != Phase.ARMED or tried is setup[-1]):
        return "breakout", tried.t, breakout_checks(tried.facts, tried.reject, params)
    if phase == Phase.ARMED:
        return "waiting", None, waiting_checks(finite(row.distance_atr), params)
    return "none", None, ()


def ascending(bars: Iterable[Sequence[float]]) -> tuple[tuple[float, ...], ...]:
    """Return candles ascending, the later of two with the same time: what a chart can draw."""
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
    levelled = _newest(setup, lambda m: m.kind in {"ARMED", "LEVEL", "BREAKOUT"})
    of, at, checks = _judged(row, setup, params)
    phase = phase_of(row.phase)
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
