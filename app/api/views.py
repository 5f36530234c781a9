"""What the pages and the API show of the market: immutable values, ready for JSON.

Made by pure functions (`board`, `checks`, `drawn`) from the market layer's views, which are read by
attribute, and a profile's parameters. Nothing here reads a clock or a socket; a number that is
unknown is None. Market data are float64 facts of the detector, not money: JSON numbers. Times are
int ms, UTC.
"""

from typing import Any

import msgspec


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
