"""The board: every coin as a card, the funnel of the day, the last moves. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from app.api.checks import base_checks, finite, phase_of, positive
from app.api.views import Card, FunnelStep, Market, Move
from engine.messages import Phase
from engine.pipeline.detector import DetectorParams

DAY_MS = 86_400_000
CARDS_PER_PHASE = 6
MOVES = 8
SPARK = 48
MARKET_PHASES = tuple(Phase(n) for n in range(1, 7))


def card(row: Any, params: DetectorParams, last: Move | None = None) -> Card:
    """Return a board row as a card; ``last`` is the coin's newest event."""
    quiet = getattr(row, "bars_since_low", None)
    phase = phase_of(row.phase)
    rules = base_checks(row, params) if phase == Phase.BASE else ()
    return Card(
        symbol=row.symbol,
        phase=phase,
        since=row.since,
        close=finite(row.close),
        change_24h=finite(row.change_24h),
        tick=getattr(row, "tick", "") or "",
        status=row.status,
        drop=finite(row.drop),
        z=finite(getattr(row, "z", None)),
        quiet_bars=None if quiet is None else int(quiet),
        quiet_min=params.stabilization.n_stab,
        nb=row.nb,
        base_min=params.base.base_min,
        level=positive(row.level),
        level_score=finite(row.level_score),
        distance_atr=finite(row.distance_atr),
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
        before=phase_of(event.phase_before),
        after=phase_of(event.phase_after),
        tick=tick,
        reject=tuple(event.reject),
        replayed=event.replayed,
        facts=dict(event.fields),
    )


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
        breadth=None if market is None else finite(market.breadth),
        funnel=funnel(now, arrivals(moves, board.as_of - DAY_MS, now)),
        columns={p: tuple(ranked[p][:CARDS_PER_PHASE]) for p in ranked},
        order={p: tuple(c.symbol for c in ranked[p]) for p in ranked},
        moves=tuple(reversed(steps[-MOVES:])),
    )
