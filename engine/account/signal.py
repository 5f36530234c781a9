"""What the market layer tells every user: a breakout, and what the book said at that moment."""

import msgspec


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """The market of one coin at one moment. Prices in quote units, shares in basis points."""

    ts: int  # venue clock, ms; a quote older than 5 s decides nothing
    bid: float
    ask: float
    mark: float
    spread_bps: float
    sweep_bps: float  # what a market order of `notional_usdt` would pay, one way
    notional_usdt: float = 0.0  # that the sweep was measured for; 0: modelled
    source: str = "model"  # "book" | "model" | "ticker"
    stale: bool = False  # the book's sequence broke: it may be used by nobody
    funding_rate: float | None = None
    next_funding_ms: int = 0
    funding_interval_min: int = 0
    turnover_24h: float = 0.0


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """A breakout of Pattern 1. Numbers of the detector are float; `exact` turns them to Decimal."""

    signal_id: str  # f"{profile}-{interval}-{symbol}-{t}": the same from every process
    symbol: str
    profile: str
    interval_ms: int
    t: int  # close time of the deciding bar, ms
    close: float
    level: float
    levels: tuple[float, ...]
    floor: float
    batr: float
    atr: float
    drop: float = 0.0
    level_score: float = 0.0
    touches: int = 0
    breadth: float | None = None
    market_fall: float | None = None
    residual_share: float | None = None
    params_hash: int = 0
    quote: Quote | None = None  # journaled with the event


class SignalEnd(msgspec.Struct, frozen=True, kw_only=True):
    """The coin's setup is over: FAILED, INVAL, DISARM, COOLED or RESET of the detector."""

    symbol: str
    profile: str
    interval_ms: int
    t: int
    kind: str
