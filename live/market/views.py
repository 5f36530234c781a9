"""What the faces may see: immutable values, ready for JSON. Unknown numbers are None."""

from typing import Any

import msgspec


class MarketView(msgspec.Struct, frozen=True):
    """The whole market before the next bar."""

    ts: int = 0
    breadth: float | None = None
    median_fall: float | None = None
    present: int = 0
    absent: int = 0
    universe_hash: str = ""


class BoardRow(msgspec.Struct, frozen=True):
    """One coin on the board. Times ms UTC of the venue's clock, prices in quote units."""

    symbol: str
    phase: int
    phase_name: str
    since: int  # when the phase began; 0 = unknown
    status: str  # live | repairing | dormant | warming
    close: float | None = None
    change_24h: float | None = None
    drop: float | None = None
    peak: float | None = None
    trough: float | None = None
    floor: float | None = None
    level: float | None = None
    zone_lo: float | None = None
    q95: float | None = None
    level_score: float | None = None
    touches_r: int = 0
    touches_s: int = 0
    nb: int = 0
    atr: float | None = None
    batr: float | None = None
    z: float | None = None
    drift: float | None = None
    er: float | None = None
    anchored: bool = False
    bars_since_low: int | None = None
    distance_atr: float | None = None
    tick: str = ""
    last_event: str | None = None
    last_event_t: int = 0
    closes: tuple[float, ...] = ()


class BoardView(msgspec.Struct, frozen=True):
    """Every watched coin, and why the others are not watched."""

    as_of: int
    interval: str
    interval_ms: int
    profile: str
    minute: int
    counts: dict[str, int]
    market: MarketView
    rows: tuple[BoardRow, ...]
    excluded: dict[str, str]


class ZoneView(msgspec.Struct, frozen=True):
    """The prices a chart draws for a coin's setup."""

    zone_lo: float | None = None
    level: float | None = None
    level_edge: float | None = None
    floor: float | None = None
    hard_floor: float | None = None
    q95: float | None = None
    peak: float | None = None
    peak_t: int | None = None
    trough_t: int | None = None
    anchor_t: int | None = None
    brk_level: float | None = None


class EventView(msgspec.Struct, frozen=True):
    """One event of the detector. ``replayed`` events tell a story; nobody may act on them."""

    seq: int
    t: int
    symbol: str
    kind: str
    phase_before: str
    phase_after: str
    close: float
    level: float | None
    zone_lo: float | None
    floor: float | None
    batr: float | None
    drop: float | None
    level_score: float | None
    reject: tuple[str, ...]
    replayed: bool
    fields: dict[str, Any]


class CoinView(msgspec.Struct, frozen=True):
    """One coin in full."""

    symbol: str
    interval: str
    profile: str
    row: BoardRow
    bars: tuple[tuple[float, ...], ...]  # ts, open, high, low, close, volume
    zones: ZoneView
    events: tuple[EventView, ...]


class HealthView(msgspec.Struct, frozen=True):
    """How the market layer is."""

    status: str  # starting | live | degraded | stopped
    since: int
    symbols: int = 0
    connections: int = 0
    reconnects: int = 0
    repaired_bars: int = 0
    late_bars: int = 0
    duplicates: int = 0
    conflicts: int = 0
    gaps: int = 0
    given_up: int = 0
    refused: int = 0
    malformed: int = 0
    slow_readers: int = 0
    last_message_age_s: float | None = None
    notes: tuple[str, ...] = ()


class PhaseEvents(msgspec.Struct, frozen=True):
    """Topic ``phase``: what one minute's bars led to. ``raw`` holds the detector's own records."""

    profile: str
    interval: str
    ts: int
    replayed: bool
    events: tuple[EventView, ...]
    raw: Any = None


class BarsClosed(msgspec.Struct, frozen=True):
    """Topic ``bars``: the closed bars of one minute (open, high, low, close, volume)."""

    interval: str
    ts: int
    symbols: tuple[str, ...]
    rows: tuple[tuple[float, ...], ...]


class PriceTick(msgspec.Struct, frozen=True):
    """Topic ``price``: a candle that is still open. Lossy."""

    symbol: str
    interval: str
    ts: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    received: int


class UniverseChanged(msgspec.Struct, frozen=True):
    """Topic ``universe``: coins that came and went."""

    added: tuple[str, ...]
    removed: dict[str, str]
